//! What an isolate remembers between requests: plain data only, as handles of the platform belong to the
//! request that made them.

use crate::platform::{env::Missing, log, random, time};
use js_sys::JsString;
use rondo_core::config::{Snapshot, Token};
use rondo_core::limits::coordinator::{
    SETTLE_FLUSH_MS, SETTLES_KEPT, SNAPSHOT_UNCONFIRMED_MAX_MS, UNKNOWN_DIGESTS_KEPT,
};
use rondo_core::limits::promised;
use rondo_core::pool::fallback::Fallback;
use rondo_core::pool::lease::Leases;
use rondo_core::pool::outbox::Outbox;
use rondo_core::pool::protocol::{LOCAL_GRANT, Settle};
use rondo_core::pool::providers::Provider;
use rondo_core::vault::{Digest, Domain, Keyring, MasterKey};
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;

/// A snapshot with what is derived from it: tokens by digest, the two keys opened.
pub struct Known {
    /// The configuration.
    pub snapshot: Snapshot,
    /// Opens sealed keys and makes digests.
    pub keyring: Keyring,
    tokens: HashMap<[u8; 32], usize>,
}

impl Known {
    fn new(snapshot: Snapshot, keyring: Keyring) -> Self {
        let tokens = snapshot
            .tokens
            .iter()
            .enumerate()
            .filter_map(|(at, token)| Some((*Digest::from_str(&token.digest).ok()?.as_bytes(), at)))
            .collect();
        Self { snapshot, keyring, tokens }
    }

    /// The keyed digest of a client's token.
    pub fn digest(&self, token: &str) -> Digest {
        self.keyring.digest.digest(Domain::Token, token)
    }

    /// The token with that digest and its place in the snapshot, if it is accepted at that time.
    pub fn token(&self, digest: &Digest, now: u64) -> Option<(usize, &Token)> {
        let at = *self.tokens.get(digest.as_bytes())?;
        self.snapshot.tokens.get(at).filter(|token| token.is_live(now)).map(|token| (at, token))
    }
}

/// How often a key's limit headers are read from successes.
const LIMITS_EVERY_MS: u64 = 1_000;

struct State {
    known: Option<Rc<Known>>,
    confirmed_at: u64,
    silent_until: u64,
    outbox: Outbox,
    fallback: Fallback,
    leases: Leases,
    /// Digests that were unknown, and when the epoch was asked for on their account.
    strangers: HashMap<[u8; 32], u64>,
    /// Upstream addresses by provider and key's base, as variables do not change within an isolate.
    addresses: HashMap<(&'static str, Option<String>), JsString>,
    ids: (u64, u64),
    /// Until when somebody delivers reports.
    delivered_until: u64,
    /// When a key's limit headers were read last.
    limits_read: HashMap<String, u64>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State {
        known: None,
        confirmed_at: 0,
        silent_until: 0,
        outbox: Outbox::default(),
        fallback: Fallback::default(),
        leases: Leases::default(),
        strangers: HashMap::new(),
        addresses: HashMap::new(),
        ids: (0, 0),
        delivered_until: 0,
        limits_read: HashMap::new(),
    });
}

/// Borrows the state for a moment; never across an await.
fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| f(&mut state.borrow_mut()))
}

/// The snapshot in use, if any.
pub fn known() -> Option<Rc<Known>> {
    with(|state| state.known.clone())
}

/// When the snapshot was last confirmed to be the one in force (unix milliseconds; 0 never).
pub fn confirmed_at() -> u64 {
    with(|state| state.confirmed_at)
}

/// Whether the snapshot may still be used without a new confirmation.
pub fn is_fresh(now: u64) -> bool {
    with(|state| {
        state.known.is_some() && now.saturating_sub(state.confirmed_at) <= SNAPSHOT_UNCONFIRMED_MAX_MS
    })
}

/// The snapshot in use was confirmed just now.
pub fn confirm(now: u64) {
    with(|state| state.confirmed_at = now);
}

/// Generation and epoch of the snapshot in use; zeros without one.
pub fn version() -> (u64, u64) {
    with(|state| {
        state.known.as_ref().map_or((0, 0), |known| (known.snapshot.generation, known.snapshot.epoch))
    })
}

