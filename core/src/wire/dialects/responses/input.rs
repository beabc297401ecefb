//! `input`: the conversation as items in a row. Upstream an assistant's turn is one message with its calls, and each
//! call is answered right behind it: items are gathered into turns, results found by the ids of their calls.

use super::carried;
use super::content;
use super::fields::{Fields, missing, refused, wrong};
use super::tools::{Names, Origin, Tools, named};
use crate::wire::dialects::chat::{Content, Message, ToolCall};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};

/// Between texts that become one.
const BETWEEN: &str = "\n\n";
/// Of an item, what the upstream needs not know.
const OF_NO_USE: [&str; 7] =
    ["id", "status", "phase", "caller", "async", "created_by", "internal_chat_message_metadata_passthrough"];

/// An item, as far as the upstream can be told of it.
enum Item {
    User(Content),
    System(String),
    Assistant(String),
    Reasoning(String),
    Call {
        path: String,
        id: String,
        origin: Origin,
        arguments: String,
    },
    Result {
        path: String,
        id: String,
        output: String,
    },
    /// There was a result here.
    Answered,
}

/// By the ids of their calls: where in the request each stands, and what it says.
type Results = HashMap<String, VecDeque<(String, String)>>;

/// The messages of a conversation. Tools that items bring along are added to `tools`.
pub(super) fn messages(
    instructions: Option<String>,
    input: Value,
    tools: &mut Tools,
    notes: &mut Notes,
) -> Result<Vec<Message>, ApiError> {
    let (mut items, mut results) = (Vec::new(), Results::new());
    match input {
        Value::String(text) => items.push(Item::User(Content::Text(text))),
        Value::Array(list) => {
            for (at, value) in list.into_iter().enumerate() {
                match read(Fields::of(value, format!("input.{at}"))?, tools, notes)? {
                    Some(Item::Result { path, id, output }) => {
                        results.entry(id).or_default().push_back((path, output));
                        items.push(Item::Answered);
                    }
                    item => items.extend(item),
                }
            }
        }
        _ => return Err(wrong("input".to_owned(), "a string or a list of items")),
    }
    let mut turns = Turns::of(instructions, &tools.names);
    for item in items {
        turns.add(item, &mut results)?;
    }
    turns.close(&mut results)?;
    // The first of them in the list: maps have no order.
    if let Some((path, _)) = results
        .into_values()
        .flatten()
        .min_by(|(one, _), (other, _)| one.len().cmp(&other.len()).then_with(|| one.cmp(other)))
    {
        let message =
            "The call that this answers is not in `input`. Rondo keeps nothing: send the whole conversation.";
        return Err(refused("invalid_value", format!("{path}.call_id"), message));
    }
    if turns.messages.is_empty() {
        return Err(refused("invalid_value", "input", "`input` holds nothing to answer."));
    }
    Ok(turns.messages)
}

