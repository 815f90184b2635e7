//! Asking an undue payment back before the household has it.
//!
//! Guarantee: the recall is asked for first, in a transaction of its own, then the case says so: killed between the two, the
//! command is given again and goes on. What becomes of the case follows what becomes of the order, never the promise.
//! Limit: a payment is asked back whole, also where only a part of it is undue; the claim is paid again less that part.

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::CaseId;
use crate::domain::order::OrderState;
use crate::domain::recall::CancellationReason;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::dispatch::recall::{self, RecallError};
use crate::pipeline::exceptions::recovery::CaseError;
use crate::pipeline::exceptions::recovery::cases::{Act, locked, order_of, reason, record, wrong_state};
use crate::pipeline::{Applied, Context};
use crate::store::StoreError;
use crate::store::messages::recalls::Recall;
use crate::store::recovery::cases::Case;
use crate::store::recovery::decisions;

/// Why an undue payment is not asked back.
#[derive(Debug, thiserror::Error)]
pub enum UndueRecallError {
    /// The case does not allow it.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The payment cannot be asked back.
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Hint for UndueRecallError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Case(e) => e.hint(),
            Self::Recall(e) => e.hint(),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(UndueRecallError {
    Self::Case(_) => Self::Case(CaseError::NoReason),
    Self::Recall(_) => Self::Recall(RecallError::NoConnection("m2t".into())),
});

impl<E: Into<StoreError>> From<E> for UndueRecallError {
    fn from(error: E) -> Self {
        Self::Case(error.into().into())
    }
}

/// Asks the payment of a case back, while it is under way or not collected. The recall has still to leave: see
/// [`recall::deliver`] and [`recall::cancel`].
///
/// # Errors
/// See [`UndueRecallError`].
pub async fn ask(
    context: &Context,
    id: CaseId,
    why: &str,
    by: &str,
) -> Result<Applied<(Case, Recall)>, UndueRecallError> {
    let why = reason(why)?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let case = locked(&mut tx, id, now).await?;
    tx.commit().await?;
    let order = case.order.ok_or(CaseError::NoPayment(CaseReference::of(id)))?;
    let (_, state) = order_of(context, order).await?;
    match state {
        OrderState::Sent | OrderState::Accepted | OrderState::Available | OrderState::Unknown => {}
        _ if !state.has_left() => return Err(CaseError::NotLeft { order: order.get(), state }.into()),
        _ => return Err(CaseError::Ended { order: order.get(), state }.into()),
    }
    if !matches!(case.state, CaseState::Opened | CaseState::Recalled) {
        return Err(wrong_state(&case, "asked back").into());
    }
    let asked = recall::ask(context, order, CancellationReason::Upay, why, by).await?.into_inner();
    let mut tx = context.store.begin().await?;
    let case = locked(&mut tx, id, now).await?;
    if case.state != CaseState::Opened {
        tx.commit().await?;
        return Ok(Applied::Already((case, asked)));
    }
    decisions::set_state_in_tx(&mut tx, id, CaseState::Recalled).await?;
    let act = Act { step: "recalled", amount: Some(case.outstanding), by, why, at: now };
    record(&mut tx, &case, act).await?;
    tx.commit().await?;
    Ok(Applied::Now((Case { state: CaseState::Recalled, ..case }, asked)))
}