/// Takes over a snapshot as the one in force. The keys are opened again only when they changed.
///
/// # Errors
/// When `ENCRYPTION_KEY` is missing or does not open the snapshot's keys.
pub fn install(env: &worker::Env, snapshot: Snapshot, now: u64) -> Result<Rc<Known>, Unusable> {
    let held = known().filter(|known| known.snapshot.wrapped == snapshot.wrapped);
    let keyring = match held {
        Some(known) => known.keyring.clone(),
        None => {
            let master = master_key(env)?;
            Keyring::open(&master, &snapshot.wrapped.data, &snapshot.wrapped.digest)
                .map_err(|error| Unusable::Broken(error.to_string()))?
        }
    };
    let known = Rc::new(Known::new(snapshot, keyring));
    with(|state| {
        let newer = state
            .known
            .as_ref()
            .is_none_or(|held| held.snapshot.is_older_than(known.snapshot.generation, known.snapshot.epoch));
        if newer {
            // Keys may have been disabled or deleted since; those still good come back with their grants.
            state.fallback.clear();
            state.known = Some(known.clone());
        }
        state.confirmed_at = now;
    });
    let version = version();
    leases(|leases| leases.install(version));
    Ok(known)
}

/// `ENCRYPTION_KEY`, checked.
///
/// # Errors
/// When it is missing or weak.
pub fn master_key(env: &worker::Env) -> Result<MasterKey, Unusable> {
    let secret = crate::platform::env::encryption_key(env).map_err(Unusable::Missing)?;
    MasterKey::from_secret(&secret).map_err(|error| Unusable::Broken(error.to_string()))
}

/// Why the configuration can't be used.
#[derive(Clone, Debug)]
pub enum Unusable {
    /// A binding or secret is missing.
    Missing(Missing),
    /// Something does not work; the text is fit for an operator and holds no secret.
    Broken(String),
    /// The same, as the Coordinator reports it, with the missing part's name.
    Reported(String, Option<String>),
}

/// Whether the Coordinator was silent a moment ago, so that asking it would only cost time.
pub fn is_silent(now: u64) -> bool {
    with(|state| now < state.silent_until)
}

/// The Coordinator did not answer: it is left alone until then.
pub fn silent_until(until: u64) {
    with(|state| state.silent_until = until);
}

/// Whether this unknown digest is a reason to ask for the epoch: at most once in `every` milliseconds, but also
/// while that is not answered yet, since a new token may be used by many requests at once. The memory is bounded;
/// when it is full of recent ones the answer is no.
pub fn may_ask_for(digest: &Digest, now: u64, every: u64) -> bool {
    with(|state| {
        let confirmed_at = state.confirmed_at;
        if let Some(asked) = state.strangers.get_mut(digest.as_bytes()) {
            let due = now.saturating_sub(*asked) >= every;
            if due {
                *asked = now;
            }
            return due || confirmed_at < *asked;
        }
        if state.strangers.len() >= UNKNOWN_DIGESTS_KEPT {
            state.strangers.retain(|_, asked| now.saturating_sub(*asked) < every);
        }
        if state.strangers.len() >= UNKNOWN_DIGESTS_KEPT {
            return false;
        }
        state.strangers.insert(*digest.as_bytes(), now);
        true
    })
}

/// Works with the reports not yet acknowledged.
pub fn outbox<T>(f: impl FnOnce(&mut Outbox) -> T) -> T {
    with(|state| f(&mut state.outbox))
}

/// Works with the leases. What they give back becomes a report.
pub fn leases<T>(f: impl FnOnce(&mut Leases) -> T) -> T {
    let (value, back) = with(|state| (f(&mut state.leases), state.leases.take_back()));
    back.iter().for_each(super::settle::unused);
    value
}

/// Whether there is anything that must not be left without a deliverer: reports, or grants to give back.
pub fn has_business() -> bool {
    with(|state| !state.outbox.is_empty() || !state.leases.is_empty())
}

