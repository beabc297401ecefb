//! Memory is bounded, and small.

use super::*;
use crate::pool::models::QUOTAS_KEPT;
use crate::pool::tenants::{ADDRESSES_KEPT, TOKENS_KEPT};

const KEYS: usize = 1_000;
const MODELS: usize = 20;
const TOKENS: usize = 10_000;

/// Each key with each model, by all tokens in turn, and all of it settled.
fn all_used_once() -> (Pool, u64) {
    let names: Vec<String> = (0..MODELS).map(|n| format!("model-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limits = TokenLimits { tokens_per_minute: Some(1_000_000), ..TokenLimits::default() };
    let tokens = (0..TOKENS).map(|n| token(&format!("t{n}"), limits)).collect();
    let mut pool = Pool::new(1);
    pool.configure(with_tokens(learning(&names), tokens), keys(KEYS));
    let mut now = T;
    let known = vec![
        reading(Counted::Requests, Window::Minute, 60, 59),
        reading(Counted::Tokens, Window::Minute, 60_000, 59_000),
        reading(Counted::Requests, Window::Day, 14_400, 14_399),
        reading(Counted::Tokens, Window::Day, 1_000_000, 999_000),
    ];
    for n in 0..KEYS * MODELS {
        let id = format!("t{}", n % TOKENS);
        let grant = grants(&mut pool, now, Want { token: id.clone(), ..sized(1_000) }).remove(0);
        let mut settle = heading(used(&grant, 1_000), known.clone(), 5, 10);
        settle.request = Some(RequestEnd { token: id, ..RequestEnd::default() });
        pool.apply(now + 10, &[settle]);
        now += 1;
    }
    (pool, now)
}

#[test]
fn a_thousand_keys_twenty_models_and_ten_thousand_tokens_take_bounded_room() {
    let (mut pool, now) = all_used_once();
    let quotas: usize = pool.models.iter().map(|(_, model)| model.quotas().count()).sum();
    assert_eq!((pool.models.len(), quotas), (MODELS, KEYS * MODELS));
    assert_eq!(pool.roster.groups.len(), KEYS);
    assert_eq!(pool.under_way(), 0);
    assert_eq!(pool.turns.len(), 1);
    assert!(pool.decisions().latest(usize::MAX, None, None).count() <= crate::pool::decisions::KEPT);
    assert!(pool.settled.len() <= (KEYS + 1) * MODELS);

    let checkpoint = pool.checkpoint(now);
    let states: usize = checkpoint.states.iter().map(|(name, json)| name.len() + json.len()).sum();
    let pages = checkpoint.states.iter().filter(|(name, _)| name.starts_with("quotas:")).count();
    let largest = checkpoint.states.iter().map(|(_, json)| json.len()).max().unwrap();
    assert!(pages <= crate::pool::state::QUOTA_PAGES as usize);
    assert!(largest < 2_000_000, "a row of the object's store holds 2 MB: {largest}");
    assert_eq!(checkpoint.states.iter().filter(|(name, _)| name.starts_with("token:")).count(), TOKENS);

    // What the maps hold, without their spare room.
    let of_quota = |quota: &Quota| size_of::<Quota>() + quota.heap();
    let twin: usize = pool.models.iter().flat_map(|(_, m)| m.quotas()).map(|(_, q)| of_quota(q)).sum();
    println!(
        "{quotas} quotas: about {} kB in memory; {} kB of states in {} rows, the largest page {} kB",
        twin / 1_024,
        states / 1_024,
        checkpoint.states.len(),
        largest / 1_024
    );
    assert!(twin < 16 * 1_024 * 1_024, "{} kB for the twin alone", twin / 1_024);

    pool.apply(now + 10 * MINUTE, &[]);
    assert!(pool.settled.is_empty() && pool.askers.is_empty() && pool.waiting() == 0);
}

#[test]
fn whatever_clients_send_takes_bounded_room() {
    let mut pool = pool(2);
    for n in 0..30_000_u64 {
        let address = Some(format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255));
        let given = ask(&mut pool, T + n, Want { address, ..want() });
        if let Given::Grants(grants) = given {
            pool.apply(T + n, &[ended(&grants[0], AttemptEnd::Ok)]);
        }
    }
    assert!(pool.tenants.sizes().1 <= ADDRESSES_KEPT);
    assert!(pool.tenants.sizes().0 <= TOKENS_KEPT);
    assert!(pool.models.iter().map(|(_, model)| model.quotas().count()).sum::<usize>() <= QUOTAS_KEPT);
}
