//! What an attempt's end says of its key, group, model and upstream: the fault table's effects.

use super::books::Dim;
use super::faults::{
    COOLING_MAX_MS, COOLING_MIN_MS, COOLING_UNSTATED_MAX_MS, COOLING_UNSTATED_MS, INVALID_AT_FIRST_MS,
    INVALID_FOR_MS, QUEUE_PAUSE_MS, REST_MAX_MS, REST_MS, SUSPENDED_FOR_MS, backoff,
};
use super::keys::Ban;
use super::protocol::{Attempt, AttemptEnd, Fault, GrantId};
use super::state::{Open, Pool, new_quota};

const MINUTE_MS: u64 = 60_000;
/// Headers this close to the answer's end may have been written after its settlement.
const AT_THE_END_MS: u64 = 150;

impl Pool {
    /// Applies an attempt that was sent and ended at that moment. `open` is its grant, unless that is not known
    /// (any more, or an isolate gave it to itself).
    pub(super) fn judge(
        &mut self,
        (now, ended_at): (u64, u64),
        id: GrantId,
        attempt: &Attempt,
        open: Option<&Open>,
    ) {
        let sent_at = ended_at.saturating_sub(attempt.duration_ms);
        self.foresight.sent += 1;
        // What was refused took nothing: its own reservation is back before the refusal is judged.
        self.settle_quota(ended_at, attempt, open);
        if attempt.end == AttemptEnd::Failed(Fault::Quota) {
            self.cool(ended_at, attempt, open);
        }
        let answered = matches!(attempt.end, AttemptEnd::Ok | AttemptEnd::Cut);
        if !attempt.limits.is_empty() || attempt.headers_ms.is_some() && answered {
            let at = attempt.headers_ms.map_or(ended_at, |ms| (sent_at + ms).min(ended_at));
            let at_the_end = ended_at - at < AT_THE_END_MS;
            self.read((now, at), &attempt.key, &attempt.model, &attempt.limits, 0, at_the_end);
        }
        if let Some(of) = self.roster.group_at(&attempt.key).and_then(|group| self.roster.groups.get(group)) {
            let at = attempt.headers_ms.map_or(ended_at, |ms| (sent_at + ms).min(ended_at));
            match attempt.end {
                AttemptEnd::Failed(fault) => {
                    self.kinship.failed(&of.name, &attempt.model, id, fault == Fault::Quota);
                }
                _ => self.kinship.seen(at, &of.name, &attempt.model, id, &attempt.limits),
            }
        }
        match attempt.end {
            AttemptEnd::Unused => {}
            AttemptEnd::Ok | AttemptEnd::Cut => self.forgive(sent_at, ended_at, attempt, open),
            AttemptEnd::Failed(fault) => self.punish(ended_at, fault, id, attempt),
        }
    }

    /// The reservation gives way to what was used.
    fn settle_quota(&mut self, at: u64, attempt: &Attempt, open: Option<&Open>) {
        let Some(group) = self.roster.group_at(&attempt.key) else { return };
        let usage = &attempt.usage;
        let total = usage.prompt_tokens + usage.completion_tokens;
        let uncached = total.saturating_sub(usage.cached_tokens);
        let (total, uncached, counts) = match attempt.end {
            AttemptEnd::Failed(Fault::Quota) => (0, 0, false),
            // The upstream may be at work on it still.
            AttemptEnd::Failed(Fault::Timeout | Fault::Lost) => {
                (total.max(attempt.prompt_estimate), uncached.max(attempt.prompt_estimate), true)
            }
            _ => (total, uncached, true),
        };
        if matches!(attempt.end, AttemptEnd::Ok | AttemptEnd::Cut) {
            self.know_quota(group, &attempt.model, at);
        }
        let Some(model) = self.models.get_mut(&attempt.model) else { return };
        model.with_known(group, |quota| match open {
            Some(open) => quota.settle(at, open.reserved, total, uncached, counts),
            None if counts => quota.charge(at, total, uncached),
            None => {}
        });
        self.touch_quota(group);
    }

