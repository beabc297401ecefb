//! One pass over a request body: is it sound JSON, and where are the few top-level fields that matter. No tree
//! is built; the model's name is spliced into the same bytes.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::wire::lex::{Fault, Lexer, Text, Token};

pub use crate::wire::lex::{MAX_DEPTH, Span};

/// The longest model name that is read, in bytes.
pub const MAX_MODEL_BYTES: usize = 256;

/// `stream_options` longer than this is not looked into: it holds one boolean.
const MAX_STREAM_OPTIONS_BYTES: usize = 4096;

/// Of a long body so much of its start and of its end is what it is recognised by: hashing all of 16 MiB takes tens
/// of milliseconds.
const FINGERPRINT_BYTES: usize = 8_192;

/// Top-level fields whose text the model reads, in all dialects; true if member names inside are read too
/// (schemas are, the `role` and `content` of a message are not).
const TEXT_FIELDS: [(&str, bool); 11] = [
    ("messages", false),
    ("prompt", false),
    ("tools", true),
    ("response_format", true),
    ("input", false),
    ("instructions", false),
    ("system", false),
    ("contents", false),
    ("systemInstruction", false),
    ("functions", true),
    ("suffix", false),
];

/// The `model` member of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The decoded name, at most `MAX_MODEL_BYTES` long.
    pub name: String,
    /// Where its value stands, quotes included.
    pub span: Span,
}

/// What one pass found out about a request body that is a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The model asked for, if any.
    pub model: Option<Model>,
    /// `stream` is true.
    pub stream: bool,
    /// Most tokens the answer may have: `max_completion_tokens`, else `max_tokens`. None where the value is
    /// absent, null, negative (no limit) or no number (the upstream will say so).
    pub max_tokens: Option<u64>,
    /// How many answers are asked for, at least 1.
    pub n: u64,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// Where the value of `stream_options` stands.
    pub stream_options: Option<Span>,
    /// Just behind the opening brace, where a member can be put in.
    pub insert_at: usize,
    /// The object has no members, so what is put in needs no comma.
    pub is_empty: bool,
    texts: [Option<Span>; TEXT_FIELDS.len()],
}

impl Scan {
    /// The values that hold the prompt's text, and whether member names inside them count.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (Span, bool)> {
        self.texts.iter().zip(TEXT_FIELDS).filter_map(|(span, (_, names))| span.map(|span| (span, names)))
    }
}

/// Why a body was refused. All are the client's fault: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Nothing but white space.
    Empty,
    /// Sound so far, but no object.
    NotAnObject,
    /// Nested deeper than `MAX_DEPTH`.
    TooDeep,
    /// No JSON; the position and what is wrong there.
    Invalid(usize, &'static str),
    /// The member is there twice, and two readers might each take another one.
    Duplicate(&'static str),
    /// `model` is not a string.
    ModelNotString,
    /// `model` is longer than `MAX_MODEL_BYTES`.
    ModelTooLong,
    /// `stream` is neither a boolean nor null.
    StreamNotBoolean,
}

impl ScanError {
    /// The field at fault as OpenAI's errors name it, empty if it is the whole body.
    pub fn param(&self) -> &'static str {
        match self {
            Self::Duplicate(name) => name,
            Self::ModelNotString | Self::ModelTooLong => "model",
            Self::StreamNotBoolean => "stream",
            _ => "",
        }
    }

    fn at(position: usize, fault: Fault) -> Self {
        Self::Invalid(
            position,
            match fault {
                Fault::TooDeep => return Self::TooDeep,
                Fault::Eof => "it ends too early",
                Fault::Utf8 => "a string is not UTF-8",
                Fault::Control => "a control character in a string must be escaped",
                Fault::Escape => "an escape sequence that JSON does not know",
                Fault::Surrogate => "half of a surrogate pair",
                Fault::Number => "a malformed number",
                Fault::Trailing => "something follows the object",
                Fault::Syntax => "an unexpected character",
            },
        )
    }
}

