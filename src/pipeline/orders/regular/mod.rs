//! Entitle and order: each household of a snapshot becomes one order, held or not, or an exclusion with its reason.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | run in draft; cursors over households, earlier run, other programmes, what is shared | rules, places, providers |
//! | stream | households are assessed, routed, compared; rows go into the run's leaves by COPY FREEZE | a few parcels |
//! | index | primary key and one order for each claim, as unique indexes; leaves attached | – |
//! | book | batches planned, totals kept, control accounts posted, checks written, audit record; one commit | – |
//!
//! Changes to households that came as events since the list was made are laid over it; orders of those that change while the
//! orders are made are held at the end.
//!
//! Guarantee: one transaction: a run is there whole or not at all. Repeating the command finds the run.
//! Limit: one order for each household and run.

mod compute;
mod priority;

use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::OrderError;
use super::barring::{barring_runs, of_own_purpose};
use super::book::book;
use super::changed::{self, hold_changed, last_change};
use super::maker::{Inputs, Parcel};
use crate::config::ConfiguredProgramme;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::exceptions::recovery;
use crate::pipeline::{Applied, Context, person};
use crate::store::access::operators::Role;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks;
use crate::store::orders::{self, questions};
use crate::store::registry::{reference, snapshots};
use crate::store::runs::{self, NewRun, rule_sets};
use crate::store::{StoreError, Tx};
use compute::Computation;

/// Makes a run from a snapshot: its orders, holds, comparison and checks.
///
/// # Errors
/// See [`OrderError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    snapshot: SnapshotId,
    kind: RunKind,
    by: &str,
) -> Result<Applied<RunId>, OrderError> {
    let snapshot =
        snapshots::find(&context.store, snapshot).await?.ok_or(OrderError::NoSnapshot(snapshot))?;
    let programme = context
        .config
        .programme(&snapshot.programme)
        .ok_or_else(|| OrderError::UnknownProgramme(snapshot.programme.clone()))?;
    let period = snapshot.period;
    if !programme.rules.pays_in(period) {
        return Err(OrderError::NotPaying { programme: snapshot.programme, period });
    }
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let programme_id = reference::programme_id_in_tx(&mut tx, programme.rules.code().as_str()).await?;
    locks::take_in_tx(&mut tx, Lock::Making(programme_id)).await?;
    // Nobody else makes a run of this programme and period until this one is there whole.
    locks::take_in_tx(&mut tx, Lock::Month(programme_id, period)).await?;
    if let Some(run) = existing_regular(&mut tx, &snapshot, kind).await? {
        return Ok(Applied::Already(run));
    }
    refuse_paid_arrears(context, &mut tx, programme, period).await?;
    let last_change = last_change(context, programme_id).await?;
    recovery::follow(context).await?;
    locks::take_in_tx(&mut tx, Lock::CasesOfRunBeingMade(programme_id)).await?;
    let now = context.clock.now();
    let new = NewRun {
        programme_id,
        period,
        kind,
        snapshot: snapshot.id,
        rules_sha256: &programme.sha256,
        created_by: by,
        created_at: now,
    };
    let run = runs::insert_in_tx(&mut tx, new).await?;
    rule_sets::keep_in_tx(
        &mut tx,
        &programme.sha256,
        programme.rules.code().as_str(),
        programme.rules.fingerprint_input(),
    )
    .await?;
    orders::create_leaves_in_tx(&mut tx, run).await?;
    let purpose = reference::purpose_id_in_tx(&mut tx, programme.rules.purpose().as_str()).await?;
    let codes: Vec<String> = context.config.router.providers().iter().map(|p| p.code.to_string()).collect();
    let providers = reference::provider_ids_in_tx(&mut tx, &codes).await?;
    let previous = runs::previous_regular_in_tx(&mut tx, programme_id, period).await?;
    let barring = barring_runs(&context.config, &mut tx, programme, period, run).await?;
    let doubted = breaks::doubted_households_in_tx(&mut tx).await?;
    let questions = questions::of_programme_in_tx(&mut tx, programme_id).await?;
    let flagged = changed::flagged(context, &mut tx, programme_id, snapshot.id).await?;

    let inputs = Inputs {
        context,
        run,
        programme_id,
        period,
        purpose,
        snapshot: &snapshot,
        programme,
        providers: &providers,
        previous: previous.as_ref(),
        barring: &barring,
        doubted: &doubted,
        correction: false,
        questions: &questions,
        flagged: &flagged,
        now,
    };
    let stage = context.telemetry.stage("order", "households", Some(snapshot.households as u64));
    let (sender, mut parcels) = mpsc::channel::<Parcel>(3);
    let computation = Computation::open(&inputs).await?;
    // The rows travel on a task of their own: the database takes them while the next are worked out.
    let writer = tokio::spawn(async move {
        let received = receive(&mut tx, run, &mut parcels).await;
        (tx, received)
    });
    let computed = computation.run(sender, &stage).await;
    let (mut tx, received) = writer.await.expect("the writing task does not panic");
    received?;
    let mut computed = computed?;
    if computed.households != snapshot.households as u64 {
        return Err(StoreError::Corrupt("households of the snapshot").into());
    }
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    let giving_way = std::mem::take(&mut computed.giving_way);
    book(context, &mut tx, &inputs, programme_id, computed).await?;
    hold_changed(&mut tx, &inputs, last_change).await?;
    priority::give_way_in_tx(&mut tx, &inputs, &giving_way).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Applied::Now(run))
}

async fn receive(tx: &mut Tx, run: RunId, parcels: &mut mpsc::Receiver<Parcel>) -> Result<(), StoreError> {
    while let Some(mut parcel) = parcels.recv().await {
        parcel.send_in_tx(tx, run).await?;
    }
    Ok(())
}

/// The regular run of the period, when this very command made it before.
async fn existing_regular(
    tx: &mut PgConnection,
    snapshot: &snapshots::Snapshot,
    kind: RunKind,
) -> Result<Option<RunId>, OrderError> {
    if kind != RunKind::Regular {
        return Ok(None);
    }
    let programmes = [snapshot.programme.clone()];
    let live = runs::live_of_period_in_tx(tx, &programmes, snapshot.period, RunId::new(0)).await?;
    match live.into_iter().find(|r| r.kind == RunKind::Regular) {
        None => Ok(None),
        Some(run) if run.snapshot == snapshot.id => Ok(Some(run.id)),
        Some(run) => {
            Err(OrderError::RunExists { period: snapshot.period, run: run.id, snapshot: run.snapshot })
        }
    }
}

async fn refuse_paid_arrears(
    context: &Context,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    period: Period,
) -> Result<(), OrderError> {
    for month in programme.rules.months_due(period).into_iter().filter(|m| *m != period) {
        let code = [programme.rules.code().to_string()];
        let live = runs::live_of_period_in_tx(tx, &code, month, RunId::new(0)).await?;
        if !of_own_purpose(&context.config, tx, live).await?.is_empty() {
            return Err(OrderError::ArrearsPaid(month));
        }
    }
    Ok(())
}