    /// A success ends what was held against key, group and model, unless that is newer than the attempt.
    fn forgive(&mut self, sent_at: u64, ended_at: u64, attempt: &Attempt, open: Option<&Open>) {
        let Some(place) = self.roster.position(&attempt.key) else { return };
        let Some(slot) = self.roster.slots.get_mut(place) else { return };
        let group = slot.group;
        if let Some(hold) = self.roster.holds.get_mut(place)
            && !hold.proven
        {
            hold.proven = true;
            self.untested.0 += 1;
        }
        let Some(slot) = self.roster.slots.get_mut(place) else { return };
        let lifted = slot.state.invalid.as_ref().is_some_and(|ban| ban.since <= sent_at);
        if lifted {
            slot.state.invalid = None;
        }
        if lifted || slot.state.failures > 0 && slot.state.failed_at <= sent_at {
            slot.state.failures = 0;
            slot.state.rest_until = 0;
            self.touch_key(&attempt.key);
        }
        if let Some(of) = self.roster.groups.get_mut(group)
            && of.state.suspended.as_ref().is_some_and(|ban| ban.since <= sent_at)
        {
            of.state.suspended = None;
            self.touch_group(group);
        }
        if let Some(lane) = self.roster.lanes.get(place)
            && let Some(breaker) = self.breakers.get_mut(&lane.provider)
        {
            breaker.succeeded(ended_at);
        }
        let name = self.roster.groups.get(group).map(|group| group.name.clone());
        let Some(model) = self.model(&attempt.model, ended_at) else { return };
        model.with_known(group, |quota| {
            // What was sent before the bucket ran empty says nothing of it.
            if quota.cool_until <= sent_at {
                quota.cool_until = 0;
                quota.succeeded();
            }
            quota.missing_until = 0;
        });
        let mut changed = false;
        let doubted = !model.state.missing.is_empty() || model.state.gone_until > 0;
        // What is answered was there when it was asked for; a retirement may have come since.
        if model.state.answered_at + MINUTE_MS <= sent_at || doubted && model.state.answered_at < sent_at {
            model.state.answered_at = sent_at;
            changed = true;
        }
        if doubted && model.state.since <= sent_at {
            // It is there. Who was told otherwise lacks access to it; not this one.
            model.state.gone_until = 0;
            if let Some(name) = &name {
                model.state.missing.retain(|(group, _)| group != name);
            }
            changed = true;
        }
        if model.since <= sent_at {
            model.pause_until = 0;
        }
        let usage = &attempt.usage;
        if attempt.end == AttemptEnd::Ok && !usage.estimated {
            changed |= model.state.learn_prompt(attempt.prompt_estimate, usage.prompt_tokens);
            if open.is_some() {
                model.learn_answer(usage.completion_tokens, attempt.duration_ms);
            }
        }
        if changed {
            self.dirty.insert(format!("model:{}", attempt.model));
        }
    }

    /// The fault table's effects.
    fn punish(&mut self, now: u64, fault: Fault, id: GrantId, attempt: &Attempt) {
        let ban =
            |lasts: u64, reason: &str| Ban { since: now, until: now + lasts, reason: reason.to_owned() };
        let Some(place) = self.roster.position(&attempt.key) else { return };
        let Some(lane) = self.roster.lanes.get(place) else { return };
        let (group, provider) = (lane.group as usize, lane.provider);
        let upstream = matches!(fault, Fault::Upstream | Fault::Timeout | Fault::Lost);
        let breaker = self.breakers.entry(provider).or_default();
        let storm = if upstream {
            breaker.failed(now, now.saturating_sub(attempt.duration_ms), group, id)
        } else {
            breaker.unproven(id);
            false
        };
        match fault {
            Fault::Client | Fault::Path | Fault::Quota => {}
            Fault::Queue => {
                // Jitter from the attempt's own length spreads those who come back.
                let pause = QUEUE_PAUSE_MS + attempt.duration_ms % QUEUE_PAUSE_MS;
                if let Some(model) = self.model(&attempt.model, now) {
                    model.since = now;
                    model.pause_until = model.pause_until.max(now + pause);
                }
            }
            Fault::Key => {
                if let Some(hold) = self.roster.holds.get_mut(place)
                    && !std::mem::take(&mut hold.proven)
                {
                    self.untested.1 += 1;
                    if self.untested.1 > 1_000 {
                        self.untested = (self.untested.0 / 2, self.untested.1 / 2);
                    }
                }
                if let Some(slot) = self.roster.slots.get_mut(place) {
                    // Requests under way together are refused together: that is one refusal.
                    let sent_at = now.saturating_sub(attempt.duration_ms);
                    let before = slot.state.invalid.as_ref().is_some_and(|ban| ban.until <= sent_at);
                    let total = self.books.total(Dim::Key, &attempt.key);
                    let worked = total.requests > total.errors;
                    let lasts = if worked && !before { INVALID_AT_FIRST_MS } else { INVALID_FOR_MS };
                    // A ban that is longer than this one would be stays.
                    let held = slot.state.invalid.as_ref().map_or(0, |ban| ban.until);
                    if now + lasts > held {
                        slot.state.invalid = Some(ban(lasts, "refused by the upstream"));
                    }
                    self.touch_key(&attempt.key);
                }
            }
            Fault::Payment => {
                if let Some(of) = self.roster.groups.get_mut(group) {
                    of.state.suspended = Some(ban(SUSPENDED_FOR_MS, "payment required"));
                    self.touch_group(group);
                }
            }
            Fault::Model => self.model_missing(now, attempt, group),
            // When many groups fail at once no key is to blame.
            Fault::Upstream | Fault::Timeout | Fault::Lost if storm => {}
            Fault::Upstream | Fault::Timeout | Fault::Lost => {
                if let Some(slot) = self.roster.slots.get_mut(place) {
                    slot.state.failures = slot.state.failures.saturating_add(1);
                    slot.state.failed_at = now;
                    let rest = backoff(REST_MS, slot.state.failures, REST_MAX_MS);
                    slot.state.rest_until = slot.state.rest_until.max(now + rest);
                    self.touch_key(&attempt.key);
                }
            }
        }
    }

