//! Testing a key: one tiny request upstream, and the key's state follows what it says.

use super::call::Call;
use super::keys::unknown;
use super::problem::{Outcome, Problem};
use super::{coordinator, time_text};
use crate::platform::fetch::{Credential, Incoming, Outgoing, post};
use crate::platform::json::Reply;
use crate::platform::race::within;
use crate::platform::{body, env, time};
use crate::store::keys::{self, SealedRow};
use crate::store::pools;
use js_sys::Uint8Array;
use rondo_core::config::keys::Chosen;
use rondo_core::config::{DEFAULT_POOL, ModelPool};
use rondo_core::limits::request::ERROR_BODY_BYTES;
use rondo_core::pool::faults::classify;
use rondo_core::pool::protocol::Fault;
use rondo_core::pool::providers::{KeyHeader, Provider};
use rondo_core::vault::Keyring;
use rondo_core::wire::errors::{UpstreamError, parse_upstream};
use rondo_core::wire::headers::{exhausted_reset_ms, rate_limits, retry_after_ms};
use serde_json::{Value, json};
use worker::Env;

/// Longest test, from sending to the end of the answer.
const TEST_MS: u64 = 12_000;

/// What a test found.
struct Found {
    outcome: &'static str,
    http_status: Option<u16>,
    detail: String,
    retry_after_ms: Option<u64>,
}

impl Found {
    fn nothing(outcome: &'static str, detail: &str) -> Self {
        Self { outcome, http_status: None, detail: detail.to_owned(), retry_after_ms: None }
    }
}

/// The model that tests ask for: the default pool's first enabled one of the provider.
fn model_of<'a>(pools: &'a [ModelPool], provider: &str) -> Option<&'a str> {
    let pool = pools.iter().find(|pool| pool.name == DEFAULT_POOL)?;
    let fits = |member: &&rondo_core::config::Member| member.enabled && member.provider == provider;
    pool.members.iter().find(fits).map(|member| member.model.as_str())
}

fn upstream(env: &Env, provider: &Provider, row: &SealedRow) -> String {
    let base = row.base_url.clone().or_else(|| env::text(env, provider.base_variable));
    provider.chat_url(base.as_deref())
}

/// Sends the request and reads what comes back.
async fn send(url: &str, (header, key): (KeyHeader, &str), model: &str) -> Found {
    let request =
        json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 1});
    let bytes = Uint8Array::from(request.to_string().as_bytes());
    let outgoing = Outgoing {
        url: &url.into(),
        key: &Credential::new(header, key),
        passed: &[],
        body: &bytes,
        read_along: 0,
    };
    let Ok((abort, mut sent)) = post(&outgoing) else {
        return Found::nothing("unreachable", "the connection failed");
    };
    let exchange = async {
        (&mut sent).await.map_err(|_| ())?;
        let answer = sent.begun().map_err(|_| ())?;
        let text = match answer.body() {
            Some(source) => body::beginning(&source, ERROR_BODY_BYTES).await,
            None => Vec::new(),
        };
        Ok::<_, ()>((answer, text))
    };
    match within(TEST_MS, exchange).await {
        None => {
            abort.abort();
            Found::nothing("unreachable", "no answer within 12 s")
        }
        Some(Err(())) => Found::nothing("unreachable", "the connection failed"),
        Some(Ok((answer, text))) => judge(&answer, &text, key),
    }
}

fn judge(answer: &Incoming, text: &[u8], key: &str) -> Found {
    let status = answer.status;
    let retry_after_ms = stated_wait(answer);
    let error = match status {
        200..=299 => UpstreamError::default(),
        _ => parse_upstream(status, &answer.header("content-type").unwrap_or_default(), text),
    };
    let outcome = outcome(status, &error, text, retry_after_ms.is_some());
    let detail = match (outcome, status) {
        ("ok", _) => String::new(),
        (_, 200..=299) => "the answer is no chat completion".to_owned(),
        (_, 300..=399) => "the upstream redirects elsewhere, which is not followed".to_owned(),
        // Upstreams quote keys; what looks like one is blanked out already, this one whatever it looks like.
        _ => error.message.replace(key, "***"),
    };
    let retry_after_ms = retry_after_ms.filter(|_| outcome == "limited");
    Found { outcome, http_status: Some(status), detail, retry_after_ms }
}

/// A status and an error in the contract's words. A 429 never makes a key invalid.
fn outcome(status: u16, error: &UpstreamError, text: &[u8], stated_wait: bool) -> &'static str {
    match status {
        200..=299 => {
            let answer: Option<Value> = serde_json::from_slice(text).ok();
            let whole = answer.is_some_and(|answer| answer.get("choices").is_some_and(Value::is_array));
            return if whole { "ok" } else { "refused" };
        }
        300..=399 => return "refused",
        _ => {}
    }
    match classify(status, error, stated_wait) {
        Fault::Key => "invalid",
        Fault::Payment => "suspended",
        Fault::Quota => "limited",
        Fault::Queue => "busy",
        Fault::Model => "model_missing",
        Fault::Path | Fault::Client => "refused",
        Fault::Upstream if status == 429 => "limited",
        Fault::Upstream | Fault::Timeout | Fault::Lost => "unreachable",
    }
}

