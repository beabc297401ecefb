use super::*;
use crate::config::rfc3339;
use crate::pool::protocol::Left;
use proptest::prelude::*;

const T: u64 = 1_790_000_000_000;
const DAY: u64 = 86_400_000;

fn token(limits: TokenLimits) -> Token {
    Token {
        id: "t".into(),
        digest: String::new(),
        name: String::new(),
        enabled: true,
        expires_at: None,
        models: None,
        limits,
        metrics: false,
    }
}

fn at(text: &str) -> u64 {
    rfc3339::parse(text).unwrap()
}

fn none() -> TokenLimits {
    TokenLimits::default()
}

/// Check and take in one.
fn ask(tenants: &mut Tenants, now: u64, token: &Token, tokens: u64) -> Result<Taken, Wait> {
    tenants.check(now, token, tokens, true)?;
    Ok(tenants.take(now, token, tokens, true))
}

fn wait(after_ms: u64) -> Wait {
    Wait { after_ms, concurrency: false }
}

const HELD_UP: Wait = Wait { after_ms: 0, concurrency: true };

#[test]
fn a_hundred_asks_at_once_on_ten_a_minute_give_ten() {
    let ten = token(TokenLimits { requests_per_minute: Some(10), ..none() });
    let mut tenants = Tenants::default();
    let given = (0..100).filter(|_| ask(&mut tenants, T, &ten, 100).is_ok()).count();
    assert_eq!(given, 10);
    assert_eq!(tenants.check(T, &ten, 100, true), Err(wait(6_000)));
    assert_eq!(tenants.check(T + 5_999, &ten, 100, true), Err(wait(1)));
    assert!(ask(&mut tenants, T + 6_000, &ten, 100).is_ok());
    assert!(tenants.check(T + 6_000, &ten, 100, true).is_err());
}

#[test]
fn a_further_attempt_is_not_another_request() {
    let one = token(TokenLimits { requests_per_minute: Some(1), tokens_per_minute: Some(1_000), ..none() });
    let mut tenants = Tenants::default();
    let first = ask(&mut tenants, T, &one, 600).unwrap();
    tenants.settle(T, "t", &one.limits, Some(&first), 0);
    assert_eq!(tenants.check(T, &one, 600, true), Err(wait(60_000)));
    assert_eq!(tenants.check(T, &one, 600, false), Ok(()));
    let second = tenants.take(T, &one, 600, false);
    tenants.give_back(T, "t", &one.limits, &second);
    let allowance = tenants.allowance(T, &one).unwrap();
    assert_eq!(allowance.requests_minute, Some(Left { limit: 1, remaining: 0, reset_ms: 60_000 }));
    assert_eq!(allowance.tokens_minute, Some(Left { limit: 1_000, remaining: 1_000, reset_ms: 0 }));
}

#[test]
fn an_unused_grant_gives_everything_back() {
    let all = TokenLimits {
        requests_per_minute: Some(5),
        tokens_per_minute: Some(1_000),
        tokens_per_day: Some(2_000),
        tokens_per_month: Some(3_000),
        max_concurrent: Some(1),
    };
    let (mut tenants, all) = (Tenants::default(), token(all));
    let whole = tenants.allowance(T, &all);
    let taken = ask(&mut tenants, T, &all, 700).unwrap();
    let left = tenants.allowance(T, &all).unwrap();
    let remaining = [left.requests_minute, left.tokens_minute, left.tokens_day, left.tokens_month];
    assert_eq!(remaining.map(|left| left.unwrap().remaining), [4, 300, 1_300, 2_300]);
    assert!(tenants.check(T, &all, 1, true).unwrap_err().concurrency);
    tenants.give_back(T + 10, "t", &all.limits, &taken);
    assert_eq!(tenants.allowance(T, &all), whole);
    assert_eq!(tenants.check(T + 10, &all, 1_000, true), Ok(()));
}

