//! One request: authenticate → read → ask → wait → send → gate → stream → settle, and again from `ask` while
//! a failure can be hidden.

use super::answer;
use super::ask::{Asked, ask_under, confirm_without_coordinator, find_keys};
use super::authenticate::{CREDENTIAL_HEADERS, Client, authenticate, unusable};
use super::gate::{self, Passed};
use super::read::{BODY_HEADERS, Body, read};
use super::send::{Failed, send};
use super::settle::{self, Story};
use super::wait::{Patience, is_usable};
use super::{silent, state, stream};
use crate::platform::incoming::{Incoming, Names};
use crate::platform::race::Watch;
use crate::platform::respond::About;
use crate::platform::streams::Channel;
use crate::platform::time;
use rondo_core::config::Timeouts;
use rondo_core::limits::grant::{DEFAULT_COMPLETION_TOKENS, USE_WITHIN_MS};
use rondo_core::pool::outcome::{self, Failure};
use rondo_core::pool::protocol::{Attempt, AttemptEnd, Fault, Given, Grant, RefusedWhy, Want};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::headers::{REQUEST_HEADERS, can_pass, deadline_ms, request_id};
use rondo_core::wire::usage::Usage;
use std::collections::VecDeque;

thread_local! {
    static CREDENTIALS: Names<4> = const { Names::new(CREDENTIAL_HEADERS) };
    static BODY: Names<3> = const { Names::new(BODY_HEADERS) };
    static PASSED: Names<4> = const { Names::new(REQUEST_HEADERS) };
    static OWN: Names<4> = const {
        Names::new(["x-request-id", "x-stainless-timeout", "x-stainless-read-timeout", "x-rondo-deadline-ms"])
    };
}

/// How often an upstream that failed on every key is tried on all of them again.
const ROUNDS: u32 = 2;
/// The pause before the first such round; the second's is twice as long.
const ROUND_PAUSE_MS: u64 = 250;
/// The pause before a crowded upstream is asked again, when the Coordinator says nothing of it.
const QUEUE_PAUSE_MS: u64 = 250;

/// The credentials of a request, in the order of [`CREDENTIAL_HEADERS`].
pub fn credentials_of(request: &Incoming) -> [Option<String>; 4] {
    CREDENTIALS.with(|names| request.headers(names))
}

/// What the answers to a request say about it, and its own deadline.
pub fn about(request: &Incoming) -> (About, Option<u64>) {
    let [id, timeout, read_timeout, deadline] = OWN.with(|names| request.headers(names));
    let about = About { request_id: request_id(id.as_deref(), state::request_entropy()), ..About::default() };
    (about, deadline_ms(timeout.as_deref(), read_timeout.as_deref(), deadline.as_deref()))
}

/// Serves `POST /v1/chat/completions`.
pub async fn chat(request: &Incoming, env: &worker::Env, context: &worker::Context) -> web_sys::Response {
    let started = time::now_ms();
    let (about, deadline) = about(request);
    match prepare(request, env).await {
        Ok((client, body)) => {
            let settings = &client.known.snapshot.settings;
            let patience = Patience::new(started, deadline, settings.max_wait_ms);
            let budget = settings.attempt_budget.max(1);
            let passed = passed_headers(request);
            let course = Course {
                env,
                context,
                started,
                about,
                client,
                body,
                passed,
                patience,
                budget,
                attempts: 0,
                excluded_keys: Vec::new(),
                rounds: 0,
                excluded_models: Vec::new(),
                last: None,
                candidates: VecDeque::new(),
                watch: Watch::default(),
                model: String::new(),
            };
            course.run().await
        }
        Err(error) if error.status == 413 => too_large(request, context, &error, &about),
        Err(error) => {
            request.discard().await;
            answer::error(&error, &about)
        }
    }
}

/// Answers at once, and ends the answer when the client has stopped sending: once an answer is over the server
/// closes a connection that is still being sent to, and the client may never read what it was told.
fn too_large(
    request: &Incoming,
    context: &worker::Context,
    error: &ApiError,
    about: &About,
) -> web_sys::Response {
    let Ok(channel) = Channel::new() else { return answer::error(error, about) };
    if channel.sink.queue(&js_sys::Uint8Array::from(error.to_body().as_slice())).is_err() {
        return answer::error(error, about);
    }
    let (rest, sink) = (request.clone(), channel.sink);
    context.wait_until(async move {
        rest.drain().await;
        sink.close().await;
    });
    answer::error_over(error, about, &channel.readable)
}

async fn prepare(request: &Incoming, env: &worker::Env) -> Result<(Client, Body), ApiError> {
    let client = authenticate(env, &credentials_of(request), true).await?;
    let body = read(request, &BODY.with(|names| request.headers(names))).await?;
    Ok((client, body))
}

