use super::*;

#[test]
fn an_openapi_schema_becomes_a_json_schema() {
    let given = json!({
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": true, "format": "date-time"},
            "nullable": {"type": "BOOLEAN"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "minItems": "1", "maxItems": 3},
            "kind": {"type": "STRING", "enum": ["A", "B"], "nullable": true},
            "either": {"any_of": [{"type": "NUMBER"}, {"type": "STRING"}], "nullable": true},
            "free": {"type": "TYPE_UNSPECIFIED"}
        },
        "required": ["type"],
        "propertyOrdering": ["list", "type"]
    });
    let wanted = json!({
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "format": "date-time"},
            "nullable": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 1, "maxItems": 3},
            "kind": {"type": ["string", "null"], "enum": ["A", "B", null]},
            "either": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
            "free": {}
        },
        "required": ["type"]
    });
    assert_eq!(openapi(given), wanted);
    assert_eq!(openapi(wanted.clone()), wanted, "what is JSON Schema already stays");
}

#[test]
fn a_schema_whose_members_are_all_required_is_strict() {
    let given = json!({
        "type": "object",
        "description": "A film.",
        "properties": {
            "title": {"type": ["string", "null"], "pattern": "^.+$", "description": "Its title."},
            "cast": {"type": "array", "minItems": 1, "items": {
                "type": "object", "properties": {"format": {"type": "string", "format": "email"}}, "required": ["format"]}}
        },
        "required": ["title", "cast"]
    });
    let wanted = json!({
        "type": "object",
        "description": "A film.",
        "properties": {
            "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Its title."},
            "cast": {"type": "array", "items": {
                "type": "object", "properties": {"format": {"type": "string"}}, "required": ["format"],
                "additionalProperties": false}}
        },
        "required": ["title", "cast"],
        "additionalProperties": false
    });
    assert_eq!(strict(&given), Some(wanted));
}

#[test]
fn what_strict_decoding_would_change_or_refuse_is_not_strict() {
    let long = "x".repeat(6_000);
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": true}),
        json!({"type": "array", "items": {"$ref": "#/$defs/a"}}),
        json!({"oneOf": [{"type": "string"}]}),
        json!({"type": "array", "items": true}),
        json!({"type": "string", "description": long}),
        json!({"type": ["string", "null"], "anyOf": [{}]}),
        json!(true),
    ] {
        assert_eq!(strict(&schema), None, "{schema}");
    }
    let mut deep = json!({"type": "string"});
    for _ in 0..12 {
        deep = json!({"type": "array", "items": deep});
    }
    assert_eq!(strict(&deep), None);
}

#[test]
fn types_that_multiply_with_each_level_are_given_up() {
    let names = ["null", "string", "number", "integer", "boolean", "array", "object"];
    let mut schema = json!({"type": "string"});
    for _ in 0..9 {
        schema = json!({"type": names, "items": schema});
    }
    assert_eq!(strict(&schema), None);
    assert_eq!(strict(&json!({"type": vec!["string"; 200]})), None);
}

#[test]
fn keys_keep_their_order() {
    let text = r#"{"type":"OBJECT","propertyOrdering":["b"],"properties":{"b":{"nullable":true,"type":"STRING","format":"x","description":"d"},"a":{"type":"INTEGER"}},"required":["b","a"]}"#;
    let schema = openapi(serde_json::from_str(text).unwrap());
    let wanted = r#"{"type":"object","properties":{"b":{"type":["string","null"],"format":"x","description":"d"},"a":{"type":"integer"}},"required":["b","a"]}"#;
    assert_eq!(schema.to_string(), wanted);
    let wanted = r#"{"type":"object","properties":{"b":{"description":"d","anyOf":[{"type":"string"},{"type":"null"}]},"a":{"type":"integer"}},"required":["b","a"],"additionalProperties":false}"#;
    assert_eq!(strict(&schema).unwrap().to_string(), wanted);
}
