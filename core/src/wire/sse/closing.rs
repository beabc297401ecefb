//! Ending a stream that broke off, so that every client gives the error out and none chokes on the broken event.
//!
//! Clients parse the data of each event as JSON as soon as its blank line is there. Closing half an event with a
//! blank line would make them throw a JSON error in the place of ours, and bytes once sent can't be taken back. So
//! the half event is completed: open strings, numbers and brackets are closed, and `error` is put in as a member
//! of the chunk. Clients that look for `error` first (OpenAI's, Cerebras') raise it there; those that took the
//! chunk for an ordinary one find the same error in an event of its own behind it.

use crate::wire::errors::ApiError;
use crate::wire::lex::{Cut, Expect, Fault, Lexer, Token, code_unit};
use crate::wire::sse::scanner::{EventScanner, Field, Name, field, strip_mark};

const DONE: &[u8] = b"[DONE]";

/// A well-formed event with the error in the form that all clients read, its status as `status_code`.
pub fn error_event(error: &ApiError) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&error.to_stream_body());
    event.extend_from_slice(b"\n\n");
    event
}

/// What is left unfinished at the end of a stream. `in_line` says that the last line lacks its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nothing.
    None,
    /// The beginnings of an event without data yet; `lead` goes before an event that takes its place.
    NoData { lead: Lead },
    /// `[DONE]`, up to this many bytes of it.
    Done { have: usize },
    /// The data is complete, the blank line is missing.
    Whole { name: Name, data: Vec<u8> },
    /// The data is an object that breaks off.
    Json { data: Vec<u8>, lead: Lead },
    /// The data is none that could be completed, or too long to be known.
    Hopeless,
}

/// Where the last line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// At its start.
    LineStart,
    /// In a data line's value: what is written goes on there.
    InData,
    /// In a line `data` without a colon, which is an empty data line if it ends here.
    DataName,
    /// In any other line.
    InOther,
}

impl Lead {
    /// What ends the line and starts a data line, if one is not open.
    fn to_data(self) -> &'static [u8] {
        match self {
            Self::LineStart => b"data: ",
            Self::InData => b"",
            Self::DataName => b": ",
            Self::InOther => b"\ndata: ",
        }
    }
}

impl Broken {
    pub(super) fn of(scanner: &EventScanner) -> Self {
        if scanner.overflowed() {
            return Self::Hopeless;
        }
        let line = if scanner.bytes() == scanner.line.len() as u64 {
            strip_mark(&scanner.line)
        } else {
            &scanner.line
        };
        let mut data = scanner.data.clone();
        let lead = match field(line) {
            _ if line.is_empty() => Lead::LineStart,
            _ if line == b"data" => Lead::DataName,
            Field::Data(rest) => {
                if scanner.has_data {
                    data.push(b'\n');
                }
                data.extend_from_slice(rest);
                Lead::InData
            }
            _ => Lead::InOther,
        };
        let trimmed = data.trim_ascii();
        if trimmed.is_empty() {
            return if scanner.mid_frame() { Self::NoData { lead } } else { Self::None };
        }
        // A chunk is never a list, so what begins like the mark is the mark.
        if DONE.starts_with(trimmed) {
            return Self::Done { have: if lead == Lead::InData { trimmed.len() } else { DONE.len() } };
        }
        match fault(&data) {
            None => Self::Whole { name: scanner.name(), data },
            Some(Fault::Eof) => Self::Json { data, lead },
            Some(_) => Self::Hopeless,
        }
    }
}

fn fault(data: &[u8]) -> Option<Fault> {
    let mut lexer = Lexer::new(data);
    loop {
        match lexer.next() {
            Ok(Token::End) => return None,
            Ok(_) => {}
            Err(fault) => return Some(fault),
        }
    }
}

