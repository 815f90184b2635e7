//! A lease as its holder sees it: renewed in the background, told when it is lost.
//!
//! Input: the database, a name, how long a lease lasts. Output: [`Lease`], or nothing while another process holds it.
//! Guarantee: [`Lease::lost`] is ready no later than the lease ends in the database, even when the database is gone: the
//! holder's own monotonic clock decides, from the moment before the last renewal that succeeded was sent. So whoever
//! stops at once when it is lost never works beside the next holder.
//! Limit: what had left the house before (a request under way) may still arrive: receivers must be safe to repeat.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::store::batches::leases;
use crate::store::{Store, StoreError};

/// A name for this process and one of its loops, for people who look into the table.
pub fn holder(what: &str) -> String {
    format!("{what}-{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or(0))
}

/// A lease that this process holds. Dropped, it is no longer renewed and ends by itself.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: String,
    fence: i64,
    lost: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease when nobody holds it. It lasts for `time` after each renewal and is renewed three times as often.
    pub async fn acquire(
        store: &Store,
        name: &str,
        holder: &str,
        time: Duration,
    ) -> Result<Option<Self>, StoreError> {
        // Before the request: the database counts from a later moment.
        let asked = Instant::now();
        let Some(fence) = leases::acquire(store, name, holder, time).await? else { return Ok(None) };
        let (tell, lost) = watch::channel(false);
        let renewing = tokio::spawn({
            let (store, name) = (store.clone(), name.to_owned());
            async move {
                keep(&store, &name, fence, time, asked + time).await;
                tell.send_replace(true);
            }
        });
        Ok(Some(Self { store: store.clone(), name: name.to_owned(), fence, lost, renewing }))
    }

    /// The number that rises with each lease of this name.
    pub const fn fence(&self) -> i64 {
        self.fence
    }

    /// Whether it is lost.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Ready when it is lost.
    pub async fn lost(&self) {
        // The sender goes with the task that renews, and without it nothing is held either.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }

    /// Gives it back, so that the next need not wait for its end. A database that is gone does not keep from ending.
    pub async fn release(self) {
        self.renewing.abort();
        let back = leases::release(&self.store, &self.name, self.fence);
        if !matches!(tokio::time::timeout(Duration::from_secs(2), back).await, Ok(Ok(()))) {
            tracing::debug!(lease = self.name, "not given back: it ends by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Renews until the lease is lost.
async fn keep(store: &Store, name: &str, fence: i64, time: Duration, mut until: Instant) {
    let mut pause = time / 3;
    loop {
        tokio::time::sleep_until((Instant::now() + pause).min(until).into()).await;
        let asked = Instant::now();
        match tokio::time::timeout_at(until.into(), leases::renew(store, name, fence, time)).await {
            Ok(Ok(true)) => (until, pause) = (asked + time, time / 3),
            Ok(Ok(false)) => {
                tracing::warn!(lease = name, "lost: another holds it");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(lease = name, error = super::chain(&error), "not renewed");
                pause = time / 10;
            }
            Err(_) => {}
        }
        if Instant::now() >= until {
            tracing::warn!(lease = name, "lost: it could not be renewed in time");
            return;
        }
    }
}
