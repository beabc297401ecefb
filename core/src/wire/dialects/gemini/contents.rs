//! The conversation. Gemini's results of functions are parts of what the user says and name the function, not the
//! call; the upstream wants each call answered by a message of its own, right behind the turn that made it, and
//! nothing answered that was not called. So turns are gathered first, results go to their calls, and then all is said.

use super::types::{Blob, Content, FileData, FunctionCall, FunctionResponse, Instruction, Part};
use crate::wire::dialects::chat::{self, ImageUrl, Message, ToolCall};
use crate::wire::dialects::refusal::{field, refused};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};

/// What stands for a result that the client does not have.
const NO_RESULT: &str = "No result was given.";

enum Turn {
    User(Vec<chat::Part>),
    Model(Said),
}

#[derive(Default)]
struct Said {
    text: String,
    thoughts: String,
    calls: Vec<Call>,
}

struct Call {
    path: String,
    id: String,
    name: String,
    arguments: String,
    result: Option<String>,
}

/// A call: its turn, and which of the turn's.
type At = (usize, usize);

#[derive(Default)]
struct Conversation {
    turns: Vec<Turn>,
    ids: HashSet<String>,
    by_id: HashMap<String, At>,
    /// Calls of the latest turn of the model, in their order.
    by_name: HashMap<String, VecDeque<At>>,
    /// Nothing has been said or answered since the latest turn of the model.
    open: bool,
    made: usize,
}

/// The system message, if there is an instruction.
pub(super) fn instruction(instruction: Option<Instruction>, notes: &mut Notes) -> Option<Message> {
    let parts = match instruction? {
        Instruction::Text(text) => return said(text),
        Instruction::Parts(parts) => parts,
        Instruction::Content(told) => {
            let mut parts = told.parts.unwrap_or_default().0;
            if told.text.is_some() {
                parts.push(Part { text: told.text, ..Part::default() });
            }
            parts
        }
    };
    let mut texts = Vec::new();
    for (n, part) in parts.into_iter().enumerate() {
        match part.text {
            Some(text) if !text.is_empty() => texts.push(text),
            Some(_) => {}
            None => notes.dropped(format!("systemInstruction.parts.{n}")),
        }
    }
    said(texts.join("\n"))
}

fn said(content: String) -> Option<Message> {
    (!content.is_empty()).then_some(Message::System { content })
}

/// Appends the conversation to `out`.
pub(super) fn messages(
    contents: Vec<Content>,
    out: &mut Vec<Message>,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    let mut conversation = Conversation::default();
    for (n, content) in contents.into_iter().enumerate() {
        let parts = content.parts.unwrap_or_default().0;
        match content.role.as_deref() {
            Some("model") => conversation.model(n, parts, notes)?,
            None | Some("" | "user" | "function" | "tool") => conversation.user(n, parts, notes)?,
            Some(_) => {
                let message = "The roles are `user`, `model` and `function`. What the model is told before all goes into `systemInstruction`.";
                return Err(refused("unsupported_value", format!("contents.{n}.role"), message));
            }
        }
    }
    conversation.say(out, notes);
    Ok(())
}

fn dropped(rest: &super::types::Rest, path: &str, notes: &mut Notes) {
    for name in rest.keys() {
        notes.dropped(format!("{path}.{}", field(name)));
    }
}

