//! Signals: at the start, in the middle, and after the commit.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::harness::{Bed, PREPARER, Program, TempHome, without_postgres};

fn terminate(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Waits until a process listens for SIGTERM, or has ended: while it is still being loaded a signal ends it, and it says nothing.
fn listens(child: &Child) {
    const TERMINATE: u64 = 1 << 14;
    let catches = |status: String| {
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
        Some(u64::from_str_radix(&caught, 16).expect("a mask of signals") & TERMINATE != 0)
    };
    let begun = Instant::now();
    while let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) {
        // A process that has ended and is not yet waited for catches nothing either.
        if status.contains("State:\tZ") || catches(status).unwrap_or(true) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not listen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ended(child: Child, within: Duration) -> Output {
    let (began, mut child) = (Instant::now(), child);
    while child.try_wait().expect("a child of ours").is_none() {
        assert!(began.elapsed() < within, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("it ended")
}

/// Whether a server is at work in the home.
fn server_lives(home: &Path) -> bool {
    let file = fs::read_to_string(home.join("pg/data/postmaster.pid")).unwrap_or_default();
    file.lines().next().is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists())
}

#[test]
fn a_signal_at_any_moment_of_the_start_leaves_no_server_behind() {
    let place = TempHome::new("se");
    let program = Program { home: place.path().join("home"), ..Program::new(place.path()) };
    let first = program.run("operator list");
    if first.err.contains("no PostgreSQL") {
        return without_postgres();
    }
    assert_eq!(first.code, 0, "{first:?}");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (trial, command) in ["worker", "operator list", "dispatch 1", "serve --listen 127.0.0.1:0"]
        .into_iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        let args: Vec<&str> = command.split_whitespace().collect();
        let child =
            program.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(30 * trial as u64 + random.next_u64() % 30));
        if Path::new("/proc").join(child.id().to_string()).exists() {
            terminate(&child);
        }
        let output = ended(child, Duration::from_secs(60));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!server_lives(&program.home), "trial {trial}: {command} left its server: {err}");
    }
    program.ends(0, "operator list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_not_called_interrupted() {
    let Some(bed) = Bed::new().await else { return };
    let snapshot = bed.import(&bed.generate(9_000, 4)).await;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let create = ["run", "create", "--snapshot", &snapshot.to_string(), "--as", PREPARER];
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut interrupted, mut done) = (0, 0);
    // How long it takes undisturbed, on this machine and beside whatever else it does now.
    let begun = Instant::now();
    program.ends(0, &create.join(" "));
    let whole = begun.elapsed();
    let made = bed.number("select max(id) from run where state = 'computed'").await;
    program.ends(0, &format!("run cancel {made} --as {PREPARER}"));
    for trial in 0..14 {
        let child = program
            .command(&create)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        listens(&child);
        std::thread::sleep(whole.mul_f64((random.next_u64() % 1_000) as f64 / 700.0));
        if Path::new("/proc").join(child.id().to_string()).exists() {
            terminate(&child);
        }
        let output = ended(child, Duration::from_secs(60));
        let made = bed.number("select coalesce(max(id), 0) from run where state = 'computed'").await;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => {
                assert!(made > 0, "trial {trial}: {said}");
                program.ends(0, &format!("run cancel {made} --as {PREPARER}"));
                done += 1;
            }
            Some(1) => {
                assert_eq!(made, 0, "trial {trial}: it was committed, and called interrupted: {said}");
                assert!(said.contains("interrupted"), "trial {trial}: {said}");
                interrupted += 1;
            }
            code => panic!("trial {trial}: {code:?}: {said}"),
        }
    }
    assert!(interrupted > 0 && done > 0, "{interrupted} interrupted, {done} done");
    bed.end().await;
}