fn passed_headers(request: &Incoming) -> Vec<(&'static str, String)> {
    let values = PASSED.with(|names| request.headers(names));
    REQUEST_HEADERS
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name, value.filter(|value| can_pass(value))?)))
        .collect()
}

/// A request on its way.
struct Course<'a> {
    env: &'a worker::Env,
    context: &'a worker::Context,
    started: u64,
    about: About,
    client: Client,
    body: Body,
    passed: Vec<(&'static str, String)>,
    patience: Patience,
    budget: u32,
    attempts: u32,
    /// Keys that failed, and how last.
    excluded_keys: Vec<(String, Fault)>,
    /// How often all keys were gone through.
    rounds: u32,
    excluded_models: Vec<String>,
    last: Option<Failure>,
    /// Grants in hand, with when they were given.
    candidates: VecDeque<(Grant, u64)>,
    /// Its timer.
    watch: Watch,
    /// The model tried last.
    model: String,
}

impl Course<'_> {
    async fn run(mut self) -> web_sys::Response {
        loop {
            let grant = match self.next_grant().await {
                Ok(grant) => grant,
                Err(error) => return self.end(&error, false),
            };
            self.patience.wait(grant.delay_ms).await;
            self.attempts += 1;
            self.model.clone_from(&grant.model);
            let timeouts = self.timeouts();
            let sent =
                send(self.env, &self.client, &self.body, &self.passed, grant, &timeouts, &self.watch).await;
            let passed = match sent {
                Ok(sent) if self.body.scan.stream => gate::stream(sent, &self.timeouts(), &self.watch).await,
                Ok(sent) => gate::document(sent, &self.timeouts(), &self.watch).await,
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
    fn time_left(&self) -> u64 {
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
        let attempt = Attempt {
            retry_after_ms: failure.retry_after_ms,
            status: failure.status,
            ..ledger.close(AttemptEnd::Failed(fault), Usage::default(), now)
        };
        state::fallback(|fallback| fallback.failed(&grant.key, fault, failure.retry_after_ms, now));
        let last = !fault.is_retryable() || self.attempts >= self.budget || self.time_left() == 0;
        if last {
            let error = outcome::after(failure);
            let request = self.story().end(&grant.model, error.status, now);
            settle::attempt(grant, attempt, Some(request));
            return Some((error, true));
        }
        settle::attempt(grant, attempt, None);
        if fault.excludes_key() {
            self.excluded_keys.retain(|(key, _)| *key != grant.key);
            self.excluded_keys.push((grant.key.clone(), fault));
        }
        if fault.excludes_model() && !self.excluded_models.contains(&grant.model) {
            self.excluded_models.push(grant.model.clone());
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

    /// The next grant that can be used now: one in hand, else asked for.
    async fn next_grant(&mut self) -> Result<Grant, ApiError> {
        let mut ticket = None;
        loop {
            while let Some((grant, given_at)) = self.candidates.pop_front() {
                let unfit = self.excluded_keys.iter().any(|(key, _)| *key == grant.key)
                    || self.excluded_models.contains(&grant.model);
                if !unfit && is_usable(&grant, given_at, time::now_ms()) {
                    return Ok(grant);
                }
                settle::unused(&grant);
            }
            let asked_at = time::now_ms();
            let want = self.want(ticket, asked_at);
            let given = match ask_under(self.env, Some(want), Vec::new(), &self.watch).await {
                Asked::Answered(given) => given.unwrap_or(Given::Refused(RefusedWhy::NoActiveKey)),
                Asked::Unusable(why) => return Err(unusable(why)),
                Asked::Silent(reported) => {
                    if let Err(why) = confirm_without_coordinator(self.env).await {
                        return Err(unusable(reported.unwrap_or(why)));
                    }
                    self.about.degraded = Some("coordinator");
                    find_keys(self.env).await;
                    let given = self.fallback_grant()?;
                    // What the Coordinator said of itself is the cause of there being no key.
                    if let (Given::Refused(RefusedWhy::NoActiveKey), Some(why)) = (&given, reported) {
                        return Err(unusable(why));
                    }
                    given
                }
            };
            // The answer may have brought a snapshot under which this token is not what it was.
            if let Err(error) = self.client.check_again() {
                self.give_back(given);
                return Err(error);
            }
            let now = time::now_ms();
            match given {
                Given::Grants(grants) => {
                    self.patience.count(now.saturating_sub(asked_at));
                    if self.about.degraded.is_none() {
                        state::fallback(|fallback| grants.iter().for_each(|grant| fallback.learn(grant)));
                    }
                    if grants.is_empty() {
                        return Err(outcome::refused(
                            RefusedWhy::NoActiveKey,
                            self.body.model(),
                            self.last.take(),
                        ));
                    }
                    self.candidates.extend(grants.into_iter().map(|grant| (grant, now)));
                }
                Given::Ticket { ticket: number, after_ms } => {
                    if after_ms > self.patience.left(now) {
                        return Err(outcome::wait_too_long(after_ms, self.last.take()));
                    }
                    ticket = Some(number);
                    self.patience.wait(after_ms.clamp(1, USE_WITHIN_MS.max(after_ms))).await;
                }
                Given::RetryAfter { after_ms, .. } => {
                    return Err(outcome::wait_too_long(after_ms, self.last.take()));
                }
                Given::TooLarge { tokens, limit } => return Err(outcome::too_large(tokens, limit)),
                Given::Refused(RefusedWhy::KeysExhausted) if self.another_round() => {
                    self.patience.wait(ROUND_PAUSE_MS * u64::from(self.rounds)).await;
                }
                Given::Refused(why) => {
                    return Err(outcome::refused(why, self.body.model(), self.last.take()));
                }
            }
        }
    }

    /// All keys were tried. Those whose quota was used up refill, and an upstream that failed may do better in
    /// a moment: they may be given again, the latter a few times. The Coordinator knows how long they rest.
    fn another_round(&mut self) -> bool {
        let patient = self.patience.left(time::now_ms()) > 0 && self.about.degraded.is_none();
        let before = self.excluded_keys.len();
        let again = self.rounds < ROUNDS;
        self.excluded_keys.retain(|(_, fault)| match fault {
            Fault::Quota => false,
            Fault::Upstream | Fault::Timeout | Fault::Lost => !again,
            _ => true,
        });
        self.rounds += 1;
        patient && self.excluded_keys.len() < before
    }

    fn fallback_grant(&mut self) -> Result<Given, ApiError> {
        self.client.check_again()?;
        let keys: Vec<String> = self.excluded_keys.iter().map(|(key, _)| key.clone()).collect();
        Ok(silent::give(
            &self.client.known,
            &self.client.token,
            &keys,
            &self.excluded_models,
            self.body.model(),
        ))
    }

    fn give_back(&self, given: Given) {
        if let Given::Grants(grants) = given {
            grants.iter().for_each(settle::unused);
        }
    }

    fn want(&self, ticket: Option<u64>, now: u64) -> Want {
        Want {
            token: self.client.token.to_string(),
            model: self.body.model().map(str::to_owned),
            address: None,
            count: 1,
            prompt_tokens: self.body.prompt_tokens,
            max_completion_tokens: self.body.scan.max_tokens,
            deadline_ms: self.patience.left(now),
            attempts_left: self.budget.saturating_sub(self.attempts),
            exclude_keys: self.excluded_keys.iter().map(|(key, _)| key.clone()).collect(),
            exclude_models: self.excluded_models.clone(),
            ticket,
        }
    }

    fn story(&self) -> Story {
        Story {
            token: self.client.token.clone(),
            started: self.started,
            attempts: self.attempts,
            wait_ms: self.patience.waited(),
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
    fn end(mut self, error: &ApiError, told: bool) -> web_sys::Response {
        self.tell();
        if !told {
            let model = self.about.model.clone().unwrap_or_default();
            settle::request(self.story().end(&model, error.status, time::now_ms()));
        }
        settle::deliver(self.env, self.context, true);
        answer::error(error, &self.about)
    }

    /// Gives the client what passed the gate.
    fn deliver(mut self, passed: Passed) -> web_sys::Response {
        self.tell();
        let story = self.story();
        match passed {
            Passed::Whole(whole) => {
                let now = time::now_ms();
                let usage = whole
                    .usage
                    .unwrap_or_else(|| Usage::estimate(self.body.prompt_tokens, whole.completion_estimate));
                let mut request = story.end(&whole.ledger.grant.model, 200, now);
                request.usage = usage;
                request.error = whole.failed;
                request.first_event_ms = Some(request.duration_ms);
                let end = if whole.failed { AttemptEnd::Failed(Fault::Upstream) } else { AttemptEnd::Ok };
                if end == AttemptEnd::Ok {
                    state::fallback(|fallback| fallback.succeeded(&whole.ledger.grant.key));
                }
                settle::attempt(&whole.ledger.grant, whole.ledger.close(end, usage, now), Some(request));
                settle::deliver(self.env, self.context, false);
                answer::whole(&whole, &self.about)
            }
            Passed::Begun(begun) => {
                let head = answer::head(&begun.answer);
                let telling = stream::Telling {
                    story,
                    prompt_tokens: self.body.prompt_tokens,
                    max_tokens: self.body.scan.max_tokens.map(|most| most.min(DEFAULT_COMPLETION_TOKENS)),
                    metering: self.client.known.snapshot.settings.metering,
                    timeouts: self.client.known.snapshot.settings.timeouts,
                };
                state::fallback(|fallback| fallback.succeeded(&begun.ledger.grant.key));
                match stream::start(self.env, self.context, begun, telling) {
                    Ok(readable) => answer::streamed(&readable, &head, &self.about),
                    Err(_) => answer::error(&ApiError::internal(), &self.about),
                }
            }
        }
    }
}
