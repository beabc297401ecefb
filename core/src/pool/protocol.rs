//! What isolates and the Coordinator say to each other: ask and settle.
//!
//! All times are durations in milliseconds from receipt, never clock readings: clocks differ. The object
//! answers this [`VERSION`] and the one before, so that old and new code run side by side during a deploy.

use crate::config::Snapshot;
use crate::wire::{headers::LimitReading, usage::Usage};
use serde::{Deserialize, Serialize};

/// Version of the messages of this file. 2 brought leases, allowances, readings ahead of the end, and the reason
/// of a wait; whoever speaks 1 is answered without them.
pub const VERSION: u32 = 2;

/// Whether messages of that version are understood: this one and the one before, so that isolates of the last
/// release are served while a new one is rolled out.
#[must_use]
pub fn understands(version: u32) -> bool {
    version == VERSION || version + 1 == VERSION
}

/// Number of a grant: unique for good, as it holds the Coordinator's incarnation. Numbers with the top bit
/// set are made by isolates (while the Coordinator is silent, or for a request that never got a grant).
pub type GrantId = u64;

/// Marks the grant numbers that an isolate makes from 62 random bits.
pub const LOCAL_GRANT: u64 = 1 << 62;

/// A request for permission to send, with the reports that travel along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// [`VERSION`].
    pub v: u32,
    /// Generation of the asker's snapshot; 0 when it has none.
    pub generation: u64,
    /// Epoch of the asker's snapshot.
    pub epoch: u64,
    /// A number that the asking isolate has to itself; 0 when it gives none. How many there are decides what
    /// one of them may hold in leases.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asker: u64,
    /// What is wanted; `None` only syncs (epoch, snapshot) and settles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// Reports. Repeating one is harmless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settles: Vec<Settle>,
    /// Grants whose streams are still open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renews: Vec<GrantId>,
}

/// What a grant is wanted for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Want {
    /// Token id; empty in public mode.
    pub token: String,
    /// The model as the client asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The client's address, in public mode: its limits are kept per address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How many grants: one for the request at hand, the others as a lease. There may be fewer. Whoever is refused
    /// more than one is promised nothing: it asks again for the one.
    pub count: u32,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// The client's `max_completion_tokens`, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// What its body is recognised by ([`crate::wire::json::fingerprint`]): who was told when to come back sends
    /// the same again.
    #[serde(default)]
    pub fingerprint: u64,
    /// How long the request can still wait.
    pub deadline_ms: u64,
    /// Attempts this request may still make.
    pub attempts_left: u32,
    /// Keys that failed this request already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_keys: Vec<String>,
    /// Models that failed this request already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_models: Vec<String>,
    /// The ticket this request waited on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<u64>,
    /// The admin asks, under no token, with a session that was checked. Set by the playground's route alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub playground: bool,
}

/// The Coordinator's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`].
    pub v: u32,
    /// Generation in force.
    pub generation: u64,
    /// Epoch in force.
    pub epoch: u64,
    /// The snapshot, when the asker's is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Box<Snapshot>>,
    /// What became of the want; `None` when nothing was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Given>,
    /// What the want's token has left, when it has limits of its own. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Allowance>,
}

/// What a client token with limits has left: `x-ratelimit-*` of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowance {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_minute: Option<Left>,
    /// Tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_minute: Option<Left>,
    /// Tokens of the UTC day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_day: Option<Left>,
    /// Tokens of the UTC month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_month: Option<Left>,
}

/// One limit's standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Milliseconds until it is whole again.
    pub reset_ms: u64,
}

/// What became of a want.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// Send with the first; the others are candidates should it fail. Unused ones are settled as such.
    Grants(Vec<Grant>),
    /// Due later: ask again with this ticket after that time.
    Ticket {
        /// The ticket's number.
        ticket: u64,
        /// When to ask again.
        after_ms: u64,
        /// What it waits for, should that be too late for it after all.
        #[serde(default)]
        why: Waiting,
    },
    /// Cannot be served before the deadline; a request made after that time can.
    RetryAfter {
        /// When capacity is back.
        after_ms: u64,
        /// What it waits for.
        #[serde(default)]
        why: Waiting,
    },
    /// Cannot be served at all.
    Refused(RefusedWhy),
    /// No key's quota can ever hold so large a request. Since version 2.
    TooLarge {
        /// Tokens that would be reserved for it.
        tokens: u64,
        /// The most that any key allows.
        limit: u64,
    },
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// Quota of the upstream keys, or the pace set for them.
    #[default]
    Quota,
    /// The client token's own limits.
    Token,
    /// The client address's limit, in public mode.
    Address,
    /// An upstream that fails for everybody.
    Outage,
}

