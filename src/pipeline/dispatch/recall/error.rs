//! Why an order cannot be recalled, and what to do then.

use crate::domain::calendar::CalendarError;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::order::OrderState;
use crate::pipeline::Refusal;
use crate::rails::bank_file::DeliveryError;
use crate::rails::stream::CallError;
use crate::store::StoreError;

/// Why an order cannot be recalled.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// The person or the run does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It has not left.
    #[error("order `{order}` is {state}: it has not been sent")]
    NotLeft {
        /// Which.
        order: i64,
        /// Its state.
        state: OrderState,
    },
    /// It ended otherwise.
    #[error("order `{order}` is {state}: there is nothing to ask back")]
    Ended {
        /// Which.
        order: i64,
        /// Its state.
        state: OrderState,
    },
    /// The provider cannot be asked over a connection.
    #[error("provider `{0}` cannot be asked from here to cancel a payment")]
    NoConnection(String),
    /// No deadline can be given.
    #[error("the deadline of the answer cannot be computed")]
    Calendar(#[from] CalendarError),
    /// The file could not be delivered.
    #[error("the request to cancel could not be delivered")]
    Delivery(#[from] DeliveryError),
    /// The provider gave no answer.
    #[error("provider `{provider}` could not be asked to cancel")]
    Call {
        /// Which.
        provider: String,
        /// Why.
        #[source]
        source: CallError,
    },
}

impl Hint for RecallError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::NotLeft { .. } => "keep it back instead: `sarf order hold`".into(),
            Self::Ended { order, .. } => format!("see its life: sarf order show {order}").into(),
            Self::NoConnection(_) => "call the provider, and let its reports say what became of it".into(),
            Self::Calendar(e) => return e.hint(),
            Self::Delivery(DeliveryError::Differs(_)) => {
                "the bank may have it: compare it with the settings of the debtor and of the provider".into()
            }
            Self::Delivery(_) | Self::Call { .. } => {
                "give the command again: it goes on under the same names".into()
            }
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(RecallError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NotLeft { .. } => Self::NotLeft { order: 7, state: OrderState::Planned },
    Self::Ended { .. } => Self::Ended { order: 7, state: OrderState::Settled },
    Self::NoConnection(_) => Self::NoConnection("m2t".into()),
    Self::Calendar(_) => Self::Calendar(CalendarError::YearNotCovered { year: 2031 }),
    Self::Delivery(_) => Self::Delivery(DeliveryError::Differs("a.xml".into())),
    Self::Call { .. } => Self::Call { provider: "m2t".into(), source: CallError::Refused { status: 400 } },
});

impl<E: Into<StoreError>> From<E> for RecallError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}
