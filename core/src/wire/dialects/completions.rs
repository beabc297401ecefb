//! OpenAI's older Completions. The upstream has them too, but the pool sends chat completions only: the prompt becomes
//! what the user says, and the answer's text is what the model says to that.
//!
//! Without `max_tokens` there is no bound but the upstream's own. OpenAI's default of 16 is not kept: reasoning counts
//! towards it, so that most models would end before the first word.

mod logprobs;

use super::chat::{self, Chunk, Content, Message, Used, Whole};
use super::refusal::{field, refused, unreadable};
use super::{Machine, Notes, Seed, Translated, id, write_event};
use crate::wire::errors::ApiError;
use logprobs::Logprobs;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Stop sequences that the upstream takes.
const STOPS: usize = 4;
/// Probabilities of other tokens that the upstream gives.
const TOP_LOGPROBS: u64 = 20;
/// Answers whose lengths are counted, for where their tokens start.
const COUNTED: usize = 128;

/// What clients send.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CreateCompletionRequest {
    model: Option<String>,
    prompt: Option<Prompt>,
    best_of: Option<u64>,
    echo: Option<bool>,
    frequency_penalty: Option<f64>,
    logit_bias: Option<Value>,
    logprobs: Option<Value>,
    max_tokens: Option<i64>,
    n: Option<u64>,
    presence_penalty: Option<f64>,
    prompt_cache_key: Option<String>,
    seed: Option<i64>,
    stop: Option<Stop>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    suffix: Option<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    user: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Texts(Vec<String>),
    /// Token numbers, or lists of them.
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// What the answer needs to know of the request.
#[derive(Debug)]
pub struct Answering {
    seed: Seed,
    model: String,
    include_usage: bool,
}

/// Translates a request.
///
/// # Errors
/// 400 naming the field that can't be translated.
pub fn request(body: &[u8], seed: Seed) -> Result<Translated, ApiError> {
    let request: CreateCompletionRequest =
        serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "CreateCompletionRequest"))?;
    let mut notes = Notes::default();
    for name in request.rest.keys() {
        notes.dropped(field(name));
    }
    unsupported(&request)?;
    let tops = match request.logprobs {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(tops) => match tops.as_u64() {
            Some(tops @ 0..=TOP_LOGPROBS) => Some(tops),
            _ => {
                let message = format!("`logprobs` is a whole number from 0 to {TOP_LOGPROBS}.");
                return Err(refused("invalid_value", "logprobs", message));
            }
        },
    };
    let prompt = match request.prompt {
        Some(Prompt::Text(text)) => text,
        Some(Prompt::Texts(texts)) => {
            let mut texts = texts.into_iter();
            match (texts.next(), texts.next()) {
                (Some(text), None) => text,
                _ => {
                    let message = "Send exactly one prompt a request; make several requests for several.";
                    return Err(refused("unsupported_value", "prompt", message));
                }
            }
        }
        Some(Prompt::Other(_)) => {
            let message = "A prompt is a string, or a list of one string. Token numbers can't be read here.";
            return Err(refused("unsupported_value", "prompt", message));
        }
        None => return Err(refused("invalid_value", "prompt", "`prompt` is missing.")),
    };
    let mut stop = match request.stop {
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
        None => Vec::new(),
    };
    stop.retain(|stop| !stop.is_empty());
    if stop.len() > STOPS {
        let message = format!("At most {STOPS} stop sequences are taken.");
        return Err(refused("invalid_value", "stop", message));
    }
    let chat = chat::Request {
        model: request.model.clone(),
        messages: vec![Message::User { content: Content::Text(prompt) }],
        stream: request.stream == Some(true),
        // Negative means without bound.
        max_completion_tokens: request.max_tokens.and_then(|tokens| u64::try_from(tokens).ok()),
        temperature: request.temperature,
        top_p: request.top_p,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        stop,
        seed: request.seed,
        n: request.n,
        logprobs: tops.map(|_| true),
        top_logprobs: tops.filter(|tops| *tops > 0),
        logit_bias: request.logit_bias,
        prompt_cache_key: request.prompt_cache_key,
        user: request.user,
        ..chat::Request::default()
    };
    let include_usage = request.stream_options.is_some_and(|options| options.include_usage == Some(true));
    let answering = Answering { seed, model: request.model.unwrap_or_default(), include_usage };
    Ok(Translated { body: chat.to_body(), answering: super::Answering::Completions(answering), notes })
}

