//! How hard a text is to guess, at most: what keeps `aaaa…` and `change-me` from being a key.

/// The upper bound of a text's entropy in bits, from its length and the smallest usual alphabet that holds it:
/// decimal, hexadecimal (hyphens of a UUID not counted) or base64url. A random text is worth about this much; a
/// text somebody thought of is worth less, which no program can see.
pub(super) fn bits_at_most(text: &str) -> u32 {
    let counted = text.chars().filter(|c| *c != '-').count();
    let centibits = if text.chars().all(|c| c.is_ascii_digit() || c == '-') {
        counted.saturating_mul(332)
    } else if text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        counted.saturating_mul(400)
    } else {
        text.chars().count().saturating_mul(600)
    };
    u32::try_from(centibits / 100).unwrap_or(u32::MAX)
}

/// What gives a text away as not random, if anything does; completes "… {reason}".
pub(super) fn not_random(text: &str) -> Option<&'static str> {
    let mut seen: Vec<char> = Vec::with_capacity(FEWEST_CHARACTERS);
    for c in text.chars() {
        if seen.len() < FEWEST_CHARACTERS && !seen.contains(&c) {
            seen.push(c);
        }
    }
    if seen.len() < FEWEST_CHARACTERS {
        return Some("has too few different characters");
    }
    if (1..=LONGEST_PERIOD).any(|period| text.chars().zip(text.chars().skip(period)).all(|(a, b)| a == b)) {
        return Some("repeats itself");
    }
    let lower = text.to_ascii_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Some("is a placeholder");
    }
    None
}

/// 32 random hexadecimal digits have fewer different ones than this once in 30 million times.
const FEWEST_CHARACTERS: usize = 8;
/// A text that repeats a block of at most this many characters is as weak as the block.
const LONGEST_PERIOD: usize = 16;
/// Words of examples. The shortest is in a random key of 44 characters about once in a billion times.
const PLACEHOLDERS: [&str; 5] = ["changeme", "change-me", "change_me", "placeholder", "example"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_worth_what_its_alphabet_can_hold() {
        assert_eq!(bits_at_most(""), 0);
        assert_eq!(bits_at_most(&"7".repeat(38)), 126, "decimal");
        assert_eq!(bits_at_most("0123456789abcdef0123456789abcdef"), 128, "hexadecimal");
        assert_eq!(bits_at_most("01234567-89ab-cdef-0123-456789abcdef"), 128, "UUID: its hyphens are given");
        assert_eq!(bits_at_most("zbcdefghijklmnopqrstuv"), 132, "base64url");
    }

    #[test]
    fn patterns_and_placeholders_are_not_random_and_real_keys_are() {
        assert!(not_random(&"a".repeat(40)).unwrap().contains("few different"));
        assert!(not_random(&"abcdefgh".repeat(4)).unwrap().contains("repeats"));
        assert!(not_random("0123456789abcdef0123456789abcdef").unwrap().contains("repeats"));
        assert!(not_random("CHANGE-ME-to-32-characters-or-more!").unwrap().contains("placeholder"));
        assert_eq!(not_random("q3yYkz0Jx8nV5w2mT7uLrA9cF4hB6dEo1sPiKgNvXtI="), None);
        assert_eq!(not_random("9f86d081884c7d659a2feaa0c55ad015"), None);
    }
}
