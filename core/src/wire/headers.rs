//! Headers: which pass, who asks, until when, and what the upstream says of its limits.

use serde::{Deserialize, Serialize};

/// What goes upstream of the client's headers, and nothing else: no credentials, no addresses, no cookies.
/// Rondo adds its own `authorization`, `user-agent`, `accept-encoding: identity` and `content-type`.
pub const REQUEST_HEADERS: [&str; 4] =
    ["accept", "queue_threshold", "x-cerebras-version-patch", "x-cerebras-3rd-party-integration"];

/// What goes to the client of the upstream's headers. Limits belong to one key of many and would mislead;
/// `retry-after` and `x-should-retry` are Rondo's to say; the rest is hop-by-hop, cookies or the upstream's own.
pub const RESPONSE_HEADERS: [&str; 4] =
    ["content-type", "cache-control", "inference-id", "openai-processing-ms"];

/// The longest value that is passed on, in bytes.
pub const MAX_PASSED_VALUE: usize = 1024;
/// The longest credential header that is read, in bytes.
pub const MAX_CREDENTIAL: usize = 4096;
/// The longest request id taken from a client, in bytes.
pub const MAX_REQUEST_ID: usize = 128;
/// No wait stated by an upstream is believed beyond a day: then it is asked again.
pub const MAX_RETRY_MS: u64 = 24 * 3600 * 1000;
/// The longest deadline a client may set: an hour.
pub const MAX_DEADLINE_MS: u64 = 3600 * 1000;

/// Whether a header's value can be passed on: bounded, visible ASCII and spaces.
pub fn can_pass(value: &str) -> bool {
    value.len() <= MAX_PASSED_VALUE && value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
}

/// Seconds as a float, to milliseconds rounded up: coming a fraction too early is refused again.
fn seconds_to_ms(text: &str, most: u64) -> Option<u64> {
    let text = text.trim();
    // `f64` also reads words such as `inf` and `nan`.
    if text.len() > 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    // A thousandth less before rounding up keeps 1.3 s at 1300 ms, whatever the binary fraction.
    (seconds >= 0.0).then(|| ((seconds * 1000.0 - 0.001).ceil().max(0.0) as u64).min(most))
}

/// How long an upstream wants to be left alone, in milliseconds from `now_ms` (Unix time). `retry-after-ms` goes
/// before `retry-after` (seconds, fractions or an HTTP date; a date that has passed is 0), and either before
/// `reset_ms`, what the limit headers say (`exhausted_reset_ms`). At most `MAX_RETRY_MS`.
pub fn retry_after_ms(
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    reset_ms: Option<u64>,
    now_ms: u64,
) -> Option<u64> {
    let exact = || {
        let ms: f64 = numeric(retry_after_ms?)?;
        (ms >= 0.0).then(|| ms.ceil() as u64)
    };
    let stated = || {
        let text = retry_after?.trim();
        seconds_to_ms(text, MAX_RETRY_MS).or_else(|| {
            let date = httpdate::parse_http_date(text.get(..64).unwrap_or(text)).ok()?;
            let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
            Some(u64::try_from(at).unwrap_or(u64::MAX).saturating_sub(now_ms))
        })
    };
    exact().or_else(stated).or(reset_ms).map(|ms| ms.min(MAX_RETRY_MS))
}

