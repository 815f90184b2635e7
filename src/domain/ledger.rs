//! The chart of accounts.
//!
//! A *transfer* moves an amount from a credit account to a debit account, so the books cannot be out of balance.
//! Per run and provider, each order state has a control account; their balances are what `sarf verify` compares the
//! orders with.

use super::order::OrderState;
use crate::domain::listed::listed;

listed! {
    /// What an account is for. Balances are debits minus credits.
    AccountKind {
        /// The programme's envelope for a budget year (per programme and year).
        Envelope = "envelope",
        /// Reserved out of the envelope for a run.
        Reserved = "reserved",
        /// What households are due (per run): the source of the state accounts, so its balance is negative.
        Entitled = "entitled",
        /// Kept from entitlements against earlier undue payments (per run).
        Offset = "offset",
        /// Orders not yet released.
        Planned = "planned",
        /// Orders kept back.
        Held = "held",
        /// Orders of a cancelled run.
        Cancelled = "cancelled",
        /// Orders that left and are not yet settled; at a payment point, not yet collected.
        InFlight = "in_flight",
        /// Orders whose delivery is not known.
        Unknown = "unknown",
        /// Orders settled or collected.
        Settled = "settled",
        /// Orders rejected.
        Rejected = "rejected",
        /// Orders paid and sent back.
        Returned = "returned",
        /// Orders not collected in time.
        Expired = "expired",
        /// Orders that ended unpaid and whose claims are ordered again, in another run.
        Reissued = "reissued",
        /// Money that left the debtor account, net of returns (per run and provider).
        PaidOut = "paid_out",
        /// The debtor account at a provider, as its statements book it.
        Bank = "bank",
        /// Statement entries that no order explains yet.
        Suspense = "suspense",
        /// Out of suspense for good: lost, or gained (per provider).
        WrittenOff = "written_off",
        /// What the bank owes, or is owed, over bookings of its that were wrong (per provider).
        BankClaim = "bank_claim",
        /// What households owe for undue payments (per programme).
        Receivable = "receivable",
        /// What was found unduly paid (per programme): the source of the accounts of recovery, so its balance is negative.
        Undue = "undue",
        /// Recovered by keeping back from orders (per programme): the sum of all runs' `offset`.
        Recovered = "recovered",
        /// Given up (per programme).
        GivenUp = "given_up",
    }
}

impl AccountKind {
    /// The control account of an order state.
    pub const fn of_state(state: OrderState) -> Self {
        match state {
            OrderState::Planned | OrderState::Released => Self::Planned,
            OrderState::Held => Self::Held,
            OrderState::Cancelled => Self::Cancelled,
            OrderState::Sent | OrderState::Accepted | OrderState::Available => Self::InFlight,
            OrderState::Unknown => Self::Unknown,
            OrderState::Settled | OrderState::Collected => Self::Settled,
            OrderState::Rejected => Self::Rejected,
            OrderState::Returned => Self::Returned,
            OrderState::Expired => Self::Expired,
            OrderState::Reissued => Self::Reissued,
        }
    }
}

listed! {
    /// Why a transfer was posted, as it stands in `ledger_transfer.why`.
    PostingReason {
        /// A run's orders came into being.
        OrdersComputed = "orders computed",
        /// Orders came into being by events, and their sum was reserved.
        OrdersByEvents = "orders by events",
        /// Planned orders were held.
        OrderHeld = "order held",
        /// Held orders were let go.
        OrderLetGo = "order let go",
        /// Planned orders were held when their run was released.
        HeldInDoubt = "payee in doubt, or claim in question",
        /// The registry's changes held orders, or let them go.
        ChangesByEvents = "changes by events",
        /// Batches were released.
        BatchesReleased = "batches released",
        /// A file was delivered.
        BatchSent = "batch sent",
        /// A bank or a provider reported on orders, or a worker handed them over.
        Feedback = "feedback",
        /// An account statement was booked.
        Statement = "statement",
        /// A run was funded.
        RunFunded = "run funded",
        /// A run was cancelled.
        RunCancelled = "run cancelled",
        /// A reissue was funded for claims that earlier runs had reserved.
        ReservationMoved = "reservation moved to a reissue",
        /// Unpaid orders are paid again by another run.
        OrdersReissued = "orders reissued",
        /// That run was cancelled.
        ReissueCancelled = "reissue cancelled",
        /// Instalments were kept back from a run's orders.
        KeptBack = "kept back",
        /// A household had the money of an undue payment.
        UndueFound = "undue payment found",
        /// The money of an undue payment came back.
        UndueCameBack = "undue payment came back",
        /// A complaint was granted.
        ComplaintGranted = "complaint granted",
        /// A later list took an undue payment back.
        TakenBack = "taken back",
        /// A household repaid by transfer.
        Repaid = "repaid",
        /// What a household owed was given up.
        WrittenOff = "written off",
        /// A break that kept money in suspense was resolved, explained or opened again.
        BreakDecided = "break decided",
    }
}
