use super::testing::{SEED, chat, field, notes, refusal};
use serde_json::{Value, json};

#[test]
fn a_text_is_a_users_message() {
    let request =
        json!({"model": "gpt-oss-120b", "input": "Hi", "instructions": "Be brief.", "stream": true});
    assert_eq!(
        chat(request),
        json!({"model": "gpt-oss-120b", "stream": true, "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]})
    );
    assert_eq!(
        chat(json!({"input": "Hi"})),
        json!({"stream": false, "messages": [{"role": "user", "content": "Hi"}]})
    );
}

#[test]
fn limits_and_sampling_are_kept() {
    let request = json!({"input": "Hi", "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.25, "user": "u",
        "prompt_cache_key": "k", "service_tier": "flex", "top_logprobs": 3, "parallel_tool_calls": true});
    assert_eq!(
        chat(request),
        json!({"messages": [{"role": "user", "content": "Hi"}], "stream": false, "max_completion_tokens": 99,
            "temperature": 0.5, "top_p": 0.25, "user": "u", "prompt_cache_key": "k", "service_tier": "flex",
            "logprobs": true, "top_logprobs": 3})
    );
}

#[test]
fn a_null_is_as_good_as_nothing() {
    let request = json!({"input": "Hi", "store": null, "previous_response_id": null, "conversation": null, "text": null,
        "tools": null, "tool_choice": null, "reasoning": null, "include": null, "metadata": null, "temperature": null});
    assert_eq!(chat(request.clone())["messages"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(notes(request), (vec![], vec![]));
}

#[test]
fn what_the_model_needs_not_know_is_noted() {
    let request = json!({"input": "Hi", "client_metadata": {"a": 1}, "text": {"verbosity": "low"}, "truncation": "auto",
        "include": ["reasoning.encrypted_content", "file_search_call.results"], "prompt_cache_retention": "24h",
        "stream_options": {"include_obfuscation": false}, "service_tier": "scale", "safety_identifier": "s"});
    let (dropped, translated) = notes(request.clone());
    assert_eq!(
        dropped,
        [
            "text.verbosity",
            "include.1",
            "truncation",
            "service_tier",
            "client_metadata",
            "prompt_cache_retention",
            "stream_options"
        ]
    );
    assert_eq!(translated, ["safety_identifier"]);
    assert_eq!(chat(request)["user"], "s");
}

#[test]
fn effort_becomes_one_that_there_is() {
    for (asked, effort) in [
        ("none", "none"),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
    ] {
        assert_eq!(field("reasoning", json!({"effort": asked}), "reasoning_effort"), effort, "{asked}");
    }
    assert_eq!(field("reasoning", json!({"summary": "auto"}), "reasoning_effort"), Value::Null);
    assert_eq!(refusal(json!({"input": "Hi", "reasoning": {"effort": "huge"}})).0, "reasoning.effort");
}

#[test]
fn formats_of_texts() {
    let format = |format: Value| field("text", json!({"format": format}), "response_format");
    assert_eq!(format(json!({"type": "text"})), Value::Null);
    assert_eq!(format(json!({"type": "json_object"})), json!({"type": "json_object"}));
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    assert_eq!(
        format(
            json!({"type": "json_schema", "name": "n", "description": "d", "strict": true, "schema": schema})
        ),
        json!({"type": "json_schema", "json_schema": {"name": "n", "description": "d", "strict": true, "schema": schema}})
    );
    assert_eq!(
        format(json!({"type": "json_schema", "name": "n", "schema": {"type": "array", "minItems": 1}})),
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array", "minItems": 1}}}),
        "without strict a schema is left as it is"
    );
    let named = |format: Value| refusal(json!({"input": "Hi", "text": {"format": format}})).0;
    assert_eq!(named(json!({"type": "yaml"})), "text.format.type");
    assert_eq!(named(json!({"type": "json_schema", "schema": {}})), "text.format.name");
    assert_eq!(named(json!({"type": "json_schema", "name": "n"})), "text.format.schema");
    assert_eq!(named(json!({"type": "json_schema", "name": "n", "schema": 1})), "text.format.schema");
}

#[test]
fn strict_schemas_have_no_words_that_the_upstream_refuses() {
    let request = |schema: Value| json!({"input": "Hi", "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": schema}}});
    let schema = json!({
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "^a", "format": "email", "enum": ["format"]},
            "list": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/definitions/one"}},
        },
        "required": ["pattern", "list"],
        "definitions": {"one": {"anyOf": [{"type": ["object", "null"], "properties": {}}, {"type": "string", "format": "uri"}]}},
    });
    assert_eq!(
        chat(request(schema))["response_format"]["json_schema"],
        json!({"name": "n", "strict": true, "schema": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "pattern": {"type": "string", "enum": ["format"]},
                "list": {"type": "array", "items": {"$ref": "#/$defs/one"}},
            },
            "required": ["pattern", "list"],
            "$defs": {"one": {"anyOf": [{"type": ["object", "null"], "properties": {}, "additionalProperties": false}, {"type": "string"}]}},
        }})
    );
    let open = json!({"type": "object", "properties": {"map": {"type": "object", "additionalProperties": {"type": "string"}}}});
    let translated = chat(request(open.clone()))["response_format"]["json_schema"].clone();
    assert_eq!(translated, json!({"name": "n", "strict": false, "schema": open}), "a map can't be strict");
    assert_eq!(notes(request(open)).1, ["text.format.schema"]);
}

