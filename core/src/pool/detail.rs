//! What a usage cell holds beside its counts: errors by what the client got, and how long answers took.
//!
//! Times go into a fixed log-scale histogram, so that cells add up and a percentile costs no list of times.

use super::protocol::RequestEnd;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets in milliseconds, each about 1.47 times the one before (the series E6), from 10 ms to
/// 10 min. What is longer falls into one more bucket. Their places are stored: the list must not change.
pub const BOUNDS_MS: [u64; 30] = [
    10, 15, 22, 33, 47, 68, 100, 150, 220, 330, 470, 680, 1_000, 1_500, 2_200, 3_300, 4_700, 6_800, 10_000,
    15_000, 22_000, 33_000, 47_000, 68_000, 100_000, 150_000, 220_000, 330_000, 470_000, 600_000,
];

/// Times in buckets, of which only those that hold something are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Sum of all times, in milliseconds.
    #[serde(rename = "s")]
    pub sum_ms: u64,
    /// (place of the bucket, times in it), by place.
    #[serde(rename = "b")]
    buckets: Vec<(u8, u32)>,
}

/// The place of a time's bucket: the first whose bound is not below it.
fn place_of(ms: u64) -> u8 {
    u8::try_from(BOUNDS_MS.partition_point(|bound| *bound < ms)).unwrap_or(u8::MAX)
}

/// What a bucket spans, in milliseconds: from (exclusive, but for the first) and to. What is beyond the last bound is
/// told as that bound.
fn span_of(place: u8) -> (u64, u64) {
    let bound = |at: usize| BOUNDS_MS.get(at).or(BOUNDS_MS.last()).copied().unwrap_or(0);
    let place = usize::from(place);
    (if place == 0 { 0 } else { bound(place - 1) }, bound(place))
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, ms: u64) {
        self.sum_ms = self.sum_ms.saturating_add(ms);
        let place = place_of(ms);
        match self.buckets.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => {
                if let Some((_, count)) = self.buckets.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.buckets.insert(at, (place, 1)),
        }
    }

    /// How many times there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The time that `percent` of all are not longer than (the nearest rank), in milliseconds: exact to its bucket,
    /// and within it as if its times were spread evenly. `None` without times.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count() * percent.min(100)).div_ceil(100).max(1);
        let mut before = 0;
        for (place, count) in &self.buckets {
            let count = u64::from(*count);
            if before + count >= rank {
                let (from, to) = span_of(*place);
                let share = (rank - before) as f64 / count as f64;
                return Some(from + ((to - from) as f64 * share).round() as u64);
            }
            before += count;
        }
        None
    }

    /// For each bound, how many times are not longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        let mut rest = self.buckets.iter().peekable();
        BOUNDS_MS.iter().enumerate().map(move |(place, bound)| {
            while let Some((_, count)) = rest.next_if(|(at, _)| usize::from(*at) <= place) {
                sum += u64::from(*count);
            }
            (*bound, sum)
        })
    }
}

/// Failed client requests by what the client got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// 429.
    pub rate_limited: u64,
    /// Another 4xx.
    pub client: u64,
    /// 500, 502 and whatever else is the upstream's.
    pub upstream: u64,
    /// 503 and 504.
    pub unavailable: u64,
    /// An answer that broke after its good start.
    pub broken: u64,
}

impl Errors {
    /// By name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("rate_limited", self.rate_limited),
            ("client", self.client),
            ("upstream", self.upstream),
            ("unavailable", self.unavailable),
            ("broken", self.broken),
        ]
    }

    fn add(&mut self, status: u16) {
        let place = match status {
            ..400 => &mut self.broken,
            429 => &mut self.rate_limited,
            400..500 => &mut self.client,
            503 | 504 => &mut self.unavailable,
            _ => &mut self.upstream,
        };
        *place += 1;
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// As it is stored: the five counts in the order of the fields.
mod short {
    use super::Errors;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(errors: &Errors, to: S) -> Result<S::Ok, S::Error> {
        errors.named().map(|(_, count)| count).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Errors, D::Error> {
        let [rate_limited, client, upstream, unavailable, broken] = <[u64; 5]>::deserialize(from)?;
        Ok(Errors { rate_limited, client, upstream, unavailable, broken })
    }
}

/// What a cell of client requests holds beside its counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// Errors.
    #[serde(rename = "e", with = "short", skip_serializing_if = "Errors::is_none")]
    pub errors: Errors,
    /// Whole times of the requests that were answered whole.
    #[serde(rename = "l", skip_serializing_if = "Histogram::is_empty")]
    pub latency: Histogram,
    /// Times to the first event given to the client, of all that came so far.
    #[serde(rename = "f", skip_serializing_if = "Histogram::is_empty")]
    pub first_event: Histogram,
}

impl Detail {
    /// Counts how a client's request ended.
    pub fn add(&mut self, end: &RequestEnd) {
        if end.error {
            self.errors.add(end.status);
        } else if !end.cut {
            self.latency.add(end.duration_ms);
        }
        if let Some(ms) = end.first_event_ms {
            self.first_event.add(ms);
        }
    }
}

#[cfg(test)]
#[path = "detail_tests.rs"]
mod tests;
