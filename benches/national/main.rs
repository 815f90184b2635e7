//! The national month, timed: the engine's own stages beside the least that the same disk and database could need.
//!
//! Input: `HOUSEHOLDS` (4,000,000 unless set), `SARF_BENCH_HOME` (`var/bench` unless set), and `--double`, which runs the
//! month again with twice the households. Output: progress, Markdown tables, and the same tables in `result.md` below the
//! home. Guarantee: stages run in this process, floors in `psql` right after their stage; everything that is not stated
//! as measured (the synthetic registry, the sandbox banks, the approval) lies outside the clock; the run fails when the
//! books are not proven. Limit: no assertion on time: the tables say what was, and `docs/performance.md` what may be.

mod back;
mod engine;
mod floor;
mod machine;
mod month;
mod peer;
mod psql;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sarf::store::cluster::{self, Cluster};

/// The households that budgets are stated for.
const NATIONAL: u64 = 4_000_000;
/// Says that a home was made here, and may be emptied.
const MARK: &str = ".national-bench";

struct Arguments {
    households: u64,
    home: PathBuf,
    double: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(arguments) = arguments()? else { return Ok(()) };
    take_home(&arguments.home)?;
    let cluster = Cluster::start(&arguments.home).await?;
    let outcome = run(&arguments, &cluster).await;
    cluster.stop().await?;
    let text = outcome?;
    println!("\n{text}");
    fs::write(arguments.home.join("result.md"), text)?;
    for big in ["work", "pg"] {
        fs::remove_dir_all(arguments.home.join(big)).with_context(|| format!("cannot remove `{big}`"))?;
    }
    Ok(())
}

async fn run(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<String> {
    let mut text = machine::describe(cluster.major())?;
    let single = month_of(arguments, cluster, arguments.households, true).await?;
    text.push_str(&table::single(&single));
    if arguments.double {
        let double = month_of(arguments, cluster, arguments.households * 2, false).await?;
        text.push_str(&table::double(&single, &double));
    }
    let folder = fresh(&arguments.home)?;
    text.push_str(&peer::compare(&folder, Path::new("var/venv"))?);
    Ok(text)
}

/// One run of two months, in a database and a folder made anew.
async fn month_of(
    arguments: &Arguments,
    cluster: &Cluster,
    households: u64,
    floors: bool,
) -> anyhow::Result<month::Month> {
    const DATABASE: &str = "sarf_bench";
    println!("── {} households", table::count(households));
    cluster::recreate_database(&cluster.connect_options("postgres"), DATABASE, None).await?;
    let options = cluster.connect_options(DATABASE);
    let context = engine::open(options.clone(), fresh(&arguments.home)?).await?;
    let psql = psql::Psql::find(context.store.pool(), &options).await?;
    let outcome = month::run(&context, &psql, households, floors).await;
    context.store.pool().close().await;
    outcome
}

/// The empty folder that a run works in.
fn fresh(home: &Path) -> anyhow::Result<PathBuf> {
    let folder = home.join("work");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Refuses a home with books that were not made here: the run empties it.
fn take_home(home: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(home)?;
    let ours = home.join(MARK).exists();
    anyhow::ensure!(
        ours || !(home.join("pg").exists() || home.join("work").exists()),
        "`{}` holds something else: set `SARF_BENCH_HOME` to a folder of its own",
        home.display()
    );
    fs::write(home.join(MARK), "Made by the national run, which empties this folder.\n")?;
    Ok(())
}

/// `None` where the run was not asked for: `cargo test --benches` starts this program without `--bench`.
fn arguments() -> anyhow::Result<Option<Arguments>> {
    let (mut asked, mut double) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => asked = true,
            "--double" => (asked, double) = (true, true),
            other => anyhow::bail!("`{other}` is not known: only `--double`"),
        }
    }
    if !asked {
        println!("not run: it takes minutes, ask for it by `cargo bench --bench national`");
        return Ok(None);
    }
    let households = match std::env::var("HOUSEHOLDS") {
        Ok(text) => text.replace('_', "").parse().with_context(|| format!("HOUSEHOLDS is `{text}`"))?,
        Err(_) => NATIONAL,
    };
    let most = sarf::sandbox::registry::HOUSEHOLDS_MAX / if double { 2 } else { 1 };
    anyhow::ensure!((1_000..=most).contains(&households), "HOUSEHOLDS goes from 1,000 to {most}");
    let home = std::env::var_os("SARF_BENCH_HOME").map_or_else(|| PathBuf::from("var/bench"), PathBuf::from);
    Ok(Some(Arguments { households, home: std::path::absolute(home)?, double }))
}
