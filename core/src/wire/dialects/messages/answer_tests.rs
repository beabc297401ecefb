//! Whole answers.

use super::testing::{translated, with};
use serde_json::{Value, json};

fn whole(fields: Value, upstream: &Value) -> Value {
    let answer = translated(&with(fields)).answering.whole(upstream.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

fn said(message: Value, finish: &str) -> Value {
    json!({"id": "chatcmpl-1", "choices": [{"finish_reason": finish, "index": 0, "message": message}], "created": 1_787_427_094,
        "model": "gpt-oss-120b", "object": "chat.completion", "usage": {"total_tokens": 22, "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": 16}}})
}

#[test]
fn a_text_is_a_message() {
    let answer = translated(&with(json!({}))).answering;
    let upstream = said(json!({"role": "assistant", "content": "Hello", "reasoning": "Hm."}), "stop");
    assert_eq!(
        String::from_utf8(answer.whole(upstream.to_string().as_bytes()).unwrap()).unwrap(),
        concat!(
            r#"{"id":"msg_abababababababababababab","type":"message","role":"assistant","model":"gpt-oss-120b","#,
            r#""content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"#,
            r#""usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":2,"#,
            r#""output_tokens_details":{"thinking_tokens":1}}}"#
        )
    );
}

#[test]
fn reasoning_is_shown_to_those_who_asked_for_thinking() {
    let upstream = said(json!({"content": "Hello", "reasoning": "Hm."}), "stop");
    let content = |thinking: Value| whole(json!({"thinking": thinking}), &upstream)["content"].take();
    let text = json!({"type": "text", "text": "Hello"});
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "cm9uZG8="});
    for thinking in [
        json!({"type": "adaptive"}),
        json!({"type": "enabled", "budget_tokens": 1024}),
        json!({"type": "adaptive", "display": "summarized"}),
        json!({"type": "between_tools"}),
    ] {
        assert_eq!(content(thinking), json!([thought, text]));
    }
    let omitted = json!({"type": "thinking", "thinking": "", "signature": "cm9uZG8="});
    assert_eq!(content(json!({"type": "adaptive", "display": "omitted"})), json!([omitted, text]));
    assert_eq!(content(json!({"type": "disabled"})), json!([text]));
}

#[test]
fn calls_keep_their_ids_if_clients_can_take_them() {
    let call = |id: Value, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let calls = json!([
        call(json!("08d59c72f"), r#"{"b":1,"a":[true]}"#),
        call(json!("call:1"), ""),
        call(json!("08d59c72f"), "{\"cut"),
        call(Value::Null, "[1]"),
        call(json!(""), " {} ")
    ]);
    let answer = whole(json!({}), &said(json!({"content": null, "tool_calls": calls}), "tool_calls"));
    assert_eq!(answer["stop_reason"], "tool_use");
    let called = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "f", "input": input});
    assert_eq!(
        answer["content"],
        json!([
            called("08d59c72f", json!({"b": 1, "a": [true]})),
            called("toolu_abababababababababababab0002", json!({})),
            called("toolu_abababababababababababab0003", json!({"INVALID_JSON": "{\"cut"})),
            called("toolu_abababababababababababab0004", json!({"INVALID_JSON": "[1]"})),
            called("toolu_abababababababababababab0005", json!({})),
        ])
    );
}

#[test]
fn every_end_has_its_reason() {
    let reason = |finish: &str, message: Value| whole(json!({}), &said(message, finish));
    let call =
        json!({"content": "x", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]});
    for (finish, message, expected) in [
        ("stop", json!({"content": "x"}), "end_turn"),
        ("length", json!({"content": "x"}), "max_tokens"),
        ("content_filter", json!({"content": "x"}), "refusal"),
        ("tool_calls", call.clone(), "tool_use"),
        ("stop", call.clone(), "tool_use"),
        ("length", call, "max_tokens"),
        ("tool_calls", json!({"content": "x"}), "end_turn"),
        ("something new", json!({"content": "x"}), "end_turn"),
    ] {
        let answer = reason(finish, message);
        assert_eq!(answer["stop_reason"], expected, "{finish}");
        assert_eq!(answer["stop_details"].is_object(), expected == "refusal");
    }
    assert_eq!(
        reason("content_filter", json!({}))["stop_details"],
        json!({"type": "refusal", "category": null, "explanation": null})
    );
}

#[test]
fn an_answer_without_anything_is_a_message_still() {
    let answer = whole(json!({}), &json!({}));
    assert_eq!(
        (&answer["content"], &answer["model"], &answer["stop_reason"]),
        (&json!([]), &json!("m"), &json!("end_turn"))
    );
    assert!(translated(&with(json!({}))).answering.whole(b"<html>").is_err());
}

#[test]
fn what_was_answered_can_be_sent_back() {
    let calls = json!([{"id": "08d59c72f", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
        {"id": "no:id", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let fields = json!({"thinking": {"type": "adaptive"}});
    let message = json!({"content": "I look.", "reasoning": "Hm.", "tool_calls": calls});
    let answer = whole(fields, &said(message, "tool_calls"));
    let result = |at: usize| json!({"type": "tool_result", "tool_use_id": answer["content"][at]["id"], "content": "1"});
    let sent = super::testing::messages(json!([{"role": "user", "content": "Hi"},
        {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result(2), result(3)]}]));
    let made = "toolu_abababababababababababab0002";
    assert_eq!(
        sent.as_array().unwrap()[1..],
        [
            json!({"role": "assistant", "content": "I look.", "reasoning": "Hm.", "tool_calls": [
                {"id": "08d59c72f", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": made, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": "08d59c72f", "content": "1"}),
            json!({"role": "tool", "tool_call_id": made, "content": "1"}),
        ]
    );
}
