//! Sandbox payment points and wallets: providers that answer over HTTP, from a seed, with what goes wrong switched on at will.
//!
//! Input: requests of the provider API (`docs/provider-api.yaml`) and of the wallet API below `/CODE`. Output: answers,
//! callbacks, the list of changes; settlement files and statements at the day's end.
//! Guarantee: what becomes of an order hangs on the seed and its key alone; under one key a thing is done once; a change that no
//! callback told of is on the list of changes.
//! Limit: everything is in memory, some 200 bytes an order: a sandbox that ends forgets.

mod api;
mod book;
mod callbacks;
mod misfortune;
mod options;
mod settlement;
mod wallet;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::error::SandboxError;
use super::fate::Dice;
use super::options::Share;
use crate::domain::provider::StreamApi;
use crate::rails::stream::wire::Status;
pub use book::PointCounts;
use book::{Book, How};
pub use options::{PointFaults, PointProvider, PointRates, PointsOptions};

/// How often orders ripen and callbacks are gathered.
const BEAT: Duration = Duration::from_millis(10);

/// One provider's side.
pub(super) struct Point {
    told: PointProvider,
    options: Arc<PointsOptions>,
    faults: Arc<Mutex<PointFaults>>,
    book: Mutex<Book>,
    busy: Mutex<(Option<Instant>, u32)>,
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

    fn is_wallet(&self) -> bool {
        self.told.provider.stream.as_ref().is_some_and(|t| t.api == StreamApi::Wallet)
    }

    fn how(&self) -> How<'_> {
        How {
            dice: self.dice(),
            rates: &self.options.rates,
            wallet: self.is_wallet(),
            later: self.options.later,
            now: self.options.clock.now(),
        }
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
                book: Mutex::new(Book::new()),
                busy: Mutex::default(),
            });
            let pages = if point.is_wallet() { wallet::pages() } else { api::pages() };
            router = router.nest(&format!("/{code}"), pages.with_state(Arc::clone(&point)));
            tasks.push(tokio::spawn(ripen(Arc::clone(&point))));
            if options.callback_url.is_some() && !point.is_wallet() {
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
        self.points.iter().map(|(code, point)| (code.clone(), point.book().count())).collect()
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
        let mut drawn = 0;
        for point in self.points.values().filter(|p| !p.is_wallet()) {
            let (dice, share, now) =
                (point.dice(), point.options.rates.uncollected, point.options.clock.now());
            let mut book = point.book();
            let mut keys: Vec<Box<str>> = book
                .orders
                .iter()
                .filter(|(key, held)| {
                    held.status == Status::Available && !dice.hits(share, "uncollected", key)
                })
                .map(|(key, _)| key.clone())
                .collect();
            keys.sort();
            drawn += keys.len() as u64;
            keys.iter().for_each(|key| book.to(key, Status::Collected, now));
        }
        drawn
    }

    /// Ends the business day: a settlement file for each provider that paid something, and the statement that debits it. Gives
    /// the files, settlements first.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn end_day(&self) -> Result<Vec<PathBuf>, SandboxError> {
        let (mut settlements, mut statements) = (Vec::new(), Vec::new());
        for point in self.points.values() {
            if let Some((file, statement)) = settlement::settle(point)? {
                settlements.push(file);
                statements.push(statement);
            }
        }
        settlements.append(&mut statements);
        Ok(settlements)
    }

    /// Whether every change was told by a callback that was taken, or lost on purpose.
    pub fn is_quiet(&self) -> bool {
        self.points.values().all(|p| {
            let book = p.book();
            let waiting = book.orders.values().any(|h| h.status == Status::Accepted);
            !waiting
        })
    }

    /// Ends them.
    pub fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
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
        point.book().ripen(point.is_wallet(), now);
    }
}

/// Whether a draw for the n-th of something falls within a share.
fn strikes(dice: Dice, share: Share, label: &str, code: &str, n: u64) -> bool {
    share != Share::NONE && dice.hits(share, label, &format!("{code} {n}"))
}
