//! Chat Completions as the upstream speaks it: what the other dialects are translated to, and from. Requests are
//! built with exactly the fields that the upstream takes (it refuses any other with a 400; `docs/upstream.md`).

use crate::wire::errors::{ApiError, UpstreamError, client_error};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A request. Fields that are `None` or empty are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// The model as the client names it; without one the pool chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The bound on the answer, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// −2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// −2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// At most four.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// For answers that can be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How many answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Probabilities of the tokens chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// And of so many others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    /// Biases by token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<Value>,
    /// `{"type": "text" | "json_object" | "json_schema", …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// The tools it may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// `"none"`, `"auto"`, `"required"` or one function. Only beside tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Whether several tools may be called at once. Only beside tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// `none`, `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    /// At most 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// Whom the client asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `auto`, `default`, `flex` or `priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}

impl Request {
    /// Its JSON.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        // Texts, numbers and what was JSON before: there is nothing in it that could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// What the model is told before all.
    System {
        /// The text.
        content: String,
    },
    /// What the client's user says.
    User {
        /// Text, or parts.
        content: Content,
    },
    /// What the model said before.
    Assistant {
        /// The text.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// Its reasoning.
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning: Option<String>,
        /// What it called.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool gave. Each call must be answered at once, and nothing but a call can be.
    Tool {
        /// The call.
        tool_call_id: String,
        /// Its result.
        content: String,
    },
}

/// What a user says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Texts and pictures.
    Parts(Vec<Part>),
}

/// A part of what a user says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture, for models that take them.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageUrl {
    /// An address, or `data:` with the picture itself.
    pub url: String,
    /// How closely it is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolCall {
    /// Its id.
    pub id: String,
    /// `function`.
    pub r#type: &'static str,
    /// What is called.
    pub function: Called,
}

impl ToolCall {
    /// A call of a function.
    #[must_use]
    pub fn new(id: String, name: String, arguments: String) -> Self {
        Self { id, r#type: "function", function: Called { name, arguments } }
    }
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Called {
    /// Its name.
    pub name: String,
    /// JSON, as text.
    pub arguments: String,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tool {
    /// `function`.
    pub r#type: &'static str,
    /// The function.
    pub function: Function,
}

impl Tool {
    /// A function.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self { r#type: "function", function }
    }
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments keep to the schema for certain.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// A whole answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Whole<'a> {
    /// Its id.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// The model that answered.
    #[serde(borrow, default)]
    pub model: Cow<'a, str>,
    /// Unix seconds.
    #[serde(default)]
    pub created: u64,
    /// The answers.
    #[serde(borrow, default)]
    pub choices: Vec<Choice<'a>>,
    /// What it used.
    #[serde(default)]
    pub usage: Option<Used>,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Choice<'a> {
    /// Which.
    #[serde(default)]
    pub index: u64,
    /// What the model says.
    #[serde(borrow, default)]
    pub message: Delta<'a>,
    /// `stop`, `length`, `content_filter` or `tool_calls`.
    #[serde(borrow, default)]
    pub finish_reason: Option<Cow<'a, str>>,
    /// As the upstream gives them.
    #[serde(default)]
    pub logprobs: Option<Value>,
}

/// A chunk of a streamed answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Chunk<'a> {
    /// The answer's id.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// The model that answers.
    #[serde(borrow, default)]
    pub model: Cow<'a, str>,
    /// Unix seconds.
    #[serde(default)]
    pub created: u64,
    /// What is new.
    #[serde(borrow, default)]
    pub choices: Vec<ChunkChoice<'a>>,
    /// What it used: on the last chunk that has a choice, or on one without any.
    #[serde(default)]
    pub usage: Option<Used>,
    /// The upstream failed in the middle.
    #[serde(default)]
    pub error: Option<UpstreamSaid>,
    /// The status that goes with it.
    #[serde(default)]
    pub status_code: Option<u16>,
}

/// What is new of one answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ChunkChoice<'a> {
    /// Which.
    #[serde(default)]
    pub index: u64,
    /// What is new.
    #[serde(borrow, default)]
    pub delta: Delta<'a>,
    /// Why it ended, on its last chunk.
    #[serde(borrow, default)]
    pub finish_reason: Option<Cow<'a, str>>,
    /// As the upstream gives them.
    #[serde(default)]
    pub logprobs: Option<Value>,
}

/// What the model says, or a piece of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Delta<'a> {
    /// The text.
    #[serde(borrow, default)]
    pub content: Option<Cow<'a, str>>,
    /// The reasoning.
    #[serde(borrow, default)]
    pub reasoning: Option<Cow<'a, str>>,
    /// The calls. The first piece of one has its id and name, the others more of its arguments.
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<CallPiece<'a>>>,
}

/// A call, or a piece of one.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CallPiece<'a> {
    /// Which of the answer's calls; in whole answers their order tells.
    #[serde(default)]
    pub index: Option<u64>,
    /// Its id.
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
    /// What is called.
    #[serde(borrow, default)]
    pub function: CalledPiece<'a>,
}

/// A function and its arguments, or a piece of them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CalledPiece<'a> {
    /// Its name.
    #[serde(borrow, default)]
    pub name: Option<Cow<'a, str>>,
    /// JSON, as text.
    #[serde(borrow, default)]
    pub arguments: Option<Cow<'a, str>>,
}

/// What an answer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Used {
    /// The prompt, cached tokens included.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// The answer, reasoning included.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Both.
    #[serde(default)]
    pub total_tokens: u64,
    /// Of the prompt.
    #[serde(default)]
    pub prompt_tokens_details: Option<PromptDetails>,
    /// Of the answer.
    #[serde(default)]
    pub completion_tokens_details: Option<CompletionDetails>,
}

impl Used {
    /// Tokens of the prompt that were in the cache.
    #[must_use]
    pub fn cached(&self) -> u64 {
        self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0)
    }

    /// Tokens of the reasoning.
    #[must_use]
    pub fn reasoning(&self) -> u64 {
        self.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0)
    }
}

/// Of a prompt's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PromptDetails {
    /// In the cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
}

/// Of an answer's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CompletionDetails {
    /// Reasoning.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}

/// An error as the upstream words it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct UpstreamSaid {
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
    /// Its kind.
    #[serde(default)]
    pub r#type: Option<String>,
    /// For programs.
    #[serde(default)]
    pub code: Option<Value>,
}

/// The error that an upstream said inside a stream.
#[must_use]
pub fn said(error: Option<&UpstreamSaid>, status: Option<u16>) -> ApiError {
    let Some(error) = error else { return ApiError::stream_interrupted() };
    let upstream = UpstreamError {
        message: error.message.clone().unwrap_or_default(),
        kind: error.r#type.clone().unwrap_or_default(),
        code: error.code.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        ..UpstreamError::default()
    };
    client_error(status.filter(|status| (400..=599).contains(status)).unwrap_or(500), upstream)
}
