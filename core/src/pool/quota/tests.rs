use super::*;
use crate::wire::headers::LimitReading;
use Counted::{Requests, Tokens, TotalTokens, UncachedTokens};
use Window::{Day, Minute};

impl Quota {
    /// Bytes that it holds beside itself.
    pub(in crate::pool) fn heap(&self) -> usize {
        self.meters.capacity() * size_of::<Meter>() + self.recent.heap()
    }
}

const T: u64 = 1_790_000_000_000;

fn said(what: Counted, limit: u64, remaining: u64) -> LimitReading {
    LimitReading { what, window: Minute, limit: Some(limit), remaining: Some(remaining), reset_ms: None }
}

fn read(quota: &mut Quota, at: u64, limits: &[LimitReading], own: u64, at_the_end: bool) -> Deviation {
    quota.read(at, at, limits, own, at_the_end)
}

fn level(quota: &Quota, what: Counted, now: u64) -> i64 {
    quota.meters.iter().find(|meter| meter.what == what).unwrap().bucket.level(now)
}

/// 60 requests and 60,000 tokens a minute, untouched.
fn known() -> Quota {
    let mut quota = Quota::default();
    read(&mut quota, T, &[said(Requests, 60, 60), said(Tokens, 60_000, 60_000)], 0, false);
    quota
}

#[test]
fn limits_are_learned_from_the_first_headers() {
    let mut quota = Quota::default();
    assert!(!quota.is_known() && quota.wants_learning());
    quota.reserve(T, T, 5_000);
    assert_eq!(quota.when(5_000), When::AfterOthers, "one request at a time until then");
    let day = LimitReading { window: Day, ..said(Requests, 14_400, 14_000) };
    let nameless = LimitReading { limit: None, ..said(UncachedTokens, 0, 5) };
    read(
        &mut quota,
        T + 200,
        &[said(Requests, 60, 58), said(Tokens, 60_000, 50_000), day, nameless],
        5_000,
        false,
    );
    assert_eq!(quota.meters.len(), 3, "what says no limit is not known yet");
    assert_eq!(level(&quota, Requests, T + 200), 58);
    assert_eq!(level(&quota, Tokens, T + 200), 50_000);
    assert!(matches!(quota.when(5_000), When::From(at) if at <= T));
    assert!(!quota.wants_learning());
}

#[test]
fn what_was_under_way_when_limits_are_first_seen_is_taken_off() {
    let mut quota = Quota::default();
    quota.reserve(T, T, 5_000);
    quota.reserve(T, T, 7_000);
    read(&mut quota, T + 100, &[said(Requests, 60, 59), said(Tokens, 60_000, 55_000)], 5_000, false);
    assert_eq!(level(&quota, Tokens, T + 100), 48_000, "the other may not have arrived yet");
    assert_eq!(level(&quota, Requests, T + 100), 58);
}

#[test]
fn a_larger_plan_is_learned_at_once_and_what_was_used_stays_used() {
    let mut quota = known();
    quota.reserve(T, T, 30_000);
    quota.settle(T + 10, 30_000, 30_000, 30_000, true);
    quota.close(30_000);
    read(&mut quota, T + 20, &[said(Requests, 600, 598), said(Tokens, 600_000, 570_000)], 0, false);
    assert!((570_000..=570_300).contains(&level(&quota, Tokens, T + 20)));
    assert!((598..=600).contains(&level(&quota, Requests, T + 20)));
}

#[test]
fn a_smaller_plan_is_learned_at_once() {
    let mut quota = known();
    quota.reserve(T, T, 30_000);
    quota.settle(T + 10, 30_000, 30_000, 30_000, true);
    quota.close(30_000);
    read(&mut quota, T + 20, &[said(Requests, 5, 4), said(Tokens, 10_000, 2_000)], 0, false);
    assert_eq!(level(&quota, Tokens, T + 20), 2_000, "less than nothing would be wrong: it says 2,000");
    assert_eq!(level(&quota, Requests, T + 20), 4);
}

