//! What those who stand before a request in the line will take, worked out group by group: each of them in turn is
//! put where it can be served soonest. What is left may be taken by who comes behind, who then delays nobody: a
//! large request at the head keeps the one group that fills for it, and small ones go on with the others.

use super::ask::Try;
use super::line::{self, Mask, Place};
use super::models::Model;
use super::state::Pool;

/// So many of those before are worked out one by one; beyond, the line as a whole is.
pub(super) const WORKED_OUT: usize = 12;
/// Groups looked at; of more a part stands for the whole.
const GROUPS: usize = 2_000;

/// Taken from the quota of one group and model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub requests: u64,
    pub tokens: u64,
}

/// What is taken before, by model (place in the tries) and group. Few: as many as those before.
#[derive(Clone, Debug, Default)]
pub(super) struct Burden(Vec<(usize, usize, Taken)>);

impl Burden {
    pub fn on(&self, model: usize, group: usize) -> Taken {
        let of = |entry: &&(usize, usize, Taken)| entry.0 == model && entry.1 == group;
        self.0.iter().find(of).map(|entry| entry.2).unwrap_or_default()
    }

    fn add(&mut self, model: usize, group: usize, tokens: u64) {
        let at = self.0.iter().position(|entry| entry.0 == model && entry.1 == group).unwrap_or_else(|| {
            self.0.push((model, group, Taken::default()));
            self.0.len() - 1
        });
        if let Some((_, _, taken)) = self.0.get_mut(at) {
            taken.requests += 1;
            taken.tokens += tokens;
        }
    }
}

impl Pool {
    /// What those before that place will take.
    pub(super) fn burden(&self, span: (u64, u64), tries: &[Try], mask: Mask, place: Place) -> Burden {
        let mut burden = Burden::default();
        let now = span.0;
        let groups = self.usable_groups(now, tries);
        let known: Vec<_> = tries.iter().map(|one| (one, self.models.get(&one.name))).collect();
        let others: Vec<&Model> = self.models.iter().map(|(_, model)| model).collect();
        for (models, reserved) in self.line.first(span, place, mask, WORKED_OUT) {
            if models & !mask != 0
                && self.goes_elsewhere(
                    &mut burden,
                    (tries.len(), &others),
                    &groups,
                    (models & !mask, reserved),
                    now,
                )
            {
                continue;
            }
            let mut soonest: Option<(u64, usize, usize)> = None;
            for (model, (one, of)) in
                known.iter().enumerate().filter(|(_, (one, _))| models & line::mask([one.number]) != 0)
            {
                for group in &groups {
                    // What can't be sooner than the soonest so far need not be looked at.
                    let bound = of.map_or(0, |model| model.ready_at(*group)).max(now);
                    if soonest.is_some_and(|(best, _, _)| bound >= best) {
                        continue;
                    }
                    let insist = one.need.insist;
                    let taken = burden.on(model, *group);
                    let at = when_behind(insist, *of, *group, taken, reserved, now).max(now);
                    if soonest.is_none_or(|(best, _, _)| at < best) {
                        soonest = Some((at, model, *group));
                    }
                }
            }
            if let Some((_, model, group)) = soonest {
                burden.add(model, group, reserved);
            }
        }
        burden
    }

    /// Whoever may use other models too goes to one of them when it has room at once: then it takes nothing here.
    fn goes_elsewhere(
        &self,
        burden: &mut Burden,
        (after, others): (usize, &[&Model]),
        groups: &[usize],
        (models, reserved): (Mask, u64),
        now: u64,
    ) -> bool {
        for (number, model) in others.iter().enumerate() {
            let usable = model.state.gone_until <= now && model.pause_until <= now;
            if !usable || models & line::mask([model.number]) == 0 {
                continue;
            }
            let number = after + number;
            let fits = |group: &&usize| {
                let taken = burden.on(number, **group);
                let known = model.quota(**group).is_some_and(|quota| quota.is_known());
                model.ready_at(**group) <= now
                    && known
                    && when_behind(false, Some(model), **group, taken, reserved, now) <= now
            };
            if let Some(group) = groups.iter().find(fits).copied() {
                burden.add(number, group, reserved);
                return true;
            }
        }
        false
    }

    /// When the first group could serve a request behind that burden.
    pub(super) fn soonest_behind(&self, now: u64, tries: &[Try], burden: &Burden) -> Option<u64> {
        let groups = self.usable_groups(now, tries);
        let mut soonest: Option<u64> = None;
        for (model, one) in tries.iter().enumerate() {
            let of = self.models.get(&one.name);
            for group in &groups {
                let bound = of.map_or(0, |model| model.ready_at(*group)).max(now);
                if soonest.is_some_and(|best| bound >= best) {
                    continue;
                }
                let taken = burden.on(model, *group);
                let at = when_behind(one.need.insist, of, *group, taken, one.need.tokens, now);
                soonest = Some(soonest.map_or(at, |best| best.min(at)));
            }
        }
        soonest.filter(|at| *at < u64::MAX)
    }

    fn usable_groups(&self, now: u64, tries: &[Try]) -> Vec<usize> {
        let mark = self.roster.mark();
        let provider = tries.first().map_or(u32::MAX, |one| one.need.provider);
        let usable = |keys: &[usize]| {
            keys.iter()
                .filter_map(|at| self.roster.lanes.get(*at))
                .any(|lane| lane.provider == provider && lane.mark != mark && lane.barred_until <= now)
        };
        let groups = self.roster.groups.iter().enumerate();
        groups.filter(|(_, group)| usable(&group.keys)).map(|(at, _)| at).take(GROUPS).collect()
    }
}

/// When a group can serve a request of that reservation once what is taken before it is gone.
fn when_behind(insist: bool, of: Option<&Model>, group: usize, taken: Taken, tokens: u64, now: u64) -> u64 {
    match of.and_then(|model| model.quota(group)) {
        Some(quota) if quota.missing_until > now && !insist => u64::MAX,
        Some(quota) => quota.when_behind(taken.requests, taken.tokens, tokens),
        // Not known yet: one at a time.
        None if taken.requests > 0 => u64::MAX,
        None => now,
    }
}
