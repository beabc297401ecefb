//! What waits, by numbers that JavaScript's hold.

use slab::Slab;

/// The part of a number that says where: more than four million at a time do not fit into an isolate's memory.
const PLACE_BITS: u32 = 22;
/// The part that tells those apart that had the same place one after the other, so that what comes late meets nobody
/// else. It comes around after two thousand million.
const TURN_BITS: u32 = 53 - PLACE_BITS;

/// Things by number. Finding one is a look at its place: a map's search and shifting were 2 % of a request.
#[derive(Debug)]
pub struct Slots<T> {
    turn: u64,
    slots: Slab<(u64, T)>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { turn: 0, slots: Slab::new() }
    }
}

impl<T> Slots<T> {
    /// Keeps it and gives its number, below 2^53.
    pub fn insert(&mut self, thing: T) -> u64 {
        self.turn = (self.turn + 1) % (1 << TURN_BITS);
        let place = self.slots.insert((self.turn, thing));
        self.turn << PLACE_BITS | place as u64
    }

    /// The thing of that number, if it is still here.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (turn, thing) = self.slots.get_mut(place(number))?;
        (*turn == number >> PLACE_BITS).then_some(thing)
    }

    /// Takes it out.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        self.get_mut(number)?;
        self.slots.try_remove(place(number)).map(|(_, thing)| thing)
    }

    /// Takes out all that are `meant`.
    pub fn remove_all(&mut self, meant: impl Fn(&T) -> bool) -> Vec<T> {
        let places: Vec<usize> =
            self.slots.iter().filter(|(_, (_, thing))| meant(thing)).map(|(place, _)| place).collect();
        places.into_iter().filter_map(|place| self.slots.try_remove(place)).map(|(_, thing)| thing).collect()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.len()
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number & ((1 << PLACE_BITS) - 1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_out_is_not_found_by_its_number_though_its_place_is_taken_again() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(place(first), place(second));
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn numbers_stay_below_what_javascript_counts_exactly_and_come_around() {
        let mut slots = Slots { turn: (1 << TURN_BITS) - 2, ..Slots::default() };
        let (last, next) = (slots.insert(1), slots.insert(2));
        assert!(last < 1 << 53 && next < 1 << 53 && last != next);
        assert_eq!((slots.get_mut(last).copied(), slots.get_mut(next).copied()), (Some(1), Some(2)));
    }

    #[test]
    fn those_meant_are_taken_out_and_the_others_keep_their_numbers() {
        let mut slots = Slots::default();
        let numbers: Vec<u64> = (0..6).map(|n| slots.insert(n)).collect();
        assert_eq!(slots.remove_all(|n| n % 2 == 0), [0, 2, 4]);
        assert_eq!(numbers.iter().filter_map(|number| slots.remove(*number)).collect::<Vec<_>>(), [1, 3, 5]);
    }
}
