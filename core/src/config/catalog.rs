//! The provider's public list of models: what is kept of it.
//!
//! The list is an upstream's text, so nothing in it is relied on but its being a list with ids: unknown fields
//! are skipped, known ones of another type count as absent, odd entries are left out.

use crate::limits::input::{CATALOG_MODELS, MODEL_ID_BYTES};
use crate::pool::providers::{Provider, root};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// Longest name that is kept; longer ones are cut.
const NAME_CHARS: usize = 200;
/// Longest price that is believed.
const PRICE_BYTES: usize = 32;

/// A model of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CatalogModel {
    /// Its id, as requests name it.
    pub id: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Longest prompt and completion together, in tokens.
    pub context_length: Option<u64>,
    /// Longest completion, in tokens.
    pub max_completion_tokens: Option<u64>,
    /// Announced to go.
    pub deprecated: bool,
    /// Not for production yet.
    pub preview: bool,
    /// What a token costs.
    pub pricing: Option<Pricing>,
}

/// Prices of one token in US dollars, as decimal texts, since they are too small to be exact as floats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pricing {
    /// A token of the prompt.
    pub prompt: Option<String>,
    /// A token of the completion.
    pub completion: Option<String>,
}

/// Why a text is no list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCatalog {
    /// No JSON.
    NoJson,
    /// JSON, but neither a list nor an object whose `data` is one.
    NoList,
    /// A list without a single usable model: no provider has none, so this is a fault.
    Empty,
}

impl fmt::Display for NoCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoJson => "the answer is no JSON",
            Self::NoList => "the answer is no list of models",
            Self::Empty => "the list has no models",
        })
    }
}

/// Whether a text can be a model's id: 1 to 256 visible ASCII characters.
#[must_use]
pub fn is_model_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MODEL_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where a provider's list is, without a key: behind `base` (the environment's), else the provider's address.
#[must_use]
pub fn list_url(provider: &Provider, base: Option<&str>) -> String {
    let base = base.map(root).filter(|base| !base.is_empty()).unwrap_or(provider.base);
    format!("{base}{}", provider.catalog_path)
}

/// An address as it may be shown: without user, password, query and fragment, which can hold secrets.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

/// Reads a list: `{"data": [...]}` or the list itself. The first of entries with the same id stays, and no more
/// than 1,000 are kept.
///
/// # Errors
/// [`NoCatalog`].
pub fn parse(text: &[u8]) -> Result<Vec<CatalogModel>, NoCatalog> {
    let value: Value = serde_json::from_slice(text).map_err(|_| NoCatalog::NoJson)?;
    let list = match &value {
        Value::Array(list) => list,
        Value::Object(object) => object.get("data").and_then(Value::as_array).ok_or(NoCatalog::NoList)?,
        _ => return Err(NoCatalog::NoList),
    };
    let mut seen = HashSet::new();
    let models: Vec<CatalogModel> = list
        .iter()
        .filter_map(Value::as_object)
        .filter_map(model)
        .filter(|model| seen.insert(model.id.clone()))
        .take(CATALOG_MODELS)
        .collect();
    if models.is_empty() { Err(NoCatalog::Empty) } else { Ok(models) }
}

/// The ids of a list as one text, in order: two lists with the same text hold the same models.
#[must_use]
pub fn ids_text(models: &[CatalogModel]) -> String {
    let mut ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    ids.sort_unstable();
    Value::from(ids).to_string()
}

fn model(entry: &Map<String, Value>) -> Option<CatalogModel> {
    let id = entry.get("id").and_then(Value::as_str).filter(|id| is_model_id(id))?;
    let limit = |name: &str| {
        let limits = entry.get("limits").and_then(Value::as_object)?;
        limits.get(name).and_then(Value::as_u64)
    };
    let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
    let price = |name: &str| {
        let pricing = entry.get("pricing").and_then(Value::as_object)?;
        let text = match pricing.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let amount = text.parse::<f64>().ok()?;
        (text.len() <= PRICE_BYTES && amount.is_finite() && amount >= 0.0).then_some(text)
    };
    let pricing = Pricing { prompt: price("prompt"), completion: price("completion") };
    Some(CatalogModel {
        id: id.to_owned(),
        name: entry.get("name").and_then(Value::as_str).and_then(name),
        context_length: limit("max_context_length"),
        max_completion_tokens: limit("max_completion_tokens"),
        deprecated: flag("deprecated"),
        preview: flag("preview"),
        pricing: (pricing != Pricing::default()).then_some(pricing),
    })
}

