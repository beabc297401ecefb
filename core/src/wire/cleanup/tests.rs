use super::*;
use serde_json::{Value, json};

/// The cleaned body and the noted paths; the body itself if nothing was to be done.
pub(super) fn cleaned(body: &str) -> (String, Vec<String>) {
    match clean(body.as_bytes()) {
        Some((new, notes)) => {
            let paths = notes.all().iter().map(|note| note.path.clone()).collect();
            (String::from_utf8(new).unwrap(), paths)
        }
        None => (body.to_owned(), Vec::new()),
    }
}

fn same(body: &str) {
    assert_eq!(clean(body.as_bytes()), None, "{body}");
}

#[test]
fn fields_of_openais_services_are_left_out_and_the_rest_stays_byte_for_byte() {
    let body = r#"{ "store" : true,"model":"m", "metadata":{"a":"}"},  "messages":[ {"role":"user","content":"hi"} ],"verbosity":"low","safety_identifier":"x" }"#;
    let (new, notes) = cleaned(body);
    assert_eq!(new, r#"{ "model":"m",  "messages":[ {"role":"user","content":"hi"} ] }"#);
    assert_eq!(notes, ["store", "metadata", "verbosity", "safety_identifier"]);
}

#[test]
fn each_rule_of_the_table_is_applied_at_its_level() {
    for Rule { level, name, act } in RULES {
        let value = if *act == Act::Effort { "\"minimal\"" } else { "null" };
        let field = format!("{{\"{name}\":{value}}}");
        let body = match level {
            Level::Top => field,
            Level::StreamOptions => format!("{{\"stream_options\":{field}}}"),
            Level::Message => format!("{{\"messages\":[{field}]}}"),
            Level::Part => format!("{{\"messages\":[{{\"content\":[{field}]}}]}}"),
            Level::Call => format!("{{\"messages\":[{{\"tool_calls\":[{field}]}}]}}"),
            Level::Tool => format!("{{\"tools\":[{field}]}}"),
            Level::Function => format!("{{\"tools\":[{{\"function\":{field}}}]}}"),
        };
        let (new, notes) = cleaned(&body);
        assert_ne!(new, body);
        assert!(notes[0].ends_with(name), "{notes:?}");
        assert!(serde_json::from_str::<Value>(&new).is_ok(), "{new}");
    }
}

#[test]
fn wherever_a_field_stands_its_comma_goes_with_it() {
    for (body, new) in [
        (r#"{"store":1}"#, "{}"),
        (r#"{"store":1,"audio":2}"#, "{}"),
        (r#"{"store":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a":2,"store":1}"#, r#"{"a":2}"#),
        (r#"{"a":2,"store":1,"b":3}"#, r#"{"a":2,"b":3}"#),
        (r#"{"store":1,"audio":2,"a":3,"thinking":4,"store":5,"b":6,"metadata":null}"#, r#"{"a":3,"b":6}"#),
    ] {
        assert_eq!(cleaned(body).0, new);
    }
}

#[test]
fn text_that_only_holds_such_words_is_not_touched() {
    same(r#"{"messages":[{"role":"user","content":"{\"store\":true,\"cache_control\" : 1}"}]}"#);
    same(r#"{"messages":[{"role":"user","content":"store"}],"user":"metadata","stop":["audio","thinking"]}"#);
    same(
        r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"metadata":{"type":"string"},"cache_control":{"type":"string"},"store":{}}}}}]}"#,
    );
    same(
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"refusal\":1}"}}],"reasoning":"r"}]}"#,
    );
    same(
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"properties":{"audio":{}}}}}}"#,
    );
}

