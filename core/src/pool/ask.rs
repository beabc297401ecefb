//! Answering an ask: which key and model, and when.

use super::keys::{Ready, Roster};
use super::protocol::{Answer, Ask, Given, Grant, RefusedWhy, VERSION, Waiting, Want};
use super::rotation;
use super::state::{MemberTurn, Open, Pool};
use crate::config::{Refusal, Strategy, Token, resolve};
use crate::limits::grant::{MODELS_PER_REQUEST, SENT_LAPSES_MS, TICKET_BEYOND_MS};

/// Candidates in one answer once an attempt failed: each ask is a subrequest, of which the free plan has 50.
const CANDIDATES: u32 = 4;
/// Keys whose wait ends this close together share the load.
const CLOSE_MS: u64 = 250;

/// The models a request may use, in the order to try them, and how the first of them take turns.
struct Course {
    pool: String,
    rotate: bool,
    first: Vec<(String, String, i64)>,
    then: Vec<(String, String)>,
}

impl Pool {
    /// Answers: applies the reports, then gives what is wanted.
    pub fn ask(&mut self, now: u64, ask: &Ask) -> Answer {
        self.apply(now, &ask.settles);
        self.renew(now, &ask.renews);
        let outcome = ask.want.as_ref().map(|want| self.give(now, want));
        let stale = self.snapshot.generation != ask.generation || self.snapshot.epoch != ask.epoch;
        Answer {
            v: VERSION,
            generation: self.snapshot.generation,
            epoch: self.snapshot.epoch,
            snapshot: stale.then(|| Box::new(self.snapshot.clone())),
            outcome,
            allowance: None,
        }
    }

    fn course(&self, now: u64, want: &Want) -> Result<Course, RefusedWhy> {
        let token: Option<&Token> = if want.token.is_empty() {
            None
        } else {
            let token = self.tokens.get(&want.token).and_then(|place| self.snapshot.tokens.get(*place));
            Some(token.filter(|token| token.is_live(now)).ok_or(RefusedWhy::Token)?)
        };
        let public = self.snapshot.settings.access_mode == crate::config::AccessMode::Public;
        if token.is_none() && !public {
            return Err(RefusedWhy::Token);
        }
        let route =
            resolve(&self.snapshot, token, want.model.as_deref()).map_err(|refusal| match refusal {
                Refusal::ModelMissing => RefusedWhy::ModelMissing,
                Refusal::ModelNotAllowed => RefusedWhy::ModelNotAllowed,
                Refusal::PoolEmpty => RefusedWhy::PoolEmpty,
            })?;
        let named = route.named.map(|name| (name.to_owned(), "cerebras".to_owned(), 1));
        Ok(Course {
            pool: route.pool.to_owned(),
            rotate: route.strategy == Strategy::Rotate,
            first: named
                .into_iter()
                .chain(route.first.iter().map(|m| (m.model.clone(), m.provider.clone(), i64::from(m.weight))))
                .collect(),
            then: route.then.iter().map(|m| (m.model.clone(), m.provider.clone())).collect(),
        })
    }

    fn give(&mut self, now: u64, want: &Want) -> Given {
        let course = match self.course(now, want) {
            Ok(course) => course,
            Err(why) => return Given::Refused(why),
        };
        let models = self.models_in_turn(now, &course, want);
        if models.is_empty() || want.exclude_models.len() >= MODELS_PER_REQUEST {
            return Given::Refused(RefusedWhy::NoModel);
        }
        self.roster.exclude(&want.exclude_keys);
        let failed = want.attempts_left < self.snapshot.settings.attempt_budget;
        let count = if failed { CANDIDATES.min(want.attempts_left.max(1)) } else { 1 };
        let mut grants: Vec<Grant> = Vec::new();
        while grants.len() < count as usize {
            match self.one(now, want, &models, grants.is_empty()) {
                Ok(grant) => {
                    self.roster.exclude_one(&grant.key);
                    grants.push(grant);
                }
                Err(given) if grants.is_empty() => return given,
                Err(_) => break,
            }
        }
        Given::Grants(grants)
    }

    /// One grant: the first model with a key that can serve now, else the soonest.
    fn one(
        &mut self,
        now: u64,
        want: &Want,
        models: &[(String, String)],
        may_wait: bool,
    ) -> Result<Grant, Given> {
        // A rest for the upstream's sake is respected as long as somebody else can serve.
        for soft in [true, false] {
            for (model, provider) in models {
                if self.paused_until(model) <= now
                    && let Some((place, paid)) = self.take_key(model, provider, now, now, soft)
                {
                    return self.grant(now, want, place, paid, model, 0);
                }
            }
        }
        if !may_wait {
            return Err(Given::Refused(RefusedWhy::KeysExhausted));
        }
        let soonest = models
            .iter()
            .filter_map(|(model, provider)| {
                self.earliest(model, provider, now)
                    .map(|at| (at.max(self.paused_until(model)), model, provider))
            })
            .min_by_key(|(at, _, _)| *at);
        let Some((at, model, provider)) = soonest else {
            let tried = !want.exclude_keys.is_empty();
            return Err(Given::Refused(if tried {
                RefusedWhy::KeysExhausted
            } else {
                RefusedWhy::NoActiveKey
            }));
        };
        let wait = at.saturating_sub(now);
        if wait > want.deadline_ms {
            return Err(Given::RetryAfter { after_ms: wait, why: Waiting::Quota });
        }
        if wait > TICKET_BEYOND_MS {
            return Err(self.ticket(want, wait));
        }
        let by = at + CLOSE_MS.min(TICKET_BEYOND_MS - wait);
        match self.take_key(model, provider, now, by, false) {
            Some((place, paid)) => self.grant(now, want, place, paid, model, at),
            None => Err(Given::RetryAfter { after_ms: wait.max(1), why: Waiting::Quota }),
        }
    }

