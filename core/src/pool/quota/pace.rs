//! How fast one quota is used, as a mean over about the last ten minutes that weighs the latest most.
//!
//! Three sums that fade, and not a list: there may be 20,000 quotas. It begins anew with the Coordinator.

/// After so long what was used counts a third.
const FADE_MS: f64 = 600_000.0;
/// What is measured for less is told as if it had been measured for that long.
const LEAST_MS: u64 = 60_000;
/// After so long without use nothing that matters is left, and measuring begins anew.
const FORGOTTEN_MS: u64 = 3_600_000;

/// Requests, all tokens and tokens that were not cached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    since: u64,
    at: u64,
    sums: [f64; 3],
}

fn faded(ms: u64) -> f64 {
    (-(ms as f64) / FADE_MS).exp()
}

impl Pace {
    /// So much was used at that moment.
    pub fn add(&mut self, at: u64, amounts: [u64; 3]) {
        if at > self.at.saturating_add(FORGOTTEN_MS) {
            *self = Self { since: at, at, sums: [0.0; 3] };
        }
        let (before, own) = (faded(at.saturating_sub(self.at)), faded(self.at.saturating_sub(at)));
        for (sum, amount) in self.sums.iter_mut().zip(amounts) {
            *sum = *sum * before + amount as f64 * own;
        }
        self.at = self.at.max(at);
    }

    /// What is used a minute.
    #[must_use]
    pub fn per_minute(&self, now: u64) -> [f64; 3] {
        // Of an even use since then the sums hold this many minutes' worth.
        let minutes = FADE_MS / 60_000.0 * (1.0 - faded(now.saturating_sub(self.since).max(LEAST_MS)));
        let left = faded(now.saturating_sub(self.at));
        self.sums.map(|sum| sum * left / minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_790_000_000_000;
    const MINUTE: u64 = 60_000;

    #[test]
    fn even_use_is_told_as_it_is_from_the_first_minutes_on() {
        let mut pace = Pace::default();
        for second in 0..3_600 {
            pace.add(T + second * 1_000, [1, 100, 50]);
            if second >= 60 {
                let [requests, tokens, uncached] = pace.per_minute(T + second * 1_000 + 500);
                assert!((requests - 60.0).abs() < 1.5, "{requests} after {second} s");
                assert!(
                    (tokens - requests * 100.0).abs() < 1e-3 && (uncached - requests * 50.0).abs() < 1e-3
                );
            }
        }
    }

    #[test]
    fn what_ended_fades_and_is_forgotten() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_minute(T), [0.0; 3]);
        pace.add(T, [10, 0, 0]);
        let first = pace.per_minute(T)[0];
        assert!((10.0..11.0).contains(&first), "{first} in the first minute");
        assert!(pace.per_minute(T + 60 * MINUTE)[0] < 0.01);
        pace.add(T + 100 * MINUTE, [10, 0, 0]);
        assert!((pace.per_minute(T + 100 * MINUTE)[0] - first).abs() < 1e-9, "as if for the first time");
    }

    #[test]
    fn a_late_report_counts_for_its_own_moment() {
        let mut pace = Pace::default();
        pace.add(T, [1, 0, 0]);
        pace.add(T + 10 * MINUTE, [1, 0, 0]);
        let mut late = Pace::default();
        late.add(T, [0, 0, 0]);
        late.add(T + 10 * MINUTE, [1, 0, 0]);
        late.add(T, [1, 0, 0]);
        assert!((pace.per_minute(T + 11 * MINUTE)[0] - late.per_minute(T + 11 * MINUTE)[0]).abs() < 1e-9);
    }
}
