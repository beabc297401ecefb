//! The clock and timers. On Workers the clock stands still between I/O.

use super::glue;
use super::promise::Outcome;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    /// The time at which [`still`] began; 0 outside of it.
    static BEGAN: Cell<u64> = const { Cell::new(0) };
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    match BEGAN.get() {
        0 => read(),
        began => began,
    }
}

fn read() -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970")]
    let now = js_sys::Date::now() as u64;
    now
}

/// Does `work` with the clock read once: it stands still between I/O anyway, and a request would read it a dozen times.
pub fn still<T>(work: impl FnOnce() -> T) -> T {
    let before = BEGAN.replace(read());
    let done = work();
    BEGAN.set(before);
    done
}

/// Resolves after that many milliseconds; the timer is cancelled on drop.
pub async fn sleep(ms: u64) {
    Timer::new(ms).await;
}

/// A timer, set at once; cancelled on drop.
#[derive(Debug)]
pub struct Timer {
    /// Nothing when the platform sets none, which it always does: then it has run down at once.
    outcome: Option<Outcome>,
    handle: f64,
}

impl Timer {
    /// Runs down after that many milliseconds.
    #[must_use]
    pub fn new(ms: u64) -> Self {
        // Beyond that JavaScript's timers fire at once.
        let ms = f64::from(i32::try_from(ms).unwrap_or(i32::MAX));
        let set = Outcome::begun(|number, tell| Ok(glue::timer(ms, number, tell)));
        match set {
            Ok((outcome, handle)) => Self { outcome: Some(outcome), handle },
            Err(_) => Self { outcome: None, handle: 0.0 },
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(outcome) = self.outcome.as_mut() else { return Poll::Ready(()) };
        let ready = Pin::new(outcome).poll(context).map(|_| ());
        if ready.is_ready() {
            self.outcome = None;
        }
        ready
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            glue::clear(self.handle);
        }
    }
}
