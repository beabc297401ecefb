//! One request's course: ask → wait → send → gate → stream → settle, and again from `ask` while a failure can
//! be hidden.

use super::authenticate::Client;
use super::gate::{self, Passed};
use super::read::Body;
use super::send::{Failed, Sending, send};
use super::settle::{self, Story};
use super::wait::Patience;
use super::{answer, state, stream, translated};
use crate::platform::race::Watch;
use crate::platform::respond::About;
use crate::platform::time;
use rondo_core::config::Timeouts;
use rondo_core::limits::coordinator::ATTEMPTS_TOLD;
use rondo_core::limits::grant::DEFAULT_COMPLETION_TOKENS;
use rondo_core::limits::request::{HELD_ANSWER_BYTES, TRANSLATED_BYTES};
use rondo_core::pool::faults::named_quota;
use rondo_core::pool::outcome::{self, Failure};
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Grant, RequestEnd};
use rondo_core::pool::stories::Tried;
use rondo_core::wire::dialects::Answering;
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::usage::Usage;
use std::collections::VecDeque;

/// The pause before a crowded upstream is asked again, when the Coordinator says nothing of it.
/// A timer may be so much early.
const EARLY_MS: u64 = 20;
const QUEUE_PAUSE_MS: u64 = 250;

/// A request that came in whole, from somebody who may ask.
pub struct Arrived {
    /// When it began (unix milliseconds).
    pub started: u64,
    /// What the answers say about it.
    pub about: About,
    /// The client's own deadline, in milliseconds from its start.
    pub deadline: Option<u64>,
    /// Who asks.
    pub client: Client,
    /// From where, in public mode.
    pub address: Option<String>,
    /// The body.
    pub body: Body,
    /// For a client that speaks another dialect: translates the answer.
    pub answering: Option<Answering>,
    /// Its headers that pass.
    pub passed: Vec<(&'static str, String)>,
}

/// A request on its way.
pub struct Course<'a> {
    pub(super) env: &'a worker::Env,
    pub(super) context: &'a worker::Context,
    started: u64,
    pub(super) about: About,
    pub(super) client: Client,
    pub(super) address: Option<String>,
    pub(super) body: Body,
    answering: Option<Answering>,
    passed: Vec<(&'static str, String)>,
    pub(super) patience: Patience,
    pub(super) budget: u32,
    pub(super) attempts: u32,
    /// Keys that failed, and how last.
    pub(super) excluded_keys: Vec<(String, Fault)>,
    /// How often all keys were gone through.
    pub(super) rounds: u32,
    /// Models that failed, one entry an attempt.
    pub(super) excluded_models: Vec<String>,
    pub(super) last: Option<Failure>,
    /// Grants in hand, with when they were given.
    pub(super) candidates: VecDeque<(Grant, u64)>,
    /// A penalty waits to be reported.
    pub(super) urgent: bool,
    /// Its timer.
    pub(super) watch: Watch,
    /// The model tried last.
    model: String,
    /// Attempts that were followed by another: the last goes with its own report. As many as are told of.
    tried: Vec<Tried>,
}

impl<'a> Course<'a> {
    /// At its beginning.
    pub fn new(env: &'a worker::Env, context: &'a worker::Context, arrived: Arrived) -> Self {
        let Arrived { started, about, deadline, client, address, body, answering, passed } = arrived;
        let settings = &client.known.snapshot.settings;
        let patience = Patience::new(started, deadline, settings.max_wait_ms);
        let budget = settings.attempt_budget.max(1);
        Self {
            env,
            context,
            started,
            about,
            client,
            address,
            body,
            answering,
            passed,
            patience,
            budget,
            attempts: 0,
            excluded_keys: Vec::new(),
            rounds: 0,
            excluded_models: Vec::new(),
            last: None,
            candidates: VecDeque::new(),
            urgent: false,
            watch: Watch::default(),
            model: String::new(),
            tried: Vec::new(),
        }
    }
}

impl Course<'_> {
    /// Takes it to its answer.
    pub async fn run(&mut self) -> web_sys::Response {
        loop {
            let grant = match self.next_grant().await {
                Ok(grant) => grant,
                Err(error) => return self.end(&error, false),
            };
            self.patience.wait(grant.delay_ms).await;
            self.attempts += 1;
            self.model.clone_from(&grant.model);
            let timeouts = self.timeouts();
            // What is translated must be here as a whole.
            let held = if self.answering.is_some() { TRANSLATED_BYTES } else { HELD_ANSWER_BYTES };
            let sending = Sending {
                client: &self.client,
                body: &self.body,
                passed: &self.passed,
                held,
                timeouts: &timeouts,
                watch: &self.watch,
            };
            let sent = send(self.env, sending, grant).await;
            if let Ok(sent) = &sent
                && sent.ledger.grant.learn
            {
                settle::reading(&sent.ledger);
                settle::deliver(self.env, self.context, true);
            }
            let passed = match sent {
                Ok(sent) if self.body.scan.stream => gate::stream(sent, &self.timeouts(), &self.watch).await,
                Ok(sent) => gate::document(sent, held, &self.timeouts(), &self.watch).await,
                Err(failed) => Err(failed),
            };
            match passed {
                Ok(passed) => return self.deliver(passed),
                Err(failed) => {
                    if let Some((error, told)) = self.failed(*failed).await {
                        return self.end(&error, told);
                    }
                }
            }
        }
    }

