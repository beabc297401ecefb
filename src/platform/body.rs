//! Bodies read whole within a bound.

use super::streams::{Lost, Reader, Source};
use js_sys::Uint8Array;

/// What came of collecting a stream.
pub enum Collected {
    /// All of it.
    Whole(Uint8Array),
    /// It is longer than the bound: what was read, and the reader to go on with.
    More {
        /// The bytes so far, more than the bound by less than a chunk.
        head: Uint8Array,
        /// Reads what follows.
        reader: Reader,
    },
}

/// Reads a stream to its end, or until more than `limit` bytes came.
///
/// # Errors
/// When the connection breaks first.
pub async fn collect(source: &Source, limit: usize) -> Result<Collected, Lost> {
    let mut reader = source.reader()?;
    let mut chunks: Vec<Uint8Array> = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = reader.read().await? {
        length = length.saturating_add(chunk.length() as usize);
        chunks.push(chunk);
        if length > limit {
            return Ok(Collected::More { head: join(&chunks, length), reader });
        }
    }
    Ok(Collected::Whole(join(&chunks, length)))
}

/// The first bytes of a stream, at most `limit`; the rest is given up. For error bodies, whose text is all
/// that matters: what breaks off is taken as it is.
pub async fn beginning(source: &Source, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(mut reader) = source.reader() else { return bytes };
    while let Ok(Some(chunk)) = reader.read().await {
        bytes.extend_from_slice(&chunk.to_vec());
        if bytes.len() >= limit {
            bytes.truncate(limit);
            reader.cancel();
            break;
        }
    }
    bytes
}

fn join(chunks: &[Uint8Array], length: usize) -> Uint8Array {
    if let [only] = chunks {
        return only.clone();
    }
    let whole = Uint8Array::new_with_length(u32::try_from(length).unwrap_or(u32::MAX));
    let mut at = 0;
    for chunk in chunks {
        whole.set(chunk, at);
        at += chunk.length();
    }
    whole
}
