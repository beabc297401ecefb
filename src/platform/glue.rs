//! JavaScript of our own, kept to the least: `glue.js` says what each of these does. Where there is a `number`, the
//! call takes time and its end comes back through `tell`, see [`super::promise`].

use super::streams::{RawReader, Sink, Source};
use js_sys::{Array, Function, JsString, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/platform/glue.js")]
extern "C" {
    /// Does nothing; calling it puts the module into the bundle.
    pub fn ready();

    /// Tells of a promise's end.
    pub fn follow(promise: &Promise, number: f64, tell: &Function);
    /// Sets a timer and gives its handle.
    pub fn timer(ms: f64, number: f64, tell: &Function) -> f64;
    /// Takes a timer back.
    pub fn clear(handle: f64);
    /// A request's method and address, a line each.
    #[wasm_bindgen(catch, js_name = requestLine)]
    pub fn request_line(request: &JsValue) -> Result<String, JsValue>;
    /// These headers of a request or an answer, a line each.
    #[wasm_bindgen(catch)]
    pub fn picked(holder: &JsValue, names: &Array) -> Result<String, JsValue>;
    /// An answer's status and these headers, a line each.
    #[wasm_bindgen(catch)]
    pub fn head(response: &JsValue, names: &Array) -> Result<String, JsValue>;
    /// Reads a body whole.
    #[wasm_bindgen(catch)]
    pub fn bytes(holder: &JsValue, number: f64, tell: &Function) -> Result<(), JsValue>;
    /// Reads a stream whole.
    #[wasm_bindgen(catch)]
    pub fn rest(source: &Source, number: f64, tell: &Function) -> Result<(), JsValue>;
    /// An exchange with the upstream.
    #[derive(Clone, Debug)]
    pub type Exchange;
    /// What ends it.
    #[wasm_bindgen(method, getter)]
    pub fn controller(this: &Exchange) -> JsValue;
    /// The answer, once it has a head.
    #[wasm_bindgen(method, getter)]
    pub fn response(this: &Exchange) -> JsValue;
    /// Its head, as of [`head`]; empty before.
    #[wasm_bindgen(method, getter, js_name = head)]
    pub fn head_of(this: &Exchange) -> String;
    /// When the head came (unix milliseconds); 0 before.
    #[wasm_bindgen(method, getter)]
    pub fn at(this: &Exchange) -> f64;
    /// Its body: `Uint8Array`, null when it broke off, undefined when it was not read along.
    #[wasm_bindgen(method, getter, js_name = bytes)]
    pub fn bytes_of(this: &Exchange) -> JsValue;
    /// Sends to the upstream, and reads a successful answer of at most `most` bytes along. Names of the answer's headers
    /// that are read, the length first.
    #[wasm_bindgen(catch)]
    #[allow(clippy::too_many_arguments, reason = "one crossing")]
    pub fn send(
        url: &JsString,
        key_header: &JsString,
        key: &JsString,
        headers: &str,
        body: &Uint8Array,
        names: &Array,
        most: f64,
        number: f64,
        tell: &Function,
    ) -> Result<Exchange, JsValue>;
    /// Makes an answer.
    #[wasm_bindgen(catch)]
    pub fn respond(status: u16, body: &JsValue, common: &Object, own: &str) -> Result<JsValue, JsValue>;
    /// Reads the next chunk.
    #[wasm_bindgen(catch)]
    pub fn read(reader: &RawReader, number: f64, tell: &Function) -> Result<(), JsValue>;
    /// Writes a chunk without waiting.
    #[wasm_bindgen(catch)]
    pub fn queue(sink: &Sink, chunk: &Uint8Array) -> Result<(), JsValue>;
    /// Keeps a promise nobody waits for from being reported.
    pub fn ignore(promise: &Promise);
    /// Connects a stream with what the client reads.
    #[wasm_bindgen(catch)]
    pub fn pump(source: &Source, head: &Array, twice: bool) -> Result<Array, JsValue>;
}
