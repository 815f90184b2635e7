//! Sandbox payment points and wallets: providers that answer over HTTP, from a seed, with what goes wrong switched on at will.
//!
//! Input: requests of the provider API (`docs/provider-api.yaml`), of the wallet API and of instant lanes below `/CODE`. Output: answers,
//! callbacks, the list of changes; settlement files and statements at the day's end.
//! Guarantee: what becomes of an order hangs on the seed and its key alone; under one key a thing is done once; a change that no
//! callback told of is on the list of changes.
//! Limit: orders are in memory, some 200 bytes each: a sandbox that ends forgets them; only the numbers and balances of its
//! statements are kept, in the inbox.

mod api;
mod book;
mod callbacks;
mod instant;
mod misfortune;
mod options;
mod settlement;
#[cfg(test)]
mod tests;
mod wallet;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::chance::Dice;
use super::{SandboxError, Share};
use crate::config::Config;
use crate::domain::batch::Lane;
use crate::domain::provider::StreamApi;
use crate::rails::stream::secrets::{self, SecretError};
use crate::rails::stream::wire::Status;
pub use book::PointCounts;
use book::{Book, How};
pub use options::{PointFaults, PointProvider, PointRates, PointsOptions};

/// The providers of the stream lane, with their secrets, which are drawn where none was agreed.
///
/// # Errors
/// When a secret can be neither read nor kept.
pub fn providers(config: &Config, home: &Path) -> Result<Vec<PointProvider>, SecretError> {
    let streamed = config.router.providers().iter().filter(|p| config.lane(p) == Lane::Stream);
    streamed
        .map(|provider| {
            let secret = secrets::read_or_make(home, provider.code.as_str())?;
            Ok(PointProvider { provider: provider.clone(), secret })
        })
        .collect()
}

/// How often orders ripen and callbacks are gathered.
const BEAT: Duration = Duration::from_millis(10);
/// So many orders are looked at under one lock when payees draw: requests get in between.
const DRAWN_AT_ONCE: usize = 10_000;

/// One provider's side.
pub(super) struct Point {
    told: PointProvider,
    options: Arc<PointsOptions>,
    faults: Arc<Mutex<PointFaults>>,
    book: Mutex<Book>,
    busy: Mutex<(Option<Instant>, u32)>,
    /// Held while the day is settled.
    settling: Mutex<()>,
    /// Changes that callbacks are done with: taken, given up, or lost on purpose.
    callbacks_done: AtomicUsize,
}

impl Point {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> PointFaults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dice(&self) -> Dice {
        Dice::new(self.options.seed)
    }

    fn api(&self) -> Option<StreamApi> {
        self.told.provider.stream.as_ref().map(|terms| terms.api)
    }

    /// Whether money goes to a wallet or an account at once, and nothing is told of it unless asked.
    fn credits(&self) -> bool {
        self.api().is_some_and(|api| api.capabilities().is_called && !api.capabilities().reports)
    }

    fn how(&self) -> How<'_> {
        How {
            dice: self.dice(),
            rates: &self.options.rates,
            credits: self.credits(),
            later: self.options.later,
            now: self.options.clock.now(),
        }
    }

    fn has_callbacks(&self) -> bool {
        self.options.callback_url.is_some() && !self.credits()
    }

    /// Moves what is at hand and wanted, a few orders at a time; how many were moved.
    fn move_available(&self, to: Status, wanted: impl Fn(&str) -> bool) -> u64 {
        let (mut all, mut from) = (0, Some(0));
        while let Some(begin) = from {
            let now = self.options.clock.now();
            let (moved, next) = self.book().move_available((begin, DRAWN_AT_ONCE), to, now, &wanted);
            (all, from) = (all + moved, next);
        }
        all
    }
}

