//! A backup: what `POST /api/backup` writes and `POST /api/restore` reads. It holds keys in clear and tokens by digest,
//! which mean something only where the digest key is the same.

use super::keys::NewKey;
use super::pools::parse_pool;
use super::tokens::TokenFields;
use super::{FieldError, Fields, ModelPool};
use crate::limits::input::BATCH_KEYS;
use crate::limits::promised::{POOLS, TOKENS};
use crate::vault::Digest;
use serde_json::{Map, Value};

/// The format's number.
pub const FORMAT: u64 = 1;
/// Longest `masked` of a token.
const MASKED_BYTES: usize = 64;

/// A key of a backup.
#[derive(Clone, Debug)]
pub struct SavedKey {
    /// As it would be added.
    pub key: NewKey,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// A token of a backup.
#[derive(Clone, Debug)]
pub struct SavedToken {
    /// As it would be made.
    pub fields: TokenFields,
    /// What may be seen of it.
    pub masked: String,
    /// Its digest.
    pub digest: String,
}

/// A backup as it was sent. What one entry has wrong does not spoil the others.
#[derive(Clone, Debug, Default)]
pub struct Backup {
    /// Keys, or what is wrong with them.
    pub keys: Vec<Result<SavedKey, FieldError>>,
    /// Tokens, or what is wrong with them.
    pub tokens: Vec<Result<SavedToken, FieldError>>,
    /// Fingerprint of the digest key that the tokens' digests were made with.
    pub digest_check: String,
    /// Model pools.
    pub pools: Vec<ModelPool>,
    /// Settings, as a patch; its fields are checked when it is applied.
    pub settings: Option<Map<String, Value>>,
}

impl Backup {
    /// Reads `{rondo_backup, made_at?, keys?, tokens?, digest_check?, pools?, policy?, settings?}`. A backup may be sent
    /// in pieces, each with the head and some of the lists.
    ///
    /// # Errors
    /// Names the field when it is no backup of this format, a list is too long, or a pool is wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let wrong = |field: &str, problem: &str| FieldError::new(&format!("backup.{field}"), problem);
        let mut fields = Fields::within("backup", body);
        if fields.take("rondo_backup").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(wrong("rondo_backup", "must be 1: this is no backup that this version can read"));
        }
        let _ = fields.take("made_at");
        let mut backup = Self::default();
        fields.text("digest_check", MASKED_BYTES, &mut backup.digest_check)?;
        let mut lists: [Vec<Map<String, Value>>; 3] = Default::default();
        let [keys, tokens, pools] = &mut lists;
        fields.list("keys", BATCH_KEYS, keys)?;
        fields.list("tokens", TOKENS, tokens)?;
        fields.list("pools", POOLS, pools)?;
        backup.keys = keys.iter().map(saved_key).collect();
        backup.tokens = tokens.iter().map(saved_token).collect();
        for pool in pools.iter_mut() {
            let Some(Value::String(name)) = pool.remove("name") else {
                return Err(wrong("pools", "each must have a name"));
            };
            let parsed = parse_pool(&name, pool);
            backup.pools.push(parsed.map_err(|error| wrong("pools", &format!("{name}: {error}")))?);
        }
        let policy = fields.take("policy").filter(|policy| !policy.is_null());
        backup.settings = fields.object("settings")?.cloned();
        if let (Some(settings), Some(policy)) = (&mut backup.settings, policy) {
            settings.entry("model_policy").or_insert_with(|| policy.clone());
        }
        fields.finish()?;
        Ok(backup)
    }
}

fn saved_key(body: &Map<String, Value>) -> Result<SavedKey, FieldError> {
    let mut body = body.clone();
    let enabled = flag(&mut body)?;
    // Absent and null are the same here.
    body.retain(|_, value| !value.is_null());
    Ok(SavedKey { key: NewKey::parse(&body)?, enabled })
}

fn flag(body: &mut Map<String, Value>) -> Result<bool, FieldError> {
    match body.remove("enabled") {
        None => Ok(true),
        Some(value) => value.as_bool().ok_or_else(|| FieldError::new("enabled", "must be true or false")),
    }
}

