//! One bucket of the upstream, with what it counts.

use crate::pool::bucket::Bucket;
use crate::wire::headers::{Counted, Window};
use serde::{Deserialize, Serialize};

/// One bucket of the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// What is counted.
    #[serde(rename = "c")]
    pub what: Counted,
    /// Over what time.
    #[serde(rename = "w")]
    pub window: Window,
    /// How much is there.
    #[serde(rename = "b")]
    pub bucket: Bucket,
    /// Set by the operator: headers do not change its size.
    #[serde(rename = "f", default, skip_serializing_if = "super::is_false")]
    pub fixed: bool,
    /// Never seen in a header, inferred from a 429.
    #[serde(rename = "i", default, skip_serializing_if = "super::is_false")]
    pub inferred: bool,
    #[serde(skip)]
    pub(super) unseen: u8,
}

impl Meter {
    /// Whether it counts requests.
    #[must_use]
    pub fn counts_requests(&self) -> bool {
        self.what == Counted::Requests
    }

    /// What a request with that reservation takes of it.
    pub(super) fn cost(&self, tokens: u64) -> u64 {
        match self.what {
            Counted::Requests => 1,
            // What is larger than the bucket waits until it is full; the upstream decides then.
            _ => tokens.min(self.bucket.limit()),
        }
    }

    /// What of some amounts it counts.
    pub fn of<T>(&self, [requests, total, uncached]: [T; 3]) -> T {
        match (self.what, self.window) {
            (Counted::Requests, _) => requests,
            (Counted::UncachedTokens, _) | (Counted::Tokens, Window::Minute) => uncached,
            _ => total,
        }
    }

    /// Of which tokens it counts; a minute's bucket without a name is the uncached one (docs/upstream.md).
    pub(super) fn used(&self, total: u64, uncached: u64) -> u64 {
        match (self.what, self.window) {
            (Counted::Requests, _) => 0,
            (Counted::UncachedTokens, _) | (Counted::Tokens, Window::Minute) => uncached,
            _ => total,
        }
    }
}
