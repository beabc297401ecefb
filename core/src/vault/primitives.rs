//! The three standard algorithms everything here is made of, checked against the standards' own vectors.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::VaultError;

/// Bytes of a key, a digest and an HMAC.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of an AES-GCM nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of an AES-GCM tag.
pub(super) const TAG_BYTES: usize = 16;

/// HMAC-SHA256 with its key already worked in; cloned for each message.
pub(super) type Hmac256 = Hmac<Sha256>;

/// A keyed HMAC-SHA256. The key is shorter than a block, so it is padded with zeros (RFC 2104) and cannot fail.
pub(super) fn hmac_key(key: &[u8; KEY_BYTES]) -> Hmac256 {
    let mut block = [0_u8; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    <Hmac256 as KeyInit>::new(&block.into())
}

/// HMAC of the parts, one after the other. The caller makes them unambiguous.
pub(super) fn hmac(key: &Hmac256, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HKDF-SHA256 (RFC 5869), extract and expand to one key.
pub(super) fn hkdf(salt: &[u8], input: &[u8], info: &[u8]) -> Result<[u8; KEY_BYTES], VaultError> {
    let mut key = [0_u8; KEY_BYTES];
    Hkdf::<Sha256>::new(Some(salt), input).expand(info, &mut key).map_err(|_| VaultError::Internal)?;
    Ok(key)
}

/// An AES-256-GCM cipher for this key.
pub(super) fn cipher(key: &[u8; KEY_BYTES]) -> Aes256Gcm {
    Aes256Gcm::new(&(*key).into())
}

/// AES-256-GCM; the answer is ciphertext and tag.
pub(super) fn encrypt(
    cipher: &Aes256Gcm,
    nonce: [u8; NONCE_BYTES],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, VaultError> {
    cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: associated })
        .map_err(|_| VaultError::Internal)
}

/// The reverse of [`encrypt`]; `None` when the tag does not match.
pub(super) fn decrypt(
    cipher: &Aes256Gcm,
    nonce: [u8; NONCE_BYTES],
    associated: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: associated }).ok()
}

/// base64url without padding.
pub(super) fn to_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The reverse of [`to_text`]; only the one canonical spelling is taken, so that no two texts mean the same.
pub(super) fn from_text(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Exactly one key's bytes from base64url, without an allocation.
pub(super) fn key_from_text(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0_u8; KEY_BYTES];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(KEY_BYTES) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn hkdf_gives_the_first_key_of_rfc_5869_test_case_1() {
        let key =
            hkdf(&hex("000102030405060708090a0b0c"), &[0x0b; 22], &hex("f0f1f2f3f4f5f6f7f8f9")).unwrap();
        assert_eq!(key.to_vec(), hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
    }

    #[test]
    fn hmac_agrees_with_rfc_4231_test_case_2_whatever_the_parts() {
        // The case's key, "Jefe", is shorter than ours: zeros behind it mean the same key in HMAC.
        let mut key = [0_u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(hmac(&hmac_key(&key), &[b"what do ya want for nothing?"]).to_vec(), expected);
        assert_eq!(hmac(&hmac_key(&key), &[b"what do ya ", b"", b"want for nothing?"]).to_vec(), expected);
    }

    #[test]
    fn aes_256_gcm_agrees_with_test_case_16_of_the_gcm_specification() {
        let half = hex("feffe9928665731c6d6a8f9467308308");
        let key: [u8; 32] = [half.clone(), half].concat().try_into().unwrap();
        let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plaintext = hex(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let sealed = hex(concat!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ));
        assert_eq!(encrypt(&cipher(&key), nonce, &associated, &plaintext).unwrap(), sealed);
        assert_eq!(decrypt(&cipher(&key), nonce, &associated, &sealed), Some(plaintext));
    }

    #[test]
    fn only_the_canonical_spelling_of_a_text_is_read() {
        assert_eq!(from_text("AA"), Some(vec![0]));
        assert_eq!(from_text("AB"), None, "bits behind the last byte");
        assert_eq!(from_text("AA=="), None, "padding");
        assert_eq!(from_text("A A"), None, "white space");
        assert_eq!(from_text("+/8"), None, "the other alphabet");
    }

    #[test]
    fn a_key_text_must_be_exactly_one_key_long() {
        let text = to_text(&[7; 32]);
        assert_eq!(key_from_text(&text), Some([7; 32]));
        assert_eq!(key_from_text(&to_text(&[7; 31])), None);
        assert_eq!(key_from_text(&to_text(&[7; 33])), None);
        assert_eq!(key_from_text(""), None);
    }
}