/// Reads an item; None if nothing of it is of use.
fn read(mut fields: Fields, tools: &mut Tools, notes: &mut Notes) -> Result<Option<Item>, ApiError> {
    let kind = match fields.text("type")? {
        Some(kind) => kind,
        None if fields.has("role") => "message".to_owned(),
        None if fields.has("id") => "item_reference".to_owned(),
        None => return Err(missing(fields.at("type"))),
    };
    let path = fields.path().to_owned();
    let item = match kind.as_str() {
        "message" => message(&mut fields, notes)?,
        "reasoning" => reasoning(&mut fields, notes)?.map(Item::Reasoning),
        "function_call" => {
            let arguments = fields.needed_text("arguments")?;
            let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
            Some(call(&mut fields, false, arguments)?)
        }
        "custom_tool_call" => {
            let arguments = json!({"input": fields.needed_text("input")?}).to_string();
            Some(call(&mut fields, true, arguments)?)
        }
        "local_shell_call" | "shell_call" | "apply_patch_call" => {
            notes.add(path.as_str(), Changed::Translated);
            let what = if kind == "apply_patch_call" { "operation" } else { "action" };
            let action = fields.object(what)?.ok_or_else(|| missing(fields.at(what)))?;
            fields.ignore(&["environment"]);
            let name = kind.trim_end_matches("_call").to_owned();
            let origin = Origin { namespace: None, name, custom: false };
            Some(Item::Call { path, id: call_id(&mut fields)?, origin, arguments: action.into_json() })
        }
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "apply_patch_call_output" => Some(result(&mut fields, &kind, notes)?),
        "item_reference" => {
            let message = "Rondo keeps nothing that could be referred to. Send the item itself, and `store: false`, \
                           by which clients know to.";
            return Err(refused("unsupported_value", path, message));
        }
        "compaction_trigger" => {
            let message = "Conversations are not compacted here. Leave this item out.";
            return Err(refused("unsupported_value", path, message));
        }
        "additional_tools" | "tool_search_output" => {
            if kind == "tool_search_output" {
                notes.add(path.as_str(), Changed::Translated);
            }
            fields.ignore(&["role", "call_id", "execution"]);
            let list = fields.list("tools")?.unwrap_or_default();
            tools.add(list, &fields.at("tools"), notes)?;
            None
        }
        // What OpenAI's own tools did, and what nobody knows.
        _ => {
            notes.dropped(path);
            return Ok(None);
        }
    };
    fields.ignore(&OF_NO_USE);
    fields.rest(notes);
    Ok(item)
}

fn message(fields: &mut Fields, notes: &mut Notes) -> Result<Option<Item>, ApiError> {
    let (role, at) = (fields.needed_text("role")?, fields.at("content"));
    let content = fields.value("content").ok_or_else(|| missing(at.clone()))?;
    Ok(Some(match role.as_str() {
        "user" => Item::User(content::user(content, &at, notes)?),
        "assistant" => Item::Assistant(content::text(content, &at, "", notes)?),
        "system" | "developer" => Item::System(content::text(content, &at, "\n", notes)?),
        _ => return Err(wrong(fields.at("role"), "`user`, `assistant`, `system` or `developer`")),
    }))
}

fn reasoning(fields: &mut Fields, notes: &mut Notes) -> Result<Option<String>, ApiError> {
    let packed = fields.text("encrypted_content")?;
    let (content, summary) = (fields.value("content"), fields.value("summary"));
    if let Some(text) = packed.as_deref().and_then(carried::unpack) {
        return Ok(Some(text));
    }
    if packed.is_some() {
        notes.dropped(fields.at("encrypted_content"));
    }
    for (key, list) in [("content", content), ("summary", summary)] {
        if let Some(list) = list {
            let text = content::text(list, &fields.at(key), BETWEEN, notes)?;
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
    }
    Ok(None)
}

fn call(fields: &mut Fields, custom: bool, arguments: String) -> Result<Item, ApiError> {
    let origin = Origin { namespace: fields.text("namespace")?, name: named(fields)?, custom };
    Ok(Item::Call { path: fields.path().to_owned(), id: call_id(fields)?, origin, arguments })
}

/// The call's id; shell calls of old have only the item's.
fn call_id(fields: &mut Fields) -> Result<String, ApiError> {
    let id = fields.text("call_id")?;
    let id = if id.is_none() { fields.text("id")? } else { id };
    id.filter(|id| !id.is_empty()).ok_or_else(|| missing(fields.at("call_id")))
}

fn result(fields: &mut Fields, kind: &str, notes: &mut Notes) -> Result<Item, ApiError> {
    fields.ignore(&["name", "namespace", "max_output_length"]);
    let (path, at) = (fields.path().to_owned(), fields.at("output"));
    let output = fields.value("output");
    let output = match (kind, output) {
        ("shell_call_output", Some(output)) => output.to_string(),
        ("apply_patch_call_output", None) => fields.text("status")?.unwrap_or_default(),
        (_, Some(output)) => content::result(output, &at, notes)?,
        (_, None) => return Err(missing(at)),
    };
    Ok(Item::Result { path, id: call_id(fields)?, output })
}

/// The messages so far, and the assistant's turn that is not over.
struct Turns<'a> {
    names: &'a Names,
    messages: Vec<Message>,
    /// Nothing has been said yet but what the model is told before all.
    leading: bool,
    texts: Vec<String>,
    thoughts: Vec<String>,
    /// With the name upstream, and where in the request it stands.
    calls: Vec<(ToolCall, String, String)>,
    /// A result followed: what comes now is the next turn.
    answered: bool,
    /// The ids that the upstream has seen, which may not be used again.
    ids: HashSet<String>,
    numbers: HashMap<String, usize>,
}

