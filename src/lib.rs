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
use routes::{Side, Target};
use worker::{Context, Env, event};

/// What stands in for the admin page where there are no static files.
const NO_PAGE: &[u8] = b"Rondo is running. The API is at /v1, the admin API at /api.\n";

/// Once for each isolate, before anything else.
#[event(start)]
fn start() {
    platform::glue::ready();
}

/// Every request. Never an error: whatever goes wrong has become an answer before.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let request = Incoming::new(request);
    let (method, url) = (request.method(), request.url());
    let (side, target) = routes::lookup(&method, routes::path_of(&url));
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
        Target::Home => home(request, &env).await,
        // Boxed: its state is many times that of a request of the data plane, and would be part of each.
        Target::Control => Box::pin(control(request, env, &context)).await,
        Target::Preflight => proxy::preflight(&request),
        Target::WrongMethod(allow) => proxy::wrong_method(&request, allow).await,
        Target::Nothing => proxy::nothing(&request).await,
    };
    debug_assert!(side != Side::Admin || target == Target::Control);
    Ok(response)
}

async fn home(request: Incoming, env: &Env) -> web_sys::Response {
    match assets::serve(env, &request.into_raw()).await {
        Some(page) => page,
        None => plain(200, &[("content-type", "text/plain; charset=utf-8")], &Body::Bytes(NO_PAGE)),
    }
}

async fn control(request: Incoming, env: Env, context: &Context) -> web_sys::Response {
    let response = control::handle(request.into_raw().into(), env, context).await;
    response.into()
}
