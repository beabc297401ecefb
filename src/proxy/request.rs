//! A request as it comes in: what its headers say, who sends it, its body.

use super::authenticate::{CREDENTIAL_HEADERS, Client, admin, authenticate};
use super::course::{Arrived, Course};
use super::read::{self, BODY_HEADERS, Body};
use super::{answer, state};
use crate::platform::incoming::{Incoming, Names};
use crate::platform::respond::{self, About};
use crate::platform::streams::Channel;
use crate::platform::time;
use crate::platform::url::{Address, decoded};
use rondo_core::wire::dialects::{
    Answering, Dialect, Seed, Speech, error_body, gemini, messages, too_many_parts, too_many_parts_refusal,
};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::headers::{REQUEST_HEADERS, can_pass, deadline_ms, request_id};
use rondo_core::wire::json::scan;
use rondo_core::wire::usage::estimate_prompt;

const OWN_HEADERS: [&str; 4] =
    ["x-request-id", "x-stainless-timeout", "x-stainless-read-timeout", "x-rondo-deadline-ms"];

thread_local! {
    static CREDENTIALS: Names<4> = const { Names::new(CREDENTIAL_HEADERS) };
    static OWN: Names<4> = const { Names::new(OWN_HEADERS) };
    static ADDRESS: Names<1> = const { Names::new(["cf-connecting-ip"]) };
    static ALL: Names<16> = const { Names::new(joined([CREDENTIAL_HEADERS, OWN_HEADERS, BODY_HEADERS, REQUEST_HEADERS])) };
}

const fn joined(names: [[&'static str; 4]; 4]) -> [&'static str; 16] {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]] = names;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// What the headers of a request with a body say: all in one crossing, since each costs as much as reading one.
struct Said {
    credentials: [Option<String>; 4],
    own: [Option<String>; 4],
    body: [Option<String>; 4],
    passed: [Option<String>; 4],
}

impl Said {
    fn by(request: &Incoming) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = ALL.with(|names| request.headers(names));
        Self { credentials: [a, b, c, d], own: [e, f, g, h], body: [i, j, k, l], passed: [m, n, o, p] }
    }

    /// What the answers say about the request, and its own deadline.
    fn about(&self, dialect: Dialect) -> (About, Option<u64>) {
        let (about, deadline) = about_from(&self.own);
        (About { dialect, ..about }, deadline)
    }
}

const JSON: &str = "application/json";
/// The longest text that is taken for a client's address: no address is longer.
const ADDRESS_CHARS: usize = 64;

/// The credentials of a request, in the order of [`CREDENTIAL_HEADERS`].
pub fn credentials_of(request: &Incoming) -> [Option<String>; 4] {
    CREDENTIALS.with(|names| request.headers(names))
}

/// What the answers to a request say about it, and its own deadline.
pub fn about(request: &Incoming) -> (About, Option<u64>) {
    about_from(&OWN.with(|names| request.headers(names)))
}

fn about_from(own: &[Option<String>; 4]) -> (About, Option<u64>) {
    let [id, timeout, read_timeout, deadline] = own.each_ref().map(Option::as_deref);
    let about = About { request_id: request_id(id, state::request_entropy()), ..About::default() };
    (about, deadline_ms(timeout, read_timeout, deadline))
}

/// Serves `POST /v1/chat/completions` and the other ways to ask for a completion.
pub async fn complete(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
    speech: Speech<'_>,
) -> web_sys::Response {
    let said = Said::by(request);
    let about = said.about(speech.dialect());
    serve(request, env, context, said, about, speech, false).await
}

/// Serves `POST /api/playground`: the same for an admin whose session was checked, and for this page alone.
pub async fn playground(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
) -> web_sys::Response {
    let said = Said::by(request);
    let (about, deadline) = said.about(Dialect::Chat);
    let about = About { own_page: true, ..about };
    serve(request, env, context, said, (about, deadline), Speech::Chat, true).await
}

