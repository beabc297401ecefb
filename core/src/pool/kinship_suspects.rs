//! Suspects: groups with unexplained drops, compared with each other.

use super::window::{Anchor, Bounds, Drop};
use super::{
    CONTRADICTED_MS, FRUITLESS_MS, OBSERVATIONS, SPAN_MS, SUSPECT_KEPT_MS, SUSPECTS, UNEXPLAINED_LEAST,
};
use super::{Evidence, Last, Pair, Suggestion, Suspect, Watch};
use std::collections::HashSet;

impl Watch {
    /// Compares what a suspect lost between two readings with what the others sent. Whether it told something.
    pub(super) fn observe(
        &mut self,
        place: usize,
        sent_order: u64,
        was: &Anchor,
        now: &Anchor,
        last: &Last,
        drop: Drop,
    ) -> bool {
        let Drop { charged, own, rest } = drop;
        let sent_all: u64 = self.suspects.iter().map(|suspect| u64::from(suspect.sent)).sum();
        let (mut kin, mut others) = (0_u64, Bounds { least: 0, most: 0 });
        for (other, suspect) in self.suspects.iter().enumerate() {
            if other == place || suspect.group.is_empty() {
                continue;
            }
            let theirs = was.of(other, now, suspect.sent);
            let unlike = suspect.last.is_some_and(|before| {
                before.bucket != last.bucket
                    || (before.order < sent_order && before.contradicts(last, sent_all))
            });
            let contradicts = unlike || theirs.least > rest.most;
            let Some(pair) = self.pairs.get_mut(place).and_then(|row| row.get_mut(other)) else { continue };
            if contradicts {
                *pair = Pair { supported: false, contradicted_at: now.at };
            } else if theirs.least > 0 && rest.least >= UNEXPLAINED_LEAST {
                pair.supported = true;
            }
            let pair = *pair;
            let back = self.pairs.get(other).and_then(|row| row.get(place)).copied().unwrap_or_default();
            let old =
                |pair: Pair| pair.contradicted_at == 0 || pair.contradicted_at + CONTRADICTED_MS < now.at;
            if pair.supported && old(pair) && old(back) {
                kin |= 1 << other;
                others.least += theirs.least;
                others.most += theirs.most;
            }
        }
        let Some(suspect) = self.suspects.get_mut(place) else { return false };
        if rest.least >= UNEXPLAINED_LEAST {
            suspect.dropped_at = now.at;
        }
        // A drop of one may be rounding: no sign of somebody else yet. Keys in strict turn show nothing else at first.
        let unexplained = rest.least >= UNEXPLAINED_LEAST && others.most < rest.least;
        if others.least > rest.most || unexplained {
            suspect.good = 0;
            return true;
        }
        // While it is not known within a factor of two, the window goes on: two organisations of one size, used in
        // turn, would pass for one.
        let (least, most) = (rest.least.min(others.least), rest.most.max(others.most));
        if rest.least < UNEXPLAINED_LEAST || least * 2 <= most {
            return false;
        }
        if suspect.kin != kin || suspect.good == 0 {
            (suspect.kin, suspect.good, suspect.since, suspect.sums) = (kin, 0, was.at, [0; 4]);
        }
        suspect.good += 1;
        suspect.until = now.at;
        let [drop, mine, least, most] = &mut suspect.sums;
        *drop += charged.middle();
        *mine += own.most.unsigned_abs();
        *least += others.least.unsigned_abs();
        *most += others.most.unsigned_abs();
        true
    }

    pub(super) fn suspect(&mut self, at: u64, group: &str) {
        let free = |suspect: &Suspect| {
            let fruitless = suspect.good == 0 && suspect.joined_at + FRUITLESS_MS < at;
            suspect.group.is_empty() || suspect.dropped_at + SUSPECT_KEPT_MS < at || fruitless
        };
        let place = if self.suspects.len() < SUSPECTS {
            self.suspects.push(Suspect::default());
            self.pairs.push([Pair::default(); SUSPECTS]);
            self.suspects.len() - 1
        } else if let Some(place) = self.suspects.iter().position(free) {
            self.clear(place);
            place
        } else {
            return;
        };
        if let Some(suspect) = self.suspects.get_mut(place) {
            *suspect =
                Suspect { group: group.to_owned(), joined_at: at, dropped_at: at, ..Suspect::default() };
        }
        if let Some(track) = self.tracks.get_mut(group) {
            track.suspect = Some(place);
            if let Some(suspect) = self.suspects.get_mut(place) {
                (suspect.sent, suspect.answered) = (track.sent, track.answered);
            }
        }
        self.start_again();
    }

    /// Counts of before a suspect came or went do not compare with those of after.
    pub(super) fn start_again(&mut self) {
        for suspect in &mut self.suspects {
            suspect.last = None;
            if let Some(track) = self.tracks.get_mut(&suspect.group) {
                track.anchor = None;
                track.flights.iter_mut().for_each(|flight| flight.suspects = None);
            }
        }
    }

    pub(super) fn clear(&mut self, place: usize) {
        let Some(suspect) = self.suspects.get_mut(place) else { return };
        let group = std::mem::take(suspect).group;
        if let Some(track) = self.tracks.get_mut(&group) {
            track.suspect = None;
        }
        if let Some(row) = self.pairs.get_mut(place) {
            *row = [Pair::default(); SUSPECTS];
        }
        for (row, suspect) in self.pairs.iter_mut().zip(&mut self.suspects) {
            if let Some(pair) = row.get_mut(place) {
                *pair = Pair::default();
            }
            if suspect.kin & 1 << place != 0 {
                (suspect.kin, suspect.good) = (0, 0);
            }
        }
        self.start_again();
    }

    pub(super) fn suggest(&self, now: u64, model: &str, found: &mut Vec<Suggestion>) {
        let mut said: HashSet<u64> = HashSet::new();
        for (place, suspect) in self.suspects.iter().enumerate() {
            let set = suspect.kin | 1 << place;
            if suspect.good == 0 || set.count_ones() < 2 || !said.insert(set) {
                continue;
            }
            let members = || self.suspects.iter().enumerate().filter(move |(other, _)| set & 1 << other != 0);
            let agreed = members()
                .all(|(other, member)| member.good >= OBSERVATIONS && member.kin | 1 << other == set);
            let since = members().map(|(_, member)| member.since).min().unwrap_or(now);
            let until = members().map(|(_, member)| member.until).max().unwrap_or(0);
            let bucket = suspect.last.map(|last| last.bucket);
            let (true, true, Some(bucket)) = (agreed, until >= since + SPAN_MS, bucket) else { continue };
            let sum = |of: usize| members().filter_map(|(_, member)| member.sums.get(of)).sum();
            let resets = || members().filter_map(|(_, member)| member.last?.reset_at);
            let mut groups: Vec<String> = members().map(|(_, member)| member.group.clone()).collect();
            groups.sort_unstable();
            found.push(Suggestion {
                groups,
                model: model.to_owned(),
                evidence: Evidence {
                    observations: members().map(|(_, member)| member.good).sum(),
                    limit: bucket.limit,
                    window: bucket.window,
                    drop: sum(0),
                    own: sum(1),
                    others_least: sum(2),
                    others_most: sum(3),
                    resets_within_ms: resets().max().zip(resets().min()).map(|(max, min)| max - min),
                },
                since,
            });
        }
    }
}
