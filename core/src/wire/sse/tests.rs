use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::errors::ApiError;
use crate::wire::usage::{Usage, estimate_tokens};

/// A stream as Cerebras sends it, with texts that try to fool the reader.
fn stream() -> Vec<u8> {
    let chunk = |delta: Value| json!({"id": "chatcmpl-1", "choices": [{"delta": delta, "index": 0}], "created": 1, "model": "gpt-oss-120b", "object": "chat.completion.chunk"});
    let mut out = b": keep-alive\n\n".to_vec();
    for delta in [
        json!({"role": "assistant"}),
        json!({"reasoning": "Thinking \"usage\":{\"prompt_tokens\":1} hard é😀"}),
        json!({"content": "\"finish_reason\":\"length\",\"error\":{\"message\":\"no\"} data: [DONE]"}),
        json!({"tool_calls": [{"function": {"name": "run", "arguments": "{\"usage\": {}}"}, "type": "function", "index": 0}]}),
    ] {
        out.extend_from_slice(format!("data: {}\n\n", chunk(delta)).as_bytes());
    }
    out.extend_from_slice(br#"data: {"id":"chatcmpl-1","choices":[{"delta":{},"finish_reason":"stop","index":0}],"usage":{"total_tokens":22,"completion_tokens":2,"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":16}},"time_info":{"queue_time":0.1}}"#);
    out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
    out
}

fn follow(bytes: &[u8]) -> End {
    let mut tail = Tail::new();
    tail.feed(bytes);
    tail.end()
}

fn events(bytes: &[u8], cuts: &[usize]) -> Vec<(Name, Vec<u8>, usize, u64)> {
    let mut scanner = EventScanner::new(64);
    let mut found = Vec::new();
    pieces(bytes, cuts)
        .for_each(|piece| scanner.feed(piece, |e| found.push((e.name, e.data.to_vec(), e.lost, e.end))));
    found
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    (1..cuts.len()).map(move |n| &bytes[cuts[n - 1]..cuts[n]])
}

fn data(bytes: &[u8]) -> Vec<String> {
    events(bytes, &[]).into_iter().map(|(_, data, ..)| String::from_utf8(data).unwrap()).collect()
}

#[test]
fn events_end_at_a_blank_line_however_lines_end() {
    for text in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "data:a\r\n\ndata:b\n\r\n",
    ] {
        assert_eq!(data(text.as_bytes()), ["a", "b"], "{text:?}");
    }
    assert_eq!(data(b"\xEF\xBB\xBFdata: a\n\n"), ["a"]);
    assert_eq!(data(b"data: a\ndata:  b\ndata\nid: 5\nretry: 1\n\n"), ["a\n b\n"]);
    assert_eq!(data(b": c\n\n:\n\ndata:\n\nevent: x\n\ndatabase: y\n\n\n\ndata: a"), Vec::<String>::new());
}

#[test]
fn the_events_name_is_its_own() {
    let found = events(b"event: error\ndata: a\n\ndata: b\n\nevent:error\nevent: ping\ndata: c\n\n", &[]);
    assert_eq!(found.iter().map(|e| e.0).collect::<Vec<_>>(), [Name::Error, Name::Message, Name::Message]);
}

#[test]
fn an_event_beyond_the_limit_is_counted_and_the_next_is_read() {
    let text = format!(
        "data: {}\n\ndata: {}\ndata: {}\n\ndata: b\n\n",
        "x".repeat(100),
        "y".repeat(40),
        "z".repeat(40)
    );
    let found = events(text.as_bytes(), &[]);
    assert_eq!(found.len(), 3);
    assert!(found[0].2 >= 100 && found[0].1.is_empty());
    assert!(found[1].2 >= 80 && found[1].1.is_empty());
    assert_eq!((found[2].1.as_slice(), found[2].2), (&b"b"[..], 0));
}

fn gate(bytes: &[u8]) -> GateState {
    Gate::new().feed(bytes)
}

#[test]
fn the_gate_waits_for_the_first_event_that_is_no_comment() {
    let mut gate = Gate::new();
    let whole = stream();
    let first_end = whole.windows(2).enumerate().filter(|(_, w)| w == b"\n\n").nth(1).unwrap().0 + 2;
    for byte in &whole[..first_end - 1] {
        assert_eq!(gate.feed(&[*byte]), GateState::NeedMore);
    }
    assert_eq!(gate.feed(&whole[first_end - 1..first_end]), GateState::Event(First::Data));
    let mut tail = gate.into_tail();
    tail.feed(&whole[first_end..]);
    assert_eq!(tail.end().usage.unwrap().prompt_tokens, 20);
}

