//! A circuit breaker: a provider that fails again and again is left alone, then tried with one call at a time.
//!
//! | state | calls | leaves |
//! |---|---|---|
//! | closed | pass | after `failures_max` failures in a row: open |
//! | open | wait | when its pause is over: half-open |
//! | half-open | one trial, the others wait | trial good: closed; bad: open, for about twice as long |

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PAUSE_FIRST: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration },
}

/// The machine, without time of its own.
#[derive(Debug)]
struct Machine {
    state: State,
    failures_max: u32,
    pause_max: Duration,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Pass,
    Trial,
    Wait(Duration),
}

impl Machine {
    fn turn(&mut self, now: Instant) -> Turn {
        match self.state {
            State::Closed { .. } => Turn::Pass,
            State::Open { until, pause } if until <= now => {
                self.state = State::HalfOpen { pause };
                Turn::Trial
            }
            State::Open { until, .. } => Turn::Wait(until - now),
            State::HalfOpen { .. } => Turn::Wait(PAUSE_FIRST / 5),
        }
    }

    fn succeeded(&mut self) {
        if let State::Closed { .. } = self.state {
            self.state = State::Closed { failures: 0 };
        }
    }

    fn failed(&mut self, now: Instant, random: u64) {
        if let State::Closed { failures } = self.state {
            if failures + 1 < self.failures_max {
                self.state = State::Closed { failures: failures + 1 };
            } else {
                self.open(PAUSE_FIRST, now, random);
            }
        }
    }

    fn trial_ended(&mut self, good: bool, now: Instant, random: u64) {
        if let State::HalfOpen { pause } = self.state {
            if good {
                self.state = State::Closed { failures: 0 };
            } else {
                self.open((pause * 2).min(self.pause_max), now, random);
            }
        }
    }

    /// Opens for at least half of the pause: the rest is drawn, so that workers do not come back together.
    fn open(&mut self, pause: Duration, now: Instant, random: u64) {
        let half = pause / 2;
        let drawn = Duration::from_micros(random % (half.as_micros() as u64 + 1));
        self.state = State::Open { until: now + half + drawn, pause };
    }
}

/// A provider's breaker, shared by its calls.
#[derive(Debug)]
pub struct Breaker(Mutex<Machine>);

/// Leave for one trial; dropped without a word, it has failed.
#[derive(Debug)]
pub struct Trial<'a> {
    breaker: &'a Breaker,
    told: bool,
}

impl Breaker {
    /// Closed; opens after so many failures in a row, for at most about `pause_max`.
    pub fn new(failures_max: u32, pause_max: Duration) -> Self {
        let state = State::Closed { failures: 0 };
        Self(Mutex::new(Machine { state, failures_max: failures_max.max(1), pause_max: pause_max.max(PAUSE_FIRST) }))
    }

    /// Waits until calls may pass (`None`), or until it is the caller's turn to try.
    pub async fn ready(&self) -> Option<Trial<'_>> {
        loop {
            let turn = self.with(|machine| machine.turn(Instant::now()));
            match turn {
                Turn::Pass => return None,
                Turn::Trial => return Some(Trial { breaker: self, told: false }),
                Turn::Wait(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// A call was answered.
    pub fn succeeded(&self) {
        self.with(Machine::succeeded);
    }

    /// A call failed.
    pub fn failed(&self) {
        self.with(|machine| machine.failed(Instant::now(), random()));
    }

    /// Whether calls wait.
    pub fn is_open(&self) -> bool {
        self.with(|machine| !matches!(machine.state, State::Closed { .. }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Trial<'_> {
    /// Tells how the trial ended.
    pub fn ended(mut self, good: bool) {
        self.told = true;
        self.breaker.with(|machine| machine.trial_ended(good, Instant::now(), random()));
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.with(|machine| machine.trial_ended(false, Instant::now(), random()));
        }
    }
}

/// Nothing secret hangs on it: without randomness from the system, pauses are the shortest.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_tries_and_closes() {
        let t = Instant::now();
        let at = |ms| t + Duration::from_millis(ms);
        let mut machine = Machine {
            state: State::Closed { failures: 0 },
            failures_max: 3,
            pause_max: Duration::from_millis(1_500),
        };
        for _ in 0..2 {
            machine.failed(at(0), 0);
        }
        machine.succeeded();
        for _ in 0..2 {
            machine.failed(at(0), 0);
            assert_eq!(machine.turn(at(0)), Turn::Pass, "a success in between begins anew");
        }
        machine.failed(at(0), 0);
        assert_eq!(machine.turn(at(0)), Turn::Wait(Duration::from_millis(250)), "half of the pause at least");
        machine.succeeded();
        assert!(matches!(machine.turn(at(249)), Turn::Wait(_)), "an answer on its way closes nothing");
        assert_eq!(machine.turn(at(250)), Turn::Trial);
        assert!(matches!(machine.turn(at(251)), Turn::Wait(_)), "one trial at a time");
        // Each bad trial doubles the pause, up to the longest.
        for (now, next) in [(300, 800), (1_000, 1_750), (3_000, 3_750)] {
            machine.trial_ended(false, at(now), 0);
            assert!(matches!(machine.turn(at(next - 1)), Turn::Wait(_)), "{now}");
            assert_eq!(machine.turn(at(next)), Turn::Trial, "{now}");
        }
        machine.trial_ended(true, at(4_000), 0);
        assert_eq!(machine.turn(at(4_000)), Turn::Pass);
    }

    #[tokio::test]
    async fn a_trial_that_is_dropped_has_failed() {
        let breaker = Breaker::new(1, Duration::from_secs(1));
        assert!(breaker.ready().await.is_none());
        breaker.failed();
        let trial = breaker.ready().await.expect("a trial");
        assert!(breaker.is_open());
        drop(trial);
        let again = breaker.ready().await.expect("another trial, later");
        again.ended(true);
        assert!(!breaker.is_open() && breaker.ready().await.is_none());
    }
}
