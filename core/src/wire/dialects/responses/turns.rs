//! Items become messages. Upstream an assistant's turn is one message with its calls, and each call is answered right
//! behind it: results are found by the ids of their calls, items are gathered into turns.

use super::tools::{Names, Origin};
use crate::wire::dialects::chat::{Content, Message, ToolCall};
use crate::wire::dialects::{Changed, Notes};
use std::collections::{HashMap, HashSet, VecDeque};

/// Between texts that become one.
pub(super) const BETWEEN: &str = "\n\n";
/// What a call gets that has no result, which the upstream refuses: the user interrupted, or history was cut.
const NO_RESULT: &str = "No result was given.";

/// An item, as far as the upstream can be told of it. `path` is where in the request it stands.
pub(super) enum Item {
    User(Content),
    System(String),
    Assistant(String),
    Reasoning {
        path: String,
        text: String,
    },
    Call {
        path: String,
        id: String,
        origin: Origin,
        arguments: String,
        result: Option<String>,
    },
    /// There was a result here.
    Answered,
}

/// Calls of one id and one turn that have no result yet: where they stand among the items.
type Group = (usize, VecDeque<usize>);

/// The items of a conversation, with the results at their calls. Ids may come twice: some models number their calls
/// anew in each turn. So a result belongs to the last turn that has an unanswered call of its id, and there to the
/// first of them.
#[derive(Default)]
pub(super) struct Pairs {
    items: Vec<Item>,
    open: HashMap<String, VecDeque<Group>>,
    /// Results that stand before any call of their id: path, id and text.
    early: Vec<(String, String, String)>,
    /// The number of the turn.
    turn: usize,
}

impl Pairs {
    /// An item that is no result.
    pub(super) fn item(&mut self, item: Item) {
        if matches!(item, Item::User(_) | Item::System(_))
            || matches!(self.items.last(), Some(Item::Answered))
        {
            self.turn += 1;
        }
        if let Item::Call { id, .. } = &item {
            let (place, groups) = (self.items.len(), self.open.entry(id.clone()).or_default());
            match groups.back_mut() {
                Some((turn, group)) if *turn == self.turn => group.push_back(place),
                _ => groups.push_back((self.turn, VecDeque::from([place]))),
            }
        }
        self.items.push(item);
    }

    /// A result.
    pub(super) fn result(&mut self, path: String, id: String, output: String) {
        match self.open.get_mut(&id).and_then(|groups| take(groups, VecDeque::back_mut, VecDeque::pop_back)) {
            Some(place) => self.answer(place, output),
            None => self.early.push((path, id, output)),
        }
        self.items.push(Item::Answered);
    }

    /// All of them. Results that no call is left for are noted as dropped.
    pub(super) fn items(mut self, notes: &mut Notes) -> Vec<Item> {
        for (path, id, output) in std::mem::take(&mut self.early) {
            let groups = self.open.get_mut(&id);
            match groups.and_then(|groups| take(groups, VecDeque::front_mut, VecDeque::pop_front)) {
                Some(place) => self.answer(place, output),
                None => notes.dropped(path),
            }
        }
        self.items
    }

    fn answer(&mut self, place: usize, output: String) {
        if let Some(Item::Call { result, .. }) = self.items.get_mut(place) {
            *result = Some(output);
        }
    }
}

/// Takes the first call out of a group, and the group away if it was its last.
fn take(
    groups: &mut VecDeque<Group>,
    group: impl FnOnce(&mut VecDeque<Group>) -> Option<&mut Group>,
    away: impl FnOnce(&mut VecDeque<Group>) -> Option<Group>,
) -> Option<usize> {
    let (_, places) = group(groups)?;
    let place = places.pop_front();
    if places.is_empty() {
        away(groups);
    }
    place
}

/// A call of the turn that is not over.
struct Call {
    call: ToolCall,
    path: String,
    result: Option<String>,
}

