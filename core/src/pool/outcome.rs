//! What the client is told when its request can't be served: the pool's refusals and the last failure, as one
//! honest answer.

use super::protocol::{Fault, RefusedWhy};
use crate::wire::errors::{ApiError, UpstreamError, client_error};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What is said when an upstream is crowded and names no time.
const QUEUE_RETRY_MS: u64 = 1_000;
/// What is said when a quota is used up and nobody knows until when.
const QUOTA_RETRY_MS: u64 = 2_000;
/// When to come back after a 503 that an operator has to end.
const UNAVAILABLE_RETRY_MS: u64 = 30_000;

/// The last failed attempt of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it was.
    pub fault: Fault,
    /// The upstream's status; 0 when none came.
    pub status: u16,
    /// What it said.
    pub error: UpstreamError,
    /// When it said to come back.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure without an answer.
    #[must_use]
    pub fn silent(fault: Fault) -> Self {
        Self { fault, status: 0, error: UpstreamError::default(), retry_after_ms: None }
    }
}

/// Whether a body that came with a status of success is a chat completion: sound JSON with `choices` and
/// without an `error`.
#[must_use]
pub fn is_answer(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(default)]
        choices: Option<IgnoredAny>,
        #[serde(default)]
        error: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Shape>(body).is_ok_and(|shape| shape.choices.is_some() && shape.error.is_none())
}

/// The answer when no further attempt is made after this failure.
#[must_use]
pub fn after(failure: Failure) -> ApiError {
    let Failure { fault, status, error, retry_after_ms } = failure;
    match fault {
        // The client's own fault: the upstream's words, and no point in asking again.
        Fault::Client => ApiError { should_retry: Some(false), ..client_error(status, error) },
        Fault::Model => ApiError { should_retry: Some(false), ..client_error(404, error) },
        Fault::Key => client_error(401, error),
        Fault::Payment => unavailable(client_error(402, error)),
        Fault::Path => ApiError::path_blocked(),
        Fault::Quota => ApiError::rate_limited(retry_after_ms.unwrap_or(QUOTA_RETRY_MS)),
        Fault::Queue => ApiError {
            retry_after_ms: Some(retry_after_ms.unwrap_or(QUEUE_RETRY_MS)),
            should_retry: Some(true),
            ..client_error(429, error)
        },
        Fault::Timeout => ApiError::upstream_timeout(),
        Fault::Lost => ApiError::upstream_unavailable(),
        Fault::Upstream => match status {
            408 => ApiError::upstream_timeout(),
            429 | 503 => ApiError {
                retry_after_ms: retry_after_ms.or(Some(QUEUE_RETRY_MS)),
                ..client_error(status, error)
            },
            500..=599 => client_error(status, error),
            _ => ApiError::upstream_unavailable(),
        },
    }
}

/// The answer to a want that the Coordinator refused, with the model the client asked for and the last
/// failure, if an attempt was made.
#[must_use]
pub fn refused(why: RefusedWhy, asked: Option<&str>, last: Option<Failure>) -> ApiError {
    let asked = asked.unwrap_or_default();
    match (why, last) {
        (RefusedWhy::Token, _) => ApiError::invalid_api_key(),
        // The last key was refused or unpaid: what is left to say is that there is none.
        (RefusedWhy::KeysExhausted, Some(last)) if !matches!(last.fault, Fault::Key | Fault::Payment) => {
            after(last)
        }
        (RefusedWhy::KeysExhausted | RefusedWhy::NoActiveKey, _) => unavailable(ApiError::no_active_keys()),
        (RefusedWhy::NoModel, Some(last)) => after(last),
        (RefusedWhy::NoModel, None) => ApiError::model_not_found(asked),
        (RefusedWhy::ModelNotAllowed, _) => ApiError::model_not_allowed(asked),
        (RefusedWhy::ModelMissing, _) => model_missing(),
        (RefusedWhy::PoolEmpty, _) => unavailable(pool_empty()),
    }
}

/// 429 when capacity is back in so many milliseconds. The last failure says more when the upstream is crowded.
#[must_use]
pub fn wait_too_long(after_ms: u64, last: Option<Failure>) -> ApiError {
    match last {
        Some(last) if !matches!(last.fault, Fault::Quota | Fault::Key | Fault::Payment) => {
            let answer = after(last);
            if matches!(answer.status, 429 | 503) {
                ApiError { retry_after_ms: Some(after_ms.max(1)), ..answer }
            } else {
                answer
            }
        }
        _ => ApiError::rate_limited(after_ms.max(1)),
    }
}

/// 413: no key's quota can ever hold this request, so neither waiting nor another try helps.
#[must_use]
pub fn too_large(tokens: u64, limit: u64) -> ApiError {
    ApiError {
        status: 413,
        message: format!(
            "This request needs room for about {tokens} tokens (prompt and largest answer), but no key of the pool \
             allows more than {limit} a minute. Shorten the prompt or set a smaller max_completion_tokens."
        )
        .into(),
        kind: "invalid_request_error".into(),
        param: "messages".into(),
        code: "request_too_large".into(),
        should_retry: Some(false),
        retry_after_ms: None,
        ..ApiError::rate_limited(0)
    }
}

