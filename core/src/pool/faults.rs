//! Whose fault a failed attempt was, and what follows from it: the table of docs/architecture.md.

use super::protocol::{Fault, NamedQuota};
use crate::wire::errors::UpstreamError;
use crate::wire::headers::Window;

/// How long a key whose credentials were refused is left alone before a request tries it again.
pub const INVALID_FOR_MS: u64 = 24 * 3_600_000;
/// The same at first for a key that has answered before: it may be the upstream that is confused. A second refusal
/// counts for the whole time.
pub const INVALID_AT_FIRST_MS: u64 = 5 * 60_000;
/// How long a group without payment is left alone.
pub const SUSPENDED_FOR_MS: u64 = 6 * 3_600_000;
/// How long a model that the upstream does not know is left alone.
pub const MODEL_GONE_FOR_MS: u64 = 10 * 60_000;
/// Cooling after a quota 429 that states no time; doubles with each in a row.
pub const COOLING_UNSTATED_MS: u64 = 2_000;
/// The longest cooling without a stated time.
pub const COOLING_UNSTATED_MAX_MS: u64 = 60_000;
/// The shortest cooling: a stated wait of zero must not become a loop.
pub const COOLING_MIN_MS: u64 = 100;
/// The longest stated cooling that is believed: day quotas reset within a day.
pub const COOLING_MAX_MS: u64 = 25 * 3_600_000;
/// A key's first rest after a fault of the upstream; doubles with each in a row.
pub const REST_MS: u64 = 1_000;
/// The longest rest after faults of the upstream.
pub const REST_MAX_MS: u64 = 60_000;
/// Pause of a model whose queue is full; up to as much again is added as jitter.
pub const QUEUE_PAUSE_MS: u64 = 250;

/// Classifies an answer that is no success. `stated_wait` tells whether it said when to come back
/// (`Retry-After`, `retry-after-ms` or a reset header).
///
/// Codes and texts: docs/upstream.md.
#[must_use]
pub fn classify(status: u16, error: &UpstreamError, stated_wait: bool) -> Fault {
    let names = |words: &[&str]| {
        words
            .iter()
            .any(|word| error.code.eq_ignore_ascii_case(word) || error.kind.eq_ignore_ascii_case(word))
    };
    let says = |words: &[&str]| {
        let message = error.message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    match status {
        401 => Fault::Key,
        402 => Fault::Payment,
        // A page of whatever stands in front of the upstream never says anything of a key.
        403 if !error.structured => Fault::Path,
        403 if names(&["wrong_api_key", "invalid_api_key", "authentication_error"])
            || error.param.eq_ignore_ascii_case("api_key")
            || says(&["api key", "api_key", "not authenticated"]) =>
        {
            Fault::Key
        }
        403 => Fault::Path,
        404 if names(&["model_not_found", "model_archived"])
            || error.param.eq_ignore_ascii_case("model")
            || says(&["model"]) =>
        {
            Fault::Model
        }
        // A 404 that is not about the model: the path or the base URL is wrong.
        404 | 405 => Fault::Path,
        429 if names(&["queue_exceeded"]) || error.param.eq_ignore_ascii_case("queue") => Fault::Queue,
        429 if names(&[
            "request_quota_exceeded",
            "token_quota_exceeded",
            "too_many_requests_error",
            "too_many_tokens_error",
            "rate_limit_exceeded",
            "rate_limit_error",
        ]) || stated_wait
            || says(&["per minute", "per hour", "per day", "per second", "quota"]) =>
        {
            Fault::Quota
        }
        408 | 409 | 425 | 429 => Fault::Upstream,
        400..=499 => Fault::Client,
        _ => Fault::Upstream,
    }
}

/// Which quota a 429 is about: by its code, its type or its words ("Tokens per day limit exceeded").
#[must_use]
pub fn named_quota(error: &UpstreamError) -> Option<NamedQuota> {
    let words = [&error.code, &error.kind, &error.message].map(|text| text.to_ascii_lowercase());
    let says = |word: &str| words.iter().any(|text| text.contains(word));
    let [_, _, message] = &words;
    // The message goes first: copies of day limits carried the type of requests with the words of tokens.
    let tokens = if message.contains("token") || error.code.eq_ignore_ascii_case("token_quota_exceeded") {
        true
    } else if says("request") {
        false
    } else {
        return None;
    };
    let window = [("minute", Window::Minute), ("hour", Window::Hour), ("day", Window::Day)]
        .into_iter()
        .find_map(|(word, window)| message.contains(word).then_some(window));
    Some(NamedQuota { tokens, window })
}

impl Fault {
    /// Whether another key (or model, or moment) may do better. Only the client's own faults are final.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        self != Self::Client
    }

    /// Whether this request must not use the same key again. Not after a quota 429: the key's group cools until
    /// it can serve again, which may well be within this request's deadline.
    #[must_use]
    pub fn excludes_key(self) -> bool {
        matches!(self, Self::Key | Self::Payment | Self::Upstream | Self::Timeout | Self::Lost)
    }

    /// Whether this request must not use the same model again.
    #[must_use]
    pub fn excludes_model(self) -> bool {
        self == Self::Model
    }

    /// A short word for admin pages and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Queue => "queue",
            Self::Key => "key",
            Self::Payment => "payment",
            Self::Path => "path",
            Self::Model => "model",
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
        }
    }
}

