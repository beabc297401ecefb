//! What headers say of the buckets: which there are, how large they are, and how full they were at a moment. Each
//! reading is compared with what was held at that moment. Emptier than held is believed at once; fuller only once
//! everything that the reading may count has been reported.

use super::{Meter, Quota};
use crate::limits::grant::USE_WITHIN_MS;
use crate::limits::input::LIMIT_VALUE_MAX;
use crate::pool::bucket::Bucket;
use crate::pool::recent::{Amounts, minus};
use crate::wire::headers::{Counted, LimitReading};

/// A request granted this recently may not have reached the upstream yet; one of a lease, until it must be spent.
const ON_THE_WAY_MS: u64 = 400;
const ON_THE_WAY_LEASED_MS: u64 = USE_WITHIN_MS + 400;
/// What ended this long ago has been reported, most likely: then a reading tells exactly what is left.
pub(super) const REPORTED_MS: u64 = 1_500;
/// Readings in a row without a bucket after which it is taken for abolished.
const UNSEEN: u8 = 3;

/// The settlement of the answer that a reading came with, where the one was about when the other was: the upstream
/// may have counted it or not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    maybe: Amounts,
    /// What of it is among the changes after the reading.
    since: Amounts,
}

/// A reading, until what it counts has been reported.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    at: u64,
    limits: Vec<LimitReading>,
    own: Own,
}

/// How far a reading was from what the twin held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deviation {
    /// Readings compared.
    pub readings: u64,
    /// Sum of the absolute differences, in millionths of the limit.
    pub millionths: u64,
}

impl Quota {
    /// Takes what an answer's head said, written at `at`. `own` is what is still reserved for that answer.
    /// `at_the_end` when it has just been settled and its head came no sooner than its end: whether the upstream
    /// wrote it before or after its own settlement nobody knows.
    pub fn read(
        &mut self,
        now: u64,
        at: u64,
        limits: &[LimitReading],
        own: u64,
        at_the_end: bool,
    ) -> Deviation {
        let mut deviation = Deviation::default();
        if limits.is_empty() {
            self.silent |= !self.is_known();
            return deviation;
        }
        self.learn(at, limits, own);
        // Emptier than held is believed at once; fuller only once everything it may count has been reported.
        let (settled_at, settled) = self.recent.last_settled();
        let own = match at_the_end {
            true => Own { maybe: settled, since: if settled_at > at { settled } else { [0; 3] } },
            false => Own::default(),
        };
        self.correct(at, limits, own, None, &mut deviation);
        if let Some(pending) = self.pending.take_if(|pending| pending.at + REPORTED_MS <= now) {
            let leased = self.leased_at + ON_THE_WAY_LEASED_MS > pending.at;
            let on_the_way = if leased { ON_THE_WAY_LEASED_MS } else { ON_THE_WAY_MS };
            let unsure = self.recent.reserved_within(on_the_way, pending.at);
            self.correct(pending.at, &pending.limits, pending.own, Some(unsure), &mut Deviation::default());
        }
        if self.pending.is_none() {
            self.pending = Some(Pending { at, limits: limits.to_vec(), own });
        }
        deviation
    }

    /// Buckets that were not known, those whose size changed, and those that are gone.
    fn learn(&mut self, at: u64, limits: &[LimitReading], own: u64) {
        for reading in limits {
            let known = self
                .meters
                .iter_mut()
                .find(|meter| meter.what == reading.what && meter.window == reading.window);
            let Some(limit) = reading.limit.map(|limit| limit.min(LIMIT_VALUE_MAX)) else { continue };
            let Some(meter) = known else {
                let mut bucket = Bucket::new(limit, reading.window.ms());
                let remaining = reading.remaining.map_or(limit, |remaining| remaining.min(limit));
                bucket.set_level(at, remaining as i64);
                // Of what is under way the upstream may have given back all, or have seen none yet.
                let under_way = match reading.what {
                    Counted::Requests => u64::from(self.open).saturating_sub(u64::from(own > 0)),
                    _ => self.open_tokens.saturating_sub(own),
                };
                bucket.spend(at, under_way);
                let (what, window) = (reading.what, reading.window);
                self.meters.push(Meter { what, window, bucket, fixed: false, inferred: false, unseen: 0 });
                self.refused_from = None;
                continue;
            };
            meter.unseen = 0;
            meter.inferred = false;
            if !meter.fixed && limit.max(1) != meter.bucket.limit() {
                // A change of plan: what was refused for its size may fit now.
                self.refused_from = None;
                meter.bucket.set_limit(at, limit);
                if let Some(remaining) = reading.remaining {
                    meter.bucket.set_level(at, remaining.min(limit) as i64);
                    let since = self.recent.since(at).map_or(0, |since| meter.of(since));
                    meter.bucket.spend(at, u64::try_from(since).unwrap_or(0));
                }
            }
        }
        for meter in &mut self.meters {
            let seen = limits.iter().any(|said| said.what == meter.what && said.window == meter.window);
            if !seen && !meter.fixed && !meter.inferred {
                meter.unseen += 1;
            }
        }
        self.meters.retain(|meter| meter.unseen < UNSEEN);
        self.silent = false;
    }