/// Why a want is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedWhy {
    /// The token is unknown, disabled or expired under the epoch in force.
    Token,
    /// No key is enabled and usable.
    NoActiveKey,
    /// Every usable key was tried by this request.
    KeysExhausted,
    /// No model of the route exists any more.
    NoModel,
    /// The token's list leaves no model.
    ModelNotAllowed,
    /// `passthrough` without a `model`.
    ModelMissing,
    /// The pool has no enabled member.
    PoolEmpty,
}

/// Permission to send one request. Not to be used later than 5 s after it was given (plus its delay).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its number.
    pub id: GrantId,
    /// The key's row id, which is also the associated data of `sealed`.
    pub key: String,
    /// The key, sealed.
    pub sealed: String,
    /// The provider.
    pub provider: String,
    /// The key's own base URL, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The model to ask for.
    pub model: String,
    /// Wait that long before sending.
    pub delay_ms: u64,
    /// Tokens reserved for it. A lease's grant is for a request that needs no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u64,
    /// Nothing is known of this quota yet: the answer's limit headers are wanted as soon as they are there, as a
    /// [`Reading`], since others wait for them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub learn: bool,
}

/// A report: what became of a grant, of a client's request, or of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settle {
    /// The grant's number, or a local one.
    pub id: GrantId,
    /// How long ago it happened when it was sent on: reports wait for a call that takes them along.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub age_ms: u64,
    /// The attempt, when one was sent or the grant is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The client's request, when this report ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestEnd>,
    /// Limit headers ahead of the attempt's end, under a number of their own. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// What the head of an answer said of its key's limits, while the answer is still under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The grant that was sent.
    pub grant: GrantId,
    /// Key id.
    pub key: String,
    /// Model sent.
    pub model: String,
    /// The headers; empty when there were none, which is worth knowing too.
    #[serde(default)]
    pub limits: Vec<LimitReading>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What became of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Key id.
    pub key: String,
    /// Model sent.
    pub model: String,
    /// How it went.
    pub end: AttemptEnd,
    /// The upstream's status; 0 when none came.
    pub status: u16,
    /// Tokens, where known or estimated.
    #[serde(default)]
    pub usage: Usage,
    /// The upstream's stated time to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The quota that a 429 named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<NamedQuota>,
    /// Its rate-limit headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitReading>,
    /// From sending to the answer's head, which is when those headers were true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_ms: Option<u64>,
    /// The prompt's tokens as they were estimated before sending; what the estimate is corrected by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompt_estimate: u64,
    /// From sending to the end.
    pub duration_ms: u64,
    /// From sending to the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_event_ms: Option<u64>,
}

/// The quota that a refusal names by its code and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedQuota {
    /// Tokens, and not requests.
    pub tokens: bool,
    /// Over what time, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<crate::wire::headers::Window>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// Whole.
    #[default]
    Ok,
    /// The client left; what was used is estimated.
    Cut,
    /// Never sent: the grant goes back.
    Unused,
    /// It failed, after the gate if `status` is 2xx.
    Failed(Fault),
}

/// Whose fault a failed attempt was (the table in `pool::faults`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429 of a request or token quota: the bucket's.
    Quota,
    /// 429 `queue_exceeded`: the fleet's.
    Queue,
    /// 401, or a 403 that names the key: the key's.
    Key,
    /// 402: the group's.
    Payment,
    /// 403 of a firewall on the way: nobody's key.
    Path,
    /// 404 of the model.
    Model,
    /// 400, 413, 422: the client's.
    Client,
    /// 408, 5xx, 429/403 without a known code, or an error event: the upstream's.
    Upstream,
    /// No answer in time: the upstream's.
    Timeout,
    /// Connection refused, reset or cut: the upstream's.
    Lost,
}

/// How a client's request ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestEnd {
    /// Token id; empty in public mode.
    pub token: String,
    /// The model that answered or was tried last.
    pub model: String,
    /// Status the client got.
    pub status: u16,
    /// Whether it is counted as an error (an answer of status 200 can end in an error event).
    pub error: bool,
    /// Whether the client left before the end.
    #[serde(default)]
    pub cut: bool,
    /// Tokens, as in the attempt that answered.
    #[serde(default)]
    pub usage: Usage,
    /// Attempts made.
    pub attempts: u32,
    /// Time spent waiting for grants.
    pub wait_ms: u64,
    /// Whole time.
    pub duration_ms: u64,
    /// Time to the first event given to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_event_ms: Option<u64>,
    /// What the list of recent requests tells beyond that; kept in memory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<super::stories::Told>>,
}
