//! Unpaid orders whose claims are paid again by another run, and what the earlier runs reserved for them.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::funding::Reservation;
use super::moves::{Move, move_orders_in_tx};
use super::transfer::{Occasion, Transfer, post_in_tx};
use super::{OrderSum, RunAt};
use crate::domain::ledger::PostingReason;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::store::StoreError;
use crate::store::runs::Run;
use crate::store::runs::reissues::Earlier;

/// Orders reissued: earlier orders of a programme leave the state that they ended in.
///
/// # Errors
/// When fewer are in that state.
pub async fn reissued_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    earlier: &[Earlier],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let there = |e: &Earlier| moved(programme, e, e.state, OrderState::Reissued);
    let moves: Vec<Move> = earlier.iter().map(there).collect();
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::OrdersReissued, at)).await
}

/// Reissue cancelled: earlier orders of a programme are back in the state that they ended in.
///
/// # Errors
/// When fewer are reissued.
pub async fn restored_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    earlier: &[Earlier],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let back = |e: &Earlier| moved(programme, e, OrderState::Reissued, e.state);
    let moves: Vec<Move> = earlier.iter().map(back).collect();
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::ReissueCancelled, at)).await
}

/// Reissue funded: what earlier runs reserved for its claims goes back to their envelopes.
pub async fn reservations_moved_in_tx(
    connection: &mut PgConnection,
    earlier: &[(Run, Centimes)],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let freed = |(run, amount): &(Run, Centimes)| Reservation::of(run).give_back(*amount);
    let freed: Vec<Transfer> = earlier.iter().map(freed).collect();
    post_in_tx(connection, &freed, Occasion::new(PostingReason::ReservationMoved, at)).await
}

/// Funded reissue cancelled: the earlier runs reserve for their claims again.
pub async fn reservations_restored_in_tx(
    connection: &mut PgConnection,
    earlier: &[(Run, Centimes)],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let again = |(run, amount): &(Run, Centimes)| Reservation::of(run).take(*amount);
    let again: Vec<Transfer> = earlier.iter().map(again).collect();
    post_in_tx(connection, &again, Occasion::new(PostingReason::ReissueCancelled, at)).await
}

fn moved(programme: i16, earlier: &Earlier, from: OrderState, to: OrderState) -> Move {
    let of = RunAt { programme, run: earlier.run, provider: earlier.provider };
    let sum = OrderSum { of, orders: earlier.orders, amount: earlier.amount };
    Move { sum, from: Some(from), to }
}