    /// Compares what was said at a moment with what was held then. `unsure`: what may not have arrived by then,
    /// or been given back; without it the level is never raised.
    fn correct(
        &mut self,
        at: u64,
        limits: &[LimitReading],
        own: Own,
        unsure: Option<Amounts>,
        deviation: &mut Deviation,
    ) {
        let Some(since) = self.recent.since(at) else { return };
        let since = minus(since, own.since);
        let next = self.recent.first_after(at);
        for reading in limits {
            let Some(remaining) = reading.remaining else { continue };
            let known = |meter: &&mut Meter| meter.what == reading.what && meter.window == reading.window;
            let Some(meter) = self.meters.iter_mut().find(known) else { continue };
            if reading.limit.is_some_and(|limit| limit.clamp(1, LIMIT_VALUE_MAX) != meter.bucket.limit()) {
                continue;
            }
            let said = Said {
                at,
                remaining,
                reset_ms: reading.reset_ms,
                since: meter.of(since),
                next,
                maybe: meter.of(own.maybe),
                unsure: unsure.map(|unsure| meter.of(unsure)),
            };
            deviation.readings += 1;
            deviation.millionths += compare(&mut meter.bucket, &said);
        }
    }
}

/// What a header said of one bucket, and what is known around it.
struct Said {
    /// When.
    at: u64,
    remaining: u64,
    reset_ms: Option<u64>,
    /// What was taken from the bucket after that moment.
    since: i64,
    /// When the first of it was.
    next: Option<u64>,
    /// What was taken just before it or just after it.
    maybe: i64,
    /// What may have been given back, or not have arrived, before it; `None` when nothing is certain.
    unsure: Option<i64>,
}

/// Compares a bucket with what was said of it, and corrects it. Returns how far apart the two were, in millionths
/// of the limit.
fn compare(bucket: &mut Bucket, said: &Said) -> u64 {
    let at = said.at as i64;
    let missing = bucket.limit().saturating_sub(said.remaining);
    // `remaining` is rounded down, the time until full is not: where the two agree the time is the better one.
    let (least, most) = (bucket.ms_for(missing.saturating_sub(1)), bucket.ms_for(missing));
    let exact = said.reset_ms.filter(|reset| (least..=most + 1).contains(reset));
    let (soonest, latest) = match exact {
        Some(reset) => (at + reset as i64, at + reset as i64),
        None => (at + least as i64, at + most as i64),
    };
    let (since, maybe) = (signed_ms(bucket, said.since), signed_ms(bucket, said.maybe));
    // A bucket that was full before something was taken could not save up for it.
    let full_until = said.next.map_or(at, |next| next as i64);
    let full_at = bucket.full_at() as i64;
    let with = (full_at - since).max(at);
    let without = (full_at - since - maybe).max(at);
    let off = if with.max(without) < soonest {
        // Somebody else uses it too, or the upstream counts otherwise: it is as empty as it says.
        let told = latest + since + maybe.min(0);
        bucket.set_full_at(u64::try_from(full_at.max(told)).unwrap_or(0));
        soonest - with.max(without)
    } else if with.min(without) > latest {
        if let Some(unsure) = said.unsure {
            let surely = latest.max(full_until) + since + maybe.max(0) + signed_ms(bucket, unsure);
            bucket.set_full_at(u64::try_from(full_at.min(surely)).unwrap_or(0));
        }
        with.min(without) - latest
    } else {
        0
    };
    (off as f64 * 1e6 / bucket.window_ms() as f64) as u64
}

fn signed_ms(bucket: &Bucket, units: i64) -> i64 {
    let ms = bucket.ms_for(units.unsigned_abs()) as i64;
    if units < 0 { -ms } else { ms }
}
