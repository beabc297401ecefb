//! `GET /v1beta/models` and `GET /v1beta/models/{model}`.

use serde::Serialize;

/// A model, as it is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name, without `models/`.
    pub name: &'a str,
    /// For people.
    pub display_name: Option<&'a str>,
    /// More of it, for people.
    pub description: Option<&'a str>,
    /// Tokens that a prompt may have, if known.
    pub input_tokens: Option<u64>,
    /// Tokens that an answer may have, if known.
    pub output_tokens: Option<u64>,
}

#[derive(Serialize)]
struct ListModelsResponse<'a> {
    models: Vec<Model<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: [&'static str; 3],
}

impl<'a> From<&Listed<'a>> for Model<'a> {
    fn from(listed: &Listed<'a>) -> Self {
        Self {
            name: format!("models/{}", listed.name),
            version: "001",
            display_name: listed.display_name.unwrap_or(listed.name),
            description: listed.description,
            input_token_limit: listed.input_tokens,
            output_token_limit: listed.output_tokens,
            supported_generation_methods: ["generateContent", "streamGenerateContent", "countTokens"],
        }
    }
}

/// The list of models.
#[must_use]
pub fn models(list: &[Listed<'_>]) -> Vec<u8> {
    let models = list.iter().map(Model::from).collect();
    // Texts and numbers: there is nothing in it that could fail.
    serde_json::to_vec(&ListModelsResponse { models }).unwrap_or_default()
}

/// One model.
#[must_use]
pub fn model(listed: &Listed<'_>) -> Vec<u8> {
    serde_json::to_vec(&Model::from(listed)).unwrap_or_default()
}
