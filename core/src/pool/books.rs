//! The books: usage per key, model, token and in total, as absolute values per minute, hour, day and for good.
//! Per key and model attempts are counted, per token and in total client requests.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dim {
    /// An upstream key, by row id.
    Key,
    /// An upstream model.
    Model,
    /// A client token, by row id; empty in public mode.
    Token,
    /// All client requests; the id is empty.
    Pool,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// For good; `at` is 0.
    Total,
    /// A UTC day.
    Day,
    /// An hour.
    Hour,
    /// A minute (keys and in total only).
    Minute,
}

/// Counts. Tokens of answers whose end was not seen are apart, as estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counter {
    /// Attempts or client requests.
    #[serde(rename = "r")]
    pub requests: u64,
    /// Those that failed.
    #[serde(rename = "e")]
    pub errors: u64,
    /// Those whose client left before the end.
    #[serde(rename = "x")]
    pub cut: u64,
    /// Prompt tokens as the upstream counted them.
    #[serde(rename = "p")]
    pub prompt_tokens: u64,
    /// Completion tokens as the upstream counted them.
    #[serde(rename = "c")]
    pub completion_tokens: u64,
    /// Of the prompt tokens, those from the upstream's cache.
    #[serde(rename = "h")]
    pub cached_tokens: u64,
    /// Prompt tokens, estimated.
    #[serde(rename = "q")]
    pub estimated_prompt_tokens: u64,
    /// Completion tokens, estimated.
    #[serde(rename = "d")]
    pub estimated_completion_tokens: u64,
    /// Unix milliseconds of the last count.
    #[serde(rename = "l")]
    pub last_used_at: u64,
}

impl Counter {
    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.errors += more.errors;
        self.cut += more.cut;
        self.prompt_tokens += more.prompt_tokens;
        self.completion_tokens += more.completion_tokens;
        self.cached_tokens += more.cached_tokens;
        self.estimated_prompt_tokens += more.estimated_prompt_tokens;
        self.estimated_completion_tokens += more.estimated_completion_tokens;
        self.last_used_at = self.last_used_at.max(more.last_used_at);
    }
}

/// One absolute value, as the checkpoint and D1 hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The stretch of time.
    pub grain: Grain,
    /// What is counted for.
    pub dim: Dim,
    /// Its id.
    pub id: String,
    /// Start of the stretch, unix milliseconds.
    pub at: u64,
    /// The counts.
    #[serde(flatten)]
    pub count: Counter,
}

#[derive(Debug, Default)]
struct Cell {
    at: u64,
    count: Counter,
}

#[derive(Debug, Default)]
struct Series {
    total: Counter,
    day: Cell,
    hour: Cell,
    minute: Cell,
    dirty: bool,
    /// Finished stretches that were not handed out yet.
    finished: Vec<(Grain, u64, Counter)>,
}

impl Series {
    fn roll(&mut self, dim: Dim, at: u64) {
        let dirty = self.dirty;
        let mut turn = |cell: &mut Cell, grain: Grain, start: u64| {
            if cell.at != start {
                // A minute is written once, when it is over; days and hours were written while dirty.
                if cell.count.requests > 0 && (dirty || grain == Grain::Minute) {
                    self.finished.push((grain, cell.at, cell.count));
                }
                *cell = Cell { at: start, count: Counter::default() };
            }
        };
        turn(&mut self.day, Grain::Day, at - at % DAY);
        turn(&mut self.hour, Grain::Hour, at - at % HOUR);
        if has_minutes(dim) {
            turn(&mut self.minute, Grain::Minute, at - at % MINUTE);
        }
    }
}

fn has_minutes(dim: Dim) -> bool {
    matches!(dim, Dim::Key | Dim::Pool)
}

/// Every series.
#[derive(Debug, Default)]
pub struct Books {
    series: HashMap<Dim, HashMap<String, Series>>,
}

impl Books {
    fn series_of(&mut self, dim: Dim, id: &str) -> &mut Series {
        let series = self.series.entry(dim).or_default();
        series.entry(id.to_owned()).or_default()
    }

    fn all(&self) -> impl Iterator<Item = (Dim, &String, &Series)> {
        self.series.iter().flat_map(|(dim, series)| series.iter().map(move |(id, series)| (*dim, id, series)))
    }

    /// Counts.
    pub fn record(&mut self, dim: Dim, id: &str, at: u64, count: &Counter) {
        let series = self.series_of(dim, id);
        series.roll(dim, at);
        series.total.add(count);
        series.day.count.add(count);
        series.hour.count.add(count);
        if has_minutes(dim) {
            series.minute.count.add(count);
        }
        series.dirty = true;
    }

