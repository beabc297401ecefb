//! Waiting for the first of two things.

use super::time::{Timer, now_ms};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// What came first.
#[derive(Debug)]
pub enum First<A, B> {
    /// The first future.
    Left(A),
    /// The second one.
    Right(B),
}

/// Resolves with whichever future is ready first; the first one when both are. Neither is polled again, so
/// pass `&mut future` to go on with the other.
pub async fn race<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> First<A, B> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(move |context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(value));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}

/// The future's output, or `None` when that many milliseconds pass first.
pub async fn within<T>(ms: u64, future: impl Future<Output = T>) -> Option<T> {
    match race(future, super::time::sleep(ms)).await {
        First::Left(value) => Some(value),
        First::Right(()) => None,
    }
}

/// The longest that a [`Watch`]'s timer is set for. A long wait sets it anew now and then; a short one that
/// follows finds it set for no longer than it needs.
const ROUND_MS: u64 = 1_000;

/// One timer for all the waits of a request, one after the other: nearly all of them end long before it fires,
/// and each timer of the platform's is two calls.
#[derive(Default)]
pub struct Watch(RefCell<Option<Alarm>>);

struct Alarm {
    fires_at: u64,
    timer: Timer,
}

impl Watch {
    /// The future's output, or `None` when that many milliseconds pass first.
    pub async fn within<T>(&self, ms: u64, future: impl Future<Output = T>) -> Option<T> {
        let deadline = now_ms().saturating_add(ms);
        let mut future = pin!(future);
        poll_fn(move |context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Some(value));
            }
            let mut alarm = self.0.borrow_mut();
            loop {
                // A timer that fires too early is waited for and set anew; one that fires too late is replaced.
                if alarm.as_ref().is_none_or(|alarm| alarm.fires_at > deadline) {
                    let now = now_ms();
                    let left = deadline.saturating_sub(now).min(ROUND_MS);
                    *alarm = Some(Alarm { fires_at: now + left, timer: Timer::new(left) });
                }
                let Some(set) = alarm.as_mut() else { return Poll::Pending };
                if Pin::new(&mut set.timer).poll(context).is_pending() {
                    return Poll::Pending;
                }
                *alarm = None;
                if now_ms() >= deadline {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }
}
