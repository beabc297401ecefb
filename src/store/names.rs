//! What may be seen of keys and tokens, by their ids.

use super::StoreError;
use super::sql::{Arg, batch, statement};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use worker::D1Database;

/// What ids stand for. What is gone is in neither.
pub struct Names {
    /// Masked keys by row id.
    pub keys: HashMap<String, String>,
    /// Names of tokens by row id.
    pub tokens: HashMap<String, String>,
}

/// Looks ids up, of both in one round trip. Two queries; a thousand decisions name about 13,000 keys at most, which
/// is a quarter of a megabyte to bind.
///
/// # Errors
/// When D1 does not answer.
pub async fn of<'a>(
    db: &D1Database,
    keys: impl Iterator<Item = &'a str>,
    tokens: impl Iterator<Item = &'a str>,
) -> Result<Names, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        name: String,
    }
    let keys = serde_json::to_string(&keys.collect::<BTreeSet<_>>())?;
    let tokens = serde_json::to_string(&tokens.collect::<BTreeSet<_>>())?;
    let of = |sql, ids: &str| statement(db, sql, &[Arg::Text(ids)]);
    let results = batch(
        db,
        vec![
            of("SELECT id, masked AS name FROM keys WHERE id IN (SELECT value FROM json_each(?1))", &keys)?,
            of("SELECT id, name FROM tokens WHERE id IN (SELECT value FROM json_each(?1))", &tokens)?,
        ],
    )
    .await?;
    let named = |index| -> Result<HashMap<String, String>, StoreError> {
        Ok(results.rows::<Row>(index)?.into_iter().map(|row| (row.id, row.name)).collect())
    };
    Ok(Names { keys: named(0)?, tokens: named(1)? })
}

/// How one key is called.
#[derive(Deserialize)]
pub struct Called {
    id: String,
    /// What may be seen of the key.
    pub masked: String,
    /// The operator's words; often none.
    pub label: String,
}

/// Looks up how keys are called, by row id. One query, none without ids.
///
/// # Errors
/// When D1 does not answer.
pub async fn of_keys<'a>(
    db: &D1Database,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Called>, StoreError> {
    let ids: BTreeSet<&str> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT id, masked, label FROM keys WHERE id IN (SELECT value FROM json_each(?1))";
    let query = statement(db, sql, &[Arg::Text(&serde_json::to_string(&ids)?)])?;
    let rows: Vec<Called> = batch(db, vec![query]).await?.rows(0)?;
    Ok(rows.into_iter().map(|called| (called.id.clone(), called)).collect())
}
