//! Turns, calls and results.

use super::testing::{messages, notes, refusal};
use crate::wire::dialects::Changed;
use serde_json::{Value, json};

fn body(messages: Value) -> Value {
    json!({"model": "m", "max_tokens": 9, "messages": messages})
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"q": id}})
}

fn result(id: &str, content: Value) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

fn sent(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": format!("{{\"q\":\"{id}\"}}")}})
}

#[test]
fn texts_keep_their_roles_and_order() {
    assert_eq!(
        messages(json!([
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [{"type": "text", "text": "It is "}, {"type": "text", "text": "noon.", "citations": null}]},
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
            {"role": "user", "content": "Three"}
        ])),
        json!([
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "It is noon."},
            {"role": "system", "content": "Be brief.\n\nBe kind."},
            {"role": "user", "content": "One\n\nTwo"},
            {"role": "user", "content": "Three"}
        ])
    );
}

#[test]
fn results_stand_right_behind_the_turn_that_called() {
    assert_eq!(
        messages(json!([
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, call("a", "f"), call("b", "g")]},
            {"role": "user", "content": [{"type": "text", "text": "And?"}, result("b", json!("rain")),
                result("a", json!([{"type": "text", "text": "sun"}, {"type": "text", "text": "wind"}]))]},
            {"role": "assistant", "content": "Mixed."}
        ])),
        json!([
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "I look.", "tool_calls": [sent("a", "f"), sent("b", "g")]},
            {"role": "tool", "tool_call_id": "a", "content": "sun\n\nwind"},
            {"role": "tool", "tool_call_id": "b", "content": "rain"},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "Mixed."}
        ])
    );
}

#[test]
fn a_turn_in_pieces_is_one_and_its_results_may_come_in_two_messages() {
    assert_eq!(
        messages(json!([
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": "First."},
            {"role": "assistant", "content": [{"type": "text", "text": "Second."}, call("a", "f")]},
            {"role": "assistant", "content": [call("b", "f"), {"type": "text", "text": "Third."}]},
            {"role": "user", "content": [result("a", json!(""))]},
            {"role": "system", "content": "Careful."},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b"}]}
        ])),
        json!([
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": "First.\n\nSecond.\n\nThird.", "tool_calls": [sent("a", "f"), sent("b", "f")]},
            {"role": "tool", "tool_call_id": "a", "content": ""},
            {"role": "tool", "tool_call_id": "b", "content": ""},
            {"role": "system", "content": "Careful."}
        ])
    );
}

#[test]
fn thinking_becomes_reasoning_and_what_is_redacted_goes() {
    let turn = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "", "signature": "x"}, {"type": "thinking", "thinking": "Aha.", "signature": "x"},
        {"type": "text", "text": "Hello"}]}, {"role": "user", "content": "More"}]);
    assert_eq!(
        messages(turn.clone())[1],
        json!({"role": "assistant", "content": "Hello", "reasoning": "Hm.\n\nAha."})
    );
    assert_eq!(notes(&body(turn)), ["messages.1.content.1"]);

    let thought = json!([{"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]}, {"role": "user", "content": "More"}]);
    assert_eq!(messages(thought)[1], json!({"role": "assistant", "content": "", "reasoning": "Hm."}));
}

#[test]
fn what_has_nothing_in_it_is_left_out() {
    let empty = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": []},
        {"role": "system", "content": ""}, {"role": "user", "content": [{"type": "text", "text": ""}]}]);
    assert_eq!(messages(empty.clone()), json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(notes(&body(empty)), ["messages.1", "messages.2", "messages.3"]);
}

#[test]
fn pictures_stay_among_the_texts() {
    assert_eq!(
        messages(json!([{"role": "user", "content": [{"type": "text", "text": "See"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]}])),
        json!([{"role": "user", "content": [{"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}])
    );
    let file =
        json!([{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]);
    assert_eq!(refusal(&body(file)).param, "messages.0.content.0");
}

#[test]
fn pictures_of_results_follow_in_a_message_of_their_own() {
    let picture =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}});
    let turns = json!([
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": [call("a", "shot"), call("b", "shot")]},
        {"role": "user", "content": [result("a", json!([{"type": "text", "text": "Done"}, picture])), result("b", json!([picture])),
            {"type": "text", "text": "What is it?"}]}
    ]);
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}});
    assert_eq!(
        messages(turns.clone()).as_array().unwrap()[2..],
        [
            json!({"role": "tool", "tool_call_id": "a", "content": "Done\n\n[The images of this result follow in the next message.]"}),
            json!({"role": "tool", "tool_call_id": "b", "content": "[The images of this result follow in the next message.]"}),
            json!({"role": "user", "content": [{"type": "text", "text": "Images of the result of a:"}, url,
                {"type": "text", "text": "Images of the result of b:"}, url]}),
            json!({"role": "user", "content": "What is it?"}),
        ]
    );
    assert_eq!(notes(&body(turns)), ["messages.2.content.0", "messages.2.content.1"]);
}

#[test]
fn a_failed_call_says_so() {
    let said = |content: Value| {
        let failed = json!({"type": "tool_result", "tool_use_id": "a", "content": content, "is_error": true});
        messages(
            json!([{"role": "user", "content": "Go"}, {"role": "assistant", "content": [call("a", "f")]},
            {"role": "user", "content": [failed]}]),
        )[2]["content"]
            .take()
    };
    assert_eq!(said(json!("No such file")), "Error: No such file");
    assert_eq!(said(json!("error: no such file")), "error: no such file");
    assert_eq!(said(json!([])), "Error: ");
}

#[test]
fn a_result_keeps_what_can_be_said_and_names_what_can_not() {
    let turns = json!([{"role": "user", "content": "Go"}, {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [result("a", json!([
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
            {"type": "search_result", "source": "https://example.com", "title": "T", "content": [{"type": "text", "text": "Found"}]},
            {"type": "tool_reference", "tool_name": "g"}, {"type": "hologram", "text": "x"}]))]}]);
    assert_eq!(
        messages(turns.clone())[2]["content"],
        "[Here was a document, which could not be passed on.]\n\nSearch result: T\nhttps://example.com\nFound\n\nTool: g\n\n[Here was content of an unknown type, which could not be passed on.]"
    );
    assert_eq!(notes(&body(turns)), ["messages.2.content.0.content.0", "messages.2.content.0.content.3"]);
}

#[test]
fn documents_are_read_as_text_or_refused() {
    let user =
        |block: Value| json!([{"role": "user", "content": [block, {"type": "text", "text": "Sum up."}]}]);
    let text = json!({"type": "document", "title": "Notes", "context": "Draft", "source":
        {"type": "text", "media_type": "text/plain", "data": "It rained."}, "citations": {"enabled": true}});
    assert_eq!(messages(user(text))[0]["content"], "Document: Notes\nDraft\nIt rained.\n\nSum up.");
    let blocks = json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "It rained."}]}});
    assert_eq!(messages(user(blocks))[0]["content"], "It rained.\n\nSum up.");
    for source in [
        json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}),
        json!({"type": "url", "url": "https://example.com/a.pdf"}),
        json!({"type": "file", "file_id": "f"}),
    ] {
        assert_eq!(
            refusal(&body(user(json!({"type": "document", "source": source})))).param,
            "messages.0.content.0"
        );
    }
}

