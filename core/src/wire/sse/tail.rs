//! Following a stream of chat chunks without keeping it.

use crate::wire::errors::{ApiError, UpstreamError};
use crate::wire::lex::{Fault, Lexer, Span, Text, Token};
use crate::wire::sse::closing::{self, Broken};
use crate::wire::sse::scanner::{Event, EventScanner, Name};
use crate::wire::tokens::TokenEstimator;
use crate::wire::upstream_error;
use crate::wire::usage::Usage;

/// The longest event that is read, in bytes; as much as a whole answer that is held. Longer ones are only counted.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// Bytes of an event that was not kept, for each token guessed to be in it.
const BYTES_PER_LOST_TOKEN: usize = 4;

/// What the first event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// A part of the answer.
    Data,
    /// `[DONE]`: an answer of nothing.
    Done,
    /// An error, or what is no JSON (code `malformed_event`): the answer has not begun.
    Error(UpstreamError),
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// `max_tokens`.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A filter stopped it.
    ContentFilter,
    /// Something else.
    Other,
}

/// Reads a stream as it passes, in chunks cut anywhere, and knows at its end what became of it.
#[derive(Debug)]
pub struct Tail {
    scanner: EventScanner,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    first: Option<(First, u64)>,
    done: bool,
    error: Option<UpstreamError>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    estimator: TokenEstimator,
    lost_tokens: u64,
}

/// What became of a stream.
#[derive(Debug)]
pub struct End {
    /// `[DONE]` was seen.
    pub done: bool,
    /// It stopped within an event. With `done`, only the last line's end was missing.
    pub mid_frame: bool,
    /// The first error event that went by.
    pub error: Option<UpstreamError>,
    /// Why the model stopped, of the last choice that did.
    pub finish: Option<Finish>,
    /// The last usage object.
    pub usage: Option<Usage>,
    /// Tokens guessed to be in the texts, reasoning and tool arguments that were sent.
    pub estimated_completion_tokens: u64,
    /// What the first event was; None if there was none.
    pub first: Option<First>,
    broken: Broken,
}

impl End {
    /// What to write behind the stream so that it ends well: nothing behind a sound `[DONE]`; else the rest of an
    /// event that broke off, and `error` as an event. No `[DONE]` is added, save the rest of one that broke off.
    pub fn closing(&self, error: &ApiError) -> Vec<u8> {
        closing::bytes(&self.broken, self.done, error)
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self { scanner: EventScanner::new(MAX_EVENT_BYTES), seen: Seen::default() }
    }
}

impl Tail {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on.
    pub fn feed(&mut self, chunk: &[u8]) {
        let seen = &mut self.seen;
        self.scanner.feed(chunk, |event| seen.event(&event));
    }

    /// The first event and where it ended.
    pub(super) fn first(&self) -> Option<&(First, u64)> {
        self.seen.first.as_ref()
    }

    /// Bytes fed so far.
    pub fn bytes(&self) -> u64 {
        self.scanner.bytes()
    }

    /// `[DONE]` has been seen.
    pub fn done(&self) -> bool {
        self.seen.done
    }

    /// The stream ended. What its last line holds counts even without the line's end.
    pub fn end(mut self) -> End {
        let mid_frame = self.scanner.mid_frame();
        let end = self.scanner.bytes();
        let broken = Broken::of(&self.scanner);
        match &broken {
            Broken::Done { .. } => {
                self.seen.event(&Event { name: Name::Message, data: b"[DONE]", lost: 0, end })
            }
            Broken::Whole { name, data, .. } => self.seen.event(&Event { name: *name, data, lost: 0, end }),
            // What had been sent of it was sent.
            Broken::Json { data, .. } => drop(self.seen.chunk(data)),
            Broken::None | Broken::NoData { .. } | Broken::Hopeless => {}
        }
        let seen = self.seen;
        End {
            done: seen.done,
            mid_frame,
            error: seen.error,
            finish: seen.finish,
            usage: seen.usage,
            estimated_completion_tokens: seen.estimator.tokens() + seen.lost_tokens,
            first: seen.first.map(|(first, _)| first),
            broken,
        }
    }
}

