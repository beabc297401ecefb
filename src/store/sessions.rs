//! Admin sessions, by digest, and the password they hang on.

use super::StoreError;
use super::audit::Deed;
use super::sql::{Arg, Count, batch, statement};
use rondo_core::limits::auth::SESSIONS;
use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement};

/// A session to begin.
pub struct NewSession<'a> {
    /// Digest of its token.
    pub digest: &'a str,
    /// Unix milliseconds.
    pub now: u64,
    /// Unix milliseconds.
    pub expires_at: u64,
}

/// Whether a session with that digest is alive. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn is_alive(db: &D1Database, digest: &str, now: u64) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) AS n FROM sessions WHERE digest = ?1 AND expires_at > ?2";
    let results = batch(db, vec![statement(db, sql, &[Arg::Text(digest), Arg::Whole(now)])?]).await?;
    Ok(results.rows::<Count>(0)?.first().is_some_and(|count| count.n > 0))
}

/// Begins a session after a login; ends the oldest beyond the bound. Five queries. It begins only while `record`
/// is still the password: a change that came between ends it before it started.
///
/// # Errors
/// When D1 refuses.
pub async fn begin(
    db: &D1Database,
    session: &NewSession<'_>,
    record: &str,
    deed: &Deed<'_>,
) -> Result<bool, StoreError> {
    let mut statements = room(db, session.now)?;
    let begun = statements.len();
    statements.push(insert(db, session, record)?);
    statements.push(deed.recorded(db)?);
    Ok(batch(db, statements).await?.changes(begun)? > 0)
}

/// Sets the first password and begins a session. `false` when one was set meanwhile. Three queries.
///
/// # Errors
/// When D1 refuses.
pub async fn set_up(
    db: &D1Database,
    session: &NewSession<'_>,
    record: &str,
    deed: &Deed<'_>,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES ('password', ?1) ON CONFLICT DO NOTHING";
    let statements =
        vec![statement(db, sql, &[Arg::Text(record)])?, deed.recorded(db)?, insert(db, session, record)?];
    Ok(batch(db, statements).await?.changes(0)? > 0)
}

/// Sets a password, ends every session and begins a new one if given. Three or four queries.
///
/// # Errors
/// When D1 refuses.
pub async fn replace_password(
    db: &D1Database,
    record: &str,
    session: Option<&NewSession<'_>>,
    deed: &Deed<'_>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES ('password', ?1) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let mut statements = vec![
        statement(db, sql, &[Arg::Text(record)])?,
        deed.recorded(db)?,
        statement(db, "DELETE FROM sessions", &[])?,
    ];
    if let Some(session) = session {
        statements.push(insert(db, session, record)?);
    }
    batch(db, statements).await?;
    Ok(())
}

/// Ends one session. Two queries.
///
/// # Errors
/// When D1 refuses.
pub async fn end(db: &D1Database, digest: &str, deed: &Deed<'_>) -> Result<(), StoreError> {
    let delete = statement(db, "DELETE FROM sessions WHERE digest = ?1", &[Arg::Text(digest)])?;
    batch(db, vec![delete, deed.recorded(db)?]).await?;
    Ok(())
}

/// A session that is alive.
#[derive(Deserialize)]
pub struct SessionRow {
    /// Digest of its token.
    pub digest: String,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Unix milliseconds.
    pub expires_at: u64,
}

/// Sessions alive, newest first. One query.
///
/// # Errors
/// When D1 does not answer.
pub async fn list(db: &D1Database, now: u64) -> Result<Vec<SessionRow>, StoreError> {
    let sql = "SELECT digest, created_at, expires_at FROM sessions WHERE expires_at > ?1 \
               ORDER BY created_at DESC, digest LIMIT ?2";
    let args = [Arg::Whole(now), Arg::Whole(SESSIONS as u64)];
    batch(db, vec![statement(db, sql, &args)?]).await?.rows(0)
}

/// Ends every session but one; gives how many. Two queries.
///
/// # Errors
/// When D1 refuses.
pub async fn end_others(db: &D1Database, digest: &str, deed: &Deed<'_>) -> Result<u64, StoreError> {
    let delete = statement(db, "DELETE FROM sessions WHERE digest <> ?1", &[Arg::Text(digest)])?;
    batch(db, vec![delete, deed.recorded(db)?]).await?.changes(0)
}

fn room(db: &D1Database, now: u64) -> Result<Vec<D1PreparedStatement>, StoreError> {
    Ok(vec![
        statement(db, "DELETE FROM sessions WHERE expires_at <= ?1", &[Arg::Whole(now)])?,
        statement(
            db,
            "DELETE FROM sessions WHERE digest IN \
             (SELECT digest FROM sessions ORDER BY created_at DESC, digest LIMIT -1 OFFSET ?1)",
            &[Arg::Whole(SESSIONS as u64 - 1)],
        )?,
    ])
}

fn insert(
    db: &D1Database,
    session: &NewSession<'_>,
    record: &str,
) -> Result<D1PreparedStatement, StoreError> {
    statement(
        db,
        "INSERT INTO sessions (digest, created_at, expires_at) SELECT ?1, ?2, ?3 \
         WHERE EXISTS (SELECT 1 FROM meta WHERE name = 'password' AND value = ?4)",
        &[
            Arg::Text(session.digest),
            Arg::Whole(session.now),
            Arg::Whole(session.expires_at),
            Arg::Text(record),
        ],
    )
}
