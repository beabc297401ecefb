//! Notices that several quota groups look like one quota, from what answers say of their limits. It only
//! suggests; nothing regroups by itself.
//!
//! Equal keys in turn have nearly equal figures, so likeness is no evidence. Evidence is an unexplained drop: a
//! group's `remaining` fell by more than its own requests, and by as many as the other suspects sent meanwhile,
//! and theirs likewise. How many requests were charged between two readings is known within bounds only, as
//! answers come in any order and late: counts are of calls, not of clocks, and every request under way makes the
//! bounds wider. A contradiction is one that holds at their very ends.
//!
//! What it cannot tell: two keys of a fast plan which another program also uses, just as often as this pool does and
//! in step with it, look like one. And a bucket that is always nearly full shows nothing.

use crate::wire::headers::{Counted, LimitReading, Window};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

#[path = "kinship_window.rs"]
mod window;
use window::{Anchor, Bucket, Drop};
#[path = "kinship_suspects.rs"]
mod suspects;

/// Groups watched for each model; the longest unused are forgotten.
pub const GROUPS_WATCHED: usize = 2_000;
/// Models watched.
pub const MODELS_WATCHED: usize = 8;
/// Groups of one model with unexplained drops that are compared with each other.
const SUSPECTS: usize = 64;
/// A drop unexplained by less may still be rounding.
const UNEXPLAINED_LEAST: i64 = 2;
/// Consistent observations of each member before something is said.
const OBSERVATIONS: u32 = 5;
/// And the least time they must span.
const SPAN_MS: u64 = 30_000;
/// Own requests after which a window without an unexplained drop begins anew.
const LONG_WINDOW: i64 = 8;
/// The same for a suspect.
const LONGEST_WINDOW: i64 = 256;
/// Readings are older than the last by this: the clock was set back.
const STEP_MS: u64 = 60_000;
/// How long a contradiction counts.
const CONTRADICTED_MS: u64 = 3_600_000;
/// A suspect's place can be taken when it had no unexplained drop for so long.
const SUSPECT_KEPT_MS: u64 = 600_000;
/// And when its drops were not explained for so long.
const FRUITLESS_MS: u64 = 1_800_000;
/// Of a request without an answer after this long nobody knows whether it was charged.
const UNDER_WAY_MS: u64 = 120_000;
/// Requests of one group whose start is kept.
const UNDER_WAY: usize = 64;
/// Dismissed sets that are remembered.
const DISMISSED: usize = 1_000;

/// What a [`Suggestion`] rests on: the sums of all members' observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Drops that were compared with the others' requests.
    pub observations: u32,
    /// The limit that all share: requests in a window.
    pub limit: u64,
    /// Its window.
    pub window: Window,
    /// By how much `remaining` fell, refill counted in.
    pub drop: u64,
    /// Of that, at most so much by the group's own requests.
    pub own: u64,
    /// The least the other groups sent meanwhile.
    pub others_least: u64,
    /// The most the other groups sent meanwhile.
    pub others_most: u64,
    /// How far apart the stated reset times of the last answers were, in milliseconds; `None` without any.
    pub resets_within_ms: Option<u64>,
}

/// Groups that look like one quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The groups, sorted; at least two.
    pub groups: Vec<String>,
    /// The model it showed with.
    pub model: String,
    /// Why.
    pub evidence: Evidence,
    /// When the first of the observations was made, unix milliseconds.
    pub since: u64,
}

/// A request under way: what had been answered when it was sent was charged before it.
#[derive(Debug)]
struct Flight {
    grant: u64,
    at: u64,
    answered: u32,
    order: u64,
    /// The same of all suspects, when its group is one.
    suspects: Option<Box<[u32]>>,
}

/// One group with one model.
#[derive(Debug, Default)]
struct Track {
    sent: u32,
    answered: u32,
    /// Requests under way that are not among `flights`, for their number.
    uncounted: u32,
    flights: VecDeque<Flight>,
    used_at: u64,
    bucket: Option<Bucket>,
    anchor: Option<Anchor>,
    suspect: Option<usize>,
}

/// The counts of a suspect, and what its observations came to.
#[derive(Debug, Default)]
struct Suspect {
    group: String,
    sent: u32,
    answered: u32,
    joined_at: u64,
    dropped_at: u64,
    last: Option<Last>,
    /// Places of those that explain its drops.
    kin: u64,
    good: u32,
    since: u64,
    until: u64,
    sums: [u64; 4],
}

/// A suspect's latest reading.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: u64,
    bucket: Bucket,
    remaining: u64,
    reset_at: Option<u64>,
    order: u64,
    /// Answers of all suspects when its request was sent.
    answered: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    supported: bool,
    contradicted_at: u64,
}

#[derive(Debug, Default)]
struct Watch {
    tracks: HashMap<String, Track>,
    suspects: Vec<Suspect>,
    /// By place and place, both ways.
    pairs: Vec<[Pair; SUSPECTS]>,
    order: u64,
    used_at: u64,
}

