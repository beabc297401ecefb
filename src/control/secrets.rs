//! The two wrapped keys, opened: what tokens, sessions and upstream keys are sealed and digested with.

use super::coordinator;
use super::problem::Problem;
use crate::platform::env;
use crate::store::settings;
use rondo_core::vault::{Keyring, MasterKey};
use std::cell::RefCell;
use std::rc::Rc;
use worker::{D1Database, Env};

/// How long an opened keyring is kept: a restore from a backup may bring other keys.
const KEPT_MS: u64 = 30_000;

struct Kept {
    secret: String,
    ring: Rc<Keyring>,
    at: u64,
}

thread_local! {
    // Plain data: it belongs to no request.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// The keyring. One query when this isolate has not opened it lately.
///
/// # Errors
/// 503 naming what is missing or does not open.
pub async fn keyring(env: &Env, db: &D1Database, now: u64) -> Result<Rc<Keyring>, Problem> {
    let secret = env::encryption_key(env)?;
    let kept = KEPT.with_borrow(|kept| {
        let kept =
            kept.as_ref().filter(|kept| kept.secret == secret && now.saturating_sub(kept.at) < KEPT_MS);
        kept.map(|kept| Rc::clone(&kept.ring))
    });
    if let Some(ring) = kept {
        return Ok(ring);
    }
    let master = MasterKey::from_secret(&secret)?;
    let wrapped = match settings::wrapped(db).await {
        Ok(Some(wrapped)) => wrapped,
        // Not made yet, or no schema yet: the Coordinator makes both at its start.
        Ok(None) | Err(_) => {
            coordinator::wake(env).await;
            let missing =
                || Problem::unavailable("the database is not set up yet; GET /health says what is missing");
            settings::wrapped(db).await?.ok_or_else(missing)?
        }
    };
    let ring = Rc::new(Keyring::open(&master, &wrapped.data, &wrapped.digest)?);
    let kept = Kept { secret, ring: Rc::clone(&ring), at: now };
    KEPT.with_borrow_mut(|place| *place = Some(kept));
    Ok(ring)
}
