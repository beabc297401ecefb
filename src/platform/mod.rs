//! All JavaScript glue lives here: time, randomness, fetch, streams, bindings, logs.

pub mod assets;
pub mod bell;
pub mod body;
pub mod coordinator;
pub mod env;
pub mod fetch;
pub mod glue;
pub mod incoming;
pub mod json;
pub mod log;
pub mod pbkdf2;
pub mod promise;
pub mod race;
pub mod random;
pub mod respond;
mod slots;
pub mod storage;
pub mod streams;
pub mod task;
pub mod time;
pub mod url;
