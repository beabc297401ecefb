//! `GET /v1/models` and `/v1/models/{id}`, from the snapshot; `/v1beta/models` in Gemini's form.

use super::answer;
use super::authenticate::{Client, authenticate};
use super::request::{about, credentials_of, with_query};
use crate::platform::incoming::Incoming;
use crate::platform::respond::{About, Body, data};
use crate::platform::url::{Address, decoded};
use rondo_core::config::catalog::CatalogModel;
use rondo_core::config::visible_models;
use rondo_core::pool::providers::Provider;
use rondo_core::wire::dialects::{Dialect, gemini};
use rondo_core::wire::errors::ApiError;
use serde_json::{Value, json};

/// Lists the models, or shows one (`id` still percent-encoded).
pub async fn models(
    request: &Incoming,
    env: &worker::Env,
    dialect: Dialect,
    id: Option<&str>,
) -> web_sys::Response {
    let credentials = credentials_of(request);
    let dialect = spoken(dialect, &credentials);
    let about = About { dialect, ..about(request).0 };
    let key = (dialect == Dialect::Gemini).then(|| Address::parse(request.url())).flatten();
    let key = key.and_then(|address| address.query().into_iter().find(|(name, _)| name == "key"));
    let credentials = with_query(credentials, key.map(|(_, value)| value));
    let client = match authenticate(env, &credentials, false).await {
        Ok(client) => client,
        Err(error) => return answer::error(&error, &about),
    };
    let id = id.map(decoded);
    let id = id
        .as_deref()
        .map(|id| id.strip_prefix("models/").filter(|_| dialect == Dialect::Gemini).unwrap_or(id));
    let body = match (id, dialect) {
        (None, Dialect::Gemini) => {
            let names = names(&client);
            let listed: Vec<_> = names.into_iter().map(|name| listed(&client, name)).collect();
            Some(gemini::models(&listed))
        }
        (None, _) => Some(list(&client).to_string().into_bytes()),
        (Some(id), Dialect::Gemini) => names(&client)
            .into_iter()
            .find(|name| *name == id)
            .map(|name| gemini::model(&listed(&client, name))),
        (Some(id), _) => find(&client, id).map(|model| model.to_string().into_bytes()),
    };
    match body {
        Some(body) => data(200, Some("application/json"), &about, &[], &Body::Bytes(&body)),
        None => answer::error(&ApiError::model_not_found(id.unwrap_or_default()), &about),
    }
}

/// Google's clients use `/v1` as others do; that they alone send their key in this header tells them apart.
fn spoken(dialect: Dialect, credentials: &[Option<String>; 4]) -> Dialect {
    match credentials {
        [None, None, None, Some(_)] => Dialect::Gemini,
        _ => dialect,
    }
}

fn listed<'a>(client: &'a Client, name: &'a str) -> gemini::Listed<'a> {
    let detail = client.known.snapshot.detail(name);
    gemini::Listed {
        name,
        display_name: detail.and_then(|detail| detail.name.as_deref()),
        description: None,
        input_tokens: detail.and_then(|detail| detail.context_length),
        output_tokens: detail.and_then(|detail| detail.max_completion_tokens),
    }
}

fn names(client: &Client) -> Vec<&str> {
    let snapshot = &client.known.snapshot;
    let token = snapshot.tokens.iter().find(|token| !client.token.is_empty() && *token.id == *client.token);
    visible_models(snapshot, token)
}

fn list(client: &Client) -> Value {
    let models: Vec<Value> = names(client).into_iter().map(|name| model(client, name)).collect();
    json!({"object": "list", "data": models})
}

fn find(client: &Client, id: &str) -> Option<Value> {
    names(client).into_iter().find(|name| *name == id).map(|name| model(client, name))
}

/// As Cerebras and OpenAI show it. An alias belongs to Rondo, a model to its provider.
fn model(client: &Client, id: &str) -> Value {
    let snapshot = &client.known.snapshot;
    let member = snapshot.pools.iter().flat_map(|pool| &pool.members).find(|member| member.model == id);
    let provider = member.map_or("cerebras", |member| &member.provider);
    let alias = member.is_none() && snapshot.pool(id).is_some();
    let owner =
        if alias { "Rondo" } else { Provider::find(provider).map_or("Cerebras", |provider| provider.owner) };
    let mut shown = json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    if let (Some(shown), Some(detail)) = (shown.as_object_mut(), snapshot.detail(id)) {
        // By the names that other lists of models have them, and Cerebras's own.
        let CatalogModel {
            name, context_length, max_completion_tokens, pricing, deprecated, preview, ..
        } = detail;
        let limits =
            json!({"max_context_length": context_length, "max_completion_tokens": max_completion_tokens});
        let known = [
            ("name", json!(name)),
            ("context_length", json!(context_length)),
            ("max_completion_tokens", json!(max_completion_tokens)),
            ("limits", limits),
            ("pricing", json!(pricing)),
            ("deprecated", json!(deprecated)),
            ("preview", json!(preview)),
        ];
        shown.extend(known.map(|(field, value)| (field.to_owned(), value)));
    }
    shown
}
