//! Keyed digests: what D1 and the snapshot hold in place of tokens, sessions, addresses and (to find duplicates)
//! upstream keys. HMAC-SHA256 of `domain ‖ 0 ‖ text`, so a digest of one domain means nothing in another, and
//! without the digest key nobody can try out guesses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::VaultError;
use super::compare::bytes_eq;
use super::primitives::{Hmac256, KEY_BYTES, hmac, hmac_key, key_from_text, to_text};

/// What a digest is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A client's token.
    Token,
    /// A session of the admin page or of a script.
    Session,
    /// An upstream key, to find duplicates.
    UpstreamKey,
    /// A client's address, for limits in access mode `public` and failed logins.
    Address,
    /// Nothing but the digest key itself: whether two are the same.
    Check,
}

impl Domain {
    /// Its name in the HMAC's input, with the byte that ends it. Part of the stored format: never changed.
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Token => b"rondo/token/v1\0",
            Self::Session => b"rondo/session/v1\0",
            Self::UpstreamKey => b"rondo/upstream-key/v1\0",
            Self::Address => b"rondo/address/v1\0",
            Self::Check => b"rondo/check/v1\0",
        }
    }
}

/// The key digests are made with.
#[derive(Clone)]
pub struct DigestKey {
    mac: Hmac256,
}

impl DigestKey {
    /// A digest key from 32 random bytes.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self { mac: hmac_key(key) }
    }

    /// The digest of a text in a domain. The text's length is the caller's to bound.
    pub fn digest(&self, domain: Domain, text: &str) -> Digest {
        Digest(hmac(&self.mac, &[domain.prefix(), text.as_bytes()]))
    }

    /// A fingerprint of this key, 16 hexadecimal digits: digests made elsewhere mean something here only when the
    /// fingerprint there is the same.
    pub fn check(&self) -> String {
        self.digest(Domain::Check, "").short()
    }

    /// The admin password under the pepper, see [`super::password::pepper`].
    pub(super) fn pepper(&self, password: &str) -> [u8; KEY_BYTES] {
        hmac(&self.mac, &[b"rondo/password-pepper/v1\0", password.as_bytes()])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(***)")
    }
}

/// A keyed digest; as text 43 characters of base64url. Plain equality and hashing are fine for maps, since nobody
/// without the key can choose a digest; where one is compared alone there is [`ct_eq`](Self::ct_eq).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; KEY_BYTES]);

impl Digest {
    /// A digest from its bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Its first 64 bits in hexadecimal, by which it can be named without being told.
    pub fn short(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        bytes_eq(&self.0, &other.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        key_from_text(text).map(Self).ok_or(VaultError::Malformed("digest"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest, 43 characters of base64url")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    const DOMAINS: [Domain; 4] = [Domain::Token, Domain::Session, Domain::UpstreamKey, Domain::Address];

    fn key() -> DigestKey {
        DigestKey::new(&[5; 32])
    }

    #[test]
    fn digests_agree_with_another_implementation() {
        // Node: createHmac("sha256", 32 × 05).update("rondo/<domain>/v1\0" + "rk-pinned").
        let pinned = [
            "If4kT7n8O9eXunCmc1V5MbxiotSPPGa2XDIOenYecG4",
            "N8Ic-27fOJxYn5XOrlYTG1FwOjNPG4qZpjqHp7-Ju1A",
            "tQhbQOwQFv9FT_HWLri7oq5qrzQAgQ9hJEcT8a4vt6c",
            "u07eEnay4NU8QU2GdgCag-LRLndtdzoC4E_yUyloPx0",
        ];
        for (domain, expected) in DOMAINS.into_iter().zip(pinned) {
            assert_eq!(key().digest(domain, "rk-pinned").to_string(), expected, "{domain:?}");
        }
    }

    #[test]
    fn one_text_has_another_digest_in_each_domain_and_under_each_key() {
        let mut digests: HashSet<Digest> = DOMAINS.into_iter().map(|d| key().digest(d, "x")).collect();
        digests.insert(DigestKey::new(&[6; 32]).digest(Domain::Token, "x"));
        digests.insert(Digest::from_bytes(key().pepper("x")));
        assert_eq!(digests.len(), 6);
    }

    #[test]
    fn a_digest_is_found_again_in_a_map_after_a_trip_through_json() {
        let digest = key().digest(Domain::Token, "rk-a");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json.len(), 45, "43 characters and the quotes");
        let read: Digest = serde_json::from_str(&json).unwrap();
        assert_eq!(HashMap::from([(read, "a")]).get(&digest), Some(&"a"));
    }

    #[test]
    fn only_a_whole_digest_is_read_from_json() {
        for text in ["\"\"", "\"AAAA\"", "7", "null", "\"not base64url, though it has 43 characters.\""] {
            assert!(serde_json::from_str::<Digest>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_of_a_digest_key_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "DigestKey(***)");
    }

    proptest! {
        #[test]
        fn text_form_and_comparison_hold_for_every_digest(a: [u8; 32], b: [u8; 32]) {
            let (a, b) = (Digest::from_bytes(a), Digest::from_bytes(b));
            prop_assert_eq!(a.to_string().parse::<Digest>().unwrap(), a);
            prop_assert!(a.ct_eq(&a));
            prop_assert_eq!(a.ct_eq(&b), a == b);
        }

        #[test]
        fn different_texts_have_different_digests(a in ".{0,8}", b in ".{0,8}") {
            let same = key().digest(Domain::Token, &a) == key().digest(Domain::Token, &b);
            prop_assert_eq!(same, a == b);
        }
    }

    #[test]
    fn a_key_is_recognised_by_its_fingerprint_and_by_nothing_it_digests() {
        let (key, other) = (DigestKey::new(&[1; KEY_BYTES]), DigestKey::new(&[2; KEY_BYTES]));
        assert_eq!(key.check(), DigestKey::new(&[1; KEY_BYTES]).check());
        assert_ne!(key.check(), other.check());
        assert!(key.check().len() == 16 && key.check().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(key.check(), key.digest(Domain::Token, "").short());
    }
}
