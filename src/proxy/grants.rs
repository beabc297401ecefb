//! Where a request's grants come from: those in hand, the isolate's lease, the Coordinator, and without it the
//! keys this isolate knows.

use super::ask::{Asked, ask_under, confirm_without_coordinator, find_keys};
use super::authenticate::unusable;
use super::course::Course;
use super::wait::is_usable;
use super::{lease, settle, silent, state};
use crate::platform::time;
use rondo_core::limits::grant::USE_WITHIN_MS;
use rondo_core::pool::lease::{KindId, Size, Turn};
use rondo_core::pool::outcome;
use rondo_core::pool::protocol::{Fault, Given, Grant, RefusedWhy, Waiting, Want};
use rondo_core::wire::errors::ApiError;

/// How often an upstream that failed on every key is tried on all of them again.
const ROUNDS: u32 = 2;
/// The pause before the first such round; the second's is twice as long.
const ROUND_PAUSE_MS: u64 = 250;

/// A lease that is asked for along with a request's own grant.
#[derive(Clone, Copy)]
struct Lease {
    kind: KindId,
    count: u32,
    size: Size,
}

/// What came of one ask.
struct Told {
    given: Given,
    /// Generation and epoch under which it was given.
    version: (u64, u64),
}

impl Course<'_> {
    /// The next grant that can be used now: one in hand or of the lease, else asked for.
    pub(super) async fn next_grant(&mut self) -> Result<Grant, ApiError> {
        let mut ticket = None;
        // Leases are for first attempts, and looked at once.
        let mut may_lease = self.attempts == 0;
        loop {
            while let Some((grant, given_at)) = self.candidates.pop_front() {
                let unfit = self.excluded_keys.iter().any(|(key, _)| *key == grant.key);
                if !unfit && is_usable(&grant, given_at, time::now_ms()) {
                    return Ok(grant);
                }
                settle::unused(&grant);
            }
            let asked_at = time::now_ms();
            let lease = match std::mem::take(&mut may_lease).then(|| self.leased(asked_at)) {
                Some(Ok(grant)) => return Ok(grant),
                Some(Err(lease)) => lease,
                None => None,
            };
            // Boxed: with leases few requests ask, and its state would be part of each.
            let Told { given, version } = Box::pin(self.ask_once(ticket, lease, asked_at)).await?;
            // The answer may have brought a snapshot under which this token is not what it was.
            if let Err(error) = self.client.check_again() {
                self.give_back(given);
                return Err(error);
            }
            let now = time::now_ms();
            match given {
                Given::Grants(grants) if grants.is_empty() => {
                    return Err(outcome::refused(
                        RefusedWhy::NoActiveKey,
                        self.body.model(),
                        self.last.take(),
                    ));
                }
                Given::Grants(mut grants) => {
                    self.patience.count(now.saturating_sub(asked_at));
                    if self.about.degraded.is_none() {
                        state::fallback(|fallback| grants.iter().for_each(|grant| fallback.learn(grant)));
                        if let Some(lease) = lease {
                            // The first is this request's own, the others are anybody's.
                            self.keep(lease, version, grants.split_off(1), asked_at);
                        }
                    }
                    self.candidates.extend(grants.into_iter().map(|grant| (grant, now)));
                }
                Given::RetryAfter { .. } | Given::TooLarge { .. } if lease.is_some() => {
                    // A lease's size is rounded up. What the request itself needs may fit.
                    self.patience.count(now.saturating_sub(asked_at));
                    if let Some(lease) = lease {
                        self.keep(lease, version, Vec::new(), asked_at);
                    }
                }
                Given::Ticket { ticket: number, after_ms, why } => {
                    // The answer took its time.
                    if after_ms > self.patience.left(now) {
                        return Err(self.too_late(after_ms, why));
                    }
                    ticket = Some(number);
                    self.patience.wait(after_ms.clamp(1, USE_WITHIN_MS.max(after_ms))).await;
                }
                Given::RetryAfter { after_ms, why } => return Err(self.too_late(after_ms, why)),
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

    /// A grant of the isolate's lease; else what to ask for beside the request's own.
    fn leased(&self, now: u64) -> Result<Grant, Option<Lease>> {
        let Some(need) = lease::need(&self.client, &self.body) else { return Err(None) };
        let Turn { kind, grant, ask: count } = lease::take(&need, now, self.patience.left(now));
        let lease = Lease { kind, count, size: need.size.rounded() };
        let Some(grant) = grant else { return Err((count > 1).then_some(lease)) };
        if count > 0 {
            // Nobody waits for these: only what can be sent at once is worth having.
            // What was promised to the same body is not for them either.
            let want = Want { deadline_ms: 0, fingerprint: 0, ..self.want(None, Some(lease), now) };
            lease::refill(self.env, self.context, kind, want);
        }
        Ok(grant)
    }

    fn keep(&self, lease: Lease, version: (u64, u64), grants: Vec<Grant>, asked_at: u64) {
        let any = !grants.is_empty();
        lease::keep(lease.kind, lease.size, version, grants, asked_at);
        if any {
            // Somebody has to stay for those that nobody uses.
            settle::deliver(self.env, self.context, false);
        }
    }

    /// Asks the Coordinator, and looks for a key of its own while that is silent.
    async fn ask_once(
        &mut self,
        ticket: Option<u64>,
        lease: Option<Lease>,
        now: u64,
    ) -> Result<Told, ApiError> {
        let want = self.want(ticket, lease, now);
        match ask_under(self.env, Some(want), Vec::new(), &self.watch).await {
            Asked::Answered(word) => {
                self.urgent = false;
                self.about.allowance = word.allowance;
                let given = word.given.unwrap_or(Given::Refused(RefusedWhy::NoActiveKey));
                Ok(Told { given, version: word.version })
            }
            Asked::Unusable(why) => Err(unusable(why)),
            Asked::Silent(reported) => {
                if let Err(why) = confirm_without_coordinator(self.env).await {
                    return Err(unusable(reported.unwrap_or(why)));
                }
                self.about.degraded = Some("coordinator");
                find_keys(self.env).await;
                let given = self.fallback_grant()?;
                match (&given, reported) {
                    // What the Coordinator said of itself is the cause of there being no key.
                    (Given::Refused(RefusedWhy::NoActiveKey), Some(why)) => Err(unusable(why)),
                    _ => Ok(Told { given, version: state::version() }),
                }
            }
        }
    }

    fn too_late(&mut self, after_ms: u64, why: Waiting) -> ApiError {
        outcome::wait_too_long(after_ms, why, self.about.allowance.as_ref(), self.last.take())
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

    fn want(&self, ticket: Option<u64>, lease: Option<Lease>, now: u64) -> Want {
        let own =
            Size { prompt_tokens: self.body.prompt_tokens, max_completion_tokens: self.body.scan.max_tokens };
        let (size, count) = lease.map_or((own, 1), |lease| (lease.size, lease.count));
        Want {
            token: self.client.token.to_string(),
            model: self.body.model().map(str::to_owned),
            address: self.address.clone(),
            count,
            prompt_tokens: size.prompt_tokens,
            max_completion_tokens: size.max_completion_tokens,
            fingerprint: self.body.fingerprint,
            deadline_ms: self.patience.left(now).min(self.time_left()),
            attempts_left: self.budget.saturating_sub(self.attempts),
            exclude_keys: self.excluded_keys.iter().map(|(key, _)| key.clone()).collect(),
            exclude_models: self.excluded_models.clone(),
            ticket,
            playground: self.client.is_playground(),
        }
    }
}
