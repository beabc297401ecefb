//! The figures as tables, and whether they are within their bounds.

use crate::figures::{Figures, Tally, jain, longest_idle, weight_error};
use crate::naive::{Cooldown, RoundRobin, rondo};
use crate::scenario::{EARLY_MS, Scenario};
use crate::world::{run, run_all};
use std::fmt::Write as _;

/// What the figures after the first two minutes must keep to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Least share of capacity used while demand exceeds it.
    pub share: f64,
    /// Most upstream quota 429s for each request sent.
    pub bounces: f64,
    /// Most client 429s while there was room for what is reserved.
    pub unjust: u64,
    /// Least share of stated retry times that are true.
    pub truth: f64,
    /// Least Jain index over any window of ten cycles.
    pub jain: f64,
    /// Most that a key's share may be off its weight's.
    pub weights: f64,
    /// Most grants of keys at rest.
    pub resting: u64,
    /// Most cycles that an eligible key may be idle.
    pub idle: f64,
}

/// The bounds of the acceptance.
pub const BOUNDS: Bounds = Bounds {
    share: 0.95,
    bounces: 0.005,
    unjust: 0,
    truth: 0.99,
    jain: 0.99,
    weights: 0.01,
    resting: 0,
    idle: 1.0,
};

/// Weights of the keys in the scenario about weights.
const WEIGHTS: [u32; 6] = [1, 1, 2, 3, 5, 8];
/// Keys of the scenario about evenness: as many as the mixed one has.
const EQUAL: [u32; 12] = [1; 12];

/// How evenly keys are used where nothing limits them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evenness {
    /// The least Jain index, equal keys, single grants.
    pub jain: f64,
    /// The same with leases.
    pub jain_leased: f64,
    /// Longest idle time in cycles, equal keys, single grants.
    pub idle: f64,
    /// The same with leases.
    pub idle_leased: f64,
    /// How far the share of some key is off its weight's.
    pub weights: f64,
    /// The same with leases.
    pub weights_leased: f64,
}

impl Evenness {
    /// Runs the scenarios.
    #[must_use]
    pub fn of(seed: u64, requests: u64) -> Self {
        let uses = |weights: &[u32], leases| {
            let scenario = Scenario::shares(seed, requests, weights, leases);
            let figures = run(&scenario, rondo(&scenario));
            let late = figures.uses.iter().filter(|(at, _)| *at >= EARLY_MS);
            late.map(|(_, key)| *key).collect::<Vec<u16>>()
        };
        let [single, leased] = [false, true].map(|leases| uses(&EQUAL, leases));
        let [weighed, weighed_leased] = [false, true].map(|leases| uses(&WEIGHTS, leases));
        Self {
            jain: jain(&single, EQUAL.len()).unwrap_or(0.0),
            jain_leased: jain(&leased, EQUAL.len()).unwrap_or(0.0),
            idle: longest_idle(&single, EQUAL.len()),
            idle_leased: longest_idle(&leased, EQUAL.len()),
            weights: weight_error(&weighed, &WEIGHTS),
            weights_leased: weight_error(&weighed_leased, &WEIGHTS),
        }
    }
}

