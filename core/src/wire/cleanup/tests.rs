use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The cleaned body and the noted paths; the body itself if nothing was to be done.
fn cleaned(body: &str) -> (String, Vec<String>) {
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

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\é\n]{0,8}".prop_map(Value::from),
        Just(json!("assistant")),
        Just(json!(["text"])),
    ];
    let name = prop::sample::select(vec![
        "store",
        "metadata",
        "messages",
        "content",
        "role",
        "tools",
        "function",
        "functions",
        "function_call",
        "tool_calls",
        "cache_control",
        "reasoning",
        "reasoning_content",
        "effort",
        "refusal",
        "x",
        "maxTokens",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether a field that is left out anywhere is still there.
fn left(value: &Value) -> bool {
    let names = ["store", "metadata", "maxTokens", "functions", "function_call", "reasoning"];
    names.iter().any(|name| value.get(name).is_some())
        || value["messages"].as_array().into_iter().flatten().any(|message| {
            ["refusal", "cache_control", "reasoning_content", "function_call"]
                .iter()
                .any(|name| message.get(name).is_some())
        })
}

proptest! {
    #[test]
    fn what_is_cleaned_is_sound_and_needs_no_more_cleaning(value in value(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        match clean(&body) {
            None => prop_assert!(!value.is_object() || !left(&value), "{}", value),
            Some((new, notes)) => {
                let new_value: Value = serde_json::from_slice(&new).map_err(|_| TestCaseError::fail(String::from_utf8_lossy(&new).into_owned()))?;
                prop_assert!(!left(&new_value), "{} of {}", new_value, value);
                prop_assert!(!notes.all().is_empty());
                prop_assert_eq!(clean(&new), None, "{}", new_value);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",: a-z0-9]{0,80}") {
        for body in [&bytes, text.as_bytes(), format!("{{\"store\":{text}}}").as_bytes()] {
            let _ = clean(body);
            let _ = walk::clean(body);
            let _ = strict_schema_fault(body);
        }
    }
}

/// A conversation of an agent: code in messages, calls, tools with schemas; about `kb` KiB.
fn usual(kb: usize) -> Vec<u8> {
    let code =
        "fn main() {\n\tlet name = \"world\";\n\tprintln!(\"hello {name}: {}\", 1 + 2);\n}\n".repeat(24);
    let tool = json!({"type": "function", "function": {"name": "read_file", "description": "Reads a file.", "parameters":
        {"type": "object", "properties": {"path": {"type": "string", "description": "Where it is."}}, "required": ["path"]}}});
    let mut messages = vec![json!({"role": "system", "content": "Be kind. ".repeat(500)})];
    while messages.len() * code.len() / 2 < kb * 1024 {
        let call = json!({"id": "a1b2c3d4e", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"a.rs\"}"}});
        messages.push(json!({"role": "assistant", "content": "I will read it.", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": "a1b2c3d4e", "content": code}));
    }
    serde_json::to_vec(&json!({"model": "m", "messages": messages, "tools": vec![tool; 20], "stream": true, "reasoning_effort": "high"})).unwrap()
}

/// `cargo test --release -p rondo-core cleanup -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "it runs natively only")]
fn throughput() {
    fn time(what: &str, body: &[u8], mut work: impl FnMut(&[u8]) -> bool) {
        let rounds = (64 * 1024 * 1024 / body.len()).max(1);
        let start = std::time::Instant::now();
        let mut hits = 0;
        for _ in 0..rounds {
            hits += usize::from(work(std::hint::black_box(body)));
        }
        let ns = start.elapsed().as_nanos() as f64 / rounds as f64 / (body.len() as f64 / 1024.0);
        println!("{:>6} KiB {what:<28} {ns:>8.1} ns/KiB ({hits})", body.len() / 1024);
    }
    for kb in [4, 64, 1024] {
        let body = usual(kb);
        let name = String::from_utf8(body.clone()).unwrap();
        let dirty = name.replacen("{\"messages\"", "{\"store\":false,\"messages\"", 1).into_bytes();
        time("clean, nothing to do", &body, |body| clean(body).is_some());
        time("one search per name", &body, |body| {
            RULES
                .iter()
                .any(|rule| memchr::memmem::find(body, format!("\"{}\"", rule.name).as_bytes()).is_some())
        });
        time("walk, nothing to do", &body, |body| walk::clean(body).is_some());
        time("clean, store", &dirty, |body| clean(body).is_some());
        time("strict_schema_fault", &body, |body| strict_schema_fault(body).is_some());
        time("scan, for comparison", &body, |body| crate::wire::json::scan(body).is_ok());
    }
}
