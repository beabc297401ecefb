use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::json::scan;

fn all() -> Vec<ApiError> {
    vec![
        ApiError::invalid_api_key(),
        ApiError::unreadable_credentials("why"),
        ApiError::conflicting_credentials(),
        ApiError::invalid_body(scan(b"").unwrap_err()),
        ApiError::body_too_large(16 << 20),
        ApiError::unsupported_media_type(),
        ApiError::method_not_allowed("GET"),
        ApiError::not_found(),
        ApiError::model_not_found("m"),
        ApiError::model_not_allowed("m"),
        ApiError::no_active_keys(),
        ApiError::not_configured("DB"),
        ApiError::rate_limited(1300),
        ApiError::token_limited("60 requests a minute", 5000),
        ApiError::upstream_unavailable(),
        ApiError::stream_interrupted(),
        ApiError::upstream_timeout(),
        ApiError::path_blocked(),
        ApiError::internal(),
        client_error(400, UpstreamError::default()),
        client_error(503, parse_upstream(503, "", b"{\"message\":null,\"type\":null,\"code\":5}")),
    ]
}

#[test]
fn every_error_has_four_strings_at_the_top_and_the_same_under_error() {
    for error in all() {
        let body: Value = serde_json::from_slice(&error.to_body()).unwrap();
        let nested = body["error"].as_object().unwrap();
        assert_eq!(nested.len(), 4);
        for name in ["message", "type", "param", "code"] {
            assert!(body[name].is_string(), "{name} of {error:?}");
            assert_eq!(body[name], nested[name]);
        }
        assert_eq!(body.as_object().unwrap().len(), 5, "nothing else, no status_code");
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert!(!body["type"].as_str().unwrap().is_empty());
    }
}

#[test]
fn rondos_own_errors_have_their_statuses_and_codes() {
    let of: Vec<(u16, String)> =
        all().into_iter().take(19).map(|e| (e.status, e.code.into_owned())).collect();
    let expected = [
        (401, "invalid_api_key"),
        (401, "invalid_api_key"),
        (400, "conflicting_credentials"),
        (400, "invalid_json"),
        (413, "request_too_large"),
        (415, "unsupported_media_type"),
        (405, "method_not_allowed"),
        (404, "not_found"),
        (404, "model_not_found"),
        (403, "model_not_allowed"),
        (503, "no_active_keys"),
        (503, "not_configured"),
        (429, "rate_limit_exceeded"),
        (429, "token_limit_exceeded"),
        (502, "upstream_unavailable"),
        (502, "stream_interrupted"),
        (504, "upstream_timeout"),
        (502, "path_blocked"),
        (500, "internal_error"),
    ];
    assert_eq!(of, expected.map(|(status, code)| (status, code.to_owned())));
    assert_eq!(ApiError::invalid_api_key().kind, "authentication_error");
    assert!(ApiError::no_active_keys().message.contains("Add a key on the admin page"));
    assert!(ApiError::not_configured("ENCRYPTION_KEY").message.contains("`ENCRYPTION_KEY`"));
}

