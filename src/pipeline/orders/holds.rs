//! Holding an order back, and letting it go, one at a time, with a reason.
//!
//! Guarantee: a hold is placed by one person, whenever it still can be. Letting go changes what is paid: before the run is funded, it
//! makes its submission and approval stale; afterwards it is proposed by one person and confirmed by another, for exactly
//! the reasons that were open, and the order leaves in a file of its own.

use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::{BreakId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::reason::HoldReason;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::access::people;
use crate::pipeline::{Applied, Context, DECIDE_THE_BREAK, Refusal, locked_run, person, resolve_the_doubt};
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::books::{self, OrderSum};
use crate::store::messages::breaks;
use crate::store::orders::{self, hold_releases, holds, questions};
use crate::store::{StoreError, runs};

/// Why an order cannot be held or let go.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The person or the run does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It has left, or is about to.
    #[error("order `{order}` is {state}: it can no longer be held")]
    TooLate {
        /// Which.
        order: i64,
        /// Its state.
        state: String,
    },
    /// Another programme pays the household for the month.
    #[error("order `{order}` gives way to order `{other}`: a household cannot draw both programmes at once")]
    GivesWay {
        /// Which.
        order: i64,
        /// The order of the other programme.
        other: i64,
    },
    /// An open break may mean that the claim is paid.
    #[error("order `{order}`: its claim may have been paid already, until break `{break_id}` is resolved")]
    InQuestion {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// Its payee is in doubt, and nobody has decided.
    #[error("order `{order}`: it is in doubt who is to be paid, until break `{break_id}` is resolved")]
    InDoubt {
        /// Which.
        order: i64,
        /// The break that a person resolves first.
        break_id: BreakId,
    },
    /// Nobody has proposed to let it go.
    #[error("order `{0}` is held, and nobody has proposed to release it")]
    NotProposed(i64),
    /// Who proposed it does not confirm it.
    #[error("operator `{0}` proposed this release: another person must confirm it")]
    SamePerson(String),
    /// It is held for something else by now.
    #[error("order `{order}` was held for {was} when its release was proposed, and is held for {is} now")]
    Changed {
        /// Which.
        order: i64,
        /// Reasons then.
        was: String,
        /// Reasons now.
        is: String,
    },
    /// Nobody could pay it.
    #[error("order `{0}` has no provider: it needs another account first")]
    NoProvider(i64),
}

impl Hint for HoldError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::TooLate { .. } => "what has left can be asked back: `sarf order recall`".into(),
            Self::GivesWay { other, .. } => format!(
                "see `sarf order show {other}`; it can be let go only once the run of that order is cancelled"
            )
            .into(),
            Self::InQuestion { .. } => DECIDE_THE_BREAK.into(),
            Self::InDoubt { break_id, .. } => resolve_the_doubt(*break_id),
            Self::NotProposed(order) => {
                format!("a preparer proposes it first: sarf order release {order} --why \"…\" --as NAME")
                    .into()
            }
            Self::SamePerson(_) => "an approver who did not propose it: --as NAME".into(),
            Self::Changed { order, .. } => format!(
                "look at it again, and propose it again: sarf order release {order} --why \"…\" --as NAME"
            )
            .into(),
            Self::NoProvider(_) => {
                "ask the beneficiary for another account; the next snapshot brings it".into()
            }
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(HoldError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::TooLate { .. } => Self::TooLate { order: 7, state: "sent".into() },
    Self::GivesWay { .. } => Self::GivesWay { order: 7, other: 8 },
    Self::InQuestion { .. } => Self::InQuestion { order: 7, break_id: BreakId::new(3) },
    Self::InDoubt { .. } => Self::InDoubt { order: 7, break_id: BreakId::new(3) },
    Self::NotProposed(_) => Self::NotProposed(7),
    Self::SamePerson(_) => Self::SamePerson("amina".into()),
    Self::Changed { .. } => Self::Changed { order: 7, was: "amount".into(), is: "account".into() },
    Self::NoProvider(_) => Self::NoProvider(7),
});