#[test]
fn a_request_larger_than_the_minute_waits_for_a_full_bucket() {
    let small = token(TokenLimits { tokens_per_minute: Some(1_000), ..none() });
    let mut tenants = Tenants::default();
    let taken = ask(&mut tenants, T, &small, 50_000).unwrap();
    assert_eq!(tenants.check(T, &small, 50_000, true), Err(wait(60_000)));
    tenants.settle(T, "t", &small.limits, Some(&taken), 400);
    assert_eq!(tenants.check(T, &small, 50_000, true), Err(wait(24_000)));
    assert_eq!(tenants.check(T, &small, 600, true), Ok(()));
}

#[test]
fn use_beyond_the_reservation_is_waited_off() {
    let small = token(TokenLimits { tokens_per_minute: Some(1_000), ..none() });
    let mut tenants = Tenants::default();
    let taken = ask(&mut tenants, T, &small, 1_000).unwrap();
    tenants.settle(T, "t", &small.limits, Some(&taken), 3_000);
    assert_eq!(tenants.check(T, &small, 1_000, true), Err(wait(180_000)));
    tenants.settle(T, "t", &small.limits, None, u64::MAX);
    assert!(tenants.check(T, &small, 1, true).unwrap_err().after_ms <= DAY + 60_000);
}

#[test]
fn time_and_refund_do_not_both_refill_the_same_tokens() {
    let small = token(TokenLimits { tokens_per_minute: Some(1_000), ..none() });
    let mut tenants = Tenants::default();
    let long = ask(&mut tenants, T, &small, 1_000).unwrap();
    ask(&mut tenants, T + 60_000, &small, 1_000).unwrap();
    tenants.settle(T + 60_000, "t", &small.limits, Some(&long), 0);
    assert_eq!(tenants.check(T + 60_000, &small, 500, true), Err(wait(30_000)));
}

#[test]
fn days_and_months_end_in_utc() {
    let (day, month) = (Some(1_000), Some(1_500));
    let capped = token(TokenLimits { tokens_per_day: day, tokens_per_month: month, ..none() });
    let mut tenants = Tenants::default();
    let evening = at("2028-02-28T23:00:00Z");
    let taken = ask(&mut tenants, evening, &capped, 1_000).unwrap();
    tenants.settle(evening, "t", &capped.limits, Some(&taken), 1_000);
    assert_eq!(tenants.check(evening, &capped, 1, true), Err(wait(3_600_000)));
    let midnight = at("2028-02-29T00:00:00Z");
    let taken = ask(&mut tenants, midnight, &capped, 500).unwrap();
    tenants.settle(midnight, "t", &capped.limits, Some(&taken), 500);
    assert_eq!(tenants.check(midnight, &capped, 1, true), Err(wait(DAY)), "the month is used up");
    assert_eq!(tenants.check(midnight + DAY, &capped, 1_000, true), Ok(()));
    let left = tenants.allowance(midnight + DAY, &capped).unwrap();
    assert_eq!(left.tokens_month, Some(Left { limit: 1_500, remaining: 1_500, reset_ms: 31 * DAY }));
}

#[test]
fn what_is_reserved_over_midnight_is_used_in_the_new_day() {
    let capped = token(TokenLimits { tokens_per_day: Some(1_000), ..none() });
    let mut tenants = Tenants::default();
    let midnight = at("2027-01-01T00:00:00Z");
    let taken = ask(&mut tenants, midnight - 1, &capped, 800).unwrap();
    assert_eq!(tenants.check(midnight, &capped, 300, true), Err(HELD_UP));
    tenants.settle(midnight + 1, "t", &capped.limits, Some(&taken), 500);
    assert_eq!(tenants.allowance(midnight + 1, &capped).unwrap().tokens_day.unwrap().remaining, 500);
}

