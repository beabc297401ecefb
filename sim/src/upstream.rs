//! The upstream, as far as the pool can tell: who is admitted, what is refused and how, and what the limit
//! headers say.

use crate::clients::Request;
use crate::limiter::{Limiter, Metric, Period, Short, Used};
use crate::rng::Rng;
use crate::scenario::Scenario;
use rondo_core::pool::protocol::Fault;
use rondo_core::wire::headers::{Counted, LimitReading, Window};

/// What a request meets.
#[derive(Debug)]
pub enum Verdict {
    /// It is worked on; so many tokens are reserved.
    Admitted(u64),
    /// It is refused, or lost.
    Refused(Refusal),
}

/// A refusal.
#[derive(Debug)]
pub struct Refusal {
    /// Whose fault, as Rondo reads the answer.
    pub fault: Fault,
    /// Its status; 0 when none comes.
    pub status: u16,
    /// `Retry-After`, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Limit headers.
    pub headers: Vec<LimitReading>,
    /// The bucket that lacked room.
    pub short: Option<Short>,
    /// How long it takes to come.
    pub after_ms: u64,
}

/// The upstream.
#[derive(Debug)]
pub struct Upstream<'s> {
    scenario: &'s Scenario,
    /// By organisation and model.
    limiters: Vec<Limiter>,
}

impl<'s> Upstream<'s> {
    /// With full buckets.
    #[must_use]
    pub fn new(scenario: &'s Scenario) -> Self {
        let limiters = scenario
            .orgs
            .iter()
            .flat_map(|org| scenario.models.iter().map(|_| Limiter::new(&org.limits, 0)))
            .collect();
        Self { scenario, limiters }
    }

    /// The place of an organisation's and model's limiter.
    #[must_use]
    pub fn place(&self, org: usize, model: usize) -> usize {
        org * self.scenario.models.len() + model
    }

    /// The limiter at a place.
    pub fn limiter(&mut self, place: usize) -> &mut Limiter {
        &mut self.limiters[place]
    }

    /// A request arrives.
    pub fn admit(&mut self, now: u64, key: usize, model: usize, request: &Request, rng: &mut Rng) -> Verdict {
        let scenario = self.scenario;
        let refuse = |fault, status, after_ms| {
            Verdict::Refused(Refusal {
                fault,
                status,
                retry_after_ms: None,
                headers: Vec::new(),
                short: None,
                after_ms,
            })
        };
        let since = |from: Option<u64>| from.is_some_and(|from| now >= from);
        if let Some(outage) = scenario.outages.iter().find(|outage| outage.contains(&now)) {
            return match rng.unit() {
                0.0..0.7 => refuse(Fault::Upstream, 503, rng.whole(20, 800)),
                0.7..0.9 => refuse(Fault::Lost, 0, rng.whole(1, 50)),
                // Silence, until whoever waits gives up or it is over and connections are closed.
                _ => refuse(Fault::Lost, 0, outage.end - now + rng.whole(0, 2_000)),
            };
        }
        let key = &scenario.keys[key];
        if since(key.revoked_from) {
            return refuse(Fault::Key, 401, 10);
        }
        if since(scenario.orgs[key.org].unpaid_from) {
            return refuse(Fault::Payment, 402, 10);
        }
        if since(scenario.models[model].retired_from) {
            return refuse(Fault::Model, 404, 10);
        }
        if key.faulty.as_ref().is_some_and(|faulty| faulty.contains(&now)) {
            return refuse(Fault::Upstream, 500, rng.whole(10, 200));
        }
        let crowded = scenario.crowded.iter().any(|crowd| crowd.contains(&now));
        if rng.chance(if crowded { 0.3 } else { scenario.rates.queue }) {
            return refuse(Fault::Queue, 429, 10);
        }
        let place = self.place(key.org, model);
        let prompt = request.used(scenario.models[model].tokens_per_estimated).prompt;
        match self.limiters[place].admit(now, prompt, request.max_completion) {
            Ok(reserved) => Verdict::Admitted(reserved),
            Err(short) => {
                // Whole seconds, rounded up. What never fits is told the whole minute, as was seen live.
                let wait = if short.wait_ms.is_finite() { short.wait_ms } else { 60_000.0 };
                Verdict::Refused(Refusal {
                    fault: Fault::Quota,
                    status: 429,
                    retry_after_ms: Some((wait / 1_000.0).ceil().max(1.0) as u64 * 1_000),
                    headers: self.headers(now, place),
                    short: Some(short),
                    after_ms: 5,
                })
            }
        }
    }

