//! What the targets share.

use rondo_core::wire::dialects::{Seed, Speech};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::json::scan;

const SEED: Seed = Seed { now_s: 1_800_000_000, entropy: [7; 16] };
/// Between a request and the answer to it, in one input.
const BETWEEN: &[u8] = b"\n====\n";

/// A request in some dialect and what the upstream answers, at once and cut in two: the translated request is sound
/// JSON, and no cut changes what the client gets.
pub fn dialect(data: &[u8], speech: &Speech<'_>) {
    let at = data.windows(BETWEEN.len()).position(|part| part == BETWEEN);
    let (request, answer) = match at {
        Some(at) => (&data[..at], &data[at + BETWEEN.len()..]),
        None => (data, &b""[..]),
    };
    let translated = || speech.translate(request, SEED).ok().flatten();
    let Some(first) = translated() else { return };
    assert!(scan(&first.body).is_ok(), "{}", String::from_utf8_lossy(&first.body));
    let _ = first.answering.whole(answer);
    let streamed = |cut: usize| {
        let mut answering = translated().expect("it was, just now").answering;
        answering.expect_prompt(11);
        let (mut stream, mut out) = (answering.stream(), Vec::new());
        stream.feed(&answer[..cut], &mut out);
        stream.feed(&answer[cut..], &mut out);
        stream.end(&ApiError::stream_interrupted(), &mut out);
        out
    };
    let cut = usize::from(data.first().copied().unwrap_or(0)) * answer.len() / 255;
    assert_eq!(streamed(0), streamed(cut));
}
