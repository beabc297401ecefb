//! How long a look at a body takes.

use super::*;
use serde_json::json;

/// A conversation of an agent: code in messages, calls, tools with schemas; about `kb` KiB.
fn usual(kb: usize) -> Vec<u8> {
    let code =
        "fn main() {\n\tlet name = \"world\";\n\tprintln!(\"hello {name}: {}\", 1 + 2);\n}\n".repeat(24);
    let tool = json!({"type": "function", "function": {"name": "read_file", "description": "Reads a file.", "parameters":
        {"type": "object", "properties": {"path": {"type": "string", "description": "Where it is."}}, "required": ["path"]}}});
    let mut messages = vec![json!({"role": "system", "content": "Be kind. ".repeat(500)})];
    while messages.len() * code.len() / 2 < kb * 1024 {
        let call = json!({"id": "a1b2c3d4e", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"a.rs\"}"}});
        messages.push(json!({"role": "assistant", "content": "I will read it.", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": "a1b2c3d4e", "content": code}));
    }
    serde_json::to_vec(&json!({"model": "m", "messages": messages, "tools": vec![tool; 20], "stream": true, "reasoning_effort": "high"})).unwrap()
}

/// `cargo test --release -p rondo-core cleanup -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "it runs natively only")]
fn throughput() {
    fn time(what: &str, body: &[u8], mut work: impl FnMut(&[u8]) -> bool) {
        let rounds = (64 * 1024 * 1024 / body.len()).max(1);
        let start = std::time::Instant::now();
        let mut hits = 0;
        for _ in 0..rounds {
            hits += usize::from(work(std::hint::black_box(body)));
        }
        let ns = start.elapsed().as_nanos() as f64 / rounds as f64 / (body.len() as f64 / 1024.0);
        println!("{:>6} KiB {what:<28} {ns:>8.1} ns/KiB ({hits})", body.len() / 1024);
    }
    for kb in [4, 64, 1024] {
        let body = usual(kb);
        let name = String::from_utf8(body.clone()).unwrap();
        let dirty = name.replacen("{\"messages\"", "{\"store\":false,\"messages\"", 1).into_bytes();
        time("clean, nothing to do", &body, |body| clean(body).is_some());
        time("one search per name", &body, |body| {
            RULES
                .iter()
                .any(|rule| memchr::memmem::find(body, format!("\"{}\"", rule.name).as_bytes()).is_some())
        });
        time("walk, nothing to do", &body, |body| walk::clean(body).is_some());
        time("clean, store", &dirty, |body| clean(body).is_some());
        time("strict_schema_fault", &body, |body| strict_schema_fault(body).is_some());
        time("scan, for comparison", &body, |body| crate::wire::json::scan(body).is_ok());
    }
}
