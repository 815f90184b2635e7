//! What the stages stand on: a database, a configuration written for each stage, runs taken to their release, processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sarf::clock::Clock;
use sarf::config::Config;
use sarf::domain::ids::{Code, RunId};
use sarf::domain::period::Period;
use sarf::domain::run::RunKind;
use sarf::pipeline::access::people::Office;
use sarf::pipeline::dispatch::files;
use sarf::pipeline::orders::regular;
use sarf::pipeline::reports::verify;
use sarf::pipeline::runs::{approve, fund};
use sarf::pipeline::{Context, intake};
use sarf::rails::stream::secrets;
use sarf::sandbox::Share;
use sarf::sandbox::points::{PointFaults, PointProvider, PointRates, Points, PointsOptions};
use sarf::sandbox::registry::{GenerateOptions, generate};
use sarf::store::Store;
use sarf::store::access::operators::Role;
use sarf::store::cluster::{self, Cluster};
use sarf::telemetry::Telemetry;
use sqlx::ConnectOptions as _;

pub const PREPARER: &str = "amina";
pub const APPROVER: &str = "brahim";
pub const ACCOUNTANT: &str = "chafik";
const DATABASE: &str = "sarf_bench_stream";

/// How a stage's providers are spoken to.
#[derive(Clone, Copy)]
pub struct Terms {
    pub orders_per_request: u32,
    pub orders_per_second: u32,
    pub concurrency: u32,
}

pub struct Bed {
    pub context: Context,
    home: PathBuf,
    url: String,
    period: Period,
}

impl Bed {
    pub async fn open(cluster: &Cluster, home: &Path) -> anyhow::Result<Self> {
        cluster::recreate_database(&cluster.connect_options("postgres"), DATABASE, None).await?;
        let options = cluster.connect_options(DATABASE);
        let url = options.to_url_lossy().to_string();
        // The home of workers and service: the chain is anchored in one place.
        let home = home.join("work");
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        let store = Store::connect(options, 8).await?.anchored(&home);
        store.migrate().await?;
        let clock = Clock::system();
        let people = [(PREPARER, Role::Preparer), (APPROVER, Role::Approver), (ACCOUNTANT, Role::Accountant)];
        Office::at(&store, &home, clock.now()).establish("sara", &people).await?;
        for code in ["cashplus", "wallet"] {
            secrets::read_or_make(&home, code)?;
        }
        let config = Arc::new(Config::read("config".as_ref())?);
        let context = Context { store, config, telemetry: Telemetry::silent(), clock, home: home.clone() };
        let today = clock.now().date();
        // Months go upwards: the last list is the latest.
        let period = Period::from_index(Period::new(today.year(), today.month().into())?.index() - 4)?;
        Ok(Self { context, home, url, period })
    }

    /// Writes a configuration in which one institution keeps all payment accounts, and takes it on.
    pub fn configure(&mut self, points: &Points, terms: Terms) -> anyhow::Result<()> {
        let folder = self.home.join("config");
        copy_folder("config".as_ref(), &folder)?;
        let file = folder.join("providers/payment_institutions.toml");
        let text = fs::read_to_string(&file)?;
        let one =
            text.split("[[provider]]").find(|part| part.contains("\"cashplus\"")).expect("it is shipped");
        let one = one
            .replace("[\"802\"]", "[\"801\", \"802\", \"803\", \"804\", \"805\", \"806\", \"807\", \"808\"]")
            .replace("daily_capacity = 500000", "daily_capacity = 100000000");
        fs::write(&file, format!("[[provider]]{}", written(&one, points, terms)))?;
        let file = folder.join("providers/wallets.toml");
        let text =
            fs::read_to_string(&file)?.replace("daily_capacity = 500000", "daily_capacity = 100000000");
        fs::write(&file, written(&text, points, Terms { orders_per_request: 1, ..terms }))?;
        self.context.config = Arc::new(Config::read(&folder)?);
        Ok(())
    }

    /// The sandbox's payment points: at once in the answer, or later by callbacks to `callback_url`.
    pub async fn points(&self, callback_url: Option<String>) -> anyhow::Result<Points> {
        let providers = self.context.config.router.providers().iter();
        let providers = providers.filter(|p| ["cashplus", "wallet"].contains(&p.code.as_str())).map(|p| {
            let mut provider = p.clone();
            if let Some(terms) = &mut provider.stream {
                // As many as any stage puts into one request.
                terms.orders_per_request = 500;
            }
            Ok(PointProvider { provider, secret: secrets::read(&self.home, p.code.as_str())? })
        });
        let none = Share::per_million(0);
        Ok(Points::start(PointsOptions {
            listen: "127.0.0.1:0".parse()?,
            providers: providers.collect::<anyhow::Result<_>>()?,
            later: callback_url.is_some().then_some(Duration::from_millis(1)),
            callback_url,
            seed: 1,
            faults: PointFaults::default(),
            rates: PointRates { rejected: none, uncollected: none, pending: none },
            clock: self.context.clock,
            inbox: self.home.join("inbox"),
        })
        .await?)
    }

