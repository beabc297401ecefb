use super::testing::{DONE, SEED, chat, chunk, events, finish, input, stream, streamed, translate, whole};
use crate::wire::errors::ApiError;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Something that happens in a conversation, with the items that tell of it.
#[derive(Clone, Debug)]
enum Step {
    User(String),
    System(String),
    Assistant(String),
    /// A turn: what it thought and said, and how many tools it called; results in that order or the other.
    Turn {
        thought: Option<String>,
        said: Option<String>,
        calls: usize,
        custom: bool,
        reversed: bool,
    },
}

fn word() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é\u{1f600}]{1,8}"
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        word().prop_map(Step::User),
        word().prop_map(Step::System),
        word().prop_map(Step::Assistant),
        (of(word()), of(word()), 1..4_usize, any::<bool>(), any::<bool>()).prop_map(
            |(thought, said, calls, custom, reversed)| Step::Turn { thought, said, calls, custom, reversed }
        ),
    ]
}

fn items(steps: &[Step]) -> Vec<Value> {
    let mut items = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::User(text) => {
                items.push(json!({"role": "user", "content": [{"type": "input_text", "text": text}]}))
            }
            Step::System(text) => {
                items.push(json!({"type": "message", "role": "developer", "content": text}))
            }
            Step::Assistant(text) => {
                items.push(json!({"role": "assistant", "content": [{"type": "output_text", "text": text}]}))
            }
            Step::Turn { thought, said, calls, custom, reversed } => {
                let thought = thought.iter().map(
                    |text| json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
                );
                items.extend(thought);
                items.extend(said.iter().map(|text| json!({"role": "assistant", "content": text})));
                let (call, input, value) = if *custom {
                    ("custom_tool_call", "input", "free \"text\"")
                } else {
                    ("function_call", "arguments", "{\"a\":1}")
                };
                items.extend((0..*calls).map(|call_at| {
                    json!({"type": call, "call_id": format!("c{at}_{call_at}"), "name": "tool", input: value})
                }));
                let mut results: Vec<Value> = (0..*calls)
                    .map(|call_at| json!({"type": format!("{call}_output"), "call_id": format!("c{at}_{call_at}"), "output": format!("r{at}_{call_at}")}))
                    .collect();
                if *reversed {
                    results.reverse();
                }
                items.append(&mut results);
            }
        }
    }
    items
}

/// All that was said, by role, and each call with its result.
fn told(messages: &[Value]) -> (Vec<(String, String)>, Vec<(String, String)>) {
    let (mut said, mut results) = (Vec::new(), Vec::new());
    for message in messages {
        let content = message["content"].as_str().unwrap_or_default().to_owned();
        match message["role"].as_str().unwrap() {
            "tool" => results.push((message["tool_call_id"].as_str().unwrap().to_owned(), content)),
            role => said.extend(
                content
                    .split("\n\n")
                    .filter(|text| !text.is_empty())
                    .map(|text| (role.to_owned(), text.to_owned())),
            ),
        }
    }
    (said, results)
}

