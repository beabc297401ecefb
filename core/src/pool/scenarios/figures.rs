//! What the pool tells of itself: fuel, and the figures for Prometheus.

use super::*;
use crate::pool::fuel::Fuel;

const DAY_TOKENS: u64 = 144_000;

/// Keys of one group and one alone, with that many tokens a day and requests a minute.
fn grouped() -> Pool {
    let mut pool = Pool::new(1);
    let mut config = learning(&["m"]);
    config.settings.limit_overrides = vec![LimitOverride {
        requests_per_minute: Some(600),
        tokens_per_day: Some(DAY_TOKENS),
        ..LimitOverride::default()
    }];
    let shared = |id: &str| KeyRow { group: Some("g".into()), ..key(id) };
    let off = KeyRow { enabled: false, ..key("off") };
    pool.configure(config, vec![shared("k0"), shared("k1"), key("alone"), off]);
    pool
}

/// One request every 6 s by that key's group, of so many tokens, for ten minutes. Returns when it ended.
fn use_up(pool: &mut Pool, only: &str, tokens: u64) -> u64 {
    for n in 0..100 {
        let now = T + n * 6_000;
        let others = ["k0", "k1", "alone"].into_iter().filter(|id| *id != only).map(str::to_owned).collect();
        let grant = grants(pool, now, Want { exclude_keys: others, ..sized(tokens) }).remove(0);
        pool.apply(now, &[used(&grant, tokens)]);
    }
    T + 100 * 6_000
}

#[test]
fn the_quota_that_runs_out_first_is_first_with_its_time() {
    let mut pool = grouped();
    let now = use_up(&mut pool, "k0", 1_000);
    // Of the key alone one request: less than refills.
    let only = Want { exclude_keys: vec!["k0".into(), "k1".into()], ..sized(10) };
    let grant = grants(&mut pool, now, only).remove(0);
    pool.apply(now, &[used(&grant, 10)]);
    let fuel = pool.fuel(now, 20);
    let names: Vec<(&str, usize, &str, &str)> =
        fuel.iter().map(|fuel| (fuel.group.as_str(), fuel.keys, fuel.window, fuel.counted)).collect();
    assert_eq!(names, [("group:g", 2, "day", "tokens"), ("key:alone", 1, "day", "tokens")]);
    let Fuel { left, limit, per_minute, lasts_s, .. } = fuel[0];
    assert_eq!((limit, left), (DAY_TOKENS, DAY_TOKENS - 100_000 + 1_000), "100 a minute refill");
    assert!((9_800.0..10_200.0).contains(&per_minute), "{per_minute}");
    let lasts = left as f64 / (per_minute - 100.0) * 60.0;
    assert!((lasts_s.unwrap() as f64 - lasts).abs() < 2.0, "{lasts_s:?}, not {lasts}");
    assert_eq!(fuel[1].lasts_s, None, "it refills faster than it is used");
    assert_eq!(pool.fuel(now, 1).len(), 1);
}

#[test]
fn minutes_stand_only_for_themselves_and_never_run_out() {
    let mut pool = limited(1, Some(60), None);
    for n in 0..30 {
        let grant = grant(&mut pool, T + n);
        pool.apply(T + n, &[used(&grant, 10)]);
    }
    let [fuel] = &pool.fuel(T + 30, 20)[..] else { panic!("one quota") };
    assert_eq!((fuel.window, fuel.counted, fuel.left, fuel.lasts_s), ("minute", "requests", 30, None));
    assert!((30.0..33.0).contains(&fuel.per_minute), "{}", fuel.per_minute);
}

#[test]
fn nothing_known_is_no_fuel() {
    assert_eq!(Pool::new(1).fuel(T, 20), []);
}

#[test]
fn the_exposition_tells_what_was_counted_and_names_no_token() {
    let mut pool = pool(2);
    let ends = [(200, false, Some(40)), (429, true, None), (200, true, Some(12))];
    for (n, (status, error, first_event_ms)) in ends.into_iter().enumerate() {
        let mut settle = used(&grant(&mut pool, T), 100);
        let usage = settle.attempt.as_ref().unwrap().usage;
        settle.request = Some(RequestEnd {
            token: "tok-secret".into(),
            model: "m".into(),
            duration_ms: 900,
            usage,
            status,
            error,
            first_event_ms,
            ..RequestEnd::default()
        });
        pool.apply(T + n as u64, &[settle]);
    }
    let text = pool.exposition(T + 3);
    for line in [
        "# TYPE rondo_requests_total counter",
        "rondo_requests_total 3",
        r#"rondo_request_errors_total{class="rate_limited"} 1"#,
        r#"rondo_request_errors_total{class="broken"} 1"#,
        r#"rondo_request_errors_total{class="client"} 0"#,
        r#"rondo_tokens_total{kind="prompt"} 300"#,
        r#"rondo_model_attempts_total{model="m"} 3"#,
        r#"rondo_model_tokens_total{model="m",kind="prompt"} 300"#,
        r#"rondo_keys{status="active"} 2"#,
        "# TYPE rondo_request_duration_seconds histogram",
        r#"rondo_request_duration_seconds_bucket{le="0.68"} 0"#,
        r#"rondo_request_duration_seconds_bucket{le="1"} 1"#,
        r#"rondo_request_duration_seconds_bucket{le="+Inf"} 1"#,
        "rondo_request_duration_seconds_sum 0.9",
        r#"rondo_first_event_seconds_bucket{le="0.015"} 1"#,
        "rondo_first_event_seconds_count 2",
        "rondo_requests_waiting 0",
        "rondo_unforeseen_429s_total 0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("tok-secret") && !text.contains("sealed"));
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
}

#[test]
fn labels_are_escaped() {
    let mut pool = pool(1);
    let mut settle = used(&grant(&mut pool, T), 1);
    settle.attempt.as_mut().unwrap().model = "a\"b\\c\nd".into();
    pool.apply(T, &[settle]);
    assert!(pool.exposition(T).contains(r#"rondo_model_attempts_total{model="a\"b\\c\nd"} 1"#));
}
