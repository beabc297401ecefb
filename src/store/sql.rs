//! Statements and results of D1 for the admin side. Everything goes through `batch`: one round trip, one
//! transaction, and errors that name their cause.

use super::StoreError;
use rondo_core::limits::d1::JSON_PARAM_BYTES;
use rondo_core::pool::spending::Spending;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result};

/// A value to bind. D1 takes no BigInt, and its own integer type ends at 32 bits, so numbers go as doubles.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A text.
    Text(&'a str),
    /// A text or NULL.
    OptText(Option<&'a str>),
    /// A whole number up to 2^53.
    Whole(u64),
    /// The same or NULL.
    OptWhole(Option<u64>),
    /// 1 or 0.
    Flag(bool),
}

impl From<Arg<'_>> for JsValue {
    fn from(arg: Arg<'_>) -> Self {
        match arg {
            Arg::Text(text) | Arg::OptText(Some(text)) => Self::from_str(text),
            Arg::Whole(number) | Arg::OptWhole(Some(number)) => Self::from_f64(number as f64),
            Arg::Flag(flag) => Self::from_f64(if flag { 1.0 } else { 0.0 }),
            Arg::OptText(None) | Arg::OptWhole(None) => Self::NULL,
        }
    }
}

thread_local! {
    // Plain data: it belongs to no request.
    static SPENT: Cell<Spending> = Cell::new(Spending::default());
}

/// Notes the rows that a statement read and wrote.
pub fn spent(result: &D1Result) {
    if let Ok(Some(meta)) = result.meta() {
        let rows = |count: Option<usize>| count.unwrap_or(0) as u64;
        let mut sum = SPENT.get();
        sum.d1_rows_read += rows(meta.rows_read);
        sum.d1_rows_written += rows(meta.rows_written);
        SPENT.set(sum);
    }
}

/// What this isolate spent since this was last asked for.
#[must_use]
pub fn take_spent() -> Spending {
    SPENT.take()
}

/// A statement with its values.
///
/// # Errors
/// When D1 refuses a value.
pub fn statement(db: &D1Database, sql: &str, args: &[Arg<'_>]) -> Result<D1PreparedStatement, StoreError> {
    let values: Vec<JsValue> = args.iter().map(|arg| (*arg).into()).collect();
    Ok(db.prepare(sql).bind(&values)?)
}

/// The results of a batch, in its order.
pub struct Results(Vec<D1Result>);

/// Runs statements in one transaction.
///
/// # Errors
/// When D1 refuses one; nothing is changed then.
pub async fn batch(db: &D1Database, statements: Vec<D1PreparedStatement>) -> Result<Results, StoreError> {
    let results = db.batch(statements).await?;
    results.iter().for_each(spent);
    Ok(Results(results))
}

impl Results {
    /// The rows of one statement.
    ///
    /// # Errors
    /// When there is no such statement or a row has another shape.
    pub fn rows<T: for<'a> Deserialize<'a>>(&self, index: usize) -> Result<Vec<T>, StoreError> {
        let result = self.0.get(index).ok_or_else(|| StoreError("D1 left out a result".to_owned()))?;
        Ok(result.results()?)
    }

    /// Rows that one statement changed.
    ///
    /// # Errors
    /// When D1 does not say.
    pub fn changes(&self, index: usize) -> Result<u64, StoreError> {
        let result = self.0.get(index).ok_or_else(|| StoreError("D1 left out a result".to_owned()))?;
        let changes = result.meta()?.and_then(|meta| meta.changes);
        changes
            .map(|changes| changes as u64)
            .ok_or_else(|| StoreError("D1 gave no count of changes".to_owned()))
    }
}

/// A count, as `SELECT COUNT(*) AS n` gives it.
#[derive(Deserialize)]
pub struct Count {
    /// The number.
    pub n: u64,
}

/// Some rows as one JSON list, to be unfolded by `json_each`.
pub struct Piece {
    /// The list.
    pub json: String,
    /// How many rows it holds.
    pub count: u64,
}

/// Rows as JSON lists, each short enough to be bound.
///
/// # Errors
/// When a row is no JSON.
pub fn pieces<T: Serialize>(rows: &[T]) -> Result<Vec<Piece>, StoreError> {
    let mut pieces: Vec<Piece> = Vec::new();
    for row in rows {
        let json = serde_json::to_string(row)?;
        match pieces.last_mut() {
            Some(piece) if piece.json.len() + json.len() < JSON_PARAM_BYTES => {
                piece.json.push(',');
                piece.json.push_str(&json);
                piece.count += 1;
            }
            _ => pieces.push(Piece { json: format!("[{json}"), count: 1 }),
        }
    }
    for piece in &mut pieces {
        piece.json.push(']');
    }
    Ok(pieces)
}
