//! What is known of each model: whether it is there, what its requests use, and its quota in each group.

use super::quota::Quota;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many models are remembered at the most: under `passthrough` their names come from clients.
pub const MODELS_KEPT: usize = 128;
/// Quotas kept over all models; idle ones go first.
pub const QUOTAS_KEPT: usize = 60_000;
/// Weight of one sample in the running means: 1/16.
const SAMPLES: f64 = 16.0;
/// What a request is taken to use until one has been seen.
const FIRST_COMPLETION: f64 = 512.0;
const FIRST_DURATION_MS: f64 = 1_000.0;
/// No estimate is corrected further than this.
const CORRECTION: std::ops::RangeInclusive<f64> = 0.25..=4.0;

/// What is held against a model, and what was learned of it. Persisted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelState {
    /// Groups that were told it does not exist, and when. Two of them (or the only one) make it gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(String, u64)>,
    /// When something was last held against it. Only an attempt sent later can lift it.
    pub since: u64,
    /// Not used before that time.
    pub gone_until: u64,
    /// When a request that was answered was last sent; to the minute while nobody doubts it.
    #[serde(skip_serializing_if = "is_zero")]
    pub answered_at: u64,
    /// True prompt tokens for one estimated token, in 1,024ths; 0 when none was seen.
    #[serde(skip_serializing_if = "is_zero")]
    pub ratio: u64,
    /// Its mean absolute deviation.
    #[serde(skip_serializing_if = "is_zero")]
    pub spread: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ModelState {
    /// What a prompt estimated at so many tokens is taken to hold: the mean correction and as much again as
    /// estimates scatter, since what the upstream finds larger than we do is refused.
    #[must_use]
    pub fn corrected(&self, prompt_estimate: u64) -> u64 {
        if self.ratio == 0 {
            return prompt_estimate;
        }
        (prompt_estimate as f64 * (self.ratio + self.spread) as f64 / 1_024.0).ceil() as u64
    }

    /// An answer's true prompt. Returns whether the correction changed by more than a hundredth.
    pub fn learn_prompt(&mut self, estimated: u64, real: u64) -> bool {
        if estimated < 8 || real == 0 {
            return false;
        }
        let ratio = (real as f64 / estimated as f64).clamp(*CORRECTION.start(), *CORRECTION.end()) * 1_024.0;
        let before = (self.ratio, self.spread);
        if self.ratio == 0 {
            self.ratio = ratio as u64;
            self.spread = (ratio / 8.0) as u64;
        } else {
            let mean = self.ratio as f64;
            let off = (ratio - mean).abs();
            self.ratio = (mean + (ratio - mean) / SAMPLES).round() as u64;
            self.spread = (self.spread as f64 + (off - self.spread as f64) / SAMPLES).round() as u64;
        }
        before.0.abs_diff(self.ratio) > 10 || before.1.abs_diff(self.spread) > 10
    }
}

/// The place of a quota that is not there.
const NOWHERE: u32 = u32::MAX;

/// A model.
#[derive(Debug)]
pub struct Model {
    /// Persisted.
    pub state: ModelState,
    /// A number of its own, for comparing.
    pub number: u32,
    /// Its queue is full: not used before that time. Not persisted: it is over in a moment.
    pub pause_until: u64,
    /// When something was last held against it that is not persisted.
    pub since: u64,
    /// Completion tokens of an answer, on average.
    pub completion: f64,
    /// Milliseconds from sending to the end, on average.
    pub duration: f64,
    /// When it was last asked for.
    pub touched_at: u64,
    /// By group: before that time not even the smallest request fits. Dense, for scans over all groups.
    ready: Vec<u64>,
    /// By group: the place in `quotas`.
    places: Vec<u32>,
    quotas: Vec<Quota>,
    /// The group of each quota.
    groups: Vec<usize>,
}

