//! The Coordinator's rollups in D1: absolute values, so that a repeated flush changes nothing.

use super::StoreError;
use super::sql::spent;
use rondo_core::pool::KeyStatusRow;
use rondo_core::pool::books::UsageRow;
use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement};

/// Rows of one statement: its JSON parameter stays well under D1's 2 MB, as a row takes less than 1.6 KB.
pub const PIECE: usize = 1_000;

const USAGE: &str = "INSERT INTO usage (grain, dim, id, at, requests, errors, cut, prompt_tokens, completion_tokens, \
     cached_tokens, estimated_prompt_tokens, estimated_completion_tokens, last_used_at, detail) \
     SELECT value->>'grain', value->>'dim', value->>'id', value->>'at', value->>'r', value->>'e', value->>'x', \
     value->>'p', value->>'c', value->>'h', value->>'q', value->>'d', value->>'l', value->'t' FROM json_each(?1) WHERE true \
     ON CONFLICT (grain, dim, id, at) DO UPDATE SET requests = excluded.requests, errors = excluded.errors, \
     cut = excluded.cut, prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens, \
     cached_tokens = excluded.cached_tokens, estimated_prompt_tokens = excluded.estimated_prompt_tokens, \
     estimated_completion_tokens = excluded.estimated_completion_tokens, last_used_at = excluded.last_used_at, \
     detail = excluded.detail";

const STATUSES: &str = "UPDATE keys SET status = j.value->>'status', reason = j.value->>'reason', \
     until = j.value->>'until' FROM json_each(?1) AS j WHERE keys.id = j.value->>'id'";

/// Writes usage rows, given as JSON objects.
///
/// # Errors
/// When D1 refuses; nothing of the piece is written then.
pub async fn usage(db: &D1Database, rows: &[String]) -> Result<(), StoreError> {
    for piece in rows.chunks(PIECE) {
        spent(&json_statement(db, USAGE, &format!("[{}]", piece.join(",")))?.run().await?);
    }
    Ok(())
}

/// Writes the status columns of keys.
///
/// # Errors
/// When D1 refuses.
pub async fn statuses(db: &D1Database, rows: &[KeyStatusRow]) -> Result<(), StoreError> {
    for piece in rows.chunks(PIECE) {
        spent(&json_statement(db, STATUSES, &serde_json::to_string(piece)?)?.run().await?);
    }
    Ok(())
}

fn json_statement(db: &D1Database, sql: &str, json: &str) -> Result<D1PreparedStatement, StoreError> {
    Ok(db.prepare(sql).bind(&[json.into()])?)
}

/// The totals and the values of the day and hour under way, for a Coordinator that starts without its own.
///
/// # Errors
/// When D1 does not answer.
pub async fn current_usage(db: &D1Database, now: u64) -> Result<Vec<UsageRow>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        row: String,
    }
    let day = now - now % 86_400_000;
    let hour = now - now % 3_600_000;
    let result = db
        .prepare(
            "SELECT json_object('grain', grain, 'dim', dim, 'id', id, 'at', at, 'r', requests, 'e', errors, \
             'x', cut, 'p', prompt_tokens, 'c', completion_tokens, 'h', cached_tokens, \
             'q', estimated_prompt_tokens, 'd', estimated_completion_tokens, 'l', last_used_at, 't', json(detail)) AS row \
             FROM usage WHERE (grain = 'total' AND at = 0) OR (grain = 'day' AND at = ?1) \
             OR (grain = 'hour' AND at = ?2)",
        )
        .bind(&[(day as f64).into(), (hour as f64).into()])?
        .run()
        .await?;
    spent(&result);
    let rows: Vec<Row> = result.results()?;
    Ok(rows.iter().filter_map(|row| serde_json::from_str(&row.row).ok()).collect())
}

/// Removes what is older than it is kept: minutes of keys 6 h, other minutes 48 h, hours 90 days.
///
/// # Errors
/// When D1 refuses.
pub async fn prune(db: &D1Database, now: u64) -> Result<(), StoreError> {
    use rondo_core::limits::flush::{HOURS_KEPT_MS, KEY_MINUTES_KEPT_MS, MINUTES_KEPT_MS};
    let before = |kept: u64| (now.saturating_sub(kept) as f64).into();
    let statements = vec![
        db.prepare("DELETE FROM usage WHERE grain = 'minute' AND at < ?1")
            .bind(&[before(MINUTES_KEPT_MS)])?,
        db.prepare("DELETE FROM usage WHERE grain = 'minute' AND dim = 'key' AND at < ?1")
            .bind(&[before(KEY_MINUTES_KEPT_MS)])?,
        db.prepare("DELETE FROM usage WHERE grain = 'hour' AND at < ?1").bind(&[before(HOURS_KEPT_MS)])?,
        db.prepare("DELETE FROM sessions WHERE expires_at < ?1").bind(&[(now as f64).into()])?,
    ];
    db.batch(statements).await?.iter().for_each(spent);
    Ok(())
}