#[test]
fn blocks_of_anthropics_servers_are_dropped_and_unknown_ones_refused() {
    let turns = json!([
        {"role": "user", "content": [{"type": "compaction", "content": "They greeted."}, {"type": "container_upload", "file_id": "f"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "I search."},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
                {"type": "web_search_result", "url": "https://example.com", "title": "T", "encrypted_content": "E", "page_age": null}]},
            {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": {"type": "bash_code_execution_result"}},
            {"type": "text", "text": "It is 5."}]},
        {"role": "user", "content": "Thanks"}
    ]);
    assert_eq!(
        messages(turns.clone()),
        json!([{"role": "user", "content": "They greeted."}, {"role": "assistant", "content": "I search.\n\nIt is 5."},
            {"role": "user", "content": "Thanks"}])
    );
    let expected =
        ["messages.0.content.1", "messages.1.content.1", "messages.1.content.2", "messages.1.content.3"];
    assert_eq!(notes(&body(turns)), expected);
    let unknown = json!([{"role": "user", "content": [{"type": "hologram"}]}]);
    assert_eq!(refusal(&body(unknown)).param, "messages.0.content.0");
}

#[test]
fn ids_that_come_again_in_a_later_turn_are_told_apart() {
    let turn = |said: &str| {
        [
            json!({"role": "assistant", "content": [call("a", "f")]}),
            json!({"role": "user", "content": [result("a", json!(said))]}),
        ]
    };
    let mut turns = vec![json!({"role": "user", "content": "Go"})];
    for said in ["1", "2", "3"] {
        turns.extend(turn(said));
    }
    let sent = messages(json!(turns));
    let ids: Vec<&str> = [1, 3, 5].map(|at: usize| sent[at]["tool_calls"][0]["id"].as_str().unwrap()).into();
    assert_eq!(ids, ["a", "a_2", "a_3"]);
    for (at, id) in [2, 4, 6].into_iter().zip(ids) {
        assert_eq!(sent[at]["tool_call_id"], id);
    }
}

