//! The pool as its users meet it: scenarios over asks and settles.

use super::books::Dim;
use super::keys::KeyRow;
use super::models::MODELS_KEPT;
use super::protocol::*;
use super::state::Pool;
use crate::config::{AccessMode, LimitOverride, Member, ModelPool, Snapshot, Strategy as Taking};
use crate::wire::usage::Usage;
use proptest::prelude::*;

fn member(model: &str) -> Member {
    Member { model: model.into(), provider: "cerebras".into(), weight: 1, enabled: true }
}

fn key(id: &str) -> KeyRow {
    KeyRow {
        id: id.into(),
        provider: "cerebras".into(),
        group: None,
        sealed: format!("sealed-{id}"),
        weight: 1,
        enabled: true,
        base_url: None,
    }
}

fn snapshot(models: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot {
        generation: 1,
        epoch: 1,
        pools: vec![ModelPool {
            name: "default".into(),
            strategy: Taking::Rotate,
            members: models.iter().map(|model| member(model)).collect(),
        }],
        ..Snapshot::default()
    };
    snapshot.settings.access_mode = AccessMode::Public;
    // Quotas are known and large: what is not known is asked one request at a time.
    snapshot.settings.limit_overrides =
        vec![LimitOverride { requests_per_minute: Some(10_000_000), ..LimitOverride::default() }];
    snapshot
}

fn pool(keys: usize) -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["m"]), (0..keys).map(|n| key(&format!("k{n}"))).collect());
    pool
}

fn want() -> Want {
    Want { count: 1, deadline_ms: 20_000, attempts_left: 40, ..Want::default() }
}

fn ask(pool: &mut Pool, now: u64, want: Want) -> Given {
    let ask = Ask { v: VERSION, generation: 1, epoch: 1, want: Some(want), ..Ask::default() };
    pool.ask(now, &ask).outcome.unwrap()
}

fn grants(pool: &mut Pool, now: u64, want: Want) -> Vec<Grant> {
    match ask(pool, now, want) {
        Given::Grants(grants) => grants,
        other => panic!("no grant: {other:?}"),
    }
}

fn grant(pool: &mut Pool, now: u64) -> Grant {
    grants(pool, now, want()).remove(0)
}

fn ended(grant: &Grant, end: AttemptEnd) -> Settle {
    let attempt = Attempt { key: grant.key.clone(), model: grant.model.clone(), end, ..Attempt::default() };
    Settle { id: grant.id, attempt: Some(attempt), ..Settle::default() }
}

fn failed(grant: &Grant, fault: Fault, retry_after_ms: Option<u64>) -> Settle {
    let mut settle = ended(grant, AttemptEnd::Failed(fault));
    settle.attempt.as_mut().unwrap().retry_after_ms = retry_after_ms;
    settle
}

fn status(pool: &Pool, key: &str, now: u64) -> String {
    pool.key_status(key, now).unwrap().status
}

#[test]
fn three_keys_share_three_hundred_requests_evenly() {
    let mut pool = pool(3);
    let mut uses = [0; 3];
    for n in 0..300 {
        let grant = grant(&mut pool, n);
        uses[grant.key.trim_start_matches('k').parse::<usize>().unwrap()] += 1;
        pool.apply(n, &[ended(&grant, AttemptEnd::Ok)]);
    }
    assert_eq!(uses, [100; 3]);
}

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
fn when_all_cool_the_answer_is_a_delay_a_ticket_or_a_true_retry_time() {
    let mut pool = pool(1);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Quota, Some(5_000))]);
    let Given::Ticket { ticket, after_ms } = ask(&mut pool, 0, want()) else { panic!("no ticket") };
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
fn a_failed_request_gets_several_candidates_and_never_its_failed_keys() {
    let mut pool = pool(30);
    let mut tried: Vec<String> = Vec::new();
    let mut asks = 0;
    while tried.len() < 30 {
        asks += 1;
        let left = 39 - tried.len() as u32;
        for grant in grants(&mut pool, 0, Want { exclude_keys: tried.clone(), attempts_left: left, ..want() })
        {
            assert!(!tried.contains(&grant.key));
            pool.apply(0, &[failed(&grant, Fault::Key, None)]);
            tried.push(grant.key);
        }
    }
    assert!(asks <= 9, "{asks} asks");
    let spent = Want { exclude_keys: tried, ..want() };
    assert_eq!(ask(&mut pool, 0, spent), Given::Refused(RefusedWhy::KeysExhausted));
    assert_eq!(ask(&mut pool, 0, want()), Given::Refused(RefusedWhy::NoActiveKey));
}