impl<E: Into<StoreError>> From<E> for HoldError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is held.
    Held,
    /// It is let go.
    LetGo,
    /// Letting it go is proposed: it stays held until another person confirms it.
    Proposed,
}

/// Holds an order (`held` true) or lets it go (`held` false); after its run was funded, letting go is only proposed.
///
/// # Errors
/// See [`HoldError`].
pub async fn set(
    context: &Context,
    order: OrderId,
    held: bool,
    by: &str,
    why: &str,
) -> Result<Applied<Changed>, HoldError> {
    let detail = detail(context, order).await?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let run = locked_run(&mut tx, order.run()).await?;
    if matches!(run.state, RunState::Closed | RunState::Cancelled) {
        return Err(Refusal::WrongState { run: run.id, step: "changed", state: run.state }.into());
    }
    let Placed { provider, in_file, .. } = placed_in_tx(&mut tx, order).await?;
    let was_held = holds::is_held_in_tx(&mut tx, order).await?;
    if held && in_file {
        return Err(HoldError::TooLate { order: order.get(), state: detail.state });
    }
    if !held && provider == 0 {
        return Err(HoldError::NoProvider(order.get()));
    }
    if !held && let Some(other) = holds::gives_way_to_in_tx(&mut tx, order).await? {
        return Err(HoldError::GivesWay { order: order.get(), other: other.get() });
    }
    if !held {
        refuse_undecided_in_tx(&mut tx, &run, order).await?;
    }
    let now = context.clock.now();
    let (changed, what) = if held {
        let placed = holds::place_in_tx(&mut tx, order, why, by, now).await?;
        (withdraw_in_tx(&mut tx, order, by, now).await? || placed, Changed::Held)
    } else if !run.state.release_takes_two() {
        (holds::release_in_tx(&mut tx, order, by, why, now).await? > 0, Changed::LetGo)
    } else if was_held {
        (propose_in_tx(&mut tx, order, by, why, now).await?, Changed::Proposed)
    } else {
        (false, Changed::LetGo)
    };
    if !changed {
        return Ok(Applied::Already(what));
    }
    if was_held != held && what != Changed::Proposed {
        move_one(&mut tx, &run, provider, held, detail.amount, now).await?;
    }
    let action = match what {
        Changed::Held => "order.hold",
        Changed::LetGo => "order.release",
        Changed::Proposed => "order.propose-release",
    };
    let decision =
        Decision { actor: by, action, subject: &format!("order {}", order.get()), detail: why, at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(what))
}

/// An order that is held for its claim or its payee stays held while a break over them is open: what is let go is not held
/// for it again.
async fn refuse_undecided_in_tx(
    tx: &mut sqlx::PgConnection,
    run: &runs::Run,
    order: OrderId,
) -> Result<(), HoldError> {
    let reasons = holds::open_reasons_in_tx(tx, order).await?;
    let held_for = |reason: HoldReason| reasons.split(',').any(|held| held == reason.as_str());
    if held_for(HoldReason::ClaimInQuestion)
        && let Some(break_id) = questions::of_order_in_tx(tx, order, run.kind == RunKind::Correction).await?
    {
        return Err(HoldError::InQuestion { order: order.get(), break_id });
    }
    if held_for(HoldReason::PayeeInDoubt)
        && let Some(break_id) = breaks::doubt_of_household_in_tx(tx, order).await?
    {
        return Err(HoldError::InDoubt { order: order.get(), break_id });
    }
    Ok(())
}

async fn detail(context: &Context, order: OrderId) -> Result<orders::OrderDetail, HoldError> {
    let found = orders::find(&context.store, None, Some(order)).await?;
    found.into_iter().next().ok_or_else(|| Refusal::not_found(Entity::Order, order.get()).into())
}

/// Proposes to let an order go: `false` when the same is proposed already. Where it came to be held for something else
/// since, the earlier proposal ends.
async fn propose_in_tx(
    tx: &mut sqlx::PgConnection,
    order: OrderId,
    by: &str,
    why: &str,
    at: time::OffsetDateTime,
) -> Result<bool, StoreError> {
    let reasons = holds::open_reasons_in_tx(tx, order).await?;
    match hold_releases::open_of_order_in_tx(tx, order).await? {
        Some(open) if open.reasons == reasons => return Ok(false),
        Some(open) => hold_releases::withdraw_in_tx(tx, open.id, by, at).await?,
        None => {}
    }
    hold_releases::propose_in_tx(tx, order, &reasons, why, by, at).await?;
    Ok(true)
}

