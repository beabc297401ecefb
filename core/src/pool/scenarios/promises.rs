//! Times to come back, and whether they are true.

use super::waiting::{by, drained};
use super::*;

#[test]
fn a_time_to_come_back_that_is_obeyed_is_true_under_sustained_overload() {
    let mut pool = drained(1, Some(60), None);
    let mut clients: Vec<(u64, Want)> = (0..240)
        .map(|n| {
            let want = by(if n % 4 == 0 { "small" } else { "greedy" }, 500, 3_000);
            (T + n * 500, Want { fingerprint: n, ..want })
        })
        .collect();
    let first = crowd_with_returns(&mut pool, &mut clients);
    let (returned, served) = first;
    assert!(returned >= 60, "there is an overload: {returned}");
    assert!(served * 100 >= returned * 95, "{served} of {returned} who came back as told were served");
}

/// Everyone who is told to come back does, a little later than told, once. How many did, and how many of them were
/// served then.
fn crowd_with_returns(pool: &mut Pool, clients: &mut [(u64, Want)]) -> (usize, usize) {
    use std::cmp::Reverse;
    let mut heap = std::collections::BinaryHeap::new();
    for (at, (when, _)) in clients.iter().enumerate() {
        heap.push(Reverse((*when, at, None, false)));
    }
    let (mut returned, mut served) = (0, 0);
    while let Some(Reverse((now, at, ticket, again))) = heap.pop() {
        let (came, want) = clients[at].clone();
        let deadline_ms = (came + want.deadline_ms).saturating_sub(now);
        match ask(pool, now, Want { ticket, deadline_ms, ..want }) {
            Given::Grants(grants) => {
                served += usize::from(again);
                pool.apply(now, &[used(&grants[0], 500)]);
            }
            Given::Ticket { ticket, after_ms, .. } => {
                heap.push(Reverse((now + after_ms, at, Some(ticket), again)))
            }
            Given::RetryAfter { after_ms, .. } if !again => {
                returned += 1;
                let back = now + after_ms + at as u64 % 7 * 50;
                clients[at].0 = back;
                heap.push(Reverse((back, at, None, true)));
            }
            _ => {}
        }
    }
    (returned, served)
}

#[test]
fn a_time_to_come_back_alone_is_exact() {
    let mut pool = drained(1, Some(5), None);
    let said = ask(&mut pool, T, by("small", 500, 0));
    let Given::RetryAfter { after_ms, .. } = said else { panic!("{said:?}") };
    assert!((12_000..=12_500).contains(&after_ms), "{after_ms}");
    let hasty = || by("small", 500, 0);
    let then = ask(&mut pool, T + after_ms, hasty());
    assert!(matches!(then, Given::Grants(_)), "told {after_ms} ms: {then:?}");
}

#[test]
fn one_who_comes_back_as_told_and_can_wait_a_moment_is_served() {
    for deadline_ms in [300, 1_000, 5_000] {
        let mut pool = drained(1, Some(5), None);
        let said = ask(&mut pool, T, by("small", 500, deadline_ms));
        let Given::RetryAfter { after_ms, .. } = said else { panic!("{said:?}") };
        let (sent, _) = patient(&mut pool, T + after_ms, by("small", 500, deadline_ms));
        assert!(sent <= T + 12_500, "{}", sent - T);
    }
}

/// Clients at one pool of tight limits that ask again as soon as they are answered: of those who were sent away and
/// came back, how many there were and how many were served.
fn eager(keys: usize, requests: u64, clients: usize, deadline_ms: u64, lasts: u64) -> (usize, usize) {
    use std::cmp::Reverse;
    let mut pool = drained(keys, Some(requests), None);
    let mut heap: std::collections::BinaryHeap<_> =
        (0..clients).map(|n| Reverse((T + n as u64 * 7, n, None::<u64>, T, false))).collect();
    let (mut returned, mut served) = (0, 0);
    while let Some(Reverse((now, n, ticket, came, told))) = heap.pop() {
        if now > T + lasts {
            break;
        }
        let left = (came + deadline_ms).saturating_sub(now);
        let want = Want { ticket, fingerprint: n as u64, ..by("small", 500, left) };
        returned += usize::from(told && ticket.is_none());
        match ask(&mut pool, now, want) {
            Given::Grants(grants) => {
                served += usize::from(told);
                let over = now + grants[0].delay_ms + 60;
                pool.apply(over, &[used(&grants[0], 500)]);
                heap.push(Reverse((over, n, None, over, false)));
            }
            Given::Ticket { ticket, after_ms, .. } => {
                heap.push(Reverse((now + after_ms.min(left), n, Some(ticket), came, told)));
            }
            Given::RetryAfter { after_ms, .. } => {
                heap.push(Reverse((now + after_ms + 10, n, None, now + after_ms + 10, true)));
            }
            other => panic!("{other:?}"),
        }
    }
    (returned, served)
}

#[test]
fn eager_clients_that_obey_are_served_when_told() {
    for (keys, requests, clients) in [(12, 5, 12), (12, 30, 24)] {
        let (returned, served) = eager(keys, requests, clients, 1_000, 60_000);
        assert!(served * 100 >= returned * 95, "{served} of {returned} with {requests} a minute");
    }
}

