//! What a client's request is written in, as its path tells, and its translation.

use super::{Dialect, Seed, Translated, completions, gemini, messages, responses};
use crate::wire::errors::ApiError;

/// A way to ask for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech<'a> {
    /// OpenAI Chat Completions.
    Chat,
    /// The same with the provider's name before the model's, as one-balance's `/api/compat` takes it.
    Compat,
    /// OpenAI Completions.
    Completions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini, whose path names the model (percent-decoded), and how the answer is streamed, if it is.
    Gemini(&'a str, Option<gemini::Framing>),
}

impl Speech<'_> {
    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Chat | Self::Compat => Dialect::Chat,
            Self::Completions => Dialect::Completions,
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Messages,
            Self::Gemini(..) => Dialect::Gemini,
        }
    }

    /// The request in the upstream's words; `None` for one that is in them already.
    ///
    /// # Errors
    /// 400 naming the field that can't be translated.
    pub fn translate(&self, body: &[u8], seed: Seed) -> Result<Option<Translated>, ApiError> {
        Ok(Some(match self {
            Self::Chat | Self::Compat => return Ok(None),
            Self::Completions => completions::request(body, seed)?,
            Self::Responses => responses::request(body, seed)?,
            Self::Messages => messages::request(body, seed)?,
            Self::Gemini(model, framing) => gemini::request(body, Some((*model).to_owned()), *framing, seed)?,
        }))
    }
}

/// The model without the name of a provider before it: `cerebras/gpt-oss-120b`. What is before another slash belongs
/// to the model's own name.
#[must_use]
pub fn without_provider(model: &str, providers: impl IntoIterator<Item = &'static str>) -> Option<&str> {
    let (provider, rest) = model.split_once('/')?;
    (!rest.is_empty() && providers.into_iter().any(|known| known.eq_ignore_ascii_case(provider)))
        .then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_provider_s_name_is_cut_off() {
        let of = |model| without_provider(model, ["cerebras"]);
        assert_eq!(of("cerebras/gpt-oss-120b"), Some("gpt-oss-120b"));
        assert_eq!(of("Cerebras/openai/gpt-oss-120b"), Some("openai/gpt-oss-120b"));
        assert_eq!((of("gpt-oss-120b"), of("openai/gpt-oss-120b"), of("cerebras/")), (None, None, None));
    }
}
