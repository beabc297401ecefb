use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

const T: u64 = 1_000_000;
const SMALL: Size = Size { prompt_tokens: 300, max_completion_tokens: None };

fn need(size: Size) -> Need<'static> {
    Need { model: Some("m"), allowed: None, size }
}

fn grant(id: u64) -> Grant {
    Grant {
        id,
        key: format!("k{}", id % 3),
        sealed: String::new(),
        provider: "cerebras".into(),
        base_url: None,
        model: "m".into(),
        delay_ms: 0,
        reserved: 0,
        learn: false,
    }
}

fn grants(ids: std::ops::Range<u64>) -> Vec<Grant> {
    ids.map(grant).collect()
}

fn ids(grants: &[Grant]) -> Vec<u64> {
    let mut ids: Vec<u64> = grants.iter().map(|grant| grant.id).collect();
    ids.sort_unstable();
    ids
}

/// Leases of a kind that was asked for `count` times in the second before [`T`], and the last of the turns.
fn busy(count: u64) -> (Leases, Turn) {
    let mut leases = Leases::default();
    let mut turn = leases.take(&need(SMALL), T - 999, 0, T - 999);
    for n in 1..count {
        turn = leases.take(&need(SMALL), T - 999 + n * 999 / count, 0, T - 999);
    }
    (leases, turn)
}

#[test]
fn a_lone_request_takes_no_lease() {
    let mut leases = Leases::default();
    for n in 0..50 {
        let turn = leases.take(&need(SMALL), T + n * 250, 0, T + n * 250);
        assert_eq!((turn.grant, turn.ask), (None, 1));
    }
}

#[test]
fn a_busy_isolate_asks_for_what_it_uses_in_a_second_and_no_more_than_an_ask_may_bring() {
    let (mut leases, turn) = busy(9);
    assert_eq!(turn.ask, 1);
    assert_eq!(leases.take(&need(SMALL), T, 0, T).ask, 10);
    let (mut leases, turn) = busy(500);
    assert_eq!(turn.ask, 1, "somebody has asked already");
    leases.add(turn.kind, SMALL, (0, 0), [], T, T);
    assert_eq!(leases.take(&need(SMALL), T + 249, 0, T).ask, 1, "an ask in vain is not repeated at once");
    let ask = leases.take(&need(SMALL), T + 250, 0, T).ask;
    assert_eq!(u64::from(ask), GRANTS_PER_ASK as u64);
}

#[test]
fn an_ask_for_a_lease_that_is_never_heard_of_is_made_again() {
    let (mut leases, _) = busy(30);
    let asks: Vec<u32> = (0..400).map(|n| leases.take(&need(SMALL), T + 10 * n, 0, 0).ask).collect();
    let large: Vec<usize> = (0..400).filter(|n| asks[*n] > 1).collect();
    assert!(large.len() >= 2, "{large:?}");
    assert!(large.windows(2).all(|pair| pair[1] - pair[0] >= 150), "one at a time: {large:?}");
}

#[test]
fn a_lease_is_spent_oldest_first_and_asked_for_again_before_it_is_empty() {
    let (mut leases, turn) = busy(100);
    leases.add(turn.kind, SMALL.rounded(), (0, 0), grants(0..40), T, T);
    let mut refills = Vec::new();
    for n in 0..40 {
        let turn = leases.take(&need(SMALL), T, 0, T);
        assert_eq!(turn.grant.map(|grant| grant.id), Some(n));
        if turn.ask > 0 {
            refills.push(n);
        }
    }
    assert_eq!(refills.len(), 1, "one refill is under way at a time");
    assert!(refills[0] > 20 && refills[0] < 38, "{refills:?}");
    assert!(leases.is_empty());
}

