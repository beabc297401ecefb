//! How many tokens a text has, guessed without a tokenizer: pieces are counted as the pattern of `o200k_base`
//! (gpt-oss) cuts them, and each kind of piece has a fitted price. `tokens_fixture.rs` holds true counts.

use crate::wire::json::Scan;
use crate::wire::lex::{Lexer, Span, Token, code_unit};

/// What a message costs beside its text: its frame of special tokens.
const MESSAGE_TOKENS: f64 = 3.0;
/// What stands in front of every conversation.
const PROMPT_TOKENS: f64 = 3.0;
/// An image or a sound, whatever its size in base64.
const BLOB_TOKENS: f64 = 512.0;
/// A string of this many bytes is looked at to see whether it is base64 rather than text.
const BLOB_MIN_BYTES: usize = 1024;
/// Strings longer than this are sampled: windows of `WINDOW` bytes, evenly spaced.
const SAMPLE_FROM: usize = 128 * 1024;
const WINDOW: usize = 2048;
const WINDOWS: usize = 32;

const FEATURES: usize = 20;

/// Tokens for one of each feature, in the order of `Feature`: fitted by least squares on relative errors over
/// prose, Chinese, Japanese, Korean and code; `OtherLetters` and `OtherWords` are a compromise between scripts
/// (Thai, without spaces, is guessed at half its size).
const PRICES: [f64; FEATURES] = [
    0.953, 0.144, 0.295, 0.146, 1.377, 0.606, 1.195, 0.151, 0.914, 0.903, 0.089, 0.737, 0.688, 0.300, 0.671,
    0.684, 0.220, 0.650, 1.941, 2.368,
];

#[derive(Clone, Copy)]
enum Feature {
    /// A word of cased letters, with the one space or sign in front that the pattern takes along.
    Word,
    /// Letters of words beyond the 7th and the 10th.
    Beyond7,
    Beyond10,
    /// Capitals beyond a word's first.
    Capitals,
    /// Letters of words that are not ASCII.
    Accents,
    /// A single sign right before a word.
    SignedWord,
    /// Other runs of signs, and their length beyond 2.
    Signs,
    SignsBeyond2,
    /// Groups of three digits.
    Digits,
    /// Runs of two spaces or more.
    Spaces,
    /// Runs of line feeds.
    Lines,
    /// Chinese characters, and runs of them.
    Han,
    HanRuns,
    /// Full-width and general punctuation.
    WideSigns,
    Kana,
    Hangul,
    /// Cyrillic, Greek, Hebrew, Arabic, Indic and other letters, and words of them.
    OtherLetters,
    OtherWords,
    /// Characters of three bytes that are none of the above, and of four.
    Three,
    Four,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Accent,
    Digit,
    Space,
    Line,
    Sign,
    Han,
    WideSign,
    Kana,
    Hangul,
    OtherLetter,
    Three,
    Four,
    None,
}

const ASCII: [Class; 128] = {
    let mut table = [Class::Sign; 128];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "runs in the compiler, where a panic is a build error")]
        {
            table[byte] = match byte as u8 {
                b'a'..=b'z' => Class::Lower,
                b'A'..=b'Z' => Class::Upper,
                b'0'..=b'9' => Class::Digit,
                b' ' | b'\t' => Class::Space,
                b'\n' | b'\r' => Class::Line,
                _ => Class::Sign,
            };
        }
        byte += 1;
    }
    table
};

fn class_of(point: u32) -> Class {
    match point {
        0..0x80 => ASCII.get(point as usize).copied().unwrap_or(Class::Sign),
        0x80..0xC0 | 0x2000..0x2070 | 0x3000..0x3040 | 0xFF00..0xFFF0 => Class::WideSign,
        0xC0..0x250 | 0x1E00..0x1F00 => Class::Accent,
        0x250..0x1100 => Class::OtherLetter,
        0x3040..0x3100 => Class::Kana,
        0x3400..0xA000 | 0xF900..0xFB00 | 0x2_0000..0x4_0000 => Class::Han,
        0xAC00..0xD7A4 | 0x1100..0x1200 => Class::Hangul,
        0x1100..0x1_0000 => Class::Three,
        _ => Class::Four,
    }
}

