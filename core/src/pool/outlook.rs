//! How many requests all quotas together can take by some moment: each bucket as a line that rises from what it
//! holds, worked out once and then asked for many moments.

use super::ask::Try;
use super::models::Model;
use super::pick::Need;
use super::quota::Quota;
use super::state::Pool;

/// Groups looked at; of more a part stands for the whole.
const GROUPS: usize = 2_000;

/// One bucket: requests it can take now, how many more each millisecond, from when on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rise {
    pub level: f64,
    pub rate: f64,
    pub from: u64,
    /// What comes back of reservations, and within how many milliseconds.
    pub back: f64,
    pub within: f64,
}

/// All quotas. A group's room is that of its tightest bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    rises: Vec<Rise>,
    /// Where each quota's buckets end.
    ends: Vec<usize>,
    /// What one stands for.
    pub scale: f64,
}

impl Room {
    /// Requests that can have been sent by then.
    pub fn by(&self, then: u64) -> f64 {
        self.counted(then, f64::INFINITY)
    }

    /// The same, counted no further than to that many.
    fn counted(&self, then: u64, enough: f64) -> f64 {
        let mut room = 0.0;
        let mut rises = self.rises.iter();
        let mut start = 0;
        for end in &self.ends {
            let mut least = f64::MAX;
            for rise in rises.by_ref().take(end - start) {
                if then < rise.from {
                    least = 0.0;
                    continue;
                }
                let passed = (then - rise.from) as i64 as f64;
                let back = rise.back * (passed / rise.within).min(1.0);
                least = least.min(rise.level + passed * rise.rate + back);
            }
            start = *end;
            // Half a request is none: twelve groups with a twelfth each serve nobody.
            // (Rounded by a cast, which is quicker than a call where the processor has no instruction for it.)
            room += least.max(0.0) as i64 as f64;
            if room * self.scale >= enough {
                break;
            }
        }
        room * self.scale
    }

    /// When so many can have been sent; `far` if not before.
    pub fn when(&self, now: u64, count: impl Fn(u64) -> f64, far: u64) -> u64 {
        let enough = |ms: u64| {
            let count = count(now + ms);
            self.counted(now + ms, count) >= count
        };
        if enough(0) {
            return now;
        }
        let mut reach = 500;
        while reach < far && !enough(reach) {
            reach *= 2;
        }
        let (mut low, mut high) = (reach / 2, reach.min(far));
        while high - low > (high / 64).max(20) {
            let middle = low + (high - low) / 2;
            if enough(middle) { high = middle } else { low = middle }
        }
        now + high
    }
}

impl Pool {
    /// The room for requests that use `expected` tokens each.
    pub(super) fn room(&self, tries: &[Try], now: u64, expected: u64) -> Room {
        self.room_of(tries.iter().map(|one| (self.models.get(&one.name), one.need)), now, expected)
    }

    /// The same of any models.
    pub(super) fn room_of<'a>(
        &self,
        models: impl Iterator<Item = (Option<&'a Model>, Need)>,
        now: u64,
        expected: u64,
    ) -> Room {
        let mut room = Room { scale: 1.0, ..Room::default() };
        let count = self.roster.groups.len();
        let step = count.div_ceil(GROUPS).max(1);
        room.scale = step as f64;
        for (model, need) in models {
            let lasts = model.map_or(1_000.0, |model| model.duration).max(1.0);
            for (group, of) in self.roster.groups.iter().enumerate().step_by(step) {
                if !of.keys.iter().any(|at| self.roster.usable(*at, need.provider, now)) {
                    continue;
                }
                match model.and_then(|model| model.quota(group)) {
                    Some(quota) if quota.missing_until > now && !need.insist => continue,
                    Some(quota) => quota.rises(now, (expected, need.tokens), lasts, &mut room.rises),
                    None => {
                        let rise = Rise { level: 1.0, rate: 1.0 / lasts, from: now, back: 0.0, within: 1.0 };
                        room.rises.push(rise);
                    }
                }
                room.ends.push(room.rises.len());
            }
        }
        room
    }
}

impl Quota {
    /// Its buckets, in requests of `expected` tokens for which `reserved` must be free. What is under way is taken
    /// to use as much, and gives back the rest of what was reserved for it by and by.
    fn rises(&self, now: u64, (expected, reserved): (u64, u64), lasts_ms: f64, rises: &mut Vec<Rise>) {
        let from = now.max(self.cool_until);
        if !self.is_known() {
            let (free, window) = self.slow_start();
            rises.push(Rise { level: free, rate: window / lasts_ms, from, back: 0.0, within: 1.0 });
            return;
        }
        for meter in &self.meters {
            let limit = meter.bucket.limit();
            let (cost, back, beyond) = if meter.counts_requests() {
                (1.0, 0.0, 0.0)
            } else {
                let expected = expected.clamp(1, limit);
                let back = self.open_tokens.saturating_sub(u64::from(self.open) * expected);
                (expected as f64, back as f64, reserved.min(limit).saturating_sub(expected) as f64)
            };
            let level = meter.bucket.level(from) as f64 - beyond;
            let each = 1.0 / cost;
            let rate = each * limit as f64 / meter.bucket.window_ms() as f64;
            rises.push(Rise { level: level * each, rate, from, back: back * each, within: lasts_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_bucket_of_each_quota_counts() {
        let rise = |level, rate| Rise { level, rate, from: 1_000, back: 0.0, within: 1.0 };
        let room = Room {
            rises: vec![rise(5.0, 0.001), rise(2.0, 0.01), rise(0.0, 0.002)],
            ends: vec![2, 3],
            scale: 1.0,
        };
        assert_eq!(room.by(1_000), 2.0);
        assert_eq!(room.by(2_000), 6.0 + 2.0);
        assert_eq!(room.by(500), 0.0, "cooling");
        let eight = room.when(1_000, |_| 8.0, 100_000);
        assert!((1_980..=2_040).contains(&eight), "{eight}");
        assert_eq!(room.when(1_000, |_| 1_000_000.0, 50_000), 51_000);
    }
}