impl<'a> Turns<'a> {
    fn of(instructions: Option<String>, names: &'a Names) -> Self {
        let system = instructions.filter(|text| !text.is_empty()).map(|content| Message::System { content });
        Self {
            names,
            messages: system.into_iter().collect(),
            leading: true,
            texts: Vec::new(),
            thoughts: Vec::new(),
            calls: Vec::new(),
            answered: false,
            ids: HashSet::new(),
            numbers: HashMap::new(),
        }
    }

    fn add(&mut self, item: Item, results: &mut Results) -> Result<(), ApiError> {
        match item {
            Item::System(content) => {
                self.close(results)?;
                // Templates of some models know one such message only, at the start.
                match self.messages.last_mut() {
                    Some(Message::System { content: before }) if self.leading => {
                        before.push_str(BETWEEN);
                        before.push_str(&content);
                    }
                    _ => self.messages.push(Message::System { content }),
                }
                return Ok(());
            }
            Item::User(content) => {
                self.close(results)?;
                self.messages.push(Message::User { content });
            }
            Item::Result { .. } | Item::Answered => self.answered = !self.calls.is_empty(),
            Item::Assistant(text) => self.turn(results)?.texts.push(text),
            Item::Reasoning(text) => self.turn(results)?.thoughts.push(text),
            Item::Call { path, id, origin, arguments } => {
                let unique = self.unique(&id);
                let name = self.names.flat(&origin);
                self.turn(results)?.calls.push((ToolCall::new(unique, name, arguments), id, path));
            }
        }
        self.leading = false;
        Ok(())
    }

    /// The turn that what comes next belongs to.
    fn turn(&mut self, results: &mut Results) -> Result<&mut Self, ApiError> {
        if self.answered {
            self.close(results)?;
        }
        Ok(self)
    }

    /// An id that was not used before.
    fn unique(&mut self, id: &str) -> String {
        let mut unique = id.to_owned();
        while !self.ids.insert(unique.clone()) {
            let number = self.numbers.entry(id.to_owned()).or_insert(1);
            *number += 1;
            unique = format!("{id}_{number}");
        }
        unique
    }

    /// Ends the assistant's turn, if there is one.
    fn close(&mut self, results: &mut Results) -> Result<(), ApiError> {
        self.answered = false;
        self.texts.retain(|text| !text.is_empty());
        let content = Some(std::mem::take(&mut self.texts).join(BETWEEN)).filter(|text| !text.is_empty());
        let reasoning =
            Some(std::mem::take(&mut self.thoughts).join(BETWEEN)).filter(|text| !text.is_empty());
        let calls = std::mem::take(&mut self.calls);
        if content.is_none() && calls.is_empty() {
            // Thoughts that led nowhere: the upstream takes no message of them alone.
            return Ok(());
        }
        let mut answers = Vec::with_capacity(calls.len());
        let mut tool_calls = Vec::with_capacity(calls.len());
        for (call, id, path) in calls {
            let Some((_, content)) = results.get_mut(&id).and_then(VecDeque::pop_front) else {
                let message = "No output of this call is in `input`. Send one for each call.";
                return Err(refused("invalid_value", format!("{path}.call_id"), message));
            };
            answers.push(Message::Tool { tool_call_id: call.id.clone(), content });
            tool_calls.push(call);
        }
        self.messages.push(Message::Assistant { content, reasoning, tool_calls });
        self.messages.append(&mut answers);
        Ok(())
    }
}
