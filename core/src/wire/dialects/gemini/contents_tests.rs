use super::*;
use serde_json::json;

/// The messages of a conversation, and the paths of the notes.
fn said(contents: Value) -> (Value, Vec<String>) {
    let contents: Vec<Content> = serde_json::from_value(contents).unwrap();
    let (mut out, mut notes) = (Vec::new(), Notes::default());
    messages(contents, &mut out, &mut notes).unwrap();
    let paths = notes.all().iter().map(|note| note.path.clone()).collect();
    (serde_json::to_value(out).unwrap(), paths)
}

fn refusal(contents: Value) -> String {
    let contents: Vec<Content> = serde_json::from_value(contents).unwrap();
    messages(contents, &mut Vec::new(), &mut Notes::default()).unwrap_err().param.into_owned()
}

fn call(name: &str) -> Value {
    json!({"functionCall": {"name": name, "args": {}}})
}

fn result(name: &str, text: &str) -> Value {
    json!({"functionResponse": {"name": name, "response": {"output": text}}})
}

fn called(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}})
}

fn answered(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

#[test]
fn texts_keep_their_roles_and_their_order() {
    let (messages, notes) = said(json!([
        {"parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": "think", "thought": true}, {"text": "b"}, {"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}, {"text": "e"}]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "bc", "reasoning": "think"},
            {"role": "user", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "e"}]},
        ])
    );
    assert!(notes.is_empty());
}

#[test]
fn a_single_part_need_not_be_a_list() {
    assert_eq!(said(json!([{"parts": {"text": "a"}}])).0, json!([{"role": "user", "content": "a"}]));
}

#[test]
fn results_go_to_their_calls_by_name_and_order() {
    let (messages, _) = said(json!([
        {"role": "model", "parts": [{"text": "x"}, call("f"), call("g"), call("f")]},
        {"role": "function", "parts": [result("g", "1"), result("f", "2")]},
        {"role": "user", "parts": [result("f", "3"), {"text": "go on"}]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "assistant", "content": "x",
             "tool_calls": [called("call_1", "f"), called("call_2", "g"), called("call_3", "f")]},
            answered("call_1", "2"),
            answered("call_2", "1"),
            answered("call_3", "3"),
            {"role": "user", "content": "go on"},
        ])
    );
}

#[test]
fn results_go_to_their_calls_by_id_first() {
    let with = |id: &str, mut part: Value| {
        part.as_object_mut().unwrap().values_mut().next().unwrap()["id"] = id.into();
        part
    };
    let (messages, _) = said(json!([
        {"role": "model", "parts": [with("a", call("f")), with("b", call("f"))]},
        {"role": "user", "parts": [with("b", result("f", "2")), with("unknown", result("f", "1"))]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "assistant", "tool_calls": [called("a", "f"), called("b", "f")]},
            answered("a", "1"),
            answered("b", "2"),
        ])
    );
}

#[test]
fn rounds_of_calls_stay_apart_and_equal_ids_are_made_different() {
    let (messages, _) = said(json!([
        {"role": "model", "parts": [{"functionCall": {"id": "call_1", "name": "f"}}]},
        {"role": "user", "parts": [result("f", "1")]},
        {"role": "model", "parts": [{"functionCall": {"id": "call_1", "name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "call_1", "name": "f", "response": {"a": [1]}}}]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "assistant", "tool_calls": [called("call_1", "f")]},
            answered("call_1", "1"),
            {"role": "assistant", "tool_calls": [called("call_2", "f")]},
            answered("call_2", "{\"a\":[1]}"),
        ])
    );
}

#[test]
fn pieces_of_one_turn_are_one_message() {
    let (messages, _) = said(json!([
        {"role": "model", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [call("f")]},
        {"role": "model", "parts": [{"text": "b"}]},
        {"role": "user", "parts": [result("f", "1")]},
    ]));
    assert_eq!(
        messages,
        json!([{"role": "assistant", "content": "ab", "tool_calls": [called("call_1", "f")]}, answered("call_1", "1")])
    );
}

#[test]
fn what_is_not_answered_gets_an_answer_and_what_was_not_called_is_left_out() {
    let (messages, notes) = said(json!([
        {"role": "user", "parts": [result("g", "0")]},
        {"role": "model", "parts": [call("f")]},
        {"role": "user", "parts": [{"text": "stop"}]},
    ]));
    assert_eq!(
        messages,
        json!([
            {"role": "assistant", "tool_calls": [called("call_1", "f")]},
            answered("call_1", "No result was given."),
            {"role": "user", "content": "stop"},
        ])
    );
    assert_eq!(notes, ["contents.0.parts.0.functionResponse", "contents.1.parts.0.functionCall"]);
}

#[test]
fn pictures_are_sent_along_and_other_files_refused() {
    let (messages, _) = said(json!([{"parts": [
        {"text": "look"},
        {"inline_data": {"mime_type": "image/png", "data": "-_8="}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.jpg"}},
    ]}]));
    assert_eq!(
        messages,
        json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        ]}])
    );
    for (part, path) in [
        (json!({"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}), "inlineData.mimeType"),
        (json!({"inlineData": {"mimeType": "image/a,b", "data": "AAAA"}}), "inlineData.mimeType"),
        (json!({"inlineData": {"mimeType": "image/png", "data": "no base64"}}), "inlineData.data"),
        (json!({"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/a.png"}}), "fileData"),
        (json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a.mp4"}}), "fileData"),
        (
            json!({"fileData": {"mimeType": "image/png", "fileUri":
            "https://generativelanguage.googleapis.com/v1beta/files/a"}}),
            "fileData",
        ),
    ] {
        assert_eq!(refusal(json!([{"parts": [part]}])), format!("contents.0.parts.0.{path}"));
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_path() {
    assert_eq!(refusal(json!([{"role": "system", "parts": [{"text": "a"}]}])), "contents.0.role");
    assert_eq!(
        refusal(json!([{"role": "model", "parts": [{"functionCall": {"args": {}}}]}])),
        "contents.0.parts.0.functionCall.name"
    );
    assert_eq!(
        refusal(json!([{"role": "model", "parts": [{"functionCall": {"name": "f", "args": [1]}}]}])),
        "contents.0.parts.0.functionCall.args"
    );
}

#[test]
fn what_has_no_place_is_dropped_and_noted() {
    let (messages, notes) = said(json!([
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"executableCode": {"code": "1"}}, {"codeExecutionResult": {}}]},
        {"role": "user", "parts": []},
        {"role": "model", "parts": [{"text": "b", "thoughtSignature": "x"}]},
    ]));
    assert_eq!(messages, json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]));
    assert_eq!(
        notes,
        [
            "contents.1.parts.0.executableCode",
            "contents.1.parts.1.codeExecutionResult",
            "contents.1",
            "contents.2",
            "contents.3.parts.0.thoughtSignature"
        ]
    );
}
