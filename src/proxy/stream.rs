//! Streaming an answer that passed the gate: the platform moves the bytes, a second branch is read now and then
//! for usage and silence, and however it ends, the client gets a well-formed end.

use super::ask::ask;
use super::gate::{Begun, Meter};
use super::settle::{self, Ledger, Story};
use crate::platform::fetch::Abort;
use crate::platform::promise::Outcome;
use crate::platform::race::{Watch, within};
use crate::platform::streams::{Pump, Reader, Sink, Source};
use crate::platform::time;
use rondo_core::config::{Metering, Timeouts};
use rondo_core::limits::grant::RENEW_EVERY_MS;
use rondo_core::pool::protocol::{AttemptEnd, Fault};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::sse::{End, error_event};
use rondo_core::wire::usage::Usage;

/// How often the second branch is read, so that a long answer does not pile up and silence is noticed.
const TICK_MS: u64 = 1_000;
/// A read of the second branch that takes longer has caught up with the upstream.
const CAUGHT_UP_MS: u64 = 5;
/// The same after a failure, when it is the last chance to count: on a busy isolate what is there already may
/// take this long to come.
const LEFTOVER_READ_MS: u64 = 25;
/// Reading on after a failure takes no longer: a client that left must not keep the upstream busy.
const LEFTOVER_MS: u64 = 150;
/// How long the end of the second branch, or a client's taking of the last event, is waited for.
const LAST_MS: u64 = 5_000;
/// A document is kept up to this to read its usage; of a longer one it is estimated.
const DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// What an answer is taken to have used under `metering: estimate`, unless it was asked to be shorter.
const UNMETERED_TOKENS: u64 = 512;

/// What the stream's report needs to know of the request.
pub struct Telling {
    /// The request.
    pub story: Story,
    /// Its estimated prompt.
    pub prompt_tokens: u64,
    /// Its own bound on the answer.
    pub max_tokens: Option<u64>,
    /// Exact, or untouched.
    pub metering: Metering,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// Starts the stream and gives what the client reads.
///
/// # Errors
/// When the platform makes no pipe; then the attempt is to be reported by its ledger.
pub fn start(
    env: &worker::Env,
    context: &worker::Context,
    begun: Begun,
    telling: Telling,
    watch: Watch,
) -> Result<Source, Box<Ledger>> {
    let Begun { head, source, meter, abort, ledger, answer: _ } = begun;
    let Ok(pump) = Pump::new(&head, &source, telling.metering == Metering::Exact) else {
        abort.abort();
        return Err(Box::new(ledger));
    };
    let follower = Follower {
        env: env.clone(),
        watch,
        pump: pump.end,
        unmetered: pump.second.is_none(),
        reader: None,
        untouched: pump.second,
        sink: pump.sink,
        meter,
        abort,
        ledger,
        telling,
        upstream_lost: false,
        upstream_ended: false,
    };
    context.wait_until(follower.follow());
    Ok(pump.readable)
}

/// Reports the end of a stream, of which the client has had something.
pub(super) async fn report(
    env: &worker::Env,
    ledger: &Ledger,
    telling: Telling,
    end: AttemptEnd,
    usage: Usage,
) {
    let now = time::now_ms();
    let before = ledger.sent_at.saturating_sub(telling.story.started);
    let mut request = telling.story.end(&ledger.grant.model, 200, now);
    request.cut = end == AttemptEnd::Cut;
    request.error = matches!(end, AttemptEnd::Failed(_));
    request.usage = usage;
    request.first_event_ms = ledger.first_event_ms.map(|ms| ms + before);
    settle::attempt(&ledger.grant, ledger.close(end, usage, now), Some(request));
    settle::delivery_within(env, matches!(end, AttemptEnd::Failed(_))).await;
}

/// How the pump ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The upstream closed it.
    Whole,
    /// One side failed.
    Broken,
    /// We ended it.
    Stopped,
}

struct Follower {
    env: worker::Env,
    /// The request's timer.
    watch: Watch,
    pump: Outcome,
    /// Reads the second branch while the pump runs.
    reader: Option<Reader>,
    /// The second branch itself, as long as nothing was read of it.
    untouched: Option<Source>,
    /// There is no second branch.
    unmetered: bool,
    sink: Sink,
    meter: Meter,
    abort: Abort,
    ledger: Ledger,
    telling: Telling,
    /// The second branch failed: it was the upstream, whatever the client does.
    upstream_lost: bool,
    /// The second branch was read to its end.
    upstream_ended: bool,
}

