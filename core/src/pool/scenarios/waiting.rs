//! Delays, tickets and times to come back.

use super::*;

#[test]
fn when_all_cool_the_answer_is_a_delay_a_ticket_or_a_true_retry_time() {
    let mut pool = pool(1);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Quota, Some(5_000))]);
    let Given::Ticket { ticket, after_ms, .. } = ask(&mut pool, 0, want()) else { panic!("no ticket") };
    assert!((3_000..5_000).contains(&after_ms), "{after_ms}: in time for its slot");
    let again = grants(&mut pool, after_ms, Want { ticket: Some(ticket), ..want() }).remove(0);
    assert_eq!(after_ms + again.delay_ms, 5_000, "the slot itself is exact");
    assert_eq!(
        ask(&mut pool, 0, Want { deadline_ms: 1_000, ..want() }),
        Given::RetryAfter { after_ms: 5_000, why: Waiting::Quota }
    );
    let late = grant(&mut pool, 3_500);
    assert_eq!(late.delay_ms, 1_500);
}

/// How it went for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Sent at that time.
    Sent(u64),
    /// Told at that time to come back after so long.
    Told(u64, u64),
    TooLarge,
}

/// Clients that come at their time, wait as they are told to, and use what they reserve. Each answer takes as long
/// as given. What is to happen next comes first; at the same time, what was first.
fn crowd(pool: &mut Pool, clients: &[(u64, Want)], lasts: u64) -> Vec<Fate> {
    use std::cmp::Reverse;
    let mut fates = vec![Fate::TooLarge; clients.len()];
    let mut heap = std::collections::BinaryHeap::new();
    for (at, (when, _)) in clients.iter().enumerate() {
        heap.push(Reverse((*when, at, None, None)));
    }
    let mut ends: Vec<Settle> = Vec::new();
    while let Some(Reverse((now, at, ticket, end))) = heap.pop() {
        if let Some(end) = end {
            let settle: &Settle = &ends[end];
            pool.apply(now, std::slice::from_ref(settle));
            continue;
        }
        let (came, want) = &clients[at];
        let deadline_ms = (came + want.deadline_ms).saturating_sub(now);
        match ask(pool, now, Want { ticket, deadline_ms, ..want.clone() }) {
            Given::Grants(grants) => {
                let sent = now + grants[0].delay_ms;
                assert!(sent <= came + want.deadline_ms, "sent after its deadline");
                fates[at] = Fate::Sent(sent);
                heap.push(Reverse((sent + lasts, at, None, Some(ends.len()))));
                let mut end = used(&grants[0], want.prompt_tokens + 1);
                end.attempt.as_mut().unwrap().duration_ms = lasts;
                ends.push(end);
            }
            Given::Ticket { ticket, after_ms, .. } => {
                assert!(after_ms > 0 && after_ms <= deadline_ms, "told to wait beyond the deadline");
                heap.push(Reverse((now + after_ms, at, Some(ticket), None)));
            }
            Given::RetryAfter { after_ms, .. } => fates[at] = Fate::Told(now, after_ms),
            Given::TooLarge { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    fates
}

pub(super) fn by(token: &str, tokens: u64, deadline_ms: u64) -> Want {
    Want { token: token.into(), deadline_ms, ..sized(tokens) }
}

/// Keys with that quota, used up at `T`, and two client tokens without limits.
pub(super) fn drained(keys: usize, requests: Option<u64>, tokens: Option<u64>) -> Pool {
    let mut pool = Pool::new(1);
    let free = |id: &str| token(id, TokenLimits::default());
    let mut config = with_tokens(learning(&["m"]), vec![free("greedy"), free("small")]);
    config.settings.limit_overrides = per_minute(requests, tokens);
    pool.configure(config, self::keys(keys));
    for n in 0..keys {
        let each = tokens.unwrap_or(10);
        for _ in 0..requests.filter(|_| tokens.is_none()).unwrap_or(1) {
            let others = (0..keys).filter(|other| *other != n).map(|other| format!("k{other}"));
            // The last one fits to the millisecond, and is sent with a margin.
            let want = Want { exclude_keys: others.collect(), attempts_left: 1, ..by("small", each, 2_000) };
            let grant = grants(&mut pool, T, want).remove(0);
            pool.apply(T, &[used(&grant, each)]);
        }
    }
    pool
}

#[test]
fn a_small_token_is_not_held_up_by_a_greedy_one() {
    let mut pool = drained(1, Some(60), None);
    let mut clients: Vec<(u64, Want)> = (0..100).map(|_| (T, by("greedy", 500, 300_000))).collect();
    clients.extend((0..5).map(|n| (T + 5_000 + n * 10_000, by("small", 500, 300_000))));
    let fates = crowd(&mut pool, &clients, 300);
    for (fate, (came, _)) in fates[100..].iter().zip(&clients[100..]) {
        let Fate::Sent(at) = fate else { panic!("{fate:?}") };
        assert!(at - came <= 4_500, "one a second for two tokens: {} ms", at - came);
    }
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Sent(_))));
}

