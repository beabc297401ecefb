//! The clock and timers. On Workers the clock stands still between I/O.

use std::time::Duration;

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Resolves after that many milliseconds; the timer is cancelled on drop.
pub async fn sleep(ms: u64) {
    worker::Delay::from(Duration::from_millis(ms)).await;
}
