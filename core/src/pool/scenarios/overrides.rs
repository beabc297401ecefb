//! The operator's own figures for quotas.

use super::*;

fn patched(pool: &mut Pool, overrides: Vec<LimitOverride>) {
    let mut config = learning(&["m", "n"]);
    config.settings.limit_overrides = overrides;
    pool.configure(config, keys(2));
}

fn set(group: &str, model: &str, requests: u64) -> LimitOverride {
    LimitOverride {
        group: group.into(),
        model: model.into(),
        requests_per_minute: Some(requests),
        ..LimitOverride::default()
    }
}

fn use_up(pool: &mut Pool, key: &str, model: &str, now: u64, requests: usize) {
    for _ in 0..requests {
        let other = if key == "k0" { "k1" } else { "k0" };
        let other_model = if model == "m" { "n" } else { "m" };
        let want = Want {
            exclude_keys: vec![other.into()],
            exclude_models: vec![other_model.into()],
            attempts_left: 1,
            ..sized(10)
        };
        let grant = grants(pool, now, want).remove(0);
        pool.apply(now, &[used(&grant, 10)]);
    }
}

#[test]
fn the_last_figure_that_fits_a_group_and_model_counts() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 100), set("", "m", 50), set("k1", "m", 20)]);
    for (key, model, limit) in [("k0", "n", 100), ("k0", "m", 50), ("k1", "m", 20), ("k1", "n", 100)] {
        use_up(&mut pool, key, model, T, 1);
        assert_eq!(left(&pool, key, model, T), limit - 1, "{key} {model}");
    }
}

#[test]
fn a_quota_made_after_the_figures_has_them() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![]);
    patched(&mut pool, vec![set("", "", 3)]);
    use_up(&mut pool, "k0", "m", T, 3);
    let spent =
        Want { exclude_keys: vec!["k1".into()], exclude_models: vec!["n".into()], deadline_ms: 0, ..want() };
    assert!(matches!(ask(&mut pool, T, spent), Given::RetryAfter { after_ms: 20_000..=20_500, .. }));
}

#[test]
fn a_figure_that_is_lowered_keeps_what_was_used_and_no_more() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 20)]);
    use_up(&mut pool, "k0", "m", T, 5);
    patched(&mut pool, vec![set("", "", 10)]);
    assert_eq!(left(&pool, "k0", "m", T), 5);
    let only = Want { exclude_keys: vec!["k1".into()], exclude_models: vec!["n".into()], ..want() };
    assert!(matches!(ask(&mut pool, T + MINUTE, only), Given::Grants(_)), "after a minute it is full");
}

#[test]
fn a_figure_that_is_raised_keeps_what_was_used() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 20)]);
    use_up(&mut pool, "k0", "m", T, 20);
    patched(&mut pool, vec![set("", "", 40)]);
    assert_eq!(left(&pool, "k0", "m", T), 20);
}

#[test]
fn a_configuration_without_a_change_of_figures_changes_no_level() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 20)]);
    use_up(&mut pool, "k0", "m", T, 5);
    for _ in 0..3 {
        patched(&mut pool, vec![set("", "", 20)]);
        assert_eq!(left(&pool, "k0", "m", T), 15);
    }
}

#[test]
fn a_figure_taken_back_ends_where_the_upstream_says_nothing_of_limits() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 2)]);
    use_up(&mut pool, "k0", "m", T, 2);
    patched(&mut pool, vec![]);
    for n in 1..=5 {
        let now = T + n * HOUR;
        let only = Want { exclude_keys: vec!["k1".into()], exclude_models: vec!["n".into()], ..sized(10) };
        let grant = grants(&mut pool, now, only).remove(0);
        pool.apply(now, &[heading(used(&grant, 10), vec![], 5, 5)]);
    }
    assert!(quota(&pool, "k0", "m").meters.is_empty(), "{:?}", quota(&pool, "k0", "m").meters);
}

#[test]
fn stored_quotas_take_the_figures_in_force() {
    let mut pool = Pool::new(1);
    patched(&mut pool, vec![set("", "", 20)]);
    use_up(&mut pool, "k0", "m", T, 5);
    let states = pool.checkpoint(T).states;
    let mut again = Pool::new(2);
    patched(&mut again, vec![set("", "", 10)]);
    states.iter().for_each(|(name, json)| again.restore_state(name, json));
    let view = again.quotas_of("k0", T).unwrap();
    assert_eq!(view[0].buckets[0].limit, 10);
}

#[test]
fn tokens_of_the_minute_and_the_day_can_be_set_too() {
    let mut pool = Pool::new(1);
    let figures = LimitOverride {
        tokens_per_minute: Some(1_000),
        tokens_per_day: Some(1_500),
        ..LimitOverride::default()
    };
    let mut config = learning(&["m"]);
    config.settings.limit_overrides = vec![figures];
    pool.configure(config, keys(1));
    let first = grants(&mut pool, T, sized(1_000)).remove(0);
    pool.apply(T, &[used(&first, 1_000)]);
    let soon = ask(&mut pool, T, Want { deadline_ms: 0, ..sized(500) });
    assert!(matches!(soon, Given::RetryAfter { after_ms: 30_000..=30_500, .. }), "{soon:?}");
    let second = grants(&mut pool, T + MINUTE, sized(500)).remove(0);
    pool.apply(T + MINUTE, &[used(&second, 500)]);
    let late = ask(&mut pool, T + 2 * MINUTE, Want { deadline_ms: 0, ..sized(1_000) });
    let Given::RetryAfter { after_ms, .. } = late else { panic!("{late:?}") };
    assert!(after_ms > 10 * HOUR, "the day's: {after_ms}");
}
