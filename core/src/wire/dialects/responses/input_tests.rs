use super::carried;
use super::testing::{chat, input, messages, notes, refusal};
use serde_json::{Value, json};

fn call(id: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "look", "arguments": "{\"a\":1}", "status": "completed"})
}

fn output(id: &str, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

fn called(ids: &[&str]) -> Value {
    let one = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}});
    Value::Array(ids.iter().map(one).collect())
}

fn tool(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

#[test]
fn messages_keep_their_roles_and_their_order() {
    assert_eq!(
        messages(json!([
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"role": "system", "content": "c"},
            {"role": "user", "content": [{"type": "input_text", "text": "d"}]},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
             "content": [{"type": "output_text", "text": "e", "annotations": [], "logprobs": []}, {"type": "refusal", "refusal": "f"}]},
            {"role": "system", "content": "g"},
            {"role": "user", "content": "h"},
            {"role": "user", "content": []},
        ])),
        json!([
            {"role": "system", "content": "a\nb\n\nc"},
            {"role": "user", "content": "d"},
            {"role": "assistant", "content": "ef"},
            {"role": "system", "content": "g"},
            {"role": "user", "content": "h"},
            {"role": "user", "content": ""},
        ])
    );
    let told = chat(
        json!({"instructions": "z", "input": [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]}),
    );
    assert_eq!(told["messages"][0], json!({"role": "system", "content": "z\n\na"}));
    assert_eq!(told["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn pictures_stay_beside_the_text() {
    let content = json!([
        {"type": "input_text", "text": "what is this"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
    ]);
    let items = json!([{"role": "user", "content": content}]);
    assert_eq!(
        messages(items.clone())[0]["content"],
        json!([
            {"type": "text", "text": "what is this"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ])
    );
    assert_eq!(notes(input(items)).1, ["input.0.content.1.detail"]);
}

#[test]
fn content_that_no_model_gets_is_refused_by_its_place() {
    let user = |part: Value| {
        refusal(input(json!([{"role": "user", "content": [{"type": "input_text", "text": "a"}, part]}]))).0
    };
    assert_eq!(user(json!({"type": "input_image", "file_id": "file_1"})), "input.0.content.1.image_url");
    assert_eq!(user(json!({"type": "input_file", "file_data": "AA=="})), "input.0.content.1.type");
    assert_eq!(user(json!({"type": "input_text"})), "input.0.content.1.text");
    assert_eq!(
        user(json!({"type": "input_image", "image_url": "a", "detail": "huge"})),
        "input.0.content.1.detail"
    );
    assert_eq!(user(json!("text")), "input.0.content.1");
    assert_eq!(
        refusal(input(json!([{"role": "system", "content": [{"type": "input_image", "image_url": "a"}]}]))).0,
        "input.0.content.0"
    );
    assert_eq!(refusal(input(json!([{"role": "user"}]))).0, "input.0.content");
    assert_eq!(refusal(input(json!([{"role": "tool", "content": "a"}]))).0, "input.0.role");
    assert_eq!(refusal(input(json!([{"content": "a"}]))).0, "input.0.type");
    assert_eq!(refusal(input(json!(["a"]))).0, "input.0");
}

#[test]
fn a_turn_is_one_message_with_its_calls_and_their_results_behind_it() {
    let want = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "I look.", "reasoning": "Let me look.", "tool_calls": called(&["a", "b"])},
        tool("a", "1"),
        tool("b", "2"),
        {"role": "assistant", "content": "Done."},
    ]);
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Let me look."}]});
    let said = json!({"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]});
    let done = json!({"role": "assistant", "content": "Done."});
    let question = json!({"role": "user", "content": "q"});
    for items in [
        json!([question, reasoning, said, call("a"), call("b"), output("a", "1"), output("b", "2"), done]),
        json!([question, reasoning, call("a"), said, call("b"), output("b", "2"), output("a", "1"), done]),
        json!([question, output("b", "2"), reasoning, said, call("a"), call("b"), output("a", "1"), done]),
    ] {
        assert_eq!(messages(items), want);
    }
}

#[test]
fn calls_behind_a_result_are_the_next_turn() {
    assert_eq!(
        messages(
            json!([{"role": "user", "content": "q"}, call("a"), output("a", "1"), call("b"), output("b", "2")])
        ),
        json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": called(&["a"])},
            tool("a", "1"),
            {"role": "assistant", "tool_calls": called(&["b"])},
            tool("b", "2"),
        ])
    );
}

