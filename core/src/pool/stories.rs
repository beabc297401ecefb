//! The last requests of clients, as the admin page shows them: who asked for what, which keys were tried, how it
//! ended. Never what was asked or answered. They are kept in memory only.

use super::protocol::{AttemptEnd, GrantId, Settle};
use crate::limits::coordinator::{ATTEMPTS_TOLD, NOTES_TOLD, RECENT_REQUESTS};
use crate::limits::input::{MODEL_ID_BYTES, ROW_ID_BYTES};
use crate::limits::request::REQUEST_ID_BYTES;
use crate::wire::dialects::{Dialect, Note};
use crate::wire::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Numbers that one incarnation of the Coordinator may give before it reaches those of the next.
const NUMBERS: u64 = 1_000_000_000;

/// What the report of a request's end tells beside what is counted. Short names on the wire; whatever is as usual is
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// `x-request-id`, at most 128 bytes.
    #[serde(rename = "i", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The model as the client asked, clipped.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Whether a stream was asked for.
    #[serde(rename = "s", skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// It came from the admin page's playground.
    #[serde(rename = "p", skip_serializing_if = "std::ops::Not::not")]
    pub playground: bool,
    /// What the client speaks.
    #[serde(rename = "l", skip_serializing_if = "is_chat")]
    pub dialect: Dialect,
    /// What the upstream did not get as the client sent it: the first [`NOTES_TOLD`].
    #[serde(rename = "n", skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The attempts before the one that the same report settles; all of them when it settles none.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Tried>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_chat(dialect: &Dialect) -> bool {
    *dialect == Dialect::Chat
}

/// One attempt of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// The key's row id.
    #[serde(rename = "k")]
    pub key: String,
    /// The model sent.
    #[serde(rename = "m")]
    pub model: String,
    /// How it went.
    #[serde(rename = "e")]
    pub end: AttemptEnd,
    /// The upstream's status; 0 when none came.
    #[serde(rename = "s")]
    pub status: u16,
    /// From sending to the end.
    #[serde(rename = "d")]
    pub duration_ms: u64,
    /// From sending to the first event.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub first_event_ms: Option<u64>,
    /// The grant's number.
    #[serde(rename = "g")]
    pub grant: GrantId,
}

/// One request of a client, when it is over. Times are unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// Counts up, over restarts too.
    pub seq: u64,
    /// `x-request-id`
    pub id: String,
    /// When it ended.
    pub at: u64,
    /// Client token id; empty in public mode and for the playground.
    pub token: String,
    /// It came from the playground.
    pub playground: bool,
    /// The model as the client asked.
    pub asked: Option<String>,
    /// The model that answered or was tried last; empty when none was.
    pub model: String,
    /// Status the client got.
    pub status: u16,
    /// Counted as an error.
    pub error: bool,
    /// The client left before the end.
    pub cut: bool,
    /// A stream was asked for.
    pub stream: bool,
    /// Tokens.
    pub usage: Usage,
    /// Waited for grants.
    pub wait_ms: u64,
    /// Whole time.
    pub duration_ms: u64,
    /// To the first event given to the client.
    pub first_event_ms: Option<u64>,
    /// Its attempts, in their order.
    pub attempts: Vec<Tried>,
    /// What the client speaks.
    #[serde(default)]
    pub dialect: Dialect,
    /// What the upstream did not get as the client sent it.
    #[serde(default)]
    pub notes: Vec<Note>,
}

impl Story {
    /// What a report tells of a request's end; `None` when it is no such report, or one without a story.
    fn of(seq: u64, at: u64, settle: &Settle) -> Option<Self> {
        let request = settle.request.as_ref()?;
        let told = request.told.as_deref()?;
        let last = settle.attempt.iter().map(|attempt| Tried {
            key: attempt.key.clone(),
            model: attempt.model.clone(),
            end: attempt.end,
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            first_event_ms: attempt.first_event_ms,
            grant: settle.id,
        });
        let over = (told.attempts.len() + settle.attempt.iter().len()).saturating_sub(ATTEMPTS_TOLD);
        let attempts = told.attempts.iter().cloned().chain(last).skip(over).map(|tried| Tried {
            key: clipped(&tried.key, ROW_ID_BYTES),
            model: clipped(&tried.model, MODEL_ID_BYTES),
            ..tried
        });
        Some(Self {
            seq,
            id: clipped(&told.id, REQUEST_ID_BYTES),
            at,
            token: clipped(&request.token, ROW_ID_BYTES),
            playground: told.playground,
            asked: told.asked.as_deref().map(|asked| clipped(asked, MODEL_ID_BYTES)),
            model: clipped(&request.model, MODEL_ID_BYTES),
            status: request.status,
            error: request.error,
            cut: request.cut,
            stream: told.stream,
            usage: request.usage,
            wait_ms: request.wait_ms,
            duration_ms: request.duration_ms,
            first_event_ms: request.first_event_ms,
            attempts: attempts.collect(),
            dialect: told.dialect,
            notes: told.notes.iter().take(NOTES_TOLD).map(Note::clipped).collect(),
        })
    }
}

