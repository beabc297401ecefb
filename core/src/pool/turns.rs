//! Several turns of the same rotation one after the other, or one whose first candidates turn out not to fit: the
//! keys are put in order once. All gain their shares in each round, so that among keys of the same share the order
//! only changes by what is taken: a heap for each share, and the richest of their heads is next. What was gained is
//! written down when a key leaves, or at the end.

use super::keys::Roster;
use super::models::Model;
use super::pick::{Bounds, Fits, Need};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Keys set aside one by one before all are looked at exactly.
const SET_ASIDE: usize = 12;
/// Keys in whose favour the caller may decide otherwise before the search for the next is given up.
const DECLINED: usize = 32;

/// Keys that may serve, in order.
#[derive(Debug)]
pub struct Turns {
    need: Need,
    now: u64,
    by: u64,
    /// By share: credit without what was gained since, and place. Who is marked as excluded has left.
    heaps: BTreeMap<u32, BinaryHeap<(i64, Reverse<u32>)>>,
    /// What all gain in a round.
    total: i64,
    rounds: i64,
    /// Can't serve: out until the end.
    aside: Vec<usize>,
    /// Could, but the caller decided otherwise: out until the next turn.
    declined: Vec<usize>,
    /// Whether all were looked at exactly.
    exact: bool,
    /// The group that was taken from last.
    last: Option<usize>,
}

impl Roster {
    /// Those that may serve by then. With `gained` each of them has its share of a round that nobody has paid for:
    /// it goes back.
    pub fn turns(&mut self, model: Option<&Model>, need: &Need, now: u64, by: u64, gained: bool) -> Turns {
        let bounds = Bounds::of(model, self.mark(), need, now, by);
        let mut lists: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        let mut total = 0;
        for (at, (lane, hold)) in (0..).zip(self.lanes.iter_mut().zip(&self.holds)) {
            if bounds.may(lane, hold) {
                let share = i64::from(lane.share);
                total += share;
                if gained {
                    lane.credit -= share;
                }
                lists.entry(lane.share).or_default().push((lane.credit, Reverse(at)));
            }
        }
        let heaps = lists.into_iter().map(|(share, list)| (share, list.into())).collect();
        Turns {
            need: *need,
            now,
            by,
            heaps,
            total,
            rounds: 0,
            aside: Vec::new(),
            declined: Vec::new(),
            exact: false,
            last: None,
        }
    }

    /// Takes the next key that can serve, and to whose group `also` agrees. Returns its place and what it paid.
    pub fn next(
        &mut self,
        turns: &mut Turns,
        model: Option<&Model>,
        mut also: impl FnMut(usize) -> bool,
    ) -> Option<(usize, i64)> {
        self.rejoin(turns);
        if let Some(group) = turns.last.take()
            && model.is_some_and(|model| model.ready_at(group) > turns.by)
        {
            // None of its keys can serve any more: those that were among them leave.
            for at in self.groups.get(group).map(|of| of.keys.clone()).unwrap_or_default() {
                let others = Bounds::of(None, self.mark(), &turns.need, turns.now, turns.by);
                let held = self.lanes.get(at).zip(self.holds.get(at));
                if held.is_some_and(|(lane, hold)| others.may(lane, hold)) {
                    self.leave(turns, at);
                    turns.aside.push(at);
                }
            }
        }
        let mut tried = 0;
        while turns.declined.len() < DECLINED {
            let at = self.head(turns)?;
            let group = self.slots.get(at).map_or(usize::MAX, |slot| slot.group);
            if self.fits_by(turns, at, model) {
                if also(group) {
                    return self.pay(turns, at, group);
                }
                turns.declined.push(at);
            } else {
                turns.aside.push(at);
            }
            self.leave(turns, at);
            tried += 1;
            if tried >= SET_ASIDE && !turns.exact {
                turns.exact = true;
                let mark = self.mark();
                let places = turns.heaps.values().flatten().map(|(_, Reverse(at))| *at as usize);
                let there = |at: &usize| self.lanes.get(*at).is_some_and(|lane| lane.mark != mark);
                for at in places.filter(there).collect::<Vec<_>>() {
                    if !self.fits_by(turns, at, model) {
                        self.leave(turns, at);
                        turns.aside.push(at);
                    }
                }
            }
        }
        None
    }

    /// The turns are over: all have what they gained, and may be asked again.
    pub fn settle(&mut self, mut turns: Turns) {
        self.rejoin(&mut turns);
        let mark = self.mark();
        for (share, heap) in turns.heaps {
            let gained = turns.rounds * i64::from(share);
            for (_, Reverse(at)) in heap {
                if let Some(lane) = self.lanes.get_mut(at as usize)
                    && lane.mark != mark
                {
                    lane.credit += gained;
                }
            }
        }
        for at in turns.aside {
            self.include_at(at);
        }
    }

    fn fits_by(&self, turns: &Turns, at: usize, model: Option<&Model>) -> bool {
        matches!(self.fits(at, model, &turns.need, turns.now), Fits::From(from) if from <= turns.by)
    }

