//! Calls of the Coordinator's Durable Object.

use super::env::{Missing, NO_COORDINATOR};
use super::promise::Outcome;
use super::race::Watch;
use js_sys::{JsString, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = COORDINATOR)]
    fn coordinator(this: &Bindings) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = LOCATION_HINT)]
    fn location_hint(this: &Bindings) -> JsValue;

    type Namespace;
    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name(this: &Namespace, name: &JsString) -> Result<Stub, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name_near(this: &Namespace, name: &JsString, options: &Placement) -> Result<Stub, JsValue>;

    type Placement;
    #[wasm_bindgen(method, setter, js_name = locationHint)]
    fn set_location_hint(this: &Placement, value: &JsValue);

    type Stub;
    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Stub, url: &JsString, init: &Init) -> Result<Promise, JsValue>;

    type Init;
    #[wasm_bindgen(method, setter)]
    fn set_method(this: &Init, value: &JsString);
    #[wasm_bindgen(method, setter)]
    fn set_body(this: &Init, value: &str);
    #[wasm_bindgen(method, setter)]
    fn set_headers(this: &Init, value: &AskHeaders);

    type AskHeaders;
    #[wasm_bindgen(method, setter, js_name = "x-ask")]
    fn set_ask(this: &AskHeaders, value: &str);

    type ReplyHeaders;
    #[wasm_bindgen(method, catch, js_name = get)]
    fn get(this: &ReplyHeaders, name: &JsString) -> Result<Option<String>, JsValue>;

    type Reply;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Reply) -> u16;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Reply) -> ReplyHeaders;
    #[wasm_bindgen(method, catch)]
    fn text(this: &Reply) -> Result<Promise, JsValue>;
}

/// What the object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A grant, a sync, or just settles.
    Ask,
    /// Whether it can serve.
    Ready,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The binding is missing.
    Missing(Missing),
    /// It threw, or said nothing in time.
    Silent,
}

struct Words {
    name: JsString,
    post: JsString,
    ask: JsString,
    ready: JsString,
    answer: JsString,
}

thread_local! {
    static WORDS: Words = Words {
        name: "main".into(),
        post: "POST".into(),
        ask: "http://coordinator/ask".into(),
        ready: "http://coordinator/ready".into(),
        answer: ANSWER_HEADER.into(),
    };
}

/// Calls the object and gives its status and text. The call is raced against a timer: a panic in the object
/// would let the caller hang.
///
/// # Errors
/// [`CallError`].
pub async fn call(
    env: &worker::Env,
    call: Call,
    body: &str,
    timeout_ms: u64,
    watch: &Watch,
) -> Result<(u16, String), CallError> {
    let sent = WORDS.with(|words| {
        let bindings: &Bindings = env.unchecked_ref();
        let namespace = bindings.coordinator();
        if !namespace.is_object() {
            return Err(CallError::Missing(NO_COORDINATOR));
        }
        let namespace: Namespace = namespace.unchecked_into();
        let hint = bindings.location_hint();
        let stub = if hint.is_truthy() {
            let placement: Placement = js_sys::Object::new().unchecked_into();
            placement.set_location_hint(&hint);
            namespace.get_by_name_near(&words.name, &placement)
        } else {
            namespace.get_by_name(&words.name)
        };
        let init: Init = js_sys::Object::new().unchecked_into();
        if fits_header(body) {
            let headers: AskHeaders = js_sys::Object::new().unchecked_into();
            headers.set_ask(body);
            init.set_headers(&headers);
        } else {
            init.set_method(&words.post);
            init.set_body(body);
        }
        let url = match call {
            Call::Ask => &words.ask,
            Call::Ready => &words.ready,
        };
        stub.and_then(|stub| stub.fetch(url, &init)).map_err(|_| CallError::Silent)
    })?;
    let reply = async move {
        let reply: Reply = Outcome::of(&sent).await?.unchecked_into();
        if let Some(text) = WORDS.with(|words| reply.headers().get(&words.answer))? {
            return Ok::<_, JsValue>((reply.status(), text));
        }
        let text = Outcome::of(&reply.text()?).await?;
        Ok::<_, JsValue>((reply.status(), text.as_string().unwrap_or_default()))
    };
    match watch.within(timeout_ms, reply).await {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(_)) | None => Err(CallError::Silent),
    }
}

/// An ask that travels as a header, and its answer. Only who asked by header is answered by header.
pub const ASK_HEADER: &str = "x-ask";
/// See [`ASK_HEADER`].
pub const ANSWER_HEADER: &str = "x-answer";

/// Whether a message can travel as a header: a body costs both sides a stream and a turn of the event loop.
/// Header values are Latin-1, so only printable ASCII passes as it is.
#[must_use]
pub fn fits_header(text: &str) -> bool {
    text.len() <= 8 * 1024 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
