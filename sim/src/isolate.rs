//! What an isolate keeps between requests: reports that wait, and grants that it holds in advance, by the data
//! plane's own leases. The rules beside those are of `src/proxy`.

use crate::clients::Request;
use rondo_core::limits::coordinator::SETTLES_KEPT;
use rondo_core::pool::lease::{KindId, Leases, Need, PROMPT_TOKENS_MAX, Size, Turn};
use rondo_core::pool::outbox::Outbox;
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Grant, Settle};
use std::collections::{HashMap, HashSet};

/// Limit headers of a key's answers are read that often: reading all headers costs.
const LIMITS_EVERY_MS: u64 = 1_000;
/// Generation and epoch of the one configuration there is.
pub const VERSION: (u64, u64) = (1, 1);

/// A lease that was asked for: for which kind of request, of which size, when.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The kind.
    pub kind: KindId,
    /// The size, rounded up.
    pub size: Size,
    /// When.
    pub at: u64,
}

/// An isolate.
pub struct Isolate {
    /// Reports that wait or are under way.
    pub outbox: Outbox,
    /// Whether a flush is planned.
    pub flush_planned: bool,
    /// Whether somebody stays to give leases back.
    pub tended: bool,
    /// Grants that it gave back, by number.
    pub given_back: HashSet<u64>,
    leases: Leases,
    /// When the Coordinator last answered.
    confirmed_at: u64,
    /// When each key's limit headers were read last.
    limits_read: HashMap<String, u64>,
}

impl Default for Isolate {
    fn default() -> Self {
        let mut leases = Leases::default();
        leases.install(VERSION);
        Self {
            outbox: Outbox::default(),
            flush_planned: false,
            tended: false,
            given_back: HashSet::new(),
            leases,
            confirmed_at: 0,
            limits_read: HashMap::new(),
        }
    }
}

/// How large it is, if a lease can serve it: of ordinary size, from a token without limits.
#[must_use]
pub fn leasable(request: &Request, limited: bool) -> Option<Size> {
    let size = Size { prompt_tokens: request.estimate, max_completion_tokens: request.max_completion };
    (!limited && request.estimate <= PROMPT_TOKENS_MAX).then_some(size)
}

/// A report that a grant was never sent.
#[must_use]
pub fn unused(grant: &Grant) -> Settle {
    let attempt = Attempt {
        key: grant.key.clone(),
        model: grant.model.clone(),
        end: AttemptEnd::Unused,
        ..Attempt::default()
    };
    Settle { id: grant.id, attempt: Some(attempt), ..Settle::default() }
}

impl Isolate {
    /// Adds a report.
    pub fn report(&mut self, settle: Settle, now: u64) {
        if settle.attempt.as_ref().is_some_and(|attempt| attempt.end == AttemptEnd::Unused) {
            self.given_back.insert(settle.id);
        }
        self.outbox.push(settle, now, SETTLES_KEPT);
    }

    /// The Coordinator answered.
    pub fn heard(&mut self, now: u64) {
        self.confirmed_at = now;
    }

    /// The turn at the leases of a request that can wait so long.
    pub fn turn(&mut self, model: Option<&str>, size: Size, now: u64, patience_ms: u64) -> Turn {
        let turn =
            self.leases.take(&Need { model, allowed: None, size }, now, patience_ms, self.confirmed_at);
        self.give_back(now);
        turn
    }

    /// Keeps the grants of a lease that was asked for.
    pub fn keep(&mut self, asked: Asked, grants: impl IntoIterator<Item = Grant>, now: u64) {
        self.leases.add(asked.kind, asked.size, VERSION, grants, asked.at, now);
        self.give_back(now);
    }

    /// Gives back what nobody is going to use. Whether something is left.
    pub fn tend(&mut self, now: u64) -> bool {
        self.leases.tend(now);
        self.give_back(now);
        !self.leases.is_empty()
    }

    /// An attempt failed: what would fail likewise goes back.
    pub fn drop_failed(&mut self, key: &str, model: &str, fault: Fault, now: u64) {
        self.leases.failed(now, key, model, fault);
        self.give_back(now);
    }

    fn give_back(&mut self, now: u64) {
        for grant in self.leases.take_back() {
            self.report(unused(&grant), now);
        }
    }

    /// Whether the limit headers of a good answer are read.
    pub fn reads_limits(&mut self, key: &str, now: u64) -> bool {
        match self.limits_read.get_mut(key) {
            Some(read) if now - *read < LIMITS_EVERY_MS => false,
            Some(read) => {
                *read = now;
                true
            }
            None => {
                self.limits_read.insert(key.to_owned(), now);
                true
            }
        }
    }
}
