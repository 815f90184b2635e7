//! Kills: of the program at seeded moments, and of the database's server, within each stage that writes much. What is
//! there in the end must be what an undisturbed stage makes of the same database.
//!
//! Numbers of runs and messages are not compared: a killed attempt may have used one up.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::clock::Clock;
use sarf::config::Config;
use sarf::domain::hex;
use sarf::domain::ids::{RunId, SnapshotId};
use sarf::domain::run::RunKind;
use sarf::pipeline::dispatch::files as dispatch;
use sarf::pipeline::orders::regular;
use sarf::pipeline::{Context, intake, messages};
use sarf::store::Store;
use sarf::store::cluster::{self, ClusterError, Server};
use sarf::telemetry::Telemetry;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::harness::{Program, TempHome, files_only_config, sent_files, standing_sql, without_postgres};

const KILLS: usize = 5;

struct Scene {
    home: TempHome,
    /// Where the undisturbed stages write.
    calm: TempHome,
    program: Program,
    random: ChaCha8Rng,
    server: Server,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_changes_nothing() {
    let Some(mut scene) = Scene::open(20_261_122).await else { return };
    let home = scene.home.path().to_owned();
    let list = home.join("list").display().to_string();
    scene.program.ends(0, "migrate");
    scene.program.ends(0, "operator administrator sara");
    for (name, role) in [("dina", "preparer"), ("elias", "approver"), ("farah", "accountant")] {
        scene.program.ends(0, &format!("operator add {name} --role {role} --as sara"));
    }
    scene.program.ends(0, &format!("generate --households 3000 --period 2026-11 --seed 9 --out {list}"));

    scene.stage(&format!("snapshot import {list}"), Stage::Import).await;
    let snapshot = scene.only("select id from snapshot").await;
    scene.stage(&format!("run create --snapshot {snapshot} --as dina"), Stage::Create).await;
    let run = scene.only("select id from run").await;
    scene.program.run_args(&["run", "check", &run.to_string(), "--acknowledge", "seen", "--as", "dina"]);
    for step in ["submit", "approve", "fund", "release"] {
        let name = match step {
            "submit" => "dina",
            "approve" => "elias",
            _ => "farah",
        };
        scene.program.ends(0, &format!("run {step} {run} --as {name}"));
    }
    scene.stage(&format!("dispatch {run}"), Stage::Dispatch).await;
    let before = file_hashes(&home);
    scene.program.ends(0, &format!("dispatch {run}"));
    assert_eq!(file_hashes(&home), before, "dispatching again writes nothing");
    scene.program.ends(0, "sandbox --seed 5");
    let inbox = home.join("inbox").display().to_string();
    scene.stage(&format!("feedback import {inbox}"), Stage::Feedback).await;
    let found = scene.program.ends(0, &format!("--json reconcile {run}")).json();
    assert_eq!(found["state"], "reconciled");
    scene.program.ends(0, "verify");
    scene.server.stop().await.expect("the server stops");
}

#[derive(Clone, Copy)]
enum Stage {
    Import,
    Create,
    Dispatch,
    Feedback,
}

impl Scene {
    async fn open(seed: u64) -> Option<Self> {
        let (home, calm) = (TempHome::new("k"), TempHome::new("c"));
        let server = match cluster::server(home.path(), None).await {
            Ok(server) => server,
            Err(ClusterError::NoBinaries { .. }) => {
                without_postgres();
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let config = home.path().join("config");
        files_only_config(&config);
        let settings = config.join("sarf.toml");
        let text = fs::read_to_string(&settings).expect("settings");
        fs::write(&settings, text.replace("orders_per_file = 100000", "orders_per_file = 100"))
            .expect("settings");
        let program = Program { config, ..Program::new(home.path()) };
        Some(Self { home, calm, program, random: ChaCha8Rng::seed_from_u64(seed), server })
    }

    async fn context(&self, database: &str, home: &Path) -> Context {
        let store =
            Store::connect(self.server.connect_options().database(database), 12).await.expect("it answers");
        let store = store.anchored(home);
        let config = Arc::new(Config::read(&self.program.config).expect("configuration"));
        Context {
            store,
            config,
            telemetry: Telemetry::silent(),
            clock: Clock::system(),
            home: home.to_owned(),
        }
    }

    async fn only(&self, sql: &str) -> i64 {
        let context = self.context("sarf", self.home.path()).await;
        let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(context.store.pool()).await;
        context.store.pool().close().await;
        number.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Runs a stage undisturbed on a copy of the database, then disturbed on the database itself, and compares.
    async fn stage(&mut self, command: &str, stage: Stage) {
        let options = self.server.connect_options();
        cluster::recreate_database(&options.database("postgres"), "calm", Some("sarf"))
            .await
            .expect("a copy");
        // Both would write the same files; only one of them may write where they are read from.
        let home = if matches!(stage, Stage::Dispatch) { self.calm.path() } else { self.home.path() };
        let context = self.context("calm", home).await;
        self.undisturbed(&context, stage).await;
        let expected = picture(&context).await;
        context.store.pool().close().await;

        let kills = self.disturbed(command);
        assert!(kills > 1, "{command} was killed {kills} times only");
        let context = self.context("sarf", self.home.path()).await;
        let found = picture(&context).await;
        context.store.pool().close().await;
        let differing: Vec<_> = expected.iter().zip(&found).filter(|(a, b)| a != b).take(5).collect();
        assert!(expected == found, "{command}: {} and {} lines; {differing:#?}", expected.len(), found.len());
        assert!(expected.len() > 20, "{command}: there is something to compare");
        self.program.ends(0, command);
    }

    async fn undisturbed(&self, context: &Context, stage: Stage) {
        let number = |sql: &'static str| async move {
            sqlx::query_scalar::<_, i64>(sql).fetch_one(context.store.pool()).await.expect("one row")
        };
        match stage {
            Stage::Import => {
                intake::import(context, &self.home.path().join("list")).await.expect("imported");
            }
            Stage::Create => {
                let snapshot = SnapshotId::new(number("select id from snapshot").await);
                regular::create(context, snapshot, RunKind::Regular, "dina").await.expect("a run");
            }
            Stage::Dispatch => {
                let run = RunId::new(number("select id from run").await);
                dispatch::dispatch(context, run).await.expect("dispatched");
            }
            Stage::Feedback => {
                let mut files = Vec::new();
                for folder in fs::read_dir(self.home.path().join("inbox")).expect("an inbox").flatten() {
                    let entries = fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.path());
                    files.extend(entries.filter(|p| p.extension().is_some_and(|e| e == "xml")));
                }
                // As the program takes them: which steps of its own an order has depends on the order of messages.
                files.sort();
                for (path, result) in messages::import(context, files).await.expect("lanes are read") {
                    result.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                }
            }
        }
    }

    /// Starts the command again and again, killing it or, once, the server, until it has been let to its end.
    fn disturbed(&mut self, command: &str) -> usize {
        let args: Vec<&str> = command.split_whitespace().collect();
        let mut kills = 0;
        for attempt in 0..KILLS {
            // Early kills come while it starts, later ones anywhere up to 400 ms.
            let delay_ms_max = [40, 120, 200, 300, 400][attempt];
            let delay = Duration::from_millis(5 + self.random.next_u64() % delay_ms_max);
            let mut child = self
                .program
                .command(&args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            std::thread::sleep(delay);
            if attempt == KILLS / 2 {
                kill_server(self.home.path());
                end_within(&mut child, Duration::from_secs(5));
                kills += 1;
            } else if child.try_wait().expect("a child of ours").is_none() {
                child.kill().expect("it is killed");
                child.wait().expect("it ends");
                kills += 1;
            }
        }
        self.program.ends(0, command);
        kills
    }
}

/// Waits for a program whose server is gone; one that still waits for it then is killed as well.
fn end_within(child: &mut Child, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if child.try_wait().expect("a child of ours").is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
}

/// Kills the server of this home, by the number in its own file.
fn kill_server(home: &Path) {
    let file = fs::read_to_string(home.join("pg/data/postmaster.pid")).unwrap_or_default();
    let Some(number) = file.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return };
    let killed = Command::new("kill").args(["-9", &number.to_string()]).status().expect("kill runs");
    assert!(killed.success(), "the server is killed");
}

/// Everything that a stage leaves, without the numbers that a killed attempt may use up.
async fn picture(context: &Context) -> Vec<String> {
    let rows = |sql: String| async move {
        let rows =
            sqlx::query_scalar::<_, String>(AssertSqlSafe(sql.clone())).fetch_all(context.store.pool()).await;
        rows.unwrap_or_else(|e| panic!("{sql}: {e}"))
    };
    let mut lines = Vec::new();
    for sql in [
        "select concat_ws(' ', 'snapshot', encode(content_sha256, 'hex'), households, members, rejected_households, rejected_members) from snapshot order by 1",
        "select concat_ws(' ', 'household', household_key & 4294967295, household_id, rsu_score, means, flags, provider, md5(payee), md5(members)) from household order by 1",
        "select concat_ws(' ', 'rejection', part, row_number, field, reason) from snapshot_rejection order by 1",
        "select concat_ws(' ', 'share', household_key & 4294967295, kind, households) from snapshot_share order by 1",
        "select concat_ws(' ', 'run', kind, state, households, orders, exclusions, entitled, ordered) from run order by 1",
        "select concat_ws(' ', 'order', o.household_id, o.order_id & 4294967295, p.code, o.wave, o.amount, md5(o.components), md5(o.payee))
           from payment_order o join provider p on p.id = o.provider_id order by 1",
        "select concat_ws(' ', 'exclusion', household_id, reason) from exclusion order by 1",
        "select concat_ws(' ', 'hold', order_id & 4294967295, reason) from order_hold order by 1",
        "select concat_ws(' ', 'total', p.code, t.state, t.orders, t.amount) from run_total t join provider p on p.id = t.provider_id where t.orders > 0 order by 1",
        "select concat_ws(' ', 'batch', p.code, b.wave, b.sequence, b.state, b.orders, b.amount, b.message_id, b.file_name, b.rejected, b.returned, b.debited_amount,
           b.credited_amount) from batch b join provider p on p.id = b.provider_id order by 1",
        "select concat_ws(' ', 'account', a.kind, p.code, sum(a.balance)) from ledger_account a left join provider p on p.id = a.provider_id group by a.kind, p.code
          having sum(a.balance) <> 0 order by 1",
        "select concat_ws(' ', 'transfers', why, sum(amount)) from ledger_transfer group by why order by 1",
        "select concat_ws(' ', 'outcome', order_id & 4294967295, max(step)) from outcome group by order_id order by 1",
        "select concat_ws(' ', 'message', encode(sha256, 'hex'), entries, breaks) from message order by 1",
        "select concat_ws(' ', 'statement', reference, opening, closing) from statement order by 1",
    ] {
        lines.extend(rows(sql.to_owned()).await);
    }
    for run in sqlx::query_scalar::<_, i64>("select id from run")
        .fetch_all(context.store.pool())
        .await
        .expect("runs")
    {
        let run = RunId::new(run);
        lines.extend(rows(standing_sql(run)).await);
    }
    lines.extend(files(
        context,
        rows(
            "select file_name || ' ' || encode(file_sha256, 'hex') from batch where file_sha256 is not null"
                .into(),
        )
        .await,
    ));
    lines
}

/// The files of the outbox, but for the time of creation; each must be the bytes that the database recorded.
fn files(context: &Context, recorded: Vec<String>) -> Vec<String> {
    let outbox = context.home.join("outbox");
    if !outbox.exists() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for file in sent_files(&outbox) {
        let name = file.path.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = fs::read(&file.path).expect("a file");
        let hash = hex(&Sha256::digest(&bytes));
        assert!(recorded.contains(&format!("{name} {hash}")), "{name} is not what was recorded");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (before, rest) = text.split_once("<CreDtTm>").expect("a time of creation");
        let after = rest.split_once("</CreDtTm>").expect("its end").1;
        lines.push(format!("file {name} {}", hex(&Sha256::digest(format!("{before}{after}")))));
    }
    assert_eq!(lines.len(), recorded.len(), "each recorded file lies in the outbox");
    lines
}

/// Name and hash of everything in the outbox.
fn file_hashes(home: &Path) -> Vec<(String, String)> {
    let files = sent_files(&home.join("outbox")).into_iter();
    files
        .map(|f| (f.path.display().to_string(), hex(&Sha256::digest(fs::read(&f.path).expect("a file")))))
        .collect()
}