fn name(text: &str) -> Option<String> {
    let name: String = text.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(value: &Value) -> Result<Vec<String>, NoCatalog> {
        Ok(parse(value.to_string().as_bytes())?.into_iter().map(|model| model.id).collect())
    }

    #[test]
    fn a_model_of_the_list_keeps_what_is_known_of_it() {
        let text = json!({"object": "list", "data": [{
            "id": "gpt-oss-120b", "object": "model", "created": 0, "owned_by": "Cerebras", "name": "GPT OSS 120B",
            "description": "", "pricing": {"prompt": "0.00000035", "completion": 0.00000075},
            "limits": {"max_context_length": 131_072, "max_completion_tokens": 40_960, "requests_per_minute": null},
            "deprecated": true, "preview": false, "quantization": "fp16", "something_new": {"x": [1]},
        }]});
        let expected = CatalogModel {
            id: "gpt-oss-120b".into(),
            name: Some("GPT OSS 120B".into()),
            context_length: Some(131_072),
            max_completion_tokens: Some(40_960),
            deprecated: true,
            preview: false,
            pricing: Some(Pricing { prompt: Some("0.00000035".into()), completion: Some("7.5e-7".into()) }),
        };
        assert_eq!(parse(text.to_string().as_bytes()), Ok(vec![expected]));
    }

    #[test]
    fn fields_of_another_type_count_as_absent() {
        let odd = json!([{"id": "m", "name": 7, "pricing": "free", "limits": [1], "deprecated": "no", "preview": 1}]);
        let expected = CatalogModel { id: "m".into(), ..CatalogModel::default() };
        assert_eq!(parse(odd.to_string().as_bytes()), Ok(vec![expected]));
        let prices = json!([{"id": "m", "pricing": {"prompt": "-1", "completion": "free"}, "limits": {"max_context_length": -4}}]);
        assert_eq!(parse(prices.to_string().as_bytes()).unwrap()[0].pricing, None);
        assert_eq!(parse(prices.to_string().as_bytes()).unwrap()[0].context_length, None);
    }

    #[test]
    fn entries_without_a_usable_id_are_left_out_and_the_first_of_a_kind_stays() {
        let long = "x".repeat(257);
        let list = json!({"data": [{"id": "a"}, {"id": "a b"}, {"id": ""}, {"id": 7}, {}, "b", null, {"id": "ü"},
            {"id": long}, {"id": "a", "name": "again"}, {"id": "vendor/c:free"}]});
        assert_eq!(ids(&list).unwrap(), ["a", "vendor/c:free"]);
    }

    #[test]
    fn the_list_is_bounded() {
        let many: Vec<Value> =
            (0..1_500).map(|n| json!({"id": format!("m{n}"), "name": "n".repeat(900)})).collect();
        let models = parse(Value::from(many).to_string().as_bytes()).unwrap();
        assert_eq!(models.len(), 1_000);
        assert_eq!(models[0].name.as_ref().unwrap().len(), 200);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, why) in [
            ("", NoCatalog::NoJson),
            ("<html>log in</html>", NoCatalog::NoJson),
            ("{\"data\": [", NoCatalog::NoJson),
            ("{}", NoCatalog::NoList),
            ("{\"data\": {\"id\": \"m\"}}", NoCatalog::NoList),
            ("{\"message\": \"down\"}", NoCatalog::NoList),
            ("\"m\"", NoCatalog::NoList),
            ("null", NoCatalog::NoList),
            ("[]", NoCatalog::Empty),
            ("{\"data\": [{\"id\": \"\"}, 3]}", NoCatalog::Empty),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(why), "{text}");
        }
    }

    #[test]
    fn lists_of_the_same_models_have_the_same_ids_whatever_their_order() {
        let list = |ids: &[&str]| -> Vec<CatalogModel> {
            ids.iter().map(|id| CatalogModel { id: (*id).into(), ..CatalogModel::default() }).collect()
        };
        assert_eq!(ids_text(&list(&["b", "a\"\\"])), r#"["a\"\\","b"]"#);
        assert_eq!(ids_text(&list(&["b", "a"])), ids_text(&list(&["a", "b"])));
        assert_ne!(ids_text(&list(&["a"])), ids_text(&list(&["a", "b"])));
    }

    #[test]
    fn the_address_follows_the_base_and_shows_no_secrets() {
        let cerebras = Provider::find("cerebras").unwrap();
        assert_eq!(list_url(cerebras, None), "https://api.cerebras.ai/public/v1/models");
        assert_eq!(list_url(cerebras, Some("http://127.0.0.1:9/v1/")), "http://127.0.0.1:9/public/v1/models");
        for (url, shown) in [
            (
                "https://user:pa@ss@gate.example/team/public/v1/models",
                "https://gate.example/team/public/v1/models",
            ),
            ("https://gate.example/x?key=secret#y", "https://gate.example/x"),
            ("no address", ""),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
