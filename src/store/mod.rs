//! D1 and KV: what is written where, and by whom, is in docs/architecture.md.

pub mod audit;
pub mod catalog;
pub mod environment;
pub mod flush;
pub mod groups;
pub mod key_list;
pub mod keys;
pub mod kv;
pub mod load;
pub mod migrate;
pub mod names;
pub mod pools;
pub mod restore;
pub mod sessions;
pub mod settings;
pub mod sql;
pub mod tokens;
pub mod usage;

use std::fmt;

/// D1 or KV did not do what was asked. The text is for logs: it never goes to a client, and it holds no
/// values, since every value is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<worker::Error> for StoreError {
    fn from(error: worker::Error) -> Self {
        // The first line: what follows is a JavaScript stack.
        Self(error.to_string().lines().next().unwrap_or("unknown error").chars().take(300).collect())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("stored JSON: {error}"))
    }
}

impl From<rondo_core::vault::VaultError> for StoreError {
    fn from(error: rondo_core::vault::VaultError) -> Self {
        Self(error.to_string())
    }
}
