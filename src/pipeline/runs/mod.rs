//! A run's life: submitted, approved, funded, released, reconciled, closed; and the standing approvals of the stream lane.

pub mod approve;
pub mod as_written;
pub mod fund;
pub mod reconcile;
pub mod standing_approvals;