#[test]
fn what_does_not_fit_asks_for_itself() {
    let large = Size { prompt_tokens: 5_000, max_completion_tokens: None };
    let short = Size { prompt_tokens: 900, max_completion_tokens: Some(100) };
    let (mut leases, turn) = busy(20);
    let asked = Size { prompt_tokens: 1_000, max_completion_tokens: Some(90) }.rounded();
    assert_eq!(asked, Size { prompt_tokens: 1_024, max_completion_tokens: Some(128) });
    let reserved = 1_500;
    let lease = grants(0..3).into_iter().map(|grant| Grant { reserved, ..grant });
    leases.add(turn.kind, asked, (0, 0), lease, T, T);
    assert_eq!(leases.take(&need(large), T, 0, T).grant, None);
    assert_eq!(leases.take(&need(SMALL), T, 0, T).grant, None, "its answer may be long");
    assert!(leases.take(&need(short), T, 0, T).grant.is_some());
    let other = Need { model: Some("n"), allowed: None, size: short };
    assert_eq!(leases.take(&other, T, 0, T).grant, None);
    let list = ["m".to_owned()];
    let limited = Need { model: Some("m"), allowed: Some(&list), size: short };
    assert_eq!(leases.take(&limited, T, 0, T).grant, None, "other rights");
    let fits = Size { prompt_tokens: 1_300, max_completion_tokens: Some(200) };
    assert!(leases.take(&need(fits), T, 0, T).grant.is_some(), "all that is reserved may be used");
}

#[test]
fn what_is_no_larger_than_asked_for_fits_though_less_was_reserved() {
    let (mut leases, turn) = busy(20);
    // The Coordinator found that this model's prompts are shorter than estimated.
    let lease = [Grant { reserved: 600 + DEFAULT_COMPLETION_TOKENS, ..grant(1) }];
    leases.add(turn.kind, SMALL.rounded(), (0, 0), lease, T, T);
    let size = Size { prompt_tokens: 1_024, ..SMALL };
    assert!(leases.take(&need(size), T, 0, T).grant.is_some());
}

#[test]
fn no_grant_is_used_after_its_time_nor_without_a_recent_confirmation() {
    let (mut leases, turn) = busy(20);
    leases.add(turn.kind, SMALL, (0, 0), grants(0..2), T, T + 20);
    assert_eq!(leases.take(&need(SMALL), T + 4_751, 0, T + 4_751).grant, None);
    assert_eq!(leases.take(&need(SMALL), T + 4_750, 0, T - 250).grant, None, "confirmed 5 s ago");
    assert!(leases.take(&need(SMALL), T + 4_750, 0, T - 249).grant.is_some());
    leases.tend(T + 4_751);
    assert_eq!(ids(&leases.take_back()), [1]);
}

#[test]
fn a_delayed_grant_waits_or_is_left_to_those_who_can() {
    let (mut leases, turn) = busy(20);
    let late = Grant { delay_ms: 300, ..grant(1) };
    leases.add(turn.kind, SMALL, (0, 0), [late, grant(2)], T, T);
    assert_eq!(leases.take(&need(SMALL), T, 1_000, T).grant.map(|grant| grant.id), Some(2), "the soonest");
    assert_eq!(leases.take(&need(SMALL), T, 299, T).grant, None);
    let taken = leases.take(&need(SMALL), T + 100, 200, T).grant.map(|grant| (grant.id, grant.delay_ms));
    assert_eq!(taken, Some((1, 200)), "its delay runs from when it came");
}

#[test]
fn an_idle_kind_gives_back_what_it_holds_and_a_slower_one_what_is_too_much() {
    let (mut leases, turn) = busy(60);
    leases.add(turn.kind, SMALL, (0, 0), grants(0..60), T, T);
    leases.tend(T);
    assert!(leases.take_back().is_empty());
    let turn = leases.take(&need(SMALL), T + 1_500, 0, T + 1_500);
    assert!(turn.grant.is_some());
    leases.tend(T + 2_000);
    assert_eq!(leases.take_back().len(), 57, "twice of the one request of the last second is left");
    leases.tend(T + 2_501);
    assert_eq!(leases.take_back().len(), 2);
    assert!(leases.is_empty());
}

