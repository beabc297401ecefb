use super::tests::cleaned;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    some_value(vec![
        "store",
        "metadata",
        "messages",
        "content",
        "role",
        "tools",
        "function",
        "functions",
        "function_call",
        "tool_calls",
        "cache_control",
        "reasoning",
        "reasoning_content",
        "effort",
        "refusal",
        "x",
        "maxTokens",
    ])
}

fn some_value(names: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\é\n]{0,8}".prop_map(Value::from),
        Just(json!("assistant")),
        Just(json!(["text"])),
    ];
    let name = prop::sample::select(names);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether a field that is left out anywhere is still there.
fn left(value: &Value) -> bool {
    let names = ["store", "metadata", "maxTokens", "functions", "function_call", "reasoning"];
    names.iter().any(|name| value.get(name).is_some())
        || value["messages"].as_array().into_iter().flatten().any(|message| {
            ["refusal", "cache_control", "reasoning_content", "function_call"]
                .iter()
                .any(|name| message.get(name).is_some())
        })
}

/// What is to be left of a value when all that is done is leaving fields out.
fn pruned(level: Level, value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let dropped =
        |name: &str| RULES.iter().any(|rule| (rule.level, rule.name, rule.act) == (level, name, Act::Drop));
    let kept = map.iter().filter(|(name, _)| !dropped(name)).map(|(name, value)| {
        let value = match (walk::inside(level, name.as_bytes()), value) {
            (Some((inner, true)), Value::Array(list)) => list.iter().map(|one| pruned(inner, one)).collect(),
            (Some((inner, false)), value) => pruned(inner, value),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(kept.collect())
}

proptest! {
    #[test]
    fn fields_are_left_out_where_the_table_says_and_no_byte_else_changes(
        value in some_value(vec![
            "messages", "content", "tool_calls", "tools", "function", "stream_options", "x", "role", "store",
            "metadata", "cache_control", "refusal", "annotations", "include_obfuscation", "thinking",
        ]),
    ) {
        let body = value.to_string();
        let wanted = pruned(Level::Top, &value).to_string();
        prop_assert_eq!(clean(body.as_bytes()).is_some(), body != wanted);
        prop_assert_eq!(cleaned(&body).0, wanted);
    }

    #[test]
    fn the_quick_look_misses_nothing(value in value(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert!(suspicious(&body) || walk::clean(&body).is_none(), "{}", value);
    }

    #[test]
    fn what_is_cleaned_is_sound_and_needs_no_more_cleaning(value in value(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        match clean(&body) {
            None => prop_assert!(!value.is_object() || !left(&value), "{}", value),
            Some((new, notes)) => {
                let new_value: Value = serde_json::from_slice(&new).map_err(|_| TestCaseError::fail(String::from_utf8_lossy(&new).into_owned()))?;
                prop_assert!(!left(&new_value), "{} of {}", new_value, value);
                prop_assert!(!notes.all().is_empty());
                prop_assert_eq!(clean(&new), None, "{}", new_value);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",: a-z0-9]{0,80}") {
        for body in [&bytes, text.as_bytes(), format!("{{\"store\":{text}}}").as_bytes()] {
            let _ = clean(body);
            let _ = walk::clean(body);
            let _ = strict_schema_fault(body);
        }
    }
}
