//! Runs the requests. wasm-bindgen-futures polls a task in a microtask of its own each time it is woken: two more
//! crossings for every promise that ends. Here a task is polled by whatever wakes it.

use super::slots::Slots;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The platform stops a request whose client left, and then wakes its task no more. What has waited for so long is no
/// request any more: each takes an hour and ten minutes at most, by its settings.
const FORGOTTEN_MS: u64 = 2 * 3_600_000;
/// How often such are looked for.
const SWEEP_MS: u64 = 60_000;

enum Slot {
    Waiting(Work),
    /// Being polled; woken meanwhile or not.
    Running(bool),
}

#[derive(Default)]
struct Tasks {
    swept_at: u64,
    /// With when each began.
    slots: Slots<(u64, Slot)>,
}

thread_local! {
    static TASKS: RefCell<Tasks> = RefCell::default();
}

/// Runs `work` until it first waits, and on each time it is woken. `now` in milliseconds.
pub fn run(now: u64, work: impl Future<Output = ()> + 'static) {
    let (number, forgotten) = TASKS.with(|tasks| {
        let mut tasks = tasks.borrow_mut();
        let mut forgotten = Vec::new();
        if now.saturating_sub(tasks.swept_at) >= SWEEP_MS {
            tasks.swept_at = now;
            forgotten = tasks.slots.remove_all(|(began, _)| now.saturating_sub(*began) > FORGOTTEN_MS);
        }
        (tasks.slots.insert((now, Slot::Waiting(Box::pin(work)))), forgotten)
    });
    drop(forgotten);
    poll(&Arc::new(Task(number)));
}

/// A task by its number: the work itself stays in its thread, as wakers may not.
struct Task(u64);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        poll(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        poll(self);
    }
}

fn poll(task: &Arc<Task>) {
    let Some(mut work) = begin(task.0) else { return };
    let waker = Waker::from(task.clone());
    let mut context = Context::from_waker(&waker);
    // The work and what it holds are polled and dropped outside the borrow: both may wake other tasks.
    while work.as_mut().poll(&mut context) == Poll::Pending {
        match wait(task.0, work) {
            Some(again) => work = again,
            None => return,
        }
    }
    TASKS.with(|tasks| tasks.borrow_mut().slots.remove(task.0));
}

/// The work, if it waits. One that is being polled is polled once more.
fn begin(number: u64) -> Option<Work> {
    TASKS.with(|tasks| {
        let mut tasks = tasks.borrow_mut();
        let (_, slot) = tasks.slots.get_mut(number)?;
        match std::mem::replace(slot, Slot::Running(true)) {
            Slot::Waiting(work) => {
                *slot = Slot::Running(false);
                Some(work)
            }
            Slot::Running(_) => None,
        }
    })
}

/// Lays the work down until it is woken; gives it back when it was woken already.
fn wait(number: u64, work: Work) -> Option<Work> {
    TASKS.with(|tasks| {
        let mut tasks = tasks.borrow_mut();
        match tasks.slots.get_mut(number) {
            Some((_, slot @ Slot::Running(true))) => {
                *slot = Slot::Running(false);
                Some(work)
            }
            Some((_, slot)) => {
                *slot = Slot::Waiting(work);
                None
            }
            None => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;

    fn tasks() -> usize {
        TASKS.with(|tasks| tasks.borrow().slots.len())
    }

    #[test]
    fn a_task_runs_until_it_waits_and_on_when_it_is_woken() {
        let (polls, waker) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None::<Waker>)));
        let (counted, kept) = (polls.clone(), waker.clone());
        run(
            0,
            poll_fn(move |context| {
                counted.set(counted.get() + 1);
                *kept.borrow_mut() = Some(context.waker().clone());
                if counted.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
            }),
        );
        let wake = || {
            let waker = waker.borrow_mut().take();
            waker.expect("it waits").wake();
        };
        assert_eq!((polls.get(), tasks()), (1, 1));
        wake();
        assert_eq!((polls.get(), tasks()), (2, 1));
        wake();
        assert_eq!((polls.get(), tasks()), (3, 0));
        wake();
        assert_eq!(polls.get(), 3, "nothing is left to be polled");
    }

    #[test]
    fn woken_while_it_is_polled_a_task_is_polled_again() {
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        run(
            0,
            poll_fn(move |context| {
                counted.set(counted.get() + 1);
                if counted.get() == 3 {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                context.waker().wake_by_ref();
                Poll::Pending
            }),
        );
        assert_eq!((polls.get(), tasks()), (3, 0));
    }

    #[test]
    fn a_task_that_is_woken_no_more_is_dropped_in_the_end() {
        let held = Rc::new(());
        let kept = held.clone();
        run(1_000, async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        run(1_000 + FORGOTTEN_MS, async {});
        assert_eq!(Rc::strong_count(&held), 2);
        run(1_000 + FORGOTTEN_MS + SWEEP_MS, async {});
        assert_eq!((Rc::strong_count(&held), tasks()), (1, 0));
    }

    #[test]
    fn a_task_that_ends_may_wake_and_start_others() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (kept, first, second) = (Rc::new(RefCell::new(None::<Waker>)), order.clone(), order.clone());
        let mut polled = false;
        let mine = kept.clone();
        run(
            0,
            poll_fn(move |context| {
                if polled {
                    first.borrow_mut().push("woken");
                    return Poll::Ready(());
                }
                polled = true;
                *mine.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }),
        );
        run(0, async move {
            let inner = second.clone();
            run(0, async move { inner.borrow_mut().push("inner") });
            let waker = kept.borrow_mut().take();
            waker.expect("it waits").wake();
            second.borrow_mut().push("outer");
        });
        assert_eq!((order.borrow().as_slice(), tasks()), (["inner", "woken", "outer"].as_slice(), 0));
    }
}