#[test]
fn a_day_reserved_by_requests_under_way_is_no_reason_to_wait_for_tomorrow() {
    let capped = token(TokenLimits { tokens_per_day: Some(40_000), ..none() });
    let mut tenants = Tenants::default();
    let taken = [(); 2].map(|()| ask(&mut tenants, T, &capped, 17_000).unwrap());
    assert_eq!(tenants.check(T, &capped, 17_000, true), Err(HELD_UP));
    tenants.settle(T, "t", &capped.limits, Some(&taken[0]), 300);
    assert_eq!(tenants.check(T, &capped, 17_000, true), Ok(()));
}

#[test]
fn concurrency_counts_grants_until_they_end_or_lapse() {
    let two = token(TokenLimits { max_concurrent: Some(2), tokens_per_day: Some(10_000), ..none() });
    let mut tenants = Tenants::default();
    let first = ask(&mut tenants, T, &two, 10).unwrap();
    let second = ask(&mut tenants, T, &two, 20).unwrap();
    assert_eq!(tenants.check(T, &two, 1, true), Err(HELD_UP));
    tenants.lapse(T, "t", &two.limits, &first);
    assert_eq!(tenants.check(T, &two, 1, true), Ok(()));
    tenants.settle(T, "t", &two.limits, Some(&second), 5);
    let day = tenants.allowance(T, &two).unwrap().tokens_day.unwrap();
    assert_eq!(day.remaining, 10_000 - 10 - 5, "what lapsed stays counted");
}

#[test]
fn a_clock_set_back_neither_gives_nor_takes_a_day() {
    let capped = TokenLimits { requests_per_minute: Some(6), tokens_per_day: Some(1_000), ..none() };
    let (mut tenants, capped) = (Tenants::default(), token(capped));
    let midnight = at("2027-05-02T00:00:00Z");
    let taken = ask(&mut tenants, midnight + 2_000, &capped, 1_000).unwrap();
    tenants.settle(midnight + 2_000, "t", &capped.limits, Some(&taken), 1_000);
    let back = midnight - 5_000;
    assert_eq!(tenants.check(back, &capped, 1, true), Err(wait(DAY + 5_000)));
    let far_back = midnight - 10 * DAY - 1_000;
    assert_eq!(tenants.check(far_back, &capped, 1, true), Err(wait(1_000)));
    let requests = tenants.allowance(far_back, &capped).unwrap().requests_minute.unwrap();
    assert_eq!((requests.remaining, requests.reset_ms), (5, 10_000));
}

#[test]
fn another_limit_counts_what_was_used_before() {
    let mut some = token(TokenLimits { tokens_per_minute: Some(1_000), max_concurrent: Some(9), ..none() });
    let mut tenants = Tenants::default();
    let taken = ask(&mut tenants, T, &some, 900).unwrap();
    tenants.settle(T, "t", &some.limits, Some(&taken), 900);
    some.limits = TokenLimits { tokens_per_minute: Some(2_000), tokens_per_month: Some(1_000), ..none() };
    let left = tenants.allowance(T, &some).unwrap();
    assert_eq!(left.tokens_minute.unwrap().remaining, 1_100);
    assert_eq!(left.tokens_month.unwrap().remaining, 100);
}

#[test]
fn tokens_without_limits_take_no_room() {
    let free = token(none());
    let mut tenants = Tenants::default();
    let taken = ask(&mut tenants, T, &free, 5).unwrap();
    tenants.settle(T, "t", &free.limits, Some(&taken), 5);
    assert!(tenants.tokens.is_empty() && !tenants.is_dirty());
    assert_eq!(tenants.allowance(T, &free), None);
}

#[test]
fn changed_states_are_named_once_and_forgotten_ones_have_none() {
    let some = token(TokenLimits { max_concurrent: Some(9), ..none() });
    let mut tenants = Tenants::default();
    let taken = ask(&mut tenants, T, &some, 1).unwrap();
    assert_eq!(tenants.take_dirty(), ["t"]);
    assert!(!tenants.is_dirty());
    tenants.settle(T, "t", &some.limits, Some(&taken), 1);
    tenants.forget("t");
    assert_eq!((tenants.take_dirty(), tenants.state("t")), (vec!["t".to_owned()], None));
}

