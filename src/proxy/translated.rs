//! Answers in another dialect. A streamed one passes through here chunk by chunk: read, translated, written. It costs
//! what the native pump spares (docs/benchmarks.md), and only these dialects pay for it.

use super::ask::ask;
use super::gate::{Begun, Meter, Whole};
use super::settle::Ledger;
use super::stream::{Telling, report};
use crate::platform::fetch::Abort;
use crate::platform::promise::Outcome;
use crate::platform::race::{First, Watch, race, within};
use crate::platform::streams::{Channel, Reader, Sink, Source};
use crate::platform::time;
use js_sys::Uint8Array;
use rondo_core::config::Timeouts;
use rondo_core::limits::grant::RENEW_EVERY_MS;
use rondo_core::pool::protocol::{AttemptEnd, Fault};
use rondo_core::wire::dialects::{Answering, Stream};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::usage::Usage;
use std::future::pending;

/// After so much silence a client is told that somebody is there still, in dialects that have a word for it.
const PING_MS: u64 = 10_000;
/// How long the client's taking of the last event is waited for.
const LAST_MS: u64 = 5_000;
/// So much of the translated answer may wait for the client to take what was written.
const AHEAD_BYTES: usize = 64 * 1024;
/// A read is waited for so long at a time: then the other bounds are looked at.
const TICK_MS: u64 = 1_000;

/// An answer that is all here, with its content type. One that was asked for as a stream is one.
pub fn whole(
    mut answering: Answering,
    whole: &Whole,
    stream: bool,
    prompt_tokens: u64,
) -> Result<(&'static str, Vec<u8>), ApiError> {
    let bytes = whole.bytes.to_vec();
    if !stream {
        return Ok(("application/json", answering.whole(&bytes)?));
    }
    answering.expect_prompt(prompt_tokens);
    let kind = answering.stream_type();
    let mut stream = answering.stream();
    let mut out = Vec::with_capacity(2 * bytes.len());
    stream.feed(&bytes, &mut out);
    stream.end(&ApiError::stream_interrupted(), &mut out);
    Ok((kind, out))
}

/// Starts the stream and gives what the client reads.
///
/// # Errors
/// When the platform makes no pipe, or the answer is a document too long to be translated; then the attempt is to be
/// reported by its ledger.
pub fn start(
    env: &worker::Env,
    context: &worker::Context,
    begun: Begun,
    answering: Answering,
    telling: Telling,
    watch: Watch,
) -> Result<Source, Box<Ledger>> {
    let Begun { head, source, meter, abort, ledger, answer: _ } = begun;
    let (Ok(channel), Ok(reader), Meter::Events(_)) = (Channel::new(), source.reader(), &meter) else {
        abort.abort();
        return Err(Box::new(ledger));
    };
    let interpreter = Interpreter {
        env: env.clone(),
        watch,
        reader,
        sink: channel.sink,
        stream: answering.stream(),
        meter,
        abort,
        ledger,
        telling,
        unwritten: Vec::new(),
    };
    context.wait_until(interpreter.run(head));
    Ok(channel.readable)
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The upstream closed its stream.
    Whole,
    /// The upstream's connection broke.
    Lost,
    /// It was silent, or the request took too long.
    TimedOut,
    /// The client is gone.
    Left,
}

struct Interpreter {
    env: worker::Env,
    /// The request's timer.
    watch: Watch,
    reader: Reader,
    sink: Sink,
    stream: Stream,
    meter: Meter,
    abort: Abort,
    ledger: Ledger,
    telling: Telling,
    /// Translated, and not written when the time was over.
    unwritten: Vec<u8>,
}

impl Interpreter {
    async fn run(mut self, head: Vec<Uint8Array>) {
        let ended = self.relay(head).await;
        let (end, usage) = self.conclude(ended).await;
        report(&self.env, &self.ledger, self.telling, end, usage).await;
    }

