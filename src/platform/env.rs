//! Bindings, secrets and variables by name; what is missing is named, with how to set it.

use std::fmt;

/// A binding, secret or variable that Rondo needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.name, self.remedy)
    }
}

/// The D1 database `DB`.
///
/// # Errors
/// When it is not bound.
pub fn database(env: &worker::Env) -> Result<worker::D1Database, Missing> {
    env.d1("DB").map_err(|_| Missing {
        name: "DB",
        remedy: "bind a D1 database as DB in wrangler.toml and deploy again",
    })
}

/// The KV namespace `SNAPSHOT`.
///
/// # Errors
/// When it is not bound.
pub fn snapshots(env: &worker::Env) -> Result<worker::KvStore, Missing> {
    env.kv("SNAPSHOT").map_err(|_| Missing {
        name: "SNAPSHOT",
        remedy: "bind a KV namespace as SNAPSHOT in wrangler.toml and deploy again",
    })
}

/// A Worker secret or variable that is not empty.
#[must_use]
pub fn text(env: &worker::Env, name: &str) -> Option<String> {
    // `var` and `secret` read the same property; a binding of another type is no text.
    let text = env.var(name).ok()?.to_string();
    if text.trim().is_empty() { None } else { Some(text) }
}

/// The Worker secret `ENCRYPTION_KEY`.
///
/// # Errors
/// When it is not set.
pub fn encryption_key(env: &worker::Env) -> Result<String, Missing> {
    text(env, "ENCRYPTION_KEY").ok_or(Missing {
        name: "ENCRYPTION_KEY",
        remedy: "set it with `openssl rand -base64 32 | npx wrangler secret put ENCRYPTION_KEY`",
    })
}

/// The Worker secret `SETUP_TOKEN`.
///
/// # Errors
/// When it is not set.
pub fn setup_code(env: &worker::Env) -> Result<String, Missing> {
    text(env, "SETUP_TOKEN").ok_or(Missing {
        name: "SETUP_TOKEN",
        remedy: "set it with `openssl rand -base64 32 | npx wrangler secret put SETUP_TOKEN`",
    })
}
