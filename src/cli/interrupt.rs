//! What a signal does to a command.
//!
//! Input: the command's work, and what its process has committed. Output: the work's result, or that it was interrupted.
//! Guarantee: nothing that was committed is called interrupted: a commit under way is waited for, and work that has
//! committed may end. Limit: what goes on for long after a commit is cut short all the same; what was committed stays.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::cli::refused::CliError;
use crate::engine::stop::Stop;
use crate::store::commits::Commits;

/// Work that has committed nothing is cut short after this.
const PATIENCE: Duration = Duration::from_millis(300);
/// Work that has committed gets this long for its end.
const PATIENCE_COMMITTED: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Does the work, unless a signal cuts it short.
pub async fn unless<T>(
    stop: &Stop,
    commits: Option<&Commits>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let before = commits.map_or(0, Commits::done);
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = stop.requested() => {}
    }
    let asked = Instant::now();
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let patience = match commits {
            Some(commits) if commits.under_way() > 0 => continue,
            Some(commits) if commits.done() > before => PATIENCE_COMMITTED,
            _ => PATIENCE,
        };
        if asked.elapsed() >= patience {
            return Err(CliError::Interrupted.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stop that has been asked for, and work that ends after so many milliseconds.
    async fn check(commits: &Commits, work_ms: u64) -> bool {
        let stop = Stop::new();
        stop.request();
        let work = async {
            tokio::time::sleep(Duration::from_millis(work_ms)).await;
            Ok(())
        };
        unless(&stop, Some(commits), work).await.is_ok()
    }

    #[tokio::test]
    async fn what_was_committed_is_not_called_interrupted() {
        let commits = Commits::default();
        assert!(!check(&commits, 60_000).await);
        assert!(check(&commits, 100).await, "what is about to end ends");
        let committing = commits.begin();
        let (done, ()) = tokio::join!(check(&commits, 1_200), async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            committing.succeeded();
        });
        assert!(done, "a commit is waited for, and then the result");
        // What an earlier command of the process committed does not count.
        assert!(!check(&commits, 60_000).await);
    }
}
