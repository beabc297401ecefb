//! OpenAI's older Completions.

use super::chat::{Chunk, Whole};
use super::{Machine, Seed, Translated};
use crate::wire::errors::ApiError;

/// What the answer needs to know of the request.
#[derive(Debug)]
pub struct Answering {
    seed: Seed,
}

/// Translates a request.
///
/// # Errors
/// 400 naming the field that can't be translated.
pub fn request(body: &[u8], seed: Seed) -> Result<Translated, ApiError> {
    let _ = (body, seed);
    Err(ApiError::not_found())
}

impl Answering {
    pub(super) fn whole(self, whole: &Whole<'_>) -> Vec<u8> {
        let _ = (whole, self.seed);
        Vec::new()
    }

    pub(super) fn stream(self) -> Answer {
        Answer { answering: self }
    }
}

/// A streamed answer.
#[derive(Debug)]
pub struct Answer {
    answering: Answering,
}

impl Machine for Answer {
    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) {
        let _ = (chunk, out, &self.answering);
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    fn failed(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let _ = (error, out);
    }
}
