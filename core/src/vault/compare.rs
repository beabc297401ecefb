//! Comparing what somebody sent with a secret, without telling how far it was right.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// Whether two texts are equal. The time depends on each text's own length and on nothing they share: both are
/// hashed and the hashes compared in constant time, so neither the first difference nor the other's length shows.
pub fn constant_time_eq(a: &str, b: &str) -> bool {
    bytes_eq(&Sha256::digest(a.as_bytes()), &Sha256::digest(b.as_bytes()))
}

/// Whether two byte strings are equal, in constant time when they are equally long.
pub(super) fn bytes_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_equal_only_to_themselves() {
        assert!(constant_time_eq("", ""));
        assert!(constant_time_eq("setup-code", "setup-code"));
        assert!(!constant_time_eq("setup-code", "setup-codf"));
        assert!(!constant_time_eq("setup-code", "setup-cod"));
        assert!(!constant_time_eq("", "\0"));
    }

    #[test]
    fn byte_strings_of_different_lengths_differ() {
        assert!(bytes_eq(b"abc", b"abc"));
        assert!(!bytes_eq(b"abc", b"ab"));
        assert!(!bytes_eq(b"", b"a"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_plain_equality(a in "[ab]{0,3}", b in "[ab]{0,3}") {
            prop_assert_eq!(constant_time_eq(&a, &b), a == b);
        }
    }
}