/// What was seen of the groups' limits, by model.
#[derive(Debug, Default)]
pub struct Kinship {
    models: HashMap<String, Watch>,
    dismissed: VecDeque<Vec<String>>,
}

impl Kinship {
    fn watch(&mut self, at: u64, model: &str) -> &mut Watch {
        if !self.models.contains_key(model) {
            if self.models.len() >= MODELS_WATCHED {
                let oldest = self.models.iter().min_by_key(|(_, watch)| watch.used_at);
                if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                    self.models.remove(&name);
                }
            }
            self.models.insert(model.to_owned(), Watch::default());
        }
        let watch = self.models.entry(model.to_owned()).or_default();
        watch.used_at = watch.used_at.max(at);
        watch
    }

    /// A request was sent with that group, under a number of its own. To be told before its answer's headers.
    pub fn sent(&mut self, at: u64, group: &str, model: &str, grant: u64) {
        self.watch(at, model).sent(at, group, grant);
    }

    /// The headers of a successful answer to one of them, true at the time `at`; empty when there were none. Answers
    /// may be told late and in any order.
    pub fn seen(&mut self, at: u64, group: &str, model: &str, grant: u64, limits: &[LimitReading]) {
        if let Some(watch) = self.models.get_mut(model) {
            watch.seen(at, group, grant, limits);
        }
    }

    /// One of them had no successful answer. `refused` when it was not charged, as with a 429 or a grant that was
    /// not used; else nobody knows.
    pub fn failed(&mut self, group: &str, model: &str, grant: u64, refused: bool) {
        if let Some(watch) = self.models.get_mut(model) {
            watch.failed(group, Some(grant), refused);
        }
    }

    /// What is suggested now.
    #[must_use]
    pub fn suggestions(&self, now: u64) -> Vec<Suggestion> {
        let mut found: Vec<Suggestion> = Vec::new();
        for (model, watch) in &self.models {
            watch.suggest(now, model, &mut found);
        }
        found.retain(|suggestion| {
            let said_no = |no: &Vec<String>| suggestion.groups.iter().all(|group| no.contains(group));
            !self.dismissed.iter().any(said_no)
        });
        found.sort_by(|a, b| (&a.groups, &a.model).cmp(&(&b.groups, &b.model)));
        // The same groups show with every model they use; once is enough.
        found.dedup_by(|later, first| later.groups == first.groups);
        found
    }

    /// Forgets groups: their quota was set by hand, or they are gone.
    pub fn forget(&mut self, groups: &[String]) {
        for watch in self.models.values_mut() {
            for group in groups {
                watch.forget(group);
            }
        }
    }

    /// The operator says that these are not one quota: neither they nor some of them are suggested again.
    pub fn dismiss(&mut self, groups: &[String]) {
        self.dismissed.push_back(groups.to_vec());
        if self.dismissed.len() > DISMISSED {
            self.dismissed.pop_front();
        }
    }
}

impl Track {
    fn flight(&mut self, grant: u64) -> Option<Flight> {
        let at = self.flights.iter().position(|flight| flight.grant == grant)?;
        self.flights.remove(at)
    }

    /// Takes a request from those under way; false when there is none.
    fn ended(&mut self, grant: Option<u64>) -> bool {
        let known = match grant {
            Some(grant) => self.flight(grant).is_some(),
            None => self.flights.pop_front().is_some(),
        };
        let uncounted = !known && self.uncounted > 0;
        self.uncounted -= u32::from(uncounted);
        known || uncounted
    }
}

impl Watch {
    fn sent(&mut self, at: u64, group: &str, grant: u64) {
        self.order += 1;
        if !self.tracks.contains_key(group) {
            self.make_room();
            self.tracks.insert(group.to_owned(), Track::default());
        }
        let lost = |track: &Track| {
            track.flights.front().map_or(track.uncounted > 0, |flight| flight.at + UNDER_WAY_MS < at)
        };
        while self.tracks.get(group).is_some_and(lost) {
            self.failed(group, None, false);
        }
        let Some(track) = self.tracks.get_mut(group) else { return };
        track.used_at = track.used_at.max(at);
        track.sent += 1;
        if track.flights.len() < UNDER_WAY {
            let suspects =
                track.suspect.map(|_| self.suspects.iter().map(|suspect| suspect.answered).collect());
            let (answered, order) = (track.answered, self.order);
            track.flights.push_back(Flight { grant, at, answered, order, suspects });
        } else {
            track.uncounted += 1;
        }
        if let Some(suspect) = track.suspect.and_then(|place| self.suspects.get_mut(place)) {
            suspect.sent += 1;
        }
    }

