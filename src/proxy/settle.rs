//! Reporting what became of attempts and requests, always.

use super::ask::{Asked, ask};
use super::{opened, state};
use crate::platform::time;
use rondo_core::limits::coordinator::{NOTES_TOLD, SETTLE_FLUSH_MS};
use rondo_core::limits::input::MODEL_ID_BYTES;
use rondo_core::limits::workers::WAIT_UNTIL_MS;
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Grant, Reading, RequestEnd, Settle};
use rondo_core::pool::stories::{Told, Tried, clipped};
use rondo_core::wire::dialects::{Dialect, Notes};
use rondo_core::wire::headers::LimitReading;
use rondo_core::wire::usage::Usage;
use std::rc::Rc;

/// The first pause after a failed delivery; doubles up to `PAUSE_MAX_MS`.
const PAUSE_MS: u64 = 500;
const PAUSE_MAX_MS: u64 = 5_000;
/// Deliveries are tried this long; the platform ends what runs on after the answer.
const TRY_FOR_MS: u64 = WAIT_UNTIL_MS - 5_000;
/// A deliverer hands over after this long: the rest of its time is for tries.
const STAY_MS: u64 = 10_000;

/// Reports a grant that was never sent.
pub fn unused(grant: &Grant) {
    let attempt = Attempt {
        key: grant.key.clone(),
        model: grant.model.clone(),
        end: AttemptEnd::Unused,
        ..Attempt::default()
    };
    state::report(Settle { id: grant.id, attempt: Some(attempt), ..Settle::default() });
}

/// Reports an attempt, and with it the end of the request when it was the last.
pub fn attempt(grant: &Grant, attempt: Attempt, request: Option<RequestEnd>) {
    state::report(Settle { id: grant.id, attempt: Some(attempt), request, ..Settle::default() });
}

/// Reports the end of a request that has no attempt of its own to go with.
pub fn request(request: RequestEnd) {
    state::report(Settle { id: state::local_grant(), request: Some(request), ..Settle::default() });
}

/// Reports what an answer's head said of its key's limits, ahead of the attempt's end: others wait for it.
pub fn reading(ledger: &Ledger) {
    let reading = Reading {
        grant: ledger.grant.id,
        key: ledger.grant.key.clone(),
        model: ledger.grant.model.clone(),
        limits: ledger.limits.clone(),
    };
    state::report(Settle { id: state::local_grant(), reading: Some(reading), ..Settle::default() });
}

/// Sends what waits, after a moment in which another request's ask may take it along (`at_once`: without).
/// Held by the request's own `wait_until`: an isolate has no timer of its own between requests.
pub fn deliver(env: &worker::Env, context: &worker::Context, at_once: bool) {
    if !at_once && !state::begin_delivery(time::now_ms()) {
        return;
    }
    let env = env.clone();
    context.wait_until(async move { delivery(&env, at_once).await });
}

/// As [`deliver`], inside work that is held already.
pub async fn delivery_within(env: &worker::Env, at_once: bool) {
    if at_once || state::begin_delivery(time::now_ms()) {
        delivery(env, at_once).await;
    }
}

/// One request at a time delivers for all of its isolate: as long as there are reports, or leased grants that
/// may have to go back, it stays, so that none is left without anybody. If the platform ends it before, its turn
/// is over after two rounds, and the next request that ends takes it.
async fn delivery(env: &worker::Env, at_once: bool) {
    let from = time::now_ms();
    if at_once {
        send_waiting(env, from).await;
        return;
    }
    while attend(from).await {
        send_waiting(env, from).await;
        // Whoever ended meanwhile has taken over; else what is leased still needs somebody.
        if !state::has_business() || !state::begin_delivery(time::now_ms()) {
            return;
        }
    }
}

/// Stays until a report has waited long enough to be sent by itself (true), or until there is nothing left to
/// stay for, or another deliverer (false). What is leased and not used is given back meanwhile.
async fn attend(from: u64) -> bool {
    loop {
        // After a while the turn is free for the next request that ends: it has its whole time before it.
        let handing_over = time::now_ms().saturating_sub(from) > STAY_MS;
        if handing_over {
            state::end_delivery();
        }
        time::sleep(SETTLE_FLUSH_MS).await;
        let now = time::now_ms();
        if handing_over && !state::begin_delivery(now) {
            return false;
        }
        let last = now.saturating_sub(from) > TRY_FOR_MS;
        state::leases(|leases| if last { leases.give_all_back() } else { leases.tend(now) });
        opened::tend(now);
        if !state::has_business() {
            opened::clear();
            state::end_delivery();
            return false;
        }
        // Timers may be a little early.
        if last || state::outbox(|outbox| outbox.has_waited(SETTLE_FLUSH_MS - 10, now)) {
            // From here on whatever ends has a deliverer of its own; all that waits now goes with this one.
            state::end_delivery();
            return true;
        }
        state::stay_in_delivery(now);
    }
}

