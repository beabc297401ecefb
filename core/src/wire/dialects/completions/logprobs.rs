//! Probabilities of tokens, in the form of Completions: lists side by side, and where each token starts.

use crate::wire::dialects::logprobs::tokens;
use serde::Serialize;
use serde_json::{Map, Value};

/// `logprobs` of a choice.
#[derive(Debug, Serialize)]
pub(super) struct Logprobs {
    text_offset: Vec<usize>,
    token_logprobs: Vec<f64>,
    tokens: Vec<String>,
    top_logprobs: Option<Vec<Map<String, Value>>>,
}

/// Translates what the upstream gives for a piece of text that starts at `offset`, in characters; nothing if it is
/// nothing that is known.
pub(super) fn translated(given: Option<&Value>, offset: usize) -> Option<Logprobs> {
    let tokens = tokens(given)?;
    let mut offset = offset;
    let any_others = tokens.iter().any(|token| !token.top_logprobs.is_empty());
    let mut result = Logprobs {
        text_offset: Vec::new(),
        token_logprobs: Vec::new(),
        tokens: Vec::new(),
        top_logprobs: any_others.then(Vec::new),
    };
    for token in tokens {
        result.text_offset.push(offset);
        offset += token.token.chars().count();
        result.token_logprobs.push(token.logprob);
        result.tokens.push(token.token);
        if let Some(tops) = &mut result.top_logprobs {
            tops.push(
                token.top_logprobs.into_iter().map(|other| (other.token, other.logprob.into())).collect(),
            );
        }
    }
    Some(result)
}
