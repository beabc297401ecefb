//! The request to the upstream: one direct call of `fetch`, no wrappers.

use super::streams::{Lost, Source};
use js_sys::{JsString, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn js_fetch(url: &str, init: &Init) -> Result<Promise, JsValue>;

    type Init;
    #[wasm_bindgen(method, setter, js_name = method)]
    fn set_method(this: &Init, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = redirect)]
    fn set_redirect(this: &Init, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = headers)]
    fn set_headers(this: &Init, value: &RequestHeaders);
    #[wasm_bindgen(method, setter, js_name = body)]
    fn set_body(this: &Init, value: &Uint8Array);
    #[wasm_bindgen(method, setter, js_name = signal)]
    fn set_signal(this: &Init, value: &JsValue);

    /// The headers of an upstream request: names are fixed in the binding, so none is decoded.
    pub type RequestHeaders;
    #[wasm_bindgen(method, setter, js_name = "authorization")]
    fn set_authorization(this: &RequestHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "api-key")]
    fn set_api_key(this: &RequestHeaders, value: &str);
    #[wasm_bindgen(method, setter, js_name = "content-type")]
    fn set_content_type(this: &RequestHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "accept-encoding")]
    fn set_accept_encoding(this: &RequestHeaders, value: &JsString);
    #[wasm_bindgen(method, setter, js_name = "user-agent")]
    fn set_user_agent(this: &RequestHeaders, value: &JsString);
    #[wasm_bindgen(method, indexing_setter)]
    fn set(this: &RequestHeaders, name: &str, value: &str);

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
    fn status(this: &RawResponse) -> u16;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &RawResponse) -> RawHeaders;
    #[wasm_bindgen(method, getter)]
    fn body(this: &RawResponse) -> Option<Source>;
    #[wasm_bindgen(method, catch, js_name = arrayBuffer)]
    fn array_buffer(this: &RawResponse) -> Result<Promise, JsValue>;

    type RawHeaders;
    #[wasm_bindgen(method, catch, js_name = get)]
    fn js_get(this: &RawHeaders, name: &JsString) -> Result<Option<String>, JsValue>;
}

/// `Rondo/<version>`: Cloudflare's firewall in front of upstreams refuses some libraries' names.
const USER_AGENT: &str = concat!("Rondo/", env!("CARGO_PKG_VERSION"));

struct Words {
    post: JsString,
    manual: JsString,
    json: JsString,
    identity: JsString,
    user_agent: JsString,
}

thread_local! {
    // Plain strings belong to no request, so they can be kept; each saves one decoding per call.
    static WORDS: Words = Words {
        post: "POST".into(),
        manual: "manual".into(),
        json: "application/json".into(),
        identity: "identity".into(),
        user_agent: USER_AGENT.into(),
    };
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

/// How the provider wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer …`
    Bearer,
    /// `api-key: …`
    ApiKey,
}

/// What is sent to the upstream.
pub struct Outgoing<'a> {
    /// Address.
    pub url: &'a str,
    /// The key in clear and its header.
    pub key: (KeyHeader, &'a str),
    /// The client's headers that pass.
    pub passed: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a Uint8Array,
}

/// An answer's head, its body unread.
pub struct Incoming {
    raw: RawResponse,
    headers: RawHeaders,
    /// HTTP status.
    pub status: u16,
}

/// Sends a POST without following redirects. The body is copied by the platform, so the same bytes can be
/// sent again. Dropping the future does not end the exchange, [`Abort`] does.
pub fn post(request: &Outgoing<'_>) -> (Abort, impl Future<Output = Result<Incoming, Lost>> + use<>) {
    let abort = Abort(Controller::new());
    let sent = WORDS.with(|words| {
        let headers: RequestHeaders = js_sys::Object::new().unchecked_into();
        match request.key {
            (KeyHeader::Bearer, key) => headers.set_authorization(&format!("Bearer {key}")),
            (KeyHeader::ApiKey, key) => headers.set_api_key(key),
        }
        headers.set_content_type(&words.json);
        headers.set_accept_encoding(&words.identity);
        headers.set_user_agent(&words.user_agent);
        for (name, value) in request.passed {
            headers.set(name, value);
        }
        let init: Init = js_sys::Object::new().unchecked_into();
        init.set_method(&words.post);
        init.set_redirect(&words.manual);
        init.set_headers(&headers);
        init.set_body(request.body);
        init.set_signal(&abort.0.signal());
        js_fetch(request.url, &init)
    });
    (abort, answered(sent))
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
    (abort, answered(sent))
}

async fn answered(sent: Result<Promise, JsValue>) -> Result<Incoming, Lost> {
    let raw: RawResponse = JsFuture::from(sent?).await?.unchecked_into();
    let (status, headers) = (raw.status(), raw.headers());
    Ok(Incoming { raw, headers, status })
}

impl Incoming {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.js_get(&name.into()).ok().flatten()
    }

    /// A header of the answer, by a name kept as a JavaScript string.
    pub fn header_named(&self, name: &JsString) -> Option<String> {
        self.headers.js_get(name).ok().flatten()
    }

    /// The answer's rate-limit headers, names in lower case. One crossing for all: their names differ between
    /// upstreams, plans and years.
    pub fn limit_headers(&self) -> Vec<(String, String)> {
        let pairs = js_sys::JSON::stringify(&js_sys::Array::from(&self.headers))
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
    pub async fn whole(&self) -> Result<Uint8Array, Lost> {
        let buffer = JsFuture::from(self.raw.array_buffer()?).await?;
        Ok(Uint8Array::new(&buffer))
    }
}