/// Serves Gemini's `POST …/models/{model}:{method}`; `of` is what stands behind `models/`.
pub async fn gemini(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
    of: &str,
) -> web_sys::Response {
    let mut said = Said::by(request);
    let (about, deadline) = said.about(Dialect::Gemini);
    let query = Address::parse(request.url()).map(|address| address.query()).unwrap_or_default();
    let asked = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    said.credentials = with_query(said.credentials, asked("key").map(str::to_owned));
    let (model, method) = of.rsplit_once(':').unwrap_or((of, ""));
    let model = decoded(model);
    let framing = match method {
        "generateContent" => None,
        "streamGenerateContent" if asked("alt") == Some("sse") => Some(gemini::Framing::Sse),
        "streamGenerateContent" => Some(gemini::Framing::Array),
        "countTokens" => return count(request, env, &said, &about, gemini::count_tokens).await,
        _ => {
            request.discard().await;
            return answer::error(&ApiError::not_offered(), &about);
        }
    };
    serve(request, env, context, said, (about, deadline), Speech::Gemini(&model, framing), false).await
}

/// Serves `POST /v1/messages/count_tokens`.
pub async fn count_tokens(request: &Incoming, env: &worker::Env) -> web_sys::Response {
    let said = Said::by(request);
    let (about, _) = said.about(Dialect::Messages);
    count(request, env, &said, &about, count_messages).await
}

fn count_messages(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let seed = Seed { now_s: 0, entropy: [0; 16] };
    let body = messages::count(body, seed)?.body;
    let scan = scan(&body).map_err(ApiError::invalid_body)?;
    Ok(messages::counted(estimate_prompt(&body, &scan)))
}

/// Estimates a prompt: nothing is asked of the upstream.
async fn count(
    request: &Incoming,
    env: &worker::Env,
    said: &Said,
    about: &About,
    counted: impl Fn(&[u8]) -> Result<Vec<u8>, ApiError>,
) -> web_sys::Response {
    let count = async || {
        authenticate(env, &said.credentials, false).await?;
        let bytes = read::bytes(request, &said.body).await?.to_vec();
        if too_many_parts(&bytes) { Err(too_many_parts_refusal()) } else { counted(&bytes) }
    };
    match count().await {
        Ok(body) => respond::data(200, Some(JSON), about, &[], &respond::Body::Bytes(&body)),
        Err(error) => {
            request.discard().await;
            answer::error(&error, about)
        }
    }
}

/// Gemini's clients may have their key in the address; a header goes before it.
pub fn with_query(mut headers: [Option<String>; 4], key: Option<String>) -> [Option<String>; 4] {
    if headers.iter().all(Option::is_none)
        && let [.., of_google] = &mut headers
    {
        *of_google = key;
    }
    headers
}

async fn serve(
    request: &Incoming,
    env: &worker::Env,
    context: &worker::Context,
    said: Said,
    (about, deadline): (About, Option<u64>),
    speech: Speech<'_>,
    playground: bool,
) -> web_sys::Response {
    let started = time::now_ms();
    match prepare(request, env, &said, &speech, started, playground).await {
        Ok((client, body, answering)) => {
            let address = (client.is_public() && !playground).then(|| address(request));
            let passed = passing(said.passed);
            let arrived = Arrived { started, about, deadline, client, address, body, answering, passed };
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
    if channel.sink.queue(&js_sys::Uint8Array::from(error_body(about.dialect, error).as_slice())).is_err() {
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
    said: &Said,
    speech: &Speech<'_>,
    started: u64,
    playground: bool,
) -> Result<(Client, Body, Option<Answering>), ApiError> {
    let client = match playground {
        true => admin(env).await?,
        false => authenticate(env, &said.credentials, true).await?,
    };
    let seed = Seed { now_s: started / 1_000, entropy: state::request_entropy() };
    let (body, answering) = read::read(request, &said.body, speech, seed).await?;
    Ok((client, body, answering))
}

fn passing(values: [Option<String>; 4]) -> Vec<(&'static str, String)> {
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
