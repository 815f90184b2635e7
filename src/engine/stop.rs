//! Ending in order: one handle that all loops of a process share.
//!
//! Input: a request, or the signals SIGTERM and SIGINT. Output: a future that is ready once somebody asked.
//! Guarantee: a request is never missed, whether it comes before a loop looks or while it waits, and is never taken back.
//! Limit: asking ends nothing by itself: each loop finishes what it has in hand and returns. A second signal does not
//! wait for that and ends the process, which every loop must survive anyway.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Asks loops to end, and tells them so. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// A handle that nobody has asked through.
    pub fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)) }
    }

    /// A handle that SIGTERM and SIGINT ask through; the second of them ends the process at once, with the exit code
    /// that shells give such an end (128 and the signal's number). To be called within a runtime.
    pub fn on_signals() -> Self {
        // Listening begins here and not in the task, so that a signal which comes right now is not missed.
        let listen = |kind| signal(kind).expect("signals can be listened to");
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
        let stop = Self::new();
        let asked = stop.clone();
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            // First of all: a log that nobody reads any more must not keep the process from stopping.
            asked.request();
            tracing::info!("stopping: what is under way is finished; a second signal ends at once");
            let code = either(&mut terminate, &mut interrupt).await;
            tracing::warn!("a second signal: ending at once");
            std::process::exit(code);
        });
        stop
    }

    /// Asks all loops to end.
    pub fn request(&self) {
        self.asked.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        *self.asked.borrow()
    }

    /// Ready once somebody asked.
    pub async fn requested(&self) {
        let mut asked = self.asked.subscribe();
        asked.wait_for(|asked| *asked).await.expect("the handle holds the sender");
    }

    /// Waits for a while, or until somebody asked: whether the while has passed.
    pub async fn sleep(&self, duration: std::time::Duration) -> bool {
        tokio::time::timeout(duration, self.requested()).await.is_err()
    }
}

/// Waits for either signal: the exit code for it.
async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_request_is_seen_before_and_while_waiting_and_by_all() {
        let stop = Stop::new();
        assert!(!stop.is_requested() && stop.sleep(Duration::from_millis(5)).await);
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        stop.clone().request();
        waiting.await.unwrap();
        stop.requested().await;
        assert!(stop.is_requested() && !stop.sleep(Duration::from_secs(60)).await);
    }
}
