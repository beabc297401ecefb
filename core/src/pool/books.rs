//! The books: usage per key, model, token and in total, as absolute values per minute, hour, day and for good.
//! Per key and model attempts are counted, per token and in total client requests. Client requests have a
//! [`Detail`] too; a model's is of those that it answered or was the last to be tried for.

use super::detail::Detail;
use super::protocol::RequestEnd;
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

impl Dim {
    /// As it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Token => "token",
            Self::Pool => "pool",
        }
    }
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

impl Grain {
    /// As it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }
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
    /// Of client requests; what was stored before there was one has none.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<Detail>>,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    at: u64,
    count: Counter,
    detail: Option<Box<Detail>>,
}

impl Cell {
    fn is_empty(&self) -> bool {
        self.count.requests == 0 && self.detail.is_none()
    }

    fn add(&mut self, count: &Counter, end: Option<&RequestEnd>) {
        self.count.add(count);
        if let Some(end) = end {
            self.detail.get_or_insert_default().add(end);
        }
    }

    fn row(&self, grain: Grain, dim: Dim, id: &str) -> UsageRow {
        UsageRow {
            grain,
            dim,
            id: id.to_owned(),
            at: self.at,
            count: self.count,
            detail: self.detail.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    total: Cell,
    day: Cell,
    hour: Cell,
    minute: Cell,
    dirty: bool,
    /// Finished stretches that were not handed out yet.
    finished: Vec<(Grain, Cell)>,
}

impl Series {
    fn roll(&mut self, dim: Dim, at: u64) {
        let dirty = self.dirty;
        let mut turn = |cell: &mut Cell, grain: Grain, start: u64| {
            if cell.at != start {
                // A minute is written once, when it is over; days and hours were written while dirty.
                let over = std::mem::replace(cell, Cell { at: start, ..Cell::default() });
                if !over.is_empty() && (dirty || grain == Grain::Minute) {
                    self.finished.push((grain, over));
                }
            }
        };
        turn(&mut self.day, Grain::Day, at - at % DAY);
        turn(&mut self.hour, Grain::Hour, at - at % HOUR);
        if has_minutes(dim) {
            turn(&mut self.minute, Grain::Minute, at - at % MINUTE);
        }
    }
}

/// One pair and the share of another, `of` of a minute, rounded.
fn sum([a, b]: [u64; 2], [x, y]: [u64; 2], of: u64) -> [u64; 2] {
    let share = |count: u64| (count * of + MINUTE / 2) / MINUTE;
    [a + share(x), b + share(y)]
}

/// Whether minutes are kept of it.
#[must_use]
pub fn has_minutes(dim: Dim) -> bool {
    matches!(dim, Dim::Key | Dim::Pool)
}

/// Requests and tokens of the minute under way and the one before.
#[derive(Debug, Default)]
struct Pace {
    at: u64,
    current: [u64; 2],
    before: [u64; 2],
}

impl Pace {
    fn turn(&mut self, now: u64) {
        let minute = now - now % MINUTE;
        if minute != self.at {
            self.before = if self.at + MINUTE == minute { self.current } else { [0; 2] };
            self.current = [0; 2];
            self.at = minute;
        }
    }

    fn add(&mut self, at: u64, count: &Counter) {
        self.turn(at);
        let [requests, tokens] = &mut self.current;
        *requests += count.requests;
        *tokens += count.prompt_tokens
            + count.completion_tokens
            + count.estimated_prompt_tokens
            + count.estimated_completion_tokens;
    }
}

/// Every series.
#[derive(Debug, Default)]
pub struct Books {
    series: HashMap<Dim, HashMap<String, Series>>,
    pace: Pace,
}

impl Books {
    fn series_of(&mut self, dim: Dim, id: &str) -> &mut Series {
        let series = self.series.entry(dim).or_default();
        series.entry(id.to_owned()).or_default()
    }

    fn all(&self) -> impl Iterator<Item = (Dim, &String, &Series)> {
        self.series.iter().flat_map(|(dim, series)| series.iter().map(move |(id, series)| (*dim, id, series)))
    }

    /// Counts, and how a client's request ended where one did.
    pub fn record(&mut self, dim: Dim, id: &str, at: u64, count: &Counter, end: Option<&RequestEnd>) {
        if dim == Dim::Pool {
            self.pace.add(at, count);
        }
        let series = self.series_of(dim, id);
        series.roll(dim, at);
        // For good only the pool's as a whole are asked for: there may be 10,000 tokens.
        series.total.add(count, end.filter(|_| dim == Dim::Pool));
        series.day.add(count, end);
        series.hour.add(count, end);
        if has_minutes(dim) {
            series.minute.add(count, end);
        }
        series.dirty = true;
    }

    /// Takes a stored value back, as it was. Stretches that are over at `now` need not be restored.
    pub fn restore(&mut self, row: &UsageRow) {
        if row.dim == Dim::Pool && row.grain == Grain::Minute && row.at >= self.pace.at {
            self.pace = Pace::default();
            self.pace.add(row.at, &row.count);
        }
        let series = self.series_of(row.dim, &row.id);
        let cell = Cell { at: row.at, count: row.count, detail: row.detail.clone() };
        match row.grain {
            Grain::Total => series.total = cell,
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
            let over = has_minutes(dim) && series.minute.at + MINUTE <= now && !series.minute.is_empty();
            if !series.dirty && !over {
                continue;
            }
            let mut row = |grain, cell: &Cell| rows.push(cell.row(grain, dim, id));
            for (grain, cell) in series.finished.drain(..) {
                row(grain, &cell);
            }
            if series.dirty {
                row(Grain::Total, &series.total);
                row(Grain::Day, &series.day);
                row(Grain::Hour, &series.hour);
            }
            if has_minutes(dim) && !series.minute.is_empty() {
                row(Grain::Minute, &series.minute);
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
        self.all().any(|(dim, _, series)| series.dirty || (has_minutes(dim) && !series.minute.is_empty()))
    }

    /// The totals of one id.
    #[must_use]
    pub fn total(&self, dim: Dim, id: &str) -> Counter {
        self.series.get(&dim).and_then(|of| of.get(id)).map(|series| series.total.count).unwrap_or_default()
    }

    /// The detail of one id, for good.
    #[must_use]
    pub fn total_detail(&self, dim: Dim, id: &str) -> Option<&Detail> {
        self.series.get(&dim)?.get(id)?.total.detail.as_deref()
    }

    /// The totals of every id.
    pub fn totals(&self, dim: Dim) -> impl Iterator<Item = (&str, &Counter)> {
        let of = self.series.get(&dim).into_iter().flatten();
        of.map(|(id, series)| (id.as_str(), &series.total.count))
    }

    /// Client requests of the UTC day.
    #[must_use]
    pub fn requests_today(&self, now: u64) -> u64 {
        let pool = self.series.get(&Dim::Pool).and_then(|of| of.get(""));
        pool.filter(|pool| pool.day.at == now - now % DAY).map_or(0, |pool| pool.day.count.requests)
    }

    /// Client requests and their tokens of the last 60 s: those of the minute under way, and of the minute before
    /// the part that is not over yet, as if they had come evenly.
    #[must_use]
    pub fn per_minute(&self, now: u64) -> [u64; 2] {
        let Pace { at, current, before } = self.pace;
        let (passed, before) = match now.saturating_sub(at) {
            passed @ 0..MINUTE => return sum(current, before, MINUTE - passed),
            passed if passed < 2 * MINUTE => (passed - MINUTE, current),
            _ => return [0; 2],
        };
        sum([0; 2], before, MINUTE - passed)
    }

    /// Forgets ids that are not in use any more and have nothing unwritten. Totals stay in D1.
    pub fn forget(&mut self, mut keep: impl FnMut(Dim, &str) -> bool) {
        for (dim, series) in &mut self.series {
            series.retain(|id, series| series.dirty || keep(*dim, id));
        }
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
