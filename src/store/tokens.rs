//! Client tokens in D1, by digest.

use super::StoreError;
use super::audit::Deed;
use super::sql::{Arg, Count, batch, statement};
use rondo_core::config::list::TokenQuery;
use rondo_core::config::tokens::TokenFields;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use worker::{D1Database, D1PreparedStatement};

const COLUMNS: &str = "t.id, t.name, t.masked, t.enabled, t.expires_at, t.models, t.limits, t.metrics, t.source, \
     t.created_at, coalesce(u.requests, 0) AS requests, coalesce(u.errors, 0) AS errors, \
     coalesce(u.prompt_tokens, 0) AS prompt_tokens, coalesce(u.completion_tokens, 0) AS completion_tokens, \
     coalesce(u.last_used_at, 0) AS last_used_at";
const USAGE: &str = "LEFT JOIN usage u ON u.grain = 'total' AND u.dim = 'token' AND u.id = t.id AND u.at = 0";

/// A token as the admin page shows it.
#[derive(Deserialize)]
pub struct TokenRow {
    /// Row id.
    pub id: String,
    /// The operator's name.
    pub name: String,
    /// What may be seen of it.
    pub masked: String,
    /// 1 or 0.
    pub enabled: u64,
    /// Unix milliseconds.
    pub expires_at: Option<u64>,
    /// JSON list.
    pub models: Option<String>,
    /// JSON object.
    pub limits: String,
    /// 1 or 0.
    pub metrics: u64,
    /// `admin` or `env`.
    pub source: String,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Client requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Tokens.
    pub prompt_tokens: u64,
    /// Tokens.
    pub completion_tokens: u64,
    /// Unix milliseconds; 0 is never.
    pub last_used_at: u64,
}

fn one(db: &D1Database, id: &str) -> Result<D1PreparedStatement, StoreError> {
    statement(db, &format!("SELECT {COLUMNS} FROM tokens t {USAGE} WHERE t.id = ?1"), &[Arg::Text(id)])
}

/// A page, in the order they were made, and how many the search leaves. Which ones is found in an index; only the rows
/// of the page are read. Two queries.
///
/// # Errors
/// When D1 does not answer.
pub async fn list(db: &D1Database, query: &TokenQuery) -> Result<(Vec<TokenRow>, u64), StoreError> {
    let mut args: Vec<Arg<'_>> = Vec::new();
    let mut filter = "";
    if let Some(search) = &query.search {
        args.push(Arg::Text(search));
        // `instr` and not LIKE, as in the list of keys.
        filter = "WHERE instr(lower(name), ?1) OR instr(lower(masked), ?1) OR instr(id, ?1) = 1";
    }
    let total = statement(db, &format!("SELECT COUNT(*) AS n FROM tokens {filter}"), &args)?;
    args.extend([Arg::Whole(query.page.per_page), Arg::Whole(query.page.offset())]);
    let (most, before) = (args.len() - 1, args.len());
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT id, created_at FROM tokens {filter} ORDER BY created_at, id \
         LIMIT ?{most} OFFSET ?{before}) p CROSS JOIN tokens t ON t.id = p.id {USAGE} ORDER BY p.created_at, p.id"
    );
    let results = batch(db, vec![total, statement(db, &sql, &args)?]).await?;
    Ok((results.rows(1)?, results.rows::<Count>(0)?.first().map_or(0, |count| count.n)))
}

/// A token as a backup keeps it.
#[derive(Deserialize)]
pub struct SavedRow {
    /// Row id.
    pub id: String,
    /// The operator's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What may be seen of it.
    pub masked: String,
    /// 1 or 0.
    pub enabled: u64,
    /// Unix milliseconds.
    pub expires_at: Option<u64>,
    /// JSON list.
    pub models: Option<String>,
    /// JSON object.
    pub limits: String,
    /// 1 or 0.
    pub metrics: u64,
}

/// At most `limit` tokens in the order of their ids, those after `after`, the one of the environment left out. One
/// query.
///
/// # Errors
/// When D1 does not answer.
pub async fn saved(db: &D1Database, after: &str, limit: usize) -> Result<Vec<SavedRow>, StoreError> {
    let sql = "SELECT id, name, digest, masked, enabled, expires_at, models, limits, metrics FROM tokens \
               WHERE source <> 'env' AND id > ?1 ORDER BY id LIMIT ?2";
    batch(db, vec![statement(db, sql, &[Arg::Text(after), Arg::Whole(limit as u64)])?]).await?.rows(0)
}

