//! Errors in the form that every client understands. OpenAI's clients read `error.message`, Cerebras' own
//! clients and the AI SDK read `message` at the top and want four strings there: both are sent.

use std::borrow::Cow;

use serde::Serialize;

use crate::wire::json::ScanError;
pub use crate::wire::upstream_error::{UpstreamError, parse_upstream};

/// Clients that obey `Retry-After` give up waiting beyond a minute and then retry at once or blindly: past
/// this they are told not to.
const LONGEST_RETRY_MS: u64 = 60_000;

/// What a client is told when its request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// For people.
    pub message: Cow<'static, str>,
    /// `type` on the wire.
    pub kind: Cow<'static, str>,
    /// The field or header at fault, or empty.
    pub param: Cow<'static, str>,
    /// For programs, or empty.
    pub code: Cow<'static, str>,
    /// When asking again is worth it, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
    /// `x-should-retry`: overrules what a client would do by the status alone.
    pub should_retry: Option<bool>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: &'a str,
    r#type: &'a str,
    param: &'a str,
    code: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a Fields<'a>,
    #[serde(flatten)]
    flat: &'a Fields<'a>,
}

#[derive(Serialize)]
struct StreamBody<'a> {
    error: Fields<'a>,
    status_code: u16,
}

type Text = Cow<'static, str>;

impl ApiError {
    fn new(status: u16, kind: &'static str, code: &'static str, message: impl Into<Text>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: kind.into(),
            param: "".into(),
            code: code.into(),
            retry_after_ms: None,
            should_retry: None,
        }
    }

    fn with_param(self, param: impl Into<Text>) -> Self {
        Self { param: param.into(), ..self }
    }

    fn final_answer(self) -> Self {
        Self { should_retry: Some(false), ..self }
    }

    /// The response body: the four strings under `error` and again at the top, never null.
    pub fn to_body(&self) -> Vec<u8> {
        let fields = self.fields();
        // Four strings: there is nothing in it that could fail.
        serde_json::to_vec(&Body { error: &fields, flat: &fields }).unwrap_or_default()
    }

    /// The error inside a stream, in the upstream's own form: only nested (with the flat fields beside it the
    /// AI SDK takes it for a chunk without choices), and with `status_code`, by which Cerebras' clients choose
    /// the exception.
    pub(crate) fn to_stream_body(&self) -> Vec<u8> {
        serde_json::to_vec(&StreamBody { error: self.fields(), status_code: self.status }).unwrap_or_default()
    }

    fn fields(&self) -> Fields<'_> {
        Fields { message: &self.message, r#type: &self.kind, param: &self.param, code: &self.code }
    }

    /// The headers that go with it, lower case: content type, when to come back (whole seconds rounded up, and
    /// milliseconds) and whether to retry at all.
    pub fn headers(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut headers = vec![("content-type", "application/json".into())];
        if let Some(ms) = self.retry_after_ms {
            headers.push(("retry-after", ms.div_ceil(1000).max(1).to_string().into()));
            headers.push(("retry-after-ms", ms.to_string().into()));
        }
        if let Some(retry) = self.should_retry {
            headers.push(("x-should-retry", if retry { "true" } else { "false" }.into()));
        }
        if self.status == 401 {
            headers.push(("www-authenticate", "Bearer".into()));
        }
        headers
    }

    /// 401: no token, an unknown, an expired or a revoked one. One answer for all: nothing is given away.
    pub fn invalid_api_key() -> Self {
        let message = "Invalid token. Send a Rondo token as `Authorization: Bearer rk-…`; tokens are made on the admin page.";
        Self::new(401, "authentication_error", "invalid_api_key", message).final_answer()
    }

    /// 401: the credentials can't be read; `why` says what is wrong and holds nothing of them.
    pub fn unreadable_credentials(why: &'static str) -> Self {
        Self::new(401, "authentication_error", "invalid_api_key", why).final_answer()
    }

    /// 400: two credential headers that differ.
    pub fn conflicting_credentials() -> Self {
        let message = "The request carries two different credentials. Send the token in one header only.";
        Self::new(400, "invalid_request_error", "conflicting_credentials", message).final_answer()
    }

    /// 400: the body can't be used.
    pub fn invalid_body(error: ScanError) -> Self {
        let code = match error {
            ScanError::Empty
            | ScanError::NotAnObject
            | ScanError::TooDeep
            | ScanError::Invalid(..)
            | ScanError::Duplicate(_) => "invalid_json",
            ScanError::ModelNotString | ScanError::StreamNotBoolean => "invalid_type",
            ScanError::ModelTooLong => "string_above_max_length",
        };
        Self::new(400, "invalid_request_error", code, error.to_string())
            .with_param(error.param())
            .final_answer()
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn body_too_large(limit: u64) -> Self {
        let message = format!("The request body is larger than the {limit} bytes that are taken.");
        Self::new(413, "invalid_request_error", "request_too_large", message).final_answer()
    }

    /// 415: not JSON, or compressed.
    pub fn unsupported_media_type() -> Self {
        let message = "Send the body as `Content-Type: application/json`, without a Content-Encoding.";
        Self::new(415, "invalid_request_error", "unsupported_media_type", message)
            .with_param("content-type")
            .final_answer()
    }

    /// 405: `allowed` is the `Allow` header's value.
    pub fn method_not_allowed(allowed: &str) -> Self {
        let message = format!("This method is not allowed here. Allowed: {allowed}.");
        Self::new(405, "invalid_request_error", "method_not_allowed", message).final_answer()
    }

    /// 404: no such path.
    pub fn not_found() -> Self {
        let message = "Nothing is here. The API is at /v1, for example POST /v1/chat/completions.";
        Self::new(404, "invalid_request_error", "not_found", message).final_answer()
    }

    /// 404: a service of OpenAI's that Rondo does not have.
    pub fn not_offered() -> Self {
        let message = "Rondo does not offer this: it answers chat only. It has POST /v1/chat/completions, \
                       /v1/completions, /v1/responses, /v1/messages, Gemini's generateContent, and GET /v1/models.";
        Self::new(404, "invalid_request_error", "not_offered", message).final_answer()
    }

    /// 404: no pool and no upstream model has this name.
    pub fn model_not_found(model: &str) -> Self {
        let message =
            format!("The model `{}` does not exist here. GET /v1/models lists what does.", quoted(model));
        Self::new(404, "invalid_request_error", "model_not_found", message).with_param("model").final_answer()
    }

    /// 403: the model exists, this token may not use it.
    pub fn model_not_allowed(model: &str) -> Self {
        let message = format!("This token may not use the model `{}`.", quoted(model));
        Self::new(403, "permission_error", "model_not_allowed", message).with_param("model").final_answer()
    }

    /// 503: there is no key that could serve, now or soon.
    pub fn no_active_keys() -> Self {
        let message = "No active upstream key is left for this request. Add a key on the admin page, or enable or test the ones that are there.";
        Self::new(503, "service_unavailable_error", "no_active_keys", message).final_answer()
    }

    /// 503: the deployment lacks a binding or secret; `missing` is its name.
    pub fn not_configured(missing: &str) -> Self {
        let message =
            format!("Rondo is not set up: `{missing}` is missing. Run the deploy command again, it sets it.");
        Self::new(503, "service_unavailable_error", "not_configured", message)
            .with_param(missing.to_owned())
            .final_answer()
    }

    /// 429: no quota before the request's deadline; asking again in `retry_after_ms` is worth it.
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        let seconds = retry_after_ms.div_ceil(1000).max(1);
        let message = format!("The quota for this request is used up for now. Try again in {seconds} s.");
        Self::limited("rate_limit_exceeded", message, retry_after_ms)
    }

    /// 429: the token's own limit is reached; `what` names it ("60 requests a minute").
    pub fn token_limited(what: &str, retry_after_ms: u64) -> Self {
        Self::limited(
            "token_limit_exceeded",
            format!("This token's limit is reached: {what}."),
            retry_after_ms,
        )
    }

    fn limited(code: &'static str, message: String, retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            should_retry: Some(retry_after_ms <= LONGEST_RETRY_MS),
            ..Self::new(429, "rate_limit_error", code, message)
        }
    }

    /// 502: every try failed at the upstream, or on the way to it.
    pub fn upstream_unavailable() -> Self {
        let message =
            "The upstream did not give an answer that could be passed on, on any of the keys tried.";
        Self::new(502, "upstream_error", "upstream_unavailable", message)
    }

    /// 502: the upstream's stream ended or fell silent before it was complete.
    pub fn stream_interrupted() -> Self {
        let message = "The upstream's answer broke off before it was complete.";
        Self::new(502, "upstream_error", "stream_interrupted", message)
    }

    /// 504: the upstream took longer than the time limits allow.
    pub fn upstream_timeout() -> Self {
        Self::new(504, "upstream_error", "upstream_timeout", "The upstream did not answer in time.")
    }

    /// 502: something before the upstream (a firewall; Cloudflare's `error code: 1010`) refuses Rondo's requests.
    pub fn path_blocked() -> Self {
        let message = "The way to the upstream is blocked by a firewall in front of it (such as Cloudflare's error 1010). No key is at fault.";
        Self::new(502, "upstream_error", "path_blocked", message).final_answer()
    }

    /// 500: a fault of Rondo's own.
    pub fn internal() -> Self {
        Self::new(500, "server_error", "internal_error", "Rondo failed to handle this request.")
    }
}

