use super::super::keys::KeyRow;
use super::super::protocol::*;
use super::super::state::Pool;
use super::*;
use crate::config::{AccessMode, Member, ModelPool, Snapshot, Strategy};

const NOW: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn catalog(fetched_at: u64, ids: &[&str]) -> Catalog {
    Catalog::new(fetched_at, ids.iter().map(|&id| id.to_owned()))
}

/// Reports of the groups a, b, c, … at these times.
fn reports(times: &[u64]) -> Vec<(String, u64)> {
    ('a'..='z').map(String::from).zip(times.iter().copied()).collect()
}

/// The standing of "m" at `NOW`, by the copy and the reports of that many groups.
fn judged(catalog: &Catalog, times: &[u64], groups: usize) -> Standing {
    let evidence =
        Evidence { listing: catalog.listing("m", NOW), reports: &reports(times), groups, served_at: 0 };
    standing(&evidence, NOW)
}

#[test]
fn a_model_that_nobody_misses_is_here_with_and_without_a_list() {
    assert_eq!(judged(&Catalog::default(), &[], 3), Standing::Here);
    assert_eq!(judged(&catalog(NOW - HOUR, &["m"]), &[], 3), Standing::Here);
}

#[test]
fn a_model_that_is_only_not_listed_still_serves() {
    assert_eq!(judged(&catalog(NOW - HOUR, &["n"]), &[], 3), Standing::Doubtful);
}

#[test]
fn one_groups_report_closes_that_group_alone() {
    let times = reports(&[NOW - MINUTE]);
    let evidence = Evidence { listing: Listing::Unknown, reports: &times, groups: 3, served_at: 0 };
    assert_eq!(standing(&evidence, NOW), Standing::Doubtful);
    assert_eq!(closed_until(&evidence, "a", NOW), Some(NOW - MINUTE + MODEL_GONE_FOR_MS));
    assert_eq!(closed_until(&evidence, "b", NOW), None);
}

#[test]
fn a_second_group_confirms() {
    let until = NOW - MINUTE + MODEL_GONE_FOR_MS;
    assert_eq!(judged(&Catalog::default(), &[NOW - 5 * MINUTE, NOW - MINUTE], 9), Standing::Gone { until });
}

#[test]
fn the_only_group_needs_no_second() {
    let until = NOW - MINUTE + MODEL_GONE_FOR_MS;
    assert_eq!(judged(&Catalog::default(), &[NOW - MINUTE], 1), Standing::Gone { until });
}

#[test]
fn a_fresh_list_without_the_model_confirms_one_report_for_as_long_as_it_counts() {
    let fetched_at = NOW - HOUR;
    let until = fetched_at + CATALOG_KEPT_MS;
    assert_eq!(judged(&catalog(fetched_at, &["n"]), &[NOW - MINUTE], 9), Standing::Gone { until });
    // The report may be old by then: nobody asked since.
    assert_eq!(judged(&catalog(fetched_at, &["n"]), &[NOW - HOUR], 9), Standing::Gone { until });
    // A copy about to end does not cut the report short.
    let ending = catalog(NOW - CATALOG_KEPT_MS + 1, &["n"]);
    assert_eq!(judged(&ending, &[NOW], 9), Standing::Gone { until: NOW + MODEL_GONE_FOR_MS });
}

#[test]
fn a_list_too_old_or_from_the_future_says_nothing() {
    for fetched_at in [0, NOW - CATALOG_KEPT_MS, NOW + CATALOG_KEPT_MS] {
        let copy = catalog(fetched_at, &["n"]);
        assert_eq!(copy.listing("m", NOW), Listing::Unknown);
        assert_eq!(judged(&copy, &[NOW - MINUTE], 9), Standing::Doubtful, "{fetched_at}");
    }
}

#[test]
fn a_list_with_the_model_drops_the_reports_before_it() {
    let copy = catalog(NOW - MINUTE, &["m"]);
    let times = reports(&[NOW - 3 * MINUTE, NOW - 2 * MINUTE]);
    let evidence = Evidence { listing: copy.listing("m", NOW), reports: &times, groups: 2, served_at: 0 };
    assert_eq!(standing(&evidence, NOW), Standing::Here);
    assert_eq!(closed_until(&evidence, "a", NOW), None);
}

