//! A household's statement of account: what it was due, what it got, what it owes.
//!
//! Input: a household. Output: a line for each order that stands, the months that later lists put right, the cases, and totals.
//! Guarantee: each line holds `due = kept back + paid − came back + still to come` (less what came back of a payment that
//! was not due), and the account holds `due − undue − paid + came back + repaid + given up = still to come − owed`:
//! [`Account::holds`] says so from figures that come from orders on one side and from cases on the other.
//! Limit: read as it stands, in several statements; nothing personal but the household's id.

use std::collections::HashMap;

use super::cases::{self, Standing};
use crate::domain::ids::{HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::recovery::{CaseCause, CaseState};
use crate::domain::run::RunState;
use crate::pipeline::Context;
use crate::store::messages::feedback;
use crate::store::orders::{self, OrderDetail};
use crate::store::recovery::decisions::{self, PutRight};
use crate::store::{StoreError, runs};

/// One payment, or what is undue of a payment that was made elsewhere.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Line {
    /// The month that it is for.
    pub period: Period,
    /// Programme.
    pub programme: String,
    /// Purpose; empty for a payment that was made elsewhere.
    pub purpose: String,
    /// Order.
    pub order: Option<i64>,
    /// State of the order.
    pub state: Option<OrderState>,
    /// Figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Figures of a line, and of all lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Found due when it was ordered.
    pub due: Centimes,
    /// Kept back from it against earlier undue payments.
    pub kept_back: Centimes,
    /// Paid.
    pub paid: Centimes,
    /// Of that, came back from the bank.
    pub came_back: Centimes,
    /// Under way, or waiting to be paid (again).
    pub to_come: Centimes,
    /// Found not to be due after all.
    pub undue: Centimes,
}

/// A household's account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Account {
    /// Whose.
    pub household: String,
    /// Payments, oldest month first.
    pub lines: Vec<Line>,
    /// Months that later lists put right.
    pub put_right: Vec<PutRight>,
    /// Cases, oldest first.
    pub cases: Vec<Standing>,
    /// Sums of the lines.
    pub totals: Figures,
    /// Repaid by transfer.
    pub repaid: Centimes,
    /// Given up by the programme.
    pub given_up: Centimes,
    /// Granted to the household out of what was kept back or repaid, and not ordered yet.
    pub to_refund: Centimes,
    /// What the household owes, or will once its payment has reached it.
    pub owed: Centimes,
    /// What is still to come, less what is owed.
    pub balance: Centimes,
    /// Whether the figures of orders and of cases agree.
    pub holds: bool,
}