/// A client's own word, shortened for a message.
fn quoted(model: &str) -> &str {
    let end = model.char_indices().map(|(at, _)| at).nth(100).unwrap_or(model.len());
    model.get(..end).unwrap_or_default()
}

/// What the client sees when an upstream's answer is the one to pass on. Where the client is at fault (400, 404,
/// 413, 422, …) status and words are the upstream's. Where Rondo's key is (401, 402, 403), they are not: the
/// client's token is fine, and a 401 would send its user looking in the wrong place.
pub fn client_error(status: u16, upstream: UpstreamError) -> ApiError {
    let status = match status {
        401 => {
            let message = "The upstream refused the key that Rondo sent. The admin page shows which.";
            return ApiError::new(502, "upstream_error", "upstream_key_refused", message);
        }
        402 => {
            let message =
                "The upstream wants payment for the key that Rondo sent. The admin page shows which.";
            return ApiError::new(503, "upstream_error", "upstream_payment_required", message).final_answer();
        }
        403 => return ApiError::path_blocked(),
        408 => return ApiError::upstream_timeout(),
        400..=599 => status,
        _ => return ApiError::upstream_unavailable(),
    };
    let kind = match (upstream.kind.is_empty(), status) {
        (false, _) => upstream.kind.into(),
        (true, 429) => "rate_limit_error".into(),
        (true, 404) => "not_found_error".into(),
        (true, ..500) => "invalid_request_error".into(),
        (true, _) => "upstream_error".into(),
    };
    let message = if upstream.message.is_empty() {
        format!("The upstream answered with status {status} and no message.")
    } else {
        upstream.message
    };
    ApiError {
        status,
        message: message.into(),
        kind,
        param: upstream.param.into(),
        code: upstream.code.into(),
        retry_after_ms: None,
        should_retry: None,
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
