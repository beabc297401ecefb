//! One walk over a body that finds what must change, as edits of its bytes.

use super::cerebras::RULES;
use super::{Act, Level};
use crate::wire::dialects::{Changed, Notes};
use crate::wire::lex::{Fault, Lexer, Span, Text, Token};
use serde::Deserialize;
use std::borrow::Cow;

/// The same as a tool, before and behind a function.
const TOOL: &str = "{\"type\":\"function\",\"function\":";

/// Members of one object that are kept in mind; the objects that are looked at have some forty fields.
const MEMBERS: usize = 256;
/// Changes to one body. What needs more is left for the upstream to refuse.
const EDITS: usize = 100_000;

struct Edit {
    span: Span,
    with: Cow<'static, str>,
}

/// A member of an object.
struct Member {
    key: Text,
    value: Span,
    token: Token,
    act: Option<Act>,
    removed: bool,
}

impl Member {
    fn start(&self) -> usize {
        // The key's span lies within its quotes.
        self.key.span.start.saturating_sub(1)
    }
}

struct Walk<'a> {
    body: &'a [u8],
    lexer: Lexer<'a>,
    edits: Vec<Edit>,
    notes: Notes,
    /// Which message or tool, and which part or call of it.
    at: [usize; 2],
    /// Calls in the older form so far, and whether the last still waits for its result.
    calls: usize,
    waits: bool,
}

pub(super) fn clean(body: &[u8]) -> Option<(Vec<u8>, Notes)> {
    let mut walk = Walk {
        body,
        lexer: Lexer::new(body),
        edits: Vec::new(),
        notes: Notes::default(),
        at: [0; 2],
        calls: 0,
        waits: false,
    };
    if walk.lexer.next() != Ok(Token::ObjectStart) || walk.object(Level::Top).is_err() {
        return None;
    }
    if walk.lexer.next() != Ok(Token::End) || walk.edits.is_empty() {
        return None;
    }
    let longer: usize = walk.edits.iter().map(|edit| edit.with.len()).sum();
    walk.edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut new = Vec::with_capacity(body.len() + longer);
    let mut from = 0;
    for edit in &walk.edits {
        // Within what is left out nothing needs changing.
        if edit.span.start < from {
            continue;
        }
        new.extend_from_slice(body.get(from..edit.span.start)?);
        new.extend_from_slice(edit.with.as_bytes());
        from = edit.span.end;
    }
    new.extend_from_slice(body.get(from..)?);
    Some((new, walk.notes))
}

/// What lies in a member: the level of its objects, and whether they are in a list.
pub(super) fn inside(level: Level, name: &[u8]) -> Option<(Level, bool)> {
    Some(match (level, name) {
        (Level::Top, b"messages") => (Level::Message, true),
        (Level::Top, b"tools") => (Level::Tool, true),
        (Level::Top, b"functions") => (Level::Function, true),
        (Level::Top, b"stream_options") => (Level::StreamOptions, false),
        (Level::Message, b"content") => (Level::Part, true),
        (Level::Message, b"tool_calls") => (Level::Call, true),
        (Level::Tool, b"function") => (Level::Function, false),
        _ => return None,
    })
}

