//! Answering an ask: which key and model, and when; else where in the line; else when to come back.

use super::burden::{Burden, WORKED_OUT};
use super::decisions::{Decision, Outcome, PassedOver};
use super::grant::Wanted;
use super::line::{self, Seeker};
use super::models::Model;
use super::pick::{Need, Seen};
use super::protocol::{Answer, Ask, Given, RefusedWhy, VERSION, Waiting, Want};
use super::rotation;
use super::state::{MemberTurn, Pool};
use crate::config::{AccessMode, Refusal, Strategy, Token, resolve};
use crate::limits::grant::{DEFAULT_COMPLETION_TOKENS, MODELS_PER_REQUEST};

/// So many keys must have been refused before the others are taken for dead too.
const MANY_REFUSED: u64 = 12;

/// The models a request may use, in the order to try them, and how the first of them take turns.
struct Course {
    pool: String,
    rotate: bool,
    first: Vec<(String, String, i64)>,
    then: Vec<(String, String)>,
}

/// A model to try, with what a request to it needs.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub name: String,
    pub number: u32,
    pub need: Need,
    /// Tokens it is expected to use in the end.
    pub expected: u64,
}

impl Pool {
    /// Answers: applies the reports, then gives what is wanted.
    pub fn ask(&mut self, now: u64, ask: &Ask) -> Answer {
        self.apply(now, &ask.settles);
        self.renew(now, &ask.renews);
        if ask.asker > 0 {
            self.askers.insert(ask.asker, now);
        }
        let outcome = ask.want.as_ref().map(|want| self.give(now, want));
        let outcome = outcome.map(|given| if ask.v >= 2 { given } else { plainly(given) });
        let allowance = ask
            .want
            .as_ref()
            .filter(|_| ask.v >= 2)
            .and_then(|want| self.token(&want.token))
            .and_then(|token| self.tenants.allowance(now, token));
        let stale = self.snapshot.generation != ask.generation || self.snapshot.epoch != ask.epoch;
        Answer {
            v: VERSION,
            generation: self.snapshot.generation,
            epoch: self.snapshot.epoch,
            snapshot: stale.then(|| Box::new(self.snapshot.clone())),
            outcome,
            allowance,
        }
    }

