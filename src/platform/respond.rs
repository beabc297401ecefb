//! Answers to clients, built from the platform's own `Response` in as few crossings as it takes.

use super::streams::Source;
use js_sys::{JsString, Uint8Array};
use rondo_core::pool::outcome::allowance_headers;
use rondo_core::pool::protocol::Allowance;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Headers of an answer. Those of every answer have fixed names, so that none is decoded.
    pub type AnswerHeaders;
    #[wasm_bindgen(method, setter, js_name = "content-type")]
    fn set_content_type(this: &AnswerHeaders, value: &JsValue);
    #[wasm_bindgen(method, setter, js_name = "cache-control")]
    fn set_cache_control(this: &AnswerHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "access-control-allow-origin")]
    fn set_allow_origin(this: &AnswerHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "access-control-expose-headers")]
    fn set_expose_headers(this: &AnswerHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "x-accel-buffering")]
    fn set_accel_buffering(this: &AnswerHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "x-request-id")]
    fn set_request_id(this: &AnswerHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "x-rondo-model")]
    fn set_model(this: &AnswerHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "x-rondo-attempts")]
    fn set_attempts(this: &AnswerHeaders, value: u32);
    #[wasm_bindgen(method, setter, js_name = "x-rondo-wait-ms")]
    fn set_wait_ms(this: &AnswerHeaders, value: f64);
    #[wasm_bindgen(method, setter, js_name = "x-rondo-degraded")]
    fn set_degraded(this: &AnswerHeaders, value: &str);
    #[wasm_bindgen(method, indexing_setter)]
    fn set_other(this: &AnswerHeaders, name: &str, value: &str);

    type ResponseOptions;
    #[wasm_bindgen(method, setter, js_name = status)]
    fn set_status(this: &ResponseOptions, value: u16);
    #[wasm_bindgen(method, setter, js_name = headers)]
    fn set_headers(this: &ResponseOptions, value: &AnswerHeaders);

    #[wasm_bindgen(js_name = Response)]
    type RawResponse;
    #[wasm_bindgen(constructor, js_class = "Response", catch)]
    fn build(body: &JsValue, options: &ResponseOptions) -> Result<RawResponse, JsValue>;
    #[wasm_bindgen(static_method_of = RawResponse, js_class = "Response")]
    fn error() -> RawResponse;
}

/// Response headers that a browser's script may read.
pub const EXPOSED: &str = "x-request-id,x-rondo-model,x-rondo-attempts,x-rondo-wait-ms,x-rondo-degraded,\
retry-after,retry-after-ms,x-should-retry,\
x-ratelimit-limit-requests-minute,x-ratelimit-remaining-requests-minute,x-ratelimit-reset-requests-minute,\
x-ratelimit-limit-tokens-minute,x-ratelimit-remaining-tokens-minute,x-ratelimit-reset-tokens-minute,\
x-ratelimit-limit-tokens-day,x-ratelimit-remaining-tokens-day,x-ratelimit-reset-tokens-day,\
x-ratelimit-limit-tokens-month,x-ratelimit-remaining-tokens-month,x-ratelimit-reset-tokens-month,\
inference-id";

struct Words {
    any: JsString,
    exposed: JsString,
    no: JsString,
    no_store: JsString,
    json: JsString,
    event_stream: JsString,
}

thread_local! {
    static WORDS: Words = Words {
        any: "*".into(),
        exposed: EXPOSED.into(),
        no: "no".into(),
        no_store: "no-store".into(),
        json: "application/json".into(),
        event_stream: "text/event-stream; charset=utf-8".into(),
    };
}

/// A body.
pub enum Body<'a> {
    /// None.
    Empty,
    /// Bytes of ours.
    Bytes(&'a [u8]),
    /// Bytes that never left the platform.
    Native(&'a Uint8Array),
    /// A stream of the platform.
    Stream(&'a Source),
}

/// What every answer of the data plane says about its request.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `x-request-id`
    pub request_id: String,
    /// `x-rondo-model`, once one was chosen.
    pub model: Option<String>,
    /// `x-rondo-attempts` and `x-rondo-wait-ms`, for requests that need a grant.
    pub attempts: Option<(u32, u64)>,
    /// `x-rondo-degraded`
    pub degraded: Option<&'static str>,
    /// `x-ratelimit-*`, for a token with limits of its own.
    pub allowance: Option<Allowance>,
    /// For the admin page alone: without CORS.
    pub own_page: bool,
}

/// An answer of the data plane: with CORS (but for the admin page), never cached, and with what `about` says. An event stream is told
/// by its content type.
#[must_use]
pub fn data(
    status: u16,
    content_type: Option<&str>,
    about: &About,
    others: &[(&str, &str)],
    body: &Body<'_>,
) -> web_sys::Response {
    let headers: AnswerHeaders = js_sys::Object::new().unchecked_into();
    WORDS.with(|words| {
        match content_type {
            None => {}
            Some("application/json") => headers.set_content_type(&words.json),
            Some("text/event-stream; charset=utf-8") => headers.set_content_type(&words.event_stream),
            Some(other) => headers.set_content_type(&other.into()),
        }
        headers.set_cache_control(&words.no_store);
        if !about.own_page {
            headers.set_allow_origin(&words.any);
            headers.set_expose_headers(&words.exposed);
        }
        if content_type.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            headers.set_accel_buffering(&words.no);
        }
    });
    headers.set_request_id(&about.request_id);
    if let Some(model) = about.model.as_deref().and_then(header_safe) {
        headers.set_model(model);
    }
    if let Some((attempts, wait_ms)) = about.attempts {
        headers.set_attempts(attempts);
        #[allow(clippy::cast_precision_loss, reason = "a wait is far below 2^53 ms")]
        headers.set_wait_ms(wait_ms as f64);
    }
    if let Some(degraded) = about.degraded {
        headers.set_degraded(degraded);
    }
    if let Some(allowance) = &about.allowance {
        for (name, value) in allowance_headers(allowance) {
            headers.set_other(&name, &value);
        }
    }
    for (name, value) in others {
        headers.set_other(name, value);
    }
    finish(status, &headers, body)
}

/// An answer with just these headers.
#[must_use]
pub fn plain(status: u16, headers: &[(&str, &str)], body: &Body<'_>) -> web_sys::Response {
    let bag: AnswerHeaders = js_sys::Object::new().unchecked_into();
    for (name, value) in headers {
        bag.set_other(name, value);
    }
    finish(status, &bag, body)
}

/// A header's value is visible ASCII; a model's name may be anything.
fn header_safe(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text)
}

fn finish(status: u16, headers: &AnswerHeaders, body: &Body<'_>) -> web_sys::Response {
    let options: ResponseOptions = js_sys::Object::new().unchecked_into();
    // Anything else would throw.
    options.set_status(if (200..=599).contains(&status) { status } else { 502 });
    options.set_headers(headers);
    let body = match body {
        Body::Empty => JsValue::NULL,
        Body::Bytes(bytes) => Uint8Array::from(*bytes).into(),
        Body::Native(bytes) => (*bytes).clone().into(),
        Body::Stream(source) => (*source).clone().into(),
    };
    build_response(&body, &options)
}

fn build_response(body: &JsValue, options: &ResponseOptions) -> web_sys::Response {
    match RawResponse::build(body, options) {
        Ok(response) => response.unchecked_into(),
        Err(_) => RawResponse::error().unchecked_into(),
    }
}
