use super::*;
use crate::wire::dialects::Answering as Any;
use proptest::prelude::*;
use serde_json::json;

const SEED: Seed = Seed { now_s: 1_787_427_094, entropy: [0xAB; 16] };
const HEAD: &str = r#""created":1787325820,"model":"gpt-oss-120b","object":"chat.completion.chunk""#;
const TOP: &str = r#"{"id":"cmpl-abababababababababababab","object":"text_completion","created":1787325820,"model":"gpt-oss-120b","choices":"#;
const USAGE: &str = r#""usage":{"total_tokens":30,"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":4},"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":16}}"#;
const USED: &str = r#""usage":{"prompt_tokens":20,"completion_tokens":10,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":4}}}"#;

fn translated(body: &Value) -> Translated {
    request(body.to_string().as_bytes(), SEED).unwrap()
}

fn chat(body: &Value) -> Value {
    serde_json::from_slice(&translated(body).body).unwrap()
}

fn refusal(body: &Value) -> String {
    let error = request(body.to_string().as_bytes(), SEED).unwrap_err();
    assert_eq!((error.status, error.should_retry), (400, Some(false)));
    error.param.into_owned()
}

#[test]
fn a_prompt_is_what_the_user_says() {
    let wanted = json!({"messages": [{"role": "user", "content": "Once"}], "stream": false});
    assert_eq!(chat(&json!({"prompt": "Once"})), wanted);
    assert_eq!(chat(&json!({"prompt": ["Once"]})), wanted);
}

#[test]
fn all_that_chat_has_too_is_kept() {
    let body = chat(&json!({
        "model": "m", "prompt": "a", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "n": 2, "best_of": 2,
        "stop": "END", "seed": 7, "presence_penalty": 0.25, "frequency_penalty": -0.5, "logit_bias": {"1": 2},
        "user": "u", "stream": true, "echo": false, "suffix": "", "logprobs": null, "prompt_cache_key": "k"
    }));
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "a"}], "stream": true,
            "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.9, "n": 2, "stop": ["END"], "seed": 7,
            "presence_penalty": 0.25, "frequency_penalty": -0.5, "logit_bias": {"1": 2}, "user": "u",
            "prompt_cache_key": "k"
        })
    );
    assert_eq!(chat(&json!({"prompt": "a", "max_tokens": -1})).as_object().unwrap().len(), 2);
}