    pub(super) fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id).and_then(|place| self.snapshot.tokens.get(*place))
    }

    fn course(&self, now: u64, want: &Want) -> Result<Course, RefusedWhy> {
        let token: Option<&Token> = if want.token.is_empty() {
            None
        } else {
            Some(self.token(&want.token).filter(|token| token.is_live(now)).ok_or(RefusedWhy::Token)?)
        };
        let open = want.playground || self.snapshot.settings.access_mode == AccessMode::Public;
        if token.is_none() && !open {
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

    /// Gives what is wanted, and keeps why.
    fn give(&mut self, now: u64, want: &Want) -> Given {
        self.asks += 1;
        let mut seen = Seen::default();
        let mut ahead = 0;
        let given = self.decide(now, want, &mut seen, &mut ahead);
        let attempt = self.snapshot.settings.attempt_budget.saturating_sub(want.attempts_left) + 1;
        let named = |(at, why, until): (usize, _, _)| {
            Some(PassedOver { key: self.roster.slots.get(at)?.row.id.clone(), why, until })
        };
        let decision = Decision {
            at: now,
            token: want.token.clone(),
            asked: want.model.clone(),
            attempt,
            outcome: outcome(&given),
            ahead,
            candidates: seen.candidates,
            passed_over: seen.passed_over,
            skipped: std::mem::take(&mut seen.named).into_iter().filter_map(named).collect(),
        };
        self.decisions.note(decision);
        given
    }

    fn decide(&mut self, now: u64, want: &Want, seen: &mut Seen, stood_behind: &mut u64) -> Given {
        let course = match self.course(now, want) {
            Ok(course) => course,
            Err(why) => return Given::Refused(why),
        };
        if want.exclude_models.len() >= MODELS_PER_REQUEST {
            return Given::Refused(RefusedWhy::NoModel);
        }
        let names = self.models_in_turn(now, &course, want);
        let tries: Vec<Try> = names
            .into_iter()
            .filter_map(|(name, provider, insist)| self.attempt_at(now, want, name, &provider, insist))
            .collect();
        if tries.is_empty() {
            return Given::Refused(RefusedWhy::NoModel);
        }
        self.roster.exclude(&want.exclude_keys);
        let largest = tries.iter().map(|one| one.need.tokens).max().unwrap_or(0);
        let first = want.attempts_left >= self.snapshot.settings.attempt_budget;
        if let Some(given) = self.tenant_waits(now, want, largest, first) {
            return given;
        }
        let tries = match self.past_breakers(now, want, tries) {
            Ok(tries) => tries,
            Err(given) => return given,
        };
        let models = line::mask(tries.iter().map(|one| one.number));
        let expected = tries.iter().map(|one| one.expected).max().unwrap_or(1).max(1);
        let seeker = Seeker {
            ticket: want.ticket,
            token: &want.token,
            models,
            tokens: expected,
            reserved: tries.iter().map(|one| one.need.tokens).max().unwrap_or(0),
            fingerprint: want.fingerprint,
        };
        let (place, waited) = self.line.place(now, &seeker);
        let span = (now, now.saturating_add(want.deadline_ms));
        let before = self.line.ahead(span, place, models, &want.token);
        let ahead = before.waiting;
        *stood_behind = ahead;
        let wanted = Wanted {
            now,
            want,
            tries: &tries,
            seeker: &seeker,
            place,
            waited,
            expected,
            ahead: before,
            first,
        };
        // Who stands before this one comes back in time for its slot; what is left over is anybody's.
        let burden = if ahead == 0 { Burden::default() } else { self.burden(span, &tries, models, place) };
        let spare = self.spare_from(&wanted);
        if spare <= now && (waited || ahead <= WORKED_OUT as u64) {
            for (soft, proven) in [(true, true), (true, false), (false, false)] {
                if proven && !self.prefers_proven(want) {
                    continue;
                }
                for (number, one) in tries.iter().enumerate() {
                    if self.paused_until(&one.name) > now {
                        continue;
                    }
                    let one = Try { need: Need { proven, ..one.need }, ..one.clone() };
                    // A rest for the upstream's sake is respected as long as somebody else can serve.
                    let counted = (soft && !proven).then_some(&mut *seen);
                    let taken = if ahead == 0 {
                        self.take(&one, soft, now, now, counted)
                    } else if soft {
                        None
                    } else {
                        self.take_behind((number, &one), &burden, now, now, Some(&mut *seen))
                    };
                    if let Some(taken) = taken {
                        return match self.grant(&wanted, &one, taken, 0) {
                            Ok(grant) => self.with_more(&wanted, &one, grant),
                            Err(delay) => self.wait(&wanted, now + delay, None),
                        };
                    }
                }
            }
        }
        self.not_now(&wanted, &burden, spare)
    }

    /// Whether keys that have answered before go first: after a failure, and while most of those that were tried
    /// are refused. One request in twenty tries another all the same.
    fn prefers_proven(&self, want: &Want) -> bool {
        let (worked, refused) = self.untested;
        let again = want.attempts_left < self.snapshot.settings.attempt_budget;
        let hardly_any = refused >= MANY_REFUSED && worked * 10 < refused && !self.asks.is_multiple_of(20);
        refused > 0 && again || hardly_any
    }

    /// What a request to that model needs. Under a name that nobody knows there is a model too: the upstream
    /// decides.
    fn attempt_at(
        &mut self,
        now: u64,
        want: &Want,
        name: String,
        provider: &str,
        insist: bool,
    ) -> Option<Try> {
        let provider = self.roster.provider(provider);
        let model = self.model(&name, now)?;
        let completion = want.max_completion_tokens.unwrap_or(u64::MAX).min(DEFAULT_COMPLETION_TOKENS);
        let tokens = model.state.corrected(want.prompt_tokens) + completion;
        let expected = model.expected(want.prompt_tokens, want.max_completion_tokens).min(tokens);
        let number = model.number;
        Some(Try {
            name,
            number,
            need: Need { provider, tokens, insist, soft: false, proven: false },
            expected,
        })
    }

    pub(super) fn paused_until(&self, model: &str) -> u64 {
        self.models.get(model).map_or(0, |model| model.pause_until)
    }

    /// What is known of a model, made if need be. The standing of one that makes room for it goes.
    pub(super) fn model(&mut self, name: &str, now: u64) -> Option<&mut Model> {
        let dirty = &mut self.dirty;
        self.models.ensure(name, now, |forgotten| {
            dirty.insert(format!("model:{forgotten}"));
        })
    }

    /// The models to try, the one whose turn it is first, and whether the client insists on it. Models known to
    /// be gone are left out, unless the client insists on one by name and there is no other.
    fn models_in_turn(&mut self, now: u64, course: &Course, want: &Want) -> Vec<(String, String, bool)> {
        let excluded = |model: &str| want.exclude_models.iter().any(|name| name == model);
        let gone = |model: &str| self.models.get(model).is_some_and(|model| model.state.gone_until > now);
        let usable = |model: &str| !excluded(model) && !gone(model);
        let mut models: Vec<(String, String, bool)> = Vec::new();
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
                    turns: 0,
                };
                course.first.iter().map(turn).collect()
            });
            let eligible = |turn: &MemberTurn| first.iter().any(|(model, _, _)| *model == turn.model);
            let taken = rotation::take(turns, eligible);
            // Keys and models that turn in step would always meet the same partner: after each round of the keys
            // one turn of the models is left out.
            let keys = self.roster.lanes.len() as u64;
            if let Some(turn) = turns.first_mut() {
                turn.turns += 1;
                if keys > 0 && turn.turns.is_multiple_of(keys) && common(keys, first.len() as u64) > 1 {
                    rotation::take(turns, eligible);
                }
            }
            let start = taken
                .and_then(|(place, _)| turns.get(place))
                .and_then(|turn| first.iter().position(|(model, _, _)| *model == turn.model))
                .unwrap_or(0);
            models.extend(
                first.iter().cycle().skip(start).take(first.len()).map(|m| (m.0.clone(), m.1.clone(), false)),
            );
        } else {
            models.extend(first.iter().map(|m| (m.0.clone(), m.1.clone(), false)));
        }
        if models.is_empty() {
            let then = course.then.iter().filter(|(model, _)| usable(model));
            models.extend(then.map(|(model, provider)| (model.clone(), provider.clone(), false)));
        }
        if models.is_empty()
            && let [(model, provider, _)] = course.first.as_slice()
        {
            // The only one there is. If this request has seen it refused, another group may have it still; else
            // it is asked for although it is known to be gone: the upstream's own words are the answer.
            let refused = excluded(model);
            if !refused || !gone(model) {
                models.push((model.clone(), provider.clone(), !refused));
            }
        }
        models
    }
}

/// The greatest common divisor.
fn common(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common(other, one % other) }
}

/// What somebody who speaks version 1 understands.
fn plainly(given: Given) -> Given {
    match given {
        Given::TooLarge { .. } => Given::RetryAfter { after_ms: 60_000, why: Waiting::Quota },
        other => other,
    }
}

fn outcome(given: &Given) -> Outcome {
    match given {
        Given::Grants(grants) => match grants.split_first() {
            Some((grant, more)) => Outcome::Granted {
                grant: grant.id,
                key: grant.key.clone(),
                model: grant.model.clone(),
                delay_ms: grant.delay_ms,
                reserved: grant.reserved,
                more: u32::try_from(more.len()).unwrap_or(u32::MAX),
            },
            None => Outcome::Refused(RefusedWhy::NoActiveKey),
        },
        Given::Ticket { ticket, after_ms, .. } => Outcome::Waits { ticket: *ticket, after_ms: *after_ms },
        Given::RetryAfter { after_ms, why } => Outcome::RetryAfter { after_ms: *after_ms, why: *why },
        Given::Refused(why) => Outcome::Refused(*why),
        Given::TooLarge { .. } => Outcome::TooLarge,
    }
}
