//! What faults do to keys, groups and models.

use super::*;

#[test]
fn a_refused_key_is_invalid_after_its_first_failure() {
    let mut pool = pool(2);
    let first = grant(&mut pool, 0);
    pool.apply(5, &[failed(&first, Fault::Key, None)]);
    assert_eq!(status(&pool, &first.key, 5), "invalid");
    assert!((0..20).all(|n| grant(&mut pool, 10 + n).key != first.key));
    let day = 24 * 3_600_000;
    assert_eq!(status(&pool, &first.key, 5 + day), "active", "it is tried again after a day");
}

#[test]
fn a_success_that_began_before_the_refusal_does_not_lift_it() {
    let mut pool = pool(1);
    let (early, late) = (grant(&mut pool, 0), grant(&mut pool, 0));
    pool.apply(100, &[failed(&late, Fault::Key, None)]);
    let mut settle = ended(&early, AttemptEnd::Ok);
    settle.attempt.as_mut().unwrap().duration_ms = 150;
    pool.apply(150, &[settle]);
    assert_eq!(status(&pool, "k0", 150), "invalid");
}

#[test]
fn a_limited_key_rests_exactly_as_long_as_stated() {
    let mut pool = pool(2);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Quota, Some(2_000))]);
    assert_eq!(status(&pool, &first.key, 1_999), "cooling");
    assert!((0..10).all(|n| grant(&mut pool, n).key != first.key));
    let after: Vec<String> = (0..4).map(|n| grant(&mut pool, 2_000 + n).key).collect();
    assert!(after.contains(&first.key));
}

#[test]
fn a_success_from_before_the_429_does_not_end_the_cooling_however_late_it_is_reported() {
    let mut pool = pool(1);
    let (early, late) = (grant(&mut pool, 0), grant(&mut pool, 0));
    pool.apply(100, &[failed(&late, Fault::Quota, Some(2_000))]);
    let mut settle = ended(&early, AttemptEnd::Ok);
    settle.attempt.as_mut().unwrap().duration_ms = 50;
    settle.age_ms = 200;
    pool.apply(300, &[settle]);
    assert_eq!(status(&pool, "k0", 300), "cooling");
}

#[test]
fn a_429_reported_late_cools_from_when_it_came() {
    let mut pool = pool(1);
    let mut settle = failed(&grant(&mut pool, 0), Fault::Quota, Some(2_000));
    settle.age_ms = 250;
    pool.apply(1_000, &[settle]);
    assert_eq!(pool.key_status("k0", 1_000).unwrap().until, Some(2_750));
}

#[test]
fn a_later_end_of_cooling_is_kept_and_an_earlier_one_does_not_shorten_it() {
    let mut pool = pool(1);
    let (a, b) = (grant(&mut pool, 0), grant(&mut pool, 0));
    pool.apply(0, &[failed(&a, Fault::Quota, Some(9_000)), failed(&b, Fault::Quota, Some(1_000))]);
    assert_eq!(pool.key_status("k0", 0).unwrap().until, Some(9_000));
}

#[test]
fn a_group_without_payment_is_suspended_whole() {
    let mut pool = Pool::new(1);
    let grouped = |id: &str| KeyRow { group: Some("org".into()), ..key(id) };
    pool.configure(snapshot(&["m"]), vec![grouped("a"), grouped("b"), key("c")]);
    let first = (0..4).map(|n| grant(&mut pool, n)).find(|grant| grant.key != "c").unwrap();
    pool.apply(0, &[failed(&first, Fault::Payment, None)]);
    assert_eq!([status(&pool, "a", 1), status(&pool, "b", 1)], ["suspended", "suspended"]);
    assert!((0..5).all(|n| grant(&mut pool, n).key == "c"));
}

#[test]
fn faults_of_the_upstream_never_empty_the_pool() {
    let mut pool = pool(2);
    for now in 0..50 {
        let grant = grant(&mut pool, now);
        pool.apply(now, &[failed(&grant, Fault::Upstream, None)]);
    }
    assert_eq!(grant(&mut pool, 60).delay_ms, 0);
}

#[test]
fn a_key_that_fails_rests_while_others_serve_and_comes_back() {
    let mut pool = pool(2);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Upstream, None)]);
    assert!((0..10).all(|n| grant(&mut pool, n).key != first.key));
    assert!((0..3).any(|n| grant(&mut pool, 1_000 + n).key == first.key));
}

#[test]
fn a_full_queue_pauses_the_model_and_punishes_no_key() {
    let mut pool = pool(1);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Queue, None)]);
    assert_eq!(status(&pool, "k0", 0), "active");
    assert!((250..500).contains(&grant(&mut pool, 0).delay_ms));
}
