//! The twin of the upstream's limiter for one quota group and one model: what it counts, how much of it is left
//! as far as can be known here, and when a request fits.
//!
//! Reservation follows the upstream (docs/upstream.md): the prompt's tokens and the largest answer are taken
//! when a grant is given, the truth takes their place when it is settled. What headers say is compared with what
//! the twin held at that moment, and the difference, if it can't be explained by what is still under way, is
//! corrected.

mod booked;
mod meter;
mod pace;
mod readings;

use super::bucket::Bucket;
use super::recent::Recent;
use crate::wire::headers::{Counted, Window};
use booked::Booked;
use pace::Pace;
use readings::Pending;
use serde::{Deserialize, Serialize};

pub use meter::Meter;
pub use readings::Deviation;

/// How long after the computed moment a request is sent that had to wait for it: the network may bring it sooner
/// than the one before.
pub const MARGIN_MS: u64 = 120;
/// The margin doubles with each 429 that was not foreseen, up to this.
const MARGIN_MAX_MS: u64 = 2_000;
/// Foreseen successes in a row that halve it again.
const MARGIN_TRUST: u32 = 200;
/// The most requests under way while the upstream says nothing of limits: beyond it there is none to speak of.
const WINDOW_MAX: u32 = 4_096;
/// A bucket that holds less a minute is too tight to be leased.
const LEASED_FROM: u64 = 60;
/// Whole requests' worth of total tokens for one of uncached ones, where a hidden bucket shows itself by a 429.
const TOTAL_FACTOR: u64 = 3;

/// What is known of one (group, model).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// The buckets; empty while nothing is known.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<Meter>,
    /// Not used before that time: a 429 said so.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    pub cool_until: u64,
    /// Not asked before that time: it said that it does not have the model.
    #[serde(rename = "e", skip_serializing_if = "is_zero")]
    pub missing_until: u64,
    /// 429s without a stated time, in a row.
    #[serde(rename = "s", skip_serializing_if = "is_zero32")]
    pub strikes: u32,
    /// The smallest request that was refused although the buckets were full.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub refused_from: Option<u64>,
    /// The upstream answered without a word of limits.
    #[serde(rename = "q", skip_serializing_if = "is_false")]
    pub silent: bool,
    /// Requests that may be under way while nothing is known.
    #[serde(rename = "n", skip_serializing_if = "is_zero32")]
    window: u32,
    #[serde(rename = "g", skip_serializing_if = "is_zero")]
    margin_ms: u64,
    /// Grants given and not settled.
    #[serde(skip)]
    pub open: u32,
    /// The tokens reserved for them.
    #[serde(skip)]
    pub open_tokens: u64,
    #[serde(skip)]
    foreseen: u32,
    #[serde(skip)]
    recent: Recent,
    /// A reading kept until what it counts has been reported.
    #[serde(skip)]
    pending: Option<Pending>,
    /// When it was last leased from.
    #[serde(skip)]
    leased_at: u64,
    #[serde(skip)]
    booked: Booked,
    /// What the ask at hand took as a lease: (its number, requests, tokens).
    #[serde(skip)]
    leased: (u64, u64, u64),
    #[serde(skip)]
    pace: Pace,
    /// When it was last used.
    #[serde(skip)]
    pub touched_at: u64,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_zero32(number: &u32) -> bool {
    *number == 0
}

/// When a request fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From that time on.
    From(u64),
    /// When something that is under way has ended: how much fits is not known yet.
    AfterOthers,
    /// Never: it is larger than what the upstream takes. With the largest bucket of tokens.
    Never(u64),
}

