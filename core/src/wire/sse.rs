//! Event streams: the gate that looks at the first event, the tail that follows the rest in constant memory, and
//! how a stream that broke is ended.

mod closing;
mod scanner;
mod tail;

pub use closing::error_event;
pub use scanner::{Event, EventScanner, Name};
pub use tail::{End, Finish, First, Tail};

/// How far into a stream the gate looks for the first event's end, in bytes.
pub const GATE_BYTES: u64 = 64 * 1024;

/// What the gate has seen so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// No complete event yet: feed it more.
    NeedMore,
    /// The first event that is no comment is complete.
    Event(First),
    /// The first event does not end within `GATE_BYTES`; it must be passed on unseen.
    TooLarge,
}

/// Holds a stream back until its first event is known, then becomes the tail that follows the rest.
#[derive(Debug, Default)]
pub struct Gate {
    tail: Tail,
}

impl Gate {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on. Chunks may be cut anywhere; what lies behind the first event is not lost.
    pub fn feed(&mut self, chunk: &[u8]) -> GateState {
        self.tail.feed(chunk);
        match self.tail.first() {
            Some((first, end)) if *end <= GATE_BYTES => GateState::Event(first.clone()),
            None if self.tail.bytes() <= GATE_BYTES => GateState::NeedMore,
            _ => GateState::TooLarge,
        }
    }

    /// The stream ended at the gate: its only event may lack the blank line at its end. None if there was none,
    /// which is a failed try.
    pub fn end(self) -> Option<First> {
        self.tail.end().first
    }

    /// The tail, which has seen all that the gate was fed.
    pub fn into_tail(self) -> Tail {
        self.tail
    }
}

#[cfg(test)]
#[path = "sse/tests.rs"]
mod tests;
