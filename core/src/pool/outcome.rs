//! What the client is told when its request can't be served: the pool's refusals and the last failure, as one
//! honest answer.

use super::protocol::{Allowance, Fault, Left, RefusedWhy, Waiting};
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

/// The answer when no further attempt is made after this failure. Retrying has one owner: Rondo has tried as
/// often as it may, so the client is told not to.
#[must_use]
pub fn after(failure: Failure) -> ApiError {
    ApiError { should_retry: Some(false), ..told(failure) }
}

fn told(failure: Failure) -> ApiError {
    let Failure { fault, status, error, retry_after_ms } = failure;
    match fault {
        // The client's own fault: the upstream's words.
        Fault::Client => client_error(status, error),
        Fault::Model => client_error(404, error),
        Fault::Key => client_error(401, error),
        Fault::Payment => unavailable(client_error(402, error)),
        Fault::Path => ApiError::path_blocked(),
        Fault::Quota => ApiError::rate_limited(retry_after_ms.unwrap_or(QUOTA_RETRY_MS)),
        Fault::Queue => ApiError {
            retry_after_ms: Some(retry_after_ms.unwrap_or(QUEUE_RETRY_MS)),
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

/// The answer when what the request waits for comes too late for it: 429, or 503 for an outage, both with the
/// time when another try is worth it. The last failure says more where it was the upstream's.
#[must_use]
pub fn wait_too_long(
    after_ms: u64,
    why: Waiting,
    allowance: Option<&Allowance>,
    last: Option<Failure>,
) -> ApiError {
    let after_ms = after_ms.max(1);
    let own = match why {
        Waiting::Token => token_limited(after_ms, allowance),
        Waiting::Address => address_limited(after_ms),
        Waiting::Outage => outage(after_ms),
        Waiting::Quota => ApiError::rate_limited(after_ms),
    };
    match last {
        Some(last)
            if matches!(why, Waiting::Quota | Waiting::Outage)
                && !matches!(last.fault, Fault::Quota | Fault::Key | Fault::Payment) =>
        {
            let answer = after(last);
            if matches!(answer.status, 429 | 503) {
                // The time is true: whoever obeys it is served.
                ApiError { retry_after_ms: own.retry_after_ms, should_retry: own.should_retry, ..answer }
            } else if why == Waiting::Outage {
                ApiError { retry_after_ms: own.retry_after_ms, ..answer }
            } else {
                answer
            }
        }
        _ => own,
    }
}

/// 429: the token's own limit, named if it is known which.
fn token_limited(after_ms: u64, allowance: Option<&Allowance>) -> ApiError {
    let what = allowance.into_iter().flat_map(limits_of).min_by_key(|(_, _, left)| {
        // Of a limit of zero everything is used.
        left.remaining.saturating_mul(1_000_000).checked_div(left.limit).unwrap_or(0)
    });
    let seconds = after_ms.div_ceil(1000);
    let named = match what {
        // With all of it left it is the one that is not told: how many may be under way at once.
        Some((_, words, left)) if left.remaining < left.limit => {
            format!("{} {words}; try again in {seconds} s", left.limit)
        }
        _ => format!("it has as many requests under way as it may; try again in {seconds} s"),
    };
    ApiError::token_limited(&named, after_ms)
}

/// 429: a client address's limit, in public mode.
fn address_limited(after_ms: u64) -> ApiError {
    let seconds = after_ms.div_ceil(1000);
    let message =
        format!("The limit for requests from one address is reached for yours. Try again in {seconds} s.");
    ApiError { message: message.into(), ..ApiError::rate_limited(after_ms) }
}

/// 503: the upstream fails for everybody, so nothing is sent until then.
fn outage(after_ms: u64) -> ApiError {
    let message = format!(
        "The upstream is failing for every key of the pool at the moment. Try again in {} s.",
        after_ms.div_ceil(1000)
    );
    ApiError {
        status: 503,
        message: message.into(),
        should_retry: ApiError::rate_limited(after_ms).should_retry,
        retry_after_ms: Some(after_ms),
        ..ApiError::upstream_unavailable()
    }
}

/// The limits that are there: their names in `x-ratelimit-*`, in words, and how they stand.
fn limits_of(allowance: &Allowance) -> impl Iterator<Item = (&'static str, &'static str, Left)> + use<> {
    let Allowance { requests_minute, tokens_minute, tokens_day, tokens_month } = *allowance;
    [
        ("requests-minute", "requests a minute", requests_minute),
        ("tokens-minute", "tokens a minute", tokens_minute),
        ("tokens-day", "tokens a day", tokens_day),
        ("tokens-month", "tokens a month", tokens_month),
    ]
    .into_iter()
    .filter_map(|(name, words, left)| Some((name, words, left?)))
}

/// The `x-ratelimit-*` headers of a token's own limits, resets in seconds.
#[must_use]
pub fn allowance_headers(allowance: &Allowance) -> Vec<(String, String)> {
    limits_of(allowance)
        .flat_map(|(name, _, left)| {
            let reset = format!("{}.{:03}", left.reset_ms / 1000, left.reset_ms % 1000);
            [
                (format!("x-ratelimit-limit-{name}"), left.limit.to_string()),
                (format!("x-ratelimit-remaining-{name}"), left.remaining.to_string()),
                (format!("x-ratelimit-reset-{name}"), reset),
            ]
        })
        .collect()
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
#[path = "outcome_tests.rs"]
mod tests;
