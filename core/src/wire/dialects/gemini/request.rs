//! A request, but for its conversation: configuration and tools.

use super::schema;
use super::types::{
    FunctionCallingConfig, FunctionDeclaration, GenerateContentRequest, GenerationConfig, Number, Rest,
    ThinkingConfig, Tool,
};
use crate::wire::dialects::chat::{self, Function};
use crate::wire::dialects::refusal::{field, refused, unreadable};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};

/// Stop sequences that the upstream takes; Google takes five.
const STOPS: usize = 4;
/// Probabilities of other tokens that the upstream gives.
const TOP_LOGPROBS: i64 = 20;
/// A thinking budget up to this many tokens is a low effort, and up to that many a medium one.
const LOW_BUDGET: f64 = 2_048.0;
const MEDIUM_BUDGET: f64 = 16_384.0;

pub(super) fn read(body: &[u8]) -> Result<GenerateContentRequest, ApiError> {
    serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "GenerateContentRequest"))
}

/// The chat request, whether the answer shows thoughts, and what was changed.
pub(super) fn translate(
    request: GenerateContentRequest,
    model: Option<String>,
    stream: bool,
) -> Result<(chat::Request, bool, Notes), ApiError> {
    let mut notes = Notes::default();
    dropped(&request.rest, "", &mut notes);
    if request.generate_content_request.is_some() {
        notes.dropped("generateContentRequest");
    }
    if request.cached_content.is_some_and(|name| !name.is_empty()) {
        let message = "There is no cached content here. Send it as part of `contents`; equal beginnings of prompts are cached by themselves.";
        return Err(refused("unsupported_value", "cachedContent", message));
    }
    let mut chat = chat::Request { model, stream, ..chat::Request::default() };
    chat.messages.extend(super::contents::instruction(request.system_instruction, &mut notes));
    let before = chat.messages.len();
    super::contents::messages(request.contents.unwrap_or_default().0, &mut chat.messages, &mut notes)?;
    if chat.messages.len() == before {
        let message = "`contents` must hold at least one text, picture, call or result.";
        return Err(refused("invalid_value", "contents", message));
    }
    tools(request.tools.unwrap_or_default().0, &mut chat, &mut notes)?;
    if let Some(config) = request.tool_config {
        dropped(&config.rest, "toolConfig.", &mut notes);
        if let Some(calling) = config.function_calling_config {
            tool_choice(calling, &mut chat, &mut notes)?;
        }
    }
    let thoughts = configure(request.generation_config.unwrap_or_default(), &mut chat, &mut notes)?;
    Ok((chat, thoughts, notes))
}

fn dropped(rest: &Rest, before: &str, notes: &mut Notes) {
    for name in rest.keys() {
        notes.dropped(format!("{before}{}", field(name)));
    }
}

fn tools(tools: Vec<Tool>, chat: &mut chat::Request, notes: &mut Notes) -> Result<(), ApiError> {
    for (n, tool) in tools.into_iter().enumerate() {
        // Searches, code execution and the like run at Google's.
        dropped(&tool.rest, &format!("tools.{n}."), notes);
        for (m, declared) in tool.function_declarations.unwrap_or_default().0.into_iter().enumerate() {
            let path = format!("tools.{n}.functionDeclarations.{m}");
            chat.tools.push(chat::Tool::new(function(declared, &path, notes)?));
        }
    }
    Ok(())
}

fn function(declared: FunctionDeclaration, path: &str, notes: &mut Notes) -> Result<Function, ApiError> {
    dropped(&declared.rest, &format!("{path}."), notes);
    let Some(name) = declared.name.filter(|name| !name.is_empty()) else {
        return Err(refused("invalid_value", format!("{path}.name"), "Each function needs a name."));
    };
    let given = match (declared.parameters_json_schema, declared.parameters) {
        (Some(schema), _) if !schema.is_null() => Some(schema),
        (_, Some(schema)) if !schema.is_null() => Some(schema::openapi(schema)),
        _ => None,
    };
    let parameters = match given {
        Some(schema) if schema.is_object() => schema,
        Some(_) => {
            let message = "The parameters must be a schema, which is an object.";
            return Err(refused("invalid_type", format!("{path}.parameters"), message));
        }
        None => json!({"type": "object", "properties": {}}),
    };
    Ok(Function { name, description: declared.description, parameters: Some(parameters), strict: false })
}

