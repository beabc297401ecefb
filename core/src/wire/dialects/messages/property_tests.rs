//! Whatever comes, nothing is lost and nothing panics.

use super::testing::{SEED, added_up, chat, names, translated, upstream, with};
use crate::wire::cleanup::strict_schema_fault;
use crate::wire::errors::ApiError;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A turn of a generated conversation.
#[derive(Clone, Debug)]
enum Turn {
    User { texts: Vec<String>, system: bool },
    Assistant { text: String, thinking: String, calls: Vec<Called> },
}

#[derive(Clone, Debug)]
struct Called {
    id: u8,
    argument: i32,
    result: String,
    blocks: bool,
    failed: bool,
}

fn word() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\]{1,8}"
}

fn turn() -> impl Strategy<Value = Turn> {
    let called = (any::<u8>(), any::<i32>(), word(), any::<bool>(), any::<bool>())
        .prop_map(|(id, argument, result, blocks, failed)| Called { id, argument, result, blocks, failed });
    prop_oneof![
        (prop::collection::vec(word(), 1..3), prop::bool::weighted(0.2))
            .prop_map(|(texts, system)| Turn::User { texts, system }),
        (word(), "[a-z]{0,5}", prop::collection::vec(called, 0..4))
            .prop_map(|(text, thinking, calls)| Turn::Assistant { text, thinking, calls }),
    ]
}

/// The messages of the dialect. The user's texts after a turn with calls come in the message of the results.
fn written(turns: &[Turn], shuffled: bool) -> Value {
    let mut messages = Vec::new();
    for turn in turns {
        match turn {
            Turn::User { texts, system } => {
                let blocks: Vec<Value> = texts
                    .iter()
                    .map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}))
                    .collect();
                messages.push(json!({"role": if *system { "system" } else { "user" }, "content": blocks}));
            }
            Turn::Assistant { text, thinking, calls } => {
                let mut ids = std::collections::HashSet::new();
                let calls: Vec<&Called> = calls.iter().filter(|call| ids.insert(call.id)).collect();
                let mut blocks = vec![
                    json!({"type": "thinking", "thinking": thinking, "signature": "s"}),
                    json!({"type": "text", "text": text}),
                ];
                blocks.extend(calls.iter().map(|call| {
                    json!({"type": "tool_use", "id": format!("t_{}", call.id), "name": "f", "input": {"n": call.argument}})
                }));
                messages.push(json!({"role": "assistant", "content": blocks}));
                let mut results: Vec<Value> = calls
                    .iter()
                    .map(|call| {
                        let content =
                            if call.blocks { json!([{"type": "text", "text": call.result}]) } else { json!(call.result) };
                        json!({"type": "tool_result", "tool_use_id": format!("t_{}", call.id), "content": content, "is_error": call.failed})
                    })
                    .collect();
                if shuffled {
                    results.reverse();
                }
                if !results.is_empty() {
                    messages.push(json!({"role": "user", "content": results}));
                }
            }
        }
    }
    json!(messages)
}

/// Checks what the upstream checks, and gives all that is said with its role, calls and results in their order.
fn heard(chat: &Value) -> Vec<(String, String)> {
    let mut heard = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for message in chat["messages"].as_array().unwrap() {
        let role = message["role"].as_str().unwrap();
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap();
            let at = open.iter().position(|waiting| waiting == id).expect("a result of an open call");
            open.remove(at);
        } else {
            assert!(open.is_empty(), "each call is answered at once");
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let id = call["id"].as_str().unwrap();
            assert!(seen.insert(id.to_owned()), "ids are seen once");
            open.push(id.to_owned());
            heard.push(("call".to_owned(), call["function"]["arguments"].as_str().unwrap().to_owned()));
        }
        if let Some(reasoning) = message["reasoning"].as_str() {
            heard.push(("reasoning".to_owned(), reasoning.to_owned()));
        }
        if let Some(content) = message["content"].as_str() {
            heard.push((role.to_owned(), content.to_owned()));
        }
    }
    assert!(open.is_empty());
    heard
}

