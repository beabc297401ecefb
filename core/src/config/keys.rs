//! Bodies of the calls about upstream keys.

use super::import::check_key;
use super::{FieldError, Fields};
use crate::limits::input::{BASE_URL_BYTES, BULK_IDS, LABEL_CHARS, NAME_CHARS, ROW_ID_BYTES, WEIGHT_MAX};
use crate::pool::providers::{PROVIDERS, Provider};
use crate::vault::Secret;
use serde_json::{Map, Value};

/// The provider of keys and models that name none.
pub const DEFAULT_PROVIDER: &str = "cerebras";

/// A key to add.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key itself.
    pub key: Secret<String>,
    /// The id of a [`Provider`].
    pub provider: String,
    /// The operator's words for it.
    pub label: String,
    /// Its quota group; `None` is a group of its own.
    pub group: Option<String>,
    /// Its share.
    pub weight: u32,
    /// Its own upstream, if it has one.
    pub base_url: Option<String>,
}

impl NewKey {
    /// Reads `{key, provider?, label?, group?, weight?, base_url?}`.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let mut key = String::new();
        fields.text("key", crate::limits::input::UPSTREAM_KEY_BYTES, &mut key)?;
        check_key(&key).map_err(|problem| FieldError::new("key", problem))?;
        let provider = provider(&mut fields)?;
        let mut label = String::new();
        text(&mut fields, "label", LABEL_CHARS, &mut label)?;
        let group = group(&mut fields)?.flatten();
        let mut weight = 1;
        fields.number("weight", 1..=WEIGHT_MAX, &mut weight)?;
        let base_url = base_url(&mut fields)?;
        if fields.take("options").is_some_and(|options| !options.is_null()) {
            return Err(FieldError::new("options", format!("provider {provider} takes none")));
        }
        fields.finish()?;
        Ok(Self { key: Secret::new(key), provider, label, group, weight, base_url })
    }
}

/// What stands for many keys in one call.
#[derive(Clone, Debug)]
pub struct KeyBatch {
    /// The pasted text.
    pub input: Secret<String>,
    /// The id of a [`Provider`].
    pub provider: String,
    /// The group all of them share.
    pub group: Option<String>,
}

impl KeyBatch {
    /// Reads `{input, provider?, group?}`.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let input = match fields.take("input") {
            Some(Value::String(input)) => Secret::new(input.clone()),
            _ => return Err(FieldError::new("input", "must be a text with the keys")),
        };
        let provider = provider(&mut fields)?;
        let group = group(&mut fields)?.flatten();
        fields.finish()?;
        Ok(Self { input, provider, group })
    }

    /// A `text/plain` body: keys of the default provider, each a group of its own.
    #[must_use]
    pub fn plain(input: String) -> Self {
        Self { input: Secret::new(input), provider: DEFAULT_PROVIDER.to_owned(), group: None }
    }
}

/// A change of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPatch {
    /// New label.
    pub label: Option<String>,
    /// New group; `Some(None)` makes it a group of its own.
    pub group: Option<Option<String>>,
    /// New weight.
    pub weight: Option<u32>,
    /// On or off.
    pub enabled: Option<bool>,
}

impl KeyPatch {
    /// Reads `{label?, group?, weight?, enabled?}`.
    ///
    /// # Errors
    /// Names the field that is unknown or wrong; an empty body changes nothing and is an error too.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        if body.is_empty() {
            return Err(FieldError::new(
                "",
                "the body changes nothing: send label, group, weight or enabled",
            ));
        }
        let mut fields = Fields::new(body);
        let mut patch = Self::default();
        if body.contains_key("label") {
            text(&mut fields, "label", LABEL_CHARS, patch.label.insert(String::new()))?;
        }
        patch.group = group(&mut fields)?;
        if body.contains_key("weight") {
            fields.number("weight", 1..=WEIGHT_MAX, patch.weight.insert(1))?;
        }
        if body.contains_key("enabled") {
            fields.flag("enabled", patch.enabled.insert(false))?;
        }
        fields.finish()?;
        Ok(patch)
    }

    /// The names of what changes, for the audit log.
    #[must_use]
    pub fn names(&self) -> String {
        let named = [
            self.label.as_ref().map(|_| "label".to_owned()),
            self.group.as_ref().map(|_| "group".to_owned()),
            self.weight.map(|weight| format!("weight={weight}")),
            self.enabled.map(|enabled| format!("enabled={enabled}")),
        ];
        named.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Many keys, on or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySwitch {
    /// Row ids.
    pub ids: Vec<String>,
    /// On or off.
    pub enabled: bool,
}

impl KeySwitch {
    /// Reads `{ids, enabled}`.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let missing = || FieldError::new("ids", "must hold at least one id");
        let ids = ids(&mut fields, BULK_IDS)?.ok_or_else(missing)?;
        if !body.contains_key("enabled") {
            return Err(FieldError::new("enabled", "must be true or false"));
        }
        let mut enabled = false;
        fields.flag("enabled", &mut enabled)?;
        fields.finish()?;
        Ok(Self { ids, enabled })
    }
}

