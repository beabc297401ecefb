//! Choosing a key for a model: smooth weighted round robin over those that can serve at a moment.
//!
//! A scan compares each key's lane with cheap bounds; only the one whose turn it is is looked at exactly. If it
//! does not fit after all the others are put in order ([`super::turns`]), so that who can't serve neither gains
//! nor pays.

use super::keys::{Hold, Lane, Roster};
use super::models::Model;
use super::quota::When;

/// Skipped keys that a decision names.
const NAMED: usize = 12;
/// A key on probation is not tried with a larger request than this while others can serve.
const SMALL_TOKENS: u64 = 20_000;

/// Why a key is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// It failed this request already, or belongs to another provider.
    Excluded,
    /// Disabled, refused by the upstream or unpaid.
    Barred,
    /// Rests after faults of the upstream.
    Resting,
    /// Its pace does not let it send yet.
    Paced,
    /// Its quota for the model does not hold the request yet.
    Quota,
    /// Its group does not have the model.
    Missing,
    /// It is being tried, or its limits are being learned, by another request.
    AfterOthers,
    /// The request is larger than its quota.
    TooLarge,
    /// Not tried yet, or refused before, while others are known to answer.
    Unproven,
}

/// What a scan saw, for explaining it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Keys that could serve.
    pub candidates: u32,
    /// Keys passed over.
    pub passed_over: u32,
    /// The first of them: place, why, until when (0: not a matter of time).
    pub named: Vec<(usize, Skipped, u64)>,
}

impl Seen {
    fn skip(&mut self, at: usize, why: Skipped, until: u64) {
        self.passed_over += 1;
        if self.named.len() < NAMED {
            self.named.push((at, why, until));
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Number of the provider.
    pub provider: u32,
    /// Tokens to reserve.
    pub tokens: u64,
    /// Ask even groups that are known not to have the model: the client insists.
    pub insist: bool,
    /// Respect rests for the upstream's sake.
    pub soft: bool,
    /// Only keys that have answered before.
    pub proven: bool,
}

/// Whether, and from when on, a key can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// From that time on.
    From(u64),
    /// Not a matter of time alone, and why. With the time it ends by itself, or the largest request it takes.
    No(Skipped, u64),
}

/// When somebody can serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The soonest, as far as it can be computed.
    pub at: Option<u64>,
    /// Somebody can once another request has ended.
    pub after_others: bool,
    /// Somebody would, but the request is too large: the largest that is taken.
    pub too_large: Option<u64>,
}

/// The cheap bounds of all lanes, and what is looked for. Scans compare with them first: at 20,000 keys a nanosecond
/// each counts.
pub(super) struct Bounds<'a> {
    ready: &'a [u64],
    mark: u32,
    provider: u32,
    now: u64,
    by: u64,
    proven: bool,
    soft: bool,
}

impl<'a> Bounds<'a> {
    pub fn of(model: Option<&'a Model>, mark: u32, need: &Need, now: u64, by: u64) -> Self {
        let ready = model.map_or(&[][..], Model::bounds);
        Self { ready, mark, provider: need.provider, now, by, proven: need.proven, soft: need.soft }
    }

    /// Whether the lane may serve by then: the same as nothing being said by [`passed_over`].
    #[inline]
    pub fn may(&self, lane: &Lane, hold: &Hold) -> bool {
        let ready_at = self.ready.get(lane.group as usize).copied().unwrap_or(0);
        (ready_at <= self.by) & (lane.mark != self.mark) & (lane.provider == self.provider)
            && self.lets(lane, hold)
    }

    /// The same of what the key itself is held for.
    #[inline]
    fn lets(&self, lane: &Lane, hold: &Hold) -> bool {
        (lane.clear_at <= self.now) & !self.proven
            || (hold.barred_until <= self.now)
                & (hold.next_at <= self.by)
                & (hold.proven | !self.proven)
                & (!self.soft | (hold.rest_until <= self.now))
    }
}

/// Why a lane is passed over, and until when. `None` when it may serve by then.
fn passed_over(
    (lane, hold): (&Lane, &Hold),
    model: Option<&Model>,
    mark: u32,
    need: &Need,
    now: u64,
    by: u64,
) -> Option<(Skipped, u64)> {
    if lane.mark == mark || lane.provider != need.provider {
        return Some((Skipped::Excluded, 0));
    }
    if hold.barred_until > now {
        return Some((Skipped::Barred, hold.barred_until));
    }
    let ready_at = model.map_or(0, |model| model.ready_at(lane.group as usize));
    if ready_at > by {
        return Some((Skipped::Quota, ready_at));
    }
    if hold.next_at > by {
        return Some((Skipped::Paced, hold.next_at));
    }
    if need.proven && !hold.proven {
        return Some((Skipped::Unproven, 0));
    }
    if need.soft && hold.rest_until > now {
        return Some((Skipped::Resting, hold.rest_until));
    }
    None
}

