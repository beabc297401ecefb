//! A restart at any moment, with quotas, leases and the limits of tokens.

use super::*;

#[derive(Clone, Debug)]
enum Event {
    /// A request of the limited token, over at once; or with a checkpoint before it is over.
    Single {
        tokens: u64,
        used: u64,
        end: AttemptEnd,
        checkpoint: bool,
    },
    /// A lease of so many.
    Lease(u32),
    /// One of the leased grants is over.
    Over {
        which: usize,
        used: u64,
        end: AttemptEnd,
    },
    Checkpoint,
}

fn ends() -> impl proptest::strategy::Strategy<Value = AttemptEnd> {
    prop_oneof![
        6 => Just(AttemptEnd::Ok), 1 => Just(AttemptEnd::Cut), 2 => Just(AttemptEnd::Unused),
        1 => Just(AttemptEnd::Failed(Fault::Quota)), 1 => Just(AttemptEnd::Failed(Fault::Upstream)),
        1 => Just(AttemptEnd::Failed(Fault::Lost)), 1 => Just(AttemptEnd::Failed(Fault::Payment)),
    ]
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u64..4_000, 0_u64..5_000, ends(), any::<bool>())
            .prop_map(|(tokens, used, end, checkpoint)| Event::Single { tokens, used, end, checkpoint }),
        3 => (1_u32..20).prop_map(Event::Lease),
        4 => (any::<usize>(), 0_u64..500, ends())
            .prop_map(|(which, used, end)| Event::Over { which, used, end }),
        1 => Just(Event::Checkpoint),
    ]
}

/// What the object's store holds.
#[derive(Default)]
struct Store {
    states: std::collections::HashMap<String, String>,
    usage: Vec<crate::pool::books::UsageRow>,
    journal: Vec<(bool, u64, Written)>,
}

#[allow(clippy::large_enum_variant, reason = "a few of them, in a test")]
enum Written {
    Settle(Settle),
    Lease(Vec<crate::pool::Leased>),
}

impl Store {
    fn checkpoint(&mut self, pool: &mut Pool, now: u64) {
        let checkpoint = pool.checkpoint(now);
        self.states.extend(checkpoint.states);
        self.usage.extend(checkpoint.usage);
        self.journal.iter_mut().for_each(|entry| entry.0 = true);
    }

    fn settle(&mut self, pool: &mut Pool, now: u64, settle: Settle) {
        pool.apply(now, std::slice::from_ref(&settle));
        self.journal.push((false, now, Written::Settle(settle)));
    }

    fn restarted(&self) -> Pool {
        let mut again = Pool::new(2);
        again.configure(quotas_and_limits(), grouped());
        self.usage.iter().for_each(|row| again.restore_usage(row));
        let stored = self.states.iter().filter(|(_, json)| !json.is_empty());
        stored.for_each(|(name, json)| again.restore_state(name, json));
        for (covered, at, written) in &self.journal {
            match written {
                Written::Settle(settle) if *covered => again.remember(*at, std::slice::from_ref(settle)),
                Written::Settle(settle) => again.apply(*at, std::slice::from_ref(settle)),
                Written::Lease(leased) => again.regive(*at, leased, *covered),
            }
        }
        again
    }
}

fn grouped() -> Vec<KeyRow> {
    (0..4).map(|n| KeyRow { group: (n < 2).then(|| "g".into()), ..key(&format!("k{n}")) }).collect()
}

fn quotas_and_limits() -> Snapshot {
    let limits = TokenLimits {
        requests_per_minute: Some(40),
        tokens_per_minute: Some(200_000),
        tokens_per_day: Some(1_000_000),
        ..TokenLimits::default()
    };
    let mut config = with_tokens(
        learning(&["a", "b"]),
        vec![token("free", TokenLimits::default()), token("tight", limits)],
    );
    config.settings.limit_overrides = per_minute(Some(600), Some(60_000));
    config
}

