//! What the tests of this dialect share.

use crate::wire::dialects::{Changed, Seed, Stream, Translated};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};

pub(super) const SEED: Seed = Seed { now_s: 1_790_000_000, entropy: [0xab; 16] };

pub(super) fn translate(request: &Value) -> Result<Translated, ApiError> {
    super::request(request.to_string().as_bytes(), SEED)
}

/// The chat request that a request becomes.
pub(super) fn chat(request: Value) -> Value {
    let translated = translate(&request).unwrap_or_else(|error| panic!("{error:?}"));
    serde_json::from_slice(&translated.body).unwrap()
}

/// The paths that are noted as dropped and as translated.
pub(super) fn notes(request: Value) -> (Vec<String>, Vec<String>) {
    let translated = translate(&request).unwrap();
    let of = |what| translated.notes.all().iter().filter(move |note| note.what == what);
    (
        of(Changed::Dropped).map(|note| note.path.clone()).collect(),
        of(Changed::Translated).map(|note| note.path.clone()).collect(),
    )
}

/// A field of the chat request that a field of the request becomes.
pub(super) fn field(key: &str, value: Value, chat_key: &str) -> Value {
    chat(json!({"input": "hi", key: value}))[chat_key].clone()
}

/// The param of the 400 that a request gets.
pub(super) fn refusal(request: Value) -> (String, String) {
    let error = translate(&request).expect_err("it is refused");
    assert_eq!(
        (error.status, error.kind.as_ref(), error.should_retry),
        (400, "invalid_request_error", Some(false))
    );
    (error.param.into_owned(), error.message.into_owned())
}

/// A request whose input is these items.
pub(super) fn input(items: Value) -> Value {
    json!({"model": "gpt-oss-120b", "input": items})
}

/// The messages that items become.
pub(super) fn messages(items: Value) -> Value {
    chat(input(items))["messages"].clone()
}

pub(super) fn stream(request: &Value) -> Stream {
    translate(request).unwrap().answering.stream()
}

/// A chunk as the upstream sends it.
pub(super) fn chunk(delta: Value) -> String {
    let choices = json!([{"delta": delta, "index": 0}]);
    event(
        json!({"id": "chatcmpl-1", "choices": choices, "created": 1_790_000_001, "model": "gpt-oss-120b", "object": "chat.completion.chunk"}),
    )
}

/// Its last.
pub(super) fn finish(reason: &str) -> String {
    let choices = json!([{"delta": {}, "finish_reason": reason, "index": 0}]);
    event(
        json!({"id": "chatcmpl-1", "choices": choices, "created": 1_790_000_001, "model": "gpt-oss-120b", "object": "chat.completion.chunk", "usage": usage()}),
    )
}

pub(super) fn usage() -> Value {
    json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16}, "completion_tokens_details": {"reasoning_tokens": 4}})
}

pub(super) fn event(data: Value) -> String {
    format!("data: {data}\n\n")
}

pub(super) const DONE: &str = "data: [DONE]\n\n";

/// What the client gets when the upstream sends these and then closes.
pub(super) fn streamed(request: &Value, chunks: &[String]) -> String {
    let (mut stream, mut out) = (stream(request), Vec::new());
    for chunk in chunks {
        stream.feed(chunk.as_bytes(), &mut out);
    }
    stream.end(&ApiError::stream_interrupted(), &mut out);
    assert!(stream.is_over());
    String::from_utf8(out).unwrap()
}

/// The data of events, each checked for its name and its number.
pub(super) fn events(text: &str) -> Vec<Value> {
    let blocks = text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':'));
    let events: Vec<Value> = blocks
        .map(|block| {
            let (name, data) = block.split_once('\n').expect("a name and data");
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "numbers have no gaps");
    }
    events
}

/// The names of events, those in a row once.
pub(super) fn names(events: &[Value]) -> Vec<String> {
    let mut names: Vec<String> =
        events.iter().map(|event| event["type"].as_str().unwrap().replace("response.", "")).collect();
    names.dedup();
    names
}

/// The whole answer that the upstream's message becomes.
pub(super) fn whole(request: Value, message: Value, finish: &str) -> Value {
    let body = json!({"id": "chatcmpl-1", "model": "gpt-oss-120b", "created": 1, "usage": usage(),
        "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    let answering = translate(&request).unwrap().answering;
    serde_json::from_slice(&answering.whole(body.to_string().as_bytes()).unwrap()).unwrap()
}
