//! The steps of one order, and where they and what it stands in leave it.
//!
//! An order's state is said here once: [`stands`] works it out from its run, its open hold, its batch and its own steps. What the
//! database works out in sets is written from the same functions (`store::order_state`).

use super::batch::{BatchState, Lane};
use super::order::OrderState;
use super::run::RunState;

/// A step in a single order's life; each happens at most once. The further step decides, whichever came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Step {
    /// Intended to be handed over (stream lane).
    Sent = 1,
    /// No readable answer came.
    Unknown = 2,
    /// Accepted.
    Accepted = 3,
    /// At hand at a payment point.
    Available = 4,
    /// Settled, by a status or notification.
    Settled = 5,
    /// Settled, by an account statement or settlement file.
    SettledBooked = 6,
    /// Collected, by a callback.
    Collected = 7,
    /// Collected, by a settlement file.
    CollectedBooked = 8,
    /// Rejected.
    Rejected = 9,
    /// Expired or cancelled.
    Expired = 10,
    /// Returned, by a notification.
    Returned = 11,
    /// Returned, by an account statement.
    ReturnedBooked = 12,
    /// Ordered again, in a reissue run. The one step that is taken back: when that run is cancelled.
    Reissued = 13,
}

impl Step {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Sent,
        Self::Unknown,
        Self::Accepted,
        Self::Available,
        Self::Settled,
        Self::SettledBooked,
        Self::Collected,
        Self::CollectedBooked,
        Self::Rejected,
        Self::Expired,
        Self::Returned,
        Self::ReturnedBooked,
        Self::Reissued,
    ];

    /// The database form, which is also its rank.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Reads the database form.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }

    /// The state that it takes an order to.
    pub const fn state(self) -> OrderState {
        match self {
            Self::Sent => OrderState::Sent,
            Self::Unknown => OrderState::Unknown,
            Self::Accepted => OrderState::Accepted,
            Self::Available => OrderState::Available,
            Self::Settled | Self::SettledBooked => OrderState::Settled,
            Self::Collected | Self::CollectedBooked => OrderState::Collected,
            Self::Rejected => OrderState::Rejected,
            Self::Expired => OrderState::Expired,
            Self::Returned | Self::ReturnedBooked => OrderState::Returned,
            Self::Reissued => OrderState::Reissued,
        }
    }
}

/// Steps as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps(i32);

impl Steps {
    /// Whether a step was taken.
    pub const fn has(self, step: Step) -> bool {
        self.0 & (1 << step as i16) != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, step: Step) -> Self {
        Self(self.0 | 1 << step as i16)
    }

    /// Without the step that is the engine's own: what the provider said.
    #[must_use]
    pub const fn said(self) -> Self {
        Self(self.0 & !(1 << Step::Reissued as i16))
    }

    /// True before the first.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The state that an order's own steps come to: that of the furthest.
    pub fn state(self) -> Option<OrderState> {
        Step::ALL.into_iter().rev().find(|step| self.has(*step)).map(Step::state)
    }

    /// With the step of a database number; one that is not listed changes nothing.
    #[must_use]
    pub fn with_number(self, number: i64) -> Self {
        i16::try_from(number).ok().and_then(Step::from_number).map_or(self, |step| self.with(step))
    }
}

/// The state that a batch gives its orders. In the stream lane that is no more than that they may leave: each has steps of its own
/// from the moment it is handed over.
pub const fn of_batch(lane: Lane, state: BatchState) -> OrderState {
    match (lane, state) {
        (_, BatchState::Planned | BatchState::Empty) => OrderState::Planned,
        (_, BatchState::Released | BatchState::Dispatching) | (Lane::Stream, _) => OrderState::Released,
        (Lane::File, BatchState::Sent) => OrderState::Sent,
        (Lane::File, BatchState::Accepted) => OrderState::Accepted,
        (Lane::File, BatchState::Settled) => OrderState::Settled,
        (Lane::File, BatchState::Rejected) => OrderState::Rejected,
    }
}

/// Where an order stands that is in this batch (`None`: in none) and took these steps: the further of both.
pub fn reached(batch: Option<(Lane, BatchState)>, steps: Steps) -> OrderState {
    let of_batch = batch.map_or(OrderState::Planned, |(lane, state)| of_batch(lane, state));
    steps.state().map_or(of_batch, |own| own.max(of_batch))
}

/// Where an order stands: held as long as a hold of it is open, cancelled with its run, else as far as it has come.
pub fn stands(run: RunState, held: bool, batch: Option<(Lane, BatchState)>, steps: Steps) -> OrderState {
    if held {
        OrderState::Held
    } else if run == RunState::Cancelled {
        OrderState::Cancelled
    } else {
        reached(batch, steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_no_further_step_leads_back() {
        for step in Step::ALL {
            assert_eq!(Step::from_number(step.number()), Some(step));
        }
        assert_eq!((Step::from_number(0), Step::from_number(14)), (None, None));
        for pair in Step::ALL.windows(2) {
            assert_eq!(pair[0].number() + 1, pair[1].number());
            assert!(pair[0].state() <= pair[1].state(), "{pair:?}");
        }
        assert_eq!(Steps::default().with_number(9), Steps::default().with(Step::Rejected));
        assert_eq!(Steps::default().with_number(99).with_number(1 << 40), Steps::default());
    }

    #[test]
    fn batches_give_their_orders_a_state_by_lane() {
        use BatchState as B;
        use OrderState as S;
        // State of the batch; what it gives in the file lane, and in the stream lane.
        let rows = [
            (B::Planned, S::Planned, S::Planned),
            (B::Released, S::Released, S::Released),
            (B::Dispatching, S::Released, S::Released),
            (B::Sent, S::Sent, S::Released),
            (B::Accepted, S::Accepted, S::Released),
            (B::Settled, S::Settled, S::Released),
            (B::Rejected, S::Rejected, S::Released),
            (B::Empty, S::Planned, S::Planned),
        ];
        assert_eq!(rows.map(|(state, ..)| state), *B::ALL);
        for (state, file, stream) in rows {
            assert_eq!(
                (of_batch(Lane::File, state), of_batch(Lane::Stream, state)),
                (file, stream),
                "{state}"
            );
        }
    }

    #[test]
    fn an_order_stands_at_the_further_of_batch_and_steps() {
        let steps = |taken: &[Step]| taken.iter().fold(Steps::default(), |steps, step| steps.with(*step));
        let sent = Some((Lane::File, BatchState::Sent));
        let rejected = Some((Lane::File, BatchState::Rejected));
        for (batch, taken, expected) in [
            (None, &[][..], OrderState::Planned),
            (sent, &[], OrderState::Sent),
            (sent, &[Step::Accepted], OrderState::Accepted),
            (rejected, &[Step::Accepted], OrderState::Rejected),
            (rejected, &[Step::Returned, Step::Accepted], OrderState::Returned),
            (rejected, &[Step::Rejected, Step::Reissued], OrderState::Reissued),
        ] {
            let steps = steps(taken);
            assert_eq!(reached(batch, steps), expected, "{batch:?} {taken:?}");
            assert_eq!(stands(RunState::Settling, false, batch, steps), expected);
            assert_eq!(stands(RunState::Cancelled, false, batch, steps), OrderState::Cancelled);
            assert_eq!(stands(RunState::Cancelled, true, batch, steps), OrderState::Held);
        }
    }
}
