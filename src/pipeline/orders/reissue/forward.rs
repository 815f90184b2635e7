//! What the policy says of one order, and putting one forward.

use crate::domain::ids::{BreakId, OrderId};
use crate::domain::order::OrderState;
use crate::domain::policy::Verdict;
use crate::pipeline::{Applied, Context, Refusal, person};
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
    /// No such order.
    #[error("order `{0}` is not known")]
    NoOrder(i64),
    /// It did not end unpaid, or is reissued already.
    #[error("order `{order}` is {state}: there is nothing to pay again")]
    NotUnpaid {
        /// Which.
        order: i64,
        /// Its state.
        state: String,
    },
    /// Nobody has cleared up whether the payee may be paid.
    #[error("order `{order}`: its payee is in doubt until break `{break_id}` is resolved")]
    InDoubt {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// An open break may mean that the claim is paid.
    #[error("order `{order}`: its claim may be paid, as break {break_id} says, until a person has decided")]
    InQuestion {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// The policy does not leave it to an operator.
    #[error("order `{order}`: the policy decides `{decision}`, which is not an operator's to change")]
    NotAnOperators {
        /// Which.
        order: i64,
        /// What the policy decides.
        decision: crate::domain::policy::Decision,
    },
}

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
///
/// # Errors
/// When the database is gone.
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
    let known = known.ok_or(ForwardError::NoOrder(order.get()))?;
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