impl Quota {
    /// How fast it is used.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether limits are known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.meters.is_empty()
    }

    /// Whether the next answer's headers are wanted at once.
    #[must_use]
    pub fn wants_learning(&self) -> bool {
        !self.is_known() && !self.silent
    }

    fn window(&self) -> u32 {
        self.window.max(1)
    }

    fn margin(&self) -> u64 {
        self.margin_ms.max(MARGIN_MS)
    }

    /// When a request with that reservation fits.
    #[must_use]
    pub fn when(&self, tokens: u64) -> When {
        if self.refused_from.is_some_and(|least| tokens >= least) {
            return When::Never(self.largest());
        }
        if !self.is_known() && self.open >= self.window() {
            return When::AfterOthers;
        }
        let mut at = 0;
        for meter in &self.meters {
            at = at.max(meter.bucket.when(meter.cost(tokens)).unwrap_or(0));
        }
        if at > 0 {
            at += self.margin();
        }
        When::From(at.max(self.cool_until))
    }

    /// When a request fits once so much more was taken before it. Later than computed if what is taken before
    /// ends sooner than it was reserved for.
    #[must_use]
    pub fn when_behind(&self, requests: u64, before: u64, tokens: u64) -> u64 {
        if self.refused_from.is_some_and(|least| tokens >= least)
            || !self.is_known() && u64::from(self.open) + requests >= u64::from(self.window())
        {
            return u64::MAX;
        }
        let mut at = 0;
        for meter in &self.meters {
            let before = if meter.what == Counted::Requests { requests } else { before };
            at = at.max(meter.bucket.when_behind(before, meter.cost(tokens)));
        }
        if at > 0 {
            at += self.margin();
        }
        at.max(self.cool_until)
    }

    fn largest(&self) -> u64 {
        self.meters
            .iter()
            .filter(|meter| meter.what != Counted::Requests)
            .map(|meter| meter.bucket.limit())
            .min()
            .unwrap_or(0)
    }

    /// Before that time not even the smallest request fits: a bound that is cheap to compare with.
    #[must_use]
    pub fn ready_at(&self) -> u64 {
        match self.when(1) {
            When::From(at) => at,
            When::AfterOthers | When::Never(_) => 0,
        }
    }

    /// While nothing is known: how many more may be under way, and how many at once.
    pub(super) fn slow_start(&self) -> (f64, f64) {
        let window = f64::from(self.window());
        ((window - f64::from(self.open)).max(0.0), window)
    }

    /// Takes what a grant reserves, as of the moment it is to be sent.
    pub fn reserve(&mut self, now: u64, at: u64, tokens: u64) {
        self.open += 1;
        self.open_tokens += tokens;
        if at > now {
            self.booked.add(now, at, tokens);
        }
        self.touched_at = self.touched_at.max(at);
        for meter in &mut self.meters {
            let cost = if meter.what == Counted::Requests { 1 } else { tokens };
            meter.bucket.spend(at, cost);
        }
        self.recent.reserved(at, [1, tokens as i64, tokens as i64]);
    }

    /// A grant whose reservation the buckets hold already: it is under way, no more.
    pub fn reopen(&mut self, tokens: u64) {
        self.open += 1;
        self.open_tokens += tokens;
    }

    /// A grant is over: it is no longer under way. What becomes of its reservation is said apart.
    pub fn close(&mut self, tokens: u64) {
        self.open = self.open.saturating_sub(1);
        self.open_tokens = self.open_tokens.saturating_sub(tokens);
    }

    /// The reservation gives way to the truth: so many tokens in all, so many of them not from the cache, and
    /// whether the request itself counts.
    pub fn settle(&mut self, at: u64, reserved: u64, total: u64, uncached: u64, counts: bool) {
        self.booked.forget(at);
        let booked = &self.booked;
        for meter in &mut self.meters {
            if meter.what != Counted::Requests {
                let used = meter.used(total, uncached);
                if used > reserved {
                    meter.bucket.spend(at, used - reserved);
                } else {
                    meter.bucket.refund_before(reserved - used, booked.by_tokens());
                }
            } else if !counts {
                meter.bucket.refund_before(1, booked.by_requests());
            }
        }
        let reserved = reserved as i64;
        let requests = if counts { 0 } else { -1 };
        if counts {
            self.pace.add(at, [1, total, uncached]);
        }
        self.recent.settled(at, [requests, total as i64 - reserved, uncached as i64 - reserved]);
    }

    /// What was sent without a reservation that is known here.
    pub fn charge(&mut self, at: u64, total: u64, uncached: u64) {
        for meter in &mut self.meters {
            let used = if meter.what == Counted::Requests { 1 } else { meter.used(total, uncached) };
            meter.bucket.spend(at, used);
        }
        self.pace.add(at, [1, total, uncached]);
        self.recent.settled(at, [1, total as i64, uncached as i64]);
    }

    /// An answer came: the twin was right about it, and an upstream that says nothing of limits takes more.
    pub fn succeeded(&mut self) {
        self.strikes = 0;
        if !self.is_known() {
            self.window = (self.window() + 1).min(WINDOW_MAX);
        }
        self.foreseen += 1;
        if self.foreseen >= MARGIN_TRUST {
            self.foreseen = 0;
            self.margin_ms /= 2;
        }
    }

    /// A 429 of a quota. `tokens` were asked for; `of_tokens` is what the upstream named, if it did. Returns
    /// whether the twin would have let it pass.
    pub fn refused(
        &mut self,
        now: u64,
        tokens: u64,
        of_tokens: Option<bool>,
        window: Option<Window>,
    ) -> bool {
        let unforeseen = self.cool_until <= now;
        self.foreseen = 0;
        if !self.is_known() {
            self.window = (self.window() / 2).max(1);
            return unforeseen;
        }
        if unforeseen {
            self.margin_ms = (2 * self.margin()).min(MARGIN_MAX_MS);
        }
        let Some(of_tokens) = of_tokens else { return unforeseen };
        let named = |meter: &Meter| {
            (meter.what != Counted::Requests) == of_tokens
                && window.is_none_or(|window| meter.window == window)
        };
        let sized = of_tokens && self.meters.iter().any(&named);
        let (mut full, mut roomy) = (sized, sized);
        for meter in self.meters.iter_mut().filter(|meter| named(meter)) {
            let (level, limit) = (meter.bucket.level(now), meter.bucket.limit() as i64);
            full &= level >= limit - limit / 50;
            roomy &= level >= limit / 2 && tokens as i64 <= level;
            let cost = meter.cost(tokens) as i64;
            meter.bucket.set_level(now, level.min(cost - 1));
        }
        if full && self.open == 0 && tokens > self.largest() / 2 {
            self.refused_from = Some(self.refused_from.map_or(tokens, |least| least.min(tokens)));
        } else if roomy && window.is_none_or(|window| window == Window::Minute) {
            self.infer_total(now);
        }
        unforeseen
    }

    /// A minute's tokens ran out although the bucket that is shown had room: there is one for all tokens, cached
    /// ones too, some three times as large, which no header shows.
    fn infer_total(&mut self, now: u64) {
        let hidden = |meter: &Meter| meter.what == Counted::TotalTokens && meter.window == Window::Minute;
        let shown = |meter: &&Meter| {
            meter.window == Window::Minute
                && matches!(meter.what, Counted::Tokens | Counted::UncachedTokens)
                && !meter.fixed
        };
        if self.meters.iter().any(hidden) {
            return;
        }
        let Some(limit) = self.meters.iter().find(shown).map(|meter| meter.bucket.limit()) else { return };
        let mut bucket = Bucket::new(TOTAL_FACTOR * limit, Window::Minute.ms());
        bucket.set_level(now, 0);
        self.meters.push(Meter {
            what: Counted::TotalTokens,
            window: Window::Minute,
            bucket,
            fixed: false,
            inferred: true,
            unseen: 0,
        });
    }

    /// The operator's own figures take the place of learned ones.
    pub fn fix(&mut self, now: u64, figures: &[(Counted, Window, u64)]) {
        // A figure that was taken back is learned anew.
        self.meters.retain(|meter| {
            let stays = |figure: &&(Counted, Window, u64)| (figure.0, figure.1) == (meter.what, meter.window);
            !meter.fixed || figures.iter().any(|figure| stays(&figure))
        });
        for &(what, window, limit) in figures {
            match self.meters.iter_mut().find(|meter| meter.what == what && meter.window == window) {
                Some(meter) => {
                    // Without a clock, as at a restart, it is full when it was to be.
                    let at = if now == 0 { meter.bucket.full_at() } else { now };
                    meter.bucket.set_limit(at, limit);
                    meter.fixed = true;
                }
                None => self.meters.push(Meter {
                    what,
                    window,
                    bucket: Bucket::new(limit, window.ms()),
                    fixed: true,
                    inferred: false,
                    unseen: 0,
                }),
            }
        }
    }

    /// Whether a lease may take one more: out of the half of each bucket that is beyond the first, and of that
    /// the asker's share. Tight buckets are never leased: what an idle isolate holds is lost for seconds.
    #[must_use]
    pub fn may_lease(&self, ask: u64, now: u64, tokens: u64, askers: u64) -> bool {
        let (_, requests, taken) = if self.leased.0 == ask { self.leased } else { (ask, 0, 0) };
        if !self.is_known() {
            return self.silent && 2 * (self.open + 1) <= self.window();
        }
        self.cool_until <= now
            && self.meters.iter().all(|meter| {
                let limit = meter.bucket.limit();
                let (cost, before) = match meter.what {
                    Counted::Requests => (1, requests),
                    _ => (tokens, taken),
                };
                let a_minute = limit.saturating_mul(60_000) / meter.bucket.window_ms();
                let tight = meter.what == Counted::Requests && a_minute < LEASED_FROM;
                let spare = meter.bucket.level(now).saturating_add_unsigned(before) - (limit / 2) as i64;
                !tight && spare >= (askers.max(1) * (before + cost)) as i64
            })
    }

    /// That ask took one more as a lease.
    pub fn leased(&mut self, ask: u64, now: u64, tokens: u64) {
        let (_, requests, taken) = if self.leased.0 == ask { self.leased } else { (ask, 0, 0) };
        self.leased = (ask, requests + 1, taken + tokens);
        self.leased_at = self.leased_at.max(now);
    }

    /// Whether nothing would be lost by forgetting it, but for what was learned.
    #[must_use]
    pub fn is_idle(&self, now: u64) -> bool {
        self.open == 0
            && self.cool_until.max(self.missing_until) <= now
            && self.meters.iter().all(|meter| meter.bucket.full_at() <= now)
    }
}

#[cfg(test)]
mod tests;
