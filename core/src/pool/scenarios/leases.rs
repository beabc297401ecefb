//! Leases: several grants at once for a busy isolate.

use super::*;
use crate::limits::grant::{GRANTS_PER_ASK, SENT_LAPSES_MS};
use crate::pool::Leased;

/// Keys with that quota for `m`, and the tokens `free` (no limits) and `tight`.
fn leasing(keys: usize, requests: u64, tokens: Option<u64>) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(config(requests, tokens), self::keys(keys));
    // Each key has been used: what is not known is not leased.
    for n in 0..keys {
        let others = (0..keys).filter(|other| *other != n).map(|other| format!("k{other}")).collect();
        let first = grants(&mut pool, T - MINUTE, Want { exclude_keys: others, attempts_left: 1, ..many(1) });
        pool.apply(T - MINUTE, &[ended(&first[0], AttemptEnd::Unused)]);
    }
    pool
}

fn config(requests: u64, tokens: Option<u64>) -> Snapshot {
    let limits = TokenLimits { requests_per_minute: Some(1_000_000), ..TokenLimits::default() };
    let tokens_of = vec![token("free", TokenLimits::default()), token("tight", limits)];
    let mut config = with_tokens(learning(&["m"]), tokens_of);
    config.settings.limit_overrides = per_minute(Some(requests), tokens);
    config
}

fn many(count: u32) -> Want {
    Want { token: "free".into(), count, ..sized(100) }
}

