//! Streamed answers, to the letter.

use super::testing::{chunk, names, streamed, translated, upstream, with};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_abababababababababababab\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"gpt-oss-120b\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const BROKEN: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The upstream's answer broke off before it was complete.\",\"details\":{\"error_code\":\"stream_interrupted\"}}}\n\n";

fn event(data: &str) -> String {
    let value: Value = serde_json::from_str(data).unwrap();
    format!("event: {}\ndata: {data}\n\n", value["type"].as_str().unwrap())
}

fn end(reason: &str) -> String {
    let usage = r#"{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":7}"#;
    event(&format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null,"stop_details":null}},"usage":{usage}}}"#
    )) + STOP
}

fn block(index: u64, start: &str, deltas: &[&str]) -> String {
    let mut text =
        event(&format!(r#"{{"type":"content_block_start","index":{index},"content_block":{start}}}"#));
    for delta in deltas {
        text += &event(&format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#));
    }
    text + &event(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

fn text_block(index: u64, texts: &[&str]) -> String {
    let deltas: Vec<String> =
        texts.iter().map(|text| format!(r#"{{"type":"text_delta","text":"{text}"}}"#)).collect();
    let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
    block(index, r#"{"type":"text","text":""}"#, &deltas)
}

fn call_block(index: u64, id: &str, pieces: &[&str]) -> String {
    let deltas: Vec<String> = pieces
        .iter()
        .map(|piece| format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, Value::from(*piece)))
        .collect();
    let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
    block(index, &format!(r#"{{"type":"tool_use","id":"{id}","name":"run","input":{{}}}}"#), &deltas)
}

fn role() -> Value {
    json!({"role": "assistant"})
}

fn call(index: u64, id: &str) -> Value {
    json!({"tool_calls": [{"function": {"name": "run", "arguments": ""}, "type": "function", "id": id, "index": index}]})
}

fn arguments(index: u64, piece: &str) -> Value {
    json!({"tool_calls": [{"function": {"arguments": piece}, "type": "function", "index": index}]})
}

fn thinking() -> Value {
    with(json!({"thinking": {"type": "adaptive"}}))
}

#[test]
fn a_text() {
    let upstream = upstream(
        &[role(), json!({"content": ""}), json!({"content": "Hel"}), json!({"content": "lo"})],
        "stop",
    );
    assert_eq!(
        streamed(&with(json!({})), &upstream),
        START.to_owned() + &text_block(0, &["Hel", "lo"]) + &end("end_turn")
    );
}

#[test]
fn reasoning_then_text() {
    let upstream = upstream(
        &[role(), json!({"reasoning": "H"}), json!({"reasoning": "m."}), json!({"content": "Hello"})],
        "stop",
    );
    let thought = |pieces: &[&str]| {
        let signature = r#"{"type":"signature_delta","signature":"cm9uZG8="}"#;
        let deltas: Vec<&str> = pieces.iter().copied().chain([signature]).collect();
        block(0, r#"{"type":"thinking","thinking":"","signature":""}"#, &deltas)
    };
    let shown = thought(&[
        r#"{"type":"thinking_delta","thinking":"H"}"#,
        r#"{"type":"thinking_delta","thinking":"m."}"#,
    ]);
    assert_eq!(
        streamed(&thinking(), &upstream),
        START.to_owned() + &shown + &text_block(1, &["Hello"]) + &end("end_turn")
    );
    let omitted = with(json!({"thinking": {"type": "adaptive", "display": "omitted"}}));
    assert_eq!(
        streamed(&omitted, &upstream),
        START.to_owned() + &thought(&[]) + &text_block(1, &["Hello"]) + &end("end_turn")
    );
    assert_eq!(
        streamed(&with(json!({})), &upstream),
        START.to_owned() + &text_block(0, &["Hello"]) + &end("end_turn")
    );
}

#[test]
fn one_call() {
    let upstream = upstream(
        &[role(), call(0, "08d59c72f"), arguments(0, "{\"foo"), arguments(0, "\":1}")],
        "tool_calls",
    );
    let expected = START.to_owned() + &call_block(0, "08d59c72f", &["{\"foo", "\":1}"]) + &end("tool_use");
    assert_eq!(streamed(&with(json!({})), &upstream), expected);
}

#[test]
fn two_parallel_calls_however_they_are_numbered() {
    let expected = START.to_owned()
        + &call_block(0, "a", &["{\"x\":1}"])
        + &call_block(1, "b", &["{}"])
        + &end("tool_use");
    let one = upstream(
        &[role(), call(0, "a"), arguments(0, "{\"x\":1}"), call(1, "b"), arguments(1, "{}")],
        "tool_calls",
    );
    assert_eq!(streamed(&with(json!({})), &one), expected);
    let zeros = upstream(
        &[role(), call(0, "a"), arguments(0, "{\"x\":1}"), call(0, "b"), arguments(0, "{}")],
        "stop",
    );
    assert_eq!(streamed(&with(json!({})), &zeros), expected);
    let whole = json!({"tool_calls": [{"function": {"name": "run", "arguments": "{\"x\":1}"}, "id": "a"},
        {"function": {"name": "run", "arguments": "{}"}, "id": "b"}]});
    assert_eq!(streamed(&with(json!({})), &upstream(&[role(), whole], "tool_calls")), expected);
}

#[test]
fn ids_that_clients_can_not_take_are_made_anew() {
    let deltas = [role(), call(0, "a"), call(1, "a"), call(2, "no:id")];
    let expected = START.to_owned()
        + &call_block(0, "a", &[])
        + &call_block(1, "toolu_abababababababababababab0002", &[])
        + &call_block(2, "toolu_abababababababababababab0003", &[])
        + &end("tool_use");
    assert_eq!(streamed(&with(json!({})), &upstream(&deltas, "tool_calls")), expected);
}

#[test]
fn text_then_calls_then_text() {
    let deltas = [
        role(),
        json!({"content": "I look."}),
        call(0, "a"),
        arguments(0, "{}"),
        json!({"content": "Done."}),
    ];
    let expected = START.to_owned()
        + &text_block(0, &["I look."])
        + &call_block(1, "a", &["{}"])
        + &text_block(2, &["Done."])
        + &end("tool_use");
    assert_eq!(streamed(&with(json!({})), &upstream(&deltas, "tool_calls")), expected);
}

#[test]
fn ends_by_length_and_by_filter() {
    let said = [role(), json!({"content": "Hel"})];
    let expected = START.to_owned() + &text_block(0, &["Hel"]) + &end("max_tokens");
    assert_eq!(streamed(&with(json!({})), &upstream(&said, "length")), expected);
    let filtered = streamed(&with(json!({})), &upstream(&said, "content_filter"));
    let delta = r#""delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":null}}"#;
    assert!(filtered.contains(delta), "{filtered}");
}

#[test]
fn usage_may_come_behind_the_last_choice_or_not_at_all() {
    let finish =
        chunk(json!([{"delta": {"content": "x"}, "finish_reason": "stop", "index": 0}]), Value::Null);
    let usage = chunk(
        json!([]),
        json!({"prompt_tokens": 15, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}),
    );
    let expected = START.to_owned() + &text_block(0, &["x"]) + &end("end_turn");
    assert_eq!(streamed(&with(json!({})), &format!("{finish}{usage}data: [DONE]\n\n")), expected);

    let mut answering = translated(&with(json!({}))).answering;
    answering.expect_prompt(12);
    let mut out = Vec::new();
    let mut stream = answering.stream();
    stream.feed(format!("{finish}data: [DONE]\n\n").as_bytes(), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches(r#""input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0"#).count(), 2);
}

#[test]
fn an_error_in_the_middle_is_told_and_ends_it() {
    let said = chunk(json!([{"delta": {"content": "Hel"}, "index": 0}]), Value::Null);
    let error = r#"data: {"error":{"message":"Encountered a server error, please try again.","type":"server_error","param":"","code":"","id":""},"status_code":503}"#;
    let opened = START.to_owned()
        + text_block(0, &["Hel"]).rsplit_once("event: content_block_stop").unwrap().0
        + &event(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Encountered a server error, please try again."}}"#,
        );
    assert_eq!(streamed(&with(json!({})), &format!("{said}{error}\n\n{said}data: [DONE]\n\n")), opened);
    let first = event(
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Encountered a server error, please try again."}}"#,
    );
    assert_eq!(streamed(&with(json!({})), &format!("{error}\n\n")), first);
}

#[test]
fn an_upstream_that_dies_before_the_finish_is_an_error_and_after_it_is_not() {
    let whole = upstream(&[role(), json!({"content": "Hello"})], "stop");
    let (before, _) = whole.rsplit_once("data: {").unwrap();
    let cut = START.to_owned()
        + text_block(0, &["Hello"]).rsplit_once("event: content_block_stop").unwrap().0
        + BROKEN;
    assert_eq!(streamed(&with(json!({})), before), cut);
    assert_eq!(streamed(&with(json!({})), &format!("{before}data: {{\"id\":")), cut);
    let complete = START.to_owned() + &text_block(0, &["Hello"]) + &end("end_turn");
    let after = whole.strip_suffix("data: [DONE]\n\n").unwrap();
    assert_eq!(streamed(&with(json!({})), after), complete);
    assert_eq!(streamed(&with(json!({})), after.trim_end()), complete);
    assert_eq!(streamed(&with(json!({})), ""), BROKEN);
}

#[test]
fn more_of_a_call_that_was_stopped_is_an_error() {
    let deltas =
        [role(), call(0, "a"), arguments(0, "{\"x\":"), call(1, "b"), arguments(0, "1}"), arguments(1, "{}")];
    let stream = streamed(&with(json!({})), &upstream(&deltas, "tool_calls"));
    assert!(stream.ends_with(BROKEN), "{stream}");
    assert!(!stream.contains("message_stop"));
}

#[test]
fn silence_and_hidden_reasoning_have_signs_of_life() {
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let mut stream = translated(&with(json!({}))).answering.stream();
    let mut out = Vec::new();
    stream.ping(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), START.replace("gpt-oss-120b", "m") + ping);

    let mut deltas = vec![json!({"reasoning": "hm "}); 300];
    deltas.push(json!({"content": "Hello"}));
    let upstream = upstream(&deltas, "stop");
    let expected = START.to_owned() + ping + ping + &text_block(0, &["Hello"]) + &end("end_turn");
    assert_eq!(streamed(&with(json!({})), &upstream), expected);

    let mut out = Vec::new();
    stream.feed(b"data: [DONE]\n\n", &mut out);
    stream.ping(&mut out);
    stream.end(&ApiError::stream_interrupted(), &mut out);
    assert!(stream.is_over());
    assert_eq!(names(&String::from_utf8(out).unwrap()), ["message_delta", "message_stop"]);
}