    /// Without a grant, the oldest under way.
    fn failed(&mut self, group: &str, grant: Option<u64>, refused: bool) {
        let Some(track) = self.tracks.get_mut(group) else { return };
        if !track.ended(grant) {
            return;
        }
        let suspect = track.suspect.and_then(|place| self.suspects.get_mut(place));
        if refused {
            track.sent -= 1;
            if let Some(suspect) = suspect {
                suspect.sent -= 1;
            }
            return;
        }
        track.answered += 1;
        track.anchor = None;
        if let Some(suspect) = suspect {
            suspect.answered += 1;
            self.start_again();
        }
    }

    fn seen(&mut self, at: u64, group: &str, grant: u64, limits: &[LimitReading]) {
        self.order += 1;
        let Some(track) = self.tracks.get_mut(group) else { return };
        let flight = track.flight(grant);
        if flight.is_none() && !track.ended(Some(grant)) {
            return;
        }
        track.answered += 1;
        let place = track.suspect;
        if let Some(suspect) = place.and_then(|place| self.suspects.get_mut(place)) {
            suspect.answered += 1;
        }
        let Some(flight) = flight else { return };
        let Some((bucket, remaining, reset_ms)) = slowest(limits) else { return };
        if track.bucket != Some(bucket) {
            // Slower limits are not in every answer: a faster one does not take their place.
            if track.bucket.is_some_and(|known| known.window > bucket.window) {
                return;
            }
            (track.bucket, track.anchor) = (Some(bucket), None);
        }
        if track.anchor.as_ref().is_some_and(|anchor| at + STEP_MS < anchor.seen_at) {
            track.anchor = None;
        }
        let late = track.anchor.as_ref().is_some_and(|anchor| at < anchor.seen_at);
        if late || (place.is_some() && flight.suspects.is_none()) {
            return;
        }
        let now = Anchor {
            at,
            seen_at: at,
            remaining,
            sent: track.sent,
            answered: flight.answered,
            suspects: place.map_or_else(Vec::new, |_| self.suspects.iter().map(|one| one.sent).collect()),
            before: flight.suspects.unwrap_or_default(),
        };
        let reset_at = reset_ms.map(|ms| at.saturating_add(ms));
        let answered = now.before.iter().map(|&count| u64::from(count)).sum();
        let last = Last { at, bucket, remaining, reset_at, order: self.order, answered };
        let Some(was) = &mut track.anchor else {
            track.anchor = Some(now);
            self.note(place, last);
            return;
        };
        was.seen_at = at;
        let (charged, own) = (was.charged(bucket, &now), was.own(&now));
        let drop = Drop { charged, own, rest: charged.without(own) };
        let unexplained = drop.rest.least >= UNEXPLAINED_LEAST;
        // One that may have lost refill does not become any clearer.
        let lasting = place.is_some() && !was.may_have_been_full(bucket, at);
        let long = own.least >= if lasting { LONGEST_WINDOW } else { LONG_WINDOW };
        if charged.most < own.least {
            // There is more than refill explains: it was filled up, or is another bucket now.
            *was = now;
            if place.is_some() {
                self.start_again();
            }
            return;
        }
        match place {
            None if unexplained => self.suspect(at, group),
            None if long => *was = now,
            None => {}
            Some(place) => {
                let was = was.clone();
                if (self.observe(place, flight.order, &was, &now, &last, drop) || long)
                    && let Some(track) = self.tracks.get_mut(group)
                {
                    track.anchor = Some(now);
                }
                self.note(Some(place), last);
            }
        }
    }

    fn note(&mut self, place: Option<usize>, last: Last) {
        if let Some(suspect) = place.and_then(|place| self.suspects.get_mut(place)) {
            suspect.last = Some(last);
        }
    }

    fn forget(&mut self, group: &str) {
        if let Some(place) = self.tracks.remove(group).and_then(|track| track.suspect) {
            self.clear(place);
        }
    }

    /// Forgets the longest unused, several at once, since looking for them takes a look at all.
    fn make_room(&mut self) {
        if self.tracks.len() < GROUPS_WATCHED {
            return;
        }
        let mut used: Vec<(u64, String)> =
            self.tracks.iter().map(|(group, track)| (track.used_at, group.clone())).collect();
        used.sort_unstable();
        for (_, group) in used.iter().take(GROUPS_WATCHED / 16) {
            self.forget(group);
        }
    }
}

/// The request limit that refills the slowest, with what remains of it. Nothing left may mean less than nothing.
fn slowest(limits: &[LimitReading]) -> Option<(Bucket, u64, Option<u64>)> {
    let requests = limits.iter().filter(|reading| reading.what == Counted::Requests);
    let known = requests.filter_map(|reading| {
        let bucket = Bucket { limit: reading.limit.filter(|limit| *limit > 0)?, window: reading.window };
        Some((bucket, reading.remaining?, reading.reset_ms))
    });
    known.max_by_key(|(bucket, ..)| bucket.window).filter(|(_, remaining, _)| *remaining > 0)
}

#[cfg(test)]
#[path = "kinship_tests.rs"]
mod tests;