/// `base` doubled for each further strike in a row, at most `max`.
#[must_use]
pub fn backoff(base: u64, strikes: u32, max: u64) -> u64 {
    base.saturating_mul(1_u64 << strikes.saturating_sub(1).min(20)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str, kind: &str, param: &str, code: &str) -> UpstreamError {
        UpstreamError {
            message: message.into(),
            kind: kind.into(),
            param: param.into(),
            code: code.into(),
            structured: true,
            ..UpstreamError::default()
        }
    }

    #[test]
    fn each_answer_is_somebodys_fault() {
        let none = || error("", "", "", "");
        let cases = [
            (401, error("Wrong API Key", "invalid_request_error", "api_key", "wrong_api_key"), Fault::Key),
            (401, none(), Fault::Key),
            (403, error("Not authenticated", "", "", ""), Fault::Key),
            (403, error("error code: 1010", "", "", ""), Fault::Path),
            (402, none(), Fault::Payment),
            (404, error("", "not_found_error", "model", "model_not_found"), Fault::Model),
            (404, error("", "", "", "model_archived"), Fault::Model),
            (404, none(), Fault::Path),
            (429, error("", "too_many_requests_error", "quota", "request_quota_exceeded"), Fault::Quota),
            (429, error("", "too_many_tokens_error", "quota", "token_quota_exceeded"), Fault::Quota),
            (429, error("", "too_many_requests_error", "queue", "queue_exceeded"), Fault::Queue),
            (429, error("Requests per minute limit exceeded", "", "", ""), Fault::Quota),
            (429, none(), Fault::Upstream),
            (400, error("body.store", "invalid_request_error", "", "wrong_api_format"), Fault::Client),
            (413, none(), Fault::Client),
            (422, none(), Fault::Client),
            (408, none(), Fault::Upstream),
            (500, none(), Fault::Upstream),
            (503, none(), Fault::Upstream),
            (302, none(), Fault::Upstream),
        ];
        for (status, error, fault) in cases {
            assert_eq!(classify(status, &error, false), fault, "{status} {error:?}");
        }
        assert_eq!(classify(429, &none(), true), Fault::Quota, "a stated wait makes a bare 429 a quota");
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        assert_eq!([1, 2, 3, 9].map(|n| backoff(1_000, n, 60_000)), [1_000, 2_000, 4_000, 60_000]);
        assert_eq!(backoff(1_000, u32::MAX, 60_000), 60_000);
    }
}
