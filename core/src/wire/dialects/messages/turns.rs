//! The conversation. The upstream wants each call answered right after the turn that made it, and nothing else
//! between; the dialect has results as blocks of the user's next message, among other blocks.

use super::blocks::{self, BETWEEN, Place};
use super::refused;
use super::request::{Block, Content, MessageParam, Role};
use super::tools::ToolChange;
use crate::wire::dialects::chat::{Message, Part, ToolCall};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// The result of a call that has none: the conversation was interrupted there.
const NO_RESULT: &str = "No result was given.";

/// What a conversation comes to.
#[derive(Default)]
pub(super) struct Talk {
    pub messages: Vec<Message>,
    /// The effort that a message asks for.
    pub effort: Option<String>,
    pub tool_changes: Vec<ToolChange>,
}

/// Translates the messages.
pub(super) fn translate(messages: Vec<MessageParam>, notes: &mut Notes) -> Result<Talk, ApiError> {
    let last_user = messages.iter().rposition(|message| message.role == Role::User).unwrap_or(0);
    let mut conversation = Conversation { last_user, ..Conversation::default() };
    for (at, message) in messages.into_iter().enumerate() {
        conversation.message(at, message, notes)?;
    }
    conversation.end_turn(notes);
    Ok(conversation.talk)
}

#[derive(Default)]
struct Conversation {
    talk: Talk,
    /// The place of the last message of the user.
    last_user: usize,
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
    /// The places of the calls without a result, by the client's id of them.
    places: HashMap<String, VecDeque<usize>>,
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
        match (message.role, message.content) {
            (Role::System, content) => {
                let cleared = message.clear_at.as_deref() == Some("next_user_message") && at < self.last_user;
                if let Some(effort) = message.output_config.and_then(|config| config.effort) {
                    notes.add("messages.*.output_config", Changed::Translated);
                    self.talk.effort = Some(effort);
                }
                self.system(at, content.unwrap_or(Content::Blocks(Vec::new())), cleared, notes)
            }
            (Role::Assistant, Some(content)) => self.assistant(at, content, notes),
            (Role::User, Some(content)) => self.user(at, content, notes),
            (_, None) => {
                let path = format!("messages.{at}.content");
                Err(refused("missing_required_parameter", path, "it is missing."))
            }
        }
    }

    fn user(&mut self, at: usize, content: Content, notes: &mut Notes) -> Result<(), ApiError> {
        let path = format!("messages.{at}.content");
        let place = if at < self.last_user { Place::Kept } else { Place::User };
        let mut parts = Vec::new();
        let mut results = false;
        match content {
            Content::Blocks(list) => {
                for (n, block) in list.into_iter().enumerate() {
                    let path = format!("{path}.{n}");
                    if block.r#type == "tool_result" {
                        results = true;
                        self.result(block, &path, notes)?;
                    } else {
                        blocks::read(block, place, &path, notes, &mut parts)?;
                    }
                }
            }
            content => parts = blocks::parts(content, place, &path, notes)?,
        }
        match blocks::user(parts) {
            Some(message) => self.after.push(message),
            None if results => {}
            None => notes.dropped(format!("messages.{at}")),
        }
        Ok(())
    }

    /// `cleared`: the client wants it to be seen no more.
    fn system(
        &mut self,
        at: usize,
        content: Content,
        cleared: bool,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let path = format!("messages.{at}.content");
        let mut parts = Vec::new();
        match content {
            Content::Blocks(list) => {
                for (n, block) in list.into_iter().enumerate() {
                    let path = format!("{path}.{n}");
                    if matches!(block.r#type.as_str(), "tool_addition" | "tool_removal") {
                        match ToolChange::of(block) {
                            Some(change) => {
                                notes.add(path, Changed::Translated);
                                self.talk.tool_changes.push(change);
                            }
                            None => notes.dropped(path),
                        }
                    } else {
                        blocks::read(block, Place::TextOnly, &path, notes, &mut parts)?;
                    }
                }
            }
            content => parts = blocks::parts(content, Place::TextOnly, &path, notes)?,
        }
        let content = blocks::text_of(&parts);
        if content.is_empty() || cleared {
            notes.dropped(format!("messages.{at}"));
        } else {
            self.after.push(Message::System { content });
        }
        Ok(())
    }

    fn assistant(&mut self, at: usize, content: Content, notes: &mut Notes) -> Result<(), ApiError> {
        // Messages of the assistant that follow one another are one turn.
        let goes_on = self.after.is_empty() && self.turn.as_ref().is_some_and(|turn| !turn.answered);
        if !goes_on {
            self.end_turn(notes);
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
            Content::Other => return Err(blocks::no_content(format!("messages.{at}.content"))),
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
            let place = turn.places.get_mut(&id)?.pop_front()?;
            turn.calls.get_mut(place)
        });
        // The upstream takes no result without its call, and the call is not in this conversation any more.
        let Some(call) = call else {
            notes.dropped(path);
            return Ok(());
        };
        let parts = match block.content {
            Some(content) => blocks::parts(content, Place::Kept, &format!("{path}.content"), notes)?,
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
    fn end_turn(&mut self, notes: &mut Notes) {
        let done = &mut self.talk.messages;
        let mut pictures = Vec::new();
        if let Some(turn) = self.turn.take().filter(|turn| !turn.is_empty()) {
            let (calls, results): (Vec<_>, Vec<_>) =
                turn.calls.into_iter().map(|call| (call.call, call.result)).unzip();
            let ids: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
            // A turn that has only reasoning still has to say something.
            let content = (!turn.content.is_empty() || calls.is_empty()).then_some(turn.content);
            let reasoning = (!turn.reasoning.is_empty()).then_some(turn.reasoning);
            done.push(Message::Assistant { content, reasoning, tool_calls: calls });
            for (tool_call_id, result) in ids.into_iter().zip(results) {
                let mut result = result.unwrap_or_else(|| {
                    notes.add(format!("messages.{}", turn.at), Changed::Translated);
                    CallResult { text: NO_RESULT.to_owned(), pictures: Vec::new() }
                });
                if !result.pictures.is_empty() {
                    pictures.push(Part::Text { text: format!("Images of the result of {tool_call_id}:") });
                    pictures.append(&mut result.pictures);
                }
                done.push(Message::Tool { tool_call_id, content: result.text });
            }
        }
        done.extend(blocks::user(pictures));
        done.append(&mut self.after);
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
        let arguments = match block.input.as_deref() {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "{}".to_owned(),
            Some(input @ Value::Object(_)) => input.to_string(),
            Some(_) => return Err(refused("invalid_type", path, "`input` must be an object.")),
        };
        self.places.entry(id.clone()).or_default().push_back(self.calls.len());
        let sent = unused(id, ids, path, notes);
        self.calls.push(Call { call: ToolCall::new(sent, name, arguments), result: None });
        Ok(())
    }
}

/// The upstream refuses an id that it has seen before in the conversation.
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
