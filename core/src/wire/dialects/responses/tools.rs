//! Tools. Upstream there are only functions, so groups of functions (`namespace`) are flattened and `custom` tools,
//! which take free text, become functions with one text; the answer's calls are told apart again by their names.
//! Tools that OpenAI runs itself are left out: nobody here could run them.

use super::fields::{Fields, missing, wrong};
use super::schema::{Strict, make_strict};
use crate::wire::dialects::chat::{Function, Tool};
use crate::wire::dialects::{Changed, Notes, refused};
use crate::wire::errors::ApiError;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// The longest name that every upstream takes.
const NAME_CHARS: usize = 64;
/// What is told of tools that were left out, in bytes: the longest value of `metadata`.
const LEFT_OUT_BYTES: usize = 512;

/// What a function upstream is for the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// The group, if it is in one.
    pub(super) namespace: Option<String>,
    /// The name.
    pub(super) name: String,
    /// Whether it takes free text.
    pub(super) custom: bool,
}

/// The names upstream and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    origins: HashMap<String, Origin>,
    flat: HashMap<Origin, String>,
    /// By the name alone, the first of that name in any group.
    bare: HashMap<String, String>,
    /// The next number for names that became the same.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// What the function of that name is. One that nobody declared is a function of that name.
    pub(super) fn origin(&self, flat: &str) -> Origin {
        let unknown = || Origin { namespace: None, name: flat.to_owned(), custom: false };
        self.origins.get(flat).cloned().unwrap_or_else(unknown)
    }

    /// The name upstream of a tool, declared or not: earlier turns may have used others.
    pub(super) fn flat(&self, origin: &Origin) -> String {
        self.flat.get(origin).cloned().unwrap_or_else(|| flatten(origin))
    }

    fn declare(&mut self, origin: Origin) -> Option<String> {
        if self.flat.contains_key(&origin) {
            return None;
        }
        let wished = flatten(&origin);
        let mut name = wished.clone();
        while self.origins.contains_key(&name) {
            let number = self.numbers.entry(wished.clone()).or_insert(1);
            *number += 1;
            name = shortened(&wished, &format!("_{number}"));
        }
        self.bare.entry(origin.name.clone()).or_insert_with(|| name.clone());
        self.origins.insert(name.clone(), origin.clone());
        self.flat.insert(origin, name.clone());
        Some(name)
    }

    /// The name upstream of a declared tool that is referred to, as exactly as the client says it.
    fn find(&self, origin: Origin) -> Option<&String> {
        let other = Origin { custom: !origin.custom, ..origin.clone() };
        let bare = origin.namespace.is_none().then(|| self.bare.get(&origin.name)).flatten();
        self.flat.get(&origin).or_else(|| self.flat.get(&other)).or(bare)
    }
}

fn flatten(origin: &Origin) -> String {
    let Some(namespace) = &origin.namespace else { return origin.name.clone() };
    let apart = if namespace.ends_with('_') || origin.name.starts_with('_') { "" } else { "__" };
    let joined: String = format!("{namespace}{apart}{}", origin.name)
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' })
        .collect();
    if joined.len() <= NAME_CHARS {
        return joined;
    }
    // The same tool has the same name in every turn, whatever stands beside it.
    let hash =
        joined.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    shortened(&joined, &format!("_{hash:08x}"))
}

fn shortened(name: &str, end: &str) -> String {
    let kept: String = name.chars().take(NAME_CHARS.saturating_sub(end.len())).collect();
    kept + end
}

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// As the upstream takes them.
    pub(super) list: Vec<Tool>,
    /// Their names.
    pub(super) names: Names,
    /// Those that are left out, for the client.
    left_out: String,
}

impl Tools {
    /// Reads a list of tools.
    pub(super) fn add(&mut self, list: Vec<Value>, path: &str, notes: &mut Notes) -> Result<(), ApiError> {
        for (at, tool) in list.into_iter().enumerate() {
            let fields = Fields::of(tool, format!("{path}.{at}"))?;
            self.one(fields, None, notes)?;
        }
        Ok(())
    }

    /// What was left out, if anything.
    pub(super) fn left_out(&self) -> Option<String> {
        (!self.left_out.is_empty()).then(|| self.left_out.clone())
    }

    fn one(
        &mut self,
        mut fields: Fields,
        group: Option<(&str, Option<&str>)>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let kind = fields.needed_text("type")?;
        match kind.as_str() {
            "function" => self.function(fields, group, notes),
            "custom" => self.custom(fields, group, notes),
            "namespace" if group.is_none() => {
                let name = named(&mut fields)?;
                let description = fields.text("description")?;
                let path = fields.at("tools");
                let tools = fields.list("tools")?.ok_or_else(|| missing(path.clone()))?;
                fields.rest(notes);
                for (at, tool) in tools.into_iter().enumerate() {
                    let fields = Fields::of(tool, format!("{path}.{at}"))?;
                    self.one(fields, Some((&name, description.as_deref())), notes)?;
                }
                Ok(())
            }
            _ => {
                notes.dropped(fields.path());
                let kind: String = kind.chars().filter(char::is_ascii_graphic).take(40).collect();
                let told = format!("{} ({kind})", fields.path());
                if self.left_out.len() + told.len() + 2 <= LEFT_OUT_BYTES {
                    if !self.left_out.is_empty() {
                        self.left_out.push_str(", ");
                    }
                    self.left_out.push_str(&told);
                }
                Ok(())
            }
        }
    }

