use proptest::prelude::*;

use super::*;

/// 2026-11-21 00:00:00 GMT.
const NOW: u64 = 1_795_219_200_000;

#[test]
fn nothing_that_names_a_client_or_a_hop_is_on_a_list() {
    for name in REQUEST_HEADERS.iter().chain(&RESPONSE_HEADERS) {
        assert_eq!(*name, name.to_ascii_lowercase());
        assert!(
            !name.starts_with("x-ratelimit") && !name.starts_with("cf-") && !name.starts_with("x-forwarded")
        );
        for never in [
            "authorization",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "cookie",
            "set-cookie",
            "host",
            "connection",
            "transfer-encoding",
            "te",
            "upgrade",
            "content-length",
            "content-encoding",
            "retry-after",
            "x-should-retry",
            "user-agent",
        ] {
            assert_ne!(*name, never);
        }
    }
}

#[test]
fn values_with_line_breaks_or_without_bounds_do_not_pass() {
    assert!(can_pass("text/event-stream; charset=utf-8"));
    assert!(!can_pass("a\r\nset-cookie: x"));
    assert!(!can_pass("é"));
    assert!(can_pass(&"x".repeat(1024)) && !can_pass(&"x".repeat(1025)));
}

#[test]
fn every_form_of_retry_after_is_read() {
    let of = |text: &str| retry_after_ms(Some(text), None, None, NOW);
    assert_eq!(of("58"), Some(58_000));
    assert_eq!(of(" 1.3 "), Some(1300));
    assert_eq!(of("0"), Some(0));
    assert_eq!(of("0.0001"), Some(1), "not before the time");
    assert_eq!(of("Sat, 21 Nov 2026 00:00:30 GMT"), Some(30_000));
    assert_eq!(of("Fri, 20 Nov 2026 23:59:00 GMT"), Some(0));
    assert_eq!(of("Sun, 21 Nov 2027 00:00:00 GMT"), Some(MAX_RETRY_MS));
    assert_eq!(of("999999999999"), Some(MAX_RETRY_MS));
    for text in ["", "soon", "-5", "inf", "NaN", "1e", "0x10", "Sat, 41 Nov 2026 00:00:30 GMT"] {
        assert_eq!(of(text), None, "{text}");
    }
}

#[test]
fn milliseconds_go_before_seconds_and_both_before_resets() {
    assert_eq!(retry_after_ms(Some("2"), Some("1300"), Some(9), NOW), Some(1300));
    assert_eq!(retry_after_ms(Some("2"), Some("x"), Some(9), NOW), Some(2000));
    assert_eq!(retry_after_ms(Some("x"), None, Some(9), NOW), Some(9));
    assert_eq!(retry_after_ms(None, None, None, NOW), None);
    assert_eq!(retry_after_ms(None, Some("99999999999999999999"), None, NOW), Some(MAX_RETRY_MS));
}

#[test]
fn the_limits_of_a_live_key_are_read() {
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests-minute", "5"),
        ("X-RateLimit-Remaining-Requests-Minute", "4"),
        ("x-ratelimit-limit-requests-day", "2400"),
        ("x-ratelimit-reset-requests-day", "33011.382867097855"),
        ("x-ratelimit-limit-tokens-minute", "30000"),
        ("x-ratelimit-remaining-tokens-minute", "-17"),
        ("x-ratelimit-reset-tokens-minute", "11.382867097854614"),
        ("x-ratelimit-limit-tokens-hour", "1000000"),
        ("x-ratelimit-limit-tokens-uncached-minute", "30000"),
        ("x-ratelimit-limit-total-tokens-minute", "90000"),
    ];
    let readings = rate_limits(headers);
    let reading = |what, window| *readings.iter().find(|r| r.what == what && r.window == window).unwrap();
    assert_eq!(readings.len(), 6);
    let requests = reading(Counted::Requests, Window::Minute);
    assert_eq!((requests.limit, requests.remaining, requests.reset_ms), (Some(5), Some(4), None));
    assert_eq!(reading(Counted::Requests, Window::Day).reset_ms, Some(33_011_383));
    let tokens = reading(Counted::Tokens, Window::Minute);
    assert_eq!((tokens.limit, tokens.remaining, tokens.reset_ms), (Some(30_000), Some(0), Some(11_383)));
    assert_eq!(reading(Counted::UncachedTokens, Window::Minute).limit, Some(30_000));
    assert_eq!(reading(Counted::TotalTokens, Window::Minute).limit, Some(90_000));
    assert_eq!(exhausted_reset_ms(&readings), Some(11_383));
    let text = serde_json::to_string(&tokens).unwrap();
    assert_eq!(text, r#"{"c":"t","w":"m","l":30000,"r":0,"z":11383}"#);
    assert_eq!(serde_json::from_str::<LimitReading>(&text).unwrap(), tokens);
}

#[test]
fn unknown_limits_are_not_taken_for_known_ones() {
    for name in [
        "x-ratelimit-limit-requests",
        "x-ratelimit-limit-images-day",
        "x-ratelimit-limit-audio-tokens-minute",
        "x-ratelimit-limit-uncached-requests-minute",
        "x-ratelimit-limit-requests-tokens-minute",
        "x-ratelimit-used-requests-minute",
        "x-ratelimit-",
        "x-ratelimit-limit-requests-month",
        "é-ratelimit-limit-requests-minute",
    ] {
        assert_eq!(rate_limits([(name, "5")]), [], "{name}");
    }
    assert_eq!(rate_limits([("x-ratelimit-limit-requests-minute", "many")]), []);
}

