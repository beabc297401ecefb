//! The gate: nothing goes to the client until the answer is seen to be one. Until then a failure is Rondo's to
//! hide.

use super::send::{Failed, Sent};
use super::settle::Ledger;
use crate::platform::body::{Collected, collect};
use crate::platform::fetch::{Abort, Incoming};
use crate::platform::race::Watch;
use crate::platform::streams::{Reader, Source};
use crate::platform::time;
use js_sys::Uint8Array;
use rondo_core::config::Timeouts;
use rondo_core::pool::outcome::{Failure, is_answer};
use rondo_core::pool::protocol::Fault;
use rondo_core::wire::errors::{UpstreamError, parse_upstream};
use rondo_core::wire::sse::{First, Gate, GateState, Tail};
use rondo_core::wire::usage::Usage;

/// What passed the gate.
pub enum Passed {
    /// All of it, with its usage if it says so.
    Whole(Whole),
    /// Its beginning; the rest is to be streamed.
    Begun(Begun),
}

/// An answer that is here to its last byte.
pub struct Whole {
    /// Its bytes.
    pub bytes: Uint8Array,
    /// Its usage, if it says so.
    pub usage: Option<Usage>,
    /// For a stream without usage: its text's tokens.
    pub completion_estimate: u64,
    /// It ended in an error of the upstream's own, which passes as it came.
    pub failed: bool,
    /// For the report.
    pub ledger: Ledger,
    /// Its head.
    pub answer: Incoming,
}

/// An answer that is longer than what was read.
pub struct Begun {
    /// What was read.
    pub head: Vec<Uint8Array>,
    /// What follows.
    pub source: Source,
    /// Has seen `head`.
    pub meter: Meter,
    /// Ends the exchange.
    pub abort: Abort,
    /// For the report.
    pub ledger: Ledger,
    /// Its head.
    pub answer: Incoming,
}

/// Follows what passes.
pub enum Meter {
    /// An event stream.
    Events(Box<Tail>),
    /// A long answer that is no stream: kept up to a bound, as its end holds the usage.
    Document(Vec<u8>),
}

fn failed(fault: Fault, ledger: Ledger) -> Box<Failed> {
    let failure = Failure { status: ledger.status, ..Failure::silent(fault) };
    Box::new(Failed { failure, ledger })
}

/// Holds a non-streaming answer until it is whole, or known to be longer than `held` bytes. From its head on it may take
/// as long as the head may.
///
/// # Errors
/// When it breaks off, takes too long, or is no answer.
pub async fn document(
    sent: Sent,
    held: usize,
    timeouts: &Timeouts,
    watch: &Watch,
) -> Result<Passed, Box<Failed>> {
    let Sent { abort, mut answer, mut ledger } = sent;
    let length = answer.header("content-length").and_then(|text| text.parse::<usize>().ok());
    // What is read along may have taken a part of it already.
    let left = timeouts.headers_whole_ms.saturating_sub(time::now_ms().saturating_sub(answer.at));
    let collected = if length.is_some_and(|length| length <= held) {
        // Without a look at the body's stream, which would make one.
        let whole = watch.within(left, answer.whole()).await;
        whole.map(|whole| whole.map(Collected::Whole))
    } else {
        let Some(source) = answer.body() else { return Err(failed(Fault::Upstream, ledger)) };
        watch.within(left, collect(&source, held)).await
    };
    let (bytes, more) = match collected {
        Some(Ok(Collected::Whole(bytes))) => (bytes, None),
        Some(Ok(Collected::More { head, reader })) => (head, Some(reader)),
        Some(Err(_)) => return Err(failed(Fault::Lost, ledger)),
        None => {
            abort.abort();
            return Err(failed(Fault::Timeout, ledger));
        }
    };
    ledger.first_event_ms = Some(time::now_ms().saturating_sub(ledger.sent_at));
    let text = bytes.to_vec();
    let Some(reader) = more else {
        let usage = Usage::from_body(&text);
        if usage.is_some() || is_answer(&text) {
            return Ok(Passed::Whole(Whole {
                bytes,
                usage,
                completion_estimate: 0,
                failed: false,
                ledger,
                answer,
            }));
        }
        let content_type = answer.header("content-type").unwrap_or_default();
        let error = parse_upstream(answer.status, &content_type, &text);
        return Err(Box::new(Failed { failure: said(error, &ledger), ledger }));
    };
    begun(vec![bytes], reader, Meter::Document(text), abort, ledger, answer)
}