#[test]
fn a_new_snapshot_and_a_late_answer_under_an_old_one_give_all_back() {
    let (mut leases, turn) = busy(20);
    leases.add(turn.kind, SMALL, (0, 0), grants(0..5), T, T);
    leases.install((0, 0));
    assert!(!leases.is_empty());
    leases.install((0, 1));
    assert!(leases.is_empty());
    assert_eq!(leases.take_back().len(), 5);
    leases.add(turn.kind, SMALL, (0, 0), grants(5..9), T, T);
    assert_eq!(ids(&leases.take_back()), [5, 6, 7, 8]);
}

#[test]
fn a_failure_takes_along_the_grants_that_would_fail_likewise() {
    for (fault, left) in [
        (Fault::Key, 4),
        (Fault::Lost, 0),
        (Fault::Quota, 4),
        (Fault::Model, 0),
        (Fault::Queue, 0),
        (Fault::Path, 6),
        (Fault::Client, 6),
    ] {
        let (mut leases, turn) = busy(20);
        leases.add(turn.kind, SMALL, (0, 0), grants(0..6), T, T);
        leases.failed(T, "k1", "m", fault);
        assert_eq!(6 - leases.take_back().len(), left, "{fault:?}");
        leases.failed(T, "k2", "another", Fault::Quota);
        assert!(leases.take_back().is_empty());
    }
}

#[test]
fn what_was_asked_for_before_the_upstream_failed_goes_back_when_it_comes() {
    let (mut leases, turn) = busy(20);
    leases.failed(T + 5, "k1", "m", Fault::Timeout);
    leases.add(turn.kind, SMALL, (0, 0), grants(0..3), T, T + 6);
    assert_eq!(ids(&leases.take_back()), [0, 1, 2]);
    leases.add(turn.kind, SMALL, (0, 0), grants(3..6), T + 7, T + 8);
    assert!(leases.take_back().is_empty());
}

#[test]
fn kinds_are_few_and_those_in_use_stay() {
    let (mut leases, turn) = busy(20);
    leases.add(turn.kind, SMALL, (0, 0), grants(0..6), T, T);
    for n in 0..1_000 {
        let name = format!("model-{n}");
        let _ = leases.take(&Need { model: Some(&name), allowed: None, size: SMALL }, T, 0, T);
    }
    assert_eq!(leases.kinds.len(), KINDS);
    assert!(leases.take(&need(SMALL), T, 0, T).grant.is_some());
}

#[derive(Clone, Debug)]
enum Step {
    /// A request of this model and size comes; what it asks for comes later.
    Take {
        model: usize,
        prompt: u64,
        patience_ms: u64,
    },
    /// The oldest ask is answered with at most so many, under the version in force or the one before.
    Answer {
        most: usize,
        delay_ms: u64,
        reserved: u64,
        late: bool,
    },
    Tend,
    Install,
    Failed {
        key: u64,
        fault: Fault,
    },
    /// Time goes by; a step back is a clock set.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![3 => Just(0), 1 => 0..2_000_u64];
    let reserved = prop_oneof![Just(0), 1_000..30_000_u64];
    let fault = prop_oneof![Just(Fault::Key), Just(Fault::Quota), Just(Fault::Model), Just(Fault::Queue)];
    prop_oneof![
        12 => (0..3_usize, 1..9_000_u64, 0..3_000_u64)
            .prop_map(|(model, prompt, patience_ms)| Step::Take { model, prompt, patience_ms }),
        6 => (0..80_usize, delay, reserved, any::<bool>())
            .prop_map(|(most, delay_ms, reserved, late)| Step::Answer { most, delay_ms, reserved, late }),
        2 => Just(Step::Tend),
        1 => Just(Step::Install),
        1 => (0..3_u64, fault).prop_map(|(key, fault)| Step::Failed { key, fault }),
        4 => prop_oneof![12 => 0..300_i64, 2 => 300..6_000_i64, 1 => -5_000..0_i64].prop_map(Step::Pass),
    ]
}

