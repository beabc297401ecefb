//! Lists of keys: filters, order, pages. What they leave is found in indexes alone, which hold no sealed key; only the
//! rows of the page that is shown are read.

use super::StoreError;
use super::keys::{KeyRow, columns, state_at};
use super::sql::{Arg, Count, batch, statement};
use rondo_core::config::list::{KeyFilter, KeyQuery};
use serde::Deserialize;
use std::collections::HashMap;
use worker::D1Database;

/// Greater than every text that begins like the one before it.
const LAST: &str = "char(1114111)";

/// Conditions with their values. Each is written only when it is asked for: `?1 IS NULL OR …` would keep every index out.
struct Where<'a> {
    terms: Vec<String>,
    args: Vec<Arg<'a>>,
}

impl<'a> Where<'a> {
    /// A value's place.
    fn bind(&mut self, arg: Arg<'a>) -> usize {
        self.args.push(arg);
        self.args.len()
    }

    /// The conditions of a filter at the time `now`. A `+` keeps SQLite from an index that would lead it to every row.
    fn of(filter: &'a KeyFilter, now: u64) -> Self {
        let mut of = Self { terms: Vec::new(), args: Vec::new() };
        if let Some(status) = &filter.status {
            let term = match status.as_str() {
                "disabled" => "k.enabled = 0 AND (k.enabled = 0 OR k.status <> 'active')".to_owned(),
                "active" => {
                    let now = of.bind(Arg::Whole(now));
                    format!("+k.enabled = 1 AND (k.status = 'active' OR k.until <= ?{now})")
                }
                _ => {
                    let (status, now) = (of.bind(Arg::Text(status)), of.bind(Arg::Whole(now)));
                    format!(
                        "k.enabled = 1 AND k.status = ?{status} AND (k.until IS NULL OR k.until > ?{now}) \
                         AND (k.enabled = 0 OR k.status <> 'active')"
                    )
                }
            };
            of.terms.push(term);
        }
        if let Some(provider) = &filter.provider {
            let place = of.bind(Arg::Text(provider));
            of.terms.push(format!("+k.provider = ?{place}"));
        }
        if let Some(group) = &filter.group {
            let place = of.bind(Arg::Text(group));
            of.terms.push(format!("k.quota_group = ?{place}"));
        }
        if let Some(prefix) = &filter.group_prefix {
            let place = of.bind(Arg::Text(prefix));
            of.terms.push(starting("k.quota_group", place));
        }
        if let Some(search) = &filter.search {
            let at = of.bind(Arg::Text(search));
            // `instr` and not LIKE: a pattern is at most 50 bytes, and % and _ are what people search for. A text in
            // the middle of others is found by reading all of them, in the index.
            of.terms.push(format!(
                "(instr(lower(k.label), ?{at}) OR instr(lower(k.masked), ?{at}) OR instr(k.id, ?{at}) = 1 \
                 OR instr(lower(coalesce(k.quota_group, '')), ?{at}))"
            ));
        }
        of
    }

    fn sql(&self) -> String {
        match self.terms.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.terms.join(" AND ")),
        }
    }
}

/// Names that begin like the text at that place, whatever their case.
fn starting(name: &str, place: usize) -> String {
    format!(
        "{name} IS NOT NULL AND {name} COLLATE NOCASE >= ?{place} AND {name} COLLATE NOCASE < ?{place} || {LAST}"
    )
}

