//! Who goes first in the line, and how long places and promises are kept.

use super::super::promises::PROMISES;
use super::*;

const M: Mask = 1;

fn seeker(token: &str) -> Seeker<'_> {
    Seeker { ticket: None, token, models: M, tokens: 100, reserved: 200, fingerprint: 10 }
}

fn place(line: &mut Line, now: u64, token: &str) -> Place {
    line.place(now, &seeker(token)).0
}

fn hold(line: &mut Line, token: &str, ticket: u64) -> Place {
    let place = place(line, 0, token);
    assert!(line.hold(place, ticket, &seeker(token), 5_000));
    place
}

#[test]
fn a_small_token_does_not_wait_behind_a_greedy_one() {
    let mut line = Line::default();
    let greedy: Vec<Place> = (0..100).map(|n| hold(&mut line, "greedy", n)).collect();
    let small = place(&mut line, 0, "small");
    assert_eq!(line.ahead((0, 0), small, M, "small").waiting, 1, "only the first of the other's");
    assert!(greedy.windows(2).all(|pair| pair[0] < pair[1]), "within a token who came first goes first");
}

#[test]
fn who_was_served_a_lot_has_the_next_turn_after_who_was_not() {
    let mut line = Line::default();
    for _ in 0..50 {
        let place = place(&mut line, 0, "a");
        line.serve(place, "a", 100);
    }
    let (a, b) = (hold(&mut line, "a", 1), hold(&mut line, "b", 2));
    assert!(b < a, "{a:?} {b:?}");
    assert!(a < place(&mut line, 0, "b"), "but it has nothing saved up from before it came");
}

#[test]
fn a_ticket_keeps_its_place_until_it_lapses() {
    let mut line = Line::default();
    let first = hold(&mut line, "a", 1);
    hold(&mut line, "a", 2);
    let back = Seeker { ticket: Some(1), ..seeker("a") };
    assert_eq!(line.place(0, &back), (first, true));
    line.sweep(6_499);
    assert_eq!(line.len(), 2);
    line.sweep(6_500);
    assert!(line.is_empty());
    let (Place::Fair { tag, .. }, Place::Fair { tag: paid, .. }) = (line.place(6_500, &back).0, first) else {
        panic!("{first:?}")
    };
    assert_eq!(tag, paid, "whoever did not come has paid nothing");
}

#[test]
fn who_was_told_to_come_back_goes_before_who_was_not() {
    let mut line = Line::default();
    let told: Vec<Place> = (0..3).map(|_| place(&mut line, 0, "greedy")).collect();
    for (at, due) in told.into_iter().zip([32_000, 30_000, 31_000]) {
        line.promise(0, at, &seeker("greedy"), due);
    }
    let new = hold(&mut line, "small", 1);
    let back: Vec<Place> = (0..3).map(|_| place(&mut line, 31_500, "greedy")).collect();
    assert!(back.is_sorted() && back.iter().all(|at| *at < new), "{back:?}");
    assert!(matches!(back[0], Place::Promised { due: 30_000, .. }));
}

#[test]
fn who_waits_is_not_refused_for_the_sake_of_who_is_later_than_it_can_wait() {
    let mut line = Line::default();
    let told = place(&mut line, 0, "a");
    line.promise(0, told, &seeker("a"), 30_000);
    let waits = hold(&mut line, "b", 1);
    let ahead = |now, left| line.ahead((now, now + left), waits, M, "b").waiting;
    assert_eq!(ahead(31_400, 5_000), 1, "late by 1.4 s");
    assert_eq!(ahead(31_400, 1_000), 0, "and who waits has only one left");
    assert_eq!(ahead(30_250, 10), 1, "hardly late at all");
    assert_eq!(ahead(31_600, 60_000), 0, "nobody is waited for any longer");
}

#[test]
fn what_was_promised_is_paid_for_once_and_not_at_all_if_nobody_comes() {
    let mut line = Line::default();
    let first = place(&mut line, 0, "a");
    line.promise(0, first, &seeker("a"), 10_000);
    let second = place(&mut line, 0, "a");
    assert!(second > place(&mut line, 0, "b"), "behind who has nothing promised");
    let back = place(&mut line, 10_000, "a");
    line.serve(back, "a", 100);
    let Place::Fair { tag, .. } = second else { panic!("{second:?}") };
    assert!(matches!(place(&mut line, 10_000, "a"), Place::Fair { tag: after, .. } if after == tag));
    let lapses = place(&mut line, 10_000, "b");
    line.promise(10_000, lapses, &seeker("b"), 20_000);
    line.sweep(60_000);
    let Place::Fair { tag, .. } = lapses else { panic!("{lapses:?}") };
    assert!(matches!(place(&mut line, 60_000, "b"), Place::Fair { tag: again, .. } if again == tag));
}

#[test]
fn requests_for_other_models_are_not_ahead() {
    let mut line = Line::default();
    hold(&mut line, "a", 1);
    let behind = Place::Fair { tag: u64::MAX, number: 0 };
    assert_eq!(line.ahead((0, 0), behind, 2, ""), Ahead::default());
    assert_eq!(line.ahead((0, 0), behind, 3, "").waiting, 1);
    let either = Seeker { models: 3, ..seeker("b") };
    let at = line.place(0, &either).0;
    line.hold(at, 2, &either, 5_000);
    assert_eq!(
        line.ahead((0, 0), behind, 2, "").part,
        0.5,
        "half of it, as it may be served by the other too"
    );
}

#[test]
fn the_line_is_bounded() {
    let mut line = Line::default();
    for n in 0..20_000 {
        let token = format!("t{n}");
        let at = place(&mut line, 0, &token);
        line.hold(at, n, &seeker(&token), 0);
        let at = place(&mut line, 0, &token);
        line.promise(0, at, &seeker(&token), 0);
    }
    assert!(line.len() <= PLACES && line.promises.len() <= PROMISES && line.tickets.len() <= PLACES);
    line.sweep(60_000);
    assert!(line.waiters.is_empty() && line.promises.len() == 0);
}
