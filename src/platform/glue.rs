//! JavaScript of our own, kept to the least.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/platform/glue.js")]
extern "C" {
    /// Does nothing; calling it puts the module into the bundle.
    pub fn ready();
}
