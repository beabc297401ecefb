//! Waiting for a grant: how much of it a request can still afford, and the grant's own delay.

use crate::platform::time;
use rondo_core::limits::grant::USE_WITHIN_MS;
use rondo_core::pool::protocol::Grant;

/// A request's patience.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    started: u64,
    /// The client's own deadline, from the start of the request.
    deadline_ms: Option<u64>,
    /// Without one: how long it may wait for grants, attempts not counted.
    max_wait_ms: u64,
    waited: u64,
}

impl Patience {
    /// A request that began at `started`.
    pub fn new(started: u64, deadline_ms: Option<u64>, max_wait_ms: u64) -> Self {
        Self { started, deadline_ms, max_wait_ms, waited: 0 }
    }

    /// How long it can still wait.
    pub fn left(&self, now: u64) -> u64 {
        match self.deadline_ms {
            Some(deadline) => deadline.saturating_sub(now.saturating_sub(self.started)),
            None => self.max_wait_ms.saturating_sub(self.waited),
        }
    }

    /// The client's own deadline, from the start of the request.
    pub fn stated(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// Time spent waiting for grants.
    pub fn waited(&self) -> u64 {
        self.waited
    }

    /// Waits.
    pub async fn wait(&mut self, ms: u64) {
        if ms > 0 {
            let from = time::now_ms();
            time::sleep(ms).await;
            self.waited += time::now_ms().saturating_sub(from).max(ms);
        }
    }

    /// Counts time spent asking, which is waiting for a grant too.
    pub fn count(&mut self, ms: u64) {
        self.waited += ms;
    }
}

/// Whether a grant can still be used: what revokes a token or key relies on this.
pub fn is_usable(grant: &Grant, given_at: u64, now: u64) -> bool {
    now.saturating_sub(given_at) <= USE_WITHIN_MS.max(grant.delay_ms)
}