/// Which keys a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// These.
    Ids(Vec<String>),
    /// Those in that state, one of [`super::list::KEY_STATES`].
    Status(String),
    /// All.
    All,
}

impl Chosen {
    /// Reads `{ids}` or `{status}` of a bulk delete.
    ///
    /// # Errors
    /// Names the field; one of the two must be there.
    pub fn for_delete(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let ids = ids(&mut fields, BULK_IDS)?;
        let mut status = String::new();
        fields.text("status", 32, &mut status)?;
        fields.finish()?;
        match (ids, status.is_empty()) {
            (Some(ids), true) => Ok(Self::Ids(ids)),
            (None, false) if super::list::KEY_STATES.contains(&status.as_str()) => Ok(Self::Status(status)),
            (None, false) => Err(FieldError::new(
                "status",
                format!("must be one of {}", super::list::KEY_STATES.join(", ")),
            )),
            _ => Err(FieldError::new("ids", "send either ids or status")),
        }
    }

    /// Reads `{ids?}` of a bulk test.
    ///
    /// # Errors
    /// Names the field.
    pub fn for_test(body: &Map<String, Value>, max: usize) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let ids = ids(&mut fields, max)?;
        fields.finish()?;
        Ok(ids.map_or(Self::All, Self::Ids))
    }
}

pub(super) fn ids(fields: &mut Fields<'_>, max: usize) -> Result<Option<Vec<String>>, FieldError> {
    let mut ids: Vec<String> = Vec::new();
    fields.list("ids", max, &mut ids)?;
    let there = fields.take("ids").is_some();
    if there && ids.is_empty() {
        return Err(FieldError::new("ids", "must hold at least one id"));
    }
    if ids.iter().any(|id| id.len() > ROW_ID_BYTES) {
        return Err(FieldError::new("ids", "holds a text that is no id"));
    }
    Ok(there.then_some(ids))
}

fn provider(fields: &mut Fields<'_>) -> Result<String, FieldError> {
    let mut provider = DEFAULT_PROVIDER.to_owned();
    fields.text("provider", 64, &mut provider)?;
    check_provider(&provider).map_err(|problem| FieldError::new("provider", problem))?;
    Ok(provider)
}

/// Whether a provider is known.
///
/// # Errors
/// A sentence that names those that are.
pub fn check_provider(id: &str) -> Result<(), String> {
    if Provider::find(id).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.id).collect();
    Err(format!("must be one of {}", known.join(", ")))
}

/// A text counted in characters.
pub(super) fn text<'a>(
    fields: &mut Fields<'a>,
    name: &'a str,
    max: usize,
    into: &mut String,
) -> Result<(), FieldError> {
    fields.text(name, max * 4, into)?;
    if into.chars().count() > max {
        return Err(FieldError::new(name, format!("must be at most {max} characters")));
    }
    Ok(())
}

/// `None` when the field is not there, `Some(None)` when it is null or empty.
pub(super) fn group(fields: &mut Fields<'_>) -> Result<Option<Option<String>>, FieldError> {
    match fields.take("group") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(_) => {
            let mut group = String::new();
            text(fields, "group", NAME_CHARS, &mut group)?;
            Ok(Some(Some(group).filter(|group| !group.is_empty())))
        }
    }
}

fn base_url(fields: &mut Fields<'_>) -> Result<Option<String>, FieldError> {
    if fields.take("base_url").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let mut url = String::new();
    fields.text("base_url", BASE_URL_BYTES, &mut url)?;
    check_base_url(&url).map_err(|problem| FieldError::new("base_url", problem))?;
    Ok(Some(url))
}