#[test]
fn the_stored_form_is_this_one() {
    let (requests, tokens) = (Some(60), Some(6_000));
    let limits = TokenLimits { requests_per_minute: requests, tokens_per_minute: tokens, ..none() };
    let (mut tenants, some) = (Tenants::default(), token(limits));
    ask(&mut tenants, T, &some, 600).unwrap();
    let json = concat!(
        r#"{"q":{"b":{"l":60,"w":60000,"f":1790000001000000},"f":1790000000000},"#,
        r#""t":{"b":{"l":6000,"w":60000,"f":1790000006000000},"f":1790000000000},"#,
        r#""d":{"f":1789948800000,"e":1790035200000,"u":0,"r":600},"#,
        r#""m":{"f":1788220800000,"e":1790812800000,"u":0,"r":600},"o":1,"a":1790000000000}"#
    );
    assert_eq!(tenants.state("t").as_deref(), Some(json));
    for text in ["", "{}", "[]", r#"{"q":7}"#, r#"{"q":{"b":{"l":0,"w":0,"f":18446744073709551615}}}"#] {
        let mut other = Tenants::default();
        other.restore("t", text);
        assert_eq!(other.check(T, &some, 1, true), Ok(()), "{text}");
    }
}

#[test]
fn reservations_of_before_a_restart_hold_until_their_reports_come_or_none_can() {
    let capped = token(TokenLimits { tokens_per_day: Some(1_000), ..none() });
    let mut before = Tenants::default();
    ask(&mut before, T, &capped, 300).unwrap();
    ask(&mut before, T, &capped, 500).unwrap();
    let mut tenants = Tenants::default();
    tenants.restore("t", &before.state("t").unwrap());
    assert_eq!(tenants.check(T, &capped, 300, true), Err(HELD_UP));
    tenants.settle(T, "t", &capped.limits, None, 50);
    // A second restart while the other report is still out.
    let json = tenants.state("t").unwrap();
    let mut tenants = Tenants::default();
    tenants.restore("t", &json);
    let remaining =
        |tenants: &Tenants, now| tenants.allowance(now, &capped).unwrap().tokens_day.unwrap().remaining;
    assert_eq!(remaining(&tenants, T), 1_000 - 50 - 400);
    let lapsed = T + 20 * 60_000;
    assert_eq!(tenants.check(lapsed, &capped, 600, true), Err(wait(DAY - lapsed % DAY)));
    tenants.settle(T, "t", &capped.limits, None, 60);
    assert_eq!(remaining(&tenants, T), 1_000 - 50 - 60);
}

#[test]
fn addresses_have_a_limit_each() {
    let mut tenants = Tenants::default();
    for _ in 0..3 {
        assert_eq!(tenants.address_check(T, "192.0.2.1", 3), Ok(()));
        tenants.address_take(T, "192.0.2.1", 3);
    }
    assert_eq!(tenants.address_check(T, "192.0.2.1", 3), Err(20_000));
    assert_eq!(tenants.address_check(T, "192.0.2.2", 3), Ok(()));
    assert_eq!(tenants.address_check(T - DAY, "192.0.2.1", 3), Err(60_000));
    tenants.address_give_back("192.0.2.1");
    assert_eq!(tenants.address_check(T, "192.0.2.1", 3), Ok(()));
}

#[test]
fn a_flood_of_addresses_does_not_make_the_greedy_one_forgotten() {
    let mut tenants = Tenants::default();
    for _ in 0..60 {
        tenants.address_take(T, "greedy", 60);
    }
    for n in 0..50_000 {
        tenants.address_take(T + n / 1_000, &n.to_string(), 60);
        assert!(tenants.addresses.len() <= ADDRESSES_KEPT);
    }
    assert!(tenants.address_check(T + 50, "greedy", 60).is_err());
}

