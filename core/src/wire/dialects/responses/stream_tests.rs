use super::testing::{DONE, SEED, chunk, event, events, finish, names, stream, streamed};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};

fn plain() -> Value {
    json!({"model": "gpt-oss-120b", "input": "Hi", "stream": true})
}

fn with_tools() -> Value {
    json!({"model": "gpt-oss-120b", "input": "Hi", "stream": true, "tools": [
        {"type": "function", "name": "look"}, {"type": "custom", "name": "patch"}]})
}

fn role() -> String {
    chunk(json!({"role": "assistant"}))
}

fn text(text: &str) -> String {
    chunk(json!({"content": text}))
}

fn thought(text: &str) -> String {
    chunk(json!({"reasoning": text}))
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> String {
    chunk(
        json!({"tool_calls": [{"function": {"name": name, "arguments": arguments}, "type": "function", "id": id, "index": index}]}),
    )
}

fn more(index: u64, arguments: &str) -> String {
    chunk(json!({"tool_calls": [{"function": {"arguments": arguments}, "type": "function", "index": index}]}))
}

fn last(text: &str) -> Value {
    events(text).pop().unwrap()
}

/// The events' whole text, the request's fields that are told back aside.
fn check(name: &str, request: &Value, chunks: &[String], golden: &str) {
    let text = streamed(request, chunks);
    events(&text);
    if text != golden {
        panic!("{name} differs; it is now:\n{text}");
    }
}

#[test]
fn a_text_to_the_letter() {
    let chunks = [role(), text("Hel"), text("lo"), finish("stop"), DONE.to_owned()];
    check("text", &plain(), &chunks, include_str!("fixtures/text.sse"));
}

#[test]
fn reasoning_and_a_text_to_the_letter() {
    let chunks = [role(), thought("Let "), thought("me."), text("Hello"), finish("stop"), DONE.to_owned()];
    check("reasoning", &plain(), &chunks, include_str!("fixtures/reasoning.sse"));
    let mut request = plain();
    request["reasoning"] = json!({"summary": "auto"});
    request["include"] = json!(["reasoning.encrypted_content"]);
    check("summary", &request, &chunks, include_str!("fixtures/summary.sse"));
}

#[test]
fn a_call_to_the_letter() {
    let chunks = [
        role(),
        call(0, "08d59c72f", "look", ""),
        more(0, "{\"a\""),
        more(0, ":1}"),
        finish("tool_calls"),
        DONE.to_owned(),
    ];
    check("call", &with_tools(), &chunks, include_str!("fixtures/call.sse"));
}

#[test]
fn two_calls_to_the_letter() {
    let chunks = [
        role(),
        call(0, "08d59c72f", "look", "{\"a\":1}"),
        call(1, "08d59c730", "patch", ""),
        more(1, "{\"input\":\"*** Be"),
        more(1, "gin\\n\"}"),
        finish("tool_calls"),
        DONE.to_owned(),
    ];
    check("calls", &with_tools(), &chunks, include_str!("fixtures/calls.sse"));
}

#[test]
fn a_text_and_then_a_call_to_the_letter() {
    let chunks =
        [role(), text("I look."), call(0, "08d59c72f", "look", "{}"), finish("tool_calls"), DONE.to_owned()];
    check("text-call", &with_tools(), &chunks, include_str!("fixtures/text-call.sse"));
}

#[test]
fn answers_cut_short_to_the_letter() {
    let chunks = |reason: &str| [role(), text("Hel"), finish(reason), DONE.to_owned()];
    check("length", &plain(), &chunks("length"), include_str!("fixtures/length.sse"));
    check("filter", &plain(), &chunks("content_filter"), include_str!("fixtures/filter.sse"));
}

#[test]
fn an_error_in_the_middle_to_the_letter() {
    let error = event(
        json!({"error": {"message": "Encountered a server error.", "type": "server_error", "param": "", "code": "", "id": ""}, "status_code": 500}),
    );
    check("error", &plain(), &[role(), text("Hel"), error], include_str!("fixtures/error.sse"));
}

#[test]
fn a_call_cut_short_is_incomplete() {
    let text = streamed(&with_tools(), &[call(0, "a", "look", "{\"a\""), finish("length"), DONE.to_owned()]);
    let item = last(&text)["response"]["output"][0].clone();
    assert_eq!((&item["status"], &item["arguments"]), (&json!("incomplete"), &json!("{\"a\"")));
    assert_eq!(last(&text)["type"], "response.incomplete");
}

#[test]
fn an_upstream_that_dies_before_the_end_is_a_failure() {
    for chunks in [vec![], vec![role()], vec![role(), text("Hel")], vec![call(0, "a", "look", "{")]] {
        let text = streamed(&plain(), &chunks);
        let all = events(&text);
        let [.., error, failed] = all.as_slice() else { panic!("{text}") };
        assert_eq!(names(&all)[..2], ["created", "in_progress"]);
        assert_eq!(error["type"], "error");
        assert_eq!(
            (&error["code"], &error["error"]["code"]),
            (&json!("server_error"), &json!("server_error"))
        );
        assert_eq!(failed["type"], "response.failed");
        assert_eq!(failed["response"]["status"], "failed");
        assert_eq!(
            failed["response"]["error"]["message"],
            "The upstream's answer broke off before it was complete."
        );
        assert_ne!(failed["response"]["output"][0]["status"], "in_progress");
    }
    let nothing = streamed(&plain(), &[DONE.to_owned()]);
    assert_eq!(last(&nothing)["type"], "response.failed");
}

#[test]
fn an_upstream_that_dies_after_the_finish_had_said_all() {
    let text = streamed(&plain(), &[role(), text("Hello"), finish("stop")]);
    let whole = streamed(&plain(), &[role(), self::text("Hello"), finish("stop"), DONE.to_owned()]);
    assert_eq!(text, whole);
    assert_eq!(last(&text)["type"], "response.completed");
}

#[test]
fn usage_may_come_behind_the_finish() {
    let finish = event(json!({"choices": [{"delta": {}, "finish_reason": "stop", "index": 0}]}));
    let usage = event(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}));
    let text = streamed(&plain(), &[text("a"), finish, usage, DONE.to_owned()]);
    assert_eq!(
        last(&text)["response"]["usage"],
        json!({"input_tokens": 3, "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7})
    );
}

#[test]
fn calls_whose_pieces_are_mixed_are_put_together() {
    let chunks = [
        call(0, "a", "look", "{\"a\""),
        call(1, "b", "look", "{\"b\""),
        more(0, ":1}"),
        more(1, ":2}"),
        finish("tool_calls"),
        DONE.to_owned(),
    ];
    let text = streamed(&with_tools(), &chunks);
    let output = last(&text)["response"]["output"].clone();
    assert_eq!(
        (&output[0]["arguments"], &output[1]["arguments"]),
        (&json!("{\"a\":1}"), &json!("{\"b\":2}"))
    );
    let done: Vec<Value> =
        events(&text).into_iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!((done.len(), &done[0]["item"], &done[1]["item"]), (2, &output[0], &output[1]));
}

#[test]
fn a_text_between_the_pieces_of_a_call_does_not_end_it() {
    let chunks = [
        call(0, "a", "look", "{\"a\""),
        self::text("I look."),
        more(0, ":1}"),
        self::text(" And wait."),
        finish("tool_calls"),
        DONE.to_owned(),
    ];
    let text = streamed(&with_tools(), &chunks);
    let output = last(&text)["response"]["output"].clone();
    assert_eq!((&output[0]["arguments"], &output[0]["status"]), (&json!("{\"a\":1}"), &json!("completed")));
    assert_eq!(output[1]["content"][0]["text"], "I look. And wait.");
    assert_eq!(output.as_array().unwrap().len(), 2);
}

#[test]
fn a_text_behind_a_call_is_an_item_of_its_own() {
    let chunks = [call(0, "a", "look", "{}"), self::text("Done."), finish("stop"), DONE.to_owned()];
    let all = events(&streamed(&with_tools(), &chunks));
    assert_eq!(
        names(&all),
        [
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let chunks = [call(0, "a", "look", ""), finish("tool_calls"), DONE.to_owned()];
    let all = events(&streamed(&with_tools(), &chunks));
    let pieces: Vec<&Value> =
        all.iter().filter(|event| event["type"] == "response.function_call_arguments.delta").collect();
    assert_eq!((pieces.len(), &pieces[0]["delta"]), (1, &json!("{}")));
    let done = all.iter().find(|event| event["type"] == "response.function_call_arguments.done").unwrap();
    assert_eq!((&done["arguments"], &done["name"]), (&json!("{}"), &json!("look")));
    let cut = streamed(&with_tools(), &[call(0, "a", "look", ""), finish("length"), DONE.to_owned()]);
    assert_eq!(last(&cut)["response"]["output"][0]["arguments"], "");
}

#[test]
fn many_calls_in_one_chunk_are_items_of_their_own() {
    let one = |index: u64, id: &str| json!({"index": index, "id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let chunks =
        [chunk(json!({"tool_calls": [one(0, "a"), one(1, "b")]})), finish("tool_calls"), DONE.to_owned()];
    let output = last(&streamed(&with_tools(), &chunks))["response"]["output"].clone();
    assert_eq!((&output[0]["call_id"], &output[1]["call_id"]), (&json!("a"), &json!("b")));
}

#[test]
fn figures_are_there_even_if_the_upstream_gave_none() {
    let finish = event(json!({"choices": [{"delta": {}, "finish_reason": "stop", "index": 0}]}));
    let all = events(&streamed(&plain(), &[text("a"), finish, DONE.to_owned()]));
    assert_eq!(all.last().unwrap()["response"]["usage"]["total_tokens"], 0);
    assert_eq!(all[0]["response"]["usage"], Value::Null);
}

#[test]
fn more_of_a_call_that_was_whole_fails() {
    let chunks = |late: &str| {
        [
            call(0, "a", "look", "{}"),
            call(1, "b", "look", "{}"),
            more(0, late),
            finish("stop"),
            DONE.to_owned(),
        ]
    };
    assert_eq!(last(&streamed(&with_tools(), &chunks(" \n")))["type"], "response.completed");
    assert_eq!(last(&streamed(&with_tools(), &chunks("{")))["type"], "response.failed");
}

#[test]
fn an_index_used_again_with_another_id_is_another_call() {
    let chunks =
        [call(0, "a", "look", "{}"), call(0, "b", "look", "{}"), finish("tool_calls"), DONE.to_owned()];
    assert_eq!(last(&streamed(&with_tools(), &chunks))["response"]["output"].as_array().unwrap().len(), 2);
}

#[test]
fn an_answer_that_is_too_long_fails_clearly() {
    let (mut stream, mut out) = (stream(&plain()), Vec::new());
    let piece = text(&"a".repeat(500_000));
    for _ in 0..20 {
        stream.feed(piece.as_bytes(), &mut out);
    }
    stream.feed(finish("stop").as_bytes(), &mut out);
    stream.feed(DONE.as_bytes(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let failed = last(&out);
    assert_eq!(failed["type"], "response.failed");
    assert!(failed["response"]["error"]["message"].as_str().unwrap().contains("2 MiB"));
    assert_eq!(events(&out).iter().filter(|event| event["type"] == "response.output_text.delta").count(), 5);
}

#[test]
fn errors_say_what_agents_look_for() {
    for (status, code, want) in [
        (429, "token_quota_exceeded", "rate_limit_exceeded"),
        (400, "context_length_exceeded", "context_length_exceeded"),
        (400, "wrong_api_format", "invalid_prompt"),
        (500, "", "server_error"),
    ] {
        let error =
            event(json!({"error": {"message": "m", "type": "t", "code": code}, "status_code": status}));
        let failed = last(&streamed(&plain(), &[role(), error]));
        assert_eq!(
            failed["response"]["error"],
            json!({"code": want, "message": "m", "type": "t", "param": null})
        );
    }
}

#[test]
fn a_ping_is_a_comment() {
    let (mut stream, mut out) = (stream(&plain()), Vec::new());
    stream.ping(&mut out);
    assert_eq!(out, b": waiting for the upstream\n\n");
    stream.end(&ApiError::upstream_timeout(), &mut out);
    let before = out.len();
    stream.ping(&mut out);
    stream.feed(role().as_bytes(), &mut out);
    assert_eq!(out.len(), before, "nothing follows the end");
}

#[test]
fn probabilities_come_with_their_texts() {
    let mut request = plain();
    request["top_logprobs"] = json!(1);
    let probable = json!([{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]);
    let chunk = event(
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": probable}}]}),
    );
    let all = events(&streamed(&request, &[chunk.clone(), chunk, finish("stop"), DONE.to_owned()]));
    let of = |name: &str| all.iter().find(|event| event["type"] == name).unwrap();
    assert_eq!(of("response.output_text.delta")["logprobs"], probable);
    let both = json!([probable[0], probable[0]]);
    assert_eq!(of("response.output_text.done")["logprobs"], both);
    assert_eq!(of("response.completed")["response"]["output"][0]["content"][0]["logprobs"], both);
    assert_eq!(SEED.now_s, of("response.created")["response"]["created_at"].as_u64().unwrap());
}

#[test]
fn probabilities_past_their_bound_come_with_the_pieces_only() {
    let mut request = plain();
    request["top_logprobs"] = json!(1);
    let token = "a".repeat(1000);
    let chunk = event(
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": token, "logprob": -0.5}]}}]}),
    );
    let mut chunks = vec![chunk; 600];
    chunks.extend([finish("stop"), DONE.to_owned()]);
    let all = events(&streamed(&request, &chunks));
    let pieces = all.iter().filter(|event| event["type"] == "response.output_text.delta");
    assert!(pieces.clone().all(|event| event["logprobs"][0]["token"] == token));
    assert_eq!(pieces.count(), 600);
    let part = &all.last().unwrap()["response"]["output"][0]["content"][0];
    assert_eq!((part["text"].as_str().unwrap().len(), &part["logprobs"]), (600, &json!([])));
}
