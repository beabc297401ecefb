//! A request in the upstream's words.

use super::answer::{Answering, Thinking};
use super::request::{Block, Content, MessagesRequest, OutputConfig, OutputFormat, ThinkingConfig, Thread};
use super::turns::{self, Talk};
use super::{blocks, refused, schema, tools};
use crate::wire::dialects::chat::{self, Message};
use crate::wire::dialects::refusal::{field, unreadable};
use crate::wire::dialects::{self, Changed, Notes, Seed, Translated};
use crate::wire::errors::ApiError;
use serde::Serialize;
use serde_json::{Value, json};

/// The upstream's bound on stop sequences.
const STOP_SEQUENCES: usize = 4;
/// Characters of `user` at the most.
const USER_CHARS: usize = 256;
/// A thinking budget up to this is low effort: what agents give for "think".
const LOW_BUDGET: u64 = 4_096;
/// And up to this medium: what they give for "think hard".
const MEDIUM_BUDGET: u64 = 16_384;
/// How the system prompt's line starts that command-line agents tell Anthropic's billing something in. It differs in
/// each request, so no prompt with it would ever be found in a cache, and says nothing to a model.
const BILLING: &str = "x-anthropic-billing-header:";

/// Translates a request.
///
/// # Errors
/// 400 naming the field that can't be translated.
pub fn request(body: &[u8], seed: Seed) -> Result<Translated, ApiError> {
    let mut notes = Notes::default();
    let (request, thinking) = chat_request(read(body)?, &mut notes)?;
    let body = request.to_body();
    let answering = Answering::new(seed, request.model.unwrap_or_default(), thinking);
    Ok(Translated { body, answering: dialects::Answering::Messages(Box::new(answering)), notes })
}

/// Translates the body of `POST /v1/messages/count_tokens`, so that the tokens of what would be sent can be
/// estimated; [`counted`] makes the answer.
///
/// # Errors
/// 400 as for the request itself.
pub fn count(body: &[u8], seed: Seed) -> Result<Translated, ApiError> {
    // All that this body lacks (`max_tokens`, `stream`, …) may be missing in the other as well.
    request(body, seed)
}

/// The answer to `POST /v1/messages/count_tokens`.
#[must_use]
pub fn counted(tokens: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct MessageTokensCount {
        input_tokens: u64,
    }
    // One number: there is nothing in it that could fail.
    serde_json::to_vec(&MessageTokensCount { input_tokens: tokens }).unwrap_or_default()
}

fn read(body: &[u8]) -> Result<MessagesRequest, ApiError> {
    serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "Messages request"))
}

fn chat_request(given: MessagesRequest, notes: &mut Notes) -> Result<(chat::Request, Thinking), ApiError> {
    for name in given.rest.keys() {
        notes.dropped(field(name));
    }
    if given.top_k.is_some() {
        notes.dropped("top_k");
    }
    kept_elsewhere(given.thread, given.compaction.is_some(), notes)?;
    let Talk { mut messages, effort: said_effort, tool_changes } = turns::translate(given.messages, notes)?;
    if messages.is_empty() {
        return Err(refused("invalid_value", "messages", "at least one message with content is needed."));
    }
    let mut system = system(given.system, notes)?;
    let mut request = chat::Request {
        model: given.model,
        stream: given.stream.unwrap_or(false),
        max_completion_tokens: given.max_tokens.map(|tokens| at_least_one(tokens, notes)),
        temperature: given.temperature,
        top_p: given.top_p,
        stop: stop(given.stop_sequences, notes)?,
        tools: tools::tools(tools::changed(given.tools.unwrap_or_default(), tool_changes), notes)?,
        user: given.metadata.and_then(|metadata| metadata.user_id).and_then(|user| bounded(user, notes)),
        service_tier: given.service_tier.and_then(|tier| service_tier(&tier, notes)),
        ..chat::Request::default()
    };
    if let Some(choice) = given.tool_choice {
        tools::choose(choice, &mut request, notes)?;
    }
    let config =
        given.output_config.unwrap_or(OutputConfig { effort: None, format: None, task_budget: None });
    if config.task_budget.is_some() {
        notes.dropped("output_config.task_budget");
    }
    if let Some(format) = config.format.or(given.output_format) {
        self::format(format, &mut request, &mut system, notes)?;
    }
    // What a message says of the effort holds from there on.
    let effort = effort(said_effort.or(config.effort).as_deref(), notes);
    let (thinking, effort) = self::thinking(given.thinking, effort, notes)?;
    request.reasoning_effort = effort;
    if !system.is_empty() {
        messages.insert(0, Message::System { content: system });
    }
    request.messages = messages;
    Ok((request, thinking))
}

/// What would go wrong silently: a conversation of which the client sends the rest only, and a summary that is asked
/// for with a field.
fn kept_elsewhere(thread: Option<Thread>, compaction: bool, notes: &mut Notes) -> Result<(), ApiError> {
    if thread.as_ref().is_some_and(|thread| thread.r#type != "create") {
        let what = "conversations are not kept here; send all messages instead of going on with a thread.";
        // By this word Anthropic's own clients know that they must send the whole conversation.
        return Err(refused("thread_not_found", "thread", what));
    }
    if thread.is_some() {
        notes.dropped("thread");
    }
    if compaction {
        let what = "conversations are not compacted here; ask for a summary with a message.";
        return Err(refused("unsupported_parameter", "compaction", what));
    }
    Ok(())
}

/// 0 asks for a prompt to be put into the cache and no answer, which the upstream does not have.
fn at_least_one(tokens: u64, notes: &mut Notes) -> u64 {
    if tokens == 0 {
        notes.add("max_tokens", Changed::Translated);
    }
    tokens.max(1)
}

