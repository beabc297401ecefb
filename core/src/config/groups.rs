//! Bodies of the calls about quota groups.

use super::keys::{group, ids, text};
use super::{FieldError, Fields};
use crate::limits::input::{BULK_GROUPS, BULK_IDS, NAME_CHARS};
use serde_json::{Map, Value};

/// Longest name of a group inside the pool: `group:` and the operator's, in UTF-8.
const POOL_NAME_BYTES: usize = 6 + NAME_CHARS * 4;

/// Many keys are put into one group, or each into one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// The keys' row ids.
    pub ids: Vec<String>,
    /// The group's name; `None` is a group of each key's own.
    pub group: Option<String>,
}

impl GroupChange {
    /// Reads `{ids, group}`; a null or empty group is none.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let ids =
            ids(&mut fields, BULK_IDS)?.ok_or_else(|| FieldError::new("ids", "must be a list of ids"))?;
        let group = group(&mut fields)?
            .ok_or_else(|| FieldError::new("group", "must be a name, or null for none"))?;
        fields.finish()?;
        Ok(Self { ids, group })
    }
}

/// What an operator says to groups that look like one quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The groups by their names inside the pool: `group:<name>` or `key:<id>`. Sorted, without repetition.
    pub groups: Vec<String>,
    /// Whether they are one.
    pub accept: bool,
    /// What the one is to be called.
    pub name: Option<String>,
}

impl Verdict {
    /// Reads `{groups, accept, name?}`.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or wrong.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FieldError> {
        let mut fields = Fields::new(body);
        let mut groups: Vec<String> = Vec::new();
        fields.list("groups", BULK_GROUPS, &mut groups)?;
        groups.sort_unstable();
        groups.dedup();
        if groups.len() < 2 {
            return Err(FieldError::new("groups", "must name at least two groups, as in the suggestion"));
        }
        if groups.iter().any(|group| group.len() > POOL_NAME_BYTES || split(group).is_none()) {
            return Err(FieldError::new("groups", "holds a text that is no group:<name> and no key:<id>"));
        }
        if !body.contains_key("accept") {
            return Err(FieldError::new("accept", "must be true or false"));
        }
        let mut accept = false;
        fields.flag("accept", &mut accept)?;
        let mut name = String::new();
        if fields.take("name").is_some_and(|name| !name.is_null()) {
            text(&mut fields, "name", NAME_CHARS, &mut name)?;
        }
        fields.finish()?;
        let name = Some(name).filter(|name| !name.is_empty());
        if name.is_some() && !accept {
            return Err(FieldError::new("name", "is only for accepting"));
        }
        Ok(Self { groups, accept, name })
    }

    /// What the one group is called: as the body says, else as the only group among them that has a name.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        let mut named = self.groups.iter().filter_map(|group| group.strip_prefix("group:"));
        let only = named.next().filter(|_| named.next().is_none());
        self.name.as_deref().or(only)
    }
}

/// A group inside the pool is an operator's, by its name, or one key's own, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolGroup<'a> {
    /// Behind `group:`.
    Named(&'a str),
    /// Behind `key:`.
    Key(&'a str),
}

/// Reads a group's name inside the pool.
#[must_use]
pub fn split(group: &str) -> Option<PoolGroup<'_>> {
    let named = group.strip_prefix("group:").map(PoolGroup::Named);
    named.or_else(|| group.strip_prefix("key:").map(PoolGroup::Key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_needs_both_ids_and_a_group() {
        let parsed = |body: Value| GroupChange::parse(body.as_object().unwrap());
        assert_eq!(parsed(json!({"ids": ["a"], "group": "team"})).unwrap().group.as_deref(), Some("team"));
        assert_eq!(parsed(json!({"ids": ["a"], "group": null})).unwrap().group, None);
        assert_eq!(parsed(json!({"ids": ["a"], "group": " "})).unwrap().group, None);
        for (body, field) in [
            (json!({"group": "g"}), "ids"),
            (json!({"ids": [], "group": "g"}), "ids"),
            (json!({"ids": ["x".repeat(129)], "group": "g"}), "ids"),
            (json!({"ids": ["a"]}), "group"),
            (json!({"ids": ["a"], "group": 5}), "group"),
            (json!({"ids": ["a"], "group": "x".repeat(101)}), "group"),
            (json!({"ids": ["a"], "group": "g", "weight": 1}), "weight"),
        ] {
            assert_eq!(parsed(body.clone()).unwrap_err().field, field, "{body}");
        }
    }

    #[test]
    fn a_verdict_names_two_groups_and_says_yes_or_no() {
        let parsed = |body: Value| Verdict::parse(body.as_object().unwrap());
        let two = json!(["key:b", "key:a", "key:b"]);
        assert_eq!(parsed(json!({"groups": two, "accept": false})).unwrap().groups, ["key:a", "key:b"]);
        for (body, field) in [
            (json!({"accept": true}), "groups"),
            (json!({"groups": ["key:a", "key:a"], "accept": true}), "groups"),
            (json!({"groups": ["key:a", "b"], "accept": true}), "groups"),
            (json!({"groups": two}), "accept"),
            (json!({"groups": two, "accept": "yes"}), "accept"),
            (json!({"groups": two, "accept": false, "name": "x"}), "name"),
            (json!({"groups": two, "accept": true, "name": 7}), "name"),
        ] {
            assert_eq!(parsed(body.clone()).unwrap_err().field, field, "{body}");
        }
    }

    #[test]
    fn without_a_name_the_only_named_group_gives_it() {
        let called = |groups: &[&str], name: Option<&str>| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let verdict = Verdict { groups, accept: true, name: name.map(str::to_owned) };
            verdict.called().map(str::to_owned)
        };
        assert_eq!(called(&["group:x", "key:a"], None).as_deref(), Some("x"));
        assert_eq!(called(&["group:x", "key:a"], Some("y")).as_deref(), Some("y"));
        assert_eq!(called(&["group:x", "group:z"], None), None);
        assert_eq!(called(&["key:a", "key:b"], None), None);
    }
}