#[test]
fn results_come_before_what_somebody_said_in_between() {
    assert_eq!(
        messages(json!([call("a"), {"role": "user", "content": "hurry"}, output("a", "1")])),
        json!([{"role": "assistant", "tool_calls": called(&["a"])}, tool("a", "1"), {"role": "user", "content": "hurry"}])
    );
}

#[test]
fn an_id_used_twice_is_made_two() {
    assert_eq!(
        messages(json!([call("a"), output("a", "1"), call("a"), output("a", "2")])),
        json!([
            {"role": "assistant", "tool_calls": called(&["a"])},
            tool("a", "1"),
            {"role": "assistant", "tool_calls": called(&["a_2"])},
            tool("a_2", "2"),
        ])
    );
}

#[test]
fn a_call_without_a_result_gets_one_that_says_so() {
    let items = json!([{"role": "user", "content": "q"}, call("a"), call("b"), output("b", "1"), {"role": "user", "content": "stop"}]);
    assert_eq!(
        messages(items.clone()),
        json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": called(&["a", "b"])},
            tool("a", "No result was given."),
            tool("b", "1"),
            {"role": "user", "content": "stop"},
        ])
    );
    assert_eq!(notes(input(items)), (vec![], vec!["input.1".to_owned()]));
}

#[test]
fn a_result_without_a_call_is_left_out_and_noted() {
    let user = json!({"role": "user", "content": "q"});
    let items =
        json!([user, output("b", "1"), call("a"), output("a", "2"), output("a", "3"), output("c", "4")]);
    assert_eq!(
        messages(items.clone()),
        json!([user, {"role": "assistant", "tool_calls": called(&["a"])}, tool("a", "2")])
    );
    assert_eq!(notes(input(items)), (vec!["input.1".into(), "input.4".into(), "input.5".into()], vec![]));
    assert_eq!(refusal(input(json!([output("b", "1")]))).0, "input");
}

#[test]
fn a_result_belongs_to_the_last_turn_that_called() {
    let items = json!([call("a"), {"role": "user", "content": "stop"}, call("a"), call("a"), output("a", "1"), output("a", "2")]);
    assert_eq!(
        messages(items.clone()),
        json!([
            {"role": "assistant", "tool_calls": called(&["a"])},
            tool("a", "No result was given."),
            {"role": "user", "content": "stop"},
            {"role": "assistant", "tool_calls": called(&["a_2", "a_3"])},
            tool("a_2", "1"),
            tool("a_3", "2"),
        ])
    );
    assert_eq!(notes(input(items)).1, ["input.0", "input.2", "input.3"]);
}

#[test]
fn broken_calls_and_results_are_refused_by_their_place() {
    let (param, message) = refusal(input(json!([{"type": "function_call_output", "output": "a"}])));
    assert_eq!((param.as_str(), message.as_str()), ("input.0.call_id", "`input.0.call_id` is missing."));
    for (item, param) in [
        (json!({"type": "function_call", "call_id": "a", "name": "n"}), "input.0.arguments"),
        (json!({"type": "function_call", "call_id": "a", "arguments": ""}), "input.0.name"),
        (json!({"type": "function_call", "call_id": "", "name": "n", "arguments": ""}), "input.0.call_id"),
        (json!({"type": "custom_tool_call", "call_id": "a", "name": "n"}), "input.0.input"),
        (json!({"type": "function_call_output", "call_id": "a"}), "input.0.output"),
        (json!({"type": "function_call_output", "call_id": "a", "output": 1}), "input.0.output"),
        (json!({"type": "shell_call", "call_id": "a"}), "input.0.action"),
    ] {
        assert_eq!(refusal(input(json!([item]))).0, param);
    }
}

