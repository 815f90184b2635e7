//! A household's complaint against a case, the programme's reply, the appeal and its answer.
//!
//! | command | who | what follows |
//! |---|---|---|
//! | [`complain`] | preparer, for the household | nothing is kept back until the reply, however late it is |
//! | [`reply`] | approver, not who opened the case | upheld: the household may appeal; granted: reduced or withdrawn |
//! | [`appeal`] | preparer, for the household | nothing is kept back until the answer |
//! | [`answer`] | approver, neither who opened the case nor who replied | upheld: it goes on; granted: reduced or withdrawn |
//!
//! Guarantee: the stage, what is owed, the books, the step and the audit record move in one transaction; every command is safe
//! to repeat.
//! What was kept back or repaid before a complaint was granted is paid out by the next correction run. Limit: what later lists put
//! right of the same month was ordered as arrears then, and cannot be granted once more.

use time::Date;

use super::CaseError;
use super::cases::{
    Act, appeal_of, deadlines, is_open, locked, positive, reason, record, today, wrong_state,
};
use crate::domain::ids::CaseId;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::recovery::appeal::{Appeal, AppealEvent, AppealFault};
use crate::domain::recovery::reference::CaseReference;
use crate::domain::recovery::{AppealStage, CaseState};
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::recovery::cases::{self, Case, Field};
use crate::store::recovery::{decisions, refunds};
use crate::store::{StoreError, Tx, books};

/// How the programme decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The case stands.
    Upheld,
    /// It does not: wholly, or by an amount.
    Granted(Option<Centimes>),
}

/// What a ruling came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Ruled {
    /// The case after it.
    pub case: Case,
    /// What is no longer owed.
    pub reduced: Centimes,
    /// What was kept back or repaid before, and is to be refunded.
    pub to_refund: Centimes,
}

/// The household complains against a case.
///
/// # Errors
/// See [`CaseError`].
pub async fn complain(
    context: &Context,
    id: CaseId,
    on: Option<Date>,
    why: &str,
    by: &str,
) -> Result<Applied<Case>, CaseError> {
    household_acts(context, id, AppealEvent::Complain, on, why, by).await
}

/// The household appeals against a reply.
///
/// # Errors
/// See [`CaseError`].
pub async fn appeal(
    context: &Context,
    id: CaseId,
    on: Option<Date>,
    why: &str,
    by: &str,
) -> Result<Applied<Case>, CaseError> {
    household_acts(context, id, AppealEvent::Appeal, on, why, by).await
}

async fn household_acts(
    context: &Context,
    id: CaseId,
    event: AppealEvent,
    on: Option<Date>,
    why: &str,
    by: &str,
) -> Result<Applied<Case>, CaseError> {
    let why = reason(why)?;
    let (now, today) = (context.clock.now(), today(context));
    let on = on.unwrap_or(today);
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let case = locked(&mut tx, id, now).await?;
    let (step, leads_to) = match event {
        AppealEvent::Appeal => ("appeal", AppealStage::Appeal),
        _ => ("complaint", AppealStage::Complaint),
    };
    if case.appeal_stage == Some(leads_to) {
        tx.commit().await?;
        return Ok(Applied::Already(case));
    }
    if !is_open(&case) && case.state != CaseState::Recovered {
        return Err(wrong_state(&case, "complained about"));
    }
    let opened = case.opened_at.to_offset(context.config.settings.calendar.utc_offset).date();
    if on > today || on < opened {
        return Err(AppealFault::NotThen(on).into());
    }
    let next = Appeal::after(appeal_of(&case), event, on, deadlines(context))?;
    decisions::set_appeal_in_tx(&mut tx, id, next).await?;
    record(&mut tx, &case, Act { step, amount: None, by, why, at: now }).await?;
    tx.commit().await?;
    Ok(Applied::Now(with(case, next)))
}

/// The programme replies to a complaint.
///
/// # Errors
/// See [`CaseError`].
pub async fn reply(
    context: &Context,
    id: CaseId,
    ruling: Ruling,
    why: &str,
    by: &str,
) -> Result<Applied<Ruled>, CaseError> {
    rule(context, id, AppealStage::Complaint, ruling, why, by).await
}

/// The programme answers an appeal.
///
/// # Errors
/// See [`CaseError`].
pub async fn answer(
    context: &Context,
    id: CaseId,
    ruling: Ruling,
    why: &str,
    by: &str,
) -> Result<Applied<Ruled>, CaseError> {
    rule(context, id, AppealStage::Appeal, ruling, why, by).await
}

