use super::*;
use proptest::prelude::*;

fn of(times: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    times.iter().for_each(|ms| histogram.add(*ms));
    histogram
}

#[test]
fn bounds_grow_by_about_half() {
    for pair in BOUNDS_MS.windows(2) {
        let factor = pair[1] as f64 / pair[0] as f64;
        assert!((1.2..1.6).contains(&factor), "{pair:?}");
    }
}

#[test]
fn percentiles_of_nothing_are_none_and_of_one_are_its_bucket() {
    assert_eq!(Histogram::default().percentile(50), None);
    for percent in [0, 50, 95, 100] {
        assert_eq!(of(&[120]).percentile(percent), Some(150));
    }
}

#[test]
fn times_beyond_the_last_bound_are_told_as_it() {
    assert_eq!(of(&[900_000, 3_600_000]).percentile(95), Some(600_000));
    assert_eq!(of(&[900_000]).cumulative().last(), Some((600_000, 0)));
    assert_eq!(of(&[900_000]).count(), 1);
}

#[test]
fn within_a_bucket_times_are_taken_as_spread_evenly() {
    let histogram = of(&[101, 102, 103, 104, 105, 106, 107, 108, 109, 110]);
    assert_eq!(histogram.percentile(50), Some(125));
    assert_eq!(histogram.percentile(100), Some(150));
}

#[test]
fn ends_of_requests_are_told_apart() {
    let mut detail = Detail::default();
    let end =
        |status: u16, error: bool| RequestEnd { status, error, duration_ms: 40, ..RequestEnd::default() };
    for status in [429, 400, 404, 413, 500, 502, 503, 504] {
        detail.add(&end(status, true));
    }
    detail.add(&RequestEnd { first_event_ms: Some(9), ..end(200, true) });
    detail.add(&RequestEnd { first_event_ms: Some(20), ..end(200, false) });
    detail.add(&RequestEnd { cut: true, first_event_ms: Some(20), ..end(200, false) });
    let errors = Errors { rate_limited: 1, client: 3, upstream: 2, unavailable: 2, broken: 1 };
    assert_eq!(detail.errors, errors);
    assert_eq!((detail.latency.count(), detail.latency.sum_ms), (1, 40), "of whole answers only");
    assert_eq!(detail.first_event.count(), 3);
}

/// The format of what is stored: a line here is only ever added, never changed.
#[test]
fn what_was_stored_is_read_and_written_as_it_was() {
    for json in ["{}", r#"{"e":[1,2,3,4,5],"l":{"s":1400,"b":[[7,2],[30,1]]},"f":{"s":9,"b":[[0,1]]}}"#] {
        let detail: Detail = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&detail).unwrap(), json);
    }
    let detail: Detail = serde_json::from_str(r#"{"l":{"s":1400,"b":[[7,2],[30,1]]},"new":1}"#).unwrap();
    assert_eq!((detail.latency.percentile(50), detail.latency.count()), (Some(150), 3));
}

#[test]
fn a_detail_is_small_whatever_came() {
    let mut detail = Detail::default();
    for ms in [0].into_iter().chain(BOUNDS_MS.map(|bound| bound + 1)) {
        detail.add(&RequestEnd { duration_ms: ms, first_event_ms: Some(ms), ..RequestEnd::default() });
    }
    let json = serde_json::to_string(&detail).unwrap();
    let most = json.replace(",1]", &format!(",{}]", u32::MAX));
    let back: Detail = serde_json::from_str(&most).unwrap();
    assert_eq!(back.latency.count(), 31 * u64::from(u32::MAX));
    // A thousand rows are written in one parameter of at most 2 MB.
    assert!(most.len() < 1_200, "{} bytes", most.len());
}

proptest! {
    #[test]
    fn a_percentile_is_within_the_bucket_of_the_exact_one(
        times in proptest::collection::vec(0_u64..600_001, 1..300),
        percent in 1_u64..101,
    ) {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1) as usize;
        let exact = sorted[rank - 1];
        let (from, to) = span_of(place_of(exact));
        let told = of(&times).percentile(percent).unwrap();
        prop_assert!(from <= told && told <= to, "{} is told as {}", exact, told);
    }

    #[test]
    fn counts_sums_and_bounds_hold(times in proptest::collection::vec(0_u64..2_000_000, 0..100)) {
        let histogram = of(&times);
        prop_assert_eq!(histogram.count(), times.len() as u64);
        prop_assert_eq!(histogram.sum_ms, times.iter().sum::<u64>());
        for (bound, count) in histogram.cumulative() {
            prop_assert_eq!(count, times.iter().filter(|ms| **ms <= bound).count() as u64);
        }
        let json = serde_json::to_string(&histogram).unwrap();
        prop_assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
    }
}
