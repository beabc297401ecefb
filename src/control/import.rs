//! Adding keys, one or many: each is sealed for its own row before it reaches D1.

use super::call::{Call, unsupported};
use super::keys::item;
use super::problem::{Outcome, Problem};
use super::{entropy, row_id};
use crate::platform::env;
use crate::platform::json::Reply;
use crate::store::keys::{self, Sealed, Shared};
use rondo_core::config::import::{check_key, split_batch};
use rondo_core::config::keys::{KeyBatch, NewKey};
use rondo_core::limits::request::{ADMIN_BATCH_BODY_BYTES, ADMIN_BODY_BYTES};
use rondo_core::vault::{Domain, mask_key};
use serde::Serialize;
use std::collections::HashSet;

/// What keys of the demo start with.
const DEMO_PREFIX: &str = "csk-demo";
/// Why the demo takes no other.
pub const DEMO_DETAIL: &str =
    "this is the demo, which takes demo keys only; leave it with: CEREBRAS_API_KEYS=csk-… npm start";

/// Whether this is the demo, and the key a real one.
pub fn refused_by_demo(call: &Call, key: &str) -> bool {
    env::text(&call.env, "DEMO").as_deref() == Some("1") && !key.starts_with(DEMO_PREFIX)
}

/// What finds the key's duplicates.
pub fn digest(call: &Call, key: &str) -> String {
    call.ring.digest.digest(Domain::UpstreamKey, key).to_string()
}

/// Seals a key for a row of its own.
///
/// # Errors
/// When the platform gives no randomness, or sealing fails.
pub fn seal(call: &Call, key: &str, digest: String) -> Result<Sealed, Problem> {
    let id = row_id('k')?;
    let sealed = call.ring.data.seal(&id, key, entropy()?)?;
    Ok(Sealed { masked: mask_key(key), id, sealed, digest })
}

/// `POST /api/keys`. Four queries.
pub async fn one(call: &Call) -> Outcome {
    let new = NewKey::parse(&call.object(ADMIN_BODY_BYTES).await?)?;
    if refused_by_demo(call, new.key.expose()) {
        return Err(Problem::conflict(DEMO_DETAIL));
    }
    let sealed = seal(call, new.key.expose(), digest(call, new.key.expose()))?;
    let shared = Shared {
        provider: &new.provider,
        label: &new.label,
        group: new.group.as_deref(),
        weight: new.weight,
        base_url: new.base_url.as_deref(),
    };
    let (actor, detail) = (call.actor(), format!("{} {}", sealed.id, sealed.masked));
    let deed = call.deed(&actor, "key.add", &detail);
    let (_, row) = keys::insert(&call.db, &shared, &[sealed], &deed).await?;
    // Nothing stored means that the digest was there: the ids are random.
    let row = row.ok_or_else(|| Problem::conflict("this key is in the pool already"))?;
    call.announce().await;
    Ok(Reply::new(201).json(&item(&row)))
}

/// What became of one key of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Added,
    Duplicate,
    Failed,
}

#[derive(Serialize)]
struct Piece {
    index: usize,
    masked: String,
    outcome: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Serialize)]
struct Summary {
    total: usize,
    added: usize,
    duplicate: usize,
    failed: usize,
}

#[derive(Serialize)]
struct Report {
    summary: Summary,
    results: Vec<Piece>,
}

/// `POST /api/keys/batch`. One query for the duplicates and those of `store::keys::insert`: at most 7 for 10,000.
pub async fn many(call: &Call) -> Outcome {
    let batch = match call.media_type().as_str() {
        "application/json" => KeyBatch::parse(&call.object(ADMIN_BATCH_BODY_BYTES).await?)?,
        "text/plain" => KeyBatch::plain(call.text(ADMIN_BATCH_BODY_BYTES).await?),
        _ => return Err(unsupported("application/json or text/plain")),
    };
    let pieces = split_batch(batch.input.expose())?;
    let digests: Vec<String> = pieces.iter().map(|key| digest(call, key)).collect();
    let stored = keys::known(&call.db, &batch.provider, &digests).await?;

    let mut seen = HashSet::new();
    let mut sealed: Vec<Sealed> = Vec::new();
    // Where each sealed key stands among the results.
    let mut places: Vec<usize> = Vec::new();
    let mut results = Vec::with_capacity(pieces.len());
    for (index, (key, digest)) in pieces.iter().zip(digests).enumerate() {
        let (outcome, detail) = if let Err(problem) = check_key(key) {
            (Fate::Failed, Some(problem))
        } else if refused_by_demo(call, key) {
            (Fate::Failed, Some(DEMO_DETAIL.to_owned()))
        } else if !seen.insert(digest.clone()) {
            (Fate::Duplicate, Some("stands in this input twice".to_owned()))
        } else if stored.contains(&digest) {
            (Fate::Duplicate, Some("is in the pool already".to_owned()))
        } else {
            sealed.push(seal(call, key, digest)?);
            places.push(index);
            (Fate::Added, None)
        };
        results.push(Piece { index, masked: mask_key(key), outcome, detail });
    }
    store(call, &batch, &sealed, &places, &mut results).await?;
    let count = |outcome: Fate| results.iter().filter(|piece| piece.outcome == outcome).count();
    let summary = Summary {
        total: results.len(),
        added: count(Fate::Added),
        duplicate: count(Fate::Duplicate),
        failed: count(Fate::Failed),
    };
    Ok(Reply::new(200).json(&Report { summary, results }))
}

/// Stores what was sealed; what somebody else stored meanwhile is a duplicate after all.
async fn store(
    call: &Call,
    batch: &KeyBatch,
    sealed: &[Sealed],
    places: &[usize],
    results: &mut [Piece],
) -> Result<(), Problem> {
    if sealed.is_empty() {
        return Ok(());
    }
    let shared = Shared {
        provider: &batch.provider,
        label: "",
        group: batch.group.as_deref(),
        weight: 1,
        base_url: None,
    };
    let (actor, detail) = (call.actor(), format!("{} keys", sealed.len()));
    let (ids, _) = keys::insert(&call.db, &shared, sealed, &call.deed(&actor, "key.batch", &detail)).await?;
    for (key, place) in sealed.iter().zip(places) {
        if let (false, Some(piece)) = (ids.contains(&key.id), results.get_mut(*place)) {
            piece.outcome = Fate::Duplicate;
            piece.detail = Some("is in the pool already".to_owned());
        }
    }
    call.announce().await;
    Ok(())
}
