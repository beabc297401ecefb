//! Bodies of the calls about client tokens.

use super::{FieldError, Fields, TokenLimits, rfc3339};
use crate::limits::input::{LIMIT_VALUE_MAX, MODEL_ID_BYTES, NAME_CHARS, TOKEN_MODELS};
use crate::vault::Secret;
use crate::vault::token::check_own_token;
use serde_json::{Map, Value};

/// What an operator sets of a token. A token without a record yet starts as [`TokenFields::default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFields {
    /// The operator's name for it.
    pub name: String,
    /// Whether it is accepted.
    pub enabled: bool,
    /// Unix milliseconds after which it is refused.
    pub expires_at: Option<u64>,
    /// Models or pools it may use; `None` is all.
    pub models: Option<Vec<String>>,
    /// Its limits.
    pub limits: TokenLimits,
    /// Whether it may read `/metrics`.
    pub metrics: bool,
}

impl Default for TokenFields {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            expires_at: None,
            models: None,
            limits: TokenLimits::default(),
            metrics: false,
        }
    }
}

impl TokenFields {
    /// Applies the fields of a body; null clears what can be absent. `now` is unix milliseconds.
    pub(super) fn apply(&mut self, fields: &mut Fields<'_>, now: u64) -> Result<(), FieldError> {
        fields.text("name", NAME_CHARS * 4, &mut self.name)?;
        if self.name.is_empty() || self.name.chars().count() > NAME_CHARS {
            return Err(FieldError::new("name", format!("must be a text of 1 to {NAME_CHARS} characters")));
        }
        fields.flag("enabled", &mut self.enabled)?;
        fields.flag("metrics", &mut self.metrics)?;
        match fields.take("expires_at") {
            None => {}
            Some(Value::Null) => self.expires_at = None,
            Some(value) => {
                let time = value.as_str().and_then(rfc3339::parse);
                let wrong = || {
                    FieldError::new(
                        "expires_at",
                        "must be a time like 2027-01-31T12:00:00Z, or null for never",
                    )
                };
                let time = time.ok_or_else(wrong)?;
                if time <= now {
                    return Err(FieldError::new(
                        "expires_at",
                        "must be in the future; to stop a token set enabled to false",
                    ));
                }
                self.expires_at = Some(time);
            }
        }
        match fields.take("models") {
            None => {}
            Some(Value::Null) => self.models = None,
            Some(_) => {
                let mut models: Vec<String> = Vec::new();
                fields.list("models", TOKEN_MODELS, &mut models)?;
                self.models = Some(checked_models(models)?);
            }
        }
        let limits = &mut self.limits;
        for (name, limit) in [
            ("requests_per_minute", &mut limits.requests_per_minute),
            ("tokens_per_minute", &mut limits.tokens_per_minute),
            ("tokens_per_day", &mut limits.tokens_per_day),
            ("tokens_per_month", &mut limits.tokens_per_month),
            ("max_concurrent", &mut limits.max_concurrent),
        ] {
            fields.optional_number(name, 1..=LIMIT_VALUE_MAX, limit)?;
        }
        Ok(())
    }

    /// Applies a PATCH body.
    ///
    /// # Errors
    /// Names the field that is unknown or wrong; nothing is changed then.
    pub fn patch(&mut self, body: &Map<String, Value>, now: u64) -> Result<(), FieldError> {
        if body.is_empty() {
            return Err(FieldError::new("", "the body changes nothing"));
        }
        let mut next = self.clone();
        let mut fields = Fields::new(body);
        next.apply(&mut fields, now)?;
        fields.finish()?;
        *self = next;
        Ok(())
    }
}

fn checked_models(models: Vec<String>) -> Result<Vec<String>, FieldError> {
    let mut kept: Vec<String> = Vec::with_capacity(models.len());
    for model in models {
        let model = model.trim();
        if model.is_empty() || model.len() > MODEL_ID_BYTES || model.chars().any(char::is_control) {
            return Err(FieldError::new(
                "models",
                format!("holds a name that is empty or longer than {MODEL_ID_BYTES} bytes"),
            ));
        }
        if !kept.iter().any(|known| known == model) {
            kept.push(model.to_owned());
        }
    }
    if kept.is_empty() {
        return Err(FieldError::new("models", "must name at least one model, or be null for all"));
    }
    Ok(kept)
}

