//! A token bucket with continuous refill, kept as the moment at which it will be full: then "how much is
//! there?" and "when does that fit?" are one subtraction each, and nothing has to be refilled.
//!
//! Between a reservation and its settlement a level may be below nothing; a refund never fills beyond the limit.

use serde::{Deserialize, Serialize};

const US: u64 = 1_000;

/// A bucket of `limit` units that refills whole in `window_ms`. Moments are unix milliseconds; inside they are
/// kept in microseconds, so that a million of small spendings do not drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How much it holds.
    #[serde(rename = "l")]
    limit: u64,
    /// How long it takes to refill from nothing.
    #[serde(rename = "w")]
    window_ms: u64,
    /// When it is full, in microseconds.
    #[serde(rename = "f")]
    full_at_us: u64,
}

impl Bucket {
    /// A full bucket. A limit of nothing is taken for one: dividing by it must have a result.
    #[must_use]
    pub fn new(limit: u64, window_ms: u64) -> Self {
        Self { limit: limit.max(1), window_ms: window_ms.max(1), full_at_us: 0 }
    }

    /// How much it holds.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// How long it takes to refill from nothing.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// When it is full, unix milliseconds; past when it is.
    #[must_use]
    pub fn full_at(&self) -> u64 {
        self.full_at_us.div_ceil(US)
    }

    fn us_per_unit(&self) -> f64 {
        (self.window_ms * US) as f64 / self.limit as f64
    }

    /// Microseconds that so much takes to refill.
    fn us_for(&self, units: u64) -> u64 {
        rounded_up(units as f64 * self.us_per_unit())
    }

    /// How long so much takes to refill, in milliseconds.
    #[must_use]
    pub fn ms_for(&self, units: u64) -> u64 {
        self.us_for(units).div_ceil(US)
    }

    /// How much is there; below nothing after a spending that turned out larger than its reservation.
    #[must_use]
    pub fn level(&self, now: u64) -> i64 {
        let missing = self.full_at_us.saturating_sub(now * US) as f64 / self.us_per_unit();
        // A sliver of a unit is rounding, not use.
        (self.limit as i64).saturating_sub(i64::try_from(rounded_up(missing - 1e-6)).unwrap_or(i64::MAX))
    }

    /// From when on `cost` fits; `None` if it never does. Not later than `now` means at once.
    #[must_use]
    pub fn when(&self, cost: u64) -> Option<u64> {
        if cost > self.limit {
            return None;
        }
        let us = self.full_at_us.saturating_add(self.us_for(cost)).saturating_sub(self.window_ms * US);
        Some(us.div_ceil(US))
    }

    /// From when on `cost` fits once `before` has been taken too.
    #[must_use]
    pub fn when_behind(&self, before: u64, cost: u64) -> u64 {
        self.full_at_us
            .saturating_add(self.us_for(before + cost))
            .saturating_sub(self.window_ms * US)
            .div_ceil(US)
    }

    /// Takes so much at that moment, whether it is there or not.
    pub fn spend(&mut self, at: u64, cost: u64) {
        self.full_at_us = self.full_at_us.max(at * US).saturating_add(self.us_for(cost));
    }

    /// Gives so much back; never beyond full.
    pub fn refund(&mut self, cost: u64) {
        self.full_at_us = self.full_at_us.saturating_sub(self.us_for(cost));
    }

    /// The same, when so much is still to be spent from each of some later moments on: a bucket that is full
    /// before then can't save what overflows.
    pub fn refund_before(&mut self, cost: u64, booked: impl Iterator<Item = (u64, u64)>) {
        let least = booked.map(|(at, spent)| (at * US).saturating_add(self.us_for(spent))).max().unwrap_or(0);
        let refunded = self.full_at_us.saturating_sub(self.us_for(cost));
        self.full_at_us = refunded.max(least.min(self.full_at_us));
    }

    /// Sets what is there.
    pub fn set_level(&mut self, now: u64, level: i64) {
        let missing = u64::try_from(i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_sub(level));
        self.full_at_us = (now * US).saturating_add(self.us_for(missing.unwrap_or(0)));
    }

