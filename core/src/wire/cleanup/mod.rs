//! What clients of Chat Completions send and a strict upstream refuses. Cerebras answers any field that it does not
//! know with a 400, at every level; OpenAI's own clients send such fields all the time. They are taken out or said in
//! the upstream's words, and the rest of the body stays byte for byte.
//!
//! The usual request has nothing of the kind and pays for one look at its member names ([`suspicious`]).

mod cerebras;
mod strict;
mod walk;

pub use strict::{strict_schema_fault, strict_schema_refusal};

use crate::wire::dialects::Notes;
use cerebras::RULES;

/// Where in a chat request an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Top,
    StreamOptions,
    Message,
    /// Of a message's content.
    Part,
    /// A call in a message.
    Call,
    Tool,
    Function,
}

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Left out.
    Drop,
    /// Left out if it is `["text"]`, which says nothing; other answers can't be had, and the upstream says so.
    DropIfText,
    /// It has the first of these names; left out if one of them is there, or if it is null.
    Rename(&'static [&'static str]),
    /// `reasoning` in assistant messages, else left out.
    Reasoning,
    /// An object's `effort` becomes `reasoning_effort`.
    EffortOf,
    /// Efforts that the upstream has not become the nearest that it has.
    Effort,
    /// The older form of `tools`.
    Functions,
    /// The older form of `tool_choice`.
    Choice,
    /// The older form of `tool_calls`.
    Called,
}

/// A row of a provider's table.
#[derive(Debug)]
struct Rule {
    level: Level,
    name: &'static str,
    act: Act,
}

/// The body without what the upstream would refuse, and what was changed; None if there is nothing to do. The body
/// must be sound JSON ([`crate::wire::json::scan`]); of any other nothing is changed.
#[must_use]
pub fn clean(body: &[u8]) -> Option<(Vec<u8>, Notes)> {
    if suspicious(body) { walk::clean(body) } else { None }
}

/// The last four bytes of each rule's name: they rule nearly every member out by one comparison of numbers.
const TAILS: [u32; RULES.len()] = {
    let mut tails = [0; RULES.len()];
    let mut n = 0;
    while n < RULES.len() {
        #[expect(clippy::indexing_slicing, reason = "runs in the compiler, where a panic is a build error")]
        {
            tails[n] = match RULES[n].name.as_bytes().last_chunk::<4>() {
                Some(tail) => u32::from_le_bytes(*tail),
                // Then the tail is that of no member, and a test fails.
                None => 0,
            };
        }
        n += 1;
    }
    tails
};

/// Whether a member may have one of the names that matter. One pass over the quotes: the end of a name is a quote with
/// a colon behind it, which text never has, as its quotes are escaped.
fn suspicious(body: &[u8]) -> bool {
    memchr::memchr_iter(b'"', body).any(|at| {
        let (before, behind) = body.split_at_checked(at).unwrap_or_default();
        let value = match behind.get(1) {
            Some(b':') => behind.get(2..),
            Some(b' ' | b'\t' | b'\n' | b'\r') => {
                behind.get(1..).and_then(|behind| behind.trim_ascii_start().strip_prefix(b":"))
            }
            _ => None,
        };
        let (Some(value), Some(tail)) = (value, before.last_chunk::<4>()) else { return false };
        let tail = u32::from_le_bytes(*tail);
        RULES.iter().zip(TAILS).any(|(rule, of_rule)| {
            of_rule == tail
                && before.strip_suffix(rule.name.as_bytes()).is_some_and(|rest| rest.ends_with(b"\""))
                && (rule.act != Act::Effort || odd_effort(value))
        })
    })
}

/// Whether an effort is one that the upstream does not have.
fn odd_effort(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    !["\"low\"", "\"medium\"", "\"high\"", "\"none\"", "null"]
        .iter()
        .any(|known| value.starts_with(known.as_bytes()))
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod throughput;
