//! The line of requests that wait for quota: fair between client tokens, first come first served within one.
//!
//! It is deficit round robin in its virtual-time form (start-time fair queueing): each place carries a tag, which
//! is where the token's own line, or the service, had come to, plus what the request costs; the lowest tag goes
//! first. A token with a hundred waiting requests does not hold up one with a single one.
//!
//! Nobody can be told that it is their turn: who waits asks again when told to. A place is therefore kept by its
//! number (the ticket), and lapses when nobody asks for it in time. Who was refused with a time to come back is
//! kept as a promise: the same token's next request takes over that place.

use std::collections::HashMap;

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
/// How long what a token was served counts for its share.
const SHARE_MS: f64 = 15_000.0;
/// Tokens whose shares are remembered.
const SHARES: usize = 1_000;
/// Tokens of clients whose standing is remembered.
const TOKENS: usize = 10_000;

/// What a request is recognised by when it comes back: its estimated prompt and its largest answer.
pub type Shape = (u64, Option<u64>);

/// Where a request stands: by tag, then by arrival.
pub type Place = (u64, u64);

/// A set of models, by their numbers. Two numbers may share a bit: then a request counts as one for a model that
/// it is not for, and is waited for in vain, no more.
pub type Mask = u64;

/// The set of those models.
#[must_use]
pub fn mask(numbers: impl IntoIterator<Item = u32>) -> Mask {
    numbers.into_iter().fold(0, |mask, number| mask | 1 << (number % 64))
}

/// What scans look at, in order of places and side by side in memory.
#[derive(Clone, Copy, Debug)]
struct Spot {
    place: Place,
    models: Mask,
    /// Number of the client token.
    token: u32,

    /// Tokens that it is expected to use.
    tokens: u64,
    /// Tokens that are reserved for it; of a promise, its moment.
    other: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    token: String,
    expires_at: u64,
    /// How often it was told to wait.
    times: u32,
}

#[derive(Debug)]
struct Promise {
    token: String,
    shape: Shape,
}

/// What stands before a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Requests that wait.
    pub waiting: u64,
    /// Tokens that they are expected to use.
    pub tokens: u64,
    /// Requests of the same client token among them.
    pub own: u64,
}

/// What a request asks for a place with.
#[derive(Clone, Copy, Debug)]
pub struct Seeker<'a> {
    /// Its ticket, if it has one.
    pub ticket: Option<u64>,
    /// Its client token.
    pub token: &'a str,
    /// The models it may use.
    pub models: Mask,
    /// Tokens it is expected to use.
    pub tokens: u64,
    /// What it is recognised by.
    pub shape: Shape,
}

/// The line.
#[derive(Debug, Default)]
pub struct Line {
    spots: Vec<Spot>,
    waiters: HashMap<Place, Waiter>,
    tickets: HashMap<u64, Place>,
    promised: Vec<Spot>,
    promises: HashMap<Place, Promise>,
    /// The promises to each token and shape.
    returning: HashMap<(String, Shape), Vec<(Place, u64)>>,
    /// How far each token's own line reaches.
    reach: HashMap<String, u64>,
    /// How far the service has come.
    served: u64,
    arrivals: u64,
    /// Numbers of client tokens.
    numbers: HashMap<String, u32>,
    last_number: u32,
    /// Requests served of late while others waited, and when last counted: in all, and of each token.
    all_served: (f64, u64),
    shares: HashMap<String, (f64, u64)>,
    /// Promises that were taken up, of those that were taken up or lapsed, in 1,024ths.
    kept: Option<u64>,
}

impl Line {
    /// The place of a request, and whether it has waited for it: its ticket's, that of a promise, or a new one at
    /// the end of its token's line. It is only held once [`Line::hold`] says so.
    pub fn place(&mut self, now: u64, seeker: &Seeker<'_>) -> (Place, bool) {
        if let Some(place) = seeker.ticket.and_then(|ticket| self.tickets.get(&ticket)) {
            return (*place, true);
        }
        if !self.promises.is_empty() {
            let known = self.returning.get(&(seeker.token.to_owned(), seeker.shape));
            let due = known.into_iter().flatten().find(|(_, due)| *due <= now + EARLY_MS);
            if let Some((place, _)) = due.copied() {
                self.forget_promise(place);
                self.taken_up(true);
                return (place, true);
            }
        }
        let from = self.reach.get(seeker.token).map_or(self.served, |reach| self.served.max(*reach));
        self.arrivals += 1;
        ((from + REQUEST_COST + seeker.tokens, self.arrivals), seeker.ticket.is_some())
    }

