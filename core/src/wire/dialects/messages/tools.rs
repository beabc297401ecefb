//! Tools and how they are chosen.

use super::request::{Block, Tool, ToolChoice};
use super::{refused, schema};
use crate::wire::dialects::chat::{self, Function};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Tools that Anthropic's servers run. A model that may use one may also answer without it.
const SERVER_SIDE: [&str; 6] =
    ["web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_", "mcp_toolset"];

/// A change of the tools in the middle of a conversation.
#[derive(Debug)]
pub(super) enum ToolChange {
    /// A tool that was not among the request's.
    Defined(Box<Tool>),
    /// One that was.
    Added(String),
    /// It may not be called any more.
    Removed(String),
}

impl ToolChange {
    /// What a block says; None if it is about tools of Anthropic's servers.
    pub(super) fn of(block: Block) -> Option<Self> {
        let tool = *block.tool?;
        match (block.r#type.as_str(), tool.r#type.as_str()) {
            ("tool_addition", "tool_definition") => Some(Self::Defined(Box::new(tool.definition?))),
            ("tool_addition", "tool_reference") => Some(Self::Added(tool.name?)),
            ("tool_removal", "tool_reference") => Some(Self::Removed(tool.name?)),
            _ => None,
        }
    }
}

/// The tools as they are at the end of the conversation.
pub(super) fn changed(mut tools: Vec<Tool>, changes: Vec<ToolChange>) -> Vec<Tool> {
    let mut removed = HashSet::new();
    for change in changes {
        match change {
            ToolChange::Defined(tool) => {
                if let Some(name) = &tool.name {
                    removed.remove(name);
                }
                tools.push(*tool);
            }
            ToolChange::Added(name) => {
                removed.remove(&name);
            }
            ToolChange::Removed(name) => {
                removed.insert(name);
            }
        }
    }
    tools.retain(|tool| !tool.name.as_ref().is_some_and(|name| removed.contains(name)));
    tools
}

/// Translates the tools.
pub(super) fn tools(given: Vec<Tool>, notes: &mut Notes) -> Result<Vec<chat::Tool>, ApiError> {
    let mut tools = Vec::new();
    let mut wanted_strict = false;
    for (at, tool) in given.into_iter().enumerate() {
        wanted_strict |= tool.strict == Some(true);
        tools.extend(function(tool, &format!("tools.{at}"), notes)?.map(chat::Tool::new));
    }
    // The upstream takes strict tools only if all are.
    if wanted_strict && tools.iter().any(|tool| !tool.function.strict) {
        notes.dropped("tools.*.strict");
        tools.iter_mut().for_each(|tool| tool.function.strict = false);
    }
    if wanted_strict {
        for tool in tools.iter_mut().filter(|tool| tool.function.strict) {
            let strict = tool.function.parameters.as_ref().and_then(schema::strict);
            if let Some((parameters, changed)) = strict {
                tool.function.parameters = Some(parameters);
                if changed {
                    notes.add("tools.*.input_schema", Changed::Translated);
                }
            }
        }
    }
    Ok(tools)
}

/// One tool as a function, or None if it is one of Anthropic's servers.
fn function(tool: Tool, path: &str, notes: &mut Notes) -> Result<Option<Function>, ApiError> {
    let extras = [
        ("cache_control", tool.cache_control.is_some()),
        ("defer_loading", tool.defer_loading.is_some()),
        ("input_examples", tool.input_examples.is_some()),
        ("allowed_callers", tool.allowed_callers.is_some()),
        ("eager_input_streaming", tool.eager_input_streaming.is_some()),
        ("max_characters", tool.max_characters.is_some()),
    ];
    for (name, _) in extras.into_iter().filter(|(_, there)| *there) {
        notes.dropped(format!("tools.*.{name}"));
    }
    let kind = tool.r#type.as_deref().unwrap_or("custom");
    if SERVER_SIDE.iter().any(|start| kind.starts_with(start)) {
        notes.dropped(path);
        return Ok(None);
    }
    let Some(name) = tool.name.filter(|name| !name.is_empty()) else {
        return Err(refused("missing_required_parameter", path, "`name` is missing."));
    };
    let (description, mut parameters) = match (tool.input_schema, known(kind)) {
        (Some(schema @ Value::Object(_)), _) => (tool.description, schema),
        (Some(_), _) => return Err(refused("invalid_type", path, "`input_schema` must be an object.")),
        (None, Some((description, schema))) => {
            notes.add(path, Changed::Translated);
            (Some(description.to_owned()), schema)
        }
        (None, None) if kind == "custom" => {
            return Err(refused("missing_required_parameter", path, "`input_schema` is missing."));
        }
        (None, None) => {
            let what =
                "this type of tool is not known here; describe it as a custom tool with an `input_schema`.";
            return Err(refused("unsupported_value", path, what));
        }
    };
    schema::tidy(&mut parameters);
    let strict = tool.strict == Some(true) && schema::strict(&parameters).is_some();
    Ok(Some(Function { name, description, parameters: Some(parameters), strict }))
}

