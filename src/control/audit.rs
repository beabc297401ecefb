//! `GET /api/audit`: who changed what, when.

use super::call::Call;
use super::problem::Outcome;
use super::time_text;
use crate::platform::json::Reply;
use crate::store::audit;
use rondo_core::config::FieldError;
use rondo_core::config::list::Page;
use serde_json::{Value, json};

/// Three queries.
pub async fn list(call: &Call) -> Outcome {
    let mut page = Page::default();
    for (name, value) in &call.query() {
        if !page.take(name, value)? {
            return Err(FieldError::new(name, "is not a parameter of this call").into());
        }
    }
    let (rows, total) = audit::list(&call.db, page).await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({"id": row.id, "at": time_text(Some(row.at)), "actor": row.actor, "action": row.action,
                "detail": row.detail})
        })
        .collect();
    let (page, per_page) = (page.page, page.per_page);
    Ok(Reply::new(200).json(&json!({"items": items, "total": total, "page": page, "per_page": per_page})))
}
