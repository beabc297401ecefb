//! What the object holds, and how it comes up.

use super::catalog::Watch;
use super::journal::{Entry, Journal, Written};
use crate::platform::bell::Bell;
use crate::platform::{env, log, random, time};
use crate::store::{self, StoreError};
use rondo_core::pool::Pool;
use rondo_core::pool::books::UsageRow;
use rondo_core::pool::limiter::Limiter;
use rondo_core::pool::spending::Spending;
use rondo_core::vault::{KeyKind, Keyring, MasterKey, wrap};
use serde_json::json;
use std::cell::{Cell, RefCell};
use worker::{D1Database, Env, Storage};

/// How long a failed load is not repeated.
const RELOAD_AFTER_MS: u64 = 500;

/// Where it is stored what was spent.
const SPENDING_NAME: &str = "spending";
/// Where promised times are stored.
const PROMISES_NAME: &str = "promises";
/// How soon after it was made a promise is written down: half of what the platform grants an object that is not asked.
const PROMISES_KEPT_MS: u64 = 5_000;
/// An alarm may ring so much early.
const ALARM_EARLY_MS: u64 = 50;

/// Why the Coordinator cannot work.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// The binding or secret that is missing or wrong, if that is it.
    pub missing: Option<(&'static str, String)>,
    /// What happened, without values.
    pub error: String,
}

impl From<env::Missing> for Trouble {
    fn from(missing: env::Missing) -> Self {
        Self { missing: Some((missing.name, missing.remedy.to_owned())), error: missing.to_string() }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self { missing: None, error: error.0 }
    }
}

/// What was written to KV last.
#[derive(Debug, Default)]
pub struct KvWritten {
    /// (generation, epoch) of the snapshot.
    pub at: Option<(u64, u64)>,
    /// The sealed keys.
    pub sealed: Vec<String>,
}

/// The object's state.
pub struct Core {
    /// Its storage.
    pub storage: Storage,
    /// The environment.
    pub env: Env,
    /// Its own database.
    pub journal: Journal,
    /// The pool; never borrowed across an await.
    pub pool: RefCell<Pool>,
    /// Failed logins.
    pub limiter: RefCell<Limiter>,
    /// Rings when a request ended or a grant was given, for those who follow.
    pub bell: Bell,
    /// The watch over the provider's list of models.
    pub watch: Watch,
    /// Why it does not work; `None` once loaded.
    pub trouble: RefCell<Option<Trouble>>,
    /// When the alarm is set for; 0 without one.
    alarm_at: Cell<u64>,
    /// When the next flush is due; 0 when nothing waits for one.
    flush_due: Cell<u64>,
    /// Until when a flush is under way.
    pub flushing_until: Cell<u64>,
    /// What KV holds, to write only what changed.
    pub kv_written: RefCell<KvWritten>,
    /// What was spent of the platform's free plan.
    pub spending: Cell<Spending>,
    /// When KV was written last, and when D1 was pruned last.
    pub kv_written_at: Cell<u64>,
    /// See above.
    pub pruned_at: Cell<u64>,
    tried_at: Cell<u64>,
    loaded: Cell<bool>,
}

impl Core {
    /// Not loaded yet.
    pub fn new(storage: Storage, env: Env) -> Self {
        let journal = Journal::new(&storage);
        Self {
            storage,
            env,
            journal,
            pool: RefCell::new(Pool::new(0)),
            limiter: RefCell::new(Limiter::default()),
            bell: Bell::default(),
            watch: Watch::default(),
            trouble: RefCell::new(None),
            alarm_at: Cell::new(0),
            flush_due: Cell::new(0),
            flushing_until: Cell::new(0),
            kv_written: RefCell::new(KvWritten::default()),
            spending: Cell::new(Spending::default()),
            kv_written_at: Cell::new(0),
            pruned_at: Cell::new(0),
            tried_at: Cell::new(0),
            loaded: Cell::new(false),
        }
    }

    /// Whether a load is due: none succeeded, and the last try is some time ago.
    pub fn wants_load(&self) -> bool {
        !self.loaded.get() && time::now_ms() >= self.tried_at.get() + RELOAD_AFTER_MS
    }

    /// Has everything loaded again, from what is durable.
    pub fn reload(&self) {
        self.tried_at.set(0);
        self.loaded.set(false);
    }

    /// Whether the pool is loaded.
    pub fn is_loaded(&self) -> bool {
        self.loaded.get()
    }

