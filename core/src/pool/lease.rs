//! An isolate's leases: grants it was given ahead of the requests they are for, so that a busy isolate asks
//! once for many requests.
//!
//! A grant of a lease is spent once, on a request of the kind it was asked for that needs no more than was
//! reserved, and within the time that bounds revocation; else it is given back. What is given back is handed
//! out by [`Leases::take_back`] and must be reported as never sent.

use super::protocol::{Fault, Grant};
use crate::limits::coordinator::EPOCH_CHECK_MS;
use crate::limits::grant::{DEFAULT_COMPLETION_TOKENS, GRANTS_PER_ASK, USE_WITHIN_MS};
use std::collections::VecDeque;

/// Requests with longer prompts (in estimated tokens) ask each for themselves.
pub const PROMPT_TOKENS_MAX: u64 = 8_192;
/// Grants of a lease are for prompts of at least this size: smaller ones differ too little to be told apart.
const PROMPT_TOKENS_MIN: u64 = 1_024;
/// A grant of a lease is used this much earlier than its time is over, as sending takes time too.
const MARGIN_MS: u64 = 250;
/// Requests of one kind within a second from which on leases are taken.
const BUSY: u64 = 10;
/// A kind that was not used for this long gives back what it holds.
const IDLE_MS: u64 = 1_000;
/// An ask for a lease that was not heard of for this long is taken for lost.
const ASKING_MS: u64 = 1_500;
/// After an ask that brought no lease, for quota is short, none is asked for that long.
const BARREN_MS: u64 = 250;
/// More is asked for when no more is left than is used in this part of a second.
const LOW_PART: u64 = 8;
/// Kinds with leases at a time. What comes beside them asks each time.
const KINDS: usize = 32;
/// The most that one kind holds.
const HELD: usize = 4 * GRANTS_PER_ASK;

/// A request, as far as leases need to know it.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// The model as the client asked.
    pub model: Option<&'a str>,
    /// The models its token may use.
    pub allowed: Option<&'a [String]>,
    /// How large it is.
    pub size: Size,
}

/// How large a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// The client's bound on the answer, if any.
    pub max_completion_tokens: Option<u64>,
}

impl Size {
    /// The size to ask a lease for: this one, rounded up so that it fits most others.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.clamp(PROMPT_TOKENS_MIN, PROMPT_TOKENS_MAX).next_power_of_two(),
            // No more than the default is reserved for an answer.
            max_completion_tokens: self
                .max_completion_tokens
                .map(|most| most.clamp(1, DEFAULT_COMPLETION_TOKENS).next_power_of_two()),
        }
    }

    fn completion(self) -> u64 {
        self.max_completion_tokens
            .map_or(DEFAULT_COMPLETION_TOKENS, |most| most.min(DEFAULT_COMPLETION_TOKENS))
    }

    fn is_within(self, room: Self) -> bool {
        self.prompt_tokens <= room.prompt_tokens && self.completion() <= room.completion()
    }
}

/// Names a kind of request: the model asked for and the models allowed. Numbers never repeat.
pub type KindId = u64;

/// What a request gets of the leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its kind, for [`Leases::add`].
    pub kind: KindId,
    /// The grant to use, its delay counted from now.
    pub grant: Option<Grant>,
    /// How many to ask for now: without a grant 1 or more, the request's own among them; with one those of a
    /// further lease, 0 when there are enough.
    pub ask: u32,
}

/// Requests of about the last second: those of the second under way and a part of those before.
#[derive(Debug, Default)]
struct Used {
    since: u64,
    now: u64,
    before: u64,
}

impl Used {
    fn turn(&mut self, now: u64) {
        match now.checked_sub(self.since) {
            Some(..1_000) => {}
            Some(1_000..2_000) => {
                *self = Self { since: self.since + 1_000, now: 0, before: self.now };
            }
            _ => *self = Self { since: now, now: 0, before: 0 },
        }
    }

    fn count(&mut self, now: u64) {
        self.turn(now);
        self.now += 1;
    }

    fn a_second(&mut self, now: u64) -> u64 {
        self.turn(now);
        self.now + self.before * (1_000 - now.saturating_sub(self.since).min(1_000)) / 1_000
    }
}

#[derive(Debug)]
struct Leased {
    grant: Grant,
    /// When it was asked for: no later than it was given.
    asked_at: u64,
    /// When its delay is over.
    due_at: u64,
    /// What it was asked for.
    room: Size,
}

