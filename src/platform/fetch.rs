//! The request to the upstream: one direct call of `fetch`, no wrappers.

use super::glue::{self, Exchange};
use super::incoming::{Names, line};
use super::promise::Outcome;
use super::streams::{Lost, Source};
use super::time::now_ms;
use js_sys::{JsString, Promise, Uint8Array};
use rondo_core::pool::providers::KeyHeader;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn js_fetch(url: &str, init: &Init) -> Result<Promise, JsValue>;

    type Init;
    #[wasm_bindgen(method, setter, js_name = redirect)]
    fn set_redirect(this: &Init, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = headers)]
    fn set_headers(this: &Init, value: &RequestHeaders);
    #[wasm_bindgen(method, setter, js_name = signal)]
    fn set_signal(this: &Init, value: &JsValue);

    /// The headers of a request without a key: names are fixed in the binding, so none is decoded.
    type RequestHeaders;
    #[wasm_bindgen(method, setter, js_name = "accept-encoding")]
    fn set_accept_encoding(this: &RequestHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "user-agent")]
    fn set_user_agent(this: &RequestHeaders, value: &JsString);

    #[derive(Debug)]
    type Controller;
    #[wasm_bindgen(constructor, js_class = "AbortController")]
    fn new() -> Controller;
    #[wasm_bindgen(method, getter)]
    fn signal(this: &Controller) -> JsValue;
    #[wasm_bindgen(method, js_name = abort)]
    fn js_abort(this: &Controller);

    type RawResponse;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &RawResponse) -> RawHeaders;
    #[wasm_bindgen(method, getter)]
    fn body(this: &RawResponse) -> Option<Source>;

    type RawHeaders;
    #[wasm_bindgen(method, catch, js_name = get)]
    fn js_get(this: &RawHeaders, name: &JsString) -> Result<Option<String>, JsValue>;
}

/// `Rondo/<version>`: Cloudflare's firewall in front of upstreams refuses some libraries' names.
const USER_AGENT: &str = concat!("Rondo/", env!("CARGO_PKG_VERSION"));

/// Read of every answer, in one crossing with its status: of one that is passed on that is all.
const READ: [&str; 4] = ["content-length", "content-type", "inference-id", "openai-processing-ms"];

struct Words {
    manual: JsString,
    identity: JsString,
    user_agent: JsString,
    authorization: JsString,
    api_key: JsString,
}

thread_local! {
    // Plain strings belong to no request, so they can be kept; each saves one decoding per call.
    static WORDS: Words = Words {
        manual: "manual".into(),
        identity: "identity".into(),
        user_agent: USER_AGENT.into(),
        authorization: "authorization".into(),
        api_key: "api-key".into(),
    };
    static HEAD: Names<4> = const { Names::new(READ) };
}

/// Aborts a request, its answer's body included.
#[derive(Debug)]
pub struct Abort(Controller);

impl Abort {
    /// Closes the connection to the upstream, whatever state the exchange is in.
    pub fn abort(&self) {
        self.0.js_abort();
    }
}

/// A key in clear, in the header that the provider wants. Does not print.
#[derive(Clone)]
pub struct Credential {
    header: KeyHeader,
    value: JsString,
}

impl Credential {
    /// This key in the header.
    #[must_use]
    pub fn new(header: KeyHeader, key: &str) -> Self {
        let value = match header {
            KeyHeader::Bearer => format!("Bearer {key}").into(),
            KeyHeader::ApiKey => key.into(),
        };
        Self { header, value }
    }
}

/// What is sent to the upstream.
pub struct Outgoing<'a> {
    /// Address.
    pub url: &'a JsString,
    /// The key.
    pub key: &'a Credential,
    /// The client's headers that pass.
    pub passed: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a Uint8Array,
    /// A successful answer of no more bytes than that is read along with its head, if its length is stated.
    pub read_along: usize,
}

/// An answer's head, its body unread unless it was read along.
pub struct Incoming {
    raw: RawResponse,
    read: [Option<String>; 4],
    /// HTTP status.
    pub status: u16,
    /// When the head came (unix milliseconds).
    pub at: u64,
    /// Whose body may be read already, or be being read.
    along: Option<Posted>,
}

/// A request under way: comes to the answer's head, and to its body if that is read along.
pub struct Posted {
    exchange: Exchange,
    told: Option<Outcome>,
}