#[test]
fn a_call_without_a_result_gets_one_that_says_so() {
    let none = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "No result was given."});
    let turns = json!([
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": [call("a", "f"), call("b", "f")]},
        {"role": "user", "content": [result("b", json!("1")), {"type": "text", "text": "Stop."}]},
        {"role": "assistant", "content": [call("c", "f")]}
    ]);
    assert_eq!(
        messages(turns.clone()).as_array().unwrap()[1..],
        [
            json!({"role": "assistant", "tool_calls": [sent("a", "f"), sent("b", "f")]}),
            none("a"),
            json!({"role": "tool", "tool_call_id": "b", "content": "1"}),
            json!({"role": "user", "content": "Stop."}),
            json!({"role": "assistant", "tool_calls": [sent("c", "f")]}),
            none("c"),
        ]
    );
    let translated = super::testing::translated(&body(turns));
    let notes: Vec<_> = translated.notes.all().iter().map(|note| (note.path.as_str(), note.what)).collect();
    assert_eq!(notes, [("messages.1", Changed::Translated), ("messages.3", Changed::Translated)]);
}

#[test]
fn a_result_without_a_call_is_left_out() {
    let orphans = json!([result("x", json!("0")), {"type": "text", "text": "Hi"}]);
    let turns = json!([
        {"role": "user", "content": orphans},
        {"role": "assistant", "content": [call("a", "f")]},
        {"role": "user", "content": [result("a", json!("1")), result("a", json!("2")), result("b", json!("3"))]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": [result("a", json!("4"))]}
    ]);
    assert_eq!(
        messages(turns.clone()),
        json!([
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [sent("a", "f")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "assistant", "content": "Done."}
        ])
    );
    let noted =
        ["messages.0.content.0", "messages.2.content.1", "messages.2.content.2", "messages.4.content.0"];
    assert_eq!(notes(&body(turns)), noted);
}

#[test]
fn calls_of_one_turn_by_the_same_id_keep_their_results() {
    let turns = json!([
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": [call("a", "f"), call("a", "g"), call("a_2", "h")]},
        {"role": "user", "content": [result("a", json!("f")), result("a_2", json!("h")), result("a", json!("g"))]}
    ]);
    let sent = messages(turns);
    let calls: Vec<(&str, &str)> = sent[1]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["id"].as_str().unwrap(), call["function"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(calls, [("a", "f"), ("a_2", "g"), ("a_2_2", "h")]);
    for (at, (id, said)) in calls.into_iter().enumerate() {
        assert_eq!(sent[at + 2], json!({"role": "tool", "tool_call_id": id, "content": said}));
    }
}

#[test]
fn messages_of_the_system_may_be_for_one_turn_only() {
    let system = |text: &str, until: &str| json!({"role": "system", "content": text, "clear_at": until});
    let turns = json!([
        {"role": "user", "content": "Hi"},
        system("Once.", "next_user_message"),
        system("Always.", "never"),
        {"role": "user", "content": "More"},
        system("Now.", "next_user_message"),
    ]);
    assert_eq!(
        messages(turns.clone()),
        json!([
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Always."},
            {"role": "user", "content": "More"},
            {"role": "system", "content": "Now."}
        ])
    );
    assert_eq!(notes(&body(turns)), ["messages.1"]);
}

#[test]
fn what_can_not_be_read_is_refused() {
    let turn = |calls: Value| {
        body(
            json!([{"role": "user", "content": "Go"}, {"role": "assistant", "content": calls}, {"role": "user", "content": "x"}]),
        )
    };
    for calls in [
        json!([{"type": "tool_use", "id": "a", "input": {}}]),
        json!([{"type": "tool_use", "id": "", "name": "f", "input": {}}]),
        json!([{"type": "tool_use", "id": "a", "name": "f", "input": [1]}]),
        json!([{"type": "image", "source": {"type": "url", "url": "https://example.com"}}]),
        json!([{"type": "text"}]),
    ] {
        assert_eq!(refusal(&turn(calls.clone())).param, "messages.1.content.0", "{calls}");
    }
    assert_eq!(refusal(&turn(json!({}))).param, "messages.1.content");
    let error = refusal(&body(json!([{"role": "user"}])));
    assert_eq!((&*error.param, &*error.code), ("messages.0.content", "missing_required_parameter"));
}

#[test]
fn arguments_are_an_object_whatever_stands_for_none() {
    for input in [json!({}), Value::Null, json!("")] {
        let turns = json!([{"role": "user", "content": "Go"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": input}]},
            {"role": "user", "content": [result("a", json!("1"))]}]);
        let sent = messages(turns);
        assert_eq!(sent[1]["tool_calls"][0]["function"]["arguments"], "{}");
        assert_eq!(sent[1].get("content"), None);
    }
}

#[test]
fn what_was_refused_once_does_not_end_the_conversation() {
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}});
    let first = json!({"role": "user", "content": [{"type": "text", "text": "Read this."}, pdf]});
    assert_eq!(refusal(&body(json!([first]))).param, "messages.0.content.1");
    let turns = json!([first, {"role": "user", "content": "Never mind."}]);
    assert_eq!(
        messages(turns.clone()),
        json!([
            {"role": "user", "content": "Read this.\n\n[Here was a document, which could not be passed on.]"},
            {"role": "user", "content": "Never mind."}
        ])
    );
    assert_eq!(notes(&body(turns)), ["messages.0.content.1"]);
}