/// Guesses tokens of text that comes in pieces, cut anywhere. Constant memory.
#[derive(Clone, Debug)]
pub struct TokenEstimator {
    counts: [u64; FEATURES],
    /// The run being read: its class (words are `Lower`), its length, and whether its word is all capitals so far.
    run: Class,
    length: u64,
    capitals_only: bool,
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("run")
    }
}

impl Default for TokenEstimator {
    fn default() -> Self {
        Self { counts: [0; FEATURES], run: Class::None, length: 0, capitals_only: false }
    }
}

impl TokenEstimator {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on. A text fed in pieces counts as the same text fed whole.
    pub fn feed(&mut self, text: &str) {
        self.feed_utf8(text.as_bytes());
    }

    /// Reads on in the inside of a JSON string: its escapes are decoded on the way.
    pub(crate) fn feed_json(&mut self, raw: &[u8]) {
        let mut rest = raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            self.feed_utf8(rest.get(..at).unwrap_or_default());
            let escape = rest.get(at + 1..).unwrap_or_default();
            let mut used = 1;
            match escape.first() {
                Some(b'n' | b'r') => self.push(Class::Line),
                Some(b't') => self.push(Class::Space),
                Some(b'u') => {
                    used = 5;
                    match code_unit(escape.get(1..).unwrap_or_default()) {
                        // The first half of a pair says enough of the whole, the second nothing.
                        Ok(unit @ 0xD800..=0xDBFF) => {
                            self.push(class_of(0x1_0000 + (u32::from(unit - 0xD800) << 10)))
                        }
                        Ok(0xDC00..=0xDFFF) => {}
                        Ok(unit) => self.push(class_of(unit.into())),
                        Err(_) => used = 1,
                    }
                }
                Some(_) => self.push(Class::Sign),
                None => {}
            }
            rest = escape.get(used..).unwrap_or_default();
        }
        self.feed_utf8(rest);
    }

    fn feed_utf8(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if let Some(class) = ASCII.get(usize::from(byte)) {
                self.push(*class);
                if *class == Class::Lower {
                    // Most of a text is small letters, and behind one they only make the word longer.
                    let more = rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
                    self.length += more as u64;
                    rest = rest.get(more..).unwrap_or_default();
                }
                continue;
            }
            // The text is valid UTF-8, or a sample of it: then a continuation may come first and is skipped.
            let (more, mut point) = match byte {
                0xC0..0xE0 => (1, u32::from(byte & 0x1F)),
                0xE0..0xF0 => (2, u32::from(byte & 0x0F)),
                0xF0.. => (3, u32::from(byte & 0x07)),
                _ => continue,
            };
            let (parts, behind) = rest.split_at_checked(more).unwrap_or((rest, &[]));
            rest = behind;
            for next in parts {
                point = point << 6 | u32::from(next & 0x3F);
            }
            self.push(class_of(point));
        }
    }

    #[inline]
    fn push(&mut self, class: Class) {
        match (self.run, class) {
            (Class::Lower, Class::Lower) => {
                self.length += 1;
                self.capitals_only = false;
            }
            (Class::Lower, Class::Accent) => {
                self.length += 1;
                self.capitals_only = false;
                self.add(Feature::Accents, 1);
            }
            (Class::Lower, Class::Upper) if self.capitals_only => {
                self.length += 1;
                self.add(Feature::Capitals, 1);
            }
            (run, class) if run == class && class != Class::Upper => self.length += 1,
            _ => self.start(class),
        }
    }

    fn start(&mut self, class: Class) {
        let word = matches!(class, Class::Lower | Class::Upper | Class::Accent);
        self.end_run(word);
        if class == Class::Accent {
            self.add(Feature::Accents, 1);
        }
        self.run = if word { Class::Lower } else { class };
        self.length = 1;
        self.capitals_only = class == Class::Upper;
    }

    fn end_run(&mut self, word_follows: bool) {
        let length = self.length;
        match self.run {
            Class::Lower | Class::Upper | Class::Accent => {
                self.add(Feature::Word, 1);
                self.add(Feature::Beyond7, length.saturating_sub(7));
                self.add(Feature::Beyond10, length.saturating_sub(10));
            }
            Class::Sign if length == 1 && word_follows => self.add(Feature::SignedWord, 1),
            Class::Sign => {
                self.add(Feature::Signs, 1);
                self.add(Feature::SignsBeyond2, length.saturating_sub(2));
            }
            Class::Digit => self.add(Feature::Digits, length.div_ceil(3)),
            Class::Space => self.add(Feature::Spaces, u64::from(length > 1)),
            Class::Line => self.add(Feature::Lines, 1),
            Class::Han => {
                self.add(Feature::HanRuns, 1);
                self.add(Feature::Han, length);
            }
            Class::WideSign => self.add(Feature::WideSigns, length),
            Class::Kana => self.add(Feature::Kana, length),
            Class::Hangul => self.add(Feature::Hangul, length),
            Class::OtherLetter => {
                self.add(Feature::OtherWords, 1);
                self.add(Feature::OtherLetters, length);
            }
            Class::Three => self.add(Feature::Three, length),
            Class::Four => self.add(Feature::Four, length),
            Class::None => {}
        }
    }

    fn add(&mut self, feature: Feature, n: u64) {
        if let Some(count) = self.counts.get_mut(feature as usize) {
            *count += n;
        }
    }

    /// Ends the run being read: what follows belongs to another text.
    fn cut(&mut self) {
        self.end_run(false);
        self.run = Class::None;
        self.length = 0;
    }

    fn counts(&self) -> [u64; FEATURES] {
        let mut ended = self.clone();
        ended.cut();
        ended.counts
    }

    fn exact(&self) -> f64 {
        self.counts().iter().zip(PRICES).map(|(count, price)| *count as f64 * price).sum()
    }

    /// The estimate for all that was fed. At least 1 for anything at all.
    pub fn tokens(&self) -> u64 {
        self.exact().ceil() as u64
    }
}

