//! The answer, in the types of OpenAI's public schema. What it holds is borrowed from what was gathered of it.

use super::Answering;
use super::gathered::{Gathered, Outcome};
use crate::wire::dialects::chat::Used;
use crate::wire::errors::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Fields of the request are told back up to this many bytes each: an answer comes with them up to three times.
const ECHO_BYTES: usize = 256 * 1024;

/// What the answer tells of its request.
#[derive(Debug, Default)]
pub(super) struct Echo {
    pub(super) model: String,
    pub(super) instructions: Option<String>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) max_tool_calls: Option<u64>,
    pub(super) metadata: Map<String, Value>,
    pub(super) parallel_tool_calls: bool,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) reasoning: Value,
    pub(super) safety_identifier: Option<String>,
    pub(super) service_tier: String,
    pub(super) temperature: Option<f64>,
    pub(super) text: Value,
    pub(super) tool_choice: Value,
    pub(super) tools: Vec<Value>,
    pub(super) top_logprobs: u64,
    pub(super) top_p: Option<f64>,
    pub(super) user: Option<String>,
}

impl Echo {
    /// Without what is too long to be told back.
    pub(super) fn bounded(mut self) -> Self {
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > ECHO_BYTES);
        for text in [&mut self.instructions, &mut self.safety_identifier, &mut self.user] {
            if long(text) {
                *text = None;
            }
        }
        for (value, instead) in [
            (&mut self.text, json!({"format": {"type": "text"}})),
            (&mut self.tool_choice, json!("auto")),
            (&mut self.reasoning, json!({"effort": null, "summary": null})),
        ] {
            if bounded(value).is_none() {
                *value = instead;
            }
        }
        if self.service_tier.len() > ECHO_BYTES {
            self.service_tier = "default".to_owned();
        }
        self
    }
}

/// A part of the request, if its JSON is not too long to be told back.
pub(super) fn bounded<T: Serialize>(value: &T) -> Option<&T> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Nothing in it could fail: the writer does not, and it was JSON before.
    let _ = serde_json::to_writer(&mut count, value);
    (count.0 <= ECHO_BYTES).then_some(value)
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: Status,
    background: bool,
    completed_at: (),
    error: Option<ResponseError<'a>>,
    incomplete_details: Option<IncompleteDetails>,
    instructions: Option<&'a str>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<u64>,
    model: &'a str,
    output: Vec<OutputItem<'a>>,
    parallel_tool_calls: bool,
    previous_response_id: (),
    prompt_cache_key: Option<&'a str>,
    reasoning: &'a Value,
    safety_identifier: Option<&'a str>,
    service_tier: &'a str,
    store: bool,
    temperature: Option<f64>,
    text: &'a Value,
    tool_choice: &'a Value,
    tools: &'a [Value],
    top_logprobs: u64,
    top_p: Option<f64>,
    truncation: &'static str,
    usage: Option<ResponseUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    metadata: &'a Map<String, Value>,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

#[derive(Debug, Serialize)]
struct IncompleteDetails {
    reason: &'static str,
}

/// Why an answer failed. The public schema has `code` and `message` only; the AI SDK wants `type` as well.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ResponseError<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
    r#type: &'a str,
    pub(super) param: Option<&'a str>,
}

impl<'a> ResponseError<'a> {
    pub(super) fn of(error: &'a ApiError) -> Self {
        let code = match (error.status, error.code.as_ref()) {
            // Not in the list of codes, but what OpenAI sends and its own agent looks for.
            (_, "context_length_exceeded") => "context_length_exceeded",
            (429, _) => "rate_limit_exceeded",
            (400..=499, _) => "invalid_prompt",
            _ => "server_error",
        };
        let param = Some(error.param.as_ref()).filter(|param| !param.is_empty());
        Self { code, message: &error.message, r#type: &error.kind, param }
    }
}

/// What the model made.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputItem<'a> {
    Message {
        id: &'a str,
        status: Status,
        role: &'static str,
        content: Vec<Part<'a>>,
    },
    Reasoning {
        id: &'a str,
        status: Status,
        summary: Vec<Part<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Vec<Part<'a>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    FunctionCall {
        id: &'a str,
        status: Status,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        arguments: &'a str,
    },
    CustomToolCall {
        id: &'a str,
        status: Status,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        input: String,
    },
}

