//! Sealing upstream keys: AES-256-GCM under the data key, bound to their row.
//!
//! A sealed text is base64url of `version (1 byte) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. Associated data is
//! `rondo/seal/v1/` and the row id, so a text moved to another row does not open.

use std::fmt;

use aes_gcm::Aes256Gcm;

use super::primitives::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, cipher, decrypt, encrypt, from_text, to_text};
use super::{Secret, VaultError};
use crate::limits::input;

/// The version byte of sealed texts.
const VERSION: u8 = 1;
/// What precedes the row id in the associated data.
const ASSOCIATED: &[u8] = b"rondo/seal/v1/";
/// Longest text [`DataKey::seal`] makes: base64url takes 4 characters for 3 bytes.
pub const SEALED_MAX_CHARS: usize = (1 + NONCE_BYTES + input::UPSTREAM_KEY_BYTES + TAG_BYTES).div_ceil(3) * 4;

/// The key that seals upstream keys. Its key schedule is worked out once: opening is on every request's path.
#[derive(Clone)]
pub struct DataKey {
    cipher: Aes256Gcm,
}

impl DataKey {
    /// A data key from 32 random bytes.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self { cipher: cipher(key) }
    }

    /// Seals an upstream key for its row. The nonce is 12 random bytes, never used twice.
    ///
    /// Errors: an empty or longer key than `limits::input::UPSTREAM_KEY_BYTES`, a row id beyond `ROW_ID_BYTES`.
    pub fn seal(
        &self,
        row_id: &str,
        plaintext: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, VaultError> {
        if plaintext.is_empty() {
            return Err(VaultError::TooShort { what: "the key", min: 1 });
        }
        if plaintext.len() > input::UPSTREAM_KEY_BYTES {
            return Err(VaultError::TooLong { what: "the key", max: input::UPSTREAM_KEY_BYTES });
        }
        let sealed = encrypt(&self.cipher, nonce, &associated(row_id)?, plaintext.as_bytes())?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(to_text(&bytes))
    }

    /// Opens what [`seal`](Self::seal) made for this row.
    ///
    /// Errors: `Malformed` when it is no sealed text, `DoesNotOpen` under another key or row or when altered.
    pub fn open(&self, row_id: &str, sealed: &str) -> Result<Secret<String>, VaultError> {
        const WHAT: &str = "sealed key";
        if sealed.len() > SEALED_MAX_CHARS {
            return Err(VaultError::Malformed(WHAT));
        }
        let bytes = from_text(sealed).ok_or(VaultError::Malformed(WHAT))?;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(VaultError::Malformed(WHAT))?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(VaultError::Malformed(WHAT))?;
        let plaintext = decrypt(&self.cipher, *nonce, &associated(row_id)?, rest);
        let plaintext = plaintext.ok_or(VaultError::DoesNotOpen(WHAT))?;
        String::from_utf8(plaintext).map(Secret::new).map_err(|_| VaultError::DoesNotOpen(WHAT))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

fn associated(row_id: &str) -> Result<Vec<u8>, VaultError> {
    if row_id.len() > input::ROW_ID_BYTES {
        return Err(VaultError::TooLong { what: "the row id", max: input::ROW_ID_BYTES });
    }
    Ok([ASSOCIATED, row_id.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> DataKey {
        DataKey::new(&[7; 32])
    }

    #[test]
    fn a_text_sealed_by_another_implementation_opens_and_is_made_again() {
        // Node: createCipheriv("aes-256-gcm", 32 × 07, 12 × 09), AAD "rondo/seal/v1/key_1".
        let sealed = "AQkJCQkJCQkJCQkJCUT277nOma8PxQbmToOJ17CmMiR5nQkh6O6k5PClg9WGzw";
        assert_eq!(key().open("key_1", sealed).unwrap().expose(), "csk-pinned-vector");
        assert_eq!(key().seal("key_1", "csk-pinned-vector", [9; 12]).unwrap(), sealed);
    }

    #[test]
    fn a_text_moved_to_another_row_does_not_open() {
        let sealed = key().seal("key_1", "csk-secret", [1; 12]).unwrap();
        for row in ["key_2", "key_", "key_11", ""] {
            assert_eq!(key().open(row, &sealed).unwrap_err(), VaultError::DoesNotOpen("sealed key"), "{row}");
        }
    }

    #[test]
    fn another_data_key_does_not_open_it() {
        let sealed = key().seal("key_1", "csk-secret", [1; 12]).unwrap();
        let other = DataKey::new(&[8; 32]);
        assert_eq!(other.open("key_1", &sealed).unwrap_err(), VaultError::DoesNotOpen("sealed key"));
    }

    #[test]
    fn another_version_is_refused_before_anything_is_opened() {
        let sealed = key().seal("key_1", "csk-secret", [1; 12]).unwrap();
        let mut bytes = from_text(&sealed).unwrap();
        bytes[0] = 2;
        assert_eq!(key().open("key_1", &to_text(&bytes)).unwrap_err(), VaultError::Malformed("sealed key"));
    }

    #[test]
    fn keys_and_row_ids_are_bounded() {
        let (longest, nonce) = ("k".repeat(input::UPSTREAM_KEY_BYTES), [1; 12]);
        let sealed = key().seal("r", &longest, nonce).unwrap();
        assert!(sealed.len() <= SEALED_MAX_CHARS);
        assert_eq!(key().open("r", &sealed).unwrap().expose(), &longest);
        assert!(matches!(key().seal("r", &(longest + "k"), nonce), Err(VaultError::TooLong { .. })));
        assert!(matches!(key().seal("r", "", nonce), Err(VaultError::TooShort { .. })));
        let row = "r".repeat(input::ROW_ID_BYTES + 1);
        assert!(matches!(key().seal(&row, "k", nonce), Err(VaultError::TooLong { .. })));
        assert!(matches!(key().open(&row, &sealed), Err(VaultError::TooLong { .. })));
        // Well-formed but for its length: it is refused before anything is decoded or decrypted.
        let endless = to_text(&[&[VERSION][..], &[0; SEALED_MAX_CHARS]].concat());
        assert!(matches!(key().open("r", &endless), Err(VaultError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_shows_nothing_of_itself(
            row in ".{0,20}", text in "[ -~]{8,60}", nonce: [u8; 12], data: [u8; 32],
        ) {
            let key = DataKey::new(&data);
            let sealed = key.seal(&row, &text, nonce).unwrap();
            let opened = key.open(&row, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &text);
            let printed = format!("{key:?} {opened:?} {opened}");
            prop_assert!(!printed.contains(&text));
            prop_assert!(!sealed.contains(&text));
        }

        #[test]
        fn any_flipped_bit_or_cut_end_fails(text in "[ -~]{1,60}", at: proptest::sample::Index, bit in 0_u8..8) {
            let sealed = key().seal("row", &text, [3; 12]).unwrap();
            let mut bytes = from_text(&sealed).unwrap();
            let at = at.index(bytes.len());
            prop_assert!(key().open("row", &to_text(&bytes[..at])).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(key().open("row", &to_text(&bytes)).is_err());
        }

        #[test]
        fn no_text_makes_open_panic(text in any::<String>()) {
            prop_assert!(key().open("row", &text).is_err());
        }
    }
}
