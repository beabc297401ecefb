//! Which models may serve a request: the policy, the pools and the token's own list, in one place.

use super::{DEFAULT_POOL, Member, ModelPolicy, Snapshot, Strategy, Token};

/// Where a request may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Names the rotation that the first members share: a pool's name, or the model itself.
    pub pool: &'a str,
    /// How the first members are taken.
    pub strategy: Strategy,
    /// The members to choose from.
    pub first: Vec<&'a Member>,
    /// A model asked for by name that no pool holds (from the catalog, or under `passthrough`).
    pub named: Option<&'a str>,
    /// Where to go when none of the first exists any more, in order.
    pub then: Vec<&'a Member>,
}

/// Why a request has no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `passthrough` needs a `model`.
    ModelMissing,
    /// The token's list leaves none.
    ModelNotAllowed,
    /// The pool has no enabled member.
    PoolEmpty,
}

fn members<'a>(
    snapshot: &'a Snapshot,
    pool: &str,
    token: Option<&Token>,
    alias_allowed: bool,
) -> Vec<&'a Member> {
    snapshot
        .pool(pool)
        .map(|pool| {
            pool.members
                .iter()
                .filter(|member| member.enabled)
                .filter(|member| alias_allowed || token.is_none_or(|token| token.may_use(&member.model)))
                .collect()
        })
        .unwrap_or_default()
}

/// Finds the models for a request: by policy, the requested name and the token's list.
///
/// # Errors
/// [`Refusal`] when nothing is left to serve it.
pub fn resolve<'a>(
    snapshot: &'a Snapshot,
    token: Option<&Token>,
    requested: Option<&'a str>,
) -> Result<Route<'a>, Refusal> {
    let requested = requested.map(str::trim).filter(|name| !name.is_empty());
    let allowed = |name: &str| token.is_none_or(|token| token.may_use(name));
    let from_pool = |name: &'a str| -> Result<Route<'a>, Refusal> {
        let pool = snapshot.pool(name).ok_or(Refusal::PoolEmpty)?;
        let restricted = token.is_some_and(|token| token.models.is_some());
        let alias_allowed = !restricted || allowed(name);
        let first = members(snapshot, name, token, alias_allowed);
        if first.is_empty() {
            let any = pool.members.iter().any(|member| member.enabled);
            return Err(if any { Refusal::ModelNotAllowed } else { Refusal::PoolEmpty });
        }
        Ok(Route { pool: &pool.name, strategy: pool.strategy, first, named: None, then: Vec::new() })
    };
    match (snapshot.settings.model_policy, requested) {
        (ModelPolicy::Passthrough, None) => Err(Refusal::ModelMissing),
        (ModelPolicy::Passthrough, Some(name)) => {
            if allowed(name) {
                Ok(Route {
                    pool: name,
                    strategy: Strategy::Order,
                    first: Vec::new(),
                    named: Some(name),
                    then: Vec::new(),
                })
            } else {
                Err(Refusal::ModelNotAllowed)
            }
        }
        (ModelPolicy::Rotate, _) | (ModelPolicy::PreferRequested, None) => from_pool(DEFAULT_POOL),
        (ModelPolicy::PreferRequested, Some(name)) => {
            if snapshot.pool(name).is_some() {
                return from_pool(name);
            }
            let known = snapshot.catalog.iter().any(|model| model == name)
                || snapshot.pools.iter().any(|pool| pool.members.iter().any(|member| member.model == name));
            if !known {
                return from_pool(DEFAULT_POOL);
            }
            if !allowed(name) {
                return Err(Refusal::ModelNotAllowed);
            }
            let then = members(snapshot, DEFAULT_POOL, token, false)
                .into_iter()
                .filter(|member| member.model != name)
                .collect();
            Ok(Route { pool: name, strategy: Strategy::Order, first: Vec::new(), named: Some(name), then })
        }
    }
}

