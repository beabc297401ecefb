//! What a request used, as the upstream says it or as guessed.

use serde::{Deserialize, Serialize};

use crate::wire::lex::{Fault, Lexer, Span, Text, Token};
pub use crate::wire::tokens::{TokenEstimator, estimate_prompt, estimate_tokens};

/// A usage object longer than this is not read, in bytes.
const MAX_USAGE_BYTES: usize = 16 * 1024;

/// Tokens of one answer. Short names on the wire between the parts of Rondo; zeros are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The prompt's, cached ones included.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub prompt_tokens: u64,
    /// The answer's, reasoning included.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub completion_tokens: u64,
    /// Of the prompt's, those the upstream had in its cache.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Of the answer's, those of its reasoning.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// As the upstream says, else prompt and answer together.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub total_tokens: u64,
    /// Guessed, since the upstream did not say.
    #[serde(rename = "e", default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// A guess, for answers that were cut or came without usage.
    pub fn estimate(prompt_tokens: u64, completion_tokens: u64) -> Self {
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { prompt_tokens, completion_tokens, total_tokens, estimated: true, ..Self::default() }
    }

    /// Reads a usage object: OpenAI's names, or `input_tokens` and `output_tokens`. None if it holds neither
    /// count, which also covers `null` and `{}`.
    pub fn from_json(object: &[u8]) -> Option<Self> {
        if object.len() > MAX_USAGE_BYTES {
            return None;
        }
        let mut lexer = Lexer::new(object);
        if lexer.next() != Ok(Token::ObjectStart) {
            return None;
        }
        let mut said = Said::default();
        while let Token::Key(key) = lexer.next().ok()? {
            match lexer.next().ok()? {
                Token::ObjectStart => {
                    let details =
                        PROMPT_DETAILS.iter().chain(&COMPLETION_DETAILS).find(|name| key.is(object, name));
                    match details {
                        Some(name) => said.read_details(name, object, &mut lexer).ok()?,
                        None => lexer.skip_container().ok()?,
                    }
                }
                Token::ArrayStart => lexer.skip_container().ok()?,
                Token::Number(span) => said.note(key, object, span),
                _ => {}
            }
        }
        if lexer.next() != Ok(Token::End) {
            return None;
        }
        said.usage()
    }

    /// Finds the usage in a whole answer: the top-level `usage`, whatever its texts say. None if the body is no
    /// sound JSON object.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        let mut lexer = Lexer::new(body);
        if lexer.next() != Ok(Token::ObjectStart) {
            return None;
        }
        let mut found = None;
        while let Token::Key(key) = lexer.next().ok()? {
            let value = lexer.next().ok()?;
            let start = lexer.token_start;
            if matches!(value, Token::ObjectStart | Token::ArrayStart) {
                lexer.skip_container().ok()?;
            }
            if value == Token::ObjectStart && key.is(body, "usage") {
                found = Some(Span { start, end: lexer.pos });
            }
        }
        lexer.next().ok()?;
        Self::from_json(found?.of(body))
    }
}

/// Names of one count, OpenAI's first.
const PROMPT: [&str; 2] = ["prompt_tokens", "input_tokens"];
const COMPLETION: [&str; 2] = ["completion_tokens", "output_tokens"];
const PROMPT_DETAILS: [&str; 2] = ["prompt_tokens_details", "input_tokens_details"];
const COMPLETION_DETAILS: [&str; 2] = ["completion_tokens_details", "output_tokens_details"];

/// What a usage object says, by the two names of each count.
#[derive(Default)]
struct Said {
    prompt: [Option<u64>; 2],
    completion: [Option<u64>; 2],
    cached: [Option<u64>; 2],
    reasoning: [Option<u64>; 2],
    total: Option<u64>,
}

impl Said {
    fn note(&mut self, key: Text, object: &[u8], span: Span) {
        let count = number(span.of(object));
        let all = [(PROMPT, &mut self.prompt), (COMPLETION, &mut self.completion)];
        for (names, slots) in all {
            for (name, slot) in names.into_iter().zip(slots) {
                if key.is(object, name) {
                    *slot = count;
                    return;
                }
            }
        }
        if key.is(object, "total_tokens") {
            self.total = count;
        }
    }

