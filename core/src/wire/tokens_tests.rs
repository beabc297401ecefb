use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::json::scan;

#[path = "tokens_fixture.rs"]
mod fixture;

/// Sum of estimates over sum of true counts.
fn ratio(kind: &str) -> f64 {
    let of_kind = || fixture::TEXTS.iter().filter(|(k, ..)| *k == kind);
    assert!(of_kind().count() >= 5);
    let estimated: u64 = of_kind().map(|(_, _, text)| estimate_tokens(text)).sum();
    let real: u64 = of_kind().map(|(_, real, _)| real).sum();
    println!("{kind}: {estimated} for {real}");
    estimated as f64 / real as f64
}

#[test]
fn prose_chinese_and_code_are_within_a_tenth_in_sum() {
    for kind in ["english", "chinese", "code"] {
        let ratio = ratio(kind);
        assert!((0.9..=1.1).contains(&ratio), "{kind}: {ratio}");
    }
}

#[test]
fn other_languages_are_within_a_fifth_in_sum() {
    let ratio = ratio("other");
    assert!((0.8..=1.2).contains(&ratio), "{ratio}");
}

#[test]
fn no_single_text_is_off_by_a_third() {
    for (kind, real, text) in fixture::TEXTS {
        let ratio = estimate_tokens(text) as f64 / *real as f64;
        assert!((0.67..=1.33).contains(&ratio), "{kind} {ratio}: {text}");
    }
}

#[test]
fn nothing_is_nothing_and_anything_is_at_least_one() {
    assert_eq!(estimate_tokens(""), 0);
    for text in ["a", ".", "好", "😀", "\n", "7", "a b"] {
        assert!(estimate_tokens(text) >= 1, "{text}");
    }
}

fn prompt(body: &Value) -> u64 {
    let body = serde_json::to_vec(body).unwrap();
    estimate_prompt(&body, &scan(&body).unwrap())
}

fn chat(content: &Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

#[test]
fn a_prompt_counts_its_texts_its_messages_and_its_tools() {
    let text = fixture::TEXTS[0].2;
    let one = prompt(&chat(&json!(text)));
    assert!(one.abs_diff(estimate_tokens(text)) <= 10, "{one}");
    assert_eq!(
        prompt(&chat(&json!([{"type": "text", "text": text}]))).abs_diff(one),
        1,
        "the part's type is one word"
    );
    let message = json!({"role": "user", "content": text});
    let ten = prompt(&json!({"messages": vec![message; 10]}));
    assert!(ten > one * 9 && ten < one * 10);
    let mut with_tools = chat(&json!(text));
    with_tools["tools"] =
        serde_json::from_str(fixture::TEXTS.iter().find(|(_, _, t)| t.starts_with('{')).unwrap().2)
            .map(|tool: Value| json!([{"type": "function", "function": tool}]))
            .unwrap();
    assert!((one + 30..one + 120).contains(&prompt(&with_tools)));
    assert!(prompt(&json!({"model": "m", "user": text})) < 5, "what the model does not read is not counted");
    assert_eq!(prompt(&json!({"prompt": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]})), 13);
}

#[test]
fn images_count_the_same_whatever_their_size() {
    let image = |n: usize| {
        chat(
            &json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "iVBOR".repeat(n))}}]),
        )
    };
    assert_eq!(prompt(&image(10)), prompt(&image(200_000)));
    let bare = |n: usize| chat(&json!([{"type": "image", "source": {"data": "iVBOR".repeat(n)}}]));
    assert_eq!(prompt(&bare(10_000)), prompt(&bare(200_000)));
    // A long text of one word is still a text.
    assert!(prompt(&chat(&json!("word ".repeat(10_000)))) > 9_000);
}

#[test]
fn a_long_text_is_sampled_without_losing_its_size() {
    let text: String =
        fixture::TEXTS.iter().map(|(_, _, text)| *text).collect::<Vec<_>>().join("\n\n").repeat(60);
    let whole = estimate_tokens(&text) as f64;
    assert!(text.len() > 2 * SAMPLE_FROM);
    for body in [
        serde_json::to_string(&chat(&json!(text))).unwrap(),
        ascii(&serde_json::to_string(&chat(&json!(text))).unwrap()),
    ] {
        let sampled = estimate_prompt(body.as_bytes(), &scan(body.as_bytes()).unwrap()) as f64;
        assert!((0.93..1.07).contains(&(sampled / whole)), "{sampled} for {whole}");
    }
}

/// As Python's `json.dumps` writes it.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_in_pieces_counts_as_the_text_whole(pieces in prop::collection::vec("[a-zA-Z0-9é好。 .\n😀]{0,6}", 0..10)) {
        let mut estimator = TokenEstimator::new();
        pieces.iter().for_each(|piece| estimator.feed(piece));
        prop_assert_eq!(estimator.tokens(), estimate_tokens(&pieces.concat()));
    }

    #[test]
    fn escapes_count_as_what_they_stand_for(text in "([a-zA-Z]{1,5}|\\PC|[\"\\\\\n\r\t\u{1}/]){0,40}") {
        let json = serde_json::to_string(&text).unwrap();
        for raw in [json.clone(), ascii(&json)] {
            let mut estimator = TokenEstimator::new();
            estimator.feed_json(&raw.as_bytes()[1..raw.len() - 1]);
            prop_assert_eq!(estimator.tokens(), estimate_tokens(&text), "{}", raw);
        }
    }

    #[test]
    fn no_bytes_make_it_fail(raw in prop::collection::vec(any::<u8>(), 0..100)) {
        TokenEstimator::new().feed_json(&raw);
    }
}

/// Bytes a second; run in release: `cargo test --release -- --ignored --nocapture throughput`.
#[test]
#[ignore = "a measurement, for the release profile"]
#[expect(clippy::disallowed_methods, reason = "a measurement on the native target needs a clock")]
fn throughput_of_the_estimator() {
    for kind in ["english", "chinese", "code"] {
        let text: String = fixture::TEXTS
            .iter()
            .filter(|(k, ..)| *k == kind)
            .map(|(_, _, text)| *text)
            .collect::<String>()
            .repeat(50);
        let text: String = text.chars().take(30_000).collect();
        let start = std::time::Instant::now();
        for _ in 0..100 {
            std::hint::black_box(estimate_tokens(std::hint::black_box(&text)));
        }
        println!(
            "estimator, {kind}: {:.0} MB/s",
            text.len() as f64 * 100.0 / start.elapsed().as_secs_f64() / 1e6
        );
    }
}
