//! The clients: who asks for what, and when. The trace depends on the scenario alone, so every way of choosing
//! keys is given the same; only returns after a 429 are its own doing.

use crate::limiter::{Limiter, Metric, Period, RESERVE_CAP, Used};
use crate::rng::Rng;
use crate::scenario::Scenario;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const ARRIVALS: u64 = 1;
const REQUESTS: u64 = 2;
const BURSTS: u64 = 3;

/// How long clients without a deadline of their own are made to wait for a grant: the setting's default.
pub const PATIENCE_MS: u64 = 20_000;

/// A client's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number in the trace.
    pub number: u64,
    /// When it reached its isolate.
    pub at: u64,
    /// Who sent it, by place.
    pub client: usize,
    /// Which isolate it reached.
    pub isolate: usize,
    /// The model it names, by place.
    pub named: Option<usize>,
    /// Rondo's estimate of the prompt's tokens.
    pub estimate: u64,
    /// The request's own part of the estimate's error.
    pub error: f64,
    /// The limit on its answer.
    pub max_completion: Option<u64>,
    /// Tokens of its answer.
    pub completion: u64,
    /// The share of its prompt that the upstream has in its cache.
    pub cached: f64,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The deadline it states, for all of it.
    pub deadline: Option<u64>,
    /// Where in the answer the client leaves, as a share of it.
    pub leaves: Option<f64>,
    /// When it was given the 429 that it comes back from, at the time it was told.
    pub promised: Option<u64>,
    /// When it came first.
    pub first_at: u64,
}

impl Request {
    /// What an answer of that model uses.
    #[must_use]
    pub fn used(&self, tokens_per_estimated: f64) -> Used {
        let prompt = ((self.estimate as f64 * tokens_per_estimated * self.error) as u64).max(1);
        // Caches hold blocks of 128 tokens.
        let cached = (prompt as f64 * self.cached) as u64 / 128 * 128;
        Used { prompt, cached, completion: self.completion }
    }

    /// What the upstream reserves for it under that model.
    #[must_use]
    pub fn reserve(&self, tokens_per_estimated: f64) -> u64 {
        Limiter::reserve(self.used(tokens_per_estimated).prompt, self.max_completion)
    }

    /// What Rondo's estimate says is reserved.
    #[must_use]
    pub fn estimated_cost(&self) -> u64 {
        self.estimate + self.max_completion.map_or(RESERVE_CAP, |most| most.min(RESERVE_CAP))
    }

    fn draw(scenario: &Scenario, number: u64, at: u64) -> Self {
        let mut rng = Rng::of(scenario.seed, REQUESTS, number);
        let client = pick(&mut rng, scenario.clients.iter().map(|client| client.share)).unwrap_or(0);
        let named = pick(&mut rng, scenario.named.iter().copied());
        let kind = rng.unit();
        let estimate = match kind {
            _ if scenario.plain => rng.about(120.0, 0.5),
            0.0..0.70 => rng.about(250.0, 0.9),
            0.70..0.92 => rng.about(1_500.0, 0.6),
            0.92..0.995 => rng.about(9_000.0, 0.5),
            _ => rng.about(40_000.0, 0.4),
        };
        let estimate = (estimate as u64).clamp(5, 100_000);
        let max_completion = [None, Some(256), Some(1_024), Some(4_096), Some(8_192), Some(32_000)]
            [if scenario.plain { 0 } else { [0, 0, 0, 0, 0, 1, 2, 3, 4, 5][rng.whole(0, 9) as usize] }];
        // A few answers are longer than what is reserved for them.
        let long = !scenario.plain && rng.chance(0.000_5);
        let completion = if long { rng.about(20_000.0, 0.2) } else { rng.about(350.0, 0.8) };
        let completion = (completion as u64).clamp(1, max_completion.unwrap_or(40_000));
        let (warm, cached) = (rng.chance(0.25), rng.between(0.6, 0.95));
        let stated = [5_000, 10_000, 30_000, 60_000, 600_000][rng.whole(0, 4) as usize];
        let states = !scenario.plain && rng.chance(0.3);
        let (leaves, left) = (rng.chance(scenario.rates.cut), rng.unit());
        Self {
            number,
            at,
            client,
            isolate: rng.whole(0, scenario.isolates as u64 - 1) as usize,
            named,
            estimate,
            error: rng.about(1.0, 0.06),
            max_completion,
            completion,
            cached: if warm && !scenario.plain { cached } else { 0.0 },
            stream: rng.chance(0.6),
            deadline: states.then_some(stated),
            leaves: leaves.then_some(left),
            promised: None,
            first_at: at,
        }
    }
}

fn pick(rng: &mut Rng, shares: impl Iterator<Item = f64>) -> Option<usize> {
    let mut left = rng.unit();
    for (place, share) in shares.enumerate() {
        if left < share {
            return Some(place);
        }
        left -= share;
    }
    None
}

/// What a request of this scenario costs on average.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    uncached: f64,
    tokens: f64,
}