/// A base URL is https, or http to this machine; nothing that could hide where the key goes.
fn check_base_url(url: &str) -> Result<(), &'static str> {
    const RULE: &str = "must be an https address (http for localhost) without user, query or fragment";
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(RULE),
    };
    let visible = rest.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || rest.contains(['@', '?', '#', '\\']) {
        return Err(RULE);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let host = if authority.starts_with('[') {
        authority.split_inclusive(']').next().unwrap_or_default()
    } else {
        authority.split(':').next().unwrap_or_default()
    };
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if host.is_empty() || !(secure || local) { Err(RULE) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    #[test]
    fn a_key_alone_is_enough() {
        let key = NewKey::parse(body(&json!({"key": " csk-0123456789abcdef\n"}))).unwrap();
        assert_eq!(key.key.expose(), "csk-0123456789abcdef");
        assert_eq!((key.provider.as_str(), key.weight, key.group), ("cerebras", 1, None));
    }

    #[test]
    fn errors_name_the_field_and_never_the_key() {
        let good = "csk-0123456789abcdef";
        for (value, field) in [
            (json!({}), "key"),
            (json!({"key": 5}), "key"),
            (json!({"key": "short"}), "key"),
            (json!({"key": "csk-with space in it"}), "key"),
            (json!({"key": good, "provider": "acme"}), "provider"),
            (json!({"key": good, "weight": 0}), "weight"),
            (json!({"key": good, "weight": 101}), "weight"),
            (json!({"key": good, "weight": 1.5}), "weight"),
            (json!({"key": good, "label": "x".repeat(201)}), "label"),
            (json!({"key": good, "group": 7}), "group"),
            (json!({"key": good, "options": {}}), "options"),
            (json!({"key": good, "base_url": "http://example.com"}), "base_url"),
            (json!({"key": good, "base_url": "https://a@b"}), "base_url"),
            (json!({"key": good, "base_url": "https://"}), "base_url"),
            (json!({"key": good, "secret": 1}), "secret"),
        ] {
            let error = NewKey::parse(body(&value)).unwrap_err();
            assert_eq!(error.field, field, "{value}");
            assert!(!error.to_string().contains(good), "{error}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for url in
            ["http://127.0.0.1:99/x", "http://localhost", "http://[::1]:8080", "https://api.example.com/v1"]
        {
            assert_eq!(check_base_url(url), Ok(()), "{url}");
        }
        for url in [
            "http://127.0.0.1.evil.com",
            "http://localhost.evil.com",
            "ftp://x",
            "https://a b",
            "https://x?y",
        ] {
            assert!(check_base_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_patch_holds_what_it_names_and_null_clears_the_group() {
        let patch = KeyPatch::parse(body(&json!({"group": null, "enabled": false}))).unwrap();
        assert_eq!(patch, KeyPatch { group: Some(None), enabled: Some(false), ..KeyPatch::default() });
        assert_eq!(patch.names(), "group enabled=false");
        for (value, field) in
            [(json!({}), ""), (json!({"key": "x"}), "key"), (json!({"enabled": 1}), "enabled")]
        {
            assert_eq!(KeyPatch::parse(body(&value)).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_bulk_delete_takes_either_ids_or_a_state() {
        assert_eq!(
            Chosen::for_delete(body(&json!({"ids": ["k_1"]}))).unwrap(),
            Chosen::Ids(vec!["k_1".into()])
        );
        assert_eq!(
            Chosen::for_delete(body(&json!({"status": "invalid"}))).unwrap(),
            Chosen::Status("invalid".into())
        );
        for value in
            [json!({}), json!({"ids": []}), json!({"ids": ["a"], "status": "invalid"}), json!({"ids": [1]})]
        {
            assert_eq!(Chosen::for_delete(body(&value)).unwrap_err().field, "ids", "{value}");
        }
        assert_eq!(Chosen::for_delete(body(&json!({"status": "x"}))).unwrap_err().field, "status");
    }

    #[test]
    fn a_bulk_test_without_ids_is_about_all() {
        assert_eq!(Chosen::for_test(&Map::new(), 3).unwrap(), Chosen::All);
        assert_eq!(
            Chosen::for_test(body(&json!({"ids": ["1", "2", "3", "4"]})), 3).unwrap_err().field,
            "ids"
        );
    }

    #[test]
    fn a_batch_needs_its_input() {
        let batch = KeyBatch::parse(body(&json!({"input": "a b", "group": "g"}))).unwrap();
        assert_eq!((batch.input.expose().as_str(), batch.group.as_deref()), ("a b", Some("g")));
        for value in [json!({}), json!({"input": ["a"]})] {
            assert_eq!(KeyBatch::parse(body(&value)).unwrap_err().field, "input");
        }
        assert_eq!(KeyBatch::parse(body(&json!({"input": "a", "keys": 1}))).unwrap_err().field, "keys");
    }
}
