//! What one reported line does to the order that it names, whatever message it stands in: a status report, a notification, a
//! payment return, a statement, a settlement file, or a provider's answer.
//!
//! Input: the line, where its order stands, and the batch that the order left in. Output: a [`Verdict`]. Guarantee: every line has
//! one; what cannot be true beside what is known takes no step. Limit: pure; which order a line names is found out before
//! ([`super::references`]), and what a whole file comes to is judged by [`super::stated::FileWords`].

use super::batch::{BatchState, Lane};
use super::ids::OrderId;
use super::money::Centimes;
use super::order::{Effect, OrderEvent, OrderState};
use super::policy::Policy;
use super::reason::BreakKind;
use super::references::Named;
use super::stated::Why;
use super::statement::booking::{Meaning, OrderBookings};
use super::step::{Step, Steps, reached};

/// What a line reports of one order.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What happened; `None` where the line's status moves nothing.
    pub event: Option<OrderEvent>,
    /// Its status is not known here.
    pub unknown_status: bool,
    /// It stands in a status report, which says how things stood at one moment.
    pub in_status_report: bool,
    /// Its message says of the order both that it is rejected and that it is not.
    pub at_odds: bool,
    /// The refusal of the whole file as a second delivery stands above it: it says no more than that.
    pub second_above: bool,
    /// An account statement or settlement file booked it.
    pub booked: bool,
    /// Its amount, where stated.
    pub amount: Option<Centimes>,
    /// It stands for money that moved on the debtor account.
    pub moves_money: bool,
    /// It takes an earlier booking for the order back.
    pub undoes: Option<Meaning>,
    /// Why.
    pub why: &'a Why,
}

/// What is known of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownOrder {
    /// Its amount.
    pub amount: Centimes,
    /// Its steps so far.
    pub steps: Steps,
    /// The order that pays its claim again.
    pub reissued_as: Option<OrderId>,
}

/// What is known of the batch that an order left in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBatch {
    /// How its orders leave.
    pub lane: Lane,
    /// Where it stands.
    pub state: BatchState,
    /// What may still be debited for it.
    pub left: Centimes,
}

/// What a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the line.
    pub outcome: Outcome,
    /// The order that pays the claim again, and must be held: the earlier one may be paid.
    pub hold: Option<OrderId>,
    /// A status report says of the order that it is not rejected: its file is not rejected as a whole.
    pub order_lives: bool,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It says nothing that moves an order.
    Noted,
    /// Known already, or overtaken by what is known.
    Already,
    /// A person must look into it; its money, if it moves any, stands in suspense.
    Break(Conflict),
    /// The order takes a step.
    Takes(Taken),
}

/// A step that an order takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The step.
    pub step: Step,
    /// Its state before and after, where the step moves it.
    pub moved: Option<(OrderState, OrderState)>,
    /// It only tells the order's own reason, after its whole file was rejected.
    pub explains_rejection: bool,
    /// The line's money is booked for the order.
    pub books: bool,
    /// It is part of the settlement file's share for the order's batch.
    pub settles: bool,
    /// The state it ended in with a reason that throws doubt on the payee.
    pub doubt: Option<OrderState>,
}

/// Why a line takes no step and a person must look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It names no order of ours.
    UnknownReference,
    /// Its names disagree, or are mistyped.
    NamesDisagree,
    /// The order's batch has not left.
    NotLeft,
    /// The order has not been handed over (stream lane).
    NotHandedOver,
    /// The order's amount is another one.
    AmountDiffers {
        /// That of the order.
        order: Centimes,
    },
    /// Its status is not known here.
    UnknownStatus,
    /// One message says two things of the order.
    AtOdds,
    /// Refused as a second delivery.
    SecondDelivery,
    /// An earlier booking is taken back.
    TakenBack {
        /// Which.
        undone: Meaning,
        /// Where the order stands.
        state: OrderState,
    },
    /// It was booked before, by the order's own name or by that of its file.
    BookedBefore {
        /// What is booked.
        event: OrderEvent,
        /// Where the order stands.
        state: OrderState,
    },
    /// The same step was booked before.
    BookedAgain {
        /// What is booked.
        event: OrderEvent,
        /// Where the order stands.
        state: OrderState,
    },
    /// A settlement file before this one lists it.
    ListedBefore,
    /// It cannot be true beside where the order stands.
    CannotFollow {
        /// What is reported.
        event: OrderEvent,
        /// Where the order stands.
        state: OrderState,
    },
    /// It may mean that a claim is paid which another order pays again.
    Reissued {
        /// What is reported.
        event: OrderEvent,
        /// The order that pays the claim again.
        next: OrderId,
    },
}

