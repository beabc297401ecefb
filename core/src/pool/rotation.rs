//! Smooth weighted round robin (the algorithm of nginx's upstream module): each turn every candidate gains
//! its weight, the richest is taken and pays what all gained. Equal weights give a strict cycle, others an
//! even spread, and whoever is not a candidate neither gains nor pays, so nobody catches up after a rest.

/// Something that takes turns.
pub trait Turn {
    /// Its share.
    fn weight(&self) -> i64;
    /// What it has saved up.
    fn credit(&mut self) -> &mut i64;
}

/// Takes the next of the candidates that `eligible` lets through. Returns its position and what it paid.
pub fn take<T: Turn>(all: &mut [T], mut eligible: impl FnMut(&T) -> bool) -> Option<(usize, i64)> {
    let mut total = 0;
    let mut best: Option<(usize, i64)> = None;
    for (position, candidate) in all.iter_mut().enumerate() {
        if !eligible(candidate) {
            continue;
        }
        let weight = candidate.weight().max(0);
        if weight == 0 {
            continue;
        }
        total += weight;
        let credit = candidate.credit();
        *credit += weight;
        let credit = *credit;
        if best.is_none_or(|(_, most)| credit > most) {
            best = Some((position, credit));
        }
    }
    let (position, _) = best?;
    if let Some(taken) = all.get_mut(position) {
        *taken.credit() -= total;
    }
    Some((position, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(i64, i64, bool);
    impl Turn for Item {
        fn weight(&self) -> i64 {
            self.0
        }
        fn credit(&mut self) -> &mut i64 {
            &mut self.1
        }
    }

    fn turns(items: &mut [Item], count: usize) -> Vec<usize> {
        (0..count).filter_map(|_| take(items, |item| item.2).map(|taken| taken.0)).collect()
    }

    #[test]
    fn equal_weights_cycle_strictly() {
        let mut items = [Item(1, 0, true), Item(1, 0, true), Item(1, 0, true)];
        assert_eq!(turns(&mut items, 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn weights_are_kept_and_spread() {
        let mut items = [Item(5, 0, true), Item(1, 0, true), Item(1, 0, true)];
        let taken = turns(&mut items, 7);
        assert_eq!([0, 1, 2].map(|n| taken.iter().filter(|&&t| t == n).count()), [5, 1, 1]);
        assert_ne!(taken[..5], [0; 5], "the heavy one does not take its share in one run");
    }

    #[test]
    fn who_rests_does_not_catch_up() {
        let mut items = [Item(1, 0, true), Item(1, 0, false)];
        turns(&mut items, 100);
        items[1].2 = true;
        let taken = turns(&mut items, 10);
        assert_eq!(taken.iter().filter(|&&t| t == 1).count(), 5);
    }

    #[test]
    fn nobody_eligible_is_nobody() {
        assert_eq!(take(&mut [Item(1, 0, false), Item(0, 0, true)], |item| item.2), None);
    }
}
