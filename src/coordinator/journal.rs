//! The object's own SQLite: a journal of what was reported since the last checkpoint, and the checkpoint.
//!
//! Each ask that carries reports costs one row. A restart loads the checkpoint and replays the journal, which
//! gives the same pool again. Rows that the checkpoint covers stay two minutes for their grant numbers.
//!
//! `to_array` throws through wasm when a statement fails while it is read, which would hang the caller, so only
//! statements that cannot fail at that point are read.

use crate::platform::log;
use crate::platform::storage::Transactions;
use crate::store::StoreError;
use rondo_core::limits::grant::NUMBERS_KEPT_MS;
use rondo_core::pool::protocol::Settle;
use rondo_core::pool::{Checkpoint, Leased};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::Cell;
use worker::{SqlStorage, SqlStorageValue, Storage};

/// Version of the stored format; pinned by a test. 2 brought leases into the journal and quotas into the states;
/// what 1 wrote is read as it is.
const FORMAT: u64 = 2;

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, settles TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS usage (k TEXT PRIMARY KEY, grain TEXT NOT NULL, at INTEGER NOT NULL, \
     row TEXT NOT NULL, unflushed INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS usage_unflushed ON usage (unflushed) WHERE unflushed = 1",
    "CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID",
];

/// Pieces in which JSON parameters are written: an object's SQLite takes at most 2 MB a value, and a usage row takes
/// less than 1.6 KB.
const PIECE: usize = 1_000;

/// What a restart finds.
pub struct Stored {
    /// Absolute usage values, as JSON.
    pub usage: Vec<String>,
    /// Standing of keys, groups and models.
    pub states: Vec<(String, String)>,
    /// Journal rows, in order.
    pub journal: Vec<Entry>,
}

/// A journal row.
pub struct Entry {
    /// Whether the checkpoint covers it.
    pub covered: bool,
    /// When it was written.
    pub at: u64,
    /// What it holds.
    pub what: Written,
}

/// What a row holds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Written {
    /// Reports.
    Settles(Vec<Settle>),
    /// What a lease took.
    Lease {
        /// Its grants.
        leased: Vec<Leased>,
    },
}

/// The object's own database.
pub struct Journal {
    sql: SqlStorage,
    transactions: Transactions,
    written: Cell<u64>,
}

#[derive(Deserialize)]
struct Value {
    value: String,
}

impl Journal {
    /// Over the object's storage.
    pub fn new(storage: &Storage) -> Self {
        Self { sql: storage.sql(), transactions: Transactions::of(storage), written: Cell::new(0) }
    }

    fn run(&self, statement: &str, values: Vec<SqlStorageValue>) -> Result<(), StoreError> {
        let cursor = self.sql.exec(statement, values)?;
        self.written.set(self.written.get() + cursor.rows_written() as u64);
        Ok(())
    }

    /// Rows written since this was last asked for.
    pub fn take_written(&self) -> u64 {
        self.written.take()
    }

    fn meta(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let cursor = self.sql.exec("SELECT value FROM meta WHERE name = ?", vec![name.to_owned().into()])?;
        let rows: Vec<Value> = cursor.to_array()?;
        Ok(rows.first().and_then(|row| row.value.parse().ok()))
    }

