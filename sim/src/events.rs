//! What happens, in the order of its time.

use crate::course::Failure;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// What happens. Numbers are those of courses, calls, flights or isolates.
#[derive(Debug)]
pub(crate) enum Event {
    Arrive,
    Return(u64),
    Seek(u32),
    Called(u32),
    Replied(u32),
    Send(u32),
    Reaches(u32),
    Failed(u32, Box<Failure>),
    HeadLeaves(u32),
    Head(u32),
    Done(u32),
    End(u32),
    Flush(usize),
    Tend(usize),
    Minute,
}

#[derive(Debug)]
struct Timed {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    /// The soonest is the greatest; what was planned first comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What is planned.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Timed>,
    order: u64,
}

impl Events {
    /// Plans something.
    pub(crate) fn plan(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.heap.push(Timed { at, order: self.order, event });
    }

    /// What comes next, and when.
    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|timed| (timed.at, timed.event))
    }
}