/// Which of these digests are stored already. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn known(db: &D1Database, digests: &[&str]) -> Result<HashSet<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let json = serde_json::to_string(digests)?;
    let sql = "SELECT digest FROM tokens WHERE digest IN (SELECT value FROM json_each(?1))";
    let results = batch(db, vec![statement(db, sql, &[Arg::Text(&json)])?]).await?;
    Ok(results.rows::<Row>(0)?.into_iter().map(|row| row.digest).collect())
}

/// Stores a token; `None` when the same is there already. Four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn insert(
    db: &D1Database,
    id: &str,
    digest: &str,
    masked: &str,
    fields: &TokenFields,
    deed: &Deed<'_>,
) -> Result<Option<TokenRow>, StoreError> {
    let models = fields.models.as_ref().map(serde_json::to_string).transpose()?;
    let insert = statement(
        db,
        "INSERT INTO tokens (id, name, digest, masked, enabled, expires_at, models, limits, metrics, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        &[
            Arg::Text(id),
            Arg::Text(&fields.name),
            Arg::Text(digest),
            Arg::Text(masked),
            Arg::Flag(fields.enabled),
            Arg::OptWhole(fields.expires_at),
            Arg::OptText(models.as_deref()),
            Arg::Text(&serde_json::to_string(&fields.limits)?),
            Arg::Flag(fields.metrics),
            Arg::Whole(deed.at),
        ],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![insert, audit, epoch, one(db, id)?]).await?;
    Ok(results.rows(3)?.pop())
}

/// Whether there is an enabled token with that digest that may read `/metrics`. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn may_read_metrics(db: &D1Database, digest: &str, now: u64) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) AS n FROM tokens WHERE digest = ?1 AND enabled = 1 AND metrics = 1 \
         AND (expires_at IS NULL OR expires_at > ?2)";
    let results = batch(db, vec![statement(db, sql, &[Arg::Text(digest), Arg::Whole(now)])?]).await?;
    Ok(results.rows::<Count>(0)?.first().is_some_and(|count| count.n > 0))
}

/// Changes the fields that `body` names to what `fields` (read from the same body) says; `None` when there is no
/// token with that id. Four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn patch(
    db: &D1Database,
    id: &str,
    body: &Map<String, Value>,
    fields: &TokenFields,
    deed: &Deed<'_>,
) -> Result<Option<TokenRow>, StoreError> {
    let models = fields.models.as_ref().map(serde_json::to_string).transpose()?;
    // A merge patch (RFC 7396): null takes a limit away, what is not named stays.
    let limits: Map<String, Value> = body
        .iter()
        .filter(|(name, _)| LIMITS.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let named = |name: &str| Arg::Flag(body.contains_key(name));
    let update = statement(
        db,
        "UPDATE tokens SET name = CASE WHEN ?2 THEN ?3 ELSE name END, enabled = CASE WHEN ?4 THEN ?5 ELSE enabled END, \
         expires_at = CASE WHEN ?6 THEN ?7 ELSE expires_at END, models = CASE WHEN ?8 THEN ?9 ELSE models END, \
         metrics = CASE WHEN ?10 THEN ?11 ELSE metrics END, limits = json_patch(limits, ?12) WHERE id = ?1",
        &[
            Arg::Text(id),
            named("name"),
            Arg::Text(&fields.name),
            named("enabled"),
            Arg::Flag(fields.enabled),
            named("expires_at"),
            Arg::OptWhole(fields.expires_at),
            named("models"),
            Arg::OptText(models.as_deref()),
            named("metrics"),
            Arg::Flag(fields.metrics),
            Arg::Text(&serde_json::to_string(&limits)?),
        ],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![update, audit, epoch, one(db, id)?]).await?;
    Ok(results.rows(3)?.pop())
}

/// The names of the limits, as in `config::TokenLimits`.
pub const LIMITS: [&str; 5] =
    ["requests_per_minute", "tokens_per_minute", "tokens_per_day", "tokens_per_month", "max_concurrent"];

/// What became of a deletion.
pub enum Deleted {
    /// It is gone.
    Gone,
    /// There is none with that id.
    Unknown,
    /// It comes from the environment.
    Environment,
}

/// Deletes a token. The one of the environment goes only when it is switched off, as it is when the variable is
/// gone. Four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn delete(db: &D1Database, id: &str, deed: &Deed<'_>) -> Result<Deleted, StoreError> {
    let sql = "DELETE FROM tokens WHERE id = ?1 AND (source <> 'env' OR enabled = 0)";
    let delete = statement(db, sql, &[Arg::Text(id)])?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![delete, audit, epoch, one(db, id)?]).await?;
    Ok(match (results.changes(0)?, results.rows::<TokenRow>(3)?.pop()) {
        (0, None) => Deleted::Unknown,
        (0, Some(_)) => Deleted::Environment,
        _ => Deleted::Gone,
    })
}