fn tool_choice(
    config: FunctionCallingConfig,
    chat: &mut chat::Request,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    const PATH: &str = "toolConfig.functionCallingConfig";
    dropped(&config.rest, &format!("{PATH}."), notes);
    let mode = config.mode.unwrap_or_default().to_ascii_uppercase();
    let allowed = config.allowed_function_names.unwrap_or_default();
    if chat.tools.is_empty() {
        // Without tools there is nothing to choose, and the upstream refuses a choice.
        notes.dropped(PATH);
        return Ok(());
    }
    if !allowed.is_empty() && matches!(mode.as_str(), "ANY" | "VALIDATED") {
        let allowed: std::collections::HashSet<String> = allowed.into_iter().collect();
        chat.tools.retain(|tool| allowed.contains(&tool.function.name));
        if chat.tools.is_empty() {
            let message = "None of the allowed functions is declared in `tools`.";
            return Err(refused("invalid_value", format!("{PATH}.allowedFunctionNames"), message));
        }
    }
    chat.tool_choice = match (mode.as_str(), chat.tools.as_slice()) {
        ("" | "MODE_UNSPECIFIED", _) => None,
        ("AUTO" | "VALIDATED", _) => Some("auto".into()),
        ("NONE", _) => Some("none".into()),
        ("ANY", [only]) => Some(json!({"type": "function", "function": {"name": only.function.name}})),
        ("ANY", _) => Some("required".into()),
        _ => {
            let message = "The modes are AUTO, ANY, NONE and VALIDATED.";
            return Err(refused("unsupported_value", format!("{PATH}.mode"), message));
        }
    };
    Ok(())
}

/// Whether the answer shows thoughts.
fn configure(
    config: GenerationConfig,
    chat: &mut chat::Request,
    notes: &mut Notes,
) -> Result<bool, ApiError> {
    dropped(&config.rest, "generationConfig.", notes);
    chat.temperature = config.temperature.map(|Number(value)| value);
    chat.top_p = config.top_p.map(|Number(value)| value);
    chat.presence_penalty = config.presence_penalty.map(|Number(value)| value);
    chat.frequency_penalty = config.frequency_penalty.map(|Number(value)| value);
    let count = |number: Option<Number>, name: &str, notes: &mut Notes| match number.map(Number::whole) {
        None => Ok(None),
        Some(Some(0)) => {
            notes.dropped(format!("generationConfig.{name}"));
            Ok(None)
        }
        Some(Some(count @ 1..)) => Ok(Some(count.unsigned_abs())),
        Some(_) => {
            let message = format!("`{name}` must be a whole number above 0.");
            Err(refused("invalid_value", format!("generationConfig.{name}"), message))
        }
    };
    chat.max_completion_tokens = count(config.max_output_tokens, "maxOutputTokens", notes)?;
    chat.n = count(config.candidate_count, "candidateCount", notes)?.filter(|n| *n > 1);
    chat.seed = match config.seed.map(Number::whole) {
        Some(None) => {
            let message = "`seed` must be a whole number.";
            return Err(refused("invalid_value", "generationConfig.seed", message));
        }
        seed => seed.flatten(),
    };
    chat.stop = config.stop_sequences.unwrap_or_default();
    chat.stop.retain(|stop| !stop.is_empty());
    if chat.stop.len() > STOPS {
        let message = format!("At most {STOPS} stop sequences are taken.");
        return Err(refused("invalid_value", "generationConfig.stopSequences", message));
    }
    if let Some(top) = config.logprobs.and_then(Number::whole) {
        chat.top_logprobs = Some(top.clamp(0, TOP_LOGPROBS).unsigned_abs());
    }
    // Google refuses the number without the switch; asking for it is clear enough.
    if config.response_logprobs == Some(true) || chat.top_logprobs.is_some_and(|top| top > 0) {
        chat.logprobs = Some(true);
    } else {
        chat.top_logprobs = None;
    }
    if let Some(modalities) = config.response_modalities
        && !modalities.iter().all(|kind| kind.eq_ignore_ascii_case("TEXT"))
    {
        if !modalities.iter().any(|kind| kind.eq_ignore_ascii_case("TEXT")) {
            let message = "Answers are texts; ask for the modality TEXT.";
            return Err(refused("unsupported_value", "generationConfig.responseModalities", message));
        }
        notes.dropped("generationConfig.responseModalities");
    }
    let mut kind = config.response_mime_type;
    let mut schema = match (config.response_json_schema, config.response_schema) {
        (Some(schema), _) if !schema.is_null() => Some(schema),
        (_, Some(schema)) if !schema.is_null() => Some(schema::openapi(schema)),
        _ => None,
    };
    // The newer form of both.
    for (n, format) in config.response_format.unwrap_or_default().0.into_iter().enumerate() {
        dropped(&format.rest, &format!("generationConfig.responseFormat.{n}."), notes);
        let Some(text) = format.text else { continue };
        kind = kind.or(text.mime_type);
        schema = schema.or(text.schema.filter(|schema| !schema.is_null()));
    }
    chat.response_format = response_format(kind, schema, notes)?;
    Ok(config.thinking_config.is_some_and(|thinking| think(thinking, chat, notes)))
}

