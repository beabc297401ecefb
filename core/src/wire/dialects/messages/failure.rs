//! Errors in Anthropic's form.

use crate::wire::errors::ApiError;
use serde::Serialize;
use std::borrow::Cow;

/// How the upstream says that a prompt is too long.
const TOO_LONG: &str = "Please reduce the length of the messages";

#[derive(Serialize)]
pub(super) struct ErrorResponse<'a> {
    r#type: &'static str,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    r#type: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetails<'a>>,
}

#[derive(Serialize)]
struct ErrorDetails<'a> {
    error_code: &'a str,
}

/// What a 503 says of Rondo's own keys and settings: nobody is overloaded, somebody has to act.
const OURS: [&str; 4] = ["no_active_keys", "model_pool_empty", "not_configured", "upstream_payment_required"];

/// An error's status: 529 is how Anthropic says that it is overloaded or not there for now.
#[must_use]
pub fn error_status(error: &ApiError) -> u16 {
    let code: &str = &error.code;
    match error.status {
        503 if !OURS.contains(&code) => 529,
        // The upstream's own queue, not a limit of the client's.
        429 if code == "queue_exceeded" => 529,
        502 if code == "upstream_unavailable" => 529,
        status => status,
    }
}

/// An error's body.
#[must_use]
pub fn error_body(error: &ApiError) -> Vec<u8> {
    // Texts only: there is nothing in it that could fail.
    serde_json::to_vec(&response(error)).unwrap_or_default()
}

/// An error as it is said in a body and in a stream.
pub(super) fn response(error: &ApiError) -> ErrorResponse<'_> {
    let details = (!error.code.is_empty()).then_some(ErrorDetails { error_code: &error.code });
    ErrorResponse {
        r#type: "error",
        error: ErrorObject { r#type: kind(error_status(error)), message: message(error), details },
    }
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        529 => "overloaded_error",
        ..500 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Agents shorten a conversation when they read Anthropic's words for one that is too long.
fn message(error: &ApiError) -> Cow<'_, str> {
    let said: &str = &error.message;
    if error.status != 400 || !(error.code == "context_length_exceeded" || said.starts_with(TOO_LONG)) {
        return Cow::Borrowed(said);
    }
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let (first, second, third) = (numbers.next(), numbers.next(), numbers.next());
    match (first, second, third) {
        (Some(length), Some(limit), None) => {
            Cow::Owned(format!("prompt is too long: {length} tokens > {limit} maximum. {said}"))
        }
        _ => Cow::Owned(format!("prompt is too long. {said}")),
    }
}
