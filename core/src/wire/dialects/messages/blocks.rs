//! Blocks of the client's side as parts: texts and pictures.

use super::refused;
use super::request::{Block, Content, Source, SourceObject};
use crate::wire::dialects::Notes;
use crate::wire::dialects::chat::{self, ImageUrl, Part};
use crate::wire::errors::ApiError;

/// Between the texts of blocks that become one text.
pub(super) const BETWEEN: &str = "\n\n";

/// Blocks that belong to Anthropic's own servers and say nothing to another model: their tools' calls and results,
/// changes of the tools, files in containers. The model's own words about them stand in text blocks.
const SERVER_SIDE: [&str; 10] = [
    "server_tool_use",
    "mcp_tool_use",
    "mcp_tool_listing",
    "container_upload",
    "tool_addition",
    "tool_removal",
    "tool_reference",
    "browser_state",
    "connector_text",
    "fallback",
];

/// Whether a block is left out.
pub(super) fn is_server_side(kind: &str) -> bool {
    SERVER_SIDE.contains(&kind) || (kind.ends_with("_tool_result") && kind != "tool_result")
}

/// Whose content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The user's last message.
    User,
    /// A tool's result, or an earlier message: an error would end the conversation for good, since both are sent
    /// again with each request. What can't be passed on is named in the text, so that the model knows.
    Kept,
    /// What takes text only.
    TextOnly,
}

/// Reads a content into parts.
pub(super) fn parts(
    content: Content,
    place: Place,
    path: &str,
    notes: &mut Notes,
) -> Result<Vec<Part>, ApiError> {
    let mut parts = Vec::new();
    match content {
        Content::Text(text) => push_text(&mut parts, text),
        Content::Blocks(blocks) => {
            for (at, block) in blocks.into_iter().enumerate() {
                read(block, place, &format!("{path}.{at}"), notes, &mut parts)?;
            }
        }
        Content::Other => return Err(no_content(path)),
    }
    Ok(parts)
}

/// 400: an object stands where only the blocks of server tools have one.
pub(super) fn no_content(path: impl Into<String>) -> ApiError {
    refused("invalid_type", path, "it must be a text or a list of blocks.")
}

/// Reads one block, which is none of a tool, into parts.
pub(super) fn read(
    block: Block,
    place: Place,
    path: &str,
    notes: &mut Notes,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    if block.cache_control.is_some() {
        notes.dropped("messages.*.content.*.cache_control");
    }
    match block.r#type.as_str() {
        "text" => {
            let text = block
                .text
                .ok_or_else(|| refused("missing_required_parameter", path, "`text` is missing."))?;
            push_text(parts, text);
        }
        "image" => match image(block.source) {
            Some(url) if place != Place::TextOnly => {
                parts.push(Part::ImageUrl { image_url: ImageUrl { url, detail: None } });
            }
            _ if place == Place::Kept => left_out("an image", path, notes, parts),
            Some(_) => return Err(refused("unsupported_value", path, "only text can stand here.")),
            None => {
                let what =
                    "send the image as `base64` with its `media_type`, or as `url`; files are not kept here.";
                return Err(refused("unsupported_value", path, what));
            }
        },
        "document" => document(block, place, path, notes, parts)?,
        "search_result" => {
            let texts = match block.content {
                Some(content) => plain(content, &format!("{path}.content"), notes)?,
                None => String::new(),
            };
            let source = match block.source {
                Some(Source::Named(source)) => source,
                _ => String::new(),
            };
            push_text(parts, titled("Search result", block.title, Some(source), texts));
        }
        // A summary of what was said before: without it the conversation has no beginning.
        "compaction" => match block.content {
            Some(Content::Text(text)) => push_text(parts, text),
            _ => notes.dropped(path),
        },
        "tool_reference" if place == Place::Kept => {
            push_text(parts, format!("Tool: {}", block.tool_name.unwrap_or_default()));
        }
        kind if is_server_side(kind) => notes.dropped(path),
        _ if place == Place::Kept => left_out("content of an unknown type", path, notes, parts),
        _ => {
            let what = "this type of block is not known here; send its content as text.";
            return Err(refused("unsupported_value", path, what));
        }
    }
    Ok(())
}

/// A content as one text.
pub(super) fn plain(content: Content, path: &str, notes: &mut Notes) -> Result<String, ApiError> {
    Ok(text_of(&parts(content, Place::TextOnly, path, notes)?))
}

/// The texts among parts, as one.
pub(super) fn text_of(parts: &[Part]) -> String {
    let mut whole = String::new();
    for part in parts {
        if let Part::Text { text } = part {
            if !whole.is_empty() {
                whole.push_str(BETWEEN);
            }
            whole.push_str(text);
        }
    }
    whole
}

/// What a user says, or None if it is nothing. Texts alone become one text, which every model takes.
pub(super) fn user(parts: Vec<Part>) -> Option<chat::Message> {
    if parts.is_empty() {
        return None;
    }
    let pictures = parts.iter().any(|part| matches!(part, Part::ImageUrl { .. }));
    let content = if pictures { chat::Content::Parts(parts) } else { chat::Content::Text(text_of(&parts)) };
    Some(chat::Message::User { content })
}

fn push_text(parts: &mut Vec<Part>, text: String) {
    if !text.is_empty() {
        parts.push(Part::Text { text });
    }
}

fn left_out(what: &str, path: &str, notes: &mut Notes, parts: &mut Vec<Part>) {
    notes.dropped(path);
    push_text(parts, format!("[Here was {what}, which could not be passed on.]"));
}

/// The address of a picture, or None if it has none.
fn image(source: Option<Source>) -> Option<String> {
    let Some(Source::Object(source)) = source else { return None };
    match source.r#type.as_str() {
        "url" => source.url,
        "base64" => Some(format!("data:{};base64,{}", source.media_type?, source.data?)),
        _ => None,
    }
}

fn document(
    block: Block,
    place: Place,
    path: &str,
    notes: &mut Notes,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    let source = match block.source {
        Some(Source::Object(source)) => *source,
        _ => SourceObject::default(),
    };
    match (source.r#type.as_str(), source.data, source.content) {
        ("text", Some(text), _) => push_text(parts, titled("Document", block.title, block.context, text)),
        ("content", _, Some(content)) => {
            let heading = titled("Document", block.title, block.context, String::new());
            push_text(parts, heading);
            parts.append(&mut self::parts(content, place, &format!("{path}.source.content"), notes)?);
        }
        _ if place == Place::Kept => left_out("a document", path, notes, parts),
        _ => {
            let what = "documents can be read as text only: send a source of type `text` or `content`.";
            return Err(refused("unsupported_value", path, what));
        }
    }
    Ok(())
}

/// A text under its title and what else is said of it.
fn titled(what: &str, title: Option<String>, about: Option<String>, text: String) -> String {
    let mut whole = String::new();
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        whole = format!("{what}: {title}");
    }
    for more in [about.unwrap_or_default(), text] {
        if !whole.is_empty() && !more.is_empty() {
            whole.push('\n');
        }
        whole.push_str(&more);
    }
    whole
}