#[test]
fn the_least_of_the_clients_time_limits_is_the_deadline() {
    assert_eq!(deadline_ms(Some("60"), None, None), Some(60_000));
    assert_eq!(deadline_ms(Some("600"), Some("60.5"), None), Some(60_500));
    assert_eq!(deadline_ms(Some("60"), None, Some("1500")), Some(1500));
    assert_eq!(deadline_ms(Some("None"), Some(""), Some("-4")), None);
    assert_eq!(deadline_ms(Some("0"), Some("NaN"), None), None);
    assert_eq!(deadline_ms(Some("1e9"), None, None), Some(MAX_DEADLINE_MS));
}

#[test]
fn a_sane_request_id_is_kept_and_another_replaced() {
    let entropy = [0xAB; 16];
    assert_eq!(request_id(Some("req_1.a-B"), entropy), "req_1.a-B");
    assert_eq!(request_id(Some(&"x".repeat(128)), entropy).len(), 128);
    for id in [None, Some(""), Some("a b"), Some("a\nb"), Some("é"), Some("<x>"), Some(&*"x".repeat(129))] {
        assert_eq!(request_id(id, entropy), format!("req-{}", "ab".repeat(16)));
    }
    let counted = std::array::from_fn(|n| n as u8 * 17);
    for entropy in [[0; 16], counted] {
        assert_eq!(request_id(None, entropy), format!("req-{:032x}", u128::from_be_bytes(entropy)));
    }
}

#[test]
fn any_of_the_four_headers_carries_the_token() {
    assert_eq!(credentials(Some("Bearer rk-1"), None, None, None), Ok(Some("rk-1")));
    assert_eq!(credentials(Some("bEaReR  rk-1 "), None, None, None), Ok(Some("rk-1")));
    assert_eq!(credentials(None, Some("rk-1"), None, None), Ok(Some("rk-1")));
    assert_eq!(credentials(None, None, Some("rk-1"), None), Ok(Some("rk-1")));
    assert_eq!(credentials(None, None, None, Some("rk-1")), Ok(Some("rk-1")));
    assert_eq!(credentials(Some("Bearer rk-1"), Some("rk-1"), Some(""), None), Ok(Some("rk-1")));
}

#[test]
fn several_authorization_lines_are_one_if_they_say_the_same() {
    assert_eq!(credentials(Some("Bearer rk-1, bearer rk-1"), None, None, None), Ok(Some("rk-1")));
    let two = credentials(Some("Bearer rk-1, Bearer rk-2"), None, None, None);
    assert_eq!(two, Err(CredentialError::Conflict));
}

#[test]
fn empty_credentials_are_none() {
    assert_eq!(credentials(None, None, None, None), Ok(None));
    assert_eq!(credentials(Some(""), Some(" "), None, None), Ok(None));
    assert_eq!(credentials(Some("Bearer"), None, None, None), Ok(None));
    assert_eq!(credentials(Some("Bearer  "), Some("rk-1"), None, None), Ok(Some("rk-1")));
}

#[test]
fn credentials_that_differ_or_cannot_be_are_refused() {
    assert_eq!(credentials(Some("Bearer a"), Some("b"), None, None), Err(CredentialError::Conflict));
    assert_eq!(credentials(None, Some("a"), None, Some("A")), Err(CredentialError::Conflict));
    assert_eq!(credentials(Some("Basic YTpi"), None, None, None), Err(CredentialError::Scheme));
    assert_eq!(credentials(Some("rk-1"), None, None, None), Err(CredentialError::Scheme));
    for token in ["a b", "a,b", "é", "a\u{7f}"] {
        assert_eq!(credentials(None, Some(token), None, None), Err(CredentialError::Malformed), "{token}");
        let refused = if token.contains(',') { CredentialError::Scheme } else { CredentialError::Malformed };
        assert_eq!(credentials(Some(&format!("Bearer {token}")), None, None, None), Err(refused));
    }
    assert_eq!(credentials(None, Some(&"a".repeat(4097)), None, None), Err(CredentialError::TooLong));
    assert!(credentials(None, Some(&"a".repeat(4096)), None, None).is_ok());
    let status = |error: CredentialError| crate::wire::errors::ApiError::from(error).status;
    assert_eq!((status(CredentialError::Conflict), status(CredentialError::Scheme)), (400, 401));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn header_values_of_any_kind_never_panic_and_stay_bounded(text in "\\PC{0,80}|[-0-9.eE]{0,40}", name in "x-ratelimit-[a-z-]{0,40}|\\PC{0,20}") {
        prop_assert!(retry_after_ms(Some(&text), Some(&text), None, NOW).is_none_or(|ms| ms <= MAX_RETRY_MS));
        prop_assert!(deadline_ms(Some(&text), Some(&text), Some(&text)).is_none_or(|ms| ms <= MAX_DEADLINE_MS && ms > 0));
        rate_limits([(name.as_str(), text.as_str()), ("x-ratelimit-reset-tokens-day", text.as_str())]);
        if let Ok(Some(token)) = credentials(Some(&text), Some(&text), None, None) {
            prop_assert!(token.is_ascii() && text.contains(token));
        }
    }

    #[test]
    fn seconds_are_never_rounded_down(seconds in 0.0..80_000.0_f64) {
        let ms = retry_after_ms(Some(&seconds.to_string()), None, None, NOW).unwrap();
        prop_assert!(ms as f64 >= seconds * 1000.0 - 0.01 && (ms as f64) < seconds * 1000.0 + 1.0);
    }
}
