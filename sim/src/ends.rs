//! How requests end, and what is made of it: the figures.

use crate::clients::{PATIENCE_MS, Request};
use crate::course::{Course, Ended};
use crate::events::Event;
use crate::figures::{Figures, PlaceShare};
use crate::flight::Flight;
use crate::isolate::unused;
use crate::naive::Chooser;
use crate::oracle::{Charge, Oracle, Under};
use crate::world::World;
use rondo_core::pool::protocol::Settle;
use rondo_core::wire::usage::Usage;

/// One in so many refusals is put to the seer: it costs more.
const SEEN_ONE_IN: u64 = 8;
/// So many unjust refusals are told of in words.
const UNJUST_TOLD: usize = 20;
/// Who is told to come back later than that does not.
const COMES_BACK_WITHIN_MS: u64 = 3 * 3_600_000;

impl<'s, C: Chooser> World<'s, C> {
    /// A request ends; `told` is its usage when the attempt's report tells of the end.
    pub(crate) fn finish(&mut self, course: u32, ended: Ended, told: Option<(Usage, bool)>) {
        let now = self.now;
        self.waits(course, false);
        let mut of = self.courses.take(course);
        let at = of.request.isolate;
        for (grant, _) in of.candidates.drain(..) {
            self.isolates[at].report(unused(&grant), now);
        }
        if told.is_none() {
            let token = &self.scenario.clients[of.request.client].id;
            let end = of.end(token, ended, Usage::default(), false, now);
            let id = self.local();
            self.isolates[at].report(Settle { id, request: Some(end), ..Settle::default() }, now);
        }
        if ended == Ended::Answered {
            self.flush_soon(at);
        } else {
            self.flush_now(at);
        }
        self.count_end(of, ended);
    }

    fn count_end(&mut self, of: Course, ended: Ended) {
        let now = self.now;
        let request = of.request;
        let tally = self.figures.at(request.at);
        match ended {
            Ended::Answered => {
                tally.waits.push((of.sent_at - request.at).min(u64::from(u32::MAX)) as u32);
                self.figures.at(request.first_at).answered += 1;
            }
            Ended::Limited(..) => tally.limited += 1,
            Ended::Failed(status) => {
                tally.failed += 1;
                let word = self.scenario.word(now);
                self.figures.reason("an error", format!("{status}, {word}"));
            }
        }
        if let Some(promised) = request.promised {
            let tally = self.figures.at(promised);
            tally.open -= 1;
            match ended {
                Ended::Answered => tally.kept += 1,
                Ended::Limited(..) => tally.broken += 1,
                Ended::Failed(_) => tally.open += 1,
            }
        }
        let Ended::Limited(after_ms, why) = ended else { return };
        let left = match request.deadline {
            Some(deadline) => deadline.saturating_sub(now - request.at),
            None => PATIENCE_MS.saturating_sub(of.waited),
        };
        self.judge(&request, left, (after_ms, why));
        if request.promised.is_none() {
            self.figures.at(now).open += 1;
            if after_ms <= COMES_BACK_WITHIN_MS {
                let back = now + after_ms + self.rng.whole(2, 30);
                let number = request.number;
                let request = Request { promised: Some(now), at: back, ..request };
                self.promised.insert((back, number), request);
                self.plan(back, Event::Return(number));
            }
        }
    }

