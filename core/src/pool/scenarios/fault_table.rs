//! The fault table: what each fault does to the key, its group, the model and the breaker, how long it lasts, and
//! how it ends by itself.

use super::*;
use crate::pool::faults::{
    COOLING_MAX_MS, COOLING_MIN_MS, COOLING_UNSTATED_MAX_MS, INVALID_AT_FIRST_MS, INVALID_FOR_MS,
    REST_MAX_MS, SUSPENDED_FOR_MS,
};

/// Two keys of one group and a third of its own; all of them have answered before.
fn proven() -> Pool {
    let mut pool = Pool::new(1);
    let grouped = |id: &str| KeyRow { group: Some("org".into()), ..key(id) };
    pool.configure(snapshot(&["m", "n"]), vec![grouped("a"), grouped("b"), key("c")]);
    for n in 0..6 {
        let grant = grant(&mut pool, T - 1_000 + n);
        pool.apply(T - 1_000 + n, &[ended(&grant, AttemptEnd::Ok)]);
    }
    pool
}

fn of_key(pool: &mut Pool, key: &str, now: u64) -> Grant {
    let others = ["a", "b", "c"].iter().filter(|id| **id != key).map(|id| (*id).to_owned()).collect();
    grants(pool, now, Want { exclude_keys: others, ..want() }).remove(0)
}

#[test]
fn each_fault_is_taken_at_its_scope() {
    // Fault; then the status of the key, of its sibling in the group and of the third; whether the sibling still
    // serves the model, and whether the third does.
    let cases = [
        (Fault::Quota, ["cooling", "cooling", "active"], false, true),
        (Fault::Queue, ["active"; 3], false, false),
        (Fault::Key, ["invalid", "active", "active"], true, true),
        (Fault::Payment, ["suspended", "suspended", "active"], false, true),
        (Fault::Path, ["active"; 3], true, true),
        (Fault::Model, ["active"; 3], false, true),
        (Fault::Client, ["active"; 3], true, true),
        (Fault::Upstream, ["cooling", "active", "active"], true, true),
        (Fault::Timeout, ["cooling", "active", "active"], true, true),
        (Fault::Lost, ["cooling", "active", "active"], true, true),
    ];
    for (fault, statuses, sibling, third) in cases {
        let mut pool = proven();
        let mut first = of_key(&mut pool, "a", T);
        if first.model != "m" {
            first = of_key(&mut pool, "a", T);
        }
        assert_eq!((first.key.as_str(), first.model.as_str()), ("a", "m"));
        pool.apply(T, &[failed(&first, fault, (fault == Fault::Quota).then_some(5_000))]);
        assert_eq!(["a", "b", "c"].map(|id| status(&pool, id, T)), statuses, "{fault:?}");
        for (id, serves) in [("b", sibling), ("c", third)] {
            let others = ["a", "b", "c"].iter().filter(|other| **other != id).map(|o| (*o).to_owned());
            let only = Want {
                exclude_keys: others.collect(),
                exclude_models: vec!["n".into()],
                deadline_ms: 100,
                ..want()
            };
            let given = ask(&mut pool, T + 1, only);
            assert_eq!(matches!(given, Given::Grants(_)), serves, "{fault:?} {id}: {given:?}");
        }
        assert!(
            matches!(ask(&mut pool, T + 2, want()), Given::Grants(_)),
            "{fault:?}: no single fault stops the pool"
        );
        let unpunished = ["active"; 3] == statuses && fault != Fault::Model && fault != Fault::Queue;
        let rows = pool.checkpoint(T).states;
        let punished = rows
            .iter()
            .any(|(name, json)| (name.starts_with("key:") || name.starts_with("group:")) && !json.is_empty());
        assert!(!unpunished || !punished, "{fault:?} leaves no mark: {rows:?}");
    }
}

#[test]
fn a_model_that_cools_in_a_group_leaves_the_groups_other_models() {
    let mut pool = proven();
    let first = of_key(&mut pool, "a", T);
    pool.apply(T, &[failed(&first, Fault::Quota, Some(60_000))]);
    let others = Want { exclude_models: vec![first.model.clone()], exclude_keys: vec!["c".into()], ..want() };
    let given = grants(&mut pool, T, others);
    assert!(given.iter().all(|grant| grant.model != first.model && grant.delay_ms == 0));
}

