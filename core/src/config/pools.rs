//! The body of `PUT /api/models/{pool}`.

use super::catalog::is_model_id;
use super::keys::{DEFAULT_PROVIDER, check_provider};
use super::{DEFAULT_POOL, FieldError, Fields, Member, ModelPool, Strategy};
use crate::limits::input::{MODEL_ID_BYTES, POOL_MEMBERS, WEIGHT_MAX};
use serde_json::{Map, Value};

/// Longest name of a pool.
pub const POOL_NAME_CHARS: usize = 64;
/// Names that stand for other calls under the same path.
const RESERVED: [&str; 3] = ["catalog", "catalog/refresh", "test"];

/// Checks a pool's name: 1 to 64 of letters, digits and `._:/-`.
///
/// # Errors
/// Names `pool`.
pub fn check_pool_name(name: &str) -> Result<(), FieldError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    if name.is_empty() || name.len() > POOL_NAME_CHARS || !name.bytes().all(allowed) {
        let rule = format!("a name is 1 to {POOL_NAME_CHARS} letters, digits and . _ : / -");
        return Err(FieldError::new("pool", rule));
    }
    // An address loses such a part before it is sent, so that the pool could be neither changed nor deleted.
    if name.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(FieldError::new("pool", "a part between slashes must not be . or .."));
    }
    if RESERVED.contains(&name) {
        return Err(FieldError::new("pool", "this name is taken by a call of the admin API"));
    }
    Ok(())
}

/// Reads `{strategy?, members}`; a member is a model's id or `{model, provider?, weight?, enabled?}`. Of members
/// with the same model and provider the first stays.
///
/// # Errors
/// Names the field that is missing, unknown or wrong. The default pool needs an enabled member, as it serves
/// every request that no other pool is asked for.
pub fn parse_pool(name: &str, body: &Map<String, Value>) -> Result<ModelPool, FieldError> {
    check_pool_name(name)?;
    let mut fields = Fields::new(body);
    let mut strategy = Strategy::default();
    fields.choice("strategy", &mut strategy)?;
    let mut given: Vec<Value> = Vec::new();
    fields.list("members", POOL_MEMBERS, &mut given)?;
    if fields.take("members").is_none() {
        return Err(FieldError::new("members", "must be a list of models"));
    }
    fields.finish()?;
    let mut members: Vec<Member> = Vec::with_capacity(given.len());
    for value in &given {
        let member = parse_member(value)?;
        let same = |known: &Member| known.model == member.model && known.provider == member.provider;
        if !members.iter().any(same) {
            members.push(member);
        }
    }
    if members.is_empty() {
        return Err(FieldError::new("members", "must hold at least one model"));
    }
    if name == DEFAULT_POOL && !members.iter().any(|member| member.enabled) {
        return Err(FieldError::new("members", "the default pool needs an enabled model"));
    }
    Ok(ModelPool { name: name.to_owned(), strategy, members })
}

fn parse_member(value: &Value) -> Result<Member, FieldError> {
    let mut member =
        Member { model: String::new(), provider: DEFAULT_PROVIDER.to_owned(), weight: 1, enabled: true };
    match value {
        Value::String(model) => model.trim().clone_into(&mut member.model),
        Value::Object(body) => {
            let mut fields = Fields::within("members", body);
            fields.text("model", MODEL_ID_BYTES, &mut member.model)?;
            fields.text("provider", 64, &mut member.provider)?;
            fields.number("weight", 1..=WEIGHT_MAX, &mut member.weight)?;
            fields.flag("enabled", &mut member.enabled)?;
            for answered in ["state", "reason", "until"] {
                // They stand in the answer; a body made from it is taken back.
                let _ = fields.take(answered);
            }
            fields.finish()?;
        }
        _ => return Err(FieldError::new("members", "each must be a model's id or an object")),
    }
    if !is_model_id(&member.model) {
        let rule = format!("must be 1 to {MODEL_ID_BYTES} visible ASCII characters");
        return Err(FieldError::new("members.model", rule));
    }
    check_provider(&member.provider).map_err(|problem| FieldError::new("members.provider", problem))?;
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(name: &str, value: &Value) -> Result<ModelPool, FieldError> {
        parse_pool(name, value.as_object().unwrap())
    }

    #[test]
    fn members_are_ids_or_objects_and_the_first_of_a_kind_stays() {
        let body = json!({"strategy": "order", "members": ["a", {"model": "b", "weight": 3, "enabled": false}, {"model": "a", "weight": 9}]});
        let pool = parsed("smart", &body).unwrap();
        assert_eq!(pool.strategy, Strategy::Order);
        let seen: Vec<_> = pool.members.iter().map(|m| (m.model.as_str(), m.weight, m.enabled)).collect();
        assert_eq!(seen, [("a", 1, true), ("b", 3, false)]);
    }

    #[test]
    fn what_was_answered_can_be_sent_back() {
        let member = json!({"model": "a", "provider": "cerebras", "weight": 1, "enabled": true, "state": "active", "reason": null, "until": null});
        assert!(parsed("default", &json!({"strategy": "rotate", "members": [member]})).is_ok());
    }

    #[test]
    fn the_default_pool_keeps_an_enabled_model() {
        assert_eq!(parsed("default", &json!({"members": []})).unwrap_err().field, "members");
        let off = json!({"members": [{"model": "a", "enabled": false}]});
        assert_eq!(parsed("default", &off).unwrap_err().field, "members");
        assert!(parsed("other", &off).is_ok());
    }

    #[test]
    fn errors_name_the_field() {
        let many: Vec<String> = (0..101).map(|i| format!("m{i}")).collect();
        for (name, value, field) in [
            ("a b", json!({"members": ["m"]}), "pool"),
            ("", json!({"members": ["m"]}), "pool"),
            ("catalog", json!({"members": ["m"]}), "pool"),
            ("a/../b", json!({"members": ["m"]}), "pool"),
            (".", json!({"members": ["m"]}), "pool"),
            ("p", json!({}), "members"),
            ("p", json!({"members": [7]}), "members"),
            ("p", json!({"members": many}), "members"),
            ("p", json!({"members": [{}]}), "members.model"),
            ("p", json!({"members": ["a b"]}), "members.model"),
            ("p", json!({"members": [{"model": "m", "weight": 0}]}), "members.weight"),
            ("p", json!({"members": [{"model": "m", "provider": "acme"}]}), "members.provider"),
            ("p", json!({"members": [{"model": "m", "colour": 1}]}), "members.colour"),
            ("p", json!({"members": ["m"], "strategy": "random"}), "strategy"),
            ("p", json!({"members": ["m"], "name": "q"}), "name"),
        ] {
            assert_eq!(parsed(name, &value).unwrap_err().field, field, "{value}");
        }
        assert!(check_pool_name(&"n".repeat(64)).is_ok() && check_pool_name(&"n".repeat(65)).is_err());
        assert!(check_pool_name("vendor/model:free-1.5_x").is_ok());
    }
}
