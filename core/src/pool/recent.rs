//! What was taken from a quota and given back in the last minute, to tell what it held when a header was written.

use std::collections::VecDeque;

/// How long it matters: an answer's head is older than its report by the length of the answer.
const KEPT_MS: u64 = 30_000;
/// Entries kept at the most: two for each request, and no key sends more than some hundred a second.
const KEPT: usize = 4_096;

/// Requests, all tokens, tokens that were not cached.
pub type Amounts = [i64; 3];

/// One change, with sums up to and including it.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    at: u64,
    sum: Amounts,
    /// Of these, what was reserved.
    reserved: Amounts,
}

/// The changes of the last minute, in order of their moments.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    changes: VecDeque<Change>,
    /// Sums of what was forgotten.
    before: Change,
    last: (u64, Amounts),
}

/// Their sum.
pub fn add(one: Amounts, other: Amounts) -> Amounts {
    let [a, b, c] = one;
    let [x, y, z] = other;
    [a + x, b + y, c + z]
}

/// Their difference.
pub fn minus(one: Amounts, other: Amounts) -> Amounts {
    let [x, y, z] = other;
    add(one, [-x, -y, -z])
}

impl Recent {
    /// A reservation, to be sent at that moment.
    pub fn reserved(&mut self, at: u64, amounts: Amounts) {
        self.note(at, amounts, amounts);
    }

    /// A settlement, or what came without a reservation.
    pub fn settled(&mut self, at: u64, amounts: Amounts) {
        self.last = (at, amounts);
        self.note(at, amounts, [0; 3]);
    }

    /// The last settlement, and its moment.
    #[must_use]
    pub fn last_settled(&self) -> (u64, Amounts) {
        self.last
    }

    fn note(&mut self, at: u64, sum: Amounts, reserved: Amounts) {
        while self.changes.len() >= KEPT || self.changes.front().is_some_and(|first| first.at + KEPT_MS < at)
        {
            if let Some(first) = self.changes.pop_front() {
                self.before = first;
            }
        }
        // They come nearly in order: few have to move.
        let place = self.after(at);
        let former = place.checked_sub(1).and_then(|place| self.changes.get(place)).unwrap_or(&self.before);
        let change = Change { at, sum: add(former.sum, sum), reserved: add(former.reserved, reserved) };
        self.changes.insert(place, change);
        for later in self.changes.iter_mut().skip(place + 1) {
            later.sum = add(later.sum, sum);
            later.reserved = add(later.reserved, reserved);
        }
    }

    /// The place of the first change after that moment.
    fn after(&self, at: u64) -> usize {
        let mut place = self.changes.len();
        while place > 0 && self.changes.get(place - 1).is_some_and(|change| change.at > at) {
            place -= 1;
        }
        place
    }

    fn until(&self, at: u64) -> &Change {
        let place = self.changes.partition_point(|change| change.at <= at);
        place.checked_sub(1).and_then(|place| self.changes.get(place)).unwrap_or(&self.before)
    }

    /// What changed after that moment; `None` when it is too long ago to tell.
    #[must_use]
    pub fn since(&self, at: u64) -> Option<Amounts> {
        if at < self.before.at {
            return None;
        }
        let sum = self.changes.back().unwrap_or(&self.before).sum;
        Some(minus(sum, self.until(at).sum))
    }

    /// When something was first changed after that moment.
    #[must_use]
    pub fn first_after(&self, at: u64) -> Option<u64> {
        let place = self.changes.partition_point(|change| change.at <= at);
        self.changes.get(place).map(|change| change.at)
    }

    /// What was reserved within a stretch that ends at that moment.
    #[must_use]
    pub fn reserved_within(&self, ms: u64, at: u64) -> Amounts {
        minus(self.until(at).reserved, self.until(at.saturating_sub(ms)).reserved)
    }
}

#[cfg(test)]
impl Recent {
    /// Bytes that it holds beside itself.
    pub fn heap(&self) -> usize {
        self.changes.capacity() * size_of::<Change>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_count_by_their_moment_not_by_their_order() {
        let mut recent = Recent::default();
        recent.reserved(1_000, [1, 100, 100]);
        recent.reserved(3_000, [1, 200, 200]);
        recent.settled(2_000, [0, -60, -70]);
        assert_eq!(recent.since(500), Some([2, 240, 230]));
        assert_eq!(recent.since(1_000), Some([1, 140, 130]));
        assert_eq!(recent.since(2_500), Some([1, 200, 200]));
        assert_eq!(recent.since(3_000), Some([0, 0, 0]));
        assert_eq!(recent.reserved_within(1_500, 2_500), [0, 0, 0]);
        assert_eq!(recent.reserved_within(1_600, 2_500), [1, 100, 100]);
        assert_eq!(recent.last_settled(), (2_000, [0, -60, -70]));
    }

    #[test]
    fn what_was_forgotten_is_not_made_up() {
        let mut recent = Recent::default();
        for n in 0..10 {
            recent.reserved(n * 10_000, [1, 10, 10]);
        }
        assert_eq!(recent.since(10_000), None, "too long ago");
        assert_eq!(recent.since(70_000), Some([2, 20, 20]));
    }

    #[test]
    fn it_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..20_000 {
            recent.reserved(n, [1, 1, 1]);
        }
        assert_eq!(recent.changes.len(), KEPT);
        assert_eq!(recent.since(19_989), Some([10, 10, 10]));
    }
}
