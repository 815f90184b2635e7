//! Why a run was not made.

use crate::domain::entitlement::NoRules;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::Refusal;
use crate::store::StoreError;

/// Why a run was not made.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The person may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such snapshot.
    #[error("snapshot `{0}` is not known")]
    NoSnapshot(SnapshotId),
    /// Its programme is not configured.
    #[error("programme `{0}` is not configured")]
    UnknownProgramme(String),
    /// The programme does not pay in that month.
    #[error("programme `{programme}` does not pay in `{period}`")]
    NotPaying {
        /// Which.
        programme: String,
        /// When.
        period: Period,
    },
    /// No rules are in force.
    #[error(transparent)]
    NoRules(#[from] NoRules),
    /// The period has its regular run, made from another snapshot.
    #[error("`{period}` has its regular run already: run `{run}`, made from snapshot `{snapshot}`")]
    RunExists {
        /// When.
        period: Period,
        /// Which.
        run: RunId,
        /// From what.
        snapshot: SnapshotId,
    },
    /// A correction run of the programme is neither released nor cancelled: what it found would be found again, or lost.
    #[error("correction run `{run}` is not released yet")]
    CorrectionWaits {
        /// Which.
        run: RunId,
    },
    /// A later list was heard on earlier months.
    #[error("list `{list}` is older than list `{newer}`, by which earlier months were put right")]
    OlderList {
        /// Which.
        list: SnapshotId,
        /// The later one.
        newer: SnapshotId,
    },
    /// The period has its run of a kind already, made from another snapshot.
    #[error("`{period}` has its {kind} run already: run `{run}`, made from snapshot `{snapshot}`")]
    KindExists {
        /// Which kind.
        kind: RunKind,
        /// When.
        period: Period,
        /// Which.
        run: RunId,
        /// From what.
        snapshot: SnapshotId,
    },
    /// An earlier run of a kind has not left, and what it pays counts as paid.
    #[error("{kind} run `{run}` has not left yet: what it pays would count as paid here")]
    KindUnderWay {
        /// Which kind.
        kind: RunKind,
        /// Which.
        run: RunId,
    },
    /// The list has no rows that a run of a kind is made from.
    #[error("snapshot `{snapshot}` has no rows for a {kind} run")]
    NothingListed {
        /// Which kind.
        kind: RunKind,
        /// Which list.
        snapshot: SnapshotId,
    },
    /// Arrears would pay a month that has its own run.
    #[error("arrears for `{0}` would pay a month that has its own run")]
    ArrearsPaid(Period),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
