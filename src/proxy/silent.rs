//! Serving while the Coordinator is silent: from the snapshot and the keys this isolate knows.

use super::state::{self, Known};
use crate::platform::{random, time};
use rondo_core::config::{Member, Refusal, Strategy, resolve};
use rondo_core::pool::protocol::{Given, Grant, RefusedWhy};

/// Keys of other providers passed over before giving up.
const OTHERS_PASSED_OVER: usize = 500;

/// A grant of the isolate's own, in place of the Coordinator's.
pub fn give(
    known: &Known,
    token: &str,
    excluded_keys: &[String],
    excluded_models: &[String],
    asked: Option<&str>,
) -> Given {
    let snapshot = &known.snapshot;
    let token = snapshot.tokens.iter().find(|known| !token.is_empty() && known.id == token);
    let route = match resolve(snapshot, token, asked) {
        Ok(route) => route,
        Err(refusal) => {
            return Given::Refused(match refusal {
                Refusal::ModelMissing => RefusedWhy::ModelMissing,
                Refusal::ModelNotAllowed => RefusedWhy::ModelNotAllowed,
                Refusal::PoolEmpty => RefusedWhy::PoolEmpty,
            });
        }
    };
    let named = route.named.map(|name| (name, "cerebras"));
    let pair = |member: &&Member| (member.model.clone(), member.provider.clone());
    let mut models: Vec<(String, String)> = named
        .into_iter()
        .map(|(model, provider)| (model.to_owned(), provider.to_owned()))
        .chain(route.first.iter().map(pair))
        .collect();
    models.retain(|(model, _)| !excluded_models.contains(model));
    if route.strategy == Strategy::Rotate && models.len() > 1 {
        let turn = usize::from(random::bytes::<1>().map_or(0, |[byte]| byte)) % models.len();
        models.rotate_left(turn);
    }
    let then = route.then.iter().map(pair).filter(|(model, _)| !excluded_models.contains(model));
    let Some((model, provider)) = models.into_iter().chain(then).next() else {
        return Given::Refused(RefusedWhy::NoModel);
    };
    let now = time::now_ms();
    let mut excluded = excluded_keys.to_vec();
    for _ in 0..OTHERS_PASSED_OVER {
        let Some(key) = state::fallback(|fallback| fallback.pick(now, &excluded)) else { break };
        if key.provider == provider {
            return Given::Grants(vec![Grant {
                id: state::local_grant(),
                key: key.id,
                sealed: key.sealed,
                provider: key.provider,
                base_url: key.base_url,
                model,
                delay_ms: 0,
                reserved: 0,
                learn: false,
            }]);
        }
        excluded.push(key.id);
    }
    let tried = !excluded_keys.is_empty();
    Given::Refused(if tried { RefusedWhy::KeysExhausted } else { RefusedWhy::NoActiveKey })
}