#[test]
fn what_chat_has_not_is_refused_by_its_path() {
    for (body, path) in [
        (json!({}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": [[1], [2]]}), "prompt"),
        (json!({"prompt": "a", "suffix": "b"}), "suffix"),
        (json!({"prompt": "a", "echo": true}), "echo"),
        (json!({"prompt": "a", "best_of": 2}), "best_of"),
        (json!({"prompt": "a", "logprobs": 21}), "logprobs"),
        (json!({"prompt": "a", "logprobs": true}), "logprobs"),
        (json!({"prompt": ["a", 1]}), "prompt"),
        (json!({"prompt": {"a": 1}}), "prompt"),
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": "a", "stop": ["a", "b", "c", "d", "e"]}), "stop"),
        (json!({"prompt": "a", "temperature": "hot"}), "temperature"),
    ] {
        assert_eq!(refusal(&body), path, "{body}");
    }
}

#[test]
fn probabilities_are_asked_for_in_chat_s_words() {
    let asked = |logprobs: Value| {
        let body = chat(&json!({"prompt": "a", "logprobs": logprobs}));
        (body["logprobs"].clone(), body["top_logprobs"].clone())
    };
    assert_eq!(asked(json!(3)), (json!(true), json!(3)));
    assert_eq!(asked(json!(0)), (json!(true), json!(null)));
    assert_eq!(asked(json!(false)), (json!(null), json!(null)));
}

#[test]
fn what_is_left_out_is_noted() {
    let translated = translated(&json!({"prompt": "a", "min_tokens": 1, "return_raw_tokens": true}));
    let paths: Vec<&str> = translated.notes.all().iter().map(|note| note.path.as_str()).collect();
    assert_eq!(paths, ["min_tokens", "return_raw_tokens"]);
}

#[test]
fn a_whole_answer_is_a_text_completion() {
    let whole = format!(
        "{{\"id\":\"chatcmpl-U\",\"choices\":[{{\"finish_reason\":\"length\",\"index\":0,\"message\":{{\"content\":\"Hi\",\"reasoning\":\"hm\",\"role\":\"assistant\"}}}}],{HEAD},{USAGE}}}"
    );
    let answer = translated(&json!({"prompt": "a"})).answering.whole(whole.as_bytes()).unwrap();
    let choice = r#"[{"text":"Hi","index":0,"logprobs":null,"finish_reason":"length"}]"#;
    assert_eq!(String::from_utf8(answer).unwrap(), format!("{TOP}{choice},{USED}"));
}

#[test]
fn probabilities_are_told_as_lists_with_where_each_token_starts() {
    let content = r#"[{"token":"Hé","logprob":-0.5,"top_logprobs":[{"token":"Ho","logprob":-1.5}]},{"token":"y","logprob":-0.25,"top_logprobs":[]}]"#;
    let whole = format!(
        "{{\"choices\":[{{\"finish_reason\":\"stop\",\"index\":0,\"message\":{{\"content\":\"Héy\"}},\"logprobs\":{{\"content\":{content}}}}}]}}"
    );
    let answer =
        translated(&json!({"prompt": "a", "logprobs": 1})).answering.whole(whole.as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let first = json!({"text_offset": [0, 2], "token_logprobs": [-0.5, -0.25], "tokens": ["Hé", "y"], "top_logprobs": [{"Ho": -1.5}, {}]});
    assert_eq!(answer["choices"][0]["logprobs"], first);

    let piece = |text: &str, token: &str| {
        chunk(
            &format!(r#"{{"delta":{{"content":"{text}"}},"index":0,"logprobs":{{"content":{token}}}}}"#),
            "",
        )
    };
    let upstream =
        [piece("Héy", content), piece("!", r#"[{"token":"!","logprob":-1}]"#), "data: [DONE]\n\n".into()];
    let out = streamed(&json!({"prompt": "a", "stream": true, "logprobs": 1}), &upstream);
    let events: Vec<Value> = out
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!(events[0]["choices"][0]["logprobs"], first);
    let second = json!({"text_offset": [3], "token_logprobs": [-1.0], "tokens": ["!"], "top_logprobs": null});
    assert_eq!(events[1]["choices"][0]["logprobs"], second);
}

fn chunk(choice: &str, more: &str) -> String {
    format!("data: {{\"id\":\"chatcmpl-U\",\"choices\":[{choice}],{HEAD}{more}}}\n\n")
}

fn delta(delta: &str) -> String {
    chunk(&format!("{{\"delta\":{{{delta}}},\"index\":0}}"), "")
}

fn upstream() -> Vec<String> {
    vec![
        delta(r#""role":"assistant""#),
        delta(r#""reasoning":"hm""#),
        delta(r#""content":"Hé""#),
        delta(r#""content":"llo""#),
        chunk(r#"{"delta":{},"finish_reason":"stop","index":0}"#, &format!(",{USAGE}")),
        "data: [DONE]\n\n".into(),
    ]
}

fn streamed(body: &Value, upstream: &[String]) -> String {
    let (mut stream, mut out) = (translated(body).answering.stream(), Vec::new());
    for piece in upstream {
        stream.feed(piece.as_bytes(), &mut out);
    }
    stream.end(&ApiError::stream_interrupted(), &mut out);
    String::from_utf8(out).unwrap()
}

fn piece(text: &str, finish: &str) -> String {
    format!(
        "data: {TOP}[{{\"text\":\"{text}\",\"index\":0,\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    )
}

#[test]
fn a_streamed_answer_comes_in_pieces_of_the_same_form() {
    let body = json!({"prompt": "a", "stream": true});
    let pieces = [piece("Hé", "null"), piece("llo", "null"), piece("", "\"stop\"")].concat();
    assert_eq!(streamed(&body, &upstream()), format!("{pieces}data: [DONE]\n\n"));
    let body = json!({"prompt": "a", "stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(streamed(&body, &upstream()), format!("{pieces}data: {TOP}[],{USED}\n\ndata: [DONE]\n\n"));
}

#[test]
fn an_answer_that_breaks_off_ends_with_an_error() {
    let body = json!({"prompt": "a", "stream": true});
    let error = String::from_utf8(ApiError::stream_interrupted().to_stream_body()).unwrap();
    assert_eq!(streamed(&body, &upstream()[..3]), format!("{}data: {error}\n\n", piece("Hé", "null")));
    let said = r#"data: {"error":{"message":"Too busy","type":"server_error","param":"","code":""},"status_code":503}"#;
    let out = streamed(&body, &[format!("{said}\n\n")]);
    assert_eq!(
        out,
        r#"data: {"error":{"message":"Too busy","type":"server_error","param":"","code":""},"status_code":503}
"#
        .to_owned() + "\n"
    );
}

proptest! {
    #[test]
    fn where_the_upstreams_bytes_are_cut_does_not_matter(cuts in prop::collection::vec(0usize..1200, 0..12)) {
        let body = json!({"prompt": "a", "stream": true});
        let all = upstream().concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.sort_unstable();
        let (mut stream, mut out, mut at) = (translated(&body).answering.stream(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([all.len()]) {
            stream.feed(&all.as_bytes()[at..cut], &mut out);
            at = cut;
        }
        prop_assert_eq!(String::from_utf8(out).unwrap(), streamed(&body, &[all]));
    }

    #[test]
    fn any_prompt_is_kept(prompt in ".{0,40}", list in any::<bool>()) {
        let given = if list { json!([prompt]) } else { json!(prompt) };
        let body = chat(&json!({"prompt": given}));
        prop_assert_eq!(&body["messages"][0]["content"], &json!(prompt));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        let _ = request(&bytes, SEED);
        let _ = request(format!("{{\"prompt\":{text}}}").as_bytes(), SEED);
        let _ = Any::Completions(Answering { seed: SEED, model: String::new(), include_usage: true }).whole(&bytes);
        let body = json!({"prompt": "a", "stream": true});
        let _ = streamed(&body, &[chunk(&text, ""), String::from_utf8_lossy(&bytes).into_owned()]);
    }
}
