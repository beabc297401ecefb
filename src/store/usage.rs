//! Usage totals, as the Coordinator wrote them last.

use super::StoreError;
use super::sql::{Arg, batch, statement};
use rondo_core::pool::books::Dim;
use rondo_core::pool::detail::Detail;
use rondo_core::pool::series::SeriesQuery;
use serde::{Deserialize, Serialize};
use worker::D1Database;

/// Totals of one key, model or token, or of all.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Totals {
    /// Attempts of a key or model; client requests of a token and in all.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those that the client cut off; their tokens are the estimated ones.
    pub cut: u64,
    /// From the upstream's own count.
    pub prompt_tokens: u64,
    /// The same.
    pub completion_tokens: u64,
    /// Prompt tokens that came from the upstream's cache.
    pub cached_tokens: u64,
    /// Where the upstream gave no count.
    pub estimated_prompt_tokens: u64,
    /// The same.
    pub estimated_completion_tokens: u64,
    /// Unix milliseconds; 0 is never.
    #[serde(skip_serializing)]
    pub last_used_at: u64,
}

/// Totals with what they are of.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    /// Row id of a key or token, a model's id; empty for requests without a token.
    pub id: String,
    /// Label or name, if the row is still there.
    pub name: Option<String>,
    /// What may be seen of a key or token.
    pub masked: Option<String>,
    /// The numbers.
    #[serde(flatten)]
    pub totals: Totals,
}

/// All totals.
pub struct Stats {
    /// Client requests, whoever asked.
    pub total: Totals,
    /// Attempts by key.
    pub keys: Vec<Named>,
    /// Attempts by model.
    pub models: Vec<Named>,
    /// Client requests by token.
    pub tokens: Vec<Named>,
}

const SUMS: &str = "coalesce(sum(requests), 0) AS requests, coalesce(sum(errors), 0) AS errors, \
     coalesce(sum(cut), 0) AS cut, coalesce(sum(prompt_tokens), 0) AS prompt_tokens, \
     coalesce(sum(completion_tokens), 0) AS completion_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens, \
     coalesce(sum(estimated_prompt_tokens), 0) AS estimated_prompt_tokens, \
     coalesce(sum(estimated_completion_tokens), 0) AS estimated_completion_tokens, \
     coalesce(max(last_used_at), 0) AS last_used_at";
const NUMBERS: &str = "u.requests, u.errors, u.cut, u.prompt_tokens, u.completion_tokens, u.cached_tokens, \
     u.estimated_prompt_tokens, u.estimated_completion_tokens, u.last_used_at";

/// Reads all totals, of keys, models and tokens the busiest `limit` each. Four queries.
///
/// # Errors
/// When D1 does not answer.
pub async fn stats(db: &D1Database, limit: u64) -> Result<Stats, StoreError> {
    // First who, then the names of those alone.
    let of = |dim: &str, join: &str, names: &str| {
        format!(
            "SELECT u.id, {names}, {NUMBERS} FROM (SELECT * FROM usage WHERE grain = 'total' AND dim = '{dim}' \
             AND at = 0 ORDER BY requests DESC, id LIMIT ?1) u {join} ORDER BY u.requests DESC, u.id"
        )
    };
    let keys = of("key", "LEFT JOIN keys r ON r.id = u.id", "r.label AS name, r.masked");
    let models = of("model", "", "NULL AS name, NULL AS masked");
    let tokens = of("token", "LEFT JOIN tokens r ON r.id = u.id", "r.name AS name, r.masked");
    let total = format!("SELECT {SUMS} FROM usage WHERE grain = 'total' AND dim = 'token' AND at = 0");
    let results = batch(
        db,
        vec![
            statement(db, &total, &[])?,
            statement(db, &keys, &[Arg::Whole(limit)])?,
            statement(db, &models, &[Arg::Whole(limit)])?,
            statement(db, &tokens, &[Arg::Whole(limit)])?,
        ],
    )
    .await?;
    Ok(Stats {
        total: results.rows(0)?.pop().unwrap_or_default(),
        keys: results.rows(1)?,
        models: results.rows(2)?,
        tokens: results.rows(3)?,
    })
}

/// One stretch of time of a key, model or token, or of all client requests.
#[derive(Deserialize)]
pub struct Point {
    /// Row id, a model's id, or empty.
    pub id: String,
    /// A key's label (masked where it has none), a token's name, a model's id; none when the row is gone.
    pub name: Option<String>,
    /// Start of the stretch, unix milliseconds.
    pub at: u64,
    /// The numbers.
    #[serde(flatten)]
    pub totals: Totals,
    detail: Option<String>,
}

impl Point {
    /// Errors and times; none for keys, and for what was counted before they were kept.
    #[must_use]
    pub fn detail(&self) -> Option<Detail> {
        serde_json::from_str(self.detail.as_deref()?).ok()
    }
}

/// Reads a series, or the busiest `most` side by side, those with the most requests in all among those used since it
/// begins; each in order of time. One query by primary key.
///
/// # Errors
/// When D1 does not answer.
pub async fn series(db: &D1Database, query: &SeriesQuery, most: u64) -> Result<Vec<Point>, StoreError> {
    let (name, names) = match query.by {
        Some(Dim::Key) => ("coalesce(nullif(r.label, ''), r.masked)", "LEFT JOIN keys r ON r.id = u.id"),
        Some(Dim::Token) => ("r.name", "LEFT JOIN tokens r ON r.id = u.id"),
        Some(Dim::Model) => ("u.id", ""),
        Some(Dim::Pool) | None => ("NULL", ""),
    };
    let dim = query.by.unwrap_or(Dim::Pool).name();
    let points = format!("SELECT u.id, {name} AS name, u.at, {NUMBERS}, u.detail FROM");
    // CROSS JOIN holds SQLite to the order: first who, then each one's stretch of the primary key.
    let span = "u.grain = ?1 AND u.dim = ?2 AND u.at >= ?3 AND u.at < ?4";
    let busiest = "(SELECT id, requests FROM usage WHERE grain = 'total' AND dim = ?2 AND last_used_at >= ?3 \
         ORDER BY requests DESC, id LIMIT ?5) b";
    let one = if query.by.is_none() { Some("") } else { query.id.as_deref() };
    let (sql, last) = match one {
        Some(id) => {
            (format!("{points} usage u {names} WHERE {span} AND u.id = ?5 ORDER BY u.at"), Arg::Text(id))
        }
        None => (
            format!(
                "{points} {busiest} CROSS JOIN usage u {names} WHERE {span} AND u.id = b.id \
                 ORDER BY b.requests DESC, u.id, u.at"
            ),
            Arg::Whole(most),
        ),
    };
    let args =
        [Arg::Text(query.step.name()), Arg::Text(dim), Arg::Whole(query.first()), Arg::Whole(query.to), last];
    batch(db, vec![statement(db, &sql, &args)?]).await?.rows(0)
}