    /// What waits before that place and wants one of those models.
    #[must_use]
    pub fn ahead(&self, place: Place, models: Mask, token: &str) -> Ahead {
        let token = self.number(token);

        let mut ahead = Ahead::default();
        for spot in self.before(place, models) {
            ahead.waiting += 1;
            ahead.tokens += spot.tokens;
            ahead.own += u64::from(spot.token == token);
        }
        ahead
    }

    fn before(&self, place: Place, models: Mask) -> impl Iterator<Item = &Spot> {
        self.spots
            .iter()
            .take_while(move |spot| spot.place < place)
            .filter(move |spot| spot.models & models != 0)
    }

    /// The first of those that wait before that place for one of those models: which models, and what they reserve.
    pub fn first(&self, place: Place, models: Mask, most: usize) -> impl Iterator<Item = (Mask, u64)> {
        self.before(place, models).take(most).map(|spot| (spot.models, spot.other))
    }

    /// The moments promised to those who stand before that place and will come: not everyone does.
    #[must_use]
    pub fn promised(&self, now: u64, place: Place, models: Mask, token: &str) -> Promised {
        let token = self.number(token);

        let mut promised = Promised { from: now, kept: self.kept.unwrap_or(512), ..Promised::default() };
        for spot in self.promised.iter().take_while(|spot| spot.place < place) {
            if spot.models & models != 0 {
                let step = (spot.other.saturating_sub(now) / STEP_MS) as usize;
                if let Some((all, own)) = promised.counts.get_mut(step.min(STEPS - 1)) {
                    *all += 1;
                    *own += u64::from(spot.token == token);
                }
            }
        }
        let mut sums = (0, 0);
        for (all, own) in &mut promised.counts {
            sums = (sums.0 + *all, sums.1 + *own);
            (*all, *own) = sums;
        }
        promised
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// How often the request at that place was told to wait.
    #[must_use]
    pub fn times(&self, place: Place) -> u32 {
        self.waiters.get(&place).map_or(0, |waiter| waiter.times)
    }

    /// Keeps the place, under that ticket and with so much reserved in the end, until the request is to ask
    /// again. False when the line is too long.
    pub fn hold(
        &mut self,
        place: Place,
        ticket: u64,
        seeker: &Seeker<'_>,
        reserved: u64,
        until: u64,
    ) -> bool {
        let expires_at = until + GRACE_MS;
        if let Some(waiter) = self.waiters.get_mut(&place) {
            waiter.expires_at = expires_at;
            waiter.times = waiter.times.saturating_add(1);
            return true;
        }
        if self.spots.len() >= PLACES {
            return false;
        }
        self.tickets.insert(ticket, place);
        self.extend(seeker.token, place.0);
        self.waiters.insert(place, Waiter { ticket, token: seeker.token.to_owned(), expires_at, times: 1 });
        let token = self.number_of(seeker.token);
        let (models, tokens) = (seeker.models, seeker.tokens);
        insert(&mut self.spots, Spot { place, models, token, tokens, other: reserved });
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
            remove(&mut self.spots, place);
        }
    }

    /// The request at that place is told to come back after `due`: what the same token asks for then, if it is
    /// the same, stands there.
    pub fn promise(&mut self, place: Place, seeker: &Seeker<'_>, due: u64) {
        self.leave(place);
        if self.promised.len() >= PROMISES || self.promises.contains_key(&place) {
            return;
        }
        self.extend(seeker.token, place.0);
        self.returning.entry((seeker.token.to_owned(), seeker.shape)).or_default().push((place, due));
        self.promises.insert(place, Promise { token: seeker.token.to_owned(), shape: seeker.shape });
        let token = self.number_of(seeker.token);
        let (models, tokens) = (seeker.models, seeker.tokens);
        insert(&mut self.promised, Spot { place, models, token, tokens, other: due });
    }

    fn number(&self, token: &str) -> u32 {
        self.numbers.get(token).copied().unwrap_or(u32::MAX)
    }

    fn number_of(&mut self, token: &str) -> u32 {
        if let Some(number) = self.numbers.get(token) {
            return *number;
        }
        if self.numbers.len() >= TOKENS {
            // Who stands in the line keeps its number; a token that comes back gets a new one.
            self.numbers.clear();
        }
        self.last_number += 1;
        self.numbers.insert(token.to_owned(), self.last_number);
        self.last_number
    }

