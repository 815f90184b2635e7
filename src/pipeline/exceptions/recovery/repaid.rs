//! What households pay back by transfer.
//!
//! Input: a receipt that the account statement booked, and the case that it names or that a person names for it. Output: what of
//! it is owed goes from suspense to the receivable; the rest stays in suspense with a break.
//! Guarantee: the statement alone brings money in (bank, suspense), and only what stands in suspense is posted to a case: what
//! was repaid is the sum of what left suspense for receivables, in the same transaction as the case.
//! Limit: only a case whose payment the household had takes money; nothing is owed before.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::cases::{Act, locked, record, wrong_state};
use super::{CaseError, follow_in_tx};
use crate::domain::breaks::BreakState;
use crate::domain::ids::{BreakId, CaseId, MessageId};
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::recovery::CaseState;
use crate::domain::recovery::reference::CaseReference;
use crate::pipeline::exceptions::breaks::{Explanation, explain_in_tx};
use crate::pipeline::{Applied, Context, Refusal, person};
use crate::store::access::operators::Role;
use crate::store::books::recovery::Repayment;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks;
use crate::store::recovery::cases::{self, Case, Field};
use crate::store::recovery::decisions;
use crate::store::{StoreError, books};

/// A receipt that stands in suspense.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// The case that it is for.
    pub case: CaseReference,
    /// How much came in.
    pub amount: Centimes,
    /// Into which account.
    pub provider: i16,
    /// By which message.
    pub message: Option<MessageId>,
    /// By which entry of it.
    pub entry: Option<u64>,
}

/// What a receipt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// No such case.
    NoCase,
    /// Nothing is owed in a case that stands so.
    NotOwed(CaseState),
    /// So much of it was owed.
    Repaid(Centimes),
}

/// Posts what a receipt repays; the rest of it stays in suspense. Call it once the statement's own postings are made.
pub(crate) async fn take_in_tx(
    tx: &mut PgConnection,
    receipt: Receipt,
    at: OffsetDateTime,
) -> Result<Taken, StoreError> {
    let id = receipt.case.case();
    let Some(programme) = decisions::programme_in_tx(tx, id).await? else { return Ok(Taken::NoCase) };
    locks::take_in_tx(tx, Lock::Cases(programme)).await?;
    follow_in_tx(tx, programme, at).await?;
    let case = cases::find_in_tx(tx, id, true).await?.ok_or(StoreError::Corrupt("recovery case"))?;
    if case.state != CaseState::Receivable {
        return Ok(Taken::NotOwed(case.state));
    }
    let owed = receipt.amount.min(case.outstanding);
    let why = match (receipt.message, receipt.entry) {
        (Some(message), Some(entry)) => format!("message {message} entry {entry}"),
        (Some(message), None) => format!("message {message}"),
        _ => "statement".to_owned(),
    };
    cases::step_in_tx(tx, id, "repaid", Some(owed), "sarf", &why, at).await?;
    post_in_tx(tx, &case, receipt, owed, at).await?;
    Ok(Taken::Repaid(owed))
}

/// Suspense to receivable, and the case with it.
async fn post_in_tx(
    tx: &mut PgConnection,
    case: &Case,
    receipt: Receipt,
    owed: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Receipt { provider, message, .. } = receipt;
    let repayment = Repayment { programme: case.programme_id, provider, amount: owed, message };
    books::recovery::repaid_in_tx(tx, repayment, at).await?;
    add_in_tx(tx, case, owed, at).await
}

/// The case has so much less outstanding.
async fn add_in_tx(
    tx: &mut PgConnection,
    case: &Case,
    owed: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    cases::add_in_tx(tx, case.id, Field::Repaid, owed).await?;
    if owed == case.outstanding {
        decisions::set_state_in_tx(tx, case.id, CaseState::Recovered).await?;
        cases::step_in_tx(tx, case.id, "recovered", None, "sarf", "nothing is outstanding", at).await?;
    }
    Ok(())
}

/// What a person's assignment came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Assigned {
    /// The case after it.
    pub case: Case,
    /// What of the receipt was owed.
    pub repaid: Centimes,
    /// What of it stays in suspense with its break.
    pub left: Centimes,
}

/// Assigns a receipt that stands in suspense to a case: as much of it as is outstanding. The break is explained, or stays open
/// over what is left.
///
/// # Errors
/// See [`CaseError`].
pub async fn assign(
    context: &Context,
    id: CaseId,
    found: BreakId,
    by: &str,
) -> Result<Applied<Assigned>, CaseError> {
    let now = context.clock.now();
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let held =
        breaks::find_in_tx(&mut tx, found).await?.ok_or_else(|| Refusal::not_found(Entity::Break, found))?;
    let case = locked(&mut tx, id, now).await?;
    let why = format!("break {found}");
    let came_in = match held.state {
        BreakState::Resolved => Centimes::ZERO,
        _ => Centimes::ZERO - held.suspense,
    };
    if decisions::was_assigned_in_tx(&mut tx, id, &why).await? {
        tx.commit().await?;
        return Ok(Applied::Already(Assigned { case, repaid: Centimes::ZERO, left: came_in }));
    }
    // What somebody proposed to do with it is taken back first: `sarf breaks reopen`.
    let Some(provider) =
        held.provider_id.filter(|_| held.state == BreakState::Open && came_in > Centimes::ZERO)
    else {
        return Err(CaseError::NoReceipt(found));
    };
    if case.state != CaseState::Receivable {
        return Err(wrong_state(&case, "repaid"));
    }
    let repaid = came_in.min(case.outstanding);
    record(&mut tx, &case, Act { step: "repaid", amount: Some(repaid), by, why: &why, at: now }).await?;
    if repaid == came_in {
        let why = format!("repays case {}", CaseReference::of(id));
        let repays = Some(case.programme_id);
        explain_in_tx(&mut tx, found, Explanation { by, why: &why, at: now, repays }).await?;
        add_in_tx(&mut tx, &case, repaid, now).await?;
    } else {
        let reference = CaseReference::of(id);
        let receipt =
            Receipt { case: reference, amount: came_in, provider, message: held.message, entry: None };
        post_in_tx(&mut tx, &case, receipt, repaid, now).await?;
        decisions::take_from_break_in_tx(&mut tx, found, repaid).await?;
    }
    let case =
        cases::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Case, id))?;
    tx.commit().await?;
    Ok(Applied::Now(Assigned { case, repaid, left: came_in - repaid }))
}
