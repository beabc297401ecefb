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

/// What is taken before.
#[derive(Clone, Debug, Default)]
pub(super) struct Burden {
    /// By model (place in the tries) and group. Few: as many as those before.
    taken: Vec<(usize, usize, Taken)>,
    /// When each model and group could serve the smallest request of all if nothing was taken: none of them can
    /// serve any sooner. In order, so that whoever looks for the soonest seldom looks at many.
    bounds: Vec<(u64, usize, usize)>,
}

impl Burden {
    pub fn on(&self, model: usize, group: usize) -> Taken {
        let of = |entry: &&(usize, usize, Taken)| entry.0 == model && entry.1 == group;
        self.taken.iter().find(of).map(|entry| entry.2).unwrap_or_default()
    }

    fn add(&mut self, model: usize, group: usize, tokens: u64) {
        let same = |entry: &(usize, usize, Taken)| entry.0 == model && entry.1 == group;
        let at = self.taken.iter().position(same).unwrap_or_else(|| {
            self.taken.push((model, group, Taken::default()));
            self.taken.len() - 1
        });
        if let Some((_, _, taken)) = self.taken.get_mut(at) {
            taken.requests += 1;
            taken.tokens += tokens;
        }
    }
}

impl Pool {
    /// What those before that place will take.
    pub(super) fn burden(&self, span: (u64, u64), tries: &[Try], mask: Mask, place: Place) -> Burden {
        let now = span.0;
        let before: Vec<(Mask, u64)> = self.line.first(span, place, mask, WORKED_OUT).collect();
        let tokens = before.iter().map(|(_, reserved)| *reserved);
        let least = tokens.chain(tries.iter().map(|one| one.need.tokens)).min().unwrap_or(0);
        let groups = self.usable_groups(now, tries);
        let mut burden = Burden { taken: Vec::new(), bounds: self.bounds(now, tries, &groups, least) };
        let others: Vec<&Model> = self.models.iter().map(|(_, model)| model).collect();
        for (models, reserved) in before {
            let beyond = models & !mask;
            if beyond != 0
                && self.goes_elsewhere(&mut burden, (tries.len(), &others), &groups, (beyond, reserved), now)
            {
                continue;
            }
            let wants = |one: &Try| (models & line::mask([one.number]) != 0).then_some(reserved);
            if let Some((_, model, group)) = self.soonest_of(now, tries, &burden, wants) {
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
        let soonest = self.soonest_of(now, tries, burden, |one| Some(one.need.tokens));
        soonest.map(|(at, _, _)| at).filter(|at| *at < u64::MAX)
    }

    /// Where a request is served soonest behind that burden: when, which model and which group, the first of equal
    /// ones. `wants` says what it reserves of a model, if it may use it.
    fn soonest_of(
        &self,
        now: u64,
        tries: &[Try],
        burden: &Burden,
        wants: impl Fn(&Try) -> Option<u64>,
    ) -> Option<(u64, usize, usize)> {
        let known: Vec<_> = tries.iter().map(|one| (one, self.models.get(&one.name), wants(one))).collect();
        let mut soonest: Option<(u64, usize, usize)> = None;
        for bound in &burden.bounds {
            if soonest.is_some_and(|best| *bound >= best) {
                break;
            }
            let (_, model, group) = *bound;
            let Some((one, of, Some(tokens))) = known.get(model) else { continue };
            let at = when_behind(one.need.insist, *of, group, burden.on(model, group), *tokens, now).max(now);
            if soonest.is_none_or(|best| (at, model, group) < best) {
                soonest = Some((at, model, group));
            }
        }
        soonest
    }

    /// When each model and group could serve a request of so many tokens, in order.
    fn bounds(&self, now: u64, tries: &[Try], groups: &[usize], tokens: u64) -> Vec<(u64, usize, usize)> {
        let mut bounds = Vec::with_capacity(tries.len() * groups.len());
        for (model, one) in tries.iter().enumerate() {
            let of = self.models.get(&one.name);
            for group in groups {
                let at = when_behind(one.need.insist, of, *group, Taken::default(), tokens, now).max(now);
                bounds.push((at, model, *group));
            }
        }
        bounds.sort_unstable();
        bounds
    }

    fn usable_groups(&self, now: u64, tries: &[Try]) -> Vec<usize> {
        let provider = tries.first().map_or(u32::MAX, |one| one.need.provider);
        let usable = |keys: &[usize]| keys.iter().any(|at| self.roster.usable(*at, provider, now));
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
