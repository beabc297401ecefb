//! Clients of several isolates who come back when told, with leases, reports and limit headers as they are.

use super::*;
use crate::pool::bucket::Bucket;
use crate::pool::lease::{Leases, Need, Size};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The answer of that many ended and its report is handed in.
    Report(usize),
    /// That client asks: with which ticket, and whether for itself alone.
    Ask { client: usize, ticket: Option<u64>, alone: bool },
}

/// A client: since when its request is there, and whether it comes as told.
#[derive(Clone, Copy)]
struct Client {
    came: u64,
    told: bool,
}

/// How it went for those who came back as told.
#[derive(Clone, Copy, Debug, Default)]
struct Returns {
    served: usize,
    sent_away_again: usize,
    answered: usize,
    bounced: usize,
}

/// Clients at isolates over keys of so many requests a minute; whoever is answered asks again at once, whoever is
/// sent away does as told. `late` is how many milliseconds each way takes, by a number that differs each time.
struct Town {
    pool: Pool,
    isolates: Vec<Leases>,
    clients: Vec<Client>,
    upstream: Vec<Bucket>,
    reports: Vec<Settle>,
    events: BinaryHeap<Reverse<(u64, usize, Next)>>,
    deadline_ms: u64,
    late: u64,
    steps: usize,
    went: Returns,
}

impl Town {
    fn new(keys: usize, requests: u64, clients: usize, deadline_ms: u64, late: u64) -> Self {
        let mut pool = Pool::new(1);
        pool.configure(
            with_tokens(learning(&["m"]), vec![token("t", TokenLimits::default())]),
            self::keys(keys),
        );
        let mut town = Self {
            pool,
            isolates: (0..4).map(|_| Leases::default()).collect(),
            clients: vec![Client { came: T, told: false }; clients],
            upstream: vec![Bucket::new(requests, MINUTE); keys],
            reports: Vec::new(),
            events: BinaryHeap::new(),
            deadline_ms,
            late,
            steps: 0,
            went: Returns::default(),
        };
        town.isolates.iter_mut().for_each(|leases| leases.install((1, 1)));
        (0..clients).for_each(|client| {
            town.then(T + client as u64, Next::Ask { client, ticket: None, alone: false });
        });
        town
    }

    fn then(&mut self, at: u64, next: Next) {
        self.steps += 1;
        self.events.push(Reverse((at, self.steps, next)));
    }

    /// A way's time: none is like the one before.
    fn way(&self) -> u64 {
        1 + (self.steps as u64 * 7_919) % self.late.max(1)
    }

    fn run(mut self, lasts: u64) -> Returns {
        while let Some(Reverse((now, _, next))) = self.events.pop()
            && now <= T + lasts
        {
            match next {
                Next::Report(number) => {
                    let report = self.reports[number].clone();
                    self.pool.apply(now, &[report]);
                }
                Next::Ask { client, ticket, alone } => self.ask(now, client, ticket, alone),
            }
        }
        self.went
    }

    fn ask(&mut self, now: u64, client: usize, ticket: Option<u64>, alone: bool) {
        let Client { came, told } = self.clients[client];
        let left = (came + self.deadline_ms).saturating_sub(now);
        let size = Size { prompt_tokens: 10 + client as u64, max_completion_tokens: Some(32) };
        let isolate = client % self.isolates.len();
        let mut count = 1;
        let mut kind = 0;
        if !alone && ticket.is_none() {
            let need = Need { model: None, allowed: None, size };
            let turn = self.isolates[isolate].take(&need, now, left, now);
            if let Some(grant) = turn.grant {
                return self.send(now, client, &grant);
            }
            (count, kind) = (turn.ask, turn.kind);
        }
        let asked = if count > 1 { size.rounded() } else { size };
        let want = Want {
            token: "t".into(),
            count,
            prompt_tokens: asked.prompt_tokens,
            max_completion_tokens: asked.max_completion_tokens,
            fingerprint: client as u64 + 1,
            deadline_ms: left,
            ticket,
            ..want()
        };
        let answered = now + self.way();
        match super::ask(&mut self.pool, now, want) {
            Given::Grants(mut grants) => {
                let more = grants.split_off(1);
                self.isolates[isolate].add(kind, asked, (1, 1), more, now, answered);
                self.send(answered, client, &grants[0]);
            }
            Given::RetryAfter { .. } if count > 1 => {
                self.isolates[isolate].add(kind, asked, (1, 1), Vec::new(), now, answered);
                self.then(answered + self.way(), Next::Ask { client, ticket, alone: true });
            }
            Given::Ticket { ticket, after_ms, .. } => {
                let next = Next::Ask { client, ticket: Some(ticket), alone: true };
                self.then(answered + after_ms + self.way(), next);
            }
            Given::RetryAfter { after_ms, .. } => {
                if told {
                    self.went.sent_away_again += 1;
                }
                let back = answered + after_ms + self.way();
                self.clients[client] = Client { came: back, told: true };
                self.then(back + self.way(), Next::Ask { client, ticket: None, alone: false });
            }
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, now: u64, client: usize, grant: &Grant) {
        let sent = now + grant.delay_ms;
        let reaches = sent + self.way();
        let key: usize = grant.key.strip_prefix('k').unwrap().parse().unwrap();
        let bucket = &mut self.upstream[key];
        if bucket.when(1).is_some_and(|at| at > reaches) {
            self.went.bounced += 1;
        }
        bucket.spend(reaches, 1);
        let remaining = u64::try_from(bucket.level(reaches)).unwrap_or(0);
        let mut limits = vec![reading(Counted::Requests, Window::Minute, bucket.limit(), remaining)];
        limits[0].reset_ms = Some(bucket.full_at() - reaches);
        let head = reaches + self.way() - sent;
        let lasts = head + 60;
        self.reports.push(heading(used(grant, 40), limits, head, lasts));
        self.then(sent + lasts + 4 * self.way(), Next::Report(self.reports.len() - 1));
        let told = self.clients[client].told;
        self.went.served += usize::from(told);
        self.went.answered += 1;
        self.clients[client] = Client { came: sent + lasts + 5, told: false };
        self.then(sent + lasts + 5 + self.way(), Next::Ask { client, ticket: None, alone: false });
    }
}

#[test]
fn clients_of_isolates_with_leases_are_served_when_told_and_no_quota_lies_idle() {
    let lasts = 60_000;
    let mut broken = Vec::new();
    for keys in [3, 6, 12] {
        for (requests, clients) in [(5, 12), (30, 24)] {
            for late in [3, 20, 60, 100] {
                let went = Town::new(keys, requests, clients, 1_000, late).run(lasts);
                let about = format!("{keys} keys of {requests} a minute, ways of {late} ms: {went:?}");
                // Half of it was there at first.
                let held = keys as u64 * requests * 2;
                let kept = went.served > 0 && went.sent_away_again * 100 <= went.served;
                // Ways that differ by more than the margin bring requests too soon.
                let bounced = went.bounced > 0 && late <= 60;
                if !kept || bounced || (went.answered as u64) * 10 < held * 8 {
                    broken.push(format!("of {held}: {about}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
