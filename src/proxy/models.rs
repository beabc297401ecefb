//! `GET /v1/models` and `/v1/models/{id}`, from the snapshot.

use super::answer;
use super::authenticate::{Client, authenticate};
use super::request::{about, credentials_of};
use crate::platform::incoming::Incoming;
use crate::platform::respond::{About, Body, data};
use rondo_core::config::visible_models;
use rondo_core::pool::providers::Provider;
use rondo_core::wire::errors::ApiError;
use serde_json::{Value, json};

/// Lists the models, or shows one (`id` still percent-encoded).
pub async fn models(request: &Incoming, env: &worker::Env, id: Option<&str>) -> web_sys::Response {
    let (about, _) = about(request);
    let client = match authenticate(env, &credentials_of(request), false).await {
        Ok(client) => client,
        Err(error) => return answer::error(&error, &about),
    };
    match id {
        None => respond(&list(&client), &about),
        Some(id) => {
            let id = decoded(id);
            match find(&client, &id) {
                Some(model) => respond(&model, &about),
                None => answer::error(&ApiError::model_not_found(&id), &about),
            }
        }
    }
}

fn respond(value: &Value, about: &About) -> web_sys::Response {
    data(200, Some("application/json"), about, &[], &Body::Bytes(value.to_string().as_bytes()))
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
    json!({"id": id, "object": "model", "created": 0, "owned_by": owner})
}

/// Percent-decoded; what is no proper encoding stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn ids_are_percent_decoded_once_and_odd_ones_kept() {
        for (text, id) in
            [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("100%", "100%"), ("%zz", "%zz"), ("m", "m")]
        {
            assert_eq!(decoded(text), id);
        }
    }
}