    /// Somebody of that token was served while others waited.
    pub fn note_share(&mut self, now: u64, token: &str) {
        let fade = |share: &mut (f64, u64)| {
            share.0 *= (-(now.saturating_sub(share.1) as f64) / SHARE_MS).exp();
            share.1 = share.1.max(now);
        };
        fade(&mut self.all_served);
        self.all_served.0 += 1.0;
        match self.shares.get_mut(token) {
            Some(share) => {
                fade(share);
                share.0 += 1.0;
            }
            None => {
                if self.shares.len() >= SHARES {
                    self.shares.retain(|_, share| now.saturating_sub(share.1) < 4 * SHARE_MS as u64);
                }
                if self.shares.len() < SHARES {
                    self.shares.insert(token.to_owned(), (1.0, now));
                }
            }
        }
    }

    /// The part of what is served that goes to a token while others wait too: what it got of late, at least an
    /// equal part.
    #[must_use]
    pub fn share(&self, now: u64, token: &str) -> f64 {
        let faded = |share: &(f64, u64)| share.0 * (-(now.saturating_sub(share.1) as f64) / SHARE_MS).exp();
        let all = faded(&self.all_served);
        let active = self.shares.values().filter(|share| faded(share) > all / 200.0).count().max(1);
        let own = self.shares.get(token).map_or(0.0, faded);
        let measured = if all < 20.0 { 1.0 } else { own / all };
        measured.max(1.0 / active as f64).min(1.0)
    }

    fn forget_promise(&mut self, place: Place) -> Option<(Promise, Spot)> {
        let promise = self.promises.remove(&place)?;
        let spot = remove(&mut self.promised, place)?;
        let name = (promise.token.clone(), promise.shape);
        if let Some(places) = self.returning.get_mut(&name) {
            places.retain(|(other, _)| *other != place);
            if places.is_empty() {
                self.returning.remove(&name);
            }
        }
        Some((promise, spot))
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
        let gone: Vec<Spot> = self
            .spots
            .iter()
            .filter(|spot| self.waiters.get(&spot.place).is_none_or(|waiter| waiter.expires_at <= now))
            .copied()
            .collect();
        for spot in gone {
            if let Some(waiter) = self.waiters.remove(&spot.place) {
                self.tickets.remove(&waiter.ticket);
                returned.push((waiter.token, REQUEST_COST + spot.tokens));
            }
            remove(&mut self.spots, spot.place);
        }
        let over = |spot: &&Spot| spot.other + PROMISE_GRACE_MS <= now;
        let lapsed: Vec<Place> = self.promised.iter().filter(over).map(|spot| spot.place).collect();
        for place in lapsed {
            self.taken_up(false);
            if let Some((promise, spot)) = self.forget_promise(place) {
                returned.push((promise.token, REQUEST_COST + spot.tokens));
            }
        }
        for (token, cost) in returned {
            if let Some(reach) = self.reach.get_mut(&token) {
                *reach = reach.saturating_sub(cost);
            }
        }
    }
}

/// Promised moments are told apart to the second, for so many seconds; what is later is taken together.
const STEP_MS: u64 = 1_000;
const STEPS: usize = 300;

/// How many were promised a moment, up to each of the next seconds.
#[derive(Clone, Debug)]
pub struct Promised {
    from: u64,
    /// All, and those of the same client token.
    counts: [(u64, u64); STEPS],
    kept: u64,
}

impl Default for Promised {
    fn default() -> Self {
        Self { from: 0, counts: [(0, 0); STEPS], kept: 0 }
    }
}

impl Promised {
    /// How many come until then: all, and those of the same client token.
    #[must_use]
    pub fn until(&self, then: u64) -> (u64, u64) {
        let step = (then.saturating_sub(self.from) / STEP_MS) as usize;
        let (all, own) = self.counts.get(step.min(STEPS - 1)).copied().unwrap_or_default();
        ((all * self.kept).div_ceil(1_024), (own * self.kept).div_ceil(1_024))
    }
}

fn insert(spots: &mut Vec<Spot>, spot: Spot) {
    let at = spots.partition_point(|other| other.place < spot.place);
    spots.insert(at, spot);
}

