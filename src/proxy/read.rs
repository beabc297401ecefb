//! The body, once, as bytes: read within the bound, scanned without a tree, kept for every attempt.

use crate::platform::incoming::{BodyError, Incoming};
use js_sys::Uint8Array;
use rondo_core::limits::request::BODY_BYTES;
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::json::{Scan, fingerprint, scan};
use rondo_core::wire::usage::estimate_prompt;

/// What a body's headers say, in the order of the names.
pub const BODY_HEADERS: [&str; 3] = ["content-length", "content-type", "content-encoding"];

/// A request's body.
pub struct Body {
    bytes: Uint8Array,
    /// Where its fields are.
    pub scan: Scan,
    /// The prompt's tokens, estimated.
    pub prompt_tokens: u64,
    /// What it is recognised by when it comes again.
    pub fingerprint: u64,
}

/// Reads and scans the body.
///
/// # Errors
/// 413, 415, or 400 naming what is wrong.
pub async fn read(request: &Incoming, headers: &[Option<String>; 3]) -> Result<Body, ApiError> {
    let [length, content_type, encoding] = headers.each_ref().map(Option::as_deref);
    let limit = BODY_BYTES as u64;
    let length = length.and_then(|text| text.trim().parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::body_too_large(limit));
    }
    if !is_json(content_type) || encoding.is_some_and(|name| !name.trim().eq_ignore_ascii_case("identity")) {
        return Err(ApiError::unsupported_media_type());
    }
    let bytes = request.body(length.is_some(), BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::body_too_large(limit),
        BodyError::Lost => ApiError {
            status: 400,
            message: "The request body broke off before its end.".into(),
            code: "incomplete_body".into(),
            ..ApiError::unsupported_media_type()
        },
    })?;
    // The copy in wasm lives only as long as the scan: up to 16 MiB each, many at a time, stay outside.
    let copy = bytes.to_vec();
    let scan = scan(&copy).map_err(ApiError::invalid_body)?;
    let prompt_tokens = estimate_prompt(&copy, &scan);
    let fingerprint = fingerprint(&copy);
    Ok(Body { bytes, scan, prompt_tokens, fingerprint })
}

/// A missing content type is taken for JSON, as the scan will tell.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.is_empty() || kind.eq_ignore_ascii_case("application/json")
}

impl Body {
    /// The bytes to send, with that model: the client's own, unless the model is another one.
    pub fn with_model(&self, model: &str) -> Uint8Array {
        if self.scan.model.as_ref().is_some_and(|asked| asked.name == model) {
            return self.bytes.clone();
        }
        // As `splice_model` does it, but on bytes that stay outside wasm.
        let name = serde_json::Value::from(model).to_string();
        let (head, insert, tail) = match &self.scan.model {
            Some(asked) => (asked.span.start, name, asked.span.end),
            None => {
                let comma = if self.scan.is_empty { "" } else { "," };
                (self.scan.insert_at, format!("\"model\":{name}{comma}"), self.scan.insert_at)
            }
        };
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let (head, tail, insert) = (position(head), position(tail), Uint8Array::from(insert.as_bytes()));
        let rest = self.bytes.length().saturating_sub(tail);
        let whole = Uint8Array::new_with_length(head + insert.length() + rest);
        whole.set(&self.bytes.subarray(0, head), 0);
        whole.set(&insert, head);
        whole.set(&self.bytes.subarray(tail, tail + rest), head + insert.length());
        whole
    }

    /// The model the client asked for.
    pub fn model(&self) -> Option<&str> {
        self.scan.model.as_ref().map(|model| model.name.as_str())
    }
}
