//! A request as it comes in: what its headers say, who sends it, its body.

use super::authenticate::{CREDENTIAL_HEADERS, Client, admin, authenticate};
use super::course::{Arrived, Course};
use super::read::{BODY_HEADERS, Body, read};
use super::{answer, state};
use crate::platform::incoming::{Incoming, Names};
use crate::platform::respond::About;
use crate::platform::streams::Channel;
use crate::platform::time;
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::headers::{REQUEST_HEADERS, can_pass, deadline_ms, request_id};

thread_local! {
    static CREDENTIALS: Names<4> = const { Names::new(CREDENTIAL_HEADERS) };
    static BODY: Names<3> = const { Names::new(BODY_HEADERS) };
    static PASSED: Names<4> = const { Names::new(REQUEST_HEADERS) };
    static OWN: Names<4> = const {
        Names::new(["x-request-id", "x-stainless-timeout", "x-stainless-read-timeout", "x-rondo-deadline-ms"])
    };
    static ADDRESS: Names<1> = const { Names::new(["cf-connecting-ip"]) };
}

/// The longest text that is taken for a client's address: no address is longer.
const ADDRESS_CHARS: usize = 64;

/// The credentials of a request, in the order of [`CREDENTIAL_HEADERS`].
pub fn credentials_of(request: &Incoming) -> [Option<String>; 4] {
    CREDENTIALS.with(|names| request.headers(names))
}

/// What the answers to a request say about it, and its own deadline.
pub fn about(request: &Incoming) -> (About, Option<u64>) {
    let [id, timeout, read_timeout, deadline] = OWN.with(|names| request.headers(names));
    let about = About { request_id: request_id(id.as_deref(), state::request_entropy()), ..About::default() };
    (about, deadline_ms(timeout.as_deref(), read_timeout.as_deref(), deadline.as_deref()))
}

/// Serves `POST /v1/chat/completions`.
pub async fn chat(request: &Incoming, env: &worker::Env, context: &worker::Context) -> web_sys::Response {
    let (about, deadline) = about(request);
    serve(request, env, context, (about, deadline), false).await
}

/// Serves `POST /api/playground`: the same for an admin whose session was checked, and for this page alone.
pub async fn playground(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
) -> web_sys::Response {
    let (about, deadline) = about(request);
    serve(request, env, context, (About { own_page: true, ..about }, deadline), true).await
}

async fn serve(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
    (about, deadline): (About, Option<u64>),
    playground: bool,
) -> web_sys::Response {
    let started = time::now_ms();
    match prepare(request, env, playground).await {
        Ok((client, body)) => {
            let address = (client.is_public() && !playground).then(|| address(request));
            let passed = passed_headers(request);
            let arrived = Arrived { started, about, deadline, client, address, body, passed };
            Course::new(env, context, arrived).run().await
        }
        Err(error) if error.status == 413 => too_large(request, context, &error, &about),
        Err(error) => {
            request.discard().await;
            answer::error(&error, &about)
        }
    }
}

/// Answers at once, and ends the answer when the client has stopped sending: once an answer is over the server
/// closes a connection that is still being sent to, and the client may never read what it was told.
fn too_large(
    request: &Incoming,
    context: &worker::Context,
    error: &ApiError,
    about: &About,
) -> web_sys::Response {
    let Ok(channel) = Channel::new() else { return answer::error(error, about) };
    if channel.sink.queue(&js_sys::Uint8Array::from(error.to_body().as_slice())).is_err() {
        return answer::error(error, about);
    }
    let (rest, sink) = (request.clone(), channel.sink);
    context.wait_until(async move {
        rest.drain().await;
        sink.close().await;
    });
    answer::error_over(error, about, &channel.readable)
}

async fn prepare(
    request: &Incoming,
    env: &worker::Env,
    playground: bool,
) -> Result<(Client, Body), ApiError> {
    let client = match playground {
        true => admin(env).await?,
        false => authenticate(env, &credentials_of(request), true).await?,
    };
    let body = read(request, &BODY.with(|names| request.headers(names))).await?;
    Ok((client, body))
}

fn passed_headers(request: &Incoming) -> Vec<(&'static str, String)> {
    let values = PASSED.with(|names| request.headers(names));
    REQUEST_HEADERS
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name, value.filter(|value| can_pass(value))?)))
        .collect()
}

/// The client's address, as Cloudflare states it; in front of a Worker that runs locally nobody does.
fn address(request: &Incoming) -> String {
    let [stated] = ADDRESS.with(|names| request.headers(names));
    let stated: String = stated.unwrap_or_default().trim().chars().take(ADDRESS_CHARS).collect();
    if stated.is_empty() { "local".to_owned() } else { stated }
}
