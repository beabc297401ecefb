//! Documents in KV, which others may be able to write: HMAC-SHA256 over name, generation, epoch and body. An
//! isolate trusts one without asking D1 or the Coordinator.
//!
//! A document is one line, `rondo1 <generation> <epoch> <mac>`, a newline and the body as it is. The MAC is over
//! `rondo/kv/v1/`, the name, a zero byte, and everything of the document but `rondo1 ` and the MAC's own field.
//! That an old document is no longer the latest the MAC cannot tell: the reader compares generation and epoch.

use super::compare::bytes_eq;
use super::primitives::{hmac, key_from_text, to_text};
use super::{MasterKey, VaultError};
use crate::limits::kv;

/// The first field of a document.
const FORMAT: &str = "rondo1";
const WHAT: &str = "signed document";
/// Longest first line: two numbers of 20 digits, the MAC and what is between.
const LONGEST_LINE: usize = 96;

/// What a verified document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The configuration's generation.
    pub generation: u64,
    /// The configuration's epoch within it.
    pub epoch: u64,
    /// The body, part of the document's text.
    pub body: &'a str,
}

/// Signs a body for a name (its KV key), so that one document cannot stand in for another.
///
/// Errors: a name with a zero byte or beyond KV's key length, a document beyond KV's value length.
pub fn sign(
    master: &MasterKey,
    name: &str,
    generation: u64,
    epoch: u64,
    body: &str,
) -> Result<String, VaultError> {
    check_name(name)?;
    if body.len() > kv::VALUE_BYTES - LONGEST_LINE {
        return Err(VaultError::TooLong { what: "the document", max: kv::VALUE_BYTES - LONGEST_LINE });
    }
    let numbers = format!("{generation} {epoch}");
    let mac = to_text(&mac(master, name, &numbers, body));
    Ok(format!("{FORMAT} {numbers} {mac}\n{body}"))
}

/// Verifies a document of this name and takes it apart; the body is not copied.
///
/// Errors: `Malformed` when it is no document, `DoesNotOpen` under another `ENCRYPTION_KEY` or name or when
/// anything of it was altered.
pub fn verify<'a>(master: &MasterKey, name: &str, document: &'a str) -> Result<Signed<'a>, VaultError> {
    let malformed = VaultError::Malformed(WHAT);
    check_name(name)?;
    if document.len() > kv::VALUE_BYTES {
        return Err(malformed);
    }
    let (line, body) = document.split_once('\n').ok_or(malformed)?;
    let signed = line.strip_prefix(FORMAT).and_then(|line| line.strip_prefix(' ')).ok_or(malformed)?;
    let (numbers, given) = signed.rsplit_once(' ').ok_or(malformed)?;
    let (generation, epoch) = numbers.split_once(' ').ok_or(malformed)?;
    let generation = generation.parse().map_err(|_| malformed)?;
    let epoch = epoch.parse().map_err(|_| malformed)?;
    let given = key_from_text(given).ok_or(malformed)?;
    if !bytes_eq(&mac(master, name, numbers, body), &given) {
        return Err(VaultError::DoesNotOpen(WHAT));
    }
    Ok(Signed { generation, epoch, body })
}

/// `numbers` has no newline and the name no zero byte, so the parts cannot be cut differently.
fn mac(master: &MasterKey, name: &str, numbers: &str, body: &str) -> [u8; 32] {
    let parts: [&[u8]; 6] =
        [b"rondo/kv/v1/", name.as_bytes(), b"\0", numbers.as_bytes(), b"\n", body.as_bytes()];
    hmac(&master.sign, &parts)
}

