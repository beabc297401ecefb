//! Answers of the data plane.

use super::gate::Whole;
use crate::platform::fetch::Incoming;
use crate::platform::respond::{About, Body, data};
use crate::platform::streams::Source;
use rondo_core::wire::dialects::{error_body, error_status};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::headers::can_pass;

/// Upstream headers that a client gets beside the content type (the rest of `wire::headers::RESPONSE_HEADERS`
/// is Rondo's own to say).
const PASSED: [&str; 2] = ["inference-id", "openai-processing-ms"];

/// An error, in the form that every client reads.
pub fn error(error: &ApiError, about: &About) -> web_sys::Response {
    with_headers(error, about, &[])
}

/// The same with further headers.
pub fn with_headers(error: &ApiError, about: &About, others: &[(&str, &str)]) -> web_sys::Response {
    told(error, about, others, &Body::Bytes(&error_body(about.dialect, error)))
}

/// The same over a stream, which carries the body.
pub fn error_over(error: &ApiError, about: &About, body: &Source) -> web_sys::Response {
    told(error, about, &[], &Body::Stream(body))
}

fn told(error: &ApiError, about: &About, others: &[(&str, &str)], body: &Body<'_>) -> web_sys::Response {
    let headers = error.headers();
    let mut all: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| *name != "content-type")
        .map(|(name, value)| (*name, value.as_ref()))
        .collect();
    all.extend_from_slice(others);
    data(error_status(about.dialect, error), Some("application/json"), about, &all, body)
}

/// An upstream's headers, as far as they pass.
pub struct Head {
    content_type: Option<String>,
    others: Vec<(&'static str, String)>,
}

/// Reads what passes of an answer's head.
pub fn head(answer: &Incoming) -> Head {
    let passes = |name: &str| answer.header(name).filter(|value| can_pass(value));
    Head {
        content_type: passes("content-type"),
        others: PASSED.into_iter().filter_map(|name| Some((name, passes(name)?))).collect(),
    }
}

/// An answer that is all here, its bytes untouched.
pub fn whole(whole: &Whole, about: &About) -> web_sys::Response {
    respond(&head(&whole.answer), about, &Body::Native(&whole.bytes))
}

impl Head {
    /// The same for a body of another type.
    pub fn of_type(self, content_type: &str) -> Self {
        Self { content_type: Some(content_type.to_owned()), ..self }
    }
}

/// An answer that is all here, in another dialect.
pub fn translated(bytes: &[u8], head: &Head, about: &About) -> web_sys::Response {
    respond(head, about, &Body::Bytes(bytes))
}

/// An answer that is still coming.
pub fn streamed(readable: &Source, head: &Head, about: &About) -> web_sys::Response {
    respond(head, about, &Body::Stream(readable))
}

fn respond(head: &Head, about: &About, body: &Body<'_>) -> web_sys::Response {
    let others: Vec<(&str, &str)> = head.others.iter().map(|(name, value)| (*name, value.as_str())).collect();
    data(200, head.content_type.as_deref(), about, &others, body)
}