fn end_of(grant: &Grant, token: &str, used: u64, end: AttemptEnd) -> Settle {
    let usage = Usage { prompt_tokens: used, ..Usage::default() };
    let mut settle = ended(grant, end);
    let attempt = settle.attempt.as_mut().unwrap();
    attempt.usage = usage;
    attempt.retry_after_ms = Some(30_000);
    attempt.quota =
        used.is_multiple_of(2).then_some(NamedQuota { tokens: false, window: Some(Window::Minute) });
    if end != AttemptEnd::Unused {
        settle.request = Some(RequestEnd { token: token.into(), usage, ..RequestEnd::default() });
    }
    settle
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// With quotas, leases and tokens' limits: nothing is under way that was not, nothing is forgotten that was, and
    /// nobody believes that there is more left than before.
    #[test]
    fn a_restart_at_any_moment_loses_no_cooldown_and_gives_nothing_twice(
        events in proptest::collection::vec((event(), 0_u64..2_000), 1..60),
    ) {
        let mut live = Pool::new(1);
        live.configure(quotas_and_limits(), grouped());
        let mut store = Store::default();
        for _ in 0..16 {
            let first = grants(&mut live, T - HOUR, Want { token: "free".into(), ..sized(1) }).remove(0);
            live.apply(T - HOUR, &[ended(&first, AttemptEnd::Unused)]);
            let first = grants(&mut live, T - HOUR, Want { token: "free".into(), ..sized(1) }).remove(0);
            live.apply(T - HOUR, &[ended(&first, AttemptEnd::Ok)]);
        }
        store.checkpoint(&mut live, T - HOUR);
        let mut open: Vec<Grant> = Vec::new();
        // Grants that the checkpoint holds as under way and that were not used: their reports do not say whose they
        // were, so a later request of the token takes their place there, uncounted.
        let mut untold = 0;
        let mut now = T;
        for (event, passed) in events {
            now += passed;
            match event {
                Event::Single { tokens, used, end, checkpoint } => {
                    let want = Want { token: "tight".into(), deadline_ms: 0, ..sized(tokens + 1) };
                    let Given::Grants(given) = ask(&mut live, now, want) else { continue };
                    if checkpoint {
                        store.checkpoint(&mut live, now);
                        untold += u64::from(end == AttemptEnd::Unused);
                    }
                    let used = used.min(given[0].reserved);
                    store.settle(&mut live, now, end_of(&given[0], "tight", used, end));
                }
                Event::Lease(count) => {
                    let want = Want { token: "free".into(), deadline_ms: 0, count, ..sized(500) };
                    let given = ask(&mut live, now, want);
                    store.journal.push((false, now, Written::Lease(crate::pool::Leased::of(Some(&given)))));
                    let Given::Grants(given) = given else { continue };
                    if given.len() == 1 {
                        store.settle(&mut live, now, end_of(&given[0], "free", 100, AttemptEnd::Ok));
                    } else {
                        open.extend(given);
                    }
                }
                Event::Over { which, used, end } if !open.is_empty() => {
                    let grant = open.swap_remove(which % open.len());
                    store.settle(&mut live, now, end_of(&grant, "free", used, end));
                }
                Event::Over { .. } => {}
                Event::Checkpoint => store.checkpoint(&mut live, now),
            }
        }

        let again = store.restarted();
        prop_assert_eq!(live.under_way(), again.under_way());
        for n in 0..4 {
            let id = format!("k{n}");
            // What the breaker has seen of late is not written down: a fault that was everybody's may be taken for
            // the key's own, which then rests. It never rests less than before.
            let (before, after) = (live.key_status(&id, now), again.key_status(&id, now));
            let blamed = after.as_ref().is_some_and(|status| status.reason.as_deref() == Some("upstream faults"));
            prop_assert!(before == after || blamed, "{before:?} {after:?}");
            prop_assert_eq!(live.books().total(Dim::Key, &id), again.books().total(Dim::Key, &id));
            for view in live.quotas_of(&id, now).unwrap() {
                let back = again.quotas_of(&id, now).unwrap();
                let back = back.into_iter().find(|other| other.model == view.model);
                prop_assert!(back.is_some(), "{view:?} is forgotten");
                let back = back.unwrap();
                prop_assert_eq!(view.cooling_until, back.cooling_until);
                prop_assert_eq!((view.open, view.reserved), (back.open, back.reserved));
                for (before, after) in view.buckets.iter().zip(&back.buckets) {
                    prop_assert_eq!((before.what, before.limit), (after.what, after.limit));
                    prop_assert!(after.remaining <= before.remaining + 1, "{before:?} {after:?}");
                }
            }
        }
        for id in ["free", "tight"] {
            prop_assert_eq!(live.books().total(Dim::Token, id), again.books().total(Dim::Token, id));
        }
        let tight = quotas_and_limits().tokens.remove(1);
        let left = |pool: &Pool| {
            let left = pool.tenants.allowance(now, &tight).unwrap();
            [left.tokens_minute, left.tokens_day, left.requests_minute].map(|left| left.unwrap().remaining)
        };
        let (before, after) = (left(&live), left(&again));
        prop_assert!(
            after[0] <= before[0] + 1 && after[1] <= before[1] && after[2] <= before[2] + untold,
            "{before:?} {after:?}"
        );
    }
}

