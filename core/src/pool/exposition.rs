//! The pool's figures as Prometheus reads them (text format 0.0.4). Counters are those of the books, for good;
//! what the twin foresaw is counted since the Coordinator began. Labels hold no names of tokens and no secrets.

use super::books::{Counter, Dim};
use super::detail::{Detail, Histogram};
use super::state::Pool;
use std::fmt::{Display, Write as _};

/// Type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let mut said = String::new();
        for (label, text) in labels {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(said, "{}{label}=\"{text}\"", if said.is_empty() { "" } else { "," });
        }
        let _ = match said.as_str() {
            "" => writeln!(self.0, "{name} {value}"),
            said => writeln!(self.0, "{name}{{{said}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(name, &[], value);
    }

    /// A family of one label.
    fn each<'a>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, kind, help);
        for (of, value) in values {
            self.line(name, &[(label, of)], value);
        }
    }

    fn histogram(&mut self, name: &str, help: &str, times: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in times.cumulative() {
            self.line(&bucket, &[("le", &(bound as f64 / 1e3).to_string())], count);
        }
        self.line(&bucket, &[("le", "+Inf")], times.count());
        self.line(&format!("{name}_sum"), &[], times.sum_ms as f64 / 1e3);
        self.line(&format!("{name}_count"), &[], times.count());
    }
}

/// Tokens by kind. Estimates are of answers whose end was not seen.
fn kinds(count: &Counter) -> [(&'static str, u64); 5] {
    [
        ("prompt", count.prompt_tokens),
        ("completion", count.completion_tokens),
        ("cached", count.cached_tokens),
        ("estimated_prompt", count.estimated_prompt_tokens),
        ("estimated_completion", count.estimated_completion_tokens),
    ]
}

impl Pool {
    /// The text that `/metrics` answers.
    #[must_use]
    pub fn exposition(&self, now: u64) -> String {
        let mut text = Text::default();
        let total = self.books.total(Dim::Pool, "");
        let nothing = Detail::default();
        let detail = self.books.total_detail(Dim::Pool, "").unwrap_or(&nothing);
        text.one("rondo_requests_total", "counter", "Client requests.", total.requests);
        text.one(
            "rondo_requests_cut_total",
            "counter",
            "Client requests whose client left before the end.",
            total.cut,
        );
        let errors =
            ("rondo_request_errors_total", "counter", "Failed client requests, by what the client got.");
        text.each(errors, "class", detail.errors.named());
        text.each(
            ("rondo_tokens_total", "counter", "Tokens of client requests, by kind."),
            "kind",
            kinds(&total),
        );

        let mut models: Vec<(&str, &Counter)> = self.books.totals(Dim::Model).collect();
        models.sort_by_key(|(model, _)| *model);
        let of = |count: fn(&Counter) -> u64| models.iter().map(move |(model, of)| (*model, count(of)));
        let attempts = ("rondo_model_attempts_total", "counter", "Attempts sent to the upstream, by model.");
        text.each(attempts, "model", of(|count| count.requests));
        let failed = ("rondo_model_errors_total", "counter", "Attempts that failed, by model.");
        text.each(failed, "model", of(|count| count.errors));
        text.family("rondo_model_tokens_total", "counter", "Tokens of attempts, by model and kind.");
        for (model, count) in &models {
            for (kind, tokens) in kinds(count) {
                text.line("rondo_model_tokens_total", &[("model", model), ("kind", kind)], tokens);
            }
        }

        let keys = self.summary(now);
        let states = [
            ("active", keys.active),
            ("cooling", keys.cooling),
            ("suspended", keys.suspended),
            ("invalid", keys.invalid),
            ("disabled", keys.disabled),
        ];
        let states = states.map(|(state, count)| (state, count as u64));
        text.each(("rondo_keys", "gauge", "Upstream keys, by status."), "status", states);
        text.one("rondo_requests_waiting", "gauge", "Client requests that wait for quota.", self.waiting());
        text.one("rondo_requests_under_way", "gauge", "Grants given and not settled.", self.under_way());

        let help = "Whole time of the client requests that were answered whole.";
        text.histogram("rondo_request_duration_seconds", help, &detail.latency);
        let help = "Time to the first event of the answer given to the client.";
        text.histogram("rondo_first_event_seconds", help, &detail.first_event);

        let foresight = self.foresight();
        let help = "429s of quotas that would have been let pass.";
        text.one("rondo_unforeseen_429s_total", "counter", help, foresight.unforeseen_429s);
        let help = "429s of quotas that were cooling already.";
        text.one("rondo_expected_429s_total", "counter", help, foresight.expected_429s);
        text.0
    }
}
