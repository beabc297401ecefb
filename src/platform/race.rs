//! Waiting for the first of two things.

use std::future::{Future, poll_fn};
use std::pin::pin;
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
