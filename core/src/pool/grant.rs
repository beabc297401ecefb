//! Giving grants: the one asked for, candidates should it fail, and leases.

use super::ask::Try;
use super::breaker::{Breaker, Gate};
use super::burden::{Burden, Taken};
use super::line::{Ahead, Place, Seeker};
use super::pick::{Fits, Need, Seen};
use super::protocol::{Given, Grant, GrantId, Want};
use super::state::{Open, Pool, new_quota};
use super::turns::Turns;
use crate::limits::grant::{GRANTS_PER_ASK, SENT_LAPSES_MS, TICKET_BEYOND_MS};
use serde::{Deserialize, Serialize};

/// Candidates in one answer once an attempt failed: each ask is a subrequest, of which the free plan has 50.
const CANDIDATES: u32 = 4;

/// What is wanted, as far as it is worked out.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub now: u64,
    pub want: &'a Want,
    /// The models to try, in order.
    pub tries: &'a [Try],
    /// How it stands in the line.
    pub seeker: &'a Seeker<'a>,
    /// Its place there.
    pub place: Place,
    /// Whether it has waited, or was told to come back: then it is held to no estimate.
    pub waited: bool,
    /// Tokens it is expected to use.
    pub expected: u64,
    /// Those that stand before it.
    pub ahead: Ahead,
    /// Whether it is the request's first grant.
    pub first: bool,
}

/// What a lease took, as it is written down before the lease is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// The grant.
    pub id: GrantId,
    /// Key id.
    #[serde(rename = "k")]
    pub key: String,
    /// Model.
    #[serde(rename = "m")]
    pub model: String,
    /// Tokens reserved.
    #[serde(rename = "t")]
    pub reserved: u64,
}

