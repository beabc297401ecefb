//! The route table: which path is whose, as a pure function of method and path.

use rondo_core::pool::providers;
use rondo_core::wire::dialects::{Dialect, Speech};

/// Whose rules a path follows: errors in OpenAI's form and CORS on the data plane; problem documents and never
/// CORS in the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What clients call, with a token.
    Data,
    /// What admins call, with a session.
    Admin,
    /// What anyone may call.
    Open,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `POST …/chat/completions`, and every other way to ask for a completion but Gemini's.
    Complete(Speech<'a>),
    /// `POST …/models/{model}:{method}`: what stands behind `models/`, still percent-encoded.
    Gemini(&'a str),
    /// `POST …/messages/count_tokens`
    CountTokens,
    /// `GET …/models`, in that dialect's form.
    Models(Dialect),
    /// `GET …/models/{id}`; the id is still percent-encoded.
    Model(Dialect, &'a str),
    /// What OpenAI has and Rondo does not: embeddings, images and the like.
    NotOffered,
    /// `GET …/tcp_warming`, which the Cerebras SDKs call when they are made.
    Warming,
    /// `GET /healthz`
    Alive,
    /// `GET /readyz`
    Ready,
    /// `GET /health`
    Health,
    /// `GET /`
    Home,
    /// The admin API and `/metrics`.
    Control,
    /// `OPTIONS` of a data path.
    Preflight,
    /// The path is known, the method is not.
    WrongMethod(&'static str),
    /// Nothing is here.
    Nothing,
}

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";

/// The path of an absolute URL, without query and fragment.
#[must_use]
pub fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind_scheme.find('/').and_then(|at| behind_scheme.get(at..)).unwrap_or("/");
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).unwrap_or("/")
}

/// What other services have under these names, and clients may ask for.
const NOT_OFFERED: [&str; 18] = [
    "embeddings",
    "images",
    "audio",
    "videos",
    "files",
    "uploads",
    "batches",
    "fine_tuning",
    "moderations",
    "assistants",
    "threads",
    "conversations",
    "vector_stores",
    "realtime",
    "rerank",
    "edits",
    "evals",
    "containers",
];

/// Looks up a method and a path.
#[must_use]
pub fn lookup<'a>(method: &str, path: &'a str) -> (Side, Target<'a>) {
    let read = matches!(method, "GET" | "HEAD");
    if path == "/api" || path.starts_with("/api/") || path == "/metrics" {
        return match predecessor(method, path) {
            Some(target) => (Side::Data, target),
            None => (Side::Admin, Target::Control),
        };
    }
    let open = |target| (Side::Open, if read { target } else { Target::WrongMethod("GET, HEAD") });
    match path {
        "/healthz" => return open(Target::Alive),
        "/readyz" => return open(Target::Ready),
        "/health" => return open(Target::Health),
        "/" if read => return (Side::Open, Target::Home),
        // Clients whose base URL is the bare address post here.
        "/" => {
            let allow = "GET, HEAD, POST, OPTIONS";
            return (Side::Data, only(method, method == "POST", Target::Complete(Speech::Chat), allow));
        }
        _ => {}
    }
    (Side::Data, data(method, path))
}

/// The target, or what answers another method.
fn only<'a>(method: &str, matches: bool, target: Target<'a>, allow: &'static str) -> Target<'a> {
    match () {
        () if matches => target,
        () if method == "OPTIONS" => Target::Preflight,
        () => Target::WrongMethod(allow),
    }
}

/// The path of a client's call.
fn data<'a>(method: &str, path: &'a str) -> Target<'a> {
    let write = |target| only(method, method == "POST", target, WRITE);
    let read = |target| only(method, matches!(method, "GET" | "HEAD"), target, READ);
    // SDKs join a base with `/v1` and their own `/v1/…`, or a base without any and `/chat/…`; a slash too many
    // at either end is nobody's intention.
    let bare = path.trim_start_matches('/').trim_end_matches('/');
    let bare = bare.strip_prefix("v1/").unwrap_or(bare);
    let (bare, dialect) = match bare.strip_prefix("v1beta/") {
        Some(bare) => (bare, Dialect::Gemini),
        None => (bare.strip_prefix("v1/").unwrap_or(bare), Dialect::Chat),
    };
    match bare {
        "models" => return read(Target::Models(dialect)),
        "chat/completions" => return write(Target::Complete(Speech::Chat)),
        "completions" => return write(Target::Complete(Speech::Completions)),
        "responses" => return write(Target::Complete(Speech::Responses)),
        "messages" => return write(Target::Complete(Speech::Messages)),
        "messages/count_tokens" => return write(Target::CountTokens),
        "tcp_warming" => return read(Target::Warming),
        _ => {}
    }
    match bare.split_once('/') {
        // A colon is part of no model's name that a method follows.
        Some(("models", id)) if method != "GET" && id.contains(':') => write(Target::Gemini(id)),
        Some(("models", id)) => read(Target::Model(dialect, id)),
        _ if method == "OPTIONS" => Target::Preflight,
        Some(("responses" | "messages", _)) => Target::NotOffered,
        other => {
            let first = other.map_or(bare, |(first, _)| first);
            if NOT_OFFERED.contains(&first) { Target::NotOffered } else { Target::Nothing }
        }
    }
}

/// The dialect in which what is no call at all is refused.
#[must_use]
pub fn dialect_of(path: &str) -> Dialect {
    let bare = path.trim_start_matches('/');
    let of_v1 = bare.strip_prefix("v1/").unwrap_or(bare);
    match of_v1.split('/').next() {
        Some("v1beta") => Dialect::Gemini,
        Some("messages") => Dialect::Messages,
        Some("models") if of_v1.contains(':') => Dialect::Gemini,
        _ => Dialect::Chat,
    }
}

