//! Reading a request member by member. serde's own errors do not say where in the body something is wrong, and a
//! client must be told; what is left of an object at the end are the members that nobody knows.

use crate::wire::dialects::{Notes, refused};
use crate::wire::errors::ApiError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An object of the request.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// `value`, which stands at `path` and must be an object.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, ApiError> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(wrong(path, "an object")),
        }
    }

    /// Where it stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where its member `key` stands.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Its member `key`, if it is there and not null; `what` says what it must be.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str, what: &str) -> Result<Option<T>, ApiError> {
        match self.map.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|_| wrong(self.at(key), what)),
        }
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        self.take(key, "a string")
    }

    /// A text that must be there.
    pub(super) fn needed_text(&mut self, key: &str) -> Result<String, ApiError> {
        self.text(key)?.ok_or_else(|| missing(self.at(key)))
    }

    /// Any JSON, if it is there.
    pub(super) fn value(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// An object, if it is there.
    pub(super) fn object(&mut self, key: &str) -> Result<Option<Self>, ApiError> {
        self.value(key).map(|value| Self::of(value, self.at(key))).transpose()
    }

    /// A list, if it is there.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<Value>>, ApiError> {
        self.take(key, "a list")
    }

    /// Members that say nothing to a model, or nothing that is not true here anyway.
    pub(super) fn ignore(&mut self, keys: &[&str]) {
        for key in keys {
            self.map.shift_remove(*key);
        }
    }

    /// Whether a member is there, null or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// What is left, as JSON.
    pub(super) fn into_json(self) -> String {
        Value::Object(self.map).to_string()
    }

    /// Notes what is left.
    pub(super) fn rest(self, notes: &mut Notes) {
        for (key, value) in &self.map {
            if !value.is_null() {
                notes.dropped(self.at(key));
            }
        }
    }
}

/// 400: what stands at `path` is not `what`.
pub(super) fn wrong(path: String, what: &str) -> ApiError {
    let message = if path.is_empty() {
        format!("The body must be {what}.")
    } else {
        format!("`{path}` must be {what}.")
    };
    refused("invalid_type", path, message)
}

/// 400: `path` is missing.
pub(super) fn missing(path: String) -> ApiError {
    let message = format!("`{path}` is missing.");
    refused("missing_required_parameter", path, message)
}
