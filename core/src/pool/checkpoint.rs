//! What survives a restart: the books and the standing of keys, groups, models, quotas and client tokens, as rows.

use super::books::UsageRow;
use super::keys::{GroupState, KeyState};
use super::line::{Mask, mask};
use super::models::{Model, ModelState};
use super::promises::Kept;
use super::quota::Quota;
use super::state::{Pool, figures, page_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A page of quotas: by group, then by model.
type QuotaPage = BTreeMap<String, BTreeMap<String, Quota>>;

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
    /// Whether times were promised, or taken up, since that was last written down.
    #[must_use]
    pub fn has_new_promises(&self) -> bool {
        self.line.has_new_promises()
    }

    /// What was promised to whom, as JSON; `None` when nothing has changed since it was last asked for.
    pub fn new_promises(&mut self, now: u64) -> Option<String> {
        let Self { line, models, .. } = self;
        let named = |of: Mask| {
            let fits = |(_, model): &(&String, &Model)| of & mask([model.number]) != 0;
            models.iter().filter(fits).map(|(name, _)| name.clone()).collect()
        };
        let kept = line.promises().take_changed(now, named)?;
        serde_json::to_string(&kept).ok()
    }

    /// After a restart: what was promised before. What can't be read is passed over: its clients have to wait anew.
    pub fn restore_promises(&mut self, now: u64, json: &str) {
        for kept in serde_json::from_str::<Vec<Kept>>(json).unwrap_or_default() {
            let numbers = kept.models.iter().filter_map(|name| Some(self.model(name, now)?.number));
            let models = mask(numbers.collect::<Vec<_>>());
            if models != 0 {
                self.line.restore(now, &kept, models);
            }
        }
    }

    /// Takes what changed.
    pub fn checkpoint(&mut self, now: u64) -> Checkpoint {
        let mut names: Vec<String> = self.dirty.drain().collect();
        names.extend(self.tenants.take_dirty().into_iter().map(|token| format!("token:{token}")));
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
        !self.dirty.is_empty()
            || self.tenants.is_dirty()
            || !self.dirty_status.is_empty()
            || self.books.is_dirty()
    }

    fn state_json(&self, name: &str) -> Option<String> {
        let (kind, id) = name.split_once(':')?;
        match kind {
            "key" => {
                let slot = self.roster.slots.get(self.roster.position(id)?)?;
                unless_default(&slot.state)
            }
            "group" => {
                let group = self.roster.groups.get(self.roster.group_named(id)?)?;
                unless_default(&group.state)
            }
            "model" => unless_default(&self.models.get(id)?.state),
            "token" => self.tenants.state(id),
            "quotas" => self.quota_page(id.parse().ok()?),
            _ => None,
        }
    }

    fn quota_page(&self, page: u64) -> Option<String> {
        let mut quotas = BTreeMap::<&str, BTreeMap<&str, &Quota>>::new();
        for (name, model) in self.models.iter() {
            for (group, quota) in model.quotas() {
                let Some(of) = self.roster.groups.get(group) else { continue };
                if page_of(&of.name) == page {
                    quotas.entry(&of.name).or_default().insert(name, quota);
                }
            }
        }
        if quotas.is_empty() { None } else { serde_json::to_string(&quotas).ok() }
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
                    self.roster.refresh_key(id);
                }
            }
            "group" => {
                if let (Some(at), Ok(state)) =
                    (self.roster.group_named(id), serde_json::from_str::<GroupState>(json))
                    && let Some(group) = self.roster.groups.get_mut(at)
                {
                    group.state = state;
                    self.roster.refresh_group(at);
                }
            }
            "model" => {
                if let Ok(state) = serde_json::from_str::<ModelState>(json)
                    && let Some(model) = self.models.ensure(id, 0, |_| {})
                {
                    model.state = state;
                }
            }
            "token" => self.tenants.restore(id, json),
            "quotas" => {
                for (group, models) in serde_json::from_str::<QuotaPage>(json).unwrap_or_default() {
                    let Some(at) = self.roster.group_named(&group) else { continue };
                    for (name, quota) in models {
                        if let Some(model) = self.models.ensure(&name, 0, |_| {}) {
                            let figures = figures(&self.snapshot.settings.limit_overrides, &group, &name);
                            model.with_quota(at, |place| {
                                *place = quota;
                                place.fix(0, &figures);
                            });
                        }
                    }
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