#[test]
fn an_unused_candidate_gives_its_turn_back() {
    let mut pool = pool(5);
    let mut uses = std::collections::HashMap::<String, u32>::new();
    for now in 0..50 {
        let excluded = Want { exclude_keys: vec!["k0".into()], attempts_left: 39, ..want() };
        let mut given = grants(&mut pool, now, excluded);
        let used = given.remove(0);
        *uses.entry(used.key.clone()).or_default() += 1;
        pool.apply(now, &[ended(&used, AttemptEnd::Ok)]);
        for unused in &given {
            pool.apply(now, &[ended(unused, AttemptEnd::Unused)]);
        }
    }
    assert!(uses.values().all(|count| (10..=15).contains(count)), "{uses:?}");
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
fn a_missing_model_needs_a_second_group_to_leave_the_pool() {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["a", "b"]), vec![key("x"), key("y"), key("z")]);
    let missing = |pool: &mut Pool, now| {
        let grant = (0..9).map(|_| grant(pool, now)).find(|grant| grant.model == "a").unwrap();
        pool.apply(now, &[failed(&grant, Fault::Model, None)]);
        let excluded = Want { exclude_models: vec!["a".into()], ..want() };
        assert_eq!(grants(pool, now, excluded)[0].model, "b", "the request goes on with the next model");
    };
    missing(&mut pool, 0);
    assert!((0..4).any(|_| grant(&mut pool, 1).model == "a"), "one group's word is not enough");
    missing(&mut pool, 2);
    assert!((0..9).all(|_| grant(&mut pool, 3).model == "b"));
    assert!((0..4).any(|_| grant(&mut pool, 700_000).model == "a"), "it is tried again later");
}

#[test]
fn tokens_limited_to_some_models_leave_the_others_their_rotation() {
    let mut pool = Pool::new(1);
    let mut config = snapshot(&["m1", "m2", "m3"]);
    config.settings.access_mode = AccessMode::Token;
    let token = |id: &str, models: Option<&[&str]>| crate::config::Token {
        id: id.into(),
        digest: String::new(),
        name: String::new(),
        enabled: true,
        expires_at: None,
        models: models.map(|models| models.iter().map(|&model| model.to_owned()).collect()),
        limits: Default::default(),
        metrics: false,
    };
    config.tokens =
        vec![token("all", None), token("some", Some(&["m1", "m2"])), token("last", Some(&["m3"]))];
    pool.configure(config, vec![key("k")]);
    let mut uses = std::collections::HashMap::<(String, String), u32>::new();
    for now in 0..90 {
        for id in ["all", "some", "last"] {
            let model = grants(&mut pool, now, Want { token: id.into(), ..want() }).remove(0).model;
            *uses.entry((id.to_owned(), model)).or_default() += 1;
        }
    }
    let of = |id: &str, model: &str| uses.get(&(id.to_owned(), model.to_owned())).copied().unwrap_or(0);
    assert_eq!(["m1", "m2", "m3"].map(|model| of("all", model)), [30, 30, 30]);
    assert_eq!(["m1", "m2", "m3"].map(|model| of("some", model)), [45, 45, 0]);
    assert_eq!(of("last", "m3"), 90);
}

#[test]
fn a_success_sent_before_a_model_was_found_gone_does_not_bring_it_back() {
    let mut pool = pool(1);
    let (early, late) = (grant(&mut pool, 0), grant(&mut pool, 0));
    pool.apply(1_000, &[failed(&late, Fault::Model, None)]);
    let mut settle = ended(&early, AttemptEnd::Ok);
    settle.attempt.as_mut().unwrap().duration_ms = 60_500;
    pool.apply(61_000, &[settle]);
    assert!(pool.models.get("m").is_some_and(|model| model.state.gone_until > 61_000));
}

#[test]
fn names_that_clients_make_up_take_bounded_room() {
    let mut pool = pool(1);
    for n in 0..3_000 {
        for (fault, retry) in [(Fault::Model, None), (Fault::Quota, Some(3_600_000)), (Fault::Client, None)] {
            let mut settle = failed(&grant_of("k0", &format!("made-up-{n}")), fault, retry);
            settle.id = LOCAL_GRANT | (n * 8 + fault as u64);
            pool.apply(n, &[settle]);
        }
    }
    assert!(pool.models.len() <= MODELS_KEPT);
    assert_eq!(pool.checkpoint(5_000).usage.iter().filter(|row| row.dim == Dim::Model).count(), 0);
}

