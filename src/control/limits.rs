//! `GET /api/keys/{id}/limits`: what is held of the upstream's limits on a key.

use super::call::Call;
use super::decisions::silent;
use super::keys::unknown;
use super::problem::Outcome;
use super::{coordinator, time_text};
use crate::platform::json::Reply;
use crate::platform::time;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the Coordinator says. Times in unix milliseconds.
#[derive(Deserialize)]
struct Known {
    group: String,
    models: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    model: String,
    cooling_until: Option<u64>,
    missing_until: Option<u64>,
    open: u64,
    reserved: u64,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    what: String,
    window: String,
    limit: u64,
    remaining: i64,
    full_at: u64,
    source: String,
}

/// No query of its own, and one call of the Coordinator.
pub async fn of_key(call: &Call, id: &str) -> Outcome {
    let known: Option<Known> = coordinator::limits(&call.env, id).await.map_err(silent)?;
    let Known { group, models } = known.ok_or_else(unknown)?;
    let now = time::now_ms();
    let models: Vec<Value> = models.iter().map(|model| held(model, now)).collect();
    Ok(Reply::new(200).json(&json!({"group": group, "models": models})))
}

fn held(model: &Held, now: u64) -> Value {
    let bucket = |bucket: &Bucket| {
        json!({
            "what": bucket.what,
            "window": bucket.window,
            "limit": bucket.limit,
            "remaining": bucket.remaining,
            "full_at": time_text(Some(bucket.full_at).filter(|at| *at > now)),
            "source": bucket.source,
        })
    };
    json!({
        "model": model.model,
        "cooling_until": time_text(model.cooling_until),
        "missing_until": time_text(model.missing_until),
        "open": model.open,
        "reserved": model.reserved,
        "buckets": model.buckets.iter().map(bucket).collect::<Vec<_>>(),
    })
}
