//! Probabilities of tokens, in Gemini's form.

use crate::wire::dialects::logprobs::tokens;
use serde::Serialize;
use serde_json::Value;

/// `logprobsResult`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_candidates: Vec<TopCandidates>,
    chosen_candidates: Vec<Chosen>,
}

#[derive(Debug, Serialize)]
struct TopCandidates {
    candidates: Vec<Chosen>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    token: String,
    log_probability: f64,
}

/// Translates what the upstream gives; nothing if it is nothing that is known.
pub(super) fn result(given: Option<&Value>) -> Option<LogprobsResult> {
    let tokens = tokens(given)?;
    if tokens.is_empty() {
        return None;
    }
    let mut result = LogprobsResult { top_candidates: Vec::new(), chosen_candidates: Vec::new() };
    for token in tokens {
        if !token.top_logprobs.is_empty() {
            let candidates = token
                .top_logprobs
                .into_iter()
                .map(|other| Chosen { token: other.token, log_probability: other.logprob })
                .collect();
            result.top_candidates.push(TopCandidates { candidates });
        }
        result.chosen_candidates.push(Chosen { token: token.token, log_probability: token.logprob });
    }
    Some(result)
}

impl LogprobsResult {
    /// `avgLogprobs`.
    pub(super) fn average(&self) -> f64 {
        let sum: f64 = self.chosen_candidates.iter().map(|chosen| chosen.log_probability).sum();
        sum / self.chosen_candidates.len().max(1) as f64
    }
}
