//! What came of an answer so far. The last event, or a whole answer, holds all of it.

use super::Answering;
use super::answer::{Logprob, OutputItem, Part, Status};
use super::carried;
use super::tools::Origin;
use crate::wire::dialects::chat::{Choice, Used, Whole};
use crate::wire::dialects::{self};
use crate::wire::errors::ApiError;
use serde::Deserialize;
use serde_json::Value;

/// What an item takes beside its texts, in bytes.
const ITEM_BYTES: usize = 256;
/// The most memory that the tokens' probabilities of a streamed answer take, in bytes: with twenty others at each
/// token an answer has a hundred times that. The pieces come with theirs always; past this the whole text does not.
const LOGPROBS_BYTES: usize = 1024 * 1024;

/// How an answer ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// Well.
    Completed,
    /// Cut short, for that reason.
    Incomplete(&'static str),
    /// Not at all.
    Failed(&'a ApiError),
}

impl Outcome<'_> {
    /// The end that the upstream names.
    pub(super) fn of(finish: Option<&str>) -> Self {
        match finish {
            Some("length") => Self::Incomplete("max_output_tokens"),
            Some("content_filter") => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    /// What becomes of items that are open at the end.
    pub(super) fn status(self) -> Status {
        if matches!(self, Self::Completed) { Status::Completed } else { Status::Incomplete }
    }
}

/// An item of the answer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    Message {
        text: String,
        logprobs: Vec<Logprob>,
    },
    Reasoning {
        text: String,
    },
    Call {
        /// Which call it is for the upstream.
        index: u64,
        id: String,
        origin: Origin,
        arguments: String,
    },
}

impl Item {
    /// As the client sees it.
    pub(super) fn shown(&self, answering: &Answering) -> OutputItem<'_> {
        let (id, status) = (self.id.as_str(), self.status);
        match &self.kind {
            Kind::Message { .. } => {
                OutputItem::Message { id, status, role: "assistant", content: self.part(answering).collect() }
            }
            Kind::Reasoning { text } => {
                let parts = self.part(answering).collect();
                let (summary, content) =
                    if answering.summarize { (parts, None) } else { (Vec::new(), Some(parts)) };
                let carry = answering.carry && status != Status::InProgress;
                let encrypted_content = if carry { carried::pack(text) } else { None };
                OutputItem::Reasoning { id, status, summary, content, encrypted_content }
            }
            Kind::Call { id: call_id, origin, arguments, .. } => {
                let (name, namespace) = (origin.name.as_str(), origin.namespace.as_deref());
                if origin.custom {
                    let input = custom_input(arguments);
                    OutputItem::CustomToolCall { id, status, call_id, name, namespace, input }
                } else {
                    OutputItem::FunctionCall { id, status, call_id, name, namespace, arguments }
                }
            }
        }
    }

    /// Its one part, once there is text.
    fn part(&self, answering: &Answering) -> impl Iterator<Item = Part<'_>> {
        self.text_part(answering).filter(|_| !self.text().is_empty()).into_iter()
    }

    /// Its one part, with text or not. Calls have none.
    pub(super) fn text_part(&self, answering: &Answering) -> Option<Part<'_>> {
        match &self.kind {
            Kind::Message { text, logprobs } => Some(Part::OutputText { text, annotations: [], logprobs }),
            Kind::Reasoning { text } if answering.summarize => Some(Part::SummaryText { text }),
            Kind::Reasoning { text } => Some(Part::ReasoningText { text }),
            Kind::Call { .. } => None,
        }
    }

    /// Its text, or a call's arguments.
    pub(super) fn text(&self) -> &str {
        match &self.kind {
            Kind::Message { text, .. } | Kind::Reasoning { text } | Kind::Call { arguments: text, .. } => {
                text
            }
        }
    }

    /// Whether it is a call of a function that says nothing of its arguments.
    pub(super) fn lacks_arguments(&self) -> bool {
        matches!(&self.kind, Kind::Call { origin, arguments, .. } if !origin.custom && arguments.trim().is_empty())
    }

    /// Whether it is a call whose arguments are whole: there can be no more of them.
    pub(super) fn is_whole_call(&self) -> bool {
        matches!(&self.kind, Kind::Call { arguments, .. }
            if arguments.trim_end().ends_with('}')
                && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok())
    }
}

