//! What goes from the object to D1 and KV, by alarm: usage and key states, the snapshot and some keys.

use super::object::{Core, KvWritten};
use crate::platform::{env, log, time};
use crate::store::{self, StoreError};
use rondo_core::limits::kv as kv_limits;
use serde_json::json;

const PRUNE_EVERY_MS: u64 = 3_600_000;
/// How long a caller waits for a flush that is under way.
const TURN_MS: u64 = 20;
/// The longest flush: D1 gives a query 30 s.
const FLUSH_MS: u64 = 35_000;

/// The alarm: flush, KV, pruning, and the next alarm while something is left to do.
pub async fn on_alarm(core: &Core) {
    let due = core.takes_flush().await;
    if !core.is_loaded() {
        return;
    }
    core.keep_promises();
    if !due {
        return;
    }
    let mut again = false;
    if let Err(error) = flush(core).await {
        log::error("flush_failed", &json!({"error": error.0}));
        again = true;
    }
    if let Err(error) = core.refresh().await {
        log::error("refresh_failed", &json!({"error": error.0}));
        again = true;
    }
    match write_kv(core).await {
        Ok(waiting) => again |= waiting,
        Err(error) => {
            log::error("kv_write_failed", &json!({"error": error.0}));
            again = true;
        }
    }
    prune(core).await;
    let interval = core.pool.borrow().snapshot().settings.flush_interval_ms;
    if again || core.pool.borrow().is_dirty() {
        core.set_alarm(interval).await;
    }
}

/// Writes everything that changed to D1, as absolute values: a repeated flush changes nothing.
///
/// # Errors
/// When SQLite or D1 refuses; what was not written stays to be written.
pub async fn flush(core: &Core) -> Result<(), StoreError> {
    // A mark with a time, not a flag: what the platform ends in the middle must not hold up the next for ever.
    while time::now_ms() < core.flushing_until.get() {
        time::sleep(TURN_MS).await;
    }
    core.flushing_until.set(time::now_ms() + FLUSH_MS);
    let outcome = flush_alone(core).await;
    core.flushing_until.set(0);
    outcome
}

async fn flush_alone(core: &Core) -> Result<(), StoreError> {
    let now = time::now_ms();
    let checkpoint = core.pool.borrow_mut().checkpoint(now);
    if !checkpoint.is_empty()
        && let Err(error) = core.journal.checkpoint(now, &checkpoint)
    {
        // The pool takes these for written; the journal still has them.
        core.reload();
        return Err(error);
    }
    if !checkpoint.is_empty()
        && let Err(error) = core.keep_spending()
    {
        // An estimate: what waits to be written matters more.
        log::warn("spending_not_stored", &json!({"error": error.0}));
    }
    let db = env::database(&core.env).map_err(|missing| StoreError(missing.to_string()))?;
    if let Err(error) = store::flush::statuses(&db, &checkpoint.statuses).await {
        core.pool.borrow_mut().statuses_unwritten(&checkpoint.statuses);
        return Err(error);
    }
    let (keys, rows) = core.journal.unflushed(now)?;
    store::flush::usage(&db, &rows).await?;
    core.journal.flushed(now, &keys)
}

/// Writes the KV documents when what they hold has changed, at most every 5 s. Returns whether a write waits.
async fn write_kv(core: &Core) -> Result<bool, StoreError> {
    let now = time::now_ms();
    let (snapshot, keys) = {
        let pool = core.pool.borrow();
        (pool.snapshot().clone(), pool.known_keys(now, kv_limits::KEYS))
    };
    let at = (snapshot.generation, snapshot.epoch);
    let sealed: Vec<String> = keys.iter().map(|key| key.sealed.clone()).collect();
    let (snapshot_due, keys_due) = {
        let written = core.kv_written.borrow();
        (written.at != Some(at), written.at.is_none() || written.sealed != sealed)
    };
    if !snapshot_due && !keys_due {
        return Ok(false);
    }
    if now < core.kv_written_at.get() + kv_limits::WRITE_INTERVAL_MS {
        return Ok(true);
    }
    let kv = env::snapshots(&core.env).map_err(|missing| StoreError(missing.to_string()))?;
    let master = core.master().map_err(|trouble| StoreError(trouble.error))?;
    core.kv_written_at.set(now);
    if snapshot_due {
        store::kv::write_snapshot(&kv, &master, &snapshot).await?;
    }
    if keys_due {
        store::kv::write_keys(&kv, &master, at, &keys).await?;
    }
    *core.kv_written.borrow_mut() = KvWritten { at: Some(at), sealed };
    Ok(false)
}

async fn prune(core: &Core) {
    let now = time::now_ms();
    if now < core.pruned_at.get() + PRUNE_EVERY_MS {
        return;
    }
    core.pruned_at.set(now);
    if let Ok(db) = env::database(&core.env)
        && let Err(error) = store::flush::prune(&db, now).await
    {
        log::error("prune_failed", &json!({"error": error.0}));
    }
}