#[test]
fn probabilities_are_asked_for_where_the_client_does() {
    assert_eq!(field("include", json!(["message.output_text.logprobs"]), "logprobs"), true);
    assert_eq!(field("top_logprobs", json!(0), "logprobs"), Value::Null);
    assert_eq!(field("top_logprobs", json!(0), "top_logprobs"), Value::Null);
    assert_eq!(refusal(json!({"input": "Hi", "top_logprobs": 21})).0, "top_logprobs");
}

#[test]
fn what_must_be_kept_is_refused_and_the_way_out_told() {
    for (key, value) in [
        ("store", json!(true)),
        ("background", json!(true)),
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("prompt", json!({"id": "p"})),
    ] {
        let (param, message) = refusal(json!({"input": "Hi", key: value}));
        assert_eq!(param, key);
        assert!(message.contains("Rondo keeps nothing") && message.contains("whole `input`"), "{message}");
    }
    for kept in [json!({"input": "Hi"}), json!({"input": "Hi", "store": false, "background": false})] {
        assert_eq!(notes(kept), (vec![], vec![]));
    }
}

#[test]
fn wrong_fields_are_named() {
    for (key, value) in [
        ("model", json!(1)),
        ("model", json!("m".repeat(257))),
        ("stream", json!("yes")),
        ("temperature", json!("hot")),
        ("top_p", json!([])),
        ("max_output_tokens", json!(0)),
        ("max_output_tokens", json!(-1)),
        ("instructions", json!(["a"])),
        ("tools", json!({})),
        ("tool_choice", json!(3)),
        ("include", json!("a")),
        ("reasoning", json!("high")),
        ("text", json!(true)),
        ("input", json!(7)),
        ("input", json!([])),
        ("metadata", json!({"a": 1})),
        ("metadata", json!({"k".repeat(65): "v"})),
        ("metadata", json!({"k": "v".repeat(513)})),
        ("user", json!(1)),
        ("store", json!("no")),
        ("parallel_tool_calls", json!(1)),
    ] {
        let mut request = json!({"input": "Hi"});
        request[key] = value;
        assert_eq!(refusal(request).0, key);
    }
    assert_eq!(refusal(json!({"model": "m"})).0, "input");
    for body in ["", "{", "[]", "\"a\"", "{\"input\":\"a\"} x"] {
        assert_eq!(super::request(body.as_bytes(), SEED).unwrap_err().status, 400, "{body}");
    }
    let deep = format!("{{\"input\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(super::request(deep.as_bytes(), SEED).unwrap_err().code, "invalid_json");
}

#[test]
fn a_cache_key_that_is_too_long_is_dropped() {
    assert_eq!(field("prompt_cache_key", json!("k".repeat(1024)), "prompt_cache_key"), "k".repeat(1024));
    assert_eq!(field("prompt_cache_key", json!("k".repeat(1025)), "prompt_cache_key"), Value::Null);
    assert_eq!(notes(json!({"input": "Hi", "prompt_cache_key": "k".repeat(1025)})).0, ["prompt_cache_key"]);
}

#[test]
fn service_tiers() {
    for (asked, tier) in [
        ("auto", json!("auto")),
        ("priority", json!("priority")),
        ("fast", json!("priority")),
        ("ultrafast", Value::Null),
    ] {
        assert_eq!(field("service_tier", json!(asked), "service_tier"), tier);
    }
}

/// The first two are what Codex 0.169.0 sent to a server that answered in this dialect, its long texts cut short; the
/// third is put together of what else it is known to send.
#[test]
fn what_an_agent_sends_is_taken() {
    let check = |request: &str, want: &str, left_out: &[&str]| {
        let request: Value = serde_json::from_str(request).unwrap();
        assert_eq!(chat(request.clone()), serde_json::from_str::<Value>(want).unwrap());
        assert_eq!(notes(request).0, left_out);
    };
    check(
        include_str!("fixtures/codex-first.json"),
        include_str!("fixtures/codex-first.chat.json"),
        &["tools.4", "client_metadata"],
    );
    check(
        include_str!("fixtures/codex-second.json"),
        include_str!("fixtures/codex-second.chat.json"),
        &["tools.4", "client_metadata"],
    );
    check(
        include_str!("fixtures/codex-later.json"),
        include_str!("fixtures/codex-later.chat.json"),
        &["tools.3", "input.5", "input.11.encrypted_content", "client_metadata"],
    );
}
