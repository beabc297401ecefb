//! The simulation: events in the order of their time, from clients over isolates and the Coordinator to the
//! upstream and back.

use crate::capacity::Capacity;
use crate::clients::{Arrivals, Mix, Request};
use crate::course::{Course, Ended};
use crate::events::{Event, Events};
use crate::figures::Figures;
use crate::isolate::{Asked, Isolate, leasable, unused};
use crate::naive::Chooser;
use crate::oracle::{Queue, Unreported};
use crate::rests::Rests;
use crate::rng::Rng;
use crate::scenario::{START, Scenario};
use crate::slab::Slab;
use crate::upstream::Upstream;
use rondo_core::limits::coordinator::{SETTLE_FLUSH_MS, TIMEOUT_MS};
use rondo_core::limits::grant::{SETTLES_PER_ASK, USE_WITHIN_MS};
use rondo_core::pool::outbox::Flight as Parcel;
use rondo_core::pool::protocol::{Answer, Ask, Given, Grant, LOCAL_GRANT, RefusedWhy, VERSION, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

const WORLD: u64 = 4;
const MINUTE: u64 = 60_000;

/// A call of the Coordinator.
struct Call {
    isolate: usize,
    course: Option<u32>,
    ask: Ask,
    parcel: Option<Parcel>,
    /// The lease that it asks for.
    lease: Option<Asked>,
    /// Lost on the way there, lost on the way back.
    lost: (bool, bool),
    answer: Option<Answer>,
}

/// The simulation of a scenario.
pub struct World<'s, C> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) chooser: C,
    pub(crate) now: u64,
    events: Events,
    arrivals: Arrivals<'s>,
    pub(crate) next: Option<Request>,
    pub(crate) courses: Slab<Course>,
    calls: Slab<Call>,
    pub(crate) flights: Slab<crate::flight::Flight>,
    pub(crate) isolates: Vec<Isolate>,
    pub(crate) upstream: Upstream<'s>,
    pub(crate) rests: Rests,
    pub(crate) unreported: Unreported,
    pub(crate) queue: Queue,
    pub(crate) waiting: BTreeSet<(u64, u32)>,
    /// Who was told when to come back, by that time.
    pub(crate) promised: BTreeMap<(u64, u64), Request>,
    pub(crate) capacity: Capacity,
    pub(crate) mix: Mix,
    pub(crate) figures: Figures,
    pub(crate) rng: Rng,
    pub(crate) refusals: u64,
    /// Grants in their order, where shares are looked at.
    pub(crate) given: Vec<(u64, u64, u16)>,
}

/// Runs several scenarios side by side, on as many threads as there are processors, and adds up their figures.
pub fn run_all<C: Chooser>(scenarios: &[Scenario], chooser: impl Fn(&Scenario) -> C + Sync) -> Figures {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(scenarios.len());
    let work = || {
        let mut done = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((scenario.seed, run(scenario, chooser(scenario))));
        }
        done
    };
    let mut done: Vec<(u64, Figures)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a run does not panic")).collect()
    });
    // In the order of the scenarios, whichever was done first.
    done.sort_by_key(|(seed, _)| *seed);
    let mut all = Figures::default();
    done.into_iter().for_each(|(_, figures)| all.add(figures));
    all
}

/// Runs a scenario.
pub fn run<C: Chooser>(scenario: &Scenario, chooser: C) -> Figures {
    World::new(scenario, chooser).run()
}

impl<'s, C: Chooser> World<'s, C> {
    fn new(scenario: &'s Scenario, chooser: C) -> Self {
        let arrivals = Arrivals::new(scenario);
        Self {
            scenario,
            chooser,
            now: 0,
            events: Events::default(),
            mix: arrivals.mix(),
            arrivals,
            next: None,
            courses: Slab::default(),
            calls: Slab::default(),
            flights: Slab::default(),
            isolates: (0..scenario.isolates).map(|_| Isolate::default()).collect(),
            upstream: Upstream::new(scenario),
            rests: Rests::new(scenario),
            unreported: Unreported::default(),
            queue: Queue::new(scenario),
            waiting: BTreeSet::new(),
            promised: BTreeMap::new(),
            capacity: Capacity::default(),
            figures: Figures::default(),
            rng: Rng::of(scenario.seed, WORLD, 0),
            refusals: 0,
            given: Vec::new(),
        }
    }