/// A page of keys, and how many the filters leave. Two queries.
///
/// # Errors
/// When D1 does not answer.
pub async fn page(db: &D1Database, query: &KeyQuery, now: u64) -> Result<(Vec<KeyRow>, u64), StoreError> {
    let mut wanted = Where::of(&query.filter, now);
    let filter = wanted.sql();
    let total = statement(db, &format!("SELECT COUNT(*) AS n FROM keys k {filter}"), &wanted.args)?;

    let (by, down) = query.order.unwrap_or(("created_at", false));
    let way = if down { "DESC" } else { "ASC" };
    let time = wanted.bind(Arg::Whole(now));
    let state = state_at(time);
    // Figures stand in the rollups, each found by its primary key.
    let (by, rollups) = match by {
        "group" => ("k.quota_group".to_owned(), ""),
        "status" => (state.clone(), ""),
        "label" => ("lower(k.label)".to_owned(), ""),
        "created_at" | "provider" | "weight" => (format!("k.{by}"), ""),
        figure => (format!("coalesce(u.{figure}, 0)"), USAGE),
    };
    let most = wanted.bind(Arg::Whole(query.page.per_page));
    let before = wanted.bind(Arg::Whole(query.page.offset()));
    // CROSS JOIN holds SQLite to the order: first which keys, then the row of each.
    let rows = format!(
        "SELECT {}, {state} AS state FROM (SELECT k.id AS id, {by} AS place FROM keys k {rollups} {filter} \
         ORDER BY {by} {way}, k.id {way} LIMIT ?{most} OFFSET ?{before}) p CROSS JOIN keys k ON k.id = p.id {USAGE} \
         ORDER BY p.place {way}, p.id {way}",
        columns()
    );
    let results = batch(db, vec![total, statement(db, &rows, &wanted.args)?]).await?;
    Ok((results.rows(1)?, results.rows::<Count>(0)?.first().map_or(0, |count| count.n)))
}

/// The totals of a key, joined to it.
pub const USAGE: &str =
    "LEFT JOIN usage u ON u.grain = 'total' AND u.dim = 'key' AND u.id = k.id AND u.at = 0";

/// The ids that a filter leaves, the oldest keys first, at most `most`, which must fit into one text of D1. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn ids(
    db: &D1Database,
    filter: &KeyFilter,
    most: u64,
    now: u64,
) -> Result<Vec<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        ids: String,
    }
    let mut wanted = Where::of(filter, now);
    let sql = wanted.sql();
    let most = wanted.bind(Arg::Whole(most));
    // One text and not 20,000 rows, each of which would become an object on its way here.
    let query = format!(
        "SELECT json_group_array(id) AS ids FROM (SELECT k.id AS id FROM keys k {sql} \
         ORDER BY k.created_at, k.id LIMIT ?{most})"
    );
    let rows: Vec<Row> = batch(db, vec![statement(db, &query, &wanted.args)?]).await?.rows(0)?;
    let ids = rows.first().map(|row| serde_json::from_str(&row.ids)).transpose()?;
    Ok(ids.unwrap_or_default())
}

/// A quota group that an operator named.
#[derive(Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many keys are in it.
    pub keys: u64,
}

/// Groups whose names begin like `prefix`, whatever the case (ASCII), in the order of their names. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn groups(db: &D1Database, prefix: &str, most: u64) -> Result<Vec<Group>, StoreError> {
    let sql = format!(
        "SELECT quota_group AS name, COUNT(*) AS keys FROM keys WHERE {} GROUP BY quota_group \
         ORDER BY quota_group COLLATE NOCASE, quota_group LIMIT ?2",
        starting("quota_group", 1)
    );
    batch(db, vec![statement(db, &sql, &[Arg::Text(prefix), Arg::Whole(most)])?]).await?.rows(0)
}

/// How many keys are in which state at that time. One query over all of them, in an index.
///
/// # Errors
/// When D1 does not answer.
pub async fn states(db: &D1Database, now: u64) -> Result<HashMap<String, u64>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        state: String,
        n: u64,
    }
    let sql = format!("SELECT {} AS state, COUNT(*) AS n FROM keys k GROUP BY 1", state_at(1));
    let rows: Vec<Row> = batch(db, vec![statement(db, &sql, &[Arg::Whole(now)])?]).await?.rows(0)?;
    Ok(rows.into_iter().map(|row| (row.state, row.n)).collect())
}