    /// A stored text.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn text(&self, name: &str) -> Result<Option<String>, StoreError> {
        let cursor = self.sql.exec("SELECT value FROM meta WHERE name = ?", vec![name.to_owned().into()])?;
        Ok(cursor.to_array::<Value>()?.into_iter().next().map(|row| row.value))
    }

    /// Stores a text.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn set_text(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
            vec![name.to_owned().into(), value.to_owned().into()],
        )
    }

    /// Opens the database and counts this start. Returns the incarnation's number.
    ///
    /// # Errors
    /// When SQLite refuses, or the stored format is newer than this code.
    pub fn open(&self) -> Result<u64, StoreError> {
        for statement in SCHEMA {
            self.run(statement, Vec::new())?;
        }
        let format = self.meta("format")?.unwrap_or(FORMAT);
        if format > FORMAT {
            return Err(StoreError(format!(
                "the Coordinator's state has format {format}, newer than this code"
            )));
        }
        self.set_text("format", &FORMAT.to_string())?;
        let incarnation = self.meta("incarnation")?.unwrap_or(0) + 1;
        self.set_text("incarnation", &incarnation.to_string())?;
        Ok(incarnation)
    }

    /// Writes reports down. The answer that acknowledges them leaves only once this is durable.
    ///
    /// # Errors
    /// When SQLite refuses: the reports are not to be acknowledged then.
    pub fn append(&self, at: u64, settles: &[Settle]) -> Result<(), StoreError> {
        self.write(at, serde_json::to_string(settles)?)
    }

    /// Writes down what a lease took, before it is answered: a new incarnation counts it as under way.
    ///
    /// # Errors
    /// When SQLite refuses: the lease is not to be given then.
    pub fn append_lease(&self, at: u64, leased: Vec<Leased>) -> Result<(), StoreError> {
        self.write(at, serde_json::to_string(&Written::Lease { leased })?)
    }

    fn write(&self, at: u64, what: String) -> Result<(), StoreError> {
        self.run("INSERT INTO journal (at, settles) VALUES (?, ?)", vec![number(at), what.into()])
    }

    /// Writes a checkpoint in place of the journal up to here, whole or not at all.
    ///
    /// # Errors
    /// When SQLite refuses. What the checkpoint holds is then only in the journal: load again.
    pub fn checkpoint(&self, now: u64, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.transactions.run(|| self.write_checkpoint(now, checkpoint))
    }

    fn write_checkpoint(&self, now: u64, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        for piece in checkpoint.usage.chunks(PIECE) {
            self.run(
                "INSERT OR REPLACE INTO usage (k, grain, at, row, unflushed) SELECT value->>'grain' || '|' || \
                 (value->>'dim') || '|' || (value->>'at') || '|' || (value->>'id'), value->>'grain', value->>'at', \
                 value, 1 FROM json_each(?)",
                vec![serde_json::to_string(piece)?.into()],
            )?;
        }
        for (name, json) in &checkpoint.states {
            if json.is_empty() {
                self.run("DELETE FROM states WHERE name = ?", vec![name.clone().into()])?;
            } else {
                self.run(
                    "INSERT OR REPLACE INTO states (name, json) VALUES (?, ?)",
                    vec![name.clone().into(), json.clone().into()],
                )?;
            }
        }
        self.run(
            "INSERT OR REPLACE INTO meta (name, value) SELECT 'checkpoint', last FROM \
             (SELECT MAX(seq) AS last FROM journal) WHERE last IS NOT NULL",
            Vec::new(),
        )?;
        // The checkpoint's own row stays, since SQLite numbers on from the highest row there is.
        self.run(
            "DELETE FROM journal WHERE at < ? AND seq < (SELECT CAST(value AS INTEGER) FROM meta WHERE \
             name = 'checkpoint')",
            vec![number(now.saturating_sub(NUMBERS_KEPT_MS))],
        )
    }

    /// What a restart finds.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn stored(&self) -> Result<Stored, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            row: String,
        }
        #[derive(Deserialize)]
        struct State {
            name: String,
            json: String,
        }
        #[derive(Deserialize)]
        struct Line {
            seq: f64,
            at: f64,
            settles: String,
        }
        let checkpoint = self.meta("checkpoint")?.unwrap_or(0) as f64;
        let usage = self.sql.exec("SELECT row FROM usage", None)?.to_array::<Row>()?;
        let states = self.sql.exec("SELECT name, json FROM states", None)?.to_array::<State>()?;
        let journal =
            self.sql.exec("SELECT seq, at, settles FROM journal ORDER BY seq", None)?.to_array::<Line>()?;
        Ok(Stored {
            usage: usage.into_iter().map(|row| row.row).collect(),
            states: states.into_iter().map(|row| (row.name, row.json)).collect(),
            journal: journal
                .into_iter()
                .filter_map(|row| {
                    let what = match serde_json::from_str(&row.settles) {
                        Ok(what) => what,
                        Err(error) => {
                            log::error("journal_row_unreadable", &json!({"error": error.to_string()}));
                            return None;
                        }
                    };
                    Some(Entry { covered: row.seq <= checkpoint, at: row.at as u64, what })
                })
                .collect(),
        })
    }

    /// Usage values that D1 does not have yet; minutes only once they are over, but for those of the pool as a whole:
    /// a chart of the last minutes is looked at while they pass.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn unflushed(&self, now: u64) -> Result<(Vec<String>, Vec<String>), StoreError> {
        #[derive(Deserialize)]
        struct Row {
            k: String,
            row: String,
        }
        let rows = self
            .sql
            .exec(
                "SELECT k, row FROM usage WHERE unflushed = 1 AND (grain <> 'minute' OR at <= ? \
                 OR k LIKE 'minute|pool|%')",
                vec![number(now.saturating_sub(60_000))],
            )?
            .to_array::<Row>()?;
        Ok(rows.into_iter().map(|row| (row.k, row.row)).unzip())
    }

    /// D1 has these now. Stretches that are over are not needed here any more.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn flushed(&self, now: u64, keys: &[String]) -> Result<(), StoreError> {
        for piece in keys.chunks(PIECE) {
            self.run(
                "UPDATE usage SET unflushed = 0 WHERE k IN (SELECT value FROM json_each(?))",
                vec![serde_json::to_string(piece)?.into()],
            )?;
        }
        for (grain, length) in [("minute", 60_000), ("hour", 3_600_000), ("day", 86_400_000)] {
            self.run(
                "DELETE FROM usage WHERE unflushed = 0 AND grain = ? AND at < ?",
                vec![grain.to_owned().into(), number(now - now % length)],
            )?;
        }
        Ok(())
    }
}

fn number(number: u64) -> SqlStorageValue {
    // Times and counts stay far below 2^53.
    SqlStorageValue::Float(number as f64)
}
