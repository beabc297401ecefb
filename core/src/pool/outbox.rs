//! The isolate's reports that the Coordinator has not acknowledged yet.
//!
//! A report leaves the outbox only when it was acknowledged. What travels in a call that fails, or whose
//! request the platform ended without a word, comes back: reporting twice is harmless.

use super::protocol::Settle;
use crate::limits::grant::NUMBERS_KEPT_MS;
use std::collections::VecDeque;

/// A call that was not heard of for this long is taken for lost.
const FLIGHT_LOST_AFTER_MS: u64 = 5_000;

/// Names a set of reports under way.
pub type Flight = u64;

struct Underway {
    flight: Flight,
    since: u64,
    settles: Vec<(Settle, u64)>,
}

struct Waiting {
    since: u64,
    /// When it was first sent on, if it was: from then on the Coordinator may have it already.
    sent_at: Option<u64>,
    settle: Settle,
}

/// Reports waiting and under way.
#[derive(Default)]
pub struct Outbox {
    waiting: VecDeque<Waiting>,
    /// When those of the last [`Self::take`] were first sent on.
    taken: Vec<u64>,
    underway: Vec<Underway>,
    flights: Flight,
    dropped: u64,
}

impl Outbox {
    /// Adds a report; with `bound` waiting already, the oldest is dropped.
    pub fn push(&mut self, settle: Settle, now: u64, bound: usize) {
        while self.waiting.len() >= bound.max(1) {
            self.waiting.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.waiting.push_back(Waiting { since: now, sent_at: None, settle });
    }

    /// Takes at most `most` reports for a call; give them back to [`Self::departed`].
    pub fn take(&mut self, most: usize, now: u64) -> Vec<Settle> {
        self.recall(now);
        let count = self.waiting.len().min(most);
        let mut settles = Vec::with_capacity(count);
        self.taken.clear();
        for Waiting { since, sent_at, settle } in self.waiting.drain(..count) {
            // The Coordinator keeps numbers for two minutes. What may have reached it longer ago would be
            // counted twice; lost is the lesser evil, and said.
            if sent_at.is_some_and(|sent| now.saturating_sub(sent) > NUMBERS_KEPT_MS - FLIGHT_LOST_AFTER_MS) {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            self.taken.push(sent_at.unwrap_or(now));
            let age_ms = settle.age_ms + now.saturating_sub(since);
            settles.push(Settle { age_ms, ..settle });
        }
        settles
    }

    /// Keeps what a call carries until it is known how that went. Nothing carried needs no flight.
    pub fn departed(&mut self, settles: Vec<Settle>, now: u64) -> Option<Flight> {
        if settles.is_empty() {
            return None;
        }
        self.flights = self.flights.wrapping_add(1);
        let mut sent = std::mem::take(&mut self.taken).into_iter();
        let settles = settles.into_iter().map(|settle| (settle, sent.next().unwrap_or(now))).collect();
        self.underway.push(Underway { flight: self.flights, since: now, settles });
        Some(self.flights)
    }

    /// The call was acknowledged.
    pub fn landed(&mut self, flight: Option<Flight>) {
        if let Some(flight) = flight {
            self.underway.retain(|underway| underway.flight != flight);
        }
    }

    /// The call failed: its reports wait again, first in line.
    pub fn lost(&mut self, flight: Option<Flight>) {
        let Some(at) = self.underway.iter().position(|underway| Some(underway.flight) == flight) else {
            return;
        };
        let underway = self.underway.swap_remove(at);
        for (settle, sent_at) in underway.settles.into_iter().rev() {
            self.waiting.push_front(Waiting { since: underway.since, sent_at: Some(sent_at), settle });
        }
    }

    /// Takes back what flew off too long ago: the platform may end a request while its call is out.
    fn recall(&mut self, now: u64) {
        while let Some(flight) = self
            .underway
            .iter()
            .find(|underway| now.saturating_sub(underway.since) > FLIGHT_LOST_AFTER_MS)
            .map(|underway| underway.flight)
        {
            self.lost(Some(flight));
        }
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.underway.is_empty()
    }

    /// Whether a report has been waiting for that long. Younger ones are other requests', whose next ask
    /// most likely takes them along.
    #[must_use]
    pub fn has_waited(&mut self, ms: u64, now: u64) -> bool {
        self.recall(now);
        self.waiting.front().is_some_and(|waiting| now.saturating_sub(waiting.since) >= ms)
    }

    /// How many reports were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_arrived_two_minutes_ago_is_not_sent_again() {
        let mut outbox = outbox(2);
        let settles = outbox.take(1, 0);
        let _ = outbox.departed(settles, 0);
        assert!(outbox.has_waited(0, 100_000), "the lost flight is noticed");
        assert_eq!(ids(&outbox.take(9, 119_000)), [2], "1 may be on the books; 2 was never sent on");
        assert_eq!(outbox.take_dropped(), 1);
    }

    #[test]
    fn what_is_under_way_still_needs_somebody() {
        let mut outbox = outbox(1);
        let settles = outbox.take(1, 0);
        let flight = outbox.departed(settles, 0);
        assert!(!outbox.is_empty());
        outbox.landed(flight);
        assert!(outbox.is_empty());
    }

    fn settle(id: u64) -> Settle {
        Settle { id, ..Settle::default() }
    }

    fn ids(settles: &[Settle]) -> Vec<u64> {
        settles.iter().map(|settle| settle.id).collect()
    }

    fn outbox(count: u64) -> Outbox {
        let mut outbox = Outbox::default();
        for id in 1..=count {
            outbox.push(settle(id), 0, 100);
        }
        outbox
    }

    #[test]
    fn what_was_acknowledged_is_not_sent_again() {
        let mut outbox = outbox(3);
        let taken = outbox.take(2, 0);
        assert_eq!(ids(&taken), [1, 2]);
        let flight = outbox.departed(taken, 0);
        outbox.landed(flight);
        assert_eq!(ids(&outbox.take(9, 1_000_000)), [3]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_failed_call_gives_its_reports_back_in_order() {
        let mut outbox = outbox(3);
        let taken = outbox.take(2, 0);
        let flight = outbox.departed(taken, 0);
        outbox.lost(flight);
        assert_eq!(ids(&outbox.take(9, 0)), [1, 2, 3]);
    }

    #[test]
    fn a_call_that_is_never_heard_of_gives_them_back_after_a_while() {
        let mut outbox = outbox(2);
        let taken = outbox.take(9, 0);
        let flight = outbox.departed(taken, 0);
        assert_eq!(ids(&outbox.take(9, FLIGHT_LOST_AFTER_MS)), [0_u64; 0]);
        assert_eq!(ids(&outbox.take(9, FLIGHT_LOST_AFTER_MS + 1)), [1, 2]);
        outbox.landed(flight);
        outbox.lost(flight);
        assert!(outbox.is_empty(), "what was taken back belongs to no flight any more");
    }

    #[test]
    fn only_what_has_waited_is_worth_a_call_of_its_own() {
        let mut outbox = Outbox::default();
        outbox.push(settle(1), 1_000, 9);
        assert!(!outbox.has_waited(250, 1_249));
        assert!(outbox.has_waited(250, 1_250));
        let taken = outbox.take(9, 1_250);
        assert!(!outbox.has_waited(0, 9_999), "what is under way waits no longer");
        let flight = outbox.departed(taken, 1_250);
        outbox.lost(flight);
        assert!(outbox.has_waited(250, 1_500));
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let mut outbox = Outbox::default();
        for id in 1..=5 {
            outbox.push(settle(id), 0, 3);
        }
        assert_eq!(ids(&outbox.take(9, 0)), [3, 4, 5]);
        assert_eq!((outbox.take_dropped(), outbox.take_dropped()), (2, 0));
    }
}