#[test]
fn a_drop_that_nothing_here_explains_lowers_the_level_at_once() {
    let mut quota = known();
    read(&mut quota, T, &[said(Requests, 60, 40), said(Tokens, 60_000, 1_000)], 0, false);
    assert_eq!((level(&quota, Requests, T), level(&quota, Tokens, T)), (40, 1_000));
    let off = read(&mut quota, T, &[said(Requests, 60, 40), said(Tokens, 60_000, 1_000)], 0, false);
    assert_eq!((off.readings, off.millionths), (2, 0), "the second time the twin knows");
}

#[test]
fn how_far_off_the_twin_was_is_a_figure() {
    let mut quota = known();
    let off = read(&mut quota, T, &[said(Tokens, 60_000, 30_000)], 0, false);
    assert_eq!(off.readings, 1);
    assert!((499_000..=501_000).contains(&off.millionths), "half the limit: {}", off.millionths);
}

#[test]
fn a_reading_that_comes_late_does_not_undo_what_was_taken_since() {
    let mut quota = known();
    quota.reserve(T + 100, T + 100, 10_000);
    read(&mut quota, T + 50, &[said(Tokens, 60_000, 60_000)], 0, false);
    assert_eq!(level(&quota, Tokens, T + 100), 50_000);
    read(&mut quota, T + 50, &[said(Tokens, 60_000, 55_000)], 0, false);
    let left = level(&quota, Tokens, T + 100);
    assert!((45_000..=45_100).contains(&left), "5,000 less then, and 10,000 since: {left}");
}

#[test]
fn a_head_written_before_its_own_settlement_takes_nothing_off_twice() {
    let mut quota = known();
    quota.reserve(T, T, 10_000);
    quota.close(10_000);
    quota.settle(T + 1_000, 10_000, 2_000, 2_000, true);
    let before = level(&quota, Tokens, T + 1_000);
    read(&mut quota, T + 1_000, &[said(Tokens, 60_000, 51_000)], 0, true);
    assert_eq!(level(&quota, Tokens, T + 1_000), before, "it said what was there with the reservation");
    read(&mut quota, T + 1_000, &[said(Tokens, 60_000, 59_000)], 0, true);
    assert_eq!(level(&quota, Tokens, T + 1_000), before, "or without it");
}

#[test]
fn a_level_rises_once_all_that_a_reading_counts_has_been_reported() {
    let mut quota = known();
    let at = T + 10_000;
    quota.read(at, at, &[said(Tokens, 60_000, 60_000)], 0, false);
    quota.reserve(at + 1_000, at + 1_000, 10_000);
    quota.reserve(at + 1_000, at + 1_000, 10_000);
    quota.read(at + 2_000, at + 2_000, &[said(Tokens, 60_000, 55_000)], 10_000, false);
    assert_eq!(level(&quota, Tokens, at + 2_000), 41_000, "the other may have ended, or not arrived");
    quota.read(at + 4_000, at + 4_000, &[said(Tokens, 60_000, 57_000)], 10_000, false);
    let after = level(&quota, Tokens, at + 4_000);
    assert!((56_900..=57_000).contains(&after), "by now it would have been reported: {after}");
}

#[test]
fn a_bucket_without_headers_is_taken_for_abolished_after_three_answers() {
    let mut quota = known();
    for left in [2, 2, 1] {
        read(&mut quota, T, &[said(Requests, 60, 60)], 0, false);
        assert!(quota.meters.len() == left && quota.meters[0].what == Requests);
    }
}

#[test]
fn one_answer_without_a_bucket_says_nothing() {
    let mut quota = known();
    for _ in 0..10 {
        read(&mut quota, T, &[said(Requests, 60, 60)], 0, false);
        read(&mut quota, T, &[said(Requests, 60, 60), said(Tokens, 60_000, 60_000)], 0, false);
    }
    assert_eq!(quota.meters.len(), 2);
}

#[test]
fn answers_without_any_headers_leave_what_was_learned() {
    let mut quota = known();
    for _ in 0..10 {
        assert_eq!(read(&mut quota, T, &[], 0, false), Deviation::default());
    }
    assert!(quota.is_known() && !quota.silent);
}

