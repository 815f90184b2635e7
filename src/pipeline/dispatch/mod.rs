//! Dispatch: released batches become files in the outbox, or, in the stream lane, shards for the workers.
//!
//! | phase | what happens | commits |
//! |---|---|---|
//! | intend | message id, file name, value date and time of creation are fixed; stream batches are cut into shards | one, for all released batches |
//! | write | one scan of the orders for each worker, which writes its providers' files side by side | – |
//! | deliver | read back, fsync, rename, `.sha256` | – |
//! | record | batch sent, planned → in flight, audit | one for each file |
//!
//! Guarantee: may be killed at any instant and started again: what was intended is written again to the same bytes.
//! Limit: one open file for each provider, constant memory.

mod intent;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::{Context, Refusal, locked_run, next_state};
use crate::domain::batch::{BatchState, Lane};
use crate::domain::calendar::CalendarError;
use crate::domain::ids::RunId;
use crate::domain::ledger::AccountKind;
use crate::domain::order::OrderState;
use crate::domain::provider::{Provider, StreamApi};
use crate::domain::run::{RunEvent, RunState};
use crate::rails::bank_file::{Delivered, DeliveryError};
use crate::store::audit::{self, Decision};
use crate::store::batches::{self, Batch};
use crate::store::ledger::{self, AccountKey, Occasion, Transfer};
use crate::store::runs::{self, Run, TotalMove};
use crate::store::shards;
use crate::store::{StoreError, reference};

/// Why dispatch stopped.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The run does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run is paused.
    #[error("run `{0}` is paused")]
    Paused(RunId),
    /// No value date can be given.
    #[error("value date")]
    Calendar(#[from] CalendarError),
    /// A provider of the run is no longer configured.
    #[error("provider `{0}` is not configured")]
    NoProvider(String),
    /// A file could not be delivered.
    #[error("file")]
    Delivery(#[from] DeliveryError),
}

impl From<StoreError> for DispatchError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<sqlx::Error> for DispatchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// What left.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Dispatched {
    /// Files delivered by this call.
    pub files: u64,
    /// Orders in them.
    pub orders: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files delivered before.
    pub already: u64,
    /// Orders of the stream lane that wait for workers.
    pub queued: u64,
}

/// A batch whose file is done.
struct Done {
    batch: Batch,
    delivered: Delivered,
}

/// Writes and delivers what is released of a run.
///
/// # Errors
/// See [`DispatchError`]; what was delivered before the fault stays delivered and recorded.
pub async fn dispatch(context: &Context, id: RunId) -> Result<Dispatched, DispatchError> {
    let (run, batches) = intend(context, id).await?;
    let (streamed, batches): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().partition(|b| b.lane == Lane::Stream);
    let (todo, rest): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().partition(|b| b.state == BatchState::Dispatching);
    let already =
        rest.iter().filter(|b| !matches!(b.state, BatchState::Planned | BatchState::Empty)).count() as u64;
    let open = streamed.iter().filter(|b| b.state == BatchState::Dispatching);
    let queued = open.map(|b| (b.orders - b.figures.outcomes) as u64).sum();
    let mut total = Dispatched { already, queued, ..Dispatched::default() };
    if !todo.is_empty() {
        let orders: i64 = todo.iter().map(|b| b.orders).sum();
        let stage = Arc::new(context.telemetry.stage("dispatch", "orders", Some(orders as u64)));
        let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        let (sender, mut done) = mpsc::channel::<Done>(16);
        let mut tasks = tokio::task::JoinSet::new();
        for share in split_by_provider(todo, workers) {
            tasks.spawn(write::write_share(
                context.clone(),
                run.clone(),
                share,
                sender.clone(),
                Arc::clone(&stage),
            ));
        }
        drop(sender);
        while let Some(done) = done.recv().await {
            let span = tracing::info_span!(
                parent: stage.span(),
                "batch",
                run = id.get(),
                batch = done.batch.id.get(),
                provider = done.batch.provider
            );
            record_sent(context, &run, &done).instrument(span).await?;
            total.files += 1;
            total.orders += done.batch.orders as u64;
            total.bytes += done.delivered.bytes;
        }
        while let Some(joined) = tasks.join_next().await {
            joined.expect("dispatch tasks do not panic")?;
        }
    }
    finish(context, id).await?;
    Ok(total)
}