    /// What is left of the request's whole time, or of the client's own deadline: after that nobody waits for
    /// what another attempt would bring, and it would be paid for all the same.
    pub(super) fn time_left(&self) -> u64 {
        let total = self.client.known.snapshot.settings.timeouts.total_ms;
        let whole = self.patience.stated().map_or(total, |deadline| deadline.min(total));
        whole.saturating_sub(time::now_ms().saturating_sub(self.started))
    }

    /// The time limits up to the gate, within what is left.
    fn timeouts(&self) -> Timeouts {
        let (set, left) = (self.client.known.snapshot.settings.timeouts, self.time_left().max(1));
        Timeouts {
            headers_ms: set.headers_ms.min(left),
            headers_whole_ms: set.headers_whole_ms.min(left),
            first_event_ms: set.first_event_ms.min(left),
            ..set
        }
    }

    /// Takes note of a failed attempt. Gives the answer when there is to be no other, and whether the attempt's
    /// report told the request's end.
    async fn failed(&mut self, failed: Failed) -> Option<(ApiError, bool)> {
        let Failed { failure, ledger } = failed;
        let now = time::now_ms();
        let fault = failure.fault;
        let grant = &ledger.grant;
        // The request's own time ran out first: that nobody waited on says nothing of the upstream.
        let given_up = fault == Fault::Timeout && self.time_left() <= EARLY_MS;
        let settled = if given_up { Fault::Client } else { fault };
        let usage = if given_up { Usage::estimate(self.body.prompt_tokens, 0) } else { Usage::default() };
        let attempt = Attempt {
            retry_after_ms: failure.retry_after_ms,
            quota: if fault == Fault::Quota { named_quota(&failure.error) } else { None },
            status: failure.status,
            ..ledger.close(AttemptEnd::Failed(settled), usage, now)
        };
        state::fallback(|fallback| fallback.failed(&grant.key, settled, failure.retry_after_ms, now));
        state::leases(|leases| leases.failed(now, &grant.key, &grant.model, settled));
        self.urgent = settled != Fault::Client;
        let last = given_up || !fault.is_retryable() || self.attempts >= self.budget || self.time_left() == 0;
        if last {
            let error = outcome::after(failure);
            let request = self.story().end(&grant.model, error.status, now);
            settle::attempt(grant, attempt, Some(request));
            return Some((error, true));
        }
        if self.tried.len() >= ATTEMPTS_TOLD {
            self.tried.remove(0);
        }
        self.tried.push(settle::tried(grant, &attempt));
        settle::attempt(grant, attempt, None);
        if fault.excludes_key() {
            self.excluded_keys.retain(|(key, _)| *key != grant.key);
            self.excluded_keys.push((grant.key.clone(), fault));
        }
        if matches!(fault, Fault::Upstream | Fault::Timeout | Fault::Lost) {
            // It may be the upstream as a whole: whether anybody is sent there now is the Coordinator's to say.
            self.candidates.drain(..).for_each(|(candidate, _)| settle::unused(&candidate));
        }
        if fault.excludes_model() {
            // Each time: their number is that of the attempts spent on models, and the Coordinator may give
            // the same model again with a second key, which then confirms that it is gone.
            self.excluded_models.push(grant.model.clone());
            let unfit = |(candidate, _): &(Grant, u64)| candidate.model == grant.model;
            let (unfit, fit): (VecDeque<_>, _) = self.candidates.drain(..).partition(unfit);
            self.candidates = fit;
            unfit.iter().for_each(|(candidate, _)| settle::unused(candidate));
        }
        // Of a firewall on the way one retry tells whether it was a whim.
        let again = self.last.as_ref().is_some_and(|last| last.fault == Fault::Path);
        self.last = Some(failure);
        if fault == Fault::Path && again {
            return self.last.take().map(|last| (outcome::after(last), false));
        }
        if !self.candidates.is_empty() {
            // Another attempt comes before the next ask; the report does not wait for it.
            settle::deliver(self.env, self.context, false);
        }
        if fault == Fault::Queue && self.about.degraded.is_some() {
            self.patience.wait(QUEUE_PAUSE_MS).await;
        }
        None
    }

