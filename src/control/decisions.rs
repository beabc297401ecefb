//! `GET /api/decisions`: why this key?

use super::call::Call;
use super::coordinator::{self, Silent};
use super::problem::{Outcome as Answered, Problem};
use super::time_text;
use crate::platform::json::Reply;
use crate::store::names::{self, Names};
use rondo_core::config::FieldError;
use rondo_core::config::list::number;
use rondo_core::limits::input::ROW_ID_BYTES;
use rondo_core::pool::decisions::{Decision, KEPT, Outcome};
use serde_json::{Value, json};

/// Decisions of an answer when no number is asked for.
const LIMIT: u64 = 100;

/// 503.
#[must_use]
pub fn silent(_: Silent) -> Problem {
    Problem::unavailable("the Coordinator does not answer; try again in a moment")
}

/// Two queries, whatever the number, and one call of the Coordinator.
pub async fn list(call: &Call) -> Answered {
    let (mut limit, mut key, mut grant) = (LIMIT, None, None);
    for (name, value) in call.query().iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "limit" => limit = number(name, value, KEPT as u64)?,
            "key" if value.len() > ROW_ID_BYTES => return Err(FieldError::new(name, "is no id").into()),
            "key" => key = Some(value.clone()),
            "grant" => grant = Some(number(name, value, u64::MAX)?),
            _ => return Err(FieldError::new(name, "is not a parameter of this call").into()),
        }
    }
    let decided = coordinator::decisions(&call.env, limit, key.as_deref(), grant).await.map_err(silent)?;
    let keys = decided.items.iter().flat_map(keys_of);
    let tokens = decided.items.iter().map(|decision| decision.token.as_str());
    let names = names::of(&call.db, keys, tokens).await?;
    let items: Vec<Value> = decided.items.iter().map(|decision| item(decision, &names)).collect();
    Ok(Reply::new(200).json(&json!({"items": items, "total": decided.total})))
}

fn keys_of(decision: &Decision) -> impl Iterator<Item = &str> {
    let granted = match &decision.outcome {
        Outcome::Granted { key, .. } => Some(key.as_str()),
        _ => None,
    };
    decision.skipped.iter().map(|skipped| skipped.key.as_str()).chain(granted)
}

fn item(decision: &Decision, names: &Names) -> Value {
    let skipped: Vec<Value> = decision
        .skipped
        .iter()
        .map(|skipped| {
            json!({
                "key": skipped.key,
                "masked": names.keys.get(&skipped.key),
                "why": skipped.why,
                "until": time_text(Some(skipped.until)),
            })
        })
        .collect();
    let token = Some(&decision.token).filter(|token| !token.is_empty());
    json!({
        "at": time_text(Some(decision.at)),
        "token": token.map(|id| json!({"id": id, "name": names.tokens.get(id)})),
        "asked": decision.asked,
        "attempt": decision.attempt,
        "outcome": outcome(&decision.outcome, names),
        "ahead": decision.ahead,
        "candidates": decision.candidates,
        "passed_over": decision.passed_over,
        "skipped": skipped,
    })
}

/// Numbers of grants and tickets are texts: they have 64 bits.
fn outcome(outcome: &Outcome, names: &Names) -> Value {
    match outcome {
        Outcome::Granted { grant, key, model, delay_ms, reserved, more } => json!({
            "kind": "granted",
            "grant": grant.to_string(),
            "key": key,
            "masked": names.keys.get(key),
            "model": model,
            "delay_ms": delay_ms,
            "reserved": reserved,
            "more": more,
        }),
        Outcome::Waits { ticket, after_ms } => {
            json!({"kind": "waits", "ticket": ticket.to_string(), "after_ms": after_ms})
        }
        Outcome::RetryAfter { after_ms, why } => {
            json!({"kind": "retry_after", "after_ms": after_ms, "why": why})
        }
        Outcome::Refused(why) => json!({"kind": "refused", "why": why}),
        Outcome::TooLarge => json!({"kind": "too_large"}),
    }
}
