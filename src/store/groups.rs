//! Quota groups in D1: many keys at once.

use super::StoreError;
use super::audit::Deed;
use super::sql::{Arg, batch, statement};
use rondo_core::config::groups::{GroupChange, PoolGroup, split};
use serde::Deserialize;
use worker::D1Database;

/// The name inside the pool of a key's group.
const POOL_GROUP: &str = "CASE WHEN quota_group IS NULL THEN 'key:' || id ELSE 'group:' || quota_group END";
/// The keys of groups: `?1` ids of keys with a group of their own, `?2` names of groups.
const OF_GROUPS: &str = "(id IN (SELECT value FROM json_each(?1)) AND quota_group IS NULL \
     OR quota_group IN (SELECT value FROM json_each(?2)))";

/// Puts keys into a group, or each into one of its own; gives how many were in another. Three queries: the longest
/// body of a call is half of what D1 takes as one value.
///
/// # Errors
/// When D1 refuses.
pub async fn set(db: &D1Database, change: &GroupChange, deed: &Deed<'_>) -> Result<u64, StoreError> {
    let update = statement(
        db,
        "UPDATE keys SET quota_group = ?2 WHERE id IN (SELECT value FROM json_each(?1)) AND quota_group IS NOT ?2",
        &[Arg::Text(&serde_json::to_string(&change.ids)?), Arg::OptText(change.group.as_deref())],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    batch(db, vec![update, audit, epoch]).await?.changes(0)
}

/// A key of a group.
#[derive(Deserialize)]
pub struct Member {
    /// Row id.
    pub id: String,
    /// What may be seen of the key.
    pub masked: String,
    /// The operator's words.
    pub label: String,
    /// Its group's name inside the pool.
    pub pool_group: String,
}

/// The keys of groups, at most `most` of each, the oldest first. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn members<'a>(
    db: &D1Database,
    groups: impl Iterator<Item = &'a str>,
    most: u64,
) -> Result<Vec<Member>, StoreError> {
    let [ids, names] = bound(groups)?;
    let sql = format!(
        "SELECT id, masked, label, pool_group FROM (SELECT id, masked, label, created_at, {POOL_GROUP} AS pool_group, \
         row_number() OVER (PARTITION BY {POOL_GROUP} ORDER BY created_at, id) AS nth FROM keys WHERE {OF_GROUPS}) \
         WHERE nth <= ?3 ORDER BY created_at, id"
    );
    let query = statement(db, &sql, &[Arg::Text(&ids), Arg::Text(&names), Arg::Whole(most)])?;
    batch(db, vec![query]).await?.rows(0)
}

/// Makes groups one, under a name, or under the next free `shared-<n>`; gives the name and how many keys were in
/// another. `None` when all of them are in it already. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn unite<'a>(
    db: &D1Database,
    groups: impl Iterator<Item = &'a str>,
    name: Option<&str>,
    deed: &Deed<'_>,
) -> Result<Option<(String, u64)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        quota_group: String,
    }
    let [ids, names] = bound(groups)?;
    // The name is found by the statement that gives it, so that two confirmations cannot find the same. What looks
    // like a number that is too long for one is left alone.
    let sql = format!(
        "UPDATE keys SET quota_group = coalesce(?3, (SELECT 'shared-' || \
         (coalesce(MAX(CAST(substr(quota_group, 8) AS INTEGER)), 0) + 1) FROM keys \
         WHERE quota_group GLOB 'shared-[0-9]*' AND length(quota_group) <= 20)) \
         WHERE {OF_GROUPS} AND (?3 IS NULL OR quota_group IS NOT ?3) RETURNING quota_group"
    );
    let update = statement(db, &sql, &[Arg::Text(&ids), Arg::Text(&names), Arg::OptText(name)])?;
    let [audit, epoch] = deed.committed(db)?;
    let results = batch(db, vec![update, audit, epoch]).await?;
    let rows: Vec<Row> = results.rows(0)?;
    let changed = rows.len() as u64;
    Ok(rows.into_iter().next().map(|row| (row.quota_group, changed)))
}

/// Ids and names of groups, as JSON.
fn bound<'a>(groups: impl Iterator<Item = &'a str>) -> Result<[String; 2], StoreError> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for group in groups.filter_map(split) {
        match group {
            PoolGroup::Key(id) => ids.push(id),
            PoolGroup::Named(name) => names.push(name),
        }
    }
    Ok([serde_json::to_string(&ids)?, serde_json::to_string(&names)?])
}
