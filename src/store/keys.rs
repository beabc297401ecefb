//! Upstream keys in D1, for the admin side. `status`, `reason` and `until` are written by the Coordinator alone.

use super::StoreError;
use super::audit::Deed;
use super::key_list::USAGE;
use super::sql::{Arg, Count, batch, pieces, statement};
use rondo_core::config::keys::{Chosen, KeyPatch, KeySwitch};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use worker::{D1Database, D1PreparedStatement};

/// A key's state at the time bound at that place (as `config::list::shown_state`).
#[must_use]
pub fn state_at(place: usize) -> String {
    format!(
        "CASE WHEN k.enabled = 0 THEN 'disabled' \
         WHEN k.until IS NOT NULL AND k.until <= ?{place} THEN 'active' ELSE k.status END"
    )
}

/// The columns of a [`KeyRow`] but its state, of `keys k` and its totals `u`.
#[must_use]
pub fn columns() -> &'static str {
    "k.id, k.provider, k.masked, k.label, k.quota_group, k.weight, k.enabled, k.source, k.base_url, \
     CASE WHEN json_valid(k.options) THEN k.options ->> 'variable' END AS variable, k.reason, k.until, k.created_at, \
     coalesce(u.requests, 0) AS requests, coalesce(u.errors, 0) AS errors, \
     coalesce(u.prompt_tokens, 0) AS prompt_tokens, coalesce(u.completion_tokens, 0) AS completion_tokens, \
     coalesce(u.last_used_at, 0) AS last_used_at"
}

/// What may be deleted: a key that the environment still holds would come back at the next start.
const DELETABLE: &str = "(source <> 'env' OR (json_valid(options) AND options ->> 'left' IS NOT NULL))";

/// A key as the admin page shows it.
#[derive(Deserialize)]
pub struct KeyRow {
    /// Row id.
    pub id: String,
    /// Provider.
    pub provider: String,
    /// What may be seen of the key.
    pub masked: String,
    /// The operator's words.
    pub label: String,
    /// Its group, if it shares one.
    pub quota_group: Option<String>,
    /// Its share.
    pub weight: u64,
    /// 1 or 0.
    pub enabled: u64,
    /// `admin` or `env`.
    pub source: String,
    /// Its own upstream.
    pub base_url: Option<String>,
    /// The variable that holds it, for `env`.
    pub variable: Option<String>,
    /// As shown now.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Until when.
    pub until: Option<u64>,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Attempts.
    pub requests: u64,
    /// Attempts that failed.
    pub errors: u64,
    /// Tokens.
    pub prompt_tokens: u64,
    /// Tokens.
    pub completion_tokens: u64,
    /// Unix milliseconds; 0 is never.
    pub last_used_at: u64,
}

fn one(db: &D1Database, id: &str, now: u64) -> Result<D1PreparedStatement, StoreError> {
    let (columns, state) = (columns(), state_at(1));
    let sql = format!("SELECT {columns}, {state} AS state FROM keys k {USAGE} WHERE k.id = ?2");
    statement(db, &sql, &[Arg::Whole(now), Arg::Text(id)])
}

/// What the keys of one insertion share.
pub struct Shared<'a> {
    /// Provider.
    pub provider: &'a str,
    /// The operator's words.
    pub label: &'a str,
    /// Quota group.
    pub group: Option<&'a str>,
    /// Share.
    pub weight: u32,
    /// Their own upstream.
    pub base_url: Option<&'a str>,
}

/// A key ready to be stored.
#[derive(Serialize)]
pub struct Sealed {
    /// Row id, which `sealed` is bound to.
    pub id: String,
    /// What may be seen.
    pub masked: String,
    /// The sealed key.
    pub sealed: String,
    /// Its digest.
    pub digest: String,
}

/// Which of these digests are stored already. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn known(
    db: &D1Database,
    provider: &str,
    digests: &[String],
) -> Result<HashSet<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let json = serde_json::to_string(digests)?;
    let sql = "SELECT digest FROM keys WHERE provider = ?1 AND digest IN (SELECT value FROM json_each(?2))";
    let results = batch(db, vec![statement(db, sql, &[Arg::Text(provider), Arg::Text(&json)])?]).await?;
    Ok(results.rows::<Row>(0)?.into_iter().map(|row| row.digest).collect())
}

