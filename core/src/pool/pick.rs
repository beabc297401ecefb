//! Choosing a key for a model: smooth weighted round robin over those that can serve at a moment.
//!
//! A scan compares each key's lane with cheap bounds; only the one whose turn it is is looked at exactly. If it
//! does not fit after all it is set aside and the scan repeated, so that who can't serve neither gains nor pays.

use super::keys::{Lane, Roster};
use super::models::{Model, Spot};
use super::quota::When;

/// Keys set aside one by one before all are looked at exactly.
const SET_ASIDE: usize = 12;
/// Keys in whose favour the caller may decide otherwise before the search is given up.
const DECLINED: usize = 32;
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
struct Bounds<'a> {
    groups: &'a [Spot],
    mark: u32,
    provider: u32,
    now: u64,
    by: u64,
    proven: bool,
    soft: bool,
}

impl<'a> Bounds<'a> {
    fn of(model: Option<&'a Model>, mark: u32, need: &Need, now: u64, by: u64) -> Self {
        let groups = model.map_or(&[][..], Model::bounds);
        Self { groups, mark, provider: need.provider, now, by, proven: need.proven, soft: need.soft }
    }

    /// Whether the lane may serve by then: the same as nothing being said by [`passed_over`].
    #[inline]
    fn may(&self, lane: &Lane) -> bool {
        let ready_at = self.groups.get(lane.group as usize).map_or(0, |spot| spot.ready_at);
        (lane.mark != self.mark)
            & (lane.provider == self.provider)
            & (lane.barred_until <= self.now)
            & (ready_at <= self.by)
            & (lane.next_at <= self.by)
            & (lane.proven | !self.proven)
            & (!self.soft | (lane.rest_until <= self.now))
    }
}

/// Why a lane is passed over, and until when. `None` when it may serve by then.
fn passed_over(
    lane: &Lane,
    model: Option<&Model>,
    mark: u32,
    need: &Need,
    now: u64,
    by: u64,
) -> Option<(Skipped, u64)> {
    if lane.mark == mark || lane.provider != need.provider {
        return Some((Skipped::Excluded, 0));
    }
    if lane.barred_until > now {
        return Some((Skipped::Barred, lane.barred_until));
    }
    let ready_at = model.map_or(0, |model| model.ready_at(lane.group as usize));
    if ready_at > by {
        return Some((Skipped::Quota, ready_at));
    }
    if lane.next_at > by {
        return Some((Skipped::Paced, lane.next_at));
    }
    if need.proven && !lane.proven {
        return Some((Skipped::Unproven, 0));
    }
    if need.soft && lane.rest_until > now {
        return Some((Skipped::Resting, lane.rest_until));
    }
    None
}

impl Roster {
    /// Exactly when the key at that place can serve.
    pub fn fits(&self, at: usize, model: Option<&Model>, need: &Need, now: u64) -> Fits {
        let (Some(lane), Some(slot)) = (self.lanes.get(at), self.slots.get(at)) else {
            return Fits::No(Skipped::Excluded, 0);
        };
        if lane.mark == self.mark() || lane.provider != need.provider {
            return Fits::No(Skipped::Excluded, 0);
        }
        if lane.barred_until > now {
            return Fits::No(Skipped::Barred, lane.barred_until);
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
        let rest = if need.soft { lane.rest_until } else { 0 };
        let from = rest.max(lane.next_at);
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
        let mark = self.mark();
        let mut aside: Vec<usize> = Vec::new();
        let mut declined = 0;
        let bounds = Bounds::of(model, mark, need, now, by);
        // Filled by each scan, so that the second round over those who gain is over them alone.
        let mut eligible = std::mem::take(&mut self.scratch);
        let taken = loop {
            let mut best: Option<usize> = None;
            let (mut most, mut total) = (i64::MIN, 0);
            eligible.clear();
            for (at, lane) in self.lanes.iter().enumerate() {
                if bounds.may(lane) {
                    let share = i64::from(lane.share);
                    eligible.push(at as u32);
                    total += share;
                    let credit = lane.credit + share;
                    if credit > most {
                        (best, most) = (Some(at), credit);
                    }
                } else if let Some(seen) = seen.as_deref_mut()
                    && let Some((why, until)) = passed_over(lane, model, mark, need, now, by)
                {
                    seen.skip(at, why, until);
                }
            }
            if let Some(seen) = seen.as_deref_mut() {
                seen.candidates += eligible.len() as u32;
            }
            let Some(at) = best else { break None };
            let unfit = match self.fits(at, model, need, now) {
                Fits::From(from) if from <= by => {
                    if also(self.slots.get(at).map_or(usize::MAX, |slot| slot.group)) {
                        None
                    } else {
                        declined += 1;
                        Some((Skipped::Quota, from))
                    }
                }
                Fits::From(from) => Some((Skipped::Quota, from)),
                Fits::No(why, until) => Some((why, until)),
            };
            let Some((why, until)) = unfit else { break Some((at, total)) };
            if let Some(seen) = seen.take() {
                seen.candidates = seen.candidates.saturating_sub(1);
                seen.skip(at, why, until);
            }
            if declined >= DECLINED {
                break None;
            }
            self.exclude_at(at);
            aside.push(at);
            if aside.len() == SET_ASIDE {
                for at in 0..self.lanes.len() {
                    let fits = |fits: Fits| matches!(fits, Fits::From(from) if from <= by);
                    if self.lanes.get(at).is_some_and(|lane| bounds.may(lane))
                        && !fits(self.fits(at, model, need, now))
                    {
                        self.exclude_at(at);
                        aside.push(at);
                    }
                }
            }
        };
        if let Some((at, total)) = taken {
            for at in &eligible {
                if let Some(lane) = self.lanes.get_mut(*at as usize) {
                    lane.credit += i64::from(lane.share);
                }
            }
            if let Some(lane) = self.lanes.get_mut(at) {
                lane.credit -= total;
            }
        }
        for at in aside {
            self.include_at(at);
        }
        self.scratch = eligible;
        taken
    }

    /// When the first key can serve.
    #[must_use]
    pub fn outlook(&self, model: Option<&Model>, need: &Need, now: u64) -> Outlook {
        let mut outlook = Outlook::default();
        for (at, lane) in self.lanes.iter().enumerate() {
            // What can't be sooner than the soonest so far need not be looked at.
            let bound = model.map_or(0, |model| model.ready_at(lane.group as usize));
            if outlook.at.is_some_and(|soonest| bound.max(lane.next_at) >= soonest.max(now + 1)) {
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
