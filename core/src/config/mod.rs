//! Configuration: what an operator sets, as the isolates and the Coordinator see it.
//!
//! D1 holds the record; [`Snapshot`] is all of it that an isolate must know, at one epoch.

mod resolve;
mod settings;
mod snapshot;
mod validate;

pub mod backup;
pub mod catalog;
pub mod groups;
pub mod import;
pub mod keys;
pub mod list;
pub mod pools;
pub mod rfc3339;
pub mod tokens;

pub use resolve::{Refusal, Route, resolve, visible_models};
pub use settings::{AccessMode, LimitOverride, Metering, ModelPolicy, Settings, Timeouts};
pub use snapshot::{DEFAULT_POOL, Member, ModelPool, Snapshot, Strategy, Token, TokenLimits, Wrapped};
pub use validate::{FieldError, Fields};