/// 503 because a part is missing or does not work; `what` names it and what to do.
#[must_use]
pub fn not_working(what: &str, missing: Option<&str>) -> ApiError {
    let answer = ApiError::not_configured(missing.unwrap_or_default());
    unavailable(ApiError {
        message: format!("Rondo cannot serve now: {what}").into(),
        code: if missing.is_some() { answer.code.clone() } else { "not_ready".into() },
        ..answer
    })
}

fn model_missing() -> ApiError {
    ApiError {
        status: 400,
        message: "The request names no `model`, and the model policy is `passthrough`.".into(),
        code: "missing_required_parameter".into(),
        ..ApiError::model_not_found("")
    }
}

fn pool_empty() -> ApiError {
    ApiError {
        message: "The model pool has no enabled model. Enable or add one on the admin page.".into(),
        code: "model_pool_empty".into(),
        ..ApiError::no_active_keys()
    }
}

/// A 503 says when to come back.
fn unavailable(answer: ApiError) -> ApiError {
    ApiError { retry_after_ms: answer.retry_after_ms.or(Some(UNAVAILABLE_RETRY_MS)), ..answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(fault: Fault, status: u16) -> Failure {
        let error =
            UpstreamError { message: "words".into(), kind: "kind".into(), ..UpstreamError::default() };
        Failure { status, error, ..Failure::silent(fault) }
    }

    #[test]
    fn each_fault_ends_in_its_status() {
        for (fault, status, told) in [
            (Fault::Client, 400, 400),
            (Fault::Client, 422, 422),
            (Fault::Model, 404, 404),
            (Fault::Key, 401, 502),
            (Fault::Payment, 402, 503),
            (Fault::Path, 403, 502),
            (Fault::Quota, 429, 429),
            (Fault::Queue, 429, 429),
            (Fault::Timeout, 0, 504),
            (Fault::Lost, 0, 502),
            (Fault::Upstream, 500, 500),
            (Fault::Upstream, 503, 503),
            (Fault::Upstream, 408, 504),
            (Fault::Upstream, 429, 429),
            (Fault::Upstream, 302, 502),
            (Fault::Upstream, 200, 502),
        ] {
            let answer = after(failure(fault, status));
            assert_eq!(answer.status, told, "{fault:?} {status}");
            if matches!(answer.status, 429 | 503) {
                assert!(answer.retry_after_ms.is_some(), "{fault:?} {status} says when to come back");
            }
        }
    }

    #[test]
    fn the_clients_own_fault_is_told_in_the_upstreams_words_and_not_retried() {
        let answer = after(failure(Fault::Client, 400));
        assert_eq!((answer.message.as_ref(), answer.kind.as_ref()), ("words", "kind"));
        assert_eq!(answer.should_retry, Some(false));
    }

    #[test]
    fn a_stated_wait_is_passed_on() {
        let quota = Failure { retry_after_ms: Some(7_500), ..failure(Fault::Quota, 429) };
        assert_eq!(after(quota).retry_after_ms, Some(7_500));
        assert_eq!(wait_too_long(9_000, None).retry_after_ms, Some(9_000));
        assert_eq!(wait_too_long(9_000, Some(failure(Fault::Queue, 429))).retry_after_ms, Some(9_000));
        assert_eq!(wait_too_long(9_000, Some(failure(Fault::Lost, 0))).status, 502);
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (why, last, status, code) in [
            (RefusedWhy::Token, None, 401, "invalid_api_key"),
            (RefusedWhy::NoActiveKey, None, 503, "no_active_keys"),
            (RefusedWhy::KeysExhausted, None, 503, "no_active_keys"),
            (RefusedWhy::KeysExhausted, Some(failure(Fault::Key, 401)), 503, "no_active_keys"),
            (RefusedWhy::KeysExhausted, Some(failure(Fault::Upstream, 500)), 500, ""),
            (RefusedWhy::NoModel, None, 404, "model_not_found"),
            (RefusedWhy::ModelNotAllowed, None, 403, "model_not_allowed"),
            (RefusedWhy::ModelMissing, None, 400, "missing_required_parameter"),
            (RefusedWhy::PoolEmpty, None, 503, "model_pool_empty"),
        ] {
            let answer = refused(why, Some("m"), last);
            assert_eq!((answer.status, answer.code.as_ref()), (status, code), "{why:?}");
            assert_eq!(answer.retry_after_ms.is_some(), status == 503, "{why:?}");
        }
    }

    #[test]
    fn only_a_sound_completion_is_an_answer() {
        assert!(is_answer(br#"{"choices":[],"error":null}"#));
        for body in
            ["", "{}", "[]", "<html>", r#"{"choices":[]"#, r#"{"choices":[],"error":{"message":"x"}}"#]
        {
            assert!(!is_answer(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let answer = not_working("D1 is not bound", Some("DB"));
        assert_eq!(
            (answer.status, answer.code.as_ref(), answer.param.as_ref()),
            (503, "not_configured", "DB")
        );
        assert!(answer.message.contains("D1 is not bound"));
        assert_eq!(not_working("it fails", None).code, "not_ready");
    }
}
