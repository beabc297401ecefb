//! One attempt, from the isolate to the upstream and back.

use crate::course::{Ended, Failure};
use crate::events::Event;
use crate::limiter::{Bucket, Used};
use crate::naive::Chooser;
use crate::oracle::{Over, Under};
use crate::rng::Rng;
use crate::upstream::{Refusal, Upstream, Verdict};
use crate::world::World;
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Reading, Settle};
use rondo_core::wire::headers::LimitReading;
use rondo_core::wire::usage::Usage;

const ATTEMPTS: u64 = 5;

/// How the isolate sees it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The whole answer.
    Whole,
    /// The client left after so many tokens.
    Cut(u64),
    /// A 5xx after admission.
    Broken,
    /// No head in time.
    TimedOut,
}

/// An attempt that was admitted.
#[derive(Debug)]
pub struct Flight {
    course: u32,
    /// Its grant.
    grant: u64,
    place: usize,
    reserved: u64,
    used: Used,
    done_at: u64,
    settled: bool,
    fate: Fate,
    stale_headers: Option<Vec<LimitReading>>,
    headers: Vec<LimitReading>,
    headers_ms: Option<u64>,
    /// Of its two ends, upstream and at the isolate, those still to come.
    ends: u8,
}

impl Flight {
    /// For the oracle, while the upstream works on it.
    #[must_use]
    pub fn under(&self) -> Option<Under> {
        let Self { place, reserved, used, done_at, .. } = *self;
        (!self.settled).then_some(Under { place, reserved, used, done_at })
    }
}

