//! What one answer of a provider may say of one order, and when it contradicts itself.
//!
//! Input: two things that one answer says of one key. Output: whether both can be true. Guarantee: a contradiction is seen
//! whatever the order of the two; what can be true together is never called one. Limit: what two answers say of an order, one
//! after the other, is [`OrderState::after`](super::order::OrderState::after)'s to judge.

use super::money::Centimes;
use super::order::OrderEvent;

/// What an answer is by its nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It says where each order stands now: one thing of each.
    State,
    /// It tells what happened, and may go through several steps of an order's life.
    History,
}

/// One thing that is said of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// What happened; `None` where the order is said not to be known.
    pub event: Option<OrderEvent>,
    /// The reason that is given.
    pub reason: Option<&'a str>,
    /// The amount that is stated.
    pub amount: Option<Centimes>,
}

impl Telling {
    /// Whether one answer that says both of one order contradicts itself.
    pub fn contradicts(self, one: Said<'_>, other: Said<'_>) -> bool {
        let amounts = one.amount.zip(other.amount).is_some_and(|(a, b)| a != b);
        let same = one.event == other.event;
        let reasons = same && one.reason != other.reason;
        let events = match self {
            Self::State => !same,
            // On its way to its end an order may be told of at each step; it has one end.
            Self::History => !same && (is_end(one.event) && is_end(other.event)),
        };
        amounts || events || reasons
    }
}

/// Whether an order has come to an end, as far as its provider is asked; one that is not known has no life to tell of.
const fn is_end(event: Option<OrderEvent>) -> bool {
    !matches!(
        event,
        Some(OrderEvent::Send | OrderEvent::OutcomeUnknown | OrderEvent::Accept | OrderEvent::MadeAvailable)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use OrderEvent::{Accept, Collect, Expire, MadeAvailable, Reject, Settle};

    fn said(event: OrderEvent) -> Said<'static> {
        Said { event: Some(event), reason: None, amount: None }
    }

    #[test]
    fn one_answer_says_one_thing_of_an_order() {
        // One, other, contradiction where states are told, where a history is.
        for (one, other, state, history) in [
            (Accept, Accept, false, false),
            (Accept, MadeAvailable, true, false),
            (Accept, Reject, true, false),
            (MadeAvailable, Collect, true, false),
            (MadeAvailable, Expire, true, false),
            (Collect, Expire, true, true),
            (Collect, Reject, true, true),
            (Settle, Reject, true, true),
            (Settle, Collect, true, true),
            (Reject, Expire, true, true),
            (Collect, Collect, false, false),
        ] {
            for (a, b) in [(one, other), (other, one)] {
                assert_eq!(Telling::State.contradicts(said(a), said(b)), state, "{a:?} {b:?}");
                assert_eq!(Telling::History.contradicts(said(a), said(b)), history, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn amounts_reasons_and_orders_that_are_not_known_count() {
        let amount = |mad| Said { amount: Some(Centimes::from_mad(mad)), ..said(Accept) };
        let reason = |reason| Said { reason: Some(reason), ..said(Reject) };
        let unknown = Said { event: None, reason: None, amount: None };
        for telling in [Telling::State, Telling::History] {
            for (one, other, expected) in [
                (amount(500), amount(500), false),
                (amount(500), amount(400), true),
                (amount(500), said(Accept), false),
                // Refused as a second delivery says nothing of the first.
                (reason("AC04"), reason("DUPL"), true),
                (reason("AC04"), reason("AC04"), false),
                (unknown, said(Collect), true),
                (unknown, unknown, false),
            ] {
                assert_eq!(telling.contradicts(one, other), expected, "{telling:?} {one:?} {other:?}");
                assert_eq!(telling.contradicts(other, one), expected, "{telling:?} {other:?} {one:?}");
            }
        }
        assert!(Telling::State.contradicts(unknown, said(Accept)));
    }
}
