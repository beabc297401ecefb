//! What Rondo spends of the platform's free plan, a UTC day at a time, as far as the Coordinator sees it: an
//! estimate, since other Workers of the account, the page's files and reads of cold isolates are not seen.

use crate::limits::{d1, durable_object, workers};
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 86_400_000;

/// Counts of one day. Fields that are added later begin at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spending {
    /// Start of the UTC day, unix milliseconds.
    pub day: u64,
    /// Calls of the object, alarms too.
    pub object_requests: u64,
    /// Rows that the object wrote to its own database.
    pub object_rows_written: u64,
    /// Rows written to D1.
    pub d1_rows_written: u64,
    /// Rows read from D1.
    pub d1_rows_read: u64,
}

/// One line of the gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gauge {
    /// `requests`, `object_requests`, `rows_written` or `rows_read`.
    pub name: &'static str,
    /// Used since the day began.
    pub used: u64,
    /// What the free plan gives a day.
    pub limit: usize,
}

impl Spending {
    /// Those of the day that `now` is in; none when it is another.
    #[must_use]
    pub fn of_day(&self, now: u64) -> Self {
        let day = now - now % DAY_MS;
        if self.day == day { *self } else { Self { day, ..Self::default() } }
    }

    /// Adds what was spent; the day of `more` does not matter.
    pub fn add(&mut self, now: u64, more: &Self) {
        let today = self.of_day(now);
        *self = Self {
            day: today.day,
            object_requests: today.object_requests + more.object_requests,
            object_rows_written: today.object_rows_written + more.object_rows_written,
            d1_rows_written: today.d1_rows_written + more.d1_rows_written,
            d1_rows_read: today.d1_rows_read + more.d1_rows_read,
        };
    }

    /// Against the free plan. The object and D1 have a limit of rows written each, of the same size; told is the
    /// one that is nearer to it.
    #[must_use]
    pub fn gauges(&self, now: u64, requests: u64) -> [Gauge; 4] {
        let today = self.of_day(now);
        let rows_written = today.object_rows_written.max(today.d1_rows_written);
        [
            Gauge { name: "requests", used: requests, limit: workers::FREE_REQUESTS_PER_DAY },
            Gauge {
                name: "object_requests",
                used: today.object_requests,
                limit: durable_object::FREE_REQUESTS_PER_DAY,
            },
            Gauge {
                name: "rows_written",
                used: rows_written,
                limit: durable_object::FREE_ROWS_WRITTEN_PER_DAY,
            },
            Gauge { name: "rows_read", used: today.d1_rows_read, limit: d1::FREE_ROWS_READ_PER_DAY },
        ]
    }
}

// One number stands for both.
const _: () = assert!(durable_object::FREE_ROWS_WRITTEN_PER_DAY == d1::FREE_ROWS_WRITTEN_PER_DAY);

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_790_000_000_000;

    #[test]
    fn a_day_is_counted_and_the_next_begins_at_nothing() {
        let mut spending = Spending::default();
        let more = Spending {
            object_requests: 2,
            object_rows_written: 3,
            d1_rows_written: 5,
            ..Spending::default()
        };
        spending.add(T, &more);
        spending.add(T + 1, &Spending { d1_rows_read: 7, ..more });
        let used = |spending: &Spending, now| spending.gauges(now, 11).map(|gauge| gauge.used);
        assert_eq!(used(&spending, T + 2), [11, 4, 10, 7], "D1 is nearer to its limit of rows written");
        assert_eq!(used(&spending, T + DAY_MS), [11, 0, 0, 0]);
        spending.add(T + DAY_MS, &more);
        assert_eq!(used(&spending, T + DAY_MS), [11, 2, 5, 0]);
        assert_eq!(spending.day % DAY_MS, 0);
    }

    #[test]
    fn what_was_stored_is_read_and_written_as_it_was() {
        let json = r#"{"day":1789948800000,"object_requests":1,"object_rows_written":2,"d1_rows_written":3,"d1_rows_read":4}"#;
        let back: Spending = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
        assert_eq!(serde_json::from_str::<Spending>("{}").unwrap(), Spending::default());
    }
}