/// What an upstream said inside an answer of status 2xx is its own fault, whatever it says.
fn said(error: UpstreamError, ledger: &Ledger) -> Failure {
    let status = error.status.unwrap_or(ledger.status);
    Failure { fault: Fault::Upstream, status, error, retry_after_ms: None }
}

fn begun(
    head: Vec<Uint8Array>,
    reader: Reader,
    meter: Meter,
    abort: Abort,
    ledger: Ledger,
    answer: Incoming,
) -> Result<Passed, Box<Failed>> {
    let source = answer.body();
    match (reader.release(), source) {
        (Ok(()), Some(source)) => Ok(Passed::Begun(Begun { head, source, meter, abort, ledger, answer })),
        _ => Err(failed(Fault::Lost, ledger)),
    }
}

/// Holds a stream until its first complete event that is no comment.
///
/// # Errors
/// When it breaks off, takes too long, or begins with an error.
pub async fn stream(sent: Sent, timeouts: &Timeouts, watch: &Watch) -> Result<Passed, Box<Failed>> {
    let Sent { abort, answer, mut ledger } = sent;
    let Some(source) = answer.body() else { return Err(failed(Fault::Upstream, ledger)) };
    let Ok(mut reader) = source.reader() else { return Err(failed(Fault::Lost, ledger)) };
    let mut gate = Gate::new();
    let mut head = Vec::new();
    let until = time::now_ms() + timeouts.first_event_ms;
    loop {
        let left = until.saturating_sub(time::now_ms());
        let chunk = match watch.within(left, reader.read()).await {
            Some(Ok(Some(chunk))) => chunk,
            Some(Ok(None) | Err(_)) => return Err(failed(Fault::Lost, ledger)),
            None => {
                abort.abort();
                return Err(failed(Fault::Timeout, ledger));
            }
        };
        let state = gate.feed(&chunk.to_vec());
        head.push(chunk);
        match state {
            GateState::NeedMore => {}
            GateState::Event(First::Error(error)) => {
                abort.abort();
                return Err(Box::new(Failed { failure: said(error, &ledger), ledger }));
            }
            GateState::Event(First::Data | First::Done) | GateState::TooLarge => break,
        }
    }
    let tail = gate.into_tail();
    ledger.first_event_ms = Some(time::now_ms().saturating_sub(ledger.sent_at));
    if !tail.done() {
        return begun(head, reader, Meter::Events(Box::new(tail)), abort, ledger, answer);
    }
    // All of a short answer came with the first read: it needs no pump. The end of the body follows at once;
    // reading it lets the connection be used again.
    while let Some(Ok(Some(chunk))) = watch.within(TRAILER_MS, reader.read()).await {
        head.push(chunk);
    }
    let end = tail.end();
    Ok(Passed::Whole(Whole {
        bytes: joined(&head),
        usage: end.usage,
        completion_estimate: end.estimated_completion_tokens,
        failed: end.error.is_some() && end.usage.is_none(),
        ledger,
        answer,
    }))
}

/// How long the end of a body may come after its `[DONE]`.
const TRAILER_MS: u64 = 100;

fn joined(chunks: &[Uint8Array]) -> Uint8Array {
    if let [only] = chunks {
        return only.clone();
    }
    let whole = Uint8Array::new_with_length(chunks.iter().map(Uint8Array::length).sum());
    let mut at = 0;
    for chunk in chunks {
        whole.set(chunk, at);
        at += chunk.length();
    }
    whole
}