#[test]
fn a_listed_model_is_closed_only_to_the_groups_that_reported_it_since() {
    let copy = catalog(NOW - HOUR, &["m"]);
    let times = reports(&[NOW - 2 * MINUTE, NOW - MINUTE]);
    let evidence = Evidence { listing: copy.listing("m", NOW), reports: &times, groups: 3, served_at: 0 };
    assert_eq!(standing(&evidence, NOW), Standing::Doubtful, "two groups do not speak for the third");
    assert!(closed_until(&evidence, "a", NOW).is_some() && closed_until(&evidence, "b", NOW).is_some());
    assert_eq!(closed_until(&evidence, "c", NOW), None);
    let all = Evidence { groups: 2, ..evidence };
    let until = NOW - 2 * MINUTE + MODEL_GONE_FOR_MS;
    assert_eq!(standing(&all, NOW), Standing::Gone { until }, "until the first may ask again");
}

#[test]
fn a_report_ends_by_itself() {
    assert_eq!(judged(&Catalog::default(), &[NOW - MODEL_GONE_FOR_MS], 1), Standing::Here);
    // Two that are far apart do not confirm each other.
    let times = [NOW - MODEL_GONE_FOR_MS - 1, NOW - 1];
    assert_eq!(judged(&Catalog::default(), &times, 9), Standing::Doubtful);
}

#[test]
fn a_model_served_after_the_list_was_fetched_is_not_condemned_by_it() {
    let copy = catalog(NOW - HOUR, &["n"]);
    let times = reports(&[NOW - MINUTE]);
    let listing = copy.listing("m", NOW);
    let evidence = Evidence { listing, reports: &times, groups: 9, served_at: NOW - 5 * MINUTE };
    assert_eq!(standing(&evidence, NOW), Standing::Doubtful, "a dedicated model is in no public list");
    assert_eq!(closed_until(&evidence, "a", NOW), Some(NOW - MINUTE + MODEL_GONE_FOR_MS));
}

#[test]
fn the_list_is_due_when_old_or_doubted() {
    assert!(is_due(0, None, NOW), "never fetched");
    assert!(!is_due(NOW - HOUR, None, NOW));
    assert!(is_due(NOW - CATALOG_KEPT_MS, None, NOW));
    assert!(is_due(NOW - HOUR, Some(NOW - MINUTE), NOW), "a report newer than the copy");
    assert!(!is_due(NOW - HOUR, Some(NOW - 2 * HOUR), NOW), "a report that the copy knew of");
    assert!(!is_due(NOW - CATALOG_DOUBTED_MS + 1, Some(NOW), NOW), "not again and again");
}

fn pool(groups: usize) -> Pool {
    let member =
        |model: &str| Member { model: model.into(), provider: "cerebras".into(), weight: 1, enabled: true };
    let mut snapshot = Snapshot {
        generation: 1,
        epoch: 1,
        pools: vec![ModelPool {
            name: "default".into(),
            strategy: Strategy::Order,
            members: vec![member("m"), member("n")],
        }],
        ..Snapshot::default()
    };
    snapshot.settings.access_mode = AccessMode::Public;
    let key = |n: usize| KeyRow {
        id: format!("k{n}"),
        provider: "cerebras".into(),
        enabled: true,
        weight: 1,
        ..KeyRow::default()
    };
    let mut pool = Pool::new(1);
    pool.configure(snapshot, (0..groups).map(key).collect());
    pool
}

fn told(pool: &mut Pool, at: u64, key: usize, model: &str) {
    let end = AttemptEnd::Failed(Fault::Model);
    let attempt = Attempt { key: format!("k{key}"), model: model.into(), end, ..Attempt::default() };
    pool.apply(at, &[Settle { id: at + key as u64, attempt: Some(attempt), ..Settle::default() }]);
}

fn next_model(pool: &mut Pool, now: u64) -> String {
    let want = Want { count: 1, deadline_ms: 20_000, attempts_left: 40, ..Want::default() };
    let ask = Ask { v: VERSION, generation: 1, epoch: 1, want: Some(want), ..Ask::default() };
    match pool.ask(now, &ask).outcome {
        Some(Given::Grants(grants)) => grants[0].model.clone(),
        other => panic!("no grant: {other:?}"),
    }
}

fn state_of(pool: &Pool, model: &str, now: u64) -> ModelStanding {
    pool.model_standing(now).into_iter().find(|standing| standing.model == model).unwrap()
}

