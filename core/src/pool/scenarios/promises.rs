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
