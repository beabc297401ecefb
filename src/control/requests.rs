//! `GET /api/requests`: the last requests of clients, and who served them. Never what was asked or answered.

use super::call::Call;
use super::coordinator;
use super::decisions::silent;
use super::problem::Outcome;
use super::time_text;
use crate::platform::json::Reply;
use crate::store::names::{self, Names};
use rondo_core::config::FieldError;
use rondo_core::config::list::number;
use rondo_core::limits::input::{MODEL_ID_BYTES, RECENT_ROWS_MAX, ROW_ID_BYTES};
use rondo_core::pool::protocol::AttemptEnd;
use rondo_core::pool::stories::{Ended, Filter, Story, Tried};
use rondo_core::wire::dialects::Note;
use serde_json::{Value, json};

/// Requests of an answer when no number is asked for.
const LIMIT: u64 = 100;

/// Two queries, whatever the number, and one call of the Coordinator.
pub async fn list(call: &Call) -> Outcome {
    let (mut limit, mut filter) = (LIMIT, Filter::default());
    for (name, value) in call.query().iter().filter(|(_, value)| !value.is_empty()) {
        let short = |most: usize| match value.len() <= most {
            true => Ok(Some(value.clone())),
            false => Err(FieldError::new(name, format!("must be at most {most} bytes"))),
        };
        match name.as_str() {
            "limit" => limit = number(name, value, RECENT_ROWS_MAX as u64)?,
            "before" => filter.before = Some(number(name, value, u64::MAX)?),
            "status" => filter.ended = Some(ended(name, value)?),
            "token" => filter.token = short(ROW_ID_BYTES)?,
            "model" => filter.model = short(MODEL_ID_BYTES)?,
            _ => return Err(FieldError::new(name, "is not a parameter of this call").into()),
        }
    }
    let recent = coordinator::requests(&call.env, limit, &filter).await.map_err(silent)?;
    let keys = recent.items.iter().flat_map(keys_of);
    let tokens = recent.items.iter().filter_map(token_of);
    let names = names::of(&call.db, keys, tokens).await?;
    let items: Vec<Value> = recent.items.iter().map(|story| item(story, &names)).collect();
    Ok(Reply::new(200).json(&json!({"items": items, "seq": recent.seq, "kept": recent.kept})))
}

fn ended(name: &str, value: &str) -> Result<Ended, FieldError> {
    match value {
        "ok" => Ok(Ended::Ok),
        "error" => Ok(Ended::Error),
        _ => {
            let status = value.parse().ok().filter(|status| (100..=599).contains(status));
            status
                .map(Ended::Status)
                .ok_or_else(|| FieldError::new(name, "must be ok, error or a status from 100 to 599"))
        }
    }
}

/// The keys that a story names.
pub fn keys_of(story: &Story) -> impl Iterator<Item = &str> {
    story.attempts.iter().map(|tried| tried.key.as_str())
}

/// The token that a story names.
pub fn token_of(story: &Story) -> Option<&str> {
    Some(story.token.as_str()).filter(|token| !token.is_empty())
}

/// A story as the API tells it.
pub fn item(story: &Story, names: &Names) -> Value {
    let attempt = |tried: &Tried| {
        json!({
            "key": tried.key,
            "masked": names.keys.get(&tried.key),
            "model": tried.model,
            "end": word(tried.end),
            "status": tried.status,
            "duration_ms": tried.duration_ms,
            "first_event_ms": tried.first_event_ms,
            "grant": tried.grant.to_string(),
        })
    };
    let attempts: Vec<Value> = story.attempts.iter().map(attempt).collect();
    json!({
        "seq": story.seq,
        "id": story.id,
        "at": time_text(Some(story.at)),
        "token": token_of(story).map(|id| json!({"id": id, "name": names.tokens.get(id)})),
        "playground": story.playground,
        "asked": story.asked,
        "model": story.model,
        "status": story.status,
        "error": story.error,
        "cut": story.cut,
        "stream": story.stream,
        "usage": {
            "prompt_tokens": story.usage.prompt_tokens,
            "completion_tokens": story.usage.completion_tokens,
            "cached_tokens": story.usage.cached_tokens,
            "estimated": story.usage.estimated,
        },
        "wait_ms": story.wait_ms,
        "duration_ms": story.duration_ms,
        "first_event_ms": story.first_event_ms,
        "attempts": attempts,
        "dialect": story.dialect,
        "notes": story.notes.iter().map(note).collect::<Vec<_>>(),
    })
}

/// A part of the request that the upstream did not get as the client sent it.
fn note(note: &Note) -> Value {
    json!({"path": note.path, "what": note.what})
}

/// How an attempt ended, in one word: a fault by its own.
fn word(end: AttemptEnd) -> Value {
    match end {
        AttemptEnd::Ok => "ok".into(),
        AttemptEnd::Cut => "cut".into(),
        AttemptEnd::Unused => "unused".into(),
        AttemptEnd::Failed(fault) => serde_json::to_value(fault).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_core::pool::protocol::Fault;

    #[test]
    fn a_fault_is_one_word_and_a_status_is_checked() {
        assert_eq!(word(AttemptEnd::Failed(Fault::Key)), json!("key"));
        assert_eq!(word(AttemptEnd::Ok), json!("ok"));
        assert_eq!(ended("status", "429"), Ok(Ended::Status(429)));
        for wrong in ["42", "600", "fine", "-1"] {
            assert_eq!(ended("status", wrong).unwrap_err().field, "status", "{wrong}");
        }
    }
}
