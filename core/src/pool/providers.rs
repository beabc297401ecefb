//! The providers whose keys are pooled: where each is, which path serves chat, how it wants its key.

/// How a provider wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer …`
    Bearer,
    /// `api-key: …`
    ApiKey,
}

/// A provider of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its id, as keys and pool members name it.
    pub id: &'static str,
    /// Its address when neither the key nor the environment has another.
    pub base: &'static str,
    /// The variable that holds another address for all its keys.
    pub base_variable: &'static str,
    /// The path of chat completions behind the address.
    pub chat_path: &'static str,
    /// The path of its public list of models, which takes no key.
    pub catalog_path: &'static str,
    /// How it wants its key.
    pub key_header: KeyHeader,
    /// `owned_by` in `GET /v1/models`.
    pub owner: &'static str,
}

/// All providers.
pub const PROVIDERS: [Provider; 1] = [Provider {
    id: "cerebras",
    base: "https://api.cerebras.ai",
    base_variable: "CEREBRAS_BASE_URL",
    chat_path: "/v1/chat/completions",
    catalog_path: "/public/v1/models",
    key_header: KeyHeader::Bearer,
    owner: "Cerebras",
}];

impl Provider {
    /// The provider with that id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.id == id)
    }

    /// Where chat completions are posted: behind `base` (a key's own, or the environment's), else the
    /// provider's address. A base is the upstream's root, as the provider's SDKs mean it; a trailing `/v1`,
    /// as OpenAI's SDKs mean it, is understood too.
    #[must_use]
    pub fn chat_url(&self, base: Option<&str>) -> String {
        let base = base.map(root).filter(|base| !base.is_empty()).unwrap_or(self.base);
        format!("{base}{}", self.chat_path)
    }
}

/// A base URL without trailing slashes and without a last `/v1`.
#[must_use]
pub fn root(base: &str) -> &str {
    let base = base.trim().trim_end_matches('/');
    base.strip_suffix("/v1").unwrap_or(base).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_understood_with_and_without_its_version() {
        let cerebras = Provider::find("cerebras").unwrap();
        let expected = "http://127.0.0.1:9/v1/chat/completions";
        for base in [
            "http://127.0.0.1:9",
            "http://127.0.0.1:9/",
            "http://127.0.0.1:9/v1",
            " http://127.0.0.1:9/v1// ",
        ] {
            assert_eq!(cerebras.chat_url(Some(base)), expected, "{base}");
        }
        assert_eq!(
            cerebras.chat_url(Some("https://gate.example/team")),
            "https://gate.example/team/v1/chat/completions"
        );
    }

    #[test]
    fn without_a_base_the_provider_is_where_it_is() {
        let cerebras = Provider::find("cerebras").unwrap();
        for base in [None, Some(""), Some(" ")] {
            assert_eq!(cerebras.chat_url(base), "https://api.cerebras.ai/v1/chat/completions");
        }
        assert_eq!(Provider::find("nobody"), None);
    }
}
