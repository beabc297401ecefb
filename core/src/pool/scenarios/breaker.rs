//! The breaker and the storm brake, over the whole path.

use super::*;
use crate::pool::status::Outage;

/// Three groups fail one after the other.
fn storm(keys: usize) -> Pool {
    let mut pool = pool(keys);
    let given: Vec<Grant> = (0..3).map(|_| grant(&mut pool, T)).collect();
    assert_eq!(given.iter().map(|grant| &grant.key).collect::<std::collections::HashSet<_>>().len(), 3);
    for grant in &given {
        pool.apply(T, &[failed(grant, Fault::Upstream, None)]);
    }
    pool
}

#[test]
fn when_three_groups_fail_no_further_key_rests() {
    let mut pool = pool(20);
    let given: Vec<Grant> = (0..20).map(|_| grant(&mut pool, T)).collect();
    for grant in &given {
        pool.apply(T, &[failed(grant, Fault::Lost, None)]);
    }
    let resting = given.iter().filter(|grant| status(&pool, &grant.key, T) != "active").count();
    assert!(resting <= 2, "{resting} keys rest for the upstream's fault");
}

#[test]
fn keys_of_one_group_are_no_storm() {
    let mut pool = Pool::new(1);
    let rows = keys(5).into_iter().map(|row| KeyRow { group: Some("g".into()), ..row }).collect();
    pool.configure(snapshot(&["m"]), rows);
    for _ in 0..5 {
        let grant = grant(&mut pool, T);
        pool.apply(T, &[failed(&grant, Fault::Upstream, None)]);
    }
    assert!(matches!(ask(&mut pool, T, Want { deadline_ms: 0, ..want() }), Given::Grants(_)));
}

#[test]
fn faults_of_keys_quotas_models_and_clients_never_open_it() {
    let others =
        [Fault::Quota, Fault::Queue, Fault::Key, Fault::Payment, Fault::Path, Fault::Model, Fault::Client];
    for fault in others {
        let mut pool = pool(10);
        let given: Vec<Grant> = (0..9).map(|_| grant(&mut pool, T)).collect();
        for grant in &given {
            pool.apply(T, &[failed(grant, fault, None)]);
        }
        assert!(pool.breakers.values().all(|b| b.gate(T) == crate::pool::breaker::Gate::Free), "{fault:?}");
    }
}

#[test]
fn an_open_breaker_sends_nobody_then_one_probe_and_closes_on_its_success() {
    let mut pool = storm(6);
    let outage = Outage { provider: "cerebras".into(), since: T, next_probe_at: T + 1_000 };
    assert_eq!(pool.outages(), [outage], "an operator can see it");
    let hasty = Want { deadline_ms: 500, ..want() };
    let said = ask(&mut pool, T, hasty);
    assert_eq!(said, Given::RetryAfter { after_ms: 1_000, why: Waiting::Outage });
    assert!(matches!(ask(&mut pool, T, want()), Given::Ticket { after_ms: 1_000, why: Waiting::Outage, .. }));
    let probe = grant(&mut pool, T + 1_000);
    assert!(matches!(ask(&mut pool, T + 1_000, want()), Given::Ticket { .. }), "one at a time");
    pool.apply(T + 1_100, &[ended(&probe, AttemptEnd::Ok)]);
    assert!((0..6).all(|_| grant(&mut pool, T + 1_100).delay_ms == 0));
    assert_eq!(pool.outages(), []);
}

#[test]
fn a_change_of_the_configuration_does_not_end_an_outage() {
    let mut pool = storm(6);
    let outages = pool.outages();
    // The first key is gone, so every group has another number.
    pool.configure(snapshot(&["m"]), keys(6).split_off(1));
    assert_eq!(pool.outages(), outages);
    assert!(!matches!(ask(&mut pool, T + 500, Want { deadline_ms: 100, ..want() }), Given::Grants(_)));
}

