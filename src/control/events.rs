//! `GET /api/events`: requests as they end and how the pool does, as server-sent events. One invocation has few
//! subrequests, so each call of the Coordinator waits for news, and the stream ends by itself: the browser takes it
//! up where it was.

use super::call::Call;
use super::coordinator::{self, News};
use super::problem::{Outcome, Problem};
use super::requests::{item, keys_of, token_of};
use super::time_text;
use crate::platform::env;
use crate::platform::json::Reply;
use crate::platform::streams::{Channel, Sink};
use crate::platform::time;
use crate::store::names::{self, Names};
use rondo_core::config::FieldError;
use rondo_core::limits::events::{CALLS, GAP_MS, HEARTBEAT_MS, LOOKUPS, PULSE_EVERY_MS, STREAM_MS, WAIT_MS};
use rondo_core::pool::stories::Story;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use worker::{D1Database, Env};

/// The stream's state.
struct Stream {
    env: Env,
    db: D1Database,
    sink: Sink,
    /// The last story told.
    since: Option<u64>,
    /// The numbers told last, and when.
    seen: Option<(u64, u64)>,
    pulsed_at: u64,
    names: Names,
    /// Ids that were looked up, found or not.
    looked_up: HashSet<String>,
    lookups: usize,
}

/// Two queries for each new name, and two dozen calls of the Coordinator at most. `Last-Event-ID` or `since` say
/// from where; without them what ends from now on is told.
pub async fn follow(call: Call) -> Outcome {
    let mut since = None;
    for (name, value) in call.query().iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "since" => {
                let number = value.parse().map_err(|_| FieldError::new(name, "must be a whole number"))?;
                since = Some(number);
            }
            _ => return Err(FieldError::new(name, "is not a parameter of this call").into()),
        }
    }
    // What a browser remembers is later than the address it calls again.
    since = call.last_event_id().and_then(|id| id.trim().parse().ok()).or(since);
    let channel = Channel::new().map_err(|_| Problem::internal("no_stream"))?;
    let stream = Stream {
        env: call.env,
        db: call.db,
        sink: channel.sink,
        since,
        seen: None,
        pulsed_at: 0,
        names: Names { keys: HashMap::new(), tokens: HashMap::new() },
        looked_up: HashSet::new(),
        lookups: 0,
    };
    // The open response keeps the request alive; when the client leaves, so does this.
    spawn_local(stream.run());
    Ok(Reply::new(200).header("x-accel-buffering", "no").events(channel.readable.unchecked_into()))
}

/// How long a stream lasts: the variable `EVENTS_STREAM_MS` can make that less.
fn lasts_ms(set: Option<&str>) -> u64 {
    set.and_then(|ms| ms.trim().parse().ok())
        .filter(|ms| (GAP_MS..STREAM_MS).contains(ms))
        .unwrap_or(STREAM_MS)
}

impl Stream {
    async fn run(mut self) {
        let begun = time::now_ms();
        let lasts = lasts_ms(env::text(&self.env, "EVENTS_STREAM_MS").as_deref());
        let mut told_at = begun;
        if self.sink.write(b"retry: 500\n\n").await.is_err() {
            return;
        }
        for call in 0..CALLS {
            let now = time::now_ms();
            let left = (begun + lasts).saturating_sub(now);
            if left == 0 || self.lookups >= LOOKUPS {
                break;
            }
            // The first call tells where things stand.
            let wait = if call == 0 { 0 } else { WAIT_MS.min(left) };
            let news = coordinator::events(&self.env, self.since, self.seen, wait).await;
            let mut text = match &news {
                Ok(news) => self.told(news).await,
                Err(_) => String::new(),
            };
            let after = time::now_ms();
            if text.is_empty() && after >= told_at + HEARTBEAT_MS {
                text.push_str(":\n\n");
            }
            if !text.is_empty() {
                if self.sink.write(text.as_bytes()).await.is_err() {
                    return;
                }
                told_at = after;
            }
            if call > 0 || news.is_err() {
                time::sleep((now + GAP_MS).saturating_sub(after)).await;
            }
        }
        self.sink.close().await;
    }

    /// News as events.
    async fn told(&mut self, news: &News) -> String {
        let mut text = String::new();
        self.look_up(&news.items).await;
        for story in &news.items {
            let _ = write!(text, "id: {}\nevent: request\ndata: {}\n\n", story.seq, item(story, &self.names));
        }
        self.since = Some(news.seq);
        let numbers = (news.waiting, news.under_way);
        if self.seen != Some(numbers) && news.at >= self.pulsed_at + PULSE_EVERY_MS {
            let pulse = json!({"at": time_text(Some(news.at)), "waiting": numbers.0, "under_way": numbers.1});
            let _ = write!(text, "id: {}\nevent: pulse\ndata: {pulse}\n\n", news.seq);
            (self.seen, self.pulsed_at) = (Some(numbers), news.at);
        }
        text
    }

    /// Looks up the names that were not looked up before. Without D1 ids stay without names.
    async fn look_up(&mut self, stories: &[Story]) {
        let new = |id: &&str| !self.looked_up.contains(*id);
        let keys: HashSet<&str> = stories.iter().flat_map(keys_of).filter(new).collect();
        let tokens: HashSet<&str> = stories.iter().filter_map(token_of).filter(new).collect();
        if keys.is_empty() && tokens.is_empty() {
            return;
        }
        self.lookups += 1;
        if let Ok(found) = names::of(&self.db, keys.iter().copied(), tokens.iter().copied()).await {
            self.names.keys.extend(found.keys);
            self.names.tokens.extend(found.tokens);
        }
        self.looked_up.extend(keys.into_iter().chain(tokens).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_can_be_made_shorter_and_nothing_else() {
        assert_eq!(lasts_ms(Some("2000")), 2_000);
        for other in [None, Some(""), Some("999"), Some("45001"), Some("-1"), Some("x")] {
            assert_eq!(lasts_ms(other), STREAM_MS, "{other:?}");
        }
    }
}
