//! Funding, release and cancellation: the accountant's side.
//!
//! Funding reserves a run's amount in the programme's envelope for the budget year. The whole amount of the orders is
//! reserved, held ones included, so that releasing a hold never finds the envelope empty. A reissue is reserved anew in the
//! year of its budget month, and what the earlier runs reserved for the same claims goes back in the same transaction.

use sqlx::PgConnection;

use super::approve::{ApproveError, content_line, record, still_as_submitted};
use super::as_written::{self, WithList};
use crate::domain::batch::Lane;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::OrderState;
use crate::domain::run::{RunEvent, RunKind, RunState};
use crate::pipeline::exceptions::{doubts, recovery};
use crate::pipeline::orders::reissue;
use crate::pipeline::{Applied, Context, Refusal, locked_run, next_state, person};
use crate::store::access::operators::Role;
use crate::store::books::ledger::{self, AccountKey};
use crate::store::books::{self, OrderSum};
use crate::store::locks::{self, Lock};
use crate::store::registry::{children, reference};
use crate::store::runs::{self, Run, decisions};
use crate::store::{StoreError, batches};

/// Why funding is refused.
#[derive(Debug, thiserror::Error)]
pub enum FundError {
    /// The person, the state or the content does not allow it.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// No envelope is configured.
    #[error("programme `{programme}` has no budget envelope for {year}")]
    NoEnvelope {
        /// Which.
        programme: String,
        /// Budget year.
        year: i32,
    },
    /// The envelope does not hold enough.
    #[error("the envelope of {year} has {left:#} left of {envelope}, and the run needs {needed}")]
    Exhausted {
        /// Budget year.
        year: i32,
        /// The whole envelope.
        envelope: Centimes,
        /// What no run has reserved.
        left: Centimes,
        /// The run's amount.
        needed: Centimes,
    },
}

impl Hint for FundError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::Approve(e) => e.hint(),
            Self::NoEnvelope { .. } => Some("set the year's budget in the programme's file, as voted".into()),
            Self::Exhausted { .. } => {
                Some("have the envelope raised, or cancel another run that reserved it".into())
            }
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(FundError {
    Self::Approve(_) => Self::Approve(ApproveError::Stale(Vec::new())),
    Self::NoEnvelope { .. } => Self::NoEnvelope { programme: "asd".into(), year: 2027 },
    Self::Exhausted { .. } => Self::Exhausted {
        year: 2027,
        envelope: Centimes::new(3),
        left: Centimes::new(1),
        needed: Centimes::new(2),
    },
});

impl From<Refusal> for FundError {
    fn from(error: Refusal) -> Self {
        Self::Approve(error.into())
    }
}

impl From<StoreError> for FundError {
    fn from(error: StoreError) -> Self {
        Self::Approve(error.into())
    }
}

impl From<sqlx::Error> for FundError {
    fn from(error: sqlx::Error) -> Self {
        Self::Approve(error.into())
    }
}

/// Reserves a run's amount in the envelope of its budget year.
///
/// # Errors
/// See [`FundError`].
pub async fn fund(context: &Context, id: RunId, by: &str) -> Result<Applied<Centimes>, FundError> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    // Two runs of one programme are funded one after the other. The envelope comes before the run's row, as for events.
    let named =
        runs::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Run, id))?;
    locks::take_in_tx(&mut tx, Lock::Envelope(named.programme_id, named.period.year())).await?;
    let run = locked_run(&mut tx, id).await?;
    if run.state == RunState::Funded {
        return Ok(Applied::Already(run.ordered));
    }
    let state = next_state(&run, RunEvent::Fund)?;
    if [
        Some(&run.created_by),
        run.submitted_by.as_ref(),
        run.first_approver.as_ref(),
        run.approved_by.as_ref(),
    ]
    .contains(&Some(&by.to_owned()))
    {
        return Err(Refusal::SamePerson(by.to_owned()).into());
    }
    as_written::require(context, &run, WithList::No).await?;
    let hash = match still_as_submitted(context, &mut tx, &run, by).await {
        Ok(hash) => hash,
        Err(error) => {
            if matches!(error, ApproveError::Stale(_)) {
                tx.commit().await?;
            }
            return Err(error.into());
        }
    };
    let now = context.clock.now();
    let year = run.period.year();
    let envelope = context.config.programme(&run.programme).and_then(|p| p.rules.budget(year));
    let envelope =
        envelope.ok_or_else(|| FundError::NoEnvelope { programme: run.programme.clone(), year })?;
    if run.kind == RunKind::Reissue {
        reissue::release_reservations_in_tx(&mut tx, &run, now).await?;
    }
    let reserved = ledger::balance_in_tx(&mut tx, AccountKey::envelope(run.programme_id, year)).await?;
    let left = envelope + reserved;
    if run.ordered > left {
        return Err(FundError::Exhausted { year, envelope, left, needed: run.ordered });
    }
    books::funding::run_funded_in_tx(&mut tx, &run, now).await?;
    decisions::funded_in_tx(&mut tx, id, state, by).await?;
    let detail = format!("{}; of the envelope of {year}", content_line(&run, &hash));
    record(&mut tx, by, "run.fund", id, &detail, now).await?;
    tx.commit().await?;
    Ok(Applied::Now(run.ordered))
}