impl Conflict {
    /// The queue of its break.
    pub const fn kind(self) -> BreakKind {
        match self {
            Self::UnknownReference | Self::NamesDisagree => BreakKind::UnknownReference,
            Self::NotLeft | Self::NotHandedOver => BreakKind::NeverSent,
            Self::AmountDiffers { .. } => BreakKind::AmountDiffers,
            Self::UnknownStatus => BreakKind::UnknownStatus,
            Self::BookedBefore { .. } | Self::BookedAgain { .. } | Self::ListedBefore => {
                BreakKind::BookedTwice
            }
            Self::AtOdds
            | Self::SecondDelivery
            | Self::TakenBack { .. }
            | Self::CannotFollow { .. }
            | Self::Reissued { .. } => BreakKind::StatusConflict,
        }
    }
}

impl Verdict {
    const fn of(outcome: Outcome) -> Self {
        Self { outcome, hold: None, order_lives: false }
    }
}

impl From<Conflict> for Verdict {
    fn from(conflict: Conflict) -> Self {
        Self::of(Outcome::Break(conflict))
    }
}

impl KnownOrder {
    /// Where it stands that left in this batch: it is neither held nor cancelled.
    pub fn state(&self, batch: &KnownBatch) -> OrderState {
        reached(Some((batch.lane, batch.state)), self.steps)
    }
}

/// Judges a line. `batch`: the one that the order left in; none where it has not left.
pub fn judge(
    report: &Report<'_>,
    order: Named<KnownOrder>,
    batch: Option<KnownBatch>,
    policy: &Policy,
) -> Verdict {
    let order = match order {
        Named::One(order) => order,
        Named::Disagree => return Conflict::NamesDisagree.into(),
        Named::Nothing => return Conflict::UnknownReference.into(),
    };
    let Some(batch) = batch else { return Conflict::NotLeft.into() };
    if report.amount.is_some_and(|amount| amount != order.amount) {
        return Conflict::AmountDiffers { order: order.amount }.into();
    }
    let Some(event) = report.event else {
        let unknown = report.unknown_status;
        return if unknown { Conflict::UnknownStatus.into() } else { Verdict::of(Outcome::Noted) };
    };
    if report.at_odds {
        return Conflict::AtOdds.into();
    }
    if batch.lane == Lane::Stream && order.steps.is_empty() {
        return Conflict::NotHandedOver.into();
    }
    let rejects = event == OrderEvent::Reject;
    if rejects && report.second_above {
        // The break over the whole file says it of all its orders.
        return Verdict::of(Outcome::Noted);
    }
    if rejects && report.why.second {
        return Conflict::SecondDelivery.into();
    }
    let (outcome, hold) = match report.undoes {
        Some(undone) => taken_back(undone, &order, &batch),
        None => happened(report, event, &order, &batch, policy),
    };
    Verdict { outcome, hold, order_lives: report.in_status_report && !rejects }
}

/// An earlier booking is taken back: a person decides. A return that is undone may mean that the order is paid after all.
fn taken_back(undone: Meaning, order: &KnownOrder, batch: &KnownBatch) -> (Outcome, Option<OrderId>) {
    let hold = order.reissued_as.filter(|_| undone == Meaning::ReturnUndone);
    (Outcome::Break(Conflict::TakenBack { undone, state: order.state(batch) }), hold)
}

/// What an event that happened does to an order that has left.
fn happened(
    report: &Report<'_>,
    event: OrderEvent,
    order: &KnownOrder,
    batch: &KnownBatch,
    policy: &Policy,
) -> (Outcome, Option<OrderId>) {
    let state = order.state(batch);
    let stream = batch.lane == Lane::Stream;
    if stream && overtaken(event, state) {
        return (Outcome::Already, None);
    }
    let step = step_of(event, report.booked);
    let effect = effect_on(order, batch, event, step);
    if effect != Effect::Conflict && report.moves_money && booked_before(order, batch, event) {
        return (Outcome::Break(Conflict::BookedBefore { event, state }), None);
    }
    let new = !order.steps.has(step);
    let explains_rejection =
        effect == Effect::Already && new && event == OrderEvent::Reject && state == OrderState::Rejected;
    // An account statement or settlement file may confirm what a status or notification said before.
    let confirms = effect == Effect::Already && new && report.booked && (report.moves_money || stream);
    let moved = match effect {
        Effect::Conflict => return conflict(event, state, order),
        Effect::Already if !explains_rejection && !confirms => {
            return (known_before(report, event, state, !new, stream), None);
        }
        Effect::Already => None,
        Effect::Moves(to) => Some((state, to)),
    };
    let taken = Taken {
        step,
        moved,
        explains_rejection,
        books: report.moves_money && !explains_rejection,
        settles: stream && report.booked && !explains_rejection,
        doubt: doubt(event, report.why, policy),
    };
    (Outcome::Takes(taken), None)
}

