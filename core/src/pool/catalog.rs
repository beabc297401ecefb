//! Whether a model still exists: what quota groups were told of it, held against the provider's public list.
//!
//! A group that is told "no such model" may only lack access, and the list may be behind by hours or leave out
//! what is served to some accounts alone. So neither is believed by itself: the list confirms a report, a second
//! group does too, and a list that has the model takes the reports back that are older than itself.

use super::faults::MODEL_GONE_FOR_MS;
use super::state::Pool;
use crate::limits::settings::{CATALOG_DOUBTED_MS, CATALOG_KEPT_MS};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A copy of the provider's public list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    fetched_at: u64,
    ids: HashSet<String>,
}

/// What a copy says of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Nothing: there is no copy, or it is too old.
    Unknown,
    /// The list has it.
    Listed {
        /// When the copy was fetched, unix milliseconds.
        fetched_at: u64,
    },
    /// The list does not have it.
    Unlisted {
        /// When the copy was fetched, unix milliseconds.
        fetched_at: u64,
        /// When the copy is too old to count, unix milliseconds.
        until: u64,
    },
}

/// All that is known of whether a model exists.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What the list says.
    pub listing: Listing,
    /// Groups that were told it does not exist, each once, and when they asked last (unix milliseconds).
    pub reports: &'a [(String, u64)],
    /// Groups that could serve it.
    pub groups: usize,
    /// When it was last served by anyone (unix milliseconds); 0 when that is not known.
    pub served_at: u64,
}

/// What follows for the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Here,
    /// It serves those groups that were not told otherwise.
    Doubtful,
    /// It is out of the pool.
    Gone {
        /// When it is tried again, unix milliseconds.
        until: u64,
    },
}

impl Catalog {
    /// A copy of these ids, asked for at that time (unix milliseconds).
    pub fn new(fetched_at: u64, ids: impl IntoIterator<Item = String>) -> Self {
        Self { fetched_at, ids: ids.into_iter().collect() }
    }

    /// When it was asked for; 0 when there is no copy.
    #[must_use]
    pub fn fetched_at(&self) -> u64 {
        self.fetched_at
    }

    /// Whether it counts at that time: there is one, not older than 6 h.
    #[must_use]
    pub fn is_fresh(&self, now: u64) -> bool {
        is_fresh(self.fetched_at, now)
    }

    /// What it says of a model.
    #[must_use]
    pub fn listing(&self, model: &str, now: u64) -> Listing {
        let fetched_at = self.fetched_at;
        if !self.is_fresh(now) {
            Listing::Unknown
        } else if self.ids.contains(model) {
            Listing::Listed { fetched_at }
        } else {
            Listing::Unlisted { fetched_at, until: fetched_at.saturating_add(CATALOG_KEPT_MS) }
        }
    }
}

/// Whether a copy fetched at that time still counts. One from far in the future comes from a clock that was
/// wrong, and does not.
#[must_use]
pub fn is_fresh(fetched_at: u64, now: u64) -> bool {
    fetched_at > 0 && now.abs_diff(fetched_at) < CATALOG_KEPT_MS
}

/// Whether the list should be fetched: the copy is too old, or a group was told since that a model is gone and
/// the copy is not of the last minutes.
#[must_use]
pub fn is_due(fetched_at: u64, newest_doubt: Option<u64>, now: u64) -> bool {
    let doubted = newest_doubt.is_some_and(|at| at >= fetched_at);
    !is_fresh(fetched_at, now) || doubted && now.abs_diff(fetched_at) >= CATALOG_DOUBTED_MS
}

/// Whether a report still counts: it is not too old, and no later copy of the list has the model.
#[must_use]
pub fn counts(listing: Listing, reported_at: u64, now: u64) -> bool {
    let refuted = matches!(listing, Listing::Listed { fetched_at } if fetched_at > reported_at);
    !refuted && ends(reported_at) > now
}

