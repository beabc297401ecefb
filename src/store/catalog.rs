//! The copy of the provider's public list of models: from the provider to D1, and from there.

use super::StoreError;
use super::sql::{Arg, batch, statement};
use crate::platform::body::{Collected, collect};
use crate::platform::race::within;
use crate::platform::{env, fetch, time};
use rondo_core::config::catalog::{CatalogModel, ids_text, list_url, parse};
use rondo_core::limits::settings::{CATALOG_BYTES, CATALOG_FETCH_MS};
use rondo_core::pool::catalog::Catalog;
use rondo_core::pool::providers::Provider;
use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement, Env};

/// The one provider with a public list.
const PROVIDER: &str = "cerebras";

/// The last copy, and how the last fetch went.
#[derive(Debug, Default)]
pub struct Copy {
    /// The models; none before the first fetch.
    pub models: Vec<CatalogModel>,
    /// When it was asked for, unix milliseconds; 0 before the first fetch.
    pub fetched_at: u64,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<String>,
}

impl Copy {
    /// What the pool must know of it.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::new(self.fetched_at, self.models.iter().map(|model| model.id.clone()))
    }
}

/// What came of a fetch. A failure is in `copy.last_error`, and the copy is the one before.
#[derive(Debug)]
pub struct Refreshed {
    /// The copy there is now.
    pub copy: Copy,
    /// Whether other models are in it than before; the epoch was raised then.
    pub changed: bool,
}

#[derive(Deserialize)]
struct Row {
    models: String,
    fetched_at: f64,
    last_error: Option<String>,
}

const SELECT: &str = "SELECT models, fetched_at, last_error FROM catalog WHERE provider = 'cerebras'";

/// The copy in D1. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn read(db: &D1Database) -> Result<Copy, StoreError> {
    Ok(copy(batch(db, vec![db.prepare(SELECT)]).await?.rows(0)?))
}

fn copy(rows: Vec<Row>) -> Copy {
    let Some(row) = rows.into_iter().next() else { return Copy::default() };
    // What cannot be read is fetched again, like a copy that is not there.
    let models: Vec<CatalogModel> = serde_json::from_str(&row.models).unwrap_or_default();
    let fetched_at = if models.is_empty() || row.fetched_at <= 0.0 { 0 } else { row.fetched_at as u64 };
    Copy { models, fetched_at, last_error: row.last_error }
}

/// The address of the list.
#[must_use]
pub fn source(environment: &Env) -> String {
    match Provider::find(PROVIDER) {
        Some(provider) => list_url(provider, env::text(environment, provider.base_variable).as_deref()),
        None => String::new(),
    }
}

/// Fetches the list and stores it. A failure keeps the old copy and is noted beside it. One request upstream,
/// three queries.
///
/// # Errors
/// When D1 does not answer.
pub async fn refresh(environment: &Env, db: &D1Database) -> Result<Refreshed, StoreError> {
    // When it was asked for, not when it came: what was reported meanwhile is newer than the list.
    let asked_at = time::now_ms();
    let stored = match fetch_list(&source(environment)).await {
        Ok(models) => store(db, &models, asked_at)?,
        Err(error) => vec![statement(
            db,
            "INSERT INTO catalog (provider, models, fetched_at, last_error) VALUES (?1, '[]', 0, ?2) \
                 ON CONFLICT (provider) DO UPDATE SET last_error = excluded.last_error",
            &[Arg::Text(PROVIDER), Arg::Text(&error)],
        )?],
    };
    let (fetched, last) = (stored.len() > 1, stored.len());
    let results = batch(db, stored.into_iter().chain([db.prepare(SELECT)]).collect()).await?;
    Ok(Refreshed { copy: copy(results.rows(last)?), changed: fetched && results.changes(0)? > 0 })
}

/// The epoch rises only when other models are listed: it has every isolate load its snapshot anew. Of two
/// fetches at the same time the later one stays, whichever is stored first.
fn store(
    db: &D1Database,
    models: &[CatalogModel],
    asked_at: u64,
) -> Result<Vec<D1PreparedStatement>, StoreError> {
    let epoch = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch' AND NOT EXISTS \
         (SELECT 1 FROM catalog WHERE provider = ?1 AND (fetched_at > ?3 OR ?2 = \
         (SELECT json_group_array(id) FROM (SELECT value ->> 'id' AS id FROM json_each(models) ORDER BY 1))))";
    let upsert = "INSERT INTO catalog (provider, models, fetched_at, last_error) VALUES (?1, ?2, ?3, NULL) \
         ON CONFLICT (provider) DO UPDATE SET models = excluded.models, fetched_at = excluded.fetched_at, \
         last_error = NULL WHERE excluded.fetched_at >= catalog.fetched_at";
    let (ids, json) = (ids_text(models), serde_json::to_string(models)?);
    Ok(vec![
        statement(db, epoch, &[Arg::Text(PROVIDER), Arg::Text(&ids), Arg::Whole(asked_at)])?,
        statement(db, upsert, &[Arg::Text(PROVIDER), Arg::Text(&json), Arg::Whole(asked_at)])?,
    ])
}

/// The list as the provider gives it to anybody. Errors are short sentences of our own: nothing of the answer is
/// in them.
async fn fetch_list(url: &str) -> Result<Vec<CatalogModel>, String> {
    let (abort, sent) = fetch::get(url);
    let exchange = async {
        let answer = sent.await.map_err(|_| "the connection failed".to_owned())?;
        let Some(source) = answer.body() else {
            return Err(format!("the list answered HTTP {} without a body", answer.status));
        };
        if answer.status != 200 {
            source.cancel();
            return Err(format!("the list answered HTTP {}", answer.status));
        }
        match collect(&source, CATALOG_BYTES).await {
            Ok(Collected::Whole(bytes)) => parse(&bytes.to_vec()).map_err(|error| error.to_string()),
            Ok(Collected::More { reader, .. }) => {
                reader.cancel();
                Err(format!("the list is longer than {CATALOG_BYTES} bytes"))
            }
            Err(_) => Err("the answer broke off".to_owned()),
        }
    };
    within(CATALOG_FETCH_MS, exchange).await.unwrap_or_else(|| {
        abort.abort();
        Err(format!("no whole answer within {} s", CATALOG_FETCH_MS / 1_000))
    })
}
