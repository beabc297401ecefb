//! `/api/models`: the model pools.

use super::call::Call;
use super::problem::{Outcome, Problem};
use crate::platform::json::Reply;
use crate::store::pools;
use rondo_core::config::pools::{check_pool_name, parse_pool};
use rondo_core::config::{DEFAULT_POOL, FieldError, ModelPool};
use rondo_core::limits::promised::POOLS;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use serde_json::{Value, json};

fn item(pool: &ModelPool) -> Value {
    let members: Vec<Value> = pool
        .members
        .iter()
        .map(|member| {
            json!({
                "model": member.model,
                "provider": member.provider,
                "weight": member.weight,
                "enabled": member.enabled,
                "state": if member.enabled { "active" } else { "disabled" },
                "reason": null,
                "until": null,
            })
        })
        .collect();
    json!({"name": pool.name, "strategy": pool.strategy, "members": members})
}

/// `GET /api/models`. Two queries.
pub async fn list(call: &Call) -> Outcome {
    let (pools, settings) = pools::list(&call.db).await?;
    let pools: Vec<Value> = pools.iter().map(item).collect();
    Ok(Reply::new(200).json(&json!({"policy": settings.model_policy, "pools": pools})))
}

/// `PUT /api/models/{pool}`. Three queries.
pub async fn put(call: &Call, name: &str) -> Outcome {
    check_pool_name(name)?;
    let pool = parse_pool(name, &call.object(ADMIN_BODY_BYTES).await?)?;
    let (actor, detail) = (call.actor(), format!("{name}, {} models", pool.members.len()));
    if !pools::put(&call.db, &pool, &call.deed(&actor, "pool.put", &detail)).await? {
        return Err(Problem::conflict(format!("there are {POOLS} pools, as many as there can be")));
    }
    call.announce().await;
    Ok(Reply::new(200).json(&item(&pool)))
}

/// `DELETE /api/models/{pool}`. Three queries.
pub async fn delete(call: &Call, name: &str) -> Outcome {
    if name == DEFAULT_POOL {
        return Err(FieldError::new(
            "pool",
            "the default pool serves every other request; it cannot be deleted",
        )
        .into());
    }
    let actor = call.actor();
    let known = check_pool_name(name).is_ok();
    if !known || !pools::delete(&call.db, name, &call.deed(&actor, "pool.delete", name)).await? {
        return Err(Problem::not_found("there is no pool of this name"));
    }
    call.announce().await;
    Ok(Reply::new(204).empty())
}
