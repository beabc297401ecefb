//! The request.

use super::answer::{Echo, bounded};
use super::fields::{Fields, missing, wrong};
use super::schema::{Strict, make_strict};
use super::tools::Tools;
use super::{Answering, input};
use crate::wire::dialects::chat::Request;
use crate::wire::dialects::refusal::unreadable;
use crate::wire::dialects::{self, Changed, Notes, Seed, Translated, refused};
use crate::wire::errors::ApiError;
use crate::wire::json::MAX_MODEL_BYTES;
use serde_json::{Map, Value, json};

/// The longest `prompt_cache_key` that the upstream takes (docs/upstream.md).
const CACHE_KEY_CHARS: usize = 1_024;
/// `metadata`: so many pairs, of at most so many characters (OpenAI's own bounds).
const METADATA_PAIRS: usize = 16;
const METADATA_KEY_CHARS: usize = 64;
const METADATA_VALUE_CHARS: usize = 512;
/// Probabilities of other tokens, at the most.
const MAX_TOP_LOGPROBS: u64 = 20;
/// Where the answer tells of tools that were left out.
const LEFT_OUT_KEY: &str = "rondo_left_out_tools";

/// Translates a request.
///
/// # Errors
/// 400 naming the field that can't be translated.
pub fn request(body: &[u8], seed: Seed) -> Result<Translated, ApiError> {
    let json: Value =
        serde_json::from_slice(body).map_err(|error| unreadable(body, &error, "Responses request"))?;
    let mut fields = Fields::of(json, "")?;
    let mut notes = Notes::default();
    refuse_kept(&mut fields)?;

    let mut tools = Tools::default();
    let tools_asked = fields.list("tools")?.unwrap_or_default();
    let tools_told = bounded(&tools_asked).cloned().unwrap_or_default();
    tools.add(tools_asked, "tools", &mut notes)?;
    let instructions = fields.text("instructions")?;
    let conversation = fields.value("input").ok_or_else(|| missing("input".to_owned()))?;
    let messages = input::messages(instructions.clone(), conversation, &mut tools, &mut notes)?;
    let choice_asked = fields.value("tool_choice");
    let tool_choice = tools.choice(choice_asked.as_ref(), &mut notes)?;
    let parallel = fields.take("parallel_tool_calls", "a boolean")?;
    let beside_tools = !tools.list.is_empty();

    let (effort, reasoning_asked) = reasoning(&mut fields, &mut notes)?;
    let (response_format, text_asked) = text(&mut fields, &mut notes)?;
    let included = include(&mut fields, &mut notes)?;
    let top_logprobs = fields.take::<u64>("top_logprobs", "a whole number, 0 to 20")?;
    if top_logprobs.is_some_and(|number| number > MAX_TOP_LOGPROBS) {
        return Err(wrong("top_logprobs".to_owned(), "a whole number, 0 to 20"));
    }
    let logprobs = included.logprobs || top_logprobs.is_some_and(|number| number > 0);
    let max_output_tokens = fields.take::<u64>("max_output_tokens", "a whole number, 1 or more")?;
    if max_output_tokens == Some(0) {
        return Err(wrong("max_output_tokens".to_owned(), "a whole number, 1 or more"));
    }
    let safety_identifier = fields.text("safety_identifier")?;
    let user_asked = fields.text("user")?;
    if user_asked.is_none() && safety_identifier.is_some() {
        notes.add("safety_identifier", Changed::Translated);
    }
    if fields.text("truncation")?.is_some_and(|how| how != "disabled") {
        notes.dropped("truncation");
    }
    let model = fields.text("model")?;
    if model.as_ref().is_some_and(|model| model.len() > MAX_MODEL_BYTES) {
        let message = format!("`model` is longer than {MAX_MODEL_BYTES} bytes.");
        return Err(refused("string_above_max_length", "model", message));
    }
    let service_tier_asked = fields.text("service_tier")?;
    let cache_key = fields.text("prompt_cache_key")?;
    let cache_key = cache_key.filter(|key| {
        let fits = key.chars().nth(CACHE_KEY_CHARS).is_none();
        if !fits {
            notes.dropped("prompt_cache_key");
        }
        fits
    });

    let chat = Request {
        model,
        messages,
        stream: fields.take("stream", "a boolean")?.unwrap_or(false),
        max_completion_tokens: max_output_tokens,
        temperature: fields.take("temperature", "a number")?,
        top_p: fields.take("top_p", "a number")?,
        logprobs: logprobs.then_some(true),
        top_logprobs: top_logprobs.filter(|_| logprobs),
        response_format,
        tools: std::mem::take(&mut tools.list),
        tool_choice,
        parallel_tool_calls: parallel.filter(|_| beside_tools),
        reasoning_effort: effort,
        prompt_cache_key: cache_key.clone(),
        user: user_asked.clone().or_else(|| safety_identifier.clone()),
        service_tier: service_tier(service_tier_asked.as_deref(), &mut notes),
        ..Request::default()
    };
    let echo = Echo {
        model: chat.model.clone().unwrap_or_default(),
        instructions,
        max_output_tokens,
        max_tool_calls: fields.take("max_tool_calls", "a whole number")?,
        metadata: metadata(&mut fields, tools.left_out())?,
        parallel_tool_calls: parallel.unwrap_or(true),
        prompt_cache_key: cache_key,
        reasoning: reasoning_asked.echo,
        safety_identifier,
        service_tier: service_tier_asked.unwrap_or_else(|| "default".to_owned()),
        temperature: chat.temperature,
        text: text_asked,
        tool_choice: choice_asked.unwrap_or_else(|| json!("auto")),
        tools: tools_told,
        top_logprobs: top_logprobs.unwrap_or(0),
        top_p: chat.top_p,
        user: user_asked,
    };
    fields.rest(&mut notes);
    let answering = Answering {
        id: dialects::id("resp_", &seed, 0),
        seed,
        names: tools.names,
        summarize: reasoning_asked.summarize,
        carry: included.encrypted,
        logprobs,
        echo: echo.bounded(),
    };
    Ok(Translated {
        body: chat.to_body(),
        answering: dialects::Answering::Responses(Box::new(answering)),
        notes,
    })
}

