//! Answers of the admin API: JSON that no cache keeps and no other site reads.

use serde::Serialize;
use worker::{Headers, Response, ResponseBuilder};

/// An answer under construction.
pub struct Reply {
    status: u16,
    headers: Headers,
}

impl Reply {
    /// An answer with that status and the headers that all of them have.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let headers = Headers::new();
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            // Fixed names and values cannot be refused.
            let _ = headers.set(name, value);
        }
        Self { status, headers }
    }

    /// Adds a header. One that HTTP does not allow is left out.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let _ = self.headers.append(name, value);
        self
    }

    /// No body.
    #[must_use]
    pub fn empty(self) -> Response {
        ResponseBuilder::new().with_status(self.status).with_headers(self.headers).empty()
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, value: &impl Serialize) -> Response {
        self.typed("application/json", value)
    }

    /// A problem (RFC 9457).
    #[must_use]
    pub fn problem(self, value: &impl Serialize) -> Response {
        self.typed("application/problem+json", value)
    }

    fn typed(self, content_type: &str, value: &impl Serialize) -> Response {
        self.text(content_type, serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned()))
    }

    /// A text of that type.
    #[must_use]
    pub fn text(self, content_type: &str, text: String) -> Response {
        let reply = self.header("content-type", content_type);
        ResponseBuilder::new().with_status(reply.status).with_headers(reply.headers).fixed(text.into_bytes())
    }

    /// A stream of server-sent events.
    #[must_use]
    pub fn events(self, stream: web_sys::ReadableStream) -> Response {
        let reply = self.header("content-type", "text/event-stream; charset=utf-8");
        ResponseBuilder::new().with_status(reply.status).with_headers(reply.headers).stream(stream)
    }
}
