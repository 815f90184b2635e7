//! How long to wait after a failure: steps that double, with a random part, never longer than a limit.
//!
//! Input: failures, and what the other side asks for (Retry-After). Output: a pause.
//! Guarantee: a pause is at least half of the first step, so that a failing neighbour is not asked in a tight loop, and never
//! shorter than what the other side asks for, up to the limit for that.
//! Limit: the random part keeps processes that failed together from coming back together; nothing secret hangs on it.

use std::time::Duration;

use crate::rails::stream::backoff::FullJitter;

/// Pauses after failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    jitter: FullJitter,
    failures: u32,
}

impl Backoff {
    /// Begins with about `first`; about `longest` is the last step.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { least: first / 2, jitter: FullJitter::new(first, longest), failures: 0 }
    }

    /// After a success: the next failure begins anew.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// After a failure: how long to wait. `asked` is what the other side asks for.
    pub fn failed(&mut self, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        // Without randomness from the system processes may come back together, which is no fault.
        let pause = self.jitter.pause(self.failures, asked, getrandom::u64().unwrap_or(0));
        pause.max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_grow_keep_their_bounds_and_begin_anew() {
        let mut backoff = Backoff::new(MS(100), MS(1_000));
        for round in 0..200 {
            let (asked, most) = if round % 2 == 0 { (None, MS(1_000)) } else { (Some(MS(3_000)), MS(4_000)) };
            let pause = backoff.failed(asked);
            assert!(pause >= asked.unwrap_or(MS(50)) && pause <= most, "{round}: {pause:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed(None) <= MS(100), "the first step again");
    }
}
