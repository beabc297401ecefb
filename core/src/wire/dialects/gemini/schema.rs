//! Schemas: Google's are OpenAPI's (types in capitals, `nullable`), the upstream's are JSON Schema's.

use serde_json::{Map, Value, json};

/// The upstream's bound on a strict schema, in characters, and on its depth.
/// Source: <https://inference-docs.cerebras.ai/capabilities/structured-outputs>.
const STRICT_CHARS: usize = 5_000;
const STRICT_DEPTH: usize = 10;
/// As many schemas as hardly fit into so many characters.
const STRICT_SCHEMAS: usize = 500;
/// JSON has so many types.
const TYPES: usize = 7;

/// What the upstream refuses in strict schemas, and what only tells a reader something.
const NOT_STRICT: [&str; 18] = [
    "minItems",
    "maxItems",
    "uniqueItems",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "default",
    "example",
    "examples",
    "$schema",
];

/// What can't be said in a strict schema at all.
const BEYOND_STRICT: [&str; 14] = [
    // It might be recursive.
    "$ref",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "definitions",
    "$anchor",
    "$dynamicRef",
];

/// Applies `change` to each schema directly within this one.
fn inside(schema: &mut Map<String, Value>, change: &mut impl FnMut(&mut Value)) {
    for (name, value) in schema.iter_mut() {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values_mut().for_each(&mut *change);
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
                list.iter_mut().for_each(&mut *change);
            }
            ("items" | "additionalProperties", value @ Value::Object(_)) => change(value),
            _ => {}
        }
    }
}

/// JSON Schema of an OpenAPI schema. What is JSON Schema already stays as it is.
pub(super) fn openapi(mut schema: Value) -> Value {
    to_json_schema(&mut schema);
    schema
}

fn to_json_schema(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.shift_remove("propertyOrdering");
    map.shift_remove("property_ordering");
    for (snake, camel) in [
        ("any_of", "anyOf"),
        ("min_items", "minItems"),
        ("max_items", "maxItems"),
        ("min_length", "minLength"),
        ("max_length", "maxLength"),
        ("min_properties", "minProperties"),
        ("max_properties", "maxProperties"),
        ("additional_properties", "additionalProperties"),
    ] {
        if let Some(value) = map.shift_remove(snake) {
            map.entry(camel).or_insert(value);
        }
    }
    // Google's own wire form has 64-bit numbers as texts.
    for name in ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"] {
        if let Some(value) = map.get_mut(name)
            && let Some(number) = value.as_str().and_then(|text| text.parse::<u64>().ok())
        {
            *value = number.into();
        }
    }
    match map.get_mut("type") {
        Some(Value::String(name)) if name.eq_ignore_ascii_case("TYPE_UNSPECIFIED") => {
            drop(map.shift_remove("type"))
        }
        Some(Value::String(name)) => name.make_ascii_lowercase(),
        Some(Value::Array(names)) => {
            for name in names {
                if let Value::String(name) = name {
                    name.make_ascii_lowercase();
                }
            }
        }
        _ => {}
    }
    if let Some(nullable) = map.shift_remove("nullable")
        && nullable == true
    {
        allow_null(map);
    }
    inside(map, &mut to_json_schema);
}

fn allow_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match map.get_mut("type") {
        Some(Value::Array(names)) => {
            if !names.iter().any(|name| name == "null") {
                names.push("null".into());
            }
        }
        Some(name) if *name != "null" => *name = json!([name.take(), "null"]),
        Some(_) => {}
        None => {
            if let Some(Value::Array(options)) = map.get_mut("anyOf") {
                options.push(json!({"type": "null"}));
            }
        }
    }
}

/// Whether strict decoding can take a schema, as far as it has been looked at.
struct Strict {
    possible: bool,
    /// Schemas that may still be looked at: what has several types is copied for each, at every level.
    left: usize,
}

/// The schema in the form that strict decoding takes, if what it means can be said there. Bounds of lists, texts and
/// numbers get lost, which the shape makes up for; optional members would not, so they rule it out.
pub(super) fn strict(schema: &Value) -> Option<Value> {
    let longest = |schema: &Value, bound: usize| schema.to_string().chars().count() <= bound;
    // What is left out may be as long again as what stays.
    if !schema.is_object() || !longest(schema, 2 * STRICT_CHARS) {
        return None;
    }
    let mut schema = schema.clone();
    let mut strict = Strict { possible: true, left: STRICT_SCHEMAS };
    to_strict(&mut schema, 1, &mut strict);
    (strict.possible && longest(&schema, STRICT_CHARS)).then_some(schema)
}

fn to_strict(schema: &mut Value, depth: usize, strict: &mut Strict) {
    strict.left = strict.left.saturating_sub(1);
    strict.possible &= strict.left > 0;
    let Value::Object(map) = schema else {
        strict.possible = false;
        return;
    };
    strict.possible &= depth <= STRICT_DEPTH && !BEYOND_STRICT.iter().any(|name| map.contains_key(*name));
    if !strict.possible {
        return;
    }
    for name in NOT_STRICT {
        map.shift_remove(name);
    }
    if let Some(Value::Array(names)) = map.get("type") {
        let names = names.clone();
        if map.contains_key("anyOf") || names.len() > TYPES {
            strict.possible = false;
            return;
        }
        // A list of types is not taken; each gets a schema of its own.
        let mut options = Vec::new();
        for name in names {
            let mut option = if name == "null" { Map::new() } else { map.clone() };
            option.shift_remove("description");
            option.shift_remove("title");
            if name != "null"
                && let Some(Value::Array(values)) = option.get_mut("enum")
            {
                values.retain(|value| !value.is_null());
            }
            option.insert("type".into(), name);
            options.push(Value::Object(option));
        }
        map.retain(|name, _| name == "description" || name == "title");
        map.insert("anyOf".into(), Value::Array(options));
    }
    let object = map.get("type").is_some_and(|name| name == "object") || map.contains_key("properties");
    if object {
        let required = map.get("required").and_then(Value::as_array);
        let all = match map.get("properties") {
            Some(Value::Object(properties)) if !properties.is_empty() => properties.keys().all(|name| {
                required.is_some_and(|required| required.iter().any(|one| one.as_str() == Some(name)))
            }),
            // An object of whatever members: strict decoding could only give an empty one.
            _ => false,
        };
        let open = map.get("additionalProperties").is_some_and(|more| *more != false);
        strict.possible &= all && !open;
        map.insert("additionalProperties".into(), false.into());
    }
    if map.get("items").is_some_and(|items| !items.is_object()) {
        strict.possible = false;
    }
    inside(map, &mut |schema| to_strict(schema, depth + 1, strict));
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
