//! One call of the admin API: who asks, from where, and with what body.

use super::problem::Problem;
use super::routes::Route;
use super::{coordinator, secrets};
use crate::platform::body::{Collected, collect};
use crate::platform::env;
use crate::platform::incoming::Incoming;
use crate::platform::streams::Source;
use crate::platform::url::Address;
use crate::store::audit::Deed;
use crate::store::sessions;
use rondo_core::config::FieldError;
use rondo_core::vault::token::could_be_token;
use rondo_core::vault::{Domain, Keyring};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use worker::{D1Database, Env, Request};

/// The session cookie on https; the browser holds the prefix to its word.
const COOKIE_SECURE: &str = "__Host-rondo";
/// The session cookie on plain http.
const COOKIE_PLAIN: &str = "rondo";

/// A call under way.
pub struct Call {
    request: Request,
    url: Address,
    /// Bindings and secrets.
    pub env: Env,
    /// The database.
    pub db: D1Database,
    /// Sealing and digests.
    pub ring: Rc<Keyring>,
    /// Unix milliseconds at its start.
    pub now: u64,
    /// Where it comes from, as the limiter counts it.
    pub address: String,
    /// Digest of its session, if it has one.
    pub session: Option<String>,
}

/// Where a session's token came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Cookie,
    Header,
    None,
}

impl Call {
    /// Looks at a request: its session must be alive unless the route is open, and a change made with a cookie
    /// must come from the same origin. One query for the session, one more when the keyring is not at hand.
    ///
    /// # Errors
    /// 401, 403 or 503.
    pub async fn open(request: Request, env: Env, route: &Route, now: u64) -> Result<Self, Problem> {
        let url =
            Address::parse(&request.inner().url()).ok_or_else(|| Problem::not_found("no such address"))?;
        let (carrier, token) = session_token(&request, url.is_secure());
        if token.is_none() && !route.is_open() {
            return Err(Problem::unauthorized());
        }
        let changes = !matches!(request.inner().method().as_str(), "GET" | "HEAD");
        let origin = header(&request, "origin");
        let same = origin.as_deref().map(|origin| origin == url.origin());
        // A script has no Origin and no cookie; a browser sends both by itself.
        if changes
            && same != Some(true)
            && (carrier == Carrier::Cookie && !route.is_open()
                || same == Some(false) && carrier != Carrier::Header)
        {
            let detail = "a change made with the session cookie needs an Origin header of this address";
            return Err(Problem::new(403, "foreign-origin", "Foreign origin", detail));
        }
        let db = env::database(&env)?;
        let ring = secrets::keyring(&env, &db, now).await?;
        let mut session = None;
        if let Some(token) = token {
            let digest = ring.digest.digest(Domain::Session, &token).to_string();
            if sessions::is_alive(&db, &digest, now).await? {
                session = Some(digest);
            } else if !route.is_open() {
                return Err(Problem::unauthorized());
            }
        }
        let address = limited_address(header(&request, "cf-connecting-ip").as_deref());
        Ok(Self { request, url, env, db, ring, now, address, session })
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.is_secure()
    }

    /// The request as the data plane reads it.
    #[must_use]
    pub fn incoming(&self) -> Incoming {
        // The handle, not `Request.clone()`, which would split the body.
        Incoming::new(Clone::clone(self.request.inner()))
    }

    /// A header that a browser's stream of events is taken up with.
    #[must_use]
    pub fn last_event_id(&self) -> Option<String> {
        header(&self.request, "last-event-id")
    }

