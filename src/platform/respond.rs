//! Answers to clients, built from the platform's own `Response` in as few crossings as it takes.

use super::glue;
use super::incoming::line;
use super::streams::Source;
use js_sys::{Object, Uint8Array};
use rondo_core::pool::outcome::allowance_headers;
use rondo_core::pool::protocol::Allowance;
use rondo_core::wire::dialects::Dialect;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type CommonHeaders;
    #[wasm_bindgen(method, setter, js_name = "cache-control")]
    fn set_cache_control(this: &CommonHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "access-control-allow-origin")]
    fn set_allow_origin(this: &CommonHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "access-control-expose-headers")]
    fn set_expose_headers(this: &CommonHeaders, value: &str);

    #[wasm_bindgen(js_name = Response)]
    type RawResponse;
    #[wasm_bindgen(static_method_of = RawResponse, js_class = "Response")]
    fn error() -> RawResponse;
}

struct Common {
    /// Of answers to anybody's script.
    open: Object,
    /// Of answers to the admin page alone.
    own: Object,
    none: Object,
}

thread_local! {
    // Plain objects belong to no request, so they can be kept.
    static COMMON: Common = {
        let common = |open| {
            let headers: CommonHeaders = Object::new().unchecked_into();
            headers.set_cache_control("no-store");
            if open {
                headers.set_allow_origin("*");
                // No request comes with cookies, which this does not hold for. A list of them all has 800 characters.
                headers.set_expose_headers("*");
            }
            headers.unchecked_into()
        };
        Common { open: common(true), own: common(false), none: Object::new() }
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
    /// What the client speaks.
    pub dialect: Dialect,
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
    let mut own = String::with_capacity(256);
    line(&mut own, "x-request-id", &about.request_id);
    if let Some(kind) = content_type {
        line(&mut own, "content-type", kind);
        if kind.starts_with("text/event-stream") {
            line(&mut own, "x-accel-buffering", "no");
        }
    }
    if let Some(model) = about.model.as_deref().and_then(header_safe) {
        line(&mut own, "x-rondo-model", model);
    }
    if let Some((attempts, wait_ms)) = about.attempts {
        line(&mut own, "x-rondo-attempts", &attempts.to_string());
        line(&mut own, "x-rondo-wait-ms", &wait_ms.to_string());
    }
    if let Some(degraded) = about.degraded {
        line(&mut own, "x-rondo-degraded", degraded);
    }
    if let Some(allowance) = &about.allowance {
        for (name, value) in allowance_headers(allowance) {
            line(&mut own, &name, &value);
        }
    }
    for (name, value) in others {
        line(&mut own, name, value);
    }
    COMMON.with(|common| finish(status, if about.own_page { &common.own } else { &common.open }, &own, body))
}

/// An answer with just these headers.
#[must_use]
pub fn plain(status: u16, headers: &[(&str, &str)], body: &Body<'_>) -> web_sys::Response {
    let mut own = String::new();
    for (name, value) in headers {
        line(&mut own, name, value);
    }
    COMMON.with(|common| finish(status, &common.none, &own, body))
}

/// A header's value is visible ASCII; a model's name may be anything.
fn header_safe(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text)
}

fn finish(status: u16, common: &Object, own: &str, body: &Body<'_>) -> web_sys::Response {
    // Anything else would throw.
    let status = if (200..=599).contains(&status) { status } else { 502 };
    let response = match body {
        Body::Empty => glue::respond(status, &JsValue::NULL, common, own),
        Body::Bytes(bytes) => glue::respond(status, &Uint8Array::from(*bytes), common, own),
        Body::Native(bytes) => glue::respond(status, bytes, common, own),
        Body::Stream(source) => glue::respond(status, source, common, own),
    };
    match response {
        Ok(response) => response.unchecked_into(),
        Err(_) => RawResponse::error().unchecked_into(),
    }
}
