//! A pull lexer over JSON text that is held whole. It validates as it goes (RFC 8259, UTF-8, no lone
//! surrogates), allocates nothing, does not recurse, and passes over strings eight bytes at a time: in what
//! Rondo reads nearly every byte is inside a long string.

/// The deepest nesting that is read; one bit a level fits the lexer's stack.
pub const MAX_DEPTH: u32 = 128;

/// A half-open range of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes this span names, empty if it does not lie in `bytes`.
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A string's inside (without its quotes) and whether it holds escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub span: Span,
    pub escaped: bool,
}

impl Text {
    /// Whether the decoded string is `name`. Any character may have been written as an escape.
    pub fn is(&self, bytes: &[u8], name: &str) -> bool {
        let raw = self.span.of(bytes);
        if !self.escaped {
            return raw == name.as_bytes();
        }
        // Six bytes a character is the longest way to write one that is worth comparing.
        raw.len() <= name.len() * 6 && self.decode(bytes).is_some_and(|s| s == name)
    }

    /// The decoded string. Only for short strings: allocates when there are escapes.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Option<std::borrow::Cow<'a, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.span.of(bytes)).ok().map(Into::into);
        }
        let quoted = bytes.get(self.span.start.checked_sub(1)?..self.span.end + 1)?;
        serde_json::from_slice::<String>(quoted).ok().map(Into::into)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    /// A member's name; its colon has been read.
    Key(Text),
    String(Text),
    Number(Span),
    True,
    False,
    Null,
    /// The one value and nothing but white space behind it.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The text ends too early; `Lexer::cut` says where in the grammar.
    Eof,
    TooDeep,
    Utf8,
    Control,
    Escape,
    Surrogate,
    Number,
    Trailing,
    Syntax,
}

/// What was being read when the text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Between tokens.
    Between,
    /// In a string that starts (inside its quote) at `start`; `escape` is where an unfinished escape begins.
    InString { key: bool, start: usize, escape: Option<usize> },
    /// Behind a member's name, before its colon.
    AfterKey,
    /// In a number or literal that starts here.
    InScalar { start: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    CommaOrClose,
    End,
}

pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    pub pos: usize,
    /// Where the token last returned began (at the quote for strings).
    pub token_start: usize,
    pub depth: u32,
    pub expect: Expect,
    pub cut: Cut,
    /// One bit a level, the innermost lowest: set for an object.
    stack: u128,
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0, token_start: 0, depth: 0, expect: Expect::Value, cut: Cut::Between, stack: 0 }
    }

    pub fn in_object(&self) -> bool {
        self.depth > 0 && self.stack & 1 == 1
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.pos += 1,
                other => return other,
            }
        }
    }

    /// The next token. After an error the lexer must not be asked again.
    #[inline]
    pub fn next(&mut self) -> Result<Token, Fault> {
        loop {
            let Some(byte) = self.skip_space() else {
                return if self.expect == Expect::End { Ok(Token::End) } else { Err(Fault::Eof) };
            };
            self.token_start = self.pos;
            match (self.expect, byte) {
                (Expect::CommaOrClose, b',') => {
                    self.pos += 1;
                    self.expect = if self.in_object() { Expect::Key } else { Expect::Value };
                }
                (Expect::CommaOrClose | Expect::KeyOrClose, b'}') if self.in_object() => {
                    self.close();
                    return Ok(Token::ObjectEnd);
                }
                (Expect::CommaOrClose | Expect::ValueOrClose, b']') if !self.in_object() => {
                    self.close();
                    return Ok(Token::ArrayEnd);
                }
                (Expect::Key | Expect::KeyOrClose, b'"') => return self.key(),
                (Expect::Value | Expect::ValueOrClose, _) => return self.value(byte),
                (Expect::End, _) => return Err(Fault::Trailing),
                _ => return Err(Fault::Syntax),
            }
        }
    }

    /// Reads on until the container just opened is closed again.
    pub fn skip_container(&mut self) -> Result<(), Fault> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.stack = self.stack << 1 | u128::from(object);
        self.pos += 1;
        self.expect = if object { Expect::KeyOrClose } else { Expect::ValueOrClose };
        Ok(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.stack >>= 1;
        self.pos += 1;
        self.after_value();
    }

    /// For text that broke off: takes the innermost level off and tells the bracket that closes it.
    pub fn closer(&mut self) -> u8 {
        let bracket = if self.in_object() { b'}' } else { b']' };
        self.depth = self.depth.saturating_sub(1);
        self.stack >>= 1;
        bracket
    }

    fn after_value(&mut self) {
        self.expect = if self.depth == 0 { Expect::End } else { Expect::CommaOrClose };
    }

    fn key(&mut self) -> Result<Token, Fault> {
        let text = self.string(true)?;
        match self.skip_space() {
            Some(b':') => {
                self.pos += 1;
                self.expect = Expect::Value;
                Ok(Token::Key(text))
            }
            Some(_) => Err(Fault::Syntax),
            None => {
                self.cut = Cut::AfterKey;
                Err(Fault::Eof)
            }
        }
    }

    fn value(&mut self, byte: u8) -> Result<Token, Fault> {
        match byte {
            b'"' => {
                let text = self.string(false)?;
                self.after_value();
                Ok(Token::String(text))
            }
            b'{' => self.open(true).map(|()| Token::ObjectStart),
            b'[' => self.open(false).map(|()| Token::ArrayStart),
            b't' => self.literal(b"true", Token::True),
            b'f' => self.literal(b"false", Token::False),
            b'n' => self.literal(b"null", Token::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Fault::Syntax),
        }
    }

    fn literal(&mut self, word: &[u8], token: Token) -> Result<Token, Fault> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        if rest.starts_with(word) {
            self.pos += word.len();
            self.after_value();
            Ok(token)
        } else if word.starts_with(rest) {
            self.cut = Cut::InScalar { start: self.pos };
            Err(Fault::Eof)
        } else {
            Err(Fault::Syntax)
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.pos += 1;
        }
        match self.peek() {
            _ if self.pos > start => Ok(()),
            Some(_) => Err(Fault::Number),
            None => {
                self.cut = Cut::InScalar { start: self.token_start };
                Err(Fault::Eof)
            }
        }
    }

    /// A number by its grammar alone: how large it is does not matter here.
    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        if self.peek() == Some(b'0') {
            self.pos += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(Fault::Number);
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            self.digits()?;
        }
        self.after_value();
        Ok(Token::Number(Span { start, end: self.pos }))
    }

    fn string(&mut self, key: bool) -> Result<Text, Fault> {
        self.pos += 1;
        let start = self.pos;
        let mut escaped = false;
        let mut high_bits = 0;
        loop {
            self.pos += plain_run(self.bytes.get(self.pos..).unwrap_or_default(), &mut high_bits);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    let at = self.pos;
                    if let Err(fault) = self.escape() {
                        self.cut = Cut::InString { key, start, escape: Some(at) };
                        return Err(fault);
                    }
                }
                Some(_) => return Err(Fault::Control),
                None => {
                    self.cut = Cut::InString { key, start, escape: None };
                    return Err(Fault::Eof);
                }
            }
        }
        let span = Span { start, end: self.pos };
        self.pos += 1;
        // What is ASCII throughout needs no second look; outside strings nothing else gets through.
        if high_bits & HIGH != 0 && std::str::from_utf8(span.of(self.bytes)).is_err() {
            return Err(Fault::Utf8);
        }
        Ok(Text { span, escaped })
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.pos + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.pos += 2;
                Ok(())
            }
            Some(b'u') => match self.unit(self.pos)? {
                0xD800..=0xDBFF => {
                    match (self.bytes.get(self.pos + 6), self.bytes.get(self.pos + 7)) {
                        (Some(b'\\'), Some(b'u')) => {}
                        (None, _) | (Some(b'\\'), None) => return Err(Fault::Eof),
                        _ => return Err(Fault::Surrogate),
                    }
                    match self.unit(self.pos + 6)? {
                        0xDC00..=0xDFFF => {
                            self.pos += 12;
                            Ok(())
                        }
                        _ => Err(Fault::Surrogate),
                    }
                }
                0xDC00..=0xDFFF => Err(Fault::Surrogate),
                _ => {
                    self.pos += 6;
                    Ok(())
                }
            },
            Some(_) => Err(Fault::Escape),
            None => Err(Fault::Eof),
        }
    }

    fn unit(&self, at: usize) -> Result<u16, Fault> {
        code_unit(self.bytes.get(at + 2..).unwrap_or_default())
    }
}

/// The four hexadecimal digits at the start of `bytes`.
pub(crate) fn code_unit(bytes: &[u8]) -> Result<u16, Fault> {
    let mut unit = 0_u16;
    for n in 0..4 {
        let digit = match bytes.get(n) {
            Some(byte @ b'0'..=b'9') => byte - b'0',
            Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
            Some(byte @ b'A'..=b'F') => byte - b'A' + 10,
            Some(_) => return Err(Fault::Escape),
            None => return Err(Fault::Eof),
        };
        unit = unit << 4 | u16::from(digit);
    }
    Ok(unit)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is a quote, a backslash or a control character. Bytes behind the first
/// such byte may be marked wrongly (a borrow runs upwards), the first never.
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let found = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    found & HIGH
}

/// How many bytes from the start need no attention inside a string; `high_bits` gathers their bits.
#[inline]
fn plain_run(bytes: &[u8], high_bits: &mut u64) -> usize {
    let mut done = 0;
    let (pairs, _) = bytes.as_chunks::<16>();
    for pair in pairs {
        let both = u128::from_le_bytes(*pair);
        let (low, high) = (both as u64, (both >> 64) as u64);
        let (in_low, in_high) = (special(low), special(high));
        if in_low | in_high != 0 {
            *high_bits |= low | high;
            return done
                + if in_low != 0 { in_low.trailing_zeros() / 8 } else { 8 + in_high.trailing_zeros() / 8 }
                    as usize;
        }
        *high_bits |= low | high;
        done += 16;
    }
    for byte in bytes.get(done..).unwrap_or_default() {
        if matches!(byte, b'"' | b'\\' | 0..=0x1F) {
            break;
        }
        *high_bits |= u64::from(*byte);
        done += 1;
    }
    done
}

#[cfg(test)]
#[path = "lex_tests.rs"]
mod tests;
