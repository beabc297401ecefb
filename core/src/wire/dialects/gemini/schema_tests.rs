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
