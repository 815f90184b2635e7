//! The chart of accounts.
//!
//! A *transfer* moves an amount from a credit account to a debit account, so the books cannot be out of balance.
//! Per run and provider, each order state has a control account; their balances are what `sarf verify` compares the
//! orders with.

use super::household::listed;
use super::order::OrderState;

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
