//! Recalls: asking for a payment back that has left.
//!
//! A recall is a question. What the provider answers moves the recall and never the order: the order's state and the money
//! follow what statuses, returns and statements say of them, whatever was promised.

use super::order::OrderState;
use crate::domain::listed::listed;

listed! {
    /// Why a payment is asked back (ISO external code set `ExternalCancellationReason1Code`).
    CancellationReason {
        /// The creditor's account is not right.
        Ac03 = "AC03",
        /// An agent of the chain is not right.
        Agnt = "AGNT",
        /// The amount is not right.
        Am09 = "AM09",
        /// The currency is not right.
        Curr = "CURR",
        /// The debtor asks for it.
        Cust = "CUST",
        /// The payment cannot be executed as it was asked for.
        Cuta = "CUTA",
        /// Paid twice.
        Dupl = "DUPL",
        /// Fraud.
        Frad = "FRAD",
        /// A technical problem made it wrong.
        Tech = "TECH",
        /// Not due.
        Upay = "UPAY",
    }
}

listed! {
    /// Where a recall stands.
    RecallState {
        /// Decided; it may or may not have left.
        Requested = "requested",
        /// With the provider.
        Sent = "sent",
        /// The provider works on it.
        Pending = "pending",
        /// The provider will send the money back, or has not paid.
        Accepted = "accepted",
        /// The provider will not.
        Refused = "refused",
        /// Not answered in time.
        Lapsed = "lapsed",
    }
}

/// What happens to a recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallEvent {
    /// It reached the provider.
    Send,
    /// camt.029 `PDCR`, or a provider that has not cancelled yet.
    Pend,
    /// camt.029 `ACCR`, `CNCL`, or a provider that has cancelled.
    Accept,
    /// camt.029 `RJCR`, or a provider that has paid.
    Refuse,
    /// Its time is over, and it is asked again.
    Lapse,
}

impl RecallEvent {
    /// The word for it in a sentence: "answered as refused".
    pub const fn word(self) -> &'static str {
        match self {
            Self::Send => "sent",
            Self::Pend => "pending",
            Self::Accept => "accepted",
            Self::Refuse => "refused",
            Self::Lapse => "lapsed",
        }
    }
}

/// What an event does to a recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallEffect {
    /// The recall moves to a new state.
    Moves(RecallState),
    /// Known already, or overtaken by what is known.
    Already,
    /// Cannot be true beside what is known: a break.
    Conflict,
}

impl RecallState {
    /// What an event does to a recall in this state. A late answer still counts.
    pub const fn after(self, event: RecallEvent) -> RecallEffect {
        use RecallEffect::{Already, Conflict, Moves};
        use RecallEvent as E;
        match (self, event) {
            (Self::Requested, E::Send) => Moves(Self::Sent),
            (Self::Requested | Self::Sent, E::Pend) => Moves(Self::Pending),
            (Self::Requested | Self::Sent | Self::Pending, E::Lapse) => Moves(Self::Lapsed),
            (_, E::Send | E::Pend | E::Lapse) => Already,
            (Self::Accepted, E::Accept) | (Self::Refused, E::Refuse) => Already,
            (Self::Accepted, E::Refuse) | (Self::Refused, E::Accept) => Conflict,
            (_, E::Accept) => Moves(Self::Accepted),
            (_, E::Refuse) => Moves(Self::Refused),
        }
    }

    /// True before there is an answer that decides it.
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::Requested | Self::Sent | Self::Pending)
    }

    /// True while something is still to come of it: an answer, or the money that was promised.
    pub const fn is_open(self, order: OrderState) -> bool {
        let ended = matches!(
            order,
            OrderState::Collected | OrderState::Rejected | OrderState::Expired | OrderState::Returned
        );
        (self.is_undecided() || matches!(self, Self::Accepted)) && !ended
    }

    /// The state as people see it: what is undecided after its time is lapsed.
    #[must_use]
    pub const fn seen(self, overdue: bool) -> Self {
        if overdue && self.is_undecided() { Self::Lapsed } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_is_as_written() {
        use RecallState as S;
        let events = [
            RecallEvent::Send,
            RecallEvent::Pend,
            RecallEvent::Accept,
            RecallEvent::Refuse,
            RecallEvent::Lapse,
        ];
        let rows = [
            // send pend accept refuse lapse; `=` already, `!` conflict
            (S::Requested, "sent pending accepted refused lapsed"),
            (S::Sent, "= pending accepted refused lapsed"),
            (S::Pending, "= = accepted refused lapsed"),
            (S::Accepted, "= = = ! ="),
            (S::Refused, "= = ! = ="),
            (S::Lapsed, "= = accepted refused ="),
        ];
        assert_eq!(rows.map(|(state, _)| state), *S::ALL);
        for (state, row) in rows {
            let row: Vec<&str> = row.split(' ').collect();
            assert_eq!(row.len(), events.len());
            for (event, expected) in events.into_iter().zip(row) {
                let seen = match state.after(event) {
                    RecallEffect::Moves(to) => to.as_str(),
                    RecallEffect::Already => "=",
                    RecallEffect::Conflict => "!",
                };
                assert_eq!(seen, expected, "{state} after {event:?}");
            }
        }
    }

    #[test]
    fn a_recall_is_open_until_it_is_refused_or_the_order_has_ended() {
        for (state, order, open) in [
            (RecallState::Requested, OrderState::Sent, true),
            (RecallState::Pending, OrderState::Settled, true),
            (RecallState::Accepted, OrderState::Settled, true),
            (RecallState::Accepted, OrderState::Returned, false),
            (RecallState::Sent, OrderState::Rejected, false),
            (RecallState::Refused, OrderState::Sent, false),
            (RecallState::Lapsed, OrderState::Sent, false),
        ] {
            assert_eq!(state.is_open(order), open, "{state} {order}");
        }
        assert_eq!(RecallState::Sent.seen(true), RecallState::Lapsed);
        assert_eq!(RecallState::Accepted.seen(true), RecallState::Accepted);
        assert_eq!(RecallState::Sent.seen(false), RecallState::Sent);
    }
}
