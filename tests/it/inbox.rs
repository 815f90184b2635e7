//! A folder of messages as the program takes it: once, or while it is watched.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, Sent, eventually, sent_files};
use crate::returns::statement;

async fn dispatched() -> Option<(Bed, Program, Sent)> {
    let bed = Bed::new().await?;
    bed.run_to(300, 22, RunState::Settling).await;
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 3).expect("a file");
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    Some((bed, program, file))
}

fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(name), bytes).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_a_folder_is_left_alone_is_named() {
    let Some((bed, program, file)) = dispatched().await else { return };
    let folder = bed.home().join("from-the-bank");
    let below = folder.join("2026-11-26");
    fs::create_dir_all(&below).expect("folders");
    let settles = statement(&file, "S1", true, &[]);
    put(&below, "STATEMENT.XML", &settles);
    put(&folder, "readme.txt", "please import");
    put(&folder, "nothing.xml", "");
    put(&folder, ".late.xml", statement(&file, "S2", false, &[&file.orders[0].0]));
    put(&folder, ".DS_Store", "x");
    let shown = folder.display().to_string();
    let told = program.ends(0, &format!("--json feedback import {shown}")).json();
    let told: Vec<String> = told
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| {
            format!(
                "{} {}",
                line["file"].as_str().expect("a name"),
                line["left_alone"].as_str().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "STATEMENT.XML -",
            ".late.xml its name begins with a point",
            "nothing.xml empty",
            "readme.txt neither XML nor a settlement file"
        ]
    );
    let state = format!("select state from batch where message_id = '{}'", file.message_id);
    assert_eq!(bed.rows(&state).await, ["settled"]);
    let ran = program.ends(0, &format!("feedback import {shown}"));
    for name in ["readme.txt", "nothing.xml", ".late.xml"] {
        let line = ran.out.lines().find(|line| line.starts_with("left alone: ") && line.contains(name));
        assert!(line.is_some(), "{name}: {ran:?}");
    }
    assert!(ran.out.contains("imported before as message 1 (`STATEMENT.XML`)"), "{ran:?}");
    assert!(!ran.out.contains("DS_Store"), "{ran:?}");
    // Named itself, it is a message, or refused.
    program.ends(1, &format!("feedback import {shown}/readme.txt"));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_folder_is_read_as_files_come_and_a_signal_ends_it() {
    let Some((bed, program, file)) = dispatched().await else { return };
    let folder = bed.home().join("watched");
    fs::create_dir(&folder).expect("a folder");
    let shown = folder.display().to_string();
    for signal in ["-TERM", "-INT"] {
        let mut child = program
            .command(&["feedback", "watch", &shown, "--every", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("watching") {
            line.clear();
            assert!(errors.read_line(&mut line).expect("text") > 0, "it ended before it watched");
        }
        // A file that is still being written is not taken; a note beside it is named.
        let name = format!("statement{signal}.xml");
        let text =
            statement(&file, signal, signal == "-TERM", &[&file.orders[usize::from(signal == "-INT")].0]);
        let mut half = fs::File::create(folder.join(&name)).expect("a file");
        half.write_all(&text.as_bytes()[..200]).expect("half of it");
        half.flush().expect("on disk");
        std::thread::sleep(std::time::Duration::from_millis(400));
        half.write_all(&text.as_bytes()[200..]).expect("the rest");
        drop(half);
        put(&folder, &format!("note{signal}.txt"), "please import");
        let known = format!("select count(*) from message where file_name = '{name}'");
        eventually("the message is imported", async || bed.number(&known).await == 1).await;
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let began = std::time::Instant::now();
        let code = child.wait().expect("it ends").code();
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        errors.read_to_string(&mut err).expect("text");
        assert_eq!(code, Some(0), "{signal}: {out}{err}");
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "{signal}: {:?}", began.elapsed());
        assert!(!err.contains("error"), "{signal}: {err}");
        assert!(
            out.contains(&name) && out.contains(&format!("note{signal}.txt (neither XML")),
            "{signal}: {out}"
        );
    }
    // Started again, it read the first file once more, as a message that is known.
    assert_eq!(bed.number("select count(*) from message").await, 2);
    assert_eq!(bed.number("select count(*) from outcome where step = 12").await, 2);
    bed.verify_all_holds().await;
    bed.end().await;
}
