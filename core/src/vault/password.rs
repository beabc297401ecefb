//! The admin password's stored record. PBKDF2-SHA256 itself is computed by WebCrypto in the Worker (native, and
//! off wasm); here are the rules, the pepper that goes in, and the record that comes out.
//!
//! The pepper comes from the digest key, not from `ENCRYPTION_KEY` directly: it is as secret (wrapped in D1), and
//! a new `ENCRYPTION_KEY` leaves the password valid.
//!
//! A record is `v1$pbkdf2-sha256$<iterations>$<salt>$<hash>`, salt (16 bytes) and hash (32) in base64url.

use std::fmt;
use std::str::FromStr;

use super::compare::bytes_eq;
use super::primitives::{KEY_BYTES, from_text, key_from_text, to_text};
use super::{DigestKey, Secret, VaultError};
use crate::limits::{auth, workers};

/// Bytes of a record's salt.
pub const SALT_BYTES: usize = 16;
/// The record's version and algorithm.
const VERSION: &str = "v1";
const ALGORITHM: &str = "pbkdf2-sha256";
const WHAT: &str = "password record";

/// Whether a new password may be set: at least 8 characters, at most 1,024 bytes.
pub fn check_password(password: &str) -> Result<(), VaultError> {
    if password.len() > auth::PASSWORD_MAX_BYTES {
        return Err(VaultError::TooLong { what: "password", max: auth::PASSWORD_MAX_BYTES });
    }
    if password.chars().count() < auth::PASSWORD_MIN_CHARS {
        return Err(VaultError::TooShort { what: "password", min: auth::PASSWORD_MIN_CHARS });
    }
    Ok(())
}

/// What goes into PBKDF2 in place of the password: its HMAC under the pepper, so that D1 alone is not enough to
/// try out guesses. A longer password than the rules allow is refused, so that nobody makes us hash megabytes.
pub fn pepper(key: &DigestKey, password: &str) -> Result<Secret<[u8; KEY_BYTES]>, VaultError> {
    if password.len() > auth::PASSWORD_MAX_BYTES {
        return Err(VaultError::TooLong { what: "password", max: auth::PASSWORD_MAX_BYTES });
    }
    Ok(Secret::new(key.pepper(password)))
}

/// A stored password: everything needed to check one, without the pepper.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordRecord {
    iterations: u32,
    salt: [u8; SALT_BYTES],
    hash: [u8; KEY_BYTES],
}

impl PasswordRecord {
    /// A record from what went into PBKDF2 and the 256 bits that came out.
    ///
    /// Errors: iterations outside `limits::auth::PBKDF2_MIN_ITERATIONS` to `workers::PBKDF2_MAX_ITERATIONS`;
    /// production refuses more, so such a password could never be checked there.
    pub fn new(iterations: u32, salt: [u8; SALT_BYTES], hash: [u8; KEY_BYTES]) -> Result<Self, VaultError> {
        if !(auth::PBKDF2_MIN_ITERATIONS..=workers::PBKDF2_MAX_ITERATIONS).contains(&iterations) {
            return Err(VaultError::NotAllowed("PBKDF2 iterations must be between 10000 and 100000"));
        }
        Ok(Self { iterations, salt, hash })
    }

    /// The PBKDF2 iterations to check a password with.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt to check a password with.
    pub fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// Whether PBKDF2's output for a password is this record's, in constant time.
    pub fn matches(&self, hash: &[u8]) -> bool {
        bytes_eq(&self.hash, hash)
    }
}

impl fmt::Display for PasswordRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}${ALGORITHM}${}${}${}", self.iterations, to_text(&self.salt), to_text(&self.hash))
    }
}

impl fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordRecord {{ iterations: {}, salt: ***, hash: *** }}", self.iterations)
    }
}

impl FromStr for PasswordRecord {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let malformed = VaultError::Malformed(WHAT);
        if text.len() > LONGEST_RECORD {
            return Err(malformed);
        }
        let mut parts = text.split('$');
        if parts.next() != Some(VERSION) || parts.next() != Some(ALGORITHM) {
            return Err(malformed);
        }
        let iterations = parts.next().and_then(|text| text.parse().ok()).ok_or(malformed)?;
        let salt = parts.next().and_then(from_text).and_then(|salt| salt.try_into().ok()).ok_or(malformed)?;
        let hash = parts.next().and_then(key_from_text).ok_or(malformed)?;
        if parts.next().is_some() {
            return Err(malformed);
        }
        Self::new(iterations, salt, hash)
    }
}

