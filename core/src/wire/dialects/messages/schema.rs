//! JSON schemas as the upstream's strict mode takes them: `additionalProperties: false` on every object, no
//! `minItems`, `maxItems`, `pattern` or `format`, and `$defs` instead of `definitions`.

use serde_json::{Map, Value};

/// What strict mode refuses and an answer can keep to without being held to it.
const REFUSED: [&str; 4] = ["minItems", "maxItems", "pattern", "format"];

/// The schema for strict mode and whether anything was left out of it; None where strict mode can't express it.
pub(super) fn strict(schema: &Value) -> Option<(Value, bool)> {
    let mut strict = schema.clone();
    let mut changed = false;
    hold(&mut strict, &mut changed)?;
    Some((strict, changed))
}

/// Without what says nothing of the arguments and may be refused: `$schema`, and null where a list may be left out.
pub(super) fn tidy(schema: &mut Value) {
    if let Value::Object(object) = schema {
        object.retain(|name, value| match name.as_str() {
            "$schema" => false,
            "properties" | "required" => !value.is_null(),
            _ => true,
        });
    }
}

fn hold(schema: &mut Value, changed: &mut bool) -> Option<()> {
    // `true` and `false` are schemas too.
    let Value::Object(object) = schema else { return schema.is_boolean().then_some(()) };
    if object.contains_key("definitions") {
        return None;
    }
    let before = object.len();
    object.retain(|name, _| !REFUSED.contains(&name.as_str()));
    *changed |= object.len() < before;
    if is_object(object) {
        match object.get("additionalProperties") {
            Some(Value::Bool(false)) => {}
            // Narrower than the client's schema, so what keeps to it keeps to the client's as well.
            None if object.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty()) => {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            _ => return None,
        }
    }
    for (name, inner) in object.iter_mut() {
        match (name.as_str(), inner) {
            ("properties" | "$defs" | "patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                schemas.values_mut().try_for_each(|schema| hold(schema, changed))?;
            }
            ("anyOf" | "allOf" | "oneOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().try_for_each(|schema| hold(schema, changed))?;
            }
            ("items" | "not" | "if" | "then" | "else" | "contains" | "propertyNames", schema) => {
                hold(schema, changed)?;
            }
            _ => {}
        }
    }
    Some(())
}

fn is_object(schema: &Map<String, Value>) -> bool {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => false,
    };
    named || schema.contains_key("properties")
}
