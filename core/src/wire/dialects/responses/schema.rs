//! JSON schemas that a model must keep to for certain. OpenAI's strict mode knows words that the upstream refuses
//! there (docs/upstream.md): they are taken out, since what a schema says beyond its shape is advice at best.

use serde_json::{Map, Value};

/// Words that the upstream refuses in strict mode.
const REFUSED: [&str; 4] = ["minItems", "maxItems", "pattern", "format"];
/// Members that hold one schema.
const SCHEMA: [&str; 6] = ["items", "not", "if", "then", "else", "contains"];
/// Members that hold a list of schemas.
const SCHEMAS: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];
/// Members that hold schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// What was done to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strict {
    /// Nothing had to be.
    AsIs,
    /// Words were taken out or put in.
    Changed,
    /// It allows members of any name somewhere: it can't be kept to strictly, and was left alone.
    Impossible,
}

/// Makes a schema one that the upstream takes as strict.
pub(super) fn make_strict(schema: &mut Value) -> Strict {
    if is_open(schema) {
        return Strict::Impossible;
    }
    let mut changed = false;
    walk(schema, &mut changed);
    if changed { Strict::Changed } else { Strict::AsIs }
}

/// Whether it allows members that it does not name.
fn is_open(schema: &Value) -> bool {
    let Value::Object(map) = schema else { return false };
    matches!(map.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_)))
        || map.contains_key("patternProperties")
        || children(map).any(is_open)
}

fn children(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = SCHEMA.iter().filter_map(|key| map.get(*key));
    let listed = SCHEMAS.iter().filter_map(|key| map.get(*key)?.as_array()).flatten();
    let named = NAMED.iter().filter_map(|key| map.get(*key)?.as_object()).flat_map(Map::values);
    one.chain(listed).chain(named)
}

fn walk(schema: &mut Value, changed: &mut bool) {
    let Value::Object(map) = schema else { return };
    let before = map.len();
    map.retain(|key, _| !REFUSED.contains(&key.as_str()));
    *changed |= map.len() != before;
    let is_object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => map.contains_key("properties"),
    };
    if is_object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
        *changed = true;
    }
    if let Some(Value::String(target)) = map.get_mut("$ref")
        && let Some(name) = target.strip_prefix("#/definitions/")
    {
        *target = format!("#/$defs/{name}");
        *changed = true;
    }
    if map.get("definitions").is_some_and(Value::is_object) {
        *changed = true;
        rename_definitions(map);
    }
    for (key, value) in map.iter_mut() {
        let key = key.as_str();
        match value {
            Value::Object(named) if NAMED.contains(&key) => {
                named.values_mut().for_each(|schema| walk(schema, changed));
            }
            Value::Array(list) if SCHEMAS.contains(&key) || key == "items" => {
                list.iter_mut().for_each(|schema| walk(schema, changed));
            }
            value if SCHEMA.contains(&key) => walk(value, changed),
            _ => {}
        }
    }
}

/// The upstream knows definitions by their newer name only. The members keep their order.
fn rename_definitions(map: &mut Map<String, Value>) {
    let (mut renamed, mut named) = (Map::new(), Map::new());
    for (key, value) in std::mem::take(map) {
        match (key.as_str(), value) {
            ("definitions" | "$defs", Value::Object(definitions)) => {
                named.extend(definitions);
                renamed.insert("$defs".to_owned(), Value::Null);
            }
            (_, value) => drop(renamed.insert(key, value)),
        }
    }
    renamed.insert("$defs".to_owned(), Value::Object(named));
    *map = renamed;
}