fn saved_token(body: &Map<String, Value>) -> Result<SavedToken, FieldError> {
    let mut read = Fields::new(body);
    let mut fields = TokenFields::default();
    // One that expired meanwhile comes back as it was: expired.
    fields.apply(&mut read, 0)?;
    let (mut masked, mut digest) = (String::new(), String::new());
    read.text("masked", MASKED_BYTES, &mut masked)?;
    read.text("digest", MASKED_BYTES, &mut digest)?;
    read.finish()?;
    if digest.parse::<Digest>().is_err() {
        return Err(FieldError::new("digest", "is no digest of a token"));
    }
    Ok(SavedToken { fields, masked, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelPolicy, Settings};
    use serde_json::json;

    fn parsed(value: &Value) -> Result<Backup, FieldError> {
        Backup::parse(value.as_object().unwrap())
    }

    fn digest() -> String {
        Digest::from_bytes([7; 32]).to_string()
    }

    #[test]
    fn a_backup_is_read_with_one_bad_entry_among_good_ones() {
        let key = |key: &str| {
            json!({"key": key, "provider": "cerebras", "label": "a", "group": null, "weight": 2, "enabled": false,
                "base_url": null, "options": null})
        };
        let backup = parsed(&json!({
            "rondo_backup": 1, "made_at": "2026-01-01T00:00:00.000Z", "digest_check": "00ff",
            "keys": [key("csk-0123456789ab"), key("short"), {"key": null}],
            "tokens": [{"name": "t", "digest": digest(), "masked": "rk-a…z", "expires_at": "2020-01-01T00:00:00Z",
                "requests_per_minute": null, "tokens_per_day": 5}, {"name": "u", "digest": "x"}],
            "pools": [{"name": "default", "strategy": "order", "members": ["m"]}],
            "policy": "rotate",
            "settings": {"max_wait_ms": 5},
        }))
        .unwrap();
        let good = backup.keys[0].as_ref().unwrap();
        assert_eq!((good.key.weight, good.enabled, good.key.label.as_str()), (2, false, "a"));
        assert!(backup.keys[1].is_err() && backup.keys[2].is_err());
        let token = backup.tokens[0].as_ref().unwrap();
        assert_eq!((token.fields.limits.tokens_per_day, token.digest.clone()), (Some(5), digest()));
        assert_eq!(backup.tokens[1].as_ref().unwrap_err().field, "digest");
        let mut settings = Settings::default();
        settings.patch(backup.settings.as_ref().unwrap()).unwrap();
        assert_eq!((settings.model_policy, settings.max_wait_ms), (ModelPolicy::Rotate, 5));
    }

    #[test]
    fn all_that_settings_write_can_be_read_again() {
        let written = serde_json::to_value(Settings::default()).unwrap();
        let backup = parsed(&json!({"rondo_backup": 1, "settings": written})).unwrap();
        let mut settings = Settings { max_wait_ms: 7, ..Settings::default() };
        settings.patch(backup.settings.as_ref().unwrap()).unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn what_is_no_backup_is_refused_by_name() {
        for (body, field) in [
            (json!({}), "backup.rondo_backup"),
            (json!({"rondo_backup": 2}), "backup.rondo_backup"),
            (json!({"rondo_backup": 1, "colour": 1}), "backup.colour"),
            (json!({"rondo_backup": 1, "keys": 1}), "backup.keys"),
            (json!({"rondo_backup": 1, "keys": vec![json!({}); BATCH_KEYS + 1]}), "backup.keys"),
            (json!({"rondo_backup": 1, "pools": [{"members": ["m"]}]}), "backup.pools"),
            (json!({"rondo_backup": 1, "pools": [{"name": "a b", "members": ["m"]}]}), "backup.pools"),
            (json!({"rondo_backup": 1, "settings": 1}), "backup.settings"),
        ] {
            assert_eq!(parsed(&body).unwrap_err().field, field);
        }
    }
}
