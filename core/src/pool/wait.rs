//! Admission by time: the limits of tokens and addresses, breakers, the next slot, the line, the time to come back.

use super::ask::Try;
use super::breaker::Gate;
use super::burden::{Burden, WORKED_OUT};
use super::grant::Wanted;
use super::line::{self, Place};
use super::models::Model;
use super::outlook::Room;
use super::pick::{Need, Outlook};
use super::promises::Promised;
use super::protocol::{Given, RefusedWhy, Waiting, Want};
use super::quota::MARGIN_MS;
use super::state::Pool;
use crate::limits::grant::TICKET_BEYOND_MS;

/// Keys whose wait ends this close together share the load.
const CLOSE_MS: u64 = 250;
/// Who waits asks again this long before its turn is expected: the slot is booked then, and nothing stays idle.
const EARLY_MS: u64 = 1_500;
/// A slot that near is anybody's who is there.
const IMMINENT_MS: u64 = 500;
/// The soonest a ticket comes back, and the latest: what others use less than they reserved comes back sooner
/// than computed.
const POLL_MS: std::ops::RangeInclusive<u64> = 50..=8_000;
/// What an ask and its answer take at the most, as a rule.
const ON_THE_WAY_MS: u64 = 150;
/// What is waited for at a time when it is another request's end.
const AFTER_OTHERS_MS: std::ops::RangeInclusive<u64> = 50..=1_000;
/// The least wait for a token's requests under way.
const CONCURRENCY_MS: u64 = 200;
/// Of the room that is foreseen so much is promised: estimates are means, and what was promised must hold.
const PROMISED_SHARE: f64 = 0.8;
/// What is promised for a moment is held against what there is around it: as long as the request can wait then.
const STRETCH_MS: std::ops::RangeInclusive<u64> = 2_000..=10_000;
/// What was promised is kept for those who come within so long: what a tight quota gives takes as long to come back.
const KEEPS_MS: u64 = 60_000;
/// So often a moment is looked for that leaves what was promised for later.
const SEARCHES: usize = 4;
/// Nothing is foreseen beyond: day quotas refill within a day.
const FAR_MS: u64 = 25 * 3_600_000;
/// What is waited for at the least before the first further ask; half as much more before each next.
const POLL_FIRST_MS: u64 = 100;

fn backoff_by(first: u64, times: u32) -> u64 {
    (0..times.min(32)).fold(first, |ms, _| ms + ms / 2)
}

/// What the room will be, and how much of it a request takes.
struct Foreseen {
    /// In requests of mean cost.
    room: Room,
    itself: f64,
}

impl Pool {
    /// The client token's or address's own limits, if they do not let the request through now.
    pub(super) fn tenant_waits(&mut self, now: u64, want: &Want, tokens: u64, first: bool) -> Option<Given> {
        if let Some(address) = want.address.as_deref().filter(|_| want.token.is_empty() && first) {
            let most = self.snapshot.settings.address_requests_per_minute;
            if let Err(after) = self.tenants.address_check(now, address, most) {
                return Some(if after <= want.deadline_ms {
                    self.ticket(want, after.max(1), Waiting::Address)
                } else {
                    Given::RetryAfter { after_ms: after, why: Waiting::Address }
                });
            }
        }
        let token = self.token(&want.token)?;
        let wait = self.tenants.check(now, token, tokens, first).err()?;
        let after = if wait.concurrency { wait.after_ms.max(CONCURRENCY_MS) } else { wait.after_ms };
        Some(if after <= want.deadline_ms {
            self.ticket(want, after.max(1), Waiting::Token)
        } else {
            Given::RetryAfter { after_ms: after.max(1), why: Waiting::Token }
        })
    }

    /// The models whose upstream is not known to fail for everybody.
    pub(super) fn past_breakers(
        &mut self,
        now: u64,
        want: &Want,
        tries: Vec<Try>,
    ) -> Result<Vec<Try>, Given> {
        let mut soonest = u64::MAX;
        let open: Vec<Try> = tries
            .into_iter()
            .filter(|one| match self.breakers.get(&one.need.provider).map(|breaker| breaker.gate(now)) {
                Some(Gate::Wait(ms)) => {
                    soonest = soonest.min(ms);
                    false
                }
                _ => true,
            })
            .collect();
        if !open.is_empty() {
            return Ok(open);
        }
        let after_ms = soonest.max(1);
        Err(if after_ms <= want.deadline_ms {
            self.ticket(want, after_ms, Waiting::Outage)
        } else {
            Given::RetryAfter { after_ms, why: Waiting::Outage }
        })
    }