fn response_format(
    kind: Option<String>,
    schema: Option<Value>,
    notes: &mut Notes,
) -> Result<Option<Value>, ApiError> {
    let kind = kind.unwrap_or_default().to_ascii_lowercase().replace('_', "/");
    let json = kind == "application/json";
    if !json && !matches!(kind.as_str(), "" | "text/plain") {
        let message = "Answers are `text/plain` or `application/json`.";
        return Err(refused("unsupported_value", "generationConfig.responseMimeType", message));
    }
    let Some(schema) = schema.filter(|_| kind != "text/plain") else {
        return Ok(json.then(|| json!({"type": "json_object"})));
    };
    if !schema.is_object() {
        let message = "A schema is an object.";
        return Err(refused("invalid_type", "generationConfig.responseSchema", message));
    }
    let strict = schema::strict(&schema);
    if strict.as_ref() != Some(&schema) {
        notes.add("generationConfig.responseSchema", Changed::Translated);
    }
    let (schema, strict) = strict.map_or((schema, false), |strict| (strict, true));
    let described = json!({"name": "answer", "schema": schema, "strict": strict});
    Ok(Some(json!({"type": "json_schema", "json_schema": described})))
}

/// Whether the answer shows thoughts.
fn think(config: ThinkingConfig, chat: &mut chat::Request, notes: &mut Notes) -> bool {
    dropped(&config.rest, "generationConfig.thinkingConfig.", notes);
    let budget = config.thinking_budget.map(|Number(budget)| budget);
    let level = config.thinking_level.unwrap_or_default().to_ascii_uppercase();
    // Not every model can be kept from reasoning: `low` is the least that all of them take.
    chat.reasoning_effort = match (level.as_str(), budget) {
        ("MINIMAL" | "LOW", _) => Some("low"),
        ("MEDIUM", _) => Some("medium"),
        ("HIGH", _) => Some("high"),
        // The model is to decide.
        (_, None) => None,
        (_, Some(budget)) if budget < 0.0 => None,
        (_, Some(budget)) if budget <= LOW_BUDGET => Some("low"),
        (_, Some(budget)) if budget <= MEDIUM_BUDGET => Some("medium"),
        (_, Some(_)) => Some("high"),
    };
    if budget.is_some() || level == "MINIMAL" {
        notes.add("generationConfig.thinkingConfig", Changed::Translated);
    }
    config.include_thoughts == Some(true)
}
