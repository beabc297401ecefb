//! A value that does not print, and the masked form of a key that may be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in place of a secret wherever it would be printed.
const STARS: &str = "***";

/// A value that prints as `***` however it is printed: `Debug`, `Display` and `Serialize`. Reading one from JSON
/// gives the real value, so an input may hold one; what is written never does.
#[derive(Clone, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, only for where it is used.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(STARS)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// The form of a key that may be shown: its first and last four characters around `…`, fewer when that were more
/// than a third of it, none below 12 characters. What is no letter, digit or ASCII sign (control characters,
/// marks that turn the writing direction) shows as `\u{fffd}`.
pub fn mask_key(key: &str) -> String {
    let length = key.chars().count();
    let shown = if length < SHOWN_FROM_CHARS { 0 } else { (length / 3).min(8) };
    let tail = shown / 2;
    let head = shown - tail;
    let start = key.chars().take(head);
    let end = key.chars().skip(length - tail);
    start.map(printable).chain(std::iter::once('…')).chain(end.map(printable)).collect()
}

/// Shorter keys show nothing: a third of them is not worth showing and too much to give away.
const SHOWN_FROM_CHARS: usize = 12;

fn printable(c: char) -> char {
    if c.is_alphanumeric() || c.is_ascii_graphic() { c } else { '\u{fffd}' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_prints_stars_however_it_is_printed() {
        #[derive(Debug, Serialize)]
        struct Holder {
            key: Secret<String>,
        }
        let holder = Holder { key: Secret::new("csk-hidden".into()) };
        assert_eq!(format!("{holder:?}"), "Holder { key: *** }");
        assert_eq!(format!("{:#?}", holder.key), "***");
        assert_eq!(format!("{:>9}", holder.key), "***");
        assert_eq!(serde_json::to_string(&holder).unwrap(), r#"{"key":"***"}"#);
    }

    #[test]
    fn a_secret_is_read_from_json_and_exposed_whole() {
        let key: Secret<String> = serde_json::from_str(r#""csk-hidden""#).unwrap();
        assert_eq!(key.expose(), "csk-hidden");
        assert!(serde_json::from_str::<Secret<String>>("7").is_err());
    }

    #[test]
    fn a_key_shows_its_first_and_last_four_characters() {
        assert_eq!(mask_key("csk-0123456789abcdefghijwxyz"), "csk-…wxyz");
        assert_eq!(mask_key("csk-0123456789abcdefwxyz"), "csk-…wxyz");
    }

    #[test]
    fn a_shorter_key_shows_less_and_a_very_short_one_nothing() {
        assert_eq!(mask_key("csk-012345678901234wxyz"), "csk-…xyz");
        assert_eq!(mask_key("abcdefghijkl"), "ab…kl");
        assert_eq!(mask_key("abcdefghijk"), "…");
        assert_eq!(mask_key(""), "…");
    }

    #[test]
    fn control_and_direction_characters_of_a_key_are_not_shown() {
        assert_eq!(
            mask_key("\u{202e}\n\0\"56789012345678901234567\u{1b}"),
            "\u{fffd}\u{fffd}\u{fffd}\"…567\u{fffd}"
        );
    }

    proptest! {
        #[test]
        fn never_more_than_a_third_of_a_key_is_shown(key in any::<String>()) {
            let shown = mask_key(&key).chars().count() - 1;
            prop_assert!(shown * 3 <= key.chars().count());
            prop_assert!(shown <= 8);
        }
    }
}