impl Leased {
    /// What of an answer has to be written down: leases of more than one grant.
    #[must_use]
    pub fn of(given: Option<&Given>) -> Vec<Self> {
        match given {
            Some(Given::Grants(grants)) if grants.len() > 1 => grants
                .iter()
                .map(|grant| Self {
                    id: grant.id,
                    key: grant.key.clone(),
                    model: grant.model.clone(),
                    reserved: grant.reserved,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Pool {
    pub(super) fn take(
        &mut self,
        one: &Try,
        soft: bool,
        now: u64,
        by: u64,
        seen: Option<&mut Seen>,
    ) -> Option<(usize, i64)> {
        let need = Need { soft, ..one.need };
        self.roster.take(self.models.get(&one.name), &need, now, by, |_| true, seen)
    }

    /// The same, of what those before leave over.
    pub(super) fn take_behind(
        &mut self,
        (number, one): (usize, &Try),
        burden: &Burden,
        now: u64,
        by: u64,
        seen: Option<&mut Seen>,
    ) -> Option<(usize, i64)> {
        let model = self.models.get(&one.name);
        let fits = |group: usize| {
            let taken = burden.on(number, group);
            let quota = model.and_then(|model| model.quota(group));
            taken == Taken::default()
                || quota.is_some_and(|quota| {
                    quota.when_behind(taken.requests, taken.tokens, one.need.tokens) <= by
                })
        };
        self.roster.take(model, &one.need, now, by, fits, seen)
    }

    /// Grants the key that was taken, or says how long it would still take.
    pub(super) fn grant(
        &mut self,
        wanted: &Wanted<'_>,
        one: &Try,
        (place, paid): (usize, i64),
        not_before: u64,
    ) -> Result<Grant, u64> {
        let Wanted { now, want, first, .. } = *wanted;
        let (pace, key_pace) = (self.snapshot.settings.pace_ms, self.snapshot.settings.key_pace_ms);
        let ready = match self.roster.fits(place, self.models.get(&one.name), &one.need, now) {
            Fits::From(at) => at,
            Fits::No(..) => now,
        };
        let paced = if pace > 0 { self.next_slot_at } else { 0 };
        let at = now.max(not_before).max(ready).max(paced);
        let delay = at - now;
        let (Some(lane), Some(slot)) = (self.roster.lanes.get_mut(place), self.roster.slots.get_mut(place))
        else {
            return Err(TICKET_BEYOND_MS + 1);
        };
        if delay > TICKET_BEYOND_MS || delay > want.deadline_ms {
            lane.credit += paid;
            return Err(delay);
        }
        slot.open += 1;
        let (group, provider) = (slot.group, lane.provider);
        if pace > 0 {
            self.next_slot_at = at + pace;
        }
        self.next_grant += 1;
        let id = (self.incarnation << 36) | self.next_grant;
        let mut grant = Grant {
            id,
            key: slot.row.id.clone(),
            sealed: slot.row.sealed.clone(),
            provider: slot.row.provider.clone(),
            base_url: slot.row.base_url.clone(),
            model: one.name.clone(),
            delay_ms: delay,
            reserved: one.need.tokens,
            learn: false,
        };
        if key_pace > 0 {
            self.roster.pace(place, at + key_pace);
        }
        if let Some(of) = self.roster.groups.get_mut(group) {
            of.open += 1;
            if let Some(model) = self.models.get_mut(&one.name) {
                let fresh = model.quota(group).is_none();
                let learn = model.with_quota(group, |quota| {
                    if fresh {
                        *quota = new_quota(&self.snapshot, &of.name, &one.name, now);
                    }
                    quota.reserve(now, at, one.need.tokens);
                    quota.wants_learning()
                });
                grant.learn = learn == Some(true);
            }
            self.kinship.sent(at, &of.name, &one.name, id);
        }
        if let Some(breaker) = self.breakers.get_mut(&provider)
            && breaker.gate(now) == Gate::Probe
        {
            breaker.probing(now, id);
        }
        if !self.line.is_empty() {
            self.line.note_share(now, &want.token);
        }
        let tenant = self.take_of_tenant(now, want, one.need.tokens, first);
        self.open.insert(
            id,
            Open {
                key: grant.key.clone(),
                model: grant.model.clone(),
                lapses_at: at + SENT_LAPSES_MS,
                reserved: one.need.tokens,
                paid,
                tenant,
            },
        );
        self.touch_quota(group);
        Ok(grant)
    }

    fn take_of_tenant(
        &mut self,
        now: u64,
        want: &Want,
        tokens: u64,
        first: bool,
    ) -> Option<(String, super::tenants::Taken)> {
        if want.token.is_empty() {
            if let Some(address) = want.address.as_deref().filter(|_| first) {
                self.tenants.address_take(now, address, self.snapshot.settings.address_requests_per_minute);
            }
            return None;
        }
        let place = *self.tokens.get(&want.token)?;
        let token = self.snapshot.tokens.get(place).filter(|token| token.limits.any())?;
        Some((want.token.clone(), self.tenants.take(now, token, tokens, first)))
    }

    /// A request that got its grant: its place is given up, and the answer may hold more.
    pub(super) fn with_more(&mut self, wanted: &Wanted<'_>, one: &Try, grant: Grant) -> Given {
        let Wanted { now, want, place, ahead, .. } = *wanted;
        self.line.serve(place, &want.token, wanted.seeker.tokens);
        let mut grants = vec![grant];
        if want.attempts_left < self.snapshot.settings.attempt_budget {
            // Candidates, should the first fail too: of other keys. They are the same client's request.
            let others = Want { token: String::new(), address: None, ..want.clone() };
            let others = Wanted { want: &others, first: false, ..*wanted };
            // When it looks as if the upstream failed for everybody, each next attempt is asked for: it may be a
            // probe.
            let most = if self.is_suspect(one) { 1 } else { CANDIDATES.min(want.attempts_left.max(1)) };
            while grants.len() < most as usize {
                if let Some(at) = grants.last().and_then(|grant| self.roster.position(&grant.key)) {
                    self.roster.exclude_at(at);
                }
                let any = Try { need: Need { proven: false, ..one.need }, ..one.clone() };
                let Some(taken) = self.take(&any, false, now, now, None) else { break };
                let Ok(grant) = self.grant(&others, one, taken, 0) else { break };
                grants.push(grant);
            }
        } else if want.count > 1 && ahead.waiting == 0 && self.may_lease(want) && !self.is_suspect(one) {
            let lease = Wanted { first: false, ..*wanted };
            if !self.snapshot.settings.limit_overrides.is_empty() {
                // What the operator has set is known before it is used.
                let model = self.models.get(&one.name);
                let unknown = |group: &usize| model.is_some_and(|model| model.quota(*group).is_none());
                let unknown: Vec<usize> = (0..self.roster.groups.len()).filter(unknown).collect();
                for group in unknown {
                    self.know_quota(group, &one.name, now);
                }
            }
            let need = Need { soft: true, proven: false, ..one.need };
            let mut turns = self.roster.turns(self.models.get(&one.name), &need, now, now, false);
            while grants.len() < (want.count as usize).min(GRANTS_PER_ASK) {
                let Some(taken) = self.take_leased(&mut turns, one, now) else { break };
                let Ok(grant) = self.grant(&lease, one, taken, 0) else { break };
                grants.push(grant);
            }
            self.roster.settle(turns);
        }
        Given::Grants(grants)
    }

    /// Whether the upstream may be failing for everybody: nothing is given ahead of its time then, since whoever holds
    /// it would send it whatever the breaker says by then.
    pub(super) fn is_suspect(&self, one: &Try) -> bool {
        self.breakers.get(&one.need.provider).is_some_and(Breaker::is_suspect)
    }

    /// Leases are for tokens without limits of their own, and not where each request has its pace.
    fn may_lease(&self, want: &Want) -> bool {
        let settings = &self.snapshot.settings;
        self.line.is_empty()
            && settings.pace_ms == 0
            && settings.key_pace_ms == 0
            && self.token(&want.token).is_some_and(|token| !token.limits.any())
    }

    /// One more for a lease, from a quota with plenty.
    fn take_leased(&mut self, turns: &mut Turns, one: &Try, now: u64) -> Option<(usize, i64)> {
        let (ask, askers) = (self.asks, self.askers.len() as u64);
        let tokens = one.need.tokens;
        let model = self.models.get(&one.name);
        let plenty = |group: usize| {
            let quota = model.and_then(|model| model.quota(group));
            quota.is_some_and(|quota| quota.may_lease(ask, now, tokens, askers))
        };
        let taken = self.roster.next(turns, model, plenty)?;
        let group = self.roster.lanes.get(taken.0)?.group as usize;
        self.models.get_mut(&one.name)?.with_known(group, |quota| quota.leased(ask, now, tokens));
        Some(taken)
    }

    /// After a restart: what leases took is under way still. `charged` when the checkpoint holds the reservations
    /// already.
    pub fn regive(&mut self, at: u64, leases: &[Leased], charged: bool) {
        for lease in leases {
            if self.settled.knows(lease.id) || self.open.contains_key(&lease.id) {
                continue;
            }
            let Some(place) = self.roster.position(&lease.key) else { continue };
            let Some(slot) = self.roster.slots.get_mut(place) else { continue };
            slot.open += 1;
            let group = slot.group;
            let Some(of) = self.roster.groups.get_mut(group) else { continue };
            of.open += 1;
            let name = of.name.clone();
            let quota = new_quota(&self.snapshot, &name, &lease.model, at);
            if let Some(model) = self.model(&lease.model, at) {
                if model.quota(group).is_none() {
                    model.with_quota(group, |place| *place = quota);
                }
                model.with_quota(group, |quota| {
                    if charged { quota.reopen(lease.reserved) } else { quota.reserve(at, at, lease.reserved) }
                });
            }
            self.open.insert(
                lease.id,
                Open {
                    key: lease.key.clone(),
                    model: lease.model.clone(),
                    lapses_at: at + SENT_LAPSES_MS,
                    reserved: lease.reserved,
                    paid: 0,
                    tenant: None,
                },
            );
        }
    }
}