fn numeric(text: &str) -> Option<f64> {
    let text = text.trim();
    (text.len() <= 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.'))).then(|| text.parse().ok())?
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Counted {
    /// Requests.
    #[serde(rename = "r")]
    Requests,
    /// Tokens, without saying which.
    #[serde(rename = "t")]
    Tokens,
    /// Tokens that were not in the upstream's cache.
    #[serde(rename = "u")]
    UncachedTokens,
    /// All tokens, cached ones too.
    #[serde(rename = "a")]
    TotalTokens,
}

/// Over what time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Window {
    /// 60 s.
    #[serde(rename = "m")]
    Minute,
    /// 3,600 s.
    #[serde(rename = "h")]
    Hour,
    /// 86,400 s.
    #[serde(rename = "d")]
    Day,
}

impl Window {
    /// `minute`, `hour` or `day`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length in milliseconds.
    pub fn ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

/// What a response says of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReading {
    /// What is counted.
    #[serde(rename = "c")]
    pub what: Counted,
    /// Over what time.
    #[serde(rename = "w")]
    pub window: Window,
    /// How many there may be.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many are left. Below zero is zero.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// Milliseconds until it is full again, at most `MAX_RETRY_MS`.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub reset_ms: Option<u64>,
}

enum Part {
    Limit,
    Remaining,
    Reset,
}

/// Reads `x-ratelimit-{limit,remaining,reset}-{requests,tokens}-{minute,hour,day}` from a response's headers
/// (names in any case), with `uncached` or `total` anywhere behind the part. Other names and values that are
/// no numbers are left out, so there are twelve readings at most.
pub fn rate_limits<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<LimitReading> {
    let mut readings: Vec<LimitReading> = Vec::new();
    for (name, value) in headers {
        let Some((part, what, window)) = limit_name(name) else { continue };
        let same = |reading: &LimitReading| reading.what == what && reading.window == window;
        let at = readings.iter().position(same).unwrap_or_else(|| {
            readings.push(LimitReading { what, window, limit: None, remaining: None, reset_ms: None });
            readings.len() - 1
        });
        let Some(reading) = readings.get_mut(at) else { continue };
        match part {
            Part::Limit => reading.limit = whole(value),
            Part::Remaining => reading.remaining = whole(value),
            Part::Reset => reading.reset_ms = seconds_to_ms(value, MAX_RETRY_MS),
        }
    }
    readings.retain(|reading| {
        reading.limit.is_some() || reading.remaining.is_some() || reading.reset_ms.is_some()
    });
    readings
}

fn whole(value: &str) -> Option<u64> {
    let value = value.trim();
    match value.strip_prefix('-') {
        Some(below) => numeric(below).map(|_| 0),
        None => numeric(value).map(|n| n as u64),
    }
}

fn limit_name(name: &str) -> Option<(Part, Counted, Window)> {
    const PREFIX: &str = "x-ratelimit-";
    if name.len() > 80 || !name.get(..PREFIX.len())?.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let rest = name.get(PREFIX.len()..)?.to_ascii_lowercase();
    let mut words = rest.split('-');
    let part = match words.next()? {
        "limit" => Part::Limit,
        "remaining" => Part::Remaining,
        "reset" => Part::Reset,
        _ => return None,
    };
    let (mut requests, mut tokens, mut uncached, mut total, mut window) = (false, false, false, false, None);
    for word in words {
        match word {
            "requests" => requests = true,
            "tokens" => tokens = true,
            "uncached" => uncached = true,
            "total" => total = true,
            "minute" => window = Some(Window::Minute),
            "hour" => window = Some(Window::Hour),
            "day" => window = Some(Window::Day),
            // A limit of another kind must not be taken for one that is known.
            _ => return None,
        }
    }
    let what = match (requests, tokens, uncached, total) {
        (true, false, false, false) => Counted::Requests,
        (false, true, false, false) => Counted::Tokens,
        (false, true, true, false) => Counted::UncachedTokens,
        (false, true, false, true) => Counted::TotalTokens,
        _ => return None,
    };
    Some((part, what, window?))
}

/// When the limits that are used up have refilled: the longest reset among readings with nothing remaining.
/// None if none is used up (a 429 may then be for tokens that would not fit: the least is not known).
pub fn exhausted_reset_ms(readings: &[LimitReading]) -> Option<u64> {
    readings
        .iter()
        .filter(|reading| reading.remaining == Some(0))
        .filter_map(|reading| reading.reset_ms)
        .max()
}

/// How long the client waits, in milliseconds: the least of `x-stainless-timeout` and
/// `x-stainless-read-timeout` (seconds) and `x-rondo-deadline-ms`. Values that are no positive numbers (Python
/// sends `None`) are left out. At most `MAX_DEADLINE_MS`.
pub fn deadline_ms(
    stainless_timeout: Option<&str>,
    stainless_read_timeout: Option<&str>,
    rondo_deadline_ms: Option<&str>,
) -> Option<u64> {
    let seconds = |text: Option<&str>| seconds_to_ms(text?, MAX_DEADLINE_MS);
    let exact = rondo_deadline_ms.and_then(numeric).map(|ms| (ms as u64).min(MAX_DEADLINE_MS));
    [seconds(stainless_timeout), seconds(stainless_read_timeout), exact]
        .into_iter()
        .flatten()
        .filter(|ms| *ms > 0)
        .min()
}

/// The client's own request id if it is sane (1 to 128 of `[A-Za-z0-9._-]`), else one made of `entropy`.
pub fn request_id(client: Option<&str>, entropy: [u8; 16]) -> String {
    let sane = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match client.filter(sane) {
        Some(id) => id.to_owned(),
        None => {
            // By hand: formatting a number this large was half a per cent of a request.
            let digits = entropy.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let mut id = String::with_capacity("req-".len() + 2 * entropy.len());
            id.push_str("req-");
            id.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
            id
        }
    }
}

/// Why credentials can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// Two headers hold different ones.
    Conflict,
    /// `authorization` is not `Bearer`.
    Scheme,
    /// Longer than `MAX_CREDENTIAL`.
    TooLong,
    /// Holds what no token holds: spaces, commas (a header sent twice), control characters, no ASCII.
    Malformed,
}

