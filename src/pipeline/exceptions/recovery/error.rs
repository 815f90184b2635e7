//! Why something cannot be done about a case.

use crate::domain::ids::{BreakId, CaseId, HouseholdId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::appeal::AppealFault;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::Refusal;
use crate::pipeline::exceptions::breaks::BreakError;
use crate::store::StoreError;

/// Why something cannot be done about a case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The person does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such case.
    #[error("case `{0}` is not known")]
    NoCase(CaseId),
    /// No such order.
    #[error("order `{0}` is not known")]
    NoOrder(i64),
    /// No such programme.
    #[error("programme `{0}` is not known")]
    NoProgramme(String),
    /// The household is not in the latest list.
    #[error("household `{household}` is not in the latest list of `{programme}`")]
    NotListed {
        /// Which.
        household: HouseholdId,
        /// Of which programme.
        programme: String,
    },
    /// The month was paid by an order, which names the payment.
    #[error("order `{order}` pays `{period}` to that household")]
    PaidByOrder {
        /// Which.
        order: i64,
        /// The month.
        period: Period,
    },
    /// The order has not left.
    #[error("order `{order}` is {state}: nothing was paid")]
    NotLeft {
        /// Which.
        order: i64,
        /// Its state.
        state: OrderState,
    },
    /// The money is with the household.
    #[error("order `{order}` is {state}: there is nothing left to ask back")]
    Ended {
        /// Which.
        order: i64,
        /// Its state.
        state: OrderState,
    },
    /// The case names no order.
    #[error("case `{0}` is about a payment that was made elsewhere")]
    NoPayment(CaseReference),
    /// More than there is.
    #[error("{amount} MAD is more than the {most} MAD that are left")]
    TooMuch {
        /// What was asked for.
        amount: Centimes,
        /// What there is.
        most: Centimes,
    },
    /// A later list gave it back as arrears.
    #[error("later lists put {amount} MAD of that month right: nothing is left to grant")]
    PutRight {
        /// What they gave back.
        amount: Centimes,
    },
    /// Nothing, or less.
    #[error("{0} MAD is not an amount above zero")]
    NotPositive(Centimes),
    /// The reason is empty.
    #[error("a decision on a case needs a reason")]
    NoReason,
    /// The case is not where this can be done.
    #[error("case `{case}` is {state}: this cannot follow")]
    WrongState {
        /// Which.
        case: CaseReference,
        /// Where it stands.
        state: CaseState,
    },
    /// The person already acted on the other side.
    #[error("operator `{name}` has acted on case `{case}` before: another person decides")]
    SamePerson {
        /// Which.
        case: CaseReference,
        /// Who.
        name: String,
    },
    /// The complaint is not where this can be done.
    #[error(transparent)]
    Appeal(#[from] AppealFault),
    /// Nobody proposed it.
    #[error("nobody put the write-off of case `{0}` forward")]
    NotProposed(CaseReference),
    /// The break cannot be explained.
    #[error(transparent)]
    Break(#[from] BreakError),
    /// It keeps no money that came in, or somebody has decided, or proposed, where that goes.
    #[error("break `{0}` keeps no receipt in suspense that could be assigned")]
    NoReceipt(BreakId),
}

impl<E: Into<StoreError>> From<E> for CaseError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}
