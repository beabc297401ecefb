//! Which keys the upstream said to leave alone, as far as whoever chooses keys was told.
//!
//! A rest begins when the report of a 401, a 402 or a quota 429 is delivered, not before: what was given earlier
//! could not know. It is measured by the clock that the chooser is given, steps included; what a step does to
//! true times shows in the upstream's 429s.

use crate::scenario::Scenario;
use rondo_core::pool::faults::{INVALID_AT_FIRST_MS, INVALID_FOR_MS, SUSPENDED_FOR_MS};
use rondo_core::pool::protocol::{AttemptEnd, Fault, Grant, Settle};
use std::collections::{HashMap, HashSet};

/// Names of keys and models, and until when each rests.
#[derive(Debug)]
pub struct Rests {
    keys: HashMap<String, usize>,
    models: HashMap<String, usize>,
    owners: Vec<usize>,
    refused: Vec<u64>,
    unpaid: Vec<u64>,
    /// By organisation and model.
    limited: Vec<u64>,
    /// Reports of failures that were delivered: what is sent again says nothing new.
    known: HashSet<u64>,
}

impl Rests {
    /// Nobody rests.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            keys: scenario.keys.iter().enumerate().map(|(n, key)| (key.id.clone(), n)).collect(),
            models: scenario.models.iter().enumerate().map(|(n, model)| (model.name.clone(), n)).collect(),
            owners: scenario.keys.iter().map(|key| key.org).collect(),
            refused: vec![0; scenario.keys.len()],
            unpaid: vec![0; scenario.orgs.len()],
            limited: vec![0; scenario.orgs.len() * scenario.models.len()],
            known: HashSet::new(),
        }
    }

    /// The places of a grant's key and model.
    #[must_use]
    pub fn places(&self, key: &str, model: &str) -> (usize, usize) {
        (self.keys[key], self.models[model])
    }

    /// Reports were delivered.
    pub fn learn(&mut self, clock: u64, settles: &[Settle]) {
        for settle in settles {
            let Some(attempt) = &settle.attempt else { continue };
            let AttemptEnd::Failed(fault) = attempt.end else { continue };
            if !self.known.insert(settle.id) {
                continue;
            }
            let (key, model) = self.places(&attempt.key, &attempt.model);
            let org = self.owners[key];
            let from = clock.saturating_sub(settle.age_ms);
            let (rest, until) = match fault {
                // One that had worked is tried again soon, once.
                Fault::Key => {
                    let before = self.refused[key];
                    let again = before > 0 && from >= before;
                    let rest = if again { INVALID_FOR_MS } else { INVALID_AT_FIRST_MS };
                    (&mut self.refused[key], from + rest)
                }
                Fault::Payment => (&mut self.unpaid[org], from + SUSPENDED_FOR_MS),
                Fault::Quota => {
                    let place = org * self.models.len() + model;
                    (&mut self.limited[place], from + attempt.retry_after_ms.unwrap_or(0))
                }
                _ => continue,
            };
            *rest = (*rest).max(until);
        }
    }

    /// How long that organisation and model rests still after a quota 429.
    #[must_use]
    pub fn left(&self, clock: u64, org: usize, model: usize) -> u64 {
        self.limited[org * self.models.len() + model].saturating_sub(clock)
    }

    /// Whether a grant given now sends with a key that rests then.
    #[must_use]
    pub fn is_resting(&self, clock: u64, grant: &Grant) -> Option<&'static str> {
        let (key, model) = self.places(&grant.key, &grant.model);
        let org = self.owners[key];
        let at = clock + grant.delay_ms;
        if at < self.refused[key] {
            Some("refused")
        } else if at < self.unpaid[org] {
            Some("unpaid")
        } else if at < self.limited[org * self.models.len() + model] {
            Some("quota")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_core::pool::protocol::Attempt;

    fn failed(fault: Fault) -> Settle {
        let attempt = Attempt {
            key: "k00".into(),
            model: "gpt-oss-120b".into(),
            end: AttemptEnd::Failed(fault),
            retry_after_ms: Some(3_000),
            ..Attempt::default()
        };
        Settle { age_ms: 500, attempt: Some(attempt), ..Settle::default() }
    }

    fn grant(key: &str, model: &str, delay_ms: u64) -> Grant {
        Grant {
            id: 1,
            key: key.into(),
            sealed: String::new(),
            provider: String::new(),
            base_url: None,
            model: model.into(),
            delay_ms,
            reserved: 0,
            learn: false,
        }
    }

    #[test]
    fn a_quota_429_rests_its_organisation_and_model_until_the_stated_time() {
        let mut rests = Rests::new(&Scenario::mixed(1, 1_000));
        rests.learn(10_000, &[failed(Fault::Quota)]);
        let resting = |key, model, delay| rests.is_resting(10_000, &grant(key, model, delay)).is_some();
        assert!(resting("k00", "gpt-oss-120b", 2_499) && !resting("k00", "gpt-oss-120b", 2_500));
        assert!(resting("k03", "gpt-oss-120b", 0), "a key of the same organisation");
        assert!(!resting("k01", "gpt-oss-120b", 0) && !resting("k00", "qwen-3.8-27b", 0));
    }

    #[test]
    fn a_refused_key_rests_alone_and_an_unpaid_organisation_whole() {
        let rest = |fault, key| {
            let mut rests = Rests::new(&Scenario::mixed(1, 1_000));
            rests.learn(10_000, &[failed(fault)]);
            rests.is_resting(20_000, &grant(key, "qwen-3.8-27b", 0))
        };
        assert_eq!([rest(Fault::Key, "k00"), rest(Fault::Key, "k03")], [Some("refused"), None]);
        assert_eq!([rest(Fault::Payment, "k03"), rest(Fault::Payment, "k01")], [Some("unpaid"), None]);
        assert_eq!(rest(Fault::Upstream, "k00"), None);
    }
}
