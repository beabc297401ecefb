//! A request that can't be translated: a 400 that names the field. serde tells line and column; people want a path.

use crate::wire::errors::ApiError;
use crate::wire::lex::{Lexer, Text, Token};
use std::borrow::Cow;

/// Characters of a path at the most.
const PATH_CHARS: usize = 120;
/// A member's name longer than this is no field of any dialect.
const NAME_CHARS: usize = 40;

/// 400: the field at `path` can't be translated; `message` says what to do.
pub(in crate::wire) fn refused(
    code: &'static str,
    path: impl Into<String>,
    message: impl Into<Cow<'static, str>>,
) -> ApiError {
    let mut path: String = path.into();
    if let Some((at, _)) = path.char_indices().nth(PATH_CHARS) {
        path.truncate(at);
    }
    ApiError {
        status: 400,
        message: message.into(),
        kind: "invalid_request_error".into(),
        param: path.into(),
        code: code.into(),
        retry_after_ms: None,
        should_retry: Some(false),
    }
}

/// 400: the body is not what a reader of `schema` takes. Of the client's values nothing is repeated.
pub(super) fn unreadable(body: &[u8], error: &serde_json::Error, schema: &str) -> ApiError {
    let path = path_of(body, error);
    if !error.is_data() {
        let message =
            format!("The request body is not valid JSON (line {}, column {}).", error.line(), error.column());
        return refused("invalid_json", path, message);
    }
    let said = error.to_string();
    let message = match said.split('`').nth(1) {
        Some(field) if said.starts_with("missing field") => {
            format!("`{field}` is missing. The body must be a {schema}.")
        }
        Some(field) if said.starts_with("duplicate field") => format!("`{field}` is there twice."),
        _ if path.is_empty() => format!("The body must be a {schema}."),
        _ => format!("`{path}` does not have the type that a {schema} wants there."),
    };
    refused("invalid_type", path, message)
}

enum Step {
    Member(Option<Text>),
    Item(Option<usize>),
}

/// The path of the value at which a reader gave up.
fn path_of(body: &[u8], error: &serde_json::Error) -> String {
    let line_start = match error.line().checked_sub(2) {
        Some(n) => memchr::memchr_iter(b'\n', body).nth(n).map_or(0, |at| at + 1),
        None => 0,
    };
    let end = line_start + error.column();
    let mut lexer = Lexer::new(body);
    let mut steps: Vec<Step> = Vec::new();
    while let Ok(token) = lexer.next() {
        match (token, steps.last_mut()) {
            (Token::Key(text), Some(Step::Member(name))) => *name = Some(text),
            (Token::ObjectEnd | Token::ArrayEnd, _) => drop(steps.pop()),
            (Token::End, _) => break,
            (_, Some(Step::Item(n))) => *n = Some(n.map_or(0, |n| n + 1)),
            _ => {}
        }
        if lexer.pos >= end {
            break;
        }
        match token {
            Token::ObjectStart => steps.push(Step::Member(None)),
            Token::ArrayStart => steps.push(Step::Item(None)),
            _ => {}
        }
    }
    let mut path = String::new();
    for step in &steps {
        let part = match step {
            Step::Member(Some(text)) => match text.decode(body) {
                Some(name) => field(&name).to_owned(),
                None => break,
            },
            Step::Item(Some(n)) => n.to_string(),
            _ => break,
        };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&part);
    }
    path
}

/// A member's name as a path shows it: names that no dialect has might be anything.
pub(in crate::wire) fn field(name: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if !name.is_empty() && name.len() <= NAME_CHARS && name.chars().all(plain) { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code)]
        number: u64,
    }

    fn of(body: &str) -> (String, String) {
        let error = serde_json::from_str::<Outer>(body).unwrap_err();
        let error = unreadable(body.as_bytes(), &error, "thing");
        assert_eq!((error.status, error.should_retry), (400, Some(false)));
        (error.param.into_owned(), error.message.into_owned())
    }

    #[test]
    fn the_field_at_fault_is_named_and_none_of_its_value() {
        for value in ["\"secret\"", "[1]", "{\"a\": 1}", "true", "-1"] {
            for space in ["", "\n", "  \n\n "] {
                let body =
                    format!("{{\"list\":{space}[{{\"number\":1}},{space}{{\"number\":{space}{value}}}]}}");
                let (path, message) = of(&body);
                assert_eq!(path, "list.1.number", "{body}");
                assert_eq!(message, "`list.1.number` does not have the type that a thing wants there.");
            }
        }
    }

    #[test]
    fn what_is_missing_or_twice_is_said() {
        assert_eq!(of(r#"{"list":[{}]}"#).1, "`number` is missing. The body must be a thing.");
        assert_eq!(of(r#"{"list":[],"list":[]}"#).1, "`list` is there twice.");
        assert_eq!(of("[]").1, "The body must be a thing.");
        assert!(of(r#"{"list":"#).1.contains("not valid JSON (line 1, column 8)"));
    }
}
