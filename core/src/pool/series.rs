//! What a series of the books is asked for: `GET /api/stats/series`.

use super::books::{Dim, Grain, has_minutes};
use crate::config::{FieldError, rfc3339};
use crate::limits::input::{MODEL_ID_BYTES, ROW_ID_BYTES, SERIES_POINTS};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Up to this span minutes are told by default.
const BY_MINUTE_UP_TO_MS: u64 = 6 * HOUR_MS;
/// Up to this span hours.
const BY_HOUR_UP_TO_MS: u64 = 8 * DAY_MS;

/// A series, or several side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Begins at this moment, unix milliseconds; the stretch that it is in is told whole.
    pub from: u64,
    /// Ends before this moment.
    pub to: u64,
    /// Length of a stretch: a minute, an hour or a day.
    pub step: Grain,
    /// Keys, models or tokens; all client requests when absent.
    pub by: Option<Dim>,
    /// Only this one; the busiest when absent.
    pub id: Option<String>,
}

fn length(step: Grain) -> u64 {
    match step {
        Grain::Minute => MINUTE_MS,
        Grain::Hour => HOUR_MS,
        Grain::Day | Grain::Total => DAY_MS,
    }
}

/// The steps there are, the finest first.
fn steps(by: Option<Dim>) -> &'static [Grain] {
    let all = &[Grain::Minute, Grain::Hour, Grain::Day];
    if by.is_none_or(has_minutes) { all } else { &[Grain::Hour, Grain::Day] }
}

fn time(name: &str, value: &str) -> Result<u64, FieldError> {
    rfc3339::parse(value).ok_or_else(|| FieldError::new(name, "must be a time like 2026-11-21T09:30:00Z"))
}

fn wrong(name: &str, words: &[&str]) -> FieldError {
    FieldError::new(name, format!("must be one of {}", words.join(", ")))
}

impl SeriesQuery {
    /// Reads the query's parameters. An empty value is none, but for `id`: requests without a token have an empty one.
    ///
    /// # Errors
    /// Names the parameter that is unknown or wrong.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, now: u64) -> Result<Self, FieldError> {
        let (mut from, mut to, mut step, mut by, mut id) = (None, None, None, None, None);
        for (name, value) in pairs.filter(|(name, value)| !value.is_empty() || *name == "id") {
            match name {
                "from" => from = Some(time(name, value)?),
                "to" => to = Some(time(name, value)?),
                "step" => {
                    let named = |grain: &&Grain| grain.name() == value;
                    let found = steps(None).iter().find(named);
                    step = Some(*found.ok_or_else(|| wrong(name, &["minute", "hour", "day"]))?);
                }
                "by" => {
                    let found =
                        [Dim::Token, Dim::Model, Dim::Key].into_iter().find(|dim| dim.name() == value);
                    by = Some(found.ok_or_else(|| wrong(name, &["token", "model", "key"]))?);
                }
                "id" if value.len() > ROW_ID_BYTES.max(MODEL_ID_BYTES) => {
                    return Err(FieldError::new(name, "is no id"));
                }
                "id" => id = Some(value.to_owned()),
                _ => return Err(FieldError::new(name, "is not a parameter of this call")),
            }
        }
        if id.is_some() && by.is_none() {
            return Err(FieldError::new("id", "needs `by`, which says what it is the id of"));
        }
        let to = to.unwrap_or(now);
        let from = from.unwrap_or_else(|| to.saturating_sub(HOUR_MS));
        if from >= to {
            return Err(FieldError::new("from", "must be before `to`"));
        }
        let step = Self::step(step, by, to - from)?;
        let query = Self { from, to, step, by, id };
        let points = (to - query.first()).div_ceil(length(step));
        if points > SERIES_POINTS as u64 {
            let detail = format!("gives {points} points, more than {SERIES_POINTS}: take a longer step");
            return Err(FieldError::new("step", detail));
        }
        Ok(query)
    }

    fn step(asked: Option<Grain>, by: Option<Dim>, span: u64) -> Result<Grain, FieldError> {
        let there = steps(by);
        let by_span = || match span {
            span if span <= BY_MINUTE_UP_TO_MS => Grain::Minute,
            span if span <= BY_HOUR_UP_TO_MS => Grain::Hour,
            _ => Grain::Day,
        };
        let wanted = asked.unwrap_or_else(by_span);
        if there.contains(&wanted) {
            return Ok(wanted);
        }
        if asked.is_some() {
            let names: Vec<&str> = there.iter().map(|step| step.name()).collect();
            let by = by.map_or("", Dim::name);
            let detail = format!("by {by} must be one of {}: minutes are not kept", names.join(", "));
            return Err(FieldError::new("step", detail));
        }
        Ok(there.first().copied().unwrap_or(Grain::Day))
    }

    /// Start of the first stretch, unix milliseconds.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.from - self.from % length(self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_795_253_445_678;

    fn parsed(pairs: &[(&str, &str)]) -> Result<SeriesQuery, FieldError> {
        SeriesQuery::parse(pairs.iter().copied(), T)
    }

    /// The step of a query that goes back so far.
    fn step(by: &str, span: u64) -> &'static str {
        parsed(&[("from", &rfc3339::format(T - span)), ("by", by)]).unwrap().step.name()
    }

    #[test]
    fn without_parameters_it_is_the_last_hour_by_minute() {
        let query = parsed(&[]).unwrap();
        assert_eq!((query.from, query.to, query.step), (T - HOUR_MS, T, Grain::Minute));
        assert_eq!((query.by, query.id.clone()), (None, None));
        assert_eq!(query.first(), query.from - query.from % MINUTE_MS);
    }

    #[test]
    fn the_step_follows_the_span_where_none_is_asked_for() {
        assert_eq!(["", "key"].map(|by| step(by, 6 * HOUR_MS)), ["minute"; 2]);
        assert_eq!(["", "key"].map(|by| step(by, 6 * HOUR_MS + 1)), ["hour"; 2]);
        assert_eq!(["token", "model"].map(|by| step(by, HOUR_MS)), ["hour"; 2]);
        assert_eq!([8 * DAY_MS, 8 * DAY_MS + 1].map(|span| step("", span)), ["hour", "day"]);
    }

    #[test]
    fn an_empty_id_is_that_of_requests_without_a_token() {
        assert_eq!(parsed(&[("by", "token"), ("id", "")]).unwrap().id.as_deref(), Some(""));
        assert_eq!(parsed(&[("by", "token")]).unwrap().id, None);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let long = "k".repeat(257);
        let far = rfc3339::format(T - 1_501 * MINUTE_MS);
        for (pairs, field) in [
            (&[("from", "yesterday")][..], "from"),
            (&[("to", "2026-11-21")], "to"),
            (&[("from", "2026-11-21T10:00:00Z"), ("to", "2026-11-21T10:00:00Z")], "from"),
            (&[("step", "second")], "step"),
            (&[("step", "total")], "step"),
            (&[("step", "minute"), ("from", far.as_str())], "step"),
            (&[("step", "minute"), ("by", "token")], "step"),
            (&[("step", "minute"), ("by", "model")], "step"),
            (&[("by", "pool")], "by"),
            (&[("id", "k_1")], "id"),
            (&[("by", "key"), ("id", long.as_str())], "id"),
            (&[("limit", "5")], "limit"),
        ] {
            assert_eq!(parsed(pairs).unwrap_err().field, field, "{pairs:?}");
        }
        let said = parsed(&[("step", "minute"), ("by", "token")]).unwrap_err().to_string();
        assert!(said.contains("hour, day"), "{said}");
    }
}