    /// The query's parameters, decoded.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        self.url.query()
    }

    /// The token that it presents, whatever that is good for.
    #[must_use]
    pub fn presented(&self) -> Option<String> {
        session_token(&self.request, self.is_secure()).1
    }

    /// The media type of the body, in lower case, without parameters.
    #[must_use]
    pub fn media_type(&self) -> String {
        let header = header(&self.request, "content-type").unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body's bytes as text.
    ///
    /// # Errors
    /// 413 over `limit` bytes, 400 when it is no UTF-8 or breaks off.
    pub async fn text(&self, limit: usize) -> Result<String, Problem> {
        let stated = header(&self.request, "content-length").and_then(|length| length.parse::<usize>().ok());
        if stated.is_some_and(|length| length > limit) {
            return Err(Problem::too_large(limit));
        }
        let Some(stream) = self.request.inner().body() else { return Ok(String::new()) };
        let source: Source = stream.unchecked_into();
        let bytes = match collect(&source, limit).await {
            Ok(Collected::Whole(bytes)) => bytes.to_vec(),
            Ok(Collected::More { reader, .. }) => {
                reader.cancel();
                return Err(Problem::too_large(limit));
            }
            Err(_) => return Err(FieldError::new("", "the body broke off").into()),
        };
        String::from_utf8(bytes).map_err(|_| FieldError::new("", "the body is not UTF-8").into())
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 415 for another content type, 413, 400.
    pub async fn object(&self, limit: usize) -> Result<Map<String, Value>, Problem> {
        if self.media_type() != "application/json" {
            return Err(unsupported("application/json"));
        }
        parse_object(&self.text(limit).await?)
    }

    /// The same for calls that can do without: no body is an empty object.
    ///
    /// # Errors
    /// As [`Call::object`].
    pub async fn optional_object(&self, limit: usize) -> Result<Map<String, Value>, Problem> {
        let text = self.text(limit).await?;
        if text.trim().is_empty() {
            return Ok(Map::new());
        }
        if self.media_type() != "application/json" {
            return Err(unsupported("application/json"));
        }
        parse_object(&text)
    }

    /// Who does it, for the audit log.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("admin ({})", self.address)
    }

    /// An entry of the audit log.
    #[must_use]
    pub fn deed<'a>(&self, actor: &'a str, action: &'a str, detail: &'a str) -> Deed<'a> {
        Deed { at: self.now, actor, action, detail }
    }

    /// Tells the Coordinator that the configuration changed.
    pub async fn announce(&self) {
        coordinator::changed(&self.env).await;
    }

    /// The cookie that carries a session for that many seconds; 0 takes it away.
    #[must_use]
    pub fn cookie(&self, token: &str, max_age_s: u64) -> String {
        let (name, secure) = if self.is_secure() { (COOKIE_SECURE, " Secure;") } else { (COOKIE_PLAIN, "") };
        format!("{name}={token}; Path=/;{secure} HttpOnly; SameSite=Strict; Max-Age={max_age_s}")
    }
}

/// 415.
#[must_use]
pub fn unsupported(wanted: &str) -> Problem {
    Problem::new(
        415,
        "unsupported-media-type",
        "Unsupported media type",
        format!("send the body as {wanted}"),
    )
}

fn parse_object(text: &str) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(FieldError::new("", "the body must be a JSON object").into()),
        // The position only: the message can quote the input.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(FieldError::new("", format!("the body is no JSON (line {line}, column {column})")).into())
        }
    }
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

fn session_token(request: &Request, secure: bool) -> (Carrier, Option<String>) {
    let bearer = || {
        let header = header(request, "authorization")?;
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    if let Some(token) = header(request, "x-admin-token").map(|token| token.trim().to_owned()).or_else(bearer)
    {
        return (Carrier::Header, Some(token).filter(|token| could_be_token(token)));
    }
    let name = if secure { COOKIE_SECURE } else { COOKIE_PLAIN };
    let cookies = header(request, "cookie").unwrap_or_default();
    let token =
        cookies.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name);
    match token.map(|(_, token)| token.to_owned()).filter(|token| could_be_token(token)) {
        Some(token) => (Carrier::Cookie, Some(token)),
        None => (Carrier::None, None),
    }
}

/// An address as the limiter counts it: of IPv6 the /64, since that is what one subscriber has.
fn limited_address(address: Option<&str>) -> String {
    match address.map(|text| text.trim().parse::<IpAddr>()) {
        Some(Ok(IpAddr::V4(address))) => address.to_string(),
        Some(Ok(IpAddr::V6(address))) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
        Some(Err(_)) | None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::limited_address;

    #[test]
    fn one_subscriber_counts_as_one_address() {
        assert_eq!(limited_address(Some("203.0.113.7")), "203.0.113.7");
        assert_eq!(limited_address(Some("::ffff:203.0.113.7")), "203.0.113.7");
        assert_eq!(limited_address(Some("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
        assert_eq!(limited_address(Some("2001:db8:1:2::9")), "2001:db8:1:2::/64");
        assert_eq!(limited_address(Some("not an address")), "unknown");
        assert_eq!(limited_address(None), "unknown");
    }
}
