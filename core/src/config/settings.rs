//! The operator's settings, with their defaults and ranges (`GET/PATCH /api/settings`).

use super::{FieldError, Fields};
use crate::limits::settings as bounds;
use crate::limits::{flush, input, timeout};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who may use the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessMode {
    /// Clients need a token.
    #[default]
    Token,
    /// Anyone; limited per client address.
    Public,
}

/// Which model serves a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelPolicy {
    /// Always the default pool's next model.
    Rotate,
    /// The requested model or alias when it is known, else the default pool.
    #[default]
    PreferRequested,
    /// Never changed.
    Passthrough,
}

/// How the tokens of a stream are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metering {
    /// From the stream itself.
    #[default]
    Exact,
    /// Streams pass untouched; usage is estimated (for the free plan's 10 ms of CPU).
    Estimate,
}

/// Time limits of one request, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// From sending to the upstream's headers, streaming.
    pub headers_ms: u64,
    /// From sending to the upstream's headers, non-streaming.
    pub headers_whole_ms: u64,
    /// From the headers to the first event.
    pub first_event_ms: u64,
    /// Silence within a stream.
    pub silence_ms: u64,
    /// The whole request.
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            headers_ms: timeout::HEADERS_MS,
            headers_whole_ms: timeout::HEADERS_WHOLE_MS,
            first_event_ms: timeout::FIRST_EVENT_MS,
            silence_ms: timeout::SILENCE_MS,
            total_ms: timeout::TOTAL_MS,
        }
    }
}

/// An operator's own figure for a quota, in place of the learned one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOverride {
    /// Quota group, or empty for all.
    pub group: String,
    /// Model id, or empty for all.
    pub model: String,
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Tokens a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
}

impl LimitOverride {
    /// Names are trimmed and bounded as where they are made.
    fn check(&mut self) -> Result<(), FieldError> {
        let wrong =
            |name: &str, problem: String| FieldError::new(&format!("limit_overrides.{name}"), problem);
        for (name, text) in [("group", &mut self.group), ("model", &mut self.model)] {
            *text = text.trim().to_owned();
            if text.chars().any(char::is_control) {
                return Err(wrong(name, "must not hold control characters".to_owned()));
            }
        }
        if self.group.chars().count() > input::NAME_CHARS {
            return Err(wrong("group", format!("must be at most {} characters", input::NAME_CHARS)));
        }
        if self.model.len() > input::MODEL_ID_BYTES {
            return Err(wrong("model", format!("must be at most {} bytes", input::MODEL_ID_BYTES)));
        }
        Ok(())
    }
}

/// Everything an operator can set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who may use the data plane.
    pub access_mode: AccessMode,
    /// Which model serves a request.
    pub model_policy: ModelPolicy,
    /// How long a request may wait for a grant when the client names no deadline.
    pub max_wait_ms: u64,
    /// Upstream attempts for one request.
    pub attempt_budget: u32,
    /// How often usage goes to D1.
    pub flush_interval_ms: u64,
    /// Least time between any two upstream requests; 0 is off.
    pub pace_ms: u64,
    /// The same for each key.
    pub key_pace_ms: u64,
    /// How streams are metered.
    pub metering: Metering,
    /// Requests a minute from one client address, in public mode.
    pub address_requests_per_minute: u64,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Quotas set by hand.
    pub limit_overrides: Vec<LimitOverride>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_mode: AccessMode::default(),
            model_policy: ModelPolicy::default(),
            max_wait_ms: bounds::MAX_WAIT_MS,
            attempt_budget: bounds::ATTEMPT_BUDGET,
            flush_interval_ms: flush::INTERVAL_MS,
            pace_ms: 0,
            key_pace_ms: 0,
            metering: Metering::default(),
            address_requests_per_minute: bounds::ADDRESS_REQUESTS_PER_MINUTE,
            timeouts: Timeouts::default(),
            limit_overrides: Vec::new(),
        }
    }
}

