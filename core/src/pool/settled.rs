//! The grant numbers settled in the last two minutes, so that a repeated settle changes nothing.

use super::protocol::GrantId;
use crate::limits::grant::NUMBERS_KEPT_MS;
use std::collections::{HashSet, VecDeque};

/// Recently settled numbers, forgotten by age.
#[derive(Debug, Default)]
pub struct Settled {
    known: HashSet<GrantId>,
    order: VecDeque<(u64, GrantId)>,
}

impl Settled {
    /// Notes the number; false when it was known already.
    pub fn note(&mut self, at: u64, id: GrantId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back((at, id));
        true
    }

    /// Whether the number was settled of late.
    #[must_use]
    pub fn knows(&self, id: GrantId) -> bool {
        self.known.contains(&id)
    }

    /// Forgets what is older than two minutes.
    pub fn forget_before(&mut self, now: u64) {
        while let Some(&(at, id)) = self.order.front() {
            if at.saturating_add(NUMBERS_KEPT_MS) > now {
                break;
            }
            self.order.pop_front();
            self.known.remove(&id);
        }
    }

    /// How many numbers are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_once_for_two_minutes() {
        let mut settled = Settled::default();
        assert!(settled.note(0, 7));
        assert!(!settled.note(119_000, 7));
        settled.forget_before(119_999);
        assert_eq!(settled.len(), 1);
        settled.forget_before(120_000);
        assert!(settled.is_empty());
    }
}
