//! Probabilities of tokens, as the upstream gives them in a choice's `logprobs`.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Given {
    content: Option<Vec<Token>>,
}

/// A token of the answer.
#[derive(Deserialize)]
pub(super) struct Token {
    pub token: String,
    pub logprob: f64,
    /// The likeliest in its place.
    #[serde(default)]
    pub top_logprobs: Vec<Top>,
}

/// A token that could have stood there.
#[derive(Deserialize)]
pub(super) struct Top {
    pub token: String,
    pub logprob: f64,
}

/// The tokens of a choice; nothing if it is nothing that is known.
pub(super) fn tokens(given: Option<&Value>) -> Option<Vec<Token>> {
    Given::deserialize(given?).ok()?.content
}
