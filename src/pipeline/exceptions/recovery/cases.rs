//! Cases, and what people do about them first: open, look at, agree on a plan.
//!
//! Input: an order or an earlier payment, an amount, a reason, a person. Output: the case, with a step in its history and a
//! record in the audit chain.
//! Guarantee: what the cases of an order come to is never above the order; every command is safe to repeat.
//! Limit: a payment that sarf did not make is known by what the person says of it: its household must stand in the
//! programme's latest list, and its month must be one that sarf did not pay.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::{CaseError, NewCase, follow, follow_in_tx, open_in_tx};
use crate::domain::ids::{CaseId, HouseholdId, OrderId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::recovery::appeal::{Appeal, Deadlines};
use crate::domain::recovery::reference::CaseReference;
use crate::domain::recovery::{CaseCause, CaseState};
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::locks::{self, Lock};
use crate::store::orders::{self, OrderDetail};
use crate::store::recovery::cases::{self, Case};
use crate::store::recovery::decisions::{self, Instalment, StepTaken, Wanted};
use crate::store::{StoreError, Tx};

/// Most cases in a list.
const LIST_MAX: i64 = 1_000;

/// What a case is opened for.
#[derive(Clone, Debug)]
pub enum Payment {
    /// An order of sarf's.
    Order(OrderId),
    /// A payment that was made elsewhere.
    Earlier {
        /// To whom.
        household: HouseholdId,
        /// For which month.
        period: Period,
        /// By which programme.
        programme: String,
    },
}

/// A case as people see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Standing {
    /// Its name outside.
    pub reference: CaseReference,
    /// The order that paid it.
    pub order: Option<i64>,
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// Nothing is kept back today, since a complaint or an appeal waits.
    pub suspended: bool,
    /// The programme has let the day of its reply or answer pass.
    pub overdue: bool,
    /// Months that the agreed plan still takes.
    pub months_left: Option<i64>,
}

/// A case with all that was done about it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Detail {
    /// The case.
    #[serde(flatten)]
    pub standing: Standing,
    /// What was kept back, by run.
    pub instalments: Vec<Instalment>,
    /// All that was done.
    pub steps: Vec<StepTaken>,
}

/// Today, where the programme is.
pub(super) fn today(context: &Context) -> Date {
    context.clock.now().to_offset(context.config.settings.calendar.utc_offset).date()
}

pub(super) fn deadlines(context: &Context) -> Deadlines {
    let settings = &context.config.settings.recovery;
    Deadlines {
        complaint_reply_days: settings.complaint_reply_days,
        appeal_days: settings.appeal_days,
        appeal_answer_days: settings.appeal_answer_days,
    }
}

/// Where a case's complaint stands.
pub(super) fn appeal_of(case: &Case) -> Option<Appeal> {
    let (stage, since) = case.appeal_stage.zip(case.appeal_since)?;
    Some(Appeal { stage, since, due: case.appeal_due })
}

pub(in crate::pipeline) fn reason(why: &str) -> Result<&str, CaseError> {
    Some(why.trim()).filter(|why| !why.is_empty()).ok_or(CaseError::NoReason)
}

pub(super) fn positive(amount: Centimes) -> Result<Centimes, CaseError> {
    if amount > Centimes::ZERO { Ok(amount) } else { Err(CaseError::NotPositive(amount)) }
}

/// `step`: what was to be done with the case, as a participle.
pub(in crate::pipeline) fn wrong_state(case: &Case, step: &'static str) -> CaseError {
    CaseError::WrongState { case: CaseReference::of(case.id), step, state: case.state }
}

/// Cases of its programme are followed to where their payments are, and the case is locked.
pub(in crate::pipeline) async fn locked(
    tx: &mut PgConnection,
    id: CaseId,
    at: OffsetDateTime,
) -> Result<Case, CaseError> {
    let programme =
        decisions::programme_in_tx(tx, id).await?.ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
    locks::take_in_tx(tx, Lock::Cases(programme)).await?;
    follow_in_tx(tx, programme, at).await?;
    let found = cases::find_in_tx(tx, id, true).await?;
    found.ok_or_else(|| Refusal::not_found(Entity::Case, id).into())
}

