use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn scanned(body: &str) -> Scan {
    scan(body.as_bytes()).unwrap()
}

fn refused(body: &str) -> ScanError {
    scan(body.as_bytes()).unwrap_err()
}

#[test]
fn the_fields_that_matter_are_found() {
    let body = r#"{ "model" : "gpt-oss-120b", "stream":true,"max_tokens":10,"max_completion_tokens": 20,
        "n":3,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;
    let scan = scanned(body);
    let model = scan.model.clone().unwrap();
    assert_eq!(model.name, "gpt-oss-120b");
    assert_eq!(model.span.of(body.as_bytes()), b"\"gpt-oss-120b\"");
    assert!(scan.stream);
    assert_eq!((scan.max_tokens, scan.n, scan.include_usage), (Some(20), 3, Some(true)));
    assert_eq!(scan.stream_options.unwrap().of(body.as_bytes()), br#"{"include_usage":true}"#);
    let texts: Vec<_> = scan.texts().collect();
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].0.of(body.as_bytes()), br#"[{"role":"user","content":"hi"}]"#);
}

#[test]
fn fields_of_inner_objects_are_not_taken_for_top_level_ones() {
    let scan =
        scanned(r#"{"metadata":{"model":"x","stream":true,"n":5,"max_tokens":7},"a":["model","stream"]}"#);
    assert_eq!(scan.model, None);
    assert_eq!((scan.stream, scan.n, scan.max_tokens), (false, 1, None));
}

#[test]
fn member_names_may_be_written_with_escapes() {
    let scan = scanned(r#"{"mod\u0065l":"a\u0062","\u0073tream":true}"#);
    assert_eq!(scan.model.unwrap().name, "ab");
    assert!(scan.stream);
    assert_eq!(refused(r#"{"model":"a","m\u006fdel":"b"}"#), ScanError::Duplicate("model"));
}

#[test]
fn a_second_model_or_stream_is_refused_and_named() {
    let error = refused(r#"{"stream":false,"stream":true}"#);
    assert_eq!(error, ScanError::Duplicate("stream"));
    assert_eq!(error.param(), "stream");
    assert!(error.to_string().contains("`stream` more than once"));
    assert_eq!(refused(r#"{"stream":null,"stream":true}"#), ScanError::Duplicate("stream"));
}

#[test]
fn wrong_types_are_refused_with_their_field() {
    for (body, error, param) in [
        (r#"{"model":5}"#, ScanError::ModelNotString, "model"),
        (r#"{"model":null}"#, ScanError::ModelNotString, "model"),
        (r#"{"model":{"model":"x"}}"#, ScanError::ModelNotString, "model"),
        (r#"{"stream":"true"}"#, ScanError::StreamNotBoolean, "stream"),
        (r#"{"stream":1}"#, ScanError::StreamNotBoolean, "stream"),
        (r#"{"stream":[]}"#, ScanError::StreamNotBoolean, "stream"),
    ] {
        assert_eq!(refused(body), error, "{body}");
        assert_eq!(error.param(), param);
    }
    assert!(!scanned(r#"{"stream":null}"#).stream);
}

#[test]
fn a_model_name_may_have_256_bytes_and_no_more() {
    let of = |name: &str| json!({"model": name}).to_string();
    assert_eq!(scanned(&of(&"é".repeat(128))).model.unwrap().name.len(), 256);
    assert_eq!(refused(&of(&"x".repeat(257))), ScanError::ModelTooLong);
    let escaped = format!(r#"{{"model":"{}"}}"#, r"\u0078".repeat(256));
    assert_eq!(scanned(&escaped).model.unwrap().name.len(), 256);
    let escaped = format!(r#"{{"model":"{}"}}"#, r"\u0078".repeat(257));
    assert_eq!(refused(&escaped), ScanError::ModelTooLong);
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["", " \n\t "] {
        assert_eq!(refused(body), ScanError::Empty);
    }
    for body in ["[]", "\"x\"", "1", "null", "[{\"model\":1}]"] {
        assert_eq!(refused(body), ScanError::NotAnObject, "{body}");
    }
    for body in [
        "{",
        "{}x",
        "{}{}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{]",
        "\u{feff}{}",
    ] {
        assert!(matches!(refused(body), ScanError::Invalid(..)), "{body}");
    }
    assert!(refused("{}x").to_string().contains("something follows the object (byte 2)"));
}

#[test]
fn nesting_deeper_than_the_limit_is_refused_at_any_size() {
    let nested = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    assert!(scan(nested(127).as_bytes()).is_ok());
    assert_eq!(refused(&nested(128)), ScanError::TooDeep);
    assert_eq!(refused(&"{\"a\":".repeat(200_000)), ScanError::TooDeep);
}

#[test]
fn numbers_of_any_size_pass_and_limits_are_read_from_all_spellings() {
    assert!(scan(b"{\"a\":1e999999,\"b\":-123456789012345678901234567890}").is_ok());
    for (text, expected) in [
        ("100", Some(100)),
        ("1e3", Some(1000)),
        ("100.0", Some(100)),
        ("-1", None),
        ("null", None),
        ("\"5\"", None),
        ("99999999999999999999999", Some(u64::MAX)),
    ] {
        assert_eq!(scanned(&format!("{{\"max_tokens\":{text}}}")).max_tokens, expected, "{text}");
    }
    assert_eq!(scanned(r#"{"n":0}"#).n, 1);
}

#[test]
fn include_usage_is_only_what_stands_in_stream_options() {
    assert_eq!(scanned(r#"{"stream_options":{"include_usage":false}}"#).include_usage, Some(false));
    for body in [
        r#"{"stream_options":null}"#,
        r#"{"stream_options":{}}"#,
        r#"{"stream_options":{"x":{"include_usage":true}}}"#,
        r#"{"include_usage":true}"#,
    ] {
        assert_eq!(scanned(body).include_usage, None, "{body}");
    }
}

#[test]
fn a_missing_model_is_put_in_front() {
    for (body, expected) in [
        ("{}", r#"{"model":"m"}"#),
        (" { } ", r#" {"model":"m" } "#),
        (r#"{"a":1}"#, r#"{"model":"m","a":1}"#),
    ] {
        let splice = splice_model(body.as_bytes(), &scanned(body), "m");
        let new = splice.to_vec(body.as_bytes());
        assert_eq!(String::from_utf8(new.clone()).unwrap(), expected);
        assert_eq!(new.len(), splice.new_len(body.as_bytes()));
    }
}

#[test]
fn a_model_that_needs_escaping_is_escaped() {
    let body = br#"{"model":"old","n":1}"#;
    let new = splice_model(body, &scan(body).unwrap(), "a\"b\\c\nd").to_vec(body);
    assert_eq!(serde_json::from_slice::<Value>(&new).unwrap(), json!({"model": "a\"b\\c\nd", "n": 1}));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["model", "stream", "messages", "n", "usage", "", "\"model\":"])
            .prop_map(String::from),
        "\\PC{0,40}",
        prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body that is right, or nearly: written compactly, prettily or with everything escaped, then perhaps damaged.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let whole = (prop::collection::vec((text(), tree()), 0..6), 0..3_u8).prop_map(|(members, style)| {
        let mut object: serde_json::Map<_, _> = members.into_iter().collect();
        for (name, fits) in [("model", Value::is_string as fn(&Value) -> bool), ("stream", Value::is_boolean)]
        {
            if object.get(name).is_some_and(|value| !fits(value)) {
                object.remove(name);
            }
        }
        match style {
            0 => serde_json::to_vec(&object).unwrap(),
            1 => serde_json::to_vec_pretty(&object).unwrap(),
            _ => escaped(&serde_json::to_string(&object).unwrap()),
        }
    });
    let damage = prop_oneof![
        3 => Just(None),
        2 => (any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:\\ue0-.1tn \n\x01\xc3\xff".to_vec())).prop_map(Some),
    ];
    (whole, damage, any::<bool>()).prop_map(|(mut body, damage, replace)| {
        if let Some((at, byte)) = damage {
            let at = at.index(body.len());
            if replace {
                body[at] = byte;
            } else {
                body.insert(at, byte);
            }
        }
        body
    })
}

/// All that is not ASCII as `\u` escapes, as Python's `json.dumps` writes it.
fn escaped(text: &str) -> Vec<u8> {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04X}"));
            }
        }
    }
    out.into_bytes()
}

fn agrees_with_serde(body: &[u8]) {
    let ours = scan(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => match ours {
            Ok(scan) => {
                let model = object.get("model").and_then(Value::as_str);
                assert_eq!(scan.model.as_ref().map(|m| m.name.as_str()), model);
                assert_eq!(scan.stream, object.get("stream") == Some(&Value::Bool(true)));
            }
            // These are refused on purpose, whatever serde says.
            Err(
                ScanError::Duplicate(_)
                | ScanError::ModelNotString
                | ScanError::StreamNotBoolean
                | ScanError::ModelTooLong,
            ) => {}
            Err(error) => {
                panic!("serde takes it, the scan says {error}: {:?}", String::from_utf8_lossy(body))
            }
        },
        Ok(_) => assert_eq!(ours, Err(ScanError::NotAnObject)),
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(ours.is_err(), "serde says {error}: {:?}", String::from_utf8_lossy(body)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(800) })]

    #[test]
    fn the_scan_takes_what_serde_takes(body in bodies()) {
        agrees_with_serde(&body);
    }

    #[test]
    fn arbitrary_bytes_are_judged_as_serde_judges_them(body in prop::collection::vec(any::<u8>(), 0..200)) {
        agrees_with_serde(&body);
        let mut object = b"{\"a\":\"".to_vec();
        object.extend_from_slice(&body);
        agrees_with_serde(&object);
        object.extend_from_slice(b"\"}");
        agrees_with_serde(&object);
    }

    #[test]
    fn json_like_noise_is_judged_as_serde_judges_it(body in "\\{\"[a-c\\\\u0-9\"]{0,9}\":[-+0-9.eE\\[\\]{}\",:tfnrualse \\\\]{0,20}\\}?") {
        agrees_with_serde(body.as_bytes());
    }

    #[test]
    fn only_the_model_changes_when_it_is_spliced(body in bodies(), model in text()) {
        // serde refuses numbers that are too large for it, so such a body has no tree to compare.
        if let (Ok(scan), Ok(mut expected)) = (scan(&body), serde_json::from_slice::<Value>(&body)) {
            expected["model"] = Value::from(model.as_str());
            let new = splice_model(&body, &scan, &model).to_vec(&body);
            prop_assert_eq!(serde_json::from_slice::<Value>(&new).unwrap(), expected);
        }
    }
}

/// Bytes a second of the scan; run in release: `cargo test --release -- --ignored --nocapture throughput`.
#[test]
#[ignore = "a measurement, for the release profile"]
fn throughput_of_the_scan() {
    let shapes = [
        ("one long ASCII string", "lorem ipsum dolor sit amet, ".repeat(40_000)),
        ("source code with escapes", "fn main() {\n\tlet x = \"a\\b\";\n}\n".repeat(40_000)),
        ("Chinese", "机器学习是人工智能的一个分支。".repeat(25_000)),
    ];
    for (name, text) in shapes {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
        measure(name, body.as_bytes());
        if !body.is_ascii() {
            measure("the same with \\u escapes", &escaped(&body));
        }
    }
    let many: Vec<Value> =
        (0..20_000).map(|n| json!({"role": "user", "content": format!("hello {n}")})).collect();
    measure("many short messages", json!({"model": "m", "messages": many}).to_string().as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "a measurement on the native target needs a clock")]
fn measure(name: &str, body: &[u8]) {
    let best = (0..30)
        .map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(scan(std::hint::black_box(body))).unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    println!("{name}: {:.0} MB/s over {} bytes", body.len() as f64 / best.as_secs_f64() / 1e6, body.len());
}

#[test]
fn a_body_is_recognised_when_it_is_sent_again() {
    let body = |text: &str| format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
    let of = |text: &str| fingerprint(body(text).as_bytes());
    assert_eq!(of("Hello"), of("Hello"));
    assert_ne!(of("Hello"), of("Hallo"));
    let long = "x".repeat(100_000);
    assert_eq!(of(&long), of(&long));
    assert_ne!(of(&long), of(&format!("{long}x")));
    assert_ne!(of(&long), of(&format!("{}y", "x".repeat(99_999))));
    assert_ne!(fingerprint(b""), fingerprint(b"{}"));
}
