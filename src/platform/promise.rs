//! Waiting for what JavaScript promises. `JsFuture` makes two closures for each promise, and JavaScript registers
//! every one of them to be finalised; here one closure for the isolate takes the ends of all.

use super::glue;
use super::slots::Slots;
use js_sys::{Function, Promise};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::*;

type End = Result<JsValue, JsValue>;

enum Slot {
    Open(Option<Waker>),
    Ended(End),
}

thread_local! {
    static SLOTS: RefCell<Slots<Slot>> = RefCell::default();
    static TELL: Function = Closure::<dyn Fn(f64, JsValue, bool)>::new(tell).into_js_value().unchecked_into();
}

/// An end has come. Nobody waits for it when the future was dropped.
fn tell(number: f64, value: JsValue, well: bool) {
    let end = if well { Ok(value) } else { Err(value) };
    let waker = SLOTS.with(|slots| {
        let mut slots = slots.borrow_mut();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u64")]
        let slot = slots.get_mut(number as u64)?;
        match std::mem::replace(slot, Slot::Ended(end)) {
            Slot::Open(waker) => waker,
            Slot::Ended(_) => None,
        }
    });
    // Outside the borrow: it may poll at once.
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What a promise comes to. Dropped, it forgets the promise, which goes on.
#[derive(Debug)]
pub struct Outcome(u64);

impl Outcome {
    /// Of this promise.
    #[must_use]
    pub fn of(promise: &Promise) -> Self {
        let outcome = Self::new();
        TELL.with(|tell| glue::follow(promise, outcome.number(), tell));
        outcome
    }

    /// Of what `begin` begins, and what it gives at once.
    ///
    /// # Errors
    /// When it can't be begun.
    pub fn begun<T>(begin: impl FnOnce(f64, &Function) -> Result<T, JsValue>) -> Result<(Self, T), JsValue> {
        let outcome = Self::new();
        let given = TELL.with(|tell| begin(outcome.number(), tell))?;
        Ok((outcome, given))
    }

    fn new() -> Self {
        Self(SLOTS.with(|slots| slots.borrow_mut().insert(Slot::Open(None))))
    }

    fn number(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let number = self.0 as f64;
        number
    }
}

impl Future for Outcome {
    type Output = End;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        // What it was woken by before is dropped outside the borrow: a task may end with it.
        let (ended, _before) = SLOTS.with(|slots| {
            let mut slots = slots.borrow_mut();
            match slots.get_mut(self.0) {
                Some(Slot::Open(waiting)) => (None, waiting.replace(context.waker().clone())),
                Some(Slot::Ended(_)) => match slots.remove(self.0) {
                    Some(Slot::Ended(end)) => (Some(end), None),
                    _ => (None, None),
                },
                // Polled again after its end.
                None => (Some(Err(JsValue::UNDEFINED)), None),
            }
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        // What is dropped with it may be anything; not while the slots are borrowed.
        let slot = SLOTS.try_with(|slots| slots.borrow_mut().remove(self.0));
        drop(slot);
    }
}
