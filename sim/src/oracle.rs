//! Was there room for a request that got a 429? Two answers, from the upstream's true buckets.
//!
//! Both put everybody who is waiting already (in the order they came), everybody who was told to come back before
//! then, and at last the refused request to the organisation and model that admits it first, over all that can
//! serve it until its deadline. The time for the ways ([`TRIP_MS`]) and a tenth of the wait, for what estimates
//! are off and reports are late, are left out.
//!
//! Who rests after a quota 429 has no room before the time that the upstream stated: it may not be used.
//!
//! - [`Charge::Reserved`]: each takes what the upstream reserves for it, and nothing that is under way gives
//!   anything back, nor what is over but cannot have been reported yet ([`Unreported`]). All that is left is known
//!   at that moment, so nobody has an excuse: this is the figure with a bound.
//! - [`Charge::Used`]: each takes what it will really use, and what is under way and over in time has given back
//!   the rest. Nobody can know that; it says what a seer could have done.

use crate::clients::Request;
use crate::limiter::{Metric, Used};
use crate::scenario::Scenario;
use crate::upstream::Upstream;
use rondo_core::limits::coordinator::SETTLE_FLUSH_MS;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// The ways of an ask, a grant and a request take that long at the most.
pub const TRIP_MS: u64 = 200;
/// So long a report takes at the most: the answer's way, the wait for an ask that takes it along, that ask's way.
pub const REPORTED_WITHIN_MS: u64 = 45 + SETTLE_FLUSH_MS + 10;
/// So long after an outage, or a model's retirement, nobody is blamed for not having noticed.
pub const RECOVERS_MS: u64 = 10_000;

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// What is reserved at admission.
    Reserved,
    /// What it will use.
    Used,
}

/// A request under way upstream.
#[derive(Clone, Copy, Debug)]
pub struct Under {
    /// Its organisation and model.
    pub place: usize,
    /// What was reserved.
    pub reserved: u64,
    /// What it will use.
    pub used: Used,
    /// When that is settled.
    pub done_at: u64,
}

/// An answer that the upstream is done with.
#[derive(Clone, Debug)]
pub struct Over {
    /// Its grant.
    pub grant: u64,
    /// Its organisation and model.
    pub place: usize,
    /// What each bucket got back for it.
    pub gained: Vec<f64>,
}

/// Answers that are over and whose reports have not reached the pool, though they came as soon as they can: what
/// the upstream gave back for them nobody but itself knows of.
#[derive(Clone, Debug, Default)]
pub struct Unreported(VecDeque<(u64, Over)>);

impl Unreported {
    /// An answer is over.
    pub fn over(&mut self, now: u64, over: Over) {
        while self.0.front().is_some_and(|(at, _)| at + REPORTED_WITHIN_MS < now) {
            self.0.pop_front();
        }
        self.0.push_back((now, over));
    }

    /// The report of a grant reached the pool.
    pub fn delivered(&mut self, grant: u64) {
        self.0.retain(|(_, over)| over.grant != grant);
    }

    fn of(&self, now: u64) -> impl Iterator<Item = &Over> {
        self.0.iter().filter(move |(at, _)| at + REPORTED_WITHIN_MS >= now).map(|(_, over)| over)
    }
}

/// Buckets of an organisation and model at the most.
const BUCKETS: usize = 8;
/// Models of a scenario at the most.
const MODELS: usize = 8;

#[derive(Clone, Copy)]
struct Gauge {
    metric: Metric,
    limit: f64,
    level: f64,
    rate: f64,
    /// Milliseconds that one takes to come back.
    each: f64,
}

impl Gauge {
    const NONE: Self = Self { metric: Metric::Requests, limit: 0.0, level: 0.0, rate: 1.0, each: 1.0 };
}

struct Place {
    org: usize,
    model: usize,
    /// For how long it rests.
    rests: f64,
    /// Side by side in memory: each refusal goes through all of them hundreds of times.
    gauges: [Gauge; BUCKETS],
    /// How many there are.
    buckets: usize,
}

impl Place {
    fn gauges(&self) -> &[Gauge] {
        &self.gauges[..self.buckets]
    }

