//! The stream lane, timed on loopback: the real worker and the real service as processes of their own, the sandbox's payment
//! points in this one, one PostgreSQL.
//!
//! Input: `HOUSEHOLDS` (300,000 unless set), `SARF_BENCH_HOME` (`var/bench-stream` unless set). Output: a Markdown table, and the
//! same in `result.md` below the home. Guarantee: what is timed is what the commands do; every figure is counted at the
//! provider's side or in the books; the run fails when the books are not proven. Limit: no assertion on time.

mod bed;
mod events;
#[path = "../national/machine.rs"]
#[allow(dead_code, reason = "the national bench measures its own memory; here workers are processes")]
mod machine;
mod stages;

use std::fs;
use std::path::PathBuf;

use bed::Bed;
use sarf::store::cluster::Cluster;

/// Says that a home was made here, and may be emptied.
const MARK: &str = ".stream-bench";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not run: it takes minutes, ask for it by `cargo bench --bench stream`");
        return Ok(());
    }
    let households = match std::env::var("HOUSEHOLDS") {
        Ok(text) => text.replace('_', "").parse()?,
        Err(_) => 300_000,
    };
    let home =
        std::env::var_os("SARF_BENCH_HOME").map_or_else(|| PathBuf::from("var/bench-stream"), PathBuf::from);
    let home = std::path::absolute(home)?;
    fs::create_dir_all(&home)?;
    anyhow::ensure!(
        home.join(MARK).exists() || !home.join("pg").exists(),
        "`{}` holds something else: set `SARF_BENCH_HOME` to a folder of its own",
        home.display()
    );
    fs::write(home.join(MARK), "Made by the stream bench, which empties this folder.\n")?;
    let cluster = Cluster::start(&home).await?;
    let outcome = run(&cluster, &home, households).await;
    cluster.stop().await?;
    let text = outcome?;
    println!("\n{text}");
    fs::write(home.join("result.md"), text)?;
    for big in ["work", "pg"] {
        fs::remove_dir_all(home.join(big))?;
    }
    Ok(())
}

async fn run(cluster: &Cluster, home: &std::path::Path, households: u64) -> anyhow::Result<String> {
    let mut text = machine::describe(cluster.major())?;
    text.push_str("| what | through | goal | was | worker's peak (≤ 128 MiB) |\n|---|---|--:|--:|--:|\n");
    let mut bed = Bed::open(cluster, home).await?;
    let mut lines = vec![
        stages::bulk(&mut bed, households).await?,
        stages::callbacks(&mut bed, households).await?,
        stages::single(&mut bed, households).await?,
        stages::paced(&mut bed, households, 2).await?,
        stages::paced(&mut bed, households, 4).await?,
    ];
    lines.extend(events::latency(&mut bed).await?);
    lines.extend(events::nats(&mut bed).await?);
    for line in lines {
        println!("   {line}");
        text.push_str(&line);
        text.push('\n');
    }
    bed.prove().await?;
    Ok(text)
}