    fn ticket(&mut self, want: &Want, after_ms: u64) -> Given {
        let ticket = want.ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        Given::Ticket { ticket, after_ms }
    }

    fn grant(
        &mut self,
        now: u64,
        want: &Want,
        place: usize,
        paid: i64,
        model: &str,
        not_before: u64,
    ) -> Result<Grant, Given> {
        let settings = &self.snapshot.settings;
        let (pace, key_pace) = (settings.pace_ms, settings.key_pace_ms);
        let Some(slot) = self.roster.slots.get_mut(place) else {
            return Err(Given::Refused(RefusedWhy::NoActiveKey));
        };
        let cool = self.roster.groups.get(slot.group).map_or(0, |group| group.state.cool_until(model));
        let mut at = now.max(not_before).max(slot.next_at).max(cool);
        if pace > 0 {
            at = at.max(self.next_slot_at);
        }
        let delay = at - now;
        if delay > TICKET_BEYOND_MS || delay > want.deadline_ms {
            slot.credit += paid;
            if delay > want.deadline_ms {
                return Err(Given::RetryAfter { after_ms: delay, why: Waiting::Quota });
            }
            return Err(self.ticket(want, delay));
        }
        if pace > 0 {
            self.next_slot_at = at + pace;
        }
        if key_pace > 0 {
            slot.next_at = at + key_pace;
        }
        self.next_grant += 1;
        let id = (self.incarnation << 36) | self.next_grant;
        let grant = Grant {
            id,
            key: slot.row.id.clone(),
            sealed: slot.row.sealed.clone(),
            provider: slot.row.provider.clone(),
            base_url: slot.row.base_url.clone(),
            model: model.to_owned(),
            delay_ms: delay,
            reserved: 0,
            learn: false,
        };
        self.open.insert(id, Open { key: grant.key.clone(), lapses_at: at + SENT_LAPSES_MS, paid });
        Ok(grant)
    }

    fn take_key(
        &mut self,
        model: &str,
        provider: &str,
        now: u64,
        by: u64,
        soft: bool,
    ) -> Option<(usize, i64)> {
        let mark = self.roster.mark();
        let groups = &self.roster.groups;
        rotation::take(&mut self.roster.slots, |slot| {
            slot.row.provider == provider
                && matches!(Roster::ready(groups, slot, mark, model, now, soft), Ready::From(at) if at <= by)
        })
    }

    fn earliest(&self, model: &str, provider: &str, now: u64) -> Option<u64> {
        let mark = self.roster.mark();
        self.roster
            .slots
            .iter()
            .filter(|slot| slot.row.provider == provider)
            .filter_map(|slot| match Roster::ready(&self.roster.groups, slot, mark, model, now, false) {
                Ready::From(at) => Some(at),
                Ready::Never => None,
            })
            .min()
    }

    fn paused_until(&self, model: &str) -> u64 {
        self.models.get(model).map_or(0, |state| state.pause_until)
    }

    /// The models to try, the one whose turn it is first. Models known to be gone are left out, unless the
    /// client insists on one by name and there is no other.
    fn models_in_turn(&mut self, now: u64, course: &Course, want: &Want) -> Vec<(String, String)> {
        let excluded = |model: &str| want.exclude_models.iter().any(|name| name == model);
        let gone = |model: &str| self.models.get(model).is_some_and(|state| state.gone_until > now);
        let usable = |model: &str| !excluded(model) && !gone(model);
        let mut models: Vec<(String, String)> = Vec::new();
        let first: Vec<&(String, String, i64)> = course.first.iter().filter(|m| usable(&m.0)).collect();
        if course.rotate && first.len() > 1 {
            // Each set of members has a rotation of its own: tokens limited to some of a pool's models must not
            // push the others out of step. The configuration bounds how many sets there are.
            let name =
                course.first.iter().fold(course.pool.clone(), |name, (model, _, _)| name + "\n" + model);
            let turns = self.turns.entry(name).or_insert_with(|| {
                let turn = |(model, _, weight): &(String, String, i64)| MemberTurn {
                    model: model.clone(),
                    weight: *weight,
                    credit: 0,
                };
                course.first.iter().map(turn).collect()
            });
            let taken = rotation::take(turns, |turn| first.iter().any(|(model, _, _)| *model == turn.model));
            let start = taken
                .and_then(|(place, _)| turns.get(place))
                .and_then(|turn| first.iter().position(|(model, _, _)| *model == turn.model))
                .unwrap_or(0);
            models.extend(
                first.iter().cycle().skip(start).take(first.len()).map(|m| (m.0.clone(), m.1.clone())),
            );
        } else {
            models.extend(first.iter().map(|m| (m.0.clone(), m.1.clone())));
        }
        if models.is_empty() {
            models.extend(course.then.iter().filter(|(model, _)| usable(model)).cloned());
        }
        if models.is_empty() && course.first.len() == 1 {
            models
                .extend(course.first.iter().filter(|m| !excluded(&m.0)).map(|m| (m.0.clone(), m.1.clone())));
        }
        models
    }
}
