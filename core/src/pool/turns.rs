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
    /// By share: credit without what was gained since, and place. Who was excluded since has left.
    heaps: BTreeMap<u32, BinaryHeap<(i64, Reverse<u32>)>>,
    /// What all gain in a round.
    total: i64,
    rounds: i64,
    aside: Vec<usize>,
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
        Turns { need: *need, now, by, heaps, total, rounds: 0, aside: Vec::new(), exact: false, last: None }
    }

    /// Takes the next key that can serve, and to whose group `also` agrees. Returns its place and what it paid.
    pub fn next(
        &mut self,
        turns: &mut Turns,
        model: Option<&Model>,
        mut also: impl FnMut(usize) -> bool,
    ) -> Option<(usize, i64)> {
        if let Some(group) = turns.last.take()
            && model.is_some_and(|model| model.ready_at(group) > turns.by)
        {
            // None of its keys can serve any more: those that were among them leave.
            for at in self.groups.get(group).map(|of| of.keys.clone()).unwrap_or_default() {
                let others = Bounds::of(None, self.mark(), &turns.need, turns.now, turns.by);
                let held = self.lanes.get(at).zip(self.holds.get(at));
                if held.is_some_and(|(lane, hold)| others.may(lane, hold)) {
                    self.leave(turns, at);
                }
            }
        }
        let mut declined = 0;
        while declined < DECLINED {
            let at = self.head(turns)?;
            let group = self.slots.get(at).map_or(usize::MAX, |slot| slot.group);
            if self.fits_by(turns, at, model) {
                if also(group) {
                    return self.pay(turns, at, group);
                }
                declined += 1;
            }
            self.leave(turns, at);
            if turns.aside.len() >= SET_ASIDE && !turns.exact {
                turns.exact = true;
                for at in turns.places() {
                    if !self.fits_by(turns, at, model) {
                        self.leave(turns, at);
                    }
                }
            }
        }
        None
    }

    /// The turns are over: all have what they gained, and may be asked again.
    pub fn settle(&mut self, turns: Turns) {
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

    /// Whose turn it is: of equals the first.
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
        best.map(|(_, Reverse(at))| at as usize)
    }

    /// The head takes its turn, for which all gain.
    fn pay(&mut self, turns: &mut Turns, at: usize, group: usize) -> Option<(usize, i64)> {
        let lane = self.lanes.get_mut(at)?;
        lane.credit -= turns.total;
        let mut head = turns.heaps.get_mut(&lane.share)?.peek_mut()?;
        head.0 = lane.credit;
        turns.rounds += 1;
        turns.last = Some(group);
        Some((at, turns.total))
    }

    /// Who can't serve gains nothing from now on.
    fn leave(&mut self, turns: &mut Turns, at: usize) {
        let mark = self.mark();
        let Some(lane) = self.lanes.get_mut(at) else { return };
        if lane.mark == mark {
            return;
        }
        lane.mark = mark;
        turns.aside.push(at);
        turns.total -= i64::from(lane.share);
        lane.credit += turns.rounds * i64::from(lane.share);
    }
}

impl Turns {
    fn places(&self) -> Vec<usize> {
        self.heaps.values().flatten().map(|(_, Reverse(at))| *at as usize).collect()
    }
}
