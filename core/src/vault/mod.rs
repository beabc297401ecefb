//! Secrets: sealing upstream keys, digests of what is compared, tokens, passwords and signed documents.
//!
//! The Worker secret `ENCRYPTION_KEY` is the root ([`MasterKey`]). It wraps two random keys kept in D1
//! ([`Keyring`]): the [`DataKey`] seals upstream keys, the [`DigestKey`] makes digests of tokens, sessions,
//! addresses and upstream keys and peppers the admin password. So a new `ENCRYPTION_KEY` re-wraps two rows and
//! everything else stays valid. Entropy and nonces are arguments; nonces are random and never used twice.
//!
//! Every stored text starts with a version, and texts of today must open tomorrow: the pinned vectors in the
//! tests were computed by another implementation and only ever get company.

pub mod compare;
pub mod digest;
pub mod keyring;
pub mod password;
pub mod seal;
pub mod secret;
pub mod signed;
pub mod token;

mod error;
mod primitives;
mod strength;

pub use compare::constant_time_eq;
pub use digest::{Digest, DigestKey, Domain};
pub use error::VaultError;
pub use keyring::{KeyKind, Keyring, MasterKey, rewrap, unwrap_data_key, unwrap_digest_key, wrap};
pub use password::PasswordRecord;
pub use seal::DataKey;
pub use secret::{Secret, mask_key};