    fn ticket(&mut self, want: &Want, after_ms: u64, why: Waiting) -> Given {
        Given::Ticket { ticket: self.ticket_number(want), after_ms, why }
    }

    fn ticket_number(&mut self, want: &Want) -> u64 {
        want.ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            (self.incarnation << 36) | self.next_ticket
        })
    }
    /// Nobody can serve now, or others stand before: a slot within the next seconds, a place in the line, or a
    /// time to come back.
    pub(super) fn not_now(&mut self, wanted: &Wanted<'_>, burden: &Burden, spare: u64) -> Given {
        let Wanted { now, want, tries, seeker, place, waited, .. } = *wanted;
        let ahead = wanted.ahead.waiting;
        let mut soonest: Option<(u64, usize, &Try)> = None;
        let mut after_others = None;
        let mut too_large = None;
        let paced = if self.snapshot.settings.pace_ms > 0 { self.next_slot_at } else { 0 };
        for (number, one) in tries.iter().enumerate() {
            let outlook = self.outlook(one, now);
            if let Some(at) = outlook.at {
                let at = at.max(self.paused_until(&one.name)).max(paced);
                if soonest.is_none_or(|(best, _, _)| at < best) {
                    soonest = Some((at, number, one));
                }
            }
            if outlook.after_others {
                after_others = Some(one);
            }
            too_large = too_large.max(outlook.too_large);
        }
        let Some((at, number, one)) = soonest else {
            if let Some(one) = after_others {
                // Another request tries that key, or learns its limits: it is over soon.
                let lasts = self.models.get(&one.name).map_or(400, |model| model.duration as u64);
                let poll = (lasts / 4).clamp(*AFTER_OTHERS_MS.start(), *AFTER_OTHERS_MS.end());
                let poll = poll.max(self.next_end(tries, ahead + 1));
                return self.wait(wanted, now, Some(poll));
            }
            if want.count > 1 {
                self.line.undo(now, place, seeker);
            } else {
                self.line.leave(place);
            }
            if let Some(limit) = too_large {
                let tokens = tries.iter().map(|one| one.need.tokens).min().unwrap_or(0);
                return Given::TooLarge { tokens, limit };
            }
            let tried = !want.exclude_keys.is_empty();
            return Given::Refused(if tried { RefusedWhy::KeysExhausted } else { RefusedWhy::NoActiveKey });
        };
        // Those who were told to come back by then go first.
        let promised = match place {
            Place::Promised { .. } => Promised::default(),
            Place::Fair { .. } => {
                // Whether it is before the deadline, or soon after, is all that matters here.
                let until = now.saturating_add(2 * want.deadline_ms);
                self.line.promised((now, until), seeker.models)
            }
        };
        let turn = self.turn(wanted, &self.foresee(wanted, &promised), &promised, 1.0);
        let behind =
            if ahead == 0 { at } else { self.soonest_behind(now, tries, burden).unwrap_or(u64::MAX) };
        // A slot so near would be lost: those before who do not come in time for it have later ones.
        let imminent = waited && behind <= now + IMMINENT_MS;
        let long = if ahead > WORKED_OUT as u64 && !imminent { turn } else { 0 };
        let due = at.max(behind).max(long).max(spare);
        if waited && want.deadline_ms <= IMMINENT_MS && due <= now + IMMINENT_MS {
            // It can't wait for its turn, which is as near; those before, who can, get that one's slot.
            for one in tries {
                if self.paused_until(&one.name).max(paced) <= now
                    && let Some(taken) = self.take(one, false, now, now, None)
                {
                    return self.slot(wanted, one, taken, now);
                }
            }
        }
        let wait = due.saturating_sub(now);
        if wait <= TICKET_BEYOND_MS && wait <= want.deadline_ms && (wait == 0 || !self.is_suspect(one)) {
            let by = due.max(now) + CLOSE_MS.min(TICKET_BEYOND_MS.saturating_sub(wait));
            if let Some(taken) = self.take_behind((number, one), burden, now, by, None) {
                return self.slot(wanted, one, taken, due);
            }
        }
        // What is under way will most likely use less than was reserved for it: then it is sooner.
        let hoped = turn.min(due).max(spare);
        let poll = (hoped <= now + EARLY_MS).then(|| self.next_end(tries, ahead + 1));
        self.wait_for(wanted, hoped, poll, due)
    }

    /// The key that was taken, from `due` on.
    fn slot(&mut self, wanted: &Wanted<'_>, one: &Try, taken: (usize, i64), due: u64) -> Given {
        match self.grant(wanted, one, taken, due) {
            Ok(grant) => {
                self.line.serve(wanted.place, &wanted.want.token, wanted.seeker.tokens);
                Given::Grants(vec![grant])
            }
            Err(delay) => self.wait(wanted, wanted.now + delay, None),
        }
    }

    /// When about so many of the requests under way have ended, in milliseconds.
    fn next_end(&self, tries: &[Try], nth: u64) -> u64 {
        let models = || tries.iter().filter_map(|one| self.models.get(&one.name));
        let under_way: u64 =
            models().flat_map(|model| model.quotas()).map(|(_, quota)| u64::from(quota.open)).sum();
        let lasts = models().map(|model| model.duration).fold(0.0, f64::max) as u64;
        (nth * lasts / under_way.max(1)).clamp(*AFTER_OTHERS_MS.start(), *POLL_MS.end())
    }

    /// Waits for `due`, by a place in the line if that is before the deadline. `poll` says how soon to look again
    /// when the moment is another's to decide.
    pub(super) fn wait(&mut self, wanted: &Wanted<'_>, due: u64, poll: Option<u64>) -> Given {
        self.wait_for(wanted, due, poll, due)
    }

    /// The same; `surely` is when it fits even if all that is reserved is used.
    fn wait_for(&mut self, wanted: &Wanted<'_>, due: u64, poll: Option<u64>, surely: u64) -> Given {
        let Wanted { now, want, tries, seeker, place, waited, .. } = *wanted;
        let suspect = tries.iter().all(|one| self.is_suspect(one));
        let why = if suspect { Waiting::Outage } else { Waiting::Quota };
        let wait = due.saturating_sub(now);
        let after = match poll {
            Some(poll) => poll,
            None => wait.saturating_sub(EARLY_MS).clamp(*POLL_MS.start(), *POLL_MS.end()).min(wait.max(1)),
        };
        // Who has waited already goes on as long as there is some hope: the moment is an estimate.
        let hope = if waited { 2 * want.deadline_ms } else { want.deadline_ms };
        // What comes back must still find time to be answered.
        let latest = want.deadline_ms.saturating_sub(ON_THE_WAY_MS);
        if wait <= hope && latest > 0 {
            // Each ask is a subrequest, of which there are few: the more often, the less soon.
            let patience = backoff_by(POLL_FIRST_MS, self.line.times(place));
            let after = after.max(patience.min(*POLL_MS.end() / 2)).min(latest);
            let ticket = self.ticket_number(want);
            if self.line.hold(place, ticket, seeker, now + after) {
                return Given::Ticket { ticket, after_ms: after, why };
            }
        }
        // The more are told to come back until then, the later it is.
        let promised = self.line.promised((now, u64::MAX), seeker.models);
        let turn = self.promised_turn(wanted, &promised);
        let hoped = wait.max(after).max(turn.saturating_sub(now));
        let surely = surely.saturating_sub(now);
        // With nobody before it the moment is known; the search for a turn comes near it, no more.
        let alone = wanted.ahead.waiting == 0 && promised.all() <= 0.0;
        let hoped = if alone { hoped.min(surely) } else { hoped };
        // Near enough the certain moment is told, which has its margin.
        let certain = surely >= hoped && surely - hoped <= TICKET_BEYOND_MS;
        let after_ms = if certain { surely } else { hoped + MARGIN_MS }.clamp(1, FAR_MS);
        if want.count > 1 {
            // A lease's size is rounded up, and nobody waits for it: nothing is promised.
            self.line.undo(now, place, seeker);
        } else {
            self.line.promise(now, place, seeker, now + after_ms);
        }
        Given::RetryAfter { after_ms, why }
    }

    /// From when on there is more than was promised to the first who will come: what is taken before would be missing
    /// when they do. Who was promised it may take it. What comes after a dozen was estimated as a whole, with
    /// room to spare: one more or less now is not what decides.
    pub(super) fn spare_from(&self, wanted: &Wanted<'_>) -> u64 {
        let Wanted { now, want, tries, seeker, place, waited, .. } = *wanted;
        if matches!(place, Place::Promised { .. }) {
            return 0;
        }
        let span = (now, now + KEEPS_MS);
        let left = waited.then_some(want.deadline_ms);
        let models = || tries.iter().map(|one| (self.models.get(&one.name), one.need));
        let own = self.spare_of(wanted, &self.line.coming(span, left, seeker.models), models());
        // Who may use others as well goes where there is room: only all of it together may be short.
        let reach = self.line.reach(span, seeker.models);
        if reach == seeker.models {
            return own;
        }
        let Some(need) = tries.first().map(|one| Need { insist: false, ..one.need }) else { return own };
        let others = self.models.iter().map(|(_, model)| model).filter(|model| {
            let number = line::mask([model.number]);
            number & reach != 0 && number & seeker.models == 0 && model.state.gone_until <= now
        });
        let all = models().chain(others.map(|model| (Some(model), need)));
        own.max(self.spare_of(wanted, &self.line.coming(span, left, reach), all))
    }

    fn spare_of<'a>(
        &'a self,
        wanted: &Wanted<'_>,
        coming: &Promised,
        models: impl Iterator<Item = (Option<&'a Model>, Need)>,
    ) -> u64 {
        let Wanted { now, expected, .. } = *wanted;
        if coming.all() < 1.0 {
            return 0;
        }
        let mean = ((coming.tokens + expected as f64) / (coming.all() + 1.0)).max(1.0);
        let itself = (expected as f64 / mean).max(1.0);
        let room = self.room_of(models, now, mean as u64);
        if room.by(now) >= coming.all() + itself {
            return 0;
        }
        coming.short_until((now, u64::MAX), WORKED_OUT as f64, |end| room.by(end) - itself).unwrap_or(0)
    }

    fn foresee(&self, wanted: &Wanted<'_>, promised: &Promised) -> Foreseen {
        let Wanted { now, tries, ahead, expected, .. } = *wanted;
        let expected = expected as f64;
        let mean = (ahead.tokens + promised.tokens + expected) / (ahead.part + promised.all() + 1.0);
        let mean = mean.max(1.0);
        Foreseen { room: self.room(tries, now, mean as u64), itself: (expected / mean).max(1.0) }
    }

    /// When it is this request's turn, if each uses what is expected, behind those before it and those who were
    /// told to come back until then.
    fn turn(&self, wanted: &Wanted<'_>, foreseen: &Foreseen, promised: &Promised, share: f64) -> u64 {
        let Wanted { now, tries, ahead, .. } = *wanted;
        let pause = tries.iter().map(|one| self.paused_until(&one.name)).min().unwrap_or(0);
        let pace = self.snapshot.settings.pace_ms;
        let paced = if pace > 0 { self.next_slot_at + pace * ahead.waiting } else { 0 };
        let before = |then| foreseen.itself + (ahead.part + promised.until(then)) / share;
        foreseen.room.when(now, before, FAR_MS).max(pause).max(paced)
    }

    /// The turn that can be promised. So much is promised for a moment as there will be, and no more than its share
    /// to each token: others come who may go first. Not much later for that alone: they may not come.
    fn promised_turn(&self, wanted: &Wanted<'_>, promised: &Promised) -> u64 {
        let Wanted { now, want, ahead, .. } = *wanted;
        let foreseen = self.foresee(wanted, promised);
        let turn = self.turn(wanted, &foreseen, promised, PROMISED_SHARE);
        let part = PROMISED_SHARE * self.line.share(now, wanted.seeker.token);
        let to_it = self.line.promised_to(wanted.seeker.token, (now, u64::MAX), wanted.seeker.models);
        let before = |then| foreseen.itself + (ahead.own + to_it.until(then)) / part;
        let own = foreseen.room.when(now, before, FAR_MS);
        let turn = turn.max(own.min(turn.saturating_add(turn.saturating_sub(now))));
        let turn = self.leaves_promised(wanted, &foreseen, promised, turn);
        let stretch = want.deadline_ms.clamp(*STRETCH_MS.start(), *STRETCH_MS.end());
        promised.free(turn, stretch, |from, to| {
            PROMISED_SHARE * (foreseen.room.by(to) - foreseen.room.by(from)) - foreseen.itself
        })
    }

    /// The first moment from `turn` on at which one more can be promised so that what was promised for later is
    /// not missing then.
    fn leaves_promised(
        &self,
        wanted: &Wanted<'_>,
        foreseen: &Foreseen,
        promised: &Promised,
        mut turn: u64,
    ) -> u64 {
        let before = |then| foreseen.itself + (wanted.ahead.part + promised.until(then)) / PROMISED_SHARE;
        let until = turn + KEEPS_MS;
        for _ in 0..SEARCHES {
            let room = |end| (foreseen.room.by(end) - foreseen.itself) * PROMISED_SHARE - wanted.ahead.part;
            let Some(short) = promised.short_until((turn + 1, until), f64::MAX, room) else { break };
            turn = foreseen.room.when(short, before, FAR_MS);
        }
        turn
    }

    fn outlook(&self, one: &Try, now: u64) -> Outlook {
        self.roster.outlook(self.models.get(&one.name), &one.need, now)
    }
}
