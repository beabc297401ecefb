//! `/api/sessions`: who is logged in. A session is named by the first digits of its digest, never by its token.

use super::call::Call;
use super::problem::{Outcome, Problem};
use super::time_text;
use crate::platform::json::Reply;
use crate::store::audit::CHANGED;
use crate::store::sessions;
use rondo_core::config::FieldError;
use rondo_core::vault::Digest;
use serde_json::{Value, json};

fn id_of(digest: &str) -> Option<String> {
    digest.parse::<Digest>().ok().map(|digest| digest.short())
}

/// `GET /api/sessions`. One query.
pub async fn list(call: &Call) -> Outcome {
    if let Some((name, _)) = call.query().first() {
        return Err(FieldError::new(name, "is not a parameter of this call").into());
    }
    let rows = sessions::list(&call.db, call.now).await?;
    let item = |row: &sessions::SessionRow| {
        json!({
            "id": id_of(&row.digest),
            "created_at": time_text(Some(row.created_at)),
            "expires_at": time_text(Some(row.expires_at)),
            "current": call.session.as_ref() == Some(&row.digest),
        })
    };
    let items: Vec<Value> = rows.iter().map(item).collect();
    Ok(Reply::new(200).json(&json!({"items": items})))
}

/// `DELETE /api/sessions/{id}`. Three queries. To end one's own is to log out.
pub async fn end(call: &Call, id: &str) -> Outcome {
    let rows = sessions::list(&call.db, call.now).await?;
    let row = rows.iter().find(|row| id_of(&row.digest).as_deref() == Some(id));
    let row = row.ok_or_else(|| Problem::not_found("there is no session with this id"))?;
    let actor = call.actor();
    sessions::end(&call.db, &row.digest, &call.deed(&actor, "session.end", id)).await?;
    let mut reply = Reply::new(204);
    if call.session.as_ref() == Some(&row.digest) {
        reply = reply.header("set-cookie", &call.cookie("", 0));
    }
    Ok(reply.empty())
}

/// `POST /api/sessions/end_others`. Two queries.
pub async fn end_others(call: &Call) -> Outcome {
    let own = call.session.as_deref().ok_or_else(Problem::unauthorized)?;
    let actor = call.actor();
    let ended =
        sessions::end_others(&call.db, own, &call.deed(&actor, "session.end", &format!("{CHANGED} others")))
            .await?;
    Ok(Reply::new(200).json(&json!({"ended": ended})))
}