/// Fixes names and dates of all released batches, and gives all batches of the run.
async fn intend(context: &Context, id: RunId) -> Result<(Run, Vec<Batch>), DispatchError> {
    let mut tx = context.store.begin().await?;
    let run = locked_run(&mut tx, id).await?;
    let leaving = matches!(
        run.state,
        RunState::Dispatching | RunState::Settling | RunState::Reconciled | RunState::Closed
    );
    if !leaving {
        return Err(Refusal::WrongState { run: id, state: run.state }.into());
    }
    if run.paused {
        return Err(DispatchError::Paused(id));
    }
    let settings = &context.config.settings.stream;
    let fetching = fetching_providers(context, &mut tx).await?;
    shards::cut_in_tx(&mut tx, id, settings.orders_per_shard, &fetching, context.clock.now()).await?;
    for batch in batches::of_run_in_tx(&mut tx, id).await?.iter().filter(|b| b.state == BatchState::Released)
    {
        intent::commit_in_tx(context, &mut tx, &run, batch).await?;
    }
    let batches = batches::of_run_in_tx(&mut tx, id).await?;
    tx.commit().await?;
    Ok((run, batches))
}

/// Numbers of the providers that fetch work lists.
async fn fetching_providers(context: &Context, tx: &mut sqlx::PgConnection) -> Result<Vec<i16>, StoreError> {
    let ids = reference::provider_ids_in_tx(tx, &[]).await?;
    let fetches = |p: &&Provider| p.stream.as_ref().is_some_and(|t| t.api == StreamApi::Worklist);
    let providers = context.config.router.providers().iter().filter(fetches);
    Ok(providers.filter_map(|p| ids.get(p.code.as_str()).copied()).collect())
}

/// Shares the work by provider, the largest first to whoever has least: a provider's files are written by one worker.
fn split_by_provider(todo: Vec<Batch>, workers: usize) -> Vec<Vec<Batch>> {
    let mut by_provider: HashMap<i16, Vec<Batch>> = HashMap::new();
    for batch in todo {
        by_provider.entry(batch.provider_id).or_default().push(batch);
    }
    let weight = |batches: &Vec<Batch>| batches.iter().map(|b| b.orders).sum::<i64>();
    let mut groups: Vec<Vec<Batch>> = by_provider.into_values().collect();
    groups.sort_by_key(|g| (-weight(g), g[0].provider_id));
    let mut shares: Vec<Vec<Batch>> = vec![Vec::new(); workers.min(groups.len())];
    for group in groups {
        let lightest = shares.iter_mut().min_by_key(|s| weight(s)).expect("at least one share");
        lightest.extend(group);
    }
    shares
}

/// Records a delivered file: state and posting in one transaction.
async fn record_sent(context: &Context, run: &Run, done: &Done) -> Result<(), DispatchError> {
    let (batch, now) = (&done.batch, context.clock.now());
    let mut tx = context.store.begin().await?;
    if batches::sent_in_tx(&mut tx, batch.id, &done.delivered.sha256, done.delivered.bytes, now).await? {
        let key = |kind| AccountKey::of_run(run.programme_id, run.id, batch.provider_id, kind);
        let transfer = Transfer {
            debit: key(AccountKind::InFlight),
            credit: key(AccountKind::Planned),
            amount: batch.amount,
        };
        ledger::post_in_tx(
            &mut tx,
            &[transfer],
            Occasion { why: "batch sent", batch: Some(batch.id), message: None, at: now },
        )
        .await?;
        let moved = TotalMove {
            provider: batch.provider_id,
            from: Some(OrderState::Released),
            to: OrderState::Sent,
            orders: batch.orders,
            amount: batch.amount,
        };
        runs::move_totals_in_tx(&mut tx, run.id, &[moved]).await?;
        let detail = format!(
            "{} orders {} amount {} sha256 {}",
            batch.file_name.as_deref().unwrap_or(""),
            batch.orders,
            batch.amount,
            super::hex(&done.delivered.sha256)
        );
        let decision = Decision {
            actor: "sarf",
            action: "batch.send",
            subject: &format!("batch {}", batch.id),
            detail: &detail,
            at: now,
        };
        audit::append_in_tx(&mut tx, decision).await?;
        context.telemetry.metrics.add_file(
            crate::telemetry::metrics::Direction::Out,
            "pain.001",
            &batch.provider,
            done.delivered.bytes,
        );
    }
    tx.commit().await?;
    tracing::info!(orders = batch.orders, bytes = done.delivered.bytes, "file delivered");
    Ok(())
}

/// Once all released batches have left, the run settles. Workers of the stream lane call this after each shard.
///
/// # Errors
/// See [`DispatchError`].
pub async fn finish(context: &Context, id: RunId) -> Result<(), DispatchError> {
    let mut tx = context.store.begin().await?;
    let run = locked_run(&mut tx, id).await?;
    shards::finish_batches_in_tx(&mut tx, id, context.clock.now()).await?;
    let waiting = batches::of_run_in_tx(&mut tx, id).await?;
    let waiting = waiting.iter().any(|b| matches!(b.state, BatchState::Released | BatchState::Dispatching));
    if run.state == RunState::Dispatching && !waiting {
        runs::set_state_in_tx(&mut tx, id, next_state(&run, RunEvent::Delivered)?).await?;
    }
    tx.commit().await?;
    Ok(())
}