    fn story(&self) -> Story {
        Story {
            token: self.client.token.clone(),
            started: self.started,
            attempts: self.attempts,
            wait_ms: self.patience.waited(),
            told: settle::told(
                &self.about.request_id,
                self.body.model(),
                self.body.scan.stream,
                self.client.is_playground(),
                (self.about.dialect, &self.body.notes),
                &self.tried,
            ),
        }
    }

    fn tell(&mut self) {
        for (grant, _) in self.candidates.drain(..) {
            settle::unused(&grant);
        }
        if !self.model.is_empty() {
            self.about.model = Some(std::mem::take(&mut self.model));
        }
        self.about.attempts = Some((self.attempts, self.patience.waited()));
    }

    /// Ends the request with an error. What ended for want of a grant, and not by an attempt whose report
    /// `told` so, is reported by itself.
    fn end(&mut self, error: &ApiError, told: bool) -> web_sys::Response {
        self.tell();
        if !told {
            let model = self.about.model.clone().unwrap_or_default();
            settle::request(self.story().end(&model, error.status, time::now_ms()));
        }
        settle::deliver(self.env, self.context, self.urgent);
        answer::error(error, &self.about)
    }

    /// Gives the client what passed the gate.
    fn deliver(&mut self, passed: Passed) -> web_sys::Response {
        self.tell();
        match passed {
            Passed::Whole(whole) => self.deliver_whole(&whole),
            Passed::Begun(begun) => self.deliver_begun(begun),
        }
    }

    fn deliver_whole(&mut self, whole: &gate::Whole) -> web_sys::Response {
        let now = time::now_ms();
        let translated = self.answering.take().map(|answering| {
            translated::whole(answering, whole, self.body.scan.stream, self.body.prompt_tokens)
        });
        let usage = whole
            .usage
            .unwrap_or_else(|| Usage::estimate(self.body.prompt_tokens, whole.completion_estimate));
        let mut request = self.story().end(&whole.ledger.grant.model, 200, now);
        request.usage = usage;
        request.error = whole.failed;
        request.first_event_ms = Some(request.duration_ms);
        let end = if whole.failed { AttemptEnd::Failed(Fault::Upstream) } else { AttemptEnd::Ok };
        if end == AttemptEnd::Ok {
            state::fallback(|fallback| fallback.succeeded(&whole.ledger.grant.key));
        }
        settle::attempt(&whole.ledger.grant, whole.ledger.close(end, usage, now), Some(request));
        settle::deliver(self.env, self.context, whole.failed);
        match translated {
            None => answer::whole(whole, &self.about),
            Some(Ok((kind, bytes))) => {
                answer::translated(&bytes, &answer::head(&whole.answer).of_type(kind), &self.about)
            }
            Some(Err(error)) => answer::error(&error, &self.about),
        }
    }

    fn deliver_begun(&mut self, begun: gate::Begun) -> web_sys::Response {
        let head = answer::head(&begun.answer);
        let settings = &self.client.known.snapshot.settings;
        let telling = stream::Telling {
            story: self.story(),
            prompt_tokens: self.body.prompt_tokens,
            max_tokens: self.body.scan.max_tokens.map(|most| most.min(DEFAULT_COMPLETION_TOKENS)),
            metering: settings.metering,
            timeouts: settings.timeouts,
        };
        state::fallback(|fallback| fallback.succeeded(&begun.ledger.grant.key));
        let watch = std::mem::take(&mut self.watch);
        let (started, head) = match self.answering.take() {
            None => (stream::start(self.env, self.context, begun, telling, watch), head),
            Some(mut answering) => {
                answering.expect_prompt(self.body.prompt_tokens);
                let head = head.of_type(answering.stream_type());
                (translated::start(self.env, self.context, begun, answering, telling, watch), head)
            }
        };
        match started {
            Ok(readable) => answer::streamed(&readable, &head, &self.about),
            Err(ledger) => {
                // The platform's doing and nobody's fault; the upstream has begun to answer all the same.
                let (error, now) = (ApiError::internal(), time::now_ms());
                let usage = Usage::estimate(self.body.prompt_tokens, 0);
                let request =
                    RequestEnd { usage, ..self.story().end(&ledger.grant.model, error.status, now) };
                settle::attempt(&ledger.grant, ledger.close(AttemptEnd::Cut, usage, now), Some(request));
                settle::deliver(self.env, self.context, false);
                answer::error(&error, &self.about)
            }
        }
    }
}
