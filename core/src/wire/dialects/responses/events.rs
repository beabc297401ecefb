//! The events of an answer, in the types of OpenAI's public schema.

use super::answer::{Logprob, OutputItem, Part, Response, ResponseError};
use crate::wire::dialects::write_event;
use crate::wire::errors::ApiError;
use serde::Serialize;

/// An event. Those that a kind of event does not have are left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Event<'a> {
    pub(super) r#type: &'static str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a [Logprob]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<OutputItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response<'a>>,
}

/// The event that tells of an error: flat as it is documented, and nested as clients look for it (OpenAI's throw the
/// nested one, the AI SDK takes either).
#[derive(Debug, Serialize)]
struct ErrorEvent<'a> {
    r#type: &'static str,
    sequence_number: u64,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    error: ResponseError<'a>,
}

/// Writes an event, with the next number.
pub(super) fn emit(sequence: &mut u64, out: &mut Vec<u8>, event: Event<'_>) {
    let event = Event { sequence_number: *sequence, ..event };
    write_event(out, Some(event.r#type), &event);
    *sequence += 1;
}

/// An event of a part: parts of a summary have events of their own.
pub(super) fn placed<'a>(event: Event<'a>, content: &'static str, summary: &'static str) -> Event<'a> {
    match event.part {
        Some(Part::SummaryText { .. }) => Event { r#type: summary, summary_index: Some(0), ..event },
        _ => Event { r#type: content, content_index: Some(0), ..event },
    }
}

/// Writes the event that tells of an error.
pub(super) fn emit_error(sequence: &mut u64, out: &mut Vec<u8>, error: &ApiError) {
    let error = ResponseError::of(error);
    let event = ErrorEvent {
        r#type: "error",
        sequence_number: *sequence,
        code: error.code,
        message: error.message,
        param: error.param,
        error,
    };
    write_event(out, Some("error"), &event);
    *sequence += 1;
}