/// The model names that `GET /v1/models` lists: the aliases and the default pool's members, under
/// `passthrough` the catalog; a token limited to models sees only those.
#[must_use]
pub fn visible_models<'a>(snapshot: &'a Snapshot, token: Option<&Token>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    if snapshot.settings.model_policy == ModelPolicy::Passthrough && !snapshot.catalog.is_empty() {
        names.extend(snapshot.catalog.iter().map(String::as_str));
    } else {
        for pool in &snapshot.pools {
            if pool.name == DEFAULT_POOL {
                names.extend(pool.members.iter().filter(|m| m.enabled).map(|m| m.model.as_str()));
            } else if snapshot.settings.model_policy != ModelPolicy::Passthrough {
                // Under `passthrough` a name means what it says upstream: an alias would be a model of that name.
                names.push(&pool.name);
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| token.is_none_or(|token| token.may_use(name)) && seen.insert(*name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelPool;

    fn member(model: &str) -> Member {
        Member { model: model.into(), provider: "cerebras".into(), weight: 1, enabled: true }
    }

    fn snapshot(policy: ModelPolicy) -> Snapshot {
        let mut snapshot = Snapshot {
            pools: vec![
                ModelPool {
                    name: "default".into(),
                    strategy: Strategy::Rotate,
                    members: vec![member("a"), member("b")],
                },
                ModelPool { name: "smart".into(), strategy: Strategy::Order, members: vec![member("c")] },
            ],
            catalog: vec!["a".into(), "z".into()],
            ..Snapshot::default()
        };
        snapshot.settings.model_policy = policy;
        snapshot
    }

    fn token(models: &[&str]) -> Token {
        Token {
            id: "t".into(),
            digest: String::new(),
            name: String::new(),
            enabled: true,
            expires_at: None,
            models: Some(models.iter().map(|&m| m.to_owned()).collect()),
            limits: crate::config::TokenLimits::default(),
            metrics: false,
        }
    }

    fn names<'a>(route: &Route<'a>) -> Vec<&'a str> {
        route
            .named
            .into_iter()
            .chain(route.first.iter().map(|m| m.model.as_str()))
            .chain(route.then.iter().map(|m| m.model.as_str()))
            .collect()
    }

    #[test]
    fn rotate_ignores_the_requested_model() {
        let snapshot = snapshot(ModelPolicy::Rotate);
        assert_eq!(names(&resolve(&snapshot, None, Some("z")).unwrap()), ["a", "b"]);
    }

    #[test]
    fn prefer_requested_takes_a_known_model_then_the_default_pool() {
        let snapshot = snapshot(ModelPolicy::PreferRequested);
        assert_eq!(names(&resolve(&snapshot, None, Some("z")).unwrap()), ["z", "a", "b"]);
        assert_eq!(names(&resolve(&snapshot, None, Some("a")).unwrap()), ["a", "b"]);
        assert_eq!(names(&resolve(&snapshot, None, Some("smart")).unwrap()), ["c"]);
        assert_eq!(names(&resolve(&snapshot, None, Some("claude-x")).unwrap()), ["a", "b"]);
        assert_eq!(names(&resolve(&snapshot, None, None).unwrap()), ["a", "b"]);
    }

    #[test]
    fn passthrough_never_changes_the_model_and_needs_one() {
        let snapshot = snapshot(ModelPolicy::Passthrough);
        assert_eq!(names(&resolve(&snapshot, None, Some("smart")).unwrap()), ["smart"]);
        assert_eq!(resolve(&snapshot, None, None).unwrap_err(), Refusal::ModelMissing);
    }

    #[test]
    fn a_limited_token_gets_only_its_models() {
        let snapshot = snapshot(ModelPolicy::PreferRequested);
        let only_b = token(&["b"]);
        assert_eq!(names(&resolve(&snapshot, Some(&only_b), None).unwrap()), ["b"]);
        assert_eq!(resolve(&snapshot, Some(&only_b), Some("a")).unwrap_err(), Refusal::ModelNotAllowed);
        assert_eq!(resolve(&snapshot, Some(&token(&["q"])), None).unwrap_err(), Refusal::ModelNotAllowed);
        assert_eq!(names(&resolve(&snapshot, Some(&token(&["smart"])), Some("smart")).unwrap()), ["c"]);
        assert_eq!(visible_models(&snapshot, Some(&only_b)), ["b"]);
    }

    #[test]
    fn the_list_shows_aliases_and_the_default_pool() {
        assert_eq!(visible_models(&snapshot(ModelPolicy::PreferRequested), None), ["a", "b", "smart"]);
        assert_eq!(visible_models(&snapshot(ModelPolicy::Passthrough), None), ["a", "z"]);
    }
}
