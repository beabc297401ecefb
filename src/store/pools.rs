//! Model pools in D1.

use super::StoreError;
use super::audit::Deed;
use super::sql::{Arg, batch, statement};
use rondo_core::config::{ModelPool, Settings, Strategy};
use rondo_core::limits::promised::POOLS;
use serde::Deserialize;
use worker::D1Database;

#[derive(Deserialize)]
struct PoolRow {
    name: String,
    strategy: String,
    members: String,
}

#[derive(Deserialize)]
struct ValueRow {
    value: String,
}

/// All pools, `default` first, and the settings. Two queries.
///
/// # Errors
/// When D1 does not answer or holds what is no pool.
pub async fn list(db: &D1Database) -> Result<(Vec<ModelPool>, Settings), StoreError> {
    let pools = "SELECT name, strategy, members FROM pools ORDER BY name <> 'default', created_at, name";
    let settings = "SELECT value FROM meta WHERE name = 'settings'";
    let results = batch(db, vec![statement(db, pools, &[])?, statement(db, settings, &[])?]).await?;
    let settings = match results.rows::<ValueRow>(1)?.pop() {
        Some(row) => serde_json::from_str(&row.value)?,
        None => Settings::default(),
    };
    let pools = results.rows::<PoolRow>(0)?.into_iter().map(|row| {
        let strategy = if row.strategy == "order" { Strategy::Order } else { Strategy::Rotate };
        Ok(ModelPool { name: row.name, strategy, members: serde_json::from_str(&row.members)? })
    });
    Ok((pools.collect::<Result<_, StoreError>>()?, settings))
}

/// Writes a pool; `false` when there are as many as there may be. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn put(db: &D1Database, pool: &ModelPool, deed: &Deed<'_>) -> Result<bool, StoreError> {
    let strategy = match pool.strategy {
        Strategy::Rotate => "rotate",
        Strategy::Order => "order",
    };
    let put = statement(
        db,
        "INSERT INTO pools (name, strategy, members, created_at) SELECT ?1, ?2, ?3, ?4 \
         WHERE (SELECT COUNT(*) FROM pools WHERE name <> ?1) < ?5 \
         ON CONFLICT (name) DO UPDATE SET strategy = excluded.strategy, members = excluded.members",
        &[
            Arg::Text(&pool.name),
            Arg::Text(strategy),
            Arg::Text(&serde_json::to_string(&pool.members)?),
            Arg::Whole(deed.at),
            Arg::Whole(POOLS as u64),
        ],
    )?;
    let [audit, epoch] = deed.committed(db)?;
    Ok(batch(db, vec![put, audit, epoch]).await?.changes(0)? > 0)
}

/// Deletes a pool; `false` when there is none of that name. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn delete(db: &D1Database, name: &str, deed: &Deed<'_>) -> Result<bool, StoreError> {
    let delete =
        statement(db, "DELETE FROM pools WHERE name = ?1 AND name <> 'default'", &[Arg::Text(name)])?;
    let [audit, epoch] = deed.committed(db)?;
    Ok(batch(db, vec![delete, audit, epoch]).await?.changes(0)? > 0)
}
