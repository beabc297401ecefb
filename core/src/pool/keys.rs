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
    /// When it ends. From then on one request at a time probes it, until one succeeds.
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

/// A quota group's standing: suspension of quota is the group's, as its limits are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupState {
    /// Payment is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Ban>,
}

impl GroupState {
    /// When the suspension ends; 0 without one.
    #[must_use]
    pub fn suspended_until(&self) -> u64 {
        self.suspended.as_ref().map_or(0, |ban| ban.until)
    }
}

/// A key and what is known of it.
#[derive(Debug)]
pub struct KeySlot {
    /// What D1 says.
    pub row: KeyRow,
    /// Its group's place.
    pub group: usize,
    /// Its standing.
    pub state: KeyState,
    /// Grants given and not settled.
    pub open: u32,
}

/// What a scan over all keys looks at, apart from the rest so that 20,000 of them fit a processor's cache.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// Rotation credit.
    pub credit: i64,
    /// The latest time in its [`Hold`]: from then on none of it counts.
    pub clear_at: u64,
    /// Share of the rotation: the key's weight, divided among the usable keys of its group.
    pub share: u32,
    /// Its group's place.
    pub group: u32,
    /// Equal to the roster's mark: not for the ask at hand.
    pub mark: u32,
    /// Number of its provider.
    pub provider: u32,
}

/// What a key is held for. Scans only look at it while some of it counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold {
    /// Not to be used before: disabled (for ever), invalid, suspended.
    pub barred_until: u64,
    /// Rests for the upstream's sake.
    pub rest_until: u64,
    /// When `key_pace_ms` lets it send again.
    pub next_at: u64,
    /// Its last word on its credentials was an answer.
    pub proven: bool,
}

impl Hold {
    fn clear_at(&self) -> u64 {
        self.barred_until.max(self.rest_until).max(self.next_at)
    }
}

impl Turn for Lane {
    fn weight(&self) -> i64 {
        i64::from(self.share)
    }
    fn credit(&mut self) -> &mut i64 {
        &mut self.credit
    }
}

/// A quota group.
#[derive(Debug)]
pub struct Group {
    /// Its name: the operator's behind `group:`, or `key:<id>`.
    pub name: String,
    /// Its standing.
    pub state: GroupState,
    /// Places of its keys.
    pub keys: Vec<usize>,
    /// Grants given and not settled.
    pub open: u32,
}

/// All keys and groups. `slots`, `lanes` and `holds` go together.
#[derive(Debug, Default)]
pub struct Roster {
    /// Keys, in order of creation.
    pub slots: Vec<KeySlot>,
    /// The same, for scans.
    pub lanes: Vec<Lane>,
    /// The same: what they are held for. Times are changed by [`Roster::refresh_group`] and [`Roster::pace`].
    pub holds: Vec<Hold>,
    /// Groups.
    pub groups: Vec<Group>,
    by_id: HashMap<String, usize>,
    group_names: HashMap<String, usize>,
    providers: Vec<String>,
    mark: u32,
}

/// A share of one is divided among up to eight keys, and most numbers beyond, without a remainder.
const SHARES: u32 = 840;

/// The group name of a key without a named group.
#[must_use]
pub fn own_group(key: &str) -> String {
    format!("key:{key}")
}

impl Roster {
    /// Takes the configured keys, keeping what is known of those that stay. Returns where each former group went.
    pub fn configure(&mut self, rows: Vec<KeyRow>) -> Vec<Option<usize>> {
        let known = self.slots.drain(..).zip(self.lanes.drain(..)).zip(self.holds.drain(..));
        let mut states: HashMap<String, (KeySlot, Lane, Hold)> =
            known.map(|((slot, lane), hold)| (slot.row.id.clone(), (slot, lane, hold))).collect();
        let former: Vec<Group> = self.groups.drain(..).collect();
        let places: HashMap<String, usize> =
            former.iter().enumerate().map(|(at, g)| (g.name.clone(), at)).collect();
        let mut former: Vec<Option<Group>> = former.into_iter().map(Some).collect();
        let mut moved = vec![None; former.len()];
        self.by_id.clear();
        self.group_names.clear();
        for row in rows {
            let name = match &row.group {
                Some(name) => format!("group:{name}"),
                None => own_group(&row.id),
            };
            let group = *self.group_names.entry(name).or_insert_with_key(|name| {
                let at = self.groups.len();
                let known = places.get(name).and_then(|place| {
                    if let Some(moved) = moved.get_mut(*place) {
                        *moved = Some(at);
                    }
                    former.get_mut(*place)?.take()
                });
                self.groups.push(match known {
                    Some(group) => Group { keys: Vec::new(), ..group },
                    None => {
                        Group { name: name.clone(), state: GroupState::default(), keys: Vec::new(), open: 0 }
                    }
                });
                at
            });
            let at = self.slots.len();
            if let Some(group) = self.groups.get_mut(group) {
                group.keys.push(at);
            }
            let provider = self.provider_number(&row.provider);
            let (state, open, credit, hold) = match states.remove(&row.id) {
                Some((slot, lane, hold)) => (slot.state, slot.open, lane.credit, hold),
                None => (KeyState::default(), 0, 0, Hold::default()),
            };
            self.by_id.insert(row.id.clone(), at);
            self.lanes.push(Lane {
                credit,
                clear_at: 0,
                share: 0,
                group: u32::try_from(group).unwrap_or(u32::MAX),
                mark: 0,
                provider,
            });
            self.holds.push(hold);
            self.slots.push(KeySlot { row, group, state, open });
        }
        self.mark = 0;
        for group in 0..self.groups.len() {
            self.refresh_group(group);
        }
        moved
    }

