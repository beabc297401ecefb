//! Model pools, and models that go.

use super::*;

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
    let token = |id: &str, models: Option<&[&str]>| Token {
        models: models.map(|models| models.iter().map(|&model| model.to_owned()).collect()),
        ..token(id, TokenLimits::default())
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

/// One request with that model by that key.
fn told_missing(pool: &mut Pool, model: &str, key: &str, now: u64) {
    let mut settle = failed(&grant_of(key, model), Fault::Model, None);
    settle.id = LOCAL_GRANT | (now << 8) | u64::from(*key.as_bytes().last().unwrap());
    pool.apply(now, &[settle]);
}

fn answered(pool: &mut Pool, model: &str, key: &str, now: u64) {
    let mut settle = ended(&grant_of(key, model), AttemptEnd::Ok);
    settle.id = LOCAL_GRANT | (now << 8) | u64::from(*key.as_bytes().last().unwrap());
    pool.apply(now, &[settle]);
}

fn served(pool: &mut Pool, now: u64) -> std::collections::HashSet<(String, String)> {
    let mut served = std::collections::HashSet::new();
    for model in ["a", "b"] {
        let other = if model == "a" { "b" } else { "a" };
        for _ in 0..12 {
            let only = Want { exclude_models: vec![other.into()], ..want() };
            if let Given::Grants(mut grants) = ask(pool, now, only) {
                let grant = grants.remove(0);
                served.insert((grant.key, grant.model));
            }
        }
    }
    served
}

fn two_models() -> Pool {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["a", "b"]), keys(4));
    pool
}

#[test]
fn one_groups_404_closes_the_model_for_that_group_only() {
    let mut pool = two_models();
    told_missing(&mut pool, "a", "k0", T);
    let served = served(&mut pool, T + 1);
    for key in ["k0", "k1", "k2", "k3"] {
        assert_eq!(served.contains(&(key.into(), "a".into())), key != "k0", "{key}");
        assert!(served.contains(&(key.into(), "b".into())), "{key} has the other one still");
    }
}

#[test]
fn a_second_group_confirms_and_the_model_comes_back_by_itself() {
    let mut pool = two_models();
    told_missing(&mut pool, "a", "k0", T);
    told_missing(&mut pool, "a", "k1", T + 10);
    assert!(served(&mut pool, T + 11).iter().all(|(_, model)| model == "b"));
    let later = T + 10 + crate::pool::faults::MODEL_GONE_FOR_MS;
    assert!(served(&mut pool, later).iter().any(|(_, model)| model == "a"));
}

#[test]
fn two_keys_of_one_group_do_not_confirm_each_other() {
    let mut pool = Pool::new(1);
    let row = |n: usize| KeyRow { group: (n < 2).then(|| "org".into()), ..key(&format!("k{n}")) };
    pool.configure(snapshot(&["a", "b"]), (0..3).map(row).collect());
    told_missing(&mut pool, "a", "k0", T);
    told_missing(&mut pool, "a", "k1", T + 10);
    assert!(served(&mut pool, T + 11).contains(&("k2".into(), "a".into())));
}

#[test]
fn a_success_elsewhere_keeps_the_model() {
    let mut pool = two_models();
    told_missing(&mut pool, "a", "k0", T);
    answered(&mut pool, "a", "k3", T + 5);
    told_missing(&mut pool, "a", "k1", T + 10);
    let served = served(&mut pool, T + 11);
    for key in ["k0", "k1", "k2", "k3"] {
        assert_eq!(served.contains(&(key.into(), "a".into())), ["k2", "k3"].contains(&key), "{key}");
    }
}

#[test]
fn a_success_in_the_group_that_was_told_otherwise_takes_it_back() {
    let mut pool = two_models();
    told_missing(&mut pool, "a", "k0", T);
    answered(&mut pool, "a", "k0", T + 20);
    assert!(served(&mut pool, T + 21).contains(&("k0".into(), "a".into())));
}

#[test]
fn the_catalog_confirms_one_groups_word_and_a_later_copy_refutes_it() {
    use crate::pool::catalog::Catalog;
    let mut pool = two_models();
    told_missing(&mut pool, "a", "k0", T);
    pool.take_catalog(T + 100, &Catalog::new(T + 90, ["b".to_owned()]));
    assert!(served(&mut pool, T + 101).iter().all(|(_, model)| model == "b"), "not listed: it is gone");
    pool.take_catalog(T + 200, &Catalog::new(T + 190, ["a".to_owned(), "b".to_owned()]));
    let served = served(&mut pool, T + 201);
    assert!(["k0", "k1"].iter().all(|key| served.contains(&((*key).into(), "a".into()))), "{served:?}");
}

#[test]
fn a_model_that_the_catalog_leaves_out_serves_as_long_as_it_answers() {
    use crate::pool::catalog::Catalog;
    let mut pool = two_models();
    pool.take_catalog(T + 100, &Catalog::new(T + 90, ["b".to_owned()]));
    assert!(served(&mut pool, T + 101).iter().any(|(_, model)| model == "a"));
}

#[test]
fn with_ordered_members_the_next_model_serves_when_the_first_is_gone_or_excluded() {
    let mut pool = Pool::new(1);
    let mut config = snapshot(&["a", "b"]);
    config.pools[0].strategy = Taking::Order;
    pool.configure(config, keys(2));
    assert!((0..4).all(|_| grant(&mut pool, T).model == "a"));
    assert_eq!(grants(&mut pool, T, Want { exclude_models: vec!["a".into()], ..want() })[0].model, "b");
    told_missing(&mut pool, "a", "k0", T);
    told_missing(&mut pool, "a", "k1", T + 1);
    assert!((0..4).all(|_| grant(&mut pool, T + 2).model == "b"));
}

#[test]
fn a_request_tries_three_models_at_most() {
    let mut pool = Pool::new(1);
    pool.configure(snapshot(&["a", "b", "c", "d"]), keys(2));
    let tried = ["a", "b", "c"].map(str::to_owned).to_vec();
    let spent = ask(&mut pool, T, Want { exclude_models: tried, ..want() });
    assert_eq!(spent, Given::Refused(RefusedWhy::NoModel));
}
