//! What a list is asked for: page, order, filters.

use super::FieldError;
use crate::limits::input::{PAGE_SIZE, PAGE_SIZE_MAX, SEARCH_CHARS};

/// Last page that can be asked for; beyond it the offset would leave what JavaScript's numbers hold.
const PAGE_MAX: u64 = 1_000_000;

/// One page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1.
    pub page: u64,
    /// Items of a page.
    pub per_page: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { page: 1, per_page: PAGE_SIZE }
    }
}

impl Page {
    /// Items before this page.
    #[must_use]
    pub fn offset(self) -> u64 {
        (self.page - 1) * self.per_page
    }

    /// Takes `page` and `per_page`; `false` when the parameter is neither.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, FieldError> {
        match name {
            "page" => self.page = number(name, value, PAGE_MAX)?,
            "per_page" => self.per_page = number(name, value, PAGE_SIZE_MAX)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A whole number from 1 to `max`.
///
/// # Errors
/// Names the parameter.
pub fn number(name: &str, value: &str, max: u64) -> Result<u64, FieldError> {
    value
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| FieldError::new(name, format!("must be a whole number from 1 to {max}")))
}

/// The states a key can be shown in.
pub const KEY_STATES: [&str; 5] = ["active", "cooling", "suspended", "invalid", "disabled"];
/// What key lists can be ordered by.
pub const KEY_ORDERS: [&str; 11] = [
    "created_at",
    "label",
    "provider",
    "group",
    "status",
    "weight",
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "last_used_at",
];

/// Which keys a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only this provider.
    pub provider: Option<String>,
    /// Only this state, one of [`KEY_STATES`].
    pub status: Option<String>,
    /// Only this quota group.
    pub group: Option<String>,
    /// Only quota groups whose names begin so, whatever the case (ASCII).
    pub group_prefix: Option<String>,
    /// A text within label, masked key or group, whatever its case (ASCII), or the beginning of an id.
    pub search: Option<String>,
}

impl KeyFilter {
    /// Takes a parameter; `false` when it is no filter.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, FieldError> {
        match name {
            "provider" => self.provider = Some(short(name, value)?),
            "group" => self.group = Some(short(name, value)?),
            "group_prefix" => self.group_prefix = Some(short(name, value)?),
            "q" => self.search = Some(short(name, value)?.to_ascii_lowercase()),
            "status" => {
                let state = KEY_STATES.iter().find(|state| **state == value);
                let wrong = || FieldError::new(name, format!("must be one of {}", KEY_STATES.join(", ")));
                self.status = Some((*state.ok_or_else(wrong)?).to_owned());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads the parameters of a call that takes nothing else. An empty value is none.
    ///
    /// # Errors
    /// Names the parameter that is unknown or wrong.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FieldError> {
        let mut filter = Self::default();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            if !filter.take(name, value)? {
                return Err(unknown(name));
            }
        }
        Ok(filter)
    }
}

/// What a list of keys is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// Which keys.
    pub filter: KeyFilter,
    /// One of [`KEY_ORDERS`], and whether it goes down.
    pub order: Option<(&'static str, bool)>,
    /// The page.
    pub page: Page,
}

impl KeyQuery {
    /// Reads the query's parameters. An empty value is none.
    ///
    /// # Errors
    /// Names the parameter that is unknown or wrong.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FieldError> {
        let mut query = Self::default();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            if name == "sort" {
                let (down, by) = value.strip_prefix('-').map_or((false, value), |by| (true, by));
                let order = KEY_ORDERS.iter().find(|order| **order == by);
                let wrong = || {
                    FieldError::new(
                        name,
                        format!("must be one of {}, or with a - before", KEY_ORDERS.join(", ")),
                    )
                };
                query.order = Some((order.ok_or_else(wrong)?, down));
            } else if !query.filter.take(name, value)? && !query.page.take(name, value)? {
                return Err(unknown(name));
            }
        }
        Ok(query)
    }
}

/// What a list of tokens is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenQuery {
    /// A text within name or masked token, whatever its case (ASCII), or the beginning of an id.
    pub search: Option<String>,
    /// The page.
    pub page: Page,
}

