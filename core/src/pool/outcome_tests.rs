use super::*;

fn failure(fault: Fault, status: u16) -> Failure {
    let error = UpstreamError { message: "words".into(), kind: "kind".into(), ..UpstreamError::default() };
    Failure { status, error, ..Failure::silent(fault) }
}

#[test]
fn each_fault_ends_in_its_status() {
    for (fault, status, told) in [
        (Fault::Client, 400, 400),
        (Fault::Client, 422, 422),
        (Fault::Model, 404, 404),
        (Fault::Key, 401, 502),
        (Fault::Payment, 402, 503),
        (Fault::Path, 403, 502),
        (Fault::Quota, 429, 429),
        (Fault::Queue, 429, 429),
        (Fault::Timeout, 0, 504),
        (Fault::Lost, 0, 502),
        (Fault::Upstream, 500, 500),
        (Fault::Upstream, 503, 503),
        (Fault::Upstream, 408, 504),
        (Fault::Upstream, 429, 429),
        (Fault::Upstream, 302, 502),
        (Fault::Upstream, 200, 502),
    ] {
        let answer = after(failure(fault, status));
        assert_eq!(answer.status, told, "{fault:?} {status}");
        if matches!(answer.status, 429 | 503) {
            assert!(answer.retry_after_ms.is_some(), "{fault:?} {status} says when to come back");
        }
    }
}

#[test]
fn the_clients_own_fault_is_told_in_the_upstreams_words_and_not_retried() {
    let answer = after(failure(Fault::Client, 400));
    assert_eq!((answer.message.as_ref(), answer.kind.as_ref()), ("words", "kind"));
    assert_eq!(answer.should_retry, Some(false));
}

#[test]
fn a_stated_wait_is_passed_on() {
    let quota = Failure { retry_after_ms: Some(7_500), ..failure(Fault::Quota, 429) };
    assert_eq!(after(quota).retry_after_ms, Some(7_500));
    let after_last = |last: Option<Failure>| wait_too_long(9_000, Waiting::Quota, None, last);
    assert_eq!(after_last(None).retry_after_ms, Some(9_000));
    assert_eq!(after_last(Some(failure(Fault::Queue, 429))).retry_after_ms, Some(9_000));
    assert_eq!(after_last(Some(failure(Fault::Lost, 0))).status, 502);
}

#[test]
fn after_an_attempt_the_last_word_is_not_to_retry() {
    for (fault, status) in [
        (Fault::Client, 400),
        (Fault::Model, 404),
        (Fault::Key, 401),
        (Fault::Payment, 402),
        (Fault::Path, 403),
        (Fault::Quota, 429),
        (Fault::Queue, 429),
        (Fault::Timeout, 0),
        (Fault::Lost, 0),
        (Fault::Upstream, 500),
        (Fault::Upstream, 503),
    ] {
        assert_eq!(after(failure(fault, status)).should_retry, Some(false), "{fault:?} {status}");
        for why in [RefusedWhy::KeysExhausted, RefusedWhy::NoModel] {
            let answer = refused(why, None, Some(failure(fault, status)));
            assert_eq!(answer.should_retry, Some(false), "{why:?} {fault:?} {status}");
        }
    }
}

#[test]
fn a_refusal_with_a_true_time_may_be_retried_even_after_an_attempt() {
    let waits = [Waiting::Quota, Waiting::Token, Waiting::Address, Waiting::Outage];
    let lasts = [
        None,
        Some(failure(Fault::Quota, 429)),
        Some(failure(Fault::Queue, 429)),
        Some(failure(Fault::Upstream, 503)),
    ];
    for why in waits {
        for last in &lasts {
            let answer = wait_too_long(2_500, why, None, last.clone());
            assert!(matches!(answer.status, 429 | 503), "{why:?} {last:?}");
            assert_eq!(answer.retry_after_ms, Some(2_500), "{why:?} {last:?}");
            assert_ne!(answer.should_retry, Some(false), "{why:?} {last:?}");
        }
    }
    // Clients do not wait that long: told nothing, they would retry within seconds.
    assert_eq!(wait_too_long(90_000, Waiting::Quota, None, None).should_retry, Some(false));
    // Rondo has tried, and what failed has no time.
    let answer = wait_too_long(2_500, Waiting::Quota, None, Some(failure(Fault::Upstream, 500)));
    assert_eq!((answer.status, answer.should_retry), (500, Some(false)));
}

