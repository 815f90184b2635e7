//! Why something cannot be done about a case.

use crate::domain::country;
use crate::domain::hint::{Hint, NextStep};
#[cfg(test)]
use crate::domain::ids::CaseId;
use crate::domain::ids::{BreakId, HouseholdId};
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
    /// The household is not in the latest list.
    #[error("household `{household}` is not in the latest list of `{programme}`")]
    NotListed {
        /// Which.
        household: HouseholdId,
        /// Of which programme.
        programme: String,
    },
    /// The month was paid by an order, which names the payment.
    #[error("`{period}` was paid to that household by order `{order}`")]
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
    #[error("case `{0}` is about a payment that sarf did not make")]
    NoPayment(CaseReference),
    /// More than there is.
    #[error("{amount:#} is more than the {most:#} that are left")]
    TooMuch {
        /// What was asked for.
        amount: Centimes,
        /// What there is.
        most: Centimes,
    },
    /// A later list gave it back as arrears.
    #[error("later lists have already corrected that month by {amount:#}: nothing is left to grant")]
    PutRight {
        /// What they gave back.
        amount: Centimes,
    },
    /// Nothing, or less.
    #[error("{0:#} is not an amount above zero")]
    NotPositive(Centimes),
    /// The reason is empty.
    #[error("a decision on a case needs a reason")]
    NoReason,
    /// The case is not where this can be done.
    #[error("case `{case}` cannot be {step}: it is {state}")]
    WrongState {
        /// Which.
        case: CaseReference,
        /// What was to be done with it, as a participle.
        step: &'static str,
        /// Where it stands.
        state: CaseState,
    },
    /// The person already acted on the other side.
    #[error("operator `{name}` has acted on case `{case}` before: another person must decide")]
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
    #[error("nobody has proposed to write off case `{0}`")]
    NotProposed(CaseReference),
    /// The break cannot be explained.
    #[error(transparent)]
    Break(#[from] BreakError),
    /// It keeps no money that came in, or somebody has decided, or proposed, where that goes.
    #[error("break `{0}` has no receipt in suspense to assign")]
    NoReceipt(BreakId),
}

impl Hint for CaseError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NotListed { .. } => "compare the household's id with the registry's".into(),
            Self::PaidByOrder { order, .. } => format!("name the order: --order {order}").into(),
            Self::NotLeft { .. } => "keep it back instead: `sarf order hold`".into(),
            Self::Ended { order, .. } => format!(
                "see what became of it: sarf order show {order}; what the household has is kept back from later months"
            )
            .into(),
            Self::NoPayment(case) | Self::WrongState { case, .. } | Self::NotProposed(case) => {
                format!("see where it stands: sarf recovery show {case}").into()
            }
            Self::TooMuch { .. } => "see what is left with `sarf recovery list --household ID`".into(),
            Self::PutRight { .. } => {
                "uphold the case: the arrears were ordered; `sarf recovery account HOUSEHOLD` shows both".into()
            }
            Self::NotPositive(_) => format!("give an amount in {}, like 120.00", country::currency()).into(),
            Self::NoReason => "say why: --why TEXT".into(),
            Self::SamePerson { .. } => "another person must do this: --as NAME".into(),
            Self::Appeal(e) => return e.hint(),
            Self::Break(_) | Self::NoReceipt(_) => "find receipts in suspense with `sarf breaks list`".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(CaseError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NotListed { .. } => Self::NotListed { household: household(), programme: "asd".into() },
    Self::PaidByOrder { .. } => Self::PaidByOrder { order: 7, period: Period::new(2026, 11).expect("a month") },
    Self::NotLeft { .. } => Self::NotLeft { order: 7, state: OrderState::Planned },
    Self::Ended { .. } => Self::Ended { order: 7, state: OrderState::Settled },
    Self::NoPayment(_) => Self::NoPayment(CaseReference::of(CaseId::new(4))),
    Self::TooMuch { .. } => Self::TooMuch { amount: Centimes::new(2), most: Centimes::new(1) },
    Self::PutRight { .. } => Self::PutRight { amount: Centimes::new(2) },
    Self::NotPositive(_) => Self::NotPositive(Centimes::ZERO),
    Self::NoReason => Self::NoReason,
    Self::WrongState { .. } => Self::WrongState {
        case: CaseReference::of(CaseId::new(4)),
        step: "repaid",
        state: CaseState::Recovered,
    },
    Self::SamePerson { .. } => {
        Self::SamePerson { case: CaseReference::of(CaseId::new(4)), name: "amina".into() }
    },
    Self::Appeal(_) => Self::Appeal(AppealFault::TooLate(time::Date::MIN)),
    Self::NotProposed(_) => Self::NotProposed(CaseReference::of(CaseId::new(4))),
    Self::Break(_) => Self::Break(BreakError::NoReason),
    Self::NoReceipt(_) => Self::NoReceipt(BreakId::new(3)),
});

impl<E: Into<StoreError>> From<E> for CaseError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

#[cfg(test)]
fn household() -> HouseholdId {
    HouseholdId::parse(b"H-1").expect("an id")
}
