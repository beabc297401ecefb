//! What an isolate keeps between requests: reports that wait, and grants that it holds in advance. The rules are
//! those of the data plane (`src/proxy`).

use crate::clients::Request;
use rondo_core::limits::coordinator::SETTLES_KEPT;
use rondo_core::limits::grant::{GRANTS_PER_ASK, USE_WITHIN_MS};
use rondo_core::pool::outbox::Outbox;
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Grant, Settle};
use std::collections::{HashMap, VecDeque};

/// A larger request asks for itself alone.
const ORDINARY_COST: u64 = 24_000;
/// What was used in that time is what is taken in advance.
const PACE_MS: u64 = 1_000;
/// Limit headers of a key's answers are read that often: reading all headers costs.
const LIMITS_EVERY_MS: u64 = 1_000;
/// After an ask that brought no lease none is asked for that long.
const BARREN_MS: u64 = 250;

/// A grant in advance.
#[derive(Debug)]
struct Lease {
    named: Option<usize>,
    grant: Grant,
    given_at: u64,
}

/// An isolate.
#[derive(Default)]
pub struct Isolate {
    /// Reports that wait or are under way.
    pub outbox: Outbox,
    /// Whether a flush is planned.
    pub flush_planned: bool,
    leases: Vec<Lease>,
    /// Until then no lease is asked for.
    barren_until: u64,
    /// When each key's limit headers were read last.
    limits_read: HashMap<String, u64>,
    /// When requests that could use a lease were sent, and for which model.
    pace: VecDeque<(u64, Option<usize>)>,
}

/// Whether a lease can serve it: of ordinary size, from a token without limits.
#[must_use]
pub fn is_ordinary(request: &Request, limited: bool) -> bool {
    !limited && request.estimated_cost() <= ORDINARY_COST
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
        self.outbox.push(settle, now, SETTLES_KEPT);
    }

    /// How many grants to ask for: what was used in the last second, less what is in hand.
    #[must_use]
    pub fn count(&mut self, named: Option<usize>, now: u64) -> u32 {
        while self.pace.front().is_some_and(|(at, _)| at + PACE_MS < now) {
            self.pace.pop_front();
        }
        if now < self.barren_until {
            return 1;
        }
        let used = self.pace.iter().filter(|(_, of)| *of == named).count();
        let held = self.leases.iter().filter(|lease| lease.named == named).count();
        used.saturating_sub(held).clamp(1, GRANTS_PER_ASK) as u32
    }

    /// A lease was refused.
    pub fn got_no_lease(&mut self, now: u64) {
        self.barren_until = now + BARREN_MS;
    }

    /// A request that could use a lease is sent.
    pub fn paced(&mut self, named: Option<usize>, now: u64) {
        self.pace.push_back((now, named));
    }

    /// Keeps grants in advance.
    pub fn keep(&mut self, named: Option<usize>, grants: impl Iterator<Item = Grant>, now: u64) {
        self.leases.extend(grants.map(|grant| Lease { named, grant, given_at: now }));
    }

    /// The smallest grant in hand that this request fits and that can be used now.
    pub fn take(&mut self, request: &Request, now: u64) -> Option<Grant> {
        let cost = request.estimated_cost();
        let fits = |lease: &Lease| {
            lease.named == request.named
                && lease.grant.reserved >= cost
                && lease.given_at + lease.grant.delay_ms <= now
                && now - lease.given_at <= USE_WITHIN_MS
        };
        let best = self.leases.iter().enumerate().filter(|(_, lease)| fits(lease));
        let place = best.min_by_key(|(_, lease)| lease.grant.reserved)?.0;
        let mut grant = self.leases.swap_remove(place).grant;
        // Its delay is over.
        grant.delay_ms = 0;
        Some(grant)
    }

    /// Gives back what was held too long. Whether something is left.
    pub fn expire(&mut self, now: u64) -> bool {
        let old = self.give_back(now, |lease| now - lease.given_at >= USE_WITHIN_MS);
        debug_assert!(old.is_empty() || !self.outbox.is_empty(), "what is given back is reported");
        !self.leases.is_empty()
    }

    /// A key failed: what is held of it is of no use.
    pub fn drop_failed(&mut self, key: &str, model: &str, fault: Fault, now: u64) {
        match fault {
            Fault::Key | Fault::Payment => self.give_back(now, |lease| lease.grant.key == key),
            Fault::Quota => self.give_back(now, |lease| lease.grant.key == key && lease.grant.model == model),
            Fault::Model => self.give_back(now, |lease| lease.grant.model == model),
            _ => Vec::new(),
        };
    }

    fn give_back(&mut self, now: u64, which: impl Fn(&Lease) -> bool) -> Vec<u64> {
        let (back, kept): (Vec<Lease>, Vec<Lease>) = self.leases.drain(..).partition(which);
        self.leases = kept;
        back.into_iter()
            .map(|lease| {
                self.report(unused(&lease.grant), now);
                lease.grant.id
            })
            .collect()
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

    /// Grants in hand.
    #[must_use]
    pub fn held(&self) -> usize {
        self.leases.len()
    }
}