impl Follower {
    async fn follow(mut self) {
        let ended = self.watch().await;
        let (end, usage) = match ended {
            Ended::Whole => self.finish().await,
            Ended::Broken => self.broken(Fault::Lost).await,
            Ended::Stopped => self.broken(Fault::Timeout).await,
        };
        report(&self.env, &self.ledger, self.telling, end, usage).await;
    }

    /// Waits for the pump's end. Meanwhile reads along, renews the grant, and stops what is silent or too long.
    async fn watch(&mut self) -> Ended {
        let began = time::now_ms();
        let (mut heard, mut renewed) = (began, began);
        loop {
            match self.watch.within(TICK_MS, &mut self.pump).await {
                Some(Ok(_)) => return Ended::Whole,
                Some(Err(_)) => return Ended::Broken,
                None => {}
            }
            if self.catch_up(CAUGHT_UP_MS, u64::MAX).await {
                heard = time::now_ms();
            }
            let now = time::now_ms();
            // Without a second branch silence can't be told from speech; the total bounds it.
            // After the upstream's end it is the client that takes its time.
            let silent = !self.unmetered
                && !self.upstream_ended
                && now.saturating_sub(heard) >= self.telling.timeouts.silence_ms;
            let too_long = now.saturating_sub(self.telling.story.started) >= self.telling.timeouts.total_ms;
            if silent || too_long {
                self.abort.abort();
                let _ = self.watch.within(LAST_MS, &mut self.pump).await;
                return Ended::Stopped;
            }
            if now.saturating_sub(renewed) >= RENEW_EVERY_MS {
                renewed = now;
                let _ = ask(&self.env, None, vec![self.ledger.grant.id]).await;
            }
        }
    }

    /// Reads what the second branch holds: until a read takes longer than `each_ms`, or for about `for_ms`.
    /// Tells whether there was anything.
    async fn catch_up(&mut self, each_ms: u64, for_ms: u64) -> bool {
        if let Some(branch) = self.untouched.take() {
            self.reader = branch.reader().ok();
        }
        let Some(reader) = self.reader.as_mut() else { return false };
        let from = time::now_ms();
        let mut any = false;
        loop {
            match within(each_ms, reader.read()).await {
                Some(Ok(Some(chunk))) => self.meter.feed(&chunk.to_vec()),
                Some(Err(_)) => {
                    self.upstream_lost = true;
                    break;
                }
                Some(Ok(None)) => {
                    self.upstream_ended = true;
                    break;
                }
                None => break,
            }
            any = true;
            if time::now_ms().saturating_sub(from) > for_ms {
                break;
            }
        }
        any
    }

    /// The upstream closed its stream: what is left of the second branch tells whether it was complete.
    async fn finish(&mut self) -> (AttemptEnd, Usage) {
        self.read_rest().await;
        if self.unmetered || self.meter.is_complete() {
            self.sink.close().await;
            let concluded = self.meter.take();
            let end = if concluded.failed() { AttemptEnd::Failed(Fault::Upstream) } else { AttemptEnd::Ok };
            return (end, concluded.usage(&self.telling, self.unmetered));
        }
        self.last_word(&ApiError::stream_interrupted(), Fault::Lost).await
    }

    /// Reads the second branch to its end: at once and natively when nothing was read of it yet.
    async fn read_rest(&mut self) {
        if let Some(branch) = self.untouched.take() {
            if let Some(Ok(bytes)) = self.watch.within(LAST_MS, branch.rest()).await {
                self.meter.feed(&bytes.to_vec());
            }
            return;
        }
        if let Some(reader) = self.reader.as_mut() {
            while let Some(Ok(Some(chunk))) = self.watch.within(LAST_MS, reader.read()).await {
                self.meter.feed(&chunk.to_vec());
            }
        }
    }