pub(super) fn bytes(broken: &Broken, done: bool, error: &ApiError) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    match broken {
        Broken::None => {}
        Broken::Done { have } => out.extend_from_slice(DONE.get(*have..).unwrap_or_default()),
        // An event with a name and no data is one to some clients, so the error becomes its data.
        Broken::NoData { lead } if !done => {
            out.extend_from_slice(lead.to_data());
            out.extend_from_slice(&error.to_stream_body());
            out.extend_from_slice(b"\n\n");
            return out;
        }
        Broken::NoData { .. } | Broken::Whole { .. } | Broken::Hopeless => {}
        Broken::Json { data, lead } => {
            if let Some(rest) = complete(data, *lead == Lead::InData, error) {
                out.extend_from_slice(lead.to_data());
                out.extend_from_slice(&rest);
            }
        }
    }
    if !matches!(broken, Broken::None) {
        out.extend_from_slice(b"\n\n");
    }
    if !done {
        out.extend_from_slice(&error_event(error));
    }
    out
}

/// What makes `data`, an object that breaks off, whole and an error. None if it can't be done.
fn complete(data: &[u8], in_line: bool, error: &ApiError) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(data);
    if lexer.next().ok()? != Token::ObjectStart {
        return None;
    }
    while lexer.next().is_ok() {}
    let mut out = Vec::new();
    let mut expect = lexer.expect;
    match lexer.cut {
        Cut::InString { .. } if !in_line => return None,
        Cut::InString { key, start, escape } => {
            finish_text(data, start, escape, &mut out)?;
            out.extend_from_slice(if key { b"\":null" } else { b"\"" });
            expect = Expect::CommaOrClose;
        }
        Cut::AfterKey => {
            out.extend_from_slice(b":null");
            expect = Expect::CommaOrClose;
        }
        Cut::InScalar { .. } if !in_line => return None,
        Cut::InScalar { start } => {
            finish_scalar(data.get(start..)?, &mut out)?;
            expect = Expect::CommaOrClose;
        }
        Cut::Between if expect == Expect::Value => {
            out.extend_from_slice(b"null");
            expect = Expect::CommaOrClose;
        }
        Cut::Between => {}
    }
    if lexer.depth > 1 && expect == Expect::Key {
        out.extend_from_slice(b"\"_\":null");
    }
    while lexer.depth > 1 {
        out.push(lexer.closer());
        expect = Expect::CommaOrClose;
    }
    if expect == Expect::CommaOrClose {
        out.push(b',');
    }
    out.extend_from_slice(error.to_stream_body().get(1..)?);
    Some(out)
}

/// The rest of the escape or of the UTF-8 sequence that a string breaks off in.
fn finish_text(data: &[u8], start: usize, escape: Option<usize>, out: &mut Vec<u8>) -> Option<()> {
    let text = data.get(start..escape.unwrap_or(data.len()))?;
    match std::str::from_utf8(text) {
        Ok(_) => {}
        Err(error) if error.error_len().is_none() && escape.is_none() => {
            let have = text.get(error.valid_up_to()..)?;
            let (length, second) = match have.first()? {
                0xE0 => (3, 0xA0),
                0xF0 => (4, 0x90),
                0xF1.. => (4, 0x80),
                0xE1.. => (3, 0x80),
                _ => (2, 0x80),
            };
            out.extend((have.len()..length).map(|at| if at == 1 { second } else { 0x80 }));
        }
        Err(_) => return None,
    }
    if let Some(escape) = escape {
        let have = data.get(escape..)?;
        if have == b"\\" {
            out.push(b'\\');
        } else if have.len() < 6 {
            let digits = b"\\u0000".get(have.len()..)?;
            out.extend_from_slice(digits);
            // Padded, it may have become the first half of a pair.
            let unit = [have, digits].concat();
            if matches!(code_unit(unit.get(2..)?), Ok(0xD800..=0xDBFF)) {
                out.extend_from_slice(b"\\udc00");
            }
        } else {
            out.extend_from_slice(b"\\udc00".get(have.len() - 6..)?);
        }
    }
    Some(())
}

fn finish_scalar(have: &[u8], out: &mut Vec<u8>) -> Option<()> {
    for word in ["true", "false", "null"] {
        if let Some(rest) = word.as_bytes().strip_prefix(have) {
            out.extend_from_slice(rest);
            return Some(());
        }
    }
    // A number breaks off only where a digit must follow.
    out.push(b'0');
    Some(())
}