impl std::fmt::Display for ScanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("The request has no body. Send a JSON object."),
            Self::NotAnObject => f.write_str("The request body must be a JSON object."),
            Self::TooDeep => write!(f, "The request body is nested deeper than {MAX_DEPTH} levels."),
            Self::Invalid(position, what) => {
                write!(f, "The request body is not valid JSON: {what} (byte {position}).")
            }
            Self::Duplicate(name) => write!(f, "The request body has `{name}` more than once."),
            Self::ModelNotString => f.write_str("`model` must be a string."),
            Self::ModelTooLong => write!(f, "`model` is longer than {MAX_MODEL_BYTES} bytes."),
            Self::StreamNotBoolean => f.write_str("`stream` must be true, false or null."),
        }
    }
}

impl std::error::Error for ScanError {}

/// Reads a request body once: sound JSON to the last byte, an object, and its fields that matter. What a strict
/// reader takes is taken here (escaped names too), save that numbers may be of any size and nesting may reach
/// `MAX_DEPTH`. Of a repeated member the last counts, except that a second `model` or `stream` is an error.
pub fn scan(body: &[u8]) -> Result<Scan, ScanError> {
    let mut lexer = Lexer::new(body);
    match lexer.next() {
        Ok(Token::ObjectStart) => {}
        Ok(_) => return Err(ScanError::NotAnObject),
        Err(Fault::Eof) if body.trim_ascii().is_empty() => return Err(ScanError::Empty),
        Err(fault) => return Err(ScanError::at(lexer.pos, fault)),
    }
    let mut scan = Scan { n: 1, insert_at: lexer.pos, is_empty: true, ..Scan::default() };
    let mut seen = Seen::default();
    let end = members(body, &mut lexer, &mut scan, &mut seen);
    // The position is read here, so that the walk itself needs no error of its own for it.
    end.map_err(|error| match error {
        Walk::Fault(fault) => ScanError::at(lexer.pos, fault),
        Walk::Refused(error) => error,
    })?;
    scan.max_tokens = seen.max_completion_tokens.or(seen.max_tokens);
    Ok(scan)
}

