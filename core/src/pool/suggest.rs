//! Which keys share a quota, and which look as if they did.

use super::kinship::Suggestion;
use super::state::Pool;

impl Pool {
    /// The name of a key's quota group: the operator's behind `group:`, or `key:<id>`; `None` for an unknown key.
    #[must_use]
    pub fn group_of(&self, key: &str) -> Option<&str> {
        self.roster.groups.get(self.roster.group_at(key)?).map(|group| group.name.as_str())
    }

    /// Groups that look like one quota, of those that still have keys.
    #[must_use]
    pub fn suggestions(&self, now: u64) -> Vec<Suggestion> {
        let mut found = self.kinship.suggestions(now);
        for suggestion in &mut found {
            suggestion.groups.retain(|group| self.roster.group_named(group).is_some());
        }
        found.retain(|suggestion| suggestion.groups.len() > 1);
        found.sort_by(|a, b| (&a.groups, &a.model).cmp(&(&b.groups, &b.model)));
        found.dedup_by(|later, first| later.groups == first.groups);
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Snapshot;
    use crate::pool::Pool;
    use crate::pool::keys::KeyRow;
    use crate::wire::headers::{Counted, LimitReading, Window};

    fn configured(keys: &[(&str, Option<&str>)]) -> (Snapshot, Vec<KeyRow>) {
        let row = |(id, group): &(&str, Option<&str>)| KeyRow {
            id: (*id).to_owned(),
            provider: "cerebras".to_owned(),
            group: group.map(str::to_owned),
            weight: 1,
            enabled: true,
            ..KeyRow::default()
        };
        (Snapshot::default(), keys.iter().map(row).collect())
    }

    /// Lets groups use one day's quota in turn.
    fn share_a_quota(pool: &mut Pool, groups: &[&str]) {
        for n in 1..=300_u64 {
            let at = 1_000_000 + n * 1_000;
            let group = groups[usize::try_from(n).unwrap() % groups.len()];
            let reading = LimitReading {
                what: Counted::Requests,
                window: Window::Day,
                limit: Some(2_400),
                remaining: Some(2_000 - n),
                reset_ms: None,
            };
            pool.kinship().sent(at, group, "m", n);
            pool.kinship().seen(at + 100, group, "m", n, &[reading]);
        }
    }

    #[test]
    fn only_groups_that_have_keys_are_suggested() {
        let mut pool = Pool::new(1);
        let (snapshot, rows) = configured(&[("a", None), ("b", None), ("c", Some("team"))]);
        pool.configure(snapshot, rows);
        assert_eq!((pool.group_of("a"), pool.group_of("c")), (Some("key:a"), Some("group:team")));
        share_a_quota(&mut pool, &["key:a", "key:b"]);
        let found = pool.suggestions(1_400_000);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].groups, ["key:a", "key:b"]);

        let (snapshot, rows) = configured(&[("a", Some("team")), ("b", None), ("c", Some("team"))]);
        pool.configure(snapshot, rows);
        assert_eq!(pool.suggestions(1_400_000), [], "nobody is alike alone");
    }
}
