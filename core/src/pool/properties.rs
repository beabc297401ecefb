//! What holds in any order of events.

use super::keys::KeyRow;
use super::protocol::*;
use super::state::Pool;
use crate::config::{
    AccessMode, LimitOverride, Member, ModelPool, Snapshot, Strategy as Taking, Token, TokenLimits,
};
use crate::limits::grant::SENT_LAPSES_MS;
use crate::wire::usage::Usage;
use proptest::prelude::*;
use std::collections::HashMap;

const T: u64 = 1_790_000_000_000;
const REQUESTS: u64 = 12;
const TOKENS: u64 = 40_000;

fn rows() -> Vec<KeyRow> {
    let row = |n: usize| KeyRow {
        id: format!("k{n}"),
        provider: "cerebras".into(),
        group: (n < 2).then(|| "shared".into()),
        sealed: "s".into(),
        weight: 1,
        enabled: true,
        base_url: None,
    };
    (0..4).map(row).collect()
}

fn config() -> Snapshot {
    let member =
        |model: &str| Member { model: model.into(), provider: "cerebras".into(), weight: 1, enabled: true };
    let token = |id: &str, limits: TokenLimits| Token {
        id: id.into(),
        digest: String::new(),
        name: String::new(),
        enabled: true,
        expires_at: None,
        models: None,
        limits,
        metrics: false,
    };
    let mut snapshot = Snapshot {
        generation: 1,
        epoch: 1,
        pools: vec![ModelPool {
            name: "default".into(),
            strategy: Taking::Rotate,
            members: vec![member("a"), member("b")],
        }],
        tokens: vec![
            token("free", TokenLimits::default()),
            token(
                "tight",
                TokenLimits {
                    requests_per_minute: Some(20),
                    max_concurrent: Some(2),
                    ..TokenLimits::default()
                },
            ),
        ],
        ..Snapshot::default()
    };
    snapshot.settings.access_mode = AccessMode::Token;
    snapshot.settings.limit_overrides = vec![LimitOverride {
        requests_per_minute: Some(REQUESTS),
        tokens_per_minute: Some(TOKENS),
        ..LimitOverride::default()
    }];
    snapshot
}

fn pool() -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(config(), rows());
    pool
}

#[derive(Clone, Debug)]
enum Event {
    Ask {
        token: &'static str,
        count: u32,
        prompt: u64,
        completion: Option<u64>,
        deadline: u64,
    },
    /// The grant at that place (modulo) ends.
    End {
        which: usize,
        how: AttemptEnd,
        used: u64,
        twice: bool,
    },
    /// A ticket at that place is presented.
    Return {
        which: usize,
    },
    Pass(u64),
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    prop_oneof![
        5 => (
            prop::sample::select(vec!["free", "tight"]), prop::sample::select(vec![1_u32, 1, 1, 8]),
            1_u64..6_000, proptest::option::of(1_u64..20_000), prop::sample::select(vec![0_u64, 1_000, 20_000]),
        ).prop_map(|(token, count, prompt, completion, deadline)| {
            Event::Ask { token, count, prompt, completion, deadline }
        }),
        4 => (any::<usize>(), prop_oneof![
            6 => Just(AttemptEnd::Ok), 1 => Just(AttemptEnd::Cut), 2 => Just(AttemptEnd::Unused),
            1 => Just(AttemptEnd::Failed(Fault::Upstream)), 1 => Just(AttemptEnd::Failed(Fault::Lost)),
            1 => Just(AttemptEnd::Failed(Fault::Client)),
        ], 0_u64..25_000, any::<bool>()).prop_map(|(which, how, used, twice)| Event::End { which, how, used, twice }),
        1 => any::<usize>().prop_map(|which| Event::Return { which }),
        3 => (0_u64..8_000).prop_map(Event::Pass),
    ]
}

/// The upstream, as a bucket that is filled step by step: another way to count than the pool's.
struct Upstream {
    level: f64,
    limit: f64,
    at: u64,
}

impl Upstream {
    fn new(limit: u64) -> Self {
        Self { level: limit as f64, limit: limit as f64, at: T }
    }
    fn refill(&mut self, now: u64) {
        self.level = self.limit.min(self.level + now.saturating_sub(self.at) as f64 * self.limit / 60_000.0);
        self.at = self.at.max(now);
    }
    fn take(&mut self, now: u64, cost: f64) {
        self.refill(now);
        self.level -= cost;
    }
}

#[derive(Clone)]
struct Given1 {
    grant: Grant,
    at: u64,
}