fn grant_of(key: &str, model: &str) -> Grant {
    Grant {
        id: 0,
        key: key.into(),
        sealed: String::new(),
        provider: "cerebras".into(),
        base_url: None,
        model: model.into(),
        delay_ms: 0,
        reserved: 0,
        learn: false,
    }
}

#[test]
fn a_full_queue_pauses_the_model_and_punishes_no_key() {
    let mut pool = pool(1);
    let first = grant(&mut pool, 0);
    pool.apply(0, &[failed(&first, Fault::Queue, None)]);
    assert_eq!(status(&pool, "k0", 0), "active");
    assert!((250..500).contains(&grant(&mut pool, 0).delay_ms));
}

#[test]
fn an_unknown_disabled_or_expired_token_gets_no_grant() {
    let mut pool = Pool::new(1);
    let mut config = snapshot(&["m"]);
    config.settings.access_mode = AccessMode::Token;
    let token = |id: &str| crate::config::Token {
        id: id.into(),
        digest: String::new(),
        name: String::new(),
        enabled: id != "off",
        expires_at: (id == "old").then_some(10),
        models: None,
        limits: Default::default(),
        metrics: false,
    };
    config.tokens = ["on", "off", "old"].map(token).to_vec();
    pool.configure(config, vec![key("k")]);
    let with = |pool: &mut Pool, id: &str| ask(pool, 10, Want { token: id.into(), ..want() });
    assert!(matches!(with(&mut pool, "on"), Given::Grants(_)));
    for id in ["off", "old", "unknown", ""] {
        assert_eq!(with(&mut pool, id), Given::Refused(RefusedWhy::Token), "{id:?}");
    }
}

#[test]
fn pacing_is_one_delay() {
    let mut pool = pool(2);
    let mut config = snapshot(&["m"]);
    config.settings.pace_ms = 300;
    pool.configure(config, vec![key("k0"), key("k1")]);
    assert_eq!([0, 0, 0].map(|now| grant(&mut pool, now).delay_ms), [0, 300, 600]);
    assert_eq!(grant(&mut pool, 5_000).delay_ms, 0);
}

#[test]
fn key_pacing_holds_for_each_key() {
    let mut pool = pool(2);
    let mut config = snapshot(&["m"]);
    config.settings.key_pace_ms = 1_000;
    pool.configure(config, vec![key("k0"), key("k1")]);
    let given: Vec<(String, u64)> =
        (0..4).map(|_| grant(&mut pool, 0)).map(|g| (g.key, g.delay_ms)).collect();
    assert_eq!(given.iter().map(|given| given.1).collect::<Vec<_>>(), [0, 0, 1_000, 1_000]);
    assert_ne!(given[2].0, given[3].0);
}

#[test]
fn an_answer_brings_the_snapshot_only_when_the_askers_is_older() {
    let mut pool = pool(1);
    let ask = |epoch| Ask { v: VERSION, generation: 1, epoch, ..Ask::default() };
    assert!(pool.ask(0, &ask(1)).snapshot.is_none());
    assert_eq!(pool.ask(0, &ask(0)).snapshot.unwrap().epoch, 1);
}

#[test]
fn settling_twice_counts_once_and_an_unknown_number_still_counts() {
    let mut pool = pool(1);
    let grant = grant(&mut pool, 0);
    let settle = ended(&grant, AttemptEnd::Ok);
    pool.apply(0, &[settle.clone(), settle]);
    let mut unknown = ended(&grant, AttemptEnd::Ok);
    unknown.id = LOCAL_GRANT | 5;
    pool.apply(0, &[unknown]);
    assert_eq!(pool.books().total(Dim::Key, "k0").requests, 2);
}