/// What has to be heard, in order.
fn expected(turns: &[Turn]) -> Vec<(&'static str, Vec<String>)> {
    let mut said = Vec::new();
    for turn in turns {
        match turn {
            Turn::User { texts, system } => {
                said.push((if *system { "system" } else { "user" }, texts.clone()))
            }
            Turn::Assistant { text, thinking, calls } => {
                let mut ids = std::collections::HashSet::new();
                let calls: Vec<&Called> = calls.iter().filter(|call| ids.insert(call.id)).collect();
                said.extend(calls.iter().map(|call| ("call", vec![format!("{{\"n\":{}}}", call.argument)])));
                if !thinking.is_empty() {
                    said.push(("reasoning", vec![thinking.clone()]));
                }
                said.push(("assistant", vec![text.clone()]));
                said.extend(calls.iter().map(|call| ("tool", vec![call.result.clone()])));
            }
        }
    }
    said
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn fed(body: &Value, pieces: &[&[u8]]) -> String {
    let mut stream = translated(body).answering.stream();
    let mut out = Vec::new();
    pieces.iter().for_each(|piece| stream.feed(piece, &mut out));
    stream.end(&ApiError::stream_interrupted(), &mut out);
    String::from_utf8(out).unwrap()
}

fn delta() -> impl Strategy<Value = Value> {
    prop_oneof![
        word().prop_map(|text| json!({"content": text})),
        word().prop_map(|text| json!({"reasoning": text})),
        (0..3_u64, prop::option::of("[ab]"), prop::option::of("[fg]?"), word()).prop_map(|(index, id, name, arguments)| {
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
        }),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "format": "date", "pattern": "^a"})),
        Just(json!({"type": ["object", "null"]})),
        Just(json!({"type": "object", "additionalProperties": true})),
        Just(json!({"$ref": "#/$defs/a"})),
        Just(json!(true)),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-c]|pattern|format", inner.clone(), 0..3)
                .prop_map(|properties| json!({"type": "object", "properties": properties})),
            (inner.clone(), "items|not|definitions|additionalProperties")
                .prop_map(|(schema, name)| json!({(name): schema, "minItems": 1})),
            (prop::collection::vec(inner, 1..3), "anyOf|oneOf|prefixItems")
                .prop_map(|(schemas, name)| json!({(name): schemas})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn conversations_keep_all_that_was_said_in_an_order_that_the_upstream_takes(
        first in word(),
        turns in prop::collection::vec(turn(), 0..6),
        shuffled in any::<bool>(),
    ) {
        let mut all = vec![Turn::User { texts: vec![first], system: false }];
        // Turns of the assistant that follow one another are one turn to both sides; that has its own test.
        for turn in turns {
            if matches!(turn, Turn::Assistant { .. }) && matches!(all.last(), Some(Turn::Assistant { .. })) {
                all.push(Turn::User { texts: vec!["and".to_owned()], system: false });
            }
            all.push(turn);
        }
        let chat = chat(&json!({"model": "m", "max_tokens": 9, "messages": written(&all, shuffled)}));
        let heard = heard(&chat);
        let expected = expected(&all);
        prop_assert_eq!(heard.len(), expected.len());
        for ((role, text), (expected, texts)) in heard.iter().zip(&expected) {
            prop_assert_eq!(role, expected);
            for part in texts {
                prop_assert!(text.contains(part.as_str()));
            }
        }
    }

    /// Interrupted, cut at its beginning, ids used twice: whatever a client kept of a conversation.
    #[test]
    fn conversations_in_any_state_become_ones_that_the_upstream_takes(
        messages in prop::collection::vec((0..5_u8, prop::collection::vec((any::<bool>(), "[ab]"), 0..4)), 1..8),
    ) {
        let (mut texts, mut calls) = (0, 0);
        let messages: Vec<Value> = messages
            .iter()
            .map(|(role, blocks)| {
                let blocks: Vec<Value> = blocks
                    .iter()
                    .map(|(text, id)| {
                        if *text || *role == 4 {
                            texts += 1;
                            return json!({"type": "text", "text": format!("<{texts}>")});
                        }
                        if *role < 2 {
                            calls += 1;
                            return json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
                        }
                        json!({"type": "tool_result", "tool_use_id": id, "content": "done"})
                    })
                    .collect();
                let role = match role {
                    0 | 1 => "assistant",
                    2 | 3 => "user",
                    _ => "system",
                };
                json!({"role": role, "content": blocks})
            })
            .collect();
        prop_assume!(texts + calls > 0);
        let chat = chat(&json!({"model": "m", "max_tokens": 9, "messages": messages}));
        let heard = heard(&chat);
        prop_assert_eq!(heard.iter().filter(|(role, _)| role == "call").count(), calls);
        prop_assert_eq!(heard.iter().filter(|(role, _)| role == "tool").count(), calls);
        for text in 1..=texts {
            let text = format!("<{text}>");
            prop_assert_eq!(heard.iter().map(|(_, said)| said.matches(&text).count()).sum::<usize>(), 1);
        }
    }

    #[test]
    fn strict_schemas_have_nothing_that_the_upstream_refuses(schema in schema()) {
        let tools = json!([{"name": "f", "strict": true, "input_schema": {"type": "object", "properties": {"a": schema}}}]);
        let request = translated(&with(json!({"tools": tools})));
        prop_assert_eq!(strict_schema_fault(&request.body), None);
        let format = json!({"type": "json_schema", "schema": {"type": "object", "properties": {"a": schema}}});
        let request = translated(&with(json!({"output_format": format})));
        prop_assert_eq!(strict_schema_fault(&request.body), None);
    }

    #[test]
    fn limits_and_sampling_keep_their_values(
        max_tokens in 1..200_000_u64,
        // As people write them: of seventeen digits the JSON reader may miss the last.
        temperature in prop::option::of((0..=100_u8).prop_map(|n| f64::from(n) / 100.0)),
        top_p in prop::option::of((0..=100_u8).prop_map(|n| f64::from(n) / 100.0)),
        stop in prop::collection::hash_set("[a-z]{1,5}", 0..5),
        stream in any::<bool>(),
    ) {
        let chat = chat(&with(json!({"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p,
            "stop_sequences": stop, "stream": stream})));
        prop_assert_eq!(&chat["max_completion_tokens"], max_tokens);
        prop_assert_eq!(chat["temperature"].as_f64(), temperature);
        prop_assert_eq!(chat["top_p"].as_f64(), top_p);
        prop_assert_eq!(&chat["stream"], stream);
        let sent: std::collections::HashSet<String> = serde_json::from_value(chat.get("stop").cloned().unwrap_or(json!([]))).unwrap();
        prop_assert_eq!(sent, stop);
    }

    #[test]
    fn cuts_of_the_upstreams_bytes_change_nothing(
        deltas in prop::collection::vec(delta(), 0..8),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        until in any::<usize>(),
        thinking in any::<bool>(),
    ) {
        let body = if thinking { with(json!({"thinking": {"type": "adaptive"}})) } else { with(json!({})) };
        let upstream = upstream(&deltas, "stop");
        let bytes = &upstream.as_bytes()[..until % (upstream.len() + 1)];
        prop_assert_eq!(fed(&body, &pieces(bytes, &cuts)), fed(&body, &[bytes]));
    }

    #[test]
    fn streams_have_blocks_one_after_the_other_and_one_end(
        deltas in prop::collection::vec(delta(), 0..10),
        whole in any::<bool>(),
    ) {
        let upstream = upstream(&deltas, "stop");
        let bytes = if whole { upstream.as_bytes() } else { &upstream.as_bytes()[..upstream.len() / 2] };
        let stream = fed(&with(json!({"thinking": {"type": "adaptive"}})), &[bytes]);
        let names = names(&stream);
        let mut open = false;
        for (at, name) in names.iter().enumerate() {
            match name.as_str() {
                "message_start" => prop_assert_eq!(at, 0),
                "content_block_start" => prop_assert!(!std::mem::replace(&mut open, true)),
                "content_block_delta" => prop_assert!(open),
                "content_block_stop" => prop_assert!(std::mem::replace(&mut open, false)),
                "message_delta" => prop_assert!(!open && at + 2 == names.len()),
                "message_stop" | "error" => prop_assert_eq!(at + 1, names.len()),
                name => prop_assert!(false, "{}", name),
            }
        }
        prop_assert!(matches!(names.last().map(String::as_str), Some("message_stop" | "error")));
    }

    #[test]
    fn a_stream_adds_up_to_the_whole_answer(
        reasoning in prop::collection::vec(word(), 0..3),
        content in prop::collection::vec(word(), 0..3),
        calls in prop::collection::vec((prop::option::of("[ab]|b:"), any::<i32>()), 0..4),
        finish in "stop|length|tool_calls|content_filter",
        display in "summarized|omitted|none",
    ) {
        let mut deltas = vec![json!({"role": "assistant"})];
        deltas.extend(reasoning.iter().map(|text| json!({"reasoning": text})));
        deltas.extend(content.iter().map(|text| json!({"content": text})));
        let mut whole_calls = Vec::new();
        for (index, (id, argument)) in calls.iter().enumerate() {
            deltas.push(json!({"tool_calls": [{"index": index, "id": id, "function": {"name": "f", "arguments": "{\"n\":"}}]}));
            deltas.push(json!({"tool_calls": [{"index": index, "function": {"arguments": format!("{argument}}}")}}]}));
            whole_calls.push(json!({"id": id, "function": {"name": "f", "arguments": format!("{{\"n\":{argument}}}")}}));
        }
        let body = match display.as_str() {
            "none" => with(json!({})),
            display => with(json!({"thinking": {"type": "adaptive", "display": display}})),
        };
        let message = json!({"reasoning": reasoning.concat(), "content": content.concat(), "tool_calls": whole_calls});
        let usage = json!({"prompt_tokens": 15, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}});
        let whole = json!({"model": "gpt-oss-120b", "choices": [{"message": message, "finish_reason": finish}], "usage": usage});
        let whole = translated(&body).answering.whole(whole.to_string().as_bytes()).unwrap();
        prop_assert_eq!(
            added_up(&fed(&body, &[upstream(&deltas, &finish).as_bytes()])),
            serde_json::from_slice::<Value>(&whole).unwrap()
        );
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte in any::<u8>()) {
        let _ = super::request(&bytes, SEED);
        let _ = super::count(&bytes, SEED);
        let _ = translated(&with(json!({}))).answering.whole(&bytes);
        fed(&with(json!({})), &[bytes.as_slice()]);

        let mut damaged = include_bytes!("fixtures/agent.json").to_vec();
        let length = damaged.len();
        damaged[at % length] = byte;
        let _ = super::request(&damaged, SEED);

        let mut damaged = upstream(&[json!({"content": "x"}), json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]})], "stop").into_bytes();
        let length = damaged.len();
        damaged[at % length] = byte;
        fed(&with(json!({})), &[damaged.as_slice()]);
    }
}
