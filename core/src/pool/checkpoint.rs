//! What survives a restart: the books and the standing of keys, groups and models, as rows.

use super::books::UsageRow;
use super::keys::{GroupState, KeyState};
use super::state::{ModelState, Pool};
use serde::{Deserialize, Serialize};

/// Rows that changed since the last checkpoint, all at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Absolute usage values.
    pub usage: Vec<UsageRow>,
    /// Standing, as (name, JSON); an empty JSON means that the row goes.
    pub states: Vec<(String, String)>,
    /// What the admin pages show of keys.
    pub statuses: Vec<KeyStatusRow>,
}

impl Checkpoint {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.usage.is_empty() && self.states.is_empty() && self.statuses.is_empty()
    }
}

/// The status columns of a key's row in D1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatusRow {
    /// Key id.
    pub id: String,
    /// See `KeyStatus`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Until when, unix milliseconds.
    pub until: Option<u64>,
}

impl Pool {
    /// Takes what changed.
    pub fn checkpoint(&mut self, now: u64) -> Checkpoint {
        let names: Vec<String> = self.dirty.drain().collect();
        let states = names
            .into_iter()
            .map(|name| {
                let json = self.state_json(&name).unwrap_or_default();
                (name, json)
            })
            .collect();
        let keys: Vec<String> = self.dirty_status.drain().collect();
        let statuses = keys
            .into_iter()
            .filter_map(|id| {
                let status = self.key_status(&id, now)?;
                // The column `status` never says disabled: that is the column `enabled`.
                let (status, reason, until) = if status.status == "disabled" {
                    ("active".to_owned(), None, None)
                } else {
                    (status.status, status.reason, status.until)
                };
                Some(KeyStatusRow { id, status, reason, until })
            })
            .collect();
        Checkpoint { usage: self.books.take_dirty(now), states, statuses }
    }

    /// Gives the status rows of a checkpoint back, since D1 did not take them.
    pub fn statuses_unwritten(&mut self, rows: &[KeyStatusRow]) {
        self.dirty_status.extend(rows.iter().map(|row| row.id.clone()));
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.dirty_status.is_empty() || self.books.is_dirty()
    }

    fn state_json(&self, name: &str) -> Option<String> {
        let (kind, id) = name.split_once(':')?;
        match kind {
            "key" => {
                let slot = self.roster.slots.get(self.roster.position(id)?)?;
                unless_default(&slot.state)
            }
            "group" => unless_default(&self.roster.groups.iter().find(|group| group.name == id)?.state),
            "model" => unless_default(self.models.get(id)?),
            _ => None,
        }
    }

    /// Takes a stored standing back. Of keys and groups that are not configured any more nothing is kept.
    pub fn restore_state(&mut self, name: &str, json: &str) {
        let Some((kind, id)) = name.split_once(':') else { return };
        match kind {
            "key" => {
                if let (Some(slot), Ok(state)) =
                    (self.roster.slot(id), serde_json::from_str::<KeyState>(json))
                {
                    slot.state = state;
                }
            }
            "group" => {
                if let (Some(group), Ok(state)) =
                    (self.roster.group_named(id), serde_json::from_str::<GroupState>(json))
                {
                    group.state = state;
                }
            }
            "model" => {
                if let Ok(state) = serde_json::from_str::<ModelState>(json) {
                    self.models.insert(id.to_owned(), state);
                }
            }
            _ => {}
        }
    }

    /// Takes a stored usage value back.
    pub fn restore_usage(&mut self, row: &UsageRow) {
        self.books.restore(row);
    }
}

fn unless_default<T: Default + PartialEq + Serialize>(state: &T) -> Option<String> {
    if *state == T::default() { None } else { serde_json::to_string(state).ok() }
}
