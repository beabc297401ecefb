//! The conversation. The upstream wants each call answered right after the turn that made it, and nothing else
//! between; the dialect has results as blocks of the user's next message, among other blocks.

use super::blocks::{self, BETWEEN, Place};
use super::refused;
use super::request::{Block, Content, MessageParam, Role};
use crate::wire::dialects::chat::{Message, Part, ToolCall};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::Value;
use std::collections::HashMap;

/// Translates the messages.
pub(super) fn translate(messages: Vec<MessageParam>, notes: &mut Notes) -> Result<Vec<Message>, ApiError> {
    let mut conversation = Conversation::default();
    for (at, message) in messages.into_iter().enumerate() {
        conversation.message(at, message, notes)?;
    }
    conversation.end_turn()?;
    Ok(conversation.done)
}

#[derive(Default)]
struct Conversation {
    done: Vec<Message>,
    /// The assistant's turn whose results may still come.
    turn: Option<Turn>,
    /// What the others said since.
    after: Vec<Message>,
    /// Ids of calls that were sent, with the number of the next one by the same id.
    ids: HashMap<String, usize>,
}

#[derive(Default)]
struct Turn {
    /// Its first message's place.
    at: usize,
    content: String,
    /// The last block was a text: one that follows continues it (citations cut sentences into blocks).
    in_text: bool,
    reasoning: String,
    calls: Vec<Call>,
    /// The place of a call by the client's id of it.
    places: HashMap<String, usize>,
    answered: bool,
}

struct Call {
    call: ToolCall,
    result: Option<CallResult>,
}

struct CallResult {
    text: String,
    pictures: Vec<Part>,
}

