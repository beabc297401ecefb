//! How much of what the upstream held was used while more was asked for than it could give.
//!
//! A minute counts when demand was set to exceed the limits throughout it ([`EXCEEDS`]) and no outage touched it
//! or the minute before. For each organisation and model the counting minutes make runs, as long as somebody
//! there could serve. Over a run a bucket had what it held at the start and what comes back in that time; used
//! of it is what it neither still holds at the end nor spilled for being full. The bucket that is used most is
//! the one that binds, and its share is the share of that organisation and model. Runs are weighed by how many
//! requests of mean cost they had room for.

use crate::clients::Mix;
use crate::scenario::{EARLY_MS, Scenario};
use crate::upstream::Upstream;

/// Demand of that multiple of capacity exceeds it, bursts and waves aside.
pub const EXCEEDS: f64 = 1.2;

const MINUTE: u64 = 60_000;

#[derive(Clone, Debug, Default)]
struct Mark {
    at: u64,
    /// Level and spilled of each bucket.
    buckets: Vec<(f64, f64)>,
}

/// One organisation and model.
#[derive(Clone, Debug, Default)]
pub struct Place {
    last: Mark,
    run: Option<Mark>,
    /// Room for so many requests of mean cost.
    pub room: f64,
    /// Of which so many were used.
    pub used: f64,
}

/// The shares of all.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// By organisation and model.
    pub places: Vec<Place>,
    /// Minutes that counted.
    pub minutes: u64,
}

impl Capacity {
    /// Of everything, weighed.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let room: f64 = self.places.iter().map(|place| place.room).sum();
        (room > 0.0).then(|| self.places.iter().map(|place| place.used).sum::<f64>() / room)
    }

    /// A minute is over.
    pub fn minute(&mut self, now: u64, scenario: &Scenario, upstream: &mut Upstream, mix: &Mix) {
        let count = scenario.orgs.len() * scenario.models.len();
        self.places.resize(count, Place::default());
        let from = now.saturating_sub(MINUTE);
        let exceeded = now >= EARLY_MS
            && [from, now - 1].into_iter().all(|at| scenario.phase(at).0.load >= EXCEEDS)
            && !scenario.outages.iter().any(|out| out.start < now && out.end > from.saturating_sub(MINUTE));
        self.minutes += u64::from(exceeded);
        for org in 0..scenario.orgs.len() {
            for model in 0..scenario.models.len() {
                let place = upstream.place(org, model);
                let counts =
                    exceeded && [from, now - 1].into_iter().all(|at| scenario.is_usable(org, model, at));
                self.step(place, now, counts, upstream, mix);
            }
        }
    }

    fn step(&mut self, at: usize, now: u64, counts: bool, upstream: &mut Upstream, mix: &Mix) {
        if !counts {
            self.close(at, upstream, mix);
        }
        let place = &mut self.places[at];
        if counts && place.run.is_none() {
            place.run = Some(place.last.clone());
        }
        let buckets = upstream.limiter(at).buckets(now);
        place.last = Mark {
            at: now,
            buckets: buckets.iter().map(|bucket| (bucket.level(), bucket.spilled())).collect(),
        };
    }

    fn close(&mut self, at: usize, upstream: &mut Upstream, mix: &Mix) {
        let place = &mut self.places[at];
        let Some(run) = place.run.take() else { return };
        let buckets = upstream.limiter(at).buckets(place.last.at);
        let (mut share, mut room) = (0.0_f64, f64::MAX);
        for (bucket, (before, after)) in buckets.iter().zip(run.buckets.iter().zip(&place.last.buckets)) {
            let had = before.0 + bucket.rate() * (place.last.at - run.at) as f64;
            let used = had - after.0 - (after.1 - before.1);
            room = room.min(had.max(0.0) / mix.cost(bucket.metric));
            if had >= 1.0 {
                share = share.max(used / had);
            }
        }
        if room < f64::MAX {
            place.room += room;
            place.used += room * share.min(1.0);
        }
    }

    /// The run is over.
    pub fn end(&mut self, upstream: &mut Upstream, mix: &Mix) {
        for at in 0..self.places.len() {
            self.close(at, upstream, mix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{Arrivals, Request};
    use crate::rng::Rng;
    use crate::scenario::Org;
    use crate::upstream::Verdict;

    /// Sends what is admitted of one request each `every` ms, through a surge of six minutes.
    fn share(every: u64) -> f64 {
        let mixed = Scenario { rates: Default::default(), ..Scenario::mixed(1, 1_000_000) };
        let org = Org { limits: crate::scenario::paid(), ..mixed.orgs[0].clone() };
        let (orgs, models) = (vec![org], vec![mixed.models[0].clone()]);
        let scenario = Scenario {
            crowded: Vec::new(),
            keys: mixed.keys[..1].to_vec(),
            orgs,
            models,
            named: vec![0.0],
            ..mixed
        };
        let mix = Mix::of(&scenario);
        let request = Arrivals::new(&scenario).next().unwrap();
        let request = Request {
            estimate: 4_000,
            completion: 1_000,
            cached: 0.0,
            max_completion: Some(1_000),
            ..request
        };
        let (mut upstream, mut capacity, mut rng) =
            (Upstream::new(&scenario), Capacity::default(), Rng::new(1));
        for now in 1..=600_000 {
            if now % every == 0
                && let Verdict::Admitted(reserved) = upstream.admit(now, 0, 0, &request, &mut rng)
            {
                upstream.settle(now, 0, reserved, &request.used(1.25));
            }
            if now % MINUTE == 0 {
                capacity.minute(now, &scenario, &mut upstream, &mix);
            }
        }
        capacity.end(&mut upstream, &mix);
        assert_eq!(capacity.minutes, 6);
        capacity.share().unwrap()
    }

    #[test]
    fn what_is_not_used_while_demand_exceeds_capacity_is_missed() {
        assert!(share(100) > 0.99);
        // Some 6,000 tokens each, so 144 a minute are about 86 % of what comes back.
        let part = share(416);
        assert!((0.65..0.9).contains(&part), "{part}");
        assert!(share(4_160) < 0.1);
    }
}
