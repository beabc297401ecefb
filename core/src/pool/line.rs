//! The line of requests that wait for quota: fair between client tokens, first come first served within one.
//!
//! It is deficit round robin in its virtual-time form (start-time fair queueing): each place carries a tag, which
//! is where the token's own line, or the service, had come to, plus what the request costs; the lowest tag goes
//! first. A token with a hundred waiting requests does not hold up one with a single one.
//!
//! Nobody can be told that it is their turn: who waits asks again when told to. A place is therefore kept by its
//! number (the ticket), and lapses when nobody asks for it in time. Who was refused with a time to come back is
//! kept as a promise ([`super::promises`]): when it comes it stands before all who were promised nothing.

use super::promises::{Kept, Promised, Promises};
use std::collections::HashMap;

/// Places kept at the most; beyond it a request is refused with the time it would take.
const PLACES: usize = 4_096;
/// How long after its moment a place is kept.
const GRACE_MS: u64 = 1_500;
/// Who waits stands behind those who are to come within so long, and before its own time is over; who comes new
/// behind those within so long. Where little comes back at a time, and all keys at once, who comes just before would else take what was promised.
const COMING_MS: u64 = 1_000;
const COMING_FIRST_MS: u64 = 2_000;
/// What a request costs beside its tokens, so that many small ones are not free.
const REQUEST_COST: u64 = 1_000;
/// How long what a token was served counts for its share.
const SHARE_MS: f64 = 15_000.0;
/// Tokens whose shares are remembered.
const SHARES: usize = 1_000;
/// Tokens of clients whose standing is remembered.
const TOKENS: usize = 10_000;

/// Where a request stands. Who was told to come back goes first, in the order of the moments told: what is
/// promised is limited to what there will be, so that it can be kept, and to the token's share, so that nobody
/// gains by it. The others stand by tag, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Told to come back at that moment.
    Promised {
        /// The moment.
        due: u64,
        /// Number of the promise.
        number: u64,
    },
    /// In the order that is fair.
    Fair {
        /// How far its token's own line reaches with it.
        tag: u64,
        /// Its arrival.
        number: u64,
    },
}

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
    /// Tokens that are reserved for it.
    reserved: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    token: String,
    expires_at: u64,
    /// How often it was told to wait.
    times: u32,
}

/// What stands before a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// Requests that wait.
    pub waiting: u64,
    /// The part of them that these models will have to serve: who may use others as well counts for a part.
    pub part: f64,
    /// Tokens that this part is expected to use.
    pub tokens: f64,
    /// The part of the same client token.
    pub own: f64,
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
    /// Tokens that are reserved for it.
    pub reserved: u64,
    /// What it is recognised by when it comes back.
    pub fingerprint: u64,
}

/// The line.
#[derive(Debug, Default)]
pub struct Line {
    spots: Vec<Spot>,
    waiters: HashMap<Place, Waiter>,
    tickets: HashMap<u64, Place>,
    promises: Promises,
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
}

impl Line {
    /// The place of a request, and whether it has waited for it: its ticket's, that of a promise, or a new one at
    /// the end of its token's line. It is only held once [`Line::hold`] says so.
    pub fn place(&mut self, now: u64, seeker: &Seeker<'_>) -> (Place, bool) {
        if let Some(place) = seeker.ticket.and_then(|ticket| self.tickets.get(&ticket)) {
            return (*place, true);
        }
        if let Some((due, number)) = self.promises.take(now, seeker.token, seeker.fingerprint) {
            return (Place::Promised { due, number }, true);
        }
        let from = self.reach.get(seeker.token).map_or(self.served, |reach| self.served.max(*reach));
        self.arrivals += 1;
        let tag = from + REQUEST_COST + seeker.tokens;
        (Place::Fair { tag, number: self.arrivals }, seeker.ticket.is_some())
    }

