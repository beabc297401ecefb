//! Who was refused with a time to come back. What is promised for each moment is counted, so that nothing is
//! promised twice, and whoever comes when told is known again: by its token and its body.

use super::line::{Mask, Seeker, overlap};
use std::collections::{BTreeMap, HashMap};

/// Promises kept at the most.
pub(super) const PROMISES: usize = 16_384;
/// How long after its moment a promise is kept: clients spread their returns.
const GRACE_MS: u64 = 10_000;
/// How much sooner than told a request may come and still be known.
const EARLY_MS: u64 = 5_000;
/// Moments are counted in steps of that.
const STEP_MS: u64 = 2_000;
/// What of the promises is expected to be taken up as long as nothing is known.
const KEPT: f64 = 0.5;

#[derive(Debug)]
struct Promise {
    token: String,
    fingerprint: u64,
    sum: Sum,
}

/// What was promised for one step, to one token, for the same models.
#[derive(Clone, Copy, Debug)]
struct Sum {
    models: Mask,
    token: u32,
    count: u64,
    tokens: u64,
}

/// All promises.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// By the moment, then by number.
    by_due: BTreeMap<(u64, u64), Promise>,
    /// Those of each token and body.
    returning: HashMap<(String, u64), Vec<(u64, u64)>>,
    /// By step.
    steps: BTreeMap<u64, Vec<Sum>>,
    number: u64,
    /// The part of those that were taken up or lapsed that was taken up, of late.
    kept: Option<f64>,
}

/// What was promised until each coming moment.
#[derive(Clone, Debug, Default)]
pub struct Promised {
    /// The end of each step; until then: requests, those of the same client token.
    until: Vec<(u64, f64, f64)>,
    /// Tokens that all of them are expected to use.
    pub tokens: f64,
}

impl Promised {
    /// How many come until then: all, and those of the same client token.
    #[must_use]
    pub fn until(&self, then: u64) -> (f64, f64) {
        let at = self.until.partition_point(|(end, _, _)| *end <= then);
        let before = at.checked_sub(1).and_then(|at| self.until.get(at));
        let (_, all, own) = before.copied().unwrap_or_default();
        match self.until.get(at) {
            // Within a step they are taken to be spread evenly.
            Some((end, next, next_own)) if *end < then + STEP_MS => {
                let part = (then + STEP_MS - end) as f64 / STEP_MS as f64;
                (all + part * (next - all), own + part * (next_own - own))
            }
            _ => (all, own),
        }
    }

    /// The first moment from `from` on with a stretch of so many milliseconds around it in which less is promised
    /// than `room` says, or nothing.
    #[must_use]
    pub fn free(&self, from: u64, stretch: u64, room: impl Fn(u64, u64) -> f64) -> u64 {
        let mut at = from;
        while self.until.last().is_some_and(|(end, _, _)| at < *end) {
            let (start, end) = (at.saturating_sub(stretch / 2), at + stretch / 2);
            let promised = self.until(end).0 - self.until(start).0;
            if promised < 1.0 || promised <= room(start, end) {
                break;
            }
            at += STEP_MS;
        }
        at
    }

    /// All that come.
    #[must_use]
    pub fn all(&self) -> f64 {
        self.until.last().map_or(0.0, |(_, all, _)| *all)
    }
}

impl Promises {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Keeps a promise; false when there are too many.
    pub fn make(&mut self, now: u64, due: u64, token: u32, seeker: &Seeker<'_>) -> bool {
        if self.by_due.len() >= PROMISES {
            return false;
        }
        self.number += 1;
        let due = due.max(now);
        let sum = Sum { models: seeker.models, token, count: 1, tokens: seeker.tokens };
        let step = self.steps.entry(due / STEP_MS).or_default();
        match step.iter_mut().find(|other| other.models == sum.models && other.token == token) {
            Some(known) => {
                known.count += 1;
                known.tokens += sum.tokens;
            }
            None => step.push(sum),
        }
        let name = (seeker.token.to_owned(), seeker.fingerprint);
        self.returning.entry(name).or_default().push((due, self.number));
        let promise = Promise { token: seeker.token.to_owned(), fingerprint: seeker.fingerprint, sum };
        self.by_due.insert((due, self.number), promise);
        true
    }

    /// Somebody asks: the promise that it comes for, if there is one, which is taken up with that.
    pub fn take(&mut self, now: u64, token: &str, fingerprint: u64) -> Option<(u64, u64)> {
        if self.by_due.is_empty() {
            return None;
        }
        let known = self.returning.get(&(token.to_owned(), fingerprint))?;
        let place = known.iter().min().copied().filter(|(due, _)| *due <= now + EARLY_MS)?;
        self.forget(place);
        self.taken_up(true);
        Some(place)
    }

