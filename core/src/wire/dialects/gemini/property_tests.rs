use super::*;
use proptest::prelude::*;

const SEED: Seed = Seed { now_s: 1_787_427_094, entropy: [0xAB; 16] };

/// What the upstream refuses of messages and tools (docs/upstream.md).
fn sound(body: &Value) -> Result<(), String> {
    let mut open: Vec<String> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for message in body["messages"].as_array().ok_or("no messages")? {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().ok_or("no id")?;
            let at = open.iter().position(|one| one == id).ok_or("an orphan")?;
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Err("a call without an answer".into());
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let id = call["id"].as_str().ok_or("no id")?.to_owned();
            if !ids.insert(id.clone()) {
                return Err("an id twice".into());
            }
            open.push(id);
        }
    }
    if !open.is_empty() {
        return Err("a call without an answer".into());
    }
    if body["stop"].as_array().is_some_and(|stop| stop.len() > 4) {
        return Err("stops".into());
    }
    if body.get("tool_choice").is_some() && body.get("tools").is_none() {
        return Err("a choice without tools".into());
    }
    Ok(())
}

fn part() -> impl Strategy<Value = (bool, Value)> {
    let name = || prop::sample::select(vec!["f", "g"]);
    let id = || prop::option::of(prop::sample::select(vec!["1", "2", "call_1", "call_2"]));
    prop_oneof![
        "[a-zé]{1,6}".prop_map(|text| (true, json!({"text": text}))),
        "[a-z]{1,6}".prop_map(|text| (false, json!({"text": text, "thought": true}))),
        (name(), id()).prop_map(|(name, id)| (
            false,
            json!({"functionCall": {"name": name, "id": id, "args": {"n": 1}}})
        )),
        (name(), id(), "[a-z]{1,6}").prop_map(|(name, id, text)| {
            (true, json!({"functionResponse": {"name": name, "id": id, "response": {"output": text}}}))
        }),
    ]
}

proptest! {
    #[test]
    fn any_conversation_is_kept_and_taken_by_the_upstream(
        turns in prop::collection::vec((any::<bool>(), prop::collection::vec(part(), 0..5)), 1..8),
        stops in prop::collection::vec("[a-z]{1,3}", 0..=4),
        limit in 1u64..100_000,
    ) {
        let (mut texts, mut results, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut contents = Vec::new();
        for (model, parts) in &turns {
            let mut said = Vec::new();
            for (users, part) in parts {
                let result = part.get("functionResponse").is_some();
                let call = part.get("functionCall").is_some();
                if (result && *model) || (!users && !*model) {
                    continue;
                }
                calls += usize::from(call);
                texts.extend(part["text"].as_str().map(str::to_owned));
                results.extend(part["functionResponse"]["response"]["output"].as_str().map(str::to_owned));
                said.push(part.clone());
            }
            contents.push(json!({"role": if *model { "model" } else { "user" }, "parts": said}));
        }
        let body = json!({"contents": contents, "generationConfig": {"stopSequences": stops, "maxOutputTokens": limit}});
        match request(body.to_string().as_bytes(), None, None, SEED) {
            Err(error) => {
                prop_assert_eq!(error.param.as_ref(), "contents");
                prop_assert!(texts.is_empty() && calls == 0);
            }
            Ok(translated) => {
                let chat: Value = serde_json::from_slice(&translated.body).unwrap();
                prop_assert_eq!(sound(&chat), Ok(()), "{}", chat);
                prop_assert_eq!(&chat["max_completion_tokens"], &json!(limit));
                prop_assert_eq!(chat.get("stop").cloned().unwrap_or(json!([])), json!(stops));
                let messages = chat["messages"].as_array().unwrap();
                let made: usize = messages.iter()
                    .map(|message| message["tool_calls"].as_array().map_or(0, Vec::len)).sum();
                prop_assert_eq!(made, calls);
                // A result is that of a call, or it is left out with a note.
                let given = messages.iter()
                    .filter(|message| message["role"] == "tool" && message["content"] != "No result was given.")
                    .inspect(|message| assert!(results.iter().any(|result| message["content"] == **result)))
                    .count();
                let lost = translated.notes.all().iter().filter(|note| note.path.ends_with(".functionResponse")).count();
                prop_assert!(given + lost == results.len() || lost > 20, "{} of {:?}", chat, results);
                let all = chat["messages"].to_string();
                for text in texts {
                    prop_assert!(all.contains(&text), "{} in {}", text, all);
                }
            }
        }
    }

    #[test]
    fn any_bytes_of_a_client_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request(&bytes, None, None, SEED);
        let _ = count_tokens(&bytes);
    }

    #[test]
    fn any_json_of_a_client_is_survived(text in "[\\[\\]{}\",:a-z0-9 ]{0,80}") {
        for field in ["contents", "tools", "toolConfig", "generationConfig", "systemInstruction"] {
            let _ = request(format!("{{\"{field}\":{text}}}").as_bytes(), None, None, SEED);
        }
    }
}
