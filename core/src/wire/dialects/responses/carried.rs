//! `encrypted_content`: how a client carries a turn's reasoning to the next. It is no secret from the client, who gets
//! the same text as a summary or as it is, and Rondo keeps nothing that could open a box: it is encoded, not encrypted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Tells it from what OpenAI or anybody else made.
const MARK: &str = "rondo1.";
/// The longest reasoning that is carried, in bytes; a longer one is not.
pub(super) const MAX_BYTES: usize = 512 * 1024;

/// What carries `text`. None if it is too long.
pub(super) fn pack(text: &str) -> Option<String> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut packed = MARK.to_owned();
    STANDARD.encode_string(text, &mut packed);
    Some(packed)
}

/// The reasoning that is carried. None if it is not of Rondo's making.
pub(super) fn unpack(packed: &str) -> Option<String> {
    let encoded = packed.strip_prefix(MARK)?;
    if encoded.len() > MAX_BYTES.div_ceil(3) * 4 {
        return None;
    }
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}
