//! The figures of a run, those of its first two minutes apart.

use crate::scenario::EARLY_MS;
use std::collections::BTreeMap;

/// What was counted in one part of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests of the trace, by their time.
    pub requests: u64,
    /// Answered, at once or on their return.
    pub answered: u64,
    /// Given a 429, first tries and returns.
    pub limited: u64,
    /// Of these: though there was room for what is reserved. See [`crate::oracle`].
    pub unjust: u64,
    /// Of these: looked at by a seer.
    pub seen: u64,
    /// Of those: though there was room for what would be used.
    pub unjust_seen: u64,
    /// Ended by another error.
    pub failed: u64,
    /// Sent upstream, by the time of sending.
    pub sends: u64,
    /// Of these: answered by a quota 429.
    pub bounced: u64,
    /// Of these: failed otherwise.
    pub faults: u64,
    /// Returns at the time a 429 stated that were answered.
    pub kept: u64,
    /// Returns that were given a 429 again.
    pub broken: u64,
    /// Returns that failed otherwise, or had not come back by the end.
    pub open: u64,
    /// Grants for a key that the upstream had said to leave alone.
    pub resting: u64,
    /// Grants given.
    pub grants: u64,
    /// Calls of the Coordinator.
    pub calls: u64,
    /// How long those who were answered waited until the attempt that answered was sent, in milliseconds.
    pub waits: Vec<u32>,
}

impl Tally {
    fn per(part: u64, whole: u64) -> f64 {
        if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
    }

    /// Answers for each request.
    #[must_use]
    pub fn yielded(&self) -> f64 {
        Self::per(self.answered, self.requests)
    }

    /// Quota 429s for each request sent.
    #[must_use]
    pub fn bounce_rate(&self) -> f64 {
        Self::per(self.bounced, self.sends)
    }

    /// Stated times that were true; 1 when none was stated.
    #[must_use]
    pub fn truth(&self) -> f64 {
        let judged = self.kept + self.broken;
        if judged == 0 { 1.0 } else { Self::per(self.kept, judged) }
    }

    /// Calls of the Coordinator for each request.
    #[must_use]
    pub fn calls_per_request(&self) -> f64 {
        Self::per(self.calls, self.requests)
    }

    /// The wait that this share of the answered did not exceed, in milliseconds. Sorts them.
    pub fn wait(&mut self, share: f64) -> u32 {
        self.waits.sort_unstable();
        let last = self.waits.len().saturating_sub(1);
        self.waits.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.limited += other.limited;
        self.unjust += other.unjust;
        self.seen += other.seen;
        self.unjust_seen += other.unjust_seen;
        self.failed += other.failed;
        self.sends += other.sends;
        self.bounced += other.bounced;
        self.faults += other.faults;
        self.kept += other.kept;
        self.broken += other.broken;
        self.open += other.open;
        self.resting += other.resting;
        self.grants += other.grants;
        self.calls += other.calls;
        self.waits.extend_from_slice(&other.waits);
    }
}

/// One organisation and model.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceShare {
    /// Both names.
    pub name: String,
    /// Requests of mean cost that it had room for while demand exceeded capacity.
    pub room: f64,
    /// The share that was used.
    pub share: f64,
}

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The first two minutes.
    pub early: Tally,
    /// The rest.
    pub later: Tally,
    /// Share of capacity used while demand exceeded it.
    pub share: Option<f64>,
    /// Minutes that this is taken from.
    pub share_minutes: u64,
    /// The same by organisation and model.
    pub places: Vec<PlaceShare>,
    /// Reasons, for `--explain`.
    pub reasons: BTreeMap<(&'static str, String), u64>,
    /// Each client 429 while there was room, in words, for `--explain`.
    pub unjust: Vec<String>,
    /// Keys by place in the order of grants, with when they were given; those given back left out.
    pub uses: Vec<(u64, u16)>,
    /// How long the run lasted, in simulated milliseconds.
    pub lasted_ms: u64,
}