/// All that is measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// The mixed scenario.
    pub mixed: Figures,
    /// Evenness.
    pub even: Evenness,
    /// The same trace by others: their names and figures.
    pub others: Vec<(&'static str, Figures)>,
    /// The seed.
    pub seed: u64,
    /// How many courses of the scenario it is the sum of.
    pub courses: usize,
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn seconds(ms: u32) -> String {
    format!("{:.2} s", f64::from(ms) / 1_000.0)
}

/// Others on the same trace.
#[must_use]
pub fn others(courses: &[Scenario]) -> Vec<(&'static str, Figures)> {
    vec![
        ("round robin, next key at once", run_all(courses, RoundRobin::new)),
        ("random key, 60 s of cooldown", run_all(courses, Cooldown::new)),
    ]
}

impl Report {
    /// What is out of its bounds.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        let (late, early) = (&self.mixed.later, &self.mixed.early);
        let even = &self.even;
        let share = self.mixed.share.unwrap_or(0.0);
        let resting = late.resting + early.resting;
        let checks = [
            (share >= BOUNDS.share, format!("share of capacity used: {}", percent(share))),
            (late.bounce_rate() <= BOUNDS.bounces, format!("upstream 429s: {}", percent(late.bounce_rate()))),
            (late.unjust == BOUNDS.unjust, format!("client 429s while there was room: {}", late.unjust)),
            (late.truth() >= BOUNDS.truth, format!("true retry times: {}", percent(late.truth()))),
            (
                // With leases the grants that were given back are missing from the windows: shown, not judged.
                even.jain >= BOUNDS.jain,
                format!("Jain's index: {:.4}", even.jain),
            ),
            (
                even.weights.max(even.weights_leased) <= BOUNDS.weights,
                format!(
                    "weights: off by {}, with leases {}",
                    percent(even.weights),
                    percent(even.weights_leased)
                ),
            ),
            (resting == BOUNDS.resting, format!("keys used while resting: {resting}")),
            (even.idle <= BOUNDS.idle, format!("longest idle: {:.2} cycles", even.idle)),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, text)| text).collect()
    }

    /// The tables, in Markdown.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut out = self.figures();
        if !self.others.is_empty() {
            out.push('\n');
            out.push_str(&self.comparison());
        }
        out
    }

    fn figures(&self) -> String {
        let (mut early, mut late) = (self.mixed.early.clone(), self.mixed.later.clone());
        let whole = self.mixed.whole();
        let even = &self.even;
        let mut out = format!(
            "{} requests in {} course{} of {} simulated minutes in all, seed {}; demand exceeded capacity in {} of these minutes.\n\n\
             | figure | first two minutes | after them | bound |\n|---|---|---|---|\n",
            grouped(whole.requests),
            self.courses,
            if self.courses == 1 { "" } else { "s" },
            self.mixed.lasted_ms / 60_000,
            self.seed,
            self.mixed.share_minutes,
        );
        let mut row = |name: &str, early: String, late: String, bound: &str| {
            let _ = writeln!(out, "| {name} | {early} | {late} | {bound} |");
        };
        let each = |of: &dyn Fn(&Tally) -> String| (of(&early), of(&late));
        let share = self.mixed.share.map_or("–".to_owned(), percent);
        row("capacity used while demand exceeds it", "–".into(), share, "≥ 95 %");
        let (a, b) = each(&|tally| {
            format!(
                "{} ({} of {})",
                percent(tally.bounce_rate()),
                grouped(tally.bounced),
                grouped(tally.sends)
            )
        });
        row("upstream quota 429s, of requests sent", a, b, "≤ 0.5 %");
        let (a, b) = each(&|tally| format!("{} of {}", grouped(tally.unjust), grouped(tally.limited)));
        row("client 429s while there was room for what is reserved", a, b, "0");
        let (a, b) =
            each(&|tally| format!("{} of {} looked at", grouped(tally.unjust_seen), grouped(tally.seen)));
        row("client 429s while there was room for what would be used", a, b, "");
        let (a, b) =
            each(&|tally| format!("{} of {}", percent(tally.truth()), grouped(tally.kept + tally.broken)));
        row("stated retry times that were true", a, b, "≥ 99 %");
        let (a, b) = each(&|tally| grouped(tally.resting));
        row("grants of keys at rest", a, b, "0");
        let leased = |single: String, leased: String| format!("{single}; with leases {leased}");
        let jain = leased(format!("{:.4}", even.jain), format!("{:.4}", even.jain_leased));
        row("Jain's index, equal keys, worst window of ten cycles", "–".into(), jain, "≥ 0.99");
        row(
            "share of a key off its weight's",
            "–".into(),
            leased(percent(even.weights), percent(even.weights_leased)),
            "≤ 1 %",
        );
        let idle = leased(format!("{:.2} cycles", even.idle), format!("{:.2}", even.idle_leased));
        row("longest idle of an eligible key", "–".into(), idle, "≤ 1 cycle");
        let (a, b) = each(&|tally| percent(tally.yielded()));
        row("answers, of requests", a, b, "");
        let (a, b) = each(&|tally| grouped(tally.failed));
        row("other errors to clients", a, b, "");
        let (a, b) = each(&|tally| format!("{:.3}", tally.calls_per_request()));
        row("calls of the Coordinator, for each request", a, b, "");
        let mut waits = |share| (seconds(early.wait(share)), seconds(late.wait(share)));
        for (name, share) in [("wait of those answered, p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let (a, b) = waits(share);
            row(name, a, b, "");
        }
        out
    }

    fn comparison(&self) -> String {
        let all: Vec<(&str, &Figures)> = std::iter::once(("Rondo", &self.mixed))
            .chain(self.others.iter().map(|(name, of)| (*name, of)))
            .collect();
        let mut out = String::from("| the same trace |");
        all.iter().for_each(|(name, _)| out += &format!(" {name} |"));
        out.push_str("\n|---|");
        all.iter().for_each(|_| out.push_str("---|"));
        out.push('\n');
        let mut row = |name: &str, of: &dyn Fn(&Figures) -> String| {
            let _ = write!(out, "| {name} |");
            for (_, figures) in &all {
                let _ = write!(out, " {} |", of(figures));
            }
            out.push('\n');
        };
        row("answers, of requests", &|of| percent(of.whole().yielded()));
        row("upstream quota 429s, of requests sent", &|of| percent(of.whole().bounce_rate()));
        row("upstream quota 429s", &|of| grouped(of.whole().bounced));
        row("requests sent for each answer", &|of| {
            let whole = of.whole();
            format!("{:.2}", whole.sends as f64 / whole.answered.max(1) as f64)
        });
        row("capacity used while demand exceeds it", &|of| of.share.map_or("–".to_owned(), percent));
        row("client 429s", &|of| grouped(of.whole().limited));
        row("stated retry times that were true", &|of| percent(of.whole().truth()));
        row("other errors to clients", &|of| grouped(of.whole().failed));
        row("wait of those answered, p95", &|of| seconds(of.whole().wait(0.95)));
        out
    }

    /// Where 429s come from, most frequent first, and the shares by organisation and model.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut out = String::new();
        let mut kinds: Vec<&str> = self.mixed.reasons.keys().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        for kind in kinds {
            let _ = writeln!(out, "\n{kind}");
            let of_kind = self.mixed.reasons.iter().filter(|((of, _), _)| *of == kind);
            let mut reasons: Vec<(&str, u64)> =
                of_kind.map(|((_, why), count)| (why.as_str(), *count)).collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            for (why, count) in reasons.into_iter().take(20) {
                let _ = writeln!(out, "  {:>9}  {why}", grouped(count));
            }
        }
        for unjust in &self.mixed.unjust {
            let _ = writeln!(out, "\nan unjust 429: {unjust}");
        }
        let _ = writeln!(out, "\ncapacity used while demand exceeds it, and room for requests of mean cost");
        for place in &self.mixed.places {
            let _ = writeln!(
                out,
                "  {:>9}  {:>9}  {}",
                percent(place.share),
                grouped(place.room as u64),
                place.name
            );
        }
        out
    }
}

/// Puts tables between the marks of a document.
///
/// # Errors
/// When it has no marks.
pub fn put(document: &str, tables: &str) -> Result<String, &'static str> {
    const MARKS: (&str, &str) = ("<!-- figures -->", "<!-- /figures -->");
    let missing = "the document has no place for figures: <!-- figures --> and <!-- /figures -->";
    let (before, rest) = document.split_once(MARKS.0).ok_or(missing)?;
    let (_, after) = rest.split_once(MARKS.1).ok_or(missing)?;
    Ok(format!("{before}{}\n{}\n{}{after}", MARKS.0, tables.trim_end(), MARKS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_replace_what_is_between_the_marks_and_nothing_else() {
        let document = "a\n<!-- figures -->\nold\n<!-- /figures -->\nb\n";
        let put_once = put(document, "new\n").unwrap();
        assert_eq!(put_once, "a\n<!-- figures -->\nnew\n<!-- /figures -->\nb\n");
        assert_eq!(put(&put_once, "new").unwrap(), put_once);
        assert!(put("no marks", "new").is_err());
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
    }
}
