//! Checking and storing the admin password. The hash itself is made by WebCrypto (`platform::pbkdf2`).

use super::call::Call;
use super::coordinator::{attempt_succeeded, begin_attempt};
use super::entropy;
use super::problem::Problem;
use crate::platform::{log, pbkdf2};
use crate::store::settings;
use rondo_core::config::FieldError;
use rondo_core::limits::auth::PASSWORD_MAX_BYTES;
use rondo_core::limits::workers::PBKDF2_MAX_ITERATIONS;
use rondo_core::vault::password::{check_password, pepper};
use rondo_core::vault::{DigestKey, PasswordRecord, Secret};
use serde_json::{Map, Value, json};

async fn hash(key: &DigestKey, password: &str, salt: &[u8], iterations: u32) -> Result<[u8; 32], Problem> {
    let peppered = pepper(key, password)?;
    pbkdf2::derive(peppered.expose(), salt, iterations).await.map_err(|_| Problem::internal("pbkdf2_failed"))
}

/// Makes the record of a new password.
///
/// # Errors
/// 500 when the platform fails.
pub async fn record(call: &Call, password: &Secret<String>) -> Result<String, Problem> {
    let salt = entropy::<16>()?;
    let hash = hash(&call.ring.digest, password.expose(), &salt, PBKDF2_MAX_ITERATIONS).await?;
    Ok(PasswordRecord::new(PBKDF2_MAX_ITERATIONS, salt, hash)?.to_string())
}

/// A password as it is sent to be checked: any text that can be one.
///
/// # Errors
/// 400 naming the field.
pub fn given(body: &Map<String, Value>, field: &'static str) -> Result<Secret<String>, Problem> {
    match body.get(field) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= PASSWORD_MAX_BYTES => {
            Ok(Secret::new(text.clone()))
        }
        _ => Err(FieldError::new(field, format!("must be a text of 1 to {PASSWORD_MAX_BYTES} bytes")).into()),
    }
}

/// A password to set.
///
/// # Errors
/// 400 naming the field when it is too short or too long.
pub fn chosen(body: &Map<String, Value>, field: &'static str) -> Result<Secret<String>, Problem> {
    let password = given(body, field)?;
    check_password(password.expose()).map_err(|error| FieldError::new(field, error.to_string()))?;
    Ok(password)
}

/// Checks the admin password, counted by the limiter; gives the record it matches. One query.
///
/// # Errors
/// 401 when it is wrong or none is set, 429 when too many were, 503 when nobody can count.
pub async fn verify(call: &Call, password: &Secret<String>) -> Result<String, Problem> {
    let Some(text) = settings::password(&call.db).await? else { return Err(Problem::wrong_password()) };
    let record: PasswordRecord = text.parse()?;
    begin_attempt(&call.env, &call.address).await?;
    let hash = hash(&call.ring.digest, password.expose(), record.salt(), record.iterations()).await?;
    if !record.matches(&hash) {
        log::warn("wrong_password", &json!({}));
        return Err(Problem::wrong_password());
    }
    attempt_succeeded(&call.env, &call.address).await;
    Ok(text)
}
