//! The pool: all that the Coordinator holds in memory, and how reports change it.
//!
//! Every change that must survive comes from [`Pool::apply`], a pure function of (time, settles): the
//! Coordinator writes those down before it answers, and after a restart replays them on top of the last
//! checkpoint, which gives the same state again.

use super::books::{Books, Counter, Dim};
use super::fallback::KnownKey;
use super::faults::{
    COOLING_MAX_MS, COOLING_MIN_MS, COOLING_UNSTATED_MAX_MS, COOLING_UNSTATED_MS, INVALID_FOR_MS,
    MODEL_GONE_FOR_MS, QUEUE_PAUSE_MS, REST_MAX_MS, REST_MS, SUSPENDED_FOR_MS, backoff,
};
use super::keys::{Ban, Cooling, KeyRow, Ready, Roster};
use super::protocol::{Attempt, AttemptEnd, Fault, GrantId, RequestEnd, Settle};
use super::rotation::Turn;
use super::settled::Settled;
use crate::config::Snapshot;
use crate::limits::grant::SENT_LAPSES_MS;
use crate::wire::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// So many models are remembered at the most: under `passthrough` their names come from clients.
const MODELS_KEPT: usize = 1_000;
/// So many models' cooling is remembered in one group.
const COOLINGS_KEPT: usize = 100;

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelState {
    /// Groups that were told it does not exist, and when. Two of them (or the only one) make it gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(String, u64)>,
    /// When something was last held against it. Only an attempt sent later can lift it.
    pub since: u64,
    /// Not used before that time.
    pub gone_until: u64,
    /// Its queue is full: not used before that time. Not persisted: it is over in a moment.
    #[serde(skip)]
    pub pause_until: u64,
}

/// A grant that was given and not settled yet.
#[derive(Debug)]
pub(super) struct Open {
    pub key: String,
    pub lapses_at: u64,
    /// What the rotation charged for it; comes back when it is not used.
    pub paid: i64,
}

/// Rotation of a pool's members.
#[derive(Debug, Default)]
pub(super) struct MemberTurn {
    pub model: String,
    pub weight: i64,
    pub credit: i64,
}

impl Turn for MemberTurn {
    fn weight(&self) -> i64 {
        self.weight
    }
    fn credit(&mut self) -> &mut i64 {
        &mut self.credit
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
    pub(super) models: HashMap<String, ModelState>,
    pub(super) turns: HashMap<String, Vec<MemberTurn>>,
    pub(super) open: HashMap<GrantId, Open>,
    pub(super) settled: Settled,
    pub(super) books: Books,
    pub(super) next_slot_at: u64,
    pub(super) next_ticket: u64,
    /// Persisted states that changed since the last checkpoint.
    pub(super) dirty: HashSet<String>,
    /// Keys whose status may have changed since D1 was told.
    pub(super) dirty_status: HashSet<String>,
    swept_at: u64,
}

/// How many keys are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All keys.
    pub keys: usize,
    /// Those that can serve some model now.
    pub active: usize,
    /// Waiting for quota.
    pub cooling: usize,
    /// Waiting for payment.
    pub suspended: usize,
    /// Refused by the upstream.
    pub invalid: usize,
    /// Switched off.
    pub disabled: usize,
}