/// Ends what is proposed for an order: whether anything was.
async fn withdraw_in_tx(
    tx: &mut sqlx::PgConnection,
    order: OrderId,
    by: &str,
    at: time::OffsetDateTime,
) -> Result<bool, StoreError> {
    let open = hold_releases::open_of_order_in_tx(tx, order).await?;
    if let Some(open) = &open {
        hold_releases::withdraw_in_tx(tx, open.id, by, at).await?;
    }
    Ok(open.is_some())
}

/// Confirms, as an approver who did not propose it, that an order is let go: it leaves in a file of its own, with the next
/// release of its run.
///
/// # Errors
/// See [`HoldError`].
pub async fn confirm(context: &Context, order: OrderId, by: &str) -> Result<Applied<()>, HoldError> {
    let detail = detail(context, order).await?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let run = locked_run(&mut tx, order.run()).await?;
    let Some(open) = hold_releases::open_of_order_in_tx(&mut tx, order).await? else {
        if holds::is_held_in_tx(&mut tx, order).await? {
            return Err(HoldError::NotProposed(order.get()));
        }
        return Ok(Applied::Already(()));
    };
    if matches!(run.state, RunState::Closed | RunState::Cancelled) {
        return Err(Refusal::WrongState { run: run.id, step: "changed", state: run.state }.into());
    }
    if people::is_same(&open.proposed_by, by) {
        return Err(HoldError::SamePerson(by.to_owned()));
    }
    let reasons = holds::open_reasons_in_tx(&mut tx, order).await?;
    if reasons != open.reasons {
        return Err(HoldError::Changed { order: order.get(), was: open.reasons, is: reasons });
    }
    if let Some(other) = holds::gives_way_to_in_tx(&mut tx, order).await? {
        return Err(HoldError::GivesWay { order: order.get(), other: other.get() });
    }
    refuse_undecided_in_tx(&mut tx, &run, order).await?;
    let Placed { provider, .. } = placed_in_tx(&mut tx, order).await?;
    let now = context.clock.now();
    hold_releases::confirm_in_tx(&mut tx, open.id, by, now).await?;
    holds::leave_batch_in_tx(&mut tx, order).await?;
    holds::release_in_tx(&mut tx, order, by, &open.why, now).await?;
    move_one(&mut tx, &run, provider, false, detail.amount, now).await?;
    let detail = format!("{reasons}, proposed by {}: {}", open.proposed_by, open.why);
    let subject = format!("order {}", order.get());
    let decision =
        Decision { actor: by, action: "order.release", subject: &subject, detail: &detail, at: now };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

/// Where an order lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Placed {
    /// Provider number.
    pub provider: i16,
    /// Amount.
    pub amount: Centimes,
    /// Its batch is released: it can no longer be kept back.
    pub in_file: bool,
}

/// Where an order lies, within the transaction that locked its run.
pub(in crate::pipeline) async fn placed_in_tx(
    tx: &mut sqlx::PgConnection,
    order: OrderId,
) -> Result<Placed, StoreError> {
    let found = holds::reachable_in_tx(tx, order.run(), &[order]).await?;
    let found = found.first().ok_or(StoreError::Corrupt("order"))?;
    Ok(Placed { provider: found.provider, amount: found.amount, in_file: found.released })
}

/// Moves one order between planned and held.
pub(in crate::pipeline) async fn move_one(
    tx: &mut sqlx::PgConnection,
    run: &runs::Run,
    provider: i16,
    held: bool,
    amount: Centimes,
    at: time::OffsetDateTime,
) -> Result<(), StoreError> {
    let order = [OrderSum { of: run.at(provider), orders: 1, amount }];
    if held {
        books::orders::held_in_tx(tx, &order, at).await
    } else {
        books::orders::let_go_in_tx(tx, &order, at).await
    }
}
