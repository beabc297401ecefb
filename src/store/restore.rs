//! Writing what a backup brings, in one transaction.

use super::StoreError;
use super::audit::Deed;
use super::environment::raise_epoch;
use super::sql::{Arg, batch, pieces, statement};
use rondo_core::config::{ModelPool, Settings, TokenLimits};
use serde::Serialize;
use worker::{D1Database, D1PreparedStatement};

/// A key to store.
#[derive(Serialize)]
pub struct KeyRow<'a> {
    /// Row id, which `sealed` is bound to.
    pub id: String,
    /// Provider.
    pub provider: &'a str,
    /// Quota group.
    pub group: Option<&'a str>,
    /// The operator's words.
    pub label: &'a str,
    /// What may be seen of it.
    pub masked: String,
    /// The sealed key.
    pub sealed: String,
    /// Its digest.
    pub digest: String,
    /// Share.
    pub weight: u32,
    /// 1 or 0.
    pub enabled: u8,
    /// Its own upstream.
    pub base_url: Option<&'a str>,
}

/// A token to store.
#[derive(Serialize)]
pub struct TokenRow<'a> {
    /// Row id.
    pub id: String,
    /// The operator's name.
    pub name: &'a str,
    /// Its digest.
    pub digest: &'a str,
    /// What may be seen of it.
    pub masked: &'a str,
    /// 1 or 0.
    pub enabled: u8,
    /// Unix milliseconds.
    pub expires_at: Option<u64>,
    /// Models it may use.
    pub models: Option<&'a [String]>,
    /// Its limits.
    pub limits: &'a TokenLimits,
    /// 1 or 0.
    pub metrics: u8,
}

/// What is to be written.
#[derive(Default)]
pub struct Restored<'a> {
    /// Keys; one that is there stays as it is.
    pub keys: Vec<KeyRow<'a>>,
    /// Tokens; one that is there stays as it is.
    pub tokens: Vec<TokenRow<'a>>,
    /// Pools; one of the same name becomes this one.
    pub pools: Vec<&'a ModelPool>,
    /// Settings in place of those that are there.
    pub settings: Option<&'a Settings>,
}

const KEYS: &str = "INSERT INTO keys (id, provider, quota_group, label, masked, sealed, digest, weight, enabled, \
     base_url, created_at) SELECT value ->> 'id', value ->> 'provider', value ->> 'group', value ->> 'label', \
     value ->> 'masked', value ->> 'sealed', value ->> 'digest', value ->> 'weight', value ->> 'enabled', \
     value ->> 'base_url', ?2 + key FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
const TOKENS: &str = "INSERT INTO tokens (id, name, digest, masked, enabled, expires_at, models, limits, metrics, \
     created_at) SELECT value ->> 'id', value ->> 'name', value ->> 'digest', value ->> 'masked', value ->> 'enabled', \
     value ->> 'expires_at', value ->> 'models', value ->> 'limits', value ->> 'metrics', ?2 + key \
     FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
const POOLS: &str = "INSERT INTO pools (name, strategy, members, created_at) SELECT value ->> 'name', \
     value ->> 'strategy', value ->> 'members', ?2 + key FROM json_each(?1) WHERE true \
     ON CONFLICT (name) DO UPDATE SET strategy = excluded.strategy, members = excluded.members";
const SETTINGS: &str = "INSERT INTO meta (name, value) VALUES ('settings', ?1) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Writes all or nothing; gives how many keys and tokens were not there before. One query for each megabyte of a kind,
/// and three.
///
/// # Errors
/// When D1 refuses.
pub async fn write(
    db: &D1Database,
    restored: &Restored<'_>,
    deed: &Deed<'_>,
) -> Result<(u64, u64), StoreError> {
    let mut statements = unfolded(db, KEYS, &restored.keys, deed.at)?;
    let keys = statements.len();
    statements.extend(unfolded(db, TOKENS, &restored.tokens, deed.at)?);
    let tokens = statements.len();
    statements.extend(unfolded(db, POOLS, &restored.pools, deed.at)?);
    if let Some(settings) = restored.settings {
        statements.push(statement(db, SETTINGS, &[Arg::Text(&serde_json::to_string(settings)?)])?);
    }
    statements.push(deed.always(db)?);
    statements.push(raise_epoch(db));
    let results = batch(db, statements).await?;
    let count = |mut range: std::ops::Range<usize>| {
        range.try_fold(0, |sum, index| Ok::<_, StoreError>(sum + results.changes(index)?))
    };
    Ok((count(0..keys)?, count(keys..tokens)?))
}

/// Statements that store rows, in the order of their times.
fn unfolded<T: Serialize>(
    db: &D1Database,
    sql: &str,
    rows: &[T],
    at: u64,
) -> Result<Vec<D1PreparedStatement>, StoreError> {
    let mut offset = 0;
    let mut statements = Vec::new();
    for piece in pieces(rows)? {
        statements.push(statement(db, sql, &[Arg::Text(&piece.json), Arg::Whole(at + offset)])?);
        offset += piece.count;
    }
    Ok(statements)
}
