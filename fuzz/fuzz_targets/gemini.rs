#![no_main]

use libfuzzer_sys::fuzz_target;
use rondo_core::wire::dialects::{Speech, gemini::Framing};

fuzz_target!(|data: &[u8]| {
    rondo_fuzz::dialect(data, &Speech::Gemini("gpt-oss-120b", Some(Framing::Sse)));
    rondo_fuzz::dialect(data, &Speech::Gemini("models/m", Some(Framing::Array)));
});
