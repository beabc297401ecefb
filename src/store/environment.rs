//! Keys and the client token that come from the environment, brought into D1 at the Coordinator's start.

use super::StoreError;
use crate::platform::{env, random, time};
use rondo_core::config::import::{check_key, split_keys};
use rondo_core::vault::{Domain, Keyring, mask_key};
use serde::Deserialize;
use serde_json::json;
use worker::{D1Database, D1PreparedStatement, Env};

/// A Worker secret holds 5 KB, so a long list goes on in further ones.
const VARIABLES: &[&str] = &[
    "CEREBRAS_API_KEYS",
    "CEREBRAS_API_KEYS_2",
    "CEREBRAS_API_KEYS_3",
    "CEREBRAS_API_KEYS_4",
    "CEREBRAS_API_KEY",
];
/// Shorter tokens are guessed; such an `AUTH_PASSWORD` is not taken, and the log says so.
const TOKEN_MIN_BYTES: usize = 8;

#[derive(Deserialize)]
struct Stored {
    id: String,
    digest: String,
    source: String,
    enabled: f64,
    options: Option<String>,
}

#[derive(Deserialize)]
struct StoredToken {
    digest: String,
    enabled: f64,
}

/// Adds keys that are new, switches off those that left (and on again those that came back), and keeps the
/// token of `AUTH_PASSWORD` in step. Raises the epoch when anything changed.
///
/// # Errors
/// When D1 refuses, or a key cannot be sealed.
pub async fn sync(db: &D1Database, environment: &Env, keyring: &Keyring) -> Result<(), StoreError> {
    let mut wanted: Vec<(String, String, &str)> = Vec::new();
    for variable in VARIABLES {
        let Some(text) = env::text(environment, variable) else { continue };
        for key in split_keys(&text) {
            if check_key(&key).is_err() {
                crate::platform::log::error("environment_key_unusable", &json!({"variable": variable}));
                continue;
            }
            let digest = keyring.digest.digest(Domain::UpstreamKey, &key).to_string();
            if !wanted.iter().any(|(_, known, _)| *known == digest) {
                wanted.push((key, digest, variable));
            }
        }
    }
    let stored: Vec<Stored> = db
        .prepare(
            "SELECT id, digest, source, enabled, options FROM keys WHERE provider = 'cerebras' \
             AND (source = 'env' OR digest IN (SELECT value FROM json_each(?1)))",
        )
        .bind(&[json!(wanted.iter().map(|(_, digest, _)| digest).collect::<Vec<_>>()).to_string().into()])?
        .run()
        .await?
        .results()?;

    let mut changes: Vec<D1PreparedStatement> = Vec::new();
    let mut new = Vec::new();
    let now = time::now_ms();
    for (key, digest, variable) in &wanted {
        if stored.iter().any(|row| row.digest == *digest) {
            continue;
        }
        let id = format!("k_{}", hex(&random_bytes::<8>()?));
        let sealed = keyring.data.seal(&id, key, random_bytes::<12>()?)?;
        new.push(json!({"id": id, "masked": mask_key(key), "sealed": sealed, "digest": digest,
            "options": json!({"variable": variable}).to_string()}));
    }
    if !new.is_empty() {
        changes.push(
            db.prepare(
                "INSERT OR IGNORE INTO keys (id, provider, masked, sealed, digest, source, options, created_at) \
                 SELECT value->>'id', 'cerebras', value->>'masked', value->>'sealed', value->>'digest', 'env', \
                 value->>'options', ?2 + key FROM json_each(?1)",
            )
            .bind(&[json!(new).to_string().into(), (now as f64).into()])?,
        );
    }
    for row in stored.iter().filter(|row| row.source == "env") {
        let wanted = wanted.iter().find(|(_, digest, _)| *digest == row.digest);
        let left = row.options.as_deref().is_some_and(|options| options.contains("\"left\":true"));
        let (enabled, options) = match wanted {
            None if row.enabled != 0.0 => (0.0, json!({"left": true})),
            // Only what leaving switched off is switched on again: the operator's own choice stays.
            Some((_, _, variable)) if left => (1.0, json!({"variable": variable})),
            _ => continue,
        };
        changes.push(db.prepare("UPDATE keys SET enabled = ?2, options = ?3 WHERE id = ?1").bind(&[
            row.id.as_str().into(),
            enabled.into(),
            options.to_string().into(),
        ])?);
    }
    token(db, environment, keyring, now, &mut changes).await?;
    if !changes.is_empty() {
        changes.push(raise_epoch(db));
        db.batch(changes).await?;
    }
    Ok(())
}

async fn token(
    db: &D1Database,
    environment: &Env,
    keyring: &Keyring,
    now: u64,
    changes: &mut Vec<D1PreparedStatement>,
) -> Result<(), StoreError> {
    let text = env::text(environment, "AUTH_PASSWORD").map(|text| text.trim().to_owned());
    if text.as_ref().is_some_and(|text| text.len() < TOKEN_MIN_BYTES) {
        crate::platform::log::error("auth_password_too_short", &json!({"least_bytes": TOKEN_MIN_BYTES}));
    }
    let wanted = text
        .filter(|text| text.len() >= TOKEN_MIN_BYTES)
        .map(|text| (keyring.digest.digest(Domain::Token, &text).to_string(), mask_key(&text)));
    let stored: Vec<StoredToken> =
        db.prepare("SELECT digest, enabled FROM tokens WHERE id = 'env'").run().await?.results()?;
    match (wanted, stored.first()) {
        (Some((digest, masked)), stored)
            if stored.is_none_or(|row| row.digest != digest || row.enabled == 0.0) =>
        {
            changes.push(
                db.prepare(
                    "INSERT INTO tokens (id, name, digest, masked, source, created_at) VALUES ('env', \
                     'AUTH_PASSWORD', ?1, ?3, 'env', ?2) ON CONFLICT (id) DO UPDATE SET \
                     digest = excluded.digest, masked = excluded.masked, enabled = 1",
                )
                .bind(&[digest.into(), (now as f64).into(), masked.into()])?,
            );
        }
        (None, Some(row)) if row.enabled != 0.0 => {
            changes.push(db.prepare("UPDATE tokens SET enabled = 0 WHERE id = 'env'"));
        }
        _ => {}
    }
    Ok(())
}

/// Raises the epoch: part of every change's own batch.
pub fn raise_epoch(db: &D1Database) -> D1PreparedStatement {
    db.prepare("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'epoch'")
}

fn random_bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    random::bytes().map_err(|_| StoreError("the platform gave no randomness".to_owned()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