/// The account of a household; `None` when it has neither orders nor cases.
pub async fn of(context: &Context, household: HouseholdId) -> Result<Option<Account>, StoreError> {
    let cases = cases::list(context, None, Some(household.as_str()), false).await?;
    let found = standing_orders(context, household).await?;
    if cases.is_empty() && found.is_empty() {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for (detail, state) in found {
        let own: Vec<&Standing> =
            cases.iter().filter(|c| c.case.order.is_some_and(|o| o.get() == detail.order_id)).collect();
        let was_returned = match state {
            OrderState::Reissued => was_returned(context, &detail).await?,
            _ => false,
        };
        let figures = figures(&detail, state, was_returned, &own);
        lines.push(Line {
            period: detail.period,
            programme: detail.programme,
            purpose: detail.purpose,
            order: Some(detail.order_id),
            state: Some(state),
            figures,
        });
    }
    lines.extend(cases.iter().filter(|c| c.case.order.is_none()).map(elsewhere));
    lines.sort_by_key(|l| (l.period, l.order));
    let put_right = decisions::put_right(&context.store, household).await?;
    Ok(Some(sum_up(household, lines, put_right, cases)))
}

/// Orders of runs that were not cancelled.
async fn standing_orders(
    context: &Context,
    household: HouseholdId,
) -> Result<Vec<(OrderDetail, OrderState)>, StoreError> {
    let states: HashMap<i64, RunState> =
        runs::list(&context.store).await?.into_iter().map(|run| (run.id.get(), run.state)).collect();
    let found = orders::find(&context.store, Some(household.as_str()), None).await?;
    found
        .into_iter()
        .filter(|o| states.get(&o.run).is_some_and(|state| *state != RunState::Cancelled))
        .map(|order| {
            let state = OrderState::parse(&order.state).ok_or(StoreError::Corrupt("state of an order"))?;
            Ok((order, state))
        })
        .collect()
}

/// Whether a reissued order had been paid and sent back.
async fn was_returned(context: &Context, order: &OrderDetail) -> Result<bool, StoreError> {
    let life = feedback::history(&context.store, OrderId::new(order.order_id)).await?;
    Ok(life.iter().any(|step| step.state == OrderState::Returned))
}

/// The figures of an order, with the cases that name it.
fn figures(order: &OrderDetail, state: OrderState, was_returned: bool, cases: &[&Standing]) -> Figures {
    let sum =
        |pick: fn(&Standing) -> Centimes| cases.iter().map(|c| pick(c)).fold(Centimes::ZERO, |a, b| a + b);
    let undue = sum(|c| c.case.amount - c.case.reduced - c.case.reversed);
    let (due, kept_back, amount) = (order.entitled, order.offset, order.amount);
    let nothing = Figures { due, kept_back, undue, ..Figures::default() };
    match state {
        OrderState::Settled | OrderState::Collected => Figures { paid: amount, ..nothing },
        // What came back of a payment that was not due does not come again.
        OrderState::Returned => Figures {
            paid: amount,
            came_back: amount,
            to_come: amount - sum(|c| c.case.came_back),
            ..nothing
        },
        OrderState::Reissued => {
            let twice = cases
                .iter()
                .any(|c| c.case.cause == CaseCause::PaidTwice && c.case.state != CaseState::Opened);
            if twice {
                return Figures { paid: amount, ..nothing };
            }
            // The order that pays the claim again is due what this one did not pay.
            let moved = if was_returned { amount } else { Centimes::ZERO };
            Figures { due: kept_back, paid: moved, came_back: moved, ..nothing }
        }
        _ => Figures { to_come: amount - sum(|c| c.case.came_back), ..nothing },
    }
}

/// A payment that was made elsewhere: only what is undue of it is known.
fn elsewhere(case: &Standing) -> Line {
    Line {
        period: case.case.period,
        programme: case.case.programme.clone(),
        purpose: String::new(),
        order: None,
        state: None,
        figures: Figures {
            undue: case.case.amount - case.case.reduced - case.case.reversed,
            ..Figures::default()
        },
    }
}

fn sum_up(
    household: HouseholdId,
    lines: Vec<Line>,
    put_right: Vec<PutRight>,
    cases: Vec<Standing>,
) -> Account {
    let mut totals = Figures::default();
    for Line { figures: f, .. } in &lines {
        totals.due += f.due;
        totals.kept_back += f.kept_back;
        totals.paid += f.paid;
        totals.came_back += f.came_back;
        totals.to_come += f.to_come;
        totals.undue += f.undue;
    }
    let sum = |pick: fn(&Standing) -> Centimes| cases.iter().map(pick).fold(Centimes::ZERO, |a, b| a + b);
    let (repaid, given_up) = (sum(|c| c.case.repaid), sum(|c| c.case.written_off));
    let to_refund = sum(|c| c.case.to_refund);
    let owed = sum(|c| c.case.outstanding);
    let got = totals.due - totals.undue - totals.paid + totals.came_back + repaid + given_up;
    let balance = totals.to_come - owed;
    let kept = sum(|c| c.case.offset);
    Account {
        household: household.to_string(),
        holds: got == balance && kept == totals.kept_back,
        lines,
        put_right,
        cases,
        totals,
        repaid,
        given_up,
        to_refund,
        owed,
        balance,
    }
}