impl Settings {
    /// Applies a PATCH body.
    ///
    /// # Errors
    /// Names the field that is unknown, of the wrong type or out of range; nothing is changed then.
    pub fn patch(&mut self, body: &Map<String, Value>) -> Result<(), FieldError> {
        let mut next = self.clone();
        let mut fields = Fields::new(body);
        fields.choice("access_mode", &mut next.access_mode)?;
        fields.choice("model_policy", &mut next.model_policy)?;
        fields.number("max_wait_ms", 0..=bounds::MAX_WAIT_MAX_MS, &mut next.max_wait_ms)?;
        fields.number("attempt_budget", 1..=bounds::ATTEMPT_BUDGET_MAX, &mut next.attempt_budget)?;
        fields.number("flush_interval_ms", 0..=flush::INTERVAL_MAX_MS, &mut next.flush_interval_ms)?;
        // The alarm that flushes never runs more than once a second.
        next.flush_interval_ms = next.flush_interval_ms.max(flush::INTERVAL_MIN_MS);
        fields.number("pace_ms", 0..=bounds::PACE_MAX_MS, &mut next.pace_ms)?;
        fields.number("key_pace_ms", 0..=bounds::PACE_MAX_MS, &mut next.key_pace_ms)?;
        fields.choice("metering", &mut next.metering)?;
        fields.number("address_requests_per_minute", 1..=1_000_000, &mut next.address_requests_per_minute)?;
        if let Some(timeouts) = fields.object("timeouts")? {
            let mut times = Fields::within("timeouts", timeouts);
            times.number("headers_ms", timeout::SETTING_MS, &mut next.timeouts.headers_ms)?;
            times.number("headers_whole_ms", timeout::SETTING_MS, &mut next.timeouts.headers_whole_ms)?;
            times.number("first_event_ms", timeout::SETTING_MS, &mut next.timeouts.first_event_ms)?;
            times.number("silence_ms", timeout::SETTING_MS, &mut next.timeouts.silence_ms)?;
            times.number("total_ms", timeout::SETTING_MS, &mut next.timeouts.total_ms)?;
            times.finish()?;
        }
        fields.list("limit_overrides", input::LIMIT_OVERRIDES, &mut next.limit_overrides)?;
        fields.finish()?;
        if body.contains_key("limit_overrides") {
            next.limit_overrides.iter_mut().try_for_each(LimitOverride::check)?;
        }
        *self = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(body: &Value) -> Result<Settings, FieldError> {
        let mut settings = Settings::default();
        settings.patch(body.as_object().unwrap()).map(|()| settings)
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let settings =
            patched(&json!({"max_wait_ms": 5, "access_mode": "public", "timeouts": {"silence_ms": 900}}))
                .unwrap();
        assert_eq!(settings.max_wait_ms, 5);
        assert_eq!(settings.access_mode, AccessMode::Public);
        assert_eq!(settings.timeouts, Timeouts { silence_ms: 900, ..Timeouts::default() });
        assert_eq!(settings.attempt_budget, 40);
    }

    #[test]
    fn a_flush_interval_below_a_second_becomes_a_second() {
        assert_eq!(patched(&json!({"flush_interval_ms": 3})).unwrap().flush_interval_ms, 1_000);
    }

    #[test]
    fn errors_name_the_field() {
        for (body, field) in [
            (json!({"max_wait": 5}), "max_wait"),
            (json!({"max_wait_ms": "5"}), "max_wait_ms"),
            (json!({"max_wait_ms": -5}), "max_wait_ms"),
            (json!({"attempt_budget": 0}), "attempt_budget"),
            (json!({"access_mode": "open"}), "access_mode"),
            (json!({"timeouts": {"silence": 1}}), "timeouts.silence"),
            (json!({"timeouts": 3}), "timeouts"),
            (json!({"limit_overrides": [{"grp": 1}]}), "limit_overrides"),
            (json!({"limit_overrides": [{"group": "g".repeat(101)}]}), "limit_overrides.group"),
            (json!({"limit_overrides": [{"model": "m".repeat(257)}]}), "limit_overrides.model"),
            (json!({"limit_overrides": [{"group": "a\u{0}b"}]}), "limit_overrides.group"),
        ] {
            assert_eq!(patched(&body).unwrap_err().field, field, "{body}");
        }
    }
}
