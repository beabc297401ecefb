use super::*;
use crate::wire::dialects::Answering as Any;
use proptest::prelude::*;

const SEED: Seed = Seed { now_s: 1_787_427_094, entropy: [0xAB; 16] };
const HEAD: &str = r#""created":1787325820,"model":"gpt-oss-120b","object":"chat.completion.chunk""#;
const USAGE: &str = r#""usage":{"total_tokens":30,"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":4},"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":16}}"#;
const TAIL: &str = r#""modelVersion":"gpt-oss-120b","responseId":"chatcmpl-U"}"#;
const USED: &str = r#""usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":6,"cachedContentTokenCount":16,"thoughtsTokenCount":4,"totalTokenCount":30},"modelVersion":"gpt-oss-120b","responseId":"chatcmpl-U"}"#;

fn answering(framing: Framing, include_thoughts: bool, candidates: u64) -> Any {
    Any::Gemini(Box::new(Answering {
        seed: SEED,
        framing,
        model: "gemini-2.5-pro".into(),
        include_thoughts,
        candidates,
    }))
}

fn chunk(choices: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("data: {{\"id\":\"chatcmpl-U\",\"choices\":[{choices}],{HEAD}{comma}{more}}}\n\n")
}

fn delta(delta: &str) -> String {
    chunk(&format!("{{\"delta\":{{{delta}}},\"index\":0}}"), "")
}

fn finish(reason: &str) -> String {
    chunk(&format!("{{\"delta\":{{}},\"finish_reason\":\"{reason}\",\"index\":0}}"), USAGE)
}

fn text(text: &str) -> String {
    delta(&format!("\"content\":\"{text}\""))
}

fn call(index: u64, id: &str, name: &str) -> String {
    delta(&format!(
        r#""tool_calls":[{{"function":{{"name":"{name}","arguments":""}},"type":"function","id":"{id}","index":{index}}}]"#
    ))
}

fn arguments(index: u64, piece: &str) -> String {
    let piece = Value::from(piece);
    delta(&format!(
        r#""tool_calls":[{{"function":{{"arguments":{piece}}},"type":"function","index":{index}}}]"#
    ))
}

const DONE: &str = "data: [DONE]\n\n";

fn run(any: Any, upstream: &[String]) -> String {
    let (mut stream, mut out) = (any.stream(), Vec::new());
    for piece in upstream {
        stream.feed(piece.as_bytes(), &mut out);
    }
    stream.end(&ApiError::stream_interrupted(), &mut out);
    assert!(stream.is_over());
    String::from_utf8(out).unwrap()
}

fn sse(upstream: &[String]) -> String {
    run(answering(Framing::Sse, true, 1), upstream)
}

fn parts(parts: &str) -> String {
    format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}],\"role\":\"model\"}},\"index\":0}}],{TAIL}\n\n"
    )
}

/// The last piece. One that says nothing has an empty text: Google's clients want parts in each.
fn end(parts: &str, reason: &str) -> String {
    let nothing = if matches!(reason, "STOP" | "MAX_TOKENS") { "{\"text\":\"\"}" } else { "" };
    let parts = if parts.is_empty() { nothing } else { parts };
    format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}],\"role\":\"model\"}},\"finishReason\":\"{reason}\",\"index\":0}}],{USED}\n\n"
    )
}

