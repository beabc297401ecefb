//! A whole answer, and what whole and streamed answers have in common.

use super::stream::Answer;
use crate::wire::dialects::chat::{Used, Whole};
use crate::wire::dialects::{Seed, id};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;

/// The signature of a thinking block. Anthropic's says that a block is its own; nobody asks for ours, but clients
/// throw away blocks without one.
pub(super) const SIGNATURE: &str = "cm9uZG8=";
/// The longest id of a call that is kept as the upstream gave it.
const ID_CHARS: usize = 64;

/// What a client is shown of the reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// All, in thinking blocks.
    Shown,
    /// That there was some: blocks without text.
    Omitted,
    /// Nothing.
    Hidden,
}

/// What the answer needs to know of the request.
#[derive(Debug)]
pub struct Answering {
    pub(super) seed: Seed,
    /// The model asked for; an answer names the one that answered.
    model: String,
    pub(super) thinking: Thinking,
    /// Tokens that the prompt is likely to have.
    pub(super) prompt_tokens: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<ContentBlock<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    stop_details: Option<RefusalStopDetails>,
    usage: Usage,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ContentBlock<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'static str },
    ToolUse { id: &'a str, name: &'a str, input: Value },
}

#[derive(Debug, Serialize)]
pub(super) struct RefusalStopDetails {
    r#type: &'static str,
    category: Option<&'static str>,
    explanation: Option<&'static str>,
}

/// Tokens. The prompt's that were cached are counted apart from the others.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputTokensDetails>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct OutputTokensDetails {
    thinking_tokens: u64,
}

impl Usage {
    /// What the upstream said, else what was expected.
    pub(super) fn of(used: Option<&Used>, prompt_tokens: u64) -> Self {
        let Some(used) = used else {
            return Self {
                input_tokens: prompt_tokens,
                cache_creation_input_tokens: 0,
                cache_read_input_tokens: 0,
                output_tokens: 0,
                output_tokens_details: None,
            };
        };
        let (cached, thinking_tokens) = (used.cached(), used.reasoning());
        Self {
            input_tokens: used.prompt_tokens.saturating_sub(cached),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: cached,
            output_tokens: used.completion_tokens,
            output_tokens_details: (thinking_tokens > 0).then_some(OutputTokensDetails { thinking_tokens }),
        }
    }
}

/// Why an answer ended. A stop sequence is an end like any other: the upstream does not say that it met one.
pub(super) fn stop_reason(finish: Option<&str>, called: bool) -> &'static str {
    match (finish, called) {
        (Some("length"), _) => "max_tokens",
        (Some("content_filter"), _) => "refusal",
        (_, true) => "tool_use",
        (_, false) => "end_turn",
    }
}

pub(super) fn stop_details(stop_reason: &str) -> Option<RefusalStopDetails> {
    let refused = RefusalStopDetails { r#type: "refusal", category: None, explanation: None };
    (stop_reason == "refusal").then_some(refused)
}

/// The ids of an answer's calls: the upstream's, which come back with the results, unless they are none or not ones
/// that clients take.
#[derive(Debug, Default)]
pub(super) struct Ids(HashSet<String>);

impl Ids {
    pub(super) fn of(&mut self, given: Option<&str>, seed: &Seed) -> String {
        let sound = |id: &&str| {
            (1..=ID_CHARS).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
                && !self.0.contains(*id)
        };
        let number = self.0.len() + 1;
        let id = match given.filter(sound) {
            Some(id) => id.to_owned(),
            None => id("toolu_", seed, number),
        };
        self.0.insert(id.clone());
        id
    }
}

/// Arguments as the object that clients expect. What the model wrote and is none is kept under the name that
/// Anthropic's documentation gives it, so that no tool runs with arguments that were never written.
fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(input @ Value::Object(_)) => input,
        _ => serde_json::json!({"INVALID_JSON": arguments}),
    }
}

impl Answering {
    pub(super) fn new(seed: Seed, model: String, thinking: Thinking) -> Self {
        Self { seed, model, thinking, prompt_tokens: 0 }
    }

    /// A stream starts with that number; it ends with the true one.
    pub(in crate::wire::dialects) fn expect_prompt(&mut self, tokens: u64) {
        self.prompt_tokens = tokens;
    }

    /// A message that has nothing in it yet.
    pub(super) fn start<'a>(&'a self, model: &'a str) -> Message<'a> {
        Message {
            id: id("msg_", &self.seed, 0),
            r#type: "message",
            role: "assistant",
            model: if model.is_empty() { &self.model } else { model },
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            usage: Usage::of(None, self.prompt_tokens),
        }
    }

    pub(in crate::wire::dialects) fn whole(self, whole: &Whole<'_>) -> Vec<u8> {
        let mut message = self.start(&whole.model);
        let choice = whole.choices.first();
        let said = choice.map(|choice| &choice.message);
        let reasoning = said.and_then(|said| said.reasoning.as_deref()).filter(|text| !text.is_empty());
        match (reasoning, self.thinking) {
            (Some(thinking), Thinking::Shown) => {
                message.content.push(ContentBlock::Thinking { thinking, signature: SIGNATURE });
            }
            (Some(_), Thinking::Omitted) => {
                message.content.push(ContentBlock::Thinking { thinking: "", signature: SIGNATURE });
            }
            _ => {}
        }
        if let Some(text) = said.and_then(|said| said.content.as_deref()).filter(|text| !text.is_empty()) {
            message.content.push(ContentBlock::Text { text });
        }
        let calls = said.and_then(|said| said.tool_calls.as_deref()).unwrap_or_default();
        let mut ids = Ids::default();
        let calls: Vec<_> =
            calls.iter().map(|call| (ids.of(call.id.as_deref(), &self.seed), &call.function)).collect();
        for (id, function) in &calls {
            let name = function.name.as_deref().unwrap_or_default();
            let input = input(function.arguments.as_deref().unwrap_or_default());
            message.content.push(ContentBlock::ToolUse { id, name, input });
        }
        let finish = choice.and_then(|choice| choice.finish_reason.as_deref());
        let reason = stop_reason(finish, !calls.is_empty());
        message.stop_reason = Some(reason);
        message.stop_details = stop_details(reason);
        message.usage = Usage::of(whole.usage.as_ref(), self.prompt_tokens);
        // Texts, numbers and what was JSON before: there is nothing in it that could fail.
        serde_json::to_vec(&message).unwrap_or_default()
    }

    pub(in crate::wire::dialects) fn stream(self) -> Answer {
        Answer::new(self)
    }
}