    /// Whose turn it is, taken out of its heap: of equals the first.
    fn head(&self, turns: &mut Turns) -> Option<usize> {
        let mark = self.mark();
        let mut best: Option<(i64, Reverse<u32>)> = None;
        for (share, heap) in &mut turns.heaps {
            let left = |at: u32| self.lanes.get(at as usize).is_none_or(|lane| lane.mark == mark);
            while heap.peek().is_some_and(|(_, Reverse(at))| left(*at)) {
                heap.pop();
            }
            let of = heap.peek().map(|(credit, at)| (credit + (turns.rounds + 1) * i64::from(*share), *at));
            best = best.max(of);
        }
        let at = best.map(|(_, Reverse(at))| at as usize)?;
        turns.heaps.get_mut(&self.lanes.get(at)?.share)?.pop();
        Some(at)
    }

    /// It takes its turn, for which all gain.
    fn pay(&mut self, turns: &mut Turns, at: usize, group: usize) -> Option<(usize, i64)> {
        let lane = self.lanes.get_mut(at)?;
        lane.credit -= turns.total;
        turns.heaps.get_mut(&lane.share)?.push((lane.credit, Reverse(u32::try_from(at).ok()?)));
        turns.rounds += 1;
        turns.last = Some(group);
        Some((at, turns.total))
    }

    /// Who can't serve gains nothing from now on.
    fn leave(&mut self, turns: &mut Turns, at: usize) {
        let mark = self.mark();
        let Some(lane) = self.lanes.get_mut(at) else { return };
        lane.mark = mark;
        turns.total -= i64::from(lane.share);
        lane.credit += turns.rounds * i64::from(lane.share);
    }

    /// Those whom the caller declined are among the others again.
    fn rejoin(&mut self, turns: &mut Turns) {
        for at in turns.declined.drain(..) {
            let Some(lane) = self.lanes.get_mut(at) else { continue };
            lane.mark = 0;
            turns.total += i64::from(lane.share);
            lane.credit -= turns.rounds * i64::from(lane.share);
            if let (Some(heap), Ok(place)) = (turns.heaps.get_mut(&lane.share), u32::try_from(at)) {
                heap.push((lane.credit, Reverse(place)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyRow;
    use super::*;

    const NEED: Need = Need { provider: 0, tokens: 1, insist: false, soft: true, proven: false };

    /// Keys of those weights; the last two share a group.
    fn roster(weights: &[u32]) -> Roster {
        let row = |(n, weight): (usize, &u32)| KeyRow {
            id: format!("k{n}"),
            provider: "p".to_owned(),
            group: (n + 2 >= weights.len()).then(|| "g".to_owned()),
            weight: *weight,
            enabled: true,
            ..KeyRow::default()
        };
        let mut roster = Roster::default();
        roster.configure(weights.iter().enumerate().map(row).collect());
        roster.exclude(&[]);
        roster
    }

    fn credits(roster: &Roster) -> Vec<i64> {
        roster.lanes.iter().map(|lane| lane.credit).collect()
    }

    #[test]
    fn turns_in_a_row_are_those_of_single_picks() {
        let weights = [1, 5, 2, 2, 3, 1, 8, 1];
        let (mut one, mut row) = (roster(&weights), roster(&weights));
        for count in [1, 7, 64, 30] {
            let single: Vec<_> = (0..count).map(|_| one.take(None, &NEED, 0, 0, |_| true, None)).collect();
            let mut turns = row.turns(None, &NEED, 0, 0, false);
            let taken: Vec<_> = (0..count).map(|_| row.next(&mut turns, None, |_| true)).collect();
            row.settle(turns);
            assert_eq!(taken, single);
            assert_eq!(credits(&row), credits(&one));
        }
    }

    #[test]
    fn who_is_set_aside_neither_gains_nor_pays() {
        let mut all = roster(&[1; 40]);
        let mut without = roster(&[1; 40]);
        without.exclude(&(0..20).map(|n| format!("k{n}")).collect::<Vec<_>>());
        let taken = all.take(None, &NEED, 0, 0, |group| group >= 20, None);
        assert_eq!(taken, without.take(None, &NEED, 0, 0, |_| true, None));
        assert_eq!(credits(&all), credits(&without));
        assert_eq!(all.take(None, &NEED, 0, 0, |_| false, None), None);
        assert_eq!(credits(&all), credits(&without), "and a pick that finds nobody changes nothing");
    }

    #[test]
    fn a_group_that_is_used_up_leaves_with_all_its_keys() {
        let mut roster = roster(&[1, 1, 1, 1]);
        let mut models = super::super::models::Models::default();
        models.ensure("m", 0, |_| {});
        let mut turns = roster.turns(models.get("m"), &NEED, 0, 0, false);
        let mut taken = Vec::new();
        for _ in 0..9 {
            let Some((at, _)) = roster.next(&mut turns, models.get("m"), |_| true) else { break };
            taken.push(at);
            if at == 2 {
                models.get_mut("m").unwrap().with_quota(2, |quota| quota.cool_until = 9);
            }
        }
        let before: i64 = credits(&roster).iter().sum();
        roster.settle(turns);
        assert_eq!(taken.iter().filter(|at| **at >= 2).count(), 1, "{taken:?}");
        assert_ne!(before, 0, "what was gained is written down at the end");
        assert_eq!(credits(&roster).iter().sum::<i64>(), 0, "and is what was paid");
    }
}
