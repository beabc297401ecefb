//! The object's HTTP: paths of its own, spoken only by this Worker.

use super::object::Core;
use super::{catalog, flush, views};
use crate::platform::coordinator::{ANSWER_HEADER, ASK_HEADER, fits_header};
use crate::platform::{log, random, time};
use crate::store::StoreError;
use rondo_core::pool::protocol::{Ask, Attempt, AttemptEnd, Fault, LOCAL_GRANT, Settle, understands};
use rondo_core::pool::spending::Spending;
use rondo_core::pool::{Leased, stories};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use worker::{Request, Response, Result};

/// How soon KV and D1 hear of a change of configuration or of a key's state.
const SOON_MS: u64 = 1_000;

/// Answers one call.
///
/// # Errors
/// Only when no response can be made at all.
pub async fn handle(core: &Core, request: Request) -> Result<Response> {
    let url = request.inner().url();
    let path = url.rsplit_once('/').map_or("", |(_, path)| path);
    let asked = request.inner().headers().get(ASK_HEADER).ok().flatten();
    let by_header = asked.is_some();
    let body = match asked {
        Some(asked) => asked,
        None => body_of(&request).await,
    };
    if path == "ready" {
        return json_response(&ready(core), 200);
    }
    if path == "overview" {
        spent(core, &body);
        let view = core.is_loaded().then(|| views::overview(core));
        return json_response(&json!({"health": ready(core), "view": view}), 200);
    }
    if !core.is_loaded() {
        return unable(core);
    }
    match path {
        "ask" => ask(core, &body, by_header).await,
        "changed" => changed(core).await,
        "flush" => match flushed(core, &body).await {
            Ok(()) => json_response(&json!({}), 200),
            Err(error) => {
                log::error("flush_failed", &json!({"error": error.0}));
                json_response(&json!({"error": "flush failed"}), 503)
            }
        },
        "limiter" => limiter(core, &body),
        "tested" => tested(core, &body).await,
        "models" => json_response(&views::models(core), 200),
        "decisions" => view(views::decisions(core, &body)),
        "requests" => view(views::requests(core, &body)),
        "events" => view(views::events(core, &body).await),
        "limits" => view(views::limits(core, &body)),
        "metrics" => json_response(&views::metrics(core), 200),
        "pulse" => json_response(&views::pulse(core), 200),
        "suggestions" => json_response(&views::suggestions(core), 200),
        "judged" => judged(core, &body).await,
        "catalog" => match catalog::reread(core).await {
            Ok(()) => json_response(&json!({}), 200),
            Err(error) => {
                log::error("catalog_not_read", &json!({"error": error.0}));
                json_response(&json!({"error": "the catalog cannot be read"}), 503)
            }
        },
        _ => json_response(&json!({"error": "no such call"}), 404),
    }
}

/// Notes what the caller's isolate asked of D1.
fn spent(core: &Core, body: &str) {
    if let Ok(more) = serde_json::from_str::<Spending>(body) {
        core.spend(&more);
    }
}

async fn flushed(core: &Core, body: &str) -> std::result::Result<(), StoreError> {
    spent(core, body);
    flush::flush(core).await
}

fn view(view: Option<Value>) -> Result<Response> {
    match view {
        Some(view) => json_response(&view, 200),
        None => json_response(&json!({"error": "not understood"}), 400),
    }
}

/// A suggestion was judged; the groups may be others by now.
async fn judged(core: &Core, body: &str) -> Result<Response> {
    match views::judged(core, body) {
        Some(Ok(())) => changed(core).await,
        Some(Err(error)) => {
            log::error("judgement_not_stored", &json!({"error": error.0}));
            json_response(&json!({"error": "the object's database refuses"}), 503)
        }
        None => view(None),
    }
}

async fn body_of(request: &Request) -> String {
    match request.inner().text() {
        Ok(promise) => {
            JsFuture::from(promise).await.ok().and_then(|text| text.as_string()).unwrap_or_default()
        }
        Err(_) => String::new(),
    }
}

fn json_response(value: &Value, status: u16) -> Result<Response> {
    text_response(&value.to_string(), status)
}

fn text_response(text: &str, status: u16) -> Result<Response> {
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    let response = web_sys::Response::new_with_opt_str_and_init(Some(text), &init)
        .map_err(|error| worker::Error::from(error.unchecked_into::<wasm_bindgen::JsValue>()))?;
    Ok(Response::from(response))
}

fn header_response(answer: &str) -> Result<Response> {
    let headers = web_sys::Headers::new().map_err(worker::Error::from)?;
    headers.set(ANSWER_HEADER, answer).map_err(worker::Error::from)?;
    let init = web_sys::ResponseInit::new();
    init.set_headers(headers.as_ref());
    let response = web_sys::Response::new_with_opt_str_and_init(None, &init).map_err(worker::Error::from)?;
    Ok(Response::from(response))
}

fn unable(core: &Core) -> Result<Response> {
    let trouble = core.trouble.borrow().clone();
    let (missing, error) = trouble.map_or((None, "still starting".to_owned()), |t| (t.missing, t.error));
    let missing = missing.map(|(name, remedy)| json!({"name": name, "remedy": remedy}));
    json_response(&json!({"error": error, "missing": missing}), 503)
}

fn ready(core: &Core) -> Value {
    if !core.is_loaded() {
        let trouble = core.trouble.borrow().clone();
        let missing: Vec<Value> = trouble
            .iter()
            .filter_map(|trouble| trouble.missing.as_ref())
            .map(|(name, remedy)| json!({"name": name, "remedy": remedy}))
            .collect();
        return json!({"ready": false, "usable_keys": 0, "keys": 0, "schema_ok": false, "missing": missing,
            "error": trouble.map(|trouble| trouble.error)});
    }
    let summary = core.pool.borrow().summary(time::now_ms());
    let usable = summary.active + summary.cooling;
    json!({"ready": usable > 0, "usable_keys": usable, "keys": summary.keys, "schema_ok": true, "missing": [],
        "states": summary})
}