#[test]
fn idle_tokens_are_forgotten_before_busy_ones() {
    let (requests, concurrent) = (Some(1), Some(5));
    let limits = TokenLimits { requests_per_minute: requests, max_concurrent: concurrent, ..none() };
    let mut some = token(limits);
    let mut tenants = Tenants::default();
    some.id = "busy".into();
    ask(&mut tenants, T, &some, 1).unwrap();
    for n in 0..TOKENS_KEPT as u64 + 5_000 {
        some.id = n.to_string();
        let taken = ask(&mut tenants, T + n, &some, 1).unwrap();
        tenants.settle(T + n, &some.id, &some.limits, Some(&taken), 1);
        assert!(tenants.tokens.len() <= TOKENS_KEPT);
    }
    assert!(tenants.tokens.contains_key("busy"));
    assert!(tenants.tokens.contains_key(&some.id));
    assert!(!tenants.tokens.contains_key("0"));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u64),
    Settle(usize, u64),
    GiveBack(usize),
    Lapse(usize),
    Pause(u64),
    Back(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..3_000).prop_map(Step::Ask),
        3 => (any::<usize>(), 0_u64..4_000).prop_map(|(which, used)| Step::Settle(which, used)),
        1 => any::<usize>().prop_map(Step::GiveBack),
        1 => any::<usize>().prop_map(Step::Lapse),
        4 => (0_u64..20_000).prop_map(Step::Pause),
        1 => (0_u64..5_000).prop_map(Step::Back),
    ]
}

/// One random course of a token; what was granted, net of what came back, is kept beside it.
struct Course {
    tenants: Tenants,
    token: Token,
    now: u64,
    earliest: u64,
    latest: u64,
    open: Vec<Taken>,
    asked_at: Vec<u64>,
    requests: i64,
    minute: i64,
    counted: u64,
}

impl Course {
    fn new(limits: TokenLimits) -> Self {
        let noon = T - T % DAY + DAY / 2;
        Self {
            tenants: Tenants::default(),
            token: token(limits),
            now: noon,
            earliest: noon,
            latest: noon,
            open: Vec::new(),
            asked_at: Vec::new(),
            requests: 0,
            minute: 0,
            counted: 0,
        }
    }

    fn go(&mut self, step: Step) {
        let limits = self.token.limits;
        let minute = limits.tokens_per_minute.unwrap_or(u64::MAX);
        let mut pick =
            |which: usize| (!self.open.is_empty()).then(|| self.open.swap_remove(which % self.open.len()));
        match step {
            Step::Ask(tokens) => {
                if let Ok(taken) = ask(&mut self.tenants, self.now, &self.token, tokens) {
                    self.open.push(taken);
                    self.asked_at.push(self.now);
                    self.requests += 1;
                    self.minute += taken.tokens.min(minute) as i64;
                }
            }
            Step::Settle(which, used) => {
                if let Some(taken) = pick(which) {
                    // True use within the reservation: overruns are another test's.
                    let day = limits.tokens_per_day.unwrap_or(u64::MAX);
                    let used = used.min(taken.tokens).min(minute).min(day);
                    self.tenants.settle(self.now, "t", &limits, Some(&taken), used);
                    self.minute -= (taken.tokens.min(minute) - used) as i64;
                    self.counted += used;
                }
            }
            Step::GiveBack(which) => {
                if let Some(taken) = pick(which) {
                    self.tenants.give_back(self.now, "t", &limits, &taken);
                    self.requests -= 1;
                    self.minute -= taken.tokens.min(minute) as i64;
                }
            }
            Step::Lapse(which) => {
                if let Some(taken) = pick(which) {
                    self.tenants.lapse(self.now, "t", &limits, &taken);
                    self.counted += taken.tokens.min(limits.tokens_per_day.unwrap_or(u64::MAX));
                }
            }
            Step::Pause(ms) => self.now += ms,
            Step::Back(ms) => self.now = (self.now - ms).max(self.latest - 50_000),
        }
        self.latest = self.latest.max(self.now);
        self.earliest = self.earliest.min(self.now);
    }
}

