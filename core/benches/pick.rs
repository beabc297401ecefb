//! How long a pick takes: an ask that gives a grant, and its report.
//!
//! `cargo bench -p rondo-core --bench pick -- --quick`

// What the macros make has none.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rondo_core::config::{
    AccessMode, LimitOverride, Member, ModelPool, Settings, Snapshot, Strategy, Token, TokenLimits,
};
use rondo_core::pool::Pool;
use rondo_core::pool::keys::KeyRow;
use rondo_core::pool::protocol::{
    Ask, Attempt, AttemptEnd, Fault, Given, Grant, LOCAL_GRANT, Settle, VERSION, Want,
};
use std::hint::black_box;

const T: u64 = 1_790_000_000_000;
const SIZES: [usize; 3] = [12, 1_000, 20_000];
const WAITERS: usize = 500;

fn rows(keys: usize) -> Vec<KeyRow> {
    let row = |n: usize| KeyRow {
        id: format!("key-{n}"),
        provider: "cerebras".to_owned(),
        group: None,
        sealed: "sealed".repeat(16),
        weight: 1,
        enabled: true,
        base_url: None,
    };
    (0..keys).map(row).collect()
}

fn config(requests: u64, tokens: u64) -> Snapshot {
    let member = Member { model: "m".to_owned(), provider: "cerebras".to_owned(), weight: 1, enabled: true };
    let token = Token {
        id: "t".to_owned(),
        digest: String::new(),
        name: String::new(),
        enabled: true,
        expires_at: None,
        models: None,
        limits: TokenLimits::default(),
        metrics: false,
    };
    let limits = LimitOverride {
        requests_per_minute: Some(requests),
        tokens_per_minute: Some(tokens),
        ..LimitOverride::default()
    };
    Snapshot {
        generation: 1,
        epoch: 1,
        pools: vec![ModelPool {
            name: "default".to_owned(),
            strategy: Strategy::Rotate,
            members: vec![member],
        }],
        tokens: vec![token],
        settings: Settings {
            access_mode: AccessMode::Token,
            limit_overrides: vec![limits],
            ..Settings::default()
        },
        ..Snapshot::default()
    }
}

fn want(tokens: u64) -> Want {
    Want {
        token: "t".to_owned(),
        count: 1,
        prompt_tokens: tokens / 2,
        max_completion_tokens: Some(tokens / 2),
        deadline_ms: 60_000,
        attempts_left: 40,
        ..Want::default()
    }
}

fn settle(id: u64, key: &str, end: AttemptEnd) -> Settle {
    let attempt = Attempt {
        key: key.to_owned(),
        model: "m".to_owned(),
        end,
        retry_after_ms: Some(3_600_000),
        duration_ms: 1,
        ..Attempt::default()
    };
    Settle { id, attempt: Some(attempt), ..Settle::default() }
}

fn give(pool: &mut Pool, now: u64, want: Want, settles: Vec<Settle>) -> Given {
    let ask =
        Ask { v: VERSION, generation: 1, epoch: 1, asker: 1, want: Some(want), settles, renews: Vec::new() };
    pool.ask(now, &ask).outcome.unwrap_or(Given::Grants(Vec::new()))
}

/// A pool whose every key has been used, with its first millisecond to come.
fn used(keys: usize, requests: u64, tokens: u64) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(config(requests, tokens), rows(keys));
    for n in 0..keys as u64 {
        if let Given::Grants(grants) = give(&mut pool, T, want(2), Vec::new()) {
            let settles: Vec<Settle> =
                grants.iter().map(|grant| settle(grant.id, &grant.key, AttemptEnd::Ok)).collect();
            pool.apply(T + n % 2, &settles);
        }
    }
    let _ = pool.checkpoint(T);
    pool
}

/// One grant, with the report of the one before.
fn turn(pool: &mut Pool, now: &mut u64, last: &mut Option<Grant>, tokens: u64) {
    *now += 1;
    let settles = last.take().map(|grant| settle(grant.id, &grant.key, AttemptEnd::Ok));
    if let Given::Grants(mut grants) = give(pool, *now, want(tokens), settles.into_iter().collect()) {
        *last = grants.pop();
    }
}

fn picks(bench: &mut Criterion) {
    for keys in SIZES {
        bench.bench_function(&format!("all eligible, {keys} keys"), |bencher| {
            let (mut pool, mut now, mut last) = (used(keys, 1_000_000, 1_000_000_000), T + 1_000, None);
            bencher.iter(|| turn(&mut pool, &mut now, black_box(&mut last), 100));
            assert!(last.is_some());
        });
        bench.bench_function(&format!("all but one cooling, {keys} keys"), |bencher| {
            let mut pool = used(keys, 1_000_000, 1_000_000_000);
            for n in 1..keys {
                let cooling =
                    settle(LOCAL_GRANT | n as u64, &format!("key-{n}"), AttemptEnd::Failed(Fault::Quota));
                pool.apply(T + 900, &[cooling]);
            }
            let (mut now, mut last) = (T + 1_000, None);
            bencher.iter(|| turn(&mut pool, &mut now, black_box(&mut last), 100));
            assert!(last.is_some_and(|grant| grant.key == "key-0"));
        });
        saturated(bench, keys);
    }
}

/// Every bucket is used up; 500 wait, of whom one asks again. The clock stands, so that they stay.
fn saturated(bench: &mut Criterion, keys: usize) {
    let mut pool = used(keys, 1_000_000, 10_000);
    let now = T + 60_000;
    for _ in 0..keys {
        let _ = give(&mut pool, now, want(9_990), Vec::new());
    }
    // Even twelve keys are through with all of them within the hour.
    let patient = || Want { deadline_ms: 3_600_000, ..want(9_990) };
    let mut tickets = Vec::new();
    while tickets.len() < WAITERS {
        match give(&mut pool, now, patient(), Vec::new()) {
            Given::Ticket { ticket, .. } => tickets.push(ticket),
            Given::Grants(_) => {}
            _ => break,
        }
    }
    assert_eq!(tickets.len(), WAITERS);
    let mut turn = 0;
    bench.bench_function(&format!("saturated, {WAITERS} waiting, {keys} keys"), |bencher| {
        bencher.iter(|| {
            turn += 1;
            let ticket = tickets.get(turn % tickets.len().max(1)).copied();
            give(&mut pool, now, Want { ticket, ..patient() }, Vec::new())
        });
    });
}

fn leases(bench: &mut Criterion) {
    for keys in SIZES {
        bench.bench_function(&format!("a lease of 64, {keys} keys"), |bencher| {
            let mut pool = used(keys, 1_000_000, 1_000_000_000);
            let mut now = T + 1_000;
            let mut last: Vec<Grant> = Vec::new();
            bencher.iter_batched(
                || (),
                |()| {
                    now += 1;
                    let settles =
                        last.drain(..).map(|grant| settle(grant.id, &grant.key, AttemptEnd::Ok)).collect();
                    if let Given::Grants(grants) =
                        give(&mut pool, now, Want { count: 64, ..want(100) }, settles)
                    {
                        last = grants;
                    }
                },
                BatchSize::PerIteration,
            );
            assert_eq!(last.len(), 64);
        });
    }
}

criterion_group!(benches, picks, leases);
criterion_main!(benches);