async fn ask(core: &Core, body: &str, by_header: bool) -> Result<Response> {
    let Some(mut ask) = serde_json::from_str::<Ask>(body).ok().filter(|ask| understands(ask.v)) else {
        return json_response(&json!({"error": "not an ask of this version or the one before"}), 400);
    };
    let now = time::now_ms();
    // Stories live in memory only: their bytes would be most of the journal.
    let lifted = stories::lift(&mut ask.settles);
    if !ask.settles.is_empty()
        && let Err(error) = core.journal.append(now, &ask.settles)
    {
        // Not written down, so not acknowledged: the asker keeps its reports and sends them again.
        log::error("journal_failed", &json!({"error": error.0}));
        return json_response(&json!({"error": "the journal cannot be written"}), 503);
    }
    stories::put_back(&mut ask.settles, lifted);
    let (answer, interval, leased) = {
        let mut pool = core.pool.borrow_mut();
        let answer = pool.ask(now, &ask);
        let leased = Leased::of(answer.outcome.as_ref());
        (serde_json::to_string(&answer), pool.snapshot().settings.flush_interval_ms, leased)
    };
    if !leased.is_empty()
        && let Err(error) = core.journal.append_lease(now, leased)
    {
        // Nobody learns of these grants: they lapse.
        log::error("journal_failed", &json!({"error": error.0}));
        return json_response(&json!({"error": "the journal cannot be written"}), 503);
    }
    if !ask.settles.is_empty() || ask.want.is_some() {
        core.bell.ring();
    }
    if !ask.settles.is_empty() {
        core.set_alarm(interval).await;
    }
    core.promised().await;
    match answer {
        Ok(answer) if by_header && fits_header(&answer) => header_response(&answer),
        Ok(answer) => text_response(&answer, 200),
        Err(_) => json_response(&json!({"error": "no answer"}), 500),
    }
}

async fn changed(core: &Core) -> Result<Response> {
    match core.refresh().await {
        Ok((generation, epoch)) => {
            core.set_alarm(SOON_MS).await;
            json_response(&json!({"generation": generation, "epoch": epoch}), 200)
        }
        Err(error) => {
            log::error("refresh_failed", &json!({"error": error.0}));
            core.set_alarm(SOON_MS).await;
            json_response(&json!({"error": "the configuration cannot be read"}), 503)
        }
    }
}

#[derive(Deserialize)]
struct LimiterCall {
    op: String,
    address: String,
}

fn limiter(core: &Core, body: &str) -> Result<Response> {
    let Ok(call) = serde_json::from_str::<LimiterCall>(body) else {
        return json_response(&json!({"error": "not a limiter call"}), 400);
    };
    let outcome = {
        let mut limiter = core.limiter.borrow_mut();
        if call.op == "succeeded" {
            limiter.succeeded(&call.address);
            Ok(())
        } else {
            limiter.begin(&call.address, time::now_ms())
        }
    };
    if outcome.is_ok() {
        // A restart must not hand out new tries.
        let places = serde_json::to_string(core.limiter.borrow().places()).unwrap_or_default();
        if let Err(error) = core.journal.set_text("limiter", &places) {
            log::error("limiter_not_stored", &json!({"error": error.0}));
        }
    }
    match outcome {
        Ok(()) => json_response(&json!({"allowed": true}), 200),
        Err(after) => json_response(&json!({"allowed": false, "retry_after_ms": after}), 200),
    }
}

#[derive(Deserialize)]
struct TestedCall {
    key: String,
    #[serde(default)]
    model: String,
    outcome: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

/// A key was tested: its state follows, by the same rules as after a request.
async fn tested(core: &Core, body: &str) -> Result<Response> {
    let Ok(call) = serde_json::from_str::<TestedCall>(body) else {
        return json_response(&json!({"error": "not a test's outcome"}), 400);
    };
    let end = match call.outcome.as_str() {
        "ok" => AttemptEnd::Ok,
        "invalid" => AttemptEnd::Failed(Fault::Key),
        "suspended" => AttemptEnd::Failed(Fault::Payment),
        "limited" => AttemptEnd::Failed(Fault::Quota),
        "model_missing" => AttemptEnd::Failed(Fault::Model),
        "busy" => AttemptEnd::Failed(Fault::Queue),
        "unreachable" => AttemptEnd::Failed(Fault::Lost),
        _ => AttemptEnd::Failed(Fault::Path),
    };
    let Ok(entropy) = random::bytes::<8>() else {
        return json_response(&json!({"error": "no randomness"}), 503);
    };
    let settle = Settle {
        id: LOCAL_GRANT | (u64::from_le_bytes(entropy) >> 3),
        attempt: Some(Attempt {
            key: call.key.clone(),
            model: call.model,
            end,
            status: call.status,
            retry_after_ms: call.retry_after_ms,
            ..Attempt::default()
        }),
        ..Settle::default()
    };
    let now = time::now_ms();
    let settles = [settle];
    if let Err(error) = core.journal.append(now, &settles) {
        log::error("journal_failed", &json!({"error": error.0}));
        return json_response(&json!({"error": "the journal cannot be written"}), 503);
    }
    let status = {
        let mut pool = core.pool.borrow_mut();
        pool.apply(now, &settles);
        pool.key_status(&call.key, now)
    };
    core.set_alarm(SOON_MS).await;
    match status.and_then(|status| serde_json::to_value(status).ok()) {
        Some(status) => json_response(&status, 200),
        None => json_response(&json!({"error": "no such key"}), 404),
    }
}