    /// Reads one of the inner objects, which has just been opened.
    fn read_details(&mut self, name: &str, object: &[u8], lexer: &mut Lexer<'_>) -> Result<(), Fault> {
        let (names, slots, wanted) = match PROMPT_DETAILS.contains(&name) {
            true => (PROMPT_DETAILS, &mut self.cached, "cached_tokens"),
            false => (COMPLETION_DETAILS, &mut self.reasoning, "reasoning_tokens"),
        };
        let mut count = None;
        while let Token::Key(key) = lexer.next()? {
            match lexer.next()? {
                Token::ObjectStart | Token::ArrayStart => lexer.skip_container()?,
                Token::Number(span) if key.is(object, wanted) => count = number(span.of(object)),
                _ => {}
            }
        }
        for (known, slot) in names.into_iter().zip(slots) {
            if known == name {
                *slot = count;
            }
        }
        Ok(())
    }

    fn usage(self) -> Option<Usage> {
        let first = |[first, second]: [Option<u64>; 2]| first.or(second);
        let (prompt, completion) = (first(self.prompt), first(self.completion));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let (prompt_tokens, completion_tokens) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens: first(self.cached).unwrap_or(0),
            reasoning_tokens: first(self.reasoning).unwrap_or(0),
            total_tokens: self.total.unwrap_or(prompt_tokens.saturating_add(completion_tokens)),
            estimated: false,
        })
    }
}

/// A count, however it is written. Below zero is zero, beyond any count the largest.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|float| float as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ANSWER: &str = r#"{"id":"chatcmpl-1","choices":[{"finish_reason":"stop","index":0,"message":{"content":"say \"usage\":{\"prompt_tokens\":9}","role":"assistant","usage":{"prompt_tokens":1}}}],"usage":{"total_tokens":22,"completion_tokens":2,"completion_tokens_details":{"accepted_prediction_tokens":0,"reasoning_tokens":1},"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":16}},"time_info":{"queue_time":0.00012}}"#;

    #[test]
    fn the_usage_of_a_whole_answer_is_read() {
        let expected = Usage {
            prompt_tokens: 20,
            completion_tokens: 2,
            cached_tokens: 16,
            reasoning_tokens: 1,
            total_tokens: 22,
            estimated: false,
        };
        assert_eq!(Usage::from_body(ANSWER.as_bytes()), Some(expected));
    }

    #[test]
    fn usage_that_is_absent_empty_or_elsewhere_is_none() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"usage":null}"#,
            r#"{"usage":{}}"#,
            r#"{"usage":[{"prompt_tokens":1}]}"#,
            r#"{"a":{"usage":{"prompt_tokens":1}}}"#,
            r#"{"a":"\"usage\":{\"prompt_tokens\":1}"}"#,
            r#"{"usage":{"prompt_tokens":1}"#,
            r#"{"usage":{"prompt_tokens":1}} x"#,
        ] {
            assert_eq!(Usage::from_body(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn odd_counts_do_not_spoil_the_others() {
        let read = |value: serde_json::Value| Usage::from_json(value.to_string().as_bytes()).unwrap();
        let usage = read(
            json!({"prompt_tokens": 5.0, "completion_tokens": -3, "total_tokens": "x", "prompt_tokens_details": null}),
        );
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (5, 0, 5));
        let usage = read(
            json!({"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 2}}),
        );
        assert_eq!((usage.prompt_tokens, usage.cached_tokens, usage.total_tokens), (3, 2, 7));
        assert_eq!(read(json!({"prompt_tokens": 1e300})).total_tokens, u64::MAX);
    }

    #[test]
    fn it_travels_under_short_names_without_zeros() {
        let usage = Usage::estimate(7, 0);
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(text, r#"{"p":7,"t":7,"e":true}"#);
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cut_or_damaged_answers_never_panic(at in 0..ANSWER.len(), byte in any::<u8>()) {
            prop_assert_eq!(Usage::from_body(&ANSWER.as_bytes()[..at]), None);
            let mut damaged = ANSWER.as_bytes().to_vec();
            damaged[at] = byte;
            Usage::from_body(&damaged);
        }
    }
}
