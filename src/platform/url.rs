//! Addresses, taken apart by the platform. The crate `url` would bring its tables for international domain
//! names into the Worker, a tenth of its size.

use js_sys::Array;
use wasm_bindgen::JsValue;

/// The address of a request.
#[derive(Clone, Debug)]
pub struct Address {
    raw: web_sys::Url,
}

impl Address {
    /// Takes an address apart; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        web_sys::Url::new(text).ok().map(|raw| Self { raw })
    }

    /// Scheme, host and port, as a browser's `Origin` header says them.
    #[must_use]
    pub fn origin(&self) -> String {
        self.raw.origin()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.raw.protocol() == "https:"
    }

    /// The path, still encoded.
    #[must_use]
    pub fn path(&self) -> String {
        self.raw.pathname()
    }

    /// The query's parameters, decoded.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let params: JsValue = self.raw.search_params().into();
        let Ok(Some(pairs)) = js_sys::try_iter(&params) else { return Vec::new() };
        pairs
            .filter_map(|pair| {
                let pair = Array::from(&pair.ok()?);
                Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
            })
            .collect()
    }
}
