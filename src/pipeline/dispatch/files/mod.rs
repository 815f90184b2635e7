//! Dispatch: released batches become files in the outbox, or, in the stream lane, shards for the workers.
//!
//! | phase | what happens | commits |
//! |---|---|---|
//! | claim | the run is this process's alone to dispatch; another is told so at once | – |
//! | look | files that left and were not answered are compared with what was recorded of them | – |
//! | intend | message id, file name, value date and time of creation are fixed; stream batches are cut into shards | one, for all released batches |
//! | write | one scan of the orders for each worker, which writes its providers' files side by side | – |
//! | deliver | read back, fsync, rename, `.sha256` | – |
//! | record | batch sent, planned → in flight, audit | one for each file |
//!
//! Guarantee: may be killed at any instant and started again: what was intended is written again to the same bytes, and
//! a sent file that is torn is put right.
//! Limit: one open file for each provider, constant memory.

mod error;
mod format;
mod intent;
mod restore;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument as _;

pub use error::DispatchError;
pub(in crate::pipeline) use format::{FileOrder, Format, MadeWith};

use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::RunId;
use crate::domain::not_found::Entity;
use crate::domain::provider::Provider;
use crate::domain::run::{RunEvent, RunState};
use crate::pipeline::dispatch::to_server;
use crate::pipeline::runs::as_written::{self, WithList};
use crate::pipeline::{Context, Refusal, locked_run, next_state, person};
use crate::rails::bank_file::{self, Delivered, DeliveryError};
use crate::store::access::operators::Role;
use crate::store::audit::chain::{self, Decision};
use crate::store::batches::deliveries::Subject;
use crate::store::batches::exclusive::Exclusive;
use crate::store::batches::{self, Batch, shards};
use crate::store::locks::SessionLock;
use crate::store::registry::reference;
use crate::store::runs::{self, Run};
use crate::store::{StoreError, books};

/// What left.
#[derive(Clone, Debug, Default, serde::Serialize)]
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
    /// Files delivered before that were torn and are whole again.
    pub restored: u64,
    /// Files delivered before that were picked up.
    pub picked_up: u64,
    /// Files delivered before that are missing, whether or not their bank took them.
    pub missing: Vec<String>,
}

/// Files that a person wants written again: their bank did not take them.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// Names of the files.
    pub files: Vec<String>,
    /// The accountant who says so.
    pub by: String,
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
    dispatch_again(context, id, &Again::default()).await
}

/// The same, and files that are missing from the outbox are written `again`.
///
/// # Errors
/// See [`DispatchError`].
pub async fn dispatch_again(
    context: &Context,
    id: RunId,
    again: &Again,
) -> Result<Dispatched, DispatchError> {
    let taken = Exclusive::take(&context.store, SessionLock::Dispatch(id)).await?;
    let mut alone = taken.map_err(|holder| DispatchError::Busy { run: id, holder })?;
    tokio::select! {
        biased;
        done = deliver_all(context, id, again) => done,
        () = alone.lost() => Err(DispatchError::Lost(id)),
    }
}

async fn deliver_all(context: &Context, id: RunId, again: &Again) -> Result<Dispatched, DispatchError> {
    as_written(context, id).await?;
    let (run, batches) = intend(context, id, again).await?;
    let (streamed, batches): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().partition(|b| b.lane == Lane::Stream);
    let (todo, rest): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().partition(|b| b.state == BatchState::Dispatching);
    let already =
        rest.iter().filter(|b| !matches!(b.state, BatchState::Planned | BatchState::Empty)).count() as u64;
    let open = streamed.iter().filter(|b| b.state == BatchState::Dispatching);
    let queued = open.map(|b| (b.orders - b.figures.outcomes) as u64).sum();
    let sent = rest.into_iter().filter(restore::is_unanswered).collect();
    let found = restore::look(context, sent, &again.files).await?;
    clear_drafts(context, todo.iter().chain(&found.torn))?;
    let (missing, picked_up) = (found.missing, found.gone);
    let mut total = Dispatched { already, queued, missing, picked_up, ..Dispatched::default() };
    if !todo.is_empty() {
        deliver(context, &run, todo, &mut total).await?;
    }
    let mut refused = Vec::new();
    for batch in found.torn {
        let name = batch.file_name.clone().unwrap_or_default();
        match deliver(context, &run, vec![batch], &mut total).await {
            // The others are put right all the same.
            Err(DispatchError::Delivery(DeliveryError::Changed(_))) => refused.push(name),
            other => other?,
        }
    }
    finish(context, id).await?;
    if refused.is_empty() { Ok(total) } else { Err(DispatchError::NotWhole(refused)) }
}

