//! The admin API's own route table, as a pure function of the path.

/// What a path leads to. The method is looked at afterwards, so that a wrong one is told the right ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/api/auth/status`
    Status,
    /// `/api/auth/setup`
    Setup,
    /// `/api/auth/reset`
    Reset,
    /// `/api/auth/login`
    Login,
    /// `/api/auth/logout`
    Logout,
    /// `/api/auth/password`
    Password,
    /// `/api/keys`
    Keys,
    /// `/api/keys/batch`
    KeyBatch,
    /// `/api/keys/delete`
    KeyDelete,
    /// `/api/keys/test`
    KeysTest,
    /// `/api/keys/export`
    KeyExport,
    /// `/api/keys/group`
    KeyGroup,
    /// `/api/keys/enable`
    KeyEnable,
    /// `/api/keys/groups`
    KeyGroups,
    /// `/api/keys/ids`
    KeyIds,
    /// `/api/keys/suggestions`
    Suggestions,
    /// `/api/keys/{id}`
    Key(String),
    /// `/api/keys/{id}/test`
    KeyTest(String),
    /// `/api/keys/{id}/limits`
    KeyLimits(String),
    /// `/api/tokens`
    Tokens,
    /// `/api/tokens/{id}`
    Token(String),
    /// `/api/models`
    Models,
    /// `/api/models/catalog`
    Catalog,
    /// `/api/models/catalog/refresh`
    CatalogRefresh,
    /// `/api/models/test`
    ModelTest,
    /// `/api/models/{pool}`
    Pool(String),
    /// `/api/settings`
    Settings,
    /// `/api/decisions`
    Decisions,
    /// `/api/requests`
    Requests,
    /// `/api/events`
    Events,
    /// `/api/playground`
    Playground,
    /// `/api/sessions`
    Sessions,
    /// `/api/sessions/end_others`
    SessionsEndOthers,
    /// `/api/sessions/{id}`
    Session(String),
    /// `/api/backup`
    Backup,
    /// `/api/restore`
    Restore,
    /// `/api/stats`
    Stats,
    /// `/api/stats/series`
    Series,
    /// `/api/overview`
    Overview,
    /// `/metrics`
    Metrics,
    /// `/api/audit`
    Audit,
}

impl Route {
    /// The route of a path as it stands in the URL.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        if path == "/metrics" {
            return Some(Self::Metrics);
        }
        let rest = path.strip_prefix("/api/")?;
        let fixed = match rest {
            "auth/status" => Self::Status,
            "auth/setup" => Self::Setup,
            "auth/reset" => Self::Reset,
            "auth/login" => Self::Login,
            "auth/logout" => Self::Logout,
            "auth/password" => Self::Password,
            "keys" => Self::Keys,
            "keys/batch" => Self::KeyBatch,
            "keys/delete" => Self::KeyDelete,
            "keys/test" => Self::KeysTest,
            "keys/export" => Self::KeyExport,
            "keys/group" => Self::KeyGroup,
            "keys/enable" => Self::KeyEnable,
            "keys/groups" => Self::KeyGroups,
            "keys/ids" => Self::KeyIds,
            "keys/suggestions" => Self::Suggestions,
            "tokens" => Self::Tokens,
            "models" => Self::Models,
            "models/catalog" => Self::Catalog,
            "models/catalog/refresh" => Self::CatalogRefresh,
            "models/test" => Self::ModelTest,
            "settings" => Self::Settings,
            "decisions" => Self::Decisions,
            "requests" => Self::Requests,
            "events" => Self::Events,
            "playground" => Self::Playground,
            "sessions" => Self::Sessions,
            "sessions/end_others" => Self::SessionsEndOthers,
            "backup" => Self::Backup,
            "restore" => Self::Restore,
            "stats" => Self::Stats,
            "stats/series" => Self::Series,
            "overview" => Self::Overview,
            "audit" => Self::Audit,
            _ => return Self::named(rest),
        };
        Some(fixed)
    }

    fn named(rest: &str) -> Option<Self> {
        if let Some(pool) = rest.strip_prefix("models/") {
            // A pool's name may hold slashes.
            return decoded(pool).map(Self::Pool);
        }
        let mut parts = rest.split('/');
        match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            ("keys", id, None, None) => decoded(id).map(Self::Key),
            ("keys", id, Some("test"), None) => decoded(id).map(Self::KeyTest),
            ("keys", id, Some("limits"), None) => decoded(id).map(Self::KeyLimits),
            ("tokens", id, None, None) => decoded(id).map(Self::Token),
            ("sessions", id, None, None) => decoded(id).map(Self::Session),
            _ => None,
        }
    }

    /// The methods it takes, for `Allow`.
    #[must_use]
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Stats | Self::Audit | Self::Models | Self::Catalog => &["GET"],
            Self::Decisions | Self::KeyLimits(_) | Self::KeyGroups | Self::KeyIds => &["GET"],
            Self::Series | Self::Overview | Self::Metrics => &["GET"],
            Self::Requests | Self::Events | Self::Sessions => &["GET"],
            Self::Session(_) => &["DELETE"],
            Self::Keys | Self::Tokens | Self::Suggestions => &["GET", "POST"],
            Self::Key(_) | Self::Token(_) => &["PATCH", "DELETE"],
            Self::Pool(_) => &["PUT", "DELETE"],
            Self::Settings => &["GET", "PATCH"],
            _ => &["POST"],
        }
    }

    /// Whether it is called without a session, or looks itself at who calls.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Status | Self::Setup | Self::Reset | Self::Login | Self::Metrics)
    }
}