proptest! {
    #[test]
    fn no_course_of_events_grants_beyond_the_limits(
        steps in prop::collection::vec(step(), 1..300), rpm in 1_u64..20, tpm in 500_u64..6_000,
        day in 1_000_u64..60_000, concurrent in 1_u64..8,
    ) {
        let mut course = Course::new(TokenLimits {
            requests_per_minute: Some(rpm),
            tokens_per_minute: Some(tpm),
            tokens_per_day: Some(day),
            tokens_per_month: None,
            max_concurrent: Some(concurrent),
        });
        for step in steps {
            course.go(step);
            let passed = course.latest - course.earliest;
            let refill = |limit: u64| limit * passed / MINUTE;
            prop_assert!(course.requests <= (rpm + refill(rpm)) as i64);
            prop_assert!(course.minute <= (tpm + refill(tpm)) as i64);
            prop_assert!(course.open.len() as u64 <= concurrent);
            let reserved: u64 = course.open.iter().map(|taken| taken.tokens.min(day)).sum();
            prop_assert!(course.counted + reserved <= day, "{} and {reserved} of {day}", course.counted);
            let allowance = course.tenants.allowance(course.now, &course.token).unwrap();
            prop_assert_eq!(allowance.tokens_day.unwrap().remaining, day - course.counted - reserved);
            if let Err(wait) = course.tenants.check(course.now, &course.token, 1, true) {
                prop_assert!(wait.after_ms <= DAY);
            }
        }
        // Everything ends: what was not used is there again.
        while let Some(taken) = course.open.pop() {
            course.tenants.lapse(course.latest, "t", &course.token.limits, &taken);
        }
        let later = T - T % DAY + DAY;
        prop_assert!(later > course.latest + 2 * MINUTE);
        let left = course.tenants.allowance(later, &course.token).unwrap();
        prop_assert_eq!(left.requests_minute.unwrap().remaining, rpm);
        prop_assert_eq!(left.tokens_minute.unwrap().remaining, tpm);
        prop_assert_eq!(left.tokens_day.unwrap().remaining, day);
        prop_assert_eq!(course.tenants.check(later, &course.token, u64::MAX, true), Ok(()));
    }

    #[test]
    fn in_no_stretch_of_time_are_there_more_requests_than_limit_and_refill(
        steps in prop::collection::vec(step(), 1..300), rpm in 1_u64..20,
    ) {
        let mut course = Course::new(TokenLimits { requests_per_minute: Some(rpm), ..none() });
        for step in steps {
            if !matches!(step, Step::GiveBack(_) | Step::Back(_)) {
                course.go(step);
            }
        }
        for (from, begun) in course.asked_at.iter().enumerate() {
            for (to, ended) in course.asked_at.iter().enumerate().skip(from) {
                let most = rpm + rpm * (ended - begun) / MINUTE;
                prop_assert!(((to - from) as u64) < most);
            }
        }
    }

    #[test]
    fn a_restored_state_decides_the_same(
        steps in prop::collection::vec(step(), 1..100),
        asks in prop::collection::vec((0_u64..60_000, 1_u64..8_000), 1..40),
    ) {
        let mut course = Course::new(TokenLimits {
            requests_per_minute: Some(7),
            tokens_per_minute: Some(3_000),
            tokens_per_day: Some(30_000),
            tokens_per_month: Some(90_000),
            max_concurrent: None,
        });
        steps.into_iter().for_each(|step| course.go(step));
        let mut again = Tenants::default();
        again.restore("t", &course.tenants.state("t").unwrap_or_default());
        for (pause, tokens) in asks {
            course.now += pause;
            prop_assert_eq!(
                course.tenants.allowance(course.now, &course.token), again.allowance(course.now, &course.token)
            );
            let was = ask(&mut course.tenants, course.now, &course.token, tokens);
            prop_assert_eq!(was, ask(&mut again, course.now, &course.token, tokens));
        }
    }
}

impl Tenants {
    /// How many tokens and addresses are held.
    pub(in crate::pool) fn sizes(&self) -> (usize, usize) {
        (self.tokens.len(), self.addresses.len())
    }
}
