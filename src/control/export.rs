//! `POST /api/keys/export`: the keys in clear, for the password once more.

use super::call::Call;
use super::passwords;
use super::problem::Outcome;
use crate::platform::json::Reply;
use crate::store::{audit, keys};
use rondo_core::config::keys::Chosen;
use rondo_core::config::{FieldError, rfc3339};
use rondo_core::limits::promised::KEYS;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use serde_json::{Value, json};

/// Rows of one query.
const PIECE: usize = 5_000;
/// Queries at most.
const PIECES: usize = KEYS.div_ceil(PIECE) + 1;

/// One query for every 5,000 keys, and two. The audit row is written before a key leaves.
pub async fn export(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let password = passwords::given(&body, "password")?;
    if let Some(name) = body.keys().find(|name| *name != "password") {
        return Err(FieldError::new(name, "is not a field of this call").into());
    }
    passwords::verify(call, &password).await?;
    let actor = call.actor();
    audit::record(&call.db, &call.deed(&actor, "key.export", "every key in clear")).await?;
    let mut out: Vec<Value> = Vec::new();
    let mut after = String::new();
    for _ in 0..PIECES {
        let rows = keys::sealed(&call.db, &Chosen::All, &after, PIECE).await?;
        for row in &rows {
            let key = call.ring.data.open(&row.id, &row.sealed);
            out.push(json!({
                "id": row.id,
                "provider": row.provider,
                "key": key.as_ref().ok().map(|key| key.expose().as_str()),
                "label": row.label,
                "group": row.quota_group,
                "weight": row.weight,
                "enabled": row.enabled != 0,
                "base_url": row.base_url,
            }));
        }
        match rows.last() {
            Some(last) if rows.len() == PIECE => last.id.clone_into(&mut after),
            _ => break,
        }
    }
    let answer = json!({"exported_at": rfc3339::format(call.now), "keys": out});
    Ok(Reply::new(200)
        .header("content-disposition", "attachment; filename=\"rondo-keys.json\"")
        .json(&answer))
}