/// Refuses what only somebody who keeps answers could do.
fn refuse_kept(fields: &mut Fields) -> Result<(), ApiError> {
    let wants =
        [("store", "Leave it out or send `store: false`"), ("background", "Leave it out, and stream")];
    for (key, instead) in wants {
        if fields.take(key, "a boolean")?.unwrap_or(false) {
            let message = format!(
                "`{key}: true` is not possible: Rondo keeps nothing. {instead}, and send the whole `input` each time."
            );
            return Err(refused("unsupported_value", key, message));
        }
    }
    for key in ["previous_response_id", "conversation", "prompt"] {
        if fields.value(key).is_some() {
            let message = format!(
                "`{key}` is not possible: Rondo keeps nothing. Leave it out and send the whole `input` each time."
            );
            return Err(refused("unsupported_parameter", key, message));
        }
    }
    Ok(())
}

/// What is asked of the reasoning.
#[derive(Default)]
struct Reasoning {
    summarize: bool,
    echo: Value,
}

fn reasoning(fields: &mut Fields, notes: &mut Notes) -> Result<(Option<&'static str>, Reasoning), ApiError> {
    let Some(mut asked) = fields.object("reasoning")? else {
        return Ok((None, Reasoning { summarize: false, echo: json!({"effort": null, "summary": null}) }));
    };
    let (effort, summary) = (asked.text("effort")?, asked.text("summary")?);
    let summary = match asked.text("generate_summary")? {
        older if summary.is_none() => older,
        _ => summary,
    };
    let translated = match effort.as_deref() {
        None => None,
        Some("none") => Some("none"),
        Some("low") => Some("low"),
        Some("medium") => Some("medium"),
        Some("high") => Some("high"),
        Some("minimal") => Some("low"),
        Some("xhigh" | "max") => Some("high"),
        Some(_) => {
            let must = "`none`, `minimal`, `low`, `medium`, `high` or `xhigh`";
            return Err(wrong(asked.at("effort"), must));
        }
    };
    if effort.as_deref() != translated {
        notes.add(asked.at("effort"), Changed::Translated);
    }
    let summarize = summary.as_deref().is_some_and(|summary| summary != "none");
    let echo = json!({"effort": effort, "summary": summary});
    asked.rest(notes);
    Ok((translated, Reasoning { summarize, echo }))
}