#[test]
fn a_lease_that_is_refused_takes_no_promise_and_leaves_none() {
    let mut pool = drained(1, Some(5), None);
    let own = || Want { fingerprint: 7, ..by("small", 500, 0) };
    let lease = || Want { count: 8, ..own() };
    assert!(matches!(ask(&mut pool, T, lease()), Given::RetryAfter { .. }));
    let Given::RetryAfter { after_ms, .. } = ask(&mut pool, T, own()) else { panic!("not refused") };
    assert!((12_000..=12_500).contains(&after_ms), "{after_ms}: as if it had asked for itself alone");
    let early = T + after_ms - 3_000;
    assert!(matches!(ask(&mut pool, early, lease()), Given::RetryAfter { .. }));
    let other = ask(&mut pool, T + after_ms, by("greedy", 500, 0));
    assert!(matches!(other, Given::RetryAfter { .. }), "{other:?}");
    let back = ask(&mut pool, T + after_ms, own());
    assert!(matches!(back, Given::Grants(_)), "{back:?}");
}

#[test]
fn what_was_promised_is_not_missing_for_who_comes_much_later() {
    let mut pool = drained(1, Some(5), None);
    let told = |pool: &mut Pool, n: u64| match ask(pool, T, Want { fingerprint: n, ..by("small", 500, 0) }) {
        Given::RetryAfter { after_ms, .. } => after_ms,
        other => panic!("{other:?}"),
    };
    let due: Vec<u64> = (1..=3).map(|n| told(&mut pool, n)).collect();
    assert!(due.windows(2).all(|pair| pair[0] + 11_000 <= pair[1]), "one key's next is 12 s away: {due:?}");
    // All three slots are there by then, and two of them are promised for earlier.
    let mut served = 0;
    for (n, after) in (1..).zip(&due) {
        for soon in [3_000, 1_500, 10] {
            let new = ask(&mut pool, T + after - soon, by("greedy", 500, 0));
            assert!(matches!(new, Given::RetryAfter { .. }), "{soon} ms before: {new:?}");
        }
        let back = ask(&mut pool, T + after, Want { fingerprint: n, ..by("small", 500, 1_000) });
        served += u64::from(matches!(back, Given::Grants(_)));
    }
    assert_eq!(served, 3);
}

#[test]
fn who_may_use_another_model_that_has_room_is_not_in_the_way() {
    let mut pool = Pool::new(1);
    let mut config = learning(&["m", "n"]);
    let of = |model: &str, requests| LimitOverride {
        model: model.into(),
        ..per_minute(Some(requests), None).remove(0)
    };
    config.settings.limit_overrides = vec![of("m", 60), of("n", 600)];
    pool.configure(config, self::keys(1));
    let of = |model: Option<&str>, n: u64| Want {
        model: model.map(str::to_owned),
        fingerprint: n,
        deadline_ms: 0,
        ..sized(500)
    };
    for model in ["m", "n"] {
        while let Given::Grants(grants) = ask(&mut pool, T, of(Some(model), 0)) {
            pool.apply(T, &[used(&grants[0], 500)]);
        }
    }
    // Those who name no model are told to come back within two seconds: n has room for all of them.
    let told = |n| match ask(&mut pool, T + 1, of(None, n)) {
        Given::RetryAfter { after_ms, .. } => after_ms,
        other => panic!("{other:?}"),
    };
    let due: Vec<u64> = (1..=12).map(told).collect();
    assert!(due.iter().all(|after| *after <= 2_500) && due.iter().any(|after| *after > 1_300), "{due:?}");
    // And m has one for whoever wants no other.
    let named = ask(&mut pool, T + 1_150, of(Some("m"), 99));
    assert!(matches!(named, Given::Grants(_)), "{due:?}: {named:?}");
}

#[test]
fn what_was_promised_outlives_a_restart() {
    let config = || {
        let mut config = learning(&["m"]);
        config.settings.limit_overrides = per_minute(Some(5), None);
        config
    };
    let mut pool = Pool::new(1);
    pool.configure(config(), keys(1));
    for _ in 0..5 {
        let given = grant(&mut pool, T);
        pool.apply(T, &[ended(&given, AttemptEnd::Ok)]);
    }
    let back = |fingerprint: u64| Want { fingerprint, deadline_ms: 1_000, ..want() };
    let Given::RetryAfter { after_ms, .. } = ask(&mut pool, T, back(7)) else { panic!("a time") };
    assert!(pool.has_new_promises());
    let kept = pool.new_promises(T).unwrap();
    assert!(!pool.has_new_promises() && pool.new_promises(T).is_none(), "once");
    let rows = pool.checkpoint(T);

    let mut again = Pool::new(2);
    again.configure(config(), keys(1));
    for (name, json) in &rows.states {
        again.restore_state(name, json);
    }
    again.restore_promises(T + 11_000, &kept);
    let at = T + after_ms;
    let other = ask(&mut again, at - 200, back(8));
    assert!(!matches!(other, Given::Grants(_)), "it is kept for who was told: {other:?}");
    assert!(
        matches!(ask(&mut again, at, back(7)), Given::Grants(_) | Given::Ticket { .. }),
        "who comes as told"
    );
    again.restore_promises(at, "no JSON");
    again.restore_promises(at, "[{\"due\": 1}]");
}