impl From<CredentialError> for crate::wire::errors::ApiError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Conflict => Self::conflicting_credentials(),
            CredentialError::Scheme => {
                Self::unreadable_credentials("The Authorization header must be `Bearer` and a Rondo token.")
            }
            CredentialError::TooLong => {
                Self::unreadable_credentials("The credential is too long for a Rondo token.")
            }
            CredentialError::Malformed => {
                Self::unreadable_credentials("The credential holds characters that no Rondo token has.")
            }
        }
    }
}

/// The one credential that the four headers hold. Empty headers (and `Bearer` alone) count as absent; the same
/// one twice is one.
pub fn credentials<'a>(
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
    api_key: Option<&'a str>,
    x_goog_api_key: Option<&'a str>,
) -> Result<Option<&'a str>, CredentialError> {
    let bearer = authorization.map(authorized).transpose()?;
    let mut found = None;
    for value in [bearer, x_api_key, api_key, x_goog_api_key].into_iter().flatten() {
        if value.len() > MAX_CREDENTIAL {
            return Err(CredentialError::TooLong);
        }
        let value = value.trim_matches([' ', '\t']);
        if value.is_empty() {
            continue;
        }
        if !value.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
            return Err(CredentialError::Malformed);
        }
        match found {
            None => found = Some(value),
            Some(other) if other == value => {}
            Some(_) => return Err(CredentialError::Conflict),
        }
    }
    Ok(found)
}

/// Several `Authorization` lines arrive joined by commas; no scheme and no token of Rondo's has one.
fn authorized(header: &str) -> Result<&str, CredentialError> {
    if header.len() > MAX_CREDENTIAL {
        return Err(CredentialError::TooLong);
    }
    let mut found = None;
    for line in header.split(',') {
        let token = bearer(line)?;
        match found {
            None => found = Some(token),
            Some(other) if other == token => {}
            Some(_) => return Err(CredentialError::Conflict),
        }
    }
    Ok(found.unwrap_or_default())
}

fn bearer(header: &str) -> Result<&str, CredentialError> {
    if header.len() > MAX_CREDENTIAL {
        return Err(CredentialError::TooLong);
    }
    let header = header.trim_matches([' ', '\t']);
    let (scheme, rest) = header.split_once([' ', '\t']).unwrap_or((header, ""));
    if scheme.is_empty() || scheme.eq_ignore_ascii_case("bearer") {
        Ok(rest)
    } else {
        Err(CredentialError::Scheme)
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