/// What chat completions have nothing for.
fn unsupported(request: &CreateCompletionRequest) -> Result<(), ApiError> {
    let refuse = |path: &'static str, message: &'static str| Err(refused("unsupported_value", path, message));
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return refuse("suffix", "Text can't be filled in before a suffix. Put it into the prompt.");
    }
    if request.echo == Some(true) {
        return refuse(
            "echo",
            "The prompt is not repeated in the answer. Leave `echo` out and put it there.",
        );
    }
    if request.best_of.is_some_and(|best| best > request.n.unwrap_or(1)) {
        return refuse(
            "best_of",
            "All answers are given, none is chosen. Leave `best_of` out, or ask for `n`.",
        );
    }
    Ok(())
}

/// An answer, or a piece of one.
#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<CompletionChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<CompletionUsage>,
}

#[derive(Serialize)]
struct CompletionChoice<'a> {
    text: &'a str,
    index: u64,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct CompletionUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptTokensDetails,
    completion_tokens_details: CompletionTokensDetails,
}

#[derive(Serialize)]
struct PromptTokensDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct CompletionTokensDetails {
    reasoning_tokens: u64,
}

impl From<Used> for CompletionUsage {
    fn from(used: Used) -> Self {
        Self {
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            total_tokens: used.total_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens: used.cached() },
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens: used.reasoning() },
        }
    }
}

impl Answering {
    pub(super) fn whole(self, whole: &Whole<'_>) -> Vec<u8> {
        let choices = whole
            .choices
            .iter()
            .map(|choice| CompletionChoice {
                text: choice.message.content.as_deref().unwrap_or_default(),
                index: choice.index,
                logprobs: logprobs::translated(choice.logprobs.as_ref(), 0),
                finish_reason: Some(choice.finish_reason.as_deref().unwrap_or("stop")),
            })
            .collect();
        let completion = Completion {
            id: &id("cmpl-", &self.seed, 0),
            object: "text_completion",
            created: if whole.created > 0 { whole.created } else { self.seed.now_s },
            model: if whole.model.is_empty() { &self.model } else { &whole.model },
            choices,
            usage: whole.usage.map(CompletionUsage::from),
        };
        // Texts and numbers: there is nothing in it that could fail.
        serde_json::to_vec(&completion).unwrap_or_default()
    }

    pub(super) fn stream(self) -> Answer {
        Answer {
            id: id("cmpl-", &self.seed, 0),
            created: 0,
            model: String::new(),
            usage: None,
            lengths: BTreeMap::new(),
            answering: self,
        }
    }
}

/// A streamed answer.
#[derive(Debug)]
pub struct Answer {
    answering: Answering,
    id: String,
    created: u64,
    model: String,
    usage: Option<Used>,
    /// Characters of each answer so far, where probabilities are told.
    lengths: BTreeMap<u64, usize>,
}

impl Answer {
    /// Where a piece of an answer's text starts.
    fn start(&mut self, answer: u64, text: &str) -> usize {
        if self.lengths.len() >= COUNTED && !self.lengths.contains_key(&answer) {
            return 0;
        }
        let length = self.lengths.entry(answer).or_default();
        let start = *length;
        *length += text.chars().count();
        start
    }

    fn write(&self, choices: Vec<CompletionChoice<'_>>, usage: Option<Used>, out: &mut Vec<u8>) {
        let completion = Completion {
            id: &self.id,
            object: "text_completion",
            created: if self.created > 0 { self.created } else { self.answering.seed.now_s },
            model: if self.model.is_empty() { &self.answering.model } else { &self.model },
            choices,
            usage: usage.map(CompletionUsage::from),
        };
        write_event(out, None, &completion);
    }
}

impl Machine for Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        if self.created == 0 {
            self.created = chunk.created;
        }
        if self.model.is_empty() {
            self.model.push_str(&chunk.model);
        }
        self.usage = chunk.usage.or(self.usage);
        let choices: Vec<CompletionChoice<'_>> = chunk
            .choices
            .iter()
            .map(|choice| {
                let text = choice.delta.content.as_deref().unwrap_or_default();
                let given = choice.logprobs.as_ref().filter(|given| !given.is_null());
                let logprobs =
                    given.and_then(|given| logprobs::translated(Some(given), self.start(choice.index, text)));
                let finish_reason = choice.finish_reason.as_deref();
                CompletionChoice { text, index: choice.index, logprobs, finish_reason }
            })
            .filter(|choice| !choice.text.is_empty() || choice.finish_reason.is_some())
            .collect();
        if !choices.is_empty() {
            self.write(choices, None, out);
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.answering.include_usage && self.usage.is_some() {
            self.write(Vec::new(), self.usage, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.to_stream_body());
        out.extend_from_slice(b"\n\n");
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        // A comment, which OpenAI's clients pass over.
        out.extend_from_slice(b":\n\n");
    }
}

#[cfg(test)]
#[path = "completions_tests.rs"]
mod tests;
