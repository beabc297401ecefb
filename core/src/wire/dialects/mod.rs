//! The other ways to ask for a completion: each is translated to Chat Completions, which is what the pool sends,
//! and its answer back. Only these paths pay for it; Chat Completions itself is passed on untouched.
//!
//! A dialect has two halves: a function from its request to a chat request, which also gives what the answer needs
//! to know of it ([`Answering`]); and a state machine over the chunks of the answer ([`Stream`]), which a whole
//! answer runs through as well where the dialect's forms allow it. Nothing here keeps an answer.

pub mod chat;
pub mod completions;
pub mod gemini;
mod logprobs;
pub mod messages;
mod parts;
mod refusal;
pub mod responses;
mod speech;

pub use parts::{too_many_parts, too_many_parts_refusal};
pub(in crate::wire) use refusal::{field, refused};
pub use speech::{Speech, without_provider};

use crate::wire::errors::ApiError;
use crate::wire::sse::{Event, EventScanner, Name};
use chat::{Chunk, Whole};
use serde::{Deserialize, Serialize};

/// The longest event of an upstream that is translated, in bytes; a longer one ends the stream with an error.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// Notes of one request at the most.
const NOTES: usize = 32;
/// Characters of a note's path at the most.
const PATH_CHARS: usize = 120;

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI Chat Completions: `POST /v1/chat/completions`. Not translated.
    #[default]
    Chat,
    /// OpenAI's older Completions: `POST /v1/completions`.
    Completions,
    /// OpenAI Responses: `POST /v1/responses`.
    Responses,
    /// Anthropic Messages: `POST /v1/messages`.
    Messages,
    /// Google Gemini: `POST /v1beta/models/{model}:generateContent` and the like.
    Gemini,
}

/// What a translator may not make itself: it has no clock and no randomness.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// Unix seconds at which the request came.
    pub now_s: u64,
    /// Makes the ids of this answer differ from those of all others.
    pub entropy: [u8; 16],
}

/// Something of the request that the upstream does not get as the client sent it. For the request's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where, as a path (`tools.2`, `messages.0.cache_control`), without any of the client's own values.
    #[serde(rename = "p")]
    pub path: String,
    /// What became of it.
    #[serde(rename = "w")]
    pub what: Changed,
}

impl Note {
    /// The same, no longer than any that is made here: reports come from other code, too.
    #[must_use]
    pub fn clipped(&self) -> Self {
        Self { path: self.path.chars().take(PATH_CHARS).collect(), what: self.what }
    }
}

/// What became of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Left out: the upstream does not know it.
    Dropped,
    /// Said in the upstream's words.
    Translated,
}

/// The notes of a request, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Adds one, unless it is known or there are enough.
    pub fn add(&mut self, path: impl Into<String>, what: Changed) {
        let mut path: String = path.into();
        if let Some((at, _)) = path.char_indices().nth(PATH_CHARS) {
            path.truncate(at);
        }
        let note = Note { path, what };
        if self.0.len() < NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Left out.
    pub fn dropped(&mut self, path: impl Into<String>) {
        self.add(path, Changed::Dropped);
    }

    /// Those that were added, in their order.
    #[must_use]
    pub fn all(&self) -> &[Note] {
        &self.0
    }
}

/// A request in the upstream's words.
#[derive(Debug)]
pub struct Translated {
    /// A Chat Completions body.
    pub body: Vec<u8>,
    /// Translates the answer.
    pub answering: Answering,
    /// What was changed.
    pub notes: Notes,
}

/// What the answer to a request needs to know of it.
#[derive(Debug)]
pub enum Answering {
    /// See [`completions`].
    Completions(completions::Answering),
    /// See [`responses`].
    Responses(Box<responses::Answering>),
    /// See [`messages`].
    Messages(Box<messages::Answering>),
    /// See [`gemini`].
    Gemini(Box<gemini::Answering>),
}

impl Answering {
    /// Tells how many tokens the prompt is likely to have, for dialects whose streams start with that number.
    pub fn expect_prompt(&mut self, tokens: u64) {
        if let Self::Messages(answering) = self {
            answering.expect_prompt(tokens);
        }
    }

    /// A whole answer in the client's form.
    ///
    /// # Errors
    /// When the upstream's body is no chat completion.
    pub fn whole(self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let whole: Whole = serde_json::from_slice(body).map_err(|_| ApiError::upstream_unavailable())?;
        Ok(match self {
            Self::Completions(answering) => answering.whole(&whole),
            Self::Responses(answering) => answering.whole(&whole),
            Self::Messages(answering) => answering.whole(&whole),
            Self::Gemini(answering) => answering.whole(&whole),
        })
    }

