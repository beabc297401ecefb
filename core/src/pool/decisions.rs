//! "Why this key?": the last decisions, with who was passed over and until when.

use super::pick::Skipped;
use super::protocol::{GrantId, RefusedWhy, Waiting};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Decisions kept.
pub const KEPT: usize = 1_000;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A grant, and how many more as a lease.
    Granted {
        /// Its number.
        grant: GrantId,
        /// The key.
        key: String,
        /// The model.
        model: String,
        /// To be sent that much later.
        delay_ms: u64,
        /// Tokens reserved.
        reserved: u64,
        /// Further grants given with it.
        more: u32,
    },
    /// To ask again.
    Waits {
        /// The ticket.
        ticket: u64,
        /// When.
        after_ms: u64,
    },
    /// To come back.
    RetryAfter {
        /// When.
        after_ms: u64,
        /// What it waits for.
        why: Waiting,
    },
    /// No.
    Refused(RefusedWhy),
    /// Larger than any quota.
    TooLarge,
}

/// A key that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its row id.
    pub key: String,
    /// Why.
    pub why: Skipped,
    /// Until when, unix milliseconds; 0 when it is not a matter of time.
    pub until: u64,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When, unix milliseconds.
    pub at: u64,
    /// Client token id; empty in public mode.
    pub token: String,
    /// The model as the client asked.
    pub asked: Option<String>,
    /// Which attempt of its request it is for, from 1.
    pub attempt: u32,
    /// What was decided.
    pub outcome: Outcome,
    /// Requests that stood before it in the line.
    pub ahead: u64,
    /// Keys that could have served.
    pub candidates: u32,
    /// Keys passed over.
    pub passed_over: u32,
    /// The first of them.
    pub skipped: Vec<PassedOver>,
}

/// The last ones, newest last.
#[derive(Debug, Default)]
pub struct Decisions {
    kept: VecDeque<Decision>,
}

impl Decisions {
    /// Keeps one more.
    pub fn note(&mut self, decision: Decision) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(decision);
    }

    /// The newest first: at most so many, of one key, or with that grant, if asked for.
    pub fn latest<'a>(
        &'a self,
        most: usize,
        key: Option<&'a str>,
        grant: Option<GrantId>,
    ) -> impl Iterator<Item = &'a Decision> {
        let fits = move |decision: &&Decision| {
            let (chosen, number) = match &decision.outcome {
                Outcome::Granted { key, grant, .. } => (Some(key.as_str()), Some(*grant)),
                _ => (None, None),
            };
            let of_key = key.is_none_or(|key| {
                chosen == Some(key) || decision.skipped.iter().any(|skipped| skipped.key == key)
            });
            of_key && (grant.is_none() || number == grant)
        };
        self.kept.iter().rev().filter(fits).take(most)
    }
}