fn leased_by(pool: &mut Pool, now: u64, asker: u64, want: Want) -> Vec<Grant> {
    let ask = Ask { v: VERSION, generation: 1, epoch: 1, asker, want: Some(want), ..Ask::default() };
    match pool.ask(now, &ask).outcome.unwrap() {
        Given::Grants(grants) => grants,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_busy_isolate_gets_what_it_asks_for_from_roomy_quotas() {
    let mut pool = leasing(4, 6_000, None);
    let given = grants(&mut pool, T, many(64));
    assert_eq!(given.len(), GRANTS_PER_ASK);
    let each = ["k0", "k1", "k2", "k3"].map(|key| given.iter().filter(|grant| grant.key == key).count());
    assert_eq!(each, [16; 4], "the keys take turns in a lease too");
    let numbers: std::collections::HashSet<u64> = given.iter().map(|grant| grant.id).collect();
    assert_eq!(numbers.len(), 64, "no slot is handed out twice");
    assert!(grants(&mut pool, T, many(1_000)).len() <= GRANTS_PER_ASK);
}

#[test]
fn tight_quotas_are_never_leased() {
    assert_eq!(grants(&mut leasing(4, 59, None), T, many(64)).len(), 1);
}

#[test]
fn quotas_that_are_not_known_are_never_leased() {
    let mut pool = Pool::new(1);
    pool.configure(with_tokens(learning(&["m"]), vec![token("free", TokenLimits::default())]), keys(4));
    assert_eq!(grants(&mut pool, T, many(64)).len(), 1);
}

#[test]
fn no_more_than_half_a_bucket_is_ever_leased() {
    for (requests, tokens) in [(100, None), (100_000, Some(4_000))] {
        let mut pool = leasing(1, requests, tokens);
        let mut given = 0;
        for _ in 0..10 {
            given += leased_by(&mut pool, T, 1, many(64)).len() - 1;
        }
        let most = tokens.map_or(requests, |tokens| tokens / 100) as usize / 2;
        assert!((most - 12..=most).contains(&given), "{given} of {most}");
    }
}

#[test]
fn several_isolates_share_what_may_be_leased() {
    let mut pool = leasing(1, 100, None);
    for asker in 1..=5 {
        pool.ask(T, &Ask { v: VERSION, generation: 1, epoch: 1, asker, ..Ask::default() });
    }
    let lease = leased_by(&mut pool, T, 1, many(64)).len() - 1;
    assert!((8..=10).contains(&lease), "a fifth of the half: {lease}");
    let mut pool = leasing(1, 100, None);
    for asker in 1..=5 {
        pool.ask(T, &Ask { v: VERSION, generation: 1, epoch: 1, asker, ..Ask::default() });
    }
    pool.apply(T + 11_000, &[]);
    let lease = leased_by(&mut pool, T + 11_000, 1, many(64)).len() - 1;
    assert!(lease > 40, "who has not asked for long has no share: {lease}");
}

#[test]
fn tokens_with_limits_and_unknown_clients_get_no_lease() {
    let mut pool = leasing(4, 6_000, None);
    assert_eq!(grants(&mut pool, T, Want { token: "tight".into(), ..many(64) }).len(), 1);
    let mut open = leasing(4, 6_000, None);
    open.configure(
        Snapshot { settings: self::pool(1).snapshot().settings.clone(), ..config(6_000, None) },
        keys(4),
    );
    assert_eq!(grants(&mut open, T, Want { token: String::new(), ..many(64) }).len(), 1);
}

#[test]
fn no_lease_while_each_request_has_its_pace() {
    for key_pace in [false, true] {
        let mut pool = leasing(4, 6_000, None);
        let mut config = config(6_000, None);
        if key_pace {
            config.settings.key_pace_ms = 10
        } else {
            config.settings.pace_ms = 10
        }
        pool.configure(config, keys(4));
        assert_eq!(grants(&mut pool, T, many(64)).len(), 1);
    }
}

#[test]
fn no_lease_while_somebody_waits() {
    let mut pool = leasing(1, 6_000, Some(60_000));
    let of = |tokens: u64| Want { token: "free".into(), ..sized(tokens) };
    grants(&mut pool, T, of(10_000));
    let lease = grants(&mut pool, T, many(64));
    assert!(lease.len() > 1, "there is enough for a lease");
    pool.apply(T, &lease.iter().map(|grant| ended(grant, AttemptEnd::Unused)).collect::<Vec<_>>());
    assert!(matches!(ask(&mut pool, T, of(60_000)), Given::Ticket { .. }));
    let given = ask(&mut pool, T + 10, many(64));
    assert!(!matches!(&given, Given::Grants(grants) if grants.len() > 1), "{given:?}");
}

#[test]
fn a_lease_that_is_given_back_leaves_nothing_behind() {
    let mut pool = leasing(2, 6_000, Some(1_000_000));
    let given = grants(&mut pool, T, many(64));
    let back: Vec<Settle> = given.iter().map(|grant| ended(grant, AttemptEnd::Unused)).collect();
    pool.apply(T + 4_000, &back);
    assert_eq!(pool.under_way(), 0);
    assert_eq!(left(&pool, "k0", "m", T + 4_000), 6_000);
    let next: Vec<String> =
        (0..10).map(|n| grants(&mut pool, T + 4_000 + n, many(1)).remove(0).key).collect();
    assert_eq!(next.iter().filter(|key| *key == "k0").count(), 5, "and the rotation is where it was");
}

#[test]
fn what_a_lease_took_is_written_down_and_one_grant_is_not() {
    let mut pool = leasing(2, 6_000, None);
    let lease = ask(&mut pool, T, many(8));
    assert_eq!(Leased::of(Some(&lease)).len(), 8);
    assert!(Leased::of(Some(&ask(&mut pool, T, many(1)))).is_empty());
    assert!(Leased::of(None).is_empty());
}

/// A lease, and the pool after a restart; with the checkpoint made before the lease or after it.
fn restarted(covered: bool) -> (Pool, Pool, Vec<Grant>) {
    let mut live = leasing(2, 6_000, Some(1_000_000));
    let before = live.checkpoint(T - 1).states;
    let lease = ask(&mut live, T, many(20));
    let written = Leased::of(Some(&lease));
    let states = if covered { live.checkpoint(T + 1).states } else { before };
    let Given::Grants(grants) = lease else { panic!() };
    let mut again = Pool::new(2);
    again.configure(config(6_000, Some(1_000_000)), keys(2));
    states.iter().for_each(|(name, json)| again.restore_state(name, json));
    again.regive(T, &written, covered);
    (live, again, grants)
}

#[test]
fn after_a_restart_a_lease_is_under_way_still_whether_the_checkpoint_holds_it_or_not() {
    for covered in [false, true] {
        let (live, mut again, given) = restarted(covered);
        assert_eq!(again.under_way(), 20);
        for key in ["k0", "k1"] {
            assert_eq!(left(&live, key, "m", T + 2), left(&again, key, "m", T + 2), "covered: {covered}");
            let (before, after) = (quota(&live, key, "m"), quota(&again, key, "m"));
            assert_eq!((before.open, before.open_tokens), (after.open, after.open_tokens));
        }
        let fresh = grants(&mut again, T + 5, many(1)).remove(0);
        assert!(given.iter().all(|grant| grant.id != fresh.id), "grant numbers never repeat");
    }
}

#[test]
fn after_a_restart_its_reports_settle_it_as_ever() {
    for covered in [false, true] {
        let (mut live, mut again, given) = restarted(covered);
        for pool in [&mut live, &mut again] {
            let mut settles: Vec<Settle> = given[..10].iter().map(|grant| used(grant, 40)).collect();
            settles.extend(given[10..].iter().map(|grant| ended(grant, AttemptEnd::Unused)));
            pool.apply(T + 100, &settles);
            pool.apply(T + 101, &settles);
            assert_eq!(pool.under_way(), 0);
        }
        for key in ["k0", "k1"] {
            assert_eq!(live.quotas_of(key, T + 200), again.quotas_of(key, T + 200), "covered: {covered}");
        }
    }
}

#[test]
fn after_a_restart_a_lease_that_is_not_heard_of_lapses() {
    let (_, mut again, _) = restarted(true);
    again.apply(T + SENT_LAPSES_MS + 1_001, &[]);
    assert_eq!(again.under_way(), 0);
    assert!(quota(&again, "k0", "m").is_idle(T + 10 * MINUTE));
}

#[test]
fn what_was_settled_before_the_restart_is_not_given_again() {
    let (_, _, given) = restarted(true);
    let written = Leased::of(Some(&Given::Grants(given.clone())));
    let mut again = leasing(2, 6_000, Some(1_000_000));
    again.remember(T, &[used(&given[0], 40)]);
    again.regive(T, &written, false);
    again.regive(T, &written, false);
    assert_eq!(again.under_way(), 19);
}

#[test]
fn leases_of_keys_that_are_gone_are_forgotten() {
    let (_, _, given) = restarted(true);
    let mut again = Pool::new(2);
    again.configure(config(6_000, None), vec![key("other")]);
    again.regive(T, &Leased::of(Some(&Given::Grants(given))), false);
    assert_eq!(again.under_way(), 0);
}

#[test]
fn a_fresh_pool_with_figures_of_the_operator_leases_all_its_keys() {
    let mut pool = Pool::new(1);
    pool.configure(config(6_000, None), keys(4));
    let given = grants(&mut pool, T, many(40));
    let each = ["k0", "k1", "k2", "k3"].map(|key| given.iter().filter(|grant| grant.key == key).count());
    assert_eq!(each, [10; 4]);
}

#[test]
fn nothing_is_leased_while_the_upstream_may_be_failing_for_all() {
    let mut pool = leasing(4, 6_000, None);
    for key in ["k0", "k1"] {
        let others = (0..4).map(|n| format!("k{n}")).filter(|other| other != key).collect();
        let given = grants(&mut pool, T, Want { exclude_keys: others, ..many(1) });
        pool.apply(T, &[failed(&given[0], Fault::Upstream, None)]);
    }
    let suspect = grants(&mut pool, T, many(64));
    assert_eq!(suspect.len(), 1, "one more and the breaker opens");
    pool.apply(T, &[failed(&suspect[0], Fault::Upstream, None)]);
    let probe = grants(&mut pool, T + 1_000, many(64));
    assert_eq!(probe.len(), 1, "a probe comes alone");
    pool.apply(T + 1_001, &[ended(&probe[0], AttemptEnd::Ok)]);
    assert_eq!(grants(&mut pool, T + 1_001, many(64)).len(), GRANTS_PER_ASK);
}
