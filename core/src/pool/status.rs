//! What the pool shows of itself: the status of keys, its summary, the keys for when it is silent.

use super::books::Books;
use super::breaker::Breaker;
use super::decisions::Decisions;
use super::fallback::KnownKey;
use super::keys::KeySlot;
use super::kinship::Kinship;
use super::models::Model;
use super::quota::Quota;
use super::state::{Foresight, Pool};
use super::stories::Stories;
use serde::{Deserialize, Serialize};

/// How many keys are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All keys.
    pub keys: usize,
    /// Those that can serve some model now.
    pub active: usize,
    /// Waiting for quota.
    pub cooling: usize,
    /// Waiting for payment.
    pub suspended: usize,
    /// Refused by the upstream.
    pub invalid: usize,
    /// Switched off.
    pub disabled: usize,
}

/// A key's status as the admin API says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// `active`, `cooling`, `suspended`, `invalid` or `disabled`.
    pub status: String,
    /// Why, for all but `active` and `disabled`.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub until: Option<u64>,
}

/// An upstream that fails for everybody: nobody is sent there but one probe at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The provider.
    pub provider: String,
    /// Since when, unix milliseconds.
    pub since: u64,
    /// When the next probe may go, unix milliseconds; one goes with the next request after that.
    pub next_probe_at: u64,
}

/// What the twin holds of one model in a key's group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuotaView {
    /// The model.
    pub model: String,
    /// A 429 said not before; unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_until: Option<u64>,
    /// It said that it does not have the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_until: Option<u64>,
    /// Requests under way.
    pub open: u32,
    /// Tokens reserved for them.
    pub reserved: u64,
    /// The buckets; empty while nothing is known of them.
    pub buckets: Vec<BucketView>,
}

/// One bucket of the twin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketView {
    /// `requests`, `tokens`, `uncached_tokens` or `total_tokens`.
    pub what: &'static str,
    /// `minute`, `hour` or `day`.
    pub window: &'static str,
    /// Its size.
    pub limit: u64,
    /// What is left; below nothing after an overrun.
    pub remaining: i64,
    /// When it is full again, unix milliseconds.
    pub full_at: u64,
    /// `learned` from headers, `set` by the operator, or `inferred` from a 429.
    pub source: &'static str,
}

impl Pool {
    /// A key's status at that time; `None` for an unknown key.
    #[must_use]
    pub fn key_status(&self, key: &str, now: u64) -> Option<KeyStatus> {
        let slot = self.roster.slots.get(self.roster.position(key)?)?;
        Some(self.status_of(slot, now))
    }

    fn status_of(&self, slot: &KeySlot, now: u64) -> KeyStatus {
        let status = |status: &str, reason: Option<String>, until: Option<u64>| KeyStatus {
            status: status.to_owned(),
            reason,
            until,
        };
        if !slot.row.enabled {
            return status("disabled", None, None);
        }
        if let Some(ban) = slot.state.invalid.as_ref().filter(|ban| ban.until > now) {
            return status("invalid", Some(ban.reason.clone()), Some(ban.until));
        }
        let suspended = self.roster.groups.get(slot.group).and_then(|group| group.state.suspended.as_ref());
        if let Some(ban) = suspended.filter(|ban| ban.until > now) {
            return status("suspended", Some(ban.reason.clone()), Some(ban.until));
        }
        let cooling = self
            .models
            .iter()
            .filter_map(|(name, model)| Some((name, model.quota(slot.group)?.cool_until)))
            .filter(|(_, until)| *until > now)
            .max_by_key(|(_, until)| *until);
        if let Some((model, until)) = cooling {
            return status("cooling", Some(format!("quota of {model}")), Some(until));
        }
        if slot.state.rest_until > now {
            return status("cooling", Some("upstream faults".to_owned()), Some(slot.state.rest_until));
        }
        status("active", None, None)
    }

    /// The upstreams that fail for everybody.
    #[must_use]
    pub fn outages(&self) -> Vec<Outage> {
        let outage = |(number, breaker): (&u32, &Breaker)| {
            let (since, next_probe_at) = breaker.outage()?;
            let provider = self.roster.provider_name(*number)?.to_owned();
            Some(Outage { provider, since, next_probe_at })
        };
        self.breakers.iter().filter_map(outage).collect()
    }

    /// How many keys are in which state.
    #[must_use]
    pub fn summary(&self, now: u64) -> Summary {
        let mut summary = Summary { keys: self.roster.slots.len(), ..Summary::default() };
        for slot in &self.roster.slots {
            match self.status_of(slot, now).status.as_str() {
                "active" => summary.active += 1,
                "cooling" => summary.cooling += 1,
                "suspended" => summary.suspended += 1,
                "invalid" => summary.invalid += 1,
                _ => summary.disabled += 1,
            }
        }
        summary
    }

    /// Up to `most` usable keys for the KV document, sealed.
    #[must_use]
    pub fn known_keys(&self, now: u64, most: usize) -> Vec<KnownKey> {
        self.roster
            .slots
            .iter()
            .zip(&self.roster.holds)
            .filter(|(_, hold)| hold.barred_until <= now)
            .take(most)
            .map(|(slot, _)| KnownKey {
                id: slot.row.id.clone(),
                sealed: slot.row.sealed.clone(),
                provider: slot.row.provider.clone(),
                base_url: slot.row.base_url.clone(),
            })
            .collect()
    }

    /// What the twin holds of a key's group, by model; `None` for an unknown key.
    #[must_use]
    pub fn quotas_of(&self, key: &str, now: u64) -> Option<Vec<QuotaView>> {
        let group = self.roster.group_at(key)?;
        let of = |(name, model): (&String, &Model)| Some(view(name, model.quota(group)?, now));
        let mut views: Vec<QuotaView> = self.models.iter().filter_map(of).collect();
        views.sort_by(|one, other| one.model.cmp(&other.model));
        Some(views)
    }

    /// The books.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The last decisions.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The last requests.
    #[must_use]
    pub fn stories(&self) -> &Stories {
        &self.stories
    }

    /// How well the twin foresees the upstream.
    #[must_use]
    pub fn foresight(&self) -> Foresight {
        self.foresight
    }

    /// What was noticed of keys that share a quota.
    pub fn kinship(&mut self) -> &mut Kinship {
        &mut self.kinship
    }

    /// The same, to look at.
    #[must_use]
    pub fn kin(&self) -> &Kinship {
        &self.kinship
    }

    /// Requests that wait with a ticket.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Grants given and not settled.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.open.len()
    }
}

fn view(model: &str, quota: &Quota, now: u64) -> QuotaView {
    use crate::wire::headers::Counted;
    let buckets = quota.meters.iter().map(|meter| BucketView {
        what: match meter.what {
            Counted::Requests => "requests",
            Counted::Tokens => "tokens",
            Counted::UncachedTokens => "uncached_tokens",
            Counted::TotalTokens => "total_tokens",
        },
        window: meter.window.name(),
        limit: meter.bucket.limit(),
        remaining: meter.bucket.level(now),
        full_at: meter.bucket.full_at(),
        source: match (meter.fixed, meter.inferred) {
            (true, _) => "set",
            (_, true) => "inferred",
            _ => "learned",
        },
    });
    QuotaView {
        model: model.to_owned(),
        cooling_until: Some(quota.cool_until).filter(|until| *until > now),
        missing_until: Some(quota.missing_until).filter(|until| *until > now),
        open: quota.open,
        reserved: quota.open_tokens,
        buckets: buckets.collect(),
    }
}