    /// A month's run, released and cut into shards: the next month each time.
    pub async fn run(&mut self, households: u64) -> anyhow::Result<RunId> {
        let folder = self.home.join("snapshots").join(self.period.to_string());
        let options = GenerateOptions::new(households, self.period, Code::parse("dss")?, 1, folder.clone());
        tokio::task::block_in_place(|| generate(&options, |_| ()))?;
        self.period = Period::from_index(self.period.index() + 1)?;
        let context = &self.context;
        let snapshot = intake::import(context, &folder).await?.into_inner().id;
        let run = regular::create(context, snapshot, RunKind::Regular, PREPARER).await?.into_inner();
        approve::acknowledge(context, run, PREPARER, "seen").await?;
        approve::submit(context, run, PREPARER).await?;
        approve::approve(context, run, APPROVER).await?;
        fund::fund(context, run, ACCOUNTANT).await?;
        fund::release(context, run, None, ACCOUNTANT).await?;
        files::dispatch(context, run).await?;
        sqlx::query("checkpoint").execute(context.store.pool()).await?;
        Ok(run)
    }

    /// Starts the real program.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let child = Command::new(env!("CARGO_BIN_EXE_sarf"))
            .env("SARF_HOME", &self.home)
            .env("SARF_CONFIG", self.home.join("config"))
            .env("DATABASE_URL", &self.url)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Process(child))
    }

    /// Orders of a run at a provider in one of these states.
    pub async fn count(&self, run: RunId, provider: &str, states: &[&str]) -> anyhow::Result<u64> {
        let found: i64 = sqlx::query_scalar(
            "select coalesce(sum(orders), 0)::bigint from run_total t join provider p on p.id = t.provider_id
              where run_id = $1 and p.code = $2 and state = any($3)",
        )
        .bind(run.get())
        .bind(provider)
        .bind(states)
        .fetch_one(self.context.store.pool())
        .await?;
        Ok(found as u64)
    }

    /// Households of the latest list whose payee has a payment account, and its month.
    pub async fn cash_households(&self) -> anyhow::Result<(Vec<String>, String)> {
        let (run, period): (i64, i32) = sqlx::query_as(
            "select id, period from run where standing_approval is null order by id desc limit 1",
        )
        .fetch_one(self.context.store.pool())
        .await?;
        let sql = format!(
            "select household_id from payment_order_{run} o join provider p on p.id = o.provider_id where p.code = 'cashplus'
                and not exists (select from order_hold h where h.order_id = o.order_id) order by 1"
        );
        let households =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(self.context.store.pool()).await?;
        Ok((households, Period::from_index(period)?.to_string()))
    }

    /// Waits until so many orders of a purpose were taken from events.
    pub async fn until_events(&self, purpose: &str, orders: u64) -> anyhow::Result<Instant> {
        let began = Instant::now();
        loop {
            let taken: i64 = sqlx::query_scalar(
                "select coalesce(sum(r.orders), 0)::bigint from run r join standing_approval a on a.id = r.standing_approval
                  where a.purpose = $1",
            )
            .bind(purpose)
            .fetch_one(self.context.store.pool())
            .await?;
            if taken as u64 >= orders {
                return Ok(Instant::now());
            }
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(120),
                "{taken} of {orders} events were taken"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Takes events from a NATS server, too.
    pub fn listen_to_nats(&mut self, url: &str) -> anyhow::Result<()> {
        let file = self.home.join("config/sarf.toml");
        let text = fs::read_to_string(&file)?;
        let nats = format!(
            "\n[events.nats]\nurl = \"{url}\"\nstream = \"SARF\"\nsubject = \"sarf.events\"\ndurable = \"sarf\"\n\
             dead_letter_subject = \"sarf.dead\"\n"
        );
        fs::write(&file, format!("{text}{nats}"))?;
        Ok(())
    }

    /// Waits until so many orders of a provider are in one of these states.
    pub async fn until(
        &self,
        run: RunId,
        provider: &str,
        states: &[&str],
        orders: u64,
    ) -> anyhow::Result<Instant> {
        let began = Instant::now();
        while self.count(run, provider, states).await? < orders {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(600), "orders at {provider} do not arrive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Instant::now())
    }

    /// The books hold.
    pub async fn prove(&self) -> anyhow::Result<()> {
        let proofs = verify::verify(&self.context, None).await?;
        let failing: Vec<_> = proofs.iter().filter(|p| !p.holds).map(|p| (&p.claim, &p.figures)).collect();
        anyhow::ensure!(failing.is_empty(), "not proven: {failing:?}");
        Ok(())
    }
}

/// A process of the program; killed when dropped.
pub struct Process(Child);

impl Process {
    /// The most memory it held, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .map_or(0, |k| k.div_ceil(1024))
    }

    /// Ends it as an operator would.
    pub fn end(mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn written(text: &str, points: &Points, terms: Terms) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        lines.push(match key {
            "url" => line.replace("127.0.0.1:8710", &points.address().to_string()),
            "orders_per_request" => format!("orders_per_request = {}", terms.orders_per_request),
            "requests_per_second" => "requests_per_second = 0".into(),
            "orders_per_second" => format!("orders_per_second = {}", terms.orders_per_second),
            "burst" => "burst = 1".into(),
            "concurrency" => format!("concurrency = {}", terms.concurrency),
            "changes_every_s" => "changes_every_s = 0".into(),
            _ => line.to_owned(),
        });
    }
    lines.join("\n")
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
