//! The rate limiter of the upstream, for one organisation and one model: written from its documentation, and
//! apart from everything in `core`, which it is there to judge.
//!
//! What is documented: limits are per organisation and model, of requests and of tokens, per minute, hour and
//! day. Each is a token bucket that refills all the time. A request is refused before it is worked on if one of
//! them lacks room; what it needs is one request, and its prompt's tokens with the largest answer it allows
//! (16,384 when it names none, and never more). When the answer is over the true usage takes the place of that
//! reservation. Of tokens there are two buckets: the total, and the uncached, to which prompt tokens that were
//! found in the cache do not count.

/// Reserved for an answer without a limit, and the most that is reserved for any.
pub const RESERVE_CAP: u64 = 16_384;

/// What a bucket counts, in the order in which buckets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests.
    Requests,
    /// Tokens that were not found in the cache.
    Uncached,
    /// All tokens.
    Tokens,
}

/// How long a bucket takes to refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// 60 s.
    Minute,
    /// 3,600 s.
    Hour,
    /// 86,400 s.
    Day,
}

impl Metric {
    /// Its name in the table of example vectors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Uncached => "uncached",
            Self::Tokens => "tokens",
        }
    }
}

impl Period {
    /// Its length in milliseconds.
    #[must_use]
    pub fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// Its name in the table of example vectors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Limits: what is counted, over what time, how many.
pub type Limits = Vec<(Metric, Period, u64)>;

/// One bucket. Kept is what is missing from full, in parts of 1/period: in a millisecond `limit` of them come
/// back, so all sums are whole numbers. Room for limits up to 10^11 a day.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What it counts.
    pub metric: Metric,
    /// How long it takes to refill.
    pub period: Period,
    /// How much it holds.
    pub limit: i64,
    missing: i64,
    at: u64,
    /// What would have come back, had it not been full already.
    spilled: f64,
}

impl Bucket {
    fn pass(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at) as i64;
        self.at = self.at.max(now);
        self.put_back(passed.saturating_mul(self.limit));
    }

    fn put_back(&mut self, parts: i64) {
        let beyond = (parts - self.missing.max(0)).max(0);
        if beyond > 0 {
            self.spilled += beyond as f64 / self.period.ms() as f64;
        }
        self.missing = (self.missing - parts).max(0);
    }

    fn change(&mut self, cost: i64) {
        if cost >= 0 {
            self.missing += cost * self.period.ms();
        } else {
            self.put_back(-cost * self.period.ms());
        }
    }

    /// Milliseconds until `cost` fits; infinite if it never does.
    fn wait(&self, cost: i64) -> f64 {
        if cost > self.limit {
            return f64::INFINITY;
        }
        let lacking = self.missing - (self.limit - cost) * self.period.ms();
        lacking.max(0) as f64 / self.limit as f64
    }

    /// What is there, in fractions and below nothing too.
    #[must_use]
    pub fn level(&self) -> f64 {
        self.limit as f64 - self.missing as f64 / self.period.ms() as f64
    }

    /// What is there, as the service says it: whole, and never below nothing.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let full = self.limit * self.period.ms();
        u64::try_from((full - self.missing).max(0) / self.period.ms()).unwrap_or(0)
    }

    /// Milliseconds until it is full.
    #[must_use]
    pub fn reset_ms(&self) -> f64 {
        self.missing as f64 / self.limit as f64
    }

    /// What comes back in a millisecond.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.limit as f64 / self.period.ms() as f64
    }

    /// What did not come back so far because it was full.
    #[must_use]
    pub fn spilled(&self) -> f64 {
        self.spilled
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Short {
    /// The first bucket without room.
    pub metric: Metric,
    /// Its time.
    pub period: Period,
    /// Until the request fits there; infinite if it never does.
    pub wait_ms: f64,
    /// Until that bucket is full.
    pub reset_ms: f64,
}

/// What an answer used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Prompt tokens, cached ones included.
    pub prompt: u64,
    /// Those found in the cache.
    pub cached: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

impl Used {
    /// What it takes from a bucket of tokens.
    #[must_use]
    pub fn of(&self, metric: Metric) -> u64 {
        match metric {
            Metric::Requests => 1,
            Metric::Uncached => self.prompt + self.completion - self.cached,
            Metric::Tokens => self.prompt + self.completion,
        }
    }
}

/// All buckets of one organisation and one model. Time is in milliseconds and never runs backwards here.
#[derive(Clone, Debug)]
pub struct Limiter {
    buckets: Vec<Bucket>,
}

impl Limiter {
    /// Full buckets.
    #[must_use]
    pub fn new(limits: &Limits, now: u64) -> Self {
        let mut limits = limits.clone();
        limits.sort_unstable();
        let bucket = |(metric, period, limit): (Metric, Period, u64)| Bucket {
            metric,
            period,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            missing: 0,
            at: now,
            spilled: 0.0,
        };
        Self { buckets: limits.into_iter().map(bucket).collect() }
    }

    /// What a request reserves.
    #[must_use]
    pub fn reserve(prompt: u64, max_completion: Option<u64>) -> u64 {
        prompt + max_completion.map_or(RESERVE_CAP, |most| most.min(RESERVE_CAP))
    }

    /// Takes the reservation from every bucket, or nothing from any.
    ///
    /// # Errors
    /// The first bucket without room.
    pub fn admit(&mut self, now: u64, prompt: u64, max_completion: Option<u64>) -> Result<u64, Short> {
        let reserved = Self::reserve(prompt, max_completion);
        let cost = |metric| if metric == Metric::Requests { 1 } else { reserved as i64 };
        for bucket in &mut self.buckets {
            bucket.pass(now);
            let wait_ms = bucket.wait(cost(bucket.metric));
            if wait_ms > 0.0 {
                let (metric, period, reset_ms) = (bucket.metric, bucket.period, bucket.reset_ms());
                return Err(Short { metric, period, wait_ms, reset_ms });
            }
        }
        for bucket in &mut self.buckets {
            bucket.change(cost(bucket.metric));
        }
        Ok(reserved)
    }

    /// Puts the true usage in the place of a reservation.
    pub fn settle(&mut self, now: u64, reserved: u64, used: &Used) {
        for bucket in &mut self.buckets {
            bucket.pass(now);
            if bucket.metric != Metric::Requests {
                bucket.change(used.of(bucket.metric) as i64 - reserved as i64);
            }
        }
    }

    /// The buckets as they stand.
    pub fn buckets(&mut self, now: u64) -> &[Bucket] {
        for bucket in &mut self.buckets {
            bucket.pass(now);
        }
        &self.buckets
    }
}
