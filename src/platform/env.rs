//! Bindings, secrets and variables by name; what is missing is named, with how to set it.

use serde_json::{Value, json};
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

/// What is not bound or set of the database, the namespace, the object and the master secret.
/// `said`, the Coordinator's own word on whether it can serve, may add to it: `[{name, remedy}]`.
#[must_use]
pub fn missing(env: &worker::Env, said: Option<&Value>) -> Vec<Value> {
    let object = env.durable_object("COORDINATOR").map(drop).map_err(|_| NO_COORDINATOR);
    let parts = [database(env).map(drop), snapshots(env).map(drop), encryption_key(env).map(drop), object];
    let lacking = parts.into_iter().filter_map(Result::err);
    let mut missing: Vec<Value> =
        lacking.map(|part| json!({"name": part.name, "remedy": part.remedy})).collect();
    let told = said.and_then(|said| said.get("missing")?.as_array());
    for part in told.into_iter().flatten() {
        if !missing.iter().any(|known| known.get("name") == part.get("name")) {
            missing.push(part.clone());
        }
    }
    missing
}

/// The Durable Object is not bound.
pub const NO_COORDINATOR: Missing = Missing {
    name: "COORDINATOR",
    remedy: "bind the Durable Object as COORDINATOR in wrangler.toml and deploy again",
};

/// Whether this runs as a demo, on a simulated upstream.
#[must_use]
pub fn is_demo(env: &worker::Env) -> bool {
    text(env, "DEMO").as_deref() == Some("1")
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