#[test]
fn the_answer_names_what_is_waited_for() {
    let left = |limit, remaining| Some(Left { limit, remaining, reset_ms: 12_345 });
    let allowance =
        Allowance { requests_minute: left(60, 30), tokens_day: left(1_000_000, 3), ..Allowance::default() };
    for (why, status, code, words) in [
        (Waiting::Quota, 429, "rate_limit_exceeded", "quota"),
        (Waiting::Token, 429, "token_limit_exceeded", "1000000 tokens a day; try again in 2 s"),
        (Waiting::Address, 429, "rate_limit_exceeded", "one address"),
        (Waiting::Outage, 503, "upstream_unavailable", "every key"),
    ] {
        let answer = wait_too_long(1_500, why, Some(&allowance), None);
        assert_eq!((answer.status, answer.code.as_ref()), (status, code), "{why:?}");
        assert!(answer.message.contains(words), "{}", answer.message);
    }
    for allowance in [None, Some(&Allowance { requests_minute: left(60, 60), ..Allowance::default() })] {
        let answer = wait_too_long(1_500, Waiting::Token, allowance, None);
        assert!(answer.message.contains("under way"), "{}", answer.message);
    }
    // The token's and the address's own limits are not the upstream's doing, whatever failed before.
    let answer = wait_too_long(1_500, Waiting::Token, None, Some(failure(Fault::Upstream, 500)));
    assert_eq!(answer.code, "token_limit_exceeded");
}

#[test]
fn a_tokens_own_limits_are_told_as_headers() {
    let allowance = Allowance {
        requests_minute: Some(Left { limit: 60, remaining: 59, reset_ms: 1_005 }),
        tokens_month: Some(Left { limit: 9, remaining: 0, reset_ms: 86_400_000 }),
        ..Allowance::default()
    };
    let headers = allowance_headers(&allowance);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("x-ratelimit-limit-requests-minute", "60"),
            ("x-ratelimit-remaining-requests-minute", "59"),
            ("x-ratelimit-reset-requests-minute", "1.005"),
            ("x-ratelimit-limit-tokens-month", "9"),
            ("x-ratelimit-remaining-tokens-month", "0"),
            ("x-ratelimit-reset-tokens-month", "86400.000"),
        ]
    );
    assert!(allowance_headers(&Allowance::default()).is_empty());
}

#[test]
fn refusals_say_what_to_do() {
    for (why, last, status, code) in [
        (RefusedWhy::Token, None, 401, "invalid_api_key"),
        (RefusedWhy::NoActiveKey, None, 503, "no_active_keys"),
        (RefusedWhy::KeysExhausted, None, 503, "no_active_keys"),
        (RefusedWhy::KeysExhausted, Some(failure(Fault::Key, 401)), 503, "no_active_keys"),
        (RefusedWhy::KeysExhausted, Some(failure(Fault::Upstream, 500)), 500, ""),
        (RefusedWhy::NoModel, None, 404, "model_not_found"),
        (RefusedWhy::ModelNotAllowed, None, 403, "model_not_allowed"),
        (RefusedWhy::ModelMissing, None, 400, "missing_required_parameter"),
        (RefusedWhy::PoolEmpty, None, 503, "model_pool_empty"),
    ] {
        let answer = refused(why, Some("m"), last);
        assert_eq!((answer.status, answer.code.as_ref()), (status, code), "{why:?}");
        assert_eq!(answer.retry_after_ms.is_some(), status == 503, "{why:?}");
    }
}

#[test]
fn only_a_sound_completion_is_an_answer() {
    assert!(is_answer(br#"{"choices":[],"error":null}"#));
    for body in ["", "{}", "[]", "<html>", r#"{"choices":[]"#, r#"{"choices":[],"error":{"message":"x"}}"#] {
        assert!(!is_answer(body.as_bytes()), "{body}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let answer = not_working("D1 is not bound", Some("DB"));
    assert_eq!((answer.status, answer.code.as_ref(), answer.param.as_ref()), (503, "not_configured", "DB"));
    assert!(answer.message.contains("D1 is not bound"));
    assert_eq!(not_working("it fails", None).code, "not_ready");
}
