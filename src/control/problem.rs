//! Errors of the admin API: problem documents (RFC 9457). None holds SQL, a secret or a stack.

use crate::platform::env::Missing;
use crate::platform::json::Reply;
use crate::platform::log;
use crate::store::StoreError;
use rondo_core::config::FieldError;
use rondo_core::pool::stories::clipped;
use rondo_core::vault::VaultError;
use serde_json::json;

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    status: u16,
    name: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    header: Option<(&'static str, String)>,
}

/// What a call ends in.
pub type Outcome = Result<worker::Response, Problem>;

impl Problem {
    /// A problem with a name for programs, a title for people and what happened this time.
    #[must_use]
    pub fn new(status: u16, name: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts { status, name, title, detail: detail.into(), field: None, header: None }))
    }

    fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// 401: no session, or one that has ended.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "log in first: POST /api/auth/login gives a session";
        Self::new(401, "unauthorized", "No session", detail)
            .with_header("www-authenticate", "Bearer".to_owned())
    }

    /// 401: the password is wrong.
    #[must_use]
    pub fn wrong_password() -> Self {
        Self::new(401, "wrong-password", "Wrong password", "the password is not right")
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: &str) -> Self {
        Self::new(404, "not-found", "Not found", detail)
    }

    /// 405 with `Allow`.
    #[must_use]
    pub fn method(allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        Self::new(405, "method-not-allowed", "Method not allowed", format!("this address takes {allow}"))
            .with_header("allow", allow)
    }

    /// 409.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "Conflict", detail)
    }

    /// 413.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "too-large", "Body too large", format!("the body may have at most {limit} bytes"))
    }

    /// 429 with `Retry-After` in whole seconds, rounded up.
    #[must_use]
    pub fn slow_down(retry_after_ms: u64) -> Self {
        let seconds = retry_after_ms.div_ceil(1_000).max(1);
        let detail = format!("too many failed attempts; try again in {seconds} s");
        Self::new(429, "too-many-attempts", "Too many attempts", detail)
            .with_header("retry-after", seconds.to_string())
    }

    /// 503.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "unavailable", "Not available", detail)
    }

    /// 500, for what cannot happen.
    #[must_use]
    pub fn internal(event: &str) -> Self {
        log::error(event, &json!({}));
        Self::new(500, "internal", "Internal error", "something failed inside; the log says what")
    }

    /// The answer.
    #[must_use]
    pub fn into_response(self) -> worker::Response {
        let parts = *self.0;
        let mut body = json!({
            "type": format!("urn:rondo:problem:{}", parts.name),
            "title": parts.title,
            "status": parts.status,
            "detail": parts.detail,
        });
        if let (Some(field), Some(body)) = (parts.field, body.as_object_mut()) {
            body.insert("field".to_owned(), field.into());
        }
        let mut reply = Reply::new(parts.status);
        if let Some((name, value)) = parts.header {
            reply = reply.header(name, &value);
        }
        reply.problem(&body)
    }
}

/// Longest name of a field and longest sentence about it in bytes: both may quote what was sent.
const QUOTED_BYTES: [usize; 2] = [128, 512];

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        let [field, sentence] = QUOTED_BYTES;
        let error = FieldError::new(&clipped(&error.field, field), clipped(&error.problem, sentence));
        let mut problem = Self::new(400, "bad-request", "Bad request", error.to_string());
        problem.0.field = Some(error.field).filter(|field| !field.is_empty());
        problem
    }
}

impl From<Missing> for Problem {
    fn from(missing: Missing) -> Self {
        Self::unavailable(missing.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        log::error("store_failed", &json!({"error": error.0}));
        Self::unavailable("the database did not answer; try again")
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        // Its texts are made for operators and hold no part of a secret.
        Self::unavailable(error.to_string())
    }
}
