//! An answer, whole or streamed. Every piece has the same form: a `GenerateContentResponse`.

use super::logprobs::{self, LogprobsResult};
use super::{Framing, error_body};
use crate::wire::dialects::chat::{CallPiece, Chunk, Used, Whole};
use crate::wire::dialects::{MAX_EVENT_BYTES, Machine, Seed, id, write_event};
use crate::wire::errors::ApiError;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Calls of one answer that are gathered, over all candidates.
const CALLS: usize = 128;

/// What the answer needs to know of the request.
#[derive(Debug)]
pub struct Answering {
    pub(super) seed: Seed,
    pub(super) framing: Framing,
    pub(super) model: String,
    pub(super) include_thoughts: bool,
    pub(super) candidates: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerateContentResponse<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata>,
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
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
enum Part<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought: Option<bool>,
    },
    #[serde(rename_all = "camelCase")]
    Call { function_call: FunctionCall },
}

#[derive(Debug, Serialize)]
struct FunctionCall {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    name: String,
    args: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
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

/// How an answer ended, and what more is said of it.
type Finish = (&'static str, Option<&'static str>);

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" | "tool_calls" | "function_call" => ("STOP", None),
        "length" => ("MAX_TOKENS", None),
        "content_filter" => ("SAFETY", None),
        _ => ("OTHER", None),
    }
}

/// A call, as far as it has come.
#[derive(Debug, Default)]
struct Pending {
    id: String,
    name: String,
    arguments: String,
}

/// The calls as parts. One whose arguments are no object can't be said; then the answer ends for that reason, unless
/// it broke off for another.
fn calls<'a>(pending: Vec<Pending>, parts: &mut Vec<Part<'a>>, finish: &mut Finish) {
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

fn texts<'a>(thoughts: Option<&'a str>, text: Option<&'a str>, parts: &mut Vec<Part<'a>>) {
    if let Some(text) = thoughts.filter(|text| !text.is_empty()) {
        parts.push(Part::Text { text, thought: Some(true) });
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        parts.push(Part::Text { text, thought: None });
    }
}

fn candidate(
    index: u64,
    parts: Vec<Part<'_>>,
    finish: Option<Finish>,
    logprobs: Option<LogprobsResult>,
) -> Candidate<'_> {
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
fn first<'a>(one: &'a str, other: &'a str) -> &'a str {
    if one.is_empty() { other } else { one }
}

impl Answering {
    /// The content type of a streamed answer.
    #[must_use]
    pub fn stream_type(&self) -> &'static str {
        match self.framing {
            Framing::Sse => "text/event-stream",
            Framing::Array => "application/json",
        }
    }

    pub(in crate::wire::dialects) fn whole(self, whole: &Whole<'_>) -> Vec<u8> {
        let candidates: Vec<Candidate<'_>> = whole
            .choices
            .iter()
            .map(|choice| {
                let said = &choice.message;
                let mut parts = Vec::new();
                let thoughts = said.reasoning.as_deref().filter(|_| self.include_thoughts);
                texts(thoughts, said.content.as_deref(), &mut parts);
                let mut ended = finish(choice.finish_reason.as_deref().unwrap_or("stop"));
                let called = said.tool_calls.iter().flatten().map(|call| Pending {
                    id: call.id.as_deref().unwrap_or_default().to_owned(),
                    name: call.function.name.as_deref().unwrap_or_default().to_owned(),
                    arguments: call.function.arguments.as_deref().unwrap_or_default().to_owned(),
                });
                calls(called.collect(), &mut parts, &mut ended);
                candidate(choice.index, parts, Some(ended), logprobs::result(choice.logprobs.as_ref()))
            })
            .collect();
        let own = id("", &self.seed, 0);
        let response = GenerateContentResponse {
            candidates: &candidates,
            usage_metadata: whole.usage.map(UsageMetadata::from),
            model_version: first(&whole.model, &self.model),
            response_id: first(&whole.id, &own),
        };
        // Texts, numbers and what was JSON before: there is nothing in it that could fail.
        serde_json::to_vec(&response).unwrap_or_default()
    }

    pub(in crate::wire::dialects) fn stream(self) -> Answer {
        Answer {
            answering: self,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            held: BTreeMap::new(),
            finished: 0,
            id: String::new(),
            model: String::new(),
            written: false,
            broken: false,
        }
    }
}

/// A streamed answer. Texts go out as they come. Calls go out whole, with the end of their candidate; it is held until
/// the usage is known, which the upstream gives with it or behind it.
#[derive(Debug)]
pub struct Answer {
    answering: Answering,
    /// By candidate and by call.
    pending: BTreeMap<(u64, u64), Pending>,
    pending_bytes: usize,
    /// How candidates ended that are not told yet.
    held: BTreeMap<u64, Finish>,
    /// Candidates whose end came.
    finished: u64,
    id: String,
    model: String,
    written: bool,
    broken: bool,
}