    /// Makes the quota if it is not there, with the operator's figures.
    pub(super) fn know_quota(&mut self, group: usize, name: &str, now: u64) {
        if self.models.get(name).is_some_and(|model| model.quota(group).is_some()) {
            return;
        }
        let Some(of) = self.roster.groups.get(group) else { return };
        let quota = new_quota(&self.snapshot, &of.name, name, now);
        if let Some(model) = self.model(name, now) {
            model.with_quota(group, |place| *place = quota);
        }
    }

    /// The group's bucket for that model is empty: it cools until the stated time, or the later one of two.
    fn cool(&mut self, now: u64, attempt: &Attempt, open: Option<&Open>) {
        let Some(group) = self.roster.group_at(&attempt.key) else { return };
        let reserved = open.map_or(attempt.prompt_estimate, |open| open.reserved);
        self.know_quota(group, &attempt.model, now);
        let Some(model) = self.model(&attempt.model, now) else { return };
        let named = attempt.quota;
        let unforeseen = model.with_quota(group, |quota| {
            let unforeseen = quota.refused(
                now,
                reserved,
                named.map(|named| named.tokens),
                named.and_then(|named| named.window),
            );
            let wait = match attempt.retry_after_ms {
                Some(stated) => stated.clamp(COOLING_MIN_MS, COOLING_MAX_MS),
                None => {
                    // Several requests in flight can bounce off the same empty bucket: that is one strike.
                    if now >= quota.cool_until {
                        quota.strikes = quota.strikes.saturating_add(1);
                    }
                    backoff(COOLING_UNSTATED_MS, quota.strikes, COOLING_UNSTATED_MAX_MS)
                }
            };
            quota.cool_until = quota.cool_until.max(now + wait);
            unforeseen
        });
        if unforeseen == Some(true) {
            self.foresight.unforeseen_429s += 1;
        } else {
            self.foresight.expected_429s += 1;
        }
        if let Some(of) = self.roster.groups.get(group) {
            let slots = of.keys.iter().filter_map(|at| self.roster.slots.get(*at));
            self.dirty_status.extend(slots.map(|slot| slot.row.id.clone()));
        }
        self.touch_quota(group);
    }

    /// One group says that a model does not exist: it is not asked for it again for a while. A second one (or
    /// the lack of one) confirms it, unless a third has it.
    fn model_missing(&mut self, now: u64, attempt: &Attempt, group: usize) {
        let Some(name) = self.roster.groups.get(group).map(|group| group.name.clone()) else { return };
        let Some(model) = self.model(&attempt.model, now) else { return };
        model.state.missing.retain(|(known, _)| *known != name);
        model.state.since = now;
        model.state.missing.push((name, now));
        self.dirty.insert(format!("model:{}", attempt.model));
        self.weigh(now, &attempt.model);
    }
}
