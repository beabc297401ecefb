//! Tools and how they are chosen.

use super::testing::{chat, notes, refusal, with};
use serde_json::{Value, json};

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "What it does", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}})
}

#[test]
fn a_tool_is_a_function() {
    let tools = json!([{"type": "custom", "name": "f", "input_schema": {"$schema": "x", "type": "object", "properties": null, "required": null},
        "cache_control": {"type": "ephemeral"}, "eager_input_streaming": true}, tool("g")]);
    assert_eq!(
        chat(&with(json!({"tools": tools})))["tools"],
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "g", "description": "What it does",
                "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}])
    );
    assert_eq!(
        notes(&with(json!({"tools": tools}))),
        ["tools.*.cache_control", "tools.*.eager_input_streaming"]
    );
}

#[test]
fn tools_are_strict_together_or_not_at_all() {
    let strict = |schema: Value| json!({"name": "f", "strict": true, "input_schema": schema});
    let sent = |tools: Value| {
        let tools = chat(&with(json!({"tools": tools})))["tools"].take();
        tools.as_array().unwrap().iter().map(|tool| tool["function"].clone()).collect::<Vec<_>>()
    };
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "format": "date"}}, "additionalProperties": false});
    let held =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let both = json!([strict(schema.clone()), strict(held.clone())]);
    for function in sent(both.clone()) {
        assert_eq!((&function["strict"], &function["parameters"]), (&json!(true), &held));
    }
    assert_eq!(notes(&with(json!({"tools": both}))), ["tools.*.input_schema"]);

    let open = json!({"type": "object", "additionalProperties": true});
    for other in [
        tool("g"),
        strict(open),
        strict(json!({"type": "object", "definitions": {}, "properties": {"a": {}}})),
    ] {
        let tools = json!([strict(schema.clone()), other]);
        let functions = sent(tools.clone());
        assert!(functions.iter().all(|function| function.get("strict").is_none()));
        assert_eq!(functions[0]["parameters"], schema);
        assert_eq!(notes(&with(json!({"tools": tools}))), ["tools.*.strict"]);
    }
}

#[test]
fn tools_of_anthropics_servers_are_dropped() {
    let server = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}, {"type": "web_fetch_20260318", "name": "web_fetch"},
        {"type": "code_execution_20260521", "name": "code_execution"}, {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"},
        {"type": "mcp_toolset", "mcp_server_name": "x", "default_config": {}}, {"type": "advisor_20260301", "name": "advisor", "model": "m"}]);
    let body = with(json!({"tools": server, "tool_choice": {"type": "auto"}}));
    let sent = chat(&body);
    assert_eq!((sent.get("tools"), sent.get("tool_choice")), (None, None));
    assert_eq!(
        notes(&body),
        ["tools.0", "tools.1", "tools.2", "tools.3", "tools.4", "tools.5", "tool_choice"]
    );
    for choice in [json!({"type": "any"}), json!({"type": "tool", "name": "web_search"})] {
        assert_eq!(refusal(&with(json!({"tools": server, "tool_choice": choice}))).param, "tool_choice");
    }
}

#[test]
fn tools_that_clients_run_and_models_know_by_type_are_described() {
    for (kind, name, commands) in [
        ("bash_20250124", "bash", None),
        (
            "text_editor_20250124",
            "str_replace_editor",
            Some(json!(["view", "create", "str_replace", "insert", "undo_edit"])),
        ),
        (
            "text_editor_20250728",
            "str_replace_based_edit_tool",
            Some(json!(["view", "create", "str_replace", "insert"])),
        ),
        (
            "memory_20250818",
            "memory",
            Some(json!(["view", "create", "str_replace", "insert", "delete", "rename"])),
        ),
    ] {
        let sent = chat(&with(json!({"tools": [{"type": kind, "name": name}]})));
        let function = &sent["tools"][0]["function"];
        assert_eq!(function["name"], name);
        assert!(function["description"].is_string());
        let command = &function["parameters"]["properties"]["command"];
        assert_eq!(command["type"], "string");
        assert_eq!(command.get("enum"), commands.as_ref());
    }
    for tool in [
        json!({"type": "computer_20251124", "name": "computer", "display_width_px": 1, "display_height_px": 1}),
        json!({"type": "browser_toolset_20260801", "name": "browser"}),
        json!({"name": "f"}),
        json!({"input_schema": {}}),
        json!({"name": "f", "input_schema": "x"}),
    ] {
        assert_eq!(refusal(&with(json!({"tools": [tool]}))).param, "tools.0");
    }
}

#[test]
fn the_choice_of_tools_is_kept() {
    let chosen = |choice: Value| chat(&with(json!({"tools": [tool("f"), tool("g")], "tool_choice": choice})));
    assert_eq!(chosen(json!({"type": "auto"}))["tool_choice"], "auto");
    assert_eq!(chosen(json!({"type": "none"}))["tool_choice"], "none");
    assert_eq!(chosen(json!({"type": "any"}))["tool_choice"], "required");
    let one = chosen(json!({"type": "tool", "name": "g", "disable_parallel_tool_use": true}));
    assert_eq!(one["tool_choice"], json!({"type": "function", "function": {"name": "g"}}));
    assert_eq!(one["parallel_tool_calls"], false);
    assert_eq!(
        chosen(json!({"type": "auto", "disable_parallel_tool_use": false})).get("parallel_tool_calls"),
        None
    );
    for choice in [json!({"type": "tool", "name": "h"}), json!({"type": "tool"}), json!({"type": "some"})] {
        assert_eq!(refusal(&with(json!({"tools": [tool("f")], "tool_choice": choice}))).param, "tool_choice");
    }
    assert_eq!(chat(&with(json!({"tool_choice": {"type": "none"}}))).get("tool_choice"), None);
    assert_eq!(refusal(&with(json!({"tool_choice": {"type": "any"}}))).param, "tool_choice");
}

#[test]
fn tools_change_in_the_middle_of_a_conversation() {
    let change = |kind: &str, tool: Value| json!({"type": kind, "tool": tool});
    let named = |name: &str| json!({"type": "tool_reference", "name": name});
    let defined = json!({"type": "tool_definition", "definition": tool("late")});
    let server = json!({"type": "mcp_toolset_reference", "server_name": "g"});
    let turns = json!([{"role": "user", "content": "Hi"}, {"role": "system", "content": [
        change("tool_removal", named("f")), change("tool_removal", named("g")), {"type": "text", "text": "New tools."},
        change("tool_addition", named("g")), change("tool_addition", defined), change("tool_removal", server)]}]);
    let body = with(json!({"messages": turns, "tools": [tool("f"), tool("g")]}));
    let sent = chat(&body);
    let names: Vec<&str> = sent["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["g", "late"]);
    assert_eq!(sent["messages"][1], json!({"role": "system", "content": "New tools."}));
    let noted = [0, 1, 3, 4, 5].map(|n| format!("messages.1.content.{n}"));
    assert_eq!(notes(&body), noted);
}