fn role() -> String {
    delta(r#""role":"assistant""#)
}

#[test]
fn a_text_is_streamed_as_it_comes() {
    let upstream = [role(), text("Hel"), text("lo"), finish("stop"), DONE.into()];
    assert_eq!(sse(&upstream), [parts(r#"{"text":"Hel"}"#), end(r#"{"text":"lo"}"#, "STOP")].concat());
    let (mut stream, mut out) = (answering(Framing::Sse, true, 1).stream(), Vec::new());
    for (piece, told) in upstream.iter().zip([0, 0, 1, 2]) {
        stream.feed(piece.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out).matches("data: ").count(), told, "{piece}");
    }
}

#[test]
fn an_answer_that_says_nothing_has_an_empty_text() {
    assert_eq!(sse(&[role(), finish("stop"), DONE.into()]), end("", "STOP"));
}

#[test]
fn thoughts_come_first_if_they_are_asked_for() {
    let upstream = [role(), delta(r#""reasoning":"hm""#), text("a"), finish("stop"), DONE.into()];
    let shown = [parts(r#"{"text":"hm","thought":true}"#), end(r#"{"text":"a"}"#, "STOP")];
    assert_eq!(sse(&upstream), shown.concat());
    let hidden = end(r#"{"text":"a"}"#, "STOP");
    assert_eq!(run(answering(Framing::Sse, false, 1), &upstream), hidden);
}

#[test]
fn a_call_is_told_whole_with_the_end() {
    let upstream = [
        role(),
        call(0, "08d59c72f", "run_me"),
        arguments(0, "{\"foo"),
        arguments(0, "\":1}"),
        finish("tool_calls"),
        DONE.into(),
    ];
    let wanted = end(r#"{"functionCall":{"id":"08d59c72f","name":"run_me","args":{"foo":1}}}"#, "STOP");
    assert_eq!(sse(&upstream), wanted);
}

#[test]
fn parallel_calls_and_text_before_them_keep_their_order() {
    let upstream = [
        text("both"),
        call(0, "a", "f"),
        arguments(0, "{}"),
        call(1, "b", "g"),
        finish("tool_calls"),
        DONE.into(),
    ];
    let calls = r#"{"functionCall":{"id":"a","name":"f","args":{}}},{"functionCall":{"id":"b","name":"g","args":{}}}"#;
    assert_eq!(sse(&upstream), [parts(r#"{"text":"both"}"#), end(calls, "STOP")].concat());
}

#[test]
fn why_an_answer_ended_is_told_in_googles_words() {
    for (reason, told) in [("length", "MAX_TOKENS"), ("content_filter", "SAFETY"), ("new", "OTHER")] {
        assert_eq!(sse(&[text("a"), finish(reason), DONE.into()]), end(r#"{"text":"a"}"#, told));
    }
    // Half a call can't be told.
    let cut = [call(0, "a", "f"), arguments(0, "{\"x\":"), finish("length"), DONE.into()];
    assert_eq!(sse(&cut), end("", "MAX_TOKENS"));
}

#[test]
fn arguments_that_are_no_object_are_told_as_malformed() {
    for bad in ["{\"x\":", "[1]", "7"] {
        let out = sse(&[call(0, "a", "f"), arguments(0, bad), finish("tool_calls"), DONE.into()]);
        assert!(out.contains(r#""parts":[]"#), "{out}");
        assert!(
            out.contains(r#""finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"The model"#),
            "{out}"
        );
    }
}

#[test]
fn usage_may_come_behind_the_end() {
    let bare = chunk(r#"{"delta":{},"finish_reason":"stop","index":0}"#, "");
    let wanted = end(r#"{"text":"a"}"#, "STOP");
    assert_eq!(sse(&[text("a"), bare.clone(), chunk("", USAGE), DONE.into()]), wanted);
    let without = end(r#"{"text":"a"}"#, "STOP").replace(USED, TAIL);
    assert_eq!(sse(&[text("a"), bare.clone(), DONE.into()]), without);
    assert_eq!(sse(&[text("a"), bare]), without, "it is complete without [DONE] too");
}

#[test]
fn usage_is_told_once_and_with_the_end() {
    let early = chunk(r#"{"delta":{"content":"a"},"index":0}"#, USAGE);
    let wanted = end(r#"{"text":"a"}"#, "STOP");
    assert_eq!(sse(&[early, finish("stop"), chunk("", USAGE), DONE.into()]), wanted);
}

#[test]
fn an_upstream_that_says_it_is_done_has_told_no_reason_of_its_own() {
    let without = end(r#"{"text":"a"}"#, "STOP").replace(USED, TAIL);
    assert_eq!(sse(&[text("a"), DONE.into()]), without);
}

#[test]
fn a_call_in_one_piece_and_one_whose_id_is_repeated_are_understood() {
    let one = delta(
        r#""tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"g","arguments":"{\"x\""}}]"#,
    );
    let more = delta(r#""tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":":1}"}}]"#);
    let calls = r#"{"functionCall":{"id":"a","name":"f","args":{}}},{"functionCall":{"id":"b","name":"g","args":{"x":1}}}"#;
    let out = sse(&[one, more, text("then"), finish("tool_calls"), DONE.into()]);
    assert_eq!(out, [parts(r#"{"text":"then"}"#), end(calls, "STOP")].concat());
}

#[test]
fn nothing_is_sent_while_the_upstream_is_silent() {
    let (mut stream, mut out) = (answering(Framing::Sse, true, 1).stream(), Vec::new());
    stream.ping(&mut out);
    assert_eq!(out, b"", "clients read comments as answers");
}

const BROKE: &str = "data: {\"error\":{\"code\":502,\"message\":\"The upstream's answer broke off before it was complete.\",\"status\":\"UNAVAILABLE\"}}\n\n";

#[test]
fn an_answer_that_breaks_off_ends_with_an_error_and_one_that_had_ended_does_not() {
    assert_eq!(sse(&[text("a")]), [parts(r#"{"text":"a"}"#), BROKE.into()].concat());
    assert_eq!(sse(&[]), BROKE);
    assert_eq!(sse(&[text("a"), finish("stop")]), end(r#"{"text":"a"}"#, "STOP"));
}

#[test]
fn an_error_of_the_upstream_is_passed_on() {
    let error = "data: {\"error\":{\"message\":\"Too busy\",\"type\":\"server_error\",\"param\":\"\",\"code\":\"\"},\"status_code\":503}\n\n";
    let wanted = "data: {\"error\":{\"code\":503,\"message\":\"Too busy\",\"status\":\"UNAVAILABLE\"}}\n\n";
    assert_eq!(sse(&[text("a"), error.into()]), [parts(r#"{"text":"a"}"#), wanted.into()].concat());
}

#[test]
fn the_array_form_is_one_sound_array_however_it_ends() {
    let array = |upstream: &[String]| run(answering(Framing::Array, true, 1), upstream);
    let upstream = [text("a"), text("b"), finish("stop"), DONE.into()];
    let strip = |event: String| event.replace("data: ", "").replace("\n\n", "");
    let wanted =
        format!("[{},\r\n{}]", strip(parts(r#"{"text":"a"}"#)), strip(end(r#"{"text":"b"}"#, "STOP")));
    assert_eq!(array(&upstream), wanted);
    for cut in 0..4 {
        let list: Vec<Value> = serde_json::from_str(&array(&upstream[..cut])).unwrap();
        assert_eq!(list.len(), [1, 2, 3, 2][cut]);
        assert_eq!(list.last().unwrap()["error"].is_object(), cut < 3);
    }
    assert_eq!(array(&[DONE.into()]), "[]");
}

#[test]
fn candidates_are_kept_apart() {
    let of = |index: u64, delta: &str, more: &str| {
        chunk(&format!("{{\"index\":{index},\"delta\":{{{delta}}}{more}}}"), "")
    };
    let called = |id: &str| {
        format!(r#""tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}]"#)
    };
    let ended = r#","finish_reason":"tool_calls""#;
    let upstream = [
        of(1, &called("b"), ""),
        of(0, &called("a"), ""),
        of(1, "", ended),
        of(0, "", ended),
        chunk("", USAGE),
        DONE.into(),
    ];
    let out = run(answering(Framing::Sse, true, 2), &upstream);
    let response: Value = serde_json::from_str(out.strip_prefix("data: ").unwrap()).unwrap();
    for (index, id) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(response["candidates"][index]["index"], index);
        assert_eq!(response["candidates"][index]["content"]["parts"][0]["functionCall"]["id"], id);
    }
    let broken = run(answering(Framing::Sse, true, 2), &upstream[..3]);
    assert_eq!(broken, BROKE, "one of two has not ended");
}

#[test]
fn calls_that_never_end_break_the_answer_off() {
    let piece = arguments(0, &"x".repeat(100_000));
    let out = sse(&[vec![call(0, "a", "f")], vec![piece; 12], vec![finish("tool_calls")]].concat());
    assert_eq!(out, BROKE);
    let many: Vec<String> = (0..200).map(|n| call(n, "a", "f")).collect();
    assert_eq!(sse(&many), BROKE);
    let many: Vec<String> =
        (0..200).map(|n| chunk(&format!("{{\"index\":{n},\"delta\":{{}}}}"), "")).collect();
    assert_eq!(sse(&many), BROKE);
}

fn busy() -> String {
    [
        role(),
        delta(r#""reasoning":"h\u00e4""#),
        text("好\\n😀"),
        call(0, "a", "f"),
        arguments(0, "{\"x\":\"ü\"}"),
        finish("tool_calls"),
        DONE.into(),
    ]
    .concat()
}

proptest! {
    #[test]
    fn where_the_upstreams_bytes_are_cut_does_not_matter(cuts in prop::collection::vec(0usize..1500, 0..12)) {
        let busy = busy();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(busy.len())).collect();
        cuts.sort_unstable();
        for framing in [Framing::Sse, Framing::Array] {
            let (mut stream, mut out, mut at) = (answering(framing, true, 1).stream(), Vec::new(), 0);
            for cut in cuts.iter().copied().chain([busy.len()]) {
                stream.feed(&busy.as_bytes()[at..cut], &mut out);
                at = cut;
            }
            let whole = run(answering(framing, true, 1), std::slice::from_ref(&busy));
            prop_assert_eq!(String::from_utf8(out).unwrap(), whole);
        }
    }

    #[test]
    fn any_bytes_of_an_upstream_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        choices in "[\\[\\]{}\",:a-z0-9 ]{0,60}",
    ) {
        for framing in [Framing::Sse, Framing::Array] {
            let _ = answering(framing, true, 1).whole(&bytes);
            let mut out = Vec::new();
            let mut stream = answering(framing, true, 1).stream();
            stream.feed(chunk(&choices, "").as_bytes(), &mut out);
            stream.feed(&bytes, &mut out);
            stream.end(&ApiError::stream_interrupted(), &mut out);
            if framing == Framing::Array {
                prop_assert!(serde_json::from_slice::<Vec<Value>>(&out).is_ok());
            }
        }
    }
}
