//! What is left of the quotas, how fast it is used, and what runs out first.

use super::quota::{Meter, Quota};
use super::state::Pool;
use crate::wire::headers::Window;
use serde::Serialize;
use std::cmp::Ordering;

/// What is left of one group's quota for one model: of its buckets the one that runs out first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fuel {
    /// `group:<name>` or `key:<id>`.
    pub group: String,
    /// The model.
    pub model: String,
    /// Its enabled keys.
    pub keys: usize,
    /// `minute`, `hour` or `day`. Minutes stand only where neither hour nor day is known.
    pub window: &'static str,
    /// `requests` or `tokens`.
    pub counted: &'static str,
    /// What is left.
    pub left: u64,
    /// Of so much.
    pub limit: u64,
    /// What is used of it a minute, to two places.
    pub per_minute: f64,
    /// Seconds until it is empty if that goes on; `None` when it refills faster. Minutes refill by themselves.
    pub lasts_s: Option<u64>,
}

/// One bucket, measured.
#[derive(Clone, Copy)]
struct Gauge<'a> {
    meter: &'a Meter,
    left: u64,
    per_minute: f64,
    lasts_s: Option<u64>,
}

impl<'a> Gauge<'a> {
    fn of(meter: &'a Meter, uses: [f64; 3], now: u64) -> Self {
        let left = u64::try_from(meter.bucket.level(now)).unwrap_or(0);
        let per_minute = meter.of(uses);
        let refill = meter.bucket.limit() as f64 * 60_000.0 / meter.bucket.window_ms() as f64;
        let net = per_minute - refill;
        let drains = meter.window != Window::Minute && net > 0.0;
        let lasts_s = drains.then(|| (left as f64 / net * 60.0) as u64);
        Self { meter, left, per_minute, lasts_s }
    }

    fn share(&self) -> f64 {
        self.left as f64 / self.meter.bucket.limit() as f64
    }

    /// What runs out first goes first; of what lasts, an hour or a day before a minute, then what is emptiest.
    fn order(&self, other: &Self) -> Ordering {
        let lasting = |gauge: &Self| gauge.lasts_s.unwrap_or(u64::MAX);
        let refills = |gauge: &Self| gauge.meter.window == Window::Minute;
        lasting(self)
            .cmp(&lasting(other))
            .then(refills(self).cmp(&refills(other)))
            .then(self.share().total_cmp(&other.share()))
    }
}

fn tightest(quota: &Quota, now: u64) -> Option<Gauge<'_>> {
    let uses = quota.pace().per_minute(now);
    quota.meters.iter().map(|meter| Gauge::of(meter, uses, now)).min_by(Gauge::order)
}

impl Pool {
    /// At most so many quotas with known buckets, the one that runs out first first. Use is measured by quota from
    /// the reports of attempts, over about the last ten minutes (`quota::pace`), and each bucket refills evenly.
    #[must_use]
    pub fn fuel(&self, now: u64, most: usize) -> Vec<Fuel> {
        let keys_of = |group: usize| {
            let keys = self.roster.groups.get(group).map_or(&[][..], |group| &group.keys);
            keys.iter().filter(|at| self.roster.slots.get(**at).is_some_and(|slot| slot.row.enabled)).count()
        };
        let mut gauges: Vec<(Gauge<'_>, usize, &String)> = Vec::new();
        for (name, model) in self.models.iter() {
            gauges.extend(
                model.quotas().filter_map(|(group, quota)| Some((tightest(quota, now)?, group, name))),
            );
        }
        gauges.sort_by(|(one, group, model), (other, its_group, its_model)| {
            one.order(other).then((group, model).cmp(&(its_group, its_model)))
        });
        let told = gauges.into_iter().filter_map(|(gauge, group, model)| {
            let Gauge { meter, left, per_minute, lasts_s } = gauge;
            let keys = keys_of(group);
            (keys > 0).then_some(())?;
            Some(Fuel {
                group: self.roster.groups.get(group)?.name.clone(),
                model: model.clone(),
                keys,
                window: meter.window.name(),
                counted: if meter.counts_requests() { "requests" } else { "tokens" },
                left,
                limit: meter.bucket.limit(),
                per_minute: (per_minute * 100.0).round() / 100.0,
                lasts_s,
            })
        });
        told.take(most).collect()
    }
}