/// Stores keys, all or none but duplicates; gives the ids that were stored, the only key's row too when it is
/// one. Two queries for each megabyte of sealed keys (about 3,500) and three more.
///
/// # Errors
/// When D1 refuses; nothing is stored then.
pub async fn insert(
    db: &D1Database,
    shared: &Shared<'_>,
    keys: &[Sealed],
    deed: &Deed<'_>,
) -> Result<(HashSet<String>, Option<KeyRow>), StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
    }
    let sql = "INSERT INTO keys (id, provider, quota_group, label, masked, sealed, digest, weight, base_url, created_at) \
               SELECT value ->> 'id', ?2, ?3, ?4, value ->> 'masked', value ->> 'sealed', value ->> 'digest', ?5, ?6, \
               ?7 + key FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING RETURNING id";
    let mut statements = Vec::new();
    let mut offset = 0_u64;
    for piece in pieces(keys)? {
        statements.push(statement(
            db,
            sql,
            &[
                Arg::Text(&piece.json),
                Arg::Text(shared.provider),
                Arg::OptText(shared.group),
                Arg::Text(shared.label),
                Arg::Whole(u64::from(shared.weight)),
                Arg::OptText(shared.base_url),
                Arg::Whole(deed.at + offset),
            ],
        )?);
        offset += piece.count;
    }
    let inserts = statements.len();
    statements.extend(deed.committed(db)?);
    let last = statements.len();
    if let [only] = keys {
        statements.push(one(db, &only.id, deed.at)?);
    }
    let results = batch(db, statements).await?;
    let mut stored = HashSet::new();
    for index in 0..inserts {
        stored.extend(results.rows::<Row>(index)?.into_iter().map(|row| row.id));
    }
    let row = if keys.len() == 1 { results.rows(last)?.pop() } else { None };
    Ok((stored, row))
}

/// Changes a key; `None` when there is none with that id. Four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn patch(
    db: &D1Database,
    id: &str,
    patch: &KeyPatch,
    deed: &Deed<'_>,
) -> Result<Option<KeyRow>, StoreError> {
    let group = patch.group.as_ref().map(Option::as_deref);
    let update = statement(
        db,
        "UPDATE keys SET label = coalesce(?2, label), quota_group = CASE WHEN ?3 THEN ?4 ELSE quota_group END, \
         weight = coalesce(?5, weight), enabled = coalesce(?6, enabled) WHERE id = ?1",
        &[
            Arg::Text(id),
            Arg::OptText(patch.label.as_deref()),
            Arg::Flag(group.is_some()),
            Arg::OptText(group.flatten()),
            Arg::OptWhole(patch.weight.map(u64::from)),
            Arg::OptWhole(patch.enabled.map(u64::from)),
        ],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![update, audit, epoch, one(db, id, deed.at)?]).await?;
    Ok(results.rows(3)?.pop())
}

/// Switches keys on or off; gives how many were the other way. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn switch(db: &D1Database, switch: &KeySwitch, deed: &Deed<'_>) -> Result<u64, StoreError> {
    let update = statement(
        db,
        "UPDATE keys SET enabled = ?2 WHERE id IN (SELECT value FROM json_each(?1)) AND enabled <> ?2",
        &[Arg::Text(&serde_json::to_string(&switch.ids)?), Arg::Flag(switch.enabled)],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    batch(db, vec![update, audit, epoch]).await?.changes(0)
}

/// What became of a deletion.
pub enum Deleted {
    /// It is gone.
    Gone,
    /// There is none with that id.
    Unknown,
    /// It comes from the environment, from that variable.
    Environment(String),
}

/// Deletes one key. Four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn delete(db: &D1Database, id: &str, deed: &Deed<'_>) -> Result<Deleted, StoreError> {
    let delete = statement(db, &format!("DELETE FROM keys WHERE id = ?1 AND {DELETABLE}"), &[Arg::Text(id)])?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![delete, audit, epoch, one(db, id, deed.at)?]).await?;
    Ok(match (results.changes(0)?, results.rows::<KeyRow>(3)?.pop()) {
        (0, None) => Deleted::Unknown,
        (0, Some(row)) => {
            Deleted::Environment(row.variable.unwrap_or_else(|| "CEREBRAS_API_KEYS".to_owned()))
        }
        _ => Deleted::Gone,
    })
}

