//! Asking the Coordinator: for a grant, for the epoch, or just to hand in reports.

use super::state::{self, Unusable};
use crate::platform::coordinator::{Call, CallError, call};
use crate::platform::race::{Watch, within};
use crate::platform::{env, log, time};
use crate::store::{kv, load};
use rondo_core::limits::coordinator::TIMEOUT_MS;
use rondo_core::limits::grant::SETTLES_PER_ASK;
use rondo_core::pool::protocol::{Allowance, Answer, Ask, Given, GrantId, VERSION, Want};
use serde::Deserialize;
use serde_json::json;

/// How long the Coordinator is left alone once it was silent.
const LEFT_ALONE_MS: u64 = 1_000;

/// What came of an ask.
#[derive(Debug)]
pub enum Asked {
    /// The Coordinator's word. The snapshot in use is up to date.
    Answered(Word),
    /// The Coordinator was silent, or said that it cannot work (and why).
    Silent(Option<Unusable>),
    /// Nothing can work as Rondo is set up.
    Unusable(Unusable),
}

/// What the Coordinator says of a want.
#[derive(Debug)]
pub struct Word {
    /// What became of it; `None` when nothing was wanted.
    pub given: Option<Given>,
    /// What the token has left, when it has limits of its own.
    pub allowance: Option<Allowance>,
    /// Generation and epoch under which it was given.
    pub version: (u64, u64),
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(default)]
    error: String,
    #[serde(default)]
    missing: Option<MissingPart>,
}

#[derive(Deserialize)]
struct MissingPart {
    name: String,
    #[serde(default)]
    remedy: String,
}

impl Trouble {
    fn told(self) -> Unusable {
        match self.missing {
            Some(part) => {
                Unusable::Reported(format!("{} is missing: {}", part.name, part.remedy), Some(part.name))
            }
            None => Unusable::Reported(self.error, None),
        }
    }
}

/// Asks, with the reports that wait. Right after a silence nothing is asked.
pub async fn ask(env: &worker::Env, want: Option<Want>, renews: Vec<GrantId>) -> Asked {
    ask_under(env, want, renews, &Watch::default()).await
}

/// The same under the request's own timer.
pub async fn ask_under(env: &worker::Env, want: Option<Want>, renews: Vec<GrantId>, watch: &Watch) -> Asked {
    let now = time::now_ms();
    if state::is_silent(now) {
        return Asked::Silent(None);
    }
    let (generation, epoch) = state::version();
    let settles = state::outbox(|outbox| outbox.take(SETTLES_PER_ASK, now));
    let ask = Ask { v: VERSION, generation, epoch, asker: state::asker(), want, settles, renews };
    let body = serde_json::to_string(&ask).unwrap_or_default();
    let flight = state::outbox(|outbox| outbox.departed(ask.settles, now));
    let reply = call(env, Call::Ask, &body, TIMEOUT_MS, watch).await;
    let answer = match reply {
        Ok((200, text)) => match serde_json::from_str::<Answer>(&text) {
            Ok(answer) => answer,
            Err(error) => {
                state::outbox(|outbox| outbox.lost(flight));
                log::error("coordinator_answer", &json!({"error": error.to_string()}));
                return silent(None);
            }
        },
        Ok((status, text)) => {
            state::outbox(|outbox| outbox.lost(flight));
            let trouble = serde_json::from_str::<Trouble>(&text).ok().filter(|_| status == 503);
            return silent(trouble.map(Trouble::told));
        }
        Err(CallError::Silent) => {
            state::outbox(|outbox| outbox.lost(flight));
            return silent(None);
        }
        Err(CallError::Missing(missing)) => {
            state::outbox(|outbox| outbox.lost(flight));
            return Asked::Unusable(Unusable::Missing(missing));
        }
    };
    state::outbox(|outbox| outbox.landed(flight));
    let version = (answer.generation, answer.epoch);
    if let Some(snapshot) = answer.snapshot {
        if let Err(unusable) = state::install(env, *snapshot, now) {
            return Asked::Unusable(unusable);
        }
    } else if version == state::version() {
        state::confirm(now);
    }
    Asked::Answered(Word { given: answer.outcome, allowance: answer.allowance, version })
}

fn silent(why: Option<Unusable>) -> Asked {
    state::silent_until(time::now_ms() + LEFT_ALONE_MS);
    Asked::Silent(why)
}

/// Without the Coordinator: makes sure that the snapshot in use was confirmed within the last minute, by D1's
/// epoch if need be, taking KV's or D1's newer one.
///
/// # Errors
/// When there is no snapshot that may be used.
pub async fn confirm_without_coordinator(env: &worker::Env) -> Result<(), Unusable> {
    if state::is_fresh(time::now_ms()) {
        return Ok(());
    }
    let db = env::database(env).map_err(Unusable::Missing)?;
    let now = time::now_ms();
    let in_force = match within(TIMEOUT_MS, load::epoch(&db)).await {
        Some(Ok(version)) => version,
        Some(Err(error)) => {
            log::error("d1_epoch", &json!({"error": error.to_string()}));
            return Err(Unusable::Broken("neither the Coordinator nor D1 answers".to_owned()));
        }
        None => return Err(Unusable::Broken("neither the Coordinator nor D1 answers in time".to_owned())),
    };
    if state::known().is_some() && state::version() == in_force {
        state::confirm(now);
        return Ok(());
    }
    let stored = match env::snapshots(env) {
        Ok(store) => within(TIMEOUT_MS, kv::read_snapshot(&store, &state::master_key(env)?)).await.flatten(),
        Err(_) => None,
    };
    let snapshot = match stored.filter(|snapshot| (snapshot.generation, snapshot.epoch) == in_force) {
        Some(snapshot) => snapshot,
        None => match within(2 * TIMEOUT_MS, load::snapshot(&db)).await {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(_)) | None => {
                return Err(Unusable::Broken("D1 does not give the configuration".to_owned()));
            }
        },
    };
    state::install(env, snapshot, now).map(|_| ())
}

/// Without the Coordinator: makes sure that some keys are known, from KV if need be.
pub async fn find_keys(env: &worker::Env) {
    if !state::fallback(|fallback| fallback.is_empty()) {
        return;
    }
    let (Ok(store), Ok(master)) = (env::snapshots(env), state::master_key(env)) else { return };
    if let Some(Some((version, mut keys))) = within(TIMEOUT_MS, kv::read_keys(&store, &master)).await {
        if version != state::version() {
            // Nobody writes KV while the Coordinator is silent, so a key may have been switched off since.
            let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
            let Ok(db) = env::database(env) else { return };
            let Some(Ok(enabled)) = within(TIMEOUT_MS, load::enabled_of(&db, &ids)).await else { return };
            keys.retain(|key| enabled.contains(&key.id));
        }
        state::fallback(|fallback| {
            if fallback.is_empty() {
                fallback.replace(keys);
            }
        });
    }
}
