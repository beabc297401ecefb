#![allow(missing_docs, clippy::print_stdout)]
use rondo_core::limits::settings::ATTEMPT_BUDGET;
use rondo_core::pool::protocol::*;
use rondo_sim::limiter::*;
use rondo_sim::naive::Chooser;
use rondo_sim::report::*;
use rondo_sim::scenario::*;
use rondo_sim::world::run;
use std::collections::HashMap;

struct Gauge {
    requests: bool,
    limit: f64,
    level: f64,
    rate: f64,
}
struct Place {
    gauges: Vec<Gauge>,
    at: u64,
    dead_until: u64,
}
struct Reference {
    places: Vec<Place>,
    keys: HashMap<String, usize>,
    models: HashMap<String, usize>,
    scenario: Scenario,
    key_dead: Vec<u64>,
    open: HashMap<u64, (usize, f64)>,
    settled: std::collections::HashSet<u64>,
    n: u64,
    tickets: u64,
    turn: usize,
    promises: HashMap<(String, u64), (u64, f64)>,
}
impl Reference {
    fn new(s: &Scenario) -> Self {
        let places = s
            .orgs
            .iter()
            .flat_map(|o| {
                s.models.iter().map(|_| Place {
                    at: 0,
                    dead_until: 0,
                    gauges: o
                        .limits
                        .iter()
                        .map(|&(m, p, l)| Gauge {
                            requests: m == Metric::Requests,
                            limit: l as f64,
                            level: l as f64,
                            rate: l as f64 / p.ms() as f64,
                        })
                        .collect(),
                })
            })
            .collect();
        Self {
            places,
            keys: s.keys.iter().enumerate().map(|(n, k)| (k.id.clone(), n)).collect(),
            models: s.models.iter().enumerate().map(|(n, k)| (k.name.clone(), n)).collect(),
            key_dead: vec![0; s.keys.len()],
            scenario: s.clone(),
            open: HashMap::new(),
            settled: Default::default(),
            n: 0,
            tickets: 0,
            turn: 0,
            promises: HashMap::new(),
        }
    }
    fn refill(&mut self, now: u64) {
        for p in &mut self.places {
            let dt = now.saturating_sub(p.at) as f64;
            if p.at == 0 {
                p.at = now;
                continue;
            }
            p.at = p.at.max(now);
            for g in &mut p.gauges {
                g.level = (g.level + dt * g.rate).min(g.limit);
            }
        }
    }
}
impl Chooser for Reference {
    fn ask(&mut self, now: u64, ask: &Ask) -> Answer {
        self.refill(now);
        let nm = self.scenario.models.len();
        for s in &ask.settles {
            if !self.settled.insert(s.id) {
                continue;
            }
            let Some(a) = &s.attempt else { continue };
            let key = self.keys[&a.key];
            let place = self.scenario.keys[key].org * nm + self.models[&a.model];
            if let Some((at, reserved)) = self.open.remove(&s.id) {
                let used = match a.end {
                    AttemptEnd::Ok | AttemptEnd::Cut => {
                        (a.usage.prompt_tokens + a.usage.completion_tokens) as f64
                    }
                    _ => 0.0,
                };
                for g in &mut self.places[at].gauges {
                    if !g.requests {
                        g.level = (g.level + reserved - used).min(g.limit)
                    } else if a.end == AttemptEnd::Unused {
                        g.level += 1.0
                    }
                }
            }
            if let AttemptEnd::Failed(f) = a.end {
                match f {
                    Fault::Key => self.key_dead[key] = now + 86_400_000,
                    Fault::Payment => {
                        for m in 0..nm {
                            self.places[self.scenario.keys[key].org * nm + m].dead_until = now + 6 * 3_600_000
                        }
                    }
                    Fault::Model => {
                        for o in 0..self.scenario.orgs.len() {
                            self.places[o * nm + self.models[&a.model]].dead_until = now + 86_400_000
                        }
                    }
                    Fault::Quota => self.places[place].dead_until = now + a.retry_after_ms.unwrap_or(1000),
                    _ => {}
                }
            }
        }
        let outcome = ask.want.as_ref().map(|w| {
            let _ = ATTEMPT_BUDGET;
            let named = w
                .model
                .as_ref()
                .map(|m| self.models[m])
                .filter(|&m| self.places[m].dead_until < now + 3_600_000 * 5);
            let mut best = (f64::INFINITY, 0, 0, 0.0);
            for o in 0..self.scenario.orgs.len() {
                let key = self
                    .scenario
                    .keys
                    .iter()
                    .enumerate()
                    .filter(|(k, x)| {
                        x.org == o && self.key_dead[*k] <= now && !w.exclude_keys.contains(&x.id)
                    })
                    .map(|(k, _)| k)
                    .collect::<Vec<_>>();
                if key.is_empty() {
                    continue;
                }
                for m in 0..nm {
                    if named.is_some_and(|n| n != m)
                        || w.exclude_models.contains(&self.scenario.models[m].name)
                    {
                        continue;
                    }
                    let p = &self.places[o * nm + m];
                    let cost = w.prompt_tokens as f64 * self.scenario.models[m].tokens_per_estimated * 1.2
                        + 1.0
                        + w.max_completion_tokens.map_or(16384, |c| c.min(16384)) as f64;
                    let mut wait = p.dead_until.saturating_sub(now) as f64;
                    for g in &p.gauges {
                        let need = if g.requests { 1.0 } else { cost };
                        wait = wait.max(if need > g.limit {
                            f64::INFINITY
                        } else {
                            (need - g.level) / g.rate + if g.level < need { 40.0 } else { 0.0 }
                        });
                    }
                    if wait < best.0 {
                        self.turn += 1;
                        best = (wait, o * nm + m, key[self.turn % key.len()], cost);
                    }
                }
            }
            let (wait, place, key, cost) = best;
            if wait.is_infinite() {
                return Given::Refused(RefusedWhy::KeysExhausted);
            }
            let _ = &self.promises;
            if wait > w.deadline_ms as f64 {
                return Given::RetryAfter { after_ms: wait.ceil() as u64, why: Waiting::Quota };
            }
            if wait > 2000.0 {
                self.tickets += 1;
                return Given::Ticket { ticket: self.tickets, after_ms: (wait as u64 - 1500).max(300) };
            }
            for g in &mut self.places[place].gauges {
                g.level -= if g.requests { 1.0 } else { cost };
            }
            self.n += 1;
            self.open.insert(self.n, (place, cost));
            Given::Grants(vec![Grant {
                id: self.n,
                key: self.scenario.keys[key].id.clone(),
                sealed: String::new(),
                provider: "cerebras".into(),
                base_url: None,
                model: self.scenario.models[place % nm].name.clone(),
                delay_ms: wait.ceil().max(0.0) as u64,
                reserved: 0,
                learn: false,
            }])
        });
        Answer { v: 2, generation: 1, epoch: 1, snapshot: None, outcome, allowance: None }
    }
}
fn main() {
    let n = std::env::args().nth(1).map_or(100_000, |a| a.parse().unwrap());
    let mut s = Scenario::mixed(1, n);
    if std::env::args().nth(2).is_none() {
        s.clock_steps.clear();
    }
    let t = std::time::Instant::now();
    let mixed = run(&s, Reference::new(&s));
    println!("{:?}", t.elapsed());
    let r = Report {
        mixed,
        even: Evenness {
            jain: 1.0,
            jain_leased: 1.0,
            idle: 0.0,
            idle_leased: 0.0,
            weights: 0.0,
            weights_leased: 0.0,
        },
        others: vec![],
        seed: 1,
    };
    println!("{}\n{}\n{:#?}", r.tables(), r.explanation(), r.misses());
}
