//! What the policy says of one order, and putting one forward.

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{BreakId, OrderId};
use crate::domain::not_found::Entity;
use crate::domain::order::OrderState;
use crate::domain::policy::Verdict;
use crate::pipeline::{Applied, Context, DECIDE_THE_BREAK, Refusal, person, resolve_the_doubt};
use crate::store::StoreError;
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::messages::breaks;
use crate::store::orders::{self, questions, unpaid};
use crate::store::runs::reissues::{self, Link};

/// Why an order cannot be put forward.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The person may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It did not end unpaid, or is reissued already.
    #[error("order `{order}` is {state}: there is nothing to pay again")]
    NotUnpaid {
        /// Which.
        order: i64,
        /// Its state.
        state: String,
    },
    /// Nobody has cleared up whether the payee may be paid.
    #[error("order `{order}`: it is in doubt who is to be paid, until break `{break_id}` is resolved")]
    InDoubt {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// An open break may mean that the claim is paid.
    #[error("order `{order}`: its claim may have been paid already, until break `{break_id}` is resolved")]
    InQuestion {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// The policy does not leave it to an operator.
    #[error("order `{order}`: the policy decides `{decision}`, which an operator cannot change")]
    NotAnOperators {
        /// Which.
        order: i64,
        /// What the policy decides.
        decision: crate::domain::policy::Decision,
    },
}

impl Hint for ForwardError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::InDoubt { break_id, .. } => resolve_the_doubt(*break_id),
            Self::InQuestion { .. } => DECIDE_THE_BREAK.into(),
            Self::NotUnpaid { order, .. } | Self::NotAnOperators { order, .. } => {
                format!("see what is known of it: sarf order show {order}").into()
            }
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ForwardError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::NotUnpaid { .. } => Self::NotUnpaid { order: 7, state: "settled".into() },
    Self::InDoubt { .. } => Self::InDoubt { order: 7, break_id: BreakId::new(3) },
    Self::InQuestion { .. } => Self::InQuestion { order: 7, break_id: BreakId::new(3) },
    Self::NotAnOperators { .. } => {
        Self::NotAnOperators { order: 7, decision: crate::domain::policy::Decision::ALL[0] }
    },
});

impl<E: Into<StoreError>> From<E> for ForwardError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

/// What is known of an order's way to be paid again.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Standing {
    /// What the policy says, where the order stands unpaid.
    pub policy: Option<Verdict>,
    /// The provider's reason.
    pub reason: Option<String>,
    /// Who put it forward.
    pub put_forward_by: Option<String>,
    /// Why.
    pub put_forward_why: Option<String>,
    /// Which order it pays again, and which one pays it again.
    pub links: Vec<Link>,
}

/// What is known of an order's way to be paid again.
pub async fn standing(context: &Context, order: OrderId, attempt: u16) -> Result<Standing, StoreError> {
    let mut tx = context.store.begin().await?;
    let ended = unpaid::find_in_tx(&mut tx, order).await?;
    tx.rollback().await?;
    let judge = |(state, reason): &(OrderState, Option<String>)| {
        context.config.reasons.judge(*state, reason.as_deref(), attempt)
    };
    let policy = ended.as_ref().map(judge);
    let (put_forward_by, put_forward_why) = reissues::request(&context.store, order).await?.unzip();
    let links = reissues::links(&context.store, order).await?;
    Ok(Standing {
        policy,
        reason: ended.and_then(|(_, reason)| reason),
        put_forward_by,
        put_forward_why,
        links,
    })
}

/// Puts an order forward that the policy leaves to an operator: the next reissue run takes it. Its approval stays three
/// people's.
///
/// # Errors
/// See [`ForwardError`].
pub async fn put_forward(
    context: &Context,
    order: OrderId,
    by: &str,
    why: &str,
) -> Result<Applied<()>, ForwardError> {
    let known = orders::find(&context.store, None, Some(order)).await?.into_iter().next();
    let known = known.ok_or_else(|| Refusal::not_found(Entity::Order, order.get()))?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let Some((state, reason)) = unpaid::find_in_tx(&mut tx, order).await? else {
        return Err(ForwardError::NotUnpaid { order: order.get(), state: known.state });
    };
    let verdict = context.config.reasons.judge(state, reason.as_deref(), known.attempt as u16);
    if !verdict.may_be_put_forward() {
        return Err(ForwardError::NotAnOperators { order: order.get(), decision: verdict.decision });
    }
    if let Some(break_id) = breaks::doubt_of_order_in_tx(&mut tx, order).await? {
        return Err(ForwardError::InDoubt { order: order.get(), break_id });
    }
    if let Some(break_id) = questions::of_order_in_tx(&mut tx, order, false).await? {
        return Err(ForwardError::InQuestion { order: order.get(), break_id });
    }
    let now = context.clock.now();
    if !reissues::put_forward_in_tx(&mut tx, order, why, by, now).await? {
        return Ok(Applied::Already(()));
    }
    let subject = format!("order {}", order.get());
    let decision = Decision { actor: by, action: "order.reissue", subject: &subject, detail: why, at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}
