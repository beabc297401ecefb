//! Who was refused with a time to come back. What is promised for each moment is counted, so that nothing is
//! promised twice, and whoever comes when told is known again: by its token and its body.

use super::line::{Mask, Seeker, overlap};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Promises kept at the most.
pub(super) const PROMISES: usize = 16_384;
/// Promises written down at the most: with their names they fit one row (2 MB) many times over.
const WRITTEN: usize = 2_000;
/// How long after its moment a promise is kept: clients spread their returns.
const GRACE_MS: u64 = 10_000;
/// How much sooner than told a request may come and still be known.
const EARLY_MS: u64 = 5_000;
/// Who should have come so long ago has its room kept still.
const LATE_MS: u64 = 1_500;
/// But for who waits and can't wait any longer: nearly all come within that.
const LATE_AT_LAST_MS: u64 = 300;
/// Moments are counted in steps of that.
const STEP_MS: u64 = 1_000;
/// What of the promises is expected to be taken up as long as nothing is known: clients do as they are told.
const KEPT: f64 = 1.0;

/// A promise as it is written down: models by name, since their numbers change with each start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// When it is due, unix milliseconds.
    pub due: u64,
    /// The client token.
    pub token: String,
    /// What the request is known by.
    pub fingerprint: u64,
    /// The models it may use.
    pub models: Vec<String>,
    /// Tokens it is expected to use.
    pub tokens: u64,
    /// Tokens that are reserved for it.
    pub reserved: u64,
}

#[derive(Debug)]
struct Promise {
    token: String,
    number: u32,
    fingerprint: u64,
    models: Mask,
    tokens: u64,
    reserved: u64,
}

/// What was promised for one step, for the same models.
#[derive(Clone, Copy, Debug)]
struct Sum {
    step: u64,
    models: Mask,
    count: u64,
    tokens: u64,
}

/// How much was promised for which step: in order, and side by side in memory, as every ask reads all of it.
#[derive(Debug, Default)]
struct Calendar(Vec<Sum>);

impl Calendar {
    fn place(&self, due: u64, models: Mask) -> Result<usize, usize> {
        self.0.binary_search_by_key(&(due / STEP_MS, models), |sum| (sum.step, sum.models))
    }

    fn add(&mut self, due: u64, models: Mask, tokens: u64) {
        match self.place(due, models) {
            Ok(at) => {
                if let Some(sum) = self.0.get_mut(at) {
                    sum.count += 1;
                    sum.tokens += tokens;
                }
            }
            Err(at) => self.0.insert(at, Sum { step: due / STEP_MS, models, count: 1, tokens }),
        }
    }

    fn remove(&mut self, due: u64, models: Mask, tokens: u64) {
        let Ok(at) = self.place(due, models) else { return };
        let Some(sum) = self.0.get_mut(at) else { return };
        sum.count = sum.count.saturating_sub(1);
        sum.tokens = sum.tokens.saturating_sub(tokens);
        if sum.count == 0 {
            self.0.remove(at);
        }
    }

    /// The sums of the steps from that moment until that other.
    fn range(&self, from: u64, until: u64) -> &[Sum] {
        let first = self.0.partition_point(|sum| sum.step < from / STEP_MS);
        let rest = self.0.get(first..).unwrap_or_default();
        let upto = match rest.last() {
            Some(last) if last.step > until / STEP_MS => {
                rest.partition_point(|sum| sum.step <= until / STEP_MS)
            }
            _ => rest.len(),
        };
        rest.get(..upto).unwrap_or_default()
    }

    fn within(&self, from: u64, (now, until): (u64, u64), part: impl Fn(Mask) -> f64) -> Promised {
        let sums = self.range(from, until);
        let mut promised = Promised { until: Vec::with_capacity(sums.len()), tokens: 0.0 };
        let mut all = 0.0;
        // Most are for the same few sets of models.
        let mut known = (0, part(0));
        let mut step = None;
        for sum in sums {
            if sum.models != known.0 {
                known = (sum.models, part(sum.models));
            }
            all += known.1 * sum.count as f64;
            promised.tokens += known.1 * sum.tokens as f64;
            let end = (((sum.step + 1) * STEP_MS).max(now), all);
            match promised.until.last_mut() {
                Some(last) if step == Some(sum.step) => *last = end,
                _ => promised.until.push(end),
            }
            step = Some(sum.step);
        }
        promised
    }
}

/// The end of the last of these steps until which more come than there is room. Steps at whose beginning there is
/// room for all who come until their end need no further look.
fn last_short(steps: &[(u64, f64)], room: &impl Fn(u64) -> f64) -> Option<u64> {
    let ((first, _), (last, come)) = (steps.first()?, steps.last()?);
    if *come < 1.0 || *come <= room(*first) {
        return None;
    }
    if first == last {
        return Some(*last);
    }
    let (former, latter) = steps.split_at_checked(steps.len() / 2)?;
    last_short(latter, room).or_else(|| last_short(former, room))
}

