//! The static files.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = ASSETS)]
    fn assets(this: &Bindings) -> JsValue;

    type Fetcher;
    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Fetcher, request: &web_sys::Request) -> Result<Promise, JsValue>;
}

/// The file that a request asks for; `None` without the binding or when it fails.
pub async fn serve(env: &worker::Env, request: &web_sys::Request) -> Option<web_sys::Response> {
    let assets = env.unchecked_ref::<Bindings>().assets();
    if !assets.is_object() {
        return None;
    }
    let response = assets.unchecked_into::<Fetcher>().fetch(request).ok()?;
    Some(JsFuture::from(response).await.ok()?.unchecked_into())
}
