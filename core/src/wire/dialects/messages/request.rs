//! A request as the public schema has it. Blocks are one flat type: an enum by `type` would have serde keep each block
//! twice, and pictures are megabytes.

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The body of `POST /v1/messages`.
#[derive(Debug, Deserialize)]
pub(super) struct MessagesRequest {
    pub model: Option<String>,
    #[serde(default)]
    pub messages: Vec<MessageParam>,
    pub system: Option<Content>,
    pub max_tokens: Option<u64>,
    pub stream: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<IgnoredAny>,
    pub stop_sequences: Option<Vec<String>>,
    pub tools: Option<Vec<Tool>>,
    pub tool_choice: Option<ToolChoice>,
    pub thinking: Option<ThinkingConfig>,
    pub output_config: Option<OutputConfig>,
    /// As `output_config.format`, by its first name.
    pub output_format: Option<OutputFormat>,
    pub metadata: Option<Metadata>,
    pub service_tier: Option<String>,
    pub thread: Option<Thread>,
    pub compaction: Option<IgnoredAny>,
    /// Everything else: `context_management`, `mcp_servers`, `container`, …
    #[serde(flatten)]
    pub rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MessageParam {
    pub role: Role,
    /// Only messages of the role `system` may have none.
    pub content: Option<Content>,
    pub clear_at: Option<String>,
    pub output_config: Option<MessageOutputConfig>,
}

/// What a message of the role `system` may say of the answers behind it.
#[derive(Debug, Deserialize)]
pub(super) struct MessageOutputConfig {
    pub effort: Option<String>,
}

/// A conversation that Anthropic's servers keep.
#[derive(Debug, Deserialize)]
pub(super) struct Thread {
    #[serde(default)]
    pub r#type: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
    System,
}

/// A text, or blocks. Some blocks of server tools hold an object instead, which nothing here reads.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
    Other,
}

/// Any block.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Block {
    #[serde(default)]
    pub r#type: String,
    pub text: Option<String>,
    pub source: Option<Source>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub input: Option<Box<Value>>,
    pub tool_use_id: Option<String>,
    pub content: Option<Content>,
    pub is_error: Option<bool>,
    pub thinking: Option<String>,
    pub title: Option<String>,
    pub context: Option<String>,
    pub tool_name: Option<String>,
    /// Of a change of the tools.
    pub tool: Option<Box<ChangedTool>>,
    pub cache_control: Option<IgnoredAny>,
}

/// A tool that is added or taken away in the middle of a conversation.
#[derive(Debug, Deserialize)]
pub(super) struct ChangedTool {
    #[serde(default)]
    pub r#type: String,
    pub name: Option<String>,
    pub definition: Option<Tool>,
}

/// Where a picture or a document is. Of a search result it is a text.
#[derive(Debug)]
pub(super) enum Source {
    Named(String),
    Object(Box<SourceObject>),
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct SourceObject {
    #[serde(default)]
    pub r#type: String,
    pub media_type: Option<String>,
    pub data: Option<String>,
    pub url: Option<String>,
    pub content: Option<Content>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub r#type: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub input_schema: Option<Value>,
    pub strict: Option<bool>,
    pub cache_control: Option<IgnoredAny>,
    pub defer_loading: Option<IgnoredAny>,
    pub input_examples: Option<IgnoredAny>,
    pub allowed_callers: Option<IgnoredAny>,
    pub eager_input_streaming: Option<IgnoredAny>,
    pub max_characters: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ToolChoice {
    pub r#type: String,
    pub name: Option<String>,
    pub disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ThinkingConfig {
    pub r#type: String,
    pub budget_tokens: Option<u64>,
    pub display: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OutputConfig {
    pub effort: Option<String>,
    pub format: Option<OutputFormat>,
    pub task_budget: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OutputFormat {
    pub r#type: String,
    pub schema: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub user_id: Option<String>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = list.next_element()? {
                    blocks.push(block);
                }
                Ok(Content::Blocks(blocks))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::Other)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source object")
            }

            fn visit_str<E>(self, text: &str) -> Result<Source, E> {
                Ok(Source::Named(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                let object = SourceObject::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Source::Object(Box::new(object)))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