/// Percent-decoding; `None` when empty, no UTF-8 or cut off.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_names_come_before_ids() {
        assert_eq!(Route::of("/api/keys/test"), Some(Route::KeysTest));
        assert_eq!(Route::of("/api/keys/k_1/test"), Some(Route::KeyTest("k_1".into())));
        assert_eq!(Route::of("/api/keys/group"), Some(Route::KeyGroup));
        assert_eq!(Route::of("/api/keys/groups"), Some(Route::KeyGroups));
        assert_eq!(Route::of("/api/keys/ids"), Some(Route::KeyIds));
        assert_eq!(Route::of("/api/keys/enable"), Some(Route::KeyEnable));
        assert_eq!(Route::of("/api/keys/suggestions"), Some(Route::Suggestions));
        assert_eq!(Route::of("/api/keys/k_1/limits"), Some(Route::KeyLimits("k_1".into())));
        assert_eq!(Route::of("/api/sessions/end_others"), Some(Route::SessionsEndOthers));
        assert_eq!(Route::of("/api/sessions/ab12"), Some(Route::Session("ab12".into())));
        assert_eq!(Route::of("/api/keys/k_1"), Some(Route::Key("k_1".into())));
        assert_eq!(Route::of("/api/models/catalog"), Some(Route::Catalog));
        assert_eq!(Route::of("/api/models/catalog/refresh"), Some(Route::CatalogRefresh));
        assert_eq!(Route::of("/api/models/test"), Some(Route::ModelTest));
        assert_eq!(Route::of("/api/stats/series"), Some(Route::Series));
        assert_eq!(Route::of("/metrics"), Some(Route::Metrics));
    }

    #[test]
    fn a_pools_name_may_hold_slashes_written_either_way() {
        for path in ["/api/models/vendor/fast", "/api/models/vendor%2Ffast"] {
            assert_eq!(Route::of(path), Some(Route::Pool("vendor/fast".into())), "{path}");
        }
    }

    #[test]
    fn what_is_no_call_is_none() {
        for path in [
            "/api",
            "/api/",
            "/api/keys/",
            "/api/keys/a/b",
            "/api/keys/a/test/b",
            "/api/tokens/a/b",
            "/api/models/",
            "/api/models/%2",
            "/api/models/%ff",
            "/api/stats/total",
            "/metrics/",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn only_four_calls_are_open() {
        let open = ["auth/status", "auth/setup", "auth/reset", "auth/login"];
        for name in [
            "auth/logout",
            "auth/password",
            "keys",
            "keys/batch",
            "keys/delete",
            "keys/test",
            "keys/export",
            "keys/group",
            "keys/groups",
            "keys/ids",
            "keys/enable",
            "keys/suggestions",
            "keys/k",
            "keys/k/test",
            "keys/k/limits",
            "decisions",
            "requests",
            "events",
            "playground",
            "sessions",
            "sessions/end_others",
            "sessions/s",
            "backup",
            "restore",
            "tokens",
            "tokens/t",
            "models",
            "models/catalog",
            "models/catalog/refresh",
            "models/test",
            "models/p",
            "settings",
            "stats",
            "stats/series",
            "overview",
            "audit",
        ] {
            assert!(!Route::of(&format!("/api/{name}")).unwrap().is_open(), "{name}");
        }
        for name in open {
            assert!(Route::of(&format!("/api/{name}")).unwrap().is_open(), "{name}");
        }
    }
}