/// Until when a group cannot be asked for the model, by its own report (unix milliseconds).
#[must_use]
pub fn closed_until(evidence: &Evidence<'_>, group: &str, now: u64) -> Option<u64> {
    let report = evidence.reports.iter().find(|(name, _)| name == group);
    report.filter(|(_, at)| counts(evidence.listing, *at, now)).map(|(_, at)| ends(*at))
}

/// Decides.
#[must_use]
pub fn standing(evidence: &Evidence<'_>, now: u64) -> Standing {
    let Evidence { listing, reports, groups, served_at } = *evidence;
    let live = || reports.iter().map(|(_, at)| *at).filter(|at| counts(listing, *at, now));
    match listing {
        // Dedicated models are not in the public list. One that was served since, or that nobody missed, is such.
        Listing::Unlisted { fetched_at, until } if !reports.is_empty() && served_at < fetched_at => {
            Standing::Gone { until: live().map(ends).fold(until, u64::max) }
        }
        // The list has it: who was told otherwise lacks access, and says nothing of the others.
        Listing::Listed { .. } => match (live().count(), live().map(ends).min()) {
            (count, Some(until)) if count >= groups => Standing::Gone { until },
            (_, Some(_)) => Standing::Doubtful,
            (_, None) => Standing::Here,
        },
        Listing::Unknown | Listing::Unlisted { .. } => match live().max() {
            Some(newest) => {
                // Whoever was told so before somebody was served lacks access, and says nothing of the others.
                let agreeing =
                    reports.iter().filter(|(_, at)| ends(*at) > newest && *at >= served_at).count();
                let confirmed = agreeing >= 2.min(groups);
                if confirmed { Standing::Gone { until: ends(newest) } } else { Standing::Doubtful }
            }
            None if listing == Listing::Unknown => Standing::Here,
            None => Standing::Doubtful,
        },
    }
}

/// When a report is over.
fn ends(reported_at: u64) -> u64 {
    reported_at.saturating_add(MODEL_GONE_FOR_MS)
}

/// A model as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStanding {
    /// The upstream's model id.
    pub model: String,
    /// `active`, `doubtful` or `retired`.
    pub state: String,
    /// Why, for all but `active`.
    pub reason: Option<String>,
    /// When it is tried again, unix milliseconds.
    pub until: Option<u64>,
    /// Groups that were told it does not exist.
    pub missing_groups: Vec<String>,
}

impl ModelStanding {
    /// A model that nobody misses, but that the list does not have, is doubtful: it serves until a request fails.
    pub fn told_by(&mut self, catalog: &Catalog, now: u64) {
        if self.state == "active" && matches!(catalog.listing(&self.model, now), Listing::Unlisted { .. }) {
            "doubtful".clone_into(&mut self.state);
            self.reason = Some("the provider's list does not have it; it serves until that fails".to_owned());
        }
    }
}

impl Pool {
    /// How the models stand: those of the pools, and others that somebody misses.
    #[must_use]
    pub fn model_standing(&self, now: u64) -> Vec<ModelStanding> {
        let mut seen: HashSet<&str> = HashSet::new();
        let members = self.snapshot().pools.iter().flat_map(|pool| &pool.members);
        let mut names: Vec<&str> =
            members.map(|member| member.model.as_str()).filter(|model| seen.insert(model)).collect();
        let mut missed: Vec<&str> = self
            .models
            .iter()
            .filter(|(name, model)| {
                let state = &model.state;
                !seen.contains(name.as_str()) && (state.gone_until > now || !state.missing.is_empty())
            })
            .map(|(name, _)| name.as_str())
            .collect();
        missed.sort_unstable();
        names.append(&mut missed);
        names.into_iter().map(|model| self.standing_of(model, now)).collect()
    }

