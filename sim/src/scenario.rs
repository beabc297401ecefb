//! What is simulated: organisations with their limits, keys, models, client tokens, how much is asked for when,
//! and what goes wrong. Times are milliseconds from the start of the run.

use crate::limiter::{Limits, Metric, Period};
use rondo_core::config::{AccessMode, DEFAULT_POOL, Member, ModelPool, Snapshot, Token, TokenLimits};
use rondo_core::pool::keys::KeyRow;
use std::ops::Range;

/// The pool's clock at the start, unix milliseconds.
pub const START: u64 = 1_790_000_000_000;
/// Figures of that first part of a run are kept apart: nothing is known of any quota yet.
pub const EARLY_MS: u64 = 120_000;

const MINUTE: u64 = 60_000;
/// Requests of one course of the mixed pool, at the least: some three hours.
const COURSE: u64 = 250_000;
const PROVIDER: &str = "cerebras";

/// An organisation: what limits belong to.
#[derive(Clone, Debug)]
pub struct Org {
    /// Its name, which is the quota group's.
    pub name: String,
    /// Its limits for each model; none at all is an upstream that sends no limit headers.
    pub limits: Limits,
    /// From then on it owes money.
    pub unpaid_from: Option<u64>,
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its organisation's place.
    pub org: usize,
    /// Its share.
    pub weight: u32,
    /// From then on it is refused.
    pub revoked_from: Option<u64>,
    /// In that time everything sent with it fails.
    pub faulty: Option<Range<u64>>,
}

/// A model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its id.
    pub name: String,
    /// From then on it does not exist.
    pub retired_from: Option<u64>,
    /// True prompt tokens for each that Rondo estimates.
    pub tokens_per_estimated: f64,
    /// Tokens of an answer in a second.
    pub speed: f64,
}

/// A client token.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its share of the requests.
    pub share: f64,
    /// Whether it has limits of its own (never reached here), which rules out leases.
    pub limited: bool,
}

/// A part of the course of demand, repeated to the end of the run.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// Its name in `--explain`.
    pub name: &'static str,
    /// How long it lasts.
    pub lasts_ms: u64,
    /// What is asked for, as a multiple of what the limits per minute give. Above 1 demand exceeds capacity.
    pub load: f64,
}

/// How often something small goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// 429 `queue_exceeded`, of requests sent.
    pub queue: f64,
    /// 5xx after admission, of requests sent.
    pub upstream: f64,
    /// Clients that leave in the middle of a stream.
    pub cut: f64,
    /// Calls without a want that are lost, half of them only on the way back.
    pub lost_calls: f64,
    /// Asks with a want whose answer is lost on the way back.
    pub lost_answers: f64,
    /// Calls whose acknowledged reports are sent again all the same.
    pub repeats: f64,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Makes the run what it is.
    pub seed: u64,
    /// How many requests clients make, returns after a 429 not counted.
    pub requests: u64,
    /// Isolates.
    pub isolates: usize,
    /// Whether isolates take leases.
    pub leases: bool,
    /// Organisations.
    pub orgs: Vec<Org>,
    /// Keys.
    pub keys: Vec<Key>,
    /// Models, all of them members of the default pool.
    pub models: Vec<Model>,
    /// Share of the requests that name a model, by place; the others take the default pool.
    pub named: Vec<f64>,
    /// Client tokens.
    pub clients: Vec<Client>,
    /// The course of demand.
    pub phases: Vec<Phase>,
    /// Requests a minute at load 1, where it does not follow from limits.
    pub rate: Option<f64>,
    /// Mean time between bursts; 0 is none.
    pub bursts_every_ms: u64,
    /// Nothing is answered in these times.
    pub outages: Vec<Range<u64>>,
    /// In these times a third of all requests meets a full queue.
    pub crowded: Vec<Range<u64>>,
    /// Jumps of the pool's clock: when, and by how much.
    pub clock_steps: Vec<(u64, i64)>,
    /// Whether limit headers show what was true at admission rather than when the answer's head was sent. The
    /// documentation does not say which.
    pub stale_headers: bool,
    /// Small faults.
    pub rates: Rates,
    /// Small requests only, without limits on the answer.
    pub plain: bool,
}

/// Limits of a free trial (July 2026).
#[must_use]
pub fn trial() -> Limits {
    use {Metric::*, Period::*};
    vec![
        (Requests, Minute, 5),
        (Requests, Hour, 150),
        (Requests, Day, 2_400),
        (Uncached, Minute, 30_000),
        (Tokens, Minute, 90_000),
        (Tokens, Hour, 1_000_000),
        (Tokens, Day, 1_000_000),
    ]
}

