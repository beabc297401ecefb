//! `/api/settings`.

use super::call::Call;
use super::problem::{Outcome, Problem};
use crate::platform::json::Reply;
use crate::store::settings;
use rondo_core::limits::request::ADMIN_BODY_BYTES;

/// Tries to write before giving up on others who write at the same time.
const TRIES: usize = 5;

/// `GET /api/settings`. One query.
pub async fn get(call: &Call) -> Outcome {
    let (settings, _) = settings::settings(&call.db).await?;
    Ok(Reply::new(200).json(&settings))
}

/// `PATCH /api/settings`. Four queries a try.
pub async fn patch(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let detail = body.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let actor = call.actor();
    for _ in 0..TRIES {
        let (mut next, before) = settings::settings(&call.db).await?;
        next.patch(&body)?;
        let deed = call.deed(&actor, "settings.patch", &detail);
        if settings::replace_settings(&call.db, before.as_deref(), &next, &deed).await? {
            call.announce().await;
            return Ok(Reply::new(200).json(&next));
        }
    }
    Err(Problem::conflict("others change the settings at the same time; try again"))
}
