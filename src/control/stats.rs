//! `GET /api/stats`: totals in all, per key, model and token.

use super::call::Call;
use super::coordinator::Pulse;
use super::problem::Outcome;
use super::{coordinator, time_text};
use crate::platform::json::Reply;
use crate::store::usage::{self, Named, Totals};
use rondo_core::config::FieldError;
use rondo_core::config::list::number;
use rondo_core::pool::state::Foresight;
use serde_json::{Map, Value, json};

/// Entries of each list when no number is asked for.
const LIMIT: u64 = 1_000;
/// Most entries of each list.
const LIMIT_MAX: u64 = 20_000;

fn numbers(totals: &Totals) -> Map<String, Value> {
    let value = serde_json::to_value(totals).unwrap_or_default();
    let mut numbers = if let Value::Object(numbers) = value { numbers } else { Map::new() };
    numbers.insert("last_used_at".to_owned(), time_text(Some(totals.last_used_at)).into());
    numbers
}

fn named(of: &Named, name: &str, masked: bool) -> Value {
    let mut item = numbers(&of.totals);
    item.insert("id".to_owned(), of.id.clone().into());
    if !name.is_empty() {
        item.insert(name.to_owned(), of.name.clone().into());
    }
    if masked {
        item.insert("masked".to_owned(), of.masked.clone().into());
    }
    Value::Object(item)
}

/// How the pool does at this moment; null while the Coordinator does not answer.
fn pool(pulse: Pulse) -> Value {
    let Foresight { readings, off_millionths, unforeseen_429s, expected_429s, sent } = pulse.foresight;
    let mean_error = (readings > 0).then(|| off_millionths as f64 / readings as f64 / 1e6);
    json!({
        "waiting": pulse.waiting,
        "under_way": pulse.under_way,
        "foresight": {
            "readings": readings,
            "mean_error": mean_error,
            "unforeseen_429s": unforeseen_429s,
            "expected_429s": expected_429s,
            "sent": sent,
        },
    })
}

/// Four queries. The lists hold the busiest; `limit` says how many.
pub async fn stats(call: &Call) -> Outcome {
    let mut limit = LIMIT;
    for (name, value) in &call.query() {
        match name.as_str() {
            "limit" => limit = number(name, value, LIMIT_MAX)?,
            _ => return Err(FieldError::new(name, "is not a parameter of this call").into()),
        }
    }
    coordinator::flush(&call.env).await;
    let stats = usage::stats(&call.db, limit).await?;
    let keys: Vec<Value> = stats.keys.iter().map(|of| named(of, "label", true)).collect();
    let models: Vec<Value> = stats.models.iter().map(|of| named(of, "", false)).collect();
    let tokens: Vec<Value> = stats.tokens.iter().map(|of| named(of, "name", true)).collect();
    let pool = coordinator::pulse(&call.env).await.ok().map(pool);
    Ok(Reply::new(200).json(&json!({
        "totals": numbers(&stats.total),
        "keys": keys,
        "models": models,
        "tokens": tokens,
        "pool": pool,
    })))
}
