//! Why a run was not made.

use crate::domain::entitlement::NoRules;
use crate::domain::hint::{Hint, NextStep};
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
    #[error("`{period}` already has its regular run: run `{run}`, made from snapshot `{snapshot}`")]
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
    #[error(
        "snapshot `{list}` is older than snapshot `{newer}`, by which earlier months were already corrected"
    )]
    OlderList {
        /// Which.
        list: SnapshotId,
        /// The later one.
        newer: SnapshotId,
    },
    /// The period has its run of a kind already, made from another snapshot.
    #[error("`{period}` already has its {kind} run: run `{run}`, made from snapshot `{snapshot}`")]
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
    #[error("{kind} run `{run}` has not been sent yet: what it is to pay would count as paid here")]
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

impl Hint for OrderError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NotPaying { .. } => "see `months` and `arrears` in the programme's file".into(),
            Self::NoRules(e) => return e.hint(),
            Self::RunExists { run, .. } => format!(
                "cancel it with `sarf run cancel {run}`, as long as nothing has left; what has left is put right by a run of \
                 --kind correction"
            )
            .into(),
            Self::CorrectionWaits { run } => format!(
                "take it to its release, or cancel it with `sarf run cancel {run}`; then give the command again"
            )
            .into(),
            Self::OlderList { newer, .. } => format!(
                "ask the latest list, or one that is sent again: `sarf run create --kind correction --snapshot {newer}`"
            )
            .into(),
            Self::KindExists { run, .. } => format!(
                "cancel it with `sarf run cancel {run}`, as long as nothing has left; rows that came later are taken from the \
                 next month's list"
            )
            .into(),
            Self::KindUnderWay { run, .. } => {
                format!("let it leave, or cancel it: sarf run release {run}, sarf run cancel {run}").into()
            }
            Self::NothingListed { snapshot, .. } => {
                format!("see what it has, and what was set aside: sarf snapshot show {snapshot}").into()
            }
            Self::ArrearsPaid(_) => "take the month out of `arrears` in the programme's file".into(),
            Self::Store(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(OrderError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NotPaying { .. } => Self::NotPaying { programme: "asd".into(), period: november() },
    Self::NoRules(_) => Self::NoRules(NoRules { month: november() }),
    Self::RunExists { .. } => {
        Self::RunExists { period: november(), run: RunId::new(7), snapshot: SnapshotId::new(1) }
    },
    Self::CorrectionWaits { .. } => Self::CorrectionWaits { run: RunId::new(7) },
    Self::OlderList { .. } => Self::OlderList { list: SnapshotId::new(1), newer: SnapshotId::new(2) },
    Self::KindExists { .. } => Self::KindExists {
        kind: RunKind::Deposit,
        period: november(),
        run: RunId::new(7),
        snapshot: SnapshotId::new(1),
    },
    Self::KindUnderWay { .. } => Self::KindUnderWay { kind: RunKind::Deposit, run: RunId::new(7) },
    Self::NothingListed { .. } => {
        Self::NothingListed { kind: RunKind::Deposit, snapshot: SnapshotId::new(1) }
    },
    Self::ArrearsPaid(_) => Self::ArrearsPaid(november()),
    Self::Store(_) => Self::Store(StoreError::Corrupt("state of an order")),
});

#[cfg(test)]
fn november() -> Period {
    Period::new(2026, 11).expect("a month")
}
