//! Features of JSON Schema that the upstream's strict decoding refuses (`docs/upstream.md`, section 1; its version 2,
//! since July 2026). Known before anything is sent, they cost no key a request, and the client is told where.

use crate::wire::dialects::{field, refused, too_many_parts};
use crate::wire::errors::ApiError;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Bytes of a path at the most.
const PATH_BYTES: usize = 120;
/// Refused in strict schemas.
const REFUSED: [&str; 5] = ["minItems", "maxItems", "pattern", "format", "definitions"];

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    response_format: Option<ResponseFormat>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
}

#[derive(Deserialize)]
struct ResponseFormat {
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    #[serde(default)]
    strict: Option<bool>,
    #[serde(default)]
    schema: Value,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    strict: Option<bool>,
    #[serde(default)]
    parameters: Value,
}

/// The path of the first thing in a strict schema that the upstream would refuse. Only schemas with `"strict": true`
/// are looked at; a request without one pays for the search for that. Bodies with too many parts are left for the
/// upstream to judge.
#[must_use]
pub fn strict_schema_fault(body: &[u8]) -> Option<String> {
    if !may_be_strict(body) || too_many_parts(body) {
        return None;
    }
    let request: Request = serde_json::from_slice(body).ok()?;
    let format = request.response_format.and_then(|format| format.json_schema);
    let format = format.filter(|format| format.strict == Some(true));
    if let Some(steps) = format.as_ref().and_then(|format| fault(&format.schema)) {
        return Some(path("response_format.json_schema.schema".into(), &steps));
    }
    request.tools.into_iter().flatten().enumerate().find_map(|(n, tool)| {
        let function = tool.function.filter(|function| function.strict == Some(true))?;
        let steps = fault(&function.parameters)?;
        Some(path(format!("tools.{n}.function.parameters"), &steps))
    })
}

/// A path of what leads there, the last step first. Names that might be anything are not repeated.
fn path(start: String, steps: &[Cow<'_, str>]) -> String {
    let mut path = start;
    for step in steps.iter().rev() {
        let step = field(step);
        if path.len() + step.len() >= PATH_BYTES {
            break;
        }
        path.push('.');
        path.push_str(step);
    }
    path
}

/// 400: a strict schema has at `path` what the upstream refuses.
#[must_use]
pub fn strict_schema_refusal(path: &str) -> ApiError {
    let message = format!(
        "Strict schemas take no minItems, maxItems, pattern, format or definitions ($defs is fine), and every object needs `\"additionalProperties\": false`. See `{path}`, or leave `strict` out."
    );
    refused("unsupported_value", path, message)
}

/// Whether `"strict": true` is anywhere outside of texts, in which quotes are escaped.
fn may_be_strict(body: &[u8]) -> bool {
    memmem::find_iter(body, b"\"strict\"").any(|at| {
        let behind = body.get(at + 8..).unwrap_or_default().trim_ascii_start();
        behind.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

/// The steps to the first fault of a schema, the last first.
fn fault(schema: &Value) -> Option<Vec<Cow<'_, str>>> {
    let Value::Object(map) = schema else { return None };
    if let Some(name) = REFUSED.iter().find(|name| map.contains_key(**name)) {
        return Some(vec![Cow::Borrowed(*name)]);
    }
    let object = map.get("type").is_some_and(is_object) || map.contains_key("properties");
    if object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Some(vec!["additionalProperties".into()]);
    }
    within(map)
}

fn is_object(kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        kind => kind == "object",
    }
}

/// The first fault in the schemas directly within this one. Names of properties are no keywords.
fn within(map: &Map<String, Value>) -> Option<Vec<Cow<'_, str>>> {
    map.iter().find_map(|(name, value)| {
        let mut steps = match (name.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                named.iter().find_map(|(inner, schema)| behind(fault(schema)?, inner.as_str()))
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
                list.iter().enumerate().find_map(|(n, schema)| behind(fault(schema)?, n.to_string()))
            }
            ("items" | "not" | "if" | "then" | "else", schema) => fault(schema),
            _ => None,
        }?;
        steps.push(name.as_str().into());
        Some(steps)
    })
}

fn behind<'a>(mut steps: Vec<Cow<'a, str>>, step: impl Into<Cow<'a, str>>) -> Option<Vec<Cow<'a, str>>> {
    steps.push(step.into());
    Some(steps)
}