    fn gauges_mut(&mut self) -> &mut [Gauge] {
        &mut self.gauges[..self.buckets]
    }
}

/// Everybody's buckets at one moment.
pub struct Oracle<'a> {
    scenario: &'a Scenario,
    charge: Charge,
    places: Vec<Place>,
}

impl<'a> Oracle<'a> {
    /// Of the buckets of all that can serve from now until `until`.
    #[must_use]
    pub fn new(
        scenario: &'a Scenario,
        upstream: &mut Upstream,
        charge: Charge,
        (now, until): (u64, u64),
        rests: impl Fn(usize, usize) -> u64,
        (under_way, unreported): (impl Iterator<Item = Under>, &Unreported),
    ) -> Self {
        let mut places = Vec::new();
        let mut found = vec![None; scenario.orgs.len() * scenario.models.len()];
        // While the fleet's queue is full whether one is let in is a matter of luck.
        let out = scenario.outages.iter().any(|out| out.start < until && out.end + RECOVERS_MS > now)
            || scenario.crowded.iter().any(|crowd| crowd.start < until && crowd.end > now);
        for org in 0..scenario.orgs.len() {
            for model in 0..scenario.models.len() {
                if out || ![now, until].into_iter().all(|at| scenario.is_usable(org, model, at)) {
                    continue;
                }
                let at = upstream.place(org, model);
                found[at] = Some(places.len());
                let gauge = |bucket: &crate::limiter::Bucket| Gauge {
                    metric: bucket.metric,
                    limit: bucket.limit as f64,
                    level: bucket.level(),
                    rate: bucket.rate(),
                    each: 1.0 / bucket.rate(),
                };
                let buckets = upstream.limiter(at).buckets(now);
                let mut gauges = [Gauge::NONE; BUCKETS];
                gauges[..buckets.len()]
                    .iter_mut()
                    .zip(buckets)
                    .for_each(|(place, bucket)| *place = gauge(bucket));
                let buckets = buckets.len();
                places.push(Place { org, model, rests: rests(org, model) as f64, gauges, buckets });
            }
        }
        if charge == Charge::Reserved {
            for over in unreported.of(now) {
                let Some(place) = found[over.place] else { continue };
                for (gauge, gained) in places[place].gauges_mut().iter_mut().zip(&over.gained) {
                    gauge.level -= gained;
                }
            }
        } else {
            for under in under_way.filter(|under| under.done_at <= until) {
                let Some(place) = found[under.place] else { continue };
                let gauges = places[place].gauges_mut().iter_mut();
                for gauge in gauges.filter(|gauge| gauge.metric != Metric::Requests) {
                    gauge.level += under.reserved as f64 - under.used.of(gauge.metric) as f64;
                }
            }
        }
        Self { scenario, charge, places }
    }

    fn may(&self, request: &Request, model: usize, now: u64) -> bool {
        // Who names a model that is gone is served by the others.
        let gone = |model: usize| {
            self.scenario.models[model].retired_from.is_some_and(|from| now >= from + RECOVERS_MS)
        };
        request.named.is_none_or(|named| named == model || gone(named))
    }

    /// Who admits it first, and in how many milliseconds.
    fn first(&self, request: &Request, now: u64) -> (f64, usize) {
        let mut first = (f64::INFINITY, 0);
        // Of each model, once: whether it may use it, and what it reserves there.
        let mut models = [(false, 0.0); MODELS];
        for (n, (of, model)) in models.iter_mut().zip(&self.scenario.models).enumerate() {
            *of = (self.may(request, n, now), request.reserve(model.tokens_per_estimated) as f64);
        }
        for (n, place) in self.places.iter().enumerate() {
            let (may, reserve) = models[place.model];
            if !may {
                continue;
            }
            let mut wait = place.rests;
            for gauge in place.gauges() {
                if wait >= first.0 {
                    break;
                }
                let need = if gauge.metric == Metric::Requests { 1.0 } else { reserve };
                let of = if need > gauge.limit { f64::INFINITY } else { (need - gauge.level) * gauge.each };
                wait = if of > wait { of } else { wait };
            }
            if wait < first.0 {
                first = (wait, n);
            }
            // Nobody admits it any sooner.
            if wait <= 0.0 {
                break;
            }
        }
        first
    }