/// A key's status as the admin API says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// `active`, `cooling`, `suspended`, `invalid` or `disabled`.
    pub status: String,
    /// Why, for all but `active` and `disabled`.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub until: Option<u64>,
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
            models: HashMap::new(),
            turns: HashMap::new(),
            open: HashMap::new(),
            settled: Settled::default(),
            books: Books::default(),
            next_slot_at: 0,
            next_ticket: 0,
            dirty: HashSet::new(),
            dirty_status: HashSet::new(),
            swept_at: 0,
        }
    }

    /// Takes a configuration, keeping what is known of keys and models that stay.
    pub fn configure(&mut self, snapshot: Snapshot, keys: Vec<KeyRow>) {
        self.turns.clear();
        self.tokens =
            snapshot.tokens.iter().enumerate().map(|(place, token)| (token.id.clone(), place)).collect();
        self.snapshot = snapshot;
        self.roster.configure(keys);
    }

    /// The configuration in force.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Applies reports: books, penalties, what was reserved. A number that was settled before changes nothing.
    pub fn apply(&mut self, now: u64, settles: &[Settle]) {
        for settle in settles {
            if !self.settled.note(now, settle.id) {
                continue;
            }
            let open = self.open.remove(&settle.id);
            if let Some(attempt) = &settle.attempt {
                if attempt.end == AttemptEnd::Unused {
                    if let Some(open) = open
                        && let Some(slot) = self.roster.slot(&open.key)
                    {
                        slot.credit += open.paid;
                    }
                } else {
                    self.count_attempt(now, attempt);
                    self.judge(now.saturating_sub(settle.age_ms), attempt);
                }
            }
            if let Some(request) = &settle.request {
                self.count_request(now, request);
            }
        }
        if now >= self.swept_at.saturating_add(1_000) {
            self.swept_at = now;
            self.settled.forget_before(now);
            self.open.retain(|_, open| open.lapses_at > now);
        }
    }

    /// Notes that these were applied before the checkpoint: only their numbers still matter.
    pub fn remember(&mut self, at: u64, settles: &[Settle]) {
        for settle in settles {
            self.settled.note(at, settle.id);
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
        self.books.record(Dim::Key, &attempt.key, now, &count);
        // Names that the upstream never answered to come from clients (under `passthrough`) and have no end.
        let known = matches!(attempt.end, AttemptEnd::Ok | AttemptEnd::Cut)
            || self.books.total(Dim::Model, &attempt.model).requests > 0;
        if known {
            self.books.record(Dim::Model, &attempt.model, now, &count);
        }
    }

    fn count_request(&mut self, now: u64, request: &RequestEnd) {
        let count = counter(now, &request.usage, request.error, request.cut);
        self.books.record(Dim::Token, &request.token, now, &count);
        self.books.record(Dim::Pool, "", now, &count);
    }

    /// What an attempt's end says of its key, group and model.
    fn judge(&mut self, ended_at: u64, attempt: &Attempt) {
        let sent_at = ended_at.saturating_sub(attempt.duration_ms);
        match attempt.end {
            AttemptEnd::Unused => {}
            AttemptEnd::Ok | AttemptEnd::Cut => self.forgive(sent_at, attempt),
            AttemptEnd::Failed(fault) => self.punish(ended_at, fault, attempt),
        }
    }

    /// A success ends what was held against key, group and model, unless that is newer than the attempt.
    fn forgive(&mut self, sent_at: u64, attempt: &Attempt) {
        if let Some(slot) = self.roster.slot(&attempt.key) {
            let lifted = slot.state.invalid.as_ref().is_some_and(|ban| ban.since <= sent_at);
            if lifted {
                slot.state.invalid = None;
            }
            if lifted || slot.state.failures > 0 && slot.state.failed_at <= sent_at {
                slot.state.failures = 0;
                slot.state.rest_until = 0;
                self.touch_key(&attempt.key);
            }
        }
        if let Some(group) = self.roster.group_of(&attempt.key) {
            let before = group.state.cooling.len();
            // What was sent before the bucket ran empty says nothing of it; a success after the stated time ends
            // the row of strikes.
            group.state.cooling.retain(|cooling| cooling.model != attempt.model || cooling.until > sent_at);
            let lifted = group.state.suspended.as_ref().is_some_and(|ban| ban.since <= sent_at);
            if lifted {
                group.state.suspended = None;
            }
            if lifted || before != group.state.cooling.len() {
                self.touch_group(&attempt.key);
            }
        }
        if self.models.get(&attempt.model).is_some_and(|model| model.since <= sent_at) {
            self.models.remove(&attempt.model);
            self.dirty.insert(format!("model:{}", attempt.model));
        }
    }

    /// The fault table's effects.
    fn punish(&mut self, now: u64, fault: Fault, attempt: &Attempt) {
        let ban =
            |lasts: u64, reason: &str| Ban { since: now, until: now + lasts, reason: reason.to_owned() };
        match fault {
            Fault::Client | Fault::Path => {}
            Fault::Queue => {
                // Jitter from the attempt's own length spreads those who come back.
                let pause = QUEUE_PAUSE_MS + attempt.duration_ms % QUEUE_PAUSE_MS;
                self.make_room_for_model(&attempt.model, now);
                let model = self.models.entry(attempt.model.clone()).or_default();
                model.since = now;
                model.pause_until = model.pause_until.max(now + pause);
            }
            Fault::Key => {
                if let Some(slot) = self.roster.slot(&attempt.key) {
                    slot.state.invalid = Some(ban(INVALID_FOR_MS, "refused by the upstream"));
                    self.touch_key(&attempt.key);
                }
            }
            Fault::Payment => {
                if let Some(group) = self.roster.group_of(&attempt.key) {
                    group.state.suspended = Some(ban(SUSPENDED_FOR_MS, "payment required"));
                    self.touch_group(&attempt.key);
                }
            }
            Fault::Quota => self.cool(now, attempt),
            Fault::Model => self.model_missing(now, attempt),
            Fault::Upstream | Fault::Timeout | Fault::Lost => {
                if let Some(slot) = self.roster.slot(&attempt.key) {
                    slot.state.failures = slot.state.failures.saturating_add(1);
                    slot.state.failed_at = now;
                    let rest = backoff(REST_MS, slot.state.failures, REST_MAX_MS);
                    slot.state.rest_until = slot.state.rest_until.max(now + rest);
                    self.touch_key(&attempt.key);
                }
            }
        }
    }

    /// The group's bucket for that model is empty: it cools until the stated time, or the later one of two.
    fn cool(&mut self, now: u64, attempt: &Attempt) {
        let Some(group) = self.roster.group_of(&attempt.key) else { return };
        group.state.cooling.retain(|cooling| cooling.until + COOLING_UNSTATED_MAX_MS > now);
        let cooling = &mut group.state.cooling;
        let place = cooling.iter().position(|entry| entry.model == attempt.model).unwrap_or_else(|| {
            if cooling.len() >= COOLINGS_KEPT {
                let soonest = cooling.iter().enumerate().min_by_key(|(_, entry)| entry.until);
                if let Some((place, _)) = soonest {
                    cooling.swap_remove(place);
                }
            }
            cooling.push(Cooling { model: attempt.model.clone(), ..Cooling::default() });
            cooling.len() - 1
        });
        let Some(entry) = cooling.get_mut(place) else { return };
        let wait = match attempt.retry_after_ms {
            Some(stated) => stated.clamp(COOLING_MIN_MS, COOLING_MAX_MS),
            None => {
                // Several requests in flight can bounce off the same empty bucket: that is one strike.
                if now >= entry.until {
                    entry.strikes = entry.strikes.saturating_add(1);
                }
                backoff(COOLING_UNSTATED_MS, entry.strikes, COOLING_UNSTATED_MAX_MS)
            }
        };
        entry.until = entry.until.max(now + wait);
        self.touch_group(&attempt.key);
    }

    /// One group says that a model does not exist: a second one (or the lack of one) confirms it.
    fn model_missing(&mut self, now: u64, attempt: &Attempt) {
        let Some(group) = self.roster.group_of(&attempt.key).map(|group| group.name.clone()) else { return };
        let groups = self.roster.groups.len();
        self.make_room_for_model(&attempt.model, now);
        let model = self.models.entry(attempt.model.clone()).or_default();
        model.missing.retain(|(name, at)| *name != group && at + MODEL_GONE_FOR_MS > now);
        model.since = now;
        model.missing.push((group, now));
        if model.missing.len() >= 2.min(groups) {
            model.gone_until = now + MODEL_GONE_FOR_MS;
        }
        self.dirty.insert(format!("model:{}", attempt.model));
    }

    /// Keeps what is known of models bounded: the one whose state ends soonest makes room.
    fn make_room_for_model(&mut self, model: &str, now: u64) {
        if self.models.len() < MODELS_KEPT || self.models.contains_key(model) {
            return;
        }
        let ends = |state: &ModelState| state.gone_until.max(state.pause_until).max(now);
        if let Some(name) =
            self.models.iter().min_by_key(|(_, state)| ends(state)).map(|(name, _)| name.clone())
        {
            self.models.remove(&name);
            self.dirty.insert(format!("model:{name}"));
        }
    }

    fn touch_key(&mut self, key: &str) {
        self.dirty.insert(format!("key:{key}"));
        self.dirty_status.insert(key.to_owned());
    }

    fn touch_group(&mut self, key: &str) {
        let Some(place) =
            self.roster.position(key).and_then(|at| self.roster.slots.get(at)).map(|slot| slot.group)
        else {
            return;
        };
        if let Some(group) = self.roster.groups.get(place) {
            self.dirty.insert(format!("group:{}", group.name));
        }
        for slot in self.roster.slots.iter().filter(|slot| slot.group == place) {
            self.dirty_status.insert(slot.row.id.clone());
        }
    }

    /// A key's status at that time; `None` for an unknown key.
    #[must_use]
    pub fn key_status(&self, key: &str, now: u64) -> Option<KeyStatus> {
        let slot = self.roster.slots.get(self.roster.position(key)?)?;
        let group = self.roster.groups.get(slot.group)?;
        let status = |status: &str, reason: Option<String>, until: Option<u64>| {
            Some(KeyStatus { status: status.to_owned(), reason, until })
        };
        if !slot.row.enabled {
            return status("disabled", None, None);
        }
        if let Some(ban) = slot.state.invalid.as_ref().filter(|ban| ban.until > now) {
            return status("invalid", Some(ban.reason.clone()), Some(ban.until));
        }
        if let Some(ban) = group.state.suspended.as_ref().filter(|ban| ban.until > now) {
            return status("suspended", Some(ban.reason.clone()), Some(ban.until));
        }
        let cooling =
            group.state.cooling.iter().filter(|cooling| cooling.until > now).max_by_key(|c| c.until);
        if let Some(cooling) = cooling {
            return status("cooling", Some(format!("quota of {}", cooling.model)), Some(cooling.until));
        }
        if slot.state.rest_until > now {
            return status("cooling", Some("upstream faults".to_owned()), Some(slot.state.rest_until));
        }
        status("active", None, None)
    }

    /// How many keys are in which state.
    #[must_use]
    pub fn summary(&self, now: u64) -> Summary {
        let mut summary = Summary { keys: self.roster.slots.len(), ..Summary::default() };
        for slot in &self.roster.slots {
            let status = self.key_status(&slot.row.id, now).map(|status| status.status).unwrap_or_default();
            match status.as_str() {
                "active" => summary.active += 1,
                "cooling" => summary.cooling += 1,
                "suspended" => summary.suspended += 1,
                "invalid" => summary.invalid += 1,
                _ => summary.disabled += 1,
            }
        }
        summary
    }

    /// Up to `most` usable keys for the KV document, sealed.
    #[must_use]
    pub fn known_keys(&self, now: u64, most: usize) -> Vec<KnownKey> {
        let mark = u64::MAX;
        self.roster
            .slots
            .iter()
            .filter(|slot| Roster::ready(&self.roster.groups, slot, mark, "", now, false) != Ready::Never)
            .take(most)
            .map(|slot| KnownKey {
                id: slot.row.id.clone(),
                sealed: slot.row.sealed.clone(),
                provider: slot.row.provider.clone(),
                base_url: slot.row.base_url.clone(),
            })
            .collect()
    }

    /// The books.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
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
