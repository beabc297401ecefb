//! What was granted to be sent later.

use std::collections::VecDeque;

/// Bookings told apart; of more the latest are taken together. They reach two seconds ahead.
const KEPT: usize = 64;

/// The bookings of a quota, in the order of their moments.
#[derive(Clone, Debug, Default)]
pub(super) struct Booked(VecDeque<(u64, u64, u64)>);

impl Booked {
    /// A grant to be sent at that moment. Those whose moment is over are forgotten.
    pub fn add(&mut self, now: u64, at: u64, tokens: u64) {
        self.forget(now);
        let full = self.0.len() >= KEPT;
        let place = self.0.partition_point(|(other, _, _)| *other <= at);
        match self.0.back_mut() {
            Some(last) if full => *last = (last.0.max(at), last.1 + 1, last.2 + tokens),
            _ => self.0.insert(place, (at, 1, tokens)),
        }
    }

    /// Those whose moment is over are spent.
    pub fn forget(&mut self, now: u64) {
        while self.0.front().is_some_and(|(at, _, _)| *at <= now) {
            self.0.pop_front();
        }
    }

    /// The moments, the last first, each with the requests that are spent from it on.
    pub fn by_requests(&self) -> impl Iterator<Item = (u64, u64)> {
        self.the_last_first(|(_, requests, _)| requests)
    }

    /// The same in tokens.
    pub fn by_tokens(&self) -> impl Iterator<Item = (u64, u64)> {
        self.the_last_first(|(_, _, tokens)| tokens)
    }

    fn the_last_first(&self, of: impl Fn((u64, u64, u64)) -> u64) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().rev().scan(0, move |sum, booking| {
            *sum += of(*booking);
            Some((booking.0, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_to_be_sent_counts() {
        let mut booked = Booked::default();
        booked.add(0, 300, 10);
        booked.add(0, 100, 20);
        booked.add(50, 200, 40);
        assert_eq!(booked.by_tokens().collect::<Vec<_>>(), [(300, 10), (200, 50), (100, 70)]);
        assert_eq!(booked.by_requests().last(), Some((100, 3)));
        booked.forget(200);
        assert_eq!(booked.by_tokens().collect::<Vec<_>>(), [(300, 10)]);
        for n in 0..1_000 {
            booked.add(200, 400 + n, 1);
        }
        assert!(booked.0.len() <= KEPT);
        assert_eq!(booked.by_tokens().last(), Some((300, 1_010)));
    }
}