/// A sequence too many is refused: without it the answer would run on past where the client cuts it.
fn stop(sequences: Option<Vec<String>>, notes: &mut Notes) -> Result<Vec<String>, ApiError> {
    let mut stop: Vec<String> = Vec::new();
    for (at, sequence) in sequences.into_iter().flatten().enumerate() {
        if sequence.is_empty() {
            notes.dropped(format!("stop_sequences.{at}"));
        } else if !stop.contains(&sequence) {
            if stop.len() == STOP_SEQUENCES {
                let what = "the models here take at most 4 stop sequences. Send fewer, and cut at the others yourself.";
                return Err(refused("array_above_max_length", "stop_sequences", what));
            }
            stop.push(sequence);
        }
    }
    Ok(stop)
}

fn bounded(mut user: String, notes: &mut Notes) -> Option<String> {
    if let Some((at, _)) = user.char_indices().nth(USER_CHARS) {
        notes.add("metadata.user_id", Changed::Translated);
        user.truncate(at);
    }
    (!user.is_empty()).then_some(user)
}

fn service_tier(tier: &str, notes: &mut Notes) -> Option<String> {
    match tier {
        "auto" => Some("auto".to_owned()),
        "standard_only" => Some("default".to_owned()),
        _ => {
            notes.dropped("service_tier");
            None
        }
    }
}

/// The system prompt as one text, without the line that is not meant for a model.
fn system(content: Option<Content>, notes: &mut Notes) -> Result<String, ApiError> {
    let mut meant = |text: String| {
        if !text.starts_with(BILLING) {
            return text;
        }
        notes.dropped("system.billing");
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    };
    let content = match content {
        None => return Ok(String::new()),
        Some(Content::Text(text)) => Content::Text(meant(text)),
        Some(Content::Blocks(mut blocks)) => {
            for block in &mut blocks {
                let text = block.text.take();
                *block = Block { text: text.map(&mut meant), ..std::mem::take(block) };
            }
            Content::Blocks(blocks)
        }
        Some(Content::Other) => Content::Other,
    };
    blocks::plain(content, "system", notes)
}

fn effort(effort: Option<&str>, notes: &mut Notes) -> Option<&'static str> {
    match effort? {
        "low" => Some("low"),
        "medium" => Some("medium"),
        "high" => Some("high"),
        "xhigh" | "max" => {
            notes.add("output_config.effort", Changed::Translated);
            Some("high")
        }
        _ => {
            notes.dropped("output_config.effort");
            None
        }
    }
}

/// What the client is shown of the reasoning, and the effort. A client that did not ask for thinking expects its
/// answer in the first block, so it is shown none.
fn thinking(
    config: Option<ThinkingConfig>,
    effort: Option<&'static str>,
    notes: &mut Notes,
) -> Result<(Thinking, Option<&'static str>), ApiError> {
    let Some(config) = config else { return Ok((Thinking::Hidden, effort)) };
    let shown = match config.display.as_deref() {
        Some("omitted") => Thinking::Omitted,
        _ => Thinking::Shown,
    };
    match config.r#type.as_str() {
        // Not every model can do without reasoning; all that reason take the lowest effort.
        "disabled" => {
            notes.add("thinking", Changed::Translated);
            Ok((Thinking::Hidden, Some("low")))
        }
        "enabled" => {
            notes.add("thinking.budget_tokens", Changed::Translated);
            Ok((shown, effort.or(config.budget_tokens.map(by_budget))))
        }
        "adaptive" | "between_tools" => Ok((shown, effort)),
        _ => {
            let what = "`type` must be `enabled`, `adaptive` or `disabled`.";
            Err(refused("invalid_value", "thinking.type", what))
        }
    }
}

fn by_budget(tokens: u64) -> &'static str {
    if tokens <= LOW_BUDGET {
        "low"
    } else if tokens <= MEDIUM_BUDGET {
        "medium"
    } else {
        "high"
    }
}

/// The form of the answer. The upstream refuses one beside tools: then the model is told instead of held to it.
fn format(
    format: OutputFormat,
    request: &mut chat::Request,
    system: &mut String,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    let path = "output_config.format";
    let (Some(mut wanted @ Value::Object(_)), "json_schema") = (format.schema, format.r#type.as_str()) else {
        return Err(refused(
            "invalid_value",
            path,
            "`type` must be `json_schema`, with a `schema` that is an object.",
        ));
    };
    schema::tidy(&mut wanted);
    if request.tool_choice.as_ref().is_some_and(|choice| choice == "none") {
        notes.dropped("tools");
        request.tools.clear();
        request.tool_choice = None;
        request.parallel_tool_calls = None;
    }
    if !request.tools.is_empty() {
        notes.add(path, Changed::Translated);
        if !system.is_empty() {
            system.push_str(blocks::BETWEEN);
        }
        system.push_str("When you answer without calling a tool, the answer is nothing but JSON that is valid for this JSON schema, without a code fence: ");
        system.push_str(&wanted.to_string());
        return Ok(());
    }
    let (schema, strict) = match schema::strict(&wanted) {
        Some((schema, changed)) => {
            if changed {
                notes.add(format!("{path}.schema"), Changed::Translated);
            }
            (schema, true)
        }
        None => {
            notes.add(format!("{path}.schema"), Changed::Translated);
            (wanted, false)
        }
    };
    let json_schema = json!({"name": "answer", "strict": strict, "schema": schema});
    request.response_format = Some(json!({"type": "json_schema", "json_schema": json_schema}));
    Ok(())
}
