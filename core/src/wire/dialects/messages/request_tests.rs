//! Everything of a request beside its conversation and its tools.

use super::testing::{chat, messages, notes, refusal, tokens, with};
use serde_json::{Value, json};

const AGENT: &str = include_str!("fixtures/agent.json");
const AGENT_TITLE: &str = include_str!("fixtures/agent-title.json");
const SDK: &str = include_str!("fixtures/sdk.json");

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_simple_request_has_only_what_was_asked() {
    let chat = chat(&body(SDK));
    assert_eq!(
        chat,
        json!({"model": "claude-sonnet-5-5", "messages": [
            {"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "What's the Greek name for Sun?"}],
            "stream": false, "max_completion_tokens": 1024, "temperature": 0.5})
    );
}

#[test]
fn sampling_and_limits_keep_their_values() {
    let chat = chat(&with(
        json!({"max_tokens": 32000, "temperature": 0.0, "top_p": 0.9, "top_k": 40, "stream": true,
        "stop_sequences": ["\n\nHuman:", "END", "", "END"]}),
    ));
    assert_eq!(chat["max_completion_tokens"], 32000);
    assert_eq!(
        (&chat["temperature"], &chat["top_p"], &chat["stream"]),
        (&json!(0.0), &json!(0.9), &json!(true))
    );
    assert_eq!(chat["stop"], json!(["\n\nHuman:", "END"]));
    assert_eq!(chat.get("top_k"), None);
    assert_eq!(
        notes(&with(json!({"top_k": 40, "stop_sequences": ["a", ""]}))),
        ["top_k", "stop_sequences.1"]
    );
}

#[test]
fn a_stop_sequence_too_many_is_refused() {
    assert_eq!(
        chat(&with(json!({"stop_sequences": ["a", "b", "c", "d", "a"]})))["stop"],
        json!(["a", "b", "c", "d"])
    );
    let error = refusal(&with(json!({"stop_sequences": ["a", "b", "c", "d", "e"]})));
    assert_eq!((&*error.param, &*error.code), ("stop_sequences", "array_above_max_length"));
}

#[test]
fn asking_for_no_answer_asks_for_the_shortest() {
    assert_eq!(chat(&with(json!({"max_tokens": 0})))["max_completion_tokens"], 1);
    assert_eq!(notes(&with(json!({"max_tokens": 0}))), ["max_tokens"]);
}

#[test]
fn thinking_and_effort_become_reasoning_effort() {
    let effort = |fields: Value| chat(&with(fields)).get("reasoning_effort").cloned().unwrap_or_default();
    assert_eq!(effort(json!({})), Value::Null);
    assert_eq!(effort(json!({"thinking": {"type": "adaptive"}})), Value::Null);
    assert_eq!(effort(json!({"thinking": {"type": "disabled"}})), "low");
    for (budget, expected) in
        [(1024, "low"), (4096, "low"), (10000, "medium"), (16384, "medium"), (31999, "high")]
    {
        assert_eq!(effort(json!({"thinking": {"type": "enabled", "budget_tokens": budget}})), expected);
    }
    for (said, expected) in
        [("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "high"), ("max", "high")]
    {
        let fields = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": said}});
        assert_eq!(effort(fields), expected);
        let fields = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": said}});
        assert_eq!(effort(fields), expected);
        assert_eq!(
            effort(json!({"thinking": {"type": "disabled"}, "output_config": {"effort": said}})),
            "low"
        );
    }
    let turns = json!([{"role": "user", "content": "Hi"}, {"role": "system", "output_config": {"effort": "low"}},
        {"role": "system", "content": [], "output_config": {"effort": "medium"}}, {"role": "user", "content": "More"}]);
    assert_eq!(effort(json!({"output_config": {"effort": "max"}, "messages": turns})), "medium");
    assert_eq!(effort(json!({"output_config": {"effort": "extreme"}})), Value::Null);
    assert_eq!(notes(&with(json!({"output_config": {"effort": "extreme"}}))), ["output_config.effort"]);
    assert_eq!(refusal(&with(json!({"thinking": {"type": "sometimes"}}))).param, "thinking.type");
}

#[test]
fn a_schema_for_the_answer_is_held_to_strictly_where_it_can_be() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
        "properties": {"format": {"type": "string", "format": "uri"}, "tags": {"type": "array", "minItems": 1, "items":
            {"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^a"}}}}}, "required": ["format"]});
    let held = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": {
        "type": "object", "additionalProperties": false, "properties": {"format": {"type": "string"}, "tags": {"type": "array",
            "items": {"type": "object", "additionalProperties": false, "properties": {"pattern": {"type": "string"}}}}},
        "required": ["format"]}}});
    let format = json!({"type": "json_schema", "schema": schema});
    assert_eq!(chat(&with(json!({"output_config": {"format": format}})))["response_format"], held);
    assert_eq!(chat(&with(json!({"output_format": format})))["response_format"], held);
    assert_eq!(notes(&with(json!({"output_format": format}))), ["output_config.format.schema"]);

    let open = json!({"type": "object", "additionalProperties": {"type": "string", "pattern": "^a"}});
    let format = json!({"type": "json_schema", "schema": open});
    let chat = chat(&with(json!({"output_format": format})));
    assert_eq!(
        chat["response_format"]["json_schema"],
        json!({"name": "answer", "strict": false, "schema": open})
    );
    assert_eq!(
        refusal(&with(json!({"output_format": {"type": "json_schema"}}))).param,
        "output_config.format"
    );
    assert_eq!(
        refusal(&with(json!({"output_format": {"type": "xml", "schema": {}}}))).param,
        "output_config.format"
    );
}