    /// The content type of a streamed answer.
    #[must_use]
    pub fn stream_type(&self) -> &'static str {
        match self {
            Self::Gemini(answering) => answering.stream_type(),
            _ => "text/event-stream",
        }
    }

    /// A streamed answer.
    #[must_use]
    pub fn stream(self) -> Stream {
        let machine: Box<dyn Machine> = match self {
            Self::Completions(answering) => Box::new(answering.stream()),
            Self::Responses(answering) => Box::new(answering.stream()),
            Self::Messages(answering) => Box::new(answering.stream()),
            Self::Gemini(answering) => Box::new(answering.stream()),
        };
        Stream { scanner: EventScanner::new(MAX_EVENT_BYTES), machine, state: State::Open }
    }
}

/// What a dialect makes of an answer's parts. Each call appends whole events to `out`.
pub trait Machine: std::fmt::Debug {
    /// A chunk came.
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>);
    /// The answer is complete: the upstream said `[DONE]`.
    fn done(&mut self, out: &mut Vec<u8>);
    /// The answer breaks off here, for that reason; the client must be able to tell.
    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>);
    /// The upstream is silent for long; what keeps a client from giving up, if the dialect has such a thing.
    fn ping(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

/// A streamed answer on its way through a dialect. Chunks of the upstream's bytes may be cut anywhere.
#[derive(Debug)]
pub struct Stream {
    scanner: EventScanner,
    machine: Box<dyn Machine>,
    state: State,
}

impl Stream {
    /// Reads on and appends what the client gets.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { scanner, machine, state } = self;
        scanner.feed(bytes, |event| {
            if *state == State::Open && read(&event, machine.as_mut(), out) {
                *state = State::Ended;
            }
        });
    }

    /// Whether the answer has ended, well or not: what else comes is not looked at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Ended
    }

    /// The upstream's stream is over or given up. One that had not ended breaks off, for that reason.
    pub fn end(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.state == State::Open {
            // The last event may lack its blank line.
            self.feed(b"\n\n", out);
        }
        if self.state == State::Open {
            self.machine.failed(error, out);
            self.state = State::Ended;
        }
    }

    /// The upstream is silent for long.
    pub fn ping(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Open {
            self.machine.ping(out);
        }
    }
}

/// Reads one event of the upstream; whether it was the last.
fn read(event: &Event<'_>, machine: &mut dyn Machine, out: &mut Vec<u8>) -> bool {
    if event.lost > 0 {
        machine.failed(&ApiError::stream_interrupted(), out);
        return true;
    }
    if event.data == b"[DONE]" {
        machine.done(out);
        return true;
    }
    let chunk = serde_json::from_slice::<Chunk<'_>>(event.data);
    match chunk {
        Ok(chunk) if chunk.error.is_none() && event.name != Name::Error => {
            machine.chunk(&chunk, out);
            false
        }
        Ok(chunk) => {
            machine.failed(&chat::said(chunk.error.as_ref(), chunk.status_code), out);
            true
        }
        Err(_) => {
            machine.failed(&ApiError::stream_interrupted(), out);
            true
        }
    }
}

/// Appends one event of a stream: its name, where the dialect names events, and its data as JSON.
pub(crate) fn write_event(out: &mut Vec<u8>, name: Option<&str>, data: &impl serde::Serialize) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    // What is written has texts and numbers only: there is nothing in it that could fail.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// An id that differs from that of any other answer: `prefix`, then the seed in hexadecimal, then a number within the
/// answer.
pub(crate) fn id(prefix: &str, seed: &Seed, number: usize) -> String {
    use std::fmt::Write;
    let mut id = prefix.to_owned();
    for byte in seed.entropy.iter().take(12) {
        let _ = write!(id, "{byte:02x}");
    }
    if number > 0 {
        let _ = write!(id, "{number:04x}");
    }
    id
}

/// An error's status in the client's dialect.
#[must_use]
pub fn error_status(dialect: Dialect, error: &ApiError) -> u16 {
    match dialect {
        Dialect::Messages => messages::error_status(error),
        _ => error.status,
    }
}

/// An error's body in the client's dialect.
#[must_use]
pub fn error_body(dialect: Dialect, error: &ApiError) -> Vec<u8> {
    match dialect {
        Dialect::Chat | Dialect::Completions | Dialect::Responses => error.to_body(),
        Dialect::Messages => messages::error_body(error),
        Dialect::Gemini => gemini::error_body(error),
    }
}
