//! The root secret and the two keys it wraps.
//!
//! `ENCRYPTION_KEY` goes through HKDF-SHA256 with one info string a purpose, so that no key serves two. A wrapped
//! key is base64url of `version (1 byte) ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16)`, AES-256-GCM with the key's
//! kind as associated data: the data key's text does not open as a digest key.

use std::fmt;

use aes_gcm::Aes256Gcm;

use super::primitives::{
    Hmac256, KEY_BYTES, NONCE_BYTES, TAG_BYTES, cipher, decrypt, encrypt, from_text, hkdf, hmac_key, to_text,
};
use super::strength::{bits_at_most, not_random};
use super::{DataKey, DigestKey, VaultError};
use crate::limits::{auth, workers};

/// The version byte of wrapped keys.
const VERSION: u8 = 1;
/// Characters of a wrapped key.
const WRAPPED_CHARS: usize = ((1 + NONCE_BYTES + KEY_BYTES + TAG_BYTES) * 4).div_ceil(3);
/// HKDF's salt. Part of the stored format, like the info strings below.
const SALT: &[u8] = b"rondo/master/v1";

/// What `ENCRYPTION_KEY` becomes: the key that wraps and the key that signs documents in KV.
#[derive(Clone)]
pub struct MasterKey {
    wrap: Aes256Gcm,
    /// For [`super::signed`].
    pub(super) sign: Hmac256,
}

impl MasterKey {
    /// Derives the keys from the Worker secret `ENCRYPTION_KEY`; white space around it (a newline of a pipe) is
    /// no part of it.
    ///
    /// Errors name `ENCRYPTION_KEY` and how to make one: missing or empty, shorter than 32 characters, worth less
    /// than 128 bits, repeating, a placeholder, or longer than a secret can be.
    pub fn from_secret(encryption_key: &str) -> Result<Self, VaultError> {
        if encryption_key.len() > workers::SECRET_BYTES {
            return Err(VaultError::WeakEncryptionKey("is longer than a Worker secret can be"));
        }
        let text = encryption_key.trim();
        if text.is_empty() {
            return Err(VaultError::MissingEncryptionKey);
        }
        if text.chars().count() < auth::ENCRYPTION_KEY_MIN_CHARS {
            return Err(VaultError::WeakEncryptionKey("is shorter than 32 characters"));
        }
        if bits_at_most(text) < auth::SECRET_MIN_BITS {
            return Err(VaultError::WeakEncryptionKey("is worth less than 128 bits"));
        }
        if let Some(why) = not_random(text) {
            return Err(VaultError::WeakEncryptionKey(why));
        }
        Ok(Self {
            wrap: cipher(&hkdf(SALT, text.as_bytes(), b"rondo/wrap/v1")?),
            sign: hmac_key(&hkdf(SALT, text.as_bytes(), b"rondo/snapshot/v1")?),
        })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// Which of the two wrapped keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Seals upstream keys.
    Data,
    /// Makes digests.
    Digest,
}

impl KeyKind {
    fn associated(self) -> &'static [u8] {
        match self {
            Self::Data => b"rondo/wrap/v1/data",
            Self::Digest => b"rondo/wrap/v1/digest",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Data => "wrapped data key",
            Self::Digest => "wrapped digest key",
        }
    }
}

