//! A test's own engine: database, home, clock, people, and the month's steps in short.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sarf::clock::Clock;
use sarf::config::Config;
use sarf::domain::ids::{Code, RunId, SnapshotId};
use sarf::domain::period::Period;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::dispatch::files as dispatch;
use sarf::pipeline::messages::{self, FeedbackError, Imported};
use sarf::pipeline::orders::regular;
use sarf::pipeline::reports::verify;
use sarf::pipeline::runs::{approve, fund, reconcile};
use sarf::pipeline::{Context, intake};
use sarf::sandbox::Share;
use sarf::sandbox::banks::{Answers, Faults, Rates, Sandbox, SandboxOptions, StatusStyle};
use sarf::sandbox::registry::{GenerateOptions, generate};
use sarf::store::StoreError;
use sarf::store::orders::{self, order_state};
use sarf::store::{Store, cluster};
use sarf::telemetry::Telemetry;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use time::macros::datetime;

use super::cluster::{TEMPLATE, shared};
use super::{TempHome, config_folder, without_postgres};
use crate::chart;

pub const PREPARER: &str = "amina";
pub const APPROVER: &str = "brahim";
pub const ACCOUNTANT: &str = "chafik";
/// Enrols the others.
pub const ADMINISTRATOR: &str = "sara";

/// More rejections and returns than banks have, so that few households show all of them.
pub const RATES: Rates = Rates {
    rejected: Share::per_million(40_000),
    returned: Share::per_million(80_000),
    notified: Share::per_million(500_000),
    ..Rates::NONE
};

/// The month that scenarios pay.
pub fn period() -> Period {
    "2026-11".parse().expect("a period")
}

/// Household and state of every order of a run, in sets: another way than the engine's own, which walks the rows.
pub fn standing_sql(run: RunId) -> String {
    let (leaf, state) = (orders::leaf(run), order_state::state());
    format!(
        "select o.household_id || ' ' || {state} from {leaf} o join run r on r.id = {run}
           {} order by 1",
        order_state::join_in_sets(run)
    )
}

/// The configuration in the tree, all providers in the file lane.
fn files_only() -> Config {
    let mut config = Config::read(&config_folder()).expect("the configuration in the tree can be used");
    config.settings.stream.enabled = false;
    config
}

pub struct Bed {
    pub context: Context,
    home: Arc<TempHome>,
    database: String,
    options: PgConnectOptions,
}

impl Bed {
    /// A bed with the configuration in the tree, all providers in the file lane; `None` where there is no PostgreSQL and
    /// its tests may be skipped.
    pub async fn new() -> Option<Self> {
        Self::with(|_| ()).await
    }

