//! A worker of the stream lane: for each provider, loops that work off shards, ask about orders, read changes and sweep.
//!
//! Guarantee: providers share nothing but the database: a slow one slows no other. A database that is away is waited for, and
//! the shard that was in hand then is gone on with at once. A stop finishes what is under way and gives shards back. Work on one
//! run ends: a provider that answers nothing is left alone after a while, and so is a database that does not come back.
//! Limit: two shards of a provider at a time, so that intents of one overlap with requests of the other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::provider_stream::{ProviderStream, ProviderStreamError};
use super::shard::Ended;
use super::stop::Stop;
use crate::domain::ids::RunId;
use crate::pipeline::Context;
use crate::pipeline::dispatch::files::{self, DispatchError};
use crate::pipeline::dispatch::stream::sweep::{SweepError, sweep};
use crate::store::StoreError;
use crate::store::batches::shards::{self, Shard};

/// Shards of one provider that a worker holds at a time.
const SHARDS_AT_ONCE: usize = 2;
/// How often it looks for work when nobody tells of any.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often uncollected orders are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// How often it looks whether a provider has been silent for too long.
const LISTEN_EVERY: Duration = Duration::from_millis(200);
/// How long work on one run waits for a database that is away.
const DATABASE_AWAY_MAX: Duration = Duration::from_secs(20);
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

/// A provider that answered nothing, so that the rest of a run was left.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LeftAlone {
    /// Its code.
    pub code: String,
    /// For how long.
    #[serde(skip)]
    pub silent_for: Duration,
}