/// All promises.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// By the moment, then by number.
    by_due: BTreeMap<(u64, u64), Promise>,
    /// Those of each token and body.
    returning: HashMap<(String, u64), Vec<(u64, u64)>>,
    all: Calendar,
    /// By the number of the client token.
    own: HashMap<u32, Calendar>,
    number: u64,
    /// Some were made or taken up since they were last written down.
    changed: bool,
    /// The part of those that were taken up or lapsed that was taken up, of late.
    kept: Option<f64>,
}

/// What was promised until each coming moment.
#[derive(Clone, Debug, Default)]
pub struct Promised {
    /// The end of each step, and how many requests until then.
    until: Vec<(u64, f64)>,
    /// Tokens that all of them are expected to use.
    pub tokens: f64,
}

impl Promised {
    /// How many come until then, and until the end of the step that it is in: where they stand in it is not known.
    #[must_use]
    pub fn until(&self, then: u64) -> f64 {
        let at = self.until.partition_point(|(end, _)| *end < then + STEP_MS);
        at.checked_sub(1).and_then(|at| self.until.get(at)).map_or(0.0, |(_, all)| *all)
    }

    /// The first moment from `from` on with a stretch of so many milliseconds around it in which less is promised
    /// than `room` says, or nothing.
    #[must_use]
    pub fn free(&self, from: u64, stretch: u64, room: impl Fn(u64, u64) -> f64) -> u64 {
        let mut at = from;
        while self.until.last().is_some_and(|(end, _)| at < *end) {
            let (start, end) = (at.saturating_sub(stretch / 2), at + stretch / 2);
            let promised = self.until(end) - self.until(start);
            if promised < 1.0 || promised <= room(start, end) {
                break;
            }
            at += STEP_MS;
        }
        at
    }

    /// The end of the last step of that span until which more come than `room` says, if there is one: room that
    /// does not shrink. Looked at are the steps of the first `most` who come.
    #[must_use]
    pub fn short_until(&self, span: (u64, u64), most: f64, room: impl Fn(u64) -> f64) -> Option<u64> {
        let first = self.until.partition_point(|(end, _)| *end < span.0);
        let last = self.until.partition_point(|(end, come)| *end <= span.1 && *come <= most);
        last_short(self.until.get(first..last.max(first)).unwrap_or_default(), &room)
    }

    /// All that come.
    #[must_use]
    pub fn all(&self) -> f64 {
        self.until.last().map_or(0.0, |(_, all)| *all)
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
        let number = self.next_number();
        self.insert((due.max(now), number), token, seeker);
        true
    }

    /// Keeps a promise that was taken up in vain.
    pub fn put_back(&mut self, now: u64, place: (u64, u64), token: u32, seeker: &Seeker<'_>) {
        if place.0 + GRACE_MS <= now || self.by_due.len() >= PROMISES {
            return;
        }
        // One from before a restart has no number of its own.
        let number = if place.1 == 0 { self.next_number() } else { place.1 };
        self.insert((place.0, number), token, seeker);
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Whether there are others than were last written down.
    pub fn have_changed(&self) -> bool {
        self.changed
    }

    /// Those to write down, the first that are due; `None` when nothing has changed. `named` gives a set's names.
    pub fn take_changed(&mut self, now: u64, named: impl Fn(Mask) -> Vec<String>) -> Option<Vec<Kept>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let due = self.by_due.range((now.saturating_sub(GRACE_MS), 0)..);
        let kept = due.take(WRITTEN).map(|((due, _), promise)| Kept {
            due: *due,
            token: promise.token.clone(),
            fingerprint: promise.fingerprint,
            models: named(promise.models),
            tokens: promise.tokens,
            reserved: promise.reserved,
        });
        Some(kept.collect())
    }

