//! A breaker per provider. When the upstream fails for at least three groups without a success in between, it is
//! the upstream: nobody is sent there but one probe at a time, and no key is punished for it (the storm brake).
//! Only faults of the upstream feed it; those of keys and quotas never do.

use super::faults::backoff;
use super::protocol::GrantId;

/// So many groups must have failed.
pub const GROUPS: usize = 3;
/// Failures further apart than this have nothing to do with one another.
const TOGETHER_MS: u64 = 30_000;
/// How long nobody is sent at first; doubles with each probe that fails.
const OPEN_MS: u64 = 1_000;
/// The longest.
const OPEN_MAX_MS: u64 = 3_000;
/// A probe that is not heard of for so long no longer keeps others from probing.
const PROBE_MS: u64 = 15_000;
/// How soon those who wait for a probe's outcome ask again.
const PROBE_POLL_MS: u64 = 1_500;

/// Whether one may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Closed breaker: anyone.
    Free,
    /// Half open: this one, as the probe.
    Probe,
    /// Nobody before so many milliseconds have passed.
    Wait(u64),
}

/// One provider's.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Groups that failed since the last success, and when last.
    failing: Vec<(usize, u64)>,
    /// Nobody is sent before; 0 when closed.
    open_until: u64,
    opened_at: u64,
    /// When it opened first since an answer last came.
    since: u64,
    times: u32,
    probe: Option<(GrantId, u64)>,
}

impl Breaker {
    /// A group failed at that moment, by that grant sent at that other. Whether it is a storm, in which no key is to blame.
    pub fn failed(&mut self, now: u64, sent_at: u64, group: usize, grant: GrantId) -> bool {
        self.failing.retain(|(name, at)| *name != group && at + TOGETHER_MS > now);
        if self.failing.len() < 64 {
            self.failing.push((group, now));
        }
        let probed = self.probe.is_some_and(|(probe, _)| probe == grant);
        if probed {
            self.probe = None;
        }
        if self.open_until == 0 {
            if self.failing.len() >= GROUPS {
                self.open(now);
            }
        } else if probed || now >= self.open_until && sent_at > self.opened_at {
            self.open(now);
        }
        self.open_until != 0
    }

    fn open(&mut self, now: u64) {
        if self.times == 0 {
            self.since = now;
        }
        self.times += 1;
        self.opened_at = now;
        self.open_until = now + backoff(OPEN_MS, self.times, OPEN_MAX_MS);
    }

    /// An answer came, whole or past the gate, at that moment. One from before the breaker opened says nothing.
    pub fn succeeded(&mut self, ended_at: u64) {
        if self.open_until != 0 && ended_at >= self.opened_at {
            *self = Self::default();
        }
        // A report that comes late says nothing of what failed since.
        self.failing.retain(|(_, failed_at)| *failed_at > ended_at);
    }

    /// The groups have other numbers, by the number they had; what failed of those that are gone counts no more.
    pub fn regroup(&mut self, moved: &[Option<usize>]) {
        self.failing.retain_mut(|(group, _)| match moved.get(*group) {
            Some(Some(now)) => {
                *group = *now;
                true
            }
            _ => false,
        });
    }

    /// The probe was never sent, or said nothing of the upstream.
    pub fn unproven(&mut self, grant: GrantId) {
        if self.probe.is_some_and(|(probe, _)| probe == grant) {
            self.probe = None;
        }
    }

    /// Whether failures of late look as if they were the upstream's as a whole.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.open_until != 0 || self.failing.len() >= GROUPS - 1
    }

    /// While nobody but a probe is sent: since when, and when the next probe may go.
    #[must_use]
    pub fn outage(&self) -> Option<(u64, u64)> {
        (self.open_until != 0).then_some((self.since, self.open_until))
    }

    /// Whether one may send now.
    #[must_use]
    pub fn gate(&self, now: u64) -> Gate {
        if self.open_until == 0 {
            return Gate::Free;
        }
        if now < self.open_until {
            // A clock that stepped back must not make it longer than it can be.
            return Gate::Wait((self.open_until - now).min(OPEN_MAX_MS));
        }
        match self.probe {
            Some((_, since)) if now < since + PROBE_MS && now >= since => Gate::Wait(PROBE_POLL_MS),
            _ => Gate::Probe,
        }
    }

    /// That grant is the probe.
    pub fn probing(&mut self, now: u64, grant: GrantId) {
        self.probe = Some((grant, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(0, 0, 1, 1));
        assert!(!breaker.failed(0, 0, 1, 2), "the same group again is no more than one");
        assert!(!breaker.failed(0, 0, 2, 3));
        assert!(breaker.failed(0, 0, 3, 4));
        breaker
    }

    #[test]
    fn three_groups_open_it_and_one_probe_at_a_time_tries() {
        let mut breaker = opened();
        assert_eq!(breaker.gate(999), Gate::Wait(1));
        assert_eq!(breaker.gate(1_000), Gate::Probe);
        breaker.probing(1_000, 7);
        assert_eq!(breaker.gate(1_000), Gate::Wait(PROBE_POLL_MS));
        assert!(breaker.failed(1_100, 1_100, 1, 7));
        assert_eq!(breaker.gate(1_100), Gate::Wait(2_000), "each failed probe doubles the wait");
        breaker.probing(3_100, 8);
        assert!(breaker.failed(3_200, 3_200, 2, 8));
        assert_eq!(breaker.gate(3_200), Gate::Wait(3_000), "up to its cap");
        assert_eq!(breaker.outage(), Some((0, 6_200)), "since it opened first");
        breaker.probing(6_200, 9);
        breaker.succeeded(6_300);
        assert_eq!((breaker.gate(6_300), breaker.outage()), (Gate::Free, None));
        assert!(!breaker.failed(6_400, 6_400, 1, 10), "it counts from the beginning again");
    }

    #[test]
    fn a_success_in_between_keeps_it_closed() {
        let mut breaker = Breaker::default();
        for n in 0..30 {
            breaker.failed(n, n, n as usize % 2, n);
            breaker.failed(n, n, 2, n);
            breaker.succeeded(n);
        }
        assert_eq!(breaker.gate(30), Gate::Free);
    }

    #[test]
    fn what_ended_before_it_opened_does_not_close_it() {
        let mut breaker = Breaker::default();
        for group in 0..3 {
            breaker.failed(100, 100, group, 0);
        }
        breaker.succeeded(99);
        assert_eq!(breaker.gate(100), Gate::Wait(1_000));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_makes_room_for_another() {
        let mut breaker = opened();
        breaker.probing(1_000, 7);
        assert_eq!(breaker.gate(1_000 + PROBE_MS), Gate::Probe);
        breaker.probing(20_000, 8);
        breaker.unproven(8);
        assert_eq!(breaker.gate(20_001), Gate::Probe);
    }
}