fn check_name(name: &str) -> Result<(), VaultError> {
    if name.len() > kv::KEY_BYTES {
        return Err(VaultError::TooLong { what: "the document's name", max: kv::KEY_BYTES });
    }
    if name.contains('\0') {
        return Err(VaultError::NotAllowed("the document's name may not hold a zero byte"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn master() -> MasterKey {
        MasterKey::from_secret("q3yYkz0Jx8nV5w2mT7uLrA9cF4hB6dEo1sPiKgNvXtI=").unwrap()
    }

    #[test]
    fn a_document_signed_by_another_implementation_is_verified_and_made_again() {
        // Node: HMAC under hkdfSync(…, "rondo/snapshot/v1"), over "rondo/kv/v1/snapshot\0" + "2 41\n" + body.
        let document = "rondo1 2 41 xDREvsIZAtzabwuG6kgMlt_Nhlb-4b4uAN76RptNdMI\n{\"tokens\":[]}\n";
        let expected = Signed { generation: 2, epoch: 41, body: "{\"tokens\":[]}\n" };
        assert_eq!(verify(&master(), "snapshot", document), Ok(expected));
        assert_eq!(sign(&master(), "snapshot", 2, 41, expected.body).unwrap(), document);
    }

    #[test]
    fn a_document_cannot_stand_in_for_one_of_another_name_epoch_or_key() {
        let document = sign(&master(), "snapshot", 1, 2, "body").unwrap();
        let no = Err(VaultError::DoesNotOpen(WHAT));
        assert_eq!(verify(&master(), "keys", &document), no);
        assert_eq!(verify(&master(), "snapshot", &document.replace(" 1 2 ", " 1 3 ")), no);
        assert_eq!(verify(&master(), "snapshot", &document.replace(" 1 2 ", " 12 2 ")), no);
        assert_eq!(verify(&master(), "snapshot", &document.replace(" 1 2 ", " +1 2 ")), no);
        let other = MasterKey::from_secret("Zl0q8m2Vb5r7T1yX4c9N6w3KjHgFdSaPoIuYtReWqLk=").unwrap();
        assert_eq!(verify(&other, "snapshot", &document), no);
    }

    #[test]
    fn what_is_no_document_is_malformed() {
        let mac = to_text(&[0; 32]);
        for text in [
            String::new(),
            "body".into(),
            "rondo1\nbody".into(),
            format!("rondo2 1 2 {mac}\nbody"),
            format!("rondo1 1 {mac}\nbody"),
            format!("rondo1 1 -2 {mac}\nbody"),
            format!("rondo1 1 18446744073709551616 {mac}\nbody"),
            format!("rondo1 1 2 {mac}A\nbody"),
            format!("rondo1 1 2 {mac}"),
        ] {
            assert_eq!(verify(&master(), "snapshot", &text), Err(VaultError::Malformed(WHAT)), "{text}");
        }
    }

    #[test]
    fn names_and_documents_are_bounded_by_what_kv_takes() {
        let name = "n".repeat(kv::KEY_BYTES + 1);
        assert!(matches!(sign(&master(), &name, 1, 1, ""), Err(VaultError::TooLong { .. })));
        assert!(matches!(verify(&master(), "a\0b", ""), Err(VaultError::NotAllowed(_))));
        let body = "b".repeat(kv::VALUE_BYTES - LONGEST_LINE + 1);
        assert!(matches!(sign(&master(), "n", 1, 1, &body), Err(VaultError::TooLong { .. })));
        let line = sign(&master(), "n", u64::MAX, u64::MAX, "").unwrap();
        assert!(line.len() <= LONGEST_LINE, "{}", line.len());
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified_and_any_flipped_bit_is_not(
            generation: u64, epoch: u64, body in any::<String>(), at: proptest::sample::Index, bit in 0_u8..7,
        ) {
            let document = sign(&master(), "snapshot", generation, epoch, &body).unwrap();
            prop_assert_eq!(
                verify(&master(), "snapshot", &document),
                Ok(Signed { generation, epoch, body: &body })
            );
            let mut bytes = document.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // A flip that is no UTF-8 never reaches `verify`.
            if let Ok(altered) = String::from_utf8(bytes) {
                prop_assert!(verify(&master(), "snapshot", &altered).is_err());
            }
        }

        #[test]
        fn no_text_makes_verify_panic(text in "(rondo1 )?[ 0-9\\n]{0,10}.{0,60}") {
            prop_assert!(verify(&master(), "snapshot", &text).is_err());
        }
    }
}