/// Limits of the free tier before that.
#[must_use]
pub fn free() -> Limits {
    use {Metric::*, Period::*};
    vec![
        (Requests, Minute, 30),
        (Requests, Hour, 900),
        (Requests, Day, 14_400),
        (Tokens, Minute, 64_000),
        (Tokens, Hour, 1_000_000),
        (Tokens, Day, 1_000_000),
    ]
}

/// Limits of pay-as-you-go.
#[must_use]
pub fn paid() -> Limits {
    use {Metric::*, Period::*};
    vec![(Requests, Minute, 1_000), (Uncached, Minute, 1_000_000), (Tokens, Minute, 3_000_000)]
}

impl Scenario {
    /// The mixed pool of the acceptance: 12 keys in 5 organisations, paid and trial, three models of which one
    /// is retired, revoked keys, a debtor, outages, crowds, clock steps, wrong estimates, bursts.
    #[must_use]
    pub fn mixed(seed: u64, requests: u64) -> Self {
        // Some 2,300 requests a minute are served on average: what goes wrong is spread over the whole run.
        let whole = requests * MINUTE / 2_300;
        let at = |share: f64| (whole as f64 * share) as u64;
        // In a short run all of it is shorter and rarer.
        let during = |share: f64, lasts: u64| at(share)..at(share) + lasts.min(whole / 15);
        let times = |every: u64| (whole / every).clamp(2, 10);
        let crowds = times(20 * MINUTE);
        let clock_steps = times(15 * MINUTE);
        let org = |name: &str, limits: Limits| Org { name: name.into(), limits, unpaid_from: None };
        let mut orgs = vec![
            org("acme", paid()),
            org("bolt", paid()),
            org("cove", trial()),
            org("dune", trial()),
            org("echo", trial()),
        ];
        orgs[4].unpaid_from = Some(at(0.5));
        let owners = [0, 1, 2, 0, 3, 4, 1, 2, 0, 3, 2, 4];
        let mut keys: Vec<Key> = owners.into_iter().enumerate().map(|(n, org)| key(n, org, 1)).collect();
        keys[4].revoked_from = Some(0);
        keys[3].revoked_from = Some(at(0.3));
        keys[6].faulty = Some(during(0.6, 2 * MINUTE));
        let model = |name: &str, tokens_per_estimated, speed| Model {
            name: name.into(),
            retired_from: None,
            tokens_per_estimated,
            speed,
        };
        let mut models = vec![
            model("gpt-oss-120b", 1.25, 1_500.0),
            model("qwen-3.8-27b", 0.77, 900.0),
            model("zai-glm-4.7", 1.0, 700.0),
        ];
        models[2].retired_from = Some(at(0.2));
        let client = |id: &str, share, limited| Client { id: id.into(), share, limited };
        let steps = [-3_000, 5_000, -3_000, 2_000, -1_000];
        Self {
            seed,
            requests,
            isolates: 4,
            leases: true,
            orgs,
            keys,
            models,
            named: vec![0.25, 0.12, 0.03],
            clients: vec![
                client("greedy", 0.55, false),
                client("small-1", 0.15, false),
                client("small-2", 0.15, false),
                client("small-3", 0.10, true),
                client("small-4", 0.05, false),
            ],
            phases: vec![
                Phase { name: "normal", lasts_ms: 3 * MINUTE, load: 0.75 },
                Phase { name: "surge", lasts_ms: 6 * MINUTE, load: 1.5 },
                Phase { name: "trough", lasts_ms: 3 * MINUTE, load: 0.35 },
            ],
            rate: None,
            bursts_every_ms: 90_000,
            // In a short run the first would leave nothing of the only surge.
            outages: if whole > 30 * MINUTE {
                vec![during(0.4, 90_000), during(0.75, 60_000)]
            } else {
                Vec::from([during(0.75, 60_000)])
            },
            crowded: (0..crowds)
                .map(|n| during((n as f64 + 0.7) / crowds as f64, (whole / 60).min(20_000)))
                .collect(),
            clock_steps: (0..clock_steps)
                .map(|n| (at((n as f64 + 0.5) / clock_steps as f64), steps[n as usize % steps.len()]))
                .collect(),
            stale_headers: false,
            rates: Rates {
                queue: 0.001,
                upstream: 0.001,
                cut: 0.005,
                lost_calls: 0.01,
                lost_answers: 0.000_05,
                repeats: 0.002,
            },
            plain: false,
        }
    }

    /// The mixed pool with many requests: several courses of it, each with all that goes wrong, so that they can
    /// run side by side. Which ones depends on the seed and the number alone.
    #[must_use]
    pub fn courses(seed: u64, requests: u64) -> Vec<Self> {
        let count = (requests / COURSE).max(1);
        let part = |n| requests / count + u64::from(n < requests % count);
        (0..count).map(|n| Self::mixed(seed + 1_000 * n, part(n))).collect()
    }

