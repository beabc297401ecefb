//! What the admin pages ask the object for. Times are unix milliseconds.

use super::object::Core;
use crate::platform::race::within;
use crate::platform::time;
use crate::store::StoreError;
use rondo_core::limits::durable_object::ROW_BYTES;
use rondo_core::limits::events::{
    AT_ONCE as EVENTS_AT_ONCE, FOLLOWERS, PULSE_EVERY_MS, WAIT_MS as EVENTS_WAIT_MS,
};
use rondo_core::pool::decisions::KEPT;
use rondo_core::pool::stories::Filter;
use serde::Deserialize;
use serde_json::{Value, json};

/// Dismissed sets that outlive a restart; as many as the pool remembers.
const DISMISSED: usize = 1_000;
/// Quotas that the first page names.
const FUEL: usize = 20;
/// Where they are stored.
const DISMISSED_NAME: &str = "dismissed";

/// How the models stand: `{models: [{model, state, reason, until, missing_groups}]}`.
pub fn models(core: &Core) -> Value {
    let now = time::now_ms();
    let mut models = core.pool.borrow().model_standing(now);
    core.watch.tell(now, &mut models);
    json!({"models": models})
}

#[derive(Deserialize)]
struct DecisionsCall {
    limit: usize,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    grant: Option<u64>,
}

/// The last decisions, newest first: `{items, total}`; `None` when the call is not understood.
pub fn decisions(core: &Core, body: &str) -> Option<Value> {
    let call: DecisionsCall = serde_json::from_str(body).ok()?;
    let pool = core.pool.borrow();
    let fitting = |most| pool.decisions().latest(most, call.key.as_deref(), call.grant);
    let items: Vec<_> = fitting(call.limit).collect();
    Some(json!({"items": items, "total": fitting(KEPT).count()}))
}

#[derive(Deserialize)]
struct RequestsCall {
    limit: usize,
    filter: Filter,
}

/// The last requests, newest first: `{items, seq, kept}`; `None` when the call is not understood.
pub fn requests(core: &Core, body: &str) -> Option<Value> {
    let call: RequestsCall = serde_json::from_str(body).ok()?;
    let pool = core.pool.borrow();
    let stories = pool.stories();
    let items: Vec<_> = stories.latest(call.limit, &call.filter).collect();
    Some(json!({"items": items, "seq": stories.seq(), "kept": stories.kept()}))
}

#[derive(Deserialize)]
struct EventsCall {
    /// The last story that the asker has; without one the next that comes is the first.
    since: Option<u64>,
    /// `(waiting, under_way)` as the asker knows them.
    seen: Option<(usize, usize)>,
    wait_ms: u64,
}

/// What is new: `{items, seq, at, waiting, under_way}`, items oldest first. Waits until there is a story, or (a moment
/// after the call) other numbers, or the time is over. `None` when the call is not understood.
pub async fn events(core: &Core, body: &str) -> Option<Value> {
    let call: EventsCall = serde_json::from_str(body).ok()?;
    let begun = time::now_ms();
    let crowded = core.bell.waiting() >= FOLLOWERS;
    let until = begun + if crowded { 0 } else { call.wait_ms.min(EVENTS_WAIT_MS) };
    loop {
        let now = time::now_ms();
        let other = {
            let pool = core.pool.borrow();
            let (stories, numbers) = (pool.stories(), (pool.waiting(), pool.under_way()));
            let since = call.since.unwrap_or(stories.seq());
            let other = call.seen != Some(numbers);
            let news = stories.any_since(since) || call.since.is_none();
            if news || now >= until || other && now >= begun + PULSE_EVERY_MS {
                let items: Vec<_> = stories.since(since, EVENTS_AT_ONCE).collect();
                let (waiting, under_way) = numbers;
                return Some(json!({"items": items, "seq": stories.seq(), "at": now, "waiting": waiting,
                    "under_way": under_way}));
            }
            other
        };
        let look = if other { until.min(begun + PULSE_EVERY_MS) } else { until };
        let _ = within(look.saturating_sub(now).max(1), core.bell.next_ring()).await;
    }
}

#[derive(Deserialize)]
struct LimitsCall {
    key: String,
}

/// What is held of the limits of a key's group: `{known: {group, models}}`, null for an unknown key.
pub fn limits(core: &Core, body: &str) -> Option<Value> {
    let call: LimitsCall = serde_json::from_str(body).ok()?;
    let pool = core.pool.borrow();
    let known = pool.group_of(&call.key).zip(pool.quotas_of(&call.key, time::now_ms()));
    Some(json!({"known": known.map(|(group, models)| json!({"group": group, "models": models}))}))
}

/// How the pool does at this moment.
pub fn pulse(core: &Core) -> Value {
    let pool = core.pool.borrow();
    json!({"waiting": pool.waiting(), "under_way": pool.under_way(), "foresight": pool.foresight()})
}

/// The first page's figures: `{per_minute: [requests, tokens], waiting, under_way, outages, fuel, since, spent}`.
pub fn overview(core: &Core) -> Value {
    let now = time::now_ms();
    let pool = core.pool.borrow();
    let spending = core.spending.get().of_day(now);
    json!({
        "per_minute": pool.books().per_minute(now),
        "waiting": pool.waiting(),
        "under_way": pool.under_way(),
        "outages": pool.outages(),
        "fuel": pool.fuel(now, FUEL),
        "since": spending.day,
        "spent": spending.gauges(now, pool.books().requests_today(now)),
    })
}

/// The figures for Prometheus: `{text}`.
pub fn metrics(core: &Core) -> Value {
    json!({"text": core.pool.borrow().exposition(time::now_ms())})
}

/// Groups that look like one quota.
pub fn suggestions(core: &Core) -> Value {
    json!({"suggestions": core.pool.borrow().suggestions(time::now_ms())})
}

#[derive(Deserialize)]
struct JudgedCall {
    groups: Vec<String>,
    accept: bool,
}

/// The operator judged a suggestion. An accepted one is forgotten, since its groups are one now; a dismissed one is
/// written down. `None` when the call is not understood.
pub fn judged(core: &Core, body: &str) -> Option<Result<(), StoreError>> {
    let call: JudgedCall = serde_json::from_str(body).ok()?;
    if call.accept {
        core.pool.borrow_mut().kinship().forget(&call.groups);
        return Some(Ok(()));
    }
    let written = dismissed(core).and_then(|mut sets| {
        sets.retain(|set| *set != call.groups);
        sets.push(call.groups.clone());
        let text = shortened(sets)?;
        core.journal.set_text(DISMISSED_NAME, &text)
    });
    if written.is_ok() {
        core.pool.borrow_mut().kinship().dismiss(&call.groups);
    }
    Some(written)
}

/// The sets that were dismissed, oldest first.
///
/// # Errors
/// When the object's database refuses.
pub fn dismissed(core: &Core) -> Result<Vec<Vec<String>>, StoreError> {
    let text = core.journal.text(DISMISSED_NAME)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

/// As JSON that fits a row: the oldest go.
fn shortened(sets: Vec<Vec<String>>) -> Result<String, StoreError> {
    let over = sets.len().saturating_sub(DISMISSED);
    let mut sets: Vec<Vec<String>> = sets.into_iter().skip(over).collect();
    loop {
        let text = serde_json::to_string(&sets)?;
        if text.len() < ROW_BYTES / 2 || sets.is_empty() {
            return Ok(text);
        }
        sets.drain(..sets.len().div_ceil(8));
    }
}