    fn function(
        &mut self,
        mut fields: Fields,
        group: Option<(&str, Option<&str>)>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let name = named(&mut fields)?;
        let description = fields.text("description")?;
        let mut parameters = fields.value("parameters");
        let mut strict = fields.take("strict", "a boolean")?.unwrap_or(false);
        if parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
            return Err(wrong(fields.at("parameters"), "a JSON schema"));
        }
        if strict {
            let done = parameters.as_mut().map_or(Strict::Impossible, make_strict);
            strict = done != Strict::Impossible;
            if done != Strict::AsIs {
                notes.add(fields.at("parameters"), Changed::Translated);
            }
        }
        let origin = Origin { namespace: group.map(|(name, _)| name.to_owned()), name, custom: false };
        self.declare(origin, fields, notes, |name| {
            let description = description.or_else(|| group.and_then(|(_, about)| about.map(str::to_owned)));
            Function { name, description, parameters, strict }
        });
        Ok(())
    }

    fn custom(
        &mut self,
        mut fields: Fields,
        group: Option<(&str, Option<&str>)>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let name = named(&mut fields)?;
        let mut description = fields.text("description")?.unwrap_or_default();
        if let Some(mut format) = fields.object("format")? {
            let (definition, syntax) = (format.text("definition")?, format.text("syntax")?);
            if let Some(definition) = definition {
                let syntax = syntax.unwrap_or_default();
                description.push_str(&format!("\n\n`input` must match this {syntax} grammar:\n{definition}"));
            }
        }
        notes.add(fields.path(), Changed::Translated);
        let origin = Origin { namespace: group.map(|(name, _)| name.to_owned()), name, custom: true };
        self.declare(origin, fields, notes, |name| {
            let description = Some(description.trim().to_owned()).filter(|text| !text.is_empty());
            let parameters = json!({
                "type": "object",
                "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
                "required": ["input"],
                "additionalProperties": false,
            });
            Function { name, description, parameters: Some(parameters), strict: false }
        });
        Ok(())
    }

    fn declare(
        &mut self,
        origin: Origin,
        fields: Fields,
        notes: &mut Notes,
        function: impl FnOnce(String) -> Function,
    ) {
        match self.names.declare(origin) {
            Some(name) => self.list.push(Tool::new(function(name))),
            // Declared twice: the upstream takes each name once.
            None => notes.dropped(fields.path()),
        }
        fields.rest(notes);
    }

    /// What the upstream is told of which tool to call; takes tools out that must not be called.
    pub(super) fn choice(
        &mut self,
        choice: Option<&Value>,
        notes: &mut Notes,
    ) -> Result<Option<Value>, ApiError> {
        let Some(choice) = choice else { return Ok(None) };
        let path = "tool_choice";
        let chosen = match choice {
            Value::String(word) if ["none", "auto", "required"].contains(&word.as_str()) => choice.clone(),
            Value::Object(_) => {
                let mut fields = Fields::of(choice.clone(), path)?;
                match fields.needed_text("type")?.as_str() {
                    kind @ ("function" | "custom") => {
                        let name = self.find(&mut fields, kind)?.ok_or_else(|| {
                            refused(
                                "invalid_value",
                                path,
                                "`tool_choice` names a tool that is not in `tools`.",
                            )
                        })?;
                        json!({"type": "function", "function": {"name": name}})
                    }
                    "allowed_tools" => {
                        let mode = fields.needed_text("mode")?;
                        if mode != "auto" && mode != "required" {
                            return Err(wrong(fields.at("mode"), "`auto` or `required`"));
                        }
                        let list = fields.list("tools")?.ok_or_else(|| missing(fields.at("tools")))?;
                        self.allow(list)?;
                        notes.add(path, Changed::Translated);
                        Value::String(mode)
                    }
                    // A tool of OpenAI's own, which was left out.
                    _ => {
                        notes.dropped(path);
                        return Ok(None);
                    }
                }
            }
            _ => return Err(wrong(path.to_owned(), "`none`, `auto`, `required` or an object")),
        };
        if self.list.is_empty() {
            if chosen == "required" {
                notes.dropped(path);
            }
            return Ok(None);
        }
        Ok(Some(chosen))
    }

    /// The name upstream of the tool that `fields` refers to, if it was declared.
    fn find(&self, fields: &mut Fields, kind: &str) -> Result<Option<String>, ApiError> {
        let (name, namespace) = (fields.needed_text("name")?, fields.text("namespace")?);
        Ok(self.names.find(Origin { namespace, name, custom: kind == "custom" }).cloned())
    }

    fn allow(&mut self, list: Vec<Value>) -> Result<(), ApiError> {
        let (mut allowed, mut groups) = (HashSet::new(), HashSet::new());
        for (at, tool) in list.into_iter().enumerate() {
            let mut fields = Fields::of(tool, format!("tool_choice.tools.{at}"))?;
            let kind = fields.needed_text("type")?;
            match kind.as_str() {
                "function" | "custom" => allowed.extend(self.find(&mut fields, &kind)?),
                "namespace" => drop(groups.insert(Some(fields.needed_text("name")?))),
                _ => {}
            }
        }
        let Self { list, names, .. } = self;
        list.retain(|tool| {
            let name = &tool.function.name;
            allowed.contains(name)
                || names.origins.get(name).is_some_and(|origin| groups.contains(&origin.namespace))
        });
        Ok(())
    }
}

/// The name of a tool.
pub(super) fn named(fields: &mut Fields) -> Result<String, ApiError> {
    let name = fields.needed_text("name")?;
    if name.is_empty() { Err(wrong(fields.at("name"), "a name")) } else { Ok(name) }
}
