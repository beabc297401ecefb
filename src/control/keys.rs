//! `/api/keys`: the list, changes, deletion.

use super::call::Call;
use super::coordinator;
use super::problem::{Outcome, Problem};
use super::time_text;
use crate::platform::json::Reply;
use crate::store::audit::CHANGED;
use crate::store::key_list;
use crate::store::keys::{self, Deleted, KeyRow};
use rondo_core::config::keys::{Chosen, KeyPatch, KeySwitch};
use rondo_core::config::list::{GroupQuery, KeyFilter, KeyQuery};
use rondo_core::limits::promised::KEYS;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use serde_json::{Value, json};

/// A key as the API shows it. The secret is in no row that comes here.
#[must_use]
pub fn item(row: &KeyRow) -> Value {
    let resting = matches!(row.state.as_str(), "cooling" | "suspended" | "invalid");
    json!({
        "id": row.id,
        "provider": row.provider,
        "masked": row.masked,
        "label": row.label,
        "group": row.quota_group,
        "weight": row.weight,
        "enabled": row.enabled != 0,
        "status": row.state,
        "reason": row.reason.as_ref().filter(|_| resting),
        "until": time_text(row.until).filter(|_| resting),
        "source": row.source,
        "variable": row.variable,
        "base_url": row.base_url,
        "created_at": time_text(Some(row.created_at)),
        "last_used_at": time_text(Some(row.last_used_at)),
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "errors": row.errors,
    })
}

/// 404.
#[must_use]
pub fn unknown() -> Problem {
    Problem::not_found("there is no key with this id")
}

/// `GET /api/keys`. Two queries.
pub async fn list(call: &Call) -> Outcome {
    let pairs = call.query();
    let query = KeyQuery::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    coordinator::flush(&call.env).await;
    let (rows, total) = key_list::page(&call.db, &query, call.now).await?;
    Ok(Reply::new(200).json(&json!({
        "items": rows.iter().map(item).collect::<Vec<_>>(),
        "total": total,
        "page": query.page.page,
        "per_page": query.page.per_page,
    })))
}

/// `GET /api/keys/ids`: what the filters leave, for a change of all of them. One query.
pub async fn ids(call: &Call) -> Outcome {
    let pairs = call.query();
    let filter = KeyFilter::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    coordinator::flush(&call.env).await;
    let ids = key_list::ids(&call.db, &filter, KEYS as u64, call.now).await?;
    Ok(Reply::new(200).json(&json!({"ids": ids})))
}

/// `GET /api/keys/groups`: names of quota groups while one is typed. One query.
pub async fn groups(call: &Call) -> Outcome {
    let pairs = call.query();
    let query = GroupQuery::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    let groups = key_list::groups(&call.db, &query.prefix, query.limit).await?;
    let items: Vec<Value> = groups.iter().map(|of| json!({"name": of.name, "keys": of.keys})).collect();
    Ok(Reply::new(200).json(&json!({"items": items})))
}

/// `POST /api/keys/enable`. Three queries, whatever the number.
pub async fn switch(call: &Call) -> Outcome {
    let switch = KeySwitch::parse(&call.object(ADMIN_BODY_BYTES).await?)?;
    let (actor, detail) = (call.actor(), format!("{CHANGED} keys enabled={}", switch.enabled));
    let changed = keys::switch(&call.db, &switch, &call.deed(&actor, "key.patch", &detail)).await?;
    if changed > 0 {
        call.announce().await;
    }
    Ok(Reply::new(200).json(&json!({"changed": changed})))
}

/// `PATCH /api/keys/{id}`. Four queries.
pub async fn patch(call: &Call, id: &str) -> Outcome {
    let patch = KeyPatch::parse(&call.object(ADMIN_BODY_BYTES).await?)?;
    let (actor, detail) = (call.actor(), format!("{id} {}", patch.names()));
    let deed = call.deed(&actor, "key.patch", &detail);
    let row = keys::patch(&call.db, id, &patch, &deed).await?.ok_or_else(unknown)?;
    call.announce().await;
    Ok(Reply::new(200).json(&item(&row)))
}

/// `DELETE /api/keys/{id}`. Four queries.
pub async fn delete(call: &Call, id: &str) -> Outcome {
    let actor = call.actor();
    match keys::delete(&call.db, id, &call.deed(&actor, "key.delete", id)).await? {
        Deleted::Unknown => Err(unknown()),
        Deleted::Environment(variable) => Err(Problem::conflict(format!(
            "this key comes from the environment: take it out of {variable} and start again"
        ))),
        Deleted::Gone => {
            call.announce().await;
            Ok(Reply::new(204).empty())
        }
    }
}

/// `POST /api/keys/delete`. Three queries, whatever the number.
pub async fn delete_many(call: &Call) -> Outcome {
    let chosen = Chosen::for_delete(&call.object(ADMIN_BODY_BYTES).await?)?;
    let detail = match &chosen {
        Chosen::Status(status) => {
            // What is chosen by state must be chosen by the state it has now.
            coordinator::flush(&call.env).await;
            format!("{CHANGED} keys with status {status}")
        }
        Chosen::Ids(_) | Chosen::All => format!("{CHANGED} keys"),
    };
    let actor = call.actor();
    let deleted = keys::delete_many(&call.db, &chosen, &call.deed(&actor, "key.delete", &detail)).await?;
    if deleted > 0 {
        call.announce().await;
    }
    Ok(Reply::new(200).json(&json!({"deleted": deleted})))
}