impl Seen {
    fn event(&mut self, event: &Event<'_>) {
        let first = if event.lost > 0 {
            self.lost_tokens += (event.lost / BYTES_PER_LOST_TOKEN) as u64;
            First::Data
        } else if event.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            First::Done
        } else {
            match self.error_in(event) {
                Some(error) => First::Error(error),
                None => First::Data,
            }
        };
        if self.error.is_none()
            && let First::Error(error) = &first
        {
            self.error = Some(error.clone());
        }
        if self.first.is_none() {
            self.first = Some((first, event.end));
        }
    }

    fn error_in(&mut self, event: &Event<'_>) -> Option<UpstreamError> {
        let unnamed = |code: &str| UpstreamError {
            message: String::from_utf8_lossy(event.data.get(..300).unwrap_or(event.data)).into_owned(),
            code: code.to_owned(),
            ..UpstreamError::default()
        };
        match self.chunk(event.data) {
            Ok(suspect) if suspect || event.name == Name::Error => {
                let error = upstream_error::from_event(event.data);
                // An event may be named an error and say nothing that is known.
                if event.name == Name::Error { error.or_else(|| Some(unnamed("error_event"))) } else { error }
            }
            Ok(_) => None,
            Err(_) if event.name == Name::Error => Some(unnamed("error_event")),
            // Servers cut texts between the halves of a character; most clients live with that.
            Err(Fault::Surrogate | Fault::Utf8 | Fault::TooDeep) => None,
            Err(_) => Some(unnamed("malformed_event")),
        }
    }

    /// Reads one chunk by one pass over its bytes: its texts go to the estimator, and of the rest only what is in
    /// its place counts, whatever the texts say. True if it may be an error.
    fn chunk(&mut self, data: &[u8]) -> Result<bool, Fault> {
        let mut lexer = Lexer::new(data);
        if lexer.next()? != Token::ObjectStart {
            return Err(Fault::Syntax);
        }
        let (mut error, mut message, mut choices) = (false, false, false);
        while let Token::Key(key) = lexer.next()? {
            let name = key.span.of(data);
            let value = lexer.next()?;
            let start = lexer.token_start;
            if name == b"choices" && value == Token::ArrayStart {
                choices = true;
                self.choices(&mut lexer, data)?;
                continue;
            }
            if matches!(value, Token::ObjectStart | Token::ArrayStart) {
                lexer.skip_container()?;
            }
            match name {
                b"usage" if value == Token::ObjectStart => {
                    let usage = Usage::from_json(Span { start, end: lexer.pos }.of(data));
                    self.usage = usage.or(self.usage);
                }
                b"error" => error |= value != Token::Null,
                b"message" => message = true,
                _ => {}
            }
        }
        lexer.next()?;
        Ok(error || message && !choices)
    }

    fn choices(&mut self, lexer: &mut Lexer<'_>, data: &[u8]) -> Result<(), Fault> {
        let outside = lexer.depth - 1;
        let mut key = None;
        while lexer.depth > outside {
            match lexer.next() {
                Ok(Token::Key(text)) => {
                    key = Some(text);
                    continue;
                }
                Ok(Token::String(text)) => self.text(key, text, lexer.depth - outside, data),
                Ok(_) => {}
                Err(fault) => {
                    // The text that broke off has been sent as far as it goes.
                    if let crate::wire::lex::Cut::InString { key: false, start, .. } = lexer.cut {
                        let text = Text { span: Span { start, end: data.len() }, escaped: true };
                        self.text(key, text, 0, data);
                    }
                    return Err(fault);
                }
            }
            key = None;
        }
        Ok(())
    }

    fn text(&mut self, key: Option<Text>, value: Text, depth: u32, data: &[u8]) {
        match key.map(|key| key.span.of(data)) {
            Some(b"content" | b"reasoning" | b"reasoning_content" | b"arguments" | b"text" | b"refusal") => {
                self.estimator.feed_json(value.span.of(data));
            }
            // A member of the choice itself: two levels in.
            Some(b"finish_reason") if depth == 2 => {
                self.finish = Some(match value.span.of(data) {
                    b"stop" => Finish::Stop,
                    b"length" => Finish::Length,
                    b"tool_calls" | b"function_call" => Finish::ToolCalls,
                    b"content_filter" => Finish::ContentFilter,
                    _ => Finish::Other,
                });
            }
            _ => {}
        }
    }
}
