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
    assert_eq!(error_status(&of(503)), 529);
    let no_keys = ApiError::no_active_keys();
    assert_eq!((error_status(&no_keys), &body(&no_keys)["error"]["type"]), (503, &json!("api_error")));
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
