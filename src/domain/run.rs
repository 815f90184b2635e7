//! A payment run's life: draft → computed → submitted → approved → funded → dispatching → settling → reconciled →
//! closed; or cancelled, as long as nothing has left.

use crate::domain::listed::listed;

listed! {
    /// Where a run stands.
    RunState {
        /// Begun, its orders not yet there.
        Draft = "draft",
        /// Its orders are made and held orders named.
        Computed = "computed",
        /// Put before the approver.
        Submitted = "submitted",
        /// Approved, for exactly the content that was submitted.
        Approved = "approved",
        /// The accountant has reserved its amount in the budget envelope.
        Funded = "funded",
        /// Batches are leaving.
        Dispatching = "dispatching",
        /// All released batches have left; feedback comes in.
        Settling = "settling",
        /// Orders, statuses and statements agree.
        Reconciled = "reconciled",
        /// Nothing unexplained is left, or it was carried forward by name and reason.
        Closed = "closed",
        /// Given up before anything left.
        Cancelled = "cancelled",
    }
}

impl RunState {
    /// Whether letting a held order of the run go takes two people: its money is reserved for what was approved. Before, it
    /// changes the content, and whoever approves or funds it sees that.
    pub const fn release_takes_two(self) -> bool {
        match self {
            Self::Draft | Self::Computed | Self::Submitted | Self::Approved => false,
            Self::Funded
            | Self::Dispatching
            | Self::Settling
            | Self::Reconciled
            | Self::Closed
            | Self::Cancelled => true,
        }
    }
}

listed! {
    /// Why a run is made.
    RunKind {
        /// The month's run: one for each programme and period.
        Regular = "regular",
        /// Between the regular ones.
        OffCycle = "off-cycle",
        /// Puts right an earlier one.
        Correction = "correction",
        /// Pays again what was rejected or returned.
        Reissue = "reissue",
        /// Pays the birth grants that a list claims: one for each programme and period.
        BirthGrant = "birth-grant",
        /// Pays in the deposits of a month for children in institutions: one for each programme and period.
        Deposit = "deposit",
    }
}

impl RunKind {
    /// Whether its orders pay for children one by one, under a purpose of the kind's own.
    pub const fn is_of_children(self) -> bool {
        matches!(self, Self::BirthGrant | Self::Deposit)
    }
}

/// What is done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// Its orders were made.
    Compute,
    /// The preparer puts it before the approver.
    Submit,
    /// The approver approves the content.
    Approve,
    /// Its content changed under an approval or a submission.
    GoStale,
    /// The accountant reserves the money.
    Fund,
    /// A first wave is released.
    Release,
    /// All released batches have left.
    Delivered,
    /// Orders, statuses and statements agree.
    Reconcile,
    /// Something arrived after reconciliation.
    Reopen,
    /// The books are closed.
    Close,
    /// The run is given up.
    Cancel,
}

impl RunEvent {
    /// What a run is when it was done, for "cannot be …".
    pub const fn done(self) -> &'static str {
        match self {
            Self::Compute => "computed",
            Self::Submit => "submitted",
            Self::Approve => "approved",
            Self::GoStale => "given back to its preparer",
            Self::Fund => "funded",
            Self::Release => "released",
            Self::Delivered => "called delivered",
            Self::Reconcile => "reconciled",
            Self::Reopen => "opened again",
            Self::Close => "closed",
            Self::Cancel => "cancelled",
        }
    }
}

impl RunState {
    /// The state after an event; `None` when it cannot follow.
    pub const fn after(self, event: RunEvent) -> Option<Self> {
        use RunEvent as E;
        match (self, event) {
            (Self::Draft, E::Compute) => Some(Self::Computed),
            (Self::Computed, E::Submit) => Some(Self::Submitted),
            (Self::Submitted, E::Approve) => Some(Self::Approved),
            (Self::Submitted | Self::Approved, E::GoStale) => Some(Self::Computed),
            (Self::Approved, E::Fund) => Some(Self::Funded),
            (Self::Funded | Self::Dispatching | Self::Settling | Self::Reconciled, E::Release) => {
                Some(Self::Dispatching)
            }
            (Self::Dispatching, E::Delivered) => Some(Self::Settling),
            (Self::Settling, E::Reconcile) => Some(Self::Reconciled),
            (Self::Reconciled, E::Reopen) => Some(Self::Settling),
            (Self::Reconciled | Self::Settling, E::Close) => Some(Self::Closed),
            (Self::Draft | Self::Computed | Self::Submitted | Self::Approved | Self::Funded, E::Cancel) => {
                Some(Self::Cancelled)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunEvent as E;
    use RunState as S;

    #[test]
    fn the_whole_table() {
        let events = [
            E::Compute,
            E::Submit,
            E::Approve,
            E::GoStale,
            E::Fund,
            E::Release,
            E::Delivered,
            E::Reconcile,
            E::Reopen,
            E::Close,
            E::Cancel,
        ];
        let allowed = [
            (S::Draft, E::Compute, S::Computed),
            (S::Draft, E::Cancel, S::Cancelled),
            (S::Computed, E::Submit, S::Submitted),
            (S::Computed, E::Cancel, S::Cancelled),
            (S::Submitted, E::Approve, S::Approved),
            (S::Submitted, E::GoStale, S::Computed),
            (S::Submitted, E::Cancel, S::Cancelled),
            (S::Approved, E::Fund, S::Funded),
            (S::Approved, E::GoStale, S::Computed),
            (S::Approved, E::Cancel, S::Cancelled),
            (S::Funded, E::Release, S::Dispatching),
            (S::Funded, E::Cancel, S::Cancelled),
            (S::Dispatching, E::Release, S::Dispatching),
            (S::Dispatching, E::Delivered, S::Settling),
            (S::Settling, E::Release, S::Dispatching),
            (S::Settling, E::Reconcile, S::Reconciled),
            (S::Settling, E::Close, S::Closed),
            (S::Reconciled, E::Release, S::Dispatching),
            (S::Reconciled, E::Reopen, S::Settling),
            (S::Reconciled, E::Close, S::Closed),
        ];
        for from in S::ALL {
            for event in events {
                let expected =
                    allowed.iter().find(|(f, e, _)| f == from && *e == event).map(|(_, _, to)| *to);
                assert_eq!(from.after(event), expected, "{from} after {event:?}");
            }
        }
    }
}
