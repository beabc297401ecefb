//! `/api/tokens`: what Rondo hands to its own clients. A token is shown once, when it is made.

use super::call::Call;
use super::problem::{Outcome, Problem};
use super::{coordinator, entropy, row_id, time_text};
use crate::platform::json::Reply;
use crate::store::tokens::{self, Deleted, LIMITS, TokenRow};
use rondo_core::config::list::TokenQuery;
use rondo_core::config::tokens::{NewToken, TokenFields};
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::vault::token::new_client_token;
use rondo_core::vault::{Domain, mask_key};
use serde_json::{Value, json};

fn item(row: &TokenRow) -> Value {
    let mut item = json!({
        "id": row.id,
        "name": row.name,
        "masked": row.masked,
        "enabled": row.enabled != 0,
        "expires_at": time_text(row.expires_at),
        "models": row.models.as_deref().and_then(|models| serde_json::from_str::<Value>(models).ok()),
        "metrics": row.metrics != 0,
        "source": row.source,
        "created_at": time_text(Some(row.created_at)),
        "last_used_at": time_text(Some(row.last_used_at)),
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "errors": row.errors,
    });
    let limits: Value = serde_json::from_str(&row.limits).unwrap_or_default();
    if let Some(item) = item.as_object_mut() {
        for name in LIMITS {
            item.insert(name.to_owned(), limits.get(name).cloned().unwrap_or_default());
        }
    }
    item
}

fn unknown() -> Problem {
    Problem::not_found("there is no token with this id")
}

/// `GET /api/tokens`. Two queries.
pub async fn list(call: &Call) -> Outcome {
    let pairs = call.query();
    let query = TokenQuery::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    coordinator::flush(&call.env).await;
    let (rows, total) = tokens::list(&call.db, &query).await?;
    Ok(Reply::new(200).json(&json!({
        "items": rows.iter().map(item).collect::<Vec<_>>(),
        "total": total,
        "page": query.page.page,
        "per_page": query.page.per_page,
    })))
}

/// `POST /api/tokens`. Four queries.
pub async fn create(call: &Call) -> Outcome {
    let new = NewToken::parse(&call.object(ADMIN_BODY_BYTES).await?, call.now)?;
    let own = new.own.is_some();
    let token = match new.own {
        Some(token) => token,
        None => new_client_token(entropy()?),
    };
    let digest = call.ring.digest.digest(Domain::Token, token.expose()).to_string();
    let (id, masked) = (row_id('t')?, mask_key(token.expose()));
    let (actor, detail) =
        (call.actor(), format!("{id}{}", if own { " with the operator's own value" } else { "" }));
    let deed = call.deed(&actor, "token.add", &detail);
    let row = tokens::insert(&call.db, &id, &digest, &masked, &new.fields, &deed).await?;
    let row = row.ok_or_else(|| Problem::conflict("this token exists already"))?;
    call.announce().await;
    let mut item = item(&row);
    if let Some(item) = item.as_object_mut() {
        item.insert("token".to_owned(), token.expose().as_str().into());
    }
    Ok(Reply::new(201).json(&item))
}

/// `PATCH /api/tokens/{id}`. Four queries.
pub async fn patch(call: &Call, id: &str) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    // Only what the body names is written, so what the others start from does not matter.
    let mut fields = TokenFields { name: "unchanged".to_owned(), ..TokenFields::default() };
    fields.patch(&body, call.now)?;
    let names = body.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let (actor, detail) = (call.actor(), format!("{id} {names}"));
    let row = tokens::patch(&call.db, id, &body, &fields, &call.deed(&actor, "token.patch", &detail)).await?;
    let row = row.ok_or_else(unknown)?;
    call.announce().await;
    Ok(Reply::new(200).json(&item(&row)))
}

/// `DELETE /api/tokens/{id}`. Four queries.
pub async fn delete(call: &Call, id: &str) -> Outcome {
    let actor = call.actor();
    match tokens::delete(&call.db, id, &call.deed(&actor, "token.delete", id)).await? {
        Deleted::Unknown => Err(unknown()),
        Deleted::Environment => Err(Problem::conflict(
            "this token comes from the environment: take AUTH_PASSWORD out of it and start again",
        )),
        Deleted::Gone => {
            call.announce().await;
            Ok(Reply::new(204).empty())
        }
    }
}
