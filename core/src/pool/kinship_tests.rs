use super::*;
use std::collections::BTreeMap;

const T: u64 = 1_790_000_000_000;
const MODEL: &str = "gpt-oss-120b";
const TRIAL: &[(Window, u64)] = &[(Window::Minute, 5), (Window::Hour, 150), (Window::Day, 2_400)];
const PAID: &[(Window, u64)] = &[(Window::Minute, 1_000)];

/// The upstream as it is documented: a bucket of each window to each organisation, refilled continuously.
struct Upstream {
    plan: &'static [(Window, u64)],
    organisations: HashMap<usize, Vec<(f64, u64)>>,
}

impl Upstream {
    fn new(plan: &'static [(Window, u64)]) -> Self {
        Self { plan, organisations: HashMap::new() }
    }

    /// Charges a request, if it fits; the answer's headers.
    fn charge(&mut self, at: u64, organisation: usize) -> Option<Vec<LimitReading>> {
        let new = || self.plan.iter().map(|&(_, limit)| (limit as f64, at)).collect();
        let levels = self.organisations.entry(organisation).or_insert_with(new);
        for (&(window, limit), (level, since)) in self.plan.iter().zip(levels.iter_mut()) {
            let passed = at.saturating_sub(*since) as f64;
            *level = (*level + passed * limit as f64 / window.ms() as f64).min(limit as f64);
            *since = at.max(*since);
        }
        if levels.iter().any(|(level, _)| *level < 1.0) {
            return None;
        }
        let charged = self.plan.iter().zip(levels).map(|(&(window, limit), (level, _))| {
            *level -= 1.0;
            LimitReading {
                what: Counted::Requests,
                window,
                limit: Some(limit),
                remaining: Some(level.floor() as u64),
                reset_ms: Some(((limit as f64 - *level) * window.ms() as f64 / limit as f64) as u64),
            }
        });
        Some(charged.collect())
    }
}

/// A small generator of numbers, seeded.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

enum Event {
    Arrives(usize, u64),
    Outside(usize),
    Answers(usize, u64, u64, Option<Vec<LimitReading>>),
}

/// Keys in turn, each of its organisation, with answers that overtake each other.
struct World {
    upstream: Upstream,
    organisation_of: Vec<usize>,
    kinship: Kinship,
    dice: Dice,
    now: u64,
    jitter_ms: u64,
    /// Every so many requests of ours one of another program, on a key that is drawn from these.
    outside: Vec<usize>,
    /// Another program that does with these keys just what we do.
    shadow: Vec<usize>,
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
}

impl World {
    fn new(plan: &'static [(Window, u64)], organisation_of: Vec<usize>, jitter_ms: u64, seed: u64) -> Self {
        Self {
            upstream: Upstream::new(plan),
            organisation_of,
            kinship: Kinship::default(),
            dice: Dice(seed),
            now: T,
            jitter_ms,
            outside: Vec::new(),
            shadow: Vec::new(),
            events: BTreeMap::new(),
            number: 0,
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.number += 1;
        self.events.insert((self.now + ms, self.number), event);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.events.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            let Some(((at, _), event)) = self.events.pop_first() else { break };
            self.now = at;
            match event {
                Event::Arrives(key, grant) => {
                    let answer = self.upstream.charge(at, self.organisation_of[key]);
                    let back = 5 + self.dice.roll(self.jitter_ms + 1);
                    // The headers are noted when they come; what is told of them comes later still.
                    let told = back + self.dice.roll(self.jitter_ms * 3 + 1);
                    self.after(told, Event::Answers(key, grant, at + back, answer));
                }
                Event::Outside(key) => drop(self.upstream.charge(at, self.organisation_of[key])),
                Event::Answers(key, grant, at, Some(limits)) => {
                    self.kinship.seen(at, &format!("k{key:02}"), MODEL, grant, &limits);
                }
                Event::Answers(key, grant, _, None) => {
                    self.kinship.failed(&format!("k{key:02}"), MODEL, grant, true);
                }
            }
        }
        self.now = until;
    }

