//! What clients send: the public schemas under their names, as far as they matter, in camel case and in snake case.
//! Google's own reader takes a single message where a list is wanted, and numbers as texts; so do these.

use serde::Deserialize;
use serde::de::{
    DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Fields that are not looked into; each is noted as dropped.
pub(super) type Rest = BTreeMap<String, IgnoredAny>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GenerateContentRequest {
    pub contents: Option<Many<Content>>,
    #[serde(alias = "system_instruction")]
    pub system_instruction: Option<Instruction>,
    pub tools: Option<Many<Tool>>,
    #[serde(alias = "tool_config")]
    pub tool_config: Option<ToolConfig>,
    #[serde(alias = "generation_config")]
    pub generation_config: Option<GenerationConfig>,
    #[serde(alias = "cached_content")]
    pub cached_content: Option<String>,
    /// The model stands in the path; here it is only repeated.
    pub model: Option<IgnoredAny>,
    /// Of `countTokens`: what is counted, if not the rest.
    #[serde(alias = "generate_content_request")]
    pub generate_content_request: Option<Box<GenerateContentRequest>>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Instruction {
    Text(String),
    Parts(Vec<Part>),
    Content(Told),
}

/// The content of an instruction, or a single part of one.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub parts: Option<Many<Part>>,
    pub text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Content {
    pub role: Option<String>,
    pub parts: Option<Many<Part>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part {
    pub text: Option<String>,
    pub thought: Option<bool>,
    #[serde(alias = "inline_data")]
    pub inline_data: Option<Blob>,
    #[serde(alias = "file_data")]
    pub file_data: Option<FileData>,
    #[serde(alias = "function_call")]
    pub function_call: Option<FunctionCall>,
    #[serde(alias = "function_response")]
    pub function_response: Option<FunctionResponse>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Blob {
    #[serde(alias = "mime_type")]
    pub mime_type: Option<String>,
    pub data: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileData {
    #[serde(alias = "mime_type")]
    pub mime_type: Option<String>,
    #[serde(alias = "file_uri")]
    pub file_uri: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall {
    pub id: Option<String>,
    pub name: Option<String>,
    pub args: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionResponse {
    pub id: Option<String>,
    pub name: Option<String>,
    pub response: Option<Value>,
    /// Pictures and the like beside the result.
    pub parts: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tool {
    #[serde(alias = "function_declarations")]
    pub function_declarations: Option<Many<FunctionDeclaration>>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FunctionDeclaration {
    pub name: Option<String>,
    pub description: Option<String>,
    pub parameters: Option<Value>,
    #[serde(alias = "parameters_json_schema")]
    pub parameters_json_schema: Option<Value>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ToolConfig {
    #[serde(alias = "function_calling_config")]
    pub function_calling_config: Option<FunctionCallingConfig>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FunctionCallingConfig {
    pub mode: Option<String>,
    #[serde(alias = "allowed_function_names")]
    pub allowed_function_names: Option<Vec<String>>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GenerationConfig {
    pub temperature: Option<Number>,
    #[serde(alias = "top_p")]
    pub top_p: Option<Number>,
    #[serde(alias = "candidate_count")]
    pub candidate_count: Option<Number>,
    #[serde(alias = "max_output_tokens")]
    pub max_output_tokens: Option<Number>,
    #[serde(alias = "stop_sequences")]
    pub stop_sequences: Option<Vec<String>>,
    pub seed: Option<Number>,
    #[serde(alias = "presence_penalty")]
    pub presence_penalty: Option<Number>,
    #[serde(alias = "frequency_penalty")]
    pub frequency_penalty: Option<Number>,
    #[serde(alias = "response_mime_type")]
    pub response_mime_type: Option<String>,
    #[serde(alias = "response_schema")]
    pub response_schema: Option<Value>,
    #[serde(alias = "response_json_schema")]
    pub response_json_schema: Option<Value>,
    #[serde(alias = "response_format")]
    pub response_format: Option<Many<ResponseFormat>>,
    #[serde(alias = "response_modalities")]
    pub response_modalities: Option<Vec<String>>,
    #[serde(alias = "response_logprobs")]
    pub response_logprobs: Option<bool>,
    pub logprobs: Option<Number>,
    #[serde(alias = "thinking_config")]
    pub thinking_config: Option<ThinkingConfig>,
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseFormat {
    pub text: Option<TextResponseFormat>,
    /// Pictures, sounds and films.
    #[serde(flatten)]
    pub rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TextResponseFormat {
    #[serde(alias = "mime_type")]
    pub mime_type: Option<String>,
    pub schema: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ThinkingConfig {
    #[serde(alias = "thinking_budget")]
    pub thinking_budget: Option<Number>,
    #[serde(alias = "thinking_level")]
    pub thinking_level: Option<String>,
    #[serde(alias = "include_thoughts")]
    pub include_thoughts: Option<bool>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// A number, or a text that is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub f64);

impl Number {
    /// The whole number that it is, if it is one.
    pub fn whole(self) -> Option<i64> {
        // Whole numbers up to 2^53 are exact.
        (self.0.fract() == 0.0 && self.0.abs() <= 9_007_199_254_740_992.0).then_some(self.0 as i64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Number, E> {
                match value.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Number(number)),
                    _ => Err(E::custom("no number")),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A list, or a single one of what it would hold.
#[derive(Debug)]
pub(super) struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Either<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Many<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Many(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
