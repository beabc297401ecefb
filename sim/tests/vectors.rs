//! The limiter against the table of example vectors that the simulator in `tests/upstream` is held against too.

use rondo_sim::limiter::{Limiter, Limits, Metric, Period, RESERVE_CAP, Used};
use serde_json::Value;

fn limits(table: &Value) -> Limits {
    let mut limits = Limits::new();
    for metric in [Metric::Requests, Metric::Uncached, Metric::Tokens] {
        for period in [Period::Minute, Period::Hour, Period::Day] {
            if let Some(limit) = table[metric.name()][period.name()].as_u64() {
                limits.push((metric, period, limit));
            }
        }
    }
    limits
}

fn assert_ms(got: f64, want: &Value, what: &str) {
    match want.as_f64() {
        Some(want) => assert!((got - want).abs() < 1e-6, "{what}: {got} instead of {want}"),
        None => assert!(got.is_infinite(), "{what}: {got} instead of never"),
    }
}

#[test]
fn the_limiter_gives_what_the_table_of_vectors_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/upstream/fixtures/limiter-vectors.json");
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(table["reserve_cap"], RESERVE_CAP);
    let vectors = table["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 14);
    let mut checked = 0;
    for vector in vectors {
        let mut limiter = Limiter::new(&limits(&vector["limits"]), 0);
        let mut reserved = Vec::new();
        for (n, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
            let what = format!("{}, step {n}", vector["name"]);
            let (now, want) = (step["at_ms"].as_u64().unwrap(), &step["expect"]);
            let number = |name: &str| step[name].as_u64();
            let mut taken = 0;
            match step["op"].as_str().unwrap() {
                "admit" => match limiter.admit(now, number("prompt").unwrap(), number("max_completion")) {
                    Ok(room) => {
                        assert_eq!(
                            (want["ok"].as_bool(), want["reserved"].as_u64()),
                            (Some(true), Some(room)),
                            "{what}"
                        );
                        taken = room;
                    }
                    Err(short) => {
                        assert_eq!(want["ok"], false, "{what}");
                        assert_eq!(
                            (&want["metric"], &want["window"]),
                            (&short.metric.name().into(), &short.period.name().into()),
                            "{what}"
                        );
                        assert_ms(short.wait_ms, &want["wait_ms"], &what);
                        assert_ms(short.reset_ms, &want["reset_ms"], &what);
                    }
                },
                "settle" => {
                    let of = number("of").unwrap() as usize;
                    let count = |name| number(name).unwrap();
                    let used = Used {
                        prompt: count("prompt"),
                        cached: count("cached"),
                        completion: count("completion"),
                    };
                    limiter.settle(now, reserved[of], &used);
                }
                "state" => {
                    let buckets = limiter.buckets(now);
                    assert_eq!(buckets.len(), want.as_object().unwrap().len(), "{what}");
                    for bucket in buckets {
                        let want = &want[format!("{}-{}", bucket.metric.name(), bucket.period.name())];
                        assert_eq!(want["limit"], bucket.limit, "{what}");
                        assert_eq!(want["remaining"], bucket.remaining(), "{what}");
                        assert_ms(bucket.reset_ms(), &want["reset_ms"], &what);
                    }
                }
                other => panic!("{what}: no step is called {other}"),
            }
            reserved.push(taken);
            checked += 1;
        }
    }
    assert!(checked >= 80, "{checked} steps");
}