fn remove(spots: &mut Vec<Spot>, place: Place) -> Option<Spot> {
    let at = spots.binary_search_by_key(&place, |spot| spot.place).ok()?;
    Some(spots.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Mask = 1;

    fn seeker(token: &str) -> Seeker<'_> {
        Seeker { ticket: None, token, models: M, tokens: 100, shape: (10, None) }
    }

    fn place(line: &mut Line, now: u64, token: &str) -> Place {
        line.place(now, &seeker(token)).0
    }

    fn hold(line: &mut Line, token: &str, ticket: u64) -> Place {
        let place = place(line, 0, token);
        assert!(line.hold(place, ticket, &seeker(token), 100, 5_000));
        place
    }

    #[test]
    fn a_small_token_does_not_wait_behind_a_greedy_one() {
        let mut line = Line::default();
        let greedy: Vec<Place> = (0..100).map(|n| hold(&mut line, "greedy", n)).collect();
        let small = place(&mut line, 0, "small");
        assert_eq!(line.ahead(small, M, "small").waiting, 1, "only the first of the other's");
        assert!(greedy.windows(2).all(|pair| pair[0] < pair[1]), "within a token who came first goes first");
    }

    #[test]
    fn who_was_served_a_lot_has_the_next_turn_after_who_was_not() {
        let mut line = Line::default();
        for _ in 0..50 {
            let place = place(&mut line, 0, "a");
            line.serve(place, "a", 100);
        }
        let (a, b) = (hold(&mut line, "a", 1), hold(&mut line, "b", 2));
        assert!(b < a, "{a:?} {b:?}");
        assert!(a < place(&mut line, 0, "b"), "but it has nothing saved up from before it came");
    }

    #[test]
    fn a_ticket_keeps_its_place_until_it_lapses() {
        let mut line = Line::default();
        let first = hold(&mut line, "a", 1);
        hold(&mut line, "a", 2);
        let back = Seeker { ticket: Some(1), ..seeker("a") };
        assert_eq!(line.place(0, &back), (first, true));
        line.sweep(6_499);
        assert_eq!(line.len(), 2);
        line.sweep(6_500);
        assert!(line.is_empty());
        assert_eq!(line.place(6_500, &back).0.0, first.0, "whoever did not come has paid nothing");
    }

    #[test]
    fn a_promise_is_kept_for_the_same_request_of_the_same_token() {
        let mut line = Line::default();
        let promised = place(&mut line, 0, "a");
        line.promise(promised, &seeker("a"), 30_000);
        let other = Seeker { shape: (11, None), ..seeker("a") };
        assert_ne!(line.place(29_500, &other).0, promised, "another request of that token");
        assert_ne!(place(&mut line, 29_500, "b"), promised, "another token");
        assert_ne!(place(&mut line, 28_000, "a"), promised, "not so early");
        assert_eq!(line.place(29_500, &seeker("a")), (promised, true));
        assert_ne!(place(&mut line, 29_500, "a"), promised, "once");
    }

    #[test]
    fn what_was_promised_counts_as_far_as_it_is_taken_up() {
        let mut line = Line::default();
        for n in 0..40 {
            let at = place(&mut line, 0, "a");
            line.promise(at, &Seeker { shape: (n, None), ..seeker("a") }, 1_000 * n);
        }
        let behind = (u64::MAX, 0);
        assert_eq!(
            line.promised(0, behind, M, "a").until(19_000),
            (10, 10),
            "half of them, as nothing is known"
        );
        for n in 0..20 {
            line.place(1_000 * n, &Seeker { shape: (n, None), ..seeker("a") });
        }
        assert_eq!(line.promised(0, behind, M, "b").until(39_000), (20, 0), "all that are left");
        assert_eq!(line.promised(0, behind, 2, "").until(39_000), (0, 0), "for other models");
    }

    #[test]
    fn requests_for_other_models_are_not_ahead() {
        let mut line = Line::default();
        hold(&mut line, "a", 1);
        let behind = (u64::MAX, 0);
        assert_eq!(line.ahead(behind, 2, ""), Ahead::default());
        assert_eq!(line.ahead(behind, 3, "").waiting, 1);
    }

    #[test]
    fn the_line_is_bounded() {
        let mut line = Line::default();
        for n in 0..20_000 {
            let token = format!("t{n}");
            let at = place(&mut line, 0, &token);
            line.hold(at, n, &seeker(&token), 1, 0);
            let at = place(&mut line, 0, &token);
            line.promise(at, &seeker(&token), 0);
        }
        assert!(line.len() <= PLACES && line.promised.len() <= PROMISES && line.tickets.len() <= PLACES);
        line.sweep(PROMISE_GRACE_MS);
        assert!(line.waiters.is_empty() && line.promises.is_empty() && line.returning.is_empty());
    }
}
