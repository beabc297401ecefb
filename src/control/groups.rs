//! Quota groups: many keys at once, and keys that look as if they shared one.

use super::call::Call;
use super::coordinator;
use super::decisions::silent;
use super::problem::{Outcome, Problem};
use super::time_text;
use crate::platform::json::Reply;
use crate::store::audit;
use crate::store::audit::CHANGED;
use crate::store::groups::{self, Member};
use rondo_core::config::groups::{GroupChange, PoolGroup, Verdict, split};
use rondo_core::limits::request::ADMIN_BODY_BYTES;
use rondo_core::pool::kinship::{Evidence, Suggestion};
use rondo_core::wire::headers::Window;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Keys shown of each group of a suggestion.
const SHOWN: u64 = 50;
/// Keys that its sentence names.
const TOLD: usize = 4;
/// Groups that the audit log names.
const LOGGED: usize = 8;

/// `POST /api/keys/group`. Three queries.
pub async fn set(call: &Call) -> Outcome {
    let change = GroupChange::parse(&call.object(ADMIN_BODY_BYTES).await?)?;
    let detail = match &change.group {
        Some(name) => format!("{CHANGED} keys into {name}"),
        None => format!("{CHANGED} keys into groups of their own"),
    };
    let actor = call.actor();
    let changed = groups::set(&call.db, &change, &call.deed(&actor, "key.group", &detail)).await?;
    if changed > 0 {
        call.announce().await;
    }
    Ok(Reply::new(200).json(&json!({"changed": changed})))
}

/// `GET /api/keys/suggestions`. One query, none when there is nothing to suggest, and one call of the Coordinator.
pub async fn suggestions(call: &Call) -> Outcome {
    let found = coordinator::suggestions(&call.env).await.map_err(silent)?;
    let named: HashSet<&str> =
        found.iter().flat_map(|suggestion| &suggestion.groups).map(String::as_str).collect();
    let members = match named.is_empty() {
        true => Vec::new(),
        false => groups::members(&call.db, named.into_iter(), SHOWN).await?,
    };
    let items: Vec<Value> = found.iter().map(|suggestion| item(suggestion, &members)).collect();
    Ok(Reply::new(200).json(&json!({"items": items})))
}

/// `POST /api/keys/suggestions`. Four queries and one call of the Coordinator.
pub async fn judge(call: &Call) -> Outcome {
    let verdict = Verdict::parse(&call.object(ADMIN_BODY_BYTES).await?)?;
    let actor = call.actor();
    let members = groups::members(&call.db, verdict.groups.iter().map(String::as_str), 1).await?;
    let listed = listed(&verdict.groups, &members);
    if !verdict.accept {
        // First where it counts: what the log says must be so.
        coordinator::judged(&call.env, &verdict.groups, false).await.map_err(silent)?;
        audit::record(&call.db, &call.deed(&actor, "suggestion.dismiss", &listed)).await?;
        return Ok(Reply::new(200).json(&json!({"group": null, "changed": 0})));
    }
    // One of each group that has keys.
    if members.len() < 2 {
        return Err(Problem::conflict(
            "fewer than two of these groups still have keys: look at the suggestions again",
        ));
    }
    let detail = match verdict.called() {
        Some(name) => format!("{CHANGED} keys of {listed} into {name}"),
        None => format!("{CHANGED} keys of {listed} into one group"),
    };
    let deed = call.deed(&actor, "suggestion.accept", &detail);
    let named = verdict.groups.iter().map(String::as_str);
    let united = groups::unite(&call.db, named, verdict.called(), &deed).await?;
    let (group, changed) =
        united.map_or((verdict.called().map(str::to_owned), 0), |(group, n)| (Some(group), n));
    // A lost call is made good by the next flush: the keys are in another group by then.
    let _ = coordinator::judged(&call.env, &verdict.groups, true).await;
    Ok(Reply::new(200).json(&json!({"group": group, "changed": changed})))
}

/// Groups as the audit log names them: the operator's by its name, a key's own by what may be seen of the key.
fn listed(groups: &[String], members: &[Member]) -> String {
    let name = |group: &String| match split(group) {
        Some(PoolGroup::Named(name)) => name.to_owned(),
        _ => {
            let key = members.iter().find(|member| member.pool_group == *group);
            key.map_or_else(|| group.clone(), |key| key.masked.clone())
        }
    };
    let mut listed = groups.iter().take(LOGGED).map(name).collect::<Vec<_>>().join(", ");
    if groups.len() > LOGGED {
        listed.push_str(", …");
    }
    listed
}

fn item(suggestion: &Suggestion, members: &[Member]) -> Value {
    let members: Vec<&Member> =
        members.iter().filter(|member| suggestion.groups.contains(&member.pool_group)).collect();
    let keys: Vec<Value> = members
        .iter()
        .map(|member| json!({"id": member.id, "masked": member.masked, "label": member.label}))
        .collect();
    let evidence = &suggestion.evidence;
    let names: Vec<&str> = members
        .iter()
        .map(|member| if member.label.is_empty() { member.masked.as_str() } else { member.label.as_str() })
        .collect();
    json!({
        "groups": suggestion.groups,
        "keys": keys,
        "model": suggestion.model,
        "since": time_text(Some(suggestion.since)),
        "evidence": {
            "observations": evidence.observations,
            "limit": evidence.limit,
            "window": window(evidence.window),
            "drop": evidence.drop,
            "own": evidence.own,
            "others_least": evidence.others_least,
            "others_most": evidence.others_most,
            "resets_within_ms": evidence.resets_within_ms,
        },
        "text": sentence(&names, &suggestion.model, evidence),
    })
}

fn window(window: Window) -> &'static str {
    match window {
        Window::Minute => "minute",
        Window::Hour => "hour",
        Window::Day => "day",
    }
}

/// What an operator reads.
fn sentence(names: &[&str], model: &str, evidence: &Evidence) -> String {
    let rest = names.len().saturating_sub(TOLD);
    let told = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = match rest {
        0 => String::new(),
        1 => " and one more".to_owned(),
        _ => format!(" and {rest} more"),
    };
    let Evidence { observations, limit, drop, own, others_least, others_most, .. } = *evidence;
    let by_others = drop.saturating_sub(own);
    let sent = if others_least == others_most {
        format!("{others_least}")
    } else {
        format!("{others_least} to {others_most}")
    };
    format!(
        "{told}{more} look like one quota: in {observations} observations with {model}, what was left of their {limit} \
         requests a {} fell by {by_others} more than their own requests explain, while the others sent {sent}.",
        window(evidence.window)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_keys_and_numbers() {
        let evidence = Evidence {
            observations: 12,
            limit: 2_400,
            window: Window::Day,
            drop: 48,
            own: 24,
            others_least: 23,
            others_most: 25,
            resets_within_ms: None,
        };
        assert_eq!(
            sentence(&["csk-a…1", "billing"], "gpt-oss-120b", &evidence),
            "csk-a…1, billing look like one quota: in 12 observations with gpt-oss-120b, what was left of their 2400 \
             requests a day fell by 24 more than their own requests explain, while the others sent 23 to 25."
        );
        let many = sentence(&["a", "b", "c", "d", "e", "f"], "m", &evidence);
        assert!(many.starts_with("a, b, c, d and 2 more look like"), "{many}");
    }
}
