//! Orders: made, held, released, sent, reported on, cancelled.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::funding::Reservation;
use super::moves::{Move, move_orders_in_tx};
use super::transfer::Occasion;
use super::{OrderSum, RunAt, StateMove};
use crate::domain::ids::MessageId;
use crate::domain::ledger::PostingReason;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::run::RunState;
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::runs::Run;

/// Orders that come into being.
#[derive(Clone, Copy, Debug)]
pub struct NewOrders {
    /// Which.
    pub sum: OrderSum,
    /// Whether they are held from the beginning.
    pub held: bool,
}

impl NewOrders {
    fn into_state(self, free: OrderState) -> Move {
        Move { sum: self.sum, from: None, to: if self.held { OrderState::Held } else { free } }
    }
}

/// Orders computed: what a run's households are due is planned, or held.
pub async fn computed_in_tx(
    connection: &mut PgConnection,
    new: &[NewOrders],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves: Vec<Move> = new.iter().map(|n| n.into_state(OrderState::Planned)).collect();
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::OrdersComputed, at)).await
}

/// Orders by events: they are released at once, or held, and their sum is reserved for their run.
pub async fn made_by_events_in_tx(
    connection: &mut PgConnection,
    new: &[NewOrders],
    reservation: Reservation,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves: Vec<Move> = new.iter().map(|n| n.into_state(OrderState::Released)).collect();
    let reserved = reservation.take(new.iter().map(|n| n.sum.amount).sum());
    let occasion = Occasion::new(PostingReason::OrdersByEvents, at);
    move_orders_in_tx(connection, &moves, &[reserved], occasion).await
}

/// Planned orders are held.
///
/// # Errors
/// When fewer are planned.
pub async fn held_in_tx(
    connection: &mut PgConnection,
    orders: &[OrderSum],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves = between(orders, OrderState::Planned, OrderState::Held);
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::OrderHeld, at)).await
}

/// Held orders are planned again.
///
/// # Errors
/// When fewer are held.
pub async fn let_go_in_tx(
    connection: &mut PgConnection,
    orders: &[OrderSum],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves = between(orders, OrderState::Held, OrderState::Planned);
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::OrderLetGo, at)).await
}

/// Planned orders are held at release: their payees are in doubt, or their claims in question.
///
/// # Errors
/// When fewer are planned.
pub async fn held_in_doubt_in_tx(
    connection: &mut PgConnection,
    orders: &[OrderSum],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves = between(orders, OrderState::Planned, OrderState::Held);
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::HeldInDoubt, at)).await
}

/// The registry's changes hold orders that have not left, and let others go.
///
/// # Errors
/// When fewer are in the state before.
pub async fn changed_by_events_in_tx(
    connection: &mut PgConnection,
    changed: &[StateMove],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let occasion = Occasion::new(PostingReason::ChangesByEvents, at);
    move_orders_in_tx(connection, &moves(changed), &[], occasion).await
}

/// Batches are released: their orders may leave.
///
/// # Errors
/// When fewer are planned.
pub async fn released_in_tx(
    connection: &mut PgConnection,
    orders: &[OrderSum],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moves = between(orders, OrderState::Planned, OrderState::Released);
    move_orders_in_tx(connection, &moves, &[], Occasion::new(PostingReason::BatchesReleased, at)).await
}

/// A batch left as a file.
///
/// # Errors
/// When fewer orders are released.
pub async fn batch_sent_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    batch: &Batch,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let of = RunAt { programme, run: batch.run, provider: batch.provider_id };
    let sum = OrderSum { of, orders: batch.orders, amount: batch.amount };
    let moves = between(&[sum], OrderState::Released, OrderState::Sent);
    let occasion = Occasion::new(PostingReason::BatchSent, at).with_batch(batch.id);
    move_orders_in_tx(connection, &moves, &[], occasion).await
}

/// What a message says of orders, of banks or providers or of the workers who hand orders over.
///
/// # Errors
/// When fewer are in the state before.
pub async fn reported_in_tx(
    connection: &mut PgConnection,
    reported: &[StateMove],
    message: MessageId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let occasion = Occasion::new(PostingReason::Feedback, at).with_message(Some(message));
    move_orders_in_tx(connection, &moves(reported), &[], occasion).await
}

/// A run is cancelled: its planned orders are, and what was reserved for it goes back to the envelope. What was held stays
/// held by its reason.
///
/// # Errors
/// When fewer are planned.
pub async fn run_cancelled_in_tx(
    connection: &mut PgConnection,
    run: &Run,
    planned: &[OrderSum],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let reserved = if run.state == RunState::Funded { run.ordered } else { Centimes::ZERO };
    let back = Reservation::of(run).give_back(reserved);
    let moves = between(planned, OrderState::Planned, OrderState::Cancelled);
    move_orders_in_tx(connection, &moves, &[back], Occasion::new(PostingReason::RunCancelled, at)).await
}

fn between(orders: &[OrderSum], from: OrderState, to: OrderState) -> Vec<Move> {
    orders.iter().map(|sum| Move { sum: *sum, from: Some(from), to }).collect()
}

fn moves(changed: &[StateMove]) -> Vec<Move> {
    changed.iter().map(|m| Move { sum: m.sum, from: Some(m.from), to: m.to }).collect()
}
