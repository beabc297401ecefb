//! `/api/models`: the model pools.

use super::call::Call;
use super::problem::{Outcome, Problem};
use super::{coordinator, time_text};
use crate::platform::json::Reply;
use crate::store::pools;
use rondo_core::config::pools::{check_pool_name, parse_pool};
use rondo_core::config::{DEFAULT_POOL, FieldError, Member, ModelPool};
use rondo_core::limits::promised::POOLS;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::pool::catalog::ModelStanding;
use serde_json::{Value, json};
use std::collections::HashMap;

/// How models stand, by the Coordinator; `None` when it does not answer.
struct Known(Option<HashMap<String, ModelStanding>>);

impl Known {
    /// One call of the Coordinator.
    async fn ask(call: &Call) -> Self {
        let list = coordinator::models(&call.env).await.ok();
        Self(list.map(|list| list.into_iter().map(|known| (known.model.clone(), known)).collect()))
    }

    /// A member's state, reason and end.
    fn state_of(&self, member: &Member) -> (String, Option<String>, Option<u64>) {
        let word = |word: &str, reason: Option<&str>| (word.to_owned(), reason.map(str::to_owned), None);
        match (&self.0, member.enabled) {
            (_, false) => word("disabled", None),
            (None, true) => word("unknown", Some("the Coordinator does not answer")),
            (Some(known), true) => match known.get(&member.model) {
                Some(known) => (known.state.clone(), known.reason.clone(), known.until),
                None => word("active", None),
            },
        }
    }

    fn item(&self, pool: &ModelPool) -> Value {
        let member = |member: &Member| {
            let (state, reason, until) = self.state_of(member);
            json!({
                "model": member.model,
                "provider": member.provider,
                "weight": member.weight,
                "enabled": member.enabled,
                "state": state,
                "reason": reason,
                "until": time_text(until),
            })
        };
        let members: Vec<Value> = pool.members.iter().map(member).collect();
        json!({"name": pool.name, "strategy": pool.strategy, "members": members})
    }
}

/// `GET /api/models`. Two queries and one call of the Coordinator.
pub async fn list(call: &Call) -> Outcome {
    let (pools, settings) = pools::list(&call.db).await?;
    let known = Known::ask(call).await;
    let pools: Vec<Value> = pools.iter().map(|pool| known.item(pool)).collect();
    Ok(Reply::new(200).json(&json!({"policy": settings.model_policy, "pools": pools})))
}

/// `PUT /api/models/{pool}`. Three queries and one call of the Coordinator besides the announcement.
pub async fn put(call: &Call, name: &str) -> Outcome {
    check_pool_name(name)?;
    let pool = parse_pool(name, &call.object(ADMIN_BODY_BYTES).await?)?;
    let (actor, detail) = (call.actor(), format!("{name}, {} models", pool.members.len()));
    if !pools::put(&call.db, &pool, &call.deed(&actor, "pool.put", &detail)).await? {
        return Err(Problem::conflict(format!("there are {POOLS} pools, as many as there can be")));
    }
    call.announce().await;
    Ok(Reply::new(200).json(&Known::ask(call).await.item(&pool)))
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
