//! The route table: which path is whose, as a pure function of method and path.

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
    /// `POST …/chat/completions`
    Chat,
    /// `GET …/models`
    Models,
    /// `GET …/models/{id}`; the id is still percent-encoded.
    Model(&'a str),
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

/// Looks up a method and a path.
#[must_use]
pub fn lookup<'a>(method: &str, path: &'a str) -> (Side, Target<'a>) {
    if path == "/api" || path.starts_with("/api/") || path == "/metrics" {
        return (Side::Admin, Target::Control);
    }
    let read = matches!(method, "GET" | "HEAD");
    let options = method == "OPTIONS";
    let data = |matches: bool, target, allow| {
        let found = match () {
            () if matches => target,
            () if options => Target::Preflight,
            () => Target::WrongMethod(allow),
        };
        (Side::Data, found)
    };
    let open = |target| (Side::Open, if read { target } else { Target::WrongMethod("GET, HEAD") });
    match path {
        "/healthz" => return open(Target::Alive),
        "/readyz" => return open(Target::Ready),
        "/health" => return open(Target::Health),
        "/" if read => return (Side::Open, Target::Home),
        // Clients whose base URL is the bare address post here.
        "/" => return data(method == "POST", Target::Chat, "GET, HEAD, POST, OPTIONS"),
        _ => {}
    }
    // SDKs join a base with `/v1` and their own `/v1/…`, or a base without any and `/chat/…`; a slash too many
    // at either end is nobody's intention.
    let bare = path.trim_start_matches('/').trim_end_matches('/');
    let bare = bare.strip_prefix("v1/").unwrap_or(bare);
    let bare = bare.strip_prefix("v1/").unwrap_or(bare);
    match bare {
        "chat/completions" => data(method == "POST", Target::Chat, WRITE),
        "models" => data(read, Target::Models, READ),
        "tcp_warming" => data(read, Target::Warming, READ),
        _ => match bare.strip_prefix("models/") {
            Some(id) => data(read, Target::Model(id), READ),
            None if options => (Side::Data, Target::Preflight),
            None => (Side::Data, Target::Nothing),
        },
    }
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
            assert_eq!(lookup("POST", path), (Side::Data, Target::Chat), "{path}");
            assert_eq!(lookup("OPTIONS", path), (Side::Data, Target::Preflight), "{path}");
        }
    }

    #[test]
    fn models_are_listed_and_looked_up_by_any_id() {
        assert_eq!(lookup("GET", "/v1/models"), (Side::Data, Target::Models));
        assert_eq!(lookup("GET", "/v1/v1/models"), (Side::Data, Target::Models));
        assert_eq!(
            lookup("GET", "/v1/models/openai/gpt-oss-120b"),
            (Side::Data, Target::Model("openai/gpt-oss-120b"))
        );
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
