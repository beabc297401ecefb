//! `GenerateContentResponse`, of which every piece of an answer is one.

use super::logprobs::LogprobsResult;
use crate::wire::dialects::chat::Used;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateContentResponse<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub candidates: &'a [Candidate<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<UsageMetadata>,
    pub model_version: &'a str,
    pub response_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_message: Option<&'static str>,
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_logprobs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs_result: Option<LogprobsResult>,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    parts: Vec<Part<'a>>,
    role: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought: Option<bool>,
    },
    #[serde(rename_all = "camelCase")]
    Call { function_call: FunctionCall },
}

impl Part<'_> {
    pub(super) fn is_thought(&self) -> bool {
        matches!(self, Self::Text { thought: Some(true), .. })
    }
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    name: String,
    args: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    total_token_count: u64,
}

impl From<Used> for UsageMetadata {
    fn from(used: Used) -> Self {
        let some = |count: u64| (count > 0).then_some(count);
        let sum = used.prompt_tokens.saturating_add(used.completion_tokens);
        Self {
            prompt_token_count: used.prompt_tokens,
            candidates_token_count: used.completion_tokens.saturating_sub(used.reasoning()),
            cached_content_token_count: some(used.cached()),
            thoughts_token_count: some(used.reasoning()),
            total_token_count: some(used.total_tokens).unwrap_or(sum),
        }
    }
}

/// Why an answer ended, and what more is said of it.
pub(super) type Finish = (&'static str, Option<&'static str>);

pub(super) fn finish(reason: &str) -> Finish {
    match reason {
        "stop" | "tool_calls" | "function_call" => ("STOP", None),
        "length" => ("MAX_TOKENS", None),
        "content_filter" => ("SAFETY", None),
        _ => ("OTHER", None),
    }
}

/// A call, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// The calls as parts. One whose arguments are no object can't be said; then the answer ends for that reason, unless
/// it broke off for another.
pub(super) fn calls<'a>(pending: Vec<Pending>, parts: &mut Vec<Part<'a>>, finish: &mut Finish) {
    for Pending { id, name, arguments } in pending {
        let text = arguments.trim();
        let args = if text.is_empty() { Ok(Map::new()) } else { serde_json::from_str(text) };
        match args {
            Ok(args) => parts.push(Part::Call { function_call: FunctionCall { id, name, args } }),
            Err(_) if finish.0 == "STOP" => {
                *finish = (
                    "MALFORMED_FUNCTION_CALL",
                    Some("The model called a function with arguments that are no JSON object."),
                );
            }
            Err(_) => {}
        }
    }
}

pub(super) fn texts<'a>(thoughts: Option<&'a str>, text: Option<&'a str>, parts: &mut Vec<Part<'a>>) {
    if let Some(text) = thoughts.filter(|text| !text.is_empty()) {
        parts.push(Part::Text { text: text.into(), thought: Some(true) });
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        parts.push(Part::Text { text: text.into(), thought: None });
    }
}

pub(super) fn candidate(
    index: u64,
    mut parts: Vec<Part<'_>>,
    finish: Option<Finish>,
    logprobs: Option<LogprobsResult>,
) -> Candidate<'_> {
    // Google's clients leave an answer out of their history when one of its pieces has no parts.
    if parts.is_empty() && matches!(finish, Some(("STOP" | "MAX_TOKENS", _))) {
        parts.push(Part::Text { text: "".into(), thought: None });
    }
    Candidate {
        content: Content { parts, role: "model" },
        finish_reason: finish.map(|(reason, _)| reason),
        finish_message: finish.and_then(|(_, message)| message),
        index,
        avg_logprobs: logprobs.as_ref().map(LogprobsResult::average),
        logprobs_result: logprobs,
    }
}

/// The first that says something.
pub(super) fn first<'a>(one: &'a str, other: &'a str) -> &'a str {
    if one.is_empty() { other } else { one }
}
