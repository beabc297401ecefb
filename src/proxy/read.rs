//! The body, once, as bytes: read within the bound, put into the upstream's words where it is not, scanned without a
//! tree, kept for every attempt.

use crate::platform::incoming::{BodyError, Incoming};
use js_sys::Uint8Array;
use rondo_core::limits::request::BODY_BYTES;
use rondo_core::pool::providers::PROVIDERS;
use rondo_core::wire::cleanup::{clean, strict_schema_fault, strict_schema_refusal};
use rondo_core::wire::dialects::{
    Answering, Notes, Seed, Speech, Translated, too_many_parts, too_many_parts_refusal, without_provider,
};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::json::{Scan, fingerprint, scan};
use rondo_core::wire::usage::estimate_prompt;

/// What a body's headers say, in the order of the names.
pub const BODY_HEADERS: [&str; 4] = ["content-length", "content-type", "content-encoding", "x-rondo-raw"];

/// A request's body.
pub struct Body {
    bytes: Uint8Array,
    /// Where its fields are.
    pub scan: Scan,
    /// The prompt's tokens, estimated.
    pub prompt_tokens: u64,
    /// What it is recognised by when it comes again.
    pub fingerprint: u64,
    /// What the upstream does not get as the client sent it.
    pub notes: Notes,
}

/// Reads the body as bytes.
///
/// # Errors
/// 413, 415, or 400 for one that breaks off.
pub async fn bytes(request: &Incoming, headers: &[Option<String>; 4]) -> Result<Uint8Array, ApiError> {
    let [length, content_type, encoding, _] = headers.each_ref().map(Option::as_deref);
    let limit = BODY_BYTES as u64;
    let length = length.and_then(|text| text.trim().parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::body_too_large(limit));
    }
    if !is_json(content_type) || encoding.is_some_and(|name| !name.trim().eq_ignore_ascii_case("identity")) {
        return Err(ApiError::unsupported_media_type());
    }
    request.body(length.is_some(), BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::body_too_large(limit),
        BodyError::Lost => ApiError {
            status: 400,
            message: "The request body broke off before its end.".into(),
            code: "incomplete_body".into(),
            ..ApiError::unsupported_media_type()
        },
    })
}

/// Reads the body, puts it into the upstream's words, and scans it; with what the answer's translation needs to know.
///
/// # Errors
/// 413, 415, or 400 naming what is wrong.
pub async fn read(
    request: &Incoming,
    headers: &[Option<String>; 4],
    speech: &Speech<'_>,
    seed: Seed,
) -> Result<(Body, Option<Answering>), ApiError> {
    let bytes = bytes(request, headers).await?;
    // The copy in wasm lives only as long as this: up to 16 MiB each, many at a time, stay outside.
    let copy = bytes.to_vec();
    let fingerprint = fingerprint(&copy);
    if let Speech::Chat | Speech::Compat = speech {
        let [.., raw] = headers;
        let raw = matches!(raw.as_deref().map(str::trim), Some("1" | "true"));
        let body = chat(bytes, copy, fingerprint, raw)?;
        return Ok((if *speech == Speech::Compat { body.without_provider()? } else { body }, None));
    }
    if too_many_parts(&copy) {
        return Err(too_many_parts_refusal());
    }
    let Some(Translated { body, answering, notes }) = speech.translate(&copy, seed)? else {
        return Err(ApiError::internal());
    };
    drop(copy);
    Ok((Body::of(Uint8Array::from(body.as_slice()), &body, fingerprint, notes)?, Some(answering)))
}

/// A body of Chat Completions, without what the upstream would refuse unless the client wants it `raw`.
fn chat(bytes: Uint8Array, copy: Vec<u8>, fingerprint: u64, raw: bool) -> Result<Body, ApiError> {
    let scan = scan(&copy).map_err(ApiError::invalid_body)?;
    if raw {
        return Ok(Body::scanned(bytes, &copy, scan, fingerprint, Notes::default()));
    }
    if let Some(path) = strict_schema_fault(&copy) {
        return Err(strict_schema_refusal(&path));
    }
    match clean(&copy) {
        Some((cleaned, notes)) => {
            drop(copy);
            Body::of(Uint8Array::from(cleaned.as_slice()), &cleaned, fingerprint, notes)
        }
        None => Ok(Body::scanned(bytes, &copy, scan, fingerprint, Notes::default())),
    }
}

/// A missing content type is taken for JSON, as the scan will tell.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.is_empty() || kind.eq_ignore_ascii_case("application/json")
}

impl Body {
    /// A body that is not scanned yet.
    fn of(bytes: Uint8Array, copy: &[u8], fingerprint: u64, notes: Notes) -> Result<Self, ApiError> {
        let scan = scan(copy).map_err(ApiError::invalid_body)?;
        Ok(Self::scanned(bytes, copy, scan, fingerprint, notes))
    }

    fn scanned(bytes: Uint8Array, copy: &[u8], scan: Scan, fingerprint: u64, notes: Notes) -> Self {
        let prompt_tokens = estimate_prompt(copy, &scan);
        Self { bytes, scan, prompt_tokens, fingerprint, notes }
    }

    /// The same with the model's own name, where a provider's stands before it.
    fn without_provider(self) -> Result<Self, ApiError> {
        let providers = PROVIDERS.iter().map(|provider| provider.id);
        let Some(model) = self.model().and_then(|model| without_provider(model, providers)) else {
            return Ok(self);
        };
        let bytes = self.with_model(model);
        let copy = bytes.to_vec();
        Self::of(bytes, &copy, self.fingerprint, self.notes)
    }

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