/// How long the answer asks to wait, in `Retry-After`'s forms or its limit headers.
fn stated_wait(answer: &Incoming) -> Option<u64> {
    let limits = answer.limit_headers();
    let readings = rate_limits(limits.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (after, after_ms) = (answer.header("retry-after"), answer.header("retry-after-ms"));
    retry_after_ms(after.as_deref(), after_ms.as_deref(), exhausted_reset_ms(&readings), time::now_ms())
}

/// What is needed to test keys, apart from the keys.
pub struct Bench {
    env: Env,
    ring: std::rc::Rc<Keyring>,
    pools: Vec<ModelPool>,
}

impl Bench {
    /// Reads the pools. Two queries.
    ///
    /// # Errors
    /// 503.
    pub async fn new(call: &Call) -> Result<Self, Problem> {
        let (pools, _) = pools::list(&call.db).await?;
        Ok(Self { env: call.env.clone(), ring: std::rc::Rc::clone(&call.ring), pools })
    }

    /// For tests of a model that is given.
    #[must_use]
    pub fn without_pools(call: &Call) -> Self {
        Self { env: call.env.clone(), ring: std::rc::Rc::clone(&call.ring), pools: Vec::new() }
    }

    /// Tests one key; no query, one request upstream and one call of the Coordinator.
    pub async fn test(&self, row: &SealedRow) -> Value {
        self.test_model(row, model_of(&self.pools, &row.provider)).await
    }

    /// Tests one key with that model; costs as much.
    pub async fn test_model(&self, row: &SealedRow, model: Option<&str>) -> Value {
        let started = time::now_ms();
        let found = match (self.ring.data.open(&row.id, &row.sealed), model, Provider::find(&row.provider)) {
            (Ok(key), Some(model), Some(provider)) => {
                let key = (provider.key_header, key.expose().as_str());
                send(&upstream(&self.env, provider, row), key, model).await
            }
            (Err(error), ..) => Found::nothing("refused", &error.to_string()),
            (_, None, _) => {
                Found::nothing("refused", "the default pool has no enabled model of this provider")
            }
            (.., None) => Found::nothing("refused", "this provider is not known"),
        };
        let latency_ms = time::now_ms().saturating_sub(started);
        let state = match (found.http_status, model) {
            (None, _) if found.outcome == "refused" => None,
            (status, Some(model)) => {
                let status = status.unwrap_or_default();
                coordinator::tested(&self.env, &row.id, model, found.outcome, status, found.retry_after_ms)
                    .await
                    .ok()
            }
            _ => None,
        };
        json!({
            "outcome": found.outcome,
            "http_status": found.http_status,
            "latency_ms": latency_ms,
            "detail": found.detail,
            "status": state.as_ref().map(|state| state.status.clone()),
            "reason": state.as_ref().and_then(|state| state.reason.clone()),
            "until": state.as_ref().and_then(|state| time_text(state.until)),
        })
    }
}

/// `POST /api/keys/{id}/test`. Four queries.
pub async fn test(call: &Call, id: &str) -> Outcome {
    let rows = keys::sealed(&call.db, &Chosen::Ids(vec![id.to_owned()]), "", 1).await?;
    let row = rows.first().ok_or_else(unknown)?;
    let result = Bench::new(call).await?.test(row).await;
    let (actor, outcome) = (call.actor(), result.get("outcome").and_then(Value::as_str).unwrap_or_default());
    let detail = format!("{id} {outcome}");
    crate::store::audit::record(&call.db, &call.deed(&actor, "key.test", &detail)).await?;
    Ok(Reply::new(200).json(&result))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> &'static str {
        outcome(status, &parse_upstream(status, "application/json", body.as_bytes()), body.as_bytes(), false)
    }

    #[test]
    fn every_answer_has_its_word_and_no_429_makes_a_key_invalid() {
        for (status, body, word) in [
            (200, r#"{"choices":[]}"#, "ok"),
            (200, "<html>log in</html>", "refused"),
            (302, "", "refused"),
            (401, r#"{"message":"Wrong API Key","code":"wrong_api_key"}"#, "invalid"),
            (403, r#"{"detail":"Not authenticated"}"#, "invalid"),
            (403, "error code: 1010", "refused"),
            (402, "{}", "suspended"),
            (404, r#"{"message":"Model x does not exist","code":"model_not_found"}"#, "model_missing"),
            (404, "", "refused"),
            (400, r#"{"message":"bad","code":"wrong_api_format"}"#, "refused"),
            (429, r#"{"message":"m","code":"request_quota_exceeded"}"#, "limited"),
            (429, r#"{"message":"m","code":"queue_exceeded"}"#, "busy"),
            (429, r#"{"message":"Wrong API Key","code":"wrong_api_key"}"#, "limited"),
            (500, "", "unreachable"),
            (503, "{}", "unreachable"),
        ] {
            assert_eq!(said(status, body), word, "{status} {body}");
        }
    }
}
