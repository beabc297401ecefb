//! The keys, their quota groups and what is known of each: who may be sent to, and from when.

use super::rotation::Turn;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A key as D1 holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Row id.
    pub id: String,
    /// Provider id.
    pub provider: String,
    /// The quota group the operator named; by default each key is its own.
    #[serde(default)]
    pub group: Option<String>,
    /// The key, sealed under its row id.
    pub sealed: String,
    /// Its share of the rotation.
    pub weight: u32,
    /// Whether it is used.
    pub enabled: bool,
    /// Its own base URL.
    #[serde(default)]
    pub base_url: Option<String>,
}

/// A punishment that ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// When it was given (unix milliseconds). Only an attempt sent later can lift it.
    pub since: u64,
    /// When it ends.
    pub until: u64,
    /// A short word for the admin page.
    pub reason: String,
}

/// A key's own standing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyState {
    /// Its credentials were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<Ban>,
    /// Rest after faults of the upstream. Soft: when nobody else can serve, it does not count.
    pub rest_until: u64,
    /// Faults of the upstream in a row.
    pub failures: u32,
    /// When the last of them was.
    pub failed_at: u64,
}

/// Cooling of one model in one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooling {
    /// The model.
    pub model: String,
    /// When it ends.
    pub until: u64,
    /// Unstated 429s in a row.
    pub strikes: u32,
}

/// A quota group's standing: limits, cooling and suspension of quota are the group's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupState {
    /// Payment is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Ban>,
    /// Cooling, per model. A few entries at most: ended ones are dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cooling: Vec<Cooling>,
}

impl GroupState {
    /// When that model is free of cooling in this group; 0 when it is.
    #[must_use]
    pub fn cool_until(&self, model: &str) -> u64 {
        self.cooling.iter().find(|cooling| cooling.model == model).map_or(0, |cooling| cooling.until)
    }

    /// When the suspension ends; 0 without one.
    #[must_use]
    pub fn suspended_until(&self) -> u64 {
        self.suspended.as_ref().map_or(0, |ban| ban.until)
    }
}

/// A key in the rotation.
#[derive(Debug)]
pub struct KeySlot {
    /// What D1 says.
    pub row: KeyRow,
    /// Its group's place.
    pub group: usize,
    /// Its standing.
    pub state: KeyState,
    /// Rotation credit.
    pub credit: i64,
    /// When `key_pace_ms` lets it send again.
    pub next_at: u64,
    /// Equal to the roster's mark: not for the ask at hand.
    pub mark: u64,
}

impl Turn for KeySlot {
    fn weight(&self) -> i64 {
        i64::from(self.row.weight)
    }
    fn credit(&mut self) -> &mut i64 {
        &mut self.credit
    }
}

/// A quota group.
#[derive(Debug)]
pub struct Group {
    /// Its name: the operator's, or `key:<id>`.
    pub name: String,
    /// Its standing.
    pub state: GroupState,
}

/// All keys and groups.
#[derive(Debug, Default)]
pub struct Roster {
    /// Keys, in order of creation.
    pub slots: Vec<KeySlot>,
    /// Groups.
    pub groups: Vec<Group>,
    by_id: HashMap<String, usize>,
    mark: u64,
}

/// When a key can serve a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// From that time on (0: now); quota and pacing.
    From(u64),
    /// Not in this request: disabled, invalid, suspended or excluded.
    Never,
}

/// The group name of a key without a named group.
#[must_use]
pub fn own_group(key: &str) -> String {
    format!("key:{key}")
}

impl Roster {
    /// Takes the configured keys, keeping what is known of those that stay.
    pub fn configure(&mut self, rows: Vec<KeyRow>) {
        let mut states: HashMap<String, (KeyState, i64, u64)> =
            self.slots.drain(..).map(|slot| (slot.row.id, (slot.state, slot.credit, slot.next_at))).collect();
        let mut known: HashMap<String, GroupState> =
            self.groups.drain(..).map(|group| (group.name, group.state)).collect();
        self.by_id.clear();
        let mut groups: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let name = match &row.group {
                Some(name) => format!("group:{name}"),
                None => own_group(&row.id),
            };
            let group = *groups.entry(name).or_insert_with_key(|name| {
                let state = known.remove(name).unwrap_or_default();
                self.groups.push(Group { name: name.clone(), state });
                self.groups.len() - 1
            });
            let (state, credit, next_at) = states.remove(&row.id).unwrap_or_default();
            self.by_id.insert(row.id.clone(), self.slots.len());
            self.slots.push(KeySlot { row, group, state, credit, next_at, mark: 0 });
        }
    }

    /// The place of a key.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The slot of a key.
    pub fn slot(&mut self, id: &str) -> Option<&mut KeySlot> {
        let position = self.position(id)?;
        self.slots.get_mut(position)
    }

    /// The group of a key.
    pub fn group_of(&mut self, id: &str) -> Option<&mut Group> {
        let group = self.slots.get(self.position(id)?)?.group;
        self.groups.get_mut(group)
    }

    /// The group of that name.
    pub fn group_named(&mut self, name: &str) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.name == name)
    }

    /// Starts a new ask: these keys are not for it.
    pub fn exclude(&mut self, ids: &[String]) {
        self.mark += 1;
        for id in ids {
            self.exclude_one(id);
        }
    }

    /// One more key that is not for the ask at hand.
    pub fn exclude_one(&mut self, id: &str) {
        let mark = self.mark;
        if let Some(slot) = self.slot(id) {
            slot.mark = mark;
        }
    }

    /// Whether the slot is excluded from the ask at hand.
    #[must_use]
    pub fn is_excluded(&self, slot: &KeySlot) -> bool {
        slot.mark == self.mark
    }

    /// When that slot can serve that model. `soft` also respects rests for the upstream's sake.
    #[must_use]
    pub fn ready(groups: &[Group], slot: &KeySlot, mark: u64, model: &str, now: u64, soft: bool) -> Ready {
        if !slot.row.enabled || slot.row.weight == 0 || slot.mark == mark {
            return Ready::Never;
        }
        if slot.state.invalid.as_ref().is_some_and(|ban| ban.until > now) {
            return Ready::Never;
        }
        let Some(group) = groups.get(slot.group) else { return Ready::Never };
        if group.state.suspended_until() > now {
            return Ready::Never;
        }
        let rest = if soft { slot.state.rest_until } else { 0 };
        let from = rest.max(slot.next_at).max(group.state.cool_until(model));
        Ready::From(if from > now { from } else { 0 })
    }

    /// The mark of the ask at hand.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.mark
    }
}