    /// Takes the room where it is admitted first, if it can wait that long.
    fn put(&mut self, request: &Request, now: u64, patience: f64) {
        let (wait, place) = self.first(request, now);
        if wait <= patience {
            let place = &mut self.places[place];
            let tokens = self.scenario.models[place.model].tokens_per_estimated;
            let (reserve, used) = (request.reserve(tokens), request.used(tokens));
            for gauge in place.gauges_mut() {
                gauge.level -= match (gauge.metric, self.charge) {
                    (Metric::Requests, _) => 1.0,
                    (_, Charge::Reserved) => reserve as f64,
                    (metric, Charge::Used) => used.of(metric) as f64,
                };
            }
        }
    }

    /// An upper bound, quickly: whether all the room there is until then exceeds what is waiting and this.
    #[must_use]
    pub fn could(&self, request: &Request, waiting: &Queue, now: u64, left: u64) -> bool {
        let (mut tokens, mut requests) = (0.0, 0.0);
        let usable = |place: &&Place| place.rests < left as f64 && self.may(request, place.model, now);
        for place in self.places.iter().filter(usable) {
            let (mut least_tokens, mut least_requests) = (f64::MAX, f64::MAX);
            for gauge in place.gauges() {
                let room = (gauge.level + gauge.rate * left as f64).max(0.0);
                let least =
                    if gauge.metric == Metric::Requests { &mut least_requests } else { &mut least_tokens };
                *least = least.min(room);
            }
            tokens += least_tokens;
            requests += least_requests;
        }
        // Who waits for another model alone is not in the way.
        let (before_tokens, before_requests) = match request.named {
            Some(named) => waiting.of(named, self.charge),
            None => waiting.all(self.charge),
        };
        tokens > before_tokens && requests >= before_requests + 1.0
    }

    /// Whether it would be admitted in time, after all who are waiting.
    #[must_use]
    pub fn has_room<'r>(
        mut self,
        request: &Request,
        waiting: impl Iterator<Item = (&'r Request, u64)>,
        now: u64,
        left: u64,
    ) -> bool {
        let patience = left.saturating_sub(left / 10 + TRIP_MS) as f64;
        // Those before it only take.
        if self.first(request, now).0 > patience {
            return false;
        }
        for (n, (other, other_left)) in waiting.enumerate() {
            self.put(other, now, other_left as f64);
            // Who comes after only takes more.
            if n % 16 == 15 && self.first(request, now).0 > patience {
                return false;
            }
        }
        self.first(request, now).0 <= patience
    }
}

impl Oracle<'_> {
    /// What there was room for, in words: who of those before takes which place after how long, and what the
    /// refused one would.
    #[must_use]
    pub fn explained<'r>(
        mut self,
        request: &Request,
        waiting: impl Iterator<Item = (&'r Request, u64)>,
        now: u64,
    ) -> String {
        let mut out = String::new();
        let name = |place: &Place| {
            let (org, model) = (&self.scenario.orgs[place.org], &self.scenario.models[place.model]);
            format!("{} {}", org.name, model.name)
        };
        let names: Vec<String> = self.places.iter().map(name).collect();
        for (place, name) in self.places.iter().zip(&names) {
            let levels: Vec<String> = place
                .gauges()
                .iter()
                .map(|gauge| format!("{:.1} of {:?}", gauge.level, gauge.metric))
                .collect();
            let _ = writeln!(out, "    {name}: rests {} ms, {}", place.rests, levels.join(", "));
        }
        let mut told = |who: String, (wait, place): (f64, usize)| {
            let at = names.get(place).map_or("", String::as_str);
            let _ = writeln!(out, "    {who} after {wait:.0} ms at {at}");
        };
        for (other, left) in waiting {
            let reserve = other.reserve(1.0);
            told(
                format!("number {} ({reserve} tokens, within {left} ms)", other.number),
                self.first(other, now),
            );
            self.put(other, now, left as f64);
        }
        told(format!("the refused ({} tokens)", request.reserve(1.0)), self.first(request, now));
        out
    }
}