const MODELS: [&str; 3] = ["a", "b", "c"];

struct Asked {
    kind: KindId,
    model: usize,
    size: Size,
    version: (u64, u64),
    at: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_grant_is_spent_once_in_time_on_what_it_was_for_or_given_back_once(steps in vec(step(), 1..250)) {
        let mut leases = Leases::default();
        let (mut now, mut latest, mut version, mut made) = (T, T, (1, 1), 0_u64);
        leases.install(version);
        let mut asks: VecDeque<Asked> = VecDeque::new();
        // What was added: what it was for, when it was asked for, its version and what is reserved.
        let mut added: HashMap<u64, (Asked, u64)> = HashMap::new();
        let mut gone: HashSet<u64> = HashSet::new();
        for step in steps {
            match step {
                Step::Take { model, prompt, patience_ms } => {
                    let size = Size { prompt_tokens: prompt, max_completion_tokens: None };
                    let need = Need { model: Some(MODELS[model]), allowed: None, size };
                    let turn = leases.take(&need, now, patience_ms, now);
                    if let Some(grant) = turn.grant {
                        prop_assert!(gone.insert(grant.id), "spent twice or spent after it was given back");
                        let (asked, reserved) = &added[&grant.id];
                        prop_assert_eq!(asked.model, model);
                        prop_assert_eq!(asked.version, version);
                        prop_assert!(grant.delay_ms <= patience_ms);
                        let due = now + grant.delay_ms;
                        prop_assert!(now >= asked.at && due - asked.at <= USE_WITHIN_MS - MARGIN_MS);
                        prop_assert!(
                            *reserved == 0
                                || size.prompt_tokens <= asked.size.prompt_tokens
                                || size.prompt_tokens + DEFAULT_COMPLETION_TOKENS <= *reserved
                        );
                    } else {
                        prop_assert!(turn.ask >= 1);
                    }
                    prop_assert!(turn.ask as usize <= GRANTS_PER_ASK);
                    if turn.ask > 1 {
                        let (kind, size) = (turn.kind, size.rounded());
                        asks.push_back(Asked { kind, model, size, version, at: now });
                    }
                }
                Step::Answer { most, delay_ms, reserved, late } => {
                    if let Some(asked) = asks.pop_front() {
                        let version = if late { asked.version } else { version };
                        let ids = made..made + most as u64;
                        made = ids.end;
                        let lease: Vec<Grant> =
                            ids.clone().map(|id| Grant { delay_ms, reserved, ..grant(id) }).collect();
                        leases.add(asked.kind, asked.size, version, lease, asked.at, now);
                        for id in ids {
                            let Asked { kind, model, size, at, .. } = asked;
                            added.insert(id, (Asked { kind, model, size, version, at }, reserved));
                        }
                    }
                }
                Step::Tend => leases.tend(now),
                Step::Install => {
                    version.1 += 1;
                    leases.install(version);
                    prop_assert!(leases.is_empty());
                }
                Step::Failed { key, fault } => leases.failed(now, &format!("k{key}"), "m", fault),
                Step::Pass(ms) => {
                    now = now.saturating_add_signed(ms);
                    latest = latest.max(now);
                }
            }
            for grant in leases.take_back() {
                prop_assert!(added.contains_key(&grant.id));
                prop_assert!(gone.insert(grant.id), "given back twice or after it was spent");
            }
            let held: usize = leases.kinds.iter().map(|kind| kind.grants.len()).sum();
            prop_assert_eq!(held, added.len() - gone.len(), "lost without a word");
        }
        // In any case within five seconds of the last of them, nothing is held any more.
        leases.tend(latest + USE_WITHIN_MS);
        prop_assert!(leases.is_empty());
        prop_assert_eq!(gone.len() + leases.take_back().len(), added.len());
    }
}