    /// Translates what was read at the gate, then whatever comes. Renews the grant, and stops what is silent or too
    /// long. What is translated while a write is under way goes with the next one: a busy isolate writes less often.
    async fn relay(&mut self, head: Vec<Uint8Array>) -> Ended {
        let Ok(writer) = self.sink.writer() else { return Ended::Left };
        let began = time::now_ms();
        let (mut heard, mut told, mut renewed) = (began, began, began);
        let mut out = Vec::new();
        let mut writing: Option<Outcome> = None;
        let mut ended = None;
        for chunk in head {
            self.stream.feed(&chunk.to_vec(), &mut out);
        }
        loop {
            if writing.is_none() && !out.is_empty() {
                let Ok(begun) = writer.begin(&out) else { return Ended::Left };
                writing = Some(begun);
                out.clear();
                told = time::now_ms();
            }
            if let (None, Some(ended)) = (&writing, ended) {
                return ended;
            }
            let written = async {
                match &mut writing {
                    Some(outcome) => outcome.await.is_ok(),
                    None => pending().await,
                }
            };
            // A client that takes its time holds the upstream back.
            let reading = ended.is_none() && out.len() < AHEAD_BYTES;
            let read = async {
                match reading {
                    true => self.reader.read().await,
                    false => pending().await,
                }
            };
            let first = self.watch.within(TICK_MS, race(written, read)).await;
            let now = time::now_ms();
            match first {
                Some(First::Left(true)) => {
                    writing = None;
                    told = now;
                }
                Some(First::Left(false)) => return Ended::Left,
                Some(First::Right(Ok(Some(chunk)))) => {
                    heard = now;
                    let bytes = chunk.to_vec();
                    self.meter.feed(&bytes);
                    self.stream.feed(&bytes, &mut out);
                }
                Some(First::Right(Ok(None))) => ended = Some(Ended::Whole),
                Some(First::Right(Err(_))) => ended = Some(Ended::Lost),
                None if writing.is_none() && now.saturating_sub(told) >= PING_MS => {
                    told = now;
                    self.stream.ping(&mut out);
                }
                None => {}
            }
            let Timeouts { silence_ms, total_ms, .. } = self.telling.timeouts;
            // A client that takes nothing for as long as an upstream may be silent is gone.
            if writing.is_some() && now.saturating_sub(told) >= silence_ms {
                return Ended::Left;
            }
            if !reading {
                // Nobody listened: that is no silence of the upstream's.
                heard = now;
            }
            let silent = now.saturating_sub(heard) >= silence_ms;
            if silent || now.saturating_sub(self.telling.story.started) >= total_ms {
                self.unwritten = out;
                return Ended::TimedOut;
            }
            if now.saturating_sub(renewed) >= RENEW_EVERY_MS {
                renewed = now;
                let _ = ask(&self.env, None, vec![self.ledger.grant.id]).await;
            }
        }
    }

    /// Gives the stream its end, and tells what was used.
    async fn conclude(&mut self, ended: Ended) -> (AttemptEnd, Usage) {
        let concluded = self.meter.take();
        let usage = concluded.usage(&self.telling, false);
        let (complete, failed) = (concluded.is_done(), concluded.failed());
        if ended != Ended::Whole {
            self.abort.abort();
        }
        let fault = if ended == Ended::TimedOut { Fault::Timeout } else { Fault::Lost };
        let mut out = std::mem::take(&mut self.unwritten);
        if ended != Ended::Left {
            let error = match fault {
                Fault::Timeout => ApiError::upstream_timeout(),
                _ => ApiError::stream_interrupted(),
            };
            self.stream.end(&error, &mut out);
        }
        let taken = match (ended, out.is_empty()) {
            (Ended::Left, _) => false,
            (_, true) => true,
            (_, false) => matches!(within(LAST_MS, self.sink.write(&out)).await, Some(Ok(()))),
        };
        // A pipe that is left open would make the runtime take the request for hung.
        if taken {
            self.sink.close().await;
        } else {
            self.sink.abort();
        }
        let end = match ended {
            // It had said its last word before it broke.
            _ if complete && failed => AttemptEnd::Failed(Fault::Upstream),
            _ if complete => AttemptEnd::Ok,
            Ended::Left => AttemptEnd::Cut,
            _ if failed => AttemptEnd::Failed(Fault::Upstream),
            _ => AttemptEnd::Failed(fault),
        };
        (end, usage)
    }
}
