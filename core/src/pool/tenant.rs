//! One client token's standing under its limits: buckets for the minute, counts for the UTC day and month, and
//! how many of its requests are under way.

use super::bucket::Bucket;
use super::protocol::{Allowance, Left};
use crate::config::TokenLimits;
use crate::limits::timeout;
use serde::{Deserialize, Serialize};

pub(super) const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
/// A clock set back by less is waited for. By more, it was wrong before: then what is kept moves along.
const STEP_MS: u64 = 60_000;
/// However far one answer overran `tokens_per_minute`, it is waited off within this.
const DEBT_MAX_MS: u64 = DAY;
/// More tokens than any one request uses. Keeps a wrong report from filling a count for good.
pub(super) const TOKENS_MAX: u64 = 1_000_000_000;

/// What was taken for a grant. It is kept with the open grant, and given back or settled later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// Tokens that were asked for: the estimated prompt and the largest completion.
    pub tokens: u64,
    minute: u64,
    day: u64,
    month: u64,
    /// Whether `requests_per_minute` was charged.
    request: bool,
    /// Whether it counts as one under way.
    open: bool,
    at: u64,
}

impl Taken {
    /// For a token without limits.
    pub(super) fn nothing(tokens: u64) -> Self {
        Self { tokens, ..Self::default() }
    }
}

/// Why a token may not send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// From now on in milliseconds, the limits have room again. 0 when only `concurrency` is in the way.
    pub after_ms: u64,
    /// It also waits for requests of its own that are under way: for their end, or for less use than they
    /// reserved. Nobody knows when that is; it is worth another look after each report of this token.
    pub concurrency: bool,
}

/// A bucket, and since when it has not been full.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Metered {
    #[serde(rename = "b")]
    bucket: Bucket,
    /// When a spending last found it full.
    #[serde(rename = "f", default)]
    full_seen: u64,
}

impl Metered {
    fn fitted(this: Option<Self>, limit: Option<u64>, now: u64) -> Option<Self> {
        let limit = limit?;
        let new = || Self { bucket: Bucket::new(limit, MINUTE), full_seen: 0 };
        let mut metered = this.filter(|metered| metered.bucket.window_ms() == MINUTE).unwrap_or_else(new);
        let bucket = &mut metered.bucket;
        bucket.set_limit(now, limit);
        let longest = MINUTE + DEBT_MAX_MS;
        if bucket.full_at() > now.saturating_add(longest) {
            let missing = u128::from(bucket.limit()) * u128::from(longest) / u128::from(MINUTE);
            bucket.set_level(now, i64::try_from(missing).map_or(i64::MIN / 2, |m| bucket.limit() as i64 - m));
        }
        Some(metered)
    }

    fn spend(&mut self, now: u64, cost: u64) {
        if self.bucket.full_at() <= now {
            self.full_seen = now;
        }
        self.bucket.spend(now, cost);
    }

    /// What was reserved and not used comes back, unless time has refilled it already.
    fn settle(&mut self, now: u64, taken_at: u64, reserved: u64, used: u64) {
        if used > reserved {
            self.spend(now, used - reserved);
        } else if self.full_seen <= taken_at {
            self.bucket.refund(reserved - used);
        }
    }

    fn moved(mut self, from: u64, to: u64) -> Self {
        let level = self.bucket.level(from);
        self.bucket.set_level(to, level);
        self.full_seen = self.full_seen.min(to);
        self
    }

    fn left(&self, now: u64) -> Left {
        Left {
            limit: self.bucket.limit(),
            remaining: u64::try_from(self.bucket.level(now)).unwrap_or(0),
            reset_ms: self.bucket.full_at().saturating_sub(now),
        }
    }
}

/// A UTC day or month: what was used, and what is reserved by requests under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Period {
    #[serde(rename = "f")]
    from: u64,
    #[serde(rename = "e")]
    until: u64,
    #[serde(rename = "u")]
    used: u64,
    #[serde(rename = "r")]
    reserved: u64,
}

impl Period {
    /// As it stands at that time. Reservations go along into a new period: they are used in it.
    fn at(self, now: u64, bounds: impl Fn(u64) -> (u64, u64)) -> Self {
        // A clock set back a little over midnight must not bring back a day that is over.
        if now < self.until && now.saturating_add(STEP_MS) >= self.from {
            return self;
        }
        let (from, until) = bounds(now);
        let used = if now < self.from { self.used } else { 0 };
        Self { from, until, used, ..self }
    }