/// A part of an item.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    OutputText { text: &'a str, annotations: [(); 0], logprobs: &'a [Logprob] },
    SummaryText { text: &'a str },
    ReasoningText { text: &'a str },
}

/// How probable a token was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Logprob {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<TopLogprob>>,
}

impl Logprob {
    /// With all that the clients' types want.
    pub(super) fn complete(mut self) -> Self {
        let bytes = |token: &str, bytes: Option<Vec<u8>>| bytes.or_else(|| Some(token.as_bytes().to_vec()));
        self.bytes = bytes(&self.token, self.bytes.take());
        for other in self.top_logprobs.get_or_insert_default() {
            other.bytes = bytes(&other.token, other.bytes.take());
        }
        self
    }

    /// About what it takes in memory.
    pub(super) fn size(&self) -> usize {
        let others: usize = self.top_logprobs.iter().flatten().map(|other| other.token.len() * 2 + 72).sum();
        self.token.len() * 2 + 96 + others
    }
}

/// How probable another token was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct TopLogprob {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

/// What the answer used.
#[derive(Debug, Serialize)]
struct ResponseUsage {
    input_tokens: u64,
    input_tokens_details: InputTokensDetails,
    output_tokens: u64,
    output_tokens_details: OutputTokensDetails,
    total_tokens: u64,
}

#[derive(Debug, Serialize)]
struct InputTokensDetails {
    cache_write_tokens: u64,
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputTokensDetails {
    reasoning_tokens: u64,
}

impl From<&Used> for ResponseUsage {
    fn from(used: &Used) -> Self {
        Self {
            input_tokens: used.prompt_tokens,
            input_tokens_details: InputTokensDetails { cache_write_tokens: 0, cached_tokens: used.cached() },
            output_tokens: used.completion_tokens,
            output_tokens_details: OutputTokensDetails { reasoning_tokens: used.reasoning() },
            total_tokens: if used.total_tokens == 0 {
                used.prompt_tokens.saturating_add(used.completion_tokens)
            } else {
                used.total_tokens
            },
        }
    }
}

/// The answer as far as it is gathered; without an outcome it is still being made.
pub(super) fn response<'a>(
    answering: &'a Answering,
    gathered: &'a Gathered,
    outcome: Option<&Outcome<'a>>,
) -> Response<'a> {
    let (status, error, reason) = match outcome {
        None => (Status::InProgress, None, None),
        Some(Outcome::Completed) => (Status::Completed, None, None),
        Some(Outcome::Incomplete(reason)) => (Status::Incomplete, None, Some(*reason)),
        Some(Outcome::Failed(error)) => (Status::Failed, Some(ResponseError::of(error)), None),
    };
    let usage = match outcome {
        // Clients' types want figures with an answer; an upstream that gave none is not to break them.
        Some(Outcome::Completed | Outcome::Incomplete(_)) => Some(gathered.usage.unwrap_or_default()),
        _ => gathered.usage,
    };
    let echo = &answering.echo;
    Response {
        id: &answering.id,
        object: "response",
        created_at: answering.seed.now_s,
        status,
        background: false,
        completed_at: (),
        error,
        incomplete_details: reason.map(|reason| IncompleteDetails { reason }),
        instructions: echo.instructions.as_deref(),
        max_output_tokens: echo.max_output_tokens,
        max_tool_calls: echo.max_tool_calls,
        model: if gathered.model.is_empty() { &echo.model } else { &gathered.model },
        output: gathered.items.iter().map(|item| item.shown(answering)).collect(),
        parallel_tool_calls: echo.parallel_tool_calls,
        previous_response_id: (),
        prompt_cache_key: echo.prompt_cache_key.as_deref(),
        reasoning: &echo.reasoning,
        safety_identifier: echo.safety_identifier.as_deref(),
        service_tier: &echo.service_tier,
        store: false,
        temperature: echo.temperature,
        text: &echo.text,
        tool_choice: &echo.tool_choice,
        tools: &echo.tools,
        top_logprobs: echo.top_logprobs,
        top_p: echo.top_p,
        truncation: "disabled",
        usage: usage.as_ref().map(ResponseUsage::from),
        user: echo.user.as_deref(),
        metadata: &echo.metadata,
    }
}