#[test]
fn the_gate_tells_errors_from_answers() {
    let error = |text: &str| match gate(text.as_bytes()) {
        GateState::Event(First::Error(error)) => error,
        other => panic!("{text}: {other:?}"),
    };
    let nested = error(
        "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":\"\",\"code\":\"c\",\"id\":\"\"},\"status_code\":503}\n\n",
    );
    assert_eq!((&*nested.message, &*nested.code, nested.status), ("m", "c", Some(503)));
    let flat = error(
        "data: {\"message\":\"m\",\"type\":\"too_many_requests_error\",\"param\":\"queue\",\"code\":\"queue_exceeded\"}\n\n",
    );
    assert_eq!(&*flat.code, "queue_exceeded");
    assert_eq!(error("event: error\ndata: {\"message\":\"m\",\"code\":\"c\"}\n\n").code, "c");
    assert_eq!(error("event: error\ndata: {\"detail\":1}\n\n").code, "error_event");
    assert_eq!(error("event: error\ndata: overloaded\n\n").message, "overloaded");
    assert_eq!(error("data: <html>\n\n").code, "malformed_event");
    for answer in [
        "data: {\"choices\":[]}\n\n",
        "data: {\"choices\":[],\"error\":null}\n\n",
        "data: {\"choices\":[],\"message\":\"x\",\"code\":\"y\"}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n",
    ] {
        assert_eq!(gate(answer.as_bytes()), GateState::Event(First::Data), "{answer}");
    }
    assert_eq!(gate(b"data: [DONE]\n\n"), GateState::Event(First::Done));
}

#[test]
fn the_gate_gives_up_at_64_kib() {
    let long = format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(65_536));
    assert_eq!(gate(long.as_bytes()), GateState::TooLarge);
    assert_eq!(gate(&long.as_bytes()[..65_536]), GateState::NeedMore);
    assert_eq!(gate(&long.as_bytes()[..65_537]), GateState::TooLarge);
    assert_eq!(gate(&b": ping\n\n".repeat(9000)), GateState::TooLarge);
    let followed = format!("data: {{\"choices\":[]}}\n\n{long}");
    assert_eq!(gate(followed.as_bytes()), GateState::Event(First::Data));
}

#[test]
fn a_stream_that_ends_at_the_gate_tells_what_it_had() {
    let end = |bytes: &[u8]| {
        let mut gate = Gate::new();
        assert_eq!(gate.feed(bytes), GateState::NeedMore);
        gate.end()
    };
    assert_eq!(end(b""), None);
    assert_eq!(end(b": only a comment\n\n"), None);
    assert_eq!(end(b"data: {\"choices\":[{\"de"), None);
    assert_eq!(end(b"data: [DONE]"), Some(First::Done));
    assert!(
        matches!(end(b"data: {\"error\":{\"message\":\"m\"}}\n"), Some(First::Error(e)) if e.message == "m")
    );
}

#[test]
fn a_whole_stream_is_understood_and_its_texts_fool_nobody() {
    let end = follow(&stream());
    assert!(end.done && !end.mid_frame && end.error.is_none());
    assert_eq!(end.finish, Some(Finish::Stop));
    let expected = Usage {
        prompt_tokens: 20,
        completion_tokens: 2,
        cached_tokens: 16,
        total_tokens: 22,
        ..Usage::default()
    };
    assert_eq!(end.usage, Some(expected));
    assert_eq!(end.closing(&ApiError::stream_interrupted()), b"");
}

#[test]
fn usage_in_a_chunk_of_its_own_is_taken_and_null_is_not() {
    let text = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\ndata: [DONE]\n\n",
    );
    let end = follow(text.as_bytes());
    assert_eq!(end.usage.map(|usage| (usage.prompt_tokens, usage.total_tokens)), Some((3, 7)));
    assert_eq!(end.finish, Some(Finish::Length));
}

#[test]
fn an_error_on_the_way_is_noticed() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"error\":{\"message\":\"boom\"},\"status_code\":500}\n\n";
    let end = follow(text.as_bytes());
    assert_eq!(end.first, Some(First::Data));
    assert_eq!(end.error.map(|e| (e.message, e.status)), Some(("boom".to_owned(), Some(500))));
    assert!(!end.done);
}

