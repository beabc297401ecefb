//! `POST /api/backup`: everything an operator set, keys in clear, for the password once more.

use super::call::Call;
use super::problem::{Outcome, Problem};
use super::{passwords, time_text};
use crate::platform::json::Reply;
use crate::store::{audit, keys, pools, tokens};
use rondo_core::config::backup::FORMAT;
use rondo_core::config::keys::Chosen;
use rondo_core::config::{FieldError, rfc3339};
use rondo_core::limits::promised::{KEYS, TOKENS};
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use serde_json::{Map, Value, json};

/// Rows of one query.
const PIECE: usize = 5_000;

/// One query for every 5,000 keys or tokens, and four. The audit row is written before a key leaves.
pub async fn backup(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let password = passwords::given(&body, "password")?;
    if let Some(name) = body.keys().find(|name| *name != "password") {
        return Err(FieldError::new(name, "is not a field of this call").into());
    }
    passwords::verify(call, &password).await?;
    let actor = call.actor();
    audit::record(&call.db, &call.deed(&actor, "backup.make", "every key in clear")).await?;
    let (keys, tokens) = (all_keys(call).await?, all_tokens(call).await?);
    let (pools, settings) = pools::list(&call.db).await?;
    let pools: Vec<Value> = pools
        .iter()
        .map(|pool| json!({"name": pool.name, "strategy": pool.strategy, "members": pool.members}))
        .collect();
    let answer = json!({
        "rondo_backup": FORMAT,
        "made_at": rfc3339::format(call.now),
        "keys": keys,
        "tokens": tokens,
        "digest_check": call.ring.digest.check(),
        "pools": pools,
        "policy": settings.model_policy,
        "settings": settings,
    });
    Ok(Reply::new(200)
        .header("content-disposition", "attachment; filename=\"rondo-backup.json\"")
        .json(&answer))
}

async fn all_keys(call: &Call) -> Result<Vec<Value>, Problem> {
    let mut out: Vec<Value> = Vec::new();
    let mut after = String::new();
    for _ in 0..=KEYS.div_ceil(PIECE) {
        let rows = keys::sealed(&call.db, &Chosen::All, &after, PIECE).await?;
        out.extend(rows.iter().map(|row| {
            let key = call.ring.data.open(&row.id, &row.sealed);
            let options = row.options.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            json!({
                "key": key.as_ref().ok().map(|key| key.expose().as_str()),
                "provider": row.provider,
                "label": row.label,
                "group": row.quota_group,
                "weight": row.weight,
                "enabled": row.enabled != 0,
                "base_url": row.base_url,
                "options": options,
            })
        }));
        match rows.last() {
            Some(last) if rows.len() == PIECE => last.id.clone_into(&mut after),
            _ => break,
        }
    }
    Ok(out)
}

async fn all_tokens(call: &Call) -> Result<Vec<Value>, Problem> {
    let mut out: Vec<Value> = Vec::new();
    let mut after = String::new();
    for _ in 0..=TOKENS.div_ceil(PIECE) {
        let rows = tokens::saved(&call.db, &after, PIECE).await?;
        out.extend(rows.iter().map(token));
        match rows.last() {
            Some(last) if rows.len() == PIECE => last.id.clone_into(&mut after),
            _ => break,
        }
    }
    Ok(out)
}

fn token(row: &tokens::SavedRow) -> Value {
    let limits: Map<String, Value> = serde_json::from_str(&row.limits).unwrap_or_default();
    let mut token = json!({
        "name": row.name,
        "enabled": row.enabled != 0,
        "expires_at": time_text(row.expires_at),
        "models": row.models.as_deref().and_then(|models| serde_json::from_str::<Value>(models).ok()),
        "metrics": row.metrics != 0,
        "masked": row.masked,
        "digest": row.digest,
    });
    if let Some(token) = token.as_object_mut() {
        for name in tokens::LIMITS {
            token.insert(name.to_owned(), limits.get(name).cloned().unwrap_or_default());
        }
    }
    token
}