impl Model {
    fn new(number: u32) -> Self {
        Self {
            state: ModelState::default(),
            number,
            pause_until: 0,
            since: 0,
            completion: FIRST_COMPLETION,
            duration: FIRST_DURATION_MS,
            touched_at: 0,
            ready: Vec::new(),
            places: Vec::new(),
            quotas: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn place(&self, group: usize) -> u32 {
        self.places.get(group).copied().unwrap_or(NOWHERE)
    }

    /// The bounds of all groups that something is known of, by place: before them they cannot serve.
    pub(super) fn bounds(&self) -> &[u64] {
        &self.ready
    }

    /// A bound below which the group cannot serve; 0 when nothing is known.
    #[must_use]
    pub fn ready_at(&self, group: usize) -> u64 {
        self.ready.get(group).copied().unwrap_or(0)
    }

    /// The group's quota, if anything is known of it.
    #[must_use]
    pub fn quota(&self, group: usize) -> Option<&Quota> {
        self.quotas.get(self.place(group) as usize)
    }

    /// Changes a group's quota, made if need be, and keeps the bound that scans compare with.
    pub fn with_quota<T>(&mut self, group: usize, change: impl FnOnce(&mut Quota) -> T) -> Option<T> {
        if self.places.len() <= group {
            self.places.resize(group + 1, NOWHERE);
            self.ready.resize(group + 1, 0);
        }
        let (place, ready_at) = (self.places.get_mut(group)?, self.ready.get_mut(group)?);
        if *place == NOWHERE {
            *place = u32::try_from(self.quotas.len()).ok()?;
            self.quotas.push(Quota::default());
            self.groups.push(group);
        }
        let quota = self.quotas.get_mut(*place as usize)?;
        let out = change(quota);
        *ready_at = quota.ready_at();
        Some(out)
    }

    /// The same for a quota that is there.
    pub fn with_known<T>(&mut self, group: usize, change: impl FnOnce(&mut Quota) -> T) -> Option<T> {
        if self.place(group) == NOWHERE { None } else { self.with_quota(group, change) }
    }

    /// All quotas with their groups.
    pub fn quotas(&self) -> impl Iterator<Item = (usize, &Quota)> {
        self.groups.iter().copied().zip(&self.quotas)
    }

    /// What a request of that prompt is expected to use in the end.
    #[must_use]
    pub fn expected(&self, prompt_estimate: u64, max_completion: Option<u64>) -> u64 {
        let completion = max_completion.map_or(self.completion, |most| self.completion.min(most as f64));
        self.state.corrected(prompt_estimate) + completion as u64
    }

    /// An answer was whole.
    pub fn learn_answer(&mut self, completion: u64, duration_ms: u64) {
        self.completion += (completion as f64 - self.completion) / SAMPLES;
        self.duration += (duration_ms as f64 - self.duration) / SAMPLES;
    }

    /// Groups have new places: `moved` tells where a group went; what is gone is forgotten.
    pub fn regroup(&mut self, moved: &[Option<usize>]) {
        let quotas = std::mem::take(&mut self.quotas);
        let groups = std::mem::take(&mut self.groups);
        self.ready.clear();
        self.places.clear();
        for (group, quota) in groups.into_iter().zip(quotas) {
            if let Some(Some(group)) = moved.get(group) {
                self.with_quota(*group, |place| *place = quota);
            }
        }
    }

    fn forget_idle(&mut self, now: u64, before: u64) {
        let quotas = std::mem::take(&mut self.quotas);
        let groups = std::mem::take(&mut self.groups);
        self.ready.clear();
        self.places.clear();
        for (group, quota) in groups.into_iter().zip(quotas) {
            if quota.touched_at >= before || !quota.is_idle(now) {
                self.with_quota(group, |place| *place = quota);
            }
        }
    }
}

/// All models.
#[derive(Debug, Default)]
pub struct Models {
    /// In an order that is always the same: which of two equal ones is taken must not depend on it.
    by_name: BTreeMap<String, Model>,
    numbers: u32,
}

impl Models {
    /// A model, if anything is known of it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.by_name.get(name)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Model> {
        self.by_name.get_mut(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Model)> {
        self.by_name.iter()
    }

    /// All of them, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Model)> {
        self.by_name.iter_mut()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The model, made if need be. When there are too many the one that was least recently asked for and has
    /// nothing under way makes room; `forgotten` is told its name.
    pub fn ensure(&mut self, name: &str, now: u64, forgotten: impl FnOnce(&str)) -> Option<&mut Model> {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= MODELS_KEPT {
                let stale = self
                    .by_name
                    .iter()
                    .filter(|(_, model)| model.quotas.iter().all(|quota| quota.open == 0))
                    .min_by_key(|(_, model)| model.touched_at.max(model.state.gone_until.min(now)))
                    .or_else(|| self.by_name.iter().min_by_key(|(_, model)| model.touched_at))
                    .map(|(name, _)| name.clone());
                if let Some(stale) = stale {
                    forgotten(&stale);
                    self.by_name.remove(&stale);
                }
            }
            self.numbers += 1;
            self.by_name.insert(name.to_owned(), Model::new(self.numbers));
        }
        let model = self.by_name.get_mut(name)?;
        model.touched_at = model.touched_at.max(now);
        Some(model)
    }

    /// Groups have new places.
    pub fn regroup(&mut self, moved: &[Option<usize>]) {
        for model in self.by_name.values_mut() {
            model.regroup(moved);
        }
    }

    /// Keeps memory bounded: beyond so many quotas those go that are full and unused for the longest.
    pub fn sweep(&mut self, now: u64) {
        let mut unused_for = 3_600_000;
        while self.by_name.values().map(|model| model.quotas.len()).sum::<usize>() > QUOTAS_KEPT
            && unused_for >= 1_000
        {
            for model in self.by_name.values_mut() {
                model.forget_idle(now, now.saturating_sub(unused_for));
            }
            unused_for /= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_models_came_to_be_known_decides_nothing() {
        let names = |order: [&str; 4]| -> Vec<String> {
            let mut models = Models::default();
            for name in order {
                models.ensure(name, 0, |_| ());
            }
            models.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(["c", "a", "d", "b"]), names(["b", "d", "a", "c"]));
    }

    #[test]
    fn estimates_correct_themselves() {
        let mut state = ModelState::default();
        assert_eq!(state.corrected(1_000), 1_000);
        for _ in 0..100 {
            state.learn_prompt(1_000, 1_300);
        }
        let corrected = state.corrected(1_000);
        assert!((1_290..=1_320).contains(&corrected), "{corrected}");
        for n in 0..400_u64 {
            state.learn_prompt(1_000, if n % 2 == 0 { 1_100 } else { 1_500 });
        }
        let corrected = state.corrected(1_000);
        assert!((1_450..=1_550).contains(&corrected), "scattered estimates get room: {corrected}");
    }

    #[test]
    fn quotas_move_with_their_groups() {
        let mut models = Models::default();
        let model = models.ensure("m", 0, |_| {}).unwrap();
        model.with_quota(0, |quota| quota.cool_until = 5);
        model.with_quota(2, |quota| quota.cool_until = 7);
        models.regroup(&[None, Some(0), Some(1)]);
        let model = models.get("m").unwrap();
        assert!(model.quota(0).is_none());
        assert_eq!(model.quota(1).unwrap().cool_until, 7);
        assert_eq!(model.ready_at(1), 7);
    }

    #[test]
    fn made_up_names_take_bounded_room() {
        let mut models = Models::default();
        for n in 0..1_000 {
            models.ensure(&format!("made-up-{n}"), n, |_| {});
        }
        assert_eq!(models.len(), MODELS_KEPT);
        assert!(models.get("made-up-999").is_some() && models.get("made-up-0").is_none());
    }
}
