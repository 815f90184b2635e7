//! A batch's kept figures as its orders take steps.

use crate::domain::judging::KnownBatch;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::statement::booking::FileBookings;
use crate::domain::step::Step;
use crate::store::batches::{Batch, BatchFigures};
use crate::store::messages::feedback::OrderFacts;

/// What is known of the bookings for a file.
pub(super) fn file_bookings(batch: &Batch) -> FileBookings {
    FileBookings {
        state: batch.state,
        amount: batch.amount,
        rejected: Centimes::new(batch.figures.rejected_amount),
        debited: Centimes::new(batch.figures.debited_amount),
    }
}

/// What a line about one of its orders is judged by.
pub(super) fn known_batch(batch: &Batch) -> KnownBatch {
    KnownBatch { lane: batch.lane, state: batch.state, left: file_bookings(batch).left() }
}

/// An order of a wholly rejected file gets an outcome of its own; it is among the file's rejected ones already.
pub(super) fn explain_rejection(figures: &mut BatchFigures, before: Option<OrderState>, amount: Centimes) {
    let amount = amount.get();
    match before {
        None => {
            figures.outcomes += 1;
            figures.outcomes_amount += amount;
        }
        Some(OrderState::Accepted) => {
            figures.accepted -= 1;
            figures.accepted_amount -= amount;
        }
        _ => {}
    }
}

/// Keeps the batch's figures as an order goes from its own state `before` to that of its steps.
pub(super) fn enter(figures: &mut BatchFigures, before: Option<OrderState>, facts: &OrderFacts) {
    let amount = facts.amount.get();
    let now = facts.steps.said().state();
    if before.is_none() && !facts.steps.has(Step::Reissued) {
        figures.outcomes += 1;
        figures.outcomes_amount += amount;
    }
    if before == now {
        return;
    }
    for (state, sign) in [(before, -1), (now, 1)] {
        let Some((orders, sum)) = state.and_then(|state| figure_of(figures, state)) else { continue };
        *orders += sign;
        *sum += sign * amount;
    }
}

/// The figure that orders of a state are counted in: how many, and their sum.
const fn figure_of(figures: &mut BatchFigures, state: OrderState) -> Option<(&mut i64, &mut i64)> {
    match state {
        OrderState::Accepted => Some((&mut figures.accepted, &mut figures.accepted_amount)),
        OrderState::Rejected => Some((&mut figures.rejected, &mut figures.rejected_amount)),
        OrderState::Returned => Some((&mut figures.returned, &mut figures.returned_amount)),
        OrderState::Settled | OrderState::Collected => Some((&mut figures.paid, &mut figures.paid_amount)),
        OrderState::Expired => Some((&mut figures.expired, &mut figures.expired_amount)),
        _ => None,
    }
}

/// What was added to figures.
pub(super) fn difference(now: BatchFigures, before: BatchFigures) -> BatchFigures {
    BatchFigures {
        outcomes: now.outcomes - before.outcomes,
        outcomes_amount: now.outcomes_amount - before.outcomes_amount,
        accepted: now.accepted - before.accepted,
        accepted_amount: now.accepted_amount - before.accepted_amount,
        rejected: now.rejected - before.rejected,
        rejected_amount: now.rejected_amount - before.rejected_amount,
        returned: now.returned - before.returned,
        returned_amount: now.returned_amount - before.returned_amount,
        debited_amount: now.debited_amount - before.debited_amount,
        credited_amount: now.credited_amount - before.credited_amount,
        paid: now.paid - before.paid,
        paid_amount: now.paid_amount - before.paid_amount,
        expired: now.expired - before.expired,
        expired_amount: now.expired_amount - before.expired_amount,
    }
}
