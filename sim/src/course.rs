//! A client's request on its way through an isolate: what it tried, how long it can still wait.

use crate::clients::{PATIENCE_MS, Request};
use rondo_core::limits::{settings::ATTEMPT_BUDGET, timeout};
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Grant, RequestEnd, Want};
use rondo_core::wire::headers::LimitReading;
use rondo_core::wire::usage::Usage;
use std::collections::VecDeque;

/// How often an upstream that failed on every key is tried on all of them again.
const ROUNDS: u32 = 2;
/// The pause before the first such round.
pub const ROUND_PAUSE_MS: u64 = 250;
/// What a client is told when nobody stated a time.
const UNSTATED_RETRY_MS: u64 = 2_000;
const QUEUE_RETRY_MS: u64 = 1_000;

/// A failed attempt.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whose fault.
    pub fault: Fault,
    /// The status; 0 when none came.
    pub status: u16,
    /// The stated wait.
    pub retry_after_ms: Option<u64>,
    /// Limit headers.
    pub headers: Vec<LimitReading>,
    /// From sending to the head.
    pub headers_ms: Option<u64>,
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Answered, to the end or until the client left.
    Answered,
    /// A 429: come back after so long, and why.
    Limited(u64, &'static str),
    /// Another error.
    Failed(u16),
}

/// A request on its way.
#[derive(Debug)]
pub struct Course {
    /// What is asked for.
    pub request: Request,
    /// Time spent waiting for grants.
    pub waited: u64,
    /// Attempts made.
    pub attempts: u32,
    /// Keys that failed, and how.
    pub excluded: Vec<(String, Fault)>,
    /// Models that do not exist, one for each time it was said.
    pub missing: Vec<String>,
    /// How often all keys were gone through.
    pub rounds: u32,
    /// Grants in hand, with when they were given.
    pub candidates: VecDeque<(Grant, u64)>,
    /// The last failure.
    pub last: Option<Failure>,
    /// Its place in line.
    pub ticket: Option<u64>,
    /// Whether it asks for itself alone, as a lease was refused.
    pub alone: bool,
    /// When it asked last.
    pub asked_at: u64,
    /// The grant that is used.
    pub grant: Option<Grant>,
    /// Whether that came from a lease.
    pub leased: bool,
    /// When that was sent.
    pub sent_at: u64,
    /// Until when its head must have come.
    pub head_by: u64,
    /// Whether it is waiting for room, for the oracle.
    pub is_waiting: bool,
}