    fn forget(&mut self, place: (u64, u64)) -> Option<Promise> {
        let promise = self.by_due.remove(&place)?;
        let step = place.0 / STEP_MS;
        if let Some(sums) = self.steps.get_mut(&step) {
            let same = |sum: &&mut Sum| sum.models == promise.sum.models && sum.token == promise.sum.token;
            if let Some(sum) = sums.iter_mut().find(same) {
                sum.count -= 1;
                sum.tokens -= promise.sum.tokens;
            }
            sums.retain(|sum| sum.count > 0);
            if sums.is_empty() {
                self.steps.remove(&step);
            }
        }
        let name = (promise.token.clone(), promise.fingerprint);
        if let Some(places) = self.returning.get_mut(&name) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.returning.remove(&name);
            }
        }
        Some(promise)
    }

    fn taken_up(&mut self, kept: bool) {
        let sample = f64::from(u8::from(kept));
        self.kept = Some(self.kept.map_or(sample, |rate| (15.0 * rate + sample) / 16.0));
    }

    /// Gives up what was not taken up in time: its token, and the tokens it was expected to use.
    pub fn sweep(&mut self, now: u64) -> Vec<(String, u64)> {
        let mut lapsed = Vec::new();
        while let Some(place) = self.by_due.first_key_value().map(|(place, _)| *place)
            && place.0 + GRACE_MS <= now
        {
            self.taken_up(false);
            if let Some(promise) = self.forget(place) {
                lapsed.push((promise.token, promise.sum.tokens));
            }
        }
        lapsed
    }

    /// What was promised for those models; of those who may use others as well a part. Not everyone comes.
    #[must_use]
    pub fn ahead(&self, now: u64, models: Mask, token: u32) -> Promised {
        let kept = self.kept.unwrap_or(KEPT);
        let mut promised = Promised::default();
        let (mut all, mut own) = (0.0, 0.0);
        for (step, sums) in &self.steps {
            for sum in sums {
                let part = kept * overlap(sum.models, models);
                all += part * sum.count as f64;
                own += if sum.token == token { part * sum.count as f64 } else { 0.0 };
                promised.tokens += part * sum.tokens as f64;
            }
            let end = (step + 1) * STEP_MS;
            promised.until.push((end.max(now), all, own));
        }
        promised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Mask = 1;

    fn seeker(token: &str, fingerprint: u64) -> Seeker<'_> {
        Seeker { ticket: None, token, models: M, tokens: 100, fingerprint }
    }

    #[test]
    fn a_promise_is_kept_for_the_same_request_of_the_same_token() {
        let mut promises = Promises::default();
        promises.make(0, 30_000, 1, &seeker("a", 10));
        assert_eq!(promises.take(29_500, "a", 11), None, "another request of that token");
        assert_eq!(promises.take(29_500, "b", 10), None, "another token");
        assert_eq!(promises.take(24_999, "a", 10), None, "not so early");
        assert_eq!(promises.take(29_500, "a", 10), Some((30_000, 1)));
        assert_eq!(promises.take(29_500, "a", 10), None, "once");
        promises.make(0, 30_000, 1, &seeker("a", 10));
        assert_eq!(promises.sweep(39_999), Vec::new());
        assert_eq!(promises.sweep(40_000), [("a".to_owned(), 100)]);
        assert_eq!((promises.len(), promises.steps.len(), promises.returning.len()), (0, 0, 0));
    }

    #[test]
    fn what_was_promised_counts_as_far_as_it_is_taken_up() {
        let mut promises = Promises::default();
        for n in 0..40 {
            promises.make(0, 1_000 * n, 1, &seeker("a", n));
        }
        let half = promises.ahead(0, M, 1);
        assert_eq!(half.until(20_000), (10.0, 10.0), "half of them, as nothing is known");
        assert_eq!(half.until(21_000), (10.5, 10.5), "in the middle of a step");
        for n in 0..20 {
            promises.take(1_000 * n, "a", n);
        }
        assert_eq!(promises.ahead(0, M, 2).until(40_000), (20.0, 0.0), "all that are left");
        assert_eq!(promises.ahead(0, 3, 2).all(), 20.0);
        assert_eq!(promises.ahead(0, 2, 1).all(), 0.0, "for other models");
        assert_eq!(promises.ahead(0, M, 1).until(5_000), (0.0, 0.0));
        assert_eq!(promises.ahead(60_000, M, 1).until(60_000), (20.0, 20.0), "those who are late come still");
    }
}
