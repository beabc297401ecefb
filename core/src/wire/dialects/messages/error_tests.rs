//! Errors in Anthropic's form.

use super::{error_body, error_status};
use crate::wire::errors::{ApiError, UpstreamError, client_error};
use serde_json::{Value, json};

fn of(status: u16) -> ApiError {
    ApiError { status, message: "m".into(), code: "".into(), should_retry: None, ..ApiError::internal() }
}

fn body(error: &ApiError) -> Value {
    serde_json::from_slice(&error_body(error)).unwrap()
}

#[test]
fn every_status_has_anthropics_type() {
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        assert_eq!(
            body(&of(status)),
            json!({"type": "error", "error": {"type": kind, "message": "m"}}),
            "{status}"
        );
    }
}

#[test]
fn only_an_overload_changes_its_status() {
    for status in (400..=599).filter(|status| *status != 503) {
        assert_eq!(error_status(&of(status)), status);
    }
    let kind =
        |error: &ApiError| (error_status(error), body(error)["error"]["type"].as_str().unwrap().to_owned());
    let overloaded = (529, "overloaded_error".to_owned());
    assert_eq!(kind(&of(503)), overloaded);
    assert_eq!(kind(&ApiError { should_retry: Some(false), ..of(503) }), overloaded);
    assert_eq!(kind(&ApiError::upstream_unavailable()), overloaded);
    let queue = UpstreamError { code: "queue_exceeded".into(), ..UpstreamError::default() };
    assert_eq!(kind(&client_error(429, queue)), overloaded);

    let unpaid = client_error(402, UpstreamError::default());
    for error in [ApiError::no_active_keys(), ApiError::not_configured("x"), unpaid] {
        assert_eq!(kind(&error), (503, "api_error".to_owned()));
    }
    assert_eq!(kind(&ApiError::path_blocked()), (502, "api_error".to_owned()));
    assert_eq!(kind(&ApiError::stream_interrupted()), (502, "api_error".to_owned()));
    assert_eq!(kind(&ApiError::rate_limited(9)), (429, "rate_limit_error".to_owned()));
    assert_eq!(kind(&ApiError::upstream_timeout()), (504, "timeout_error".to_owned()));
}

#[test]
fn the_code_is_where_clients_look_for_it() {
    let error = ApiError::model_not_found("claude");
    assert_eq!(body(&error)["error"]["details"], json!({"error_code": "model_not_found"}));
}

#[test]
fn a_prompt_that_is_too_long_is_named_as_agents_know_it() {
    let upstream = |message: &str, code: &str| {
        let said = UpstreamError { message: message.into(), code: code.into(), ..UpstreamError::default() };
        body(&client_error(400, said))["error"]["message"].as_str().unwrap().to_owned()
    };
    let said = "Please reduce the length of the messages or completion. Current length is 42328 while limit is 40000";
    assert_eq!(upstream(said, ""), format!("prompt is too long: 42328 tokens > 40000 maximum. {said}"));
    assert_eq!(upstream("Too long.", "context_length_exceeded"), "prompt is too long. Too long.");
    assert_eq!(upstream("No.", "other"), "No.");
}