/// Runs the events; returns all answers as text and the pool.
fn run(events: &[Event]) -> (Vec<String>, Pool, u64) {
    let mut pool = pool();
    let mut now = T;
    let mut out: Vec<Given1> = Vec::new();
    let mut sent: Vec<Given1> = Vec::new();
    let mut answers = Vec::new();
    let mut tickets: Vec<(u64, Want)> = Vec::new();
    let mut upstream: HashMap<(String, String), (Upstream, Upstream)> = HashMap::new();
    let group = |key: &str| if key == "k0" || key == "k1" { "shared".to_owned() } else { key.to_owned() };
    for event in events {
        let mut want = None;
        match event {
            Event::Pass(ms) => now += ms,
            Event::Ask { token, count, prompt, completion, deadline } => {
                want = Some(Want {
                    token: (*token).into(),
                    count: *count,
                    prompt_tokens: *prompt,
                    max_completion_tokens: *completion,
                    deadline_ms: *deadline,
                    attempts_left: 40,
                    ..Want::default()
                });
            }
            Event::Return { which } => {
                if !tickets.is_empty() {
                    let (ticket, waiting) = tickets.swap_remove(which % tickets.len());
                    want = Some(Want { ticket: Some(ticket), ..waiting });
                }
            }
            Event::End { .. } => {}
        }
        // What was to be sent by now has been.
        out.sort_by_key(|given| given.at);
        let due = out.iter().take_while(|given| given.at <= now).count();
        for given in out.drain(..due) {
            let place = (group(&given.grant.key), given.grant.model.clone());
            let (requests, tokens) =
                upstream.entry(place).or_insert_with(|| (Upstream::new(REQUESTS), Upstream::new(TOKENS)));
            requests.take(given.at, 1.0);
            tokens.take(given.at, given.grant.reserved.min(TOKENS) as f64);
            assert!(requests.level >= -0.01, "more requests than the bucket holds: {}", requests.level);
            let cost = given.grant.reserved.min(TOKENS);
            assert!(tokens.level >= -2.0, "more tokens than the bucket holds: {} after {cost}", tokens.level);
            sent.push(given);
        }
        if let Event::End { which, how, used, twice } = event
            && !sent.is_empty()
        {
            let given = sent.swap_remove(which % sent.len());
            let reserved = given.grant.reserved;
            let used =
                if matches!(how, AttemptEnd::Ok | AttemptEnd::Cut) { (*used).min(reserved) } else { 0 };
            let attempt = Attempt {
                key: given.grant.key.clone(),
                model: given.grant.model.clone(),
                end: *how,
                usage: Usage { prompt_tokens: used, ..Usage::default() },
                ..Attempt::default()
            };
            let settle = Settle { id: given.grant.id, attempt: Some(attempt), ..Settle::default() };
            let times = if *twice { 2 } else { 1 };
            for _ in 0..times {
                pool.apply(now, std::slice::from_ref(&settle));
            }
            let place = (group(&given.grant.key), given.grant.model.clone());
            if let Some((requests, tokens)) = upstream.get_mut(&place) {
                if *how == AttemptEnd::Unused {
                    requests.take(now, -1.0);
                    requests.refill(now);
                }
                tokens.take(now, used as f64 - reserved.min(TOKENS) as f64);
                tokens.refill(now);
            }
        }
        if let Some(want) = want {
            let ask = Ask {
                v: VERSION,
                generation: 1,
                epoch: 1,
                asker: 7,
                want: Some(want.clone()),
                ..Ask::default()
            };
            let answer = pool.ask(now, &ask);
            answers.push(serde_json::to_string(&answer).unwrap());
            match answer.outcome.unwrap() {
                Given::Grants(grants) => {
                    assert!(grants.len() <= want.count.max(1) as usize);
                    out.extend(grants.into_iter().map(|grant| Given1 { at: now + grant.delay_ms, grant }));
                }
                Given::Ticket { ticket, after_ms, .. } => {
                    assert!(after_ms <= want.deadline_ms, "never told to wait beyond the deadline");
                    tickets.push((ticket, want));
                }
                Given::RetryAfter { after_ms, .. } => assert!(after_ms > 0),
                other => panic!("{other:?}"),
            }
        }
    }
    (answers, pool, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn nothing_is_granted_beyond_a_bucket_and_nothing_leaks(events in prop::collection::vec(event(), 1..250)) {
        let (_, mut pool, now) = run(&events);
        // Whatever was not reported lapses.
        let later = now + SENT_LAPSES_MS + 5_000;
        pool.apply(later, &[]);
        prop_assert_eq!(pool.under_way(), 0);
        pool.apply(later + 30_000, &[]);
        prop_assert_eq!(pool.waiting(), 0);
        for (_, model) in pool.models.iter() {
            for (_, quota) in model.quotas() {
                prop_assert_eq!((quota.open, quota.open_tokens), (0, 0));
                prop_assert!(quota.is_idle(later + 600_000), "all is free again");
            }
        }
        prop_assert!(pool.roster.slots.iter().all(|slot| slot.open == 0));
        prop_assert!(pool.roster.groups.iter().all(|group| group.open == 0));
        let ask = Ask { v: VERSION, generation: 1, epoch: 1, want: Some(Want {
            token: "tight".into(), count: 1, prompt_tokens: 10, deadline_ms: 0, attempts_left: 40, ..Want::default()
        }), ..Ask::default() };
        prop_assert!(matches!(pool.ask(later + 600_000, &ask).outcome, Some(Given::Grants(_))));
    }

    #[test]
    fn the_same_events_give_the_same_answers(events in prop::collection::vec(event(), 1..120)) {
        prop_assert_eq!(run(&events).0, run(&events).0);
    }

    #[test]
    fn what_is_persisted_comes_back_as_it_was(events in prop::collection::vec(event(), 1..120)) {
        let (_, mut pool, now) = run(&events);
        let states = pool.checkpoint(now).states;
        let mut again = Pool::new(2);
        again.configure(config(), rows());
        for (name, json) in &states {
            again.restore_state(name, json);
        }
        for (name, model) in pool.models.iter() {
            for (group, quota) in model.quotas() {
                let Some(back) = again.models.get(name).and_then(|model| model.quota(group)) else {
                    prop_assert!(quota.is_idle(now), "what was never used need not be stored");
                    continue;
                };
                prop_assert_eq!(serde_json::to_string(quota).unwrap(), serde_json::to_string(back).unwrap());
            }
        }
    }
}