/// Tools that the client runs and Anthropic's models know by their type: what they are for and what they take.
fn known(kind: &str) -> Option<(&'static str, Value)> {
    let text = || json!({"type": "string"});
    let line = || json!({"type": "integer"});
    let file = |commands: Value| {
        json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": commands},
                "path": {"type": "string", "description": "Path of the file or directory"},
                "file_text": {"type": "string", "description": "For create: the whole content"},
                "old_str": {"type": "string", "description": "For str_replace: the text that is replaced; it must occur once"},
                "new_str": {"type": "string", "description": "For str_replace: what replaces it"},
                "insert_line": {"type": "integer", "description": "For insert: the line behind which the text is put, 0 for the start"},
                "insert_text": {"type": "string", "description": "For insert: the text"},
                "view_range": {"type": "array", "items": line(), "description": "For view: first and last line, -1 for the end"}
            },
            "required": ["command", "path"]
        })
    };
    if kind.starts_with("bash_") {
        let schema = json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command to run"},
                "restart": {"type": "boolean", "description": "true starts the shell anew, without a command"}
            }
        });
        return Some(("Runs a command in a shell that stays open between calls.", schema));
    }
    if kind.starts_with("text_editor_20250728") || kind.starts_with("text_editor_20250429") {
        let schema = file(json!(["view", "create", "str_replace", "insert"]));
        return Some(("Views, creates and edits text files.", schema));
    }
    if kind.starts_with("text_editor_") {
        let mut schema = file(json!(["view", "create", "str_replace", "insert", "undo_edit"]));
        // The older ones insert `new_str`.
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.remove("insert_text");
            properties.insert(
                "new_str".to_owned(),
                json!({"type": "string", "description": "For str_replace: what replaces it; for insert: the text"}),
            );
        }
        return Some(("Views, creates and edits text files; undo_edit takes the last edit back.", schema));
    }
    if kind.starts_with("memory_") {
        let mut schema = file(json!(["view", "create", "str_replace", "insert", "delete", "rename"]));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("old_path".to_owned(), text());
            properties.insert("new_path".to_owned(), text());
        }
        if let Some(object) = schema.as_object_mut() {
            object.insert("required".to_owned(), json!(["command"]));
        }
        let what = "Keeps notes in files under /memories between conversations. rename takes old_path and new_path, all else path.";
        return Some((what, schema));
    }
    None
}

/// Puts the choice into a request that has its tools.
pub(super) fn choose(
    choice: ToolChoice,
    request: &mut chat::Request,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    let forced = matches!(choice.r#type.as_str(), "any" | "tool");
    if request.tools.is_empty() && !forced {
        notes.dropped("tool_choice");
        return Ok(());
    }
    let chosen = match (choice.r#type.as_str(), choice.name) {
        ("auto", _) => json!("auto"),
        ("none", _) => json!("none"),
        ("any", _) if !request.tools.is_empty() => json!("required"),
        ("tool", Some(name)) if request.tools.iter().any(|tool| tool.function.name == name) => {
            json!({"type": "function", "function": {"name": name}})
        }
        ("any" | "tool", _) => {
            let what = "no such tool can be called here. Tools that Anthropic's servers run are not available; name one of your own tools.";
            return Err(refused("unsupported_value", "tool_choice", what));
        }
        _ => {
            let what = "`type` must be `auto`, `any`, `tool` or `none`.";
            return Err(refused("invalid_value", "tool_choice", what));
        }
    };
    request.tool_choice = Some(chosen);
    if choice.disable_parallel_tool_use == Some(true) {
        request.parallel_tool_calls = Some(false);
    }
    Ok(())
}
