//! The snapshot: tokens, pools and settings at one epoch.

use super::Settings;
use super::catalog::CatalogModel;
use serde::{Deserialize, Serialize};

/// The name of the model pool that serves every request no other pool is asked for.
pub const DEFAULT_POOL: &str = "default";

/// All of the configuration that an isolate must know, at one epoch. Not the keys: each grant brings its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Raised by a restore; epochs of different generations do not compare.
    pub generation: u64,
    /// Raised by every admin change.
    pub epoch: u64,
    /// The data and the digest key, wrapped under `ENCRYPTION_KEY`.
    pub wrapped: Wrapped,
    /// The operator's settings.
    pub settings: Settings,
    /// Model pools, `default` among them.
    pub pools: Vec<ModelPool>,
    /// Client tokens.
    pub tokens: Vec<Token>,
    /// Model ids known to exist upstream (the catalog's copy), beside those of the pools.
    #[serde(default)]
    pub catalog: Vec<String>,
    /// What that copy says of them, for whoever asks for the list. Few: a provider has some dozens at the most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<CatalogModel>,
}

impl Snapshot {
    /// What is known of a model beside its id.
    #[must_use]
    pub fn detail(&self, model: &str) -> Option<&CatalogModel> {
        self.details.iter().find(|detail| detail.id == model)
    }

    /// The pool of that name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&ModelPool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// Whether `(generation, epoch)` of this snapshot is older than the given one. A different generation
    /// is always a reason to reload: after a restore epochs start anew.
    #[must_use]
    pub fn is_older_than(&self, generation: u64, epoch: u64) -> bool {
        self.generation != generation || self.epoch < epoch
    }
}

/// The two wrapped keys as D1 holds them (texts of `vault::keyring`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// Seals upstream keys.
    pub data: String,
    /// Digests tokens, sessions and duplicates.
    pub digest: String,
}

/// How a pool takes its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Smooth weighted round robin over the members.
    #[default]
    Rotate,
    /// The first member that can serve.
    Order,
}

/// A named list of upstream models: `default`, or an alias that a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPool {
    /// `default` or the alias.
    pub name: String,
    /// How members are taken.
    pub strategy: Strategy,
    /// The models.
    pub members: Vec<Member>,
}

/// A model of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The upstream's model id.
    pub model: String,
    /// The provider that serves it.
    #[serde(default = "cerebras")]
    pub provider: String,
    /// Its share under `rotate`.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether it takes part.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn cerebras() -> String {
    "cerebras".to_owned()
}
fn one() -> u32 {
    1
}
fn yes() -> bool {
    true
}

/// A client token, by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Row id; `env` for the one from the environment.
    pub id: String,
    /// Keyed digest of the token (`vault::digest`), as text.
    pub digest: String,
    /// The operator's name for it.
    #[serde(default)]
    pub name: String,
    /// Whether it is accepted.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Unix milliseconds after which it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Model ids or pool names it may use; `None` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Its limits.
    #[serde(default)]
    pub limits: TokenLimits,
    /// Whether it may read `/metrics`.
    #[serde(default)]
    pub metrics: bool,
}

impl Token {
    /// Whether the token is accepted at that time (unix milliseconds).
    #[must_use]
    pub fn is_live(&self, now: u64) -> bool {
        self.enabled && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether the token may use this model id or pool name.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }
}

/// Limits of one token; absent is unlimited. Days and months are UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenLimits {
    /// Client requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Prompt and completion tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Prompt and completion tokens a UTC day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Prompt and completion tokens a UTC month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<u64>,
    /// Requests under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u64>,
}

impl TokenLimits {
    /// Whether any limit is set.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}