impl Leased {
    /// Whether it can still be used now, or when it is due. What revokes a token or key relies on this.
    fn is_fresh(&self, now: u64) -> bool {
        self.asked_at <= now && now.max(self.due_at) - self.asked_at <= USE_WITHIN_MS - MARGIN_MS
    }

    /// Whether what is reserved covers that request. The Coordinator corrects estimates before it reserves,
    /// so what is no larger than what was asked for fits, whatever the figures say.
    fn holds(&self, size: Size) -> bool {
        let reserved = self.grant.reserved;
        reserved == 0 || size.is_within(self.room) || size.prompt_tokens + size.completion() <= reserved
    }
}

#[derive(Debug)]
struct Kind {
    id: KindId,
    model: Option<String>,
    allowed: Option<Vec<String>>,
    used: Used,
    used_at: u64,
    /// Until then no (other) lease is asked for.
    asked_until: u64,
    /// Oldest first.
    grants: VecDeque<Leased>,
}

impl Kind {
    fn is_of(&self, need: &Need<'_>) -> bool {
        self.model.as_deref() == need.model && self.allowed.as_deref() == need.allowed
    }

    fn is_idle(&self, now: u64) -> bool {
        self.used_at > now || now - self.used_at > IDLE_MS
    }

    /// The grant that fits and can be used soonest, the oldest of them; and how long it takes.
    fn fitting(&self, size: Size, now: u64, patience_ms: u64) -> Option<(usize, u64)> {
        let mut best: Option<(usize, u64)> = None;
        for (at, leased) in self.grants.iter().enumerate() {
            let wait = leased.due_at.saturating_sub(now);
            let better = best.is_none_or(|(_, least)| wait < least);
            if better && wait <= patience_ms && leased.is_fresh(now) && leased.holds(size) {
                best = Some((at, wait));
                if wait == 0 {
                    break;
                }
            }
        }
        best
    }
}

/// The leases of an isolate.
#[derive(Debug, Default)]
pub struct Leases {
    /// Generation and epoch of the snapshot in use.
    version: (u64, u64),
    kinds: Vec<Kind>,
    kinds_made: KindId,
    back: Vec<Grant>,
    /// When an attempt last failed in a way that may be the upstream's as a whole.
    storm_at: u64,
}

impl Leases {
    /// A request's turn: a grant of the lease if one fits, and how many to ask for. `patience_ms` is how long
    /// it can wait; without a confirmation of the snapshot (`confirmed_at`) in the last seconds it has to ask.
    pub fn take(&mut self, need: &Need<'_>, now: u64, patience_ms: u64, confirmed_at: u64) -> Turn {
        let Some(kind) = self.kind(need, now) else { return Turn { kind: 0, grant: None, ask: 1 } };
        kind.used.count(now);
        kind.used_at = now;
        let confirmed = confirmed_at <= now && now - confirmed_at < EPOCH_CHECK_MS;
        let fitting = confirmed.then(|| kind.fitting(need.size, now, patience_ms)).flatten();
        let grant = fitting.and_then(|(at, delay_ms)| {
            kind.grants.remove(at).map(|leased| Grant { delay_ms, ..leased.grant })
        });
        let (used, held) = (kind.used.a_second(now), kind.grants.len() as u64);
        let low = grant.is_none() || held <= used.div_ceil(LOW_PART).min(GRANTS_PER_ASK as u64 / 2);
        let mut ask = u32::from(grant.is_none());
        if used >= BUSY && low && now >= kind.asked_until {
            let wanted = used.saturating_sub(held).min(GRANTS_PER_ASK as u64);
            ask = ask.max(u32::try_from(wanted).unwrap_or(1));
            if ask > 1 {
                kind.asked_until = now + ASKING_MS;
            }
        }
        Turn { kind: kind.id, grant, ask }
    }