/// Deletes chosen keys, those from the environment left out; gives how many went. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn delete_many(db: &D1Database, chosen: &Chosen, deed: &Deed<'_>) -> Result<u64, StoreError> {
    let delete = match chosen {
        Chosen::Ids(ids) => statement(
            db,
            &format!("DELETE FROM keys WHERE id IN (SELECT value FROM json_each(?1)) AND {DELETABLE}"),
            &[Arg::Text(&serde_json::to_string(ids)?)],
        )?,
        Chosen::Status(status) => statement(
            db,
            &format!("DELETE FROM keys AS k WHERE {} = ?2 AND {DELETABLE}", state_at(1)),
            &[Arg::Whole(deed.at), Arg::Text(status)],
        )?,
        Chosen::All => return Ok(0),
    };
    let [audit, epoch] = deed.committed(db)?;
    batch(db, vec![delete, audit, epoch]).await?.changes(0)
}

/// A key with its sealed text, for a test or an export.
#[derive(Deserialize)]
pub struct SealedRow {
    /// Row id.
    pub id: String,
    /// Provider.
    pub provider: String,
    /// What may be seen.
    pub masked: String,
    /// The sealed key.
    pub sealed: String,
    /// The operator's words.
    pub label: String,
    /// Quota group.
    pub quota_group: Option<String>,
    /// Share.
    pub weight: u64,
    /// 1 or 0.
    pub enabled: u64,
    /// Its own upstream.
    pub base_url: Option<String>,
    /// What else it was added with, as JSON.
    pub options: Option<String>,
}

const SEALED: &str = "SELECT id, provider, masked, sealed, label, quota_group, weight, enabled, base_url, \
     CASE WHEN source = 'env' THEN NULL ELSE options END AS options FROM keys";

/// Chosen keys, at most `limit` in the order of their ids, those after `after`. A state is no choice here. One
/// query.
///
/// # Errors
/// When D1 does not answer.
pub async fn sealed(
    db: &D1Database,
    chosen: &Chosen,
    after: &str,
    limit: usize,
) -> Result<Vec<SealedRow>, StoreError> {
    let query = match chosen {
        Chosen::Ids(ids) => statement(
            db,
            &format!(
                "{SEALED} WHERE id IN (SELECT value FROM json_each(?1)) AND id > ?2 ORDER BY id LIMIT ?3"
            ),
            &[Arg::Text(&serde_json::to_string(ids)?), Arg::Text(after), Arg::Whole(limit as u64)],
        )?,
        Chosen::Status(_) | Chosen::All => statement(
            db,
            &format!("{SEALED} WHERE id > ?1 ORDER BY id LIMIT ?2"),
            &[Arg::Text(after), Arg::Whole(limit as u64)],
        )?,
    };
    batch(db, vec![query]).await?.rows(0)
}

/// A key of the provider that can send now, active ones first; whichever is free of penalties by D1, which hears
/// of them within a second. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn usable(db: &D1Database, provider: &str, now: u64) -> Result<Option<SealedRow>, StoreError> {
    // Which one is found in an index; only its row is read.
    let sql = format!(
        "{SEALED} WHERE id = (SELECT id FROM keys WHERE +provider = ?1 AND +enabled = 1 \
         AND (status NOT IN ('invalid', 'suspended') OR COALESCE(until, 0) <= ?2) \
         ORDER BY status <> 'active' AND COALESCE(until, 0) > ?2, created_at, id LIMIT 1)"
    );
    let query = statement(db, &sql, &[Arg::Text(provider), Arg::Whole(now)])?;
    Ok(batch(db, vec![query]).await?.rows(0)?.pop())
}

/// How many keys there are. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn count(db: &D1Database) -> Result<u64, StoreError> {
    let results = batch(db, vec![statement(db, "SELECT COUNT(*) AS n FROM keys", &[])?]).await?;
    Ok(results.rows::<Count>(0)?.first().map_or(0, |count| count.n))
}
