//! Reading what upstreams say when they refuse: flat (Cerebras), nested (OpenAI, Google), `detail` (FastAPI), or
//! no JSON at all (whatever stands in front of them).

use serde_json::{Map, Value};

/// How much of an error's body is looked at, in bytes.
pub const MAX_ERROR_BODY: usize = 64 * 1024;
/// The longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 4096;
/// The longest type, param or code that is kept, in bytes.
const MAX_WORD: usize = 256;
/// How much of a page that is no JSON becomes the message, in bytes.
const MAX_TEXT: usize = 300;

/// An upstream's error, with empty strings for what it did not say. Anything in it that looks like a key is
/// blanked out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// For people.
    pub message: String,
    /// `type` on the wire.
    pub kind: String,
    /// The field at fault.
    pub param: String,
    /// For programs. `cloudflare_<n>` for Cloudflare's own error pages.
    pub code: String,
    /// The status said in the body: the true one when the error comes inside a stream.
    pub status: Option<u16>,
    /// The body was JSON of a known form, so the upstream's program wrote it and not something in front of it.
    pub structured: bool,
}

/// Reads an error's body. `status` is used for words where there are none; the content type only tells pages
/// from text, since JSON is often sent under a wrong one.
pub fn parse_upstream(status: u16, content_type: &str, body: &[u8]) -> UpstreamError {
    let whole = body.len() <= MAX_ERROR_BODY;
    let value = if whole { serde_json::from_slice(body).ok() } else { None };
    if let Some(error) = value.as_ref().and_then(from_value) {
        return error;
    }
    let body = body.get(..MAX_ERROR_BODY).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let html = content_type.to_ascii_lowercase().contains("html") || text.trim_start().starts_with('<');
    let line = if html { title(&text).unwrap_or_default() } else { text.trim() };
    let code = cloudflare_code(&text).map(|n| format!("cloudflare_{n}")).unwrap_or_default();
    let message = match line {
        "" => format!("status {status} without a message"),
        line => clean(line, MAX_TEXT),
    };
    UpstreamError { message, code, ..UpstreamError::default() }
}

/// The error in the data of a stream's event: `{"error":…}` or a flat one. None if it is something else.
pub(crate) fn from_event(data: &[u8]) -> Option<UpstreamError> {
    let value: Value = serde_json::from_slice(data.get(..MAX_ERROR_BODY).unwrap_or(data)).ok()?;
    let object = value.as_object()?;
    // An answer's chunk may carry any extra member; what has choices is no error unless it says `error`.
    let said = object.get("error").is_some_and(|error| !error.is_null());
    let flat = object.contains_key("message")
        && (object.contains_key("code") || object.contains_key("type"))
        && !object.contains_key("choices");
    if said || flat { from_value(&value) } else { None }
}

fn from_value(value: &Value) -> Option<UpstreamError> {
    let object = match value {
        Value::Object(object) => object,
        // Google wraps its errors in a list when it streams.
        Value::Array(list) => list.first()?.as_object()?,
        _ => return None,
    };
    let mut error = match object.get("error") {
        Some(Value::Object(inner)) => fields(inner),
        Some(Value::String(message)) => UpstreamError { message: message.clone(), ..fields(object) },
        _ if object.contains_key("message") || object.contains_key("code") => fields(object),
        _ => UpstreamError { message: detail(object.get("detail")?), ..UpstreamError::default() },
    };
    error.message = clean(&error.message, MAX_MESSAGE);
    error.structured = true;
    error.status = ["status_code", "status"]
        .iter()
        .find_map(|name| object.get(*name)?.as_u64())
        .and_then(sane_status)
        .or(error.status);
    Some(error)
}

fn sane_status(status: u64) -> Option<u16> {
    (400..=599).contains(&status).then_some(status as u16)
}

fn fields(object: &Map<String, Value>) -> UpstreamError {
    let word = |name: &str| match object.get(name) {
        Some(Value::String(text)) => clean(text, MAX_WORD),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let message = match object.get("message") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    // Google's kind is called `status` and is a word; its `code` is the number.
    let kind = match word("type") {
        kind if kind.is_empty() => {
            object.get("status").and_then(Value::as_str).map(|s| clean(s, MAX_WORD)).unwrap_or_default()
        }
        kind => kind,
    };
    let status = object.get("code").and_then(Value::as_u64).and_then(sane_status);
    UpstreamError { message, kind, param: word("param"), code: word("code"), status, structured: false }
}

/// FastAPI's `detail` is a text or a list of `{loc, msg}`.
fn detail(detail: &Value) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let said: Vec<&str> = list.iter().filter_map(|item| item.get("msg")?.as_str()).collect();
            if said.is_empty() { detail.to_string() } else { said.join("; ") }
        }
        other => other.to_string(),
    }
}

fn title(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(title.trim())
}

/// The number in Cloudflare's `error code: 1010`, as it stands in bare text and in its pages.
fn cloudflare_code(text: &str) -> Option<u16> {
    let mut places = ["error code: ", "Error code: ", "Error code "].iter();
    let rest = places.find_map(|mark| text.split_once(mark))?.1;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok()
}

/// At most `limit` bytes, without control characters and without keys.
fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        if out.len() + c.len_utf8() > limit {
            break;
        }
        // Cerebras joins the messages of several fields with line feeds.
        out.push(if c.is_control() && c != '\n' { ' ' } else { c });
    }
    redact(&mut out);
    out
}

/// Upstreams quote the key they refuse; whatever looks like one becomes `***`.
fn redact(text: &mut String) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("sk-")) {
        let at = from + found;
        let start = if text.get(..at).is_some_and(|before| before.ends_with('c')) { at - 1 } else { at };
        let inside_word = text
            .get(..start)
            .and_then(|before| before.chars().next_back())
            .is_some_and(char::is_alphanumeric);
        let secret = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*');
        let tail: usize =
            text.get(at + 3..).unwrap_or_default().chars().take_while(secret).map(char::len_utf8).sum();
        if tail >= 4 && !inside_word {
            text.replace_range(start..at + 3 + tail, "***");
            from = start + 3;
        } else {
            from = at + 3;
        }
    }
}
