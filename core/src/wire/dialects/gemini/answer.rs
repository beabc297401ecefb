//! An answer, whole or streamed. Every piece has the same form.

use super::response::{
    Candidate, Finish, GenerateContentResponse, Part, Pending, UsageMetadata, calls, candidate, finish,
    first, texts,
};
use super::{Framing, error_body, logprobs};
use crate::wire::dialects::chat::{CallPiece, Chunk, ChunkChoice, Used, Whole};
use crate::wire::dialects::{MAX_EVENT_BYTES, Machine, Seed, id, write_event};
use crate::wire::errors::ApiError;
use std::collections::BTreeMap;

/// Calls of one answer that are gathered, over all candidates; and candidates.
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
            courses: BTreeMap::new(),
            usage: None,
            usage_told: false,
            id: String::new(),
            model: String::new(),
            written: false,
            broken: false,
        }
    }
}

/// What is known of a candidate's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Held(Finish),
    Told,
}

/// How far a candidate has come.
#[derive(Debug, Default)]
struct Course {
    end: End,
    /// The latest text.
    text: String,
}

/// A streamed answer. A text goes out when the next one comes, so that there is one to go with the end: Google's
/// clients leave an answer out of their history when a piece of it says nothing. Calls go out whole, with the end of
/// their candidate; it is held until the usage is known, which the upstream gives with it or behind it.
#[derive(Debug)]
pub struct Answer {
    answering: Answering,
    /// By candidate and by call.
    pending: BTreeMap<(u64, u64), Pending>,
    pending_bytes: usize,
    /// Of the candidates that came.
    courses: BTreeMap<u64, Course>,
    usage: Option<Used>,
    usage_told: bool,
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
        // Some upstreams repeat what the first piece said.
        for (field, said) in [(&mut call.id, &piece.id), (&mut call.name, &piece.function.name)] {
            if let Some(said) = said.as_deref().filter(|_| field.is_empty()) {
                field.push_str(said);
                self.pending_bytes += said.len();
            }
        }
        let more = piece.function.arguments.as_deref().unwrap_or_default();
        call.arguments.push_str(more);
        self.pending_bytes += more.len();
        self.pending_bytes <= MAX_EVENT_BYTES
    }

    /// Takes a candidate up; false if there are too many.
    fn take_up(&mut self, candidate: u64) -> bool {
        if self.courses.len() < CALLS {
            self.courses.entry(candidate).or_default();
        }
        self.courses.contains_key(&candidate)
    }

    /// What goes out of a choice now.
    fn say<'a>(&mut self, choice: &'a ChunkChoice<'_>) -> Option<Candidate<'a>> {
        let delta = &choice.delta;
        let thoughts = delta.reasoning.as_deref().filter(|_| self.answering.include_thoughts);
        let logprobs = logprobs::result(choice.logprobs.as_ref());
        let mut new = Vec::new();
        texts(thoughts, delta.content.as_deref(), &mut new);
        let called = self.pending.range((choice.index, 0)..=(choice.index, u64::MAX)).next().is_some();
        let course = self.courses.get_mut(&choice.index)?;
        let mut parts = Vec::new();
        if !course.text.is_empty() && (!new.is_empty() || logprobs.is_some() || called) {
            parts.push(Part::Text { text: std::mem::take(&mut course.text).into(), thought: None });
        }
        // Calls go with the end too, and probabilities belong to their text.
        if !called
            && logprobs.is_none()
            && course.end != End::Told
            && let Some(Part::Text { text, thought: None }) = new.pop_if(|part| !part.is_thought())
        {
            course.text = text.into_owned();
        }
        parts.append(&mut new);
        (!parts.is_empty() || logprobs.is_some()).then(|| candidate(choice.index, parts, None, logprobs))
    }

    fn has_all_ends(&self) -> bool {
        let ended = self.courses.values().filter(|course| course.end != End::Open).count();
        u64::try_from(ended).is_ok_and(|ended| ended >= self.answering.candidates)
    }

    /// Tells the ends that were held, and the usage once.
    fn tell(&mut self, out: &mut Vec<u8>) {
        let mut candidates = Vec::new();
        let mut held = Vec::new();
        for (index, course) in &mut self.courses {
            if let End::Held(finish) = course.end {
                held.push((*index, finish, std::mem::take(&mut course.text)));
                course.end = End::Told;
            }
        }
        for (index, mut ended, text) in held {
            let mut parts = Vec::new();
            if !text.is_empty() {
                parts.push(Part::Text { text: text.into(), thought: None });
            }
            let rest = self.pending.split_off(&(index, 0));
            let (own, others) = rest.into_iter().partition::<BTreeMap<_, _>, _>(|((of, _), _)| *of == index);
            self.pending.extend(others);
            calls(own.into_values().collect(), &mut parts, &mut ended);
            candidates.push(candidate(index, parts, Some(ended), None));
        }
        let usage = self.usage.filter(|_| !self.usage_told);
        self.usage_told |= usage.is_some();
        if !candidates.is_empty() || usage.is_some() {
            self.respond(&candidates, usage, out);
        }
    }

    fn break_off(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.broken = true;
        let mut rest = Vec::new();
        for (index, Course { text, .. }) in std::mem::take(&mut self.courses) {
            if !text.is_empty() {
                let parts = vec![Part::Text { text: text.into(), thought: None }];
                rest.push(candidate(index, parts, None, None));
            }
        }
        if !rest.is_empty() {
            self.respond(&rest, None, out);
        }
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
            let mut calls = choice.delta.tool_calls.iter().flatten();
            if !self.take_up(choice.index) || !calls.all(|piece| self.keep(choice.index, piece)) {
                self.pending.clear();
                self.break_off(&ApiError::stream_interrupted(), out);
                return;
            }
            candidates.extend(self.say(choice));
            if let (Some(reason), Some(Course { end: end @ End::Open, .. })) =
                (choice.finish_reason.as_deref(), self.courses.get_mut(&choice.index))
            {
                *end = End::Held(finish(reason));
            }
        }
        if !candidates.is_empty() {
            self.respond(&candidates, None, out);
        }
        self.usage = chunk.usage.or(self.usage);
        // Usage may come with the end or behind it, and some upstreams give it all the time.
        if self.usage.is_some() && self.has_all_ends() {
            self.tell(out);
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        for course in self.courses.values_mut().filter(|course| course.end == End::Open) {
            course.end = End::Held(("STOP", None));
        }
        self.tell(out);
        self.close(out);
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        // What has all its ends is complete in this dialect, which has no word of its own for the end.
        if self.has_all_ends() {
            self.done(out);
        } else {
            self.break_off(error, out);
        }
    }

    // There is no ping: Google's client for Python reads a comment as an answer, and the one for JavaScript before
    // 2025 wants no line between two events.
}
