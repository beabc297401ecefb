//! Cerebras. Its chat body has `additionalProperties: false` at every level, so what its OpenAPI document (0.2.0, July
//! 2026) does not list is refused: "property 'body.store' is unsupported" (`docs/upstream.md`, section 1).

use super::{Act, Level, Rule};

const fn rule(level: Level, name: &'static str, act: Act) -> Rule {
    Rule { level, name, act }
}

/// The fields that clients are known to send and Cerebras refuses. `docs/upstream.md` has the same table with sources.
pub(super) const RULES: &[Rule] = &[
    // Of OpenAI's Chat Completions, and of the services around it.
    rule(Level::Top, "store", Act::Drop),
    rule(Level::Top, "metadata", Act::Drop),
    rule(Level::Top, "verbosity", Act::Drop),
    rule(Level::Top, "safety_identifier", Act::Drop),
    rule(Level::Top, "prompt_cache_retention", Act::Drop),
    rule(Level::Top, "modalities", Act::DropIfText),
    rule(Level::Top, "audio", Act::Drop),
    rule(Level::Top, "web_search_options", Act::Drop),
    rule(Level::Top, "functions", Act::Functions),
    rule(Level::Top, "function_call", Act::Choice),
    rule(Level::Top, "reasoning_effort", Act::Effort),
    rule(Level::StreamOptions, "include_obfuscation", Act::Drop),
    rule(Level::Message, "annotations", Act::Drop),
    rule(Level::Message, "refusal", Act::Drop),
    rule(Level::Message, "audio", Act::Drop),
    rule(Level::Message, "function_call", Act::Called),
    // Of other services with the same form of requests.
    rule(Level::Top, "reasoning", Act::EffortOf),
    rule(Level::Top, "thinking", Act::Drop),
    rule(Level::Top, "maxTokens", Act::Rename(&["max_tokens", "max_completion_tokens"])),
    rule(Level::Message, "reasoning_content", Act::Reasoning),
    rule(Level::Message, "reasoning_details", Act::Drop),
    rule(Level::Top, "cache_control", Act::Drop),
    rule(Level::Message, "cache_control", Act::Drop),
    rule(Level::Part, "cache_control", Act::Drop),
    rule(Level::Call, "cache_control", Act::Drop),
    rule(Level::Tool, "cache_control", Act::Drop),
    rule(Level::Function, "cache_control", Act::Drop),
];
