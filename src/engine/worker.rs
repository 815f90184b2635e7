//! A worker of the stream lane: for each provider, loops that work off shards, ask about orders, read changes and sweep.
//!
//! Guarantee: providers share nothing but the database: a slow one slows no other. A database that is away is waited for. A stop
//! finishes what is under way and gives shards back.
//! Limit: two shards of a provider at a time, so that intents of one overlap with requests of the other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::lane::{Lane, LaneError};
use super::shard::Ended;
use super::stop::Stop;
use crate::domain::ids::RunId;
use crate::pipeline::Context;
use crate::pipeline::dispatch::{self, DispatchError};
use crate::pipeline::stream::sweep::{SweepError, sweep};
use crate::store::{StoreError, shards};

/// Shards of one provider that a worker holds at a time.
const SHARDS_AT_ONCE: usize = 2;
/// How often it looks for work when nobody tells of any.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often uncollected orders are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

/// What a worker does.
#[derive(Clone, Debug, Default)]
pub struct WorkerOptions {
    /// Providers; empty for all.
    pub providers: Vec<String>,
    /// One run, until what is due of it is worked off; else everything, until it is stopped.
    pub run: Option<RunId>,
}

/// Works until stopped, or until a run is worked off.
///
/// # Errors
/// When a provider cannot be spoken to at all, or, for one run, when the database is gone.
pub async fn work(context: &Context, options: &WorkerOptions, stop: &Stop) -> Result<(), LaneError> {
    let lanes = Lane::open_all(context, &options.providers).await?;
    let name: Arc<str> = format!("{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or(0)).into();
    let woken = Arc::new(Notify::new());
    let listening = tokio::spawn(listen(context.clone(), Arc::clone(&woken)));
    let (mut work, mut care) = (JoinSet::new(), JoinSet::new());
    // Care goes on as long as work does, and ends with it.
    let ended = Stop::new();
    for lane in lanes {
        for _ in 0..SHARDS_AT_ONCE {
            let worker = Loop { lane: Arc::clone(&lane), name: Arc::clone(&name), woken: Arc::clone(&woken) };
            work.spawn(worker.work_off(options.run, stop.clone()));
        }
        care.spawn(enquire(Arc::clone(&lane), ended.clone()));
        care.spawn(read_changes(Arc::clone(&lane), ended.clone()));
        care.spawn(keep_swept(lane, ended.clone()));
    }
    let mut outcome = Ok(());
    while let Some(joined) = work.join_next().await {
        outcome = outcome.and(joined.expect("work does not panic").map_err(LaneError::from));
    }
    if options.run.is_none() {
        stop.requested().await;
    }
    ended.request();
    while care.join_next().await.is_some() {}
    listening.abort();
    outcome
}

/// Wakes the loops when shards were cut; when the database is away, they look by themselves.
async fn listen(context: Context, woken: Arc<Notify>) {
    loop {
        let listener = sqlx::postgres::PgListener::connect_with(context.store.pool()).await;
        if let Ok(mut listener) = listener
            && listener.listen("sarf_shard").await.is_ok()
        {
            while listener.recv().await.is_ok() {
                woken.notify_waiters();
            }
        }
        tokio::time::sleep(PAUSE_LONGEST).await;
    }
}

struct Loop {
    lane: Arc<Lane>,
    name: Arc<str>,
    woken: Arc<Notify>,
}

impl Loop {
    async fn work_off(self, run: Option<RunId>, stop: Stop) -> Result<(), StoreError> {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut touched = HashSet::new();
        loop {
            let woken = self.woken.notified();
            match self.next(run, &stop, &mut touched).await {
                Ok(true) => backoff.succeeded(),
                Ok(false) => match self.finish(&mut touched).await {
                    Ok(()) if stop.is_requested() || run.is_some() => return Ok(()),
                    Ok(()) => tokio::select! {
                        () = woken => {}
                        _ = stop.sleep(LOOK_EVERY) => {}
                    },
                    // Whoever stops leaves it to the next start.
                    Err(error) if stop.is_requested() || run.is_some() => return Err(error),
                    Err(error) => {
                        tracing::warn!(
                            provider = self.lane.code(),
                            error = super::chain(&error),
                            "runs not moved on"
                        );
                        stop.sleep(backoff.failed(None)).await;
                    }
                },
                Err(error) if run.is_some() => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        provider = self.lane.code(),
                        error = super::chain(&error),
                        "work interrupted"
                    );
                    stop.sleep(backoff.failed(None)).await;
                }
            }
        }
    }

    /// Works off the next shard: whether there was one.
    async fn next(
        &self,
        run: Option<RunId>,
        stop: &Stop,
        touched: &mut HashSet<RunId>,
    ) -> Result<bool, StoreError> {
        if stop.is_requested() {
            return Ok(false);
        }
        let lane = &self.lane;
        let (store, now) = (&lane.context.store, lane.context.clock.now());
        let Some(shard) = shards::claim(store, lane.id, run, &self.name, lane.lease_s(), now).await? else {
            return Ok(false);
        };
        touched.insert(shard.run);
        Ok(lane.work(shard, stop).await? == Ended::Done || !stop.is_requested())
    }

    /// Once there is nothing to do, runs whose shards are all worked off settle.
    async fn finish(&self, touched: &mut HashSet<RunId>) -> Result<(), StoreError> {
        for run in touched.iter().copied().collect::<Vec<_>>() {
            match dispatch::finish(&self.lane.context, run).await {
                Err(DispatchError::Refused(crate::pipeline::Refusal::Store(error))) => return Err(error),
                Err(error) => {
                    tracing::warn!(run = run.get(), error = super::chain(&error), "run not moved on")
                }
                Ok(()) => {}
            }
            touched.remove(&run);
        }
        Ok(())
    }
}

/// Waits between two rounds: not at all after one that found work, longer and longer after failures.
async fn pause(
    lane: &Lane,
    outcome: Result<bool, StoreError>,
    idle: Duration,
    backoff: &mut Backoff,
    stop: &Stop,
) {
    match outcome {
        Ok(more) => {
            backoff.succeeded();
            if !more {
                stop.sleep(idle).await;
            }
        }
        Err(error) => {
            tracing::warn!(provider = lane.code(), error = super::chain(&error), "care interrupted");
            stop.sleep(backoff.failed(None)).await;
        }
    }
}

async fn enquire(lane: Arc<Lane>, stop: Stop) {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    while !stop.is_requested() {
        let outcome = lane.enquire().await;
        pause(&lane, outcome, LOOK_EVERY, &mut backoff, &stop).await;
    }
}

async fn read_changes(lane: Arc<Lane>, stop: Stop) {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    while !stop.is_requested() {
        let outcome = lane.read_changes().await;
        pause(&lane, outcome, LOOK_EVERY, &mut backoff, &stop).await;
    }
}

async fn keep_swept(lane: Arc<Lane>, stop: Stop) {
    while stop.sleep(SWEEP_EVERY).await {
        match sweep(&lane.context, lane.code(), lane.rail()).await {
            Ok(counts) => {
                tracing::info!(provider = lane.code(), orders = counts.applied, "uncollected orders swept")
            }
            Err(SweepError::Store(error)) => {
                tracing::warn!(provider = lane.code(), error = super::chain(&error), "not swept");
            }
            Err(error) => tracing::warn!(provider = lane.code(), error = super::chain(&error), "not swept"),
        }
    }
}