/// A token to make.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What is set of it.
    pub fields: TokenFields,
    /// The operator's own value, so that clients of an older proxy keep theirs.
    pub own: Option<Secret<String>>,
}

impl NewToken {
    /// Reads a POST body. `now` is unix milliseconds.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>, now: u64) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let mut set = TokenFields::default();
        set.apply(&mut fields, now)?;
        let own = match fields.take("token") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let token = value.as_str().ok_or_else(|| FieldError::new("token", "must be a text"))?;
                check_own_token(token).map_err(|error| FieldError::new("token", error.to_string()))?;
                Some(Secret::new(token.to_owned()))
            }
        };
        fields.finish()?;
        Ok(Self { fields: set, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000_000;

    fn made(value: &Value) -> Result<NewToken, FieldError> {
        NewToken::parse(value.as_object().unwrap(), NOW)
    }

    #[test]
    fn a_name_alone_makes_an_enabled_token_without_limits() {
        let token = made(&json!({"name": "laptop"})).unwrap();
        assert_eq!(token.fields, TokenFields { name: "laptop".into(), ..TokenFields::default() });
        assert!(token.fields.enabled && !token.fields.limits.any() && token.own.is_none());
    }

    #[test]
    fn null_clears_and_absent_keeps() {
        let body = json!({"name": "a", "expires_at": "2030-01-01T00:00:00Z", "models": ["m", "m", "n"],
            "requests_per_minute": 5, "tokens_per_month": 1_000_000, "metrics": true});
        let mut fields = made(&body).unwrap().fields;
        assert_eq!(fields.models.as_deref(), Some(["m".to_owned(), "n".to_owned()].as_slice()));
        let patch = json!({"expires_at": null, "models": null, "requests_per_minute": null});
        fields.patch(patch.as_object().unwrap(), NOW).unwrap();
        assert_eq!(
            (fields.expires_at, &fields.models, fields.limits.requests_per_minute),
            (None, &None, None)
        );
        assert_eq!(fields.limits.tokens_per_month, Some(1_000_000));
        assert!(fields.metrics);
    }

    #[test]
    fn errors_name_the_field_and_change_nothing() {
        for (value, field) in [
            (json!({}), "name"),
            (json!({"name": " "}), "name"),
            (json!({"name": "x".repeat(101)}), "name"),
            (json!({"name": "a", "enabled": "yes"}), "enabled"),
            (json!({"name": "a", "expires_at": "tomorrow"}), "expires_at"),
            (json!({"name": "a", "expires_at": 5}), "expires_at"),
            (json!({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
            (json!({"name": "a", "models": []}), "models"),
            (json!({"name": "a", "models": [""]}), "models"),
            (json!({"name": "a", "models": "m"}), "models"),
            (json!({"name": "a", "max_concurrent": 0}), "max_concurrent"),
            (json!({"name": "a", "token": "short"}), "token"),
            (json!({"name": "a", "token": "with a space inside"}), "token"),
            (json!({"name": "a", "colour": 1}), "colour"),
        ] {
            assert_eq!(made(&value).unwrap_err().field, field, "{value}");
        }
        let mut fields = TokenFields { name: "a".into(), ..TokenFields::default() };
        let before = fields.clone();
        assert!(fields.patch(json!({"enabled": false, "metrics": 1}).as_object().unwrap(), NOW).is_err());
        assert_eq!(fields, before);
        assert_eq!(
            fields.patch(json!({"token": "sixteen-characters"}).as_object().unwrap(), NOW).unwrap_err().field,
            "token"
        );
    }

    #[test]
    fn an_operators_own_value_is_taken_as_it_is() {
        let own = "an-older-proxys-token";
        assert_eq!(made(&json!({"name": "a", "token": own})).unwrap().own.unwrap().expose(), own);
    }
}