fn conflict(event: OrderEvent, state: OrderState, order: &KnownOrder) -> (Outcome, Option<OrderId>) {
    match order.reissued_as {
        Some(next) => {
            let hold = (event != OrderEvent::Return).then_some(next);
            (Outcome::Break(Conflict::Reissued { event, next }), hold)
        }
        None => (Outcome::Break(Conflict::CannotFollow { event, state }), None),
    }
}

/// What was known before is known already, unless it was booked before too.
const fn known_before(
    report: &Report<'_>,
    event: OrderEvent,
    state: OrderState,
    taken: bool,
    stream: bool,
) -> Outcome {
    match (report.moves_money, report.booked) {
        (true, _) if taken => Outcome::Break(Conflict::BookedAgain { event, state }),
        (false, true) if stream => Outcome::Break(Conflict::ListedBefore),
        _ => Outcome::Already,
    }
}

/// Callbacks come in any order: what is reported of an order on its way is overtaken by how it ended.
const fn overtaken(event: OrderEvent, state: OrderState) -> bool {
    match event {
        OrderEvent::Accept => state.is_final(),
        OrderEvent::MadeAvailable => state.is_final() && !matches!(state, OrderState::Reissued),
        _ => false,
    }
}

/// Whether the account moved for an order before, by its own name or by that of its file.
fn booked_before(order: &KnownOrder, batch: &KnownBatch, event: OrderEvent) -> bool {
    let has = |step| order.steps.has(step);
    let known = OrderBookings {
        amount: order.amount,
        debited: has(Step::SettledBooked) || has(Step::CollectedBooked),
        returned: has(Step::ReturnedBooked),
        left_of_file: (batch.lane == Lane::File).then_some(batch.left),
    };
    match event {
        OrderEvent::Settle => known.booked_before(Meaning::Debit),
        OrderEvent::Return => known.booked_before(Meaning::Return),
        _ => false,
    }
}

/// What an event does to an order. A return of a reissued one is judged by where it stood before, since the books may
/// follow the advice; and what its provider reported before, it may report again.
fn effect_on(order: &KnownOrder, batch: &KnownBatch, event: OrderEvent, step: Step) -> Effect {
    let state = order.state(batch);
    if state != OrderState::Reissued {
        return state.after(event);
    }
    let before = KnownOrder { steps: order.steps.said(), ..*order }.state(batch);
    match state.after(event) {
        Effect::Conflict if order.steps.has(step) => Effect::Already,
        _ if event == OrderEvent::Return && before.after(event) == Effect::Conflict => Effect::Conflict,
        effect => effect,
    }
}

/// The state that an order ended in, where the policy says that a person must look into the payee before anything is paid again.
fn doubt(event: OrderEvent, why: &Why, policy: &Policy) -> Option<OrderState> {
    let state = match event {
        OrderEvent::Reject => OrderState::Rejected,
        OrderEvent::Return => OrderState::Returned,
        OrderEvent::Expire => OrderState::Expired,
        _ => return None,
    };
    (why.case || policy.throws_doubt(state, why.code.as_deref())).then_some(state)
}

/// The step that an event takes an order to. `booked`: an account statement or settlement file says it.
pub const fn step_of(event: OrderEvent, booked: bool) -> Step {
    match (event, booked) {
        (OrderEvent::Send, _) => Step::Sent,
        (OrderEvent::OutcomeUnknown, _) => Step::Unknown,
        (OrderEvent::Accept, _) => Step::Accepted,
        (OrderEvent::MadeAvailable, _) => Step::Available,
        (OrderEvent::Collect, false) => Step::Collected,
        (OrderEvent::Collect, true) => Step::CollectedBooked,
        (OrderEvent::Expire, _) => Step::Expired,
        (OrderEvent::Settle, false) => Step::Settled,
        (OrderEvent::Settle, true) => Step::SettledBooked,
        (OrderEvent::Reject, _) => Step::Rejected,
        (OrderEvent::Return, false) => Step::Returned,
        (OrderEvent::Return, true) => Step::ReturnedBooked,
    }
}

/// What a booking does that names an order without saying how much of it is the order's: it moves nothing. Where the order ended
/// unpaid and the booking may mean that it is paid, a person decides before its claim is paid again: `true`.
pub const fn share_in_question(meaning: Meaning, state: OrderState) -> bool {
    let went_out = matches!(meaning, Meaning::Debit | Meaning::ReturnUndone);
    let ended_unpaid = matches!(
        state,
        OrderState::Returned | OrderState::Rejected | OrderState::Expired | OrderState::Reissued
    );
    went_out && ended_unpaid
}

#[cfg(test)]
#[path = "judging_tests.rs"]
mod tests;
