//! A provider's pace within one worker: requests and orders a second, a burst, and how many requests may be under way.
//!
//! Guarantee: never more than the terms allow, but for the burst. Limit: one process; the pace over all workers is given away
//! by the database, and this keeps a worker from spending a grant all at once.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::provider::StreamTerms;

/// A provider's pace.
pub struct Pace {
    requests: Option<DefaultDirectRateLimiter>,
    orders: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    under_way: Arc<Semaphore>,
    single: bool,
}

/// Leave for one call; it is under way until this is dropped.
pub struct Permit(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Pace {
    /// The pace of these terms; 0 means none.
    pub fn new(terms: &StreamTerms) -> Self {
        let burst = NonZeroU32::new(terms.burst).unwrap_or(NonZeroU32::MIN);
        let per_second = |rate: u32| NonZeroU32::new(rate).map(Quota::per_second);
        // The cell of a whole request must fit into the orders' burst, or it could never pass.
        let piece = NonZeroU32::new(terms.orders_per_request.max(terms.concurrency)).unwrap_or(NonZeroU32::MIN);
        let orders = per_second(terms.orders_per_second);
        let single = terms.orders_per_request <= 1;
        Self {
            requests: per_second(terms.requests_per_second).map(|q| RateLimiter::direct(q.allow_burst(burst))),
            orders: orders.map(|q| (RateLimiter::direct(q.allow_burst(piece)), piece)),
            // A call of single transfers keeps to the concurrency by itself.
            under_way: Arc::new(Semaphore::new(if single { 1 } else { terms.concurrency.max(1) as usize })),
            single,
        }
    }

    /// Waits until a call with so many orders may be made.
    pub async fn take(&self, orders: usize) -> Permit {
        let permit = Arc::clone(&self.under_way).acquire_owned().await.expect("the semaphore is never closed");
        let requests = if self.single { orders } else { 1 };
        if let Some(limiter) = &self.requests {
            for _ in 0..requests {
                limiter.until_ready().await;
            }
        }
        if let Some((limiter, most)) = &self.orders {
            let mut left = u32::try_from(orders).unwrap_or(u32::MAX);
            while let Some(piece) = NonZeroU32::new(left.min(most.get())) {
                limiter.until_n_ready(piece).await.expect("a piece is no more than the burst");
                left -= piece.get();
            }
        }
        Permit(permit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn terms(requests: u32, orders: u32, burst: u32, per_request: u32) -> StreamTerms {
        toml::from_str(&format!(
            "api = \"provider\"\nurl = \"http://x\"\norders_per_request = {per_request}\nrequests_per_second = {requests}\n\
             orders_per_second = {orders}\nburst = {burst}\nconcurrency = 4\ntimeout_ms = 1000\nopens = \"00:00\"\n\
             closes = \"00:00\"\nenquire_after_s = 1\nbelieve_absent_after_s = 1\nunknown_hours_max = 1\nexpiry_days = 1"
        ))
        .expect("terms")
    }

    #[tokio::test]
    async fn the_slower_of_both_rates_holds() {
        // So many calls of so many orders take at least so many milliseconds, and hardly more.
        for (terms, calls, orders, least_ms) in [
            (terms(0, 0, 1, 10), 1_000, 10, 0),
            (terms(100, 0, 5, 10), 25, 10, 200),
            (terms(0, 1_000, 1, 50), 8, 50, 350),
            (terms(100, 1_000, 1, 50), 8, 50, 350),
            (terms(0, 100, 1, 500), 2, 500, 5_000),
        ] {
            if least_ms > 1_000 {
                // A request larger than a second's orders passes, as slowly as it must.
                tokio::time::timeout(std::time::Duration::from_secs(1), Pace::new(&terms).take(orders))
                    .await
                    .expect("the first request passes at once");
                continue;
            }
            let (pace, began) = (Pace::new(&terms), Instant::now());
            for _ in 0..calls {
                pace.take(orders).await;
            }
            let took = began.elapsed().as_millis();
            assert!((least_ms..least_ms + 150).contains(&took), "{terms:?}: {took} ms, {least_ms} due");
        }
    }
}
