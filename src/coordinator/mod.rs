//! The Coordinator: one Durable Object over a pure `Pool`. It loads, persists, tells the time and translates
//! HTTP; every decision is `rondo_core::pool`'s.
//!
//! Concurrency: whatever reads and changes the pool runs between two awaits, so no other event of the object
//! can come in between, and what it writes to SQLite in that stretch is one transaction. The output gate holds
//! the answer until that transaction is durable: hence an acknowledged settle is.

mod catalog;
mod flush;
mod journal;
mod object;
mod routes;
mod views;

use self::object::Core;
use rondo_core::pool::spending::Spending;
use std::rc::Rc;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

/// What each event of the object counts as.
const CALL: Spending =
    Spending { day: 0, object_requests: 1, object_rows_written: 0, d1_rows_written: 0, d1_rows_read: 0 };

/// The one object, named "main".
#[durable_object(alarm)]
pub struct Coordinator {
    state: State,
    core: Rc<Core>,
}

impl DurableObject for Coordinator {
    fn new(state: State, env: Env) -> Self {
        let core = Rc::new(Core::new(state.storage(), env));
        let loading = Rc::clone(&core);
        // Nothing is delivered before the load is over. Its failure is remembered, not returned: an error here
        // would reset the object, and it can still say what is missing.
        drop(state.block_concurrency_while(async move {
            loading.load().await;
            Ok(())
        }));
        Self { state, core }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        self.core.spend(&CALL);
        self.ready().await;
        routes::handle(&self.core, request).await
    }

    async fn alarm(&self) -> Result<Response> {
        self.core.spend(&CALL);
        self.ready().await;
        flush::on_alarm(&self.core).await;
        catalog::watch(&self.core);
        Response::ok("")
    }
}

impl Coordinator {
    /// Loads again what failed to load at the start, at most twice a second.
    async fn ready(&self) {
        if self.core.wants_load() {
            let core = Rc::clone(&self.core);
            let _ = self
                .state
                .block_concurrency_while(async move {
                    core.load().await;
                    Ok(())
                })
                .await;
        }
    }
}
