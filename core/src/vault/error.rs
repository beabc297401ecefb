//! What can go wrong in the vault, in words an operator can act on. No text here holds any part of a secret.

use std::fmt;

/// Why a secret was refused or did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultError {
    /// `ENCRYPTION_KEY` is not set or empty.
    MissingEncryptionKey,
    /// `ENCRYPTION_KEY` could be guessed or is no key; holds what is wrong with it.
    WeakEncryptionKey(&'static str),
    /// A stored text is no base64url, has no known version or the wrong length; holds what it should be.
    Malformed(&'static str),
    /// A stored text is whole but does not open: another key, another row, or altered; holds what it is.
    DoesNotOpen(&'static str),
    /// An input is longer than allowed.
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its bound.
        max: usize,
    },
    /// An input is shorter than allowed.
    TooShort {
        /// What is too short.
        what: &'static str,
        /// Its bound.
        min: usize,
    },
    /// An input holds something that is not allowed there; the text names both.
    NotAllowed(&'static str),
    /// A primitive refused sizes that cannot occur.
    Internal,
}

/// How to make a good `ENCRYPTION_KEY`, for messages.
const HOW_TO_MAKE: &str =
    "make one with `openssl rand -base64 32` and set it as the Worker secret ENCRYPTION_KEY";

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEncryptionKey => write!(f, "ENCRYPTION_KEY is not set: {HOW_TO_MAKE}"),
            Self::WeakEncryptionKey(why) => write!(f, "ENCRYPTION_KEY {why}: {HOW_TO_MAKE}"),
            Self::Malformed(what) => write!(f, "this is no {what}"),
            Self::DoesNotOpen(what) => {
                write!(
                    f,
                    "the {what} does not open: it belongs to another ENCRYPTION_KEY or row, or was altered"
                )
            }
            Self::TooLong { what, max } => write!(f, "{what} is longer than {max}"),
            Self::TooShort { what, min } => write!(f, "{what} is shorter than {min}"),
            Self::NotAllowed(what) => f.write_str(what),
            Self::Internal => f.write_str("a cryptographic primitive failed"),
        }
    }
}

impl std::error::Error for VaultError {}
