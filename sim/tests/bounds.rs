//! The whole simulation, small: the bounds of the acceptance, and that the judge can tell good from bad.

use rondo_sim::naive::{Cooldown, RoundRobin, rondo};
use rondo_sim::report::{BOUNDS, Evenness, Report};
use rondo_sim::scenario::Scenario;
use rondo_sim::world::run;

fn mixed(requests: u64) -> Scenario {
    Scenario::mixed(1, requests)
}

/// In so short a run what nobody could foresee (an outage, a full queue, a clock that steps) is a larger part of it than
/// in one of the acceptance's length: fewer stated times come true.
const TRUTH: f64 = 0.97;

#[test]
fn thirty_thousand_requests_over_a_mixed_pool_keep_the_bounds() {
    let scenario = mixed(30_000);
    let figures = run(&scenario, rondo(&scenario));
    let report =
        Report { mixed: figures, even: Evenness::of(1, 20_000), others: Vec::new(), seed: 1, courses: 1 };
    let late = &report.mixed.later;
    let misses = report.misses();
    let others = misses.iter().filter(|miss| !miss.starts_with("true retry times")).count();
    assert!(others == 0 && late.truth() >= TRUTH, "{misses:#?}\n{}{}", report.tables(), report.explanation());
}

#[test]
fn keys_without_limits_share_the_load_evenly() {
    let even = Evenness::of(1, 12_000);
    assert!(
        even.jain >= BOUNDS.jain && even.weights <= BOUNDS.weights && even.idle <= BOUNDS.idle,
        "{even:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_others() {
    let figures = |seed| {
        let scenario = Scenario::mixed(seed, 3_000);
        run(&scenario, rondo(&scenario))
    };
    let first = figures(3);
    assert_eq!(first, figures(3));
    assert_ne!(first, figures(4));
}

#[test]
fn every_request_of_the_trace_ends_once_whoever_chooses_the_keys() {
    let scenario = mixed(5_000);
    for figures in [
        run(&scenario, rondo(&scenario)),
        run(&scenario, RoundRobin::new(&scenario)),
        run(&scenario, Cooldown::new(&scenario)),
    ] {
        let whole = figures.whole();
        assert_eq!(whole.requests, 5_000);
        // Each was answered, failed, or got a 429; who came back for it ended twice.
        let ends = whole.waits.len() as u64 + whole.failed + whole.limited;
        assert_eq!(whole.waits.len() as u64, whole.answered);
        assert!((5_000..=10_000).contains(&ends), "{ends}");
        let back = ends - 5_000;
        assert!(whole.kept + whole.broken <= back, "{whole:?}");
        assert!(whole.sends >= whole.answered + whole.bounced + whole.faults, "{whole:?}");
    }
}

#[test]
fn blind_rotation_is_caught() {
    let scenario = mixed(12_000);
    let figures = run(&scenario, RoundRobin::new(&scenario));
    assert!(figures.later.bounce_rate() > 10.0 * BOUNDS.bounces);
    assert!(figures.later.truth() < BOUNDS.truth && figures.later.resting > BOUNDS.resting);
}
