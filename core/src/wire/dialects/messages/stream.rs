//! A streamed answer: one block after the other, each with a start, pieces and a stop.

use super::answer::{
    Answering, ContentBlock, Ids, Message, RefusalStopDetails, SIGNATURE, Thinking, Usage, stop_details,
    stop_reason,
};
use super::failure;
use crate::wire::dialects::chat::{CallPiece, Chunk, Used};
use crate::wire::dialects::{Machine, write_event};
use crate::wire::errors::ApiError;
use serde::Serialize;
use serde_json::Value;

/// So many pieces of reasoning that a client is not shown, and it gets a sign of life.
const HIDDEN_PIECES: u32 = 128;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessageStreamEvent<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u64, content_block: ContentBlock<'a> },
    ContentBlockDelta { index: u64, delta: Delta<'a> },
    ContentBlockStop { index: u64 },
    MessageDelta { delta: MessageDelta, usage: Usage },
    MessageStop,
    Ping,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'static str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
struct MessageDelta {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
    stop_details: Option<RefusalStopDetails>,
}

/// The block that is open.
#[derive(Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    /// A call, by the upstream's number and id of it.
    Call(u64, String),
}

/// A streamed answer.
#[derive(Debug)]
pub struct Answer {
    answering: Answering,
    started: bool,
    over: bool,
    open: Open,
    /// Of the block that is open, or of the next.
    index: u64,
    ids: Ids,
    called: bool,
    hidden: u32,
    finish: Option<String>,
    used: Option<Used>,
}

impl Answer {
    pub(super) fn new(answering: Answering) -> Self {
        Self {
            answering,
            started: false,
            over: false,
            open: Open::None,
            index: 0,
            ids: Ids::default(),
            called: false,
            hidden: 0,
            finish: None,
            used: None,
        }
    }

    fn start(&mut self, model: &str, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let message = self.answering.start(model);
            write_event(out, Some("message_start"), &MessageStreamEvent::MessageStart { message });
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::None {
            return;
        }
        if self.open == Open::Thinking {
            self.delta(Delta::Signature { signature: SIGNATURE }, out);
        }
        self.open = Open::None;
        let event = MessageStreamEvent::ContentBlockStop { index: self.index };
        write_event(out, Some("content_block_stop"), &event);
        self.index += 1;
    }

    fn open(&mut self, open: Open, content_block: ContentBlock<'_>, out: &mut Vec<u8>) {
        self.close(out);
        self.open = open;
        let event = MessageStreamEvent::ContentBlockStart { index: self.index, content_block };
        write_event(out, Some("content_block_start"), &event);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let event = MessageStreamEvent::ContentBlockDelta { index: self.index, delta };
        write_event(out, Some("content_block_delta"), &event);
    }

    fn think(&mut self, thinking: &str, out: &mut Vec<u8>) {
        let shown = self.answering.thinking;
        if shown != Thinking::Hidden && self.open != Open::Thinking {
            self.open(Open::Thinking, ContentBlock::Thinking { thinking: "", signature: "" }, out);
        }
        if shown == Thinking::Shown {
            return self.delta(Delta::Thinking { thinking }, out);
        }
        self.hidden += 1;
        if self.hidden >= HIDDEN_PIECES {
            self.hidden = 0;
            self.ping(out);
        }
    }

    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.open != Open::Text {
            self.open(Open::Text, ContentBlock::Text { text: "" }, out);
        }
        self.delta(Delta::Text { text }, out);
    }

    fn call(&mut self, piece: &CallPiece<'_>, out: &mut Vec<u8>) {
        let id = piece.id.as_deref().filter(|id| !id.is_empty());
        let name = piece.function.name.as_deref().filter(|name| !name.is_empty());
        let goes_on = match &self.open {
            // Some upstreams give all calls the same number, some repeat the name.
            Open::Call(at, of) => {
                piece.index.is_none_or(|index| index == *at) && id.is_none_or(|id| id == of || name.is_none())
            }
            _ => false,
        };
        let arguments = piece.function.arguments.as_deref().unwrap_or_default();
        if !goes_on {
            let Some(name) = name else {
                if !arguments.is_empty() {
                    // The rest of a block that has been stopped: the client would run a tool with half its arguments.
                    self.failed(&ApiError::stream_interrupted(), out);
                }
                return;
            };
            self.called = true;
            let ours = self.ids.of(id, &self.answering.seed);
            let open = Open::Call(piece.index.unwrap_or(0), id.unwrap_or_default().to_owned());
            let input = Value::Object(serde_json::Map::new());
            self.open(open, ContentBlock::ToolUse { id: &ours, name, input }, out);
        }
        if !arguments.is_empty() {
            self.delta(Delta::InputJson { partial_json: arguments }, out);
        }
    }
}

impl Machine for Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.start(&chunk.model, out);
        if chunk.usage.is_some() {
            self.used = chunk.usage;
        }
        for choice in chunk.choices.iter().filter(|choice| choice.index == 0) {
            if let Some(thinking) = choice.delta.reasoning.as_deref().filter(|text| !text.is_empty()) {
                self.think(thinking, out);
            }
            if let Some(text) = choice.delta.content.as_deref().filter(|text| !text.is_empty()) {
                self.say(text, out);
            }
            for piece in choice.delta.tool_calls.iter().flatten() {
                if !self.over {
                    self.call(piece, out);
                }
            }
            if let Some(reason) = choice.finish_reason.as_deref() {
                self.finish = Some(reason.to_owned());
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        self.start("", out);
        self.close(out);
        let stop_reason = stop_reason(self.finish.as_deref(), self.called);
        let delta =
            MessageDelta { stop_reason, stop_sequence: None, stop_details: stop_details(stop_reason) };
        let usage = Usage::of(self.used.as_ref(), self.answering.prompt_tokens);
        write_event(out, Some("message_delta"), &MessageStreamEvent::MessageDelta { delta, usage });
        write_event(out, Some("message_stop"), &MessageStreamEvent::MessageStop);
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        // Once the upstream said why the answer ended there is nothing left of it to come.
        if self.finish.is_some() {
            return self.done(out);
        }
        self.over = true;
        write_event(out, Some("error"), &failure::response(error));
    }

    fn ping(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        // A stream starts with its message, whatever comes first of the upstream.
        self.start("", out);
        write_event(out, Some("ping"), &MessageStreamEvent::Ping);
    }
}