#[test]
fn estimates_are_kept_apart_from_counted_tokens() {
    let mut pool = pool(1);
    let exact = Usage { prompt_tokens: 10, completion_tokens: 5, ..Usage::default() };
    for (n, estimated) in [false, true].into_iter().enumerate() {
        let usage = Usage { estimated, ..exact };
        let mut settle =
            ended(&grant(&mut pool, 0), if estimated { AttemptEnd::Cut } else { AttemptEnd::Ok });
        settle.attempt.as_mut().unwrap().usage = usage;
        settle.request = Some(RequestEnd {
            token: "t".into(),
            usage,
            cut: estimated,
            status: 200,
            ..RequestEnd::default()
        });
        pool.apply(n as u64, &[settle]);
    }
    for (dim, id) in [(Dim::Key, "k0"), (Dim::Token, "t"), (Dim::Pool, "")] {
        let total = pool.books().total(dim, id);
        assert_eq!((total.requests, total.cut), (2, 1));
        assert_eq!((total.prompt_tokens, total.completion_tokens), (10, 5));
        assert_eq!((total.estimated_prompt_tokens, total.estimated_completion_tokens), (10, 5));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ok,
    Fail(Fault, Option<u64>),
    Unused,
    Checkpoint,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Ok),
        2 => (prop_oneof![
            Just(Fault::Quota), Just(Fault::Key), Just(Fault::Payment), Just(Fault::Upstream), Just(Fault::Model),
        ], proptest::option::of(0_u64..5_000)).prop_map(|(fault, after)| Step::Fail(fault, after)),
        1 => Just(Step::Unused),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    /// A restart at any moment: the last checkpoint and the journal since give the same books and standing.
    #[test]
    fn checkpoint_and_journal_give_the_same_state_again(steps in proptest::collection::vec((step(), 0_u64..3_000), 1..60)) {
        let rows = || (0..4).map(|n| KeyRow { group: (n < 2).then(|| "g".into()), ..key(&format!("k{n}")) }).collect::<Vec<_>>();
        let mut live = Pool::new(1);
        live.configure(snapshot(&["a", "b"]), rows());
        let (mut usage, mut states) = (std::collections::HashMap::new(), std::collections::HashMap::new());
        let mut journal: Vec<(bool, u64, Vec<Settle>)> = Vec::new();
        let mut now = 1_000_000;
        for (step, passed) in steps {
            now += passed;
            let end = match step {
                Step::Checkpoint => {
                    let checkpoint = live.checkpoint(now);
                    for row in checkpoint.usage {
                        usage.insert((row.grain, row.dim, row.id.clone(), row.at), row);
                    }
                    for (name, json) in checkpoint.states {
                        if json.is_empty() { states.remove(&name); } else { states.insert(name, json); }
                    }
                    journal.iter_mut().for_each(|entry| entry.0 = true);
                    continue;
                }
                Step::Ok => AttemptEnd::Ok,
                Step::Unused => AttemptEnd::Unused,
                Step::Fail(fault, _) => AttemptEnd::Failed(fault),
            };
            let Given::Grants(mut given) = ask(&mut live, now, want()) else { continue };
            let mut settle = ended(&given.remove(0), end);
            let attempt = settle.attempt.as_mut().unwrap();
            attempt.usage.prompt_tokens = passed;
            attempt.retry_after_ms = if let Step::Fail(_, after) = step { after } else { None };
            settle.request = Some(RequestEnd { token: "t".into(), ..RequestEnd::default() });
            live.apply(now, std::slice::from_ref(&settle));
            journal.push((false, now, vec![settle]));
        }

        let mut again = Pool::new(2);
        again.configure(snapshot(&["a", "b"]), rows());
        usage.values().for_each(|row| again.restore_usage(row));
        states.iter().for_each(|(name, json)| again.restore_state(name, json));
        for (covered, at, settles) in &journal {
            if *covered { again.remember(*at, settles) } else { again.apply(*at, settles) }
        }
        for n in 0..4 {
            let id = format!("k{n}");
            prop_assert_eq!(live.key_status(&id, now), again.key_status(&id, now));
            prop_assert_eq!(live.books().total(Dim::Key, &id), again.books().total(Dim::Key, &id));
        }
        prop_assert_eq!(live.books().total(Dim::Token, "t"), again.books().total(Dim::Token, "t"));
        for model in ["a", "b"] {
            prop_assert_eq!(
                live.models.get(model).map(|model| model.state.clone()).unwrap_or_default(),
                again.models.get(model).map(|model| model.state.clone()).unwrap_or_default()
            );
        }
        // Repeating the whole journal changes nothing: numbers are kept two minutes.
        if journal.first().is_none_or(|first| now - first.1 < 100_000) {
            let before = again.books().total(Dim::Token, "t");
            for (_, _, settles) in &journal {
                again.apply(now, settles);
            }
            prop_assert_eq!(before, again.books().total(Dim::Token, "t"));
        }
    }
}
