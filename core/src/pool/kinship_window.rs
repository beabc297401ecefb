//! How many requests were charged between two readings of one limit: at least and at most.

use super::Last;
use crate::wire::headers::Window;

/// By how much the stated time of a reading may be off.
const JITTER_MS: f64 = 500.0;
/// By how much stated reset times of one bucket may differ; compared where one request is worth far more.
const RESET_MS: u64 = 3_000;

/// A limit of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub limit: u64,
    pub window: Window,
}

impl Bucket {
    fn refill(self, ms: f64) -> f64 {
        ms * self.limit as f64 / self.window.ms() as f64
    }
}

/// A count that is known within bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: i64,
    pub most: i64,
}

/// How far `remaining` fell between two readings of a group.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    /// Requests charged in all.
    pub charged: Bounds,
    /// The group's own among them.
    pub own: Bounds,
    /// Those of somebody else.
    pub rest: Bounds,
}

impl Bounds {
    /// What is left after so many.
    pub fn without(self, some: Self) -> Self {
        Self { least: self.least - some.most, most: self.most - some.least }
    }

    /// Between them.
    pub fn middle(self) -> u64 {
        u64::try_from(self.least.midpoint(self.most)).unwrap_or(0)
    }
}

/// A reading, and the counts at the time: what had been sent when it came, and what had been answered when its
/// request was sent. The first were charged before or under way, the second certainly before.
#[derive(Clone, Debug)]
pub struct Anchor {
    pub at: u64,
    /// Time of the newest reading since.
    pub seen_at: u64,
    pub remaining: u64,
    pub sent: u32,
    pub answered: u32,
    /// Sent by each suspect.
    pub suspects: Vec<u32>,
    /// Answered to each suspect. Empty when it was no suspect yet.
    pub before: Box<[u32]>,
}

fn less(a: u32, b: u32) -> i64 {
    i64::from(a) - i64::from(b)
}

impl Anchor {
    /// Requests charged to the bucket from this reading to that one.
    pub fn charged(&self, bucket: Bucket, now: &Self) -> Bounds {
        let fell = self.remaining as i64 - now.remaining as i64;
        let refill = bucket.refill(now.at.saturating_sub(self.at) as f64);
        let jitter = bucket.refill(JITTER_MS);
        let least = if self.may_have_been_full(bucket, now.at) {
            f64::MIN
        } else {
            (refill - 1.0 - jitter).floor() + 1.0
        };
        Bounds {
            least: fell + (least as i64).max(0).min(i64::from(u32::MAX)),
            most: fell + (refill + 1.0 + jitter).floor() as i64,
        }
    }

    /// Whether the bucket may have been full on the way: then it did not take all of its refill.
    pub fn may_have_been_full(&self, bucket: Bucket, at: u64) -> bool {
        let refill = bucket.refill(at.saturating_sub(self.at) as f64 + JITTER_MS);
        self.remaining as f64 + 1.0 + refill > bucket.limit as f64
    }

    /// Of them, the group's own. That reading's own request is one, this one's is not.
    pub fn own(&self, now: &Self) -> Bounds {
        let least = (less(now.answered, self.sent) + 1).max(1);
        Bounds { least, most: (less(now.sent, self.answered) - 1).max(least) }
    }

    /// And those of another suspect that has sent so many by now.
    pub fn of(&self, suspect: usize, now: &Self, sent: u32) -> Bounds {
        let counts = (self.suspects.get(suspect), self.before.get(suspect), now.before.get(suspect));
        let (Some(&sent_then), Some(&before_then), Some(&before)) = counts else {
            return Bounds { least: 0, most: i64::from(u32::MAX) };
        };
        Bounds { least: less(before, sent_then).max(0), most: less(sent, before_then).max(0) }
    }
}

impl Last {
    /// Whether the later reading cannot be of the same bucket: there is more than refill explains, less than all
    /// suspects' requests do, or it states a moment of being full that is not later by whole requests.
    pub fn contradicts(&self, later: &Self, sent_all: u64) -> bool {
        let ms = later.at.saturating_sub(self.at) as f64 + JITTER_MS;
        let most = self.remaining as f64 + 1.0 + self.bucket.refill(ms);
        let charged = sent_all.saturating_sub(self.answered);
        let least = self.remaining.saturating_sub(charged).saturating_sub(1);
        later.remaining as f64 > most || later.remaining < least || self.full_apart(later)
    }

    fn full_apart(&self, later: &Self) -> bool {
        let (Some(before), Some(after)) = (self.reset_at, later.reset_at) else { return false };
        let each = self.bucket.window.ms() / self.bucket.limit.max(1);
        // One that was full on the way starts anew.
        if each < 4 * RESET_MS || before < later.at + RESET_MS {
            return false;
        }
        let apart = before.abs_diff(after) % each;
        apart.min(each - apart) > RESET_MS
    }
}