    /// A bed whose configuration is changed first; all providers are in the file lane unless that changes it.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Option<Self> {
        let mut config = files_only();
        change(&mut config);
        Self::make(Arc::new(config), Arc::new(TempHome::new("b")), Some(TEMPLATE)).await
    }

    /// A bed whose database is what an earlier release left, not migrated yet.
    pub async fn of_release(dump: &str) -> Option<Self> {
        let config = files_only();
        let bed = Self::make(Arc::new(config), Arc::new(TempHome::new("b")), None).await?;
        // On a connection of its own: a dump leaves the session without a search path.
        let mut connection = bed.options.connect().await.expect("the server answers");
        let laid = sqlx::raw_sql(AssertSqlSafe(dump.to_owned())).execute(&mut connection).await;
        laid.expect("the dump is laid in");
        connection.close().await.expect("closed");
        Some(bed)
    }

    async fn make(config: Arc<Config>, home: Arc<TempHome>, template: Option<&str>) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        /// PostgreSQL copies a template while nobody else does.
        static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let Some(shared) = shared() else {
            without_postgres();
            return None;
        };
        let database = format!("sarf_it_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        {
            let _alone = COPYING.lock().await;
            let made = cluster::recreate_database(&shared.options, &database, template).await;
            made.unwrap_or_else(|e| panic!("database of the test: {e}: {:?}", std::error::Error::source(&e)));
        }
        let options = shared.options.clone().database(&database);
        let store = Store::connect(options.clone(), 12).await.expect("the test's database answers");
        super::give_keys_to_people(home.path());
        let store = store.anchored(home.path());
        let context = Context {
            store,
            config,
            telemetry: Telemetry::silent(),
            clock: Clock::fixed(datetime!(2026-11-24 09:00 UTC)),
            home: home.path().to_owned(),
        };
        Some(Self { context, home, database, options })
    }

    /// Copies of the database as it is now, which share the home; this bed is used up.
    pub async fn fork(self, copies: usize) -> Vec<Self> {
        self.context.store.pool().close().await;
        let mut beds = Vec::new();
        for _ in 0..copies {
            let config = Arc::clone(&self.context.config);
            beds.extend(Self::make(config, Arc::clone(&self.home), Some(&self.database)).await);
        }
        self.end().await;
        beds
    }

    /// Copies of the database as it is now, which share the home; this bed goes on once they are made.
    pub async fn copies(&self, copies: usize) -> Vec<Self> {
        // PostgreSQL copies what nobody is connected to: connections of the pool are ended, and come again.
        let shared = shared().expect("the bed has a server");
        let mut beds = Vec::new();
        for _ in 0..copies {
            let mut connection = shared.options.connect().await.expect("the server answers");
            sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
                .bind(&self.database)
                .execute(&mut connection)
                .await
                .expect("connections are ended");
            let config = Arc::clone(&self.context.config);
            beds.extend(Self::make(config, Arc::clone(&self.home), Some(&self.database)).await);
        }
        beds
    }

    /// Closes the pool and drops the database. A test that fails leaves it.
    pub async fn end(self) {
        self.context.store.pool().close().await;
        let Some(shared) = shared() else { return };
        if !shared.external {
            return; // Goes with the server.
        }
        let mut connection = shared.options.connect().await.expect("the server answers");
        let drop = format!("drop database \"{}\" with (force)", self.database);
        sqlx::query(AssertSqlSafe(drop))
            .execute(&mut connection)
            .await
            .expect("the test's database is dropped");
    }

    /// Changes the configuration of a bed that stands.
    pub fn change(&mut self, change: impl FnOnce(&mut Config)) {
        let config = Arc::get_mut(&mut self.context.config).expect("nobody else holds the configuration");
        change(config);
    }

    /// The same bed with a clock that runs.
    pub fn with_running_clock(mut self) -> Self {
        self.context.clock = Clock::system();
        self
    }

    /// The same bed, whose database may not plan by these means (`hashjoin`, `seqscan` …): rows without an order come in
    /// another one.
    pub async fn planning_without(mut self, means: &[&str]) -> Self {
        self.context.store.pool().close().await;
        let off = means.iter().map(|means| (format!("enable_{means}"), "off"));
        let options = self.options.clone().options(off);
        let store = Store::connect(options, 12).await.expect("the test's database answers");
        self.context.store = store.anchored(self.home.path());
        self
    }

    /// The address of the bed's database, for the program.
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn outbox(&self) -> PathBuf {
        self.context.home.join("outbox")
    }

    // The month's steps.

    /// A synthetic snapshot of [`period`].
    pub fn generate(&self, households: u64, seed: u64) -> PathBuf {
        let folder = self.home().join(format!("snapshot-{households}-{seed}"));
        let options = GenerateOptions::new(
            households,
            period(),
            Code::parse("dss").expect("a code"),
            seed,
            folder.clone(),
        );
        generate(&options, |_| ()).expect("a synthetic snapshot");
        folder
    }

    pub async fn import(&self, folder: &Path) -> SnapshotId {
        intake::import(&self.context, folder).await.unwrap_or_else(|e| panic!("import: {e}")).into_inner().id
    }

    /// The regular run of a snapshot.
    pub async fn create(&self, snapshot: SnapshotId) -> RunId {
        regular::create(&self.context, snapshot, RunKind::Regular, PREPARER)
            .await
            .expect("a run")
            .into_inner()
    }

    /// A run of so many synthetic households, taken to a state (settling: all files have left).
    pub async fn run_to(&self, households: u64, seed: u64, state: RunState) -> RunId {
        let snapshot = self.import(&self.generate(households, seed)).await;
        let run = self.create(snapshot).await;
        self.take_to(run, state).await;
        run
    }

    /// Takes a run on to a state.
    pub async fn take_to(&self, run: RunId, state: RunState) {
        let (context, from) = (&self.context, self.state(run).await);
        for step in [
            RunState::Submitted,
            RunState::Approved,
            RunState::Funded,
            RunState::Dispatching,
            RunState::Settling,
        ] {
            if step <= from || step > state {
                continue;
            }
            match step {
                RunState::Submitted => {
                    approve::acknowledge(context, run, PREPARER, "seen").await.expect("acknowledged");
                    approve::submit(context, run, PREPARER).await.expect("submitted");
                }
                RunState::Approved => drop(approve::approve(context, run, APPROVER).await.expect("approved")),
                RunState::Funded => drop(fund::fund(context, run, ACCOUNTANT).await.expect("funded")),
                RunState::Dispatching => {
                    assert!(fund::release(context, run, None, ACCOUNTANT).await.expect("released").is_now());
                }
                _ => drop(dispatch::dispatch(context, run).await.expect("dispatched")),
            }
        }
        assert_eq!(self.state(run).await, state);
    }

    /// The banks answer what lies in the outbox.
    pub fn answer(&self, faults: Faults, statuses: StatusStyle) -> Answers {
        self.answer_from(7, faults, statuses)
    }

    pub fn answer_from(&self, seed: u64, faults: Faults, statuses: StatusStyle) -> Answers {
        let options = SandboxOptions {
            outbox: self.outbox(),
            inbox: self.context.home.join("inbox"),
            seed,
            now: self.context.clock.now(),
            rates: RATES,
            statuses,
            faults,
        };
        Sandbox::new(options).answer_all(&|_| ()).expect("the banks answer")
    }

    /// Imports messages in the order given.
    pub async fn feedback(&self, files: Vec<PathBuf>) -> Vec<(PathBuf, Result<Imported, FeedbackError>)> {
        messages::import(&self.context, files).await.expect("lanes are read")
    }

    /// Imports messages that must all be taken.
    pub async fn feedback_taken(&self, files: Vec<PathBuf>) {
        for (path, result) in self.feedback(files).await {
            result.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }

    pub async fn reconcile(&self, run: RunId) -> reconcile::Reconciliation {
        reconcile::reconcile(&self.context, run).await.expect("reconciled")
    }

    // What is looked at.

    pub async fn state(&self, run: RunId) -> RunState {
        let text = self.rows(&format!("select state from run where id = {run}")).await.remove(0);
        RunState::parse(&text).expect("a state")
    }

    /// One number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let number = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(sql.to_owned()))
            .fetch_one(self.context.store.pool())
            .await;
        number.unwrap_or_else(|e| panic!("{sql}: {e}")).unwrap_or(0)
    }

    /// The only column, a text, of a query's rows.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let rows =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(self.context.store.pool()).await;
        rows.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Runs statements; the database's refusal is the error.
    pub async fn execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.context.store.pool()).await.map(drop)
    }

    /// Runs statements in a transaction of the engine, which vouches for them: what a test sets up, not what it forges.
    pub async fn write(&self, sql: &str) -> Result<(), StoreError> {
        let mut tx = self.context.store.begin().await.expect("begun");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Where every order stands: household and state.
    pub async fn order_states(&self, run: RunId) -> Vec<String> {
        self.rows(&standing_sql(run)).await
    }

    /// Kinds of open breaks of the books, with how many.
    pub async fn open_breaks(&self) -> Vec<String> {
        self.rows(
            "select kind || ' ' || count(*) from break where resolved_at is null and kind <> 'payee_in_doubt' group by kind order by kind",
        )
        .await
    }

    /// Guarantees that do not hold, each with its figures.
    pub async fn failing(&self) -> Vec<String> {
        let proofs = verify::verify(&self.context, None).await.expect("verify runs");
        assert!(proofs.len() > 5, "verify looks at something");
        proofs
            .into_iter()
            .filter(|p| !p.holds)
            .map(|p| format!("{} {}: {} ({})", p.guarantee, p.scope, p.claim, p.figures))
            .collect()
    }

    /// The books hold, whatever the test itself changed by hand.
    pub async fn books_hold(&self) {
        let failing = self.failing().await;
        let books: Vec<&String> = failing.iter().filter(|f| !f.starts_with("6 ")).collect();
        assert!(books.is_empty(), "{books:#?}");
    }

    pub async fn verify_all_holds(&self) {
        assert_eq!(self.failing().await, Vec::<String>::new());
        self.posted_by_the_chart().await;
    }

    /// Whatever was posted stands in the chart of accounts.
    pub async fn posted_by_the_chart(&self) {
        assert_eq!(chart::unlisted(&self.rows(chart::POSTED).await), Vec::<String>::new());
    }
}