impl Answer {
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.answering.framing == Framing::Array {
            out.extend_from_slice(if self.written { b"]".as_slice() } else { b"[]" });
        }
    }

    fn respond(&mut self, candidates: &[Candidate<'_>], usage: Option<Used>, out: &mut Vec<u8>) {
        let own = id("", &self.answering.seed, 0);
        let response = GenerateContentResponse {
            candidates,
            usage_metadata: usage.map(UsageMetadata::from),
            model_version: first(&self.model, &self.answering.model),
            response_id: first(&self.id, &own),
        };
        match self.answering.framing {
            Framing::Sse => write_event(out, None, &response),
            Framing::Array => {
                out.extend_from_slice(if self.written { b",\r\n".as_slice() } else { b"[" });
                // Texts, numbers and what was JSON before: there is nothing in it that could fail.
                let _ = serde_json::to_writer(&mut *out, &response);
            }
        }
        self.written = true;
    }

    /// Keeps a piece of a call; false if there is too much of them.
    fn keep(&mut self, candidate: u64, piece: &CallPiece<'_>) -> bool {
        let pending = &mut self.pending;
        let index = piece.index.unwrap_or_else(|| {
            // Without a number, what has an id is a new call and what has none goes on with the last.
            let of = pending.range((candidate, 0)..=(candidate, u64::MAX)).next_back();
            let last = of.map(|((_, index), _)| *index);
            match piece.id {
                Some(_) => last.map_or(0, |last| last.saturating_add(1)),
                None => last.unwrap_or(0),
            }
        });
        if pending.len() >= CALLS && !pending.contains_key(&(candidate, index)) {
            return false;
        }
        let call = pending.entry((candidate, index)).or_default();
        let fields = [
            (&mut call.id, piece.id.as_deref()),
            (&mut call.name, piece.function.name.as_deref()),
            (&mut call.arguments, piece.function.arguments.as_deref()),
        ];
        for (field, more) in fields {
            let more = more.unwrap_or_default();
            field.push_str(more);
            self.pending_bytes += more.len();
        }
        self.pending_bytes <= MAX_EVENT_BYTES
    }

    /// Tells the ends that were held.
    fn tell(&mut self, usage: Option<Used>, out: &mut Vec<u8>) {
        let mut candidates = Vec::new();
        for (index, mut ended) in std::mem::take(&mut self.held) {
            let mut parts = Vec::new();
            let rest = self.pending.split_off(&(index, 0));
            let (own, others) = rest.into_iter().partition::<BTreeMap<_, _>, _>(|((of, _), _)| *of == index);
            self.pending.extend(others);
            calls(own.into_values().collect(), &mut parts, &mut ended);
            candidates.push(candidate(index, parts, Some(ended), None));
        }
        if !candidates.is_empty() || usage.is_some() {
            self.respond(&candidates, usage, out);
        }
    }

    fn break_off(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.broken = true;
        let body = error_body(error);
        match self.answering.framing {
            Framing::Sse => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&body);
                out.extend_from_slice(b"\n\n");
            }
            Framing::Array => {
                out.extend_from_slice(if self.written { b",\r\n".as_slice() } else { b"[" });
                out.extend_from_slice(&body);
                out.push(b']');
            }
        }
    }
}

impl Machine for Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        if self.id.is_empty() {
            self.id.push_str(&chunk.id);
        }
        if self.model.is_empty() {
            self.model.push_str(&chunk.model);
        }
        let mut candidates = Vec::new();
        for choice in &chunk.choices {
            let delta = &choice.delta;
            for piece in delta.tool_calls.iter().flatten() {
                if !self.keep(choice.index, piece) {
                    self.pending.clear();
                    self.break_off(&ApiError::stream_interrupted(), out);
                    return;
                }
            }
            let mut parts = Vec::new();
            let thoughts = delta.reasoning.as_deref().filter(|_| self.answering.include_thoughts);
            texts(thoughts, delta.content.as_deref(), &mut parts);
            let logprobs = logprobs::result(choice.logprobs.as_ref());
            if !parts.is_empty() || logprobs.is_some() {
                candidates.push(candidate(choice.index, parts, None, logprobs));
            }
            if let Some(reason) = choice.finish_reason.as_deref()
                && self.held.len() < CALLS
                && self.held.insert(choice.index, finish(reason)).is_none()
            {
                self.finished += 1;
            }
        }
        if !candidates.is_empty() {
            self.respond(&candidates, None, out);
        }
        if chunk.usage.is_some() {
            self.tell(chunk.usage, out);
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        for (index, _) in self.pending.keys() {
            self.held.entry(*index).or_insert(("STOP", None));
        }
        self.tell(None, out);
        self.close(out);
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        // What has all its ends is complete in this dialect, which has no word of its own for the end.
        if self.finished >= self.answering.candidates {
            self.done(out);
        } else {
            self.break_off(error, out);
        }
    }
}
