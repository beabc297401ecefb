//! `GET /metrics`: the figures for Prometheus.

use super::call::Call;
use super::coordinator;
use super::decisions::silent;
use super::problem::{Outcome, Problem};
use crate::platform::json::Reply;
use crate::store::tokens;
use rondo_core::pool::exposition::CONTENT_TYPE;
use rondo_core::vault::Domain;

/// For an admin's session, or a client token that is marked for it. One query for the latter, and one call of the
/// Coordinator.
pub async fn metrics(call: &Call) -> Outcome {
    if call.session.is_none() {
        let token = call.presented().ok_or_else(Problem::unauthorized)?;
        let digest = call.ring.digest.digest(Domain::Token, &token).to_string();
        if !tokens::may_read_metrics(&call.db, &digest, call.now).await? {
            return Err(Problem::unauthorized());
        }
    }
    let text = coordinator::metrics(&call.env).await.map_err(silent)?;
    Ok(Reply::new(200).text(CONTENT_TYPE, text))
}