    fn send(&mut self, key: usize) {
        self.kinship.sent(self.now, &format!("k{key:02}"), MODEL, self.number);
        let there = 5 + self.dice.roll(self.jitter_ms + 1);
        self.after(there, Event::Arrives(key, self.number));
        if self.shadow.contains(&key) {
            self.after(there + 200, Event::Outside(key));
        }
        if !self.outside.is_empty() && self.dice.roll(2) == 0 {
            let which = self.dice.roll(self.outside.len() as u64) as usize;
            let (key, ms) = (self.outside[which], self.dice.roll(2_000));
            self.after(ms, Event::Outside(key));
        }
    }

    /// Sends in turn until something is suggested, or so many; how many it took.
    fn rotate(&mut self, requests: usize, every_ms: u64) -> usize {
        for n in 0..requests {
            self.send(n % self.organisation_of.len());
            let pause = every_ms / 2 + self.dice.roll(every_ms);
            self.wait(pause);
            if !self.suggested().is_empty() {
                return n;
            }
        }
        requests
    }

    fn suggested(&self) -> Vec<Vec<String>> {
        self.kinship.suggestions(self.now).into_iter().map(|suggestion| suggestion.groups).collect()
    }
}

fn names(keys: impl IntoIterator<Item = usize>) -> Vec<String> {
    keys.into_iter().map(|key| format!("k{key:02}")).collect()
}

#[test]
fn keys_of_one_organisation_are_found_all_of_them_and_nobody_else() {
    for (plan, every_ms) in [(TRIAL, 15_000), (PAID, 30)] {
        for (members, others) in [(2, 0), (2, 4), (3, 3), (12, 0), (12, 6)] {
            for seed in 0..3 {
                let keys = members + others;
                // The organisation's keys are every other one, as far as there are others.
                let of = |key: usize| if key < 2 * others.min(members) && key % 2 == 1 { key } else { 1_000 };
                let mut organisations: Vec<usize> = (0..keys).map(of).collect();
                let mut spare = 500;
                while organisations.iter().filter(|&&of| of == 1_000).count() > members {
                    let last = organisations.iter().rposition(|&of| of == 1_000).unwrap();
                    (organisations[last], spare) = (spare, spare + 1);
                }
                let kin = (0..keys).filter(|&key| organisations[key] == 1_000);
                let kin = names(kin);
                let mut world = World::new(plan, organisations.clone(), 100, seed);
                let every = every_ms * members as u64 / keys as u64;
                let took = world.rotate(20_000, every);
                assert_eq!(world.suggested(), [kin], "{members} of {keys}");
                // The paid plan is asked a thousand times in the 30 s that it takes at least.
                let enough = SPAN_MS as usize / every as usize * 3 + 60 * keys;
                assert!(took < enough, "{members} of {keys} every {every} ms: {took} requests");
            }
        }
    }
}

#[test]
fn equal_keys_of_their_own_quotas_are_not_suspected() {
    for (plan, every_ms) in [(TRIAL, 1_100), (TRIAL, 3_200), (PAID, 4), (PAID, 100)] {
        for (jitter_ms, seed) in [(0, 1), (300, 3), (5_000, 4)] {
            let mut world = World::new(plan, (0..12).collect(), jitter_ms, seed);
            assert_eq!(world.rotate(20_000, every_ms), 20_000, "{:?}", world.kinship.suggestions(world.now));
            let suspects = world.kinship.models[MODEL].suspects.len();
            assert_eq!(suspects, 0, "{every_ms} ms, jitter {jitter_ms} ms");
        }
    }
}

#[test]
fn keys_that_others_use_too_are_not_kin() {
    for (plan, every_ms) in [(TRIAL, 4_000), (PAID, 8)] {
        for outside in [vec![0], vec![0, 1], (0..12).collect()] {
            for seed in 0..2 {
                let mut world = World::new(plan, (0..12).collect(), 100, seed);
                world.outside.clone_from(&outside);
                assert_eq!(
                    world.rotate(20_000, every_ms),
                    20_000,
                    "{:?}",
                    world.kinship.suggestions(world.now)
                );
            }
        }
    }
}

