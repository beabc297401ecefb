//! The pool: all that the Coordinator holds in memory, and how reports change it.
//!
//! Every change that must survive comes from [`Pool::apply`], a pure function of (time, settles): the
//! Coordinator writes those down before it answers, and after a restart replays them on top of the last
//! checkpoint, which gives the same state again. What leases took is written down too ([`Pool::regive`]).

use super::books::{Books, Counter, Dim};
use super::breaker::Breaker;
use super::catalog::Catalog;
use super::decisions::Decisions;
use super::keys::{KeyRow, Roster};
use super::kinship::Kinship;
use super::line::Line;
use super::models::Models;
use super::protocol::{Attempt, AttemptEnd, GrantId, RequestEnd, Settle};
use super::quota::{Deviation, Quota};
use super::rotation::Turn;
use super::settled::Settled;
use super::stories::Stories;
use super::tenants::{Taken, Tenants};
use crate::config::{Snapshot, TokenLimits};
use crate::limits::grant::SENT_LAPSES_MS;
use crate::wire::headers::{Counted, LimitReading, Window};
use crate::wire::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Pages in which quotas are persisted: an object pays for rows written, whatever their length.
pub(super) const QUOTA_PAGES: u64 = 64;

/// A grant that was given and not settled yet.
#[derive(Debug)]
pub(super) struct Open {
    pub key: String,
    pub model: String,
    pub lapses_at: u64,
    /// Tokens reserved for it.
    pub reserved: u64,
    /// What the rotation charged for it; comes back when it is not used.
    pub paid: i64,
    /// The client token and what was taken of its limits.
    pub tenant: Option<(String, Taken)>,
}

/// Rotation of a pool's members.
#[derive(Debug, Default)]
pub(super) struct MemberTurn {
    pub model: String,
    pub weight: i64,
    pub credit: i64,
    /// Turns taken of all members; counted at the first.
    pub turns: u64,
}

impl Turn for MemberTurn {
    fn weight(&self) -> i64 {
        self.weight
    }
    fn credit(&mut self) -> &mut i64 {
        &mut self.credit
    }
}

/// How well the twin foresees the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foresight {
    /// Limits read from headers and compared with what was held.
    pub readings: u64,
    /// Sum of the differences, in millionths of the limit.
    pub off_millionths: u64,
    /// 429s of quotas that the twin would have let pass.
    pub unforeseen_429s: u64,
    /// 429s of quotas that came while the group was cooling already.
    pub expected_429s: u64,
    /// Attempts sent.
    pub sent: u64,
}

impl Foresight {
    pub(super) fn add(&mut self, deviation: Deviation) {
        self.readings += deviation.readings;
        self.off_millionths += deviation.millionths;
    }
}

/// All that the Coordinator holds in memory.
#[derive(Debug)]
pub struct Pool {
    pub(super) incarnation: u64,
    pub(super) next_grant: u64,
    pub(super) snapshot: Snapshot,
    /// Places of the snapshot's tokens by id.
    pub(super) tokens: HashMap<String, usize>,
    pub(super) roster: Roster,
    pub(super) models: Models,
    pub(super) turns: HashMap<String, Vec<MemberTurn>>,
    pub(super) open: HashMap<GrantId, Open>,
    pub(super) settled: Settled,
    pub(super) books: Books,
    pub(super) line: Line,
    pub(super) tenants: Tenants,
    pub(super) kinship: Kinship,
    /// By number of the provider.
    pub(super) breakers: HashMap<u32, Breaker>,
    pub(super) decisions: Decisions,
    pub(super) stories: Stories,
    /// The provider's public list of models, as last fetched.
    pub(super) catalog: Catalog,
    pub(super) foresight: Foresight,
    /// When each isolate last asked.
    pub(super) askers: HashMap<u64, u64>,
    pub(super) asks: u64,
    /// Of keys that were not known to work, how many did when they were tried, and how many did not.
    pub(super) untested: (u64, u64),
    /// Turns given back since the last report was applied, by provider.
    untaken: HashMap<u32, i64>,
    pub(super) next_slot_at: u64,
    pub(super) next_ticket: u64,
    /// Persisted states that changed since the last checkpoint.
    pub(super) dirty: HashSet<String>,
    /// Keys whose status may have changed since D1 was told.
    pub(super) dirty_status: HashSet<String>,
    swept_at: u64,
    /// The latest time it was told.
    clock: u64,
}

