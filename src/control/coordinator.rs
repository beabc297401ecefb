//! What the admin API says to the Coordinator. Every call is raced against a timer: a hung object must not hang
//! an admin.

use super::problem::Problem;
use crate::platform::race::within;
use crate::platform::{env, log};
use crate::store::sql::take_spent;
use rondo_core::pool::catalog::ModelStanding;
use rondo_core::pool::decisions::Decision;
use rondo_core::pool::kinship::Suggestion;
use rondo_core::pool::state::Foresight;
use rondo_core::pool::status::Outage;
use rondo_core::pool::stories::{Filter, Story};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit};

/// Name of the one object.
const NAME: &str = "main";
/// Most a change waits for its announcement; a lost one is found at the next flush.
const CHANGED_MS: u64 = 2_000;
/// Most a list waits for numbers in flight.
const FLUSH_MS: u64 = 2_000;
/// Most other calls wait.
const CALL_MS: u64 = 2_000;
/// A first start migrates the schema.
const READY_MS: u64 = 10_000;

/// The Coordinator did not answer, or not with what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

async fn call<T: DeserializeOwned>(env: &Env, path: &str, body: &Value, limit_ms: u64) -> Result<T, Silent> {
    let exchange = async {
        let namespace = env.durable_object("COORDINATOR")?;
        let stub = match env::text(env, "LOCATION_HINT") {
            Some(hint) => namespace.get_by_name_with_location_hint(NAME, &hint)?,
            None => namespace.get_by_name(NAME)?,
        };
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body.to_string())));
        let request = Request::new_with_init(&format!("http://coordinator/{path}"), &init)?;
        let mut response = stub.fetch_with_request(request).await?;
        let text = response.text().await?;
        Ok::<_, worker::Error>((response.status_code(), text))
    };
    match within(limit_ms, exchange).await {
        Some(Ok((200, text))) => serde_json::from_str(&text).map_err(|_| Silent),
        Some(Ok((status, _))) => {
            log::warn("coordinator_refused", &json!({"call": path, "status": status}));
            Err(Silent)
        }
        Some(Err(_)) | None => {
            log::warn("coordinator_silent", &json!({"call": path}));
            Err(Silent)
        }
    }
}

/// Tells it that the configuration changed.
pub async fn changed(env: &Env) {
    let _ = call::<Value>(env, "changed", &json!({}), CHANGED_MS).await;
}

/// Has it write what it holds, so that numbers read next are true. What it cannot write in time is missing.
pub async fn flush(env: &Env) {
    let _ = call::<Value>(env, "flush", &json!(take_spent()), FLUSH_MS).await;
}

/// Wakes it, so that it brings the schema up to date and makes the wrapped keys.
pub async fn wake(env: &Env) {
    let _ = call::<Value>(env, "ready", &json!({}), READY_MS).await;
}

#[derive(Deserialize)]
struct Place {
    allowed: bool,
    retry_after_ms: Option<u64>,
}

/// Takes a place in the limiter before a secret is checked.
///
/// # Errors
/// 429 when there is none, 503 when nobody can tell.
pub async fn begin_attempt(env: &Env, address: &str) -> Result<(), Problem> {
    let place = call::<Place>(env, "limiter", &json!({"op": "begin", "address": address}), CALL_MS).await;
    match place {
        Ok(Place { allowed: true, .. }) => Ok(()),
        Ok(Place { retry_after_ms, .. }) => Err(Problem::slow_down(retry_after_ms.unwrap_or(60_000))),
        Err(Silent) => Err(Problem::unavailable(
            "the Coordinator does not answer, so attempts cannot be counted; try again in a moment",
        )),
    }
}

/// Gives the place back after a right secret.
pub async fn attempt_succeeded(env: &Env, address: &str) {
    let _ = call::<Value>(env, "limiter", &json!({"op": "succeeded", "address": address}), CALL_MS).await;
}

/// Tells it that the catalog was fetched. A lost call is made good by the Coordinator's own watch.
pub async fn catalog(env: &Env) {
    let _ = call::<Value>(env, "catalog", &json!({}), CHANGED_MS).await;
}

#[derive(Deserialize)]
struct Standings {
    models: Vec<ModelStanding>,
}

/// How the models stand.
///
/// # Errors
/// [`Silent`].
pub async fn models(env: &Env) -> Result<Vec<ModelStanding>, Silent> {
    Ok(call::<Standings>(env, "models", &json!({}), CALL_MS).await?.models)
}

/// The last decisions.
#[derive(Deserialize)]
pub struct Decided {
    /// Newest first.
    pub items: Vec<Decision>,
    /// How many are kept that fit the filters.
    pub total: u64,
}

/// At most so many of the last decisions, of one key, or of one grant.
///
/// # Errors
/// [`Silent`].
pub async fn decisions(
    env: &Env,
    limit: u64,
    key: Option<&str>,
    grant: Option<u64>,
) -> Result<Decided, Silent> {
    call(env, "decisions", &json!({"limit": limit, "key": key, "grant": grant}), CALL_MS).await
}

/// The last requests.
#[derive(Deserialize)]
pub struct Recent {
    /// Newest first.
    pub items: Vec<Story>,
    /// The newest one's number.
    pub seq: u64,
    /// How many are kept.
    pub kept: u64,
}