impl Figures {
    /// The part that a time belongs to.
    pub fn at(&mut self, at: u64) -> &mut Tally {
        if at < EARLY_MS { &mut self.early } else { &mut self.later }
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> Tally {
        let mut whole = self.early.clone();
        whole.add(&self.later);
        whole
    }

    /// Adds another run's. Shares of capacity are weighed by what there was room for.
    pub fn add(&mut self, other: Self) {
        let weighed = |figures: &Self| figures.share.map(|share| (share, figures.share_minutes as f64));
        self.share = match (weighed(self), weighed(&other)) {
            (Some((one, a)), Some((two, b))) => Some((one * a + two * b) / (a + b).max(1.0)),
            (one, two) => one.or(two).map(|(share, _)| share),
        };
        self.share_minutes += other.share_minutes;
        self.early.add(&other.early);
        self.later.add(&other.later);
        for place in other.places {
            match self.places.iter_mut().find(|known| known.name == place.name) {
                Some(known) => {
                    let room = known.room + place.room;
                    known.share = (known.share * known.room + place.share * place.room) / room.max(1.0);
                    known.room = room;
                }
                None => self.places.push(place),
            }
        }
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.unjust.extend(other.unjust);
        self.uses.extend(other.uses);
        self.lasted_ms += other.lasted_ms;
    }

    /// Notes a reason.
    pub fn reason(&mut self, what: &'static str, why: impl Into<String>) {
        *self.reasons.entry((what, why.into())).or_default() += 1;
    }
}

/// Jain's index over every window of `10 * keys` uses in a row: the least. 1 is perfectly even.
#[must_use]
pub fn jain(uses: &[u16], keys: usize) -> Option<f64> {
    let window = 10 * keys;
    let mut counts = vec![0_u64; keys];
    let mut squares = 0_u64;
    let mut least: Option<f64> = None;
    for (n, &key) in uses.iter().enumerate() {
        let count = &mut counts[usize::from(key)];
        squares += 2 * *count + 1;
        *count += 1;
        if n >= window {
            let gone = &mut counts[usize::from(uses[n - window])];
            *gone -= 1;
            squares -= 2 * *gone + 1;
        }
        if n + 1 >= window {
            let index = (window * window) as f64 / (keys as f64 * squares as f64);
            least = Some(least.map_or(index, |before| before.min(index)));
        }
    }
    least
}

/// The most uses of others between two of one key, in cycles of as many uses as there are keys.
#[must_use]
pub fn longest_idle(uses: &[u16], keys: usize) -> f64 {
    let mut last = vec![None; keys];
    let mut longest = 0;
    for (n, &key) in uses.iter().enumerate() {
        let before = last[usize::from(key)].replace(n);
        longest = longest.max(n - before.map_or(0, |before| before + 1));
    }
    // Who was not used at the end, or never, has been idle since.
    for before in last {
        longest = longest.max(uses.len() - before.map_or(0, |before: usize| before + 1));
    }
    longest as f64 / keys as f64
}

/// How far the share of the key that is furthest off lies from its weight's: 0.01 is 1 % of that share.
#[must_use]
pub fn weight_error(uses: &[u16], weights: &[u32]) -> f64 {
    let all = f64::from(weights.iter().sum::<u32>());
    let mut counts = vec![0_u64; weights.len()];
    uses.iter().for_each(|&key| counts[usize::from(key)] += 1);
    let off = counts.iter().zip(weights).map(|(&count, &weight)| {
        let due = uses.len() as f64 * f64::from(weight) / all;
        ((count as f64 - due) / due).abs()
    });
    off.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_is_one_when_even_and_falls_where_it_is_not() {
        let even: Vec<u16> = (0..300).map(|n| n % 3).collect();
        assert_eq!(jain(&even, 3), Some(1.0));
        let mut uneven = even.clone();
        uneven.splice(100..115, [0; 15]);
        // 20 + 5 + 5 of 30 in the worst window: 900 / (3 * 450).
        assert!(jain(&uneven, 3).is_some_and(|index| index < 0.7));
        assert_eq!(jain(&even[..29], 3), None);
    }

    #[test]
    fn idleness_is_counted_in_cycles_up_to_both_ends() {
        assert_eq!(longest_idle(&[0, 1, 0, 1, 0, 1], 2), 0.5);
        assert_eq!(longest_idle(&[0, 1, 0, 0, 0, 1], 2), 1.5);
        assert_eq!(longest_idle(&[0, 1, 0, 0, 0, 0], 2), 2.0);
        assert_eq!(longest_idle(&[0, 0, 0, 0], 2), 2.0);
    }

    #[test]
    fn weights_are_compared_with_each_keys_own_share() {
        assert_eq!(weight_error(&[0, 1, 1, 0, 1, 1], &[1, 2]), 0.0);
        assert!((weight_error(&[0, 1, 1, 1], &[1, 1]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn runs_are_added_up_and_their_shares_weighed() {
        let part = |share, minutes, room| Figures {
            share: Some(share),
            share_minutes: minutes,
            places: vec![PlaceShare { name: "a".into(), room, share }],
            later: Tally { requests: 10, waits: vec![1], ..Tally::default() },
            lasted_ms: 5,
            ..Figures::default()
        };
        let mut all = part(0.5, 1, 100.0);
        all.reason("what", "why");
        all.add(part(0.9, 3, 300.0));
        assert_eq!((all.share, all.share_minutes, all.lasted_ms), (Some(0.8), 4, 10));
        assert_eq!((all.places[0].room, all.places[0].share), (400.0, 0.8));
        assert_eq!((all.later.requests, all.later.waits.len(), all.reasons.len()), (20, 2, 1));
    }

    #[test]
    fn waits_are_taken_by_rank() {
        let mut tally = Tally { waits: (0..=100).rev().collect(), ..Tally::default() };
        assert_eq!([tally.wait(0.5), tally.wait(0.95), tally.wait(1.0)], [50, 95, 100]);
    }
}