#[test]
fn a_reset_that_agrees_with_what_remains_is_taken_to_the_millisecond() {
    let mut quota = Quota::default();
    read(&mut quota, T, &[said(Requests, 5, 5)], 0, false);
    let exact = LimitReading { reset_ms: Some(13_700), ..said(Requests, 5, 3) };
    read(&mut quota, T, &[exact], 0, false);
    assert_eq!(quota.meters[0].bucket.full_at(), T + 13_700, "between one and two requests are missing");
}

#[test]
fn a_reset_of_another_meaning_is_not_believed() {
    for reset in [0, 500, 47_000, 3_600_000] {
        let mut quota = Quota::default();
        read(&mut quota, T, &[said(Requests, 5, 5)], 0, false);
        read(&mut quota, T, &[LimitReading { reset_ms: Some(reset), ..said(Requests, 5, 3) }], 0, false);
        assert_eq!(
            quota.meters[0].bucket.level(T),
            3,
            "{reset}: until the window's end, or the next request"
        );
    }
}

#[test]
fn a_429_with_room_in_the_bucket_that_is_shown_reveals_one_for_all_tokens() {
    let mut quota = known();
    assert!(quota.refused(T, 10_000, Some(true), Some(Minute)));
    let hidden = quota.meters.iter().find(|meter| meter.what == TotalTokens).unwrap();
    assert!(hidden.inferred && hidden.bucket.limit() == 180_000 && hidden.bucket.level(T) == 0);
    quota.reserve(T, T, 10_000);
    quota.settle(T, 10_000, 10_000, 500, true);
    assert!(level(&quota, TotalTokens, T) < -9_000, "it counts what came from the cache too");
    let json = serde_json::to_string(&quota).unwrap();
    let mut again: Quota = serde_json::from_str(&json).unwrap();
    for _ in 0..5 {
        read(&mut again, T, &[said(Requests, 60, 60), said(Tokens, 60_000, 60_000)], 0, false);
    }
    assert_eq!(again.meters.len(), 3, "no header shows it, so its absence says nothing");
    read(&mut again, T, &[said(TotalTokens, 150_000, 1_000)], 0, false);
    let shown = again.meters.iter().find(|meter| meter.what == TotalTokens).unwrap();
    assert!(!shown.inferred && shown.bucket.limit() == 150_000, "what is said goes before what was inferred");
}

#[test]
fn a_429_of_an_empty_bucket_or_of_requests_reveals_nothing() {
    let mut quota = known();
    quota.reserve(T, T, 40_000);
    quota.refused(T, 10_000, Some(true), Some(Minute));
    let mut of_requests = known();
    of_requests.refused(T, 10_000, Some(false), Some(Minute));
    let mut of_the_day = known();
    of_the_day.refused(T, 10_000, Some(true), Some(Day));
    for quota in [quota, of_requests, of_the_day] {
        assert_eq!(quota.meters.len(), 2);
    }
}

#[test]
fn a_request_refused_by_full_buckets_is_too_large_and_smaller_ones_are_not() {
    let mut quota = known();
    quota.refused(T, 50_000, Some(true), Some(Minute));
    assert_eq!(quota.when(50_000), When::Never(60_000));
    assert_eq!(quota.when_behind(0, 0, 50_000), u64::MAX);
    assert!(matches!(quota.when(49_999), When::From(_)));
    read(&mut quota, T, &[said(Tokens, 600_000, 600_000)], 0, false);
    assert!(matches!(quota.when(50_000), When::From(_)), "not after a change of plan");
}

#[test]
fn without_evidence_a_request_larger_than_the_bucket_waits_until_that_is_full() {
    let mut quota = known();
    quota.reserve(T, T, 30_000);
    let When::From(at) = quota.when(90_000) else { panic!("not known to be too large") };
    assert!((T + 30_000..=T + 30_000 + 2 * MARGIN_MS).contains(&at), "{}", at - T);
}