/// The payment points, running.
pub struct Points {
    address: SocketAddr,
    points: BTreeMap<String, Arc<Point>>,
    faults: Arc<Mutex<PointFaults>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Points {
    /// Starts them.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(options: PointsOptions) -> Result<Self, SandboxError> {
        let path = PathBuf::from(options.listen.to_string());
        let listener = TcpListener::bind(options.listen).await.map_err(SandboxError::io(&path))?;
        let address = listener.local_addr().map_err(SandboxError::io(&path))?;
        let faults = Arc::new(Mutex::new(options.faults));
        let options = Arc::new(options);
        let (mut points, mut router, mut tasks) = (BTreeMap::new(), Router::new(), Vec::new());
        for told in options.providers.clone() {
            let code = told.provider.code.to_string();
            let point = Arc::new(Point {
                told,
                options: Arc::clone(&options),
                faults: Arc::clone(&faults),
                book: Mutex::default(),
                busy: Mutex::default(),
                settling: Mutex::default(),
                callbacks_done: AtomicUsize::new(0),
            });
            let pages = match point.api() {
                Some(StreamApi::Wallet) => wallet::pages(),
                Some(StreamApi::Instant) => instant::pages(),
                Some(StreamApi::Provider | StreamApi::Worklist) | None => api::pages(),
            };
            router = router.nest(&format!("/{code}"), pages.with_state(Arc::clone(&point)));
            tasks.push(tokio::spawn(ripen(Arc::clone(&point))));
            if point.has_callbacks() {
                tasks.push(tokio::spawn(callbacks::tell(Arc::clone(&point))));
            }
            points.insert(code, point);
        }
        tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox ended");
            }
        }));
        Ok(Self { address, points, faults, tasks })
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what goes wrong from now on.
    pub fn switch(&self, faults: PointFaults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Figures by provider.
    pub fn counts(&self) -> BTreeMap<String, PointCounts> {
        self.points.iter().map(|(code, point)| (code.clone(), point.book().counts)).collect()
    }

    /// Orders that a provider has taken.
    pub fn orders_taken(&self, provider: &str) -> u64 {
        self.points.get(provider).map_or(0, |point| point.book().counts.orders)
    }

    /// When how many orders came to a provider, in the order they came.
    pub fn arrivals(&self, provider: &str) -> Vec<(Instant, u32)> {
        self.points.get(provider).map_or_else(Vec::new, |point| point.book().arrivals.clone())
    }

    /// Payees draw what is at hand, but for those who never come. How many did.
    pub fn collect(&self) -> u64 {
        self.collect_share(Share::ALL)
    }

    /// As [`collect`](Self::collect), but so far only this share of them come, the same ones each time.
    pub fn collect_share(&self, share: Share) -> u64 {
        let draw = |point: &Arc<Point>| {
            let (dice, never) = (point.dice(), point.options.rates.uncollected);
            let comes = |key: &str| !dice.hits(never, "uncollected", key) && dice.hits(share, "comes", key);
            point.move_available(Status::Collected, comes)
        };
        self.points.values().filter(|p| !p.credits()).map(draw).sum()
    }

    /// What is still at hand expires: the providers sweep it by themselves. How many did.
    pub fn expire(&self) -> u64 {
        self.points.values().map(|point| point.move_available(Status::Expired, |_| true)).sum()
    }

    /// Ends the business day: a settlement file for each provider that paid something, and the statement that debits it. Gives
    /// the files, settlements first.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn end_day(&self) -> Result<Vec<PathBuf>, SandboxError> {
        let (mut settlements, mut statements) = (Vec::new(), Vec::new());
        for point in self.points.values() {
            if let Some(mut end) = settlement::settle(point)? {
                settlements.append(&mut end.settlements);
                statements.push(end.statement);
            }
        }
        settlements.append(&mut statements);
        Ok(settlements)
    }

    /// Whether nothing is under way: no order is still to come to hand, no callback still to be told.
    pub fn is_quiet(&self) -> bool {
        self.points.values().all(|point| {
            let done = point.callbacks_done.load(Ordering::Acquire);
            let book = point.book();
            book.counts.accepted == 0 && (!point.has_callbacks() || done == book.changed())
        })
    }

    /// Ends them: new connections are refused, open ones closed once their answer is out.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn ripen(point: Arc<Point>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let now = point.options.clock.now();
        point.book().ripen(point.credits(), now);
    }
}

/// Whether a draw for the n-th of something falls within a share.
fn strikes(dice: Dice, share: Share, label: &str, code: &str, n: u64) -> bool {
    share != Share::NONE && dice.hits(share, label, &format!("{code} {n}"))
}
