//! The pool as its users meet it: scenarios over asks and settles.

mod access;
mod books;
mod breaker;
mod fault_table;
mod faults;
mod figures;
mod formats;
mod leases;
mod limits;
mod memory;
mod models;
mod overrides;
mod promises;
mod restart;
mod restart_quotas;
mod returns;
mod rotation;
mod unknown;
mod waiting;

use super::books::Dim;
use super::keys::KeyRow;
use super::models::MODELS_KEPT;
use super::protocol::*;
use super::quota::Quota;
use super::state::Pool;
use crate::config::{
    AccessMode, LimitOverride, Member, ModelPool, Snapshot, Strategy as Taking, Token, TokenLimits,
};
use crate::wire::headers::{Counted, LimitReading, Window};
use crate::wire::usage::Usage;
use proptest::prelude::*;

/// A moment: what is kept as a time must be as large as in life.
const T: u64 = 1_790_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn member(model: &str) -> Member {
    Member { model: model.into(), provider: "cerebras".into(), weight: 1, enabled: true }
}

fn key(id: &str) -> KeyRow {
    KeyRow {
        id: id.into(),
        provider: "cerebras".into(),
        group: None,
        sealed: format!("sealed-{id}"),
        weight: 1,
        enabled: true,
        base_url: None,
    }
}

fn keys(count: usize) -> Vec<KeyRow> {
    (0..count).map(|n| key(&format!("k{n}"))).collect()
}

/// A public pool over those models, with quotas as they are learned.
fn learning(models: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot {
        generation: 1,
        epoch: 1,
        pools: vec![ModelPool {
            name: "default".into(),
            strategy: Taking::Rotate,
            members: models.iter().map(|model| member(model)).collect(),
        }],
        ..Snapshot::default()
    };
    snapshot.settings.access_mode = AccessMode::Public;
    snapshot
}

/// The same with quotas that are known and large: what is not known is asked one request at a time.
fn snapshot(models: &[&str]) -> Snapshot {
    let mut snapshot = learning(models);
    snapshot.settings.limit_overrides =
        vec![LimitOverride { requests_per_minute: Some(10_000_000), ..LimitOverride::default() }];
    snapshot
}

fn pool(keys: usize) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["m"]), self::keys(keys));
    pool
}

fn per_minute(requests: Option<u64>, tokens: Option<u64>) -> Vec<LimitOverride> {
    vec![LimitOverride {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        ..LimitOverride::default()
    }]
}

/// Keys whose quota for `m` is set by the operator.
fn limited(keys: usize, requests: Option<u64>, tokens: Option<u64>) -> Pool {
    let mut pool = Pool::new(1);
    let mut config = learning(&["m"]);
    config.settings.limit_overrides = per_minute(requests, tokens);
    pool.configure(config, self::keys(keys));
    pool
}

fn token(id: &str, limits: TokenLimits) -> Token {
    Token {
        id: id.into(),
        digest: String::new(),
        name: String::new(),
        enabled: true,
        expires_at: None,
        models: None,
        limits,
        metrics: false,
    }
}

/// The same configuration for client tokens.
fn with_tokens(mut config: Snapshot, tokens: Vec<Token>) -> Snapshot {
    config.settings.access_mode = AccessMode::Token;
    config.tokens = tokens;
    config
}

fn want() -> Want {
    Want { count: 1, deadline_ms: 20_000, attempts_left: 40, ..Want::default() }
}

/// A want that reserves so many tokens.
fn sized(tokens: u64) -> Want {
    Want { prompt_tokens: tokens - 1, max_completion_tokens: Some(1), ..want() }
}

fn ask(pool: &mut Pool, now: u64, want: Want) -> Given {
    let ask = Ask { v: VERSION, generation: 1, epoch: 1, want: Some(want), ..Ask::default() };
    pool.ask(now, &ask).outcome.unwrap()
}

fn grants(pool: &mut Pool, now: u64, want: Want) -> Vec<Grant> {
    match ask(pool, now, want) {
        Given::Grants(grants) => grants,
        other => panic!("no grant: {other:?}"),
    }
}

fn grant(pool: &mut Pool, now: u64) -> Grant {
    grants(pool, now, want()).remove(0)
}

/// Asks until it gets a grant, as a client that waits does. When it is sent, and the grant.
fn patient(pool: &mut Pool, mut now: u64, mut want: Want) -> (u64, Grant) {
    let deadline = now + want.deadline_ms;
    loop {
        match ask(pool, now, want.clone()) {
            Given::Grants(mut grants) => return (now + grants[0].delay_ms, grants.remove(0)),
            Given::Ticket { ticket, after_ms, .. } => {
                assert!(after_ms > 0, "a wait of nothing is a loop");
                now += after_ms;
                assert!(now <= deadline, "never told to wait beyond the deadline");
                want = Want { ticket: Some(ticket), deadline_ms: deadline - now, ..want };
            }
            other => panic!("no grant: {other:?}"),
        }
    }
}

fn ended(grant: &Grant, end: AttemptEnd) -> Settle {
    let attempt = Attempt { key: grant.key.clone(), model: grant.model.clone(), end, ..Attempt::default() };
    Settle { id: grant.id, attempt: Some(attempt), ..Settle::default() }
}

fn failed(grant: &Grant, fault: Fault, retry_after_ms: Option<u64>) -> Settle {
    let mut settle = ended(grant, AttemptEnd::Failed(fault));
    settle.attempt.as_mut().unwrap().retry_after_ms = retry_after_ms;
    settle
}

/// An answer that used so many tokens, all of them uncached.
fn used(grant: &Grant, tokens: u64) -> Settle {
    let mut settle = ended(grant, AttemptEnd::Ok);
    settle.attempt.as_mut().unwrap().usage.prompt_tokens = tokens;
    settle
}

/// The settle with what its head said, written that long after sending.
fn heading(mut settle: Settle, limits: Vec<LimitReading>, headers_ms: u64, duration_ms: u64) -> Settle {
    let attempt = settle.attempt.as_mut().unwrap();
    (attempt.limits, attempt.headers_ms, attempt.duration_ms) = (limits, Some(headers_ms), duration_ms);
    settle
}

fn reading(what: Counted, window: Window, limit: u64, remaining: u64) -> LimitReading {
    LimitReading { what, window, limit: Some(limit), remaining: Some(remaining), reset_ms: None }
}

fn grant_of(key: &str, model: &str) -> Grant {
    Grant {
        id: 0,
        key: key.into(),
        sealed: String::new(),
        provider: "cerebras".into(),
        base_url: None,
        model: model.into(),
        delay_ms: 0,
        reserved: 0,
        learn: false,
    }
}

fn status(pool: &Pool, key: &str, now: u64) -> String {
    pool.key_status(key, now).unwrap().status
}

/// What the twin holds of a key's first bucket for a model.
fn left(pool: &Pool, key: &str, model: &str, now: u64) -> i64 {
    let views = pool.quotas_of(key, now).unwrap();
    views.iter().find(|view| view.model == model).unwrap().buckets[0].remaining
}

fn quota<'a>(pool: &'a Pool, key: &str, model: &str) -> &'a Quota {
    let group = pool.roster.group_at(key).unwrap();
    pool.models.get(model).and_then(|model| model.quota(group)).unwrap()
}
