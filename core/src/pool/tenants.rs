//! The limits of client tokens and of client addresses. They are kept where grants are given, so that requests
//! side by side cannot overrun them.
//!
//! A grant takes its reservation from every limit of the token at once; its report puts the truth in the
//! reservation's place. A reservation larger than a limit takes all of that limit, so that a large request waits
//! for a full bucket or an untouched day and not for ever.

use super::bucket::Bucket;
use super::protocol::Allowance;
use super::tenant::{MINUTE, State, TOKENS_MAX, Use};
pub use super::tenant::{Taken, Wait};
use crate::config::{Token, TokenLimits};
use crate::limits::promised;
use std::collections::{HashMap, HashSet};

/// Tokens whose use is remembered.
pub const TOKENS_KEPT: usize = promised::TOKENS;
/// Addresses whose use is remembered.
pub const ADDRESSES_KEPT: usize = 10_000;
/// How many are forgotten when there is no room: looking for them takes a look at all.
const FORGOTTEN_AT_ONCE: usize = 600;

/// What client tokens and client addresses have used of their limits. Tokens without limits take no room.
#[derive(Debug, Default)]
pub struct Tenants {
    tokens: HashMap<String, State>,
    addresses: HashMap<String, Bucket>,
    dirty: HashSet<String>,
}

impl Tenants {
    fn view(&self, now: u64, id: &str, limits: &TokenLimits) -> State {
        self.tokens.get(id).copied().unwrap_or_default().at(now, limits)
    }

    /// Whether the token may send a request now for which `tokens` are reserved: the estimated prompt and the
    /// largest completion. `first` is false for a further attempt of the same client request, which
    /// `requests_per_minute` counts once.
    ///
    /// # Errors
    /// When it may not: until when, and what for.
    pub fn check(&self, now: u64, token: &Token, tokens: u64, first: bool) -> Result<(), Wait> {
        if !token.limits.any() {
            return Ok(());
        }
        let state = self.view(now, &token.id, &token.limits);
        state.wait(now, &token.limits, tokens, first).map_or(Ok(()), Err)
    }

    /// Takes a grant's reservation from every limit, after [`Tenants::check`].
    pub fn take(&mut self, now: u64, token: &Token, tokens: u64, first: bool) -> Taken {
        if !token.limits.any() {
            return Taken::nothing(tokens);
        }
        let state = self.touch(now, &token.id, &token.limits);
        state.take(now, &token.limits, tokens, first)
    }

    /// The grant was not used: everything goes back.
    pub fn give_back(&mut self, now: u64, token: &str, limits: &TokenLimits, taken: &Taken) {
        self.end(now, token, limits, Some(taken), Use::Nothing);
    }

    /// The grant was used, for so many tokens of prompt and completion. Without any, as of a request that was
    /// refused, there is only the use. `limits` are the token's as they are now; the default for a token that is
    /// gone.
    pub fn settle(&mut self, now: u64, token: &str, limits: &TokenLimits, taken: Option<&Taken>, used: u64) {
        self.end(now, token, limits, taken, Use::Tokens(used.min(TOKENS_MAX)));
    }

    /// A grant that is not known was used: it was given before a restart, or was the isolate's own. What was stored
    /// may hold what was taken for it; when it holds no such grant any more, this is a further request of the token.
    pub fn settle_forgotten(&mut self, now: u64, token: &str, limits: &TokenLimits, used: u64) {
        if limits.any() {
            self.touch(now, token, limits).count_unless_carried(now);
        }
        self.settle(now, token, limits, None, used);
    }

    /// Nobody knows what became of the grant: it is not under way any more, and its reservation stays counted.
    pub fn lapse(&mut self, now: u64, token: &str, limits: &TokenLimits, taken: &Taken) {
        self.end(now, token, limits, Some(taken), Use::Unknown);
    }

    fn end(&mut self, now: u64, token: &str, limits: &TokenLimits, taken: Option<&Taken>, used: Use) {
        if !limits.any() && !self.tokens.contains_key(token) {
            return;
        }
        let state = self.touch(now, token, limits);
        let taken = taken.copied().unwrap_or_else(|| state.uncarry());
        state.end(now, &taken, used);
    }

    /// What a token with limits has left, for `x-ratelimit-*`; `None` when it has none of requests or tokens.
    #[must_use]
    pub fn allowance(&self, now: u64, token: &Token) -> Option<Allowance> {
        let limits = &token.limits;
        if !limits.any() {
            return None;
        }
        self.view(now, &token.id, limits).allowance(now, limits)
    }