    /// Was there room for a request that got a 429?
    fn judge(&mut self, request: &Request, left: u64, (after_ms, why): (u64, &'static str)) {
        self.refusals += 1;
        let (now, word) = (self.now, self.scenario.word(self.now));
        let who = if request.promised.is_some() { "returned" } else { "new" };
        self.figures.reason("a client's 429", format!("{why}, {word}, {who}"));
        if self.room(Charge::Reserved, request, left) {
            self.figures.at(now).unjust += 1;
            let size = if request.estimated_cost() > 24_000 { "large" } else { "ordinary" };
            self.figures.reason("an unjust 429", format!("{why}, {word}, {who}, {size}"));
            if self.figures.unjust.len() < UNJUST_TOLD {
                let told = self.unjust(request, left, after_ms);
                self.figures.unjust.push(told);
            }
        }
        if self.refusals.is_multiple_of(SEEN_ONE_IN) {
            let room = self.room(Charge::Used, request, left);
            let tally = self.figures.at(now);
            tally.seen += 1;
            tally.unjust_seen += u64::from(room);
        }
    }

    fn room(&mut self, charge: Charge, request: &Request, left: u64) -> bool {
        let now = self.now;
        let oracle = self.oracle(charge, now, left);
        if !oracle.could(request, &self.queue, now, left) {
            return false;
        }
        oracle.has_room(request, self.before(left), now, left)
    }

    /// Everybody's buckets now.
    fn oracle(&mut self, charge: Charge, now: u64, left: u64) -> Oracle<'s> {
        let under = self.flights.iter().filter_map(Flight::under);
        let under: Vec<Under> = if charge == Charge::Used { under.collect() } else { Vec::new() };
        let span = (now, now + left);
        let clock = self.clock();
        let rests = |org, model| self.rests.left(clock, org, model);
        Oracle::new(
            self.scenario,
            &mut self.upstream,
            charge,
            span,
            rests,
            (under.into_iter(), &self.unreported),
        )
    }

    /// Who takes room before a request that is refused now, each with how long it can wait.
    fn before(&self, left: u64) -> impl Iterator<Item = (&Request, u64)> {
        let now = self.now;
        let waiting = self.waiting.iter().map(move |&(_, course)| {
            let course = self.courses.see(course);
            (&course.request, course.left(now))
        });
        // Who was promised a time before then is as good as waiting.
        let promised = self.promised.range(..(now + left, 0)).map(move |(&(back, _), request)| {
            (request, back - now + request.deadline.unwrap_or(PATIENCE_MS))
        });
        waiting.chain(promised)
    }

    /// An unjust refusal in words: who was refused, what there was room for, what the pool held and decided.
    fn unjust(&mut self, request: &Request, left: u64, after_ms: u64) -> String {
        let now = self.now;
        let oracle = self.oracle(Charge::Reserved, now, left);
        let client = &self.scenario.clients[request.client].id;
        let (waiting, promised) = (self.waiting.len(), self.before(left).count() - self.waiting.len());
        format!(
            "seed {}, {now} ms, {client}'s number {} that came at {} for {:?}, estimate {} and {:?}, could wait {left} ms, \
             told to come back in {after_ms} ms\n    {waiting} waiting, {promised} promised before then\n{}{}",
            self.scenario.seed,
            request.number,
            request.at,
            request.named.map(|named| &self.scenario.models[named].name),
            request.estimate,
            request.max_completion,
            oracle.explained(request, self.before(left), now),
            self.chooser.explained(self.clock()),
        )
    }

    pub(crate) fn finish_figures(mut self) -> Figures {
        self.capacity.end(&mut self.upstream, &self.mix);
        let mut figures = std::mem::take(&mut self.figures);
        figures.lasted_ms = self.now;
        figures.share = self.capacity.share();
        figures.share_minutes = self.capacity.minutes;
        for (org, of) in self.scenario.orgs.iter().enumerate() {
            for (model, named) in self.scenario.models.iter().enumerate() {
                let at = self.upstream.place(org, model);
                let Some(place) = self.capacity.places.get(at).filter(|place| place.room > 0.0) else {
                    continue;
                };
                let name = format!("{} {}", of.name, named.name);
                figures.places.push(PlaceShare { name, room: place.room, share: place.used / place.room });
            }
        }
        let is_back = |id| self.isolates.iter().any(|isolate| isolate.given_back.contains(id));
        let kept = self.given.iter().filter(|(id, _, _)| !is_back(id));
        figures.uses = kept.map(|&(_, at, key)| (at, key)).collect();
        figures
    }
}
