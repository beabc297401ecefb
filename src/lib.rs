//! Rondo, one OpenAI-compatible address over a pool of Cerebras API keys: entry points and the route table.

pub mod control;
mod coordinator;
pub mod platform;
pub mod proxy;
pub mod routes;
pub mod store;

use platform::assets;
use platform::incoming::Incoming;
use platform::respond::{Body, plain};
use platform::{task, time};
use routes::{Side, Target};
use std::future::{Future, poll_fn};
use wasm_bindgen::prelude::*;
use worker::{Context, Env, event, worker_sys};

/// What stands in for the admin page where there are no static files.
const NO_PAGE: &[u8] = b"Rondo is running. The API is at /v1, the admin API at /api.\n";

/// Once for each isolate, before anything else.
#[event(start)]
fn start() {
    platform::glue::ready();
}

/// Every request, called by `entry.js`: `done` takes the answer.
#[wasm_bindgen]
pub fn serve(request: web_sys::Request, env: Env, context: worker_sys::Context, done: js_sys::Function) {
    let mut work = Box::pin(async move {
        let response = answer(request, env, Context::new(context)).await;
        // It only resolves a promise, which cannot fail.
        let _ = done.call1(&JsValue::UNDEFINED, &response);
    });
    task::run(time::now_ms(), poll_fn(move |context| time::still(|| work.as_mut().poll(context))));
}

/// The same for worker-build's own entry. Never an error: whatever goes wrong has become an answer before.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    Ok(answer(request, env, context).await)
}

async fn answer(request: web_sys::Request, env: Env, context: Context) -> web_sys::Response {
    let request = Incoming::new(request);
    let (side, target) = routes::lookup(request.method(), routes::path_of(request.url()));
    let response = match target {
        Target::Complete(speech) => proxy::complete(&request, &env, &context, speech).await,
        // Boxed: what few requests need would be part of each.
        Target::Gemini(of) => Box::pin(proxy::gemini(&request, &env, &context, of)).await,
        Target::CountTokens => Box::pin(proxy::count_tokens(&request, &env)).await,
        Target::Models(dialect) => Box::pin(proxy::models(&request, &env, dialect, None)).await,
        Target::Model(dialect, id) => Box::pin(proxy::models(&request, &env, dialect, Some(id))).await,
        Target::NotOffered => proxy::not_offered(&request).await,
        Target::Warming => proxy::warming(&request),
        Target::Alive => proxy::alive(),
        Target::Ready => proxy::ready(&env, false).await,
        Target::Health => proxy::ready(&env, true).await,
        Target::Home => home(&request, &env).await,
        // Boxed: its state is many times that of a request of the data plane, and would be part of each.
        Target::Control => Box::pin(control(&request, env, &context)).await,
        Target::Preflight => proxy::preflight(&request),
        Target::WrongMethod(allow) => proxy::wrong_method(&request, allow).await,
        Target::Nothing => proxy::nothing(&request).await,
    };
    debug_assert!(side != Side::Admin || target == Target::Control);
    response
}

async fn home(request: &Incoming, env: &Env) -> web_sys::Response {
    match assets::serve(env, &request.raw()).await {
        Some(page) => page,
        None => plain(200, &[("content-type", "text/plain; charset=utf-8")], &Body::Bytes(NO_PAGE)),
    }
}

async fn control(request: &Incoming, env: Env, context: &Context) -> web_sys::Response {
    let response = control::handle(request.raw().into(), env, context).await;
    response.into()
}