/// The addresses of one-balance: `/api/compat/…` and, for each provider there is, `/api/{provider}/…`.
fn predecessor<'a>(method: &str, path: &'a str) -> Option<Target<'a>> {
    let (first, rest) = path.strip_prefix("/api/")?.split_once('/')?;
    if first == "compat" {
        return Some(match data(method, rest) {
            Target::Complete(Speech::Chat) => Target::Complete(Speech::Compat),
            other => other,
        });
    }
    providers::PROVIDERS.iter().any(|provider| provider.id == first).then(|| data(method, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_what_stands_between_host_and_query() {
        for (url, path) in [
            ("http://127.0.0.1:8787/v1/models?x=/y", "/v1/models"),
            ("https://rondo.example", "/"),
            ("https://rondo.example?x=1", "/"),
            ("https://rondo.example/#a", "/"),
        ] {
            assert_eq!(path_of(url), path, "{url}");
        }
    }

    #[test]
    fn every_way_clients_write_the_address_leads_to_chat() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/",
            "/v1/v1/chat/completions",
            "//v1/chat/completions/",
        ] {
            assert_eq!(lookup("POST", path), (Side::Data, Target::Complete(Speech::Chat)), "{path}");
            assert_eq!(lookup("OPTIONS", path), (Side::Data, Target::Preflight), "{path}");
        }
    }

    #[test]
    fn models_are_listed_and_looked_up_by_any_id() {
        assert_eq!(lookup("GET", "/v1/models"), (Side::Data, Target::Models(Dialect::Chat)));
        assert_eq!(lookup("GET", "/v1/v1/models"), (Side::Data, Target::Models(Dialect::Chat)));
        assert_eq!(
            lookup("GET", "/v1/models/openai/gpt-oss-120b"),
            (Side::Data, Target::Model(Dialect::Chat, "openai/gpt-oss-120b"))
        );
    }

    #[test]
    fn every_dialect_has_its_address() {
        for (path, target) in [
            ("/v1/completions", Target::Complete(Speech::Completions)),
            ("/completions", Target::Complete(Speech::Completions)),
            ("/v1/responses", Target::Complete(Speech::Responses)),
            ("/v1/messages", Target::Complete(Speech::Messages)),
            ("/v1/messages/count_tokens", Target::CountTokens),
            ("/v1beta/models/m:generateContent", Target::Gemini("m:generateContent")),
            ("/v1/models/a%2Fb:countTokens", Target::Gemini("a%2Fb:countTokens")),
            ("/api/compat/chat/completions", Target::Complete(Speech::Compat)),
            ("/api/cerebras/v1/chat/completions", Target::Complete(Speech::Chat)),
            ("/api/cerebras/chat/completions", Target::Complete(Speech::Chat)),
        ] {
            assert_eq!(lookup("POST", path), (Side::Data, target), "{path}");
            assert_eq!(lookup("OPTIONS", path), (Side::Data, Target::Preflight), "{path}");
        }
        for (path, target) in [
            ("/v1beta/models", Target::Models(Dialect::Gemini)),
            ("/v1beta/models/m", Target::Model(Dialect::Gemini, "m")),
            ("/api/compat/models", Target::Models(Dialect::Chat)),
            ("/api/cerebras/v1/models/m", Target::Model(Dialect::Chat, "m")),
        ] {
            assert_eq!(lookup("GET", path), (Side::Data, target), "{path}");
        }
    }

    #[test]
    fn what_is_refused_by_its_path_is_refused_in_the_dialect_of_the_path() {
        assert_eq!(dialect_of("/v1/messages/batches"), Dialect::Messages);
        assert_eq!(dialect_of("/v1beta/cachedContents"), Dialect::Gemini);
        assert_eq!(dialect_of("/v1/models/m:embedContent"), Dialect::Gemini);
        assert_eq!(dialect_of("/v1/embeddings"), Dialect::Chat);
    }

    #[test]
    fn what_is_not_offered_is_told_apart_from_what_is_nothing() {
        for path in [
            "/v1/embeddings",
            "/v1/images/generations",
            "/embeddings",
            "/v1/responses/resp_1",
            "/v1/messages/batches",
        ] {
            assert_eq!(lookup("POST", path), (Side::Data, Target::NotOffered), "{path}");
        }
        assert_eq!(lookup("POST", "/v1/nothing"), (Side::Data, Target::Nothing));
        assert_eq!(lookup("POST", "/api/openai/v1/chat/completions"), (Side::Admin, Target::Control));
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        assert_eq!(lookup("GET", "/v1/chat/completions").1, Target::WrongMethod("POST, OPTIONS"));
        assert_eq!(lookup("DELETE", "/v1/models").1, Target::WrongMethod("GET, HEAD, OPTIONS"));
        assert_eq!(lookup("PUT", "/").1, Target::WrongMethod("GET, HEAD, POST, OPTIONS"));
        assert_eq!(lookup("POST", "/healthz"), (Side::Open, Target::WrongMethod("GET, HEAD")));
    }

    #[test]
    fn the_admin_side_keeps_every_method_to_itself() {
        for path in ["/api", "/api/keys", "/api/nothing", "/metrics"] {
            for method in ["GET", "POST", "OPTIONS", "DELETE"] {
                assert_eq!(lookup(method, path), (Side::Admin, Target::Control), "{method} {path}");
            }
        }
    }

    #[test]
    fn everything_else_is_nothing() {
        for path in ["/v1", "/v1/", "/v2/chat/completions", "/apis", "/v1/v1/v1/chat/completions", "/readyz/"]
        {
            assert_eq!(lookup("GET", path), (Side::Data, Target::Nothing), "{path}");
        }
        assert_eq!(lookup("HEAD", "/"), (Side::Open, Target::Home));
    }
}