impl Conversation {
    fn message(&mut self, at: usize, message: MessageParam, notes: &mut Notes) -> Result<(), ApiError> {
        let path = format!("messages.{at}.content");
        match message.role {
            Role::Assistant => return self.assistant(at, message.content, notes),
            Role::System => {
                let content = blocks::plain(message.content, &path, notes)?;
                if content.is_empty() {
                    notes.dropped(format!("messages.{at}"));
                } else {
                    self.after.push(Message::System { content });
                }
            }
            Role::User => {
                let mut parts = Vec::new();
                let mut results = false;
                match message.content {
                    Content::Blocks(list) => {
                        for (n, block) in list.into_iter().enumerate() {
                            let path = format!("{path}.{n}");
                            if block.r#type == "tool_result" {
                                results = true;
                                self.result(block, &path, notes)?;
                            } else {
                                blocks::read(block, Place::User, &path, notes, &mut parts)?;
                            }
                        }
                    }
                    content => parts = blocks::parts(content, Place::User, &path, notes)?,
                }
                match blocks::user(parts) {
                    Some(message) => self.after.push(message),
                    None if results => {}
                    None => notes.dropped(format!("messages.{at}")),
                }
            }
        }
        Ok(())
    }

    fn assistant(&mut self, at: usize, content: Content, notes: &mut Notes) -> Result<(), ApiError> {
        // Messages of the assistant that follow one another are one turn.
        let goes_on = self.after.is_empty() && self.turn.as_ref().is_some_and(|turn| !turn.answered);
        if !goes_on {
            self.end_turn()?;
        }
        let turn = self.turn.get_or_insert_with(|| Turn { at, ..Turn::default() });
        turn.in_text = false;
        match content {
            Content::Text(text) => turn.say(&text),
            Content::Blocks(blocks) => {
                for (n, block) in blocks.into_iter().enumerate() {
                    turn.block(block, &format!("messages.{at}.content.{n}"), &mut self.ids, notes)?;
                }
            }
            Content::Other => notes.dropped(format!("messages.{at}")),
        }
        if turn.is_empty() {
            notes.dropped(format!("messages.{at}"));
        }
        Ok(())
    }

    fn result(&mut self, block: Block, path: &str, notes: &mut Notes) -> Result<(), ApiError> {
        if block.cache_control.is_some() {
            notes.dropped("messages.*.content.*.cache_control");
        }
        let id = block.tool_use_id.unwrap_or_default();
        let call = self.turn.as_mut().and_then(|turn| {
            turn.answered = true;
            turn.calls.get_mut(*turn.places.get(&id)?)
        });
        let Some(call) = call else {
            let what = "the turn before has no `tool_use` block with this `tool_use_id`. A result follows the turn that called the tool.";
            return Err(refused("invalid_value", path, what));
        };
        if call.result.is_some() {
            return Err(refused("invalid_value", path, "this `tool_use` already has a result."));
        }
        let parts = match block.content {
            Some(content) => blocks::parts(content, Place::ToolResult, &format!("{path}.content"), notes)?,
            None => Vec::new(),
        };
        let mut text = blocks::text_of(&parts);
        let pictures: Vec<Part> =
            parts.into_iter().filter(|part| matches!(part, Part::ImageUrl { .. })).collect();
        if !pictures.is_empty() {
            notes.add(path, Changed::Translated);
            let separator = if text.is_empty() { "" } else { BETWEEN };
            text.push_str(separator);
            text.push_str("[The images of this result follow in the next message.]");
        }
        if block.is_error == Some(true) && !says_error(&text) {
            notes.add("messages.*.content.*.is_error", Changed::Translated);
            text.insert_str(0, "Error: ");
        }
        call.result = Some(CallResult { text, pictures });
        Ok(())
    }

    /// Puts the turn down, the results behind it, and what was said since behind them.
    fn end_turn(&mut self) -> Result<(), ApiError> {
        let mut pictures = Vec::new();
        if let Some(turn) = self.turn.take().filter(|turn| !turn.is_empty()) {
            let missing = turn.calls.iter().position(|call| call.result.is_none());
            if missing.is_some() {
                let what =
                    "a `tool_use` block has no `tool_result`. Send a result for each in the next message.";
                return Err(refused("invalid_value", format!("messages.{}", turn.at), what));
            }
            let (calls, results): (Vec<_>, Vec<_>) =
                turn.calls.into_iter().map(|call| (call.call, call.result)).unzip();
            let ids: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
            // A turn that has only reasoning still has to say something.
            let content = (!turn.content.is_empty() || calls.is_empty()).then_some(turn.content);
            let reasoning = (!turn.reasoning.is_empty()).then_some(turn.reasoning);
            self.done.push(Message::Assistant { content, reasoning, tool_calls: calls });
            for (tool_call_id, mut result) in ids.into_iter().zip(results.into_iter().flatten()) {
                if !result.pictures.is_empty() {
                    pictures.push(Part::Text { text: format!("Images of the result of {tool_call_id}:") });
                    pictures.append(&mut result.pictures);
                }
                self.done.push(Message::Tool { tool_call_id, content: result.text });
            }
        }
        self.done.extend(blocks::user(pictures));
        self.done.append(&mut self.after);
        Ok(())
    }
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.content.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }

    fn say(&mut self, text: &str) {
        if !self.in_text && !self.content.is_empty() && !text.is_empty() {
            self.content.push_str(BETWEEN);
        }
        self.content.push_str(text);
        self.in_text = true;
    }

    fn block(
        &mut self,
        block: Block,
        path: &str,
        ids: &mut HashMap<String, usize>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        if block.r#type == "text" {
            if block.cache_control.is_some() {
                notes.dropped("messages.*.content.*.cache_control");
            }
            let missing = || refused("missing_required_parameter", path, "`text` is missing.");
            self.say(&block.text.ok_or_else(missing)?);
            return Ok(());
        }
        self.in_text = false;
        match block.r#type.as_str() {
            "thinking" => {
                let thinking = block.thinking.unwrap_or_default();
                if !self.reasoning.is_empty() && !thinking.is_empty() {
                    self.reasoning.push_str(BETWEEN);
                }
                self.reasoning.push_str(&thinking);
            }
            "redacted_thinking" => notes.dropped(path),
            "tool_use" => self.call(block, path, ids, notes)?,
            _ => {
                let mut parts = Vec::new();
                blocks::read(block, Place::TextOnly, path, notes, &mut parts)?;
                self.say(&blocks::text_of(&parts));
                self.in_text = false;
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        block: Block,
        path: &str,
        ids: &mut HashMap<String, usize>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        if block.cache_control.is_some() {
            notes.dropped("messages.*.content.*.cache_control");
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (Some(id), Some(name)) = (given(block.id), given(block.name)) else {
            return Err(refused("missing_required_parameter", path, "`id` or `name` is missing."));
        };
        let arguments = match block.input {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "{}".to_owned(),
            Some(input @ Value::Object(_)) => input.to_string(),
            Some(_) => return Err(refused("invalid_type", path, "`input` must be an object.")),
        };
        if self.places.insert(id.clone(), self.calls.len()).is_some() {
            return Err(refused("invalid_value", path, "the `id` of each `tool_use` must be its own."));
        }
        let sent = unused(id, ids, path, notes);
        self.calls.push(Call { call: ToolCall::new(sent, name, arguments), result: None });
        Ok(())
    }
}

/// The upstream refuses an id that it has seen; the dialect wants them different within a turn only.
fn unused(id: String, ids: &mut HashMap<String, usize>, path: &str, notes: &mut Notes) -> String {
    let mut sent = id.clone();
    if let Some(next) = ids.get(&id).copied() {
        notes.add(path, Changed::Translated);
        let mut number = next;
        while ids.contains_key(&sent) {
            sent = format!("{id}_{number}");
            number += 1;
        }
        ids.insert(id, number);
    }
    ids.insert(sent.clone(), 2);
    sent
}

fn says_error(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    let says = |word: &[u8]| start.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    says(b"error") || says(b"<tool_use_error>")
}
