use super::carried;
use super::testing::{SEED, translate, usage, whole};
use serde_json::{Value, json};

fn id(prefix: &str, number: &str) -> String {
    format!("{prefix}_{}{number}", "ab".repeat(12))
}

fn said(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

#[test]
fn a_whole_answer_has_all_that_the_types_want() {
    assert_eq!(
        whole(
            json!({"input": "Hi", "model": "default"}),
            json!({"role": "assistant", "content": "Hello"}),
            "stop"
        ),
        json!({
            "id": id("resp", ""),
            "object": "response",
            "created_at": SEED.now_s,
            "status": "completed",
            "background": false,
            "completed_at": null,
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "model": "gpt-oss-120b",
            "output": [{"type": "message", "id": id("msg", "0001"), "status": "completed", "role": "assistant", "content": [said("Hello")]}],
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "prompt_cache_key": null,
            "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null,
            "service_tier": "default",
            "store": false,
            "temperature": null,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": null,
            "truncation": "disabled",
            "usage": {
                "input_tokens": 20,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 16},
                "output_tokens": 9,
                "output_tokens_details": {"reasoning_tokens": 4},
                "total_tokens": 29,
            },
            "metadata": {},
        })
    );
}

#[test]
fn what_was_asked_is_told_back() {
    let request = json!({"input": "Hi", "instructions": "i", "max_output_tokens": 9, "max_tool_calls": 2, "metadata": {"a": "b"},
        "parallel_tool_calls": false, "prompt_cache_key": "k", "reasoning": {"effort": "xhigh", "summary": "auto"},
        "safety_identifier": "s", "service_tier": "flex", "temperature": 0.5, "top_p": 0.5, "top_logprobs": 2, "user": "u",
        "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "tool_choice": "none",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": true}]});
    let answer = whole(request.clone(), json!({"content": "a"}), "stop");
    for (key, value) in request.as_object().unwrap() {
        if key != "input" {
            assert_eq!(&answer[key], value, "{key}");
        }
    }
}

#[test]
fn what_is_too_long_is_not_told_back() {
    let request = json!({"input": "Hi", "instructions": "i".repeat(300_000), "tools":
        [{"type": "function", "name": "f", "description": "d".repeat(300_000)}], "user": "u".repeat(300_000)});
    let answer = whole(request, json!({"content": "a"}), "stop");
    assert_eq!(
        (&answer["instructions"], &answer["tools"], &answer["user"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
}

#[test]
fn reasoning_comes_as_it_was_asked_for() {
    let message = json!({"reasoning": "hm", "content": "a"});
    let output = |request: Value| whole(request, message.clone(), "stop")["output"][0].clone();
    let (rs, part) = (id("rs", "0001"), |kind: &str| json!([{"type": kind, "text": "hm"}]));
    assert_eq!(
        output(json!({"input": "Hi"})),
        json!({"type": "reasoning", "id": rs, "status": "completed", "summary": [], "content": part("reasoning_text")})
    );
    for summary in ["auto", "concise", "detailed"] {
        assert_eq!(
            output(json!({"input": "Hi", "reasoning": {"summary": summary}})),
            json!({"type": "reasoning", "id": rs, "status": "completed", "summary": part("summary_text")})
        );
    }
    let carrying =
        json!({"input": "Hi", "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "none"}});
    assert_eq!(
        output(carrying),
        json!({"type": "reasoning", "id": rs, "status": "completed", "summary": [], "content": part("reasoning_text"),
            "encrypted_content": carried::pack("hm").unwrap()})
    );
}

#[test]
fn calls_are_items_of_their_own() {
    let message = json!({"content": "I look.", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}},
        {"type": "function", "function": {"name": "wait", "arguments": "{}"}}]});
    let answer = whole(json!({"input": "Hi"}), message, "tool_calls");
    assert_eq!(answer["status"], "completed");
    assert_eq!(
        answer["output"],
        json!([
            {"type": "message", "id": id("msg", "0001"), "status": "completed", "role": "assistant", "content": [said("I look.")]},
            {"type": "function_call", "id": id("fc", "0002"), "status": "completed", "call_id": "c1", "name": "look", "arguments": "{\"a\":1}"},
            {"type": "function_call", "id": id("fc", "0003"), "status": "completed", "call_id": id("call", "0003"), "name": "wait", "arguments": "{}"},
        ])
    );
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let request =
        json!({"input": "Hi", "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]});
    let message = json!({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}, {"id": "2", "function": {"name": "f"}},
        {"id": "3", "function": {"name": "c", "arguments": ""}}]});
    let output = whole(request, message, "tool_calls")["output"].clone();
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{}"), &json!("{}")));
    assert_eq!(output[2]["input"], "");
}

#[test]
fn figures_are_there_even_if_the_upstream_gave_none() {
    let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}).to_string();
    let answer = translate(&json!({"input": "Hi"})).unwrap().answering.whole(body.as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        answer["usage"],
        json!({"input_tokens": 0, "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0})
    );
}

#[test]
fn an_answer_cut_short_says_why() {
    for (finish, reason) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let answer = whole(json!({"input": "Hi"}), json!({"reasoning": "hm", "content": "a"}), finish);
        assert_eq!(answer["status"], "incomplete");
        assert_eq!(answer["incomplete_details"], json!({"reason": reason}));
        assert_eq!(
            (&answer["output"][0]["status"], &answer["output"][1]["status"]),
            (&json!("completed"), &json!("incomplete"))
        );
    }
    let nothing = whole(json!({"input": "Hi"}), json!({"content": ""}), "content_filter");
    assert_eq!((&nothing["status"], &nothing["output"]), (&json!("incomplete"), &json!([])));
}

#[test]
fn an_answer_without_an_answer_failed() {
    let answering = translate(&json!({"input": "Hi"})).unwrap().answering;
    let body = json!({"model": "m", "choices": [], "usage": usage()}).to_string();
    let answer: Value = serde_json::from_slice(&answering.whole(body.as_bytes()).unwrap()).unwrap();
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!("failed"), &json!("server_error")));
    assert!(translate(&json!({"input": "Hi"})).unwrap().answering.whole(b"<html>").is_err());
}

#[test]
fn probabilities_are_told_if_they_were_asked_for() {
    let body = json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop", "logprobs": {"content": [
        {"token": "Hi", "logprob": -0.5, "bytes": null, "top_logprobs": [{"token": "Ho", "logprob": -1.5, "bytes": [72, 111]}]},
        {"token": "!", "logprob": -0.25}]}}]})
    .to_string();
    let logprobs = |request: Value| {
        let answer = translate(&request).unwrap().answering.whole(body.as_bytes()).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["output"][0]["content"][0]["logprobs"].clone()
    };
    assert_eq!(logprobs(json!({"input": "Hi"})), json!([]));
    assert_eq!(
        logprobs(json!({"input": "Hi", "include": ["message.output_text.logprobs"]})),
        json!([
            {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -1.5, "bytes": [72, 111]}]},
            {"token": "!", "logprob": -0.25, "bytes": [33], "top_logprobs": []},
        ])
    );
}
