//! Turns of keys, and paces.

use super::*;

#[test]
fn every_key_takes_turns_with_every_model() {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["a", "b"]), keys(4));
    let mut pairs = std::collections::HashMap::<(String, String), u32>::new();
    for n in 0..80 {
        let grant = grant(&mut pool, T + n);
        pool.apply(T + n, &[ended(&grant, AttemptEnd::Ok)]);
        *pairs.entry((grant.key, grant.model)).or_default() += 1;
    }
    assert_eq!(pairs.len(), 8, "{pairs:?}");
}

#[test]
fn three_keys_share_three_hundred_requests_evenly() {
    let mut pool = pool(3);
    let mut uses = [0; 3];
    for n in 0..300 {
        let grant = grant(&mut pool, n);
        uses[grant.key.trim_start_matches('k').parse::<usize>().unwrap()] += 1;
        pool.apply(n, &[ended(&grant, AttemptEnd::Ok)]);
    }
    assert_eq!(uses, [100; 3]);
}

#[test]
fn a_failed_request_gets_several_candidates_and_never_its_failed_keys() {
    let mut pool = pool(30);
    let mut tried: Vec<String> = Vec::new();
    let mut asks = 0;
    while tried.len() < 30 {
        asks += 1;
        let left = 39 - tried.len() as u32;
        for grant in grants(&mut pool, 0, Want { exclude_keys: tried.clone(), attempts_left: left, ..want() })
        {
            assert!(!tried.contains(&grant.key));
            pool.apply(0, &[failed(&grant, Fault::Key, None)]);
            tried.push(grant.key);
        }
    }
    assert!(asks <= 9, "{asks} asks");
    let spent = Want { exclude_keys: tried, ..want() };
    assert_eq!(ask(&mut pool, 0, spent), Given::Refused(RefusedWhy::KeysExhausted));
    assert_eq!(ask(&mut pool, 0, want()), Given::Refused(RefusedWhy::NoActiveKey));
}

#[test]
fn an_unused_candidate_gives_its_turn_back() {
    let mut pool = pool(5);
    let mut uses = std::collections::HashMap::<String, u32>::new();
    for now in 0..50 {
        let excluded = Want { exclude_keys: vec!["k0".into()], attempts_left: 39, ..want() };
        let mut given = grants(&mut pool, now, excluded);
        let used = given.remove(0);
        *uses.entry(used.key.clone()).or_default() += 1;
        pool.apply(now, &[ended(&used, AttemptEnd::Ok)]);
        for unused in &given {
            pool.apply(now, &[ended(unused, AttemptEnd::Unused)]);
        }
    }
    assert!(uses.values().all(|count| (10..=15).contains(count)), "{uses:?}");
}

#[test]
fn pacing_is_one_delay() {
    let mut pool = pool(2);
    let mut config = snapshot(&["m"]);
    config.settings.pace_ms = 300;
    pool.configure(config, vec![key("k0"), key("k1")]);
    assert_eq!([0, 0, 0].map(|now| grant(&mut pool, now).delay_ms), [0, 300, 600]);
    assert_eq!(grant(&mut pool, 5_000).delay_ms, 0);
}

#[test]
fn key_pacing_holds_for_each_key() {
    let mut pool = pool(2);
    let mut config = snapshot(&["m"]);
    config.settings.key_pace_ms = 1_000;
    pool.configure(config, vec![key("k0"), key("k1")]);
    let given: Vec<(String, u64)> =
        (0..4).map(|_| grant(&mut pool, 0)).map(|g| (g.key, g.delay_ms)).collect();
    assert_eq!(given.iter().map(|given| given.1).collect::<Vec<_>>(), [0, 0, 1_000, 1_000]);
    assert_ne!(given[2].0, given[3].0);
}