    fn settle(&mut self, reserved: u64, used: u64) {
        self.reserved = self.reserved.saturating_sub(reserved);
        self.used = self.used.saturating_add(used);
    }

    fn left(&self, now: u64, limit: u64) -> Left {
        let remaining = limit.saturating_sub(self.used.saturating_add(self.reserved));
        Left { limit, remaining, reset_ms: self.until.saturating_sub(now) }
    }
}

fn day_of(now: u64) -> (u64, u64) {
    let from = now - now % DAY;
    (from, from.saturating_add(DAY))
}

/// Start and end of the UTC month (Howard Hinnant, `civil_from_days`; years begin in March there).
fn month_of(now: u64) -> (u64, u64) {
    let day = now / DAY;
    let shifted = day + 719_468;
    let of_era = shifted % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let first = (153 * month + 2) / 5;
    // The twelfth is February, which ends with the year.
    let year = year + 1;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let next = if month == 11 { 365 + u64::from(leap) } else { (153 * (month + 1) + 2) / 5 };
    ((day + first - of_year) * DAY, (day + next - of_year) * DAY)
}

/// Reservations of before a restart: their grants are not known any more, their reports come without one.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    grants: u64,
    day: u64,
    month: u64,
    until: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    requests: Option<Metered>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tokens: Option<Metered>,
    #[serde(rename = "d", default)]
    day: Period,
    #[serde(rename = "m", default)]
    month: Period,
    /// Grants under way.
    #[serde(rename = "o", default)]
    pub open: u64,
    #[serde(rename = "a", default)]
    pub touched: u64,
    #[serde(skip)]
    carried: Carried,
}

impl State {
    /// As it stands at that time under those limits.
    pub(super) fn at(mut self, now: u64, limits: &TokenLimits) -> Self {
        if now.saturating_add(STEP_MS) < self.touched {
            self.requests = self.requests.map(|metered| metered.moved(self.touched, now));
            self.tokens = self.tokens.map(|metered| metered.moved(self.touched, now));
            self.carried.until = self.carried.until.min(now + timeout::TOTAL_MS);
            self.touched = now;
        }
        self.requests = Metered::fitted(self.requests, limits.requests_per_minute, now);
        self.tokens = Metered::fitted(self.tokens, limits.tokens_per_minute, now);
        self.day = self.day.at(now, day_of);
        self.month = self.month.at(now, month_of);
        if self.carried.grants > 0 && now >= self.carried.until {
            // No report came: as with any grant whose outcome is not known, the reservation stays counted.
            self.day.settle(self.carried.day, self.carried.day);
            self.month.settle(self.carried.month, self.carried.month);
            self.carried = Carried::default();
        }
        self
    }

    pub(super) fn wait(&self, now: u64, limits: &TokenLimits, tokens: u64, first: bool) -> Option<Wait> {
        let tokens = tokens.clamp(1, TOKENS_MAX);
        let mut at = now;
        let mut concurrency = limits.max_concurrent.is_some_and(|most| self.open >= most.max(1));
        let mut fits = |metered: Option<&Metered>, cost: u64| {
            if let Some(bucket) = metered.map(|metered| &metered.bucket) {
                at = at.max(bucket.when(cost.min(bucket.limit())).unwrap_or(now));
            }
        };
        fits(self.requests.as_ref().filter(|_| first), 1);
        fits(self.tokens.as_ref(), tokens);
        for (period, limit) in [(self.day, limits.tokens_per_day), (self.month, limits.tokens_per_month)] {
            let Some(limit) = limit else { continue };
            let with = period.used.saturating_add(tokens.min(limit));
            if with > limit {
                at = at.max(period.until);
            } else if with.saturating_add(period.reserved) > limit {
                // There is room once those under way have used less than they reserved.
                concurrency = true;
            }
        }
        (at > now || concurrency).then(|| Wait { after_ms: at - now, concurrency })
    }

    pub(super) fn take(&mut self, now: u64, limits: &TokenLimits, tokens: u64, first: bool) -> Taken {
        let tokens = tokens.clamp(1, TOKENS_MAX);
        let capped = |limit: Option<u64>| limit.map_or(tokens, |limit| tokens.min(limit));
        let taken = Taken {
            tokens,
            minute: self.tokens.map_or(0, |metered| tokens.min(metered.bucket.limit())),
            day: capped(limits.tokens_per_day),
            month: capped(limits.tokens_per_month),
            request: first && self.requests.is_some(),
            open: true,
            at: now,
        };
        if let Some(requests) = self.requests.as_mut().filter(|_| taken.request) {
            requests.spend(now, 1);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.spend(now, taken.minute);
        }
        self.day.reserved = self.day.reserved.saturating_add(taken.day);
        self.month.reserved = self.month.reserved.saturating_add(taken.month);
        self.open += 1;
        taken
    }

