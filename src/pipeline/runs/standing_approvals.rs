//! Standing approvals: proposed by a preparer, approved by an approver, funded by an accountant; three people. While one is in
//! force, events may order under it, up to its ceilings.
//!
//! Guarantee: repeat-safe, audited; what was approved is never changed, only ended.
//! Limit: funding reserves nothing ahead: each order takes from the envelope as it comes, and is refused once that is empty.

use time::Date;

use crate::domain::event::StandingApprovalId;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::pipeline::orders::children::{BIRTH_GRANT, DEPOSIT};
use crate::pipeline::orders::correction::ARREARS;
use crate::pipeline::{Applied, Context, Refusal, person, refuse_frozen};
use crate::store::access::operators::{self, Role};
use crate::store::audit::chain::{self, Decision};
use crate::store::registry::reference;
use crate::store::runs::standing_approvals::{self, NewStandingApproval, StandingApproval, StandingStep};
use crate::store::{StoreError, Tx};

/// Why a step is refused.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// The person may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Claims of this purpose are made from lists only: an event would pay them beside their own proof.
    #[error("purpose `{0}` is paid from the registry's lists only")]
    ReservedPurpose(Code),
    /// Ceilings that allow nothing, or a day below an order.
    #[error("a ceiling of {order_max:#} for an order does not go with one of {day_max:#} for a day")]
    Ceilings {
        /// For an order.
        order_max: Centimes,
        /// For a day.
        day_max: Centimes,
    },
    /// It would end before it begins.
    #[error("its last day `{1}` is before its first day `{0}`")]
    Dates(Date, Date),
    /// A year of it has no envelope.
    #[error("programme `{programme}` has no budget envelope for {year}")]
    NoEnvelope {
        /// Which.
        programme: String,
        /// Budget year.
        year: i32,
    },
    /// The approver comes first.
    #[error("standing approval `{0}` is not approved yet")]
    NotApproved(StandingApprovalId),
    /// It was ended.
    #[error("standing approval `{0}` was revoked")]
    Revoked(StandingApprovalId),
    /// The person already acted on the other side.
    #[error(
        "operator `{0}` has acted on this standing approval before: preparer, approver and accountant must be three people"
    )]
    SamePerson(String),
}

impl Hint for StandingError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Refused(e) => return e.hint(),
            Self::ReservedPurpose(_) => "name a purpose of your own, or the programme's: --purpose".into(),
            Self::Ceilings { .. } => {
                "both must be above zero, and a day's at least that of one order: --order-max, --day-max"
                    .into()
            }
            Self::Dates(..) => "the last day comes after the first: --from, --to".into(),
            Self::NoEnvelope { year, .. } => {
                format!("set the budget of {year} in the programme's file, as voted, or end it before").into()
            }
            Self::NotApproved(id) => {
                format!("the approver comes first: sarf approval approve {id} --as APPROVER").into()
            }
            Self::Revoked(_) => "propose a new one: sarf approval propose".into(),
            Self::SamePerson(_) => "another person must do this: --as NAME".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(StandingError {
    Self::Refused(_) => Self::Refused(Refusal::SamePerson("amina".into())),
    Self::ReservedPurpose(_) => Self::ReservedPurpose(Code::parse("arrears").expect("a code")),
    Self::Ceilings { .. } => Self::Ceilings { order_max: Centimes::new(2), day_max: Centimes::new(1) },
    Self::Dates(..) => Self::Dates(Date::MAX, Date::MIN),
    Self::NoEnvelope { .. } => Self::NoEnvelope { programme: "asd".into(), year: 2027 },
    Self::NotApproved(_) => Self::NotApproved(StandingApprovalId::new(3)),
    Self::Revoked(_) => Self::Revoked(StandingApprovalId::new(3)),
    Self::SamePerson(_) => Self::SamePerson("amina".into()),
});

impl<E: Into<StoreError>> From<E> for StandingError {
    fn from(error: E) -> Self {
        Self::Refused(Refusal::Store(error.into()))
    }
}

/// What is proposed.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Programme.
    pub programme: Code,
    /// Purpose of the claims.
    pub purpose: Code,
    /// Most that one order may be over.
    pub order_max: Centimes,
    /// Most that a day's orders may come to.
    pub day_max: Centimes,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_to: Date,
}