/// What all who wait would take at the least, kept as they come and go.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// By named model, those who name none last: tokens reserved, tokens used, requests.
    sums: Vec<(f64, f64, f64)>,
    least_tokens: f64,
}

impl Queue {
    /// Nobody waits.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let least = scenario.models.iter().map(|model| model.tokens_per_estimated).fold(f64::MAX, f64::min);
        Self { sums: vec![(0.0, 0.0, 0.0); scenario.models.len() + 1], least_tokens: least }
    }

    /// Somebody comes (1.0) or goes (-1.0).
    pub fn count(&mut self, request: &Request, sign: f64) {
        let at = request.named.unwrap_or(self.sums.len() - 1);
        let sum = &mut self.sums[at];
        sum.0 += sign * request.reserve(self.least_tokens) as f64;
        sum.1 += sign * request.used(self.least_tokens).of(Metric::Uncached) as f64;
        sum.2 += sign;
    }

    fn all(&self, charge: Charge) -> (f64, f64) {
        self.sums.iter().fold((0.0, 0.0), |all, sum| {
            (all.0 + if charge == Charge::Used { sum.1 } else { sum.0 }, all.1 + sum.2)
        })
    }

    fn of(&self, model: usize, charge: Charge) -> (f64, f64) {
        let sum = self.sums[model];
        (if charge == Charge::Used { sum.1 } else { sum.0 }, sum.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Arrivals;
    use crate::rng::Rng;

    fn world() -> (Scenario, Request) {
        let mut scenario = Scenario { rates: Default::default(), ..Scenario::mixed(1, 1_000_000) };
        scenario.crowded.clear();
        let request = Arrivals::new(&scenario).next().unwrap();
        let request =
            Request { estimate: 1_000, max_completion: None, named: None, deadline: None, ..request };
        (scenario, request)
    }

    fn room(
        scenario: &Scenario,
        upstream: &mut Upstream,
        charge: Charge,
        waiting: &[Request],
        request: &Request,
    ) -> bool {
        let mut queue = Queue::new(scenario);
        waiting.iter().for_each(|other| queue.count(other, 1.0));
        let oracle = Oracle::new(
            scenario,
            upstream,
            charge,
            (0, 20_000),
            |_, _| 0,
            (std::iter::empty(), &Unreported::default()),
        );
        let could = oracle.could(request, &queue, 0, 20_000);
        let has = oracle.has_room(request, waiting.iter().map(|other| (other, 20_000)), 0, 20_000);
        assert!(could || !has, "the quick answer is an upper bound");
        has
    }

    #[test]
    fn full_buckets_have_room_until_those_who_wait_have_taken_it() {
        let (scenario, request) = world();
        let upstream = || Upstream::new(&scenario);
        let has = |charge, waiting: usize| {
            room(&scenario, &mut upstream(), charge, &vec![request.clone(); waiting], &request)
        };
        assert!(has(Charge::Reserved, 0));
        // Six times a million and a third, in pieces of some 17,400, and what the trials hold.
        assert!(has(Charge::Reserved, 440));
        assert!(!has(Charge::Reserved, 480));
        assert!(has(Charge::Used, 480), "most of what is reserved is not used");
    }

    #[test]
    fn an_outage_leaves_no_room() {
        let (mut scenario, request) = world();
        scenario.outages.push(5_000..6_000);
        assert!(!room(&scenario, &mut Upstream::new(&scenario), Charge::Reserved, &[], &request));
    }

    #[test]
    fn a_named_model_is_the_only_one_that_counts() {
        let (scenario, request) = world();
        let mut upstream = Upstream::new(&scenario);
        let named = Request { named: Some(0), max_completion: Some(16_384), ..request.clone() };
        for key in [0, 1, 2, 4, 5] {
            let mut rng = Rng::new(1);
            while matches!(upstream.admit(0, key, 0, &named, &mut rng), crate::upstream::Verdict::Admitted(_))
            {
            }
        }
        let large = Request { estimate: 400_000, ..named };
        assert!(!room(&scenario, &mut upstream, Charge::Reserved, &[], &large));
        assert!(room(&scenario, &mut upstream, Charge::Reserved, &[], &Request { named: Some(1), ..large }));
    }
}
