//! Holding an order back, and letting it go, one at a time, with a reason.

use super::{Applied, Context, Refusal, locked_run, person};
use crate::domain::ids::{OrderId, RunId};
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::run::RunState;
use crate::store::audit::{self, Decision};
use crate::store::ledger::{self, AccountKey, Occasion, Transfer};
use crate::store::operators::Role;
use crate::store::runs::{self, TotalMove};
use crate::store::{holds, orders};

/// Why an order cannot be held or let go.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The person or the run does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such order.
    #[error("order `{0}` is not known")]
    NoOrder(i64),
    /// It has left, or is about to.
    #[error("order `{order}` is {state}: it can no longer be held")]
    TooLate {
        /// Which.
        order: i64,
        /// Its state.
        state: String,
    },
    /// Another programme pays the household for the month.
    #[error(
        "order `{order}` gives way to order `{other}` of a programme that may not be drawn together with its own"
    )]
    GivesWay {
        /// Which.
        order: i64,
        /// The order of the other programme.
        other: i64,
    },
    /// Nobody could pay it.
    #[error("order `{0}` has no provider: it needs another account first")]
    NoProvider(i64),
}

impl<E: Into<crate::store::StoreError>> From<E> for HoldError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

/// Holds an order (`held` true) or lets it go (`held` false).
///
/// # Errors
/// See [`HoldError`].
pub async fn set(
    context: &Context,
    order: OrderId,
    held: bool,
    by: &str,
    why: &str,
) -> Result<Applied<()>, HoldError> {
    let detail = orders::find(&context.store, None, Some(order))
        .await?
        .into_iter()
        .next()
        .ok_or(HoldError::NoOrder(order.get()))?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let run = locked_run(&mut tx, order.run()).await?;
    if matches!(run.state, RunState::Closed | RunState::Cancelled) {
        return Err(Refusal::WrongState { run: run.id, state: run.state }.into());
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
    let now = context.clock.now();
    let changed = if held {
        holds::place_in_tx(&mut tx, order, why, by, now).await?
    } else {
        holds::release_in_tx(&mut tx, order, by, why, now).await? > 0
    };
    if !changed {
        return Ok(Applied::Already(()));
    }
    if was_held != held {
        move_one(&mut tx, &run, provider, held, detail.amount, now).await?;
    }
    let action = if held { "order.hold" } else { "order.release" };
    let decision =
        Decision { actor: by, action, subject: &format!("order {}", order.get()), detail: why, at: now };
    audit::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

/// Where an order lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// Provider number.
    pub provider: i16,
    /// Amount.
    pub amount: Centimes,
    /// Its batch is released: it can no longer be kept back.
    pub in_file: bool,
}

/// Where an order lies, within the transaction that locked its run.
pub(super) async fn placed_in_tx(
    tx: &mut sqlx::PgConnection,
    order: OrderId,
) -> Result<Placed, crate::store::StoreError> {
    let (provider, amount, in_file): (i16, i64, bool) = sqlx::query_as(
        "select o.provider_id, o.amount, exists (select from batch b where b.run_id = $2 and b.state <> 'planned' and not b.listed
                and b.provider_id = o.provider_id and o.order_id between b.first_order and b.last_order
                and not exists (select from order_hold h where h.order_id = o.order_id and h.missed_batch = b.id))
             or exists (select from batch_member m where m.order_id = o.order_id)
           from payment_order o where o.order_id = $1",
    )
    .bind(order.get())
    .bind(order.run().get())
    .fetch_one(tx)
    .await?;
    Ok(Placed { provider, amount: Centimes::new(amount), in_file })
}

/// Moves one order between planned and held.
pub(super) async fn move_one(
    tx: &mut sqlx::PgConnection,
    run: &runs::Run,
    provider: i16,
    held: bool,
    amount: Centimes,
    at: time::OffsetDateTime,
) -> Result<(), crate::store::StoreError> {
    let (from, to) =
        if held { (OrderState::Planned, OrderState::Held) } else { (OrderState::Held, OrderState::Planned) };
    let moved = TotalMove { provider, from: Some(from), to, orders: 1, amount };
    let why = if held { "order held" } else { "order let go" };
    move_in_tx(tx, run.programme_id, run.id, &[moved], why, at).await
}

/// Moves orders of a run from one state to another, in kept totals and books.
pub(super) async fn move_in_tx(
    tx: &mut sqlx::PgConnection,
    programme: i16,
    run: RunId,
    moves: &[TotalMove],
    why: &str,
    at: time::OffsetDateTime,
) -> Result<(), crate::store::StoreError> {
    runs::move_totals_in_tx(tx, run, moves).await?;
    let transfer = |m: &TotalMove| {
        let key = |state| AccountKey::of_run(programme, run, m.provider, AccountKind::of_state(state));
        m.from.map(|from| Transfer { debit: key(m.to), credit: key(from), amount: m.amount })
    };
    let transfers: Vec<Transfer> = moves.iter().filter_map(transfer).collect();
    ledger::post_in_tx(tx, &transfers, Occasion { why, batch: None, message: None, at }).await
}
