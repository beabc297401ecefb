//! The admin API: everything under `/api`. The contract is docs/openapi.json.
//!
//! D1 queries of a call, beside one for the session and, every 30 s and isolate, one for the wrapped keys, are
//! written at the functions of `store`; none is made per item.

mod audit;
mod auth;
mod backup;
mod call;
mod catalog;
mod coordinator;
mod decisions;
mod events;
mod export;
mod groups;
mod import;
mod keys;
mod limits;
mod metrics;
mod models;
mod overview;
mod passwords;
mod probe;
mod problem;
mod requests;
mod restore;
mod routes;
mod secrets;
mod series;
mod sessions;
mod settings;
mod stats;
mod test_many;
mod tokens;

use crate::platform::body::{Collected, collect};
use crate::platform::race::within;
use crate::platform::streams::Source;
use crate::platform::{random, time};
use crate::proxy;
use crate::routes::path_of;
use call::Call;
use problem::{Outcome, Problem};
use rondo_core::config::rfc3339;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use routes::Route;
use std::fmt::Write as _;
use wasm_bindgen::JsCast;
use worker::{Context, Env, Request, Response};

/// How long an unread body is waited for.
const DRAIN_MS: u64 = 1_000;

/// Answers a request to the admin API; every failure is a problem document.
pub async fn handle(request: Request, env: Env, context: &Context) -> Response {
    // The handle, not `Request.clone()`, which would split the body.
    let raw = Clone::clone(request.inner());
    let outcome = serve(request, env, context).await;
    // The data plane looks after its bodies itself, for some time after the answer too.
    if outcome.is_err() || Route::of(path_of(&raw.url())) != Some(Route::Playground) {
        drain(&raw).await;
    }
    outcome.unwrap_or_else(Problem::into_response)
}

/// Reads what a refusal left unread. Otherwise the runtime closes the connection under a client that keeps it
/// open, and its next request fails.
async fn drain(request: &web_sys::Request) {
    if request.body_used() {
        return;
    }
    if let Some(body) = request.body() {
        let source: Source = body.unchecked_into();
        if let Some(Ok(Collected::More { reader, .. })) =
            within(DRAIN_MS, collect(&source, ADMIN_BODY_BYTES)).await
        {
            reader.cancel();
        }
    }
}

async fn serve(request: Request, env: Env, context: &Context) -> Outcome {
    let route = Route::of(path_of(&request.inner().url()))
        .ok_or_else(|| Problem::not_found("the admin API has no such call"))?;
    // The raw word: workers-rs takes an unknown method for GET.
    let method = request.inner().method();
    if !route.methods().contains(&method.as_str()) {
        return Err(Problem::method(route.methods()));
    }
    let call = Call::open(request, env, &route, time::now_ms()).await?;
    match (route, method.as_str()) {
        (Route::Status, _) => auth::status(&call).await,
        (Route::Setup, _) => auth::setup(&call).await,
        (Route::Reset, _) => auth::reset(&call).await,
        (Route::Login, _) => auth::login(&call).await,
        (Route::Logout, _) => auth::logout(&call).await,
        (Route::Password, _) => auth::change(&call).await,
        (Route::Keys, "GET") => keys::list(&call).await,
        (Route::Keys, _) => import::one(&call).await,
        (Route::KeyBatch, _) => import::many(&call).await,
        (Route::KeyDelete, _) => keys::delete_many(&call).await,
        (Route::KeysTest, _) => test_many::test(call).await,
        (Route::KeyExport, _) => export::export(&call).await,
        (Route::KeyGroup, _) => groups::set(&call).await,
        (Route::KeyEnable, _) => keys::switch(&call).await,
        (Route::KeyGroups, _) => keys::groups(&call).await,
        (Route::KeyIds, _) => keys::ids(&call).await,
        (Route::Suggestions, "GET") => groups::suggestions(&call).await,
        (Route::Suggestions, _) => groups::judge(&call).await,
        (Route::Key(id), "PATCH") => keys::patch(&call, &id).await,
        (Route::Key(id), _) => keys::delete(&call, &id).await,
        (Route::KeyTest(id), _) => probe::test(&call, &id).await,
        (Route::KeyLimits(id), _) => limits::of_key(&call, &id).await,
        (Route::Tokens, "GET") => tokens::list(&call).await,
        (Route::Tokens, _) => tokens::create(&call).await,
        (Route::Token(id), "PATCH") => tokens::patch(&call, &id).await,
        (Route::Token(id), _) => tokens::delete(&call, &id).await,
        (Route::Models, _) => models::list(&call).await,
        (Route::Catalog, _) => catalog::get(&call).await,
        (Route::CatalogRefresh, _) => catalog::refresh(&call).await,
        (Route::ModelTest, _) => catalog::test(&call).await,
        (Route::Pool(name), "PUT") => models::put(&call, &name).await,
        (Route::Pool(name), _) => models::delete(&call, &name).await,
        (Route::Settings, "GET") => settings::get(&call).await,
        (Route::Settings, _) => settings::patch(&call).await,
        (Route::Decisions, _) => decisions::list(&call).await,
        (Route::Requests, _) => requests::list(&call).await,
        (Route::Events, _) => events::follow(call).await,
        (Route::Playground, _) => Ok(proxy::playground(&call.incoming(), &call.env, context).await.into()),
        (Route::Sessions, _) => sessions::list(&call).await,
        (Route::SessionsEndOthers, _) => sessions::end_others(&call).await,
        (Route::Session(id), _) => sessions::end(&call, &id).await,
        (Route::Backup, _) => backup::backup(&call).await,
        (Route::Restore, _) => restore::restore(&call).await,
        (Route::Stats, _) => stats::stats(&call).await,
        (Route::Series, _) => series::series(&call).await,
        (Route::Overview, _) => overview::overview(&call).await,
        (Route::Metrics, _) => metrics::metrics(&call).await,
        (Route::Audit, _) => audit::list(&call).await,
    }
}

/// A row id: a letter and 64 random bits in hexadecimal.
fn row_id(letter: char) -> Result<String, Problem> {
    let mut id = format!("{letter}_");
    for byte in entropy::<8>()? {
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

/// Random bytes.
fn entropy<const N: usize>() -> Result<[u8; N], Problem> {
    random::bytes().map_err(|_| Problem::internal("no_randomness"))
}

/// A time as the API writes it; 0 and none are null.
fn time_text(ms: Option<u64>) -> Option<String> {
    ms.filter(|ms| *ms > 0).map(rfc3339::format)
}