    /// Loads everything: schema, keyring, environment, configuration, then the object's own checkpoint and
    /// journal. A failure is kept in `trouble`.
    pub async fn load(&self) {
        if self.loaded.get() {
            return;
        }
        let outcome = self.try_load().await;
        self.tried_at.set(time::now_ms());
        match outcome {
            Ok(pool) => {
                *self.pool.borrow_mut() = pool;
                *self.trouble.borrow_mut() = None;
                self.loaded.set(true);
                // What an earlier incarnation left unflushed, and KV.
                self.set_alarm(1_000).await;
            }
            Err(trouble) => {
                log::error("coordinator_load_failed", &json!({"error": trouble.error}));
                *self.trouble.borrow_mut() = Some(trouble);
            }
        }
    }

    /// The master key.
    ///
    /// # Errors
    /// Names `ENCRYPTION_KEY` when it is missing or too weak.
    pub fn master(&self) -> Result<MasterKey, Trouble> {
        MasterKey::from_secret(&env::encryption_key(&self.env)?).map_err(|error| Trouble {
            missing: Some(("ENCRYPTION_KEY", error.to_string())),
            error: error.to_string(),
        })
    }

    async fn try_load(&self) -> Result<Pool, Trouble> {
        let master = self.master()?;
        let db = env::database(&self.env)?;
        // Without KV nobody could serve while this object is silent: said at once, not on that day.
        env::snapshots(&self.env)?;
        let incarnation = self.journal.open()?;
        store::migrate::migrate(&db).await?;
        let keyring = self.keyring(&db, &master).await?;
        store::environment::sync(&db, &self.env, &keyring).await?;
        let (snapshot, keys) = store::load::everything(&db).await?;
        let mut pool = Pool::new(incarnation);
        pool.configure(snapshot, keys);

        let stored = self.journal.stored()?;
        if stored.usage.is_empty() {
            // This object has no books of its own (it is new, or was replaced): D1's are the latest.
            for row in store::flush::current_usage(&db, time::now_ms()).await? {
                pool.restore_usage(&row);
            }
        }
        for row in stored.usage.iter().filter_map(|row| serde_json::from_str::<UsageRow>(row).ok()) {
            pool.restore_usage(&row);
        }
        for (name, json) in &stored.states {
            pool.restore_state(name, json);
        }
        // Settled numbers first: of what a lease took only what is not settled is under way.
        for Entry { covered, at, what } in &stored.journal {
            match what {
                Written::Settles(settles) if *covered => pool.remember(*at, settles),
                Written::Settles(settles) => pool.apply(*at, settles),
                Written::Lease { leased } => pool.regive(*at, leased, *covered),
            }
        }
        if let Some(places) = self.journal.text("limiter")? {
            *self.limiter.borrow_mut() =
                Limiter::restore(serde_json::from_str(&places).map_err(StoreError::from)?);
        }
        let spent = self.journal.text(SPENDING_NAME)?.and_then(|text| serde_json::from_str(&text).ok());
        let before = self.spending.replace(spent.unwrap_or_default());
        self.spend(&before);
        if let Some(promises) = self.journal.text(PROMISES_NAME)? {
            pool.restore_promises(time::now_ms(), &promises);
        }
        for groups in super::views::dismissed(self)? {
            pool.kinship().dismiss(&groups);
        }
        // What was reported of models is held against the list again: reports alone were replayed.
        let copy = store::catalog::read(&db).await?;
        pool.take_catalog(time::now_ms(), &copy.catalog());
        Ok(pool)
    }

    /// Opens the two wrapped keys, making them at the very first start.
    async fn keyring(&self, db: &D1Database, master: &MasterKey) -> Result<Keyring, Trouble> {
        let mut wrapped = Vec::new();
        for (name, kind) in [("wrapped_data_key", KeyKind::Data), ("wrapped_digest_key", KeyKind::Digest)] {
            let stored = meta(db, name).await?;
            let text = match stored {
                Some(text) => text,
                None => {
                    let made =
                        wrap(master, kind, &entropy::<32>()?, entropy::<12>()?).map_err(StoreError::from)?;
                    db.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES (?1, ?2)")
                        .bind(&[name.into(), made.into()])
                        .map_err(StoreError::from)?
                        .run()
                        .await
                        .map_err(StoreError::from)?;
                    meta(db, name).await?.unwrap_or_default()
                }
            };
            wrapped.push(text);
        }
        match wrapped.as_slice() {
            [data, digest] => Keyring::open(master, data, digest).map_err(|error| Trouble {
                missing: Some((
                    "ENCRYPTION_KEY",
                    "it is not the one that the stored keys were sealed with: set the former one again"
                        .to_owned(),
                )),
                error: error.to_string(),
            }),
            _ => Err(Trouble { missing: None, error: "no keyring".to_owned() }),
        }
    }