/// Works until stopped, or until a run is worked off; then the providers that were left alone.
///
/// # Errors
/// When a provider cannot be spoken to at all, or, for one run, when the database is gone.
pub async fn work(
    context: &Context,
    options: &WorkerOptions,
    stop: &Stop,
) -> Result<Vec<LeftAlone>, ProviderStreamError> {
    let lanes = ProviderStream::open_all(context, &options.providers).await?;
    let name: Arc<str> = format!("{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or(0)).into();
    let woken = Arc::new(Notify::new());
    let listening = tokio::spawn(listen(context.clone(), Arc::clone(&woken)));
    let (mut work, mut care) = (JoinSet::new(), JoinSet::new());
    // Care goes on as long as work does, and ends with it.
    let ended = Stop::new();
    let patience = Duration::from_secs(context.config.settings.stream.silent_s_max.into());
    let mut stops = Vec::new();
    for lane in lanes {
        let own = Stop::new();
        care.spawn(pass_on(stop.clone(), own.clone(), ended.clone()));
        if options.run.is_some() {
            care.spawn(leave_when_silent(Arc::clone(&lane), patience, own.clone(), ended.clone()));
        }
        stops.push((Arc::clone(&lane), own.clone()));
        for _ in 0..SHARDS_AT_ONCE {
            let (lane, name, woken) = (Arc::clone(&lane), Arc::clone(&name), Arc::clone(&woken));
            let worker = Loop { lane, name, woken, held: None, away_since: None };
            work.spawn(worker.work_off(options.run, own.clone()));
        }
        care.spawn(enquire(Arc::clone(&lane), ended.clone()));
        care.spawn(read_changes(Arc::clone(&lane), ended.clone()));
        care.spawn(keep_swept(lane, ended.clone()));
    }
    let mut outcome = Ok(());
    while let Some(joined) = work.join_next().await {
        outcome = outcome.and(joined.expect("work does not panic").map_err(ProviderStreamError::from));
    }
    if options.run.is_none() {
        stop.requested().await;
    }
    // Those that were left alone, not those that stopped with all others.
    let left = stops.into_iter().filter(|(_, own)| own.is_requested() && !stop.is_requested());
    let left: Vec<LeftAlone> = left
        .map(|(lane, _)| LeftAlone { code: lane.code().to_owned(), silent_for: lane.silent_for() })
        .collect();
    ended.request();
    while care.join_next().await.is_some() {}
    listening.abort();
    outcome.map(|()| left)
}

/// Asks one lane to stop once all are asked.
async fn pass_on(all: Stop, own: Stop, ended: Stop) {
    tokio::select! {
        () = all.requested() => own.request(),
        () = ended.requested() => {}
    }
}

/// Asks a lane to stop whose provider has answered nothing for too long.
async fn leave_when_silent(lane: Arc<ProviderStream>, patience: Duration, own: Stop, ended: Stop) {
    while ended.sleep(LISTEN_EVERY).await {
        if lane.silent_for() >= patience {
            tracing::warn!(provider = lane.code(), "no answer: what is left for it is left");
            own.request();
            return;
        }
    }
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
    lane: Arc<ProviderStream>,
    name: Arc<str>,
    woken: Arc<Notify>,
    /// A shard that was in hand when the database went away: given back first of all, so that nobody waits for its lease.
    held: Option<Shard>,
    /// Since when the database is away.
    away_since: Option<Instant>,
}

impl Loop {
    async fn work_off(mut self, run: Option<RunId>, stop: Stop) -> Result<(), StoreError> {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut touched = HashSet::new();
        loop {
            let woken = Arc::clone(&self.woken);
            let woken = woken.notified();
            match self.next(run, &stop, &mut touched).await {
                Ok(true) => {
                    backoff.succeeded();
                    self.away_since = None;
                }
                Ok(false) => match self.finish(&mut touched).await {
                    Ok(()) if stop.is_requested() || run.is_some() => return Ok(()),
                    Ok(()) => tokio::select! {
                        () = woken => {}
                        _ = stop.sleep(LOOK_EVERY) => {}
                    },
                    // Whoever stops leaves it to the next start.
                    Err(error) if stop.is_requested() || self.gives_up(run, &error) => return Err(error),
                    Err(error) => {
                        tracing::warn!(
                            provider = self.lane.code(),
                            error = super::chain(&error),
                            "runs not moved on"
                        );
                        stop.sleep(backoff.failed(None)).await;
                    }
                },
                Err(error) if self.gives_up(run, &error) => return Err(error),
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

    /// Whether work on one run ends with this error: at once, unless the database is only away, and not for long yet.
    fn gives_up(&mut self, run: Option<RunId>, error: &StoreError) -> bool {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        run.is_some() && (!error.is_gone() || since.elapsed() >= DATABASE_AWAY_MAX)
    }

    /// Works off the next shard: whether there was one.
    async fn next(
        &mut self,
        run: Option<RunId>,
        stop: &Stop,
        touched: &mut HashSet<RunId>,
    ) -> Result<bool, StoreError> {
        if let Some(shard) = &self.held {
            // Claimed again, what got no answer is asked about, as after a killed worker.
            shards::give_back(&self.lane.context.store, shard, false, None).await?;
            self.held = None;
        }
        if stop.is_requested() {
            return Ok(false);
        }
        let lane = &self.lane;
        let (store, now) = (&lane.context.store, lane.context.clock.now());
        let Some(shard) = shards::claim(store, lane.id, run, &self.name, lane.lease_s(), now).await? else {
            return Ok(false);
        };
        touched.insert(shard.run);
        match lane.work(shard.clone(), stop).await {
            Ok(ended) => Ok(ended == Ended::Done || !stop.is_requested()),
            Err(error) => {
                self.held = Some(shard);
                Err(error)
            }
        }
    }

    /// Once there is nothing to do, runs whose shards are all worked off settle.
    async fn finish(&self, touched: &mut HashSet<RunId>) -> Result<(), StoreError> {
        for run in touched.iter().copied().collect::<Vec<_>>() {
            match files::finish(&self.lane.context, run).await {
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
    lane: &ProviderStream,
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

async fn enquire(lane: Arc<ProviderStream>, stop: Stop) {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    while !stop.is_requested() {
        let outcome = lane.enquire().await;
        pause(&lane, outcome, LOOK_EVERY, &mut backoff, &stop).await;
    }
}

async fn read_changes(lane: Arc<ProviderStream>, stop: Stop) {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    while !stop.is_requested() {
        let outcome = lane.read_changes().await;
        pause(&lane, outcome, LOOK_EVERY, &mut backoff, &stop).await;
    }
}

async fn keep_swept(lane: Arc<ProviderStream>, stop: Stop) {
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
