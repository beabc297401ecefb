//! Sending one attempt: the key is opened here and nowhere else, and what comes back that is no success is read
//! and classified.

use super::authenticate::Client;
use super::read::Body;
use super::settle::Ledger;
use super::{opened, state};
use crate::platform::body::beginning;
use crate::platform::fetch::{Abort, Incoming, Outgoing, post};
use crate::platform::race::{Watch, within};
use crate::platform::{log, time};
use rondo_core::config::Timeouts;
use rondo_core::limits::request::ERROR_BODY_BYTES;
use rondo_core::pool::faults::classify;
use rondo_core::pool::outcome::Failure;
use rondo_core::pool::protocol::{Fault, Grant};
use rondo_core::pool::providers::Provider;
use rondo_core::wire::errors::parse_upstream;
use rondo_core::wire::headers::{exhausted_reset_ms, rate_limits, retry_after_ms};
use serde_json::json;

/// An answer of status 2xx, its body unread.
pub struct Sent {
    /// Ends the exchange.
    pub abort: Abort,
    /// The answer.
    pub answer: Incoming,
    /// What is known for the report.
    pub ledger: Ledger,
}

/// An attempt that failed before the gate.
pub struct Failed {
    /// Why.
    pub failure: Failure,
    /// What is known for the report.
    pub ledger: Ledger,
}

/// How long reading an error's body may take: it decides whose fault it was, no more.
const ERROR_BODY_MS: u64 = 2_000;

/// What is sent, and how long it may take.
#[derive(Clone, Copy)]
pub struct Sending<'a> {
    /// Whose request it is.
    pub client: &'a Client,
    /// Its body.
    pub body: &'a Body,
    /// Its headers that pass.
    pub passed: &'a [(&'static str, String)],
    /// An answer that is no stream and of at most so many bytes is read along with its head.
    pub held: usize,
    /// The limits of time.
    pub timeouts: &'a Timeouts,
    /// The request's timer.
    pub watch: &'a Watch,
}

/// Sends with this grant and waits for the head of the answer.
///
/// # Errors
/// [`Failed`] for everything but a 2xx in time.
pub async fn send(env: &worker::Env, sending: Sending<'_>, grant: Grant) -> Result<Sent, Box<Failed>> {
    let Sending { client, body, passed, held, timeouts, watch } = sending;
    let mut ledger = Ledger::new(grant, body.prompt_tokens);
    let Some(provider) = Provider::find(&ledger.grant.provider) else {
        log::error("provider_unknown", &json!({"provider": ledger.grant.provider, "key": ledger.grant.key}));
        return Err(Box::new(Failed { failure: Failure::silent(Fault::Key), ledger }));
    };
    let key = match opened::credential(
        &client.known.keyring.data,
        &ledger.grant,
        provider.key_header,
        ledger.sent_at,
    ) {
        Ok(key) => key,
        Err(error) => {
            log::error("key_sealed", &json!({"key": ledger.grant.key, "error": error.to_string()}));
            return Err(Box::new(Failed { failure: Failure::silent(Fault::Key), ledger }));
        }
    };
    let url = state::address(env, provider, ledger.grant.base_url.as_deref());
    let stream = body.scan.stream;
    let posted = post(&Outgoing {
        url: &url,
        key: &key,
        passed,
        body: &body.with_model(&ledger.grant.model),
        // Others wait for the limits that a learning answer's head tells.
        read_along: if stream || ledger.grant.learn { 0 } else { held },
    });
    let Ok((abort, mut posted)) = posted else {
        return Err(Box::new(Failed { failure: Failure::silent(Fault::Lost), ledger }));
    };
    let limit = if stream { timeouts.headers_ms } else { timeouts.headers_whole_ms };
    let told = watch.within(limit, &mut posted).await;
    // Out of time with a head: the limit was for that, and a body that is read along has one of its own.
    let Ok(answer) = posted.begun() else {
        abort.abort();
        let fault = if told.is_some() { Fault::Lost } else { Fault::Timeout };
        return Err(Box::new(Failed { failure: Failure::silent(fault), ledger }));
    };
    ledger.status = answer.status;
    let now = time::now_ms();
    // They change little from one success to the next; a refusal is always read, and what nothing is known of.
    if !(200..300).contains(&answer.status)
        || ledger.grant.learn
        || state::are_limits_due(&ledger.grant.key, now)
    {
        ledger.headers_ms = Some(answer.at.saturating_sub(ledger.sent_at));
        let said = answer.limit_headers();
        ledger.limits = rate_limits(said.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    if (200..300).contains(&answer.status) {
        return Ok(Sent { abort, answer, ledger });
    }
    let failure = refusal(&answer, &ledger).await;
    abort.abort();
    Err(Box::new(Failed { failure, ledger }))
}

/// Reads and classifies an answer that is no success.
async fn refusal(answer: &Incoming, ledger: &Ledger) -> Failure {
    let content_type = answer.header("content-type").unwrap_or_default();
    let text = match answer.body() {
        Some(source) => within(ERROR_BODY_MS, beginning(&source, ERROR_BODY_BYTES)).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let error = parse_upstream(answer.status, &content_type, &text);
    let (after, after_ms) = (answer.header("retry-after"), answer.header("retry-after-ms"));
    let reset = exhausted_reset_ms(&ledger.limits);
    let retry_after_ms = retry_after_ms(after.as_deref(), after_ms.as_deref(), reset, time::now_ms());
    Failure {
        fault: classify(answer.status, &error, retry_after_ms.is_some()),
        status: answer.status,
        error,
        retry_after_ms,
    }
}
