//! How many transactions this process is committing, and has committed: for whoever must know whether a signal came before
//! or after.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count of a store. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Commits(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicU64,
    done: AtomicU64,
}

impl Commits {
    /// Commits that were asked for and not answered yet.
    pub fn under_way(&self) -> u64 {
        self.0.under_way.load(Ordering::SeqCst)
    }

    /// Commits that succeeded.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::SeqCst)
    }

    /// A commit is asked for. Dropped, it is under way no more.
    pub fn begin(&self) -> Committing {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        Committing(self.clone())
    }
}

/// A commit under way.
#[derive(Debug)]
pub struct Committing(Commits);

impl Committing {
    /// It succeeded.
    pub fn succeeded(self) {
        self.0.0.done.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