async fn rule(
    context: &Context,
    id: CaseId,
    waits: AppealStage,
    ruling: Ruling,
    why: &str,
    by: &str,
) -> Result<Applied<Ruled>, CaseError> {
    let why = reason(why)?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let case = locked(&mut tx, id, now).await?;
    let put_right = refunds::put_right_since_in_tx(&mut tx, id).await?;
    let granted_before = case.reduced + case.to_refund + case.refunded;
    let whole = case.amount - granted_before - case.came_back - case.written_off - put_right;
    let whole = whole.max(Centimes::ZERO);
    let granted = match ruling {
        Ruling::Upheld => None,
        Ruling::Granted(None) => Some(whole),
        Ruling::Granted(Some(amount)) => Some(positive(amount)?),
    };
    let wholly = granted == Some(whole);
    let event = match (waits, wholly) {
        (AppealStage::Appeal, _) => AppealEvent::Answer,
        (_, true) => AppealEvent::Grant,
        (_, false) => AppealEvent::Reply,
    };
    let (upheld, given) = match waits {
        AppealStage::Appeal => ("appeal_upheld", "appeal_granted"),
        _ => ("upheld", "granted"),
    };
    if case.appeal_stage != Some(waits)
        && was_ruled(&mut tx, &case, granted.map_or(upheld, |_| given)).await?
    {
        tx.commit().await?;
        let (reduced, to_refund) = (Centimes::ZERO, Centimes::ZERO);
        return Ok(Applied::Already(Ruled { case, reduced, to_refund }));
    }
    let next = Appeal::after(appeal_of(&case), event, today(context), deadlines(context))?;
    if granted == Some(Centimes::ZERO) {
        return Err(CaseError::PutRight { amount: put_right });
    }
    if let Some(amount) = granted.filter(|amount| *amount > whole) {
        return Err(CaseError::TooMuch { amount, most: whole });
    }
    not_the_same(&mut tx, &case, waits, by).await?;
    decisions::set_appeal_in_tx(&mut tx, id, next).await?;
    let act = Act { step: if granted.is_some() { given } else { upheld }, amount: granted, by, why, at: now };
    record(&mut tx, &case, act).await?;
    let reduced = granted.map_or(Centimes::ZERO, |g| g.min(case.outstanding));
    let to_refund = granted.map_or(Centimes::ZERO, |g| g - reduced);
    if granted.is_some() {
        reduce(&mut tx, &case, reduced, wholly, act).await?;
        refunds::grant_in_tx(&mut tx, id, to_refund).await?;
    }
    let case =
        cases::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
    tx.commit().await?;
    Ok(Applied::Now(Ruled { case, reduced, to_refund }))
}

/// Whether the same was ruled before.
async fn was_ruled(tx: &mut Tx, case: &Case, step: &str) -> Result<bool, StoreError> {
    Ok(decisions::taken_by_in_tx(tx, case.id, &[step]).await?.is_some())
}

/// Whoever opened the case does not judge it, and an appeal is not judged by who replied.
async fn not_the_same(tx: &mut Tx, case: &Case, waits: AppealStage, by: &str) -> Result<(), CaseError> {
    let before = match waits {
        AppealStage::Appeal => decisions::taken_by_in_tx(tx, case.id, &["upheld", "granted"]).await?,
        _ => None,
    };
    if case.opened_by == by || before.as_deref() == Some(by) {
        return Err(CaseError::SamePerson { case: CaseReference::of(case.id), name: by.to_owned() });
    }
    Ok(())
}

/// Takes what was granted off what is owed; a case that is granted wholly is withdrawn.
async fn reduce(
    tx: &mut Tx,
    case: &Case,
    reduced: Centimes,
    wholly: bool,
    act: Act<'_>,
) -> Result<(), StoreError> {
    cases::add_in_tx(tx, case.id, Field::Reduced, reduced).await?;
    if case.state == CaseState::Receivable {
        books::recovery::complaint_granted_in_tx(tx, case.programme_id, reduced, act.at).await?;
    }
    let state = match (wholly, case.outstanding == reduced) {
        (_, false) => return Ok(()),
        (true, true) => CaseState::Withdrawn,
        (false, true) => CaseState::Recovered,
    };
    if state != case.state {
        decisions::set_state_in_tx(tx, case.id, state).await?;
        cases::step_in_tx(tx, case.id, state.as_str(), None, "sarf", act.why, act.at).await?;
    }
    Ok(())
}

fn with(case: Case, appeal: Appeal) -> Case {
    Case {
        appeal_stage: Some(appeal.stage),
        appeal_since: Some(appeal.since),
        appeal_due: appeal.due,
        ..case
    }
}
