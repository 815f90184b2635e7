//! A circuit breaker for one provider: after failures in a row it is left alone, then tried with one call at a time.
//!
//! Input: how calls ended. Output: whether a call may be made now, or when it may be tried.
//! Guarantee: while it is open or half-open no more than one trial is under way; pauses double with each opening until a
//! real call, not only a trial, succeeds: a provider that is well but fails its calls is not asked in a tight loop.
//! Limit: of one worker. A provider that asks to wait (429) has not failed: that is not told to the breaker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::backoff::FullJitter;

/// Longest first pause.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Where a breaker stands, for a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// One trial is under way.
    HalfOpen,
    /// Nothing is sent until the pause is over.
    Open,
}

impl BreakerState {
    /// 0 closed, 1 half-open, 2 open.
    pub const fn level(self) -> i64 {
        self as i64
    }
}

/// The state machine alone: instants and random numbers are passed in.
#[derive(Debug)]
struct Circuit {
    failures_max: u32,
    pauses: FullJitter,
    /// Openings since a call last succeeded.
    openings: u32,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Call,
    Try,
    /// Until then, or until something moves.
    Wait(Instant),
    /// Another's trial.
    WaitForTrial,
}

impl Circuit {
    const fn new(failures_max: u32, pauses: FullJitter) -> Self {
        Self { failures_max, pauses, openings: 0, at: At::Closed { failures: 0 } }
    }

    fn enter(&mut self, now: Instant) -> Entry {
        match self.at {
            At::Closed { .. } => Entry::Call,
            At::Open { until } if now < until => Entry::Wait(until),
            At::Open { .. } => {
                self.at = At::HalfOpen;
                Entry::Try
            }
            At::HalfOpen => Entry::WaitForTrial,
        }
    }

    /// A call succeeded. Answers to calls made before it opened change nothing: the trial decides.
    const fn succeeded(&mut self) {
        if let At::Closed { failures } = &mut self.at {
            *failures = 0;
            self.openings = 0;
        }
    }

    /// A call failed: whether that opened it.
    fn failed(&mut self, now: Instant, random: u64) -> bool {
        let At::Closed { failures } = &mut self.at else { return false };
        *failures = failures.saturating_add(1);
        let opens = *failures >= self.failures_max;
        if opens {
            self.open(now, random);
        }
        opens
    }

    /// The trial ended.
    fn tried(&mut self, well: bool, now: Instant, random: u64) {
        if self.at != At::HalfOpen {
            return;
        }
        if well {
            self.at = At::Closed { failures: 0 };
        } else {
            self.open(now, random);
        }
    }

    /// The trial was given up undecided: the next caller tries at once.
    fn abandoned(&mut self, now: Instant) {
        if self.at == At::HalfOpen {
            self.at = At::Open { until: now };
        }
    }

    fn open(&mut self, now: Instant, random: u64) {
        self.openings = self.openings.saturating_add(1);
        self.at = At::Open { until: now + self.pauses.pause(self.openings, None, random) };
    }

    const fn state(&self) -> BreakerState {
        match self.at {
            At::Closed { .. } => BreakerState::Closed,
            At::HalfOpen => BreakerState::HalfOpen,
            At::Open { .. } => BreakerState::Open,
        }
    }
}

/// A circuit breaker, shared by all who call one provider.
#[derive(Debug)]
pub struct Breaker {
    circuit: Mutex<Circuit>,
    moved: Notify,
}

impl Breaker {
    /// Opens after `failures_max` failures in a row (at least 1), for at most `pause_max` at a time.
    pub fn new(failures_max: u32, pause_max: Duration) -> Self {
        Self::with_pauses(failures_max, FullJitter::new(PAUSE_FIRST, pause_max))
    }

    fn with_pauses(failures_max: u32, pauses: FullJitter) -> Self {
        Self { circuit: Mutex::new(Circuit::new(failures_max.max(1), pauses)), moved: Notify::new() }
    }

    /// Waits until calls may be made (`None`), or until this caller alone may try (`Some`): it makes one call without
    /// effect and says how it [`ended`](Trial::ended). May be dropped while it waits.
    pub async fn ready(&self) -> Option<Trial<'_>> {
        loop {
            // Made before looking: what moves after the look wakes it.
            let moved = self.moved.notified();
            let entry = self.circuit().enter(Instant::now());
            match entry {
                Entry::Call => return None,
                Entry::Try => return Some(Trial { breaker: self, open: true }),
                Entry::WaitForTrial => moved.await,
                Entry::Wait(until) => tokio::select! {
                    () = moved => {}
                    () = tokio::time::sleep_until(until.into()) => {}
                },
            }
        }
    }

    /// A call was answered.
    pub fn succeeded(&self) {
        self.circuit().succeeded();
    }

    /// A call was not answered, or there was no connection.
    pub fn failed(&self) {
        if self.circuit().failed(Instant::now(), draw()) {
            self.moved.notify_waiters();
        }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.circuit().state()
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Every change is a single assignment: a panic elsewhere leaves no half-made state.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without randomness from the system workers may come back together, which is no fault.
fn draw() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

/// The one trial of a half-open breaker. Dropped without an end, the next caller tries at once.
#[derive(Debug)]
#[must_use = "a trial is to be made and ended"]
pub struct Trial<'a> {
    breaker: &'a Breaker,
    open: bool,
}

