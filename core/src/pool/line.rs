//! The line of requests that wait for quota: fair between client tokens, first come first served within one.
//!
//! It is deficit round robin in its virtual-time form (start-time fair queueing): each place carries a tag, which
//! is where the token's own line, or the service, had come to, plus what the request costs; the lowest tag goes
//! first. A token with a hundred waiting requests does not hold up one with a single one.
//!
//! Nobody can be told that it is their turn: who waits asks again when told to. A place is therefore kept by its
//! number (the ticket), and lapses when nobody asks for it in time. Who was refused with a time to come back is
//! kept as a promise: the same token's next request takes over that place.

use std::collections::{BTreeMap, HashMap};

/// Places kept at the most; beyond it a request is refused with the time it would take.
const PLACES: usize = 4_096;
/// Promises kept at the most.
const PROMISES: usize = 16_384;
/// How long after its moment a place is kept.
const GRACE_MS: u64 = 1_500;
/// How long after its moment a promise is kept: clients spread their returns.
const PROMISE_GRACE_MS: u64 = 10_000;
/// How much sooner than promised a request may come and still take its place.
const EARLY_MS: u64 = 1_000;
/// What a request costs beside its tokens, so that many small ones are not free.
const REQUEST_COST: u64 = 1_000;
/// Tokens of clients whose standing is remembered.
const TOKENS: usize = 10_000;

/// What a request is recognised by when it comes back: its estimated prompt and its largest answer.
pub type Shape = (u64, Option<u64>);

/// Where a request stands: by tag, then by arrival.
pub type Place = (u64, u64);

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    token: String,
    models: Vec<u32>,
    tokens: u64,
    reserved: u64,
    expires_at: u64,
}

#[derive(Debug)]
struct Promise {
    token: String,
    shape: Shape,
    models: Vec<u32>,
    tokens: u64,
    due: u64,
}

/// What stands before a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Requests that wait.
    pub waiting: u64,
    /// Tokens that they are expected to use.
    pub tokens: u64,
}

/// The line.
#[derive(Debug, Default)]
pub struct Line {
    waiters: BTreeMap<Place, Waiter>,
    tickets: HashMap<u64, Place>,
    promises: BTreeMap<Place, Promise>,
    /// The promises to each token and shape.
    returning: HashMap<(String, Shape), Vec<Place>>,
    /// How far each token's own line reaches.
    reach: HashMap<String, u64>,
    /// How far the service has come.
    served: u64,
    arrivals: u64,
    /// Promises that were taken up, of those that were taken up or lapsed, in 1,024ths.
    kept: Option<u64>,
}

impl Line {
    /// The place of a request: its ticket's, that of a promise to its token, or a new one at the end of its
    /// token's line. It is only held once [`Line::hold`] says so.
    pub fn place(
        &mut self,
        now: u64,
        ticket: Option<u64>,
        token: &str,
        models: &[u32],
        tokens: u64,
        shape: Shape,
    ) -> Place {
        if let Some(place) = ticket.and_then(|ticket| self.tickets.get(&ticket)) {
            return *place;
        }
        let known = self.returning.get_mut(&(token.to_owned(), shape));
        let promised = known.and_then(|places| {
            let at = places.iter().position(|place| {
                self.promises
                    .get(place)
                    .is_some_and(|promise| promise.due <= now + EARLY_MS && overlap(&promise.models, models))
            })?;
            Some(places.swap_remove(at))
        });
        if let Some(place) = promised {
            self.forget_promise(place);
            self.taken_up(true);
            return place;
        }
        let from = self.reach.get(token).map_or(self.served, |reach| self.served.max(*reach));
        self.arrivals += 1;
        (from + REQUEST_COST + tokens, self.arrivals)
    }

    /// What waits before that place and wants one of those models.
    #[must_use]
    pub fn ahead(&self, place: Place, models: &[u32]) -> Ahead {
        let mut ahead = Ahead::default();
        for (_, waiter) in self.waiters.range(..place).filter(|(_, waiter)| overlap(&waiter.models, models)) {
            ahead.waiting += 1;
            ahead.tokens += waiter.tokens;
        }
        ahead
    }

