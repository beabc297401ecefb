//! Judges the pool: clients, isolates and the upstream around it, simulated from a seed.
//!
//! What drives the pool is written from the rules of the data plane, and what limits it from the upstream's
//! documentation; neither shares a decision with `core`. `docs/pool.md` says what is measured, and how.

pub mod capacity;
pub mod clients;
pub mod course;
mod ends;
mod events;
pub mod figures;
pub mod flight;
pub mod isolate;
pub mod limiter;
pub mod naive;
pub mod oracle;
pub mod report;
pub mod rests;
pub mod rng;
pub mod scenario;
pub mod slab;
pub mod upstream;
pub mod world;