/// The estimate for one text.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut estimator = TokenEstimator::new();
    estimator.feed(text);
    estimator.tokens()
}

/// How many tokens the prompt of a scanned body has: all strings in the fields that hold text (messages, tools,
/// …), without building anything. Images and sounds in base64 count a fixed amount, long strings are sampled.
pub fn estimate_prompt(body: &[u8], scan: &Scan) -> u64 {
    let mut prompt = Prompt { estimator: TokenEstimator::new(), extra: PROMPT_TOKENS };
    for (span, names) in scan.texts() {
        prompt.read(span.of(body), names);
    }
    (prompt.estimator.exact() + prompt.extra).ceil() as u64
}

struct Prompt {
    estimator: TokenEstimator,
    extra: f64,
}

impl Prompt {
    fn read(&mut self, value: &[u8], names: bool) {
        let mut lexer = Lexer::new(value);
        loop {
            match lexer.next() {
                Ok(Token::String(text)) => self.string(text.span.of(value)),
                Ok(Token::Key(text)) if names => self.string(text.span.of(value)),
                // Each object of a list of messages is one message.
                Ok(Token::ObjectStart) if lexer.depth == 2 && !names => self.extra += MESSAGE_TOKENS,
                // A prompt may be given as token numbers.
                Ok(Token::Number(Span { .. })) => self.extra += 1.0,
                Ok(Token::End) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn string(&mut self, raw: &[u8]) {
        if is_blob(raw) {
            self.extra += BLOB_TOKENS;
        } else if raw.len() < SAMPLE_FROM {
            self.estimator.feed_json(raw);
            self.estimator.cut();
        } else {
            let mut sample = TokenEstimator::new();
            let step = (raw.len() - WINDOW) / (WINDOWS - 1);
            for n in 0..WINDOWS {
                sample.feed_json(raw.get(n * step..n * step + WINDOW).unwrap_or_default());
                sample.cut();
            }
            self.extra += sample.exact() * raw.len() as f64 / (WINDOW * WINDOWS) as f64;
        }
    }
}

/// A `data:` address, or a long string without anything that text has.
fn is_blob(raw: &[u8]) -> bool {
    let address = || memchr::memmem::find(raw.get(..100).unwrap_or(raw), b";base64,").is_some();
    if raw.starts_with(b"data:") && address() {
        return true;
    }
    let start = raw.get(..BLOB_MIN_BYTES).unwrap_or_default();
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
    !start.is_empty() && start.iter().all(base64)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