/// Sends a POST without following redirects. The body is copied by the platform, so the same bytes can be
/// sent again. Dropping what is given does not end the exchange, [`Abort`] does.
///
/// # Errors
/// When the platform does not take the request.
pub fn post(request: &Outgoing<'_>) -> Result<(Abort, Posted), Lost> {
    let mut headers = format!("user-agent\n{USER_AGENT}");
    for (name, value) in request.passed {
        line(&mut headers, name, value);
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    let most = request.read_along as f64;
    let (told, exchange) = Outcome::begun(|number, tell| {
        WORDS.with(|words| {
            let Credential { header, value } = request.key;
            let header = match header {
                KeyHeader::Bearer => &words.authorization,
                KeyHeader::ApiKey => &words.api_key,
            };
            let names = HEAD.with(|names| names.kept().clone());
            glue::send(request.url, header, value, &headers, request.body, &names, most, number, tell)
        })
    })?;
    Ok((Abort(exchange.controller().unchecked_into()), Posted { exchange, told: Some(told) }))
}

impl Posted {
    /// The answer whose head is here while its body is still being read along: [`Incoming::whole`] waits on for it.
    ///
    /// # Errors
    /// Itself, when there is no head yet.
    pub fn begun(self) -> Result<Incoming, Self> {
        let head = self.exchange.head_of();
        let Some((status, read)) = HEAD.with(|names| names.head_in(&head)) else { return Err(self) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970")]
        let at = self.exchange.at() as u64;
        let raw = self.exchange.response().unchecked_into();
        Ok(Incoming { raw, read, status, at, along: Some(self) })
    }
}

impl Future for Posted {
    type Output = Result<(), Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(told) = self.told.as_mut() else { return Poll::Ready(Ok(())) };
        let told = Pin::new(told).poll(context);
        if told.is_ready() {
            self.told = None;
        }
        told.map(|told| told.map(|_| ()).map_err(Lost::from))
    }
}

/// Sends a GET without a key and without following redirects; otherwise as [`post`].
pub fn get(url: &str) -> (Abort, impl Future<Output = Result<Incoming, Lost>> + use<>) {
    let abort = Abort(Controller::new());
    let sent = WORDS.with(|words| {
        let headers: RequestHeaders = js_sys::Object::new().unchecked_into();
        headers.set_accept_encoding(&words.identity);
        headers.set_user_agent(&words.user_agent);
        let init: Init = js_sys::Object::new().unchecked_into();
        init.set_redirect(&words.manual);
        init.set_headers(&headers);
        init.set_signal(&abort.0.signal());
        js_fetch(url, &init)
    });
    (abort, answered(sent.map(|promise| Outcome::of(&promise))))
}

async fn answered(sent: Result<Outcome, JsValue>) -> Result<Incoming, Lost> {
    let raw: RawResponse = sent?.await?.unchecked_into();
    let (status, read) = HEAD.with(|names| names.head(&raw)).ok_or(Lost)?;
    Ok(Incoming { raw, read, status, at: now_ms(), along: None })
}

impl Incoming {
    /// A header of the answer; the name in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let read = HEAD.with(|names| names.value(name, &self.read).cloned());
        read.unwrap_or_else(|| self.raw.headers().js_get(&name.into()).ok().flatten())
    }

    /// The answer's rate-limit headers, names in lower case. One crossing for all: their names differ between
    /// upstreams, plans and years.
    pub fn limit_headers(&self) -> Vec<(String, String)> {
        let pairs = js_sys::JSON::stringify(&js_sys::Array::from(&self.raw.headers()))
            .ok()
            .and_then(|text| text.as_string());
        let mut pairs: Vec<(String, String)> =
            pairs.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        pairs.retain(|(name, _)| name.starts_with("x-ratelimit-"));
        pairs
    }

    /// The body's stream, if there is a body.
    pub fn body(&self) -> Option<Source> {
        self.raw.body()
    }

    /// The whole body, read natively. Only where its length is known to be bounded.
    ///
    /// # Errors
    /// When the connection breaks first.
    pub async fn whole(&mut self) -> Result<Uint8Array, Lost> {
        if let Some(posted) = self.along.as_mut() {
            (&mut *posted).await?;
            let bytes = posted.exchange.bytes_of();
            if !bytes.is_undefined() {
                return if bytes.is_null() { Err(Lost) } else { Ok(bytes.unchecked_into()) };
            }
        }
        let (read, ()) = Outcome::begun(|number, tell| glue::bytes(&self.raw, number, tell))?;
        Ok(read.await?.unchecked_into())
    }
}
