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

/// Percent-decoded; what is no proper encoding stays as it is.
#[must_use]
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn ids_are_percent_decoded_once_and_odd_ones_kept() {
        for (text, id) in
            [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("100%", "100%"), ("%zz", "%zz"), ("m", "m")]
        {
            assert_eq!(decoded(text), id);
        }
    }
}