impl Roster {
    /// Exactly when the key at that place can serve.
    pub fn fits(&self, at: usize, model: Option<&Model>, need: &Need, now: u64) -> Fits {
        let (Some(lane), Some(hold), Some(slot)) =
            (self.lanes.get(at), self.holds.get(at), self.slots.get(at))
        else {
            return Fits::No(Skipped::Excluded, 0);
        };
        if lane.mark == self.mark() || lane.provider != need.provider {
            return Fits::No(Skipped::Excluded, 0);
        }
        if hold.barred_until > now {
            return Fits::No(Skipped::Barred, hold.barred_until);
        }
        let Some(group) = self.groups.get(slot.group) else { return Fits::No(Skipped::Excluded, 0) };
        // After a ban one request at a time tells whether it is over; a small one, while others can serve.
        let on_trial = (slot.state.invalid.is_some(), group.state.suspended.is_some());
        if on_trial.0 && slot.open > 0 || on_trial.1 && group.open > 0 {
            return Fits::No(Skipped::AfterOthers, 0);
        }
        if (on_trial.0 || on_trial.1) && need.soft && need.tokens > SMALL_TOKENS {
            return Fits::No(Skipped::AfterOthers, 0);
        }
        let rest = if need.soft { hold.rest_until } else { 0 };
        let from = rest.max(hold.next_at);
        let Some(quota) = model.and_then(|model| model.quota(slot.group)) else { return Fits::From(from) };
        if quota.missing_until > now && !need.insist {
            return Fits::No(Skipped::Missing, quota.missing_until);
        }
        match quota.when(need.tokens) {
            When::From(at) => Fits::From(from.max(at)),
            When::AfterOthers => Fits::No(Skipped::AfterOthers, 0),
            When::Never(largest) => Fits::No(Skipped::TooLarge, largest),
        }
    }

    /// Takes the next key that can serve by then, and to whose group `also` agrees. Returns its place and what it paid.
    pub fn take(
        &mut self,
        model: Option<&Model>,
        need: &Need,
        now: u64,
        by: u64,
        mut also: impl FnMut(usize) -> bool,
        mut seen: Option<&mut Seen>,
    ) -> Option<(usize, i64)> {
        let (at, total) = self.richest(model, need, now, by, seen.as_deref_mut())?;
        let group = self.slots.get(at).map_or(usize::MAX, |slot| slot.group);
        let unfit = match self.fits(at, model, need, now) {
            Fits::From(from) if from <= by && also(group) => {
                if let Some(lane) = self.lanes.get_mut(at) {
                    lane.credit -= total;
                }
                return Some((at, total));
            }
            Fits::From(from) => (Skipped::Quota, from),
            Fits::No(why, until) => (why, until),
        };
        if let Some(seen) = seen {
            seen.candidates = seen.candidates.saturating_sub(1);
            seen.skip(at, unfit.0, unfit.1);
        }
        let mut turns = self.turns(model, need, now, by, true);
        let taken = self.next(&mut turns, model, also);
        self.settle(turns);
        taken
    }

    /// The one whose turn it is by the bounds, and what all that may serve have gained: each has its share.
    fn richest(
        &mut self,
        model: Option<&Model>,
        need: &Need,
        now: u64,
        by: u64,
        mut seen: Option<&mut Seen>,
    ) -> Option<(usize, i64)> {
        let mark = self.mark();
        let bounds = Bounds::of(model, mark, need, now, by);
        let mut best: Option<usize> = None;
        let (mut most, mut total, mut count) = (i64::MIN, 0, 0);
        let mut unnamed = seen.as_ref().map_or(0, |seen| NAMED.saturating_sub(seen.named.len()));
        for (at, (lane, hold)) in self.lanes.iter_mut().zip(&self.holds).enumerate() {
            if bounds.may(lane, hold) {
                let share = i64::from(lane.share);
                count += 1;
                total += share;
                lane.credit += share;
                if lane.credit > most {
                    (best, most) = (Some(at), lane.credit);
                }
            } else if unnamed > 0
                && let Some(seen) = seen.as_deref_mut()
                && let Some((why, until)) = passed_over((lane, hold), model, mark, need, now, by)
            {
                unnamed -= 1;
                seen.named.push((at, why, until));
            }
        }
        if let Some(seen) = seen {
            seen.candidates += count;
            seen.passed_over += self.lanes.len() as u32 - count;
        }
        best.map(|at| (at, total))
    }

    /// When the first key can serve.
    #[must_use]
    pub fn outlook(&self, model: Option<&Model>, need: &Need, now: u64) -> Outlook {
        let mut outlook = Outlook::default();
        for (at, (lane, hold)) in self.lanes.iter().zip(&self.holds).enumerate() {
            // What can't be sooner than the soonest so far need not be looked at.
            let bound = model.map_or(0, |model| model.ready_at(lane.group as usize));
            if outlook.at.is_some_and(|soonest| bound.max(hold.next_at) >= soonest.max(now + 1)) {
                continue;
            }
            match self.fits(at, model, need, now) {
                Fits::From(from) => {
                    let from = from.max(now);
                    outlook.at = Some(outlook.at.map_or(from, |soonest| soonest.min(from)));
                }
                Fits::No(Skipped::AfterOthers, _) => outlook.after_others = true,
                Fits::No(Skipped::TooLarge, largest) => {
                    outlook.too_large = Some(outlook.too_large.map_or(largest, |most| most.max(largest)));
                }
                Fits::No(..) => {}
            }
        }
        outlook
    }
}