    /// Keys of those weights, each an organisation of its own without limits: how evenly are they used?
    #[must_use]
    pub fn shares(seed: u64, requests: u64, weights: &[u32], leases: bool) -> Self {
        let orgs = (0..weights.len())
            .map(|n| Org { name: format!("org-{n:02}"), limits: Limits::new(), unpaid_from: None })
            .collect();
        Self {
            seed,
            requests,
            isolates: 4,
            leases,
            orgs,
            keys: weights.iter().enumerate().map(|(n, weight)| key(n, n, *weight)).collect(),
            models: vec![Model {
                name: "gpt-oss-120b".into(),
                retired_from: None,
                tokens_per_estimated: 1.0,
                speed: 1_500.0,
            }],
            named: vec![0.0],
            clients: vec![Client { id: "only".into(), share: 1.0, limited: false }],
            phases: vec![Phase { name: "even", lasts_ms: MINUTE, load: 1.0 }],
            rate: Some(3_000.0),
            bursts_every_ms: 0,
            outages: Vec::new(),
            crowded: Vec::new(),
            clock_steps: Vec::new(),
            stale_headers: false,
            rates: Rates::default(),
            plain: true,
        }
    }

    /// The phase at that time, and how long it has lasted.
    #[must_use]
    pub fn phase(&self, at: u64) -> (Phase, u64) {
        let cycle: u64 = self.phases.iter().map(|phase| phase.lasts_ms).sum();
        let mut rest = at % cycle.max(1);
        for phase in &self.phases {
            if rest < phase.lasts_ms {
                return (*phase, rest);
            }
            rest -= phase.lasts_ms;
        }
        (self.phases[0], 0)
    }

    /// What happens then, in a word.
    #[must_use]
    pub fn word(&self, at: u64) -> &'static str {
        if self.outages.iter().any(|outage| outage.contains(&at)) {
            "outage"
        } else if self.outages.iter().any(|outage| (outage.end..outage.end + MINUTE).contains(&at)) {
            "after an outage"
        } else if self.crowded.iter().any(|crowd| crowd.contains(&at)) {
            "crowded"
        } else {
            self.phase(at).0.name
        }
    }

    /// Whether an organisation can serve a model at that time (outages aside).
    #[must_use]
    pub fn is_usable(&self, org: usize, model: usize, at: u64) -> bool {
        let before = |from: Option<u64>| from.is_none_or(|from| at < from);
        before(self.models[model].retired_from)
            && before(self.orgs[org].unpaid_from)
            && self.keys.iter().any(|key| {
                key.org == org
                    && before(key.revoked_from)
                    && key.faulty.as_ref().is_none_or(|faulty| !faulty.contains(&at))
            })
    }

    /// How far the pool's clock is off at that time.
    #[must_use]
    pub fn clock_error(&self, at: u64) -> i64 {
        self.clock_steps.iter().filter(|(step_at, _)| *step_at <= at).map(|(_, step)| step).sum()
    }

    /// The configuration.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let member = |model: &Model| Member {
            model: model.name.clone(),
            provider: PROVIDER.into(),
            weight: 1,
            enabled: true,
        };
        let token = |client: &Client| Token {
            id: client.id.clone(),
            digest: String::new(),
            name: String::new(),
            enabled: true,
            expires_at: None,
            models: None,
            limits: TokenLimits {
                requests_per_minute: client.limited.then_some(1_000_000),
                ..TokenLimits::default()
            },
            metrics: false,
        };
        let mut snapshot = Snapshot {
            generation: 1,
            epoch: 1,
            pools: vec![ModelPool {
                name: DEFAULT_POOL.into(),
                members: self.models.iter().map(member).collect(),
                strategy: rondo_core::config::Strategy::Rotate,
            }],
            tokens: self.clients.iter().map(token).collect(),
            ..Snapshot::default()
        };
        snapshot.settings.access_mode = AccessMode::Token;
        snapshot
    }

    /// The keys, as D1 would hold them.
    #[must_use]
    pub fn key_rows(&self) -> Vec<KeyRow> {
        let row = |key: &Key| KeyRow {
            id: key.id.clone(),
            provider: PROVIDER.into(),
            group: Some(self.orgs[key.org].name.clone()),
            sealed: format!("sealed-{}", key.id),
            weight: key.weight,
            enabled: true,
            base_url: None,
        };
        self.keys.iter().map(row).collect()
    }
}

fn key(n: usize, org: usize, weight: u32) -> Key {
    Key { id: format!("k{n:02}"), org, weight, revoked_from: None, faulty: None }
}
