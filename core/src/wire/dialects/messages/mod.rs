//! Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`.
//!
//! What decides in doubt: nothing is silently wrong. What has no counterpart but changes nothing for the client
//! (caching, context management, server tools that the model may use) is dropped with a note; what the client relies
//! on (a fifth stop sequence, a forced server tool, a PDF) is a 400 that says so.

mod answer;
mod blocks;
mod failure;
mod request;
mod schema;
mod stream;
mod tools;
mod translate;
mod turns;

pub use answer::Answering;
pub use failure::{error_body, error_status};
pub use translate::{count, counted, request};

use crate::wire::errors::ApiError;

/// 400: `what` says what is wrong with the field at `path`, and what to do. The dialect's errors have no field for
/// the path, so the message starts with it.
fn refused(code: &'static str, path: impl Into<String>, what: &str) -> ApiError {
    let path: String = path.into();
    let message = format!("{path}: {what}");
    super::refused(code, path, message)
}

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod conversation_tests;
#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tool_tests;