impl Walk<'_> {
    /// Reads the object that has just been opened.
    fn object(&mut self, level: Level) -> Result<(), Fault> {
        let mut members = Vec::new();
        while let Token::Key(key) = self.lexer.next()? {
            let token = self.lexer.next()?;
            let start = self.lexer.token_start;
            let name = key.span.of(self.body);
            let rule = RULES.iter().find(|rule| rule.level == level && rule.name.as_bytes() == name);
            match (token, inside(level, name)) {
                (Token::ObjectStart, Some((inner, false))) => self.object(inner)?,
                (Token::ArrayStart, Some((inner, true))) => self.list(inner)?,
                (Token::ObjectStart | Token::ArrayStart, _) => self.lexer.skip_container()?,
                _ => {}
            }
            if members.len() >= MEMBERS || self.edits.len() >= EDITS {
                // Any fault has the body left as it is.
                return Err(Fault::TooDeep);
            }
            let value = Span { start, end: self.lexer.pos };
            members.push(Member { key, value, token, act: rule.map(|rule| rule.act), removed: false });
        }
        self.settle(level, &mut members);
        Ok(())
    }

    fn list(&mut self, level: Level) -> Result<(), Fault> {
        let slot = usize::from(matches!(level, Level::Part | Level::Call));
        let mut n = 0;
        loop {
            if let Some(at) = self.at.get_mut(slot) {
                *at = n;
            }
            match self.lexer.next()? {
                Token::ArrayEnd => return Ok(()),
                Token::ObjectStart => self.object(level)?,
                Token::ArrayStart => self.lexer.skip_container()?,
                _ => {}
            }
            n += 1;
        }
    }

    fn note(&mut self, level: Level, key: Text, what: Changed) {
        let [one, two] = self.at;
        let before = match level {
            Level::Top => String::new(),
            Level::StreamOptions => "stream_options.".into(),
            Level::Message => format!("messages.{one}."),
            Level::Part => format!("messages.{one}.content.{two}."),
            Level::Call => format!("messages.{one}.tool_calls.{two}."),
            Level::Tool => format!("tools.{one}."),
            Level::Function => format!("tools.{one}.function."),
        };
        let name = std::str::from_utf8(key.span.of(self.body)).unwrap_or_default();
        self.notes.add(format!("{before}{name}"), what);
    }

    fn edit(&mut self, span: Span, with: impl Into<Cow<'static, str>>) {
        self.edits.push(Edit { span, with: with.into() });
    }

    fn wrap(&mut self, span: Span, before: impl Into<Cow<'static, str>>, behind: &'static str) {
        self.edit(Span { start: span.start, end: span.start }, before);
        self.edit(Span { start: span.end, end: span.end }, behind);
    }

    /// Decides on the members of an object, once all are known.
    fn settle(&mut self, level: Level, members: &mut [Member]) {
        let role = members.iter().find(|member| member.key.is(self.body, "role"));
        let role = role.filter(|_| level == Level::Message).map(|member| member.value);
        for n in 0..members.len() {
            let Some((act, key, value, token)) =
                members.get(n).and_then(|member| Some((member.act?, member.key, member.value, member.token)))
            else {
                continue;
            };
            // None keeps it, Some(false) leaves it out, Some(true) has changed it.
            let changed = match act {
                Act::Drop => Some(false),
                Act::DropIfText => self.is_text_only(value).then_some(false),
                Act::Rename(names) => Some(self.rename(names, key, token, members)),
                Act::Reasoning => {
                    let assistant = role.is_some_and(|role| role.of(self.body) == b"\"assistant\"");
                    Some(assistant && self.rename(&["reasoning"], key, token, members))
                }
                Act::EffortOf => Some(self.effort_of(key, value, members)),
                Act::Effort => self.effort(value),
                Act::Functions => Some(self.functions(key, value, token, members)),
                Act::Choice => Some(self.choice(key, value, token, members)),
                Act::Called => Some(self.called(key, value, token, members)),
            };
            match changed {
                Some(true) => self.note(level, key, Changed::Translated),
                Some(false) => {
                    self.note(level, key, Changed::Dropped);
                    if let Some(member) = members.get_mut(n) {
                        member.removed = true;
                    }
                }
                None => {}
            }
        }
        if let Some(role) = role.filter(|role| role.of(self.body) == b"\"function\"")
            && self.waits
        {
            self.waits = false;
            self.edit(role, format!("\"tool\",\"tool_call_id\":\"call_{}\"", self.calls));
        }
        self.cut(members);
    }

    /// Takes members out, each with one comma.
    fn cut(&mut self, members: &[Member]) {
        let (mut kept, mut before, mut open) = (false, 0, None);
        for member in members {
            if let Some(start) = open.take() {
                self.edit(Span { start, end: member.start() }, "");
            }
            match (member.removed, kept) {
                (true, true) => self.edit(Span { start: before, end: member.value.end }, ""),
                // It is among the first: what follows it moves up.
                (true, false) => open = Some(member.start()),
                (false, _) => kept = true,
            }
            before = member.value.end;
        }
        if let Some(start) = open {
            self.edit(Span { start, end: before }, "");
        }
    }

    fn has(&self, members: &[Member], name: &str) -> bool {
        members.iter().any(|member| member.key.is(self.body, name))
    }

    fn rename(
        &mut self,
        names: &'static [&'static str],
        key: Text,
        token: Token,
        members: &[Member],
    ) -> bool {
        let Some(name) = names.first() else { return false };
        if token == Token::Null || names.iter().any(|name| self.has(members, name)) {
            return false;
        }
        self.edit(key.span, *name);
        true
    }

    fn is_text_only(&self, value: Span) -> bool {
        serde_json::from_slice::<Option<Vec<Cow<'_, str>>>>(value.of(self.body))
            .is_ok_and(|kinds| kinds.iter().flatten().all(|kind| kind == "text"))
    }

    fn effort_of(&mut self, key: Text, value: Span, members: &[Member]) -> bool {
        #[derive(Deserialize)]
        struct Reasoning<'a> {
            #[serde(borrow)]
            effort: Option<Cow<'a, str>>,
        }
        let body = self.body;
        let given =
            serde_json::from_slice::<Reasoning<'_>>(value.of(body)).ok().and_then(|given| given.effort);
        let Some(effort) = given.as_deref().and_then(nearest) else { return false };
        if self.has(members, "reasoning_effort") {
            return false;
        }
        self.edit(key.span, "reasoning_effort");
        self.edit(value, format!("\"{effort}\""));
        true
    }

    fn effort(&mut self, value: Span) -> Option<bool> {
        let given = serde_json::from_slice::<Cow<'_, str>>(value.of(self.body)).ok()?;
        let effort = nearest(&given)?;
        if effort == given {
            return None;
        }
        self.edit(value, format!("\"{effort}\""));
        Some(true)
    }

    /// The spans of a list's elements, if all are objects and there is one.
    fn functions_of(&self, value: Span) -> Option<Vec<Span>> {
        let mut lexer = Lexer::new(value.of(self.body));
        let mut spans = Vec::new();
        if lexer.next() != Ok(Token::ArrayStart) {
            return None;
        }
        while let Ok(Token::ObjectStart) = lexer.next() {
            let start = value.start + lexer.token_start;
            lexer.skip_container().ok()?;
            spans.push(Span { start, end: value.start + lexer.pos });
        }
        (lexer.depth == 0 && !spans.is_empty()).then_some(spans)
    }

    fn functions(&mut self, key: Text, value: Span, token: Token, members: &[Member]) -> bool {
        if token != Token::ArrayStart || self.has(members, "tools") {
            return false;
        }
        let Some(spans) = self.functions_of(value) else { return false };
        self.edit(key.span, "tools");
        for span in spans {
            self.wrap(span, TOOL, "}");
        }
        true
    }

    fn choice(&mut self, key: Text, value: Span, token: Token, members: &[Member]) -> bool {
        let functions = members.iter().find(|member| member.act == Some(Act::Functions));
        let tools = functions.is_some_and(|member| self.functions_of(member.value).is_some());
        // A choice without tools is refused, and beside `tools` there is one already or none was made.
        if !tools || self.has(members, "tools") || self.has(members, "tool_choice") {
            return false;
        }
        match token {
            Token::String(_) => {}
            Token::ObjectStart => self.wrap(value, TOOL, "}"),
            _ => return false,
        }
        self.edit(key.span, "tool_choice");
        true
    }

    fn called(&mut self, key: Text, value: Span, token: Token, members: &[Member]) -> bool {
        if token != Token::ObjectStart || self.has(members, "tool_calls") {
            return false;
        }
        self.calls += 1;
        self.waits = true;
        let id = self.calls;
        self.edit(key.span, "tool_calls");
        self.wrap(value, format!("[{{\"id\":\"call_{id}\",\"type\":\"function\",\"function\":"), "}]");
        true
    }
}

/// The nearest effort that the upstream has.
fn nearest(effort: &str) -> Option<&'static str> {
    Some(match effort {
        "none" => "none",
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" | "xhigh" | "max" => "high",
        _ => return None,
    })
}