/// A person's step.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Act<'a> {
    pub step: &'a str,
    pub amount: Option<Centimes>,
    pub by: &'a str,
    pub why: &'a str,
    pub at: OffsetDateTime,
}

/// Keeps what a person did: a step of the case, a record in the audit chain.
pub(in crate::pipeline) async fn record(tx: &mut Tx, case: &Case, act: Act<'_>) -> Result<(), CaseError> {
    cases::step_in_tx(tx, case.id, act.step, act.amount, act.by, act.why, act.at).await?;
    let amount = act.amount.map_or_else(String::new, |a| format!("{a:#}: "));
    let decision = Decision {
        actor: act.by,
        action: &format!("recovery.{}", act.step),
        subject: &format!("case {}", CaseReference::of(case.id)),
        detail: &format!("{amount}{}", act.why),
        at: act.at,
    };
    Ok(chain::append_in_tx(tx, decision).await?)
}

/// Opens a case: the preparer found a payment, or a part of it, not to be due.
///
/// # Errors
/// See [`CaseError`].
pub async fn open(
    context: &Context,
    payment: &Payment,
    amount: Centimes,
    why: &str,
    by: &str,
) -> Result<Applied<Case>, CaseError> {
    let (why, amount) = (reason(why)?, positive(amount)?);
    let now = context.clock.now();
    let found = match payment {
        Payment::Order(order) => Some(order_of(context, *order).await?),
        Payment::Earlier { household, period, programme } => {
            not_paid_here(context, *household, *period, programme).await?;
            None
        }
    };
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let (programme, household, period, what) = match (payment, &found) {
        (Payment::Order(order), Some((detail, _))) => {
            let household = HouseholdId::parse(detail.household_id.as_bytes());
            let household = household.map_err(|_| StoreError::Corrupt("household id"))?;
            (&detail.programme, household, detail.period, format!("order {}", order.get()))
        }
        (Payment::Earlier { household, period, programme }, _) => {
            (programme, *household, *period, format!("{programme} {household} {period}"))
        }
        (Payment::Order(order), None) => return Err(Refusal::not_found(Entity::Order, order.get()).into()),
    };
    let programme_id = decisions::programme_id_in_tx(&mut tx, programme).await?;
    let programme_id = programme_id.ok_or_else(|| Refusal::not_found(Entity::Programme, programme))?;
    locks::take_in_tx(&mut tx, Lock::Cases(programme_id)).await?;
    // The same payment, amount and reason are the same case, however often the command is given.
    let origin = format!("person {what} {amount} {}", crate::domain::hex(&digest(why)[..8]));
    if let Some(id) = decisions::of_origin_in_tx(&mut tx, &origin).await? {
        let case = cases::find_in_tx(&mut tx, id, false)
            .await?
            .ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
        return Ok(Applied::Already(case));
    }
    let order = match (payment, &found) {
        (Payment::Order(order), Some((detail, state))) => {
            if !state.has_left() {
                return Err(CaseError::NotLeft { order: order.get(), state: *state });
            }
            let known = decisions::undue_of_order_in_tx(&mut tx, *order).await?;
            let most = detail.amount - known;
            if amount > most {
                return Err(CaseError::TooMuch { amount, most });
            }
            Some(*order)
        }
        _ => {
            if !decisions::is_listed_in_tx(&mut tx, programme, household).await? {
                return Err(CaseError::NotListed { household, programme: programme.clone() });
            }
            None
        }
    };
    let new = NewCase { programme_id, household, period, order, cause: CaseCause::Person, origin, amount };
    let opened = open_in_tx(&mut tx, std::slice::from_ref(&new), by, why, now).await?;
    let id = *opened.first().ok_or(StoreError::Corrupt("case just opened"))?;
    let case =
        cases::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
    tx.commit().await?;
    Ok(Applied::Now(case))
}

fn digest(text: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).into()
}

