use super::testing::{chat, input, notes, refusal, whole};
use serde_json::{Value, json};

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": false})
}

fn with(tools: Value) -> Value {
    json!({"input": "Hi", "tools": tools})
}

fn names(request: Value) -> Vec<String> {
    let chat = chat(request);
    let tools = chat["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

fn called(name: &str, arguments: &str) -> Value {
    json!({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn functions_stay_functions() {
    let strict = json!({"type": "function", "name": "s", "strict": true, "parameters":
        {"type": "object", "properties": {"a": {"type": "string", "format": "date"}}, "required": ["a"]}});
    assert_eq!(
        chat(with(
            json!([function("f"), strict, {"type": "function", "name": "bare", "parameters": null, "strict": true}])
        ))["tools"],
        json!([
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}},
            {"type": "function", "function": {"name": "s", "strict": true, "parameters":
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}}},
            {"type": "function", "function": {"name": "bare"}},
        ])
    );
}

#[test]
fn broken_tools_are_named() {
    for (tool, param) in [
        (json!("f"), "tools.0"),
        (json!({"name": "f"}), "tools.0.type"),
        (json!({"type": "function"}), "tools.0.name"),
        (json!({"type": "custom", "name": ""}), "tools.0.name"),
        (json!({"type": "function", "name": "f", "parameters": "x"}), "tools.0.parameters"),
        (json!({"type": "function", "name": "f", "strict": "x"}), "tools.0.strict"),
        (json!({"type": "namespace", "name": "n"}), "tools.0.tools"),
        (json!({"type": "namespace", "name": "n", "tools": [{"type": "function"}]}), "tools.0.tools.0.name"),
    ] {
        assert_eq!(refusal(with(json!([tool]))).0, param);
    }
}

#[test]
fn groups_are_flattened_and_found_again() {
    let request = with(json!([
        function("wait"),
        {"type": "namespace", "name": "team", "description": "The team", "tools": [
            function("wait"), {"type": "function", "name": "send"}, {"type": "custom", "name": "run"}]},
        {"type": "namespace", "name": "mcp__mail", "tools": [function("_find")]},
        function("team__wait"),
    ]));
    assert_eq!(
        names(request.clone()),
        ["wait", "team__wait", "team__send", "team__run", "mcp__mail_find", "team__wait_2"]
    );
    assert_eq!(chat(request.clone())["tools"][2]["function"]["description"], "The team");
    for (flat, namespace, name) in [
        ("wait", Value::Null, "wait"),
        ("team__wait", json!("team"), "wait"),
        ("mcp__mail_find", json!("mcp__mail"), "_find"),
        ("team__wait_2", Value::Null, "team__wait"),
        ("made_up", Value::Null, "made_up"),
    ] {
        let item = whole(request.clone(), called(flat, "{}"), "tool_calls")["output"][0].clone();
        assert_eq!(
            (&item["namespace"], &item["name"], &item["type"]),
            (&namespace, &json!(name), &json!("function_call"))
        );
    }
    let item =
        whole(request.clone(), called("team__run", "{\"input\":\"x\"}"), "tool_calls")["output"][0].clone();
    assert_eq!(
        item,
        json!({"type": "custom_tool_call", "id": format!("ctc_{}0001", "ab".repeat(12)), "status": "completed",
            "call_id": "c1", "name": "run", "namespace": "team", "input": "x"})
    );
    let mut later = request;
    later["input"] = json!([
        {"type": "function_call", "call_id": "a", "namespace": "team", "name": "wait", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "team__wait", "arguments": "{}"},
        {"type": "function_call", "call_id": "c", "namespace": "gone", "name": "tool", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ]);
    let calls = chat(later)["messages"][0]["tool_calls"].clone();
    let named: Vec<&str> = (0..3).map(|at| calls[at]["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["team__wait", "team__wait_2", "gone__tool"]);
}

#[test]
fn long_names_are_short_and_stay_the_same() {
    let group = |name: String| json!({"type": "namespace", "name": name, "tools": [function("näme")]});
    let one = names(with(json!([group("n".repeat(80)), group("n".repeat(81))])));
    assert!(one.iter().all(|name| name.len() == 64 && name.is_ascii()), "{one:?}");
    assert_ne!(one[0], one[1]);
    assert_eq!(names(with(json!([group("n".repeat(81))])))[0], one[1], "whatever stands beside it");
}

#[test]
fn custom_tools_take_one_text() {
    let tool = json!({"type": "custom", "name": "apply_patch", "description": "Edits.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: a"}});
    let request = with(json!([tool]));
    let translated = chat(request.clone())["tools"][0]["function"].clone();
    assert_eq!(translated["name"], "apply_patch");
    assert_eq!(translated["description"], "Edits.\n\n`input` must match this lark grammar:\nstart: a");
    assert_eq!(translated["parameters"]["required"], json!(["input"]));
    assert_eq!(notes(request.clone()), (vec![], vec!["tools.0".to_owned()]));
    let input = |arguments: &str| {
        whole(request.clone(), called("apply_patch", arguments), "tool_calls")["output"][0]["input"].clone()
    };
    assert_eq!(input("{\"input\":\"*** Begin\\n\"}"), "*** Begin\n");
    assert_eq!(input("*** Begin"), "*** Begin", "a model that did not keep to the form");
}

#[test]
fn tools_that_nobody_here_could_run_are_left_out_and_told() {
    let request = with(json!([
        {"type": "web_search", "external_web_access": true}, function("f"), {"type": "mcp", "server_label": "s"},
        {"type": "image_generation"}, {"type": "from the future\u{7}"}, function("f"),
    ]));
    assert_eq!(names(request.clone()), ["f"]);
    assert_eq!(notes(request.clone()).0, ["tools.0", "tools.2", "tools.3", "tools.4", "tools.5"]);
    let mut asked = request;
    asked["metadata"] = json!({"mine": "x"});
    let answer = whole(asked.clone(), json!({"content": "a"}), "stop");
    let told = "tools.0 (web_search), tools.2 (mcp), tools.3 (image_generation), tools.4 (fromthefuture)";
    assert_eq!(answer["metadata"], json!({"mine": "x", "rondo_left_out_tools": told}));
    assert_eq!(answer["tools"], asked["tools"], "told back as they were sent");
    let many = with(Value::Array(vec![json!({"type": "web_search"}); 100]));
    let told = whole(many, json!({"content": "a"}), "stop")["metadata"]["rondo_left_out_tools"]
        .as_str()
        .unwrap()
        .len();
    assert!((400..=512).contains(&told), "{told}");
}

#[test]
fn choices_go_with_tools_only() {
    let choice = |tools: Value, choice: Value| {
        let chat =
            chat(json!({"input": "Hi", "tools": tools, "tool_choice": choice, "parallel_tool_calls": false}));
        (
            chat["tool_choice"].clone(),
            chat["parallel_tool_calls"].clone(),
            chat["tools"].as_array().map_or(0, Vec::len),
        )
    };
    let tools = json!([function("f"), {"type": "custom", "name": "c"}, {"type": "namespace", "name": "n", "tools": [function("g")]}]);
    for word in ["none", "auto", "required"] {
        assert_eq!(choice(tools.clone(), json!(word)), (json!(word), json!(false), 3));
        assert_eq!(choice(json!([{"type": "web_search"}]), json!(word)), (Value::Null, Value::Null, 0));
    }
    for (asked, name) in [
        (json!({"type": "function", "name": "f"}), "f"),
        (json!({"type": "custom", "name": "c"}), "c"),
        (json!({"type": "function", "name": "g"}), "n__g"),
        (json!({"type": "function", "namespace": "n", "name": "g"}), "n__g"),
    ] {
        assert_eq!(
            choice(tools.clone(), asked),
            (json!({"type": "function", "function": {"name": name}}), json!(false), 3)
        );
    }
    assert_eq!(choice(tools.clone(), json!({"type": "web_search_preview"})), (Value::Null, json!(false), 3));
    let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}, {"type": "namespace", "name": "n"}]});
    assert_eq!(choice(tools.clone(), allowed), (json!("required"), json!(false), 2));
    let none = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]});
    assert_eq!(choice(tools.clone(), none), (Value::Null, Value::Null, 0));
    for (asked, param) in [
        (json!({"type": "function", "name": "x"}), "tool_choice"),
        (json!({"type": "function", "namespace": "m", "name": "g"}), "tool_choice"),
        (json!({"type": "function"}), "tool_choice.name"),
        (json!({"type": "allowed_tools", "mode": "none", "tools": []}), "tool_choice.mode"),
        (json!({"type": "allowed_tools", "mode": "auto"}), "tool_choice.tools"),
        (json!("any"), "tool_choice"),
    ] {
        assert_eq!(refusal(json!({"input": "Hi", "tools": tools, "tool_choice": asked})).0, param);
    }
}

#[test]
fn tools_inside_the_input_are_tools() {
    let request = input(json!([
        {"type": "additional_tools", "role": "developer", "tools": [function("f"), {"type": "custom", "name": "exec"}]},
        {"role": "user", "content": "q"},
        {"type": "tool_search_call", "call_id": "t", "execution": "client", "arguments": {}},
        {"type": "tool_search_output", "call_id": "t", "execution": "client", "status": "completed", "tools":
            [{"type": "namespace", "name": "mail", "tools": [function("find")]}]},
    ]));
    assert_eq!(names(request.clone()), ["f", "exec", "mail__find"]);
    assert_eq!(notes(request).0, ["input.2"]);
}
