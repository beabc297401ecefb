//! What anyone may call: preflights, health, the SDKs' warming call, and what is no path at all.

use super::answer;
use super::request;
use super::state;
use crate::platform::coordinator::{Call, call};
use crate::platform::env;
use crate::platform::incoming::Incoming;
use crate::platform::race::Watch;
use crate::platform::respond::{About, Body, data, plain};
use crate::routes;
use rondo_core::wire::errors::ApiError;
use serde_json::{Value, json};

/// Health checks wait longer than a request would: the object may be starting.
const READY_TIMEOUT_MS: u64 = 5_000;
/// How long browsers keep a preflight's answer.
const PREFLIGHT_KEPT_S: &str = "86400";
/// The longest list of asked headers that is echoed.
const ASKED_HEADERS_BYTES: usize = 4_096;

/// What an answer says, in the dialect of the path.
fn about(request: &Incoming) -> (About, Option<u64>) {
    let (about, deadline) = request::about(request);
    (About { dialect: routes::dialect_of(routes::path_of(request.url())), ..about }, deadline)
}

/// Answers a preflight without a token. The asked headers are echoed by name, as `*` does not cover
/// `authorization`.
pub fn preflight(request: &Incoming) -> web_sys::Response {
    let asked = request.header("access-control-request-headers").filter(|names| {
        names.len() <= ASKED_HEADERS_BYTES
            && names.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
    });
    let asked = asked.as_deref().unwrap_or(
        "authorization, content-type, x-api-key, x-goog-api-key, anthropic-version, anthropic-beta",
    );
    plain(
        204,
        &[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD, POST, OPTIONS"),
            ("access-control-allow-headers", asked),
            ("access-control-max-age", PREFLIGHT_KEPT_S),
            ("vary", "access-control-request-headers"),
            ("x-request-id", &about(request).0.request_id),
        ],
        &Body::Empty,
    )
}

/// `GET /v1/tcp_warming`: the connection is warm once this is answered.
pub fn warming(request: &Incoming) -> web_sys::Response {
    data(200, Some("application/json"), &about(request).0, &[], &Body::Bytes(b"{}"))
}

/// A path of the data plane under another method.
pub async fn wrong_method(request: &Incoming, allow: &'static str) -> web_sys::Response {
    request.discard().await;
    answer::with_headers(&ApiError::method_not_allowed(allow), &about(request).0, &[("allow", allow)])
}

/// No path at all.
pub async fn nothing(request: &Incoming) -> web_sys::Response {
    request.discard().await;
    answer::error(&ApiError::not_found(), &about(request).0)
}

/// What OpenAI has and Rondo does not.
pub async fn not_offered(request: &Incoming) -> web_sys::Response {
    request.discard().await;
    answer::error(&ApiError::not_offered(), &about(request).0)
}

/// `GET /healthz`: this isolate runs.
pub fn alive() -> web_sys::Response {
    status(200, &json!({"status": "ok"}))
}

/// `GET /readyz` and, with each part's state, `GET /health`.
pub async fn ready(environment: &worker::Env, in_detail: bool) -> web_sys::Response {
    let reply = call(environment, Call::Ready, "{}", READY_TIMEOUT_MS, &Watch::default()).await;
    let said: Option<Value> = reply.ok().and_then(|(_, text)| serde_json::from_str(&text).ok());
    let number = |name: &str| said.as_ref().and_then(|said| said.get(name)).cloned().unwrap_or(Value::Null);
    let told = |name: &str| number(name).as_bool().unwrap_or(false);
    let missing = env::missing(environment, said.as_ref());
    let usable = number("usable_keys").as_u64().unwrap_or(0);
    let ready = missing.is_empty() && told("ready");
    let mut failing: Vec<&str> = Vec::new();
    if !missing.is_empty() {
        failing.push("bindings");
    }
    if said.is_none() {
        failing.push("coordinator");
    } else if !told("schema_ok") {
        failing.push("schema");
    } else if usable == 0 {
        failing.push("keys");
    }
    let mut body = json!({
        "status": if ready { "ready" } else { "not_ready" },
        "ready": ready,
        "failing": failing,
        "missing": missing,
    });
    if let Some(object) = body.as_object_mut() {
        if usable == 0 && said.is_some() && told("schema_ok") {
            let remedy = "add a key on the admin page, or set CEREBRAS_API_KEYS";
            object.insert("detail".to_owned(), json!(format!("no usable key: {remedy}")));
        }
        if let Some(error) = said.as_ref().and_then(|said| said.get("error")).filter(|error| !error.is_null())
        {
            object.insert("error".to_owned(), error.clone());
        }
        if in_detail {
            let (generation, epoch) = state::version();
            object.insert(
                "parts".to_owned(),
                json!({
                    "coordinator": {"answers": said.is_some()},
                    "schema": {"ok": told("schema_ok")},
                    "keys": {"total": number("keys"), "usable": number("usable_keys")},
                    "isolate": {"generation": generation, "epoch": epoch},
                }),
            );
        }
    }
    status(if ready { 200 } else { 503 }, &body)
}

fn status(status: u16, body: &Value) -> web_sys::Response {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
    ];
    if status == 503 {
        headers.push(("retry-after", "5"));
        headers.push(("retry-after-ms", "5000"));
    }
    plain(status, &headers, &Body::Bytes(body.to_string().as_bytes()))
}

/// An answer for what should never happen: nothing about it but that it did.
pub fn internal() -> web_sys::Response {
    answer::error(&ApiError::internal(), &About::default())
}