    /// Sets the moment at which it is full.
    pub fn set_full_at(&mut self, at: u64) {
        self.full_at_us = at.saturating_mul(US);
    }

    /// Another limit, as after a change of plan. What was used stays used.
    pub fn set_limit(&mut self, now: u64, limit: u64) {
        let limit = limit.max(1);
        if limit == self.limit {
            return;
        }
        let used = (self.limit as i64).saturating_sub(self.level(now));
        self.limit = limit;
        self.set_level(now, (limit as i64).saturating_sub(used));
    }
}

/// The next whole number, 0 for what is below. By casts, which are quicker than `ceil` where the processor has no
/// instruction for that: each decision rounds hundreds of times.
fn rounded_up(number: f64) -> u64 {
    let below = number as u64;
    below.saturating_add(u64::from((below as f64) < number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000;
    const T: u64 = 1_790_000_000_000;

    #[test]
    fn five_a_minute_and_the_sixth_twelve_seconds_later() {
        let mut bucket = Bucket::new(5, MINUTE);
        for left in (0..5).rev() {
            assert!(bucket.when(1).is_some_and(|at| at <= T));
            bucket.spend(T, 1);
            assert_eq!(bucket.level(T), left);
        }
        assert_eq!(bucket.when(1), Some(T + 12_000));
        assert_eq!(bucket.level(T + 11_999), 0);
        assert_eq!(bucket.level(T + 12_000), 1);
    }

    #[test]
    fn refunds_never_fill_beyond_the_limit() {
        let mut bucket = Bucket::new(20_000, MINUTE);
        bucket.spend(T, 16_884);
        bucket.refund(16_284);
        assert_eq!(bucket.level(T + MINUTE), 20_000);
    }

    #[test]
    fn what_overflows_before_a_booking_is_lost() {
        let mut bucket = Bucket::new(100, MINUTE);
        bucket.spend(T, 50);
        bucket.spend(T + 1_000, 60);
        bucket.refund_before(50, std::iter::once((T + 1_000, 60)));
        assert_eq!(bucket.level(T + 1_000), 40);
    }

    #[test]
    fn what_is_larger_than_the_bucket_never_fits() {
        assert_eq!(Bucket::new(10, MINUTE).when(11), None);
    }

    #[test]
    fn an_overrun_is_waited_off() {
        let mut bucket = Bucket::new(60_000, MINUTE);
        bucket.spend(T, 90_000);
        assert_eq!(bucket.level(T), -30_000);
        assert_eq!(bucket.when(1), Some(T + 30_001));
    }

    #[test]
    fn a_change_of_plan_keeps_what_was_used() {
        let mut bucket = Bucket::new(100, MINUTE);
        bucket.spend(T, 40);
        bucket.set_limit(T, 1_000);
        assert_eq!(bucket.level(T), 960);
        bucket.set_limit(T, 10);
        assert_eq!(bucket.level(T), -30);
    }

    proptest! {
        #[test]
        fn when_it_says_so_it_fits_and_not_a_millisecond_before(
            limit in 1_u64..3_000_000, window in prop::sample::select(vec![MINUTE, 60 * MINUTE, 1_440 * MINUTE]),
            spendings in prop::collection::vec((0_u64..20_000, 0_u64..40_000), 0..40), cost in 1_u64..60_000,
        ) {
            let mut bucket = Bucket::new(limit, window);
            let mut now = T;
            for (pause, spent) in spendings {
                now += pause;
                bucket.spend(now, spent.min(limit));
            }
            match bucket.when(cost) {
                None => prop_assert!(cost > limit),
                Some(at) => {
                    let at = at.max(now);
                    prop_assert!(bucket.level(at) >= cost as i64 - 1, "{} of {cost}", bucket.level(at));
                    if at > now {
                        let ms = (limit as f64 / window as f64).ceil() as i64;
                        prop_assert!(bucket.level(at - 1) <= cost as i64 + ms);
                    }
                }
            }
        }
    }
}