    /// An answer is over.
    pub fn settle(&mut self, now: u64, place: usize, reserved: u64, used: &Used) {
        self.limiters[place].settle(now, reserved, used);
    }

    /// The limit headers, as Rondo reads them. There is one `tokens` of a minute in them: where there is an
    /// uncached bucket it is that one, and the total is not shown.
    pub fn headers(&mut self, now: u64, place: usize) -> Vec<LimitReading> {
        let mut readings: Vec<LimitReading> = Vec::new();
        for bucket in self.limiters[place].buckets(now) {
            let what = if bucket.metric == Metric::Requests { Counted::Requests } else { Counted::Tokens };
            let window = match bucket.period {
                Period::Minute => Window::Minute,
                Period::Hour => Window::Hour,
                Period::Day => Window::Day,
            };
            if readings.iter().any(|reading| (reading.what, reading.window) == (what, window)) {
                continue;
            }
            readings.push(LimitReading {
                what,
                window,
                limit: u64::try_from(bucket.limit).ok(),
                remaining: Some(bucket.remaining()),
                reset_ms: Some((bucket.reset_ms() - 0.001).ceil().max(0.0) as u64),
            });
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Arrivals;

    fn sent(scenario: &Scenario, now: u64, key: usize, model: usize) -> Verdict {
        let request = Arrivals::new(scenario).next().unwrap();
        Upstream::new(scenario).admit(now, key, model, &request, &mut Rng::new(1))
    }

    fn fault(verdict: Verdict) -> Option<Fault> {
        match verdict {
            Verdict::Admitted(_) => None,
            Verdict::Refused(refusal) => Some(refusal.fault),
        }
    }

    #[test]
    fn each_trouble_of_the_scenario_is_met() {
        let scenario =
            Scenario { rates: Default::default(), crowded: Vec::new(), ..Scenario::mixed(1, 1_000_000) };
        let late = 20_000_000;
        assert_eq!(fault(sent(&scenario, 0, 0, 0)), None);
        assert_eq!(fault(sent(&scenario, 0, 4, 0)), Some(Fault::Key));
        assert_eq!(fault(sent(&scenario, late, 3, 0)), Some(Fault::Key));
        assert_eq!(fault(sent(&scenario, late, 5, 0)), Some(Fault::Payment));
        assert_eq!(fault(sent(&scenario, late, 0, 2)), Some(Fault::Model));
        let outage = scenario.outages[0].start;
        assert!(fault(sent(&scenario, outage, 0, 0)).is_some_and(Fault::excludes_key));
    }

    #[test]
    fn the_total_bucket_of_a_minute_is_not_shown_and_seconds_are_rounded_up() {
        let mut scenario = Scenario { rates: Default::default(), ..Scenario::mixed(1, 1_000_000) };
        scenario.crowded.clear();
        let mut upstream = Upstream::new(&scenario);
        let request = Request { max_completion: Some(1), ..Arrivals::new(&scenario).next().unwrap() };
        let request = Request { estimate: 100, ..request };
        let mut rng = Rng::new(1);
        for _ in 0..5 {
            assert!(matches!(upstream.admit(0, 2, 0, &request, &mut rng), Verdict::Admitted(_)));
        }
        let Verdict::Refused(refusal) = upstream.admit(1_500, 7, 0, &request, &mut rng) else {
            panic!("the sixth of an organisation's minute")
        };
        assert_eq!((refusal.fault, refusal.retry_after_ms), (Fault::Quota, Some(11_000)));
        let shown: Vec<_> =
            refusal.headers.iter().map(|reading| (reading.what, reading.window, reading.limit)).collect();
        assert_eq!(shown.len(), 6);
        assert!(shown.contains(&(Counted::Tokens, Window::Minute, Some(30_000))));
    }
}
