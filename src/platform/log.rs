//! One JSON line per event on the console. Never a secret, a prompt or an answer: callers pass fixed words,
//! ids and numbers only.

use serde_json::{Value, json};

/// Something an operator should look at.
pub fn warn(event: &str, fields: &Value) {
    worker::console_warn!("{}", json!({"level": "warn", "event": event, "fields": fields}));
}

/// Something that failed.
pub fn error(event: &str, fields: &Value) {
    worker::console_error!("{}", json!({"level": "error", "event": event, "fields": fields}));
}