/// Takes away what killed dispatches of the run left under temporary names.
fn clear_drafts<'b>(
    context: &Context,
    batches: impl Iterator<Item = &'b Batch>,
) -> Result<(), DispatchError> {
    let mut by_provider: HashMap<&str, Vec<&str>> = HashMap::new();
    for batch in batches {
        by_provider.entry(&batch.provider).or_default().extend(batch.file_name.as_deref());
    }
    for (provider, names) in by_provider {
        bank_file::clear_drafts(&context.home.join("outbox"), provider, &names)?;
    }
    Ok(())
}

/// Writes the files of `batches`, delivers and records them.
async fn deliver(
    context: &Context,
    run: &Run,
    batches: Vec<Batch>,
    total: &mut Dispatched,
) -> Result<(), DispatchError> {
    let orders: i64 = batches.iter().map(|b| b.orders).sum();
    let stage = Arc::new(context.telemetry.stage("dispatch", "orders", Some(orders as u64)));
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let (sender, mut done) = mpsc::channel::<Done>(16);
    let mut tasks = tokio::task::JoinSet::new();
    for share in split_by_provider(batches, workers) {
        let (context, run, sender) = (context.clone(), run.clone(), sender.clone());
        tasks.spawn(write::write_share(context, run, share, sender, Arc::clone(&stage)));
    }
    drop(sender);
    while let Some(done) = done.recv().await {
        let span = tracing::info_span!(
            parent: stage.span(),
            "batch",
            run = run.id.get(),
            batch = done.batch.id.get(),
            provider = done.batch.provider
        );
        if done.batch.state == BatchState::Sent {
            record_restored(context, &done).instrument(span).await?;
            total.restored += 1;
            continue;
        }
        record_sent(context, run, &done).instrument(span).await?;
        total.files += 1;
        total.orders += done.batch.orders as u64;
        total.bytes += done.delivered.bytes;
    }
    while let Some(joined) = tasks.join_next().await {
        joined.expect("dispatch tasks do not panic")?;
    }
    Ok(())
}

/// Records that a file which was torn is whole again.
async fn record_restored(context: &Context, done: &Done) -> Result<(), DispatchError> {
    let mut tx = context.store.begin().await?;
    let name = done.batch.file_name.as_deref().unwrap_or("");
    let decision = Decision {
        actor: "sarf",
        action: "batch.restore",
        subject: &format!("batch {}", done.batch.id),
        detail: &format!("{name} sha256 {}", crate::domain::hex(&done.delivered.sha256)),
        at: context.clock.now(),
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    tracing::warn!(file = name, "file was not whole in the outbox, and was written again");
    Ok(())
}

/// Refuses when something is to leave and rows are not as they were written: before anything is fixed.
async fn as_written(context: &Context, id: RunId) -> Result<(), DispatchError> {
    let mut tx = context.store.begin().await?;
    let run =
        runs::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Run, id))?;
    let batches = batches::of_run_in_tx(&mut tx, id).await?;
    tx.rollback().await?;
    if batches.iter().any(|b| matches!(b.state, BatchState::Released | BatchState::Dispatching)) {
        as_written::require(context, &run, WithList::No).await?;
    }
    Ok(())
}

/// Fixes names and dates of all released batches, and gives all batches of the run.
async fn intend(context: &Context, id: RunId, again: &Again) -> Result<(Run, Vec<Batch>), DispatchError> {
    let mut tx = context.store.begin().await?;
    if !again.files.is_empty() {
        let accountant = person(&mut tx, &again.by, Role::Accountant).await?;
        let decision = Decision {
            actor: &accountant.name,
            action: "batch.again",
            subject: &format!("run {id}"),
            detail: &format!("not taken by the bank: {}", again.files.join(", ")),
            at: context.clock.now(),
        };
        chain::append_in_tx(&mut tx, decision).await?;
    }
    let run = locked_run(&mut tx, id).await?;
    let leaving = matches!(
        run.state,
        RunState::Dispatching | RunState::Settling | RunState::Reconciled | RunState::Closed
    );
    if !leaving {
        return Err(Refusal::WrongState { run: id, step: "dispatched", state: run.state }.into());
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
    let fetches = |p: &&Provider| p.stream.as_ref().is_some_and(|t| !t.capabilities().is_called);
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
        books::orders::batch_sent_in_tx(&mut tx, run.programme_id, batch, now).await?;
        let name = batch.file_name.as_deref().unwrap_or_default();
        let of = Subject::Batch(batch.id);
        to_server::give_in_tx(context, &mut tx, (&batch.provider, name), of, &done.delivered).await?;
        let detail = format!(
            "{} orders {} amount {} sha256 {}",
            batch.file_name.as_deref().unwrap_or(""),
            batch.orders,
            batch.amount,
            crate::domain::hex(&done.delivered.sha256)
        );
        let decision = Decision {
            actor: "sarf",
            action: "batch.send",
            subject: &format!("batch {}", batch.id),
            detail: &detail,
            at: now,
        };
        chain::append_in_tx(&mut tx, decision).await?;
        context.telemetry.metrics.add_file(
            crate::telemetry::Direction::Out,
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
