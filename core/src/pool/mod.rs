//! What is sent with which key, and when: every decision of the Coordinator as a pure function of
//! (state, now, ask), and the isolate's own fallback for when the Coordinator is silent.

pub mod books;
pub mod breaker;
pub mod bucket;
pub mod catalog;
pub mod decisions;
pub mod detail;
pub mod exposition;
pub mod fallback;
pub mod faults;
pub mod fuel;
pub mod keys;
pub mod kinship;
pub mod lease;
pub mod limiter;
pub mod line;
pub mod models;
pub mod outbox;
pub mod outcome;
pub mod pick;
pub mod protocol;
pub mod providers;
pub mod quota;
mod recent;
pub mod rotation;
pub mod series;
pub mod settled;
pub mod spending;
pub mod state;
pub mod status;
pub mod stories;
mod suggest;
mod tenant;
pub mod tenants;
mod turns;

mod ask;
mod burden;
mod checkpoint;
mod grant;
mod judge;
mod outlook;
mod promises;
mod wait;

pub use checkpoint::{Checkpoint, KeyStatusRow};
pub use grant::Leased;
pub use state::Pool;
pub use status::Summary;

#[cfg(test)]
mod scenarios;

#[cfg(test)]
mod properties;