/// An order and where it stands.
pub(in crate::pipeline) async fn order_of(
    context: &Context,
    order: OrderId,
) -> Result<(OrderDetail, OrderState), CaseError> {
    let found = orders::find(&context.store, None, Some(order)).await?.into_iter().next();
    let detail = found.ok_or_else(|| Refusal::not_found(Entity::Order, order.get()))?;
    let state = OrderState::parse(&detail.state).ok_or(StoreError::Corrupt("state of an order"))?;
    Ok((detail, state))
}

/// A month that sarf paid is named by its order.
async fn not_paid_here(
    context: &Context,
    household: HouseholdId,
    period: Period,
    programme: &str,
) -> Result<(), CaseError> {
    let paid = orders::find(&context.store, Some(household.as_str()), None).await?;
    let same = |o: &&OrderDetail| {
        o.period == period && o.programme == programme && o.state != OrderState::Cancelled.as_str()
    };
    match paid.iter().find(same) {
        Some(order) => Err(CaseError::PaidByOrder { order: order.order_id, period }),
        None => Ok(()),
    }
}

/// Agrees on the most that is kept back in a month; `None`: as much as the rules allow.
///
/// # Errors
/// See [`CaseError`].
pub async fn plan(
    context: &Context,
    id: CaseId,
    monthly: Option<Centimes>,
    by: &str,
) -> Result<Applied<Case>, CaseError> {
    if let Some(monthly) = monthly {
        positive(monthly)?;
    }
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let case = locked(&mut tx, id, now).await?;
    if case.monthly_max == monthly {
        tx.commit().await?;
        return Ok(Applied::Already(case));
    }
    if !is_open(&case) {
        return Err(wrong_state(&case, "repaid by a plan"));
    }
    decisions::set_monthly_in_tx(&mut tx, id, monthly).await?;
    let why = if monthly.is_some() { "agreed monthly maximum" } else { "no monthly maximum" };
    record(&mut tx, &case, Act { step: "planned", amount: monthly, by, why, at: now }).await?;
    tx.commit().await?;
    Ok(Applied::Now(Case { monthly_max: monthly, ..case }))
}

/// Something may still be owed.
pub(super) const fn is_open(case: &Case) -> bool {
    matches!(case.state, CaseState::Opened | CaseState::Recalled | CaseState::Receivable)
}

/// A case as people see it on a day.
pub fn standing(case: Case, today: Date) -> Standing {
    let appeal = appeal_of(&case).filter(|_| is_open(&case) || case.state == CaseState::Recovered);
    let outstanding = case.outstanding.get();
    let months = case.monthly_max.map(|most| (outstanding + most.get() - 1) / most.get());
    Standing {
        reference: CaseReference::of(case.id),
        order: case.order.map(OrderId::get),
        suspended: is_open(&case) && appeal.is_some_and(|a| a.suspended_on(today)),
        overdue: appeal.is_some_and(|a| a.overdue_on(today)),
        months_left: months.filter(|_| is_open(&case)),
        case,
    }
}

/// Cases, oldest first, at most a thousand; with `overdue`, those whose household waits for a word that is overdue.
pub async fn list(
    context: &Context,
    state: Option<CaseState>,
    household: Option<&str>,
    overdue: bool,
) -> Result<Vec<Standing>, StoreError> {
    follow(context).await?;
    let today = today(context);
    let wanted = Wanted { state, household, overdue_on: overdue.then_some(today) };
    let found = decisions::list(&context.store, wanted, LIST_MAX).await?;
    Ok(found.into_iter().map(|case| standing(case, today)).collect())
}

/// A case with all that was done about it.
///
/// # Errors
/// See [`CaseError`].
pub async fn show(context: &Context, id: CaseId) -> Result<Detail, CaseError> {
    let mut tx = context.store.begin().await?;
    let case = locked(&mut tx, id, context.clock.now()).await?;
    tx.commit().await?;
    Ok(Detail {
        standing: standing(case, today(context)),
        instalments: decisions::instalments(&context.store, id).await?,
        steps: decisions::steps(&context.store, id).await?,
    })
}