/// At most so many of the last requests that fit.
///
/// # Errors
/// [`Silent`].
pub async fn requests(env: &Env, limit: u64, filter: &Filter) -> Result<Recent, Silent> {
    call(env, "requests", &json!({"limit": limit, "filter": filter}), CALL_MS).await
}

/// What is new.
#[derive(Deserialize)]
pub struct News {
    /// Oldest first.
    pub items: Vec<Story>,
    /// The newest one's number.
    pub seq: u64,
    /// Unix milliseconds.
    pub at: u64,
    /// Requests that wait.
    pub waiting: u64,
    /// Grants given and not settled.
    pub under_way: u64,
}

/// What is new after the story `since` (none: where the newest stands) or differs from the numbers last seen,
/// `(waiting, under_way)`; waits for it up to `wait_ms`.
///
/// # Errors
/// [`Silent`].
pub async fn events(
    env: &Env,
    since: Option<u64>,
    seen: Option<(u64, u64)>,
    wait_ms: u64,
) -> Result<News, Silent> {
    let ask = json!({"since": since, "seen": seen, "wait_ms": wait_ms});
    call(env, "events", &ask, wait_ms + CALL_MS).await
}

/// What is held of the limits of a key's group, as JSON; `None` for an unknown key.
///
/// # Errors
/// [`Silent`].
pub async fn limits<T: DeserializeOwned>(env: &Env, key: &str) -> Result<Option<T>, Silent> {
    #[derive(Deserialize)]
    struct Answer<T> {
        known: Option<T>,
    }
    Ok(call::<Answer<T>>(env, "limits", &json!({"key": key}), CALL_MS).await?.known)
}

/// The first page's figures.
#[derive(Deserialize)]
pub struct Overview {
    /// Whether it can serve, as `/health` is told: `{ready, missing, states, …}`.
    pub health: Value,
    /// What it holds; `None` while it is not loaded.
    pub view: Option<View>,
}

/// What the Coordinator holds at this moment.
#[derive(Deserialize)]
pub struct View {
    /// Client requests and their tokens in the last minute.
    pub per_minute: [u64; 2],
    /// Requests that wait.
    pub waiting: u64,
    /// Grants given and not settled.
    pub under_way: u64,
    /// The upstreams that fail for everybody.
    pub outages: Vec<Outage>,
    /// The quotas that run out first.
    pub fuel: Vec<Value>,
    /// Start of the UTC day, unix milliseconds.
    pub since: u64,
    /// What of the platform's free plan was used since: `[{name, used, limit}]`.
    pub spent: Value,
}

/// The first page's figures.
///
/// # Errors
/// [`Silent`].
pub async fn overview(env: &Env) -> Result<Overview, Silent> {
    call(env, "overview", &json!(take_spent()), CALL_MS).await
}

/// The figures for Prometheus, as text.
///
/// # Errors
/// [`Silent`].
pub async fn metrics(env: &Env) -> Result<String, Silent> {
    #[derive(Deserialize)]
    struct Answer {
        text: String,
    }
    Ok(call::<Answer>(env, "metrics", &json!({}), CALL_MS).await?.text)
}

/// How the pool does at this moment.
#[derive(Deserialize)]
pub struct Pulse {
    /// Requests that wait.
    pub waiting: u64,
    /// Grants given and not settled.
    pub under_way: u64,
    /// How well the upstream's limits are foreseen.
    pub foresight: Foresight,
}

/// How the pool does at this moment.
///
/// # Errors
/// [`Silent`].
pub async fn pulse(env: &Env) -> Result<Pulse, Silent> {
    call(env, "pulse", &json!({}), CALL_MS).await
}

#[derive(Deserialize)]
struct Suggested {
    suggestions: Vec<Suggestion>,
}

/// Groups that look like one quota.
///
/// # Errors
/// [`Silent`].
pub async fn suggestions(env: &Env) -> Result<Vec<Suggestion>, Silent> {
    Ok(call::<Suggested>(env, "suggestions", &json!({}), CALL_MS).await?.suggestions)
}

/// Tells it what the operator says of a suggestion; it reads the configuration again, too.
///
/// # Errors
/// [`Silent`].
pub async fn judged(env: &Env, groups: &[String], accept: bool) -> Result<(), Silent> {
    let judged = json!({"groups": groups, "accept": accept});
    call::<Value>(env, "judged", &judged, CHANGED_MS).await.map(|_| ())
}

/// A key's state after a test.
#[derive(Debug, Deserialize)]
pub struct State {
    /// As in key lists.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Unix milliseconds.
    pub until: Option<u64>,
}

/// Reports a key test and gets the state that follows.
///
/// # Errors
/// [`Silent`].
pub async fn tested(
    env: &Env,
    key: &str,
    model: &str,
    outcome: &str,
    status: u16,
    retry_after_ms: Option<u64>,
) -> Result<State, Silent> {
    let report = json!({"key": key, "model": model, "outcome": outcome, "status": status,
        "retry_after_ms": retry_after_ms});
    call(env, "tested", &report, CALL_MS).await
}
