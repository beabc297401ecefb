//! The answer as events. Each has its number; texts come in pieces and then whole, items as they are opened and as
//! they ended, and the last event holds the whole answer.

use super::Answering;
use super::answer::{Logprob, Status, response};
use super::events::{Event, emit, emit_error, placed};
use super::gathered::{Gathered, Item, Kind, NO_ARGUMENTS, Outcome, custom_input, probable};
use crate::wire::dialects::Machine;
use crate::wire::dialects::chat::{CallPiece, Chunk, ChunkChoice};
use crate::wire::errors::ApiError;

/// The longest answer, in bytes: the last event needs all of it. An upstream's longest, of some 41,000 tokens
/// (docs/upstream.md), has about a tenth of that.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// A streamed answer.
#[derive(Debug)]
pub struct Answer {
    answering: Box<Answering>,
    gathered: Gathered,
    sequence: u64,
    started: bool,
    finish: Option<String>,
    over: bool,
}

impl Answer {
    pub(super) fn new(answering: Box<Answering>) -> Self {
        Self {
            answering,
            gathered: Gathered::default(),
            sequence: 0,
            started: false,
            finish: None,
            over: false,
        }
    }

    fn start(&mut self, model: &str, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.gathered.model = model.to_owned();
        for name in ["response.created", "response.in_progress"] {
            let response = Some(response(&self.answering, &self.gathered, None));
            emit(&mut self.sequence, out, Event { r#type: name, response, ..Event::default() });
        }
    }

    fn choice(&mut self, choice: &ChunkChoice<'_>, out: &mut Vec<u8>) {
        let delta = &choice.delta;
        if let Some(text) = delta.reasoning.as_deref().filter(|text| !text.is_empty()) {
            self.text(Kind::Reasoning { text: String::new() }, text, &[], out);
        }
        if let Some(text) = delta.content.as_deref().filter(|text| !text.is_empty()) {
            let probable = probable(choice.logprobs.as_ref(), &self.answering);
            self.text(Kind::Message { text: String::new(), logprobs: Vec::new() }, text, &probable, out);
        }
        for (place, piece) in (0_u64..).zip(delta.tool_calls.iter().flatten()) {
            if !self.over {
                self.call(piece.index.unwrap_or(place), piece, out);
            }
        }
        if let Some(finish) = choice.finish_reason.as_deref() {
            self.finish = Some(finish.to_owned());
        }
    }

    /// A piece of a text: of the item that is open, or of a new one.
    fn text(&mut self, kind: Kind, piece: &str, probable: &[Logprob], out: &mut Vec<u8>) {
        let same = |open: &Kind| std::mem::discriminant(open) == std::mem::discriminant(&kind);
        let last =
            self.gathered.items.last().filter(|last| last.status == Status::InProgress && same(&last.kind));
        let at = match last {
            Some(_) => self.gathered.items.len().saturating_sub(1),
            None => {
                self.close_done(out);
                let at = self.gathered.open(kind, &self.answering);
                self.added(at, out);
                at
            }
        };
        self.gathered.append(at, piece, probable);
        let Self { answering, gathered, sequence, .. } = self;
        let Some(item) = gathered.items.get(at) else { return };
        let event =
            Event { item_id: Some(&item.id), output_index: Some(at), delta: Some(piece), ..Event::default() };
        let event = match &item.kind {
            Kind::Message { .. } => Event {
                r#type: "response.output_text.delta",
                content_index: Some(0),
                logprobs: Some(probable),
                ..event
            },
            _ if answering.summarize => {
                Event { r#type: "response.reasoning_summary_text.delta", summary_index: Some(0), ..event }
            }
            _ => Event { r#type: "response.reasoning_text.delta", content_index: Some(0), ..event },
        };
        emit(sequence, out, event);
    }

    /// A piece of a call.
    fn call(&mut self, index: u64, piece: &CallPiece<'_>, out: &mut Vec<u8>) {
        let id = piece.id.as_deref().unwrap_or_default();
        let arguments = piece.function.arguments.as_deref().unwrap_or_default();
        let known = self.gathered.items.iter().rposition(|item| {
            matches!(&item.kind, Kind::Call { index: its, id: known, .. } if *its == index && (id.is_empty() || id == known))
        });
        let at = match known {
            Some(at) => at,
            None => {
                self.close_done(out);
                let name = piece.function.name.as_deref().unwrap_or_default();
                let at = self.gathered.open_call(index, id, name, &self.answering);
                self.added(at, out);
                at
            }
        };
        if arguments.is_empty() {
            return;
        }
        let open = self.gathered.items.get(at).is_some_and(|item| item.status == Status::InProgress);
        if !open {
            if !arguments.trim().is_empty() {
                // The client has been told that this call was whole.
                self.failed(&ApiError::stream_interrupted(), out);
            }
            return;
        }
        self.arguments(at, arguments, out);
    }

    /// A piece of a call's arguments.
    fn arguments(&mut self, at: usize, piece: &str, out: &mut Vec<u8>) {
        self.gathered.append(at, piece, &[]);
        let Self { gathered, sequence, .. } = self;
        let Some(item) = gathered.items.get(at) else { return };
        // Free text is inside the arguments, and known when they are whole.
        if !matches!(&item.kind, Kind::Call { origin, .. } if origin.custom) {
            let event = Event {
                r#type: "response.function_call_arguments.delta",
                item_id: Some(&item.id),
                output_index: Some(at),
                delta: Some(piece),
                ..Event::default()
            };
            emit(sequence, out, event);
        }
    }

    /// Tells that an item was opened, and its part if it has one.
    fn added(&mut self, at: usize, out: &mut Vec<u8>) {
        let Self { answering, gathered, sequence, .. } = self;
        let Some(item) = gathered.items.get(at) else { return };
        let shown = Some(item.shown(answering));
        let event = Event { output_index: Some(at), ..Event::default() };
        emit(sequence, out, Event { r#type: "response.output_item.added", item: shown, ..event });
        if let Some(part) = item.text_part(answering) {
            let event = Event {
                item_id: Some(&item.id),
                output_index: Some(at),
                part: Some(part),
                ..Event::default()
            };
            emit(
                sequence,
                out,
                placed(event, "response.content_part.added", "response.reasoning_summary_part.added"),
            );
        }
    }

    /// Ends the items before a new one. Calls stay open until their arguments are whole: pieces may be mixed.
    fn close_done(&mut self, out: &mut Vec<u8>) {
        for at in self.open_items() {
            let Some(item) = self.gathered.items.get(at) else { continue };
            if !matches!(item.kind, Kind::Call { .. }) || item.is_whole_call() {
                self.close(at, Status::Completed, out);
            }
        }
    }

    fn close_all(&mut self, status: Status, out: &mut Vec<u8>) {
        for at in self.open_items() {
            self.close(at, status, out);
        }
    }

    fn open_items(&self) -> Vec<usize> {
        let items = self.gathered.items.iter().enumerate();
        items.filter(|(_, item)| item.status == Status::InProgress).map(|(at, _)| at).collect()
    }

    /// Ends an item: its text whole, its part, and itself.
    fn close(&mut self, at: usize, status: Status, out: &mut Vec<u8>) {
        if status == Status::Completed && self.gathered.items.get(at).is_some_and(Item::lacks_arguments) {
            self.arguments(at, NO_ARGUMENTS, out);
        }
        let Self { answering, gathered, sequence, .. } = self;
        let Some(item) = gathered.items.get_mut(at) else { return };
        item.status = status;
        let item = &*item;
        let event = || Event { item_id: Some(&item.id), output_index: Some(at), ..Event::default() };
        let text = item.text();
        match &item.kind {
            Kind::Message { logprobs, .. } => {
                let logprobs = Some(logprobs.as_slice());
                let event = Event { text: Some(text), content_index: Some(0), logprobs, ..event() };
                emit(sequence, out, Event { r#type: "response.output_text.done", ..event });
            }
            Kind::Reasoning { .. } if answering.summarize => {
                let event = Event { text: Some(text), summary_index: Some(0), ..event() };
                emit(sequence, out, Event { r#type: "response.reasoning_summary_text.done", ..event });
            }
            Kind::Reasoning { .. } => {
                let event = Event { text: Some(text), content_index: Some(0), ..event() };
                emit(sequence, out, Event { r#type: "response.reasoning_text.done", ..event });
            }
            Kind::Call { origin, .. } if origin.custom => {
                let input = custom_input(text);
                let delta = Event { r#type: "response.custom_tool_call_input.delta", ..event() };
                emit(sequence, out, Event { delta: Some(&input), ..delta });
                let done = Event { r#type: "response.custom_tool_call_input.done", ..event() };
                emit(sequence, out, Event { input: Some(&input), ..done });
            }
            Kind::Call { origin, .. } => {
                let done = Event { r#type: "response.function_call_arguments.done", ..event() };
                emit(sequence, out, Event { name: Some(&origin.name), arguments: Some(text), ..done });
            }
        }
        if let Some(part) = item.text_part(answering) {
            let event = Event { part: Some(part), ..event() };
            emit(
                sequence,
                out,
                placed(event, "response.content_part.done", "response.reasoning_summary_part.done"),
            );
        }
        let event = Event { item_id: None, item: Some(item.shown(answering)), ..event() };
        emit(sequence, out, Event { r#type: "response.output_item.done", ..event });
    }

    /// The last event.
    fn finish(&mut self, outcome: Outcome<'_>, out: &mut Vec<u8>) {
        self.over = true;
        let name = match outcome {
            Outcome::Completed => "response.completed",
            Outcome::Incomplete(_) => "response.incomplete",
            Outcome::Failed(_) => "response.failed",
        };
        let response = Some(response(&self.answering, &self.gathered, Some(&outcome)));
        emit(&mut self.sequence, out, Event { r#type: name, response, ..Event::default() });
        // Nothing more comes of it.
        self.gathered.items = Vec::new();
    }
}

impl Machine for Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.start(&chunk.model, out);
        self.gathered.usage = chunk.usage.or(self.gathered.usage);
        if let Some(choice) = chunk.choices.iter().find(|choice| choice.index == 0) {
            self.choice(choice, out);
        }
        if self.gathered.size > MAX_BYTES && !self.over {
            self.finish = None;
            self.failed(&too_large(), out);
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if self.finish.is_none() && self.gathered.items.is_empty() {
            self.failed(&ApiError::stream_interrupted(), out);
            return;
        }
        let outcome = Outcome::of(self.finish.as_deref());
        self.close_all(outcome.status(), out);
        self.finish(outcome, out);
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if self.finish.is_some() {
            // All of the answer had come.
            self.done(out);
            return;
        }
        self.start("", out);
        emit_error(&mut self.sequence, out, error);
        for item in &mut self.gathered.items {
            if item.status == Status::InProgress {
                item.status = Status::Incomplete;
            }
        }
        self.finish(Outcome::Failed(error), out);
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            out.extend_from_slice(b": waiting for the upstream\n\n");
        }
    }
}

/// The answer is longer than what can be kept for the last event.
fn too_large() -> ApiError {
    ApiError {
        message: "The answer is longer than the 2 MiB that this API can end with. Ask with a smaller `max_output_tokens`."
            .into(),
        code: "answer_too_large".into(),
        should_retry: Some(false),
        ..ApiError::internal()
    }
}