#[test]
fn each_unforeseen_429_doubles_the_margin_and_many_successes_halve_it() {
    let mut quota = known();
    quota.reserve(T, T, 60_000);
    let margin = |quota: &Quota| {
        let When::From(at) = quota.when(1_000) else { panic!() };
        let exact = quota.meters.iter().map(|meter| meter.bucket.when(meter.cost(1_000)).unwrap()).max();
        at - exact.unwrap()
    };
    assert_eq!(margin(&quota), MARGIN_MS);
    let mut margins = Vec::new();
    for n in 1..7 {
        quota.refused(T + n, 1_000, None, None);
        margins.push(margin(&quota));
    }
    assert_eq!(margins, [240, 480, 960, 1_920, MARGIN_MAX_MS, MARGIN_MAX_MS]);
    quota.cool_until = T + 100;
    assert!(!quota.refused(T + 50, 1_000, None, None), "one that was to be expected");
    (0..MARGIN_TRUST).for_each(|_| quota.succeeded());
    quota.cool_until = 0;
    assert_eq!(margin(&quota), MARGIN_MAX_MS / 2);
}

#[test]
fn what_has_been_there_for_a_while_needs_no_margin() {
    assert!(matches!(known().when(60_000), When::From(at) if at <= T + MARGIN_MS));
}

#[test]
fn a_refund_does_not_overflow_before_a_grant_that_is_booked() {
    let mut quota = known();
    quota.reserve(T, T, 20_000);
    quota.reserve(T, T + 1_500, 55_000);
    quota.close(20_000);
    quota.settle(T + 10, 20_000, 0, 0, true);
    let left = level(&quota, Tokens, T + 1_500);
    assert!((4_990..=5_010).contains(&left), "no more than a full bucket less what is booked: {left}");
}

#[test]
fn refunds_are_not_lost_while_one_grant_after_the_other_is_booked() {
    let mut quota = known();
    quota.reserve(T, T, 50_000);
    for n in 0..100 {
        let now = T + n * 100;
        quota.reserve(now, now + 500, 1_000);
        if n >= 5 {
            quota.close(1_000);
            quota.settle(now, 1_000, 100, 100, true);
        }
    }
    // 50,000 and 95 times 100 are used, five times 1,000 under way, and in ten seconds 10,000 came back.
    let left = level(&quota, Tokens, T + 9_900);
    assert!((5_000..=5_500).contains(&left), "{left}");
}

#[test]
fn an_unused_grant_gives_all_back() {
    let mut quota = known();
    quota.reserve(T, T, 20_000);
    quota.close(20_000);
    quota.settle(T, 20_000, 0, 0, false);
    assert_eq!((level(&quota, Requests, T), level(&quota, Tokens, T)), (60, 60_000));
    assert!(quota.is_idle(T));
}

#[test]
fn an_answer_larger_than_reserved_is_taken_off() {
    let mut quota = known();
    quota.reserve(T, T, 1_000);
    quota.settle(T, 1_000, 9_000, 9_000, true);
    assert_eq!(level(&quota, Tokens, T), 51_000);
}

#[test]
fn cached_tokens_count_only_where_all_tokens_do() {
    let mut quota = Quota::default();
    let day = LimitReading { window: Day, ..said(Tokens, 1_000_000, 1_000_000) };
    read(
        &mut quota,
        T,
        &[said(UncachedTokens, 60_000, 60_000), said(TotalTokens, 180_000, 180_000), day],
        0,
        false,
    );
    quota.reserve(T, T, 10_000);
    quota.settle(T, 10_000, 8_000, 1_000, true);
    assert_eq!(level(&quota, UncachedTokens, T), 59_000);
    assert!((171_999..=172_000).contains(&level(&quota, TotalTokens, T)));
    assert!((991_999..=992_000).contains(&level(&quota, Tokens, T)));
}