#[test]
fn beside_tools_the_schema_is_told_since_the_upstream_refuses_both() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let format = json!({"type": "json_schema", "schema": {"type": "object", "properties": {"a": {}}}});
    let fields = json!({"tools": tools, "output_format": format, "system": "Be brief."});
    let asked = chat(&with(fields.clone()));
    assert_eq!(asked.get("response_format"), None);
    let system = asked["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Be brief.\n\n"), "{system}");
    let (_, told) = system.rsplit_once("code fence: ").unwrap();
    assert_eq!(serde_json::from_str::<Value>(told).unwrap(), format["schema"]);
    assert_eq!(notes(&with(fields.clone())), ["output_config.format"]);

    let mut fields = fields;
    fields["tool_choice"] = json!({"type": "none"});
    let asked = chat(&with(fields));
    assert_eq!((asked.get("tools"), asked.get("tool_choice")), (None, None));
    assert_eq!(asked["response_format"]["type"], "json_schema");
}

#[test]
fn the_user_and_the_tier_pass() {
    let chat =
        chat(&with(json!({"metadata": {"user_id": "é".repeat(300)}, "service_tier": "standard_only"})));
    assert_eq!(chat["user"].as_str().unwrap(), "é".repeat(256));
    assert_eq!(chat["service_tier"], "default");
    assert_eq!(
        notes(&with(json!({"metadata": {"user_id": null}, "service_tier": "fast"}))),
        ["service_tier"]
    );
}

#[test]
fn fields_of_betas_are_taken_and_noted() {
    let fields = json!({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}], "container": "c_1", "speed": "fast",
        "cache_control": {"type": "ephemeral"}, "a name that says something": 1});
    let mut noted = notes(&with(fields.clone()));
    noted.sort();
    assert_eq!(noted, ["?", "cache_control", "container", "context_management", "mcp_servers", "speed"]);
    assert_eq!(chat(&with(fields)), chat(&with(json!({}))));
}

#[test]
fn what_only_anthropics_servers_keep_is_refused() {
    assert_eq!(notes(&with(json!({"thread": {"type": "create"}, "compaction": null}))), ["thread"]);
    let thread = json!({"type": "continue", "previous_message_id": "msg_1"});
    let refused = refusal(&with(json!({"thread": thread})));
    assert_eq!(
        (&*refused.param, &*refused.code),
        ("thread", "thread_not_found"),
        "their client sends all of it then"
    );
    assert_eq!(refusal(&with(json!({"compaction": {"type": "summarize"}}))).param, "compaction");
}