    pub(super) fn end(&mut self, now: u64, taken: &Taken, used: Use) {
        self.open = self.open.saturating_sub(u64::from(taken.open));
        let of = |reserved: u64| match used {
            Use::Nothing => 0,
            Use::Tokens(tokens) => tokens,
            Use::Unknown => reserved,
        };
        if let Some(requests) = self.requests.as_mut().filter(|_| taken.request && used == Use::Nothing) {
            requests.settle(now, taken.at, 1, 0);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.settle(now, taken.at, taken.minute, of(taken.minute));
        }
        self.day.settle(taken.day, of(taken.day));
        self.month.settle(taken.month, of(taken.month));
    }

    /// Counts a request whose grant is not known, unless one from before the restart is still to come.
    pub(super) fn count_unless_carried(&mut self, now: u64) {
        if let Some(requests) = self.requests.as_mut().filter(|_| self.carried.grants == 0) {
            requests.spend(now, 1);
        }
    }

    /// The share of one report in what was reserved before a restart.
    pub(super) fn uncarry(&mut self) -> Taken {
        let Carried { grants, day, month, .. } = self.carried;
        let share = Taken {
            day: day.checked_div(grants).unwrap_or(0),
            month: month.checked_div(grants).unwrap_or(0),
            ..Taken::default()
        };
        self.carried.grants = grants.saturating_sub(1);
        self.carried.day -= share.day;
        self.carried.month -= share.month;
        share
    }

    pub(super) fn allowance(&self, now: u64, limits: &TokenLimits) -> Option<Allowance> {
        let allowance = Allowance {
            requests_minute: self.requests.map(|metered| metered.left(now)),
            tokens_minute: self.tokens.map(|metered| metered.left(now)),
            tokens_day: limits.tokens_per_day.map(|limit| self.day.left(now, limit)),
            tokens_month: limits.tokens_per_month.map(|limit| self.month.left(now, limit)),
        };
        (allowance != Allowance::default()).then_some(allowance)
    }

    /// For the checkpoint. Grants of before the last restart may still be under way.
    pub(super) fn to_json(mut self) -> Option<String> {
        self.open += self.carried.grants;
        serde_json::to_string(&self).ok()
    }

    /// From the checkpoint. What was reserved stays reserved until its reports come, or until no request of that
    /// time can be under way; nothing says how many there still are, so they do not count as concurrent.
    pub(super) fn from_json(json: &str) -> Option<Self> {
        let mut state: Self = serde_json::from_str(json).ok()?;
        if state.open == 0 {
            (state.day.reserved, state.month.reserved) = (0, 0);
        }
        state.carried = Carried {
            grants: state.open,
            day: state.day.reserved,
            month: state.month.reserved,
            until: state.touched.saturating_add(timeout::TOTAL_MS),
        };
        state.open = 0;
        Some(state)
    }

    pub(super) fn holds_something(&self, now: u64) -> bool {
        let metered = [&self.requests, &self.tokens];
        let spent = metered.into_iter().flatten().any(|metered| metered.bucket.full_at() > now);
        let counted = [self.day, self.month]
            .into_iter()
            .any(|period| period.reserved > 0 || (period.used > 0 && now < period.until));
        spent || counted || self.open > 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Nothing,
    Tokens(u64),
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rfc3339::{self, LATEST_MS, parse};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn months_begin_and_end_with_the_calendar(now in 0..LATEST_MS - 40 * DAY) {
            let (from, until) = month_of(now);
            let first = |ms| parse(&[rfc3339::format(ms).get(..7)?, "-01T00:00:00Z"].concat());
            prop_assert_eq!(first(now), Some(from));
            prop_assert_eq!(first(until), Some(until));
            prop_assert!(from <= now && now < until && until - from <= 31 * DAY);
        }
    }

    #[test]
    fn february_has_its_leap_day() {
        for (month, days) in
            [("2024-02", 29), ("2023-02", 28), ("2000-02", 29), ("2100-02", 28), ("2026-12", 31)]
        {
            let now = parse(&format!("{month}-11T12:00:00Z")).unwrap();
            let (from, until) = month_of(now);
            assert_eq!((until - from) / DAY, days, "{month}");
        }
    }
}
