//! How long to leave a failing provider alone: twice as long after each failure, all of it drawn by lot.
//!
//! Input: failures in a row, what the provider asks for, a random number. Output: a pause.
//! Guarantee: never earlier than the provider asks for (up to [`ASKED_MAX`]), and spread behind that, so that workers
//! that failed together do not come back together. Limit: no state; whoever counts failures is the caller.

use std::time::Duration;

/// Longest pause that a provider can ask for.
pub const ASKED_MAX: Duration = Duration::from_secs(3_600);

/// Pauses with full jitter: evenly between nothing and a step that doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullJitter {
    first: Duration,
    longest: Duration,
}

impl FullJitter {
    /// Steps from `first`, doubled with each failure, to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after `failures` in a row (from 1). `asked` is what the provider asks for (Retry-After): the pause is
    /// drawn on top of it. `random` is spread over all of its 64 bits.
    pub fn pause(&self, failures: u32, asked: Option<Duration>, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(30));
        let step_us = doubled.min(self.longest).as_micros();
        // Below the step, which is below 2^64: the high half of the product of a step and a 64-bit fraction.
        let drawn = u64::try_from((step_us.min(u128::from(u64::MAX)) * u128::from(random)) >> 64);
        let drawn = Duration::from_micros(drawn.unwrap_or(u64::MAX));
        asked.unwrap_or_default().min(ASKED_MAX) + drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn steps_double_to_the_limit_behind_what_is_asked() {
        let jitter = FullJitter::new(MS(100), MS(1_000));
        let check = |failures: u32, asked: Option<Duration>, random: u64, least: Duration, most: Duration| {
            let pause = jitter.pause(failures, asked, random);
            assert!(pause >= least && pause <= most, "{failures} {asked:?} {random}: {pause:?}");
        };
        for (failures, step) in
            [(0, 100), (1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (u32::MAX, 1_000)]
        {
            check(failures, None, 0, MS(0), MS(0));
            check(failures, None, u64::MAX / 2, MS(step / 2 - 1), MS(step / 2));
            check(failures, None, u64::MAX, MS(step - 1), MS(step));
        }
        check(1, Some(MS(7_000)), 0, MS(7_000), MS(7_000));
        check(5, Some(MS(7_000)), u64::MAX, MS(7_999), MS(8_000));
        check(1, Some(Duration::MAX), 0, ASKED_MAX, ASKED_MAX);
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let jitter = FullJitter::new(Duration::MAX, Duration::MAX);
        assert!(jitter.pause(u32::MAX, Some(Duration::MAX), u64::MAX) > ASKED_MAX);
        assert_eq!(FullJitter::new(MS(0), MS(0)).pause(9, None, u64::MAX), MS(0));
    }
}