    /// Adds the grants of a lease that was asked for at `asked_at` for requests of that size, under the
    /// (generation, epoch) of the answer.
    pub fn add(
        &mut self,
        kind: KindId,
        size: Size,
        version: (u64, u64),
        grants: impl IntoIterator<Item = Grant>,
        asked_at: u64,
        now: u64,
    ) {
        // What was asked for before the upstream failed is no better than what was given back then.
        let in_force = version == self.version && (self.storm_at < asked_at || self.storm_at == 0);
        let Some(kind) = self.kinds.iter_mut().find(|known| known.id == kind && in_force) else {
            self.back.extend(grants);
            return;
        };
        let before = kind.grants.len();
        for grant in grants {
            if kind.grants.len() < HELD {
                let due_at = now.saturating_add(grant.delay_ms);
                kind.grants.push_back(Leased { grant, asked_at, due_at, room: size });
            } else {
                self.back.push(grant);
            }
        }
        kind.asked_until = if kind.grants.len() > before { now } else { now + BARREN_MS };
    }

    /// A snapshot came into force: what was given under another goes back.
    pub fn install(&mut self, version: (u64, u64)) {
        if self.version != version {
            self.version = version;
            self.give_all_back();
        }
    }

    /// Gives back what nobody is going to use: what is too old, and what is more than is being used.
    pub fn tend(&mut self, now: u64) {
        for kind in &mut self.kinds {
            // Twice of what is used, as its figure wavers.
            let most = if kind.is_idle(now) { 0 } else { 2 * kind.used.a_second(now) };
            while kind.grants.len() as u64 > most {
                self.back.extend(kind.grants.pop_back().map(|leased| leased.grant));
            }
            if kind.grants.iter().any(|leased| !leased.is_fresh(now)) {
                let (fresh, stale) =
                    std::mem::take(&mut kind.grants).into_iter().partition(|leased| leased.is_fresh(now));
                kind.grants = fresh;
                let stale: VecDeque<Leased> = stale;
                self.back.extend(stale.into_iter().map(|leased| leased.grant));
            }
        }
        self.kinds.retain(|kind| !(kind.grants.is_empty() && kind.is_idle(now)));
    }

    /// An attempt with that key and model failed: the leases' grants that would fail likewise go back.
    pub fn failed(&mut self, now: u64, key: &str, model: &str, fault: Fault) {
        if matches!(fault, Fault::Upstream | Fault::Timeout | Fault::Lost) {
            self.storm_at = now;
        }
        let likewise = |grant: &Grant| match fault {
            // It may be the upstream as a whole: whether anybody is sent there is the Coordinator's to say.
            Fault::Upstream | Fault::Timeout | Fault::Lost => true,
            Fault::Key | Fault::Payment => grant.key == key,
            Fault::Quota => grant.key == key && grant.model == model,
            Fault::Queue | Fault::Model => grant.model == model,
            Fault::Path | Fault::Client => false,
        };
        for kind in &mut self.kinds {
            if kind.grants.iter().any(|leased| likewise(&leased.grant)) {
                let (gone, kept): (VecDeque<Leased>, VecDeque<Leased>) =
                    std::mem::take(&mut kind.grants).into_iter().partition(|leased| likewise(&leased.grant));
                kind.grants = kept;
                self.back.extend(gone.into_iter().map(|leased| leased.grant));
            }
        }
    }

    /// Gives everything back.
    pub fn give_all_back(&mut self) {
        for kind in &mut self.kinds {
            self.back.extend(kind.grants.drain(..).map(|leased| leased.grant));
        }
    }

    /// The grants that were given back since this was last asked.
    #[must_use]
    pub fn take_back(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.back)
    }

    /// Whether no grant is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.iter().all(|kind| kind.grants.is_empty())
    }

    /// The kind of that request; `None` when there are too many others.
    fn kind(&mut self, need: &Need<'_>, now: u64) -> Option<&mut Kind> {
        let found = self.kinds.iter().position(|kind| kind.is_of(need));
        let at = match found {
            Some(at) => at,
            None => {
                if self.kinds.len() >= KINDS {
                    let idle = self.kinds.iter().position(|kind| kind.is_idle(now))?;
                    let gone = self.kinds.swap_remove(idle);
                    self.back.extend(gone.grants.into_iter().map(|leased| leased.grant));
                }
                self.kinds_made += 1;
                self.kinds.push(Kind {
                    id: self.kinds_made,
                    model: need.model.map(str::to_owned),
                    allowed: need.allowed.map(<[String]>::to_vec),
                    used: Used::default(),
                    used_at: now,
                    asked_until: 0,
                    grants: VecDeque::new(),
                });
                self.kinds.len() - 1
            }
        };
        self.kinds.get_mut(at)
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