    /// Reads the configuration again when D1's epoch is another than the pool's.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn refresh(&self) -> Result<(u64, u64), StoreError> {
        let db = env::database(&self.env).map_err(|missing| StoreError(missing.to_string()))?;
        let (generation, epoch) = store::load::epoch(&db).await?;
        let known = {
            let pool = self.pool.borrow();
            (pool.snapshot().generation, pool.snapshot().epoch)
        };
        if known == (generation, epoch) {
            return Ok(known);
        }
        let (snapshot, keys) = store::load::everything(&db).await?;
        let read = (snapshot.generation, snapshot.epoch);
        let mut pool = self.pool.borrow_mut();
        let current = (pool.snapshot().generation, pool.snapshot().epoch);
        // Two refreshes side by side: the older read must not win.
        if current.0 != read.0 || current.1 <= read.1 {
            pool.configure(snapshot, keys);
            return Ok(read);
        }
        Ok(current)
    }

    /// Notes what was spent of the platform's free plan, with what this object wrote and its isolate asked of D1 since.
    pub fn spend(&self, more: &Spending) {
        let mut sum = self.spending.get();
        let own = Spending { object_rows_written: self.journal.take_written(), ..store::sql::take_spent() };
        let now = time::now_ms();
        sum.add(now, &own);
        sum.add(now, more);
        self.spending.set(sum);
    }

    /// Writes down what was spent: once for each checkpoint.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn keep_spending(&self) -> Result<(), StoreError> {
        self.spend(&Spending::default());
        self.journal.set_text(SPENDING_NAME, &serde_json::to_string(&self.spending.get())?)
    }

    /// Has a flush made after that time, unless one is due sooner.
    pub async fn set_alarm(&self, after_ms: u64) {
        let at = time::now_ms() + after_ms;
        let due = self.flush_due.get();
        if due == 0 || at < due {
            self.flush_due.set(at);
        }
        self.wake_by(at).await;
    }

    /// The alarm has rung: whether a flush is due. If it is not yet, it rings again.
    pub async fn takes_flush(&self) -> bool {
        self.alarm_at.set(0);
        let (now, due) = (time::now_ms(), self.flush_due.get());
        if due > now + ALARM_EARLY_MS {
            self.wake_by(due).await;
            return false;
        }
        self.flush_due.set(0);
        true
    }

    /// Sets the alarm unless one rings sooner.
    async fn wake_by(&self, at: u64) {
        let set = self.alarm_at.get();
        if set != 0 && set <= at {
            return;
        }
        self.alarm_at.set(at);
        let after = std::time::Duration::from_millis(at.saturating_sub(time::now_ms()));
        // An alarm counts as a row.
        self.spend(&Spending { object_rows_written: 1, ..Spending::default() });
        if self.storage.set_alarm(after).await.is_err() {
            self.alarm_at.set(0);
            log::error("alarm_not_set", &json!({}));
        }
    }

    /// Sees to it that times which were promised outlive the object's memory: the platform ends an object that
    /// nobody asks for some ten seconds, and clients who were all told to come back later ask for nothing.
    pub async fn promised(&self) {
        if self.pool.borrow().has_new_promises() {
            self.wake_by(time::now_ms() + PROMISES_KEPT_MS).await;
        }
    }

    /// Writes down what was promised, if that has changed.
    pub fn keep_promises(&self) {
        let promises = self.pool.borrow_mut().new_promises(time::now_ms());
        if let Some(promises) = promises
            && let Err(error) = self.journal.set_text(PROMISES_NAME, &promises)
        {
            // They are in memory still.
            log::warn("promises_not_stored", &json!({"error": error.0}));
        }
    }
}

async fn meta(db: &D1Database, name: &str) -> Result<Option<String>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Row {
        value: String,
    }
    let rows: Vec<Row> =
        db.prepare("SELECT value FROM meta WHERE name = ?1").bind(&[name.into()])?.run().await?.results()?;
    Ok(rows.into_iter().next().map(|row| row.value))
}

fn entropy<const N: usize>() -> Result<[u8; N], StoreError> {
    random::bytes().map_err(|_| StoreError("the platform gave no randomness".to_owned()))
}
