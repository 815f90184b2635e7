//! How long to wait after a failure: twice as long after each, with a random part, never longer than a limit.
//!
//! Input: failures, and what the other side asks for (Retry-After). Output: a pause.
//! Guarantee: a pause is at least half of its step, so that a failing neighbour is not asked in a tight loop, and never
//! shorter than what the other side asks for, up to the limit for that.
//! Limit: the random part keeps processes that failed together from coming back together; nothing secret hangs on it.

use std::time::Duration;

/// Longest pause that another side can ask for.
pub const ASKED_MAX: Duration = Duration::from_secs(300);

/// Pauses after failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Begins with about `first`; about `longest` is the last step.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// After a success: the next failure begins anew.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// After a failure: how long to wait. `asked` is what the other side asks for.
    pub fn failed(&mut self, asked: Option<Duration>) -> Duration {
        // Without randomness from the system processes may come back together, which is no fault.
        self.step(asked, getrandom::u64().unwrap_or(0))
    }

    fn step(&mut self, asked: Option<Duration>, random: u64) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let half = step / 2;
        let spread_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        let pause = half + Duration::from_micros(random % spread_us);
        pause.max(asked.unwrap_or_default().min(ASKED_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn steps_double_to_the_limit_and_honour_what_is_asked() {
        let check = |failures: u32, asked: Option<Duration>, least: Duration, most: Duration| {
            for random in [0, 1, 7_777_777, u64::MAX / 2, u64::MAX] {
                let mut backoff = Backoff { failures, ..Backoff::new(MS(100), MS(1_000)) };
                let pause = backoff.step(asked, random);
                assert!(pause >= least && pause <= most, "{failures} {asked:?} {random}: {pause:?}");
            }
        };
        check(0, None, MS(50), MS(100));
        check(1, None, MS(100), MS(200));
        check(3, None, MS(400), MS(800));
        check(4, None, MS(500), MS(1_000));
        check(u32::MAX, None, MS(500), MS(1_000));
        check(0, Some(MS(3_000)), MS(3_000), MS(3_000));
        check(4, Some(MS(1)), MS(500), MS(1_000));
        check(0, Some(MS(86_400_000)), ASKED_MAX, ASKED_MAX);
    }

    #[test]
    fn a_success_begins_anew_and_the_random_part_spreads() {
        let mut backoff = Backoff::new(MS(100), MS(1_000));
        for _ in 0..5 {
            backoff.step(None, 0);
        }
        assert_eq!(backoff.step(None, 0), MS(500));
        backoff.succeeded();
        assert_eq!(backoff.step(None, 0), MS(50));
        let mut seen: Vec<Duration> =
            (0..100).map(|_| Backoff::new(MS(100), MS(1_000)).failed(None)).collect();
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 50, "{} different pauses", seen.len());
    }
}