/// Proposes a standing approval.
///
/// # Errors
/// See [`StandingError`].
pub async fn propose(
    context: &Context,
    proposal: &Proposal,
    by: &str,
) -> Result<Applied<StandingApprovalId>, StandingError> {
    let Proposal { order_max, day_max, valid_from, valid_to, .. } = *proposal;
    let configured = context
        .config
        .programme(proposal.programme.as_str())
        .ok_or_else(|| Refusal::not_found(Entity::Programme, &proposal.programme))?;
    if [ARREARS, BIRTH_GRANT, DEPOSIT].iter().any(|own| proposal.purpose.as_str().eq_ignore_ascii_case(own)) {
        return Err(StandingError::ReservedPurpose(proposal.purpose.clone()));
    }
    if order_max <= Centimes::ZERO || day_max < order_max {
        return Err(StandingError::Ceilings { order_max, day_max });
    }
    if valid_to < valid_from {
        return Err(StandingError::Dates(valid_from, valid_to));
    }
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let code = configured.rules.code().as_str();
    let programme_id = reference::programme_id_in_tx(&mut tx, code).await?;
    let purpose = proposal.purpose.as_str();
    let new = NewStandingApproval { programme_id, purpose, order_max, day_max, valid_from, valid_to, by };
    if let Some(id) = standing_approvals::same_in_tx(&mut tx, &new).await? {
        return Ok(Applied::Already(id));
    }
    let id = standing_approvals::insert_in_tx(&mut tx, &new, context.clock.now()).await?;
    let detail = format!(
        "{code} {purpose}: {order_max} for an order, {day_max} for a day, from {valid_from} to {valid_to}"
    );
    record(context, &mut tx, by, "approval.propose", id, &detail).await?;
    tx.commit().await?;
    Ok(Applied::Now(id))
}

/// Approves a proposal.
///
/// # Errors
/// See [`StandingError`].
pub async fn approve(
    context: &Context,
    id: StandingApprovalId,
    by: &str,
) -> Result<Applied<()>, StandingError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Approver).await?;
    let found = locked(&mut tx, id).await?;
    if found.approved_by.is_some() {
        return Ok(Applied::Already(()));
    }
    if found.proposed_by == by {
        return Err(StandingError::SamePerson(by.to_owned()));
    }
    refuse_frozen(context)?;
    step(context, tx, &found, StandingStep::Approve, by).await
}

/// Allows the orders of an approved proposal to take from the programme's envelope.
///
/// # Errors
/// See [`StandingError`].
pub async fn fund(context: &Context, id: StandingApprovalId, by: &str) -> Result<Applied<()>, StandingError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let found = locked(&mut tx, id).await?;
    if found.funded_by.is_some() {
        return Ok(Applied::Already(()));
    }
    if found.approved_by.is_none() {
        return Err(StandingError::NotApproved(id));
    }
    if found.proposed_by == by || found.approved_by.as_deref() == Some(by) {
        return Err(StandingError::SamePerson(by.to_owned()));
    }
    let rules = context.config.programme(&found.programme).map(|p| &p.rules);
    for year in found.valid_from.year()..=found.valid_to.year() {
        if rules.and_then(|r| r.budget(year)).is_none() {
            return Err(StandingError::NoEnvelope { programme: found.programme, year });
        }
    }
    step(context, tx, &found, StandingStep::Fund, by).await
}

/// Ends a standing approval, now; any of the three roles may. Orders that were made stay.
///
/// # Errors
/// See [`StandingError`].
pub async fn revoke(
    context: &Context,
    id: StandingApprovalId,
    by: &str,
) -> Result<Applied<()>, StandingError> {
    let mut tx = context.store.begin().await?;
    let known = operators::active_in_tx(&mut tx, by).await?;
    known.ok_or_else(|| Refusal::not_found(Entity::Operator, by))?;
    let found = standing_approvals::find_in_tx(&mut tx, id)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::StandingApproval, id))?;
    if found.revoked_by.is_some() {
        return Ok(Applied::Already(()));
    }
    step(context, tx, &found, StandingStep::Revoke, by).await
}

async fn locked(tx: &mut Tx, id: StandingApprovalId) -> Result<StandingApproval, StandingError> {
    let found = standing_approvals::find_in_tx(tx, id)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::StandingApproval, id))?;
    if found.revoked_by.is_some() { Err(StandingError::Revoked(id)) } else { Ok(found) }
}

async fn step(
    context: &Context,
    mut tx: Tx,
    found: &StandingApproval,
    step: StandingStep,
    by: &str,
) -> Result<Applied<()>, StandingError> {
    standing_approvals::step_in_tx(&mut tx, found.id, step, by, context.clock.now()).await?;
    let detail = format!(
        "{} {}: {} for an order, {} for a day",
        found.programme, found.purpose, found.order_max, found.day_max
    );
    record(context, &mut tx, by, &format!("approval.{step}"), found.id, &detail).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

async fn record(
    context: &Context,
    tx: &mut Tx,
    by: &str,
    action: &str,
    id: StandingApprovalId,
    detail: &str,
) -> Result<(), StoreError> {
    let subject = format!("standing approval {id}");
    let at = context.clock.now();
    chain::append_in_tx(tx, Decision { actor: by, action, subject: &subject, detail, at }).await
}
