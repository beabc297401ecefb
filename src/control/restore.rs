//! `POST /api/restore`: what a backup holds and is not here yet. Keys and tokens are only added; pools of the same name
//! and the settings become those of the backup.

use super::call::Call;
use super::import::{DEMO_DETAIL, digest, refused_by_demo, seal};
use super::problem::{Outcome, Problem};
use super::{passwords, row_id};
use crate::platform::json::Reply;
use crate::store::restore::{KeyRow, Restored, TokenRow};
use crate::store::{keys, pools, restore, tokens};
use rondo_core::config::backup::{Backup, SavedKey, SavedToken};
use rondo_core::config::{FieldError, Fields, ModelPool, Settings};
use rondo_core::limits::promised::POOLS;
use rondo_core::limits::request::ADMIN_BATCH_BODY_BYTES;
use rondo_core::pool::providers::PROVIDERS;
use rondo_core::pool::stories::clipped;
use serde_json::json;
use std::collections::HashSet;

/// Notes about single entries; of more only the number is said.
const NOTES: usize = 20;
/// Longest note: it may quote what was sent.
const NOTE_BYTES: usize = 512;

/// What is new of a backup's keys.
#[derive(Default)]
struct Keys<'a> {
    /// With their digests.
    new: Vec<(&'a SavedKey, String)>,
    duplicate: usize,
    failed: usize,
}

/// What is new of its tokens.
#[derive(Default)]
struct Tokens<'a> {
    new: Vec<&'a SavedToken>,
    duplicate: usize,
    skipped: usize,
}

/// Notes for the operator, bounded.
#[derive(Default)]
struct Notes {
    said: Vec<String>,
    unsaid: usize,
}

impl Notes {
    fn add(&mut self, note: String) {
        if self.said.len() < NOTES {
            self.said.push(clipped(&note, NOTE_BYTES));
        } else {
            self.unsaid += 1;
        }
    }

    fn all(mut self) -> Vec<String> {
        if self.unsaid > 0 {
            self.said.push(format!("{} more entries could not be taken", self.unsaid));
        }
        self.said
    }
}

/// Six queries and those of `store::restore::write`: about a dozen for the largest body.
pub async fn restore(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BATCH_BODY_BYTES).await?;
    let password = passwords::given(&body, "password")?;
    let mut fields = Fields::new(&body);
    let _ = fields.take("password");
    let mut dry_run = false;
    fields.flag("dry_run", &mut dry_run)?;
    let saved = fields.object("backup")?.ok_or_else(|| FieldError::new("backup", "must be a backup"))?;
    fields.finish()?;
    let backup = Backup::parse(saved)?;
    let (pools, settings) = pools::list(&call.db).await?;
    let changed = changed_pools(&backup, &pools)?;
    let settings = changed_settings(&backup, &settings)?;
    // Last, so that a wrong body costs no place in the limiter.
    passwords::verify(call, &password).await?;

    let mut notes = Notes::default();
    let keys = new_keys(call, &backup, &mut notes).await?;
    let tokens = new_tokens(call, &backup, &mut notes).await?;
    let (mut added_keys, mut added_tokens) = (keys.new.len(), tokens.new.len());
    if !dry_run {
        let restored = Restored {
            keys: keys
                .new
                .iter()
                .map(|(key, digest)| key_row(call, key, digest))
                .collect::<Result<_, _>>()?,
            tokens: tokens.new.iter().map(|token| token_row(token)).collect::<Result<_, _>>()?,
            pools: changed.clone(),
            settings: settings.as_ref(),
        };
        let actor = call.actor();
        let detail = format!(
            "{added_keys} keys, {added_tokens} tokens, {} pools{}",
            changed.len(),
            if settings.is_some() { ", settings" } else { "" }
        );
        let (keys, tokens) =
            restore::write(&call.db, &restored, &call.deed(&actor, "backup.restore", &detail)).await?;
        added_keys = usize::try_from(keys).unwrap_or(added_keys);
        added_tokens = usize::try_from(tokens).unwrap_or(added_tokens);
        call.announce().await;
    }
    // What somebody else stored meanwhile is a duplicate after all.
    let late = |planned: usize, added: usize| planned.saturating_sub(added);
    Ok(Reply::new(200).json(&json!({
        "keys": {
            "added": added_keys,
            "duplicate": keys.duplicate + late(keys.new.len(), added_keys),
            "failed": keys.failed,
        },
        "tokens": {
            "added": added_tokens,
            "duplicate": tokens.duplicate + late(tokens.new.len(), added_tokens),
            "skipped": tokens.skipped,
        },
        "pools": changed.len(),
        "settings": settings.is_some(),
        "notes": notes.all(),
    })))
}

