//! `GET /api/overview`: all that the first page shows, in one call.

use super::call::Call;
use super::coordinator::{self, View};
use super::problem::Outcome;
use super::time_text;
use crate::platform::env;
use crate::platform::json::Reply;
use crate::store::key_list;
use rondo_core::config::FieldError;
use rondo_core::config::list::KEY_STATES;
use serde_json::{Map, Value, json};

const DAY_MS: u64 = 86_400_000;

/// One call of the Coordinator; one query while it does not answer.
pub async fn overview(call: &Call) -> Outcome {
    if let Some((name, _)) = call.query().first() {
        return Err(FieldError::new(name, "is not a parameter of this call").into());
    }
    let said = coordinator::overview(&call.env).await.ok();
    let health = said.as_ref().map(|said| &said.health);
    let missing = env::missing(&call.env, health);
    let ready = missing.is_empty() && health.is_some_and(|health| health.get("ready") == Some(&json!(true)));
    let states = match health.and_then(|health| health.get("states")) {
        Some(states) => counts(|state| states.get(state).and_then(Value::as_u64)),
        None => {
            let states = key_list::states(&call.db, call.now).await?;
            counts(|state| states.get(state).copied())
        }
    };
    let view = said.as_ref().and_then(|said| said.view.as_ref());
    Ok(Reply::new(200).json(&json!({
        "at": time_text(Some(call.now)),
        "ready": ready,
        "demo": env::is_demo(&call.env),
        "missing": missing,
        "keys": states,
        "now": view.map(now),
        "fuel": fuel(view, call.now),
    })))
}

/// Keys by state, and all of them.
fn counts(of: impl Fn(&str) -> Option<u64>) -> Map<String, Value> {
    let states = KEY_STATES.map(|state| (state, of(state).unwrap_or(0)));
    let total: u64 = states.iter().map(|(_, count)| count).sum();
    let all = [("total", total)].into_iter().chain(states);
    all.map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn now(view: &View) -> Value {
    let [requests, tokens] = view.per_minute;
    json!({
        "requests_per_minute": requests,
        "tokens_per_minute": tokens,
        "waiting": view.waiting,
        "under_way": view.under_way,
    })
}

/// Nothing is known of it while the Coordinator does not answer.
fn fuel(view: Option<&View>, now: u64) -> Value {
    let groups = view.map_or(&[][..], |view| &view.fuel);
    let first = groups.first().filter(|first| first.get("lasts_s").is_some_and(Value::is_u64));
    let of_first = |name: &str| first.and_then(|first| first.get(name));
    json!({
        "quota": {"lasts_s": of_first("lasts_s"), "group": of_first("group"), "groups": groups},
        "cloudflare": {
            "estimated": true,
            "plan": "free",
            "since": time_text(Some(view.map_or(now - now % DAY_MS, |view| view.since))),
            "items": view.map_or(json!([]), |view| view.spent.clone()),
        },
    })
}
