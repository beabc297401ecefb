//! How many parts a body has: what is read into structs costs memory by their number, not by the body's length.

use super::refused;
use crate::limits::request::BODY_PARTS;
use crate::wire::errors::ApiError;
use memchr::{memchr, memchr2};

/// Whether a body has more objects, lists and commas than may be read into structs. Texts may hold any number of them.
/// In a body that is no JSON it counts up to where a reader would stop at the least.
#[must_use]
pub fn too_many_parts(body: &[u8]) -> bool {
    has_more_than(BODY_PARTS, body)
}

fn has_more_than(bound: usize, body: &[u8]) -> bool {
    // Each is a byte.
    if body.len() <= bound {
        return false;
    }
    let (mut rest, mut parts) = (body, 0);
    loop {
        let quote = memchr(b'"', rest).unwrap_or(rest.len());
        let (outside, text) = rest.split_at_checked(quote).unwrap_or((rest, &[]));
        parts += outside.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
        if parts > bound {
            return true;
        }
        match behind_text(text) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
}

/// What stands behind the text that starts here with its quote.
fn behind_text(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.get(1..)?;
    loop {
        let at = memchr2(b'"', b'\\', rest)?;
        match rest.get(at) {
            Some(b'"') => return rest.get(at + 1..),
            // What is escaped ends no text.
            _ => rest = rest.get(at + 2..)?,
        }
    }
}

/// 400: see [`too_many_parts`].
#[must_use]
pub fn too_many_parts_refusal() -> ApiError {
    let message = format!(
        "The request has more than {BODY_PARTS} values, too many to translate. Send fewer messages or smaller schemas, or use /v1/chat/completions."
    );
    refused("too_many_parts", "", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_may_have_as_many_parts_as_the_bound_says() {
        for one in ["{},", "[],", " , ,", "{\"\\\"\":[\",\"]},", "[\"\\\\\","] {
            let each = if one.starts_with("{\"") { 3 } else { 2 };
            let fits = one.repeat(BODY_PARTS / each);
            assert!(!too_many_parts(fits.as_bytes()), "{one}");
            assert!(too_many_parts(format!("{fits}{one}").as_bytes()), "{one}");
        }
    }

    #[test]
    fn texts_do_not_count() {
        let text = "{[,".repeat(BODY_PARTS);
        assert!(!too_many_parts(format!("{{\"a\":\"{text}\"}}").as_bytes()));
        assert!(!too_many_parts(format!("{{\"a\":\"\\\"{text}").as_bytes()));
        assert!(too_many_parts(format!("{{\"a\":\"\\\\\"{text}").as_bytes()));
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let error = too_many_parts_refusal();
        assert_eq!(
            (error.status, error.code.as_ref(), error.should_retry),
            (400, "too_many_parts", Some(false))
        );
    }

    proptest! {
        #[test]
        fn it_counts_what_stands_outside_of_texts(texts in prop::collection::vec("[a\"\\\\,{\\[é]{0,6}", 1..20)) {
            let body = serde_json::json!({"k": texts, "l": {}}).to_string();
            // Two braces, a bracket, the comma between the members and those of the list.
            let parts = 4 + texts.len() - 1;
            prop_assert!(has_more_than(parts - 1, body.as_bytes()));
            prop_assert!(!has_more_than(parts, body.as_bytes()));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = has_more_than(0, &bytes);
        }
    }
}
