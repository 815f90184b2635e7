//! What every stage works with, and what a repeat-safe command gives.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;
use crate::telemetry::Telemetry;

/// What every stage works with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The database.
    pub store: Store,
    /// Rules, providers, calendar, settings.
    pub config: Arc<Config>,
    /// Logs, metrics, progress.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
    /// Where outbox, inbox and scratch files lie.
    pub home: PathBuf,
}

/// Whether a repeat-safe command did its work now or found it done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied<T> {
    /// Done by this call.
    Now(T),
    /// Done before.
    Already(T),
}

impl<T> Applied<T> {
    /// What it is about, either way.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(value) | Self::Already(value) => value,
        }
    }

    /// True when this call did it.
    pub const fn is_now(&self) -> bool {
        matches!(self, Self::Now(_))
    }
}
