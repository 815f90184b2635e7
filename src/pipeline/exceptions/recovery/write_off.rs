//! Giving up what cannot be recovered: the accountant puts it forward, the approver confirms or refuses it.
//!
//! Guarantee: two persons; what is given up is what is outstanding when it is confirmed, and it moves with the books in one
//! transaction. Until then the case goes on as before. Safe to repeat.

use super::CaseError;
use super::cases::{Act, locked, reason, record, wrong_state};
use crate::domain::ids::CaseId;
use crate::domain::not_found::Entity;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::books;
use crate::store::recovery::cases::{self, Case, Field};
use crate::store::recovery::decisions;

/// Puts the write-off of a case forward.
///
/// # Errors
/// See [`CaseError`].
pub async fn propose(context: &Context, id: CaseId, why: &str, by: &str) -> Result<Applied<Case>, CaseError> {
    let why = reason(why)?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let case = locked(&mut tx, id, now).await?;
    if case.state == CaseState::WrittenOff || case.proposed_by.is_some() {
        tx.commit().await?;
        return Ok(Applied::Already(case));
    }
    if case.state != CaseState::Receivable {
        return Err(wrong_state(&case, "written off"));
    }
    decisions::set_proposal_in_tx(&mut tx, id, Some((by, why, now))).await?;
    let act = Act { step: "write_off_proposed", amount: Some(case.outstanding), by, why, at: now };
    record(&mut tx, &case, act).await?;
    tx.commit().await?;
    Ok(Applied::Now(Case { proposed_by: Some(by.to_owned()), ..case }))
}

/// Confirms the write-off that another person put forward, and carries it out.
///
/// # Errors
/// See [`CaseError`].
pub async fn confirm(context: &Context, id: CaseId, by: &str) -> Result<Applied<Case>, CaseError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let case = locked(&mut tx, id, now).await?;
    if case.state == CaseState::WrittenOff {
        tx.commit().await?;
        return Ok(Applied::Already(case));
    }
    let Some(proposer) = case.proposed_by.clone() else {
        return Err(CaseError::NotProposed(CaseReference::of(id)));
    };
    if proposer == by {
        return Err(CaseError::SamePerson { case: CaseReference::of(id), name: proposer });
    }
    if case.state != CaseState::Receivable {
        return Err(wrong_state(&case, "written off"));
    }
    let amount = case.outstanding;
    cases::add_in_tx(&mut tx, id, Field::WrittenOff, amount).await?;
    books::recovery::written_off_in_tx(&mut tx, case.programme_id, amount, now).await?;
    decisions::set_state_in_tx(&mut tx, id, CaseState::WrittenOff).await?;
    decisions::set_proposal_in_tx(&mut tx, id, None).await?;
    let why = format!("as {proposer} proposed: {}", case.proposed_why.as_deref().unwrap_or_default());
    let act = Act { step: "written_off", amount: Some(amount), by, why: &why, at: now };
    record(&mut tx, &case, act).await?;
    let case =
        cases::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
    tx.commit().await?;
    Ok(Applied::Now(case))
}

/// Refuses the write-off that was put forward: the case goes on.
///
/// # Errors
/// See [`CaseError`].
pub async fn refuse(context: &Context, id: CaseId, why: &str, by: &str) -> Result<Applied<Case>, CaseError> {
    let why = reason(why)?;
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let case = locked(&mut tx, id, now).await?;
    if case.proposed_by.is_none() {
        let refused = decisions::taken_by_in_tx(&mut tx, id, &["write_off_refused"]).await?;
        tx.commit().await?;
        return match refused {
            Some(_) => Ok(Applied::Already(case)),
            None => Err(CaseError::NotProposed(CaseReference::of(id))),
        };
    }
    decisions::set_proposal_in_tx(&mut tx, id, None).await?;
    let act = Act { step: "write_off_refused", amount: None, by, why, at: now };
    record(&mut tx, &case, act).await?;
    tx.commit().await?;
    Ok(Applied::Now(Case { proposed_by: None, proposed_at: None, proposed_why: None, ..case }))
}