/// A record of 100,000 iterations has 92 characters.
const LONGEST_RECORD: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// PBKDF2-HMAC-SHA256 by Node over the pepper of "correct horse" (HMAC under 32 × 05), salt 16 × 03, 10,000
    /// iterations.
    const PINNED: &str =
        "v1$pbkdf2-sha256$10000$AwMDAwMDAwMDAwMDAwMDAw$eWd5cQM9S62YzUp_Utr0uH5HgvEBba4_Dxr6jF46VBc";

    #[test]
    fn a_record_of_another_implementation_is_read_and_printed_the_same() {
        let record: PasswordRecord = PINNED.parse().unwrap();
        assert_eq!((record.iterations(), record.salt()), (10_000, &[3; 16]));
        assert_eq!(record.to_string(), PINNED);
    }

    #[test]
    fn the_pepper_is_the_other_implementations_and_not_printed() {
        let peppered = pepper(&DigestKey::new(&[5; 32]), "correct horse").unwrap();
        assert_eq!(to_text(peppered.expose()), "lsMgetW50Cd7uwQ0Z0w0ZxkN6C1OleK5PAM3llkFUqA");
        assert_eq!(format!("{peppered:?}"), "***");
        let other = pepper(&DigestKey::new(&[6; 32]), "correct horse").unwrap();
        assert_ne!(peppered.expose(), other.expose());
    }

    #[test]
    fn a_record_matches_its_hash_alone() {
        let record = PasswordRecord::new(100_000, [1; 16], [2; 32]).unwrap();
        assert!(record.matches(&[2; 32]));
        assert!(!record.matches(&[3; 32]));
        assert!(!record.matches(&[2; 31]));
        assert!(!record.matches(&[]));
    }

    #[test]
    fn iterations_production_refuses_are_refused_here_too() {
        for iterations in [0, 9_999, 100_001, u32::MAX] {
            assert!(PasswordRecord::new(iterations, [1; 16], [2; 32]).is_err(), "{iterations}");
            let text = PINNED.replace("$10000$", &format!("${iterations}$"));
            assert!(text.parse::<PasswordRecord>().is_err(), "{text}");
        }
        assert!(PasswordRecord::new(100_000, [1; 16], [2; 32]).is_ok());
    }

    #[test]
    fn anything_but_a_whole_record_is_refused() {
        let cut = PINNED.strip_suffix('c').unwrap();
        let cases = [
            "",
            "v1",
            "$$$$",
            cut,
            &format!("{PINNED}$"),
            &PINNED.replace("v1", "v2"),
            &PINNED.replace("256", "1"),
        ];
        for text in cases {
            assert_eq!(text.parse::<PasswordRecord>(), Err(VaultError::Malformed(WHAT)), "{text}");
        }
    }

    #[test]
    fn debug_of_a_record_shows_neither_salt_nor_hash() {
        let record: PasswordRecord = PINNED.parse().unwrap();
        assert_eq!(format!("{record:?}"), "PasswordRecord { iterations: 10000, salt: ***, hash: *** }");
    }

    #[test]
    fn a_password_has_8_characters_to_1024_bytes() {
        assert!(check_password("12345678").is_ok());
        assert!(check_password("ääääääää").is_ok());
        assert!(check_password(&"x".repeat(1_024)).is_ok());
        assert_eq!(check_password("ääää"), Err(VaultError::TooShort { what: "password", min: 8 }));
        let long = "x".repeat(1_025);
        let too_long = VaultError::TooLong { what: "password", max: 1_024 };
        assert_eq!(check_password(&long), Err(too_long));
        assert_eq!(pepper(&DigestKey::new(&[5; 32]), &long).unwrap_err(), too_long);
    }

    proptest! {
        #[test]
        fn every_record_survives_its_text(iterations in 10_000_u32..=100_000, salt: [u8; 16], hash: [u8; 32]) {
            let record = PasswordRecord::new(iterations, salt, hash).unwrap();
            prop_assert!(record.to_string().len() <= LONGEST_RECORD);
            prop_assert_eq!(record.to_string().parse::<PasswordRecord>().unwrap(), record);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "(v1\\$pbkdf2-sha256\\$)?.{0,80}") {
            let _ = text.parse::<PasswordRecord>();
        }
    }
}
