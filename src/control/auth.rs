//! `/api/auth`: set-up, login, sessions, the password.

use super::call::Call;
use super::coordinator::{attempt_succeeded, begin_attempt};
use super::problem::{Outcome, Problem};
use super::{entropy, passwords, time_text};
use crate::platform::json::Reply;
use crate::platform::{env, log};
use crate::store::sessions::{self, NewSession};
use crate::store::settings;
use rondo_core::config::{FieldError, Fields};
use rondo_core::limits::auth::{SESSION_MS, SETUP_CODE_MAX_CHARS};
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::vault::token::{is_strong_setup_code, new_session_token};
use rondo_core::vault::{Domain, Secret, constant_time_eq};
use serde_json::{Map, Value, json};

/// `GET /api/auth/status`. One query.
pub async fn status(call: &Call) -> Outcome {
    let has_password = settings::password(&call.db).await?.is_some();
    let demo = env::is_demo(&call.env);
    Ok(Reply::new(200).json(&json!({
        "has_password": has_password,
        "logged_in": call.session.is_some(),
        "demo": demo,
    })))
}

/// A session before it is stored.
struct Fresh {
    token: Secret<String>,
    digest: String,
    expires_at: u64,
}

impl Fresh {
    fn new(call: &Call) -> Result<Self, Problem> {
        let token = new_session_token(entropy()?);
        let digest = call.ring.digest.digest(Domain::Session, token.expose()).to_string();
        Ok(Self { token, digest, expires_at: call.now + SESSION_MS })
    }

    fn row(&self, call: &Call) -> NewSession<'_> {
        NewSession { digest: &self.digest, now: call.now, expires_at: self.expires_at }
    }

    fn answer(&self, call: &Call, status: u16) -> worker::Response {
        let mut body = json!({"token": self.token.expose(), "expires_at": time_text(Some(self.expires_at))});
        if let (false, Some(body)) = (call.is_secure(), body.as_object_mut()) {
            let warning = "this connection is not encrypted: use https, or this address on this machine only";
            body.insert("warning".to_owned(), warning.into());
        }
        let cookie = call.cookie(self.token.expose(), SESSION_MS / 1_000);
        Reply::new(status).header("set-cookie", &cookie).json(&body)
    }
}

/// The secret `SETUP_TOKEN`, if it can guard anything.
fn setup_code(call: &Call) -> Result<Secret<String>, Problem> {
    let code = env::setup_code(&call.env)?;
    if !is_strong_setup_code(&code) {
        return Err(Problem::unavailable(
            "SETUP_TOKEN is too weak to guard the admin page: set it with \
             `openssl rand -base64 32 | npx wrangler secret put SETUP_TOKEN`",
        ));
    }
    Ok(Secret::new(code.trim().to_owned()))
}

/// The body of set-up and reset: a new password and the setup code.
async fn setup_body(call: &Call) -> Result<(Secret<String>, Secret<String>), Problem> {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let password = passwords::chosen(&body, "password")?;
    let code = match body.get("setup_code") {
        Some(Value::String(code)) if code.len() <= SETUP_CODE_MAX_CHARS => {
            Secret::new(code.trim().to_owned())
        }
        _ => return Err(FieldError::new("setup_code", "must be the setup code").into()),
    };
    only(&body, &["password", "setup_code"])?;
    Ok((password, code))
}

/// Refuses fields beyond these.
fn only<'a>(body: &'a Map<String, Value>, names: &[&'a str]) -> Result<(), FieldError> {
    let mut fields = Fields::new(body);
    for name in names {
        let _ = fields.take(name);
    }
    fields.finish()
}

/// Compares the code, counted by the limiter.
async fn check_code(call: &Call, right: &Secret<String>, given: &Secret<String>) -> Result<(), Problem> {
    begin_attempt(&call.env, &call.address).await?;
    if !constant_time_eq(right.expose(), given.expose()) {
        log::warn("wrong_setup_code", &json!({}));
        return Err(Problem::new(403, "wrong-setup-code", "Wrong setup code", "the setup code is not right"));
    }
    attempt_succeeded(&call.env, &call.address).await;
    Ok(())
}

/// `POST /api/auth/setup`. Four queries.
pub async fn setup(call: &Call) -> Outcome {
    let right = setup_code(call)?;
    let (password, given) = setup_body(call).await?;
    let taken =
        || Problem::conflict("a password is set already; POST /api/auth/reset replaces a forgotten one");
    if settings::password(&call.db).await?.is_some() {
        return Err(taken());
    }
    check_code(call, &right, &given).await?;
    let record = passwords::record(call, &password).await?;
    let (session, actor) = (Fresh::new(call)?, call.actor());
    let deed = call.deed(&actor, "auth.setup", "");
    if !sessions::set_up(&call.db, &session.row(call), &record, &deed).await? {
        return Err(taken());
    }
    Ok(session.answer(call, 201))
}

/// `POST /api/auth/reset`. Four queries.
pub async fn reset(call: &Call) -> Outcome {
    let right = setup_code(call)?;
    let (password, given) = setup_body(call).await?;
    check_code(call, &right, &given).await?;
    let record = passwords::record(call, &password).await?;
    let (session, actor) = (Fresh::new(call)?, call.actor());
    let deed = call.deed(&actor, "auth.reset", "every session ended");
    sessions::replace_password(&call.db, &record, Some(&session.row(call)), &deed).await?;
    Ok(session.answer(call, 201))
}

/// `POST /api/auth/login`. Five queries.
pub async fn login(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let password = passwords::given(&body, "password")?;
    only(&body, &["password"])?;
    let record = passwords::verify(call, &password).await?;
    let (session, actor) = (Fresh::new(call)?, call.actor());
    let deed = call.deed(&actor, "auth.login", "");
    if !sessions::begin(&call.db, &session.row(call), &record, &deed).await? {
        return Err(Problem::wrong_password());
    }
    Ok(session.answer(call, 200))
}

/// `POST /api/auth/logout`. Two queries.
pub async fn logout(call: &Call) -> Outcome {
    if let Some(session) = &call.session {
        let actor = call.actor();
        sessions::end(&call.db, session, &call.deed(&actor, "auth.logout", "")).await?;
    }
    Ok(Reply::new(204).header("set-cookie", &call.cookie("", 0)).empty())
}

/// `POST /api/auth/password`. Four queries.
pub async fn change(call: &Call) -> Outcome {
    let body = call.object(ADMIN_BODY_BYTES).await?;
    let current = passwords::given(&body, "current")?;
    let new = passwords::chosen(&body, "new")?;
    only(&body, &["current", "new"])?;
    passwords::verify(call, &current).await?;
    let record = passwords::record(call, &new).await?;
    let actor = call.actor();
    let deed = call.deed(&actor, "auth.password", "every session ended");
    sessions::replace_password(&call.db, &record, None, &deed).await?;
    Ok(Reply::new(204).header("set-cookie", &call.cookie("", 0)).empty())
}
