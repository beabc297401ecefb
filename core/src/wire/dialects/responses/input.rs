//! `input`: the conversation as items in a row, read one by one and then gathered into turns.

use super::carried;
use super::content;
use super::fields::{Fields, missing, wrong};
use super::tools::{Origin, Tools, named};
use super::turns::{BETWEEN, Item, Pairs, Turns};
use crate::wire::dialects::chat::{Content, Message};
use crate::wire::dialects::{Changed, Notes, refused};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};

/// Of an item, what the upstream needs not know.
const OF_NO_USE: [&str; 7] =
    ["id", "status", "phase", "caller", "async", "created_by", "internal_chat_message_metadata_passthrough"];

/// What an item is.
enum Read {
    Item(Item),
    /// A result: where it stands, its call's id, and what it says.
    Result(String, String, String),
}

/// The messages of a conversation. Tools that items bring along are added to `tools`.
pub(super) fn messages(
    instructions: Option<String>,
    input: Value,
    tools: &mut Tools,
    notes: &mut Notes,
) -> Result<Vec<Message>, ApiError> {
    let mut pairs = Pairs::default();
    match input {
        Value::String(text) => pairs.item(Item::User(Content::Text(text))),
        Value::Array(list) => {
            for (at, value) in list.into_iter().enumerate() {
                match read(Fields::of(value, format!("input.{at}"))?, tools, notes)? {
                    Some(Read::Item(item)) => pairs.item(item),
                    Some(Read::Result(path, id, output)) => pairs.result(path, id, output),
                    None => {}
                }
            }
        }
        _ => return Err(wrong("input".to_owned(), "a string or a list of items")),
    }
    let items = pairs.items(notes);
    let mut turns = Turns::of(instructions, &tools.names, notes);
    for item in items {
        turns.add(item);
    }
    let messages = turns.messages();
    if messages.is_empty() {
        return Err(refused("invalid_value", "input", "`input` holds nothing to answer."));
    }
    Ok(messages)
}

/// Reads an item; None if nothing of it is of use.
fn read(mut fields: Fields, tools: &mut Tools, notes: &mut Notes) -> Result<Option<Read>, ApiError> {
    let kind = match fields.text("type")? {
        Some(kind) => kind,
        None if fields.has("role") => "message".to_owned(),
        None if fields.has("id") => "item_reference".to_owned(),
        None => return Err(missing(fields.at("type"))),
    };
    let path = fields.path().to_owned();
    let item = match kind.as_str() {
        "message" => Some(Read::Item(message(&mut fields, notes)?)),
        "reasoning" => reasoning(&mut fields, notes)?.map(|text| Read::Item(Item::Reasoning { path, text })),
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
            let (id, arguments) = (call_id(&mut fields)?, action.into_json());
            Some(Read::Item(Item::Call { path, id, origin, arguments, result: None }))
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

fn message(fields: &mut Fields, notes: &mut Notes) -> Result<Item, ApiError> {
    let (role, at) = (fields.needed_text("role")?, fields.at("content"));
    let content = fields.value("content").ok_or_else(|| missing(at.clone()))?;
    Ok(match role.as_str() {
        "user" => Item::User(content::user(content, &at, notes)?),
        "assistant" => Item::Assistant(content::text(content, &at, "", notes)?),
        "system" | "developer" => Item::System(content::text(content, &at, "\n", notes)?),
        _ => return Err(wrong(fields.at("role"), "`user`, `assistant`, `system` or `developer`")),
    })
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

fn call(fields: &mut Fields, custom: bool, arguments: String) -> Result<Read, ApiError> {
    let origin = Origin { namespace: fields.text("namespace")?, name: named(fields)?, custom };
    let (path, id) = (fields.path().to_owned(), call_id(fields)?);
    Ok(Read::Item(Item::Call { path, id, origin, arguments, result: None }))
}

/// The call's id; shell calls of old have only the item's.
fn call_id(fields: &mut Fields) -> Result<String, ApiError> {
    let id = fields.text("call_id")?;
    let id = if id.is_none() { fields.text("id")? } else { id };
    id.filter(|id| !id.is_empty()).ok_or_else(|| missing(fields.at("call_id")))
}

fn result(fields: &mut Fields, kind: &str, notes: &mut Notes) -> Result<Read, ApiError> {
    fields.ignore(&["name", "namespace", "max_output_length"]);
    let (path, at) = (fields.path().to_owned(), fields.at("output"));
    let output = fields.value("output");
    let output = match (kind, output) {
        ("shell_call_output", Some(output)) => output.to_string(),
        ("apply_patch_call_output", None) => fields.text("status")?.unwrap_or_default(),
        (_, Some(output)) => content::result(output, &at, notes)?,
        (_, None) => return Err(missing(at)),
    };
    Ok(Read::Result(path, call_id(fields)?, output))
}
