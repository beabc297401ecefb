//! Reading an admin API body field by field: unknown fields, wrong types and bad ranges are errors that
//! name the field.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::ops::RangeInclusive;

/// What is wrong with which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, dotted where nested; empty for the body as a whole.
    pub field: String,
    /// What is wrong, as a sentence without the field's name.
    pub problem: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.field, self.problem)
        }
    }
}

impl FieldError {
    /// An error of that field.
    #[must_use]
    pub fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), problem: problem.into() }
    }
}

/// The fields of one JSON object, taken one by one; what is left at the end is unknown.
pub struct Fields<'a> {
    prefix: &'a str,
    body: &'a Map<String, Value>,
    taken: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Over a whole body.
    #[must_use]
    pub fn new(body: &'a Map<String, Value>) -> Self {
        Self { prefix: "", body, taken: Vec::new() }
    }

    /// Over a nested object.
    #[must_use]
    pub fn within(prefix: &'a str, body: &'a Map<String, Value>) -> Self {
        Self { prefix, body, taken: Vec::new() }
    }

    fn error(&self, name: &str, problem: impl Into<String>) -> FieldError {
        let field = if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) };
        FieldError { field, problem: problem.into() }
    }

    /// The raw value, if the field is there.
    pub fn take(&mut self, name: &'a str) -> Option<&'a Value> {
        self.taken.push(name);
        self.body.get(name)
    }

    /// A whole number within the range.
    ///
    /// # Errors
    /// When it is no whole number or out of range.
    pub fn number<T>(
        &mut self,
        name: &'a str,
        range: RangeInclusive<u64>,
        into: &mut T,
    ) -> Result<(), FieldError>
    where
        T: TryFrom<u64>,
    {
        if let Some(value) = self.take(name) {
            let (low, high) = (*range.start(), *range.end());
            *into = value
                .as_u64()
                .filter(|number| range.contains(number))
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| self.error(name, format!("must be a whole number from {low} to {high}")))?;
        }
        Ok(())
    }

    /// A number, or null for "none".
    ///
    /// # Errors
    /// When it is neither.
    pub fn optional_number(
        &mut self,
        name: &'a str,
        range: RangeInclusive<u64>,
        into: &mut Option<u64>,
    ) -> Result<(), FieldError> {
        if self.body.get(name).is_some_and(Value::is_null) {
            self.taken.push(name);
            *into = None;
            return Ok(());
        }
        if self.body.contains_key(name) {
            let mut number = 0_u64;
            self.number(name, range, &mut number)?;
            *into = Some(number);
        } else {
            self.taken.push(name);
        }
        Ok(())
    }

    /// True or false.
    ///
    /// # Errors
    /// When it is neither.
    pub fn flag(&mut self, name: &'a str, into: &mut bool) -> Result<(), FieldError> {
        if let Some(value) = self.take(name) {
            *into = value.as_bool().ok_or_else(|| self.error(name, "must be true or false"))?;
        }
        Ok(())
    }

    /// A text of at most `max` bytes without control characters, trimmed.
    ///
    /// # Errors
    /// When it is no text, too long or holds control characters.
    pub fn text(&mut self, name: &'a str, max: usize, into: &mut String) -> Result<(), FieldError> {
        if let Some(value) = self.take(name) {
            let text = value.as_str().ok_or_else(|| self.error(name, "must be a text"))?.trim();
            if text.len() > max {
                return Err(self.error(name, format!("must be at most {max} bytes")));
            }
            if text.chars().any(char::is_control) {
                return Err(self.error(name, "must not hold control characters"));
            }
            text.clone_into(into);
        }
        Ok(())
    }

    /// One of an enum's names.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn choice<T: DeserializeOwned>(&mut self, name: &'a str, into: &mut T) -> Result<(), FieldError> {
        if let Some(value) = self.take(name) {
            *into = T::deserialize(value).map_err(|error| self.error(name, error.to_string()))?;
        }
        Ok(())
    }

    /// A nested object.
    ///
    /// # Errors
    /// When it is none.
    pub fn object(&mut self, name: &'a str) -> Result<Option<&'a Map<String, Value>>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.error(name, "must be an object")),
        }
    }

    /// A list of at most `max` items.
    ///
    /// # Errors
    /// When it is none, too long, or an item is wrong.
    pub fn list<T: DeserializeOwned>(
        &mut self,
        name: &'a str,
        max: usize,
        into: &mut Vec<T>,
    ) -> Result<(), FieldError> {
        if let Some(value) = self.take(name) {
            let list = value.as_array().ok_or_else(|| self.error(name, "must be a list"))?;
            if list.len() > max {
                return Err(self.error(name, format!("must hold at most {max} items")));
            }
            *into = list
                .iter()
                .map(T::deserialize)
                .collect::<Result<_, _>>()
                .map_err(|error| self.error(name, error.to_string()))?;
        }
        Ok(())
    }

    /// The end: whatever was not taken is unknown.
    ///
    /// # Errors
    /// Names the first unknown field.
    pub fn finish(self) -> Result<(), FieldError> {
        match self.body.keys().find(|name| !self.taken.contains(&name.as_str())) {
            Some(name) => Err(self.error(name, "is not a field of this call")),
            None => Ok(()),
        }
    }
}
