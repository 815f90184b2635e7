//! The time of day, passed in.
//!
//! Input: nothing. Output: the present instant in UTC.
//! Guarantee: this is the only place that reads the machine's calendar clock (`clippy.toml` bans it elsewhere), so
//! that a test or a replay with [`Clock::fixed`] sees the same dates each time.
//! Limit: for instants that are stored or compared with business dates; durations are measured with
//! `std::time::Instant`.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// Where "now" comes from. Cheap to clone and to share between threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always the same instant.
    Fixed(OffsetDateTime),
    /// Runs like the machine's from where somebody set it.
    Set(ClockSetter),
}

/// The hands of a clock that can be set, for simulations of months. All its copies move together.
#[derive(Clone, Copy, Debug)]
pub struct ClockSetter {
    /// Seconds ahead of the machine's clock. Lives as long as the process: simulations are few.
    ahead_s: &'static AtomicI64,
}

impl ClockSetter {
    /// Sets the clock; it runs on from there.
    pub fn set(self, at: OffsetDateTime) {
        let ahead = at - Clock::System.now();
        self.ahead_s.store(ahead.whole_seconds(), Ordering::Release);
    }
}

impl PartialEq for ClockSetter {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.ahead_s, other.ahead_s)
    }
}

impl Eq for ClockSetter {}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self::System
    }

    /// A clock that stands still at `at`.
    pub const fn fixed(at: OffsetDateTime) -> Self {
        Self::Fixed(at)
    }

    /// A clock that runs from `at` and can be set again by its hands.
    pub fn settable(at: OffsetDateTime) -> (Self, ClockSetter) {
        let hands = ClockSetter { ahead_s: Box::leak(Box::new(AtomicI64::new(0))) };
        hands.set(at);
        (Self::Set(hands), hands)
    }

    /// The present instant: UTC from the machine, or the fixed one as it was given.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Fixed(at) => *at,
            Self::Set(hands) => {
                let ahead = Duration::seconds(hands.ahead_s.load(Ordering::Acquire));
                OffsetDateTime::now_utc().saturating_add(ahead)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still_and_the_system_clock_does_not_run_back() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        assert_eq!(Clock::fixed(at).now(), at);
        let first = Clock::system().now();
        assert!(Clock::system().now() >= first && first > at);
    }

    #[test]
    fn a_clock_that_is_set_runs_from_there_in_all_its_copies() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let (clock, hands) = Clock::settable(at);
        let copy = clock;
        for at in [at, at + Duration::days(400)] {
            hands.set(at);
            let seen = copy.now() - at;
            assert!(seen > Duration::seconds(-2) && seen < Duration::minutes(1), "{seen}");
        }
        assert_eq!(clock, copy);
    }
}
