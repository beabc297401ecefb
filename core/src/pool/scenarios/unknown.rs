//! Quotas of which nothing is known yet.

use super::*;

fn learner(keys: usize) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(learning(&["m"]), self::keys(keys));
    pool
}

#[test]
fn the_first_request_learns_and_the_next_waits_for_its_headers() {
    let mut pool = learner(1);
    let first = grant(&mut pool, T);
    assert!(first.learn, "its headers are wanted at once");
    assert!(matches!(ask(&mut pool, T, want()), Given::Ticket { after_ms: 50..=1_000, .. }));
    let said = Reading {
        grant: first.id,
        key: first.key.clone(),
        model: first.model.clone(),
        limits: vec![
            reading(Counted::Requests, Window::Minute, 30, 29),
            reading(Counted::Tokens, Window::Minute, 60_000, 43_000),
        ],
    };
    let settle = Settle { id: LOCAL_GRANT | 9, reading: Some(said), ..Settle::default() };
    pool.apply(T + 200, &[settle]);
    let second = grants(&mut pool, T + 200, sized(1_000)).remove(0);
    assert!(second.delay_ms == 0 && !second.learn, "while the first is still under way");
    assert_eq!(left(&pool, "k0", "m", T + 200), 28);
}

#[test]
fn while_one_key_learns_the_others_serve() {
    let mut pool = learner(3);
    let keys: std::collections::HashSet<String> = (0..3).map(|_| grant(&mut pool, T).key).collect();
    assert_eq!(keys.len(), 3);
    assert!(matches!(ask(&mut pool, T, want()), Given::Ticket { .. }));
}

/// As many as are granted at once, all answered without a word of limits.
fn round(pool: &mut Pool, now: u64, early: bool) -> usize {
    let mut given = Vec::new();
    while let Given::Grants(mut more) = ask(pool, now, sized(100)) {
        given.append(&mut more);
        assert!(given.len() < 10_000);
    }
    for grant in given.iter().filter(|grant| early && grant.learn) {
        let reading = Reading { grant: grant.id, key: grant.key.clone(), model: "m".into(), limits: vec![] };
        let id = LOCAL_GRANT | grant.id;
        pool.apply(now + 10, &[Settle { id, reading: Some(reading), ..Settle::default() }]);
    }
    let settles: Vec<Settle> =
        given.iter().map(|grant| heading(ended(grant, AttemptEnd::Ok), vec![], 10, 50)).collect();
    pool.apply(now + 50, &settles);
    given.len()
}

#[test]
fn an_upstream_that_says_nothing_of_limits_is_sent_more_each_round() {
    let mut pool = learner(1);
    let rounds: Vec<usize> = (0..8).map(|n| round(&mut pool, T + n * 10_000, true)).collect();
    assert_eq!(rounds[0], 1);
    assert!(rounds.windows(2).all(|pair| pair[1] >= 2 * pair[0]), "{rounds:?}");
    assert!(rounds[7] >= 128, "{rounds:?}");
}

#[test]
fn an_upstream_that_says_nothing_of_limits_is_sent_twice_as_many_each_round() {
    let mut pool = learner(1);
    let rounds: Vec<usize> = (0..6).map(|n| round(&mut pool, T + n * 10_000, false)).collect();
    assert_eq!(rounds, [1, 2, 4, 8, 16, 32]);
}

#[test]
fn errors_do_not_raise_what_a_silent_upstream_is_sent() {
    let mut pool = learner(1);
    for n in 0..6 {
        let grant = grants(&mut pool, T + n * 100_000, sized(100)).remove(0);
        let bad = heading(failed(&grant, Fault::Upstream, None), vec![], 5, 10);
        pool.apply(T + n * 100_000, &[bad]);
    }
    let now = T + HOUR;
    assert_eq!(grants(&mut pool, now, sized(100)).len(), 1);
    assert!(matches!(ask(&mut pool, now, sized(100)), Given::Ticket { .. }), "still one at a time");
}

#[test]
fn a_429_halves_what_a_silent_upstream_is_sent() {
    let mut pool = learner(1);
    for n in 0..6 {
        round(&mut pool, T + n * 10_000, false);
    }
    let mut given = Vec::new();
    while let Given::Grants(mut more) = ask(&mut pool, T + HOUR, sized(100)) {
        given.append(&mut more);
    }
    let before = given.len();
    let refused = given.pop().unwrap();
    pool.apply(T + HOUR, &[failed(&refused, Fault::Quota, Some(1_000))]);
    for grant in &given {
        pool.apply(T + HOUR, &[ended(grant, AttemptEnd::Unused)]);
    }
    let mut after = 0;
    while let Given::Grants(more) = ask(&mut pool, T + HOUR + 2_000, sized(100)) {
        after += more.len();
    }
    assert_eq!(after, before / 2);
}

#[test]
fn what_failed_without_headers_leaves_the_quota_unknown() {
    let mut pool = learner(1);
    let first = grant(&mut pool, T);
    pool.apply(T + 10, &[failed(&first, Fault::Lost, None)]);
    let second = grant(&mut pool, T + 20_000);
    assert!(second.learn);
}