#[test]
fn what_refills_is_used_and_no_more() {
    let mut pool = drained(1, Some(60), None);
    let clients: Vec<(u64, Want)> = (0..60).map(|n| (T + n, by("greedy", 500, 300_000))).collect();
    let fates = crowd(&mut pool, &clients, 300);
    let mut sent: Vec<u64> = fates
        .iter()
        .map(|fate| if let Fate::Sent(at) = fate { *at - T } else { panic!("{fate:?}") })
        .collect();
    sent.sort_unstable();
    for (n, at) in sent.iter().enumerate() {
        assert!(*at >= 1_000 * (n as u64 + 1), "the {n}th before its token is there: {at}");
    }
    assert!(*sent.last().unwrap() <= 62_000, "60 in a minute: {:?}", sent.last());
}

#[test]
fn within_a_token_who_came_first_is_served_first() {
    let mut pool = drained(1, Some(60), None);
    let clients: Vec<(u64, Want)> = (0..30).map(|n| (T + n * 100, by("greedy", 500, 300_000))).collect();
    let fates = crowd(&mut pool, &clients, 300);
    let sent: Vec<u64> = fates.iter().map(|f| if let Fate::Sent(at) = f { *at } else { panic!() }).collect();
    let overtaken = sent.windows(2).filter(|pair| pair[1] + 250 < pair[0]).count();
    assert_eq!(overtaken, 0, "{:?}", sent.iter().map(|at| at - T).collect::<Vec<_>>());
}

#[test]
fn a_large_request_is_not_starved_by_small_ones_that_go_on_with_the_other_group() {
    let mut pool = drained(2, None, Some(60_000));
    let mut clients = vec![(T + 10, by("greedy", 50_000, 300_000))];
    // More than both groups refill, for two minutes.
    clients.extend((0..300).map(|n| (T + 20 + n * 400, by("small", 1_000, 600_000))));
    let fates = crowd(&mut pool, &clients, 300);
    let Fate::Sent(large) = fates[0] else { panic!("{:?}", fates[0]) };
    assert!(large - T <= 75_000, "50 s of one group's refill: {} ms", large - T);
    let meanwhile = fates[1..].iter().filter(|fate| matches!(fate, Fate::Sent(at) if *at < large)).count();
    assert!(meanwhile as u64 >= (large - T) / 1_000 * 8 / 10, "{meanwhile} small ones in {} ms", large - T);
}

#[test]
fn who_leaves_while_waiting_holds_nobody_up_for_long() {
    let mut pool = drained(1, Some(60), None);
    for _ in 0..20 {
        assert!(matches!(
            ask(&mut pool, T, by("greedy", 500, 60_000)),
            Given::Ticket { .. } | Given::Grants(_)
        ));
    }
    assert!(pool.waiting() > 10);
    pool.apply(T + 10_000, &[]);
    assert_eq!(pool.waiting(), 0, "a place lapses by itself");
    let (sent, _) = patient(&mut pool, T + 10_001, by("greedy", 500, 5_000));
    assert!(sent <= T + 11_200, "{}", sent - T);
}

