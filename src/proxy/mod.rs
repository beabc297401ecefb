//! The data plane: what clients call. One file for each step of a request, `course` takes them in order.

mod answer;
mod ask;
mod authenticate;
mod course;
mod gate;
mod grants;
mod lease;
mod models;
mod open;
mod opened;
mod read;
mod request;
mod send;
mod settle;
mod silent;
mod state;
mod stream;
mod translated;
mod wait;

pub use models::models;
pub use open::{alive, internal, not_offered, nothing, preflight, ready, warming, wrong_method};
pub use request::{complete, count_tokens, gemini, playground};
