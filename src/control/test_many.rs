//! Testing many keys, told as they come: server-sent events, one a key, then a summary.

use super::call::Call;
use super::keys::unknown;
use super::probe::Bench;
use super::problem::{Outcome, Problem};
use crate::platform::json::Reply;
use crate::platform::streams::{Channel, Sink};
use crate::store::{audit, keys};
use rondo_core::config::keys::Chosen;
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::limits::workers::PAID_SUBREQUESTS_RELIED_ON;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;

/// Keys of one call: each takes a request upstream and a call of the Coordinator, and some are needed besides.
const KEYS: usize = PAID_SUBREQUESTS_RELIED_ON / 2 - 20;
/// Tests at the same time; a Worker has six connections that wait for an answer.
const AT_ONCE: usize = 4;

/// What the tests of one call share.
struct Round {
    bench: Bench,
    rows: RefCell<VecDeque<keys::SealedRow>>,
    counts: RefCell<Map<String, Value>>,
    running: Cell<usize>,
    not_tested: u64,
    sink: Sink,
    /// Writes wait for their turn: a sink has one writer at a time.
    waiting: RefCell<VecDeque<String>>,
    writing: Cell<bool>,
    gone: Cell<bool>,
}

/// `POST /api/keys/test`. Five queries. Without ids all keys are tested, in the order of their ids, as many as
/// one call can; the summary says how many it could not.
pub async fn test(call: Call) -> Outcome {
    let chosen = Chosen::for_test(&call.optional_object(ADMIN_BODY_BYTES).await?, KEYS)?;
    let rows = keys::sealed(&call.db, &chosen, "", KEYS).await?;
    if rows.is_empty() && chosen != Chosen::All {
        return Err(unknown());
    }
    let all = if chosen == Chosen::All { keys::count(&call.db).await? } else { rows.len() as u64 };
    let bench = Bench::new(&call).await?;
    let (actor, detail) = (call.actor(), format!("{} keys", rows.len()));
    audit::record(&call.db, &call.deed(&actor, "key.test", &detail)).await?;
    let channel = Channel::new().map_err(|_| Problem::internal("no_stream"))?;
    let round = Rc::new(Round {
        bench,
        not_tested: all.saturating_sub(rows.len() as u64),
        rows: RefCell::new(rows.into()),
        counts: RefCell::new(Map::new()),
        running: Cell::new(AT_ONCE),
        sink: channel.sink,
        waiting: RefCell::new(VecDeque::new()),
        writing: Cell::new(false),
        gone: Cell::new(false),
    });
    for _ in 0..AT_ONCE {
        // The open response keeps the request alive; when the client leaves, so do these.
        spawn_local(Rc::clone(&round).work());
    }
    Ok(Reply::new(200).events(channel.readable.unchecked_into()))
}

impl Round {
    /// Tests keys until none is left; the last one at work says how it went and ends the stream.
    async fn work(self: Rc<Self>) {
        loop {
            let row = self.rows.borrow_mut().pop_front();
            let Some(row) = row.filter(|_| !self.gone.get()) else { break };
            let mut result = self.bench.test(&row).await;
            let outcome = result.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(result) = result.as_object_mut() {
                result.insert("id".to_owned(), row.id.clone().into());
                result.insert("masked".to_owned(), row.masked.clone().into());
            }
            self.count(&outcome);
            self.tell(format!("event: result\ndata: {result}\n\n")).await;
        }
        self.running.set(self.running.get().saturating_sub(1));
        if self.running.get() == 0 && !self.gone.get() {
            let counts = self.counts.borrow().clone();
            let tested: u64 = counts.values().filter_map(Value::as_u64).sum();
            let summary = json!({"tested": tested, "not_tested": self.not_tested, "outcomes": counts});
            self.tell(format!("event: summary\ndata: {summary}\n\n")).await;
            self.sink.close().await;
        }
    }

    fn count(&self, outcome: &str) {
        let mut counts = self.counts.borrow_mut();
        let before = counts.get(outcome).and_then(Value::as_u64).unwrap_or_default();
        counts.insert(outcome.to_owned(), (before + 1).into());
    }

    /// Writes an event after those that wait. Whoever writes takes along what comes meanwhile.
    async fn tell(&self, event: String) {
        self.waiting.borrow_mut().push_back(event);
        if self.writing.replace(true) {
            return;
        }
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(next) = next else { break };
            if self.sink.write(next.as_bytes()).await.is_err() {
                self.gone.set(true);
            }
        }
        self.writing.set(false);
    }
}
