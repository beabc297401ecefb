//! `GET /api/overview`: all that the first page shows, in one call.

use super::call::Call;
use super::coordinator::{self, View};
use super::problem::Outcome;
use super::time_text;
use crate::platform::env;
use crate::platform::json::Reply;
use crate::store::key_list;
use crate::store::names::{self, Called};
use rondo_core::config::FieldError;
use rondo_core::config::groups::{PoolGroup, split};
use rondo_core::config::list::KEY_STATES;
use rondo_core::pool::status::Outage;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const DAY_MS: u64 = 86_400_000;

/// One call of the Coordinator, and one query: for what the keys of the gauge are called, or for the states of all
/// while it does not answer.
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
    let groups = view.map_or(&[][..], |view| &view.fuel);
    let own = groups.iter().filter_map(|group| match split(group.get("group")?.as_str()?)? {
        PoolGroup::Key(id) => Some(id),
        PoolGroup::Named(_) => None,
    });
    // Without names the figures are still true.
    let called = names::of_keys(&call.db, own).await.unwrap_or_default();
    Ok(Reply::new(200).json(&json!({
        "at": time_text(Some(call.now)),
        "ready": ready,
        "demo": env::is_demo(&call.env),
        "missing": missing,
        "keys": states,
        "now": view.map(now),
        "outages": view.map_or(&[][..], |view| &view.outages).iter().map(outage).collect::<Vec<_>>(),
        "fuel": fuel(view, &called, call.now),
    })))
}

/// Keys by state, and all of them.
fn counts(of: impl Fn(&str) -> Option<u64>) -> Map<String, Value> {
    let states = KEY_STATES.map(|state| (state, of(state).unwrap_or(0)));
    let total: u64 = states.iter().map(|(_, count)| count).sum();
    let all = [("total", total)].into_iter().chain(states);
    all.map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn outage(of: &Outage) -> Value {
    json!({
        "provider": of.provider,
        "since": time_text(Some(of.since)),
        "next_probe_at": time_text(Some(of.next_probe_at)),
    })
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
fn fuel(view: Option<&View>, called: &HashMap<String, Called>, now: u64) -> Value {
    let groups: Vec<Value> =
        view.map_or(&[][..], |view| &view.fuel).iter().map(|group| named(group, called)).collect();
    let first = groups.first().filter(|first| first.get("lasts_s").is_some_and(Value::is_u64));
    let of_first = |name: &str| first.and_then(|first| first.get(name));
    json!({
        "quota": {
            "lasts_s": of_first("lasts_s"),
            "group": of_first("group"),
            "name": of_first("name"),
            "groups": groups,
        },
        "cloudflare": {
            "estimated": true,
            "plan": "free",
            "since": time_text(Some(view.map_or(now - now % DAY_MS, |view| view.since))),
            "items": view.map_or(json!([]), |view| view.spent.clone()),
        },
    })
}

/// A group's gauge with its name for people: the operator's, or the label of the only key, or what may be seen of
/// that key. A key that is gone has none.
fn named(gauge: &Value, called: &HashMap<String, Called>) -> Value {
    let (name, masked) = match gauge.get("group").and_then(Value::as_str).and_then(split) {
        Some(PoolGroup::Named(name)) => (Some(name), None),
        Some(PoolGroup::Key(id)) => {
            called.get(id).map_or((None, None), |Called { masked, label, .. }| {
                (Some(if label.is_empty() { masked.as_str() } else { label }), Some(masked.as_str()))
            })
        }
        None => (None, None),
    };
    let mut gauge = gauge.clone();
    if let Some(gauge) = gauge.as_object_mut() {
        gauge.insert("name".to_owned(), name.into());
        gauge.insert("masked".to_owned(), masked.into());
    }
    gauge
}