impl Trial<'_> {
    /// Whether the provider answered: closes the breaker, or opens it for longer.
    pub fn ended(mut self, well: bool) {
        self.open = false;
        self.breaker.circuit().tried(well, Instant::now(), draw());
        self.breaker.moved.notify_waiters();
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.open {
            self.breaker.circuit().abandoned(Instant::now());
            self.breaker.moved.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const TOP: u64 = u64::MAX;

    /// Plays a script on a breaker that opens after two failures, for 100, 200, 400, 400 … ms: each step is a letter, with
    /// the milliseconds since the beginning, and what comes of it: `e` asks to enter (a number is how long to wait).
    fn check(script: &[(u64, char, &str)]) {
        let (began, mut circuit) = (Instant::now(), Circuit::new(2, FullJitter::new(MS(100), MS(400))));
        for (i, (at, step, expected)) in script.iter().enumerate() {
            let now = began + MS(*at);
            let mut seen = String::new();
            match step {
                's' => circuit.succeeded(),
                'f' => seen = circuit.failed(now, TOP).to_string(),
                'W' => circuit.tried(true, now, TOP),
                'L' => circuit.tried(false, now, TOP),
                'a' => circuit.abandoned(now),
                _ => {
                    seen = match circuit.enter(now) {
                        Entry::Call => "call".into(),
                        Entry::Try => "try".into(),
                        Entry::WaitForTrial => "theirs".into(),
                        // The largest draw is a microsecond short of the step.
                        Entry::Wait(until) => ((until - now).as_millis() + 1).to_string(),
                    }
                }
            }
            let seen = if seen.is_empty() { format!("{:?}", circuit.state()) } else { seen };
            assert_eq!(&seen, expected, "step {i} `{step}` of {script:?}");
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        check(&[
            (0, 'f', "false"),
            (0, 's', "Closed"),
            (0, 'f', "false"),
            (0, 'e', "call"),
            (0, 'f', "true"),
        ]);
        check(&[(0, 'f', "false"), (0, 'f', "true"), (0, 'e', "100"), (40, 'e', "60"), (99, 'e', "1")]);
    }

    #[test]
    fn one_trial_decides() {
        let open = [(0, 'f', "false"), (0, 'f', "true")];
        let check_after = |rest: &[(u64, char, &'static str)]| check(&[&open[..], rest].concat());
        check_after(&[(100, 'e', "try"), (100, 'e', "theirs"), (900, 'e', "theirs")]);
        check_after(&[(100, 'e', "try"), (110, 'W', "Closed"), (110, 'e', "call")]);
        check_after(&[(100, 'e', "try"), (110, 'L', "Open"), (110, 'e', "200")]);
        // Given up undecided: the next may try at once.
        check_after(&[(100, 'e', "try"), (110, 'a', "Open"), (110, 'e', "try"), (110, 'e', "theirs")]);
        // Late answers to calls from before change nothing, nor does an end of a trial that was never begun.
        check_after(&[
            (50, 's', "Open"),
            (50, 'f', "false"),
            (50, 'W', "Open"),
            (50, 'a', "Open"),
            (50, 'e', "50"),
        ]);
        check_after(&[(100, 'e', "try"), (100, 's', "HalfOpen"), (100, 'f', "false"), (100, 'e', "theirs")]);
    }

    #[test]
    fn pauses_grow_until_a_call_succeeds() {
        let open = [(0, 'f', "false"), (0, 'f', "true"), (100, 'e', "try")];
        let check_after = |rest: &[(u64, char, &'static str)]| check(&[&open[..], rest].concat());
        check_after(&[
            (100, 'L', "Open"),
            (300, 'e', "try"),
            (300, 'L', "Open"),
            (300, 'e', "400"),
            (700, 'e', "try"),
            (700, 'L', "Open"),
            (700, 'e', "400"),
        ]);
        // Well when tried, failing when called: the pause grows all the same.
        check_after(&[(100, 'W', "Closed"), (100, 'f', "false"), (100, 'f', "true"), (100, 'e', "200")]);
        check_after(&[
            (100, 'W', "Closed"),
            (100, 's', "Closed"),
            (100, 'f', "false"),
            (100, 'f', "true"),
            (100, 'e', "100"),
        ]);
    }

    #[tokio::test]
    async fn many_callers_make_one_trial_and_all_go_on_when_it_is_well() {
        let breaker = Arc::new(Breaker::with_pauses(1, FullJitter::new(MS(20), MS(20))));
        assert!(breaker.ready().await.is_none());
        breaker.failed();
        assert_eq!(breaker.state(), BreakerState::Open);
        let (trials, under_way) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let callers = (0..20).map(|_| {
            let (breaker, trials, under_way) =
                (Arc::clone(&breaker), Arc::clone(&trials), Arc::clone(&under_way));
            tokio::spawn(async move {
                while let Some(trial) = breaker.ready().await {
                    assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "two trials at once");
                    tokio::time::sleep(MS(5)).await;
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    // The first is given up, the second fails, the third is well.
                    match trials.fetch_add(1, Ordering::SeqCst) {
                        0 => drop(trial),
                        n => trial.ended(n == 2),
                    }
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            tokio::time::timeout(Duration::from_secs(10), caller).await.expect("wakes").expect("no panic");
        }
        assert_eq!(trials.load(Ordering::SeqCst), 3);
        assert_eq!((breaker.state(), breaker.state().level()), (BreakerState::Closed, 0));
    }
}