#[test]
fn the_last_frame_counts_without_its_line_end() {
    let whole = stream();
    let without_end = &whole[..whole.len() - 2];
    let end = follow(without_end);
    assert!(end.done && end.mid_frame);
    assert_eq!(end.closing(&ApiError::stream_interrupted()), b"\n\n");
    let usage_only = &whole[..whole.len() - "\n\ndata: [DONE]\n\n".len()];
    let end = follow(usage_only);
    assert!(!end.done && end.mid_frame && end.usage.is_some());
}

#[test]
fn what_was_sent_of_a_cut_stream_is_estimated() {
    let text =
        "The quick brown fox jumps over the lazy dog near the river bank, again and again. ".repeat(20);
    let mut sent = Vec::new();
    for piece in text.as_bytes().chunks(7) {
        let chunk = json!({"choices": [{"delta": {"content": String::from_utf8_lossy(piece)}, "index": 0}]});
        sent.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
    }
    let end = follow(&sent);
    assert_eq!(end.estimated_completion_tokens, estimate_tokens(&text));
    let reasoning = follow(br#"data: {"choices":[{"delta":{"reasoning":"one two three four"}}]}"#);
    assert_eq!(reasoning.estimated_completion_tokens, estimate_tokens("one two three four"));
    let cut = follow(br#"data: {"choices":[{"delta":{"content":"one two three fo"#);
    assert_eq!(cut.estimated_completion_tokens, estimate_tokens("one two three fo"));
    let nothing = follow(br#"data: {"choices":[{"delta":{"role":"assistant"},"finish_reason":"stop"}],"model":"words words words"}"#);
    assert_eq!(nothing.estimated_completion_tokens, 0);
}

#[test]
fn an_error_event_has_the_form_and_the_status() {
    let event = error_event(&ApiError::stream_interrupted());
    let parsed: Value = serde_json::from_str(&data_unbounded(&event)[0]).unwrap();
    assert_eq!(parsed["status_code"], 502);
    assert_eq!(parsed["error"]["code"], "stream_interrupted");
    assert!(parsed.get("message").is_none(), "the AI SDK would take it for a chunk without choices");
    assert!(event.ends_with(b"}\n\n"));
}

fn data_unbounded(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    EventScanner::new(1 << 20).feed(bytes, |e| found.push(String::from_utf8(e.data.to_vec()).unwrap()));
    found
}

/// Whatever a cut leaves, the client must find sound JSON in every event and the error (or the mark) at the end.
fn closes_well(cut: &[u8]) {
    let end = follow(cut);
    let mut whole = cut.to_vec();
    whole.extend_from_slice(&end.closing(&ApiError::stream_interrupted()));
    let shown = String::from_utf8_lossy(&whole).into_owned();
    // OpenAI's Python client takes an event that has a name and no data for one, and refuses it.
    assert!(!shown.contains("event: x\n\n"), "{shown}");
    let events = data_unbounded(&whole);
    let closed = follow(&whole);
    assert!(!closed.mid_frame, "{shown}");
    assert_eq!(closed.done, end.done, "{shown}");
    if end.done {
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
        assert_eq!(end.error, None);
    } else {
        assert_eq!(closed.error.as_ref().map(|e| &*e.code), Some("stream_interrupted"), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(events.last().unwrap()).unwrap()["status_code"], 502);
    }
    for event in events.iter().filter(|event| *event != "[DONE]") {
        assert!(serde_json::from_str::<Value>(event).is_ok(), "{event}");
    }
    // The first error a client meets is ours, with its four strings.
    let first =
        events.iter().filter_map(|e| serde_json::from_str::<Value>(e).ok()).find(|e| !e["error"].is_null());
    assert!(end.done || first.unwrap()["error"]["message"].is_string());
}

#[test]
fn a_stream_cut_at_any_byte_is_closed_so_that_every_event_is_sound() {
    let whole = stream();
    for at in 0..=whole.len() {
        closes_well(&whole[..at]);
    }
}

#[test]
fn every_way_to_break_off_in_json_is_closed() {
    let chunk = r#"{"a":[-1.5e+3,true,false,null,{},[],{"k\u00e9\ud83d\ude00\n":"é好😀\\\u0041"},[1,[2,{"b":"c"}]]],"n":0.25}"#;
    for frame in [
        format!("data: {chunk}\n\n"),
        format!("data:{chunk}\r\n\r\n"),
        format!("event: x\nid: 1\ndata: {chunk}\nretry: 5\n\n"),
        format!(": é\n\ndata: [1,2]\n\ndata: {chunk}\n\n").replace("data: [1,2]\n\n", ""),
        "data: {\ndata: \"a\": [\ndata: 1,\ndata: 2\ndata: ]}\n\n".to_owned(),
    ] {
        // A cut in the comment's letter, or within what a second line can't repair, is not promised.
        for at in (0..=frame.len()).filter(|at| frame.starts_with("data") || frame.is_char_boundary(*at)) {
            closes_well(&frame.as_bytes()[..at]);
        }
    }
}

#[test]
fn what_cannot_be_completed_still_ends_with_the_error() {
    for cut in ["data: garbage", "data: {\"a\":x", "data: [1,2", "data: 5\ndata: {", "data: \"text"] {
        let end = follow(cut.as_bytes());
        let closing = end.closing(&ApiError::upstream_timeout());
        assert_eq!(
            closing,
            [b"\n\n".as_slice(), &error_event(&ApiError::upstream_timeout())].concat(),
            "{cut}"
        );
    }
    let long = format!("data: {{\"a\":\"{}", "x".repeat(2 << 20));
    assert!(follow(long.as_bytes()).closing(&ApiError::internal()).starts_with(b"\n\ndata: {\"error\""));
    assert!(
        follow(long.as_bytes()).estimated_completion_tokens == 0,
        "an event that never ended is not guessed"
    );
}

#[test]
fn a_mark_that_breaks_off_is_made_whole() {
    for (cut, rest) in [
        ("data: [", "DONE]\n\n"),
        ("data: [DON", "E]\n\n"),
        ("data: [DONE]", "\n\n"),
        ("data: [DONE]\n", "\n\n"),
    ] {
        let end = follow(cut.as_bytes());
        assert!(end.done);
        assert_eq!(end.closing(&ApiError::internal()), rest.as_bytes(), "{cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn how_the_stream_is_cut_changes_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40), crlf in any::<bool>()) {
        let mut whole = stream();
        if crlf {
            whole = String::from_utf8(whole).unwrap().replace('\n', "\r\n").into_bytes();
        }
        let mut tail = Tail::new();
        pieces(&whole, &cuts).for_each(|piece| tail.feed(piece));
        prop_assert_eq!(format!("{:?}", tail.end()), format!("{:?}", follow(&whole)));
    }

    #[test]
    fn noise_gives_the_same_events_however_it_is_cut(
        text in "((data|event|id)?:? ?[a-z{}\\[\\]:\"]{0,12}[\r\n]{0,3}|data: x{60,80}\r?\n){0,12}",
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(events(text.as_bytes(), &cuts), events(text.as_bytes(), &[]));
    }

    #[test]
    fn any_bytes_are_followed_and_closed(bytes in prop::collection::vec(any::<u8>(), 0..200), framed in any::<bool>()) {
        let bytes = if framed { [b"data: {\"choices\":[{\"delta\":{\"content\":\"".as_slice(), &bytes].concat() } else { bytes };
        let end = follow(&bytes);
        let closed = [bytes, end.closing(&ApiError::internal())].concat();
        prop_assert!(!follow(&closed).mid_frame);
    }
}

/// Bytes a second; run in release: `cargo test --release -- --ignored --nocapture throughput`.
#[test]
#[ignore = "a measurement, for the release profile"]
#[expect(clippy::disallowed_methods, reason = "a measurement on the native target needs a clock")]
fn throughput_of_the_tail() {
    let chunk = br#"data: {"id":"chatcmpl-0f9b4d2c-1a2b-4c3d-8e4f-5a6b7c8d9e0f","choices":[{"delta":{"content":" some words of an answer"},"index":0}],"created":1787325820,"model":"gpt-oss-120b","system_fingerprint":"fp_4cfabdd6620dc0120785","object":"chat.completion.chunk"}

"#;
    for (name, fed) in [("chunk by chunk", chunk.to_vec()), ("all at once", chunk.repeat(1000))] {
        let rounds = 20_000_000 / fed.len();
        let start = std::time::Instant::now();
        let mut tail = Tail::new();
        for _ in 0..rounds {
            tail.feed(std::hint::black_box(&fed));
        }
        std::hint::black_box(tail.end());
        let seconds = start.elapsed().as_secs_f64();
        let bytes = (rounds * fed.len()) as f64;
        println!(
            "tail, {name}: {:.0} MB/s, {:.0} ns a chunk",
            bytes / seconds / 1e6,
            seconds * 1e9 * chunk.len() as f64 / bytes
        );
    }
}