#[test]
fn a_reported_model_leaves_by_the_list_and_comes_back_by_the_list() {
    let mut pool = pool(3);
    assert_eq!(state_of(&pool, "m", NOW).state, "active");
    told(&mut pool, NOW, 0, "m");
    assert_eq!(next_model(&mut pool, NOW + 1), "m", "one group's word is not enough");
    let doubtful = state_of(&pool, "m", NOW + 1);
    assert_eq!((doubtful.state.as_str(), doubtful.missing_groups), ("doubtful", vec!["key:k0".to_owned()]));

    let without = catalog(NOW + 2, &["n"]);
    pool.take_catalog(NOW + 3, &without);
    assert_eq!(next_model(&mut pool, NOW + 4), "n");
    let retired = state_of(&pool, "m", NOW + 4);
    assert_eq!((retired.state.as_str(), retired.until), ("retired", Some(NOW + 2 + CATALOG_KEPT_MS)));
    assert!(retired.reason.unwrap().contains("list"));
    assert_eq!(next_model(&mut pool, NOW + HOUR), "n", "longer than a report alone");

    pool.take_catalog(NOW + 2 * HOUR, &catalog(NOW + 2 * HOUR, &["m", "n"]));
    assert_eq!(next_model(&mut pool, NOW + 2 * HOUR), "m");
    assert_eq!(state_of(&pool, "m", NOW + 2 * HOUR).state, "active");
}

#[test]
fn a_list_fetched_before_the_reports_does_not_bring_a_model_back() {
    let mut pool = pool(3);
    told(&mut pool, NOW, 0, "m");
    told(&mut pool, NOW + 1, 1, "m");
    assert_eq!(next_model(&mut pool, NOW + 2), "n");
    pool.take_catalog(NOW + 3, &catalog(NOW - HOUR, &["m", "n"]));
    // Who was told so is not asked again; the list says that the third may have it.
    let standing = state_of(&pool, "m", NOW + 4);
    assert_eq!((standing.state.as_str(), standing.missing_groups.len()), ("doubtful", 2));
    pool.take_catalog(NOW + 5, &catalog(NOW + 5, &["m", "n"]));
    assert_eq!(next_model(&mut pool, NOW + 6), "m");
}

#[test]
fn what_the_list_decided_survives_a_restart_and_a_second_look() {
    let mut before = pool(3);
    told(&mut before, NOW, 0, "m");
    let without = catalog(NOW + 2, &["n"]);
    before.take_catalog(NOW + 3, &without);
    let rows = before.checkpoint(NOW + 4).states;
    let mut after = pool(3);
    for (name, json) in &rows {
        after.restore_state(name, json);
    }
    assert_eq!(after.model_standing(NOW + 5), before.model_standing(NOW + 5));
    after.take_catalog(NOW + 5, &without);
    let models = |pool: &mut Pool, now: u64| {
        let mut rows = pool.checkpoint(now).states;
        rows.retain(|(name, _)| name.starts_with("model:"));
        rows
    };
    assert!(models(&mut after, NOW + 6).is_empty(), "nothing new");
    // The return is written down too: the row goes.
    after.take_catalog(NOW + 7, &catalog(NOW + 7, &["m"]));
    assert_eq!(models(&mut after, NOW + 8), [("model:m".to_owned(), String::new())]);
}

#[test]
fn an_unlisted_member_is_shown_as_doubtful_and_still_serves() {
    let mut pool = pool(2);
    let copy = catalog(NOW, &["n"]);
    pool.take_catalog(NOW + 1, &copy);
    let shown = |model: &str, now: u64| {
        let mut standing = state_of(&pool, model, now);
        standing.told_by(&copy, now);
        standing.state
    };
    assert_eq!([shown("m", NOW + 1), shown("n", NOW + 1)], ["doubtful", "active"]);
    assert_eq!(shown("m", NOW + CATALOG_KEPT_MS), "active", "an old list says nothing");
    assert_eq!(next_model(&mut pool, NOW + 1), "m");
}

#[test]
fn only_models_that_somebody_configured_or_the_list_has_are_doubted() {
    let mut pool = pool(3);
    told(&mut pool, NOW, 0, "a-name-of-a-client");
    assert_eq!(pool.newest_doubt(NOW + 1), None);
    told(&mut pool, NOW + 2, 0, "m");
    assert_eq!(pool.newest_doubt(NOW + 3), Some(NOW + 2));
    assert_eq!(pool.newest_doubt(NOW + 2 + MODEL_GONE_FOR_MS), None);
    let names: Vec<String> =
        pool.model_standing(NOW + 3).into_iter().map(|standing| standing.model).collect();
    assert_eq!(names, ["m", "n", "a-name-of-a-client"]);
}