/// Puts a report into the outbox.
pub fn report(settle: Settle) {
    let now = time::now_ms();
    let dropped = with(|state| {
        state.outbox.push(settle, now, SETTLES_KEPT);
        state.outbox.take_dropped()
    });
    if dropped > 0 {
        log::warn("settles_dropped", &json!({"count": dropped}));
    }
}

/// Works with the keys known for when the Coordinator is silent.
pub fn fallback<T>(f: impl FnOnce(&mut Fallback) -> T) -> T {
    with(|state| f(&mut state.fallback))
}

/// Where a provider's chat completions are posted.
pub fn address(env: &worker::Env, provider: &'static Provider, key_base: Option<&str>) -> JsString {
    let place = (provider.id, key_base.map(str::to_owned));
    if let Some(address) = with(|state| state.addresses.get(&place).cloned()) {
        return address;
    }
    let base =
        key_base.map(str::to_owned).or_else(|| crate::platform::env::text(env, provider.base_variable));
    let address = JsString::from(provider.chat_url(base.as_deref()));
    with(|state| {
        // Keys' own addresses are few, but nothing here grows without a bound.
        if state.addresses.len() >= 1_000 {
            state.addresses.clear();
        }
        state.addresses.insert(place, address.clone());
    });
    address
}

impl State {
    /// The isolate's random number, never 0, and the count.
    fn ids(&mut self) -> &mut (u64, u64) {
        if self.ids.0 == 0 {
            let seed = random::bytes::<16>().unwrap_or_else(|_| {
                let [a, b, c, d, e, f, g, h] = time::now_ms().to_le_bytes();
                [a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h]
            });
            let both = u128::from_le_bytes(seed);
            #[allow(clippy::cast_possible_truncation, reason = "two halves of the same random number")]
            let halves = ((both as u64) | 1, (both >> 64) as u64);
            self.ids = halves;
            if self.fallback.is_empty() {
                self.fallback = Fallback::new(halves.1);
            }
        }
        &mut self.ids
    }
}

/// A number that no other request of any isolate has: random per isolate, then counted.
fn next_id() -> (u64, u64) {
    with(|state| {
        let ids = state.ids();
        ids.1 = ids.1.wrapping_add(1);
        *ids
    })
}

/// The number by which the Coordinator tells isolates apart: never 0, and JavaScript's numbers hold it.
pub fn asker() -> u64 {
    with(|state| state.ids().0 & ((1 << 53) - 1))
}

/// What makes a request id unlike any other.
pub fn request_entropy() -> [u8; 16] {
    let (isolate, count) = next_id();
    (u128::from(isolate) << 64 | u128::from(count)).to_be_bytes()
}

/// A number for a report without a grant of the Coordinator.
pub fn local_grant() -> u64 {
    let (isolate, count) = next_id();
    // An odd multiplier spreads the count over all bits without two counts meeting.
    let mixed = (isolate ^ count).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    LOCAL_GRANT | (mixed & (LOCAL_GRANT - 1))
}

/// Makes the caller the isolate's deliverer; false when there is one.
pub fn begin_delivery(now: u64) -> bool {
    with(|state| {
        let free = now >= state.delivered_until;
        if free {
            state.delivered_until = now + 2 * SETTLE_FLUSH_MS;
        }
        free
    })
}

/// The deliverer stays for another round.
pub fn stay_in_delivery(now: u64) {
    with(|state| state.delivered_until = now + 2 * SETTLE_FLUSH_MS);
}

/// The deliverer's turn is over.
pub fn end_delivery() {
    with(|state| state.delivered_until = 0);
}

/// Whether a key's limit headers are to be read again: once a second each.
pub fn are_limits_due(key: &str, now: u64) -> bool {
    with(|state| {
        if let Some(read) = state.limits_read.get_mut(key) {
            let due = now.saturating_sub(*read) >= LIMITS_EVERY_MS;
            if due {
                *read = now;
            }
            return due;
        }
        if state.limits_read.len() >= promised::KEYS {
            state.limits_read.clear();
        }
        state.limits_read.insert(key.to_owned(), now);
        true
    })
}