    fn provider_number(&mut self, name: &str) -> u32 {
        let at = self.providers.iter().position(|known| known == name).unwrap_or_else(|| {
            self.providers.push(name.to_owned());
            self.providers.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// The provider with that number.
    #[must_use]
    pub fn provider_name(&self, number: u32) -> Option<&str> {
        self.providers.get(number as usize).map(String::as_str)
    }

    /// The number of a provider; `u32::MAX` for one that no key has.
    #[must_use]
    pub fn provider(&self, name: &str) -> u32 {
        self.providers
            .iter()
            .position(|known| known == name)
            .and_then(|at| u32::try_from(at).ok())
            .unwrap_or(u32::MAX)
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

    /// The place of a key's group.
    #[must_use]
    pub fn group_at(&self, key: &str) -> Option<usize> {
        Some(self.slots.get(self.position(key)?)?.group)
    }

    /// The group of that name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.group_names.get(name).copied()
    }

    /// Brings the lanes of a group up to date with what its keys and itself are held for.
    pub fn refresh_group(&mut self, group: usize) {
        let Some(of) = self.groups.get(group) else { return };
        let suspended = of.state.suspended_until();
        let usable = |slot: &KeySlot| slot.row.enabled && slot.row.weight > 0;
        let sharing = of
            .keys
            .iter()
            .filter_map(|at| self.slots.get(*at))
            .filter(|slot| usable(slot) && slot.state.invalid.is_none())
            .count()
            .max(1);
        let sharing = u32::try_from(sharing).unwrap_or(u32::MAX);
        for at in &of.keys {
            let (Some(slot), Some(lane), Some(hold)) =
                (self.slots.get(*at), self.lanes.get_mut(*at), self.holds.get_mut(*at))
            else {
                continue;
            };
            let invalid = slot.state.invalid.as_ref().map_or(0, |ban| ban.until);
            hold.barred_until = if usable(slot) { invalid.max(suspended) } else { u64::MAX };
            hold.rest_until = slot.state.rest_until;
            lane.clear_at = hold.clear_at();
            lane.share = (slot.row.weight * SHARES / sharing).max(1);
        }
    }

    /// Brings a key's lane up to date.
    pub fn refresh_key(&mut self, key: &str) {
        if let Some(group) = self.group_at(key) {
            self.refresh_group(group);
        }
    }

    /// The key is not to send before that time.
    pub fn pace(&mut self, at: usize, next_at: u64) {
        if let (Some(lane), Some(hold)) = (self.lanes.get_mut(at), self.holds.get_mut(at)) {
            hold.next_at = next_at;
            lane.clear_at = hold.clear_at();
        }
    }

    /// Whether the key may be used for the ask at hand, as far as it is not a matter of quota, pace or rest.
    #[must_use]
    pub fn usable(&self, at: usize, provider: u32, now: u64) -> bool {
        self.lanes.get(at).is_some_and(|lane| lane.provider == provider && lane.mark != self.mark)
            && self.holds.get(at).is_some_and(|hold| hold.barred_until <= now)
    }

    /// Starts a new ask: these keys are not for it.
    pub fn exclude(&mut self, ids: &[String]) {
        self.mark = self.mark.wrapping_add(1).max(1);
        for id in ids {
            if let Some(at) = self.position(id) {
                self.exclude_at(at);
            }
        }
    }

    /// One more key that is not for the ask at hand.
    pub fn exclude_at(&mut self, at: usize) {
        let mark = self.mark;
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.mark = mark;
        }
    }

    /// Makes a key one for the ask at hand again.
    pub fn include_at(&mut self, at: usize) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.mark = 0;
        }
    }

    /// The mark of the ask at hand.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.mark
    }
}
