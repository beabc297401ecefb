//! OpenAI Responses: `POST /v1/responses`. Rondo keeps nothing, so neither does this: what refers to something kept is
//! refused, what an answer's client needs for the next turn it gets with the answer.

mod answer;
mod carried;
mod content;
mod events;
mod fields;
mod gathered;
mod input;
mod request;
mod schema;
mod stream;
mod tools;
mod turns;

pub use request::request;
pub use stream::Answer;

use super::Seed;
use super::chat::Whole;
use crate::wire::errors::ApiError;
use answer::Echo;
use gathered::{Gathered, Outcome};
use tools::Names;

/// What the answer needs to know of the request.
#[derive(Debug)]
pub struct Answering {
    seed: Seed,
    /// The answer's id.
    id: String,
    /// What the functions upstream are for the client.
    names: Names,
    /// Reasoning is told as a summary, else as it is.
    summarize: bool,
    /// Reasoning comes along in a form for the next turn.
    carry: bool,
    /// The tokens' probabilities are told.
    logprobs: bool,
    echo: Echo,
}

impl Answering {
    pub(super) fn whole(self, whole: &Whole<'_>) -> Vec<u8> {
        let gathered = Gathered::whole(whole, &self);
        let error = ApiError::upstream_unavailable();
        let outcome = match whole.choices.first() {
            Some(choice) => Outcome::of(choice.finish_reason.as_deref()),
            None => Outcome::Failed(&error),
        };
        // Texts, numbers and what was JSON before: there is nothing in it that could fail.
        serde_json::to_vec(&answer::response(&self, &gathered, Some(&outcome))).unwrap_or_default()
    }

    pub(super) fn stream(self) -> Answer {
        Answer::new(Box::new(self))
    }
}

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tools_tests;
