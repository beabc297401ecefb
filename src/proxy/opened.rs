//! Keys that were opened a moment ago, as the header in which they go. A busy key is sent with many times a second, and
//! opening it each time is 2 % of what a request costs. Few are held, and none for long: the keys are sealed so that
//! nobody who sees what is stored sees them, and here they are no easier to see than the data key beside them.

use crate::platform::fetch::Credential;
use rondo_core::pool::protocol::Grant;
use rondo_core::pool::providers::KeyHeader;
use rondo_core::vault::{DataKey, VaultError};
use std::cell::RefCell;

/// How long after its opening a key is used without another.
const KEPT_MS: u64 = 1_000;
/// Keys held at a time. Searched through one by one, they must be few; a pool with more opens the others each time.
const KEPT: usize = 64;

struct Opened {
    key: String,
    sealed: String,
    header: KeyHeader,
    credential: Credential,
    at: u64,
}

impl Opened {
    fn is_fresh(&self, now: u64) -> bool {
        self.at <= now && now - self.at < KEPT_MS
    }
}

thread_local! {
    static OPENED: RefCell<Vec<Opened>> = const { RefCell::new(Vec::new()) };
}

/// The header with which that grant's key goes.
///
/// # Errors
/// When it does not open.
pub fn credential(
    data: &DataKey,
    grant: &Grant,
    header: KeyHeader,
    now: u64,
) -> Result<Credential, VaultError> {
    let known = OPENED.with(|opened| {
        let opened = opened.borrow();
        // A key that was changed is sealed anew, and another data key seals otherwise.
        let same = |held: &&Opened| {
            held.key == grant.key
                && held.sealed == grant.sealed
                && held.header == header
                && held.is_fresh(now)
        };
        opened.iter().find(same).map(|held| held.credential.clone())
    });
    if let Some(credential) = known {
        return Ok(credential);
    }
    let credential = Credential::new(header, data.open(&grant.key, &grant.sealed)?.expose());
    OPENED.with(|opened| {
        let mut opened = opened.borrow_mut();
        opened.retain(|held| held.is_fresh(now) && held.key != grant.key);
        if opened.len() < KEPT {
            let (key, sealed) = (grant.key.clone(), grant.sealed.clone());
            opened.push(Opened { key, sealed, header, credential: credential.clone(), at: now });
        }
    });
    Ok(credential)
}

/// Drops what is too old.
pub fn tend(now: u64) {
    OPENED.with(|opened| opened.borrow_mut().retain(|held| held.is_fresh(now)));
}

/// Drops all, when the isolate has nothing to do.
pub fn clear() {
    OPENED.with(|opened| opened.borrow_mut().clear());
}