/// The backup's pools that differ from those that are here.
fn changed_pools<'a>(backup: &'a Backup, here: &[ModelPool]) -> Result<Vec<&'a ModelPool>, FieldError> {
    let names: HashSet<&str> = here.iter().chain(&backup.pools).map(|pool| pool.name.as_str()).collect();
    if names.len() > POOLS {
        return Err(FieldError::new("backup.pools", format!("there can be {POOLS} pools in all")));
    }
    Ok(backup.pools.iter().filter(|pool| !here.contains(pool)).collect())
}

/// The settings with the backup's, if that changes them.
fn changed_settings(backup: &Backup, here: &Settings) -> Result<Option<Settings>, FieldError> {
    let Some(saved) = &backup.settings else { return Ok(None) };
    let mut next = here.clone();
    next.patch(saved)
        .map_err(|error| FieldError::new(&format!("backup.settings.{}", error.field), error.problem))?;
    Ok(Some(next).filter(|next| next != here))
}

/// One query for each provider that the backup names.
async fn new_keys<'a>(call: &Call, backup: &'a Backup, notes: &mut Notes) -> Result<Keys<'a>, Problem> {
    let mut found = Keys::default();
    let mut fit: Vec<(&SavedKey, String)> = Vec::new();
    for (index, key) in backup.keys.iter().enumerate() {
        match key {
            Ok(saved) if refused_by_demo(call, saved.key.key.expose()) => {
                found.failed += 1;
                notes.add(format!("key {index}: {DEMO_DETAIL}"));
            }
            Ok(saved) => fit.push((saved, digest(call, saved.key.key.expose()))),
            Err(error) => {
                found.failed += 1;
                notes.add(format!("key {index}: {error}"));
            }
        }
    }
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for provider in &PROVIDERS {
        let of = fit.iter().filter(|(saved, _)| saved.key.provider == provider.id);
        let digests: Vec<String> = of.map(|(_, digest)| digest.clone()).collect();
        if !digests.is_empty() {
            let stored = keys::known(&call.db, provider.id, &digests).await?;
            seen.extend(stored.into_iter().map(|digest| (provider.id.to_owned(), digest)));
        }
    }
    for (saved, digest) in fit {
        if seen.insert((saved.key.provider.clone(), digest.clone())) {
            found.new.push((saved, digest));
        } else {
            found.duplicate += 1;
        }
    }
    Ok(found)
}

/// One query. Under another digest key nobody could use the tokens.
async fn new_tokens<'a>(call: &Call, backup: &'a Backup, notes: &mut Notes) -> Result<Tokens<'a>, Problem> {
    let mut found = Tokens::default();
    if backup.tokens.is_empty() {
        return Ok(found);
    }
    if backup.digest_check != call.ring.digest.check() {
        found.skipped = backup.tokens.len();
        notes.add(
            "the tokens were made under another digest key and mean nothing here: make new ones".to_owned(),
        );
        return Ok(found);
    }
    let digests: Vec<&str> = backup.tokens.iter().flatten().map(|token| token.digest.as_str()).collect();
    let mut seen = tokens::known(&call.db, &digests).await?;
    for (index, token) in backup.tokens.iter().enumerate() {
        match token {
            Ok(saved) if seen.insert(saved.digest.clone()) => found.new.push(saved),
            Ok(_) => found.duplicate += 1,
            Err(error) => {
                found.skipped += 1;
                notes.add(format!("token {index}: {error}"));
            }
        }
    }
    Ok(found)
}

fn key_row<'a>(call: &Call, saved: &'a SavedKey, digest: &str) -> Result<KeyRow<'a>, Problem> {
    let sealed = seal(call, saved.key.key.expose(), digest.to_owned())?;
    Ok(KeyRow {
        id: sealed.id,
        provider: &saved.key.provider,
        group: saved.key.group.as_deref(),
        label: &saved.key.label,
        masked: sealed.masked,
        sealed: sealed.sealed,
        digest: sealed.digest,
        weight: saved.key.weight,
        enabled: u8::from(saved.enabled),
        base_url: saved.key.base_url.as_deref(),
    })
}

fn token_row(saved: &SavedToken) -> Result<TokenRow<'_>, Problem> {
    Ok(TokenRow {
        id: row_id('t')?,
        name: &saved.fields.name,
        digest: &saved.digest,
        masked: &saved.masked,
        enabled: u8::from(saved.fields.enabled),
        expires_at: saved.fields.expires_at,
        models: saved.fields.models.as_deref(),
        limits: &saved.fields.limits,
        metrics: u8::from(saved.fields.metrics),
    })
}