    /// How many of those who were promised a time until `by` will come, and stand before that place.
    #[must_use]
    pub fn promised(&self, place: Place, models: &[u32], by: u64) -> u64 {
        let before = |promise: &&Promise| promise.due <= by && overlap(&promise.models, models);
        let promised = self.promises.range(..place).map(|(_, promise)| promise).filter(before).count() as u64;
        // Not everyone who is told to come back does.
        (promised * self.kept.unwrap_or(512)).div_ceil(1_024)
    }

    /// The first of those that wait before that place for one of those models: which models, and what they reserve.
    pub fn before<'a>(
        &'a self,
        place: Place,
        models: &'a [u32],
        most: usize,
    ) -> impl Iterator<Item = (&'a [u32], u64)> {
        self.waiters
            .range(..place)
            .filter(|(_, waiter)| overlap(&waiter.models, models))
            .take(most)
            .map(|(_, waiter)| (waiter.models.as_slice(), waiter.reserved))
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Keeps the place until the request is to ask again; `tokens` is what it is expected to use, and what is
    /// reserved for it. False when the line is too long.
    pub fn hold(
        &mut self,
        place: Place,
        ticket: u64,
        token: &str,
        models: &[u32],
        (tokens, reserved): (u64, u64),
        until: u64,
    ) -> bool {
        if self.waiters.len() >= PLACES && !self.waiters.contains_key(&place) {
            return false;
        }
        self.tickets.insert(ticket, place);
        self.extend(token, place.0);
        let expires_at = until + GRACE_MS;
        let (token, models) = (token.to_owned(), models.to_vec());
        self.waiters.insert(place, Waiter { ticket, token, models, tokens, reserved, expires_at });
        true
    }

    /// The request at that place is served.
    pub fn serve(&mut self, place: Place, token: &str, tokens: u64) {
        self.leave(place);
        self.extend(token, place.0);
        // Where this request's own share began is how far the service has come.
        self.served = self.served.max(place.0.saturating_sub(REQUEST_COST + tokens));
    }

    /// The request at that place is refused, or waits for something of its own.
    pub fn leave(&mut self, place: Place) {
        if let Some(waiter) = self.waiters.remove(&place) {
            self.tickets.remove(&waiter.ticket);
        }
    }

    /// The request at that place is told to come back after `due`: what the same token asks for then stands there.
    pub fn promise(
        &mut self,
        place: Place,
        token: &str,
        models: &[u32],
        tokens: u64,
        shape: Shape,
        due: u64,
    ) {
        self.leave(place);
        if self.promises.len() >= PROMISES {
            return;
        }
        self.extend(token, place.0);
        self.forget_promise(place);
        self.returning.entry((token.to_owned(), shape)).or_default().push(place);
        let promise = Promise { token: token.to_owned(), shape, models: models.to_vec(), tokens, due };
        self.promises.insert(place, promise);
    }

    fn forget_promise(&mut self, place: Place) -> Option<Promise> {
        let promise = self.promises.remove(&place)?;
        let name = (promise.token.clone(), promise.shape);
        if let Some(places) = self.returning.get_mut(&name) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.returning.remove(&name);
            }
        }
        Some(promise)
    }

    fn extend(&mut self, token: &str, reach: u64) {
        match self.reach.get_mut(token) {
            Some(known) => *known = reach.max(*known),
            None => {
                if self.reach.len() >= TOKENS {
                    let served = self.served;
                    self.reach.retain(|_, reach| *reach > served);
                }
                if self.reach.len() < TOKENS {
                    self.reach.insert(token.to_owned(), reach);
                }
            }
        }
    }

    fn taken_up(&mut self, kept: bool) {
        let sample = if kept { 1_024 } else { 0 };
        self.kept = Some(self.kept.map_or(sample, |rate| (15 * rate + sample) / 16));
    }

    /// Gives up the places whose requests did not come in time. Their tokens do not pay for them.
    pub fn sweep(&mut self, now: u64) {
        let mut returned: Vec<(String, u64)> = Vec::new();
        let tickets = &mut self.tickets;
        self.waiters.retain(|_, waiter| {
            let stays = waiter.expires_at > now;
            if !stays {
                tickets.remove(&waiter.ticket);
                returned.push((std::mem::take(&mut waiter.token), REQUEST_COST + waiter.tokens));
            }
            stays
        });
        let over = |promise: &Promise| promise.due + PROMISE_GRACE_MS <= now;
        let lapsed: Vec<Place> =
            self.promises.iter().filter(|(_, promise)| over(promise)).map(|(place, _)| *place).collect();
        for place in lapsed {
            self.taken_up(false);
            if let Some(promise) = self.forget_promise(place) {
                returned.push((promise.token, REQUEST_COST + promise.tokens));
            }
        }
        for (token, cost) in returned {
            if let Some(reach) = self.reach.get_mut(&token) {
                *reach = reach.saturating_sub(cost);
            }
        }
    }
}

