//! Orders that go from one state to another: kept totals, and the transfers that follow from them.
//!
//! Guarantee: totals are moved here and nowhere else, and never without their transfers.

use sqlx::PgConnection;

use super::OrderSum;
use super::ledger::AccountKey;
use super::transfer::{Occasion, Transfer, post_in_tx};
use crate::domain::ledger::AccountKind;
use crate::domain::order::OrderState;
use crate::store::StoreError;

/// Orders of a run and provider that change their state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// Which orders.
    pub sum: OrderSum,
    /// From which state; `None` where they come into being.
    pub from: Option<OrderState>,
    /// To which state.
    pub to: OrderState,
}

impl Move {
    /// From the account of the state before to that of the new state; `None` where both are one. Orders that come into
    /// being are what households are due.
    fn transfer(&self) -> Option<Transfer> {
        let of = self.sum.of;
        let debit = of.account(AccountKind::of_state(self.to));
        let credit = match self.from {
            Some(from) => of.account(AccountKind::of_state(from)),
            None => AccountKey::of_whole_run(of.programme, of.run, AccountKind::Entitled),
        };
        (debit != credit).then_some(Transfer { debit, credit, amount: self.sum.amount })
    }
}

/// Moves kept totals and posts what follows from them, with what else belongs to the same occasion.
///
/// # Errors
/// With the constraint `run_total_orders_check` when more would leave a state than are in it.
pub(super) async fn move_orders_in_tx(
    connection: &mut PgConnection,
    moves: &[Move],
    also: &[Transfer],
    occasion: Occasion,
) -> Result<(), StoreError> {
    let moves = || moves.iter().filter(|m| m.sum.orders != 0);
    for m in moves() {
        if let Some(from) = m.from {
            leave_in_tx(connection, m.sum, from).await?;
        }
        arrive_in_tx(connection, m.sum, m.to).await?;
    }
    let transfers: Vec<Transfer> = moves().filter_map(Move::transfer).chain(also.iter().copied()).collect();
    post_in_tx(connection, &transfers, occasion).await
}

async fn leave_in_tx(
    connection: &mut PgConnection,
    sum: OrderSum,
    from: OrderState,
) -> Result<(), StoreError> {
    sqlx::query(
        "update run_total set orders = orders - $4, amount = amount - $5
          where run_id = $1 and provider_id = $2 and state = $3",
    )
    .bind(sum.of.run.get())
    .bind(sum.of.provider)
    .bind(from.as_str())
    .bind(sum.orders)
    .bind(sum.amount.get())
    .execute(connection)
    .await?;
    Ok(())
}

async fn arrive_in_tx(
    connection: &mut PgConnection,
    sum: OrderSum,
    to: OrderState,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into run_total (run_id, provider_id, state, orders, amount) values ($1, $2, $3, $4, $5)
         on conflict (run_id, provider_id, state)
         do update set orders = run_total.orders + excluded.orders, amount = run_total.amount + excluded.amount",
    )
    .bind(sum.of.run.get())
    .bind(sum.of.provider)
    .bind(to.as_str())
    .bind(sum.orders)
    .bind(sum.amount.get())
    .execute(connection)
    .await?;
    Ok(())
}
