//! What the engine tells about itself: logs, metrics, and how far a stage is.
//!
//! Input: the engine's calls. Output: events on stderr, the Prometheus exposition, a stage's progress to whoever watches.
//! Guarantee: nothing is global: handles are passed in; labels are drawn from configuration and code, so their number is
//! bounded, and nothing personal can be one.
//! Limit: one process; sums over processes are Prometheus' work.

pub mod families;
pub mod gauges;
mod labels;
pub mod logging;
pub mod metrics;
pub mod otlp;
pub mod stage;

pub use labels::{Direction, Job};
pub use logging::{LogFormat, Logging, LoggingError};
pub use metrics::Metrics;
pub use otlp::OtlpError;
pub use stage::{Silent, StageGuard, StageObserver, StageProgress, Telemetry};
