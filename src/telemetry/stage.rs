//! A stage under way: its metrics, its span, and its progress to whoever watches.
//!
//! Input: a stage's name (a constant of the code), its expected rows, and `add(n)` for each chunk done. Output:
//! `sarf_stage_…`, a `stage` span, and calls to the observer: bars on a terminal, nothing elsewhere.
//! Guarantee: `add` costs a few atomic steps; the end is recorded however the stage ends, by dropping the guard.
//! Limit: one guard a pass; two passes of one stage at once share the progress gauge.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::Span;

use super::metrics::{Metrics, StageMetrics};

/// Someone who watches stages: the terminal, or nobody.
pub trait StageObserver: Send + Sync {
    /// A pass of `stage` begins, which counts `counted` (households, orders …); `total` is how many are expected, where known.
    fn started(
        &self,
        stage: &'static str,
        counted: &'static str,
        total: Option<u64>,
    ) -> Box<dyn StageProgress>;
}

/// One pass that is watched; dropped when the pass ends.
pub trait StageProgress: Send + Sync {
    /// `rows` more are done since the last call. Called for each chunk, from any thread: must be cheap.
    fn add(&self, rows: u64);
}

/// Watches nothing: for services, tests, `--json` and `--quiet`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl StageObserver for Silent {
    fn started(&self, _: &'static str, _: &'static str, _: Option<u64>) -> Box<dyn StageProgress> {
        Box::new(Silent)
    }
}

impl StageProgress for Silent {
    fn add(&self, _: u64) {}
}

/// What stages are given to report to. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    /// The registry.
    pub metrics: Arc<Metrics>,
    /// Who watches.
    pub observer: Arc<dyn StageObserver>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Metrics only, nobody watching.
    pub fn silent() -> Self {
        Self { metrics: Arc::new(Metrics::new()), observer: Arc::new(Silent) }
    }

    /// Begins a pass of `stage`, which counts `counted` (households, orders …) and expects `total` of them; it ends when the
    /// guard is dropped.
    pub fn stage(&self, stage: &'static str, counted: &'static str, total: Option<u64>) -> StageGuard {
        StageGuard {
            span: tracing::info_span!("stage", stage, total),
            metrics: self.metrics.stage_started(stage),
            progress: self.observer.started(stage, counted, total),
            rows: AtomicU64::new(0),
            started: Instant::now(),
        }
    }
}

/// A pass of a stage that is under way. Shared by reference (or `Arc`) between the tasks that do the work.
pub struct StageGuard {
    span: Span,
    metrics: StageMetrics,
    progress: Box<dyn StageProgress>,
    rows: AtomicU64,
    started: Instant,
}

impl StageGuard {
    /// `rows` more are done since the last call: call per chunk, not per row.
    pub fn add(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.metrics.add(rows);
        self.progress.add(rows);
    }

    /// Rows done so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Time since the pass began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The pass's span, for `.instrument(guard.span())` on its tasks.
    pub fn span(&self) -> Span {
        self.span.clone()
    }
}

impl Drop for StageGuard {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.finished(took);
        let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.span.in_scope(|| tracing::info!(rows = self.rows(), elapsed_ms, "stage ended"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Notes {
        fn note(&self, text: String) {
            self.0.lock().expect("no panic while held").push(text);
        }
    }

    impl StageObserver for Notes {
        fn started(
            &self,
            stage: &'static str,
            _: &'static str,
            total: Option<u64>,
        ) -> Box<dyn StageProgress> {
            self.note(format!("{stage} {total:?}"));
            Box::new(self.clone())
        }
    }

    impl StageProgress for Notes {
        fn add(&self, rows: u64) {
            self.note(format!("+{rows}"));
        }
    }

    #[test]
    fn a_pass_reaches_the_observer_and_the_registry() {
        let notes = Notes::default();
        let telemetry = Telemetry { metrics: Arc::new(Metrics::new()), observer: Arc::new(notes.clone()) };
        let guard = telemetry.stage("intake", "households", Some(30));
        guard.add(10);
        guard.add(20);
        assert_eq!(guard.rows(), 30);
        assert!(telemetry.metrics.render().contains("sarf_stage_active{stage=\"intake\"} 1"));
        drop(guard);
        let text = telemetry.metrics.render();
        assert!(text.contains("sarf_stage_active{stage=\"intake\"} 0"));
        assert!(text.contains("sarf_stage_duration_seconds_count{stage=\"intake\"} 1"));
        telemetry.stage("intake", "households", None);
        let text = telemetry.metrics.render();
        assert!(text.contains("sarf_stage_progress_rows{stage=\"intake\"} 0"), "a new pass begins at zero");
        assert!(text.contains("sarf_stage_rows_total{stage=\"intake\"} 30"));
        assert_eq!(*notes.0.lock().expect("free"), ["intake Some(30)", "+10", "+20", "intake None"]);
    }
}