impl<C: Chooser> World<'_, C> {
    fn trip(&mut self) -> u64 {
        self.rng.whole(15, 45)
    }

    pub(crate) fn send(&mut self, course: u32) {
        let now = self.now;
        self.courses.at(course).send(now);
        self.figures.at(now).sends += 1;
        let trip = self.trip();
        self.plan(now + trip, Event::Reaches(course));
    }

    /// The request reaches the upstream, which decides all that will become of it.
    pub(crate) fn reaches(&mut self, course: u32) {
        let now = self.now;
        self.waits(course, false);
        let of = self.courses.see(course);
        let Some(grant) = of.grant.as_ref() else { return };
        let (key, model) = self.rests.places(&grant.key, &grant.model);
        let number =
            of.request.number * 128 + u64::from(of.attempts) * 2 + u64::from(of.request.promised.is_some());
        let mut rng = Rng::of(self.scenario.seed, ATTEMPTS, number);
        match self.upstream.admit(now, key, model, &of.request, &mut rng) {
            Verdict::Refused(refusal) => self.refused(course, refusal),
            Verdict::Admitted(reserved) => self.admitted(course, key, model, reserved, &mut rng),
        }
    }

    fn refused(&mut self, course: u32, refusal: Refusal) {
        let Refusal { fault, status, retry_after_ms, headers, short, after_ms } = refusal;
        let (sent_at, head_by) = (self.courses.see(course).sent_at, self.courses.see(course).head_by);
        if fault == Fault::Quota {
            self.figures.at(sent_at).bounced += 1;
            self.explain_bounce(course, short);
        } else {
            self.figures.at(sent_at).faults += 1;
        }
        let back = self.now + after_ms + self.trip();
        let (back, fault) = if back > head_by { (head_by, Fault::Timeout) } else { (back, fault) };
        let status = if fault == Fault::Timeout { 0 } else { status };
        let headers_ms = (status > 0).then(|| back - sent_at);
        let failure = Failure { fault, status, retry_after_ms, headers, headers_ms };
        self.plan(back.max(self.now), Event::Failed(course, Box::new(failure)));
    }

    fn explain_bounce(&mut self, course: u32, short: Option<crate::limiter::Short>) {
        let (Some(short), of) = (short, self.courses.see(course)) else { return };
        let Some(grant) = of.grant.as_ref() else { return };
        let (key, _) = self.rests.places(&grant.key, &grant.model);
        let org = &self.scenario.orgs[self.scenario.keys[key].org].name;
        let bucket = format!("{org} {}: {} a {}", grant.model, short.metric.name(), short.period.name());
        let word = self.scenario.word(self.now);
        let stepped = self.scenario.clock_steps.iter().any(|(at, _)| (*at..*at + 60_000).contains(&self.now));
        let word = if stepped { "after a clock step" } else { word };
        let late = match short.wait_ms {
            ..50.0 => "by < 50 ms",
            ..500.0 => "by < 0.5 s",
            ..5_000.0 => "by < 5 s",
            _ => "by more",
        };
        let how = match (of.leased, grant.learn, grant.delay_ms > 0) {
            (true, _, _) => "leased",
            (_, true, _) => "learning",
            (_, _, true) => "delayed",
            _ => "at once",
        };
        let size = if of.request.estimated_cost() > 24_000 { "large" } else { "ordinary" };
        let again = if of.attempts > 1 { "again" } else { "first" };
        self.figures.reason("an upstream 429, by bucket", bucket);
        self.figures.reason("an upstream 429, by moment", word);
        self.figures
            .reason("an upstream 429, by manner", format!("{how}, {size}, {again}, too early {late}"));
    }

    fn admitted(&mut self, course: u32, key: usize, model: usize, reserved: u64, rng: &mut Rng) {
        let (now, scenario) = (self.now, self.scenario);
        let of = &scenario.models[model];
        let place = self.upstream.place(scenario.keys[key].org, model);
        let course_of = self.courses.see(course);
        let (request, sent_at, head_by) = (&course_of.request, course_of.sent_at, course_of.head_by);
        let used = request.used(of.tokens_per_estimated);
        let first = now + rng.whole(60, 350) + used.prompt / 40;
        let working = request.completion as f64 / of.speed * 1_000.0 * rng.between(0.7, 1.3);
        let over = first + working as u64;
        let head_leaves = if request.stream { first } else { over };
        let trip = self.rng.whole(15, 45);
        let mut flight = Flight {
            course,
            grant: course_of.grant.as_ref().map_or(0, |grant| grant.id),
            place,
            reserved,
            used,
            done_at: over,
            settled: false,
            fate: Fate::Whole,
            stale_headers: None,
            headers: Vec::new(),
            headers_ms: None,
            ends: 2,
        };
        let mut ends_at = over + trip;
        if rng.chance(scenario.rates.upstream) {
            flight.fate = Fate::Broken;
            flight.used.completion = 0;
            flight.done_at = now + rng.whole(50, 500);
            ends_at = (flight.done_at + trip).min(head_by.max(now));
        } else if head_leaves + trip > head_by {
            flight.fate = Fate::TimedOut;
            ends_at = head_by.max(now);
            flight.done_at = over.min(ends_at + trip);
            let done = flight.done_at.saturating_sub(first) as f64 / working.max(1.0);
            flight.used.completion = (request.completion as f64 * done.min(1.0)) as u64;
        } else if let Some(share) = request.leaves.filter(|_| request.stream) {
            let made = (request.completion as f64 * share) as u64;
            flight.fate = Fate::Cut(made);
            ends_at = first + trip + (working * share) as u64;
            flight.done_at = (ends_at + trip).min(over);
            flight.used.completion = made;
        }
        debug_assert!(sent_at <= now && ends_at >= now, "nothing ends before it began");
        if scenario.stale_headers {
            flight.stale_headers = Some(self.upstream.headers(now, place));
        }
        let (fate, done_at) = (flight.fate, flight.done_at);
        let stream = request.stream;
        let number = self.flights.add(flight);
        if matches!(fate, Fate::Whole | Fate::Cut(_)) {
            // The head goes before the settlement: it shows this request's own reservation.
            self.plan(head_leaves, Event::HeadLeaves(number));
            if stream {
                self.plan(head_leaves + trip, Event::Head(number));
            }
        }
        self.plan(done_at, Event::Done(number));
        self.plan(ends_at, Event::End(number));
    }

    pub(crate) fn head_leaves(&mut self, number: u32) {
        let flight = self.flights.at(number);
        flight.headers = match flight.stale_headers.take() {
            Some(stale) => stale,
            None => self.upstream.headers(self.now, flight.place),
        };
    }

    /// The head of a stream is there: from now on the client has it.
    pub(crate) fn head(&mut self, number: u32) {
        let now = self.now;
        let flight = self.flights.at(number);
        let of = self.courses.at(flight.course);
        flight.headers_ms = Some(now - of.sent_at);
        let (at, Some(grant)) = (of.request.isolate, of.grant.as_ref()) else { return };
        if !self.isolates[at].reads_limits(&grant.key, now) && !grant.learn {
            flight.headers.clear();
        }
        if grant.learn {
            let reading = Reading {
                grant: grant.id,
                key: grant.key.clone(),
                model: grant.model.clone(),
                limits: flight.headers.clone(),
            };
            let id = self.local();
            self.isolates[at].report(Settle { id, reading: Some(reading), ..Settle::default() }, now);
            self.flush_now(at);
        }
    }

    /// The upstream is done with it.
    pub(crate) fn done(&mut self, number: u32) {
        let flight = self.flights.at(number);
        flight.settled = true;
        let (grant, place, reserved, used) = (flight.grant, flight.place, flight.reserved, flight.used);
        // Who leaves ends sooner at the isolate: there is nothing that the pool could not know.
        let told_after = matches!(flight.fate, Fate::Whole | Fate::Broken);
        let levels = |upstream: &mut Upstream| -> Vec<f64> {
            upstream.limiter(place).buckets(self.now).iter().map(Bucket::level).collect()
        };
        let before = levels(&mut self.upstream);
        self.upstream.settle(self.now, place, reserved, &used);
        if told_after {
            let after = levels(&mut self.upstream);
            let gained = after.iter().zip(&before).map(|(after, before)| (after - before).max(0.0)).collect();
            self.unreported.over(self.now, Over { grant, place, gained });
        }
        self.leave(number);
    }

    fn leave(&mut self, number: u32) {
        let flight = self.flights.at(number);
        flight.ends -= 1;
        if flight.ends == 0 {
            self.flights.take(number);
        }
    }

    /// It ends at the isolate.
    pub(crate) fn ended(&mut self, number: u32) {
        let now = self.now;
        let flight = self.flights.at(number);
        let (course, fate, used) = (flight.course, flight.fate, flight.used);
        let headers = std::mem::take(&mut flight.headers);
        let headers_ms = flight.headers_ms;
        self.leave(number);
        let sent_at = self.courses.see(course).sent_at;
        let failure = |fault, status| Failure {
            fault,
            status,
            retry_after_ms: None,
            headers: Vec::new(),
            headers_ms: None,
        };
        match fate {
            Fate::Broken | Fate::TimedOut => {
                self.figures.at(sent_at).faults += 1;
                let broken = fate == Fate::Broken;
                let failure = if broken { failure(Fault::Upstream, 500) } else { failure(Fault::Timeout, 0) };
                self.failed(course, failure);
            }
            Fate::Whole => {
                let headers = self.read_limits(course, headers_ms, headers);
                let usage = Usage {
                    prompt_tokens: used.prompt,
                    completion_tokens: used.completion,
                    cached_tokens: used.cached,
                    total_tokens: used.prompt + used.completion,
                    ..Usage::default()
                };
                self.succeeded(course, AttemptEnd::Ok, usage, headers, headers_ms.unwrap_or(now - sent_at));
            }
            Fate::Cut(made) => {
                // Nobody said what it used: the isolate guesses.
                let guess = (made as f64 * self.rng.between(0.8, 1.2)) as u64;
                let usage = Usage::estimate(self.courses.see(course).request.estimate, guess);
                self.succeeded(course, AttemptEnd::Cut, usage, headers, headers_ms.unwrap_or(now - sent_at));
            }
        }
    }

    /// The head of a whole answer comes with its end.
    fn read_limits(
        &mut self,
        course: u32,
        headers_ms: Option<u64>,
        headers: Vec<LimitReading>,
    ) -> Vec<LimitReading> {
        let of = self.courses.see(course);
        let Some(grant) = of.grant.as_ref().filter(|_| headers_ms.is_none()) else { return headers };
        let read = self.isolates[of.request.isolate].reads_limits(&grant.key, self.now);
        if read || grant.learn { headers } else { Vec::new() }
    }

    fn succeeded(
        &mut self,
        course: u32,
        end: AttemptEnd,
        usage: Usage,
        limits: Vec<LimitReading>,
        headers_ms: u64,
    ) {
        let now = self.now;
        let of = self.courses.see(course);
        let token = &self.scenario.clients[of.request.client].id;
        let cut = end == AttemptEnd::Cut;
        let headers_ms = Some(headers_ms);
        let attempt =
            Attempt { usage, limits, headers_ms, first_event_ms: headers_ms, ..of.attempt(end, now) };
        let request = of.end(token, Ended::Answered, usage, cut, now);
        let (at, id) = (of.request.isolate, of.grant.as_ref().map_or(0, |grant| grant.id));
        let learns = of.grant.as_ref().is_some_and(|grant| grant.learn);
        let settle = Settle { id, attempt: Some(attempt), request: Some(request), ..Settle::default() };
        self.isolates[at].report(settle, now);
        self.finish(course, Ended::Answered, Some((usage, cut)));
        if learns {
            self.flush_now(at);
        }
    }

    /// An attempt failed: another one follows, or the request ends.
    pub(crate) fn failed(&mut self, course: u32, failure: Failure) {
        let now = self.now;
        let of = self.courses.at(course);
        let at = of.request.isolate;
        let attempt = Attempt {
            status: failure.status,
            retry_after_ms: failure.retry_after_ms,
            limits: failure.headers.clone(),
            headers_ms: failure.headers_ms,
            ..of.attempt(AttemptEnd::Failed(failure.fault), now)
        };
        if let Some(grant) = &of.grant {
            self.isolates[at].drop_failed(&grant.key, &grant.model, failure.fault, now);
        }
        let id = of.grant.as_ref().map_or(0, |grant| grant.id);
        let ended = of.failed(failure, now);
        let request = ended.map(|ended| {
            of.end(&self.scenario.clients[of.request.client].id, ended, Usage::default(), false, now)
        });
        let in_hand = !of.candidates.is_empty();
        self.isolates[at].report(Settle { id, attempt: Some(attempt), request, ..Settle::default() }, now);
        match ended {
            Some(ended) => self.finish(course, ended, Some((Usage::default(), false))),
            None => {
                self.waits(course, true);
                if in_hand {
                    self.flush_soon(at);
                }
                self.seek(course);
            }
        }
    }
}