/// Wraps a new key of 32 random bytes for D1. The nonce is 12 random bytes.
pub fn wrap(
    master: &MasterKey,
    kind: KeyKind,
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Result<String, VaultError> {
    let sealed = encrypt(&master.wrap, nonce, kind.associated(), key)?;
    Ok(to_text(&[&[VERSION][..], &nonce, &sealed].concat()))
}

/// Wraps the same key under a new `ENCRYPTION_KEY`, which leaves everything sealed and digested with it valid.
///
/// Errors: as [`unwrap_data_key`], when the text does not open under `old`.
pub fn rewrap(
    old: &MasterKey,
    new: &MasterKey,
    kind: KeyKind,
    wrapped: &str,
    nonce: [u8; NONCE_BYTES],
) -> Result<String, VaultError> {
    wrap(new, kind, &unwrap(old, kind, wrapped)?, nonce)
}

/// The data key from its wrapped text.
///
/// Errors: `Malformed` when it is no wrapped key, `DoesNotOpen` under another `ENCRYPTION_KEY` or when altered.
pub fn unwrap_data_key(master: &MasterKey, wrapped: &str) -> Result<DataKey, VaultError> {
    unwrap(master, KeyKind::Data, wrapped).map(|key| DataKey::new(&key))
}

/// The digest key from its wrapped text. Errors: as [`unwrap_data_key`].
pub fn unwrap_digest_key(master: &MasterKey, wrapped: &str) -> Result<DigestKey, VaultError> {
    unwrap(master, KeyKind::Digest, wrapped).map(|key| DigestKey::new(&key))
}

fn unwrap(master: &MasterKey, kind: KeyKind, wrapped: &str) -> Result<[u8; KEY_BYTES], VaultError> {
    let malformed = VaultError::Malformed(kind.name());
    if wrapped.len() != WRAPPED_CHARS {
        return Err(malformed);
    }
    let bytes = from_text(wrapped).ok_or(malformed)?;
    let rest = bytes.strip_prefix(&[VERSION]).ok_or(malformed)?;
    let (nonce, sealed) = rest.split_first_chunk().ok_or(malformed)?;
    let key = decrypt(&master.wrap, *nonce, kind.associated(), sealed);
    key.and_then(|key| key.try_into().ok()).ok_or(VaultError::DoesNotOpen(kind.name()))
}

/// The two keys, opened.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Seals upstream keys.
    pub data: DataKey,
    /// Makes digests of tokens, sessions, addresses and duplicates, and peppers the password.
    pub digest: DigestKey,
}

