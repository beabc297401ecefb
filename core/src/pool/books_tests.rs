use super::*;

fn one() -> Counter {
    Counter { requests: 1, prompt_tokens: 10, ..Counter::default() }
}

fn find(rows: &[UsageRow], grain: Grain, at: u64) -> Option<u64> {
    rows.iter().find(|row| row.grain == grain && row.at == at).map(|row| row.count.requests)
}

#[test]
fn values_are_absolute_and_handed_out_once() {
    let mut books = Books::default();
    books.record(Dim::Token, "t", 5, &one(), None);
    books.record(Dim::Token, "t", 6, &one(), None);
    let rows = books.take_dirty(10);
    assert_eq!([Grain::Total, Grain::Day, Grain::Hour].map(|grain| find(&rows, grain, 0)), [Some(2); 3]);
    assert_eq!(books.take_dirty(10), []);
    books.record(Dim::Token, "t", 7, &one(), None);
    assert_eq!(find(&books.take_dirty(10), Grain::Total, 0), Some(3));
}

#[test]
fn a_stretch_that_ends_between_two_flushes_is_not_lost() {
    let mut books = Books::default();
    books.record(Dim::Key, "k", HOUR - 1, &one(), None);
    books.record(Dim::Key, "k", HOUR + 1, &one(), None);
    let rows = books.take_dirty(HOUR + 2);
    assert_eq!(find(&rows, Grain::Hour, 0), Some(1));
    assert_eq!(find(&rows, Grain::Hour, HOUR), Some(1));
    assert_eq!(find(&rows, Grain::Minute, HOUR - MINUTE), Some(1));
    assert_eq!(find(&rows, Grain::Day, 0), Some(2));
}

#[test]
fn a_restored_series_goes_on_counting() {
    let mut books = Books::default();
    books.record(Dim::Key, "k", 5, &one(), None);
    let rows = books.take_dirty(6);
    let mut again = Books::default();
    rows.iter().for_each(|row| again.restore(row));
    assert!(!again.all().any(|(_, _, series)| series.dirty));
    again.record(Dim::Key, "k", 7, &one(), None);
    let rows = again.take_dirty(8);
    for grain in [Grain::Total, Grain::Day, Grain::Hour, Grain::Minute] {
        assert_eq!(find(&rows, grain, 0), Some(2), "{grain:?}");
    }
}

#[test]
fn minutes_end_and_are_clean_then() {
    let mut books = Books::default();
    books.record(Dim::Pool, "", 5, &one(), None);
    books.take_dirty(10);
    assert!(books.is_dirty(), "the minute still has to be written when it is over");
    assert_eq!(find(&books.take_dirty(MINUTE), Grain::Minute, 0), Some(1));
    assert!(!books.is_dirty());
    assert_eq!(books.take_dirty(MINUTE), []);
}

fn end(ms: u64) -> RequestEnd {
    RequestEnd { status: 200, duration_ms: ms, ..RequestEnd::default() }
}

fn latencies(rows: &[UsageRow], grain: Grain, at: u64) -> Option<u64> {
    let row = rows.iter().find(|row| row.grain == grain && row.at == at)?;
    Some(row.detail.as_ref().map_or(0, |detail| detail.latency.count()))
}

#[test]
fn each_stretch_has_a_detail_of_its_own() {
    let mut books = Books::default();
    books.record(Dim::Pool, "", 5, &one(), Some(&end(30)));
    books.record(Dim::Pool, "", MINUTE + 5, &one(), Some(&end(40)));
    let rows = books.take_dirty(MINUTE + 6);
    assert_eq!(latencies(&rows, Grain::Minute, 0), Some(1));
    assert_eq!(latencies(&rows, Grain::Minute, MINUTE), Some(1));
    for grain in [Grain::Total, Grain::Day, Grain::Hour] {
        assert_eq!(latencies(&rows, grain, 0), Some(2), "{grain:?}");
    }
    let mut again = Books::default();
    rows.iter().for_each(|row| again.restore(row));
    again.record(Dim::Pool, "", MINUTE + 7, &one(), Some(&end(50)));
    let rows = again.take_dirty(MINUTE + 8);
    assert_eq!(latencies(&rows, Grain::Minute, MINUTE), Some(2));
    assert_eq!(latencies(&rows, Grain::Total, 0), Some(3));
}

#[test]
fn tokens_and_models_have_a_detail_by_hour_and_day_only() {
    let mut books = Books::default();
    books.record(Dim::Token, "t", 5, &one(), Some(&end(30)));
    let rows = books.take_dirty(6);
    let of = |grain| latencies(&rows, grain, 0);
    assert_eq!([of(Grain::Total), of(Grain::Day), of(Grain::Hour)], [Some(0), Some(1), Some(1)]);
}

#[test]
fn rows_without_a_detail_are_read_and_counted_on() {
    let json = r#"{"grain":"total","dim":"pool","id":"","at":0,"r":7,"e":1,"x":0,"p":3,"c":4,"h":0,"q":0,"d":0,"l":9}"#;
    let row: UsageRow = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&row).unwrap(), json);
    let mut books = Books::default();
    books.restore(&row);
    books.record(Dim::Pool, "", 10, &one(), Some(&end(30)));
    assert_eq!(books.total(Dim::Pool, "").requests, 8);
    assert_eq!(books.total_detail(Dim::Pool, "").unwrap().latency.count(), 1);
    let null = json.replace("}", r#","t":null}"#);
    assert_eq!(serde_json::from_str::<UsageRow>(&null).unwrap(), row);
}

#[test]
fn the_pace_is_that_of_the_last_minute() {
    let mut books = Books::default();
    let start = 10 * HOUR;
    for second in 0..60 {
        books.record(Dim::Pool, "", start + second * 1_000, &one(), None);
    }
    assert_eq!(books.per_minute(start + MINUTE - 1), [60, 600]);
    assert_eq!(books.per_minute(start + MINUTE + MINUTE / 2), [30, 300], "half of it is over");
    books.record(Dim::Pool, "", start + MINUTE + MINUTE / 2, &one(), None);
    assert_eq!(books.per_minute(start + MINUTE + MINUTE / 2), [31, 310]);
    assert_eq!(books.per_minute(start + 3 * MINUTE), [0, 0]);
    assert_eq!(books.requests_today(start + 3 * MINUTE), 61);
    assert_eq!(books.requests_today(start + DAY), 0);
}
