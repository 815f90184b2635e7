//! Entitle and order: each household of a snapshot becomes one order, held or not, or an exclusion with its reason.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | run in draft; cursors over households, earlier run, other programmes, what is shared | rules, places, providers |
//! | stream | households are assessed, routed, compared; rows go into the run's leaves by COPY FREEZE | a few buffers |
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
use super::maker::RowBuffers;
use super::run_builder::RunBuilder;
use crate::config::ConfiguredProgramme;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::{Applied, Context};
use crate::store::orders;
use crate::store::registry::snapshots::Snapshot;
use crate::store::runs;
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
    let pays = |snapshot: &Snapshot, programme: &ConfiguredProgramme| match snapshot.period {
        period if programme.rules.pays_in(period) => Ok(()),
        period => Err(OrderError::NotPaying { programme: snapshot.programme.clone(), period }),
    };
    let (mut tx, builder) = RunBuilder::begin(context, snapshot, by, pays).await?;
    let (programme, period, programme_id) =
        (builder.programme, builder.snapshot.period, builder.programme_id);
    if let Some(run) = existing_regular(&mut tx, &builder.snapshot, kind).await? {
        return Ok(Applied::Already(run));
    }
    refuse_paid_arrears(context, &mut tx, programme, period).await?;
    let mut open = builder.open_in_tx(&mut tx, kind, programme.rules.purpose().as_str()).await?;
    let run = open.run;
    open.previous = runs::previous_regular_in_tx(&mut tx, programme_id, period).await?;
    open.barring = barring_runs(&context.config, &mut tx, programme, period, run).await?;

    let inputs = open.inputs();
    let households = inputs.snapshot.households as u64;
    let stage = context.telemetry.stage("order", "households", Some(households));
    let (sender, mut filled) = mpsc::channel::<RowBuffers>(3);
    let computation = Computation::open(&inputs).await?;
    // The rows travel on a task of their own: the database takes them while the next are worked out.
    let writer = tokio::spawn(async move {
        let received = receive(&mut tx, run, &mut filled).await;
        (tx, received)
    });
    let computed = computation.run(sender, &stage).await;
    let (mut tx, received) = writer.await.expect("the writing task does not panic");
    received?;
    let mut computed = computed?;
    if computed.households != households {
        return Err(StoreError::Corrupt("households of the snapshot").into());
    }
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    let giving_way = std::mem::take(&mut computed.giving_way);
    open.close_in_tx(&mut tx, computed).await?;
    priority::give_way_in_tx(&mut tx, &inputs, &giving_way).await?;
    tx.commit().await?;
    Ok(Applied::Now(run))
}

async fn receive(tx: &mut Tx, run: RunId, filled: &mut mpsc::Receiver<RowBuffers>) -> Result<(), StoreError> {
    while let Some(mut buffers) = filled.recv().await {
        buffers.send_in_tx(tx, run).await?;
    }
    Ok(())
}

/// The regular run of the period, when this very command made it before.
async fn existing_regular(
    tx: &mut PgConnection,
    snapshot: &Snapshot,
    kind: RunKind,
) -> Result<Option<RunId>, OrderError> {
    if kind != RunKind::Regular {
        return Ok(None);
    }
    let programmes = [snapshot.programme.clone()];
    let live = runs::live_of_period_in_tx(tx, &programmes, snapshot.period, None).await?;
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
        let live = runs::live_of_period_in_tx(tx, &code, month, None).await?;
        if !of_own_purpose(&context.config, tx, live).await?.is_empty() {
            return Err(OrderError::ArrearsPaid(month));
        }
    }
    Ok(())
}
