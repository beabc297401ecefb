#![no_main]

use libfuzzer_sys::fuzz_target;
use rondo_core::wire::cleanup::{clean, strict_schema_fault};
use rondo_core::wire::json::scan;

// What is cleaned is sound JSON, and clean.
fuzz_target!(|data: &[u8]| {
    let _ = strict_schema_fault(data);
    if scan(data).is_err() {
        let _ = clean(data);
        return;
    }
    if let Some((cleaned, _)) = clean(data) {
        assert!(scan(&cleaned).is_ok(), "{}", String::from_utf8_lossy(&cleaned));
        assert!(clean(&cleaned).is_none(), "{}", String::from_utf8_lossy(&cleaned));
    }
});