    fn standing_of(&self, model: &str, now: u64) -> ModelStanding {
        let state = self.models.get(model).map(|model| model.state.clone()).unwrap_or_default();
        let live = |at: u64| counts(Listing::Unknown, at, now);
        let gone = state.gone_until > now;
        let missing: Vec<(String, u64)> =
            state.missing.into_iter().filter(|(_, at)| gone || live(*at)).collect();
        let mut told = match missing.len() {
            1 => "1 quota group was told that it does not exist".to_owned(),
            several => format!("{several} quota groups were told that it does not exist"),
        };
        if gone && missing.len() < 2.min(self.roster.groups.len()) {
            told.push_str(", and the provider's list does not have it");
        }
        let until = missing.iter().map(|(_, at)| ends(*at)).max();
        let (word, reason, until) = match (gone, missing.is_empty()) {
            (true, _) => ("retired", Some(told), Some(state.gone_until)),
            (false, false) => ("doubtful", Some(told), until),
            (false, true) => ("active", None, None),
        };
        ModelStanding {
            model: model.to_owned(),
            state: word.to_owned(),
            reason,
            until,
            missing_groups: missing.into_iter().map(|(group, _)| group).collect(),
        }
    }

    /// When a group was last told that a model of the pools or the list is gone (unix milliseconds). Other names
    /// come from clients and have no end: they are no reason to ask for the list.
    #[must_use]
    pub fn newest_doubt(&self, now: u64) -> Option<u64> {
        let snapshot = self.snapshot();
        let known: HashSet<&str> = snapshot
            .pools
            .iter()
            .flat_map(|pool| pool.members.iter().map(|member| member.model.as_str()))
            .chain(snapshot.catalog.iter().map(String::as_str))
            .collect();
        let missed = self.models.iter().filter(|(model, _)| known.contains(model.as_str()));
        let reports = missed.flat_map(|(_, model)| model.state.missing.iter().map(|(_, at)| *at));
        reports.filter(|at| counts(Listing::Unknown, *at, now)).max()
    }

    /// Takes a copy of the list: reports that it refutes are dropped, a report that it bears out takes the model
    /// out of the pool. Repeating it with the same copy changes nothing more.
    pub fn take_catalog(&mut self, now: u64, catalog: &Catalog) {
        if !catalog.is_fresh(now) {
            return;
        }
        self.catalog = catalog.clone();
        let names: Vec<String> = self.models.iter().map(|(name, _)| name.clone()).collect();
        for model in names {
            self.weigh(now, &model);
        }
    }

    /// Works out whether a model is there, by all that is known. Each group that was told otherwise and whose word
    /// counts is not asked for it meanwhile.
    pub(super) fn weigh(&mut self, now: u64, name: &str) {
        let serving: HashSet<usize> =
            self.roster.slots.iter().filter(|slot| slot.row.enabled).map(|slot| slot.group).collect();
        let listing = self.catalog.listing(name, now);
        let Some(model) = self.models.get_mut(name) else { return };
        let before = model.state.clone();
        let mut lifted: Vec<String> = Vec::new();
        model.state.missing.retain(|(group, at)| {
            let stays = match listing {
                Listing::Listed { fetched_at } => *at >= fetched_at,
                _ => counts(listing, *at, now) || matches!(listing, Listing::Unlisted { .. }),
            };
            if !stays {
                lifted.push(group.clone());
            }
            stays
        });
        let evidence = Evidence {
            listing,
            reports: &model.state.missing,
            groups: serving.len(),
            served_at: model.state.answered_at,
        };
        model.state.gone_until = match standing(&evidence, now) {
            Standing::Gone { until } => until,
            Standing::Here | Standing::Doubtful => 0,
        };
        if model.state.missing.is_empty() && model.state.gone_until == 0 {
            model.state.since = 0;
        }
        let closed: Vec<(String, u64)> = model
            .state
            .missing
            .iter()
            .filter_map(|(group, _)| Some((group.clone(), closed_until(&evidence, group, now)?)))
            .chain(lifted.into_iter().map(|group| (group, 0)))
            .collect();
        let changed = model.state != before;
        for (group, until) in closed {
            let Some(at) = self.roster.group_named(&group) else { continue };
            if let Some(model) = self.models.get_mut(name) {
                model.with_quota(at, |quota| quota.missing_until = until);
            }
            self.touch_quota(at);
        }
        if changed {
            self.dirty.insert(format!("model:{name}"));
        }
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
