//! The audit log, and the two statements that follow every change of configuration.

use super::StoreError;
use super::sql::{Arg, Count, batch, statement};
use rondo_core::config::list::Page;
use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement};

/// Audit rows kept; the oldest go.
const KEPT: u64 = 10_000;

/// Stands in a detail for the number of rows that the statement before it changed. No name can hold it: control
/// characters are refused wherever names are read.
pub const CHANGED: char = '\u{1a}';

/// Who does what. The detail holds ids, names and numbers, never a secret, and [`CHANGED`] where a number comes.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Unix milliseconds.
    pub at: u64,
    /// Who.
    pub actor: &'a str,
    /// What, as `object.verb`.
    pub action: &'a str,
    /// Of what.
    pub detail: &'a str,
}

impl Deed<'_> {
    /// Writes the row if the statement before it in the batch changed anything.
    ///
    /// # Errors
    /// When D1 refuses a value.
    pub fn recorded(&self, db: &D1Database) -> Result<D1PreparedStatement, StoreError> {
        let args =
            [Arg::Whole(self.at), Arg::Text(self.actor), Arg::Text(self.action), Arg::Text(self.detail)];
        let sql = "INSERT INTO audit (at, actor, action, detail) \
                   SELECT ?1, ?2, ?3, replace(?4, char(26), changes()) WHERE changes() > 0";
        statement(db, sql, &args)
    }

    /// Writes the row in any case.
    ///
    /// # Errors
    /// When D1 refuses a value.
    pub fn always(&self, db: &D1Database) -> Result<D1PreparedStatement, StoreError> {
        let args =
            [Arg::Whole(self.at), Arg::Text(self.actor), Arg::Text(self.action), Arg::Text(self.detail)];
        statement(db, "INSERT INTO audit (at, actor, action, detail) VALUES (?1, ?2, ?3, ?4)", &args)
    }

    /// The row and, with it, the next epoch: both only if the statement before them changed anything.
    ///
    /// # Errors
    /// When D1 refuses a value.
    pub fn committed(&self, db: &D1Database) -> Result<[D1PreparedStatement; 2], StoreError> {
        let sql = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch' AND changes() > 0";
        Ok([self.recorded(db)?, statement(db, sql, &[])?])
    }
}

/// Writes only the audit row of something that changes no configuration. One query.
///
/// # Errors
/// When D1 refuses.
pub async fn record(db: &D1Database, deed: &Deed<'_>) -> Result<(), StoreError> {
    batch(db, vec![deed.always(db)?]).await?;
    Ok(())
}

/// One audit row.
#[derive(Deserialize)]
pub struct AuditRow {
    /// Counts up.
    pub id: u64,
    /// Unix milliseconds.
    pub at: u64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// Of what.
    pub detail: String,
}

/// A page, newest first, and how many rows there are. Three queries, one of which prunes.
///
/// # Errors
/// When D1 does not answer.
pub async fn list(db: &D1Database, page: Page) -> Result<(Vec<AuditRow>, u64), StoreError> {
    let results = batch(
        db,
        vec![
            statement(
                db,
                "DELETE FROM audit WHERE id <= (SELECT MAX(id) FROM audit) - ?1",
                &[Arg::Whole(KEPT)],
            )?,
            // Numbers are given one after the other and only the oldest go, so nothing has to be counted or passed over.
            statement(
                db,
                "SELECT coalesce((SELECT MAX(id) FROM audit) - (SELECT MIN(id) FROM audit) + 1, 0) AS n",
                &[],
            )?,
            statement(
                db,
                "SELECT id, at, actor, action, detail FROM audit WHERE id <= (SELECT MAX(id) FROM audit) - ?2 \
                 ORDER BY id DESC LIMIT ?1",
                &[Arg::Whole(page.per_page), Arg::Whole(page.offset())],
            )?,
        ],
    )
    .await?;
    Ok((results.rows(2)?, results.rows::<Count>(1)?.first().map_or(0, |count| count.n)))
}
