//! What is sent with which key, and when: every decision of the Coordinator as a pure function of
//! (state, now, ask), and the isolate's own fallback for when the Coordinator is silent.

pub mod books;
pub mod bucket;
pub mod fallback;
pub mod faults;
pub mod keys;
pub mod lease;
pub mod limiter;
pub mod outbox;
pub mod outcome;
pub mod protocol;
pub mod providers;
pub mod rotation;
pub mod settled;
pub mod state;

mod ask;
mod checkpoint;

pub use checkpoint::{Checkpoint, KeyStatusRow};
pub use state::{Pool, Summary};

#[cfg(test)]
mod scenarios;