#[test]
fn without_a_deadline_the_answer_is_a_grant_at_once_or_a_time_to_come_back() {
    let mut pool = drained(1, Some(60), None);
    for n in 0..200 {
        let now = T + n * 137;
        match ask(&mut pool, now, by("small", 500, 0)) {
            Given::Grants(grants) => assert_eq!(grants[0].delay_ms, 0),
            Given::RetryAfter { after_ms, why: Waiting::Quota } => assert!(after_ms > 0),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.waiting(), 0, "nobody waits in line who can't");
    }
}

#[test]
fn a_request_larger_than_any_bucket_is_tried_before_it_is_said_to_be_too_large() {
    let mut pool = limited(2, None, Some(60_000));
    let mut tried = 0;
    let mut now = T;
    let said = loop {
        match ask(&mut pool, now, Want { deadline_ms: 0, ..sized(90_000) }) {
            Given::Grants(grants) => {
                tried += 1;
                let mut refused = failed(&grants[0], Fault::Quota, Some(1_000));
                refused.attempt.as_mut().unwrap().quota =
                    Some(NamedQuota { tokens: true, window: Some(Window::Minute) });
                pool.apply(now, &[refused]);
                now += 10 * MINUTE;
            }
            other => break other,
        }
        assert!(tried < 10, "the upstream refuses it with a full bucket, again and again");
    };
    assert_eq!((tried, said), (2, Given::TooLarge { tokens: 90_000, limit: 60_000 }));
    assert_eq!(grants(&mut pool, now, sized(50_000)).len(), 1, "a smaller one is not");
}

#[test]
fn after_a_token_429_the_twin_holds_less_than_was_refused() {
    let mut pool = limited(1, None, Some(60_000));
    let grant = grants(&mut pool, T, sized(20_000)).remove(0);
    let mut refused = failed(&grant, Fault::Quota, Some(1_000));
    refused.attempt.as_mut().unwrap().quota = Some(NamedQuota { tokens: true, window: Some(Window::Minute) });
    pool.apply(T + 100, &[refused]);
    let left = left(&pool, "k0", "m", T + 100);
    assert!(left < 20_000, "20,000 did not fit, and it is said that {left} would");
}

#[test]
fn a_request_that_waits_is_told_who_stands_before_it() {
    let mut pool = drained(1, Some(60), None);
    for _ in 0..5 {
        ask(&mut pool, T, by("greedy", 500, 60_000));
    }
    let before = pool.waiting() as u64;
    ask(&mut pool, T, by("greedy", 500, 60_000));
    let latest = pool.decisions().latest(1, None, None).next().unwrap();
    assert_eq!(latest.ahead, before);
}

#[test]
fn who_is_first_in_line_is_told_which_keys_were_passed_over_and_until_when() {
    let mut pool = drained(2, Some(60), None);
    ask(&mut pool, T, by("greedy", 500, 0));
    let latest = pool.decisions().latest(1, None, None).next().unwrap();
    assert_eq!((latest.candidates, latest.passed_over, latest.ahead), (0, 2, 0));
    for key in ["k0", "k1"] {
        assert!(latest.skipped.iter().any(|skipped| skipped.key == key && skipped.until > T), "{latest:?}");
    }
}

#[test]
fn who_stands_behind_others_is_told_which_keys_were_passed_over() {
    let mut pool = drained(1, Some(60), None);
    for _ in 0..6 {
        ask(&mut pool, T, by("greedy", 500, 60_000));
    }
    let latest = pool.decisions().latest(1, None, None).next().unwrap();
    assert!(latest.ahead > 0 && latest.passed_over > 0, "{latest:?}");
}