    fn insert(&mut self, place: (u64, u64), token: u32, seeker: &Seeker<'_>) {
        self.changed = true;
        self.all.add(place.0, seeker.models, seeker.tokens);
        self.own.entry(token).or_default().add(place.0, seeker.models, seeker.tokens);
        let name = (seeker.token.to_owned(), seeker.fingerprint);
        self.returning.entry(name).or_default().push(place);
        let promise = Promise {
            token: seeker.token.to_owned(),
            number: token,
            fingerprint: seeker.fingerprint,
            models: seeker.models,
            tokens: seeker.tokens,
            reserved: seeker.reserved,
        };
        self.by_due.insert(place, promise);
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

    /// Since when who should have come has its room kept, before a request that waits and can do so for so long
    /// still: it is not refused for the sake of who is later than that.
    #[must_use]
    pub fn kept_since(now: u64, left: Option<u64>) -> u64 {
        now.saturating_sub(left.map_or(LATE_MS, |left| left.clamp(LATE_AT_LAST_MS, LATE_MS)))
    }

    /// Those who are to come in that span, with what they may use and what is reserved for them.
    pub fn near(&self, (since, until): (u64, u64), models: Mask) -> impl Iterator<Item = (Mask, u64)> {
        let span = (since, 0)..(until, 0);
        let near = self.by_due.range(span).map(|(_, promise)| (promise.models, promise.reserved));
        near.filter(move |(of, _)| of & models != 0)
    }

    fn forget(&mut self, place: (u64, u64)) -> Option<Promise> {
        let promise = self.by_due.remove(&place)?;
        self.changed = true;
        self.all.remove(place.0, promise.models, promise.tokens);
        if let Some(own) = self.own.get_mut(&promise.number) {
            own.remove(place.0, promise.models, promise.tokens);
            if own.0.is_empty() {
                self.own.remove(&promise.number);
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
                lapsed.push((promise.token, promise.tokens));
            }
        }
        lapsed
    }

    fn kept(&self) -> f64 {
        self.kept.unwrap_or(KEPT)
    }

    /// What was promised until then for those models; of those who may use others as well a part. Not everyone
    /// comes.
    #[must_use]
    pub fn ahead(&self, span: (u64, u64), models: Mask) -> Promised {
        self.all.within(0, span, |of| self.kept() * overlap(of, models))
    }

    /// What was promised until then to those who may use none but these models. Who should have come before `since`
    /// is left out.
    #[must_use]
    pub fn coming(&self, since: u64, span: (u64, u64), models: Mask) -> Promised {
        let none_but = |of: Mask| if of & !models == 0 { self.kept() } else { 0.0 };
        self.all.within(since, span, none_but)
    }

    /// Those models, and all that may be used in place of one of them by somebody who was promised something until
    /// then.
    #[must_use]
    pub fn reach(&self, (now, until): (u64, u64), models: Mask) -> Mask {
        let sums = self.all.range(now.saturating_sub(LATE_MS), until).iter();
        let of_some = sums.filter(|sum| sum.models & models != 0);
        of_some.fold(models, |reach, sum| reach | sum.models)
    }

    /// The same as [`Self::ahead`] of one client token.
    #[must_use]
    pub fn own(&self, span: (u64, u64), models: Mask, token: u32) -> Promised {
        let own = self.own.get(&token);
        own.map(|own| own.within(0, span, |of| self.kept() * overlap(of, models))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_step_with_too_little_room_is_found(
            come in prop::collection::vec((0_u64..3, 0_u8..3), 0..40),
            room in prop::collection::vec(0_u8..4, 120),
            (from, upto) in (0_u64..60, 0_u64..120),
        ) {
            let (mut end, mut all) = (0, 0.0);
            let until = come.into_iter().map(|(later, more)| {
                (end, all) = (end + later, all + f64::from(more));
                (end, all)
            });
            let promised = Promised { until: until.collect(), tokens: 0.0 };
            let room = |end: u64| room[..end as usize].iter().map(|more| f64::from(*more)).sum::<f64>();
            let short = |(end, come): &&(u64, f64)| {
                (from..=upto).contains(end) && *come <= 30.0 && *come >= 1.0 && *come > room(*end)
            };
            let found = promised.short_until((from, upto), 30.0, room);
            prop_assert_eq!(found, promised.until.iter().rev().find(short).map(|(end, _)| *end));
        }
    }

    const M: Mask = 1;

    fn seeker(token: &str, fingerprint: u64) -> Seeker<'_> {
        Seeker { ticket: None, token, models: M, tokens: 100, reserved: 200, fingerprint }
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
        assert!(promises.len() == 0 && promises.all.0.is_empty() && promises.own.is_empty());
        assert!(promises.returning.is_empty());
    }

    #[test]
    fn what_was_promised_counts_as_far_as_it_is_taken_up() {
        let mut promises = Promises::default();
        for n in 0..40 {
            promises.make(0, 1_000 * n, 1, &seeker("a", n));
        }
        let far = (0, u64::MAX);
        let made = promises.ahead(far, M);
        assert_eq!(made.until(20_000), 20.0, "all of them, as nothing is known");
        assert_eq!(made.until(21_000), 21.0, "in the middle of a step");
        assert_eq!(promises.own(far, M, 1).until(20_000), 20.0);
        for n in 0..20 {
            promises.take(1_000 * n, "a", n);
        }
        assert_eq!(promises.ahead(far, M).until(40_000), 20.0, "all that are left");
        assert_eq!(promises.own(far, M, 2).all(), 0.0, "of another token");
        assert_eq!(promises.ahead((0, 29_999), M).all(), 10.0, "those within the span");
        assert_eq!(promises.ahead(far, 3).all(), 20.0);
        assert_eq!(promises.ahead(far, 2).all(), 0.0, "for other models");
        assert_eq!(promises.ahead(far, M).until(5_000), 0.0);
        assert_eq!(
            promises.ahead((60_000, u64::MAX), M).until(60_000),
            20.0,
            "those who are late come still"
        );
        promises.make(0, 0, 1, &seeker("a", 99));
        promises.sweep(10_000);
        assert_eq!(promises.ahead(far, M).until(40_000), 20.0 * 15.0 / 16.0, "one did not come");
    }
}