#[derive(Default)]
struct Seen {
    stream: bool,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

enum Walk {
    Fault(Fault),
    Refused(ScanError),
}

impl From<Fault> for Walk {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn members(body: &[u8], lexer: &mut Lexer<'_>, scan: &mut Scan, seen: &mut Seen) -> Result<(), Walk> {
    while let Token::Key(key) = lexer.next()? {
        scan.is_empty = false;
        let value = lexer.next()?;
        let start = lexer.token_start;
        if matches!(value, Token::ObjectStart | Token::ArrayStart) {
            lexer.skip_container()?;
        }
        member(body, key, value, Span { start, end: lexer.pos }, scan, seen).map_err(Walk::Refused)?;
    }
    // The loop ended at the closing brace; whatever is not white space behind it is an error.
    lexer.next()?;
    Ok(())
}

fn member(
    body: &[u8],
    key: Text,
    value: Token,
    span: Span,
    scan: &mut Scan,
    seen: &mut Seen,
) -> Result<(), ScanError> {
    let decoded;
    let name = if key.escaped {
        // The longest name that matters has 21 characters; six bytes is the longest way to write one.
        decoded = if key.span.len() <= 21 * 6 { key.decode(body) } else { None };
        decoded.as_deref().map(str::as_bytes).unwrap_or_default()
    } else {
        key.span.of(body)
    };
    match name {
        b"model" => {
            if scan.model.is_some() {
                return Err(ScanError::Duplicate("model"));
            }
            let Token::String(text) = value else { return Err(ScanError::ModelNotString) };
            if text.span.len() > MAX_MODEL_BYTES * 6 {
                return Err(ScanError::ModelTooLong);
            }
            let name = text.decode(body).ok_or(ScanError::ModelNotString)?.into_owned();
            if name.len() > MAX_MODEL_BYTES {
                return Err(ScanError::ModelTooLong);
            }
            scan.model = Some(Model { name, span });
        }
        b"stream" => {
            if std::mem::replace(&mut seen.stream, true) {
                return Err(ScanError::Duplicate("stream"));
            }
            scan.stream = match value {
                Token::True => true,
                Token::False | Token::Null => false,
                _ => return Err(ScanError::StreamNotBoolean),
            };
        }
        b"max_tokens" => seen.max_tokens = count(body, value),
        b"max_completion_tokens" | b"max_output_tokens" => seen.max_completion_tokens = count(body, value),
        b"n" => scan.n = count(body, value).unwrap_or(1).max(1),
        b"stream_options" => {
            scan.stream_options = Some(span);
            scan.include_usage = None;
            if value == Token::ObjectStart && span.len() <= MAX_STREAM_OPTIONS_BYTES {
                scan.include_usage = serde_json::from_slice::<StreamOptions>(span.of(body))
                    .ok()
                    .and_then(|options| options.include_usage);
            }
        }
        _ => {
            let known = TEXT_FIELDS.iter().position(|(field, _)| field.as_bytes() == name);
            if let Some(slot) = known.and_then(|at| scan.texts.get_mut(at)) {
                *slot = Some(span);
            }
        }
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A count of something: whole or with a fraction of zero, however written (`1e3`). Fractions are cut off,
/// what is beyond any count becomes the largest.
fn count(body: &[u8], value: Token) -> Option<u64> {
    let Token::Number(span) = value else { return None };
    let text = std::str::from_utf8(span.of(body)).ok()?;
    text.parse().ok().or_else(|| {
        let float = text.parse::<f64>().ok()?;
        // The cast saturates, and `-1` (no limit) must not become 0.
        (float >= 0.0).then_some(float as u64)
    })
}

/// How to make the body with another model: `body[..head]`, `insert`, `body[tail..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// End of the part kept from the start.
    pub head: usize,
    /// The model as JSON, with its member name and a comma if it was missing.
    pub insert: String,
    /// Start of the part kept to the end.
    pub tail: usize,
}

impl Splice {
    /// Length of the new body in bytes.
    pub fn new_len(&self, body: &[u8]) -> usize {
        self.head + self.insert.len() + body.len().saturating_sub(self.tail)
    }

    /// The three parts in order.
    pub fn parts<'a>(&'a self, body: &'a [u8]) -> [&'a [u8]; 3] {
        let head = body.get(..self.head).unwrap_or_default();
        [head, self.insert.as_bytes(), body.get(self.tail..).unwrap_or_default()]
    }

    /// The new body, by one copy.
    pub fn to_vec(&self, body: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(self.new_len(body));
        for part in self.parts(body) {
            new.extend_from_slice(part);
        }
        new
    }
}

/// Puts `model` in the place of the body's own, or in front of all members if it has none. `scan` must be of
/// this very body.
pub fn splice_model(body: &[u8], scan: &Scan, model: &str) -> Splice {
    debug_assert!(scan.insert_at <= body.len());
    let name = serde_json::Value::from(model).to_string();
    match &scan.model {
        Some(field) => Splice { head: field.span.start, insert: name, tail: field.span.end },
        None => {
            let comma = if scan.is_empty { "" } else { "," };
            Splice { head: scan.insert_at, insert: format!("\"model\":{name}{comma}"), tail: scan.insert_at }
        }
    }
}

/// What a body is recognised by when it is sent again. It is not for keeping, and says nothing of the content.
#[must_use]
pub fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.len().hash(&mut hasher);
    match (body.first_chunk::<FINGERPRINT_BYTES>(), body.last_chunk::<FINGERPRINT_BYTES>()) {
        (Some(start), Some(end)) => {
            hasher.write(start);
            hasher.write(end);
        }
        _ => hasher.write(body),
    }
    hasher.finish()
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