fn text(fields: &mut Fields, notes: &mut Notes) -> Result<(Option<Value>, Value), ApiError> {
    let plain = || json!({"format": {"type": "text"}});
    let Some(mut asked) = fields.object("text")? else { return Ok((None, plain())) };
    let mut echo = plain();
    let verbosity = asked.text("verbosity")?;
    if let Some(verbosity) = &verbosity {
        notes.dropped(asked.at("verbosity"));
        echo = json!({"format": {"type": "text"}, "verbosity": verbosity});
    }
    let mut translated = None;
    if let Some(format) = asked.value("format") {
        if let Value::Object(echo) = &mut echo {
            echo.insert("format".to_owned(), format.clone());
        }
        let mut format = Fields::of(format, asked.at("format"))?;
        translated = match format.needed_text("type")?.as_str() {
            "text" => None,
            "json_object" => Some(json!({"type": "json_object"})),
            "json_schema" => {
                Some(json!({"type": "json_schema", "json_schema": json_schema(&mut format, notes)?}))
            }
            _ => return Err(wrong(format.at("type"), "`text`, `json_object` or `json_schema`")),
        };
        format.rest(notes);
    }
    asked.rest(notes);
    Ok((translated, echo))
}

fn json_schema(format: &mut Fields, notes: &mut Notes) -> Result<Value, ApiError> {
    let mut translated = Map::new();
    translated.insert("name".to_owned(), format.needed_text("name")?.into());
    if let Some(description) = format.text("description")? {
        translated.insert("description".to_owned(), description.into());
    }
    let at = format.at("schema");
    let mut schema = format.value("schema").ok_or_else(|| missing(at.clone()))?;
    if !schema.is_object() {
        return Err(wrong(at, "a JSON schema"));
    }
    if format.take("strict", "a boolean")?.unwrap_or(false) {
        let done = make_strict(&mut schema);
        if done != Strict::AsIs {
            notes.add(at, Changed::Translated);
        }
        translated.insert("strict".to_owned(), Value::Bool(done != Strict::Impossible));
    }
    translated.insert("schema".to_owned(), schema);
    Ok(Value::Object(translated))
}

/// What the answer must hold beyond the usual.
#[derive(Default)]
struct Included {
    encrypted: bool,
    logprobs: bool,
}

fn include(fields: &mut Fields, notes: &mut Notes) -> Result<Included, ApiError> {
    let mut included = Included::default();
    let list: Vec<String> = fields.take("include", "a list of strings")?.unwrap_or_default();
    for (at, what) in list.iter().enumerate() {
        match what.as_str() {
            "reasoning.encrypted_content" => included.encrypted = true,
            "message.output_text.logprobs" => included.logprobs = true,
            _ => notes.dropped(format!("include.{at}")),
        }
    }
    Ok(included)
}

fn service_tier(asked: Option<&str>, notes: &mut Notes) -> Option<String> {
    match asked {
        Some(tier @ ("auto" | "default" | "flex" | "priority")) => return Some(tier.to_owned()),
        Some("fast") => {
            notes.add("service_tier", Changed::Translated);
            return Some("priority".to_owned());
        }
        Some(_) => notes.dropped("service_tier"),
        None => {}
    }
    None
}

fn metadata(fields: &mut Fields, left_out: Option<String>) -> Result<Map<String, Value>, ApiError> {
    let must = "an object of at most 16 texts, with keys of at most 64 and values of at most 512 characters";
    let mut metadata: Map<String, Value> = fields.take("metadata", must)?.unwrap_or_default();
    let fits = |text: &str, most: usize| text.chars().nth(most).is_none();
    let sound = metadata.len() <= METADATA_PAIRS
        && metadata.iter().all(|(key, value)| {
            fits(key, METADATA_KEY_CHARS)
                && value.as_str().is_some_and(|text| fits(text, METADATA_VALUE_CHARS))
        });
    if !sound {
        return Err(wrong("metadata".to_owned(), must));
    }
    if let Some(left_out) = left_out {
        metadata.insert(LEFT_OUT_KEY.to_owned(), left_out.into());
    }
    Ok(metadata)
}
