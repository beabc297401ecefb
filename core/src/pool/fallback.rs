//! What an isolate does while the Coordinator is silent: it serves from the keys it knows, from a random
//! start, with its own memory of failures.

use super::faults::{
    COOLING_MAX_MS, COOLING_UNSTATED_MS, INVALID_FOR_MS, REST_MAX_MS, REST_MS, SUSPENDED_FOR_MS, backoff,
};
use super::protocol::{Fault, Grant};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most keys that an isolate remembers.
pub const KNOWN_KEYS_MAX: usize = 500;

/// A key as the KV document and the isolate's memory hold it: sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    /// Row id, the associated data of `sealed`.
    pub id: String,
    /// The key, sealed.
    pub sealed: String,
    /// Its provider.
    pub provider: String,
    /// Its own base URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

#[derive(Debug, Default)]
struct Memory {
    until: u64,
    failures: u32,
}

/// The keys an isolate knows and what it learned of them.
#[derive(Debug, Default)]
pub struct Fallback {
    keys: Vec<KnownKey>,
    memory: HashMap<String, Memory>,
    next: usize,
}

impl Fallback {
    /// Empty, starting at a random place so that isolates do not all begin with the same key.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { next: usize::try_from(seed % 1_000_003).unwrap_or(0), ..Self::default() }
    }

    /// Remembers the key of a grant that was good.
    pub fn learn(&mut self, grant: &Grant) {
        if let Some(known) = self.keys.iter_mut().find(|key| key.id == grant.key) {
            if known.sealed != grant.sealed {
                known.sealed.clone_from(&grant.sealed);
            }
        } else if self.keys.len() < KNOWN_KEYS_MAX {
            self.keys.push(KnownKey {
                id: grant.key.clone(),
                sealed: grant.sealed.clone(),
                provider: grant.provider.clone(),
                base_url: grant.base_url.clone(),
            });
        }
    }

    /// Takes the keys of the KV document in place of those remembered.
    pub fn replace(&mut self, mut keys: Vec<KnownKey>) {
        keys.truncate(KNOWN_KEYS_MAX);
        self.memory.retain(|id, _| keys.iter().any(|key| key.id == *id));
        self.keys = keys;
    }

    /// Forgets everything, as a new generation or epoch may have removed keys.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.memory.clear();
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The next key that is neither excluded nor resting; with none, the one whose rest ends soonest, if
    /// that is a rest for the upstream's sake (within a minute).
    pub fn pick(&mut self, now: u64, exclude: &[String]) -> Option<KnownKey> {
        let count = self.keys.len();
        let mut soonest: Option<(u64, usize)> = None;
        for step in 0..count {
            let at = (self.next + step) % count;
            let Some(key) = self.keys.get(at) else { continue };
            if exclude.contains(&key.id) {
                continue;
            }
            let until = self.memory.get(&key.id).map_or(0, |memory| memory.until);
            if until <= now {
                self.next = (at + 1) % count;
                return Some(key.clone());
            }
            if until <= now.saturating_add(REST_MAX_MS) && soonest.is_none_or(|(best, _)| until < best) {
                soonest = Some((until, at));
            }
        }
        let (_, at) = soonest?;
        self.next = (at + 1) % count.max(1);
        self.keys.get(at).cloned()
    }

    /// Remembers a failure.
    pub fn failed(&mut self, key: &str, fault: Fault, retry_after_ms: Option<u64>, now: u64) {
        if self.memory.len() >= 2 * KNOWN_KEYS_MAX {
            self.memory.retain(|_, memory| memory.until > now);
        }
        let memory = self.memory.entry(key.to_owned()).or_default();
        let rest = match fault {
            Fault::Key => INVALID_FOR_MS,
            Fault::Payment => SUSPENDED_FOR_MS,
            Fault::Quota => retry_after_ms.unwrap_or(COOLING_UNSTATED_MS).min(COOLING_MAX_MS),
            Fault::Upstream | Fault::Timeout | Fault::Lost => {
                memory.failures = memory.failures.saturating_add(1);
                backoff(REST_MS, memory.failures, REST_MAX_MS)
            }
            Fault::Queue | Fault::Path | Fault::Model | Fault::Client => 0,
        };
        memory.until = memory.until.max(now.saturating_add(rest));
    }

    /// A success ends what was held against the key.
    pub fn succeeded(&mut self, key: &str) {
        self.memory.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &str) -> KnownKey {
        KnownKey { id: id.into(), sealed: String::new(), provider: "cerebras".into(), base_url: None }
    }

    fn picks(fallback: &mut Fallback, now: u64, count: usize) -> Vec<String> {
        (0..count).filter_map(|_| fallback.pick(now, &[])).map(|key| key.id).collect()
    }

    #[test]
    fn keys_take_turns_from_a_random_start() {
        let mut fallback = Fallback::new(1);
        fallback.replace(vec![known("a"), known("b"), known("c")]);
        assert_eq!(picks(&mut fallback, 0, 4), ["b", "c", "a", "b"]);
    }

    #[test]
    fn a_refused_key_is_not_used_again_and_a_limited_one_rests() {
        let mut fallback = Fallback::new(0);
        fallback.replace(vec![known("a"), known("b"), known("c")]);
        fallback.failed("a", Fault::Key, None, 0);
        fallback.failed("b", Fault::Quota, Some(3_000), 0);
        assert_eq!(picks(&mut fallback, 2_999, 2), ["c", "c"]);
        assert!(picks(&mut fallback, 3_000, 3).contains(&"b".to_owned()));
        assert_eq!(fallback.pick(3_000, &["b".into(), "c".into()]), None);
    }

    #[test]
    fn when_all_rest_for_the_upstreams_sake_the_soonest_serves() {
        let mut fallback = Fallback::new(0);
        fallback.replace(vec![known("a"), known("b")]);
        fallback.failed("a", Fault::Upstream, None, 0);
        fallback.failed("a", Fault::Upstream, None, 0);
        fallback.failed("b", Fault::Upstream, None, 0);
        assert_eq!(picks(&mut fallback, 10, 1), ["b"]);
    }
}
