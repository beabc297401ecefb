//! Whose request it is. A token is looked up in the snapshot; what is unknown there is asked for once, so that
//! a token works everywhere the moment it was created.

use super::ask::{Asked, ask, confirm_without_coordinator};
use super::state::{self, Known, Unusable};
use crate::platform::time;
use rondo_core::config::{AccessMode, Token};
use rondo_core::limits::coordinator::{EPOCH_CHECK_MS, UNKNOWN_DIGEST_CHECK_MS};
use rondo_core::pool::outcome::not_working;
use rondo_core::vault::{Digest, token::could_be_token};
use rondo_core::wire::errors::ApiError;
use rondo_core::wire::headers::credentials;
use std::rc::Rc;

/// The four headers that hold a token, in their order.
pub const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Who asks.
pub struct Client {
    /// Token id; empty in public mode.
    pub token: Rc<str>,
    /// The snapshot it was found in.
    pub known: Rc<Known>,
    /// Its place among the snapshot's tokens.
    place: Option<usize>,
    digest: Option<Digest>,
    /// The admin's session stands in for a token.
    playground: bool,
}

impl Client {
    /// The token with its rights and limits; `None` in public mode.
    pub fn record(&self) -> Option<&Token> {
        self.known.snapshot.tokens.get(self.place?)
    }

    /// Whether it is the admin, who needs no token and has none.
    pub fn is_playground(&self) -> bool {
        self.playground
    }

    /// Whether Rondo is open to anyone.
    pub fn is_public(&self) -> bool {
        self.known.snapshot.settings.access_mode == AccessMode::Public
    }

    /// Looks the token up again, when a newer snapshot came in since. To be called after every ask, before
    /// anything is sent.
    ///
    /// # Errors
    /// 401 when it is not accepted any more.
    pub fn check_again(&mut self) -> Result<(), ApiError> {
        let Some(known) = state::known() else { return Ok(()) };
        if Rc::ptr_eq(&known, &self.known) {
            return Ok(());
        }
        if self.playground {
            self.known = known;
            return Ok(());
        }
        let now = time::now_ms();
        match find(&known, self.digest.as_ref(), now) {
            Some((place, token)) => {
                self.token = token;
                self.place = place;
                self.known = known;
                Ok(())
            }
            None => Err(ApiError::invalid_api_key()),
        }
    }
}

/// The token's place and id, or an empty one where none is needed.
fn find(known: &Known, digest: Option<&Digest>, now: u64) -> Option<(Option<usize>, Rc<str>)> {
    let public = known.snapshot.settings.access_mode == AccessMode::Public;
    match digest.and_then(|digest| known.token(digest, now)) {
        Some((place, token)) => Some((Some(place), token.id.as_str().into())),
        None if public => Some((None, "".into())),
        None => None,
    }
}

/// What an operator is told when nothing can work.
pub fn unusable(why: Unusable) -> ApiError {
    match why {
        Unusable::Missing(missing) => not_working(&missing.to_string(), Some(missing.name)),
        Unusable::Broken(what) => not_working(&what, None),
        Unusable::Reported(what, missing) => not_working(&what, missing.as_deref()),
    }
}

/// Brings the snapshot up to date, with the Coordinator or without.
async fn sync(env: &worker::Env) -> Result<(), ApiError> {
    match ask(env, None, Vec::new()).await {
        Asked::Answered(_) => Ok(()),
        Asked::Silent(reported) => match confirm_without_coordinator(env).await {
            Ok(()) => Ok(()),
            // What the Coordinator said is closer to the cause.
            Err(why) => Err(unusable(reported.unwrap_or(why))),
        },
        Asked::Unusable(why) => Err(unusable(why)),
    }
}

/// Finds out who asks. `granted` says that the request will ask for a grant, whose answer confirms the
/// snapshot; one that needs none asks for the epoch first when its own is old.
///
/// # Errors
/// 401, 400 for two credentials that differ, 503 when there is no configuration to check against.
pub async fn authenticate(
    env: &worker::Env,
    headers: &[Option<String>; 4],
    granted: bool,
) -> Result<Client, ApiError> {
    let [authorization, x_api_key, api_key, x_goog_api_key] = headers.each_ref().map(Option::as_deref);
    let credential = credentials(authorization, x_api_key, api_key, x_goog_api_key)?;
    let began = time::now_ms();
    if state::known().is_none() || (!granted && began.saturating_sub(state::confirmed_at()) > EPOCH_CHECK_MS)
    {
        // Boxed: what few requests need would be part of each.
        Box::pin(sync(env)).await?;
    }
    let known = state::known().ok_or_else(ApiError::internal)?;
    let credential = credential.filter(|text| could_be_token(text));
    let digest = credential.map(|text| known.digest(text));
    let now = time::now_ms();
    if let Some((place, token)) = find(&known, digest.as_ref(), now) {
        return Ok(Client { token, known, place, digest, playground: false });
    }
    let Some(digest) = digest else { return Err(ApiError::invalid_api_key()) };
    // A snapshot of this very request knows all there is to know.
    if state::confirmed_at() < began && state::may_ask_for(&digest, now, UNKNOWN_DIGEST_CHECK_MS) {
        // Boxed: what few requests need would be part of each.
        Box::pin(sync(env)).await?;
        if let Some(known) = state::known()
            && let Some((place, token)) = find(&known, Some(&digest), time::now_ms())
        {
            // A restore brings other keys, under which the old digest means nothing; then it is not found.
            return Ok(Client { token, known, place, digest: Some(digest), playground: false });
        }
    }
    Err(ApiError::invalid_api_key())
}

/// The admin, for the playground. The caller has checked the session: nothing here does.
///
/// # Errors
/// 503 when there is no configuration to work by.
pub async fn admin(env: &worker::Env) -> Result<Client, ApiError> {
    if state::known().is_none() {
        // Boxed: what few requests need would be part of each.
        Box::pin(sync(env)).await?;
    }
    let known = state::known().ok_or_else(ApiError::internal)?;
    Ok(Client { token: "".into(), known, place: None, digest: None, playground: true })
}
