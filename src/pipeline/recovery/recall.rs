//! Asking an undue payment back before the household has it.
//!
//! Guarantee: the recall is asked for first, in a transaction of its own, then the case says so: killed between the two, the
//! command is given again and goes on. What becomes of the case follows what becomes of the order, never the promise.
//! Limit: a payment is asked back whole, also where only a part of it is undue; the claim is paid again less that part.

use super::super::recall;
use super::super::{Applied, Context};
use super::CaseError;
use super::cases::{Act, locked, order_of, reason, record, wrong_state};
use crate::domain::ids::CaseId;
use crate::domain::order::OrderState;
use crate::domain::recall::CancellationReason;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::reference::CaseReference;
use crate::store::recalls::Recall;
use crate::store::recoveries::Case;
use crate::store::recovery_people;

/// Asks the payment of a case back, while it is under way or not collected. The recall has still to leave: see
/// [`recall::deliver`] and [`recall::cancel`].
///
/// # Errors
/// See [`CaseError`].
pub async fn ask(
    context: &Context,
    id: CaseId,
    why: &str,
    by: &str,
) -> Result<Applied<(Case, Recall)>, CaseError> {
    let why = reason(why)?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    let case = locked(&mut tx, id, now).await?;
    tx.commit().await?;
    let order = case.order.ok_or(CaseError::NoPayment(CaseReference::of(id)))?;
    let (_, state) = order_of(context, order).await?;
    match state {
        OrderState::Sent | OrderState::Accepted | OrderState::Available | OrderState::Unknown => {}
        _ if !state.has_left() => return Err(CaseError::NotLeft { order: order.get(), state }),
        _ => return Err(CaseError::Ended { order: order.get(), state }),
    }
    if !matches!(case.state, CaseState::Opened | CaseState::Recalled) {
        return Err(wrong_state(&case));
    }
    let asked = recall::ask(context, order, CancellationReason::Upay, why, by).await?.into_inner();
    let mut tx = context.store.begin().await?;
    let case = locked(&mut tx, id, now).await?;
    if case.state != CaseState::Opened {
        tx.commit().await?;
        return Ok(Applied::Already((case, asked)));
    }
    recovery_people::set_state_in_tx(&mut tx, id, CaseState::Recalled).await?;
    let act = Act { step: "recalled", amount: Some(case.outstanding), by, why, at: now };
    record(&mut tx, &case, act).await?;
    tx.commit().await?;
    Ok(Applied::Now((Case { state: CaseState::Recalled, ..case }, asked)))
}