    /// Takes a stored value back, as it was. Stretches that are over at `now` need not be restored.
    pub fn restore(&mut self, row: &UsageRow) {
        let series = self.series_of(row.dim, &row.id);
        let cell = Cell { at: row.at, count: row.count };
        match row.grain {
            Grain::Total => series.total = row.count,
            Grain::Day if row.at >= series.day.at => series.day = cell,
            Grain::Hour if row.at >= series.hour.at => series.hour = cell,
            Grain::Minute if row.at >= series.minute.at => series.minute = cell,
            _ => {}
        }
    }

    /// What changed since the last call, as absolute values; `minutes_until` also hands out minutes that
    /// are over by then. The current minute of a dirty series is included so that a restart loses nothing.
    pub fn take_dirty(&mut self, now: u64) -> Vec<UsageRow> {
        let mut rows = Vec::new();
        let all = self
            .series
            .iter_mut()
            .flat_map(|(dim, series)| series.iter_mut().map(move |(id, series)| (*dim, id, series)));
        for (dim, id, series) in all {
            let over =
                has_minutes(dim) && series.minute.at + MINUTE <= now && series.minute.count.requests > 0;
            if !series.dirty && !over {
                continue;
            }
            let mut row = |grain, at, count: Counter| {
                rows.push(UsageRow { grain, dim, id: id.clone(), at, count });
            };
            for (grain, at, count) in series.finished.drain(..) {
                row(grain, at, count);
            }
            if series.dirty {
                row(Grain::Total, 0, series.total);
                row(Grain::Day, series.day.at, series.day.count);
                row(Grain::Hour, series.hour.at, series.hour.count);
            }
            if has_minutes(dim) && series.minute.count.requests > 0 {
                row(Grain::Minute, series.minute.at, series.minute.count);
                if over {
                    series.minute = Cell::default();
                }
            }
            series.dirty = false;
        }
        rows
    }

    /// Whether something changed since the last [`Books::take_dirty`], or a minute waits to be written.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.all()
            .any(|(dim, _, series)| series.dirty || (has_minutes(dim) && series.minute.count.requests > 0))
    }

    /// The totals of one id.
    #[must_use]
    pub fn total(&self, dim: Dim, id: &str) -> Counter {
        self.series.get(&dim).and_then(|of| of.get(id)).map(|series| series.total).unwrap_or_default()
    }

    /// Forgets ids that are not in use any more and have nothing unwritten. Totals stay in D1.
    pub fn forget(&mut self, mut keep: impl FnMut(Dim, &str) -> bool) {
        for (dim, series) in &mut self.series {
            series.retain(|id, series| series.dirty || keep(*dim, id));
        }
    }
}

#[cfg(test)]
mod tests {
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
        books.record(Dim::Token, "t", 5, &one());
        books.record(Dim::Token, "t", 6, &one());
        let rows = books.take_dirty(10);
        assert_eq!([Grain::Total, Grain::Day, Grain::Hour].map(|grain| find(&rows, grain, 0)), [Some(2); 3]);
        assert_eq!(books.take_dirty(10), []);
        books.record(Dim::Token, "t", 7, &one());
        assert_eq!(find(&books.take_dirty(10), Grain::Total, 0), Some(3));
    }

    #[test]
    fn a_stretch_that_ends_between_two_flushes_is_not_lost() {
        let mut books = Books::default();
        books.record(Dim::Key, "k", HOUR - 1, &one());
        books.record(Dim::Key, "k", HOUR + 1, &one());
        let rows = books.take_dirty(HOUR + 2);
        assert_eq!(find(&rows, Grain::Hour, 0), Some(1));
        assert_eq!(find(&rows, Grain::Hour, HOUR), Some(1));
        assert_eq!(find(&rows, Grain::Minute, HOUR - MINUTE), Some(1));
        assert_eq!(find(&rows, Grain::Day, 0), Some(2));
    }

    #[test]
    fn a_restored_series_goes_on_counting() {
        let mut books = Books::default();
        books.record(Dim::Key, "k", 5, &one());
        let rows = books.take_dirty(6);
        let mut again = Books::default();
        rows.iter().for_each(|row| again.restore(row));
        assert!(!again.all().any(|(_, _, series)| series.dirty));
        again.record(Dim::Key, "k", 7, &one());
        let rows = again.take_dirty(8);
        for grain in [Grain::Total, Grain::Day, Grain::Hour, Grain::Minute] {
            assert_eq!(find(&rows, grain, 0), Some(2), "{grain:?}");
        }
    }

    #[test]
    fn minutes_end_and_are_clean_then() {
        let mut books = Books::default();
        books.record(Dim::Pool, "", 5, &one());
        books.take_dirty(10);
        assert!(books.is_dirty(), "the minute still has to be written when it is over");
        assert_eq!(find(&books.take_dirty(MINUTE), Grain::Minute, 0), Some(1));
        assert!(!books.is_dirty());
        assert_eq!(books.take_dirty(MINUTE), []);
    }
}