#[test]
fn the_system_prompt_is_one_text_without_the_billing_line() {
    let system = |system: Value| chat(&with(json!({"system": system})))["messages"][0].clone();
    let expected = json!({"role": "system", "content": "You are an agent.\n\nBe brief."});
    let billing = "x-anthropic-billing-header: cc_version=2.1.197.a3f; cc_entrypoint=cli; cch=0aaa9;";
    assert_eq!(
        system(json!([{"type": "text", "text": billing}, {"type": "text", "text": "You are an agent."},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])),
        expected
    );
    assert_eq!(system(json!(format!("{billing}\nYou are an agent.\n\nBe brief."))), expected);
    assert_eq!(system(json!(billing)), json!({"role": "user", "content": "Hi"}));
    assert_eq!(system(json!([])), json!({"role": "user", "content": "Hi"}));
    let image = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    assert_eq!(refusal(&with(json!({"system": image}))).param, "system.0");
}

#[test]
fn a_command_line_agents_request_is_translated_whole() {
    let chat = chat(&body(AGENT));
    let roles: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(
        roles,
        ["system", "user", "system", "assistant", "tool", "tool", "user", "assistant", "tool", "user"]
    );
    assert!(!chat.to_string().contains("billing-header"));
    assert!(!chat.to_string().contains("cache_control"));
    assert_eq!(chat["messages"][3]["reasoning"], "I look at both files at once.");
    assert_eq!(chat["messages"][4]["tool_call_id"], "toolu_01Read");
    assert_eq!(chat["messages"][5]["content"], "<tool_use_error>File does not exist.</tool_use_error>");
    let tools: Vec<&str> =
        chat["tools"].as_array().unwrap().iter().map(|t| t["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["Bash", "Read", "Edit", "mcp__tracker__list_issues"]);
    assert_eq!(
        (&chat["max_completion_tokens"], &chat["reasoning_effort"]),
        (&json!(32000), &json!("medium"))
    );
    assert_eq!(chat["stream"], true);
    let noted = notes(&body(AGENT));
    for path in [
        "context_management",
        "system.billing",
        "messages.*.content.*.cache_control",
        "tools.*.cache_control",
    ] {
        assert!(noted.iter().any(|note| note == path), "{path} is not in {noted:?}");
    }
}

#[test]
fn an_agents_question_for_a_title_is_held_to_its_schema() {
    let chat = chat(&body(AGENT_TITLE));
    assert_eq!(chat["response_format"]["json_schema"]["strict"], true);
    assert_eq!((chat.get("tools"), &chat["reasoning_effort"]), (None, &json!("low")));
}

#[test]
fn tokens_are_counted_over_what_is_sent() {
    let short =
        tokens(&json!({"model": "m", "messages": [{"role": "user", "content": "Hello, how are you?"}]}));
    assert!((7..=20).contains(&short), "{short}");
    let agent = tokens(&body(AGENT));
    let mut longer = body(AGENT);
    longer["messages"][0]["content"] = json!("word ".repeat(1000));
    assert!(tokens(&longer) > agent + 900, "{agent}");
    assert_eq!(
        tokens(&with(json!({"context_management": {"edits": ["x".repeat(500)]}}))),
        tokens(&with(json!({})))
    );
}

#[test]
fn what_is_no_request_says_where_without_repeating_it() {
    for text in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"messages":5}"#,
        r#"{"messages":[{"role":"wizard","content":"s3cret"}]}"#,
        r#"{"messages":[{"role":"user"}]}"#,
        r#"{"messages":[{"role":"user","content":{"s3cret":1}}]}"#,
        r#"{"messages":[{"role":"assistant","content":{"s3cret":1}}]}"#,
        r#"{"messages":[{"role":"user","content":{"s3cret":1}}],"max_tokens":"s3cret"}"#,
        r#"{"messages":[]}"#,
        r#"{"messages":[{"role":"user","content":[]}]}"#,
    ] {
        let error = super::request(text.as_bytes(), super::testing::SEED).unwrap_err();
        assert_eq!((error.status, &*error.kind), (400, "invalid_request_error"), "{text}");
        assert!(!error.message.contains("s3cret"), "{}", error.message);
    }
    let error = refusal(&with(json!({"max_tokens": "many"})));
    assert_eq!(error.message, "`max_tokens` does not have the type that a Messages request wants there.");
    let turns = json!([{"role": "user", "content": [{"type": "text", "text": 5}]}]);
    assert_eq!(refusal(&with(json!({"messages": turns}))).param, "messages.0.content.0.text");
    assert_eq!(
        messages(json!([{"role": "system", "content": "Only this."}])),
        json!([{"role": "system", "content": "Only this."}])
    );
}