impl Mix {
    /// Of the first so many requests.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let (mut uncached, mut tokens) = (0, 0);
        let count = 20_000;
        for number in 0..count {
            let used = Request::draw(scenario, number, 0)
                .used(scenario.models[number as usize % scenario.models.len()].tokens_per_estimated);
            uncached += used.of(Metric::Uncached);
            tokens += used.of(Metric::Tokens);
        }
        Self { uncached: uncached as f64 / count as f64, tokens: tokens as f64 / count as f64 }
    }

    /// The mean cost in what is counted.
    #[must_use]
    pub fn cost(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Requests => 1.0,
            Metric::Uncached => self.uncached,
            Metric::Tokens => self.tokens,
        }
    }
}

/// Requests a minute that the limits per minute allow at that time.
#[must_use]
pub fn capacity(scenario: &Scenario, mix: &Mix, at: u64) -> f64 {
    let mut sum = 0.0;
    for (place, org) in scenario.orgs.iter().enumerate() {
        for model in 0..scenario.models.len() {
            if scenario.is_usable(place, model, at) {
                let minutes = org.limits.iter().filter(|(_, period, _)| *period == Period::Minute);
                let least = minutes
                    .map(|(metric, _, limit)| *limit as f64 / mix.cost(*metric))
                    .fold(f64::MAX, f64::min);
                sum += if least < f64::MAX { least } else { 0.0 };
            }
        }
    }
    sum
}

/// The trace: requests in the order of their time.
#[derive(Debug)]
pub struct Arrivals<'s> {
    scenario: &'s Scenario,
    mix: Mix,
    times: Rng,
    bursts: Rng,
    next_at: f64,
    next_burst: f64,
    /// Requests of bursts, by time, with the client.
    burst: BinaryHeap<Reverse<(u64, usize)>>,
    made: u64,
    /// Kept for a while: it changes rarely.
    rate: (u64, f64),
}

impl<'s> Arrivals<'s> {
    /// Of a scenario.
    #[must_use]
    pub fn new(scenario: &'s Scenario) -> Self {
        let mut bursts = Rng::of(scenario.seed, BURSTS, 0);
        let every = scenario.bursts_every_ms as f64;
        let next_burst = if every > 0.0 { bursts.gap(every) } else { f64::MAX };
        Self {
            scenario,
            mix: Mix::of(scenario),
            times: Rng::of(scenario.seed, ARRIVALS, 0),
            bursts,
            next_at: 0.0,
            next_burst,
            burst: BinaryHeap::new(),
            made: 0,
            rate: (u64::MAX, 0.0),
        }
    }

    /// What requests cost.
    #[must_use]
    pub fn mix(&self) -> Mix {
        self.mix
    }

    /// Requests in a millisecond at that time, bursts aside.
    fn rate(&mut self, at: u64) -> f64 {
        let second = at / 1_000;
        if self.rate.0 != second {
            let full = self.scenario.rate.unwrap_or_else(|| capacity(self.scenario, &self.mix, at));
            // A slow wave on top, as of a day.
            let wave = if self.scenario.rate.is_some() { 0.0 } else { 0.1 * (at as f64 / 9_000_000.0).sin() };
            let load = self.scenario.phase(at).0.load * (1.0 + wave);
            self.rate = (second, (full * load / 60_000.0).max(0.000_1));
        }
        self.rate.1
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        if self.made >= self.scenario.requests {
            return None;
        }
        if self.next_burst <= self.next_at {
            let (from, count) = (self.next_burst, self.bursts.whole(30, 200));
            // Every other burst is the greedy one's.
            let who = if self.bursts.chance(0.5) {
                0
            } else {
                self.bursts.whole(0, self.scenario.clients.len() as u64 - 1)
            };
            for _ in 0..count {
                self.burst.push(Reverse(((from + self.bursts.between(0.0, 2_000.0)) as u64, who as usize)));
            }
            self.next_burst += self.bursts.gap(self.scenario.bursts_every_ms as f64);
        }
        let number = self.made;
        self.made += 1;
        if let Some(Reverse((at, who))) = self.burst.peek().copied()
            && (at as f64) <= self.next_at
        {
            self.burst.pop();
            return Some(Request { client: who, ..Request::draw(self.scenario, number, at) });
        }
        let at = self.next_at as u64;
        let rate = self.rate(at);
        self.next_at += self.times.gap(1.0 / rate);
        Some(Request::draw(self.scenario, number, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_in_order_and_the_same_for_the_same_seed() {
        let scenario = Scenario::mixed(5, 3_000);
        let times =
            || Arrivals::new(&scenario).map(|request| (request.at, request.estimate)).collect::<Vec<_>>();
        let first = times();
        assert_eq!(first.len(), 3_000);
        assert!(first.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert_eq!(first, times());
    }

    #[test]
    fn demand_follows_the_phases() {
        let scenario = Scenario { bursts_every_ms: 0, ..Scenario::mixed(5, 30_000) };
        let mix = Mix::of(&scenario);
        let mut made = [0.0; 2];
        for request in Arrivals::new(&scenario).take_while(|request| request.at < 360_000) {
            made[usize::from(request.at >= 180_000)] += 1.0 / capacity(&scenario, &mix, request.at) / 3.0;
        }
        assert!((made[0] - 0.75).abs() < 0.06 && (made[1] - 1.5).abs() < 0.1, "{made:?}");
    }
}
