//! PBKDF2-SHA256, computed by the platform: native, and off wasm's own time.

use js_sys::{Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        key: &Uint8Array,
        algorithm: &str,
        extractable: bool,
        usages: &js_sys::Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = deriveBits, catch)]
    fn derive_bits(algorithm: &Algorithm, key: &JsValue, bits: u32) -> Result<Promise, JsValue>;

    type Algorithm;
    #[wasm_bindgen(method, setter, js_name = name)]
    fn set_name(this: &Algorithm, value: &str);
    #[wasm_bindgen(method, setter, js_name = hash)]
    fn set_hash(this: &Algorithm, value: &str);
    #[wasm_bindgen(method, setter, js_name = salt)]
    fn set_salt(this: &Algorithm, value: &Uint8Array);
    #[wasm_bindgen(method, setter, js_name = iterations)]
    fn set_iterations(this: &Algorithm, value: u32);
}

/// The platform did not compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl From<JsValue> for Failed {
    fn from(_: JsValue) -> Self {
        Self
    }
}

/// 256 bits from a secret. Production refuses more than 100,000 iterations.
///
/// # Errors
/// When the platform refuses.
pub async fn derive(secret: &[u8], salt: &[u8], iterations: u32) -> Result<[u8; 32], Failed> {
    let usages = js_sys::Array::of1(&"deriveBits".into());
    let key = JsFuture::from(import_key("raw", &Uint8Array::from(secret), "PBKDF2", false, &usages)?).await?;
    let algorithm: Algorithm = Object::new().unchecked_into();
    algorithm.set_name("PBKDF2");
    algorithm.set_hash("SHA-256");
    algorithm.set_salt(&Uint8Array::from(salt));
    algorithm.set_iterations(iterations);
    let bits = JsFuture::from(derive_bits(&algorithm, &key, 256)?).await?;
    Uint8Array::new(&bits).to_vec().try_into().map_err(|_| Failed)
}
