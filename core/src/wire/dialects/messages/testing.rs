//! What the tests of this dialect share.

use super::{count, counted, request};
use crate::wire::dialects::{Seed, Translated};
use crate::wire::errors::ApiError;
use crate::wire::json::scan;
use crate::wire::usage::estimate_prompt;
use serde_json::{Value, json};

pub(super) const SEED: Seed = Seed { now_s: 1_700_000_000, entropy: [0xAB; 16] };

pub(super) fn translated(body: &Value) -> Translated {
    request(body.to_string().as_bytes(), SEED).unwrap_or_else(|error| panic!("{error:?} for {body}"))
}

/// The chat request that comes of a body.
pub(super) fn chat(body: &Value) -> Value {
    serde_json::from_slice(&translated(body).body).unwrap()
}

/// The chat messages that come of messages.
pub(super) fn messages(messages: Value) -> Value {
    chat(&json!({"model": "m", "max_tokens": 9, "messages": messages}))["messages"].take()
}

/// A body with one word of the user and more fields.
pub(super) fn with(fields: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

pub(super) fn refusal(body: &Value) -> ApiError {
    let error = request(body.to_string().as_bytes(), SEED).unwrap_err();
    assert_eq!((error.status, error.should_retry), (400, Some(false)));
    let said = error.message.strip_prefix('`').unwrap_or(&error.message);
    assert!(said.starts_with(&*error.param), "{error:?}");
    error
}

/// The paths of what was noted.
pub(super) fn notes(body: &Value) -> Vec<String> {
    translated(body).notes.all().iter().map(|note| note.path.clone()).collect()
}

/// What a client that has its tokens counted is told.
pub(super) fn tokens(body: &Value) -> u64 {
    let chat = count(body.to_string().as_bytes(), SEED).unwrap().body;
    let estimate = estimate_prompt(&chat, &scan(&chat).unwrap());
    let answer: Value = serde_json::from_slice(&counted(estimate)).unwrap();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    answer["input_tokens"].as_u64().unwrap()
}

/// A stream of an upstream: chunks of these deltas, the finish chunk with usage, the end.
pub(super) fn upstream(deltas: &[Value], finish: &str) -> String {
    let mut stream = String::new();
    for delta in deltas {
        stream += &chunk(json!([{"delta": delta, "index": 0}]), Value::Null);
    }
    let usage = json!({"total_tokens": 22, "completion_tokens": 7, "prompt_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 0}});
    stream += &chunk(json!([{"delta": {}, "finish_reason": finish, "index": 0}]), usage);
    stream + "data: [DONE]\n\n"
}

pub(super) fn chunk(choices: Value, usage: Value) -> String {
    let chunk = json!({"id": "chatcmpl-1", "choices": choices, "created": 1_787_325_820, "model": "gpt-oss-120b",
        "system_fingerprint": "fp_1", "object": "chat.completion.chunk", "usage": usage});
    format!("data: {chunk}\n\n")
}

/// What a client gets of an upstream's stream, fed in one piece.
pub(super) fn streamed(body: &Value, upstream: &str) -> String {
    let mut out = Vec::new();
    let mut stream = translated(body).answering.stream();
    stream.feed(upstream.as_bytes(), &mut out);
    stream.end(&ApiError::stream_interrupted(), &mut out);
    String::from_utf8(out).unwrap()
}

/// The names of a stream's events, each of which must be its data's `type`.
pub(super) fn names(stream: &str) -> Vec<String> {
    let named = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        assert_eq!(data["type"], *name);
        name.to_owned()
    };
    stream.split_terminator("\n\n").map(named).collect()
}

/// The message that a client puts together from a stream.
pub(super) fn added_up(stream: &str) -> Value {
    let mut message = Value::Null;
    let mut input = String::new();
    for event in stream.split_terminator("\n\n") {
        let mut event: Value = serde_json::from_str(event.split_once("\ndata: ").unwrap().1).unwrap();
        let at = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].take(),
            "content_block_start" => {
                assert_eq!(message["content"].as_array().unwrap().len(), at);
                message["content"].as_array_mut().unwrap().push(event["content_block"].take());
            }
            "content_block_delta" => {
                let block = &mut message["content"][at];
                for name in ["text", "thinking", "signature"] {
                    if let Some(more) = event["delta"][name].as_str() {
                        block[name] = json!(block[name].as_str().unwrap().to_owned() + more);
                    }
                }
                input += event["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" if !input.is_empty() => {
                message["content"][at]["input"] = serde_json::from_str(&std::mem::take(&mut input)).unwrap();
            }
            "message_delta" => {
                message["usage"] = event["usage"].take();
                for name in ["stop_reason", "stop_sequence", "stop_details"] {
                    message[name] = event["delta"][name].take();
                }
            }
            _ => {}
        }
    }
    message
}