impl Course {
    /// A request that came.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            request,
            waited: 0,
            attempts: 0,
            excluded: Vec::new(),
            missing: Vec::new(),
            rounds: 0,
            candidates: VecDeque::new(),
            last: None,
            ticket: None,
            alone: false,
            asked_at: 0,
            grant: None,
            leased: false,
            sent_at: 0,
            head_by: 0,
            is_waiting: false,
        }
    }

    /// How long it can still wait for a grant.
    #[must_use]
    pub fn left(&self, now: u64) -> u64 {
        match self.request.deadline {
            Some(deadline) => deadline.saturating_sub(now - self.request.at),
            None => PATIENCE_MS.saturating_sub(self.waited),
        }
    }

    /// What is left of its whole time.
    #[must_use]
    pub fn time_left(&self, now: u64) -> u64 {
        let whole = self.request.deadline.unwrap_or(timeout::TOTAL_MS).min(timeout::TOTAL_MS);
        whole.saturating_sub(now - self.request.at)
    }

    /// The grant in hand is sent.
    pub fn send(&mut self, now: u64) {
        self.attempts += 1;
        self.sent_at = now;
        let limit = if self.request.stream { timeout::HEADERS_MS } else { timeout::HEADERS_WHOLE_MS };
        self.head_by = now + limit.min(self.time_left(now).max(1));
    }

    /// Whether a candidate has become useless.
    #[must_use]
    pub fn is_unfit(&self, grant: &Grant) -> bool {
        self.excluded.iter().any(|(key, _)| *key == grant.key) || self.missing.contains(&grant.model)
    }

    /// What it wants of the Coordinator, for itself alone.
    #[must_use]
    pub fn want(&self, token: &str, model: Option<&str>, now: u64) -> Want {
        Want {
            token: token.to_owned(),
            model: model.map(str::to_owned),
            address: None,
            count: 1,
            prompt_tokens: self.request.estimate,
            max_completion_tokens: self.request.max_completion,
            fingerprint: self.request.number + 1,
            deadline_ms: self.left(now),
            attempts_left: ATTEMPT_BUDGET.saturating_sub(self.attempts),
            exclude_keys: self.excluded.iter().map(|(key, _)| key.clone()).collect(),
            exclude_models: self.missing.clone(),
            ticket: self.ticket,
            ..Want::default()
        }
    }

    /// Takes note of a failed attempt. How the request ends, if no other is to follow.
    pub fn failed(&mut self, failure: Failure, now: u64) -> Option<Ended> {
        let fault = failure.fault;
        let ends = !fault.is_retryable() || self.attempts >= ATTEMPT_BUDGET || self.time_left(now) == 0;
        if ends {
            return Some(told(&failure));
        }
        let Some(grant) = &self.grant else { return Some(told(&failure)) };
        if fault.excludes_key() {
            self.excluded.retain(|(key, _)| *key != grant.key);
            self.excluded.push((grant.key.clone(), fault));
        }
        if fault.excludes_model() {
            self.missing.push(grant.model.clone());
        }
        self.last = Some(failure);
        None
    }

    /// All keys were tried: whether some may be tried again, and after which pause.
    pub fn another_round(&mut self, now: u64) -> Option<u64> {
        let (before, again) = (self.excluded.len(), self.rounds < ROUNDS);
        self.excluded.retain(|(_, fault)| match fault {
            Fault::Quota => false,
            Fault::Upstream | Fault::Timeout | Fault::Lost => !again,
            _ => true,
        });
        self.rounds += 1;
        let goes_on = self.left(now) > 0 && self.excluded.len() < before;
        goes_on.then_some(ROUND_PAUSE_MS * u64::from(self.rounds))
    }

    /// How it ends when no key is left to try.
    #[must_use]
    pub fn exhausted(&self) -> Ended {
        self.last.as_ref().map_or(Ended::Failed(503), told)
    }

    /// The report of the attempt under way.
    #[must_use]
    pub fn attempt(&self, end: AttemptEnd, now: u64) -> Attempt {
        let grant = self.grant.as_ref();
        Attempt {
            key: grant.map(|grant| grant.key.clone()).unwrap_or_default(),
            model: grant.map(|grant| grant.model.clone()).unwrap_or_default(),
            end,
            status: 200,
            prompt_estimate: self.request.estimate,
            duration_ms: now - self.sent_at,
            ..Attempt::default()
        }
    }

    /// The report of its end.
    #[must_use]
    pub fn end(&self, token: &str, ended: Ended, usage: Usage, cut: bool, now: u64) -> RequestEnd {
        let status = match ended {
            Ended::Answered => 200,
            Ended::Limited(..) => 429,
            Ended::Failed(status) => status,
        };
        RequestEnd {
            token: token.to_owned(),
            model: self.grant.as_ref().map(|grant| grant.model.clone()).unwrap_or_default(),
            status,
            error: status >= 400,
            cut,
            usage,
            attempts: self.attempts,
            wait_ms: self.waited,
            duration_ms: now - self.request.at,
            ..RequestEnd::default()
        }
    }
}

/// What a client is told after a last failure.
fn told(failure: &Failure) -> Ended {
    match failure.fault {
        Fault::Quota => {
            Ended::Limited(failure.retry_after_ms.unwrap_or(UNSTATED_RETRY_MS), "the last attempt's 429")
        }
        Fault::Queue => Ended::Limited(failure.retry_after_ms.unwrap_or(QUEUE_RETRY_MS), "a full queue"),
        Fault::Timeout => Ended::Failed(504),
        Fault::Model => Ended::Failed(404),
        _ => Ended::Failed(502),
    }
}