impl Conversation {
    fn model(&mut self, n: usize, parts: Vec<Part>, notes: &mut Notes) -> Result<(), ApiError> {
        // Pieces of one turn may come as several contents.
        let mut turn = match self.turns.pop() {
            Some(Turn::Model(turn)) if self.open => turn,
            other => {
                self.turns.extend(other);
                self.by_name.clear();
                Said::default()
            }
        };
        for (m, part) in parts.into_iter().enumerate() {
            let path = format!("contents.{n}.parts.{m}");
            dropped(&part.rest, &path, notes);
            if let Some(call) = part.function_call {
                self.call(&mut turn, format!("{path}.functionCall"), call)?;
            }
            if let Some(text) = part.text {
                if part.thought == Some(true) { &mut turn.thoughts } else { &mut turn.text }.push_str(&text);
            }
            for (there, name) in [
                (part.inline_data.is_some(), "inlineData"),
                (part.file_data.is_some(), "fileData"),
                (part.function_response.is_some(), "functionResponse"),
            ] {
                if there {
                    notes.dropped(format!("{path}.{name}"));
                }
            }
        }
        if turn.text.is_empty() && turn.thoughts.is_empty() && turn.calls.is_empty() {
            notes.dropped(format!("contents.{n}"));
        } else {
            self.turns.push(Turn::Model(turn));
            self.open = true;
        }
        Ok(())
    }

    fn call(&mut self, turn: &mut Said, path: String, call: FunctionCall) -> Result<(), ApiError> {
        let Some(name) = call.name.filter(|name| !name.is_empty()) else {
            return Err(refused("invalid_value", format!("{path}.name"), "Each call names its function."));
        };
        let arguments = match call.args {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(args @ Value::Object(_)) => args.to_string(),
            Some(_) => {
                return Err(refused("invalid_type", format!("{path}.args"), "`args` must be an object."));
            }
        };
        let at = (self.turns.len(), turn.calls.len());
        let given = call.id.filter(|id| !id.is_empty());
        if let Some(id) = &given {
            self.by_id.insert(id.clone(), at);
        }
        // No two calls may have the same id.
        let id = match given.filter(|id| !self.ids.contains(id)) {
            Some(id) => id,
            None => loop {
                self.made += 1;
                let id = format!("call_{}", self.made);
                if !self.ids.contains(&id) {
                    break id;
                }
            },
        };
        self.ids.insert(id.clone());
        self.by_name.entry(name.clone()).or_default().push_back(at);
        turn.calls.push(Call { path, id, name, arguments, result: None });
        Ok(())
    }

    fn user(&mut self, n: usize, parts: Vec<Part>, notes: &mut Notes) -> Result<(), ApiError> {
        let mut said = Vec::new();
        let mut results = false;
        for (m, part) in parts.into_iter().enumerate() {
            let path = format!("contents.{n}.parts.{m}");
            dropped(&part.rest, &path, notes);
            if let Some(response) = part.function_response {
                self.result(format!("{path}.functionResponse"), response, notes);
                results = true;
            }
            match part.text {
                Some(_) if part.thought == Some(true) => notes.dropped(format!("{path}.thought")),
                Some(text) if !text.is_empty() => said.push(chat::Part::Text { text }),
                _ => {}
            }
            if let Some(blob) = part.inline_data {
                said.push(picture(blob, &path)?);
            }
            if let Some(file) = part.file_data {
                said.push(picture_at(file, &path)?);
            }
            if part.function_call.is_some() {
                notes.dropped(format!("{path}.functionCall"));
            }
        }
        self.open &= said.is_empty() && !results;
        if !said.is_empty() {
            self.turns.push(Turn::User(said));
        } else if !results {
            notes.dropped(format!("contents.{n}"));
        }
        Ok(())
    }

    fn result(&mut self, path: String, response: FunctionResponse, notes: &mut Notes) {
        if response.parts.is_some() {
            notes.dropped(format!("{path}.parts"));
        }
        let name = response.name.unwrap_or_default();
        let text = result_text(response.response);
        let at = response.id.and_then(|id| self.by_id.remove(&id));
        let open = |turns: &[Turn], (turn, n): At| match turns.get(turn) {
            Some(Turn::Model(turn)) => turn.calls.get(n).is_some_and(|call| call.result.is_none()),
            _ => false,
        };
        let at = at.filter(|at| open(&self.turns, *at)).or_else(|| {
            let queue = self.by_name.get_mut(&name)?;
            std::iter::from_fn(|| queue.pop_front()).find(|at| open(&self.turns, *at))
        });
        let call = at.and_then(|(turn, n)| match self.turns.get_mut(turn) {
            Some(Turn::Model(turn)) => turn.calls.get_mut(n),
            _ => None,
        });
        match call {
            Some(call) => call.result = Some(text),
            // The upstream refuses results of calls that it can't see.
            None => notes.dropped(path),
        }
    }