#[test]
fn a_tokens_requests_of_the_minute_survive() {
    let limits = TokenLimits { requests_per_minute: Some(10), ..TokenLimits::default() };
    let config = || with_tokens(snapshot(&["m"]), vec![token("t", limits)]);
    let mut live = Pool::new(1);
    live.configure(config(), keys(1));
    let mut again = Pool::new(2);
    again.configure(config(), keys(1));
    for _ in 0..10 {
        let given = grants(&mut live, T, Want { token: "t".into(), ..want() }).remove(0);
        let settle = end_of(&given, "t", 5, AttemptEnd::Ok);
        live.apply(T, std::slice::from_ref(&settle));
        again.apply(T, &[settle]);
    }
    let late = Want { token: "t".into(), deadline_ms: 0, ..want() };
    assert!(matches!(ask(&mut live, T, late.clone()), Given::RetryAfter { .. }));
    assert!(matches!(ask(&mut again, T, late), Given::RetryAfter { .. }));
}

/// Writing each single grant down before it is given would cost every lone request a write: a restart forgets what they
/// reserved, until their reports come.
#[test]
fn a_single_grant_that_a_restart_forgot_counts_when_it_is_over() {
    let mut live = limited(1, None, Some(60_000));
    let first = grants(&mut live, T, sized(1_000)).remove(0);
    live.apply(T, &[used(&first, 1_000)]);
    let stored = grants(&mut live, T, sized(50_000)).remove(0);
    let mut states = live.checkpoint(T).states;
    let unstored = grants(&mut live, T, sized(5_000)).remove(0);
    let mut again = limited(1, None, Some(60_000));
    states.drain(..).for_each(|(name, json)| again.restore_state(&name, &json));
    let forgotten = left(&again, "k0", "m", T) - left(&live, "k0", "m", T);
    assert!(forgotten <= 55_000, "{forgotten}");
    for (grant, tokens) in [(&unstored, 4_000), (&stored, 40_000)] {
        live.apply(T, &[used(grant, tokens)]);
        again.apply(T, &[used(grant, tokens)]);
        assert!(left(&again, "k0", "m", T) <= 60_000 - i64::try_from(tokens).unwrap());
    }
    assert!(left(&again, "k0", "m", T) <= left(&live, "k0", "m", T));
}

#[test]
fn reports_for_a_quota_that_was_never_stored_count_with_the_operators_figures() {
    for fault in [None, Some(Fault::Quota)] {
        let mut live = limited(1, Some(60), Some(60_000));
        let given = grants(&mut live, T, sized(5_000)).remove(0);
        let settle = match fault {
            None => used(&given, 5_000),
            Some(fault) => failed(&given, fault, Some(1_000)),
        };
        live.apply(T, std::slice::from_ref(&settle));
        let mut again = limited(1, Some(60), Some(60_000));
        again.apply(T, &[settle]);
        let views = again.quotas_of("k0", T).unwrap();
        let buckets = views.first().map_or(0, |view| view.buckets.len());
        assert_eq!(buckets, 2, "{fault:?}");
        assert!(left(&again, "k0", "m", T) <= left(&live, "k0", "m", T), "{fault:?}");
    }
}
