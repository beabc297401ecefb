//! The client's request, with few crossings: header names are kept as JavaScript strings.

use super::glue;
use super::promise::Outcome;
use super::streams::Source;
use js_sys::{Array, JsString, Uint8Array};
use std::cell::OnceCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The platform's `Request`.
    #[derive(Clone, Debug)]
    pub type ClientRequest;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &ClientRequest) -> ClientHeaders;
    #[wasm_bindgen(method, getter)]
    fn body(this: &ClientRequest) -> Option<Source>;

    type ClientHeaders;
    #[wasm_bindgen(method, catch, js_name = get)]
    fn js_get(this: &ClientHeaders, name: &JsString) -> Result<Option<String>, JsValue>;
}

/// Header names, kept as JavaScript strings once per isolate.
pub struct Names<const N: usize> {
    names: [&'static str; N],
    kept: OnceCell<Array>,
}

impl<const N: usize> Names<N> {
    /// These names; to be held in a `thread_local`.
    #[must_use]
    pub const fn new(names: [&'static str; N]) -> Self {
        Self { names, kept: OnceCell::new() }
    }

    /// What the headers of a request or an answer say under these names, in their order.
    fn picked(&self, holder: &JsValue) -> [Option<String>; N] {
        let Ok(text) = glue::picked(holder, self.kept()) else { return [const { None }; N] };
        values(&mut text.split('\n'))
    }

    /// The status of `response` and what its headers say under these names, in their order.
    pub(super) fn head(&self, response: &JsValue) -> Option<(u16, [Option<String>; N])> {
        self.head_in(&glue::head(response, self.kept()).ok()?)
    }

    /// The same of a head that the glue read before.
    pub(super) fn head_in(&self, text: &str) -> Option<(u16, [Option<String>; N])> {
        let mut lines = text.split('\n');
        Some((lines.next()?.parse().ok()?, values(&mut lines)))
    }

    /// The value of the header `name` among those read; nothing when it is none of these names.
    pub(super) fn value<'a>(
        &self,
        name: &str,
        values: &'a [Option<String>; N],
    ) -> Option<&'a Option<String>> {
        let at = self.names.iter().position(|known| *known == name)?;
        values.get(at)
    }

    /// As the glue takes them.
    pub(super) fn kept(&self) -> &Array {
        self.kept.get_or_init(|| self.names.iter().copied().map(JsString::from).collect())
    }
}

fn values<'a, const N: usize>(lines: &mut impl Iterator<Item = &'a str>) -> [Option<String>; N] {
    std::array::from_fn(|_| lines.next().filter(|line| *line != "\0").map(str::to_owned))
}

/// Adds a header to lines of name and value in turn, as the glue takes them. One that HTTP does not allow in any
/// case is left out.
pub fn line(lines: &mut String, name: &str, value: &str) {
    if name.contains('\n') || value.contains('\n') {
        return;
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(name);
    lines.push('\n');
    lines.push_str(value);
}

/// The longest unwanted body that is read all the same.
const DISCARDED_BYTES: usize = 256 * 1024;

/// How much of a body that is too large is read, and for how long.
const DRAINED_BYTES: usize = 128 * 1024 * 1024;
const DRAINED_MS: u64 = 10_000;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than allowed.
    TooLarge,
    /// The client broke off.
    Lost,
}

/// The client's request.
#[derive(Clone, Debug)]
pub struct Incoming {
    raw: ClientRequest,
    /// Method and address, a line each: read in one crossing.
    line: Rc<str>,
}

impl Incoming {
    /// Takes over the platform's request.
    #[must_use]
    pub fn new(request: web_sys::Request) -> Self {
        let raw: ClientRequest = request.unchecked_into();
        let line = glue::request_line(&raw).unwrap_or_default().into();
        Self { raw, line }
    }

    /// The platform's request again, for whoever handles it.
    #[must_use]
    pub fn raw(&self) -> web_sys::Request {
        self.raw.clone().unchecked_into()
    }

    /// The method as it came.
    #[must_use]
    pub fn method(&self) -> &str {
        self.line.split_once('\n').map_or("", |(method, _)| method)
    }

    /// The absolute URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.line.split_once('\n').map_or("", |(_, url)| url)
    }

    /// These headers, in the order of the names.
    pub fn headers<const N: usize>(&self, names: &Names<N>) -> [Option<String>; N] {
        names.picked(&self.raw)
    }

    /// One header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.raw.headers().js_get(&name.into()).ok().flatten()
    }

    /// Reads a body that nobody wants, if it is short. Answered without, the server would close the connection,
    /// and a client that reuses it at that moment sees its next request fail.
    pub async fn discard(&self) {
        let length = self.header("content-length").and_then(|text| text.parse::<usize>().ok());
        if length.is_some_and(|length| (1..=DISCARDED_BYTES).contains(&length))
            && let Ok(body) = self.read()
        {
            let _ = body.await;
        }
    }

    /// Reads on after the answer "too large", within bounds: a client that is still sending when the connection
    /// closes may never read the answer.
    pub async fn drain(&self) {
        let Some(Ok(mut reader)) = self.raw.body().map(|source| source.reader()) else { return };
        let reading = async {
            let mut drained = 0_usize;
            while let Ok(Some(chunk)) = reader.read().await {
                drained = drained.saturating_add(chunk.length() as usize);
                if drained > DRAINED_BYTES {
                    break;
                }
            }
        };
        let _ = super::race::within(DRAINED_MS, reading).await;
        reader.cancel();
    }

    fn read(&self) -> Result<Outcome, JsValue> {
        Ok(Outcome::begun(|number, tell| glue::bytes(&self.raw, number, tell))?.0)
    }

    /// The whole body, at most `limit` bytes. A stated length (already compared with `limit` by the caller)
    /// is held to by HTTP itself and read natively; without one the bytes are counted.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn body(&self, length_known: bool, limit: usize) -> Result<Uint8Array, BodyError> {
        if length_known {
            let read = self.read().map_err(|_| BodyError::Lost)?;
            let bytes: Uint8Array = read.await.map_err(|_| BodyError::Lost)?.unchecked_into();
            return if bytes.length() as usize > limit { Err(BodyError::TooLarge) } else { Ok(bytes) };
        }
        let Some(source) = self.raw.body() else { return Ok(Uint8Array::new_with_length(0)) };
        match super::body::collect(&source, limit).await {
            Ok(super::body::Collected::Whole(bytes)) => Ok(bytes),
            Ok(super::body::Collected::More { reader, .. }) => {
                let _ = reader.release();
                Err(BodyError::TooLarge)
            }
            Err(_) => Err(BodyError::Lost),
        }
    }
}
