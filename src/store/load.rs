//! Reading the configuration from D1, whole.

use super::StoreError;
use super::sql::spent;
use rondo_core::config::catalog::CatalogModel;
use rondo_core::config::{Member, ModelPool, Settings, Snapshot, Strategy, Token, TokenLimits, Wrapped};
use rondo_core::pool::keys::KeyRow;
use serde::Deserialize;
use std::collections::HashMap;
use worker::D1Database;

#[derive(Deserialize)]
struct MetaRow {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PoolRow {
    name: String,
    strategy: String,
    members: String,
}

#[derive(Deserialize)]
struct TokenRow {
    id: String,
    name: String,
    digest: String,
    enabled: f64,
    expires_at: Option<f64>,
    models: Option<String>,
    limits: String,
    metrics: f64,
}

#[derive(Deserialize)]
struct CatalogRow {
    models: String,
}

#[derive(Deserialize)]
struct StoredKey {
    id: String,
    provider: String,
    quota_group: Option<String>,
    sealed: String,
    weight: f64,
    enabled: f64,
    base_url: Option<String>,
    created_at: f64,
}

const META: &str = "SELECT name, value FROM meta";
const POOLS: &str = "SELECT name, strategy, members FROM pools ORDER BY name <> 'default', created_at, name";
const TOKENS: &str = "SELECT id, name, digest, enabled, expires_at, models, limits, metrics FROM tokens";
const CATALOG: &str = "SELECT models FROM catalog";
/// Models that a snapshot tells more of than the id: it goes to every isolate.
const DETAILS: usize = 200;
/// Keys of one page. An answer of D1 is held in memory whole on both sides.
const KEYS_PAGE: usize = 5_000;
/// How often a reading begins anew.
const READINGS: usize = 5;
const KEYS: &str = "SELECT id, provider, quota_group, sealed, weight, enabled, base_url, created_at FROM keys \
     WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT 5000";

/// A number of D1 as unsigned; D1's integers arrive as floating point.
fn whole(number: f64) -> u64 {
    if number.is_finite() && number > 0.0 { number as u64 } else { 0 }
}

/// (generation, epoch) in force.
///
/// # Errors
/// When D1 does not answer or has no schema yet.
pub async fn epoch(db: &D1Database) -> Result<(u64, u64), StoreError> {
    let result =
        db.prepare("SELECT name, value FROM meta WHERE name IN ('generation', 'epoch')").run().await?;
    spent(&result);
    let rows: Vec<MetaRow> = result.results()?;
    let meta: HashMap<String, String> = rows.into_iter().map(|row| (row.name, row.value)).collect();
    Ok((number(&meta, "generation")?, number(&meta, "epoch")?))
}

/// Everything an isolate must know, read in one transaction.
///
/// # Errors
/// When D1 does not answer, or holds what is no configuration.
pub async fn snapshot(db: &D1Database) -> Result<Snapshot, StoreError> {
    let queries = [META, POOLS, TOKENS, CATALOG];
    let mut results = db.batch(queries.into_iter().map(|sql| db.prepare(sql)).collect()).await?.into_iter();
    let mut next = || results.next().ok_or_else(|| StoreError("D1 left out a result".to_owned()));
    let meta: HashMap<String, String> =
        next()?.results::<MetaRow>()?.into_iter().map(|row| (row.name, row.value)).collect();
    let pools = next()?.results::<PoolRow>()?;
    let tokens = next()?.results::<TokenRow>()?;
    let catalog = next()?.results::<CatalogRow>()?;
    let settings = match meta.get("settings") {
        Some(json) => serde_json::from_str(json)?,
        None => Settings::default(),
    };
    let known: Vec<CatalogModel> = catalog.iter().flat_map(|row| models(&row.models)).collect();
    Ok(Snapshot {
        generation: number(&meta, "generation")?,
        epoch: number(&meta, "epoch")?,
        wrapped: Wrapped {
            data: meta.get("wrapped_data_key").cloned().unwrap_or_default(),
            digest: meta.get("wrapped_digest_key").cloned().unwrap_or_default(),
        },
        settings,
        pools: pools.into_iter().map(pool).collect::<Result<_, _>>()?,
        tokens: tokens.into_iter().map(token).collect::<Result<_, _>>()?,
        catalog: known.iter().map(|model| model.id.clone()).collect(),
        details: known.into_iter().take(DETAILS).collect(),
    })
}

/// The snapshot, and the keys beside it, of one epoch: the keys come page by page, so a change in between is
/// noticed and the reading begins anew.
///
/// # Errors
/// As [`snapshot`], and when changes follow each other faster than they can be read.
pub async fn everything(db: &D1Database) -> Result<(Snapshot, Vec<KeyRow>), StoreError> {
    for _ in 0..READINGS {
        let snapshot = snapshot(db).await?;
        let keys = keys(db).await?;
        if epoch(db).await? == (snapshot.generation, snapshot.epoch) {
            return Ok((snapshot, keys));
        }
    }
    Err(StoreError("the configuration changes faster than it can be read".to_owned()))
}

/// Which of these keys are enabled.
///
/// # Errors
/// When D1 does not answer.
pub async fn enabled_of(db: &D1Database, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
    }
    let rows: Vec<Row> = db
        .prepare("SELECT id FROM keys WHERE enabled = 1 AND id IN (SELECT value FROM json_each(?1))")
        .bind(&[serde_json::to_string(ids)?.into()])?
        .run()
        .await?
        .results()?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn keys(db: &D1Database) -> Result<Vec<KeyRow>, StoreError> {
    let mut keys: Vec<KeyRow> = Vec::new();
    let mut last = (-1.0, String::new());
    loop {
        let result = db.prepare(KEYS).bind(&[last.0.into(), last.1.as_str().into()])?.run().await?;
        spent(&result);
        let page: Vec<StoredKey> = result.results()?;
        let Some(end) = page.last() else { return Ok(keys) };
        last = (end.created_at, end.id.clone());
        let whole_page = page.len() >= KEYS_PAGE;
        keys.extend(page.into_iter().map(|row| KeyRow {
            id: row.id,
            provider: row.provider,
            group: row.quota_group,
            sealed: row.sealed,
            weight: u32::try_from(whole(row.weight)).unwrap_or(1),
            enabled: row.enabled != 0.0,
            base_url: row.base_url,
        }));
        if !whole_page {
            return Ok(keys);
        }
    }
}

fn number(meta: &HashMap<String, String>, name: &str) -> Result<u64, StoreError> {
    meta.get(name)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| StoreError(format!("meta.{name} is no number")))
}

fn pool(row: PoolRow) -> Result<ModelPool, StoreError> {
    let members: Vec<Member> = serde_json::from_str(&row.members)?;
    let strategy = if row.strategy == "order" { Strategy::Order } else { Strategy::Rotate };
    Ok(ModelPool { name: row.name, strategy, members })
}

fn token(row: TokenRow) -> Result<Token, StoreError> {
    let limits: TokenLimits = serde_json::from_str(&row.limits)?;
    let models = row.models.as_deref().map(serde_json::from_str).transpose()?;
    Ok(Token {
        id: row.id,
        digest: row.digest,
        name: row.name,
        enabled: row.enabled != 0.0,
        expires_at: row.expires_at.map(whole),
        models,
        limits,
        metrics: row.metrics != 0.0,
    })
}

/// Models of a catalog copy: a JSON list.
fn models(json: &str) -> Vec<CatalogModel> {
    let list: Vec<CatalogModel> = serde_json::from_str(json).unwrap_or_default();
    list.into_iter().filter(|model| !model.id.is_empty()).collect()
}