#[test]
fn what_failed_counts_on_after_a_change_of_the_configuration() {
    let mut pool = pool(6);
    let given: Vec<Grant> = (0..3).map(|_| grant(&mut pool, T)).collect();
    for grant in &given[..2] {
        pool.apply(T, &[failed(grant, Fault::Upstream, None)]);
    }
    let kept = keys(6).into_iter().filter(|row| row.id != given[0].key).collect();
    pool.configure(snapshot(&["m"]), kept);
    assert_eq!(pool.outages(), [], "the one that is gone counts no more");
    pool.apply(T, &[failed(&given[2], Fault::Upstream, None)]);
    assert_eq!(pool.outages(), []);
    let fourth = grant(&mut pool, T);
    assert!(given.iter().all(|grant| grant.key != fourth.key));
    pool.apply(T, &[failed(&fourth, Fault::Upstream, None)]);
    assert_eq!(pool.outages().len(), 1);
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_three_seconds() {
    let mut pool = storm(6);
    let mut now = T + 1_000;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let probe = grant(&mut pool, now);
        pool.apply(now, &[failed(&probe, Fault::Timeout, None)]);
        let Given::RetryAfter { after_ms, .. } = ask(&mut pool, now, Want { deadline_ms: 0, ..want() })
        else {
            panic!("open")
        };
        waits.push(after_ms);
        now += after_ms;
    }
    assert_eq!(waits, [2_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000]);
}

#[test]
fn a_probe_whose_own_key_is_at_fault_says_nothing_of_the_upstream() {
    let mut pool = storm(6);
    let probe = grant(&mut pool, T + 1_000);
    pool.apply(T + 1_001, &[failed(&probe, Fault::Key, None)]);
    let next = grant(&mut pool, T + 1_002);
    assert_ne!(next.key, probe.key, "the next one probes at once");
}

#[test]
fn failures_half_a_minute_apart_are_no_storm() {
    let mut pool = pool(6);
    for n in 0..12 {
        let now = T + n * 31_000;
        let grant = grant(&mut pool, now);
        pool.apply(now, &[failed(&grant, Fault::Upstream, None)]);
    }
}

#[test]
fn requests_from_before_it_opened_do_not_count_as_probes() {
    let mut pool = pool(6);
    let given: Vec<Grant> = (0..6).map(|_| grant(&mut pool, T)).collect();
    for grant in &given[..3] {
        pool.apply(T, &[failed(grant, Fault::Timeout, None)]);
    }
    for grant in &given[3..] {
        let mut late = failed(grant, Fault::Timeout, None);
        late.attempt.as_mut().unwrap().duration_ms = 5_000;
        pool.apply(T + 5_000, &[late]);
    }
    assert_eq!(grant(&mut pool, T + 5_001).delay_ms, 0, "the probe is due since T + 1,000");
}

#[test]
fn nothing_is_booked_ahead_while_it_may_be_failing_for_all() {
    // A request a second for each of three keys, whose first ones fail for two and are spent for the third.
    let mut pool = limited(3, Some(60), None);
    let last = |pool: &Pool| pool.roster.slots.iter().map(|slot| slot.open).max();
    let given: Vec<Grant> = (0..180).map(|_| grant(&mut pool, T)).collect();
    assert_eq!(last(&pool), Some(60), "all is spent");
    for key in ["k0", "k1"] {
        let of_it = given.iter().find(|grant| grant.key == key).unwrap();
        pool.apply(T, &[failed(of_it, Fault::Upstream, None)]);
    }
    assert!(
        matches!(ask(&mut pool, T + 10, want()), Given::Ticket { .. }),
        "it would be sent whatever happens"
    );
    let of_it = given.iter().find(|grant| grant.key == "k2").unwrap();
    pool.apply(T + 20, &[ended(of_it, AttemptEnd::Ok)]);
    let booked = grant(&mut pool, T + 20);
    assert!(booked.delay_ms > 0, "an answer clears it of suspicion");
}
