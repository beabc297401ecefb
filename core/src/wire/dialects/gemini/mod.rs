//! Google Gemini: `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens`, and
//! `GET /v1beta/models` (the same under `/v1`).
//!
//! The model and whether the answer is streamed stand in the path. A streamed answer is a stream of events with
//! `alt=sse`, else one JSON array that grows.

mod answer;
mod contents;
mod logprobs;
mod models;
mod request;
mod response;
mod schema;
mod types;

pub use answer::{Answer, Answering};
pub use models::{Listed, model, models};

use super::{Seed, Translated};
use crate::wire::errors::ApiError;
use crate::wire::json::scan;
use crate::wire::tokens::estimate_prompt;
use serde::Serialize;
use serde_json::{Value, json};

/// How a streamed answer is framed, which the path's query tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Events (`alt=sse`): `text/event-stream`.
    #[default]
    Sse,
    /// One array: `application/json`.
    Array,
}

/// Translates a request for the model that the path names (`models/` in front of it is cut off). `stream` is how the
/// answer is streamed, if it is.
///
/// # Errors
/// 400 naming the field that can't be translated.
pub fn request(
    body: &[u8],
    model: Option<String>,
    stream: Option<Framing>,
    seed: Seed,
) -> Result<Translated, ApiError> {
    let request = request::read(body)?;
    let model = model.map(|name| name.strip_prefix("models/").map_or(name.clone(), str::to_owned));
    let (chat, include_thoughts, notes) = request::translate(request, model.clone(), stream.is_some())?;
    let answering = Answering {
        seed,
        framing: stream.unwrap_or_default(),
        model: model.unwrap_or_default(),
        include_thoughts,
        candidates: chat.n.unwrap_or(1),
    };
    Ok(Translated { body: chat.to_body(), answering: super::Answering::Gemini(Box::new(answering)), notes })
}

/// The answer to `:countTokens`: an estimate, as nothing here has the model's tokenizer.
///
/// # Errors
/// 400 naming the field that can't be read.
pub fn count_tokens(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut request = request::read(body)?;
    if let Some(inner) = request.generate_content_request.take() {
        request = *inner;
    }
    let (chat, ..) = request::translate(request, None, false)?;
    let body = chat.to_body();
    let scan = scan(&body).map_err(ApiError::invalid_body)?;
    Ok(json!({"totalTokens": estimate_prompt(&body, &scan)}).to_string().into_bytes())
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

/// An error's body.
#[must_use]
pub fn error_body(error: &ApiError) -> Vec<u8> {
    let mut details = Vec::new();
    if error.status == 400 && !error.param.is_empty() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": error.param, "description": error.message}],
        }));
    }
    // Google's clients take the time to wait from here, not from the header.
    if let Some(ms) = error.retry_after_ms {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}.{:03}s", ms / 1000, ms % 1000),
        }));
    }
    let status =
        Status { code: error.status, message: &error.message, status: status(error.status), details };
    // Texts and numbers: there is nothing in it that could fail.
    serde_json::to_vec(&ErrorBody { error: status }).unwrap_or_default()
}

/// Google's name of a status.
fn status(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        402 | 412 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        409 => "ABORTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=498 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
