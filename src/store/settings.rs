//! Single values in `meta`: the settings, the admin password's record, the wrapped keys.

use super::StoreError;
use super::audit::Deed;
use super::sql::{Arg, batch, statement};
use rondo_core::config::{Settings, Wrapped};
use serde::Deserialize;
use worker::D1Database;

#[derive(Deserialize)]
struct MetaRow {
    name: String,
    value: String,
}

async fn values(db: &D1Database, names: &[&str]) -> Result<Vec<MetaRow>, StoreError> {
    let names = serde_json::to_string(names)?;
    let sql = "SELECT name, value FROM meta WHERE name IN (SELECT value FROM json_each(?1))";
    batch(db, vec![statement(db, sql, &[Arg::Text(&names)])?]).await?.rows(0)
}

/// The wrapped keys; `None` before the Coordinator made them. One query.
///
/// # Errors
/// When D1 does not answer or has no schema yet.
pub async fn wrapped(db: &D1Database) -> Result<Option<Wrapped>, StoreError> {
    let (mut data, mut digest) = (None, None);
    for row in values(db, &["wrapped_data_key", "wrapped_digest_key"]).await? {
        if row.name == "wrapped_data_key" { data = Some(row.value) } else { digest = Some(row.value) }
    }
    Ok(data.zip(digest).map(|(data, digest)| Wrapped { data, digest }))
}

/// The admin password's record, if one is set. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn password(db: &D1Database) -> Result<Option<String>, StoreError> {
    Ok(values(db, &["password"]).await?.pop().map(|row| row.value))
}

/// The settings, and their text as it is stored (`None` before the first change). One query.
///
/// # Errors
/// When D1 does not answer or holds what are no settings.
pub async fn settings(db: &D1Database) -> Result<(Settings, Option<String>), StoreError> {
    match values(db, &["settings"]).await?.pop() {
        Some(row) => Ok((serde_json::from_str(&row.value)?, Some(row.value))),
        None => Ok((Settings::default(), None)),
    }
}

/// Writes settings if they are still what they were read as. `false`: somebody else was faster, read again.
/// Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn replace_settings(
    db: &D1Database,
    before: Option<&str>,
    next: &Settings,
    deed: &Deed<'_>,
) -> Result<bool, StoreError> {
    let next = serde_json::to_string(next)?;
    let write = match before {
        Some(before) => statement(
            db,
            "UPDATE meta SET value = ?1 WHERE name = 'settings' AND value = ?2",
            &[Arg::Text(&next), Arg::Text(before)],
        )?,
        None => statement(
            db,
            "INSERT INTO meta (name, value) VALUES ('settings', ?1) ON CONFLICT DO NOTHING",
            &[Arg::Text(&next)],
        )?,
    };
    let [audit, epoch] = deed.committed(db)?;
    Ok(batch(db, vec![write, audit, epoch]).await?.changes(0)? > 0)
}