#[test]
fn a_key_that_had_worked_is_tried_after_five_minutes_and_then_after_a_day() {
    let mut pool = proven();
    let first = of_key(&mut pool, "c", T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    assert_eq!(pool.key_status("c", T).unwrap().until, Some(T + INVALID_AT_FIRST_MS));
    let later = T + INVALID_AT_FIRST_MS;
    let probe = of_key(&mut pool, "c", later);
    pool.apply(later + 10, &[failed(&probe, Fault::Key, None)]);
    assert_eq!(pool.key_status("c", later + 10).unwrap().until, Some(later + 10 + INVALID_FOR_MS));
}

#[test]
fn a_key_that_never_worked_is_left_alone_for_a_day_at_once() {
    let mut pool = pool(2);
    let first = grant(&mut pool, T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    assert_eq!(pool.key_status(&first.key, T).unwrap().until, Some(T + INVALID_FOR_MS));
}

#[test]
fn requests_in_flight_together_are_refused_once() {
    let mut pool = proven();
    let (first, second) = (of_key(&mut pool, "c", T), of_key(&mut pool, "c", T));
    pool.apply(T + 10, &[failed(&first, Fault::Key, None)]);
    let mut late = failed(&second, Fault::Key, None);
    late.attempt.as_mut().unwrap().duration_ms = 30;
    pool.apply(T + 30, &[late]);
    let until = pool.key_status("c", T + 30).unwrap().until.unwrap();
    assert!(until <= T + 30 + INVALID_AT_FIRST_MS, "{} ms", until - T);
}

#[test]
fn a_key_whose_ban_is_over_gets_one_request_at_a_time_until_one_succeeds() {
    let mut pool = pool(1);
    let first = grant(&mut pool, T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    let later = T + INVALID_FOR_MS;
    let probe = grant(&mut pool, later);
    let waits = ask(&mut pool, later, Want { deadline_ms: 5_000, ..want() });
    assert!(matches!(waits, Given::Ticket { .. }), "one under way at a time: {waits:?}");
    let mut good = ended(&probe, AttemptEnd::Ok);
    good.attempt.as_mut().unwrap().duration_ms = 100;
    pool.apply(later + 100, &[good]);
    for n in 0..5 {
        assert_eq!(grant(&mut pool, later + 10_000 + n).delay_ms, 0, "it is a key like any other");
    }
}

#[test]
fn a_probe_that_was_not_sent_or_never_heard_of_makes_room_for_another() {
    let mut pool = pool(1);
    let first = grant(&mut pool, T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    let later = T + INVALID_FOR_MS;
    let probe = grant(&mut pool, later);
    pool.apply(later, &[ended(&probe, AttemptEnd::Unused)]);
    let _silent = grant(&mut pool, later);
    let after = later + crate::limits::grant::SENT_LAPSES_MS;
    pool.apply(after, &[]);
    assert_eq!(grant(&mut pool, after).key, "k0");
}

#[test]
fn a_suspended_group_whose_time_is_over_is_probed_by_one_request_over_all_its_keys() {
    let mut pool = proven();
    let first = of_key(&mut pool, "a", T);
    pool.apply(T, &[failed(&first, Fault::Payment, None)]);
    let later = T + SUSPENDED_FOR_MS;
    assert_eq!(status(&pool, "b", later - 1), "suspended");
    let alone = || Want { exclude_keys: vec!["c".into()], deadline_ms: 5_000, ..want() };
    let probe = grants(&mut pool, later, alone()).remove(0);
    assert!(matches!(ask(&mut pool, later, alone()), Given::Ticket { .. }), "neither key, while it is tried");
    pool.apply(later + 50, &[failed(&probe, Fault::Payment, None)]);
    assert_eq!(pool.key_status("a", later + 50).unwrap().until, Some(later + 50 + SUSPENDED_FOR_MS));
    let again = later + 50 + SUSPENDED_FOR_MS;
    let probe = grants(&mut pool, again, alone()).remove(0);
    pool.apply(again, &[ended(&probe, AttemptEnd::Ok)]);
    assert!((0..4).all(|n| !grants(&mut pool, again + n, alone()).is_empty()));
}

#[test]
fn a_large_request_does_not_probe_while_others_can_serve() {
    let mut pool = pool(2);
    let first = grant(&mut pool, T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    let later = T + INVALID_FOR_MS;
    for n in 0..6 {
        let large = grants(&mut pool, later + n, sized(30_000)).remove(0);
        assert_ne!(large.key, first.key);
    }
    assert!((0..3).any(|n| grants(&mut pool, later + 10 + n, sized(100)).remove(0).key == first.key));
}

#[test]
fn a_large_request_probes_when_there_is_nobody_else() {
    let mut pool = pool(1);
    let first = grant(&mut pool, T);
    pool.apply(T, &[failed(&first, Fault::Key, None)]);
    assert_eq!(grants(&mut pool, T + INVALID_FOR_MS, sized(30_000)).len(), 1);
}

#[test]
fn a_success_resets_what_in_a_row_counts() {
    let mut pool = pool(1);
    let rest = |pool: &mut Pool, now: u64| {
        let grant = grant(pool, now);
        pool.apply(now, &[failed(&grant, Fault::Upstream, None)]);
        pool.key_status("k0", now).unwrap().until.unwrap() - now
    };
    assert_eq!([rest(&mut pool, T), rest(&mut pool, T + 5_000)], [1_000, 2_000]);
    let good = grant(&mut pool, T + 10_000);
    pool.apply(T + 10_000, &[ended(&good, AttemptEnd::Ok)]);
    assert_eq!(rest(&mut pool, T + 20_000), 1_000);
    for n in 1..30 {
        rest(&mut pool, T + HOUR + n * 100_000);
    }
    assert_eq!(rest(&mut pool, T + DAY), REST_MAX_MS, "rests grow, up to a minute");
}

#[test]
fn a_success_from_before_the_last_failure_resets_nothing() {
    let mut pool = pool(1);
    let (early, late) = (grant(&mut pool, T), grant(&mut pool, T));
    pool.apply(T + 100, &[failed(&late, Fault::Upstream, None)]);
    let mut good = ended(&early, AttemptEnd::Ok);
    good.attempt.as_mut().unwrap().duration_ms = 200;
    pool.apply(T + 200, &[good]);
    assert_eq!(status(&pool, "k0", T + 200), "cooling");
}

#[test]
fn unstated_429s_in_a_row_cool_twice_as_long_each_and_a_success_begins_anew() {
    let mut pool = pool(1);
    let mut now = T;
    let mut cooled = Vec::new();
    for _ in 0..8 {
        let grant = grant(&mut pool, now);
        pool.apply(now, &[failed(&grant, Fault::Quota, None)]);
        let until = pool.key_status("k0", now).unwrap().until.unwrap();
        cooled.push(until - now);
        now = until + 1;
    }
    assert_eq!(cooled[..5], [2_000, 4_000, 8_000, 16_000, 32_000]);
    assert_eq!(cooled[5..], [COOLING_UNSTATED_MAX_MS; 3]);
    let good = grant(&mut pool, now);
    pool.apply(now, &[ended(&good, AttemptEnd::Ok)]);
    let bad = grant(&mut pool, now);
    pool.apply(now, &[failed(&bad, Fault::Quota, None)]);
    assert_eq!(pool.key_status("k0", now).unwrap().until, Some(now + 2_000));
}

#[test]
fn several_in_flight_that_bounce_off_the_same_empty_bucket_are_one_strike() {
    let mut pool = pool(1);
    let together: Vec<Grant> = (0..6).map(|_| grant(&mut pool, T)).collect();
    let settles: Vec<Settle> = together.iter().map(|grant| failed(grant, Fault::Quota, None)).collect();
    pool.apply(T, &settles);
    assert_eq!(pool.key_status("k0", T).unwrap().until, Some(T + 2_000));
}

#[test]
fn stated_waits_are_believed_within_bounds() {
    for (stated, cools) in [(0, COOLING_MIN_MS), (30_000, 30_000), (u64::MAX, COOLING_MAX_MS)] {
        let mut pool = pool(1);
        let grant = grant(&mut pool, T);
        pool.apply(T, &[failed(&grant, Fault::Quota, Some(stated))]);
        assert_eq!(pool.key_status("k0", T).unwrap().until, Some(T + cools));
    }
}

#[test]
fn a_day_quota_that_is_used_up_does_not_hold_up_the_minute_beyond_its_time() {
    let mut pool = pool(2);
    let first = grant(&mut pool, T);
    let mut day = failed(&first, Fault::Quota, Some(6 * HOUR));
    day.attempt.as_mut().unwrap().quota = Some(NamedQuota { tokens: false, window: Some(Window::Day) });
    pool.apply(T, &[day]);
    assert_eq!(pool.key_status(&first.key, T).unwrap().until, Some(T + 6 * HOUR));
    assert!((1..20).all(|n| grant(&mut pool, T + n * MINUTE).key != first.key));
    assert!((0..2).any(|n| grant(&mut pool, T + 6 * HOUR + n).key == first.key));
}

#[test]
fn every_punished_state_ends_by_itself() {
    let faults = [
        (Fault::Quota, COOLING_UNSTATED_MAX_MS),
        (Fault::Queue, 1_000),
        (Fault::Key, INVALID_FOR_MS),
        (Fault::Payment, SUSPENDED_FOR_MS),
        (Fault::Model, DAY),
        (Fault::Upstream, REST_MAX_MS),
        (Fault::Timeout, REST_MAX_MS),
        (Fault::Lost, REST_MAX_MS),
    ];
    for (fault, longest) in faults {
        let mut pool = pool(1);
        let first = grant(&mut pool, T);
        pool.apply(T, &[failed(&first, fault, None)]);
        let later = T + longest;
        let given = grants(&mut pool, later, Want { deadline_ms: 0, ..want() });
        assert_eq!((given.len(), given[0].delay_ms), (1, 0), "{fault:?}");
        pool.apply(later, &[ended(&given[0], AttemptEnd::Ok)]);
        assert_eq!(status(&pool, "k0", later), "active", "{fault:?}");
    }
}
