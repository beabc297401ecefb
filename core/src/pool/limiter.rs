//! The one limiter of everything that takes a secret from a person: login, set-up, reset, export and password
//! change. 5 failures a minute from one address, 60 in all.

use crate::limits::auth::{FAILURES_PER_MINUTE as IN_ALL, FAILURES_PER_MINUTE_ADDRESS as PER_ADDRESS};
use std::collections::HashMap;

const WINDOW_MS: u64 = 60_000;

/// Failures of the last minute. An attempt takes its place before it is checked, so that attempts side by
/// side cannot overrun the limit, and gives it back when it succeeds.
#[derive(Debug, Default)]
pub struct Limiter {
    /// Bounded by `IN_ALL` places in all, since a place is only taken while there are fewer.
    places: HashMap<String, Vec<u64>>,
}

impl Limiter {
    /// Takes a place for an attempt from that address.
    ///
    /// # Errors
    /// The milliseconds until a place is free.
    pub fn begin(&mut self, address: &str, now: u64) -> Result<(), u64> {
        self.places.retain(|_, times| {
            times.retain(|&at| at.saturating_add(WINDOW_MS) > now);
            !times.is_empty()
        });
        let free_in =
            |oldest: Option<u64>| oldest.map_or(0, |at| (at + WINDOW_MS).saturating_sub(now)).max(1);
        if let Some(times) = self.places.get(address)
            && times.len() >= PER_ADDRESS
        {
            return Err(free_in(times.iter().min().copied()));
        }
        if self.places.values().map(Vec::len).sum::<usize>() >= IN_ALL {
            return Err(free_in(self.places.values().flatten().min().copied()));
        }
        self.places.entry(address.to_owned()).or_default().push(now);
        Ok(())
    }

    /// The attempt was right: its place is given back.
    pub fn succeeded(&mut self, address: &str) {
        if let Some(times) = self.places.get_mut(address) {
            times.pop();
        }
    }

    /// The places taken, for persistence.
    #[must_use]
    pub fn places(&self) -> &HashMap<String, Vec<u64>> {
        &self.places
    }

    /// From persisted places.
    #[must_use]
    pub fn restore(places: HashMap<String, Vec<u64>>) -> Self {
        Self { places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_in_a_minute_from_one_address_waits() {
        let mut limiter = Limiter::default();
        for n in 0..5 {
            assert_eq!(limiter.begin("a", n * 1_000), Ok(()));
        }
        assert_eq!(limiter.begin("a", 5_000), Err(55_000));
        assert_eq!(limiter.begin("b", 5_000), Ok(()), "another address is not held up");
        assert_eq!(limiter.begin("a", 60_000), Ok(()));
    }

    #[test]
    fn success_gives_the_place_back() {
        let mut limiter = Limiter::default();
        for n in 0..50 {
            assert_eq!(limiter.begin("a", n), Ok(()));
            limiter.succeeded("a");
        }
    }

    #[test]
    fn sixty_in_all_from_any_addresses() {
        let mut limiter = Limiter::default();
        for n in 0..60 {
            assert_eq!(limiter.begin(&format!("{n}"), 0), Ok(()));
        }
        assert_eq!(limiter.begin("new", 10), Err(59_990));
    }
}
