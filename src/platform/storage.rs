//! Transactions over a Durable Object's SQLite.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone, Debug)]
    type Raw;
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Raw,
        work: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// What makes several statements one.
#[derive(Clone, Debug)]
pub struct Transactions(Raw);

impl Transactions {
    /// Of that storage.
    pub fn of(storage: &worker::Storage) -> Self {
        Self(storage.as_raw().unchecked_ref::<Raw>().clone())
    }

    /// Runs the work; when it fails nothing of it is kept. Without this, what was written before the failure
    /// would be committed with the event.
    ///
    /// # Errors
    /// The work's own, or that there was no transaction to be had.
    pub fn run<E: From<worker::Error>>(&self, mut work: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let mut failed = None;
        let outcome = self.0.transaction_sync(&mut || {
            work().map_err(|error| {
                failed = Some(error);
                JsValue::from_str("rolled back")
            })
        });
        match (failed, outcome) {
            (Some(error), _) => Err(error),
            (None, Ok(_)) => Ok(()),
            (None, Err(error)) => Err(worker::Error::from(error).into()),
        }
    }
}
