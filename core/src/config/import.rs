//! Pasted keys: one text of many, split into pieces.

use super::FieldError;
use crate::limits::input::{BATCH_KEYS, UPSTREAM_KEY_BYTES};

/// Shortest upstream key. What is shorter is a slip of the hand, and could not be masked.
pub const KEY_MIN_BYTES: usize = 12;

/// Splits a text on newlines, commas, semicolons and white space; quotes around a piece are left away, as they
/// come along from `.env` files and JSON.
fn pieces(input: &str) -> impl Iterator<Item = &str> {
    let parts = input.split(|c: char| c == ',' || c == ';' || c.is_whitespace() || c == '\u{feff}');
    parts.map(|part| part.trim_matches(['"', '\''])).filter(|piece| !piece.is_empty())
}

/// The keys of a variable of the environment, as many as it holds.
#[must_use]
pub fn split_keys(input: &str) -> Vec<String> {
    pieces(input).map(str::to_owned).collect()
}

/// The keys of a batch.
///
/// # Errors
/// Names `input` when it holds none or more than [`BATCH_KEYS`].
pub fn split_batch(input: &str) -> Result<Vec<&str>, FieldError> {
    let mut found = Vec::new();
    for piece in pieces(input) {
        if found.len() == BATCH_KEYS {
            return Err(FieldError::new(
                "input",
                format!("holds more than {BATCH_KEYS} keys; send them in pieces"),
            ));
        }
        found.push(piece);
    }
    if found.is_empty() {
        return Err(FieldError::new("input", "holds no key"));
    }
    Ok(found)
}

/// What is wrong with a key, if anything. It goes into a header, so only visible ASCII passes.
///
/// # Errors
/// A sentence without any part of the key.
pub fn check_key(key: &str) -> Result<(), String> {
    if key.len() < KEY_MIN_BYTES {
        Err(format!("must be at least {KEY_MIN_BYTES} characters"))
    } else if key.len() > UPSTREAM_KEY_BYTES {
        Err(format!("must be at most {UPSTREAM_KEY_BYTES} bytes"))
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("must hold visible ASCII characters only".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_separator_and_any_run_of_them_splits() {
        let input = "a1\nb2,c3;d4 e5\t f6\r\n\r\n,,;g7\u{a0}h8,";
        assert_eq!(split_batch(input).unwrap(), ["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"]);
    }

    #[test]
    fn quotes_around_a_key_are_no_part_of_it() {
        assert_eq!(split_keys("csk-a,csk-b ; csk-c"), ["csk-a", "csk-b", "csk-c"]);
        assert_eq!(split_batch("\"csk-a\", 'csk-b'").unwrap(), ["csk-a", "csk-b"]);
    }

    #[test]
    fn an_input_without_a_key_is_refused() {
        for input in ["", " \n,;", "\"\""] {
            assert_eq!(split_batch(input).unwrap_err().field, "input", "{input:?}");
        }
    }

    #[test]
    fn ten_thousand_keys_pass_and_one_more_does_not() {
        let exact = "k ".repeat(BATCH_KEYS);
        assert_eq!(split_batch(&exact).unwrap().len(), BATCH_KEYS);
        assert!(split_batch(&format!("{exact} k")).unwrap_err().problem.contains("10000"));
    }

    #[test]
    fn a_key_is_visible_ascii_of_a_sane_length() {
        assert_eq!(check_key("csk-0123456789"), Ok(()));
        for key in
            ["csk-short", "csk-with a space", "csk-ключключ", "csk-\u{7f}0123456789", &"k".repeat(4_097)]
        {
            let problem = check_key(key).unwrap_err();
            assert!(!problem.contains(key), "the key itself is not shown");
        }
    }
}