    /// What waits before that place and wants one of those models, from now until its deadline. Who was promised nothing stands behind those who
    /// are about to come as told, too.
    #[must_use]
    pub fn ahead(&self, span: (u64, u64), place: Place, models: Mask, token: &str) -> Ahead {
        let token = self.number(token);
        let mut ahead = Ahead { waiting: self.near(span, place, models).count() as u64, ..Ahead::default() };
        for spot in self.before(place, models) {
            let part = overlap(spot.models, models);
            ahead.waiting += 1;
            ahead.part += part;
            ahead.tokens += part * spot.tokens as f64;
            ahead.own += if spot.token == token { part } else { 0.0 };
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
    pub fn first(
        &self,
        span: (u64, u64),
        place: Place,
        models: Mask,
        most: usize,
    ) -> impl Iterator<Item = (Mask, u64)> {
        let waiting = self.before(place, models).map(|spot| (spot.models, spot.reserved));
        self.near(span, place, models).chain(waiting).take(most)
    }

    fn near(&self, span: (u64, u64), place: Place, models: Mask) -> impl Iterator<Item = (Mask, u64)> {
        let (now, until) = span;
        let left = until.saturating_sub(now);
        let near = match place {
            Place::Promised { .. } => None,
            Place::Fair { .. } if self.waiters.contains_key(&place) => {
                Some((Promises::kept_since(now, Some(left)), now + COMING_MS.min(left)))
            }
            Place::Fair { .. } => Some((Promises::kept_since(now, None), now + COMING_FIRST_MS)),
        };
        near.map(|near| self.promises.near(near, models)).into_iter().flatten()
    }

    /// What was promised to those who will come for these models until then.
    #[must_use]
    pub fn promised(&self, span: (u64, u64), models: Mask) -> Promised {
        self.promises.ahead(span, models)
    }

    /// What was promised to those who have yet to come until then and may use none but these models; who is late is
    /// left out, and the sooner if somebody who waits can do so for no longer than `left`.
    #[must_use]
    pub fn coming(&self, span: (u64, u64), left: Option<u64>, models: Mask) -> Promised {
        self.promises.coming(Promises::kept_since(span.0, left), span, models)
    }

    /// Those models, and those that somebody who was promised something until then may use in their place.
    #[must_use]
    pub fn reach(&self, span: (u64, u64), models: Mask) -> Mask {
        self.promises.reach(span, models)
    }

    /// The same of one client token.
    #[must_use]
    pub fn promised_to(&self, token: &str, span: (u64, u64), models: Mask) -> Promised {
        self.promises.own(span, models, self.number(token))
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

    /// Keeps the place, under that ticket, until the request is to ask
    /// again. False when the line is too long.
    pub fn hold(&mut self, place: Place, ticket: u64, seeker: &Seeker<'_>, until: u64) -> bool {
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
        self.charge(seeker.token, place);
        self.waiters.insert(place, Waiter { ticket, token: seeker.token.to_owned(), expires_at, times: 1 });
        let token = self.number_of(seeker.token);
        let Seeker { models, tokens, reserved, .. } = *seeker;
        insert(&mut self.spots, Spot { place, models, token, tokens, reserved });
        true
    }

    /// The request at that place is served.
    pub fn serve(&mut self, place: Place, token: &str, tokens: u64) {
        self.leave(place);
        self.charge(token, place);
        if let Place::Fair { tag, .. } = place {
            // Where this request's own share began is how far the service has come.
            self.served = self.served.max(tag.saturating_sub(REQUEST_COST + tokens));
        }
    }

    /// The request at that place is refused, or waits for something of its own.
    pub fn leave(&mut self, place: Place) {
        if let Some(waiter) = self.waiters.remove(&place) {
            self.tickets.remove(&waiter.ticket);
            remove(&mut self.spots, place);
        }
    }

    /// The request at that place was refused what it asked for beside its own: for itself it asks again at once,
    /// and finds everything as it was.
    pub fn undo(&mut self, now: u64, place: Place, seeker: &Seeker<'_>) {
        self.leave(place);
        if let Place::Promised { due, number } = place {
            let token = self.number_of(seeker.token);
            self.promises.put_back(now, (due, number), token, seeker);
        }
    }

    /// The request at that place is told to come back at `due`: what the same token asks for then, if it is the
    /// same, goes first.
    pub fn promise(&mut self, now: u64, place: Place, seeker: &Seeker<'_>, due: u64) {
        self.leave(place);
        let token = self.number_of(seeker.token);
        if self.promises.make(now, due, token, seeker) {
            self.charge(seeker.token, place);
        }
    }

    /// The promises, for writing them down.
    pub(super) fn promises(&mut self) -> &mut Promises {
        &mut self.promises
    }

    /// Whether there are other promises than were last written down.
    #[must_use]
    pub fn has_new_promises(&self) -> bool {
        self.promises.have_changed()
    }

    /// Takes a promise that was written down before a restart.
    pub(super) fn restore(&mut self, now: u64, kept: &Kept, models: Mask) {
        let Kept { due, token, fingerprint, tokens, reserved, .. } = kept;
        let seeker = Seeker {
            ticket: None,
            token,
            models,
            tokens: *tokens,
            reserved: *reserved,
            fingerprint: *fingerprint,
        };
        let number = self.number_of(token);
        self.promises.put_back(now, (*due, 0), number, &seeker);
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

    /// The token's own line reaches as far as that place. What was promised was charged when it was.
    fn charge(&mut self, token: &str, place: Place) {
        let Place::Fair { tag: reach, .. } = place else { return };
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
        let lapsed = self.promises.sweep(now);
        returned.extend(lapsed.into_iter().map(|(token, tokens)| (token, REQUEST_COST + tokens)));
        for (token, cost) in returned {
            if let Some(reach) = self.reach.get_mut(&token) {
                *reach = reach.saturating_sub(cost);
            }
        }
    }
}

/// The part of a request for the models of `one` that falls to those of `other`.
pub(super) fn overlap(one: Mask, other: Mask) -> f64 {
    // As a rule it is all or nothing; bits are counted one by one where the processor has no instruction for it.
    match one & other {
        0 => 0.0,
        both if both == one => 1.0,
        both => f64::from(both.count_ones()) / f64::from(one.count_ones()),
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
#[path = "line_tests.rs"]
mod tests;