    fn say(self, out: &mut Vec<Message>, notes: &mut Notes) {
        for turn in self.turns {
            let Said { text, thoughts, calls } = match turn {
                Turn::User(parts) => {
                    out.push(Message::User { content: content(parts) });
                    continue;
                }
                Turn::Model(said) => said,
            };
            let mut results = Vec::with_capacity(calls.len());
            let mut tool_calls = Vec::with_capacity(calls.len());
            for call in calls {
                let content = call.result.unwrap_or_else(|| {
                    notes.add(call.path, Changed::Translated);
                    NO_RESULT.to_owned()
                });
                results.push(Message::Tool { tool_call_id: call.id.clone(), content });
                tool_calls.push(ToolCall::new(call.id, call.name, call.arguments));
            }
            out.push(Message::Assistant {
                content: (!text.is_empty() || tool_calls.is_empty()).then_some(text),
                reasoning: (!thoughts.is_empty()).then_some(thoughts),
                tool_calls,
            });
            out.append(&mut results);
        }
    }
}

fn content(mut parts: Vec<chat::Part>) -> chat::Content {
    match parts.as_mut_slice() {
        [chat::Part::Text { text }] => chat::Content::Text(std::mem::take(text)),
        _ => chat::Content::Parts(parts),
    }
}

/// A result as text: JSON, but for the one text that most clients wrap into an object.
fn result_text(response: Option<Value>) -> String {
    match response {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text,
        Some(Value::Object(mut map)) => {
            if map.len() == 1
                && (map.contains_key("output") || map.contains_key("result"))
                && let Some(Value::String(text)) = map.values_mut().next()
            {
                return std::mem::take(text);
            }
            Value::Object(map).to_string()
        }
        Some(other) => other.to_string(),
    }
}

fn picture(blob: Blob, path: &str) -> Result<chat::Part, ApiError> {
    let (kind, data) = (blob.mime_type.unwrap_or_default(), blob.data.unwrap_or_default());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    match kind.strip_prefix("image/") {
        Some(rest) if !rest.is_empty() && rest.bytes().all(plain) => {}
        _ => {
            let message = "Only pictures (`image/…`) can be sent along. Send documents as text.";
            return Err(refused("unsupported_value", format!("{path}.inlineData.mimeType"), message));
        }
    }
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=');
    if data.is_empty() || !data.bytes().all(base64) {
        return Err(refused("invalid_value", format!("{path}.inlineData.data"), "`data` must be base64."));
    }
    // Google takes the alphabet for URLs too.
    let data = if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/") } else { data };
    let url = format!("data:{kind};base64,{data}");
    Ok(chat::Part::ImageUrl { image_url: ImageUrl { url, detail: None } })
}

fn picture_at(file: FileData, path: &str) -> Result<chat::Part, ApiError> {
    let url = file.file_uri.unwrap_or_default();
    let web = url.starts_with("https://") || url.starts_with("http://");
    // Files that were uploaded to Google are open to Google's own models only.
    let googles = url.starts_with("https://generativelanguage.googleapis.com/");
    let image = file.mime_type.is_some_and(|kind| kind.starts_with("image/"));
    if web && !googles && image {
        return Ok(chat::Part::ImageUrl { image_url: ImageUrl { url, detail: None } });
    }
    let message = "Uploaded files can't be read here. Send a picture as `inlineData` or by its public address with an `image/…` type, a document as text.";
    Err(refused("unsupported_value", format!("{path}.fileData"), message))
}

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;