    /// Brings the token's state up to date, for a change.
    fn touch(&mut self, now: u64, id: &str, limits: &TokenLimits) -> &mut State {
        if !self.tokens.contains_key(id) {
            self.make_room(now);
        }
        if !self.dirty.contains(id) {
            self.dirty.insert(id.to_owned());
        }
        let state = self.tokens.entry(id.to_owned()).or_default();
        *state = state.at(now, limits);
        state.touched = state.touched.max(now);
        state
    }

    /// Forgets tokens that hold nothing, then those longest idle.
    fn make_room(&mut self, now: u64) {
        if self.tokens.len() < TOKENS_KEPT {
            return;
        }
        let rank = |state: &State| (state.open > 0, state.holds_something(now), state.touched);
        let mut ranks: Vec<_> = self.tokens.values().map(rank).collect();
        let (_, last, _) = ranks.select_nth_unstable(FORGOTTEN_AT_ONCE);
        let last = *last;
        let mut left = FORGOTTEN_AT_ONCE;
        let dirty = &mut self.dirty;
        self.tokens.retain(|id, state| {
            if left == 0 || rank(state) > last {
                return true;
            }
            left -= 1;
            dirty.insert(id.clone());
            false
        });
    }

    /// Forgets a token that was deleted.
    pub fn forget(&mut self, token: &str) {
        if self.tokens.remove(token).is_some() {
            self.dirty.insert(token.to_owned());
        }
    }

    /// Tokens whose [`Tenants::state`] changed since the last call. One without a state is forgotten: its row
    /// goes.
    pub fn take_dirty(&mut self) -> Vec<String> {
        self.dirty.drain().collect()
    }

    /// Whether a token's state changed since the last [`Tenants::take_dirty`].
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What has to survive a restart, as JSON.
    #[must_use]
    pub fn state(&self, token: &str) -> Option<String> {
        self.tokens.get(token)?.to_json()
    }

    /// Takes a stored state back. What was reserved stays reserved until its reports come, without a known grant,
    /// or until no request of that time can be under way. Text that is no state is left out.
    pub fn restore(&mut self, token: &str, json: &str) {
        if let Some(state) = State::from_json(json)
            && self.tokens.len() < TOKENS_KEPT
        {
            self.tokens.insert(token.to_owned(), state);
        }
    }

    /// Whether a request from that address may be sent now.
    ///
    /// # Errors
    /// The milliseconds from now until it may.
    pub fn address_check(&self, now: u64, address: &str, per_minute: u64) -> Result<(), u64> {
        let Some(bucket) = self.addresses.get(address) else { return Ok(()) };
        let mut bucket = *bucket;
        bucket.set_limit(now, per_minute);
        let wait = bucket.when(1).map_or(MINUTE, |at| at.saturating_sub(now)).min(MINUTE);
        if wait == 0 { Ok(()) } else { Err(wait) }
    }

    /// Counts a request from that address, after [`Tenants::address_check`].
    pub fn address_take(&mut self, now: u64, address: &str, per_minute: u64) {
        if !self.addresses.contains_key(address) {
            self.make_room_for_address(now);
        }
        let new = || Bucket::new(per_minute, MINUTE);
        let bucket = self.addresses.entry(address.to_owned()).or_insert_with(new);
        bucket.set_limit(now, per_minute);
        if bucket.full_at() > now.saturating_add(MINUTE) {
            // The clock was set back: nothing is waited for longer than a minute.
            bucket.set_level(now, 0);
        }
        bucket.spend(now, 1);
    }

    /// A request from that address was not sent after all.
    pub fn address_give_back(&mut self, address: &str) {
        if let Some(bucket) = self.addresses.get_mut(address) {
            bucket.refund(1);
        }
    }

    /// Forgets the fullest buckets: whoever used the most is remembered the longest.
    fn make_room_for_address(&mut self, now: u64) {
        if self.addresses.len() < ADDRESSES_KEPT {
            return;
        }
        self.addresses.retain(|_, bucket| bucket.full_at() > now);
        if self.addresses.len() <= ADDRESSES_KEPT - FORGOTTEN_AT_ONCE {
            return;
        }
        let mut full_at: Vec<u64> = self.addresses.values().map(Bucket::full_at).collect();
        let (_, last, _) = full_at.select_nth_unstable(FORGOTTEN_AT_ONCE);
        let last = *last;
        let mut left = FORGOTTEN_AT_ONCE;
        self.addresses.retain(|_, bucket| {
            let keep = left == 0 || bucket.full_at() > last;
            left -= usize::from(!keep);
            keep
        });
    }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
