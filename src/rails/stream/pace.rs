//! A provider's pace in one worker: requests a second, orders a second, requests under way.
//!
//! Input: the terms, and how many orders are about to leave. Output: a permit, once all three allow it.
//! Guarantee: in any time `t` no more than burst + rate × `t` is granted; callers are served in turn, so that large requests
//! are not starved by small ones. A pace of 0 means none.
//! Limit: of one worker: the pace over all of them is granted by the store. What was granted and is not used is lost.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::domain::provider::StreamTerms;

/// Part of a second for which orders may come at once: timers are no finer than a millisecond, and a pace that could
/// not catch up with them would fall short.
const ORDERS_BURST_PART: u32 = 20;

/// The pace of one provider.
#[derive(Debug)]
pub struct Pace {
    orders_per_request: usize,
    requests: Option<Rate>,
    orders: Option<Rate>,
    under_way: Option<(Arc<Semaphore>, u32)>,
    turn: Mutex<()>,
}

/// Requests that may leave; those under way count until it is dropped.
#[derive(Debug)]
#[must_use = "requests are under way until the permit is dropped"]
pub struct Permit {
    under_way: Option<OwnedSemaphorePermit>,
    orders_per_request: usize,
}

impl Permit {
    /// Gives back what is not needed for so many orders.
    pub fn keep(&mut self, orders: usize) {
        let needed = orders.div_ceil(self.orders_per_request);
        if let Some(held) = &mut self.under_way {
            drop(held.split(held.num_permits().saturating_sub(needed)));
        }
    }
}

#[derive(Debug)]
struct Rate {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

impl Pace {
    /// A pace by the provider's terms.
    pub fn new(terms: &StreamTerms) -> Self {
        let orders_burst = terms.orders_per_request.max(terms.orders_per_second / ORDERS_BURST_PART);
        let concurrency = terms.concurrency;
        Self {
            orders_per_request: terms.orders_per_request.max(1) as usize,
            requests: Rate::new(terms.requests_per_second, terms.burst),
            orders: Rate::new(terms.orders_per_second, orders_burst),
            under_way: (concurrency > 0)
                .then(|| (Arc::new(Semaphore::new(concurrency as usize)), concurrency)),
            turn: Mutex::new(()),
        }
    }

    /// Waits until so many orders may leave, in as many requests as they need. Orders that need more requests than may be
    /// under way take them all. May be dropped while it waits.
    pub async fn take(&self, orders: usize) -> Permit {
        let requests = u32::try_from(orders.div_ceil(self.orders_per_request).max(1)).unwrap_or(u32::MAX);
        let under_way = match &self.under_way {
            None => None,
            Some((all, most)) => {
                let taken = Arc::clone(all).acquire_many_owned(requests.min(*most)).await;
                Some(taken.expect("the semaphore is never closed"))
            }
        };
        // Only now, with a place to go: what the rates grant leaves at once.
        let turn = self.turn.lock().await;
        if let Some(rate) = &self.requests {
            rate.take(requests).await;
        }
        if let Some(rate) = &self.orders {
            rate.take(u32::try_from(orders).unwrap_or(u32::MAX)).await;
        }
        drop(turn);
        Permit { under_way, orders_per_request: self.orders_per_request }
    }
}

impl Rate {
    fn new(per_second: u32, burst: u32) -> Option<Self> {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(NonZeroU32::new(per_second)?).allow_burst(burst);
        Some(Self { limiter: RateLimiter::direct(quota), burst })
    }