#[test]
fn a_bad_body_names_its_field() {
    let error = ApiError::invalid_body(scan(br#"{"stream":1}"#).unwrap_err());
    assert_eq!((error.status, &*error.param, &*error.code), (400, "stream", "invalid_type"));
    let error = ApiError::invalid_body(scan(br#"{"model":"a","model":"b"}"#).unwrap_err());
    assert_eq!((error.status, &*error.param), (400, "model"));
}

#[test]
fn retry_headers_round_up_and_long_waits_stop_the_client() {
    let header = |error: &ApiError, name: &str| {
        error.headers().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value.into_owned())
    };
    let soon = ApiError::rate_limited(1300);
    assert_eq!(header(&soon, "retry-after").as_deref(), Some("2"));
    assert_eq!(header(&soon, "retry-after-ms").as_deref(), Some("1300"));
    assert_eq!(header(&soon, "x-should-retry").as_deref(), Some("true"));
    // Zero would send the client back into the same refusal at once.
    assert_eq!(header(&ApiError::rate_limited(0), "retry-after").as_deref(), Some("1"));
    assert_eq!(header(&ApiError::rate_limited(60_001), "x-should-retry").as_deref(), Some("false"));
    let internal = ApiError::internal();
    assert_eq!(header(&internal, "retry-after"), None);
    assert_eq!(header(&internal, "x-should-retry"), None);
}

#[test]
fn flat_nested_and_other_forms_are_read() {
    let parse = |value: Value| parse_upstream(400, "application/json", value.to_string().as_bytes());
    let fields = json!({"message": "m", "type": "t", "param": "p", "code": "c"});
    for body in [fields.clone(), json!({"error": fields}), json!([{"error": fields}])] {
        let error = parse(body);
        assert_eq!((&*error.message, &*error.kind, &*error.param, &*error.code), ("m", "t", "p", "c"));
        assert!(error.structured);
    }
    assert_eq!(parse(json!({"detail": "Not authenticated"})).message, "Not authenticated");
    assert_eq!(parse(json!({"detail": [{"loc": ["a"], "msg": "x"}, {"msg": "y"}]})).message, "x; y");
    assert_eq!(parse(json!({"error": "just text", "code": "c"})).message, "just text");
    let google = parse(json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}));
    assert_eq!((&*google.kind, &*google.code, google.status), ("RESOURCE_EXHAUSTED", "429", Some(429)));
    let stream = parse(json!({"error": {"message": "m", "id": ""}, "status_code": 500}));
    assert_eq!(stream.status, Some(500));
}

#[test]
fn what_is_no_json_becomes_a_short_text() {
    let error = parse_upstream(403, "text/plain; charset=UTF-8", b"error code: 1010\n");
    assert_eq!(
        (&*error.message, &*error.code, error.structured),
        ("error code: 1010", "cloudflare_1010", false)
    );
    let page = b"<!DOCTYPE html><html><head><title> Just a moment... </title></head><body>long</body></html>";
    assert_eq!(parse_upstream(503, "text/html", page).message, "Just a moment...");
    assert_eq!(parse_upstream(502, "", b"").message, "status 502 without a message");
    assert_eq!(parse_upstream(500, "", &b"x".repeat(1 << 20)).message.len(), 300);
    assert!(!parse_upstream(500, "application/json", b"{\"ok\":true}").structured);
    assert!(!parse_upstream(500, "application/json", b"[]").structured);
}

#[test]
fn messages_are_bounded_at_a_character() {
    let body = json!({"message": "é".repeat(10_000), "code": "c".repeat(10_000)}).to_string();
    let error = parse_upstream(400, "", body.as_bytes());
    assert_eq!((error.message.len(), error.code.len()), (4096, 256));
}

#[test]
fn keys_in_messages_are_blanked_out_and_words_are_not() {
    let message =
        |text: &str| parse_upstream(400, "", json!({"message": text}).to_string().as_bytes()).message;
    assert_eq!(message("Incorrect API key provided: sk-proj-ab*****cd."), "Incorrect API key provided: ***.");
    assert_eq!(message("bad csk-abcdefgh12345 and csk-zzzzzzzz"), "bad *** and ***");
    assert_eq!(message("the task-runner and ask-me and sk-ip"), "the task-runner and ask-me and sk-ip");
}

#[test]
fn the_clients_own_mistakes_are_passed_on_in_the_upstreams_words() {
    let upstream = parse_upstream(
        400,
        "application/json",
        br#"{"message":"property 'store' is unsupported","type":"invalid_request_error","param":"validation_error","code":"wrong_api_format"}"#,
    );
    let error = client_error(400, upstream);
    assert_eq!(error.status, 400);
    let body: Value = serde_json::from_slice(&error.to_body()).unwrap();
    assert_eq!(body["error"]["message"], "property 'store' is unsupported");
    assert_eq!(body["code"], "wrong_api_format");
}

#[test]
fn an_upstreams_refusal_of_the_key_is_never_the_clients_401() {
    for status in [401, 402, 403] {
        let upstream = parse_upstream(status, "", br#"{"message":"Wrong API Key","code":"wrong_api_key"}"#);
        let error = client_error(status, upstream);
        assert!(error.status >= 500, "{status} became {}", error.status);
        assert!(!error.message.contains("Wrong API Key"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_upstream_says_the_client_gets_a_sound_error(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let error = client_error(status, parse_upstream(status, "", &body));
        prop_assert!((400..=599).contains(&error.status) && error.status != 401);
        let parsed: Value = serde_json::from_slice(&error.to_body()).unwrap();
        prop_assert!(["message", "type", "param", "code"].iter().all(|name| parsed[name].is_string()));
    }

    #[test]
    fn redaction_never_breaks_a_text(text in "(c?sk-[a-z*é]{0,6}|[ .é]){0,8}") {
        let body = json!({"message": text}).to_string();
        let message = parse_upstream(400, "", body.as_bytes()).message;
        prop_assert!(message.len() <= text.len());
    }
}