/// Releases a wave, or all: their batches may leave. Orders held now stay behind.
///
/// # Errors
/// See [`Refusal`].
pub async fn release(
    context: &Context,
    id: RunId,
    wave: Option<i16>,
    by: &str,
) -> Result<Applied<u64>, Refusal> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let run = locked_run(&mut tx, id).await?;
    let state = next_state(&run, RunEvent::Release)?;
    let stream = stream_providers(context, &mut tx).await?;
    doubts::hold_planned_in_tx(&mut tx, &run, context.clock.now()).await?;
    let released = batches::release_in_tx(&mut tx, id, wave, &stream).await?;
    // A correction run may have nothing to pay: its release is then what makes undue payments owed. A run for
    // children may have refused all that was claimed, or have deposits to release only.
    let begins = run.state == RunState::Funded;
    let may_be_empty = run.kind == RunKind::Correction || run.kind.is_of_children();
    if released == 0 && !(begins && may_be_empty) {
        return Ok(Applied::Already(0));
    }
    runs::set_state_in_tx(&mut tx, id, state).await?;
    if begins && run.kind == RunKind::Correction {
        recovery::open_corrections_in_tx(&mut tx, &run, by, context.clock.now()).await?;
    }
    let totals = runs::totals_in_tx(&mut tx, id).await?;
    let sums = released_sums(&mut tx, &run, &totals).await?;
    books::orders::released_in_tx(&mut tx, &sums, context.clock.now()).await?;
    let wave = wave.map_or("all waves".to_owned(), |w| format!("wave {w}"));
    let hash = run.content_sha256.as_deref().unwrap_or("none");
    let detail = format!("{}; {wave}: {released} batches", content_line(&run, hash));
    record(&mut tx, by, "run.release", id, &detail, context.clock.now()).await?;
    tx.commit().await?;
    Ok(Applied::Now(released))
}

/// Numbers of the providers that are spoken to over HTTP.
async fn stream_providers(context: &Context, tx: &mut PgConnection) -> Result<Vec<i16>, StoreError> {
    let ids = reference::provider_ids_in_tx(tx, &[]).await?;
    let providers = context.config.router.providers().iter();
    Ok(providers
        .filter(|p| context.config.lane(p) == Lane::Stream)
        .filter_map(|p| ids.get(p.code.as_str()).copied())
        .collect())
}

/// Orders that stand in released batches and still count as planned.
async fn released_sums(
    tx: &mut PgConnection,
    run: &Run,
    totals: &[runs::RunTotal],
) -> Result<Vec<OrderSum>, StoreError> {
    let ids = reference::provider_ids_in_tx(tx, &[]).await?;
    let mut sums = Vec::new();
    let mut waiting = std::collections::BTreeMap::<String, (i64, Centimes)>::new();
    for batch in batches::of_run_in_tx(tx, run.id).await? {
        use crate::domain::batch::BatchState::{Dispatching, Released};
        if matches!(batch.state, Released | Dispatching) {
            let entry = waiting.entry(batch.provider).or_default();
            // In the stream lane some may have left already.
            entry.0 += batch.orders - batch.figures.outcomes;
            entry.1 += batch.amount - Centimes::new(batch.figures.outcomes_amount);
        }
    }
    for (provider, (orders, amount)) in waiting {
        let known = totals.iter().find(|t| t.provider == provider && t.state == OrderState::Released);
        let (before, sum) = known.map_or((0, Centimes::ZERO), |t| (t.orders, t.amount));
        let of = run.at(ids[&provider]);
        sums.push(OrderSum { of, orders: orders - before, amount: amount - sum });
    }
    Ok(sums)
}

/// Stops files from leaving, or lets them leave again; what is under way ends.
///
/// # Errors
/// See [`Refusal`].
pub async fn pause(context: &Context, id: RunId, paused: bool, by: &str) -> Result<Applied<()>, Refusal> {
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Accountant).await?;
    let run = locked_run(&mut tx, id).await?;
    if run.paused == paused {
        return Ok(Applied::Already(()));
    }
    decisions::set_paused_in_tx(&mut tx, id, paused).await?;
    let action = if paused { "run.pause" } else { "run.resume" };
    record(&mut tx, by, action, id, "", context.clock.now()).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}

/// Gives a run up, as long as nothing of it was released: its claims are free again, its reservation is undone.
///
/// # Errors
/// See [`Refusal`].
pub async fn cancel(context: &Context, id: RunId, by: &str) -> Result<Applied<()>, Refusal> {
    let mut tx = context.store.begin().await?;
    let operator = crate::store::access::operators::active_in_tx(&mut tx, by)
        .await?
        .ok_or_else(|| Refusal::not_found(Entity::Operator, by))?;
    reissue::lock_earlier_in_tx(&mut tx, id).await?;
    let run = locked_run(&mut tx, id).await?;
    if run.state == RunState::Cancelled {
        return Ok(Applied::Already(()));
    }
    let state = next_state(&run, RunEvent::Cancel)?;
    let now = context.clock.now();
    let ids = reference::provider_ids_in_tx(&mut tx, &[]).await?;
    let totals = runs::totals_in_tx(&mut tx, id).await?;
    let planned: Vec<OrderSum> = totals
        .iter()
        .filter(|total| total.state == OrderState::Planned)
        .map(|t| OrderSum { of: run.at(ids[&t.provider]), orders: t.orders, amount: t.amount })
        .collect();
    if run.kind == RunKind::Reissue {
        reissue::give_back_in_tx(&mut tx, &run, now).await?;
    }
    books::orders::run_cancelled_in_tx(&mut tx, &run, &planned, now).await?;
    recovery::give_back_in_tx(&mut tx, run.programme_id, id, now).await?;
    if run.kind.is_of_children() {
        children::undo_in_tx(&mut tx, id).await?;
    }
    runs::set_state_in_tx(&mut tx, id, state).await?;
    record(&mut tx, &operator.name, "run.cancel", id, "", now).await?;
    tx.commit().await?;
    Ok(Applied::Now(()))
}
