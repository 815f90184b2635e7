//! The year's stream lane: sandbox payment points with faults switched on, and a worker.
//!
//! Limit: the API for callbacks is opened, and closed again, by whoever starts the lane.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::batch::Lane;
use crate::domain::ids::RunId;
use crate::domain::order::OrderState;
use crate::engine::provider_stream::{ProviderStream, ProviderStreamError};
use crate::engine::stop::Stop;
use crate::engine::worker::{self, WorkerOptions};
use crate::pipeline::Context;
use crate::pipeline::dispatch::stream::sweep::sweep;
use crate::sandbox::points::{self, PointFaults, PointRates, Points, PointsOptions};
use crate::store::runs::{RunTotal, totals_in_tx};

/// How often it looks whether everything is known.
const BEAT: Duration = Duration::from_millis(100);
/// Longest wait without anything moving: faults make some things take their time, none this long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How the stream lane is started.
pub struct LaneOptions {
    /// What fates and faults are drawn from.
    pub seed: u64,
    /// Where the providers' callbacks go.
    pub callback_url: String,
    /// The providers' clock.
    pub clock: Clock,
    /// What goes wrong at first.
    pub faults: PointFaults,
    /// Milliseconds after which a request is given up.
    pub timeout_ms: u64,
}

/// What runs beside the months.
pub struct Lanes {
    points: Points,
    stop: Stop,
    worker: JoinHandle<Result<(), ProviderStreamError>>,
}

impl Lanes {
    /// Starts the payment points and a worker, and points the configuration at them.
    ///
    /// # Errors
    /// When a secret cannot be kept, or the payment points' address not be listened on.
    pub async fn start(context: &mut Context, config: Config, options: LaneOptions) -> anyhow::Result<Self> {
        let LaneOptions { seed, callback_url, clock, faults, timeout_ms } = options;
        let points = Points::start(PointsOptions {
            listen: "127.0.0.1:0".parse().expect("an address"),
            providers: points::providers(&config, &context.home)?,
            callback_url: Some(callback_url),
            later: Some(Duration::from_millis(50)),
            seed,
            faults,
            rates: PointRates::default(),
            clock,
            inbox: context.home.join("inbox"),
        })
        .await?;
        context.config = Arc::new(pointed_at(config, points.address(), timeout_ms));
        let stop = Stop::new();
        let (context, asked) = (context.clone(), stop.clone());
        let worker =
            tokio::spawn(
                async move { worker::work(&context, &WorkerOptions::default(), &asked).await.map(drop) },
            );
        Ok(Self { points, stop, worker })
    }

    /// Changes what goes wrong from now on.
    pub(super) fn switch(&self, faults: PointFaults) {
        self.points.switch(faults);
    }

    /// Waits until it is known of every order what became of it: how many are at hand at a payment point.
    ///
    /// # Errors
    /// When the worker ended, or nothing moves any more.
    pub async fn settle_down(&self, context: &Context, runs: &[RunId]) -> anyhow::Result<i64> {
        use OrderState::{Accepted, Released, Sent, Unknown};
        let moving = |totals: &[RunTotal]| -> i64 {
            let files: Vec<&str> = context
                .config
                .router
                .providers()
                .iter()
                .filter(|p| context.config.lane(p) == Lane::File)
                .map(|p| p.code.as_str())
                .collect();
            let on_its_way = |t: &&RunTotal| matches!(t.state, Released | Sent | Unknown | Accepted);
            let streamed = |t: &&RunTotal| !files.contains(&t.provider.as_str());
            totals.iter().filter(on_its_way).filter(streamed).map(|t| t.orders).sum()
        };
        self.until(context, runs, "hand-over", moving).await
    }

    /// Payees draw their money; those who do not come are swept after the days that their provider gives: how many drew.
    ///
    /// # Errors
    /// When the worker ended, or nothing moves any more.
    pub async fn draw(&self, context: &Context, runs: &[RunId]) -> anyhow::Result<u64> {
        let drawn = self.points.collect();
        let left: i64 = self.points.counts().values().map(|c| c.available as i64).sum();
        self.until(context, runs, "draw", |totals| available(totals) - left).await?;
        let mut later = context.clone();
        later.clock = Clock::fixed(context.clock.now() + time::Duration::days(60));
        for lane in ProviderStream::open_all(context, &[]).await? {
            // Faults strike here too; a sweep is safe to repeat.
            for tries in 1.. {
                match sweep(&later, lane.code(), lane.rail()).await {
                    Ok(_) => {}
                    Err(error) if tries == 20 => return Err(error.into()),
                    Err(_) => tokio::time::sleep(BEAT).await,
                }
                if tries > 2 {
                    break;
                }
            }
        }
        self.until(context, runs, "sweep", available).await?;
        Ok(drawn)
    }

    /// Ends the providers' day: settlement files and statements.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn end_day(&self) -> anyhow::Result<Vec<PathBuf>> {
        Ok(tokio::task::block_in_place(|| self.points.end_day())?)
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// What the worker failed of.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.request();
        self.worker.await.context("the worker")??;
        self.points.stop();
        Ok(())
    }

    /// Waits until nothing is left, as long as something moves: how many orders are at hand then.
    async fn until(
        &self,
        context: &Context,
        runs: &[RunId],
        stage: &'static str,
        left: impl Fn(&[RunTotal]) -> i64,
    ) -> anyhow::Result<i64> {
        let (mut moved, mut before, mut progress) = (Instant::now(), i64::MAX, None);
        loop {
            let mut tx = context.store.begin().await?;
            let mut totals = Vec::new();
            for run in runs {
                totals.extend(totals_in_tx(&mut tx, *run).await?);
            }
            tx.rollback().await?;
            let now = left(&totals).max(0);
            let progress = progress
                .get_or_insert_with(|| context.telemetry.stage(stage, "orders", u64::try_from(now).ok()));
            if now < before {
                progress.add(if before == i64::MAX { 0 } else { (before - now) as u64 });
                (before, moved) = (now, Instant::now());
            }
            if now == 0 {
                return Ok(available(&totals));
            }
            anyhow::ensure!(!self.worker.is_finished(), "the worker ended");
            anyhow::ensure!(moved.elapsed() < PATIENCE, "orders of the stream lane are still on their way");
            tokio::time::sleep(BEAT).await;
        }
    }
}

fn available(totals: &[RunTotal]) -> i64 {
    totals.iter().filter(|t| t.state == OrderState::Available).map(|t| t.orders).sum()
}

/// The configuration with the sandbox's address, and with patience and pace fit for a demo.
fn pointed_at(mut config: Config, address: SocketAddr, timeout_ms: u64) -> Config {
    config.router.change_terms(|provider| {
        let code = provider.code.clone();
        let Some(terms) = &mut provider.stream else { return };
        terms.url = format!("http://{address}/{code}");
        terms.timeout_ms = timeout_ms;
        terms.enquire_after_s = 1;
        terms.believe_absent_after_s = if timeout_ms < 1_000 { 1 } else { 2 };
        terms.changes_every_s = if timeout_ms < 1_000 { 1 } else { 2 };
        // The whole country in minutes, not in the days that its payment points would take.
        terms.orders_per_second = if terms.orders_per_request > 1 { 15_000 } else { 3_000 };
        terms.requests_per_second = terms.orders_per_second / terms.orders_per_request.max(1) + 1;
        terms.concurrency = terms.concurrency.max(32);
        provider.daily_capacity = u32::MAX;
    });
    config
}