    pub(crate) fn plan(&mut self, at: u64, event: Event) {
        self.events.plan(at, event);
    }

    fn run(mut self) -> Figures {
        self.plan_arrival();
        self.plan(MINUTE, Event::Minute);
        while let Some((at, event)) = self.events.next() {
            self.now = at;
            self.happens(event);
        }
        self.finish_figures()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                if let Some(request) = self.next.take() {
                    self.figures.at(request.at).requests += 1;
                    self.arrives(request);
                }
                self.plan_arrival();
            }
            Event::Return(number) => {
                if let Some(request) = self.promised.remove(&(self.now, number))
                    && self.next.is_some()
                {
                    self.arrives(request);
                }
            }
            Event::Seek(course) => self.seek(course),
            Event::Called(call) => self.called(call),
            Event::Replied(call) => self.replied(call),
            Event::Send(course) => self.send(course),
            Event::Reaches(course) => self.reaches(course),
            Event::Failed(course, failure) => self.failed(course, *failure),
            Event::HeadLeaves(flight) => self.head_leaves(flight),
            Event::Head(flight) => self.head(flight),
            Event::Done(flight) => self.done(flight),
            Event::End(flight) => self.ended(flight),
            Event::Flush(isolate) => self.flush(isolate),
            Event::Tend(isolate) => {
                self.isolates[isolate].tended = self.isolates[isolate].tend(self.now);
                if self.isolates[isolate].tended {
                    self.plan(self.now + SETTLE_FLUSH_MS, Event::Tend(isolate));
                }
                self.flush_soon(isolate);
            }
            Event::Minute => {
                self.capacity.minute(self.now, self.scenario, &mut self.upstream, &self.mix);
                if self.next.is_some() {
                    self.plan(self.now + MINUTE, Event::Minute);
                }
            }
        }
    }

    fn plan_arrival(&mut self) {
        self.next = self.arrivals.next();
        if let Some(request) = &self.next {
            self.plan(request.at, Event::Arrive);
        }
    }

    fn arrives(&mut self, request: Request) {
        let course = self.courses.add(Course::new(request));
        self.waits(course, true);
        self.seek(course);
    }

    /// A request begins or ceases to wait for room.
    pub(crate) fn waits(&mut self, course: u32, waits: bool) {
        let of = self.courses.at(course);
        if of.is_waiting != waits {
            of.is_waiting = waits;
            self.queue.count(&of.request, if waits { 1.0 } else { -1.0 });
            let place = (of.request.at, course);
            if waits {
                self.waiting.insert(place);
            } else {
                self.waiting.remove(&place);
            }
        }
    }

    pub(crate) fn is_limited(&self, course: u32) -> bool {
        self.scenario.clients[self.courses.see(course).request.client].limited
    }

    /// The next grant: one in hand, one held in advance, else asked for.
    pub(crate) fn seek(&mut self, course: u32) {
        let now = self.now;
        let limited = self.is_limited(course);
        let of = self.courses.at(course);
        let at = of.request.isolate;
        while let Some((grant, given_at)) = of.candidates.pop_front() {
            if !of.is_unfit(&grant) && now - given_at <= USE_WITHIN_MS.max(grant.delay_ms) {
                return self.go(course, grant, false);
            }
            self.isolates[at].report(unused(&grant), now);
        }
        let first = self.scenario.leases && of.attempts == 0 && of.ticket.is_none() && !of.alone;
        let size = leasable(&of.request, limited).filter(|_| first);
        let token = &self.scenario.clients[of.request.client].id;
        let model = of.request.named.map(|named| self.scenario.models[named].name.as_str());
        let mut lease = None;
        let mut want = of.want(token, model, now);
        if let Some(size) = size {
            let turn = self.isolates[at].turn(model, size, now, of.left(now));
            let size = size.rounded();
            if turn.ask > 1 || turn.grant.is_some() {
                want.count = turn.ask;
                want.prompt_tokens = size.prompt_tokens;
                want.max_completion_tokens = size.max_completion_tokens;
                lease = Some(Asked { kind: turn.kind, size, at: now });
            }
            if let Some(grant) = turn.grant {
                if turn.ask > 0 {
                    // Nobody waits for these.
                    want.deadline_ms = 0;
                    want.fingerprint = 0;
                    self.call(at, None, Some(want), lease);
                }
                return self.go(course, grant, true);
            }
        }
        of.asked_at = now;
        self.call(at, Some(course), Some(want), lease);
    }

    fn call(&mut self, at: usize, course: Option<u32>, want: Option<Want>, lease: Option<Asked>) {
        let now = self.now;
        let settles = self.isolates[at].outbox.take(SETTLES_PER_ASK, now);
        let parcel = self.isolates[at].outbox.departed(settles.clone(), now);
        let rates = self.scenario.rates;
        let lost = match course {
            None if self.rng.chance(rates.lost_calls) => {
                let there = self.rng.chance(0.5);
                (there, !there)
            }
            Some(_) if self.rng.chance(rates.lost_answers) => (false, true),
            _ => (false, false),
        };
        let asker = at as u64 + 1;
        let ask = Ask { v: VERSION, generation: 1, epoch: 1, asker, want, settles, renews: Vec::new() };
        let call = self.calls.add(Call { isolate: at, course, ask, parcel, lease, lost, answer: None });
        self.figures.at(now).calls += 1;
        let trip = self.rng.whole(1, 10);
        self.plan(now + trip, Event::Called(call));
    }

    /// The pool's own clock.
    pub(crate) fn clock(&self) -> u64 {
        (START + self.now).saturating_add_signed(self.scenario.clock_error(self.now))
    }

    /// A call reaches the Coordinator.
    fn called(&mut self, number: u32) {
        let clock = self.clock();
        let call = self.calls.at(number);
        if !call.lost.0 {
            self.rests.learn(clock, &call.ask.settles);
            call.ask.settles.iter().for_each(|settle| self.unreported.delivered(settle.id));
            let answer = self.chooser.ask(clock, &call.ask);
            if let Some(Given::Grants(grants)) = &answer.outcome {
                for grant in grants {
                    self.figures.at(self.now).grants += 1;
                    if let Some(why) = self.rests.is_resting(clock, grant) {
                        self.figures.at(self.now).resting += 1;
                        self.figures.reason("a resting key was given", why);
                    }
                    if self.scenario.plain {
                        let key = self.rests.places(&grant.key, &grant.model).0;
                        self.given.push((grant.id, self.now, key as u16));
                    }
                }
            }
            call.answer = Some(answer);
        }
        let trip = if call.lost.0 || call.lost.1 { TIMEOUT_MS } else { self.rng.whole(0, 10) };
        self.plan(self.now + trip, Event::Replied(number));
    }

    /// Its answer reaches the isolate, or is no longer waited for.
    fn replied(&mut self, number: u32) {
        let Call { isolate: at, course, ask, parcel, lease, lost, answer } = self.calls.take(number);
        let now = self.now;
        if lost.0 || lost.1 {
            self.isolates[at].outbox.lost(parcel);
            match course {
                Some(course) => {
                    self.courses.at(course).waited += TIMEOUT_MS;
                    self.seek(course);
                }
                None => self.plan(now + 2 * SETTLE_FLUSH_MS, Event::Flush(at)),
            }
            return;
        }
        self.isolates[at].heard(now);
        self.isolates[at].outbox.landed(parcel);
        if !ask.settles.is_empty() && self.rng.chance(self.scenario.rates.repeats) {
            ask.settles.into_iter().for_each(|settle| self.isolates[at].report(settle, now));
            self.flush_soon(at);
        }
        let Some(course) = course else {
            if let Some(lease) = lease {
                let grants = match answer.and_then(|answer| answer.outcome) {
                    Some(Given::Grants(grants)) => grants,
                    _ => Vec::new(),
                };
                self.keep(at, lease, grants);
            }
            if self.isolates[at].outbox.has_waited(SETTLE_FLUSH_MS, now) {
                self.call(at, None, None, None);
            }
            return;
        };
        match answer.and_then(|answer| answer.outcome) {
            Some(given) => self.given(course, given, lease),
            None => self.finish(course, Ended::Failed(503), None),
        }
    }

    /// An isolate keeps grants for whoever comes, and sees to it that they go back.
    fn keep(&mut self, at: usize, lease: Asked, grants: Vec<Grant>) {
        let any = !grants.is_empty();
        self.isolates[at].keep(lease, grants, self.now);
        if any && !self.isolates[at].tended {
            self.isolates[at].tended = true;
            self.plan(self.now + SETTLE_FLUSH_MS, Event::Tend(at));
        }
        self.flush_soon(at);
    }

    fn given(&mut self, course: u32, given: Given, lease: Option<Asked>) {
        let now = self.now;
        let of = self.courses.at(course);
        match given {
            Given::Grants(grants) => {
                of.waited += now - of.asked_at;
                let at = of.request.isolate;
                let mut grants = grants.into_iter();
                let Some(first) = grants.next() else { return self.finish(course, Ended::Failed(503), None) };
                of.candidates.push_back((first, now));
                match lease {
                    Some(lease) => self.keep(at, lease, grants.collect()),
                    None => of.candidates.extend(grants.map(|grant| (grant, now))),
                }
                self.seek(course);
            }
            Given::Ticket { ticket, after_ms, .. } => {
                if after_ms > of.left(now) {
                    return self.finish(
                        course,
                        Ended::Limited(after_ms, "a ticket beyond the deadline"),
                        None,
                    );
                }
                of.ticket = Some(ticket);
                let wait = after_ms.max(1);
                of.waited += wait;
                self.plan(now + wait, Event::Seek(course));
            }
            Given::RetryAfter { .. } | Given::TooLarge { .. } if lease.is_some() => {
                of.waited += now - of.asked_at;
                of.alone = true;
                let at = of.request.isolate;
                if let Some(lease) = lease {
                    self.isolates[at].keep(lease, None, now);
                }
                self.seek(course);
            }
            Given::RetryAfter { after_ms, why } => {
                let why = match why {
                    rondo_core::pool::protocol::Waiting::Quota => "quota",
                    rondo_core::pool::protocol::Waiting::Token => "the token's limit",
                    rondo_core::pool::protocol::Waiting::Address => "the address's limit",
                    rondo_core::pool::protocol::Waiting::Outage => "an outage",
                };
                // What fails for everybody is a 503: when it ends nobody can know.
                let ended =
                    if why == "an outage" { Ended::Failed(503) } else { Ended::Limited(after_ms, why) };
                self.finish(course, ended, None);
            }
            Given::TooLarge { .. } => self.finish(course, Ended::Failed(413), None),
            Given::Refused(RefusedWhy::KeysExhausted) => match of.another_round(now) {
                Some(pause) => {
                    of.waited += pause;
                    self.plan(now + pause, Event::Seek(course));
                }
                None => {
                    let ended = of.exhausted();
                    self.finish(course, ended, None);
                }
            },
            Given::Refused(RefusedWhy::NoModel) => self.finish(course, Ended::Failed(404), None),
            Given::Refused(RefusedWhy::Token) => self.finish(course, Ended::Failed(401), None),
            Given::Refused(_) => self.finish(course, Ended::Failed(503), None),
        }
    }

    fn go(&mut self, course: u32, grant: Grant, leased: bool) {
        let delay = grant.delay_ms;
        let of = self.courses.at(course);
        of.waited += delay;
        of.grant = Some(grant);
        of.leased = leased;
        self.plan(self.now + delay, Event::Send(course));
    }

    /// A number of the isolate's own.
    pub(crate) fn local(&mut self) -> u64 {
        LOCAL_GRANT | (self.rng.word() >> 2)
    }

    pub(crate) fn flush_soon(&mut self, at: usize) {
        if !self.isolates[at].flush_planned && !self.isolates[at].outbox.is_empty() {
            self.isolates[at].flush_planned = true;
            self.plan(self.now + SETTLE_FLUSH_MS, Event::Flush(at));
        }
    }

    pub(crate) fn flush_now(&mut self, at: usize) {
        if self.isolates[at].outbox.has_waited(0, self.now) {
            self.call(at, None, None, None);
        }
    }

    fn flush(&mut self, at: usize) {
        self.isolates[at].flush_planned = false;
        // What came later has most likely an ask to go with.
        if self.isolates[at].outbox.has_waited(SETTLE_FLUSH_MS, self.now) {
            self.call(at, None, None, None);
        }
        self.flush_soon(at);
    }
}