#[test]
fn the_operators_figures_stand_whatever_headers_say() {
    let mut quota = known();
    quota.fix(T, &[(Requests, Minute, 10), (Tokens, Day, 500)]);
    assert_eq!(quota.meters.len(), 3);
    for _ in 0..5 {
        read(&mut quota, T, &[said(Requests, 60, 60), said(Tokens, 60_000, 60_000)], 0, false);
    }
    assert_eq!(quota.meters.iter().find(|meter| meter.fixed).unwrap().bucket.limit(), 10);
    assert_eq!(quota.meters.len(), 3, "the one that no header shows stays too");
    quota.fix(T, &[]);
    for _ in 0..5 {
        read(&mut quota, T, &[said(Requests, 60, 60), said(Tokens, 60_000, 60_000)], 0, false);
    }
    assert_eq!(quota.meters.len(), 2, "once it is taken back the headers count again");
    assert_eq!(quota.meters.iter().find(|meter| meter.what == Requests).unwrap().bucket.limit(), 60);
}

#[test]
fn a_figure_that_changes_keeps_what_was_used() {
    let mut quota = Quota::default();
    quota.fix(T, &[(Requests, Minute, 60)]);
    (0..30).for_each(|_| quota.reserve(T, T, 1));
    quota.fix(T, &[(Requests, Minute, 40)]);
    assert_eq!(level(&quota, Requests, T), 10);
    quota.fix(T, &[(Requests, Minute, 600)]);
    assert_eq!(level(&quota, Requests, T), 570);
}

#[test]
fn what_is_persisted_decides_as_before() {
    let mut quota = known();
    quota.reserve(T, T, 40_000);
    quota.refused(T, 30_000, None, None);
    read(
        &mut quota,
        T,
        &[LimitReading { reset_ms: Some(41_234), ..said(Tokens, 60_000, 18_766) }],
        40_000,
        false,
    );
    let again: Quota = serde_json::from_str(&serde_json::to_string(&quota).unwrap()).unwrap();
    for tokens in [1, 1_000, 30_000, 60_000, 90_000] {
        assert_eq!(quota.when(tokens), again.when(tokens));
    }
}

#[test]
fn a_token_429_says_nothing_of_size_while_no_such_bucket_is_known() {
    let mut of_requests = Quota::default();
    read(&mut of_requests, T, &[said(Requests, 60, 60)], 0, false);
    of_requests.refused(T, 5_000, Some(true), Some(Minute));
    assert!(matches!(of_requests.when(5_000), When::From(_)), "{:?}", of_requests.refused_from);
    let mut of_minutes = known();
    of_minutes.refused(T, 40_000, Some(true), Some(Day));
    assert!(
        matches!(of_minutes.when(40_000), When::From(_)),
        "it was the day: {:?}",
        of_minutes.refused_from
    );
}

#[test]
fn a_huge_limit_that_becomes_a_small_one_does_no_harm() {
    let mut quota = known();
    read(&mut quota, T, &[said(Tokens, u64::MAX / 4, 5)], 0, false);
    read(&mut quota, T, &[said(Tokens, 60_000, 30_000)], 0, false);
    assert_eq!(level(&quota, Tokens, T), 30_000);
}

#[test]
fn readings_of_nonsense_do_no_harm() {
    let mut quota = known();
    let nonsense = |limit, remaining, reset_ms| LimitReading {
        what: Tokens,
        window: Minute,
        limit,
        remaining,
        reset_ms,
    };
    for reading in [
        nonsense(Some(0), Some(0), Some(0)),
        nonsense(Some(1 << 40), Some(5), Some(1 << 40)),
        nonsense(Some(10), Some(1 << 40), None),
        nonsense(None, Some(3), None),
        nonsense(None, None, Some(3)),
    ] {
        read(&mut quota, T, &[reading], 0, false);
        quota.reserve(T, T, 100);
        quota.close(100);
        quota.settle(T, 100, 50, 50, true);
    }
    read(&mut quota, T + 5, &[said(Tokens, 60_000, 30_000)], 0, false);
    let left = level(&quota, Tokens, T + 5);
    assert!((29_000..=30_000).contains(&left), "a sane reading puts it right: {left}");
}