#[test]
fn two_organisations_of_one_size_are_told_apart() {
    for (plan, every_ms) in [(TRIAL, 6_000), (PAID, 15)] {
        for size in [2, 3, 12] {
            for seed in 0..2 {
                let of: Vec<usize> = (0..2 * size).map(|key| key % 2).collect();
                let mut world = World::new(plan, of, 50, seed);
                let mut seen = std::collections::BTreeSet::new();
                let mut took = 0;
                while seen.len() < 2 && took < 5_000 {
                    world.send(took % (2 * size));
                    let pause = every_ms / 2 + world.dice.roll(every_ms);
                    world.wait(pause);
                    seen.extend(world.suggested());
                    took += 1;
                }
                // In turn, at a pace, both lose the same at all times; then nothing is said.
                assert!(seen.len() == 2 || plan.len() == 1, "{size} and {size}: {seen:?}");
                for set in &seen {
                    let even: Vec<String> = names((0..2 * size).step_by(2));
                    let odd: Vec<String> = names((1..2 * size).step_by(2));
                    assert!(*set == even || *set == odd);
                }
            }
        }
    }
}

#[test]
fn another_program_that_takes_the_same_keys_in_turn_makes_no_kin() {
    // Two such keys of a fast plan cannot be told from kin; stated moments of being full tell them on a slow one.
    for (plan, every_ms, shadow) in [(TRIAL, 4_000, 2), (TRIAL, 4_000, 4), (PAID, 8, 4)] {
        for seed in 0..3 {
            let mut world = World::new(plan, (0..4).collect(), 100, seed);
            world.shadow = (0..shadow).collect();
            assert_eq!(world.rotate(10_000, every_ms), 10_000, "{:?}", world.kinship.suggestions(world.now));
        }
    }
}

fn found() -> World {
    let mut world = World::new(TRIAL, vec![1, 1, 1, 2], 100, 7);
    world.rotate(1_000, 12_000);
    assert_eq!(world.suggested(), [names(0..3)]);
    world
}

#[test]
fn the_evidence_shows_drops_that_the_others_explain() {
    let world = found();
    let [suggestion] = &world.kinship.suggestions(world.now)[..] else { panic!() };
    let evidence = suggestion.evidence;
    assert_eq!((evidence.limit, evidence.window), (2_400, Window::Day));
    assert!(evidence.observations >= 15 && evidence.drop > evidence.own);
    let unexplained = evidence.drop - evidence.own;
    assert!(
        evidence.others_least <= unexplained + 15 && unexplained <= evidence.others_most + 15,
        "{evidence:?}"
    );
    assert!(suggestion.since >= T && suggestion.since + SPAN_MS <= world.now);
    assert!(evidence.resets_within_ms.is_some_and(|ms| ms <= 5 * 36_000));
}

#[test]
fn what_was_dismissed_is_not_suggested_again() {
    let mut world = found();
    world.kinship.dismiss(&names(0..3));
    assert_eq!(world.rotate(500, 12_000), 500);
}

#[test]
fn forgotten_groups_are_found_again_from_nothing() {
    let mut world = found();
    world.kinship.forget(&names([1]));
    assert!(world.suggested().is_empty());
    assert!(world.rotate(1_000, 12_000) >= 30);
    assert_eq!(world.suggested(), [names(0..3)]);
}

#[test]
fn memory_is_bounded_and_repeated_or_unknown_answers_change_nothing() {
    let mut kinship = Kinship::default();
    for n in 0..GROUPS_WATCHED as u64 * 2 {
        for model in 0..2 * MODELS_WATCHED as u64 {
            if n % 100 == 0 || model == 0 {
                kinship.sent(T + n, &n.to_string(), &model.to_string(), n);
            }
        }
    }
    assert!(kinship.models.len() <= MODELS_WATCHED);
    assert!(kinship.models.values().all(|watch| watch.tracks.len() <= GROUPS_WATCHED));
    for _ in 0..1_000 {
        kinship.sent(T, "one", "m", 5);
    }
    let answered = |kinship: &Kinship| kinship.models["m"].tracks["one"].answered;
    assert_eq!(kinship.models["m"].tracks["one"].flights.len(), UNDER_WAY);
    for _ in 0..3_000 {
        kinship.seen(T, "one", "m", 5, &[]);
    }
    assert_eq!(answered(&kinship), 1_000);
    kinship.seen(T, "nobody", "m", 5, &[]);
    kinship.failed("one", "m", 5, true);
    assert_eq!(answered(&kinship), 1_000);
}