#[test]
fn messages_lose_what_only_answers_have() {
    let (new, notes) = cleaned(
        r#"{"messages":[{"role":"assistant","content":"a","refusal":null,"annotations":[],"audio":null},{"role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral"}},{"type":"text","text":"c"}],"cache_control":{}}],"tools":[{"type":"function","cache_control":{},"function":{"name":"f","cache_control":{}}}]}"#,
    );
    assert_eq!(
        new,
        r#"{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}],"tools":[{"type":"function","function":{"name":"f"}}]}"#
    );
    assert_eq!(
        notes,
        [
            "messages.0.refusal",
            "messages.0.annotations",
            "messages.0.audio",
            "messages.1.content.0.cache_control",
            "messages.1.cache_control",
            "tools.0.function.cache_control",
            "tools.0.cache_control"
        ]
    );
}

#[test]
fn reasoning_of_earlier_turns_has_the_upstreams_name() {
    let message = |fields: &str| format!(r#"{{"messages":[{{{fields}}}]}}"#);
    for (fields, new) in [
        (
            r#""role":"assistant","content":"a","reasoning_content":"r""#,
            r#""role":"assistant","content":"a","reasoning":"r""#,
        ),
        (r#""reasoning_content":"r","role":"assistant""#, r#""reasoning":"r","role":"assistant""#),
        (
            r#""role":"assistant","reasoning":"q","reasoning_content":"r""#,
            r#""role":"assistant","reasoning":"q""#,
        ),
        (
            r#""role":"assistant","reasoning_content":null,"content":"a""#,
            r#""role":"assistant","content":"a""#,
        ),
        (r#""role":"user","reasoning_content":"r","content":"a""#, r#""role":"user","content":"a""#),
    ] {
        assert_eq!(cleaned(&message(fields)).0, message(new));
    }
}

#[test]
fn efforts_and_limits_have_the_upstreams_names() {
    for (body, new) in [
        (r#"{"reasoning":{"effort":"high","summary":"auto"},"a":1}"#, r#"{"reasoning_effort":"high","a":1}"#),
        (r#"{"reasoning":{"max_tokens":5},"a":1}"#, r#"{"a":1}"#),
        (r#"{"reasoning":{"effort":"high"},"reasoning_effort":"low"}"#, r#"{"reasoning_effort":"low"}"#),
        (r#"{"reasoning_effort":"minimal"}"#, r#"{"reasoning_effort":"low"}"#),
        (r#"{"reasoning_effort" : "xhigh"}"#, r#"{"reasoning_effort" : "high"}"#),
        (r#"{"maxTokens":5}"#, r#"{"max_tokens":5}"#),
        (r#"{"maxTokens":5,"max_completion_tokens":6}"#, r#"{"max_completion_tokens":6}"#),
        (r#"{"modalities":["text"],"a":1}"#, r#"{"a":1}"#),
        (
            r#"{"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(cleaned(body).0, new);
    }
    same(r#"{"reasoning_effort":"medium"}"#);
    same(r#"{"reasoning_effort":"whatever"}"#);
    same(r#"{"modalities":["text","audio"]}"#);
}

#[test]
fn functions_in_the_older_form_become_tools() {
    let (new, notes) = cleaned(
        r#"{"functions":[{"name":"f"}, {"name":"g"}],"function_call":{"name":"f"},"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}]}"#,
    );
    assert_eq!(
        serde_json::from_str::<Value>(&new).unwrap(),
        json!({
            "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": null,
                 "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "1"}
            ]
        })
    );
    assert_eq!(notes, ["messages.1.function_call", "functions", "function_call"]);
    for (body, new) in [
        (
            r#"{"functions":[{"name":"f"}],"function_call":"auto"}"#,
            r#"{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}"#,
        ),
        (r#"{"functions":[],"function_call":"none"}"#, "{}"),
        (r#"{"function_call":"auto","a":1}"#, r#"{"a":1}"#),
        (r#"{"functions":[{"name":"f"}],"tools":[],"function_call":"auto"}"#, r#"{"tools":[]}"#),
        (
            r#"{"messages":[{"role":"assistant","content":"a","function_call":null}]}"#,
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
        ),
    ] {
        assert_eq!(cleaned(body).0, new);
    }
    same(r#"{"messages":[{"role":"function","name":"f","content":"1"}]}"#);
}

#[test]
fn what_is_no_json_object_is_left_to_others() {
    for body in ["", "[]", "{\"store\":", "{\"store\":1}x", "{\"store\":1,}", "\"store\":"] {
        same(body);
    }
}

#[test]
fn faults_of_strict_schemas_are_found_by_their_path() {
    let schema = |strict: bool, schema: Value| json!({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": strict, "schema": schema}}});
    let fault = |body: &Value| strict_schema_fault(body.to_string().as_bytes());
    let closed = |name: &str, inner: Value| json!({"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": false});
    for (inner, path) in [
        (json!({"type": "array", "minItems": 1}), ".minItems"),
        (json!({"type": "array", "items": {"type": "string", "pattern": "a"}}), ".items.pattern"),
        (json!({"anyOf": [{"type": "null"}, {"type": "string", "format": "uri"}]}), ".anyOf.1.format"),
        (json!({"type": "object"}), ".additionalProperties"),
        (json!({"type": ["object", "null"], "additionalProperties": {}}), ".additionalProperties"),
        (json!({"definitions": {}}), ".definitions"),
    ] {
        let body = schema(true, closed("x", inner.clone()));
        let at = format!("response_format.json_schema.schema.properties.x{path}");
        assert_eq!(fault(&body), Some(at.clone()));
        assert_eq!(strict_schema_refusal(&at).param, at);
        assert_eq!(fault(&schema(false, closed("x", inner.clone()))), None);
        let tool = |strict: bool| {
            json!({"tools": [{"type": "function", "function": {"name": "f"}},
            {"type": "function", "function": {"name": "g", "strict": strict, "parameters": closed("x", inner.clone())}}]})
        };
        assert_eq!(fault(&tool(true)), Some(format!("tools.1.function.parameters.properties.x{path}")));
        assert_eq!(fault(&tool(false)), None);
    }
    // A property may be named like a keyword.
    assert_eq!(fault(&schema(true, closed("format", closed("pattern", json!({"type": "string"}))))), None);
    assert_eq!(fault(&json!({"messages": [{"content": "\"strict\": true, \"minItems\""}]})), None);
}

#[test]
fn what_a_refusal_of_a_schema_says_is_bounded_and_repeats_no_name_that_might_be_anything() {
    let long = "x".repeat(5_000);
    let mut schema = json!({"type": "string", "format": "uri"});
    for name in ["a name", &long, "plain"] {
        schema = json!({"type": "object", "properties": {name: schema}, "additionalProperties": false});
    }
    let body = json!({"tools": [{"function": {"strict": true, "parameters": schema}}]}).to_string();
    let path = "tools.0.function.parameters.properties.plain.properties.?.properties.?.format";
    assert_eq!(strict_schema_fault(body.as_bytes()).as_deref(), Some(path));
    for _ in 0..30 {
        schema = json!({"type": "object", "properties": {"plain": schema}, "additionalProperties": false});
    }
    let body = json!({"tools": [{"function": {"strict": true, "parameters": schema}}]}).to_string();
    let path = strict_schema_fault(body.as_bytes()).unwrap();
    assert!(strict_schema_refusal(&path).message.len() < 400, "{path}");
}

#[test]
fn bodies_that_no_client_sends_are_left_to_the_upstream() {
    let members: String = (0..300).map(|n| format!("\"x{n}\":0,")).collect();
    same(&format!("{{{members}\"store\":1}}"));
    let messages = |count: usize| format!("{{\"messages\":[{}{{}}]}}", "{\"refusal\":1},".repeat(count));
    assert_eq!(cleaned(&messages(2_000)).0, messages(2_000).replace("\"refusal\":1", ""));
    same(&messages(100_001));
}