/// What the upstream wants of a conversation (docs/upstream.md).
fn assert_taken(request: &Value) {
    let messages = request["messages"].as_array().unwrap();
    assert!(!messages.is_empty());
    let (mut open, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for message in messages {
        if message["role"] == "tool" {
            assert_eq!(
                open.pop().as_ref(),
                Some(&message["tool_call_id"]),
                "results stand in their calls' order"
            );
            continue;
        }
        assert!(open.is_empty(), "each call is answered at once");
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        open = calls.iter().rev().map(|call| call["id"].clone()).collect();
        assert!(open.iter().all(|id| seen.insert(id.clone())), "no id is used twice");
        assert!(message["content"].is_string() || message["content"].is_array() || !calls.is_empty());
        let known = ["role", "content", "reasoning", "tool_calls"];
        assert!(message.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
    }
    assert!(open.is_empty());
    if request["tools"].is_null() {
        assert!(request["tool_choice"].is_null() && request["parallel_tool_calls"].is_null());
    }
}

/// Any JSON that uses the words of this dialect.
fn wild() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 40] = [
        "type",
        "role",
        "content",
        "input",
        "text",
        "message",
        "user",
        "assistant",
        "developer",
        "reasoning",
        "summary",
        "encrypted_content",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "call_id",
        "name",
        "namespace",
        "arguments",
        "output",
        "tools",
        "function",
        "custom",
        "tool_choice",
        "allowed_tools",
        "mode",
        "required",
        "auto",
        "format",
        "json_schema",
        "schema",
        "strict",
        "properties",
        "additionalProperties",
        "items",
        "input_text",
        "input_image",
        "image_url",
        "id",
        "store",
    ];
    let word = proptest::sample::select(WORDS.to_vec());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((word.clone(), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn upstream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        word().prop_map(|text| json!({"choices": [{"index": 0, "delta": {"content": text}}], "model": "m"})),
        word().prop_map(|text| json!({"choices": [{"index": 0, "delta": {"reasoning": text}}]})),
        (0..3_u64, of("[ab]"), word()).prop_map(|(index, id, text)| {
            json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, "id": id, "function": {"name": "f", "arguments": text}}]}}]})
        }),
        Just(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})),
        Just(json!({"error": {"message": "m"}, "status_code": 500})),
        Just(json!({"choices": []})),
    ];
    let ends = prop_oneof![Just(""), Just("data: [DONE]\n\n"), Just("data: {\"cho"), Just("\u{1f600}")];
    (vec(piece, 0..12), ends).prop_map(|(pieces, end)| {
        let mut text: String = pieces.iter().map(|piece| format!("data: {piece}\r\n\r\n")).collect();
        text.push_str(end);
        text.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn conversations_keep_what_was_said_and_who_said_it(steps in vec(step(), 1..8), instructions in of(word())) {
        let mut request = input(Value::Array(items(&steps)));
        request["instructions"] = json!(instructions);
        let chat = chat(request);
        assert_taken(&chat);
        let (said, results) = told(chat["messages"].as_array().unwrap());
        let mut want: Vec<(String, String)> = instructions.into_iter().map(|text| ("system".to_owned(), text)).collect();
        let mut wanted = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::User(text) => want.push(("user".to_owned(), text.clone())),
                Step::System(text) => want.push(("system".to_owned(), text.clone())),
                Step::Assistant(text) => want.push(("assistant".to_owned(), text.clone())),
                Step::Turn { said, calls, .. } => {
                    want.extend(said.iter().map(|text| ("assistant".to_owned(), text.clone())));
                    wanted.extend((0..*calls).map(|call| (format!("c{at}_{call}"), format!("r{at}_{call}"))));
                }
            }
        }
        prop_assert_eq!(said, want);
        prop_assert_eq!(results, wanted);
    }

    #[test]
    fn what_a_model_says_comes_back_in_the_next_turn(
        thought in of(word()), said in of(word()), called in vec((any::<bool>(), word()), 0..3), summary in any::<bool>(),
    ) {
        let mut request = input(json!([{"role": "user", "content": "q"}]));
        request["stream"] = json!(true);
        request["include"] = json!(["reasoning.encrypted_content"]);
        request["tools"] = json!([{"type": "function", "name": "look"}, {"type": "custom", "name": "patch"}]);
        if summary {
            request["reasoning"] = json!({"summary": "auto"});
        }
        let calls: Vec<Value> = called.iter().enumerate().map(|(at, (custom, text))| {
            let name = if *custom { "patch" } else { "look" };
            let arguments = json!({"input": text}).to_string();
            json!({"id": format!("c{at}"), "type": "function", "function": {"name": name, "arguments": arguments}})
        }).collect();
        let message: Map<String, Value> = [("content", json!(said)), ("reasoning", json!(thought)),
            ("tool_calls", if calls.is_empty() { Value::Null } else { json!(calls) })]
            .into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect();
        let answer = whole(request.clone(), Value::Object(message.clone()), "stop");

        let mut chunks: Vec<String> = ["reasoning", "content"].iter().filter_map(|key| {
            message.get(*key).map(|text| chunk(Value::Object(Map::from_iter([((*key).to_owned(), text.clone())]))))
        }).collect();
        chunks.extend(calls.iter().enumerate().map(|(at, call)| {
            let mut call = call.clone();
            call["index"] = json!(at);
            chunk(json!({"tool_calls": [call]}))
        }));
        chunks.extend([finish("stop"), DONE.to_owned()]);
        let all = events(&streamed(&request, &chunks));
        if message.is_empty() {
            prop_assert_eq!(&answer["output"], &json!([]));
        }
        prop_assert_eq!(&all.last().unwrap()["response"], &answer, "streamed or not");
        let done: Vec<&Value> = all.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| &event["item"]).collect();
        prop_assert_eq!(&json!(done), &answer["output"]);

        let items = request["input"].as_array_mut().unwrap();
        items.extend(answer["output"].as_array().unwrap().iter().cloned());
        for (at, (custom, _)) in called.iter().enumerate() {
            let kind = if *custom { "custom_tool_call_output" } else { "function_call_output" };
            items.push(json!({"type": kind, "call_id": format!("c{at}"), "output": "r"}));
        }
        let messages = chat(request)["messages"].clone();
        assert_taken(&json!({"messages": messages}));
        if said.is_some() || !calls.is_empty() {
            let mut want = message;
            want.insert("role".to_owned(), json!("assistant"));
            prop_assert_eq!(&messages[1], &Value::Object(want));
        }
    }

    #[test]
    fn results_may_stand_anywhere(steps in vec(step(), 1..6), seed in any::<u64>()) {
        let (results, mut rest): (Vec<Value>, Vec<Value>) = items(&steps)
            .into_iter()
            .partition(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")));
        let mut random = seed;
        for result in results {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            rest.insert((random >> 33) as usize % (rest.len() + 1), result);
        }
        assert_taken(&chat(input(Value::Array(rest))));
    }

    #[test]
    fn limits_and_sampling_are_kept(
        most in of(1..1_000_000_u64), temperature in of(0..=2000_u32), top_p in of(0..=1000_u32),
        effort in of(proptest::sample::select(vec!["low", "medium", "high"])), stream in any::<bool>(),
    ) {
        let [temperature, top_p] = [temperature, top_p].map(|number| number.map(|number| f64::from(number) / 1000.0));
        let chat = chat(json!({"input": "Hi", "max_output_tokens": most, "temperature": temperature, "top_p": top_p,
            "reasoning": {"effort": effort}, "stream": stream}));
        for (key, value) in [("max_completion_tokens", json!(most)), ("temperature", json!(temperature)),
            ("top_p", json!(top_p)), ("reasoning_effort", json!(effort)), ("stream", json!(stream))] {
            prop_assert_eq!(&chat[key], &value);
        }
    }

    #[test]
    fn however_the_upstreams_bytes_are_cut_the_client_gets_the_same(bytes in upstream(), cuts in vec(any::<prop::sample::Index>(), 0..6)) {
        let request = json!({"input": "Hi", "stream": true, "tools": [{"type": "custom", "name": "f"}]});
        let run = |pieces: Vec<&[u8]>| {
            let (mut stream, mut out) = (stream(&request), Vec::new());
            pieces.into_iter().for_each(|piece| stream.feed(piece, &mut out));
            stream.end(&ApiError::stream_interrupted(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let whole = run(vec![&bytes]);
        let ends = whole.matches("event: response.completed").count() + whole.matches("event: response.failed").count()
            + whole.matches("event: response.incomplete").count();
        prop_assert_eq!(ends, 1);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for to in at {
            pieces.push(&bytes[from..to]);
            from = to;
        }
        pieces.push(&bytes[from..]);
        prop_assert_eq!(run(pieces), whole);
    }

    #[test]
    fn no_request_panics_and_what_is_taken_is_taken_upstream(mut fields in vec(("input|tools|tool_choice|text|reasoning|include|metadata|instructions", wild()), 0..4), conversation in wild()) {
        fields.push(("input".to_owned(), conversation));
        let request = Value::Object(fields.into_iter().collect::<Map<String, Value>>());
        match translate(&request) {
            Ok(translated) => assert_taken(&serde_json::from_slice(&translated.body).unwrap()),
            Err(error) => prop_assert_eq!(error.status, 400),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = super::request(&bytes, SEED);
        let answering = || translate(&json!({"input": "Hi"})).unwrap().answering;
        let _ = answering().whole(&bytes);
        let (mut stream, mut out) = (answering().stream(), Vec::new());
        stream.feed(&bytes, &mut out);
        stream.end(&ApiError::stream_interrupted(), &mut out);
        prop_assert!(stream.is_over());
    }
}