    /// One side failed, or the upstream was given up.
    async fn broken(&mut self, fault: Fault) -> (AttemptEnd, Usage) {
        self.catch_up(LEFTOVER_READ_MS, LEFTOVER_MS).await;
        let error = if fault == Fault::Timeout {
            ApiError::upstream_timeout()
        } else {
            ApiError::stream_interrupted()
        };
        self.last_word(&error, fault).await
    }

    /// Tells the client that the answer is not whole. If it does not take that, it is the one who left.
    async fn last_word(&mut self, error: &ApiError, fault: Fault) -> (AttemptEnd, Usage) {
        let unmetered = self.unmetered;
        let concluded = self.meter.take();
        let (end, usage) = match &concluded {
            Concluded::Events(end) => {
                // What ended in an error of the upstream's own has said it already.
                let said = end.error.is_some() && !end.mid_frame && !unmetered;
                // Unread, the stream may have stopped anywhere: a blank line ends whatever it was.
                let closing = match (said, unmetered) {
                    (true, _) => Vec::new(),
                    (false, false) => end.closing(error),
                    (false, true) => [b"\n\n".to_vec(), error_event(error)].concat(),
                };
                let taken = match closing.is_empty() {
                    true => Some(Ok(())),
                    false => within(LAST_MS, self.sink.write(&closing)).await,
                };
                let end = match taken {
                    // It had said its last word before it broke.
                    Some(Ok(())) if end.done => AttemptEnd::Ok,
                    Some(Ok(())) => AttemptEnd::Failed(if said { Fault::Upstream } else { fault }),
                    _ if self.upstream_lost || fault == Fault::Timeout => AttemptEnd::Failed(fault),
                    Some(Err(_)) | None => AttemptEnd::Cut,
                };
                match taken {
                    Some(Ok(())) => self.sink.close().await,
                    // Nobody takes it any more; left open, the runtime would take the request for hung.
                    Some(Err(_)) | None => self.sink.abort(),
                }
                (end, concluded.usage(&self.telling, unmetered && end == AttemptEnd::Ok))
            }
            Concluded::Document(_) => {
                // A document can't say that it is cut; a broken connection can. Whether there is anybody to
                // tell shows whose fault it was.
                let taken = within(LAST_MS, self.sink.write(b"\n")).await;
                self.sink.abort();
                let theirs = self.upstream_lost || fault == Fault::Timeout || matches!(taken, Some(Ok(())));
                let end = if theirs { AttemptEnd::Failed(fault) } else { AttemptEnd::Cut };
                (end, concluded.usage(&self.telling, false))
            }
        };
        self.give_up();
        (end, usage)
    }

    /// Closes the connection to the upstream.
    fn give_up(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.cancel();
        }
        self.abort.abort();
    }
}

/// A meter at its end.
pub(super) enum Concluded {
    Events(Box<End>),
    Document(Vec<u8>),
}

impl Concluded {
    /// The upstream said its mark of the end.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Events(end) if end.done)
    }

    /// It ended in an error of the upstream's own, although with its mark.
    pub(super) fn failed(&self) -> bool {
        matches!(self, Self::Events(end) if end.error.is_some() && end.usage.is_none())
    }

    pub(super) fn usage(&self, telling: &Telling, unmetered: bool) -> Usage {
        let (said, estimate) = match self {
            Self::Events(end) => (end.usage, end.estimated_completion_tokens),
            Self::Document(text) => (Usage::from_body(text), UNMETERED_TOKENS),
        };
        let estimate = if unmetered {
            telling.max_tokens.map_or(UNMETERED_TOKENS, |most| most.min(UNMETERED_TOKENS))
        } else {
            estimate
        };
        said.unwrap_or_else(|| Usage::estimate(telling.prompt_tokens, estimate))
    }
}

impl Meter {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(tail) => tail.feed(bytes),
            Self::Document(text) if text.len() + bytes.len() <= DOCUMENT_BYTES => {
                text.extend_from_slice(bytes)
            }
            Self::Document(_) => {}
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Events(tail) => tail.done(),
            // HTTP itself tells a document's end.
            Self::Document(_) => true,
        }
    }

    /// What became of it; an empty meter stays.
    pub(super) fn take(&mut self) -> Concluded {
        match self {
            Self::Events(tail) => Concluded::Events(Box::new(std::mem::take(&mut **tail).end())),
            Self::Document(text) => Concluded::Document(std::mem::take(text)),
        }
    }
}