/// The arguments of a call without any: clients read them as JSON.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// The free text that a custom tool gets. A model that did not keep to the form has said what it said.
pub(super) fn custom_input(arguments: &str) -> String {
    #[derive(Deserialize)]
    struct Arguments {
        input: String,
    }
    serde_json::from_str::<Arguments>(arguments)
        .map_or_else(|_| arguments.to_owned(), |arguments| arguments.input)
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The model that answers.
    pub(super) model: String,
    /// Its items, in their order.
    pub(super) items: Vec<Item>,
    /// What it used.
    pub(super) usage: Option<Used>,
    /// About what it takes in memory, without the probabilities.
    pub(super) size: usize,
    /// About what these take.
    logprobs_size: usize,
}

impl Gathered {
    /// Opens an item and gives its place.
    pub(super) fn open(&mut self, kind: Kind, answering: &Answering) -> usize {
        let prefix = match &kind {
            Kind::Message { .. } => "msg_",
            Kind::Reasoning { .. } => "rs_",
            Kind::Call { origin, .. } if origin.custom => "ctc_",
            Kind::Call { .. } => "fc_",
        };
        let at = self.items.len();
        let id = dialects::id(prefix, &answering.seed, at + 1);
        self.size += ITEM_BYTES;
        self.items.push(Item { id, status: Status::InProgress, kind });
        at
    }

    /// Opens a call.
    pub(super) fn open_call(&mut self, index: u64, id: &str, name: &str, answering: &Answering) -> usize {
        let id = if id.is_empty() {
            dialects::id("call_", &answering.seed, self.items.len() + 1)
        } else {
            id.to_owned()
        };
        let origin = answering.names.origin(name);
        self.size += id.len() + name.len();
        self.open(Kind::Call { index, id, origin, arguments: String::new() }, answering)
    }

    /// Adds to the text of an item.
    pub(super) fn append(&mut self, at: usize, more: &str, probable: &[Logprob]) {
        self.size += more.len();
        let Some(item) = self.items.get_mut(at) else { return };
        match &mut item.kind {
            Kind::Message { text, logprobs } => {
                text.push_str(more);
                let size: usize = probable.iter().map(Logprob::size).sum();
                self.logprobs_size = self.logprobs_size.saturating_add(size);
                if self.logprobs_size <= LOGPROBS_BYTES {
                    logprobs.extend_from_slice(probable);
                } else {
                    // Of a part of the text they would be wrong.
                    *logprobs = Vec::new();
                    self.logprobs_size = usize::MAX;
                }
            }
            Kind::Reasoning { text } | Kind::Call { arguments: text, .. } => text.push_str(more),
        }
    }

    /// A whole answer.
    pub(super) fn whole(whole: &Whole<'_>, answering: &Answering) -> Self {
        let mut gathered =
            Self { model: whole.model.clone().into_owned(), usage: whole.usage, ..Self::default() };
        let Some(Choice { message, logprobs, finish_reason, .. }) = whole.choices.first() else {
            return gathered;
        };
        if let Some(text) = message.reasoning.as_deref().filter(|text| !text.is_empty()) {
            gathered.open(Kind::Reasoning { text: text.to_owned() }, answering);
        }
        if let Some(text) = message.content.as_deref().filter(|text| !text.is_empty()) {
            let logprobs = probable(logprobs.as_ref(), answering);
            gathered.open(Kind::Message { text: text.to_owned(), logprobs }, answering);
        }
        for (index, call) in (0_u64..).zip(message.tool_calls.iter().flatten()) {
            let (id, function) = (call.id.as_deref().unwrap_or_default(), &call.function);
            let at = gathered.open_call(index, id, function.name.as_deref().unwrap_or_default(), answering);
            gathered.append(at, function.arguments.as_deref().unwrap_or_default(), &[]);
            if gathered.items.get(at).is_some_and(Item::lacks_arguments) {
                gathered.append(at, NO_ARGUMENTS, &[]);
            }
        }
        for item in &mut gathered.items {
            item.status = Status::Completed;
        }
        if let Some(last) = gathered.items.last_mut() {
            last.status = Outcome::of(finish_reason.as_deref()).status();
        }
        gathered
    }
}

/// The tokens' probabilities, if the client asked for them.
pub(super) fn probable(logprobs: Option<&Value>, answering: &Answering) -> Vec<Logprob> {
    let Some(Value::Array(list)) =
        logprobs.filter(|_| answering.logprobs).and_then(|value| value.get("content"))
    else {
        return Vec::new();
    };
    list.iter().filter_map(|one| Logprob::deserialize(one).ok()).map(Logprob::complete).collect()
}