/// The messages so far, and the assistant's turn that is not over.
pub(super) struct Turns<'a> {
    names: &'a Names,
    notes: &'a mut Notes,
    messages: Vec<Message>,
    /// Nothing has been said yet but what the model is told before all.
    leading: bool,
    texts: Vec<String>,
    /// With where in the request they stand.
    thoughts: Vec<(String, String)>,
    calls: Vec<Call>,
    /// A result followed: what comes now is the next turn.
    answered: bool,
    /// The ids that the upstream has seen, which may not be used again.
    ids: HashSet<String>,
    numbers: HashMap<String, usize>,
}

impl<'a> Turns<'a> {
    pub(super) fn of(instructions: Option<String>, names: &'a Names, notes: &'a mut Notes) -> Self {
        let system = instructions.filter(|text| !text.is_empty()).map(|content| Message::System { content });
        Self {
            names,
            notes,
            messages: system.into_iter().collect(),
            leading: true,
            texts: Vec::new(),
            thoughts: Vec::new(),
            calls: Vec::new(),
            answered: false,
            ids: HashSet::new(),
            numbers: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, item: Item) {
        match item {
            Item::System(content) => {
                self.close();
                // Templates of some models know one such message only, at the start.
                match self.messages.last_mut() {
                    Some(Message::System { content: before }) if self.leading => {
                        before.push_str(BETWEEN);
                        before.push_str(&content);
                    }
                    _ => self.messages.push(Message::System { content }),
                }
                return;
            }
            Item::User(content) => {
                self.close();
                self.messages.push(Message::User { content });
            }
            Item::Answered => self.answered = !self.calls.is_empty(),
            Item::Assistant(text) => self.turn().texts.push(text),
            Item::Reasoning { path, text } => self.turn().thoughts.push((path, text)),
            Item::Call { path, id, origin, arguments, result } => {
                let unique = self.unique(&id);
                if unique != id {
                    self.notes.add(path.as_str(), Changed::Translated);
                }
                let call = ToolCall::new(unique, self.names.flat(&origin), arguments);
                self.turn().calls.push(Call { call, path, result });
            }
        }
        self.leading = false;
    }

    /// All of them.
    pub(super) fn messages(mut self) -> Vec<Message> {
        self.close();
        self.messages
    }

    /// The turn that what comes next belongs to.
    fn turn(&mut self) -> &mut Self {
        if self.answered {
            self.close();
        }
        self
    }

    /// An id that was not used before.
    fn unique(&mut self, id: &str) -> String {
        let mut unique = id.to_owned();
        while !self.ids.insert(unique.clone()) {
            let number = self.numbers.entry(id.to_owned()).or_insert(1);
            *number += 1;
            unique = format!("{id}_{number}");
        }
        unique
    }

    /// Ends the assistant's turn, if there is one.
    fn close(&mut self) {
        self.answered = false;
        let joined = |texts: Vec<String>| {
            let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
            Some(texts.join(BETWEEN)).filter(|text| !text.is_empty())
        };
        let content = joined(std::mem::take(&mut self.texts));
        let thoughts = std::mem::take(&mut self.thoughts);
        let calls = std::mem::take(&mut self.calls);
        if content.is_none() && calls.is_empty() {
            // Thoughts that led nowhere: the upstream takes no message of them alone.
            for (path, _) in thoughts {
                self.notes.dropped(path);
            }
            return;
        }
        let reasoning = joined(thoughts.into_iter().map(|(_, text)| text).collect());
        let mut answers = Vec::with_capacity(calls.len());
        let mut tool_calls = Vec::with_capacity(calls.len());
        for Call { call, path, result } in calls {
            let content = result.unwrap_or_else(|| {
                self.notes.add(path, Changed::Translated);
                NO_RESULT.to_owned()
            });
            answers.push(Message::Tool { tool_call_id: call.id.clone(), content });
            tool_calls.push(call);
        }
        self.messages.push(Message::Assistant { content, reasoning, tool_calls });
        self.messages.append(&mut answers);
    }
}