fn overlap(one: &[u32], other: &[u32]) -> bool {
    one.iter().any(|model| other.contains(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: &[u32] = &[1];
    const S: Shape = (10, None);

    fn hold(line: &mut Line, token: &str, ticket: u64) -> Place {
        let place = line.place(0, None, token, M, 100, S);
        assert!(line.hold(place, ticket, token, M, (100, 100), 5_000));
        place
    }

    #[test]
    fn a_small_token_does_not_wait_behind_a_greedy_one() {
        let mut line = Line::default();
        let greedy: Vec<Place> = (0..100).map(|n| hold(&mut line, "greedy", n)).collect();
        let small = line.place(0, None, "small", M, 100, S);
        assert_eq!(line.ahead(small, M).waiting, 1, "only the first of the other's");
        assert!(greedy.windows(2).all(|pair| pair[0] < pair[1]), "within a token who came first goes first");
    }

    #[test]
    fn who_was_served_more_waits_for_who_was_served_less() {
        let mut line = Line::default();
        for _ in 0..50 {
            let place = line.place(0, None, "a", M, 100, S);
            line.serve(place, "a", 100);
        }
        let a = hold(&mut line, "a", 1);
        let b = hold(&mut line, "b", 2);
        assert!(b < a || line.ahead(b, M).waiting <= 1, "{a:?} {b:?}");
        let second = line.place(0, None, "b", M, 100, S);
        assert!(a < second, "but it has nothing saved up from before it came");
    }

    #[test]
    fn a_ticket_keeps_its_place_until_it_lapses() {
        let mut line = Line::default();
        let first = hold(&mut line, "a", 1);
        hold(&mut line, "a", 2);
        assert_eq!(line.place(0, Some(1), "a", M, 100, S), first);
        line.sweep(6_499);
        assert_eq!(line.len(), 2);
        line.sweep(6_500);
        assert!(line.is_empty());
        let again = line.place(6_500, Some(1), "a", M, 100, S);
        assert_eq!(again.0, first.0, "whoever did not come has paid nothing");
    }

    #[test]
    fn a_promise_is_kept_for_the_same_token() {
        let mut line = Line::default();
        let place = line.place(0, None, "a", M, 100, S);
        line.promise(place, "a", M, 100, S, 30_000);
        let other = line.place(29_500, None, "b", M, 100, S);
        assert_ne!(other, place);
        assert_eq!(line.place(28_000, None, "a", M, 100, S) == place, false, "not so early");
        assert_eq!(line.place(29_500, None, "a", M, 100, S), place);
        assert_ne!(line.place(29_500, None, "a", M, 100, S), place, "once");
    }

    #[test]
    fn requests_for_other_models_are_not_ahead() {
        let mut line = Line::default();
        hold(&mut line, "a", 1);
        let place = line.place(0, None, "b", &[2], 5_000, S);
        assert_eq!(line.ahead(place, &[2]), Ahead::default());
        assert_eq!(line.ahead(place, &[1, 2]).waiting, 1);
    }

    #[test]
    fn the_line_is_bounded() {
        let mut line = Line::default();
        for n in 0..10_000 {
            let token = format!("t{n}");
            let place = line.place(0, None, &token, M, 1, S);
            line.hold(place, n, &token, M, (1, 1), 0);
            let place = line.place(0, None, &token, M, 1, S);
            line.promise(place, &token, M, 1, S, 0);
        }
        assert!(line.len() <= PLACES && line.promises.len() <= PROMISES && line.tickets.len() <= PLACES);
    }
}
