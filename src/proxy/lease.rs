//! Leases on the isolate's side: who may use one, and filling it up before it is empty.

use super::ask::{Asked, ask};
use super::authenticate::Client;
use super::read::Body;
use super::{settle, state};
use crate::platform::time;
use rondo_core::pool::lease::{KindId, Need, PROMPT_TOKENS_MAX, Size, Turn};
use rondo_core::pool::protocol::{Given, Grant, Want};

/// What a request needs of a lease; `None` when it has to ask for itself: a token with limits of its own, a
/// pace, public mode and large requests are all counted one by one.
pub fn need<'a>(client: &'a Client, body: &'a Body) -> Option<Need<'a>> {
    let settings = &client.known.snapshot.settings;
    if settings.pace_ms > 0
        || settings.key_pace_ms > 0
        || body.prompt_tokens > PROMPT_TOKENS_MAX
        || client.is_public()
    {
        return None;
    }
    let token = client.record().filter(|token| !token.limits.any())?;
    let size = Size { prompt_tokens: body.prompt_tokens, max_completion_tokens: body.scan.max_tokens };
    Some(Need { model: body.model(), allowed: token.models.as_deref(), size })
}

/// The request's turn at the leases.
pub fn take(need: &Need<'_>, now: u64, patience_ms: u64) -> Turn {
    let confirmed_at = state::confirmed_at();
    state::leases(|leases| leases.take(need, now, patience_ms, confirmed_at))
}

/// Keeps the grants of a lease that was asked for at `asked_at`. The caller sees to it that somebody stays to
/// give back what is not used.
pub fn keep(
    kind: KindId,
    size: Size,
    version: (u64, u64),
    grants: impl IntoIterator<Item = Grant>,
    asked_at: u64,
) {
    let now = time::now_ms();
    state::leases(|leases| leases.add(kind, size, version, grants, asked_at, now));
}

/// Fills a lease up behind the back of the request that noticed it running low.
pub fn refill(env: &worker::Env, context: &worker::Context, kind: KindId, want: Want) {
    let env = env.clone();
    context.wait_until(async move {
        let size =
            Size { prompt_tokens: want.prompt_tokens, max_completion_tokens: want.max_completion_tokens };
        let asked_at = time::now_ms();
        let Asked::Answered(word) = ask(&env, Some(want), Vec::new()).await else { return };
        let grants = match word.given {
            Some(Given::Grants(grants)) => grants,
            _ => Vec::new(),
        };
        state::fallback(|fallback| grants.iter().for_each(|grant| fallback.learn(grant)));
        keep(kind, size, word.version, grants, asked_at);
        settle::delivery_within(&env, false).await;
    });
}
