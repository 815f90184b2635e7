//! Names of the tables that a run's rows stand in.

use crate::domain::ids::RunId;

/// The leaf of a run.
pub fn leaf(run: RunId) -> String {
    format!("payment_order_{run}")
}

/// The leaf of a run's exclusions.
pub fn exclusion_leaf(run: RunId) -> String {
    format!("exclusion_{run}")
}
