#![no_main]

use libfuzzer_sys::fuzz_target;
use rondo_core::wire::dialects::Speech;

fuzz_target!(|data: &[u8]| rondo_fuzz::dialect(data, &Speech::Messages));
