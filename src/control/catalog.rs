//! `/api/models/catalog` and `/api/models/test`: which models the provider has, and whether one answers.

use super::call::Call;
use super::probe::Bench;
use super::problem::{Outcome, Problem};
use super::{coordinator, time_text};
use crate::platform::json::Reply;
use crate::platform::time;
use crate::store::catalog::{self, Copy};
use crate::store::{audit, keys};
use rondo_core::config::catalog::{is_model_id, shown_url};
use rondo_core::config::keys::{DEFAULT_PROVIDER, check_provider};
use rondo_core::config::{FieldError, Fields};
use rondo_core::limits::input::{MODEL_ID_BYTES, PROVIDER_CHARS};
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::limits::settings::CATALOG_RETRY_MS;
use rondo_core::pool::catalog::is_fresh;
use serde_json::{Value, json};
use std::cell::Cell;

thread_local! {
    /// When a look at the catalog failed to fetch it: pages that are opened meanwhile do not wait for it again.
    static FAILED_AT: Cell<u64> = const { Cell::new(0) };
}

fn shown(call: &Call, copy: &Copy) -> Value {
    json!({
        "source": shown_url(&catalog::source(&call.env)),
        "fetched_at": time_text(Some(copy.fetched_at)),
        "stale": !is_fresh(copy.fetched_at, time::now_ms()),
        "last_error": copy.last_error,
        "models": copy.models,
    })
}

/// Fetches, and tells the Coordinator, which judges models by the copy.
async fn fetched(call: &Call) -> Result<Copy, Problem> {
    let copy = catalog::refresh(&call.env, &call.db).await?.copy;
    FAILED_AT.set(if copy.last_error.is_some() { time::now_ms() } else { 0 });
    if copy.last_error.is_none() {
        coordinator::catalog(&call.env).await;
    }
    Ok(copy)
}

/// `GET /api/models/catalog`. One query; three more and a request upstream when the copy is too old.
pub async fn get(call: &Call) -> Outcome {
    let mut copy = catalog::read(&call.db).await?;
    let tried = FAILED_AT.get().saturating_add(CATALOG_RETRY_MS) > call.now;
    if !is_fresh(copy.fetched_at, call.now) && !tried {
        copy = fetched(call).await?;
    }
    Ok(Reply::new(200).json(&shown(call, &copy)))
}

/// `POST /api/models/catalog/refresh`. Four queries.
pub async fn refresh(call: &Call) -> Outcome {
    let copy = fetched(call).await?;
    let detail = match &copy.last_error {
        Some(error) => format!("failed: {error}"),
        None => format!("{} models", copy.models.len()),
    };
    let actor = call.actor();
    audit::record(&call.db, &call.deed(&actor, "catalog.refresh", &detail)).await?;
    Ok(Reply::new(200).json(&shown(call, &copy)))
}

/// `POST /api/models/test`. Two queries, one request upstream and one call of the Coordinator.
pub async fn test(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let mut fields = Fields::new(&body);
    let (mut model, mut provider) = (String::new(), DEFAULT_PROVIDER.to_owned());
    fields.text("provider", PROVIDER_CHARS, &mut provider)?;
    fields.text("model", MODEL_ID_BYTES, &mut model)?;
    fields.finish()?;
    check_provider(&provider).map_err(|problem| FieldError::new("provider", problem))?;
    if !is_model_id(&model) {
        let rule = format!("must be 1 to {MODEL_ID_BYTES} visible ASCII characters");
        return Err(FieldError::new("model", rule).into());
    }
    let row = keys::usable(&call.db, &provider, call.now).await?;
    let Some(row) = row else {
        return Err(Problem::conflict("there is no usable key of this provider"));
    };
    let mut result = Bench::without_pools(call).test_model(&row, Some(&model)).await;
    if let Some(result) = result.as_object_mut() {
        result.insert("key_id".to_owned(), row.id.clone().into());
        result.insert("masked".to_owned(), row.masked.clone().into());
    }
    let outcome = result.get("outcome").and_then(Value::as_str).unwrap_or_default();
    let (actor, detail) = (call.actor(), format!("{model} {outcome}, with {}", row.id));
    audit::record(&call.db, &call.deed(&actor, "model.test", &detail)).await?;
    Ok(Reply::new(200).json(&result))
}
