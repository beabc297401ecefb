//! The watch over the provider's public list of models: after the alarm's own work, and beside it, so that a
//! slow list delays no flush.

use super::object::Core;
use crate::platform::{env, log, time};
use crate::store::{self, StoreError};
use rondo_core::limits::settings::{CATALOG_FETCH_MS, CATALOG_RETRY_MAX_MS, CATALOG_RETRY_MS};
use rondo_core::pool::books::Dim;
use rondo_core::pool::catalog::{Catalog, ModelStanding, is_due};
use rondo_core::pool::faults::backoff;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// The longest look: the fetch and D1, which gives a query 30 s.
const LOOK_MS: u64 = CATALOG_FETCH_MS + 35_000;

/// What the watch remembers between alarms.
#[derive(Debug, Default)]
pub struct Watch {
    /// The copy; `None` before D1 was asked for it.
    copy: RefCell<Option<Catalog>>,
    /// Client requests there were at the last look: more of them mean that something is being used.
    requests: Cell<u64>,
    /// Until when a look is under way. A mark with a time: what the platform ends in the middle must not hold up
    /// the next for ever.
    looking_until: Cell<u64>,
    /// Not fetched before that time, after failures.
    next_try_at: Cell<u64>,
    failures: Cell<u32>,
}

impl Watch {
    /// Adds what the copy says of models that nobody misses.
    pub fn tell(&self, now: u64, models: &mut [ModelStanding]) {
        if let Some(copy) = self.copy.borrow().as_ref() {
            for model in models {
                model.told_by(copy, now);
            }
        }
    }
}

/// Looks after the copy, in the background: each alarm ends here.
pub fn watch(core: &Rc<Core>) {
    let now = time::now_ms();
    if !core.is_loaded() || now < core.watch.looking_until.get() {
        return;
    }
    let requests = core.pool.borrow().books().total(Dim::Pool, "").requests;
    let used = core.watch.requests.replace(requests) != requests;
    core.watch.looking_until.set(now + LOOK_MS);
    let core = Rc::clone(core);
    spawn_local(async move {
        if let Err(error) = look(&core, used).await {
            log::warn("catalog_watch_failed", &json!({"error": error.0}));
        }
        core.watch.looking_until.set(0);
    });
}

async fn look(core: &Core, used: bool) -> Result<(), StoreError> {
    if core.watch.copy.borrow().is_none() {
        read(core).await?;
    }
    let fetched_at = core.watch.copy.borrow().as_ref().map_or(0, Catalog::fetched_at);
    let now = time::now_ms();
    let doubt = core.pool.borrow().newest_doubt(now);
    if used && is_due(fetched_at, doubt, now) && now >= core.watch.next_try_at.get() {
        fetch(core).await?;
    }
    judge(core).await;
    Ok(())
}

/// Reads the copy from D1 again and judges by it: the control plane fetched it.
///
/// # Errors
/// When D1 does not answer.
pub async fn reread(core: &Core) -> Result<(), StoreError> {
    read(core).await?;
    core.refresh().await?;
    judge(core).await;
    Ok(())
}

async fn read(core: &Core) -> Result<(), StoreError> {
    let db = env::database(&core.env).map_err(|missing| StoreError(missing.to_string()))?;
    let copy = store::catalog::read(&db).await?;
    *core.watch.copy.borrow_mut() = Some(copy.catalog());
    Ok(())
}

async fn fetch(core: &Core) -> Result<(), StoreError> {
    let db = env::database(&core.env).map_err(|missing| StoreError(missing.to_string()))?;
    let outcome = store::catalog::refresh(&core.env, &db).await;
    let failed = match &outcome {
        Ok(refreshed) => refreshed.copy.last_error.clone(),
        Err(error) => Some(error.0.clone()),
    };
    if let Some(error) = failed {
        let failures = core.watch.failures.get().saturating_add(1);
        let wait = backoff(CATALOG_RETRY_MS, failures, CATALOG_RETRY_MAX_MS);
        core.watch.failures.set(failures);
        core.watch.next_try_at.set(time::now_ms() + wait);
        log::warn("catalog_refresh_failed", &json!({"error": error, "next_try_ms": wait}));
    } else {
        core.watch.failures.set(0);
        core.watch.next_try_at.set(0);
    }
    let refreshed = outcome?;
    *core.watch.copy.borrow_mut() = Some(refreshed.copy.catalog());
    if refreshed.changed {
        core.refresh().await?;
    }
    Ok(())
}

/// Holds what was reported against the copy.
async fn judge(core: &Core) {
    let interval = {
        let mut pool = core.pool.borrow_mut();
        if let Some(copy) = core.watch.copy.borrow().as_ref() {
            pool.take_catalog(time::now_ms(), copy);
        }
        pool.is_dirty().then(|| pool.snapshot().settings.flush_interval_ms)
    };
    if let Some(interval) = interval {
        core.set_alarm(interval).await;
    }
}