/// The beginning of a text, at most so many bytes of whole characters.
#[must_use]
pub fn clipped(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text).to_owned()
}

/// How a request ended, as lists are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Not counted as an error.
    Ok,
    /// Counted as an error.
    Error,
    /// With that status.
    Status(u16),
}

/// Which stories are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only those before this one.
    pub before: Option<u64>,
    /// Only those that ended so.
    pub ended: Option<Ended>,
    /// Only those of this client token.
    pub token: Option<String>,
    /// Only those that asked for this model or ended with it.
    pub model: Option<String>,
}

impl Filter {
    fn fits(&self, story: &Story) -> bool {
        let ended = match self.ended {
            None => true,
            Some(Ended::Ok) => !story.error,
            Some(Ended::Error) => story.error,
            Some(Ended::Status(status)) => story.status == status,
        };
        let model = |model: &String| *model == story.model || Some(model) == story.asked.as_ref();
        ended
            && self.before.is_none_or(|before| story.seq < before)
            && self.token.as_ref().is_none_or(|token| *token == story.token)
            && self.model.as_ref().is_none_or(model)
    }
}

/// The last ones, newest last.
#[derive(Debug)]
pub struct Stories {
    kept: VecDeque<Story>,
    seq: u64,
}

impl Stories {
    /// None yet. What an incarnation numbers is beyond all that those before it have numbered, so that who follows
    /// them finds his place after a restart.
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        Self { kept: VecDeque::new(), seq: incarnation.saturating_mul(NUMBERS) }
    }

    /// Keeps what a report tells of a request that ended at `at`, if it tells of one.
    pub fn note(&mut self, at: u64, settle: &Settle) {
        let Some(story) = Story::of(self.seq + 1, at, settle) else { return };
        self.seq = story.seq;
        if self.kept.len() >= RECENT_REQUESTS {
            self.kept.pop_front();
        }
        self.kept.push_back(story);
    }

    /// The newest one's number; it counts on from a number of the incarnation when there is none.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// The newest first: at most so many of those that fit.
    pub fn latest<'a>(&'a self, most: usize, filter: &'a Filter) -> impl Iterator<Item = &'a Story> {
        self.kept.iter().rev().filter(|story| filter.fits(story)).take(most)
    }

    /// Those after `seq`, oldest first; of more than `most` the newest. A number that was never given stands for
    /// another object's: then all of them are new.
    pub fn since(&self, seq: u64, most: usize) -> impl Iterator<Item = &Story> {
        let seq = if seq > self.seq { 0 } else { seq };
        let at = self.kept.partition_point(|story| story.seq <= seq);
        self.kept.range(at.max(self.kept.len().saturating_sub(most))..)
    }

    /// Whether there is one after `seq`.
    #[must_use]
    pub fn any_since(&self, seq: u64) -> bool {
        seq != self.seq && self.since(seq, 1).next().is_some()
    }
}

/// Takes what only the stories need out of reports, so that it is not written down; [`put_back`] undoes it.
pub fn lift(settles: &mut [Settle]) -> Vec<(usize, Box<Told>)> {
    let told = |(at, settle): (usize, &mut Settle)| Some((at, settle.request.as_mut()?.told.take()?));
    settles.iter_mut().enumerate().filter_map(told).collect()
}

/// Gives reports back what [`lift`] took out of them.
pub fn put_back(settles: &mut [Settle], lifted: Vec<(usize, Box<Told>)>) {
    for (at, told) in lifted {
        if let Some(request) = settles.get_mut(at).and_then(|settle| settle.request.as_mut()) {
            request.told = Some(told);
        }
    }
}

#[cfg(test)]
#[path = "stories_tests.rs"]
mod tests;
