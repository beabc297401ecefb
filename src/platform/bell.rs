//! Waking those who wait for news. Only inside a Durable Object, whose requests may wake one another; in the fetch
//! Worker a request woken by another one fails.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Wakes all who wait, each time it rings.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Cell<u64>,
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

impl Bell {
    /// Wakes those who wait now.
    pub fn ring(&self) {
        self.rung.set(self.rung.get().wrapping_add(1));
        // Taken out first: a waker may poll at once.
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_values().for_each(Waker::wake);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Waits for the next ring.
    pub fn next_ring(&self) -> Ring<'_> {
        self.next.set(self.next.get().wrapping_add(1));
        Ring { bell: self, number: self.next.get(), since: self.rung.get() }
    }
}

/// The next ring. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Ring<'a> {
    bell: &'a Bell,
    number: u64,
    since: u64,
}

impl Future for Ring<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.bell.rung.get() != self.since {
            return Poll::Ready(());
        }
        self.bell.waiting.borrow_mut().insert(self.number, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        self.bell.waiting.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_wakes_who_waits_and_who_gave_up_leaves_nothing_behind() {
        let bell = Bell::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = Box::pin(bell.next_ring());
        let mut second = Box::pin(bell.next_ring());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(second);
        assert_eq!(bell.waiting(), 1);
        bell.ring();
        assert!(first.as_mut().poll(&mut context).is_ready());
        assert!(Box::pin(bell.next_ring()).as_mut().poll(&mut context).is_pending(), "only later rings");
        assert_eq!(bell.waiting(), 0);
    }
}