impl Keyring {
    /// Opens both wrapped keys. Errors: as [`unwrap_data_key`], naming the key.
    pub fn open(master: &MasterKey, data: &str, digest: &str) -> Result<Self, VaultError> {
        Ok(Self { data: unwrap_data_key(master, data)?, digest: unwrap_digest_key(master, digest)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Domain;
    use proptest::prelude::*;

    const SECRET: &str = "q3yYkz0Jx8nV5w2mT7uLrA9cF4hB6dEo1sPiKgNvXtI=";
    const OTHER: &str = "Zl0q8m2Vb5r7T1yX4c9N6w3KjHgFdSaPoIuYtReWqLk=";

    fn master(secret: &str) -> MasterKey {
        MasterKey::from_secret(secret).unwrap()
    }

    #[test]
    fn keys_wrapped_by_another_implementation_open() {
        // Node: hkdfSync("sha256", SECRET, "rondo/master/v1", "rondo/wrap/v1", 32) as the AES-256-GCM key over
        // 32 × 07 (data) and 32 × 05 (digest), nonces 12 × 01 and 12 × 02.
        let (data, digest) = (
            "AQEBAQEBAQEBAQEBAfCtEoe26vQ1EYFpdf5lc9NLY8ipdHlAszAyXweB4rm4eMUIYqTDCmrtzuD3vCTVPw",
            "AQICAgICAgICAgICAv8sxkZXN3NWlqmlOU8dFHkTjs5BNSjf0gSCq1YDILvidNQ9-76yfuJpi9Sy7dhn7Q",
        );
        assert_eq!(wrap(&master(SECRET), KeyKind::Data, &[7; 32], [1; 12]).unwrap(), data);
        assert_eq!(wrap(&master(SECRET), KeyKind::Digest, &[5; 32], [2; 12]).unwrap(), digest);
        let keyring = Keyring::open(&master(SECRET), data, digest).unwrap();
        let sealed = DataKey::new(&[7; 32]).seal("row", "csk-x", [3; 12]).unwrap();
        assert_eq!(keyring.data.open("row", &sealed).unwrap().expose(), "csk-x");
        let expected = DigestKey::new(&[5; 32]).digest(Domain::Token, "t");
        assert_eq!(keyring.digest.digest(Domain::Token, "t"), expected);
    }

    #[test]
    fn a_weak_encryption_key_is_refused_with_the_command_that_makes_one() {
        let long = "q3yYkz0Jx8nV".repeat(500);
        let cases = [
            ("", "is not set"),
            (" \n", "is not set"),
            ("q3yYkz0Jx8nV5w2mT7uLrA9cF4hB6dE", "shorter than 32"),
            ("48151623424815162342108090475163", "less than 128 bits"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaazz", "few different"),
            ("p4ssw0rdXp4ssw0rdXp4ssw0rdXp4ssw0rdX", "repeats itself"),
            ("please-CHANGE-ME-before-you-deploy-this", "placeholder"),
            (&long, "longer than"),
        ];
        for (secret, why) in cases {
            let text = MasterKey::from_secret(secret).unwrap_err().to_string();
            assert!(text.contains("ENCRYPTION_KEY") && text.contains("openssl rand -base64 32"), "{text}");
            assert!(text.contains(why), "{text} for {why}");
            assert!(secret.trim().is_empty() || !text.contains(secret), "the key is in its own error");
        }
    }

    #[test]
    fn what_the_recommended_commands_make_is_accepted() {
        for secret in [SECRET, "9f86d081884c7d659a2feaa0c55ad015", "correct horse battery staple and a mule"]
        {
            assert!(MasterKey::from_secret(secret).is_ok(), "{secret}");
        }
    }

    #[test]
    fn white_space_around_the_secret_is_no_part_of_it() {
        let wrapped = wrap(&master(SECRET), KeyKind::Data, &[7; 32], [1; 12]).unwrap();
        assert!(unwrap_data_key(&master(&format!(" {SECRET}\r\n")), &wrapped).is_ok());
    }

    #[test]
    fn a_key_of_one_kind_does_not_open_as_the_other() {
        let data = wrap(&master(SECRET), KeyKind::Data, &[7; 32], [1; 12]).unwrap();
        let error = unwrap_digest_key(&master(SECRET), &data).unwrap_err();
        assert_eq!(error, VaultError::DoesNotOpen("wrapped digest key"));
        assert!(Keyring::open(&master(SECRET), &data, &data).is_err());
    }

    #[test]
    fn rotating_the_encryption_key_keeps_what_was_sealed_and_shuts_out_the_old_one() {
        let (old, new) = (master(SECRET), master(OTHER));
        let data = wrap(&old, KeyKind::Data, &[7; 32], [1; 12]).unwrap();
        let sealed = unwrap_data_key(&old, &data).unwrap().seal("row", "csk-kept", [2; 12]).unwrap();
        let rewrapped = rewrap(&old, &new, KeyKind::Data, &data, [3; 12]).unwrap();
        let opened = unwrap_data_key(&new, &rewrapped).unwrap().open("row", &sealed).unwrap();
        assert_eq!(opened.expose(), "csk-kept");
        let shut = VaultError::DoesNotOpen("wrapped data key");
        assert_eq!(unwrap_data_key(&old, &rewrapped).unwrap_err(), shut);
        assert_eq!(rewrap(&new, &old, KeyKind::Data, &data, [4; 12]).unwrap_err(), shut);
    }

    #[test]
    fn debug_of_the_keys_shows_nothing() {
        let data = wrap(&master(SECRET), KeyKind::Data, &[7; 32], [1; 12]).unwrap();
        let digest = wrap(&master(SECRET), KeyKind::Digest, &[5; 32], [2; 12]).unwrap();
        let keyring = Keyring::open(&master(SECRET), &data, &digest).unwrap();
        assert_eq!(format!("{keyring:?}"), "Keyring { data: DataKey(***), digest: DigestKey(***) }");
        assert_eq!(format!("{:?}", master(SECRET)), "MasterKey(***)");
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_wrapped_key_fails(key: [u8; 32], at in 0_usize..61, bit in 0_u8..8) {
            let master = master(SECRET);
            let text = wrap(&master, KeyKind::Data, &key, [9; 12]).unwrap();
            prop_assert!(unwrap(&master, KeyKind::Data, &text).unwrap() == key);
            let mut bytes = from_text(&text).unwrap();
            bytes[at] ^= 1 << bit;
            prop_assert!(unwrap(&master, KeyKind::Data, &to_text(&bytes)).is_err());
        }

        #[test]
        fn no_text_makes_unwrap_or_from_secret_panic(text in any::<String>()) {
            prop_assert!(unwrap(&master(SECRET), KeyKind::Data, &text).is_err());
            let _ = MasterKey::from_secret(&text);
        }
    }
}
