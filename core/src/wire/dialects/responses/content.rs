//! What messages and results of tools hold.

use super::fields::{Fields, wrong};
use crate::wire::dialects::chat::{Content, ImageUrl, Part};
use crate::wire::dialects::{Changed, Notes, refused};
use crate::wire::errors::ApiError;
use serde_json::Value;

/// Stands for a picture or a file that a tool gave: upstream, results of tools are text.
const LEFT_OUT: &str = "[An attachment that this model can't be given was left out here.]";

/// A part of a message or of a result.
enum Piece {
    Text(String),
    Image(ImageUrl),
    /// Something that is no text; the error is for where that can't be overlooked.
    Other(ApiError),
}

fn piece(value: Value, path: String, notes: &mut Notes) -> Result<Piece, ApiError> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.needed_text("type")?;
    let piece = match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            fields.ignore(&["annotations", "logprobs"]);
            Piece::Text(fields.needed_text("text")?)
        }
        "refusal" => Piece::Text(fields.needed_text("refusal")?),
        "input_image" => match fields.text("image_url")? {
            Some(url) => Piece::Image(ImageUrl { url, detail: detail(&mut fields, notes)? }),
            None => {
                let message =
                    "Rondo keeps no files. Send the picture itself as `image_url`, an address or `data:…`.";
                Piece::Other(refused("unsupported_value", fields.at("image_url"), message))
            }
        },
        _ => {
            let message = "Only texts and pictures are taken: `input_text`, `output_text`, `input_image`, `refusal`. \
                           Send what a file says as text.";
            Piece::Other(refused("unsupported_value", fields.at("type"), message))
        }
    };
    if !matches!(piece, Piece::Other(_)) {
        fields.rest(notes);
    }
    Ok(piece)
}

fn detail(fields: &mut Fields, notes: &mut Notes) -> Result<Option<String>, ApiError> {
    let detail = fields.text("detail")?;
    Ok(match detail.as_deref() {
        Some("low" | "high" | "auto") | None => detail,
        Some("original") => {
            notes.add(fields.at("detail"), Changed::Translated);
            Some("high".to_owned())
        }
        Some(_) => return Err(wrong(fields.at("detail"), "`low`, `high`, `auto` or `original`")),
    })
}

fn pieces(value: Value, path: &str) -> Result<Result<String, Vec<Value>>, ApiError> {
    match value {
        Value::String(text) => Ok(Ok(text)),
        Value::Array(list) => Ok(Err(list)),
        _ => Err(wrong(path.to_owned(), "a string or a list of parts")),
    }
}

/// What a user says.
pub(super) fn user(value: Value, path: &str, notes: &mut Notes) -> Result<Content, ApiError> {
    let list = match pieces(value, path)? {
        Ok(text) => return Ok(Content::Text(text)),
        Err(list) => list,
    };
    let mut parts = Vec::with_capacity(list.len());
    for (at, value) in list.into_iter().enumerate() {
        parts.push(match piece(value, format!("{path}.{at}"), notes)? {
            Piece::Text(text) => Part::Text { text },
            Piece::Image(image_url) => Part::ImageUrl { image_url },
            Piece::Other(error) => return Err(error),
        });
    }
    match parts.pop() {
        None => Ok(Content::Text(String::new())),
        Some(Part::Text { text }) if parts.is_empty() => Ok(Content::Text(text)),
        Some(last) => {
            parts.push(last);
            Ok(Content::Parts(parts))
        }
    }
}

/// What anybody else says, which must be text; `between` stands between the parts.
pub(super) fn text(value: Value, path: &str, between: &str, notes: &mut Notes) -> Result<String, ApiError> {
    let list = match pieces(value, path)? {
        Ok(text) => return Ok(text),
        Err(list) => list,
    };
    let mut whole = String::new();
    for (at, value) in list.into_iter().enumerate() {
        let path = format!("{path}.{at}");
        let text = match piece(value, path.clone(), notes)? {
            Piece::Text(text) => text,
            Piece::Image(_) => {
                let message = "Pictures are taken in messages of the role `user` only.";
                return Err(refused("unsupported_value", path, message));
            }
            Piece::Other(error) => return Err(error),
        };
        if at > 0 {
            whole.push_str(between);
        }
        whole.push_str(&text);
    }
    Ok(whole)
}

/// What a tool gave. Refusing a picture here would end an agent's work for good, so it is left out.
pub(super) fn result(value: Value, path: &str, notes: &mut Notes) -> Result<String, ApiError> {
    let list = match pieces(value, path)? {
        Ok(text) => return Ok(text),
        Err(list) => list,
    };
    let mut texts = Vec::with_capacity(list.len());
    for (at, value) in list.into_iter().enumerate() {
        let path = format!("{path}.{at}");
        texts.push(match piece(value, path.clone(), notes)? {
            Piece::Text(text) => text,
            Piece::Image(_) | Piece::Other(_) => {
                notes.dropped(path);
                LEFT_OUT.to_owned()
            }
        });
    }
    Ok(texts.join("\n"))
}
