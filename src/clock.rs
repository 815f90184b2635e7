//! The time of day, passed in.
//!
//! Input: nothing. Output: the present instant in UTC.
//! Guarantee: this is the only place that reads the machine's calendar clock (`clippy.toml` bans it elsewhere), so
//! that a test or a replay with [`Clock::fixed`] sees the same dates each time.
//! Limit: for instants that are stored or compared with business dates; durations are measured with
//! `std::time::Instant`.

use time::OffsetDateTime;

/// Where "now" comes from. Cheap to clone and to share between threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always the same instant.
    Fixed(OffsetDateTime),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self::System
    }

    /// A clock that stands still at `at`.
    pub const fn fixed(at: OffsetDateTime) -> Self {
        Self::Fixed(at)
    }

    /// The present instant: UTC from the machine, or the fixed one as it was given.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Fixed(at) => *at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still_and_the_system_clock_does_not_run_back() {
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        assert_eq!(Clock::fixed(at).now(), at);
        let first = Clock::system().now();
        assert!(Clock::system().now() >= first && first > at);
    }
}