impl Pool {
    /// Empty, for the Coordinator's `incarnation` (raised at each start, so that grant numbers never repeat).
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            next_grant: 0,
            snapshot: Snapshot::default(),
            tokens: HashMap::new(),
            roster: Roster::default(),
            models: Models::default(),
            turns: HashMap::new(),
            open: HashMap::new(),
            settled: Settled::default(),
            books: Books::default(),
            line: Line::default(),
            tenants: Tenants::default(),
            kinship: Kinship::default(),
            breakers: HashMap::new(),
            decisions: Decisions::default(),
            stories: Stories::new(incarnation),
            catalog: Catalog::default(),
            foresight: Foresight::default(),
            askers: HashMap::new(),
            asks: 0,
            untested: (0, 0),
            untaken: HashMap::new(),
            next_slot_at: 0,
            next_ticket: 0,
            dirty: HashSet::new(),
            dirty_status: HashSet::new(),
            swept_at: 0,
            clock: 0,
        }
    }

    /// Takes a configuration, keeping what is known of keys and models that stay.
    pub fn configure(&mut self, snapshot: Snapshot, keys: Vec<KeyRow>) {
        self.turns.clear();
        self.tokens =
            snapshot.tokens.iter().enumerate().map(|(place, token)| (token.id.clone(), place)).collect();
        self.snapshot = snapshot;
        let moved = self.roster.configure(keys);
        self.models.regroup(&moved);
        // Breakers stay: an operator's change in an outage must not send everybody there at once.
        for breaker in self.breakers.values_mut() {
            breaker.regroup(&moved);
        }
        let overrides = &self.snapshot.settings.limit_overrides;
        for (name, model) in self.models.iter_mut() {
            let groups: Vec<usize> = model.quotas().map(|(group, _)| group).collect();
            for group in groups {
                let Some(of) = self.roster.groups.get(group) else { continue };
                let figures = figures(overrides, &of.name, name);
                model.with_known(group, |quota| quota.fix(self.clock, &figures));
            }
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Applies reports: books, penalties, what was reserved. A number that was settled before changes nothing.
    pub fn apply(&mut self, now: u64, settles: &[Settle]) {
        self.clock = now;
        for settle in settles {
            if !self.settled.note(now, settle.id) {
                continue;
            }
            let at = now.saturating_sub(settle.age_ms);
            if let Some(reading) = &settle.reading {
                let own = self.open.get(&reading.grant).map_or(0, |open| open.reserved);
                self.read((now, at), &reading.key, &reading.model, &reading.limits, own, false);
            }
            let mut tenant = None;
            let mut is_forgotten = false;
            if let Some(attempt) = &settle.attempt {
                let mut open = self.open.remove(&settle.id);
                is_forgotten = open.is_none();
                tenant = open.as_mut().and_then(|open| open.tenant.take());
                if let Some(open) = &open {
                    self.close(open);
                }
                if attempt.end == AttemptEnd::Unused {
                    if let Some(open) = open {
                        self.unused(at, settle.id, &open);
                    }
                    if let Some((token, taken)) = tenant.take() {
                        let limits = self.limits_of(&token);
                        self.tenants.give_back(now, &token, &limits, &taken);
                    }
                } else {
                    self.count_attempt(now, attempt);
                    self.judge((now, at), settle.id, attempt, open.as_ref());
                }
            }
            if let Some(request) = &settle.request {
                self.count_request(now, request);
                self.stories.note(at, settle);
                let used = request.usage.prompt_tokens + request.usage.completion_tokens;
                let limits = self.limits_of(&request.token);
                if is_forgotten {
                    self.tenants.settle_forgotten(now, &request.token, &limits, used);
                } else {
                    let taken = tenant.take();
                    let taken = taken.as_ref().map(|(_, taken)| taken);
                    self.tenants.settle(now, &request.token, &limits, taken, used);
                }
            }
            // An attempt that failed, and not the request's last: it used nothing.
            if let Some((token, taken)) = tenant {
                let limits = self.limits_of(&token);
                self.tenants.settle(now, &token, &limits, Some(&taken), 0);
            }
        }
        self.undo_turns(now);
        if now >= self.swept_at.saturating_add(1_000) || now < self.swept_at {
            self.swept_at = now;
            self.sweep(now);
        }
    }

    fn limits_of(&self, token: &str) -> TokenLimits {
        self.token(token).map(|token| token.limits).unwrap_or_default()
    }

    /// A grant is no longer under way.
    fn close(&mut self, open: &Open) {
        let group = self.roster.slot(&open.key).map(|slot| {
            slot.open = slot.open.saturating_sub(1);
            slot.group
        });
        let Some(group) = group else { return };
        if let Some(group) = self.roster.groups.get_mut(group) {
            group.open = group.open.saturating_sub(1);
        }
        if let Some(model) = self.models.get_mut(&open.model) {
            model.with_known(group, |quota| quota.close(open.reserved));
        }
    }

    /// A grant was never sent: all that was taken for it comes back.
    fn unused(&mut self, at: u64, id: GrantId, open: &Open) {
        let Some(place) = self.roster.position(&open.key) else { return };
        let Some(lane) = self.roster.lanes.get_mut(place) else { return };
        lane.credit += open.paid;
        let (group, provider) = (lane.group as usize, lane.provider);
        *self.untaken.entry(provider).or_default() += 1;
        if let Some(model) = self.models.get_mut(&open.model) {
            model.with_known(group, |quota| quota.settle(at, open.reserved, 0, 0, false));
        }
        if let Some(breaker) = self.breakers.get_mut(&provider) {
            breaker.unproven(id);
        }
        if let Some(of) = self.roster.groups.get(group) {
            self.kinship.failed(&of.name, &open.model, id, true);
        }
        self.touch_quota(group);
    }

    /// In each turn that was not taken after all everybody gained a share.
    fn undo_turns(&mut self, now: u64) {
        for (provider, turns) in self.untaken.drain() {
            for (lane, hold) in self.roster.lanes.iter_mut().zip(&self.roster.holds) {
                if lane.provider == provider && hold.barred_until <= now {
                    lane.credit -= turns * i64::from(lane.share);
                }
            }
        }
    }

    /// Reports of limits, from the head of an answer written at `at`.
    pub(super) fn read(
        &mut self,
        (now, at): (u64, u64),
        key: &str,
        model: &str,
        limits: &[LimitReading],
        own: u64,
        at_the_end: bool,
    ) {
        let Some(group) = self.roster.group_at(key) else { return };
        let Some(of) = self.models.get_mut(model) else { return };
        let Some(deviation) = of.with_known(group, |quota| quota.read(now, at, limits, own, at_the_end))
        else {
            return;
        };
        self.foresight.add(deviation);
        self.touch_quota(group);
    }

    fn sweep(&mut self, now: u64) {
        self.settled.forget_before(now);
        let mut lapsed: Vec<GrantId> =
            self.open.iter().filter(|(_, open)| open.lapses_at <= now).map(|(id, _)| *id).collect();
        lapsed.sort_unstable();
        for id in lapsed {
            // It counts as sent, outcome unknown: its reservation stays taken, and refills.
            if let Some(mut open) = self.open.remove(&id) {
                self.close(&open);
                if let Some((token, taken)) = open.tenant.take() {
                    let limits = self.limits_of(&token);
                    self.tenants.lapse(now, &token, &limits, &taken);
                }
            }
        }
        self.line.sweep(now);
        self.models.sweep(now);
        self.askers.retain(|_, asked| *asked + 10_000 > now);
    }

    /// Notes that these were applied before the checkpoint: only their numbers still matter.
    pub fn remember(&mut self, at: u64, settles: &[Settle]) {
        for settle in settles {
            self.settled.note(at, settle.id);
            if let Some(open) = self.open.remove(&settle.id) {
                self.close(&open);
            }
        }
    }

    /// Streams that are still open keep their grants.
    pub fn renew(&mut self, now: u64, grants: &[GrantId]) {
        for grant in grants {
            if let Some(open) = self.open.get_mut(grant) {
                open.lapses_at = now + SENT_LAPSES_MS;
            }
        }
    }

    fn count_attempt(&mut self, now: u64, attempt: &Attempt) {
        let count = counter(
            now,
            &attempt.usage,
            matches!(attempt.end, AttemptEnd::Failed(_)),
            attempt.end == AttemptEnd::Cut,
        );
        self.books.record(Dim::Key, &attempt.key, now, &count, None);
        // Names that the upstream never answered to come from clients (under `passthrough`) and have no end.
        let known = matches!(attempt.end, AttemptEnd::Ok | AttemptEnd::Cut)
            || self.books.total(Dim::Model, &attempt.model).requests > 0;
        if known {
            self.books.record(Dim::Model, &attempt.model, now, &count, None);
        }
    }

    fn count_request(&mut self, now: u64, request: &RequestEnd) {
        let count = counter(now, &request.usage, request.error, request.cut);
        self.books.record(Dim::Token, &request.token, now, &count, Some(request));
        self.books.record(Dim::Pool, "", now, &count, Some(request));
        if self.books.total(Dim::Model, &request.model).requests > 0 {
            // Its attempts are counted already.
            self.books.record(Dim::Model, &request.model, now, &Counter::default(), Some(request));
        }
    }

    pub(super) fn touch_key(&mut self, key: &str) {
        self.dirty.insert(format!("key:{key}"));
        self.dirty_status.insert(key.to_owned());
        self.roster.refresh_key(key);
    }

    /// The group's standing changed, and with it the status of its keys.
    pub(super) fn touch_group(&mut self, group: usize) {
        self.roster.refresh_group(group);
        let Some(of) = self.roster.groups.get(group) else { return };
        self.dirty.insert(format!("group:{}", of.name));
        let slots = of.keys.iter().filter_map(|at| self.roster.slots.get(*at));
        self.dirty_status.extend(slots.map(|slot| slot.row.id.clone()));
    }

    /// A quota of the group changed.
    pub(super) fn touch_quota(&mut self, group: usize) {
        if let Some(of) = self.roster.groups.get(group) {
            self.dirty.insert(format!("quotas:{}", page_of(&of.name)));
        }
    }
}

fn counter(now: u64, usage: &Usage, failed: bool, cut: bool) -> Counter {
    let mut count = Counter {
        requests: 1,
        errors: u64::from(failed),
        cut: u64::from(cut),
        last_used_at: now,
        ..Counter::default()
    };
    if usage.estimated {
        count.estimated_prompt_tokens = usage.prompt_tokens;
        count.estimated_completion_tokens = usage.completion_tokens;
    } else {
        count.prompt_tokens = usage.prompt_tokens;
        count.completion_tokens = usage.completion_tokens;
        count.cached_tokens = usage.cached_tokens;
    }
    count
}

/// The page on which a group's quotas are persisted (FNV-1a of its name).
pub(super) fn page_of(group: &str) -> u64 {
    let hash = group.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % QUOTA_PAGES
}

/// The operator's figures for one (group, model). Later entries go before earlier ones.
pub(super) fn figures(
    overrides: &[crate::config::LimitOverride],
    group: &str,
    model: &str,
) -> Vec<(Counted, Window, u64)> {
    let name = group.strip_prefix("group:").or_else(|| group.strip_prefix("key:")).unwrap_or(group);
    let mut found: Vec<(Counted, Window, u64)> = Vec::new();
    for entry in overrides {
        if !(entry.group.is_empty() || entry.group == name)
            || !(entry.model.is_empty() || entry.model == model)
        {
            continue;
        }
        for (what, window, figure) in [
            (Counted::Requests, Window::Minute, entry.requests_per_minute),
            (Counted::Tokens, Window::Minute, entry.tokens_per_minute),
            (Counted::Tokens, Window::Day, entry.tokens_per_day),
        ] {
            let Some(figure) = figure else { continue };
            found.retain(|(other, over, _)| (*other, *over) != (what, window));
            found.push((what, window, figure));
        }
    }
    found
}

/// A quota made for a grant, with the operator's figures.
pub(super) fn new_quota(snapshot: &Snapshot, group: &str, model: &str, now: u64) -> Quota {
    let mut quota = Quota::default();
    let figures = figures(&snapshot.settings.limit_overrides, group, model);
    quota.fix(now, &figures);
    quota
}