    async fn take(&self, mut count: u32) {
        while let Some(share) = NonZeroU32::new(count.min(self.burst.get())) {
            self.limiter.until_n_ready(share).await.expect("a share is never more than the burst");
            count -= share.get();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use futures_util::FutureExt as _;

    use super::super::testing::terms;
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn pace(per_request: u32, requests: u32, orders: u32, burst: u32, concurrency: u32) -> Pace {
        let mut terms = terms("http://127.0.0.1:1");
        (terms.orders_per_request, terms.requests_per_second) = (per_request, requests);
        (terms.orders_per_second, terms.burst, terms.concurrency) = (orders, burst, concurrency);
        Pace::new(&terms)
    }

    #[tokio::test]
    async fn what_is_not_needed_any_more_goes_back_at_once() {
        for (per_request, first, keeps, then) in [(1, 8, 3, 5), (1, 8, 0, 8), (1, 8, 8, 0), (10, 80, 11, 6)] {
            let pace = pace(per_request, 0, 0, 1, 8);
            let mut permit = pace.take(first).await;
            assert!(pace.take(1).now_or_never().is_none(), "all are under way");
            permit.keep(keeps);
            let free = pace.under_way.as_ref().expect("a limit").0.available_permits();
            assert_eq!(free, then, "{keeps} of {first}");
            drop(permit);
            assert_eq!(pace.under_way.as_ref().expect("a limit").0.available_permits(), 8);
        }
    }

    /// Takes as much as there is for half a second and a little: never more than burst + rate × time by then, at any
    /// time; at the end no less than nine tenths of it. Rates and bursts are in orders. What a busy machine sleeps
    /// through is lost by the pace's own terms, so one undisturbed time of five shows that nothing else is.
    async fn check(name: &str, pace: impl Fn() -> Pace, each: usize, rate: u32, burst: u32) {
        let mut seen = Vec::new();
        for _ in 0..5 {
            let (pace, began, mut taken) = (pace(), Instant::now(), 0u64);
            let allowed =
                |since: Duration| u64::from(burst) + u64::from(rate) * since.as_micros() as u64 / 1_000_000;
            while began.elapsed() < MS(600) {
                drop(pace.take(each).await);
                taken += each as u64;
                assert!(taken <= allowed(began.elapsed()) + 1, "{name}: {taken} in {:?}", began.elapsed());
            }
            let due = allowed(began.elapsed());
            if taken * 10 >= due * 9 {
                return;
            }
            seen.push((taken, due));
        }
        panic!("{name}: too few each time, (taken, due): {seen:?}");
    }

    #[tokio::test]
    async fn the_slower_of_both_rates_is_held() {
        check("single orders", || pace(1, 0, 500, 1, 4), 1, 500, 25).await;
        check("requests", || pace(10, 50, 0, 5, 4), 10, 500, 50).await;
        check("orders in bulk", || pace(50, 1_000, 400, 10, 4), 50, 400, 50).await;
        check("more orders than a burst", || pace(40, 0, 400, 1, 4), 200, 400, 40).await;
        check("transfers one by one, many at a time", || pace(1, 200, 0, 8, 4), 16, 200, 8).await;
    }

    #[tokio::test]
    async fn a_request_larger_than_a_second_is_waited_for() {
        let mut seen = Vec::new();
        // A busy machine may sleep longer: one of five times does not.
        while seen.len() < 5 && seen.last().is_none_or(|took| *took >= MS(900)) {
            let (pace, began) = (pace(500, 0, 1_000, 1, 1), Instant::now());
            for _ in 0..2 {
                drop(pace.take(500).await);
            }
            seen.push(began.elapsed());
        }
        assert!(seen.iter().all(|took| *took >= MS(480)), "{seen:?}");
        assert!(seen.iter().any(|took| *took < MS(900)), "{seen:?}");
    }

    #[tokio::test]
    async fn no_more_requests_are_under_way_than_allowed() {
        let held = pace(10, 0, 0, 1, 2);
        let (first, second) = (held.take(10).await, held.take(1).await);
        assert!(held.take(1).now_or_never().is_none());
        drop(first);
        let third = held.take(0).await;
        assert!(held.take(1).now_or_never().is_none());
        drop((second, third));
        // More requests than may be under way: all places.
        let all = held.take(1_000).await;
        assert!(held.take(1).now_or_never().is_none());
        drop(all);
        assert!(held.take(20).now_or_never().is_some());
        let free = pace(1, 0, 0, 0, 0);
        let many: Vec<Option<Permit>> = (0..100).map(|_| free.take(1_000).now_or_never()).collect();
        assert!(many.iter().all(Option::is_some));
    }
}