#[test]
fn results_are_texts() {
    let parts = json!([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:"}, {"type": "output_text", "text": "b"}]);
    let items = json!([call("a"), {"type": "function_call_output", "call_id": "a", "output": parts}]);
    let content = messages(items.clone())[1]["content"].clone();
    assert_eq!(content, "a\n[An attachment that this model can't be given was left out here.]\nb");
    assert_eq!(notes(input(items)).0, ["input.1.output.1"]);
    let empty =
        json!([{"type": "function_call", "call_id": "a", "name": "n", "arguments": ""}, output("a", "")]);
    assert_eq!(messages(empty)[0]["tool_calls"][0]["function"]["arguments"], "{}");
}

#[test]
fn other_calls_become_functions() {
    let items = json!([
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** \"Begin\"\n"},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": null, "status": "completed", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "d", "operation": {"type": "delete_file", "path": "p"}},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "done"},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": "file"},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "x"}]},
        {"type": "apply_patch_call_output", "call_id": "d", "status": "completed"},
    ]);
    let one = |id: &str, name: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
    assert_eq!(
        messages(items),
        json!([
            {"role": "assistant", "tool_calls": [
                one("a", "apply_patch", json!({"input": "*** \"Begin\"\n"})),
                one("lsh_1", "local_shell", json!({"type": "exec", "command": ["ls"]})),
                one("c", "shell", json!({"commands": ["ls"]})),
                one("d", "apply_patch", json!({"type": "delete_file", "path": "p"})),
            ]},
            tool("a", "done"),
            tool("lsh_1", "file"),
            tool("c", "[{\"stdout\":\"x\"}]"),
            tool("d", "completed"),
        ])
    );
}

#[test]
fn what_other_tools_did_is_left_out_and_noted() {
    let items = json!([
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "user", "content": "q", "mood": "good"},
        {"type": "computer_call_output", "call_id": "x", "output": {}},
        {"type": "from_the_future"},
    ]);
    assert_eq!(messages(items.clone()), json!([{"role": "user", "content": "q"}]));
    assert_eq!(notes(input(items)).0, ["input.0", "input.1.mood", "input.2", "input.3"]);
}

#[test]
fn what_refers_to_something_kept_is_refused() {
    for item in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
        let (param, message) = refusal(input(json!([{"role": "user", "content": "q"}, item])));
        assert_eq!(param, "input.1");
        assert!(message.contains("`store: false`"), "{message}");
    }
    assert_eq!(
        refusal(input(json!([{"role": "user", "content": "q"}, {"type": "compaction_trigger"}]))).0,
        "input.1"
    );
}

#[test]
fn reasoning_of_earlier_turns_comes_back() {
    let item =
        |item: Value| messages(json!([item, {"role": "assistant", "content": "a"}]))[0]["reasoning"].clone();
    let summary = json!([{"type": "summary_text", "text": "s1"}, {"type": "summary_text", "text": "s2"}]);
    let packed = carried::pack("thought\u{1f600}").unwrap();
    assert_eq!(
        item(json!({"type": "reasoning", "summary": summary, "encrypted_content": packed})),
        "thought\u{1f600}"
    );
    assert_eq!(
        item(json!({"type": "reasoning", "summary": summary, "encrypted_content": null, "content": null})),
        "s1\n\ns2"
    );
    assert_eq!(
        item(
            json!({"type": "reasoning", "summary": summary, "content": [{"type": "reasoning_text", "text": "c"}]})
        ),
        "c"
    );
    assert_eq!(item(json!({"type": "reasoning", "summary": []})), Value::Null);
    for foreign in ["gAAAAAB", "rondo1.%%%", "rondo1./w=="] {
        let items = json!([{"type": "reasoning", "summary": summary, "encrypted_content": foreign}, {"role": "assistant", "content": "a"}]);
        assert_eq!(messages(items.clone())[0]["reasoning"], "s1\n\ns2", "{foreign}");
        assert_eq!(notes(input(items)).0, ["input.0.encrypted_content"]);
    }
}

#[test]
fn thoughts_that_led_nowhere_are_no_message() {
    let items = json!([
        {"role": "user", "content": "q"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "go on"},
    ]);
    assert_eq!(
        messages(items.clone()),
        json!([{"role": "user", "content": "q"}, {"role": "user", "content": "go on"}])
    );
    assert_eq!(notes(input(items)).0, ["input.1"]);
}

#[test]
fn carried_reasoning_is_bounded() {
    assert!(carried::pack(&"a".repeat(carried::MAX_BYTES)).is_some());
    assert!(carried::pack(&"a".repeat(carried::MAX_BYTES + 1)).is_none());
    let longest = carried::pack(&"a".repeat(carried::MAX_BYTES)).unwrap();
    assert_eq!(carried::unpack(&longest).unwrap().len(), carried::MAX_BYTES);
    assert!(carried::unpack(&format!("{longest}AAAA")).is_none());
}
