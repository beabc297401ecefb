//! Two other ways of choosing keys, behind the same interface: what most gateways do.

use crate::rng::Rng;
use crate::scenario::Scenario;
use rondo_core::limits::settings::ATTEMPT_BUDGET;
use rondo_core::pool::Pool;
use rondo_core::pool::protocol::{
    Answer, Ask, AttemptEnd, Fault, Given, Grant, RefusedWhy, VERSION, Waiting, Want,
};
use std::fmt::Write as _;

/// Whoever chooses keys.
pub trait Chooser {
    /// Answers an ask. `clock` is in unix milliseconds, and may step.
    fn ask(&mut self, clock: u64, ask: &Ask) -> Answer;

    /// What it held and decided of late, in words, for `--explain`.
    fn explained(&self, _clock: u64) -> String {
        String::new()
    }
}

impl Chooser for Pool {
    fn ask(&mut self, clock: u64, ask: &Ask) -> Answer {
        Self::ask(self, clock, ask)
    }

    fn explained(&self, clock: u64) -> String {
        explained(self, clock)
    }
}

/// Rondo's pool for a scenario.
#[must_use]
pub fn rondo(scenario: &Scenario) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(scenario.snapshot(), scenario.key_rows());
    pool
}

/// The pool's last decisions, who waits, and what its twins hold by organisation.
fn explained(pool: &Pool, clock: u64) -> String {
    let mut out = format!("    {} wait in the pool's line\n", pool.waiting());
    for decision in pool.decisions().latest(5, None, None) {
        let (at, ahead) = (clock.saturating_sub(decision.at), decision.ahead);
        let _ = writeln!(
            out,
            "    {at} ms before: {} asked for {}, attempt {}, {ahead} ahead: {:?}",
            decision.token,
            decision.asked.as_deref().unwrap_or("any"),
            decision.attempt,
            decision.outcome
        );
    }
    for key in ["k00", "k01", "k02", "k04", "k05"] {
        for view in pool.quotas_of(key, clock).unwrap_or_default() {
            let buckets: Vec<String> =
                view.buckets.iter().map(|bucket| bucket.remaining.to_string()).collect();
            let _ = writeln!(out, "    held of {key} {}: {}", view.model, buckets.join(", "));
        }
    }
    out
}

fn answer(outcome: Option<Given>) -> Answer {
    Answer { v: VERSION, generation: 1, epoch: 1, snapshot: None, outcome, allowance: None }
}

fn grant(number: &mut u64, key: &str, model: &str) -> Given {
    *number += 1;
    Given::Grants(vec![Grant {
        id: *number,
        key: key.to_owned(),
        sealed: String::new(),
        provider: "cerebras".into(),
        base_url: None,
        model: model.to_owned(),
        delay_ms: 0,
        reserved: 0,
        learn: false,
    }])
}

/// The model for a want: the one it names unless that is gone, else the next of all.
fn model<'a>(models: &'a [String], turn: &mut usize, want: &'a Want) -> Option<&'a str> {
    let gone = |name: &str| want.exclude_models.iter().any(|gone| gone == name);
    if let Some(named) = want.model.as_deref().filter(|named| !gone(named)) {
        return Some(named);
    }
    *turn += 1;
    let from = *turn % models.len();
    models[from..].iter().chain(&models[..from]).map(String::as_str).find(|name| !gone(name))
}

/// Round robin over the keys; what fails is sent again at once with the next key, each key once.
#[derive(Debug)]
pub struct RoundRobin {
    keys: Vec<String>,
    models: Vec<String>,
    next_key: usize,
    next_model: usize,
    grants: u64,
    /// What the upstream stated last: handed on to the client whose keys are all used up.
    stated_ms: u64,
}

impl RoundRobin {
    /// For a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            keys: scenario.keys.iter().map(|key| key.id.clone()).collect(),
            models: scenario.models.iter().map(|model| model.name.clone()).collect(),
            next_key: 0,
            next_model: 0,
            grants: 0,
            stated_ms: 1_000,
        }
    }
}

impl Chooser for RoundRobin {
    fn ask(&mut self, _: u64, ask: &Ask) -> Answer {
        for attempt in ask.settles.iter().filter_map(|settle| settle.attempt.as_ref()) {
            if attempt.end == AttemptEnd::Failed(Fault::Quota) {
                self.stated_ms = attempt.retry_after_ms.unwrap_or(self.stated_ms);
            }
        }
        let Some(want) = &ask.want else { return answer(None) };
        let tried = ATTEMPT_BUDGET.saturating_sub(want.attempts_left) as usize;
        if tried >= self.keys.len() {
            return answer(Some(Given::RetryAfter { after_ms: self.stated_ms, why: Waiting::Quota }));
        }
        self.next_key = (self.next_key + 1) % self.keys.len();
        let key = &self.keys[self.next_key];
        answer(Some(match model(&self.models, &mut self.next_model, want) {
            Some(model) => grant(&mut self.grants, key, model),
            None => Given::Refused(RefusedWhy::NoModel),
        }))
    }
}

/// A random key of those that have not failed within the last minute.
#[derive(Debug)]
pub struct Cooldown {
    keys: Vec<(String, u64)>,
    models: Vec<String>,
    next_model: usize,
    grants: u64,
    rng: Rng,
}

/// How long a key that failed is left alone.
const COOLDOWN_MS: u64 = 60_000;

impl Cooldown {
    /// For a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            keys: scenario.keys.iter().map(|key| (key.id.clone(), 0)).collect(),
            models: scenario.models.iter().map(|model| model.name.clone()).collect(),
            next_model: 0,
            grants: 0,
            rng: Rng::of(scenario.seed, 9, 0),
        }
    }
}

impl Chooser for Cooldown {
    fn ask(&mut self, clock: u64, ask: &Ask) -> Answer {
        for attempt in ask.settles.iter().filter_map(|settle| settle.attempt.as_ref()) {
            // A model that does not exist is not the key's doing, as even these know.
            if matches!(attempt.end, AttemptEnd::Failed(fault) if fault != Fault::Model)
                && let Some(key) = self.keys.iter_mut().find(|key| key.0 == attempt.key)
            {
                key.1 = clock + COOLDOWN_MS;
            }
        }
        let Some(want) = &ask.want else { return answer(None) };
        let free: Vec<&str> =
            self.keys.iter().filter(|key| key.1 <= clock).map(|key| key.0.as_str()).collect();
        if free.is_empty() {
            let soonest = self.keys.iter().map(|key| key.1).min().unwrap_or(clock);
            let after_ms = soonest.saturating_sub(clock).max(1);
            return answer(Some(Given::RetryAfter { after_ms, why: Waiting::Quota }));
        }
        let key = free[self.rng.whole(0, free.len() as u64 - 1) as usize];
        answer(Some(match model(&self.models, &mut self.next_model, want) {
            Some(model) => grant(&mut self.grants, key, model),
            None => Given::Refused(RefusedWhy::NoModel),
        }))
    }
}