/// Sends what waits now. What comes meanwhile is other requests', whose next ask or deliverer takes it along.
async fn send_waiting(env: &worker::Env, from: u64) {
    let begun = time::now_ms();
    let mut pause = PAUSE_MS;
    while state::outbox(|outbox| outbox.has_waited(0, time::now_ms())) {
        if matches!(ask(env, None, Vec::new()).await, Asked::Answered(_)) {
            let now = time::now_ms();
            if !state::outbox(|outbox| outbox.has_waited(now.saturating_sub(begun), now)) {
                return;
            }
            continue;
        }
        if time::now_ms().saturating_sub(from) + pause > TRY_FOR_MS {
            return;
        }
        time::sleep(pause).await;
        pause = (2 * pause).min(PAUSE_MAX_MS);
    }
}

/// What every attempt's report is made of.
pub struct Ledger {
    /// The grant spent.
    pub grant: Grant,
    /// When it was sent.
    pub sent_at: u64,
    /// From sending to the first event.
    pub first_event_ms: Option<u64>,
    /// The upstream's status.
    pub status: u16,
    /// Its rate-limit headers.
    pub limits: Vec<LimitReading>,
    /// From sending to the answer's head, when those headers were read.
    pub headers_ms: Option<u64>,
    /// The prompt's tokens as estimated before sending.
    pub prompt_estimate: u64,
}

impl Ledger {
    /// Of an attempt that is sent now.
    pub fn new(grant: Grant, prompt_estimate: u64) -> Self {
        Self {
            grant,
            sent_at: time::now_ms(),
            first_event_ms: None,
            status: 0,
            limits: Vec::new(),
            headers_ms: None,
            prompt_estimate,
        }
    }

    /// The report of this attempt's end.
    pub fn close(&self, end: AttemptEnd, usage: Usage, now: u64) -> Attempt {
        Attempt {
            key: self.grant.key.clone(),
            model: self.grant.model.clone(),
            end,
            status: self.status,
            usage,
            retry_after_ms: None,
            limits: self.limits.clone(),
            quota: None,
            headers_ms: self.headers_ms,
            prompt_estimate: self.prompt_estimate,
            duration_ms: now.saturating_sub(self.sent_at),
            first_event_ms: self.first_event_ms,
        }
    }
}

/// The request, as far as its end must tell.
#[derive(Default)]
pub struct Story {
    /// Token id; empty in public mode.
    pub token: Rc<str>,
    /// When it began.
    pub started: u64,
    /// Attempts made.
    pub attempts: u32,
    /// Time spent waiting for grants.
    pub wait_ms: u64,
    /// What the list of recent requests tells beside.
    pub told: Told,
}

/// What that list tells of a request so far. `asked` is the client's own word, of any length.
pub fn told(
    id: &str,
    asked: Option<&str>,
    stream: bool,
    playground: bool,
    (dialect, notes): (Dialect, &Notes),
    attempts: &[Tried],
) -> Told {
    Told {
        dialect,
        notes: notes.all().iter().take(NOTES_TOLD).cloned().collect(),
        id: id.to_owned(),
        asked: asked.map(|asked| clipped(asked, MODEL_ID_BYTES)),
        stream,
        playground,
        attempts: attempts.to_vec(),
    }
}

/// An attempt that another one follows.
pub fn tried(grant: &Grant, attempt: &Attempt) -> Tried {
    Tried {
        key: attempt.key.clone(),
        model: attempt.model.clone(),
        end: attempt.end,
        status: attempt.status,
        duration_ms: attempt.duration_ms,
        first_event_ms: attempt.first_event_ms,
        grant: grant.id,
    }
}

impl Story {
    /// The report of the request's end.
    pub fn end(self, model: &str, status: u16, now: u64) -> RequestEnd {
        RequestEnd {
            token: self.token.to_string(),
            model: model.to_owned(),
            status,
            error: status >= 400,
            attempts: self.attempts,
            wait_ms: self.wait_ms,
            duration_ms: now.saturating_sub(self.started),
            told: Some(Box::new(self.told)),
            ..RequestEnd::default()
        }
    }
}
