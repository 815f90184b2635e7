//! Files brought to OpenSSH's server on loopback, by us and by OpenSSH's own `sftp`, in turn.
//!
//! Input: `MEGABYTES` (256 unless set), in four files. Output: a Markdown table of MB/s, with and without reading back. Guarantee:
//! what lies there is compared. Limit: needs `sshd` and `sftp`; no assertion on time.

#[path = "../../src/testing.rs"]
#[allow(dead_code, reason = "shared with the scenarios")]
mod needs;
#[path = "../../tests/it/harness/sshd.rs"]
#[allow(dead_code, reason = "shared with the scenarios")]
mod sshd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use needs::without_tool;
use sarf::rails::delivery::{LocalFile, Peer};
use sha2::{Digest as _, Sha256};
use sshd::{Sshd, make_key, me, terms};

const FILES: usize = 4;
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not run: ask for it by `cargo bench --bench delivery`");
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let megabytes: usize = match std::env::var("MEGABYTES") {
        Ok(text) => text.replace('_', "").parse()?,
        Err(_) => 256,
    };
    let home = std::env::temp_dir().join(format!("sarf-delivery-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let key = home.join("key.ssh");
    make_key(&key);
    let sshd = Sshd::start(&home.join("server"), &key, "").ok_or_else(|| anyhow::anyhow!("no sshd"))?;
    let files = files(&home, megabytes)?;
    println!("{megabytes} MB in {FILES} files, the best of {ROUNDS} rounds, in turn\n");
    println!("| who | MB/s | of sftp |\n|---|--:|--:|");
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(by_sftp(&home, &key, &sshd, &files)?);
        best[1] = best[1].min(by_us(&key, &sshd, &files, false).await?);
        best[2] = best[2].min(by_us(&key, &sshd, &files, true).await?);
    }
    let rate = |took: Duration| (megabytes as u128 * 1_000_000) / took.as_micros().max(1);
    for (who, took) in ["OpenSSH's sftp", "sarf", "sarf, read back and compared"].iter().zip(best) {
        println!("| {who} | {} | {} % |", rate(took), 100 * rate(took) / rate(best[0]).max(1));
    }
    drop(sshd);
    fs::remove_dir_all(&home)?;
    Ok(())
}

/// Text that repeats as bank files do.
fn files(home: &Path, megabytes: usize) -> anyhow::Result<Vec<LocalFile>> {
    let mut files = Vec::new();
    for number in 0..FILES {
        let (mut text, size) = (String::new(), megabytes * 1_000_000 / FILES);
        for line in 0u64.. {
            if text.len() >= size {
                break;
            }
            text.push_str(&format!(
                "<CdtTrfTxInf><PmtId><EndToEndId>DSS2611{line:012}</EndToEndId></PmtId></CdtTrfTxInf>\n"
            ));
        }
        text.truncate(size);
        let name = format!("{number}.xml");
        let path = home.join(&name);
        fs::write(&path, &text)?;
        let sha256 = Sha256::digest(&text).into();
        files.push(LocalFile { path, name, bytes: size as u64, sha256 });
    }
    Ok(files)
}

fn empty(sshd: &Sshd) -> anyhow::Result<PathBuf> {
    let folder = sshd.folder("in/bench");
    for entry in fs::read_dir(&folder)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(folder)
}

fn compare(folder: &Path, files: &[LocalFile]) -> anyhow::Result<()> {
    for file in files {
        anyhow::ensure!(fs::read(folder.join(&file.name))? == fs::read(&file.path)?, "{} differs", file.name);
    }
    Ok(())
}

fn by_sftp(home: &Path, key: &Path, sshd: &Sshd, files: &[LocalFile]) -> anyhow::Result<Duration> {
    let folder = empty(sshd)?;
    let batch = home.join("batch");
    let puts = files.iter().map(|file| format!("put {} in/bench/{}\n", file.path.display(), file.name));
    fs::write(&batch, puts.collect::<String>())?;
    let port = sshd.address.port().to_string();
    let begun = Instant::now();
    let ran = Command::new("sftp")
        .args([
            "-q",
            "-P",
            &port,
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ])
        .arg("-i")
        .arg(key)
        .arg("-b")
        .arg(&batch)
        .arg(format!("{}@127.0.0.1", me()))
        .stdout(Stdio::null())
        .status()?;
    let took = begun.elapsed();
    anyhow::ensure!(ran.success(), "sftp ended with {ran}");
    compare(&folder, files)?;
    Ok(took)
}

async fn by_us(key: &Path, sshd: &Sshd, files: &[LocalFile], reads_back: bool) -> anyhow::Result<Duration> {
    let folder = empty(sshd)?;
    let mut terms = terms(sshd, &sshd.host(), "bench");
    terms.reads_back = reads_back;
    terms.timeout_s = 30;
    let begun = Instant::now();
    let peer = Peer::connect(&terms, key).await?;
    let each = files.iter().map(async |file| {
        let draft = format!(".{}.part", file.name);
        peer.bring(file, &draft, 0).await?;
        peer.name(&draft, &file.name).await
    });
    let mut done = futures_util::stream::iter(each).buffer_unordered(usize::from(terms.files_at_once));
    while let Some(result) = done.next().await {
        result?;
    }
    drop(done);
    let took = begun.elapsed();
    peer.close().await;
    compare(&folder, files)?;
    Ok(took)
}