impl TokenQuery {
    /// Reads the query's parameters. An empty value is none.
    ///
    /// # Errors
    /// Names the parameter that is unknown or wrong.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FieldError> {
        let mut query = Self::default();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            if name == "q" {
                query.search = Some(short(name, value)?.to_ascii_lowercase());
            } else if !query.page.take(name, value)? {
                return Err(unknown(name));
            }
        }
        Ok(query)
    }
}

/// What `GET /api/keys/groups` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupQuery {
    /// What the names begin with.
    pub prefix: String,
    /// How many at most.
    pub limit: u64,
}

impl GroupQuery {
    /// Reads the query's parameters. An empty value is none.
    ///
    /// # Errors
    /// Names the parameter that is unknown or wrong.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FieldError> {
        let mut query = Self { prefix: String::new(), limit: 20 };
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            match name {
                "q" => query.prefix = short(name, value)?,
                "limit" => query.limit = number(name, value, PAGE_SIZE_MAX)?,
                _ => return Err(unknown(name)),
            }
        }
        Ok(query)
    }
}

fn unknown(name: &str) -> FieldError {
    FieldError::new(name, "is not a parameter of this call")
}

fn short(name: &str, value: &str) -> Result<String, FieldError> {
    if value.chars().count() > SEARCH_CHARS {
        return Err(FieldError::new(name, format!("must be at most {SEARCH_CHARS} characters")));
    }
    Ok(value.to_owned())
}

/// A key's state as shown: `disabled` before all else, and no penalty lasts beyond its time.
/// The same rule stands as SQL in the store.
#[must_use]
pub fn shown_state(enabled: bool, status: &str, until: Option<u64>, now: u64) -> &str {
    if !enabled {
        "disabled"
    } else if until.is_some_and(|until| until <= now) {
        "active"
    } else {
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<KeyQuery, FieldError> {
        KeyQuery::parse(pairs.iter().copied())
    }

    #[test]
    fn parameters_are_read_and_empty_ones_are_none() {
        let query = parsed(&[
            ("q", "AbC"),
            ("status", "invalid"),
            ("sort", "-requests"),
            ("page", "3"),
            ("group", ""),
        ])
        .unwrap();
        assert_eq!(query.filter.search.as_deref(), Some("abc"));
        assert_eq!(query.filter.status.as_deref(), Some("invalid"));
        assert_eq!(query.order, Some(("requests", true)));
        assert_eq!(query.filter.group, None);
        assert_eq!(query.page.offset(), 100);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let long = "q".repeat(SEARCH_CHARS + 1);
        for (name, value) in [
            ("status", "dead"),
            ("sort", "sealed"),
            ("sort", "--label"),
            ("page", "0"),
            ("page", "-1"),
            ("per_page", "201"),
            ("q", long.as_str()),
            ("colour", "red"),
        ] {
            assert_eq!(parsed(&[(name, value)]).unwrap_err().field, name, "{value}");
        }
    }

    #[test]
    fn each_list_takes_its_own_parameters_and_names_others() {
        let filter = KeyFilter::parse([("group_prefix", "Acme"), ("q", "")].into_iter()).unwrap();
        assert_eq!((filter.group_prefix.as_deref(), filter.search), (Some("Acme"), None));
        assert_eq!(KeyFilter::parse([("page", "2")].into_iter()).unwrap_err().field, "page");
        let tokens = TokenQuery::parse([("q", "Web_50%"), ("page", "2")].into_iter()).unwrap();
        assert_eq!((tokens.search.as_deref(), tokens.page.page), (Some("web_50%"), 2));
        assert_eq!(TokenQuery::parse([("sort", "name")].into_iter()).unwrap_err().field, "sort");
        let groups = GroupQuery::parse([("q", "Ac")].into_iter()).unwrap();
        assert_eq!((groups.prefix.as_str(), groups.limit), ("Ac", 20));
        assert_eq!(GroupQuery::parse([("limit", "201")].into_iter()).unwrap_err().field, "limit");
    }

    #[test]
    fn a_penalty_ends_with_its_time_and_disabled_goes_first() {
        assert_eq!(shown_state(true, "cooling", Some(10), 9), "cooling");
        assert_eq!(shown_state(true, "cooling", Some(10), 10), "active");
        assert_eq!(shown_state(true, "invalid", None, 10), "invalid");
        assert_eq!(shown_state(false, "invalid", Some(10), 9), "disabled");
    }
}
