//! The program's face: exit codes, hints, JSON, configuration, metrics, and nothing personal anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use sarf::domain::rib::Rib;
use sarf::domain::run::RunState;
use sarf::sandbox::banks::{Faults, StatusStyle};

use crate::harness::{
    Bed, Program, Ran, Registry, TempHome, files_only_config, month_of_the_readme, without_tool,
};

fn program_of(bed: &Bed) -> Program {
    Program { url: Some(bed.url()), ..Program::new(bed.home()) }
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let home = TempHome::new("u");
    let program = Program::new(home.path());
    for args in [
        "--frobnicate",
        "run",
        "run show",
        "run show many",
        "run create --snapshot 1 --kind reissue --as x",
        "generate",
        "sandbox --statuses loud",
    ] {
        let ran = program.ends(2, args);
        assert!(ran.err.contains("error: ") && ran.out.is_empty(), "{args}: {ran:?}");
    }
    program.ends(0, "--help");
    assert!(program.ends(0, "--version").out.starts_with("sarf "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_name_the_next_step() {
    let Some(bed) = Bed::new().await else { return };
    let program = program_of(&bed);
    bed.run_to(200, 1, RunState::Computed).await;
    let nowhere = bed.home().join("nowhere").display().to_string();
    for (args, what, hint) in [
        ("run show 99".to_owned(), "run `99` is not known", "see `sarf run list`"),
        (
            "run approve 1 --as amina".to_owned(),
            "operator `amina` is preparer, and only the approver may do this",
            "another person must do this: --as NAME",
        ),
        (
            "run fund 1 --as zed".to_owned(),
            "operator `zed` is not known",
            "add them: sarf operator add zed --role ROLE --as ADMINISTRATOR",
        ),
        (
            "dispatch 1".to_owned(),
            "run `1` cannot be dispatched: it is computed",
            "see where it stands: sarf run show 1",
        ),
        (
            "run create --snapshot 7 --as amina".to_owned(),
            "snapshot `7` is not known",
            "see `sarf snapshot list`",
        ),
        (format!("snapshot import {nowhere}"), "", ""),
        (
            format!("--config {nowhere} config check"),
            "cannot read `",
            "name the folder with --config DIR or SARF_CONFIG",
        ),
    ] {
        let ran = program.ends(1, &args);
        assert!(ran.err.starts_with("error: ") && ran.err.contains(what), "{args}: {ran:?}");
        assert!(ran.err.contains(&format!("\n\nhint: {hint}")), "{args}: {ran:?}");
        assert!(ran.out.is_empty(), "{args}: {ran:?}");
        let ran = program.ends(1, &format!("--json {args}"));
        let error: serde_json::Value =
            serde_json::from_str(ran.err.trim()).unwrap_or_else(|e| panic!("{args}: {e}: {ran:?}"));
        assert!(error["hint"].as_str().is_some_and(|h| h.contains(hint)), "{args}: {error}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prints_prints_json() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 1, RunState::Settling).await;
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    let household = bed.rows("select household_id from payment_order order by 1 limit 1").await.remove(0);
    let program = program_of(&bed);
    let inbox = bed.home().join("inbox").display().to_string();
    for args in [
        "config check".to_owned(),
        "operator list".to_owned(),
        "snapshot list".to_owned(),
        "snapshot show 1".to_owned(),
        "snapshot rejects 1".to_owned(),
        "snapshot diff 1 1".to_owned(),
        "run list".to_owned(),
        format!("run show {run}"),
        format!("run check {run}"),
        format!("order show {household}"),
        format!("dispatch {run}"),
        format!("feedback import {inbox}"),
        format!("reconcile {run}"),
        "breaks list".to_owned(),
        "verify".to_owned(),
        format!("verify {run}"),
    ] {
        let ran = program.ends(0, &format!("--json {args}"));
        let value = ran.json();
        assert!(value.is_array() || value.is_object(), "{args}: {value}");
        let plain = program.ends(0, &args);
        assert!(!plain.out.trim().is_empty() && !plain.out.contains('\u{1b}'), "{args}: {plain:?}");
    }
    bed.end().await;
}

/// Imports a list by the program: the exit code and what it prints as JSON.
fn imported(program: &Program, folder: &Path) -> (i32, serde_json::Value) {
    let ran = program.run(&format!("--json snapshot import {}", folder.display()));
    (ran.code, ran.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_which_nothing_is_left_is_for_a_person() {
    let Some(bed) = Bed::new().await else { return };
    let program = program_of(&bed);
    let mut registry = Registry::default();
    let folder = |name: &str| bed.home().join(name);
    registry.write(&folder("empty"));
    for _ in 0..3 {
        registry.household();
    }
    registry.write(&folder("sound"));
    let mut comma = registry.clone();
    (0..3).for_each(|n| comma.set(n, &[("rsu_score", "5,5")]));
    comma.write(&folder("comma"));
    let mut unborn = registry.clone();
    (0..6).for_each(|n| unborn.set_member(n / 2, n % 2, &[("birth_date", "soon")]));
    unborn.write(&folder("unborn"));
    registry.set(0, &[("rsu_score", "5,5")]);
    registry.write(&folder("partly"));
    // Exit code; rows of households and those kept, rows of members and those kept.
    for (name, code, expected) in [
        ("empty", 3, [0, 0, 0, 0]),
        ("comma", 3, [3, 0, 6, 0]),
        ("unborn", 3, [3, 3, 6, 0]),
        ("partly", 0, [3, 2, 6, 4]),
        ("sound", 0, [3, 3, 6, 6]),
    ] {
        // The second time nothing is imported, and the list is no better.
        for now in [true, false] {
            let (ended, told) = imported(&program, &folder(name));
            assert_eq!((ended, &told["imported_now"]), (code, &now.into()), "{name}: {told}");
            let figures = ["household_rows", "households", "member_rows", "members"]
                .map(|figure| told["counts"][figure].as_i64().expect("a figure"));
            assert_eq!(figures, expected, "{name}");
        }
        let ran = program.ends(code, &format!("snapshot import {}", folder(name).display()));
        assert_eq!(ran.err.contains("ask the registry for the list again"), code == 3, "{name}: {ran:?}");
    }
    let rejects = program.ends(0, "--json snapshot rejects 2").json();
    assert_eq!(rejects[0]["field"], "rsu_score", "{rejects}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[test]
fn the_configuration_is_read_whole_and_unknown_keys_are_refused() {
    let home = TempHome::new("f");
    let sound = Program::new(home.path());
    assert!(sound.ends(0, "--json config check").json()["providers"].as_u64() > Some(10));
    for (file, from, to) in [
        ("sarf.toml", "[debtor]", "[debtor]\nnick = \"x\""),
        ("programmes/dss.toml", "[eligibility]", "[eligibility]\nluck = true"),
        ("providers/banks.toml", "code = \"awb\"", "code = \"awb\"\ncolour = \"red\""),
    ] {
        let config = home.path().join(file.replace('/', "-"));
        files_only_config(&config);
        let path = config.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{file}");
        fs::write(&path, text.replacen(from, to, 1)).expect("a file");
        let ran = Program { config, ..sound.clone() }.ends(1, "config check");
        assert!(
            ran.err.contains(&path.display().to_string()) && ran.err.contains("unknown field"),
            "{file}: {ran:?}"
        );
        assert!(ran.err.contains("hint: correct the file"), "{file}: {ran:?}");
    }
}

fn fetch(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the service listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Starts `sarf serve`, looks at its pages, and interrupts it; the text of /metrics.
fn served(program: &Program) -> String {
    let mut child = program
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let address = lines
        .find_map(|line| line.split_once("health and metrics on http://").map(|(_, a)| a.trim().to_owned()))
        .expect("it says where it listens");
    assert!(fetch(&address, "/healthz").starts_with("HTTP/1.1 200 OK"));
    assert!(fetch(&address, "/readyz").starts_with("HTTP/1.1 200 OK"));
    // The gauges are read from the database as soon as it runs.
    let mut metrics = String::new();
    for _ in 0..50 {
        metrics = fetch(&address, "/metrics");
        if metrics.contains("sarf_holds") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(stopped.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "an ended service exits with 0");
    drop(lines);
    metrics.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

fn lint(metrics: &str) {
    // A body in chunks is of no use to the linter: keep only lines of the exposition.
    let whole: String =
        metrics.lines().filter(|l| l.starts_with('#') || l.contains(' ')).map(|l| format!("{l}\n")).collect();
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else { return without_tool("promtool", "promtool") };
    tool.stdin.take().expect("piped").write_all(whole.as_bytes()).expect("it reads");
    let said = tool.wait_with_output().expect("it ends");
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_told() {
    let Some(bed) = Bed::new().await else { return };
    let program = Program { log: Some("debug".into()), ..program_of(&bed) };
    let list = bed.home().join("list");
    let (list_shown, inbox) = (list.display().to_string(), bed.home().join("inbox").display().to_string());
    let mut told = String::new();
    for args in [
        format!("generate --households 500 --period 2026-11 --seed 4 --out {list_shown}"),
        format!("snapshot import {list_shown}"),
        "snapshot show 1".into(),
        "snapshot rejects 1".into(),
        "run create --snapshot 1 --as amina".into(),
        "run check 1 --acknowledge seen --as amina".into(),
        "run submit 1 --as amina".into(),
        "run approve 1 --as brahim".into(),
        "run fund 1 --as chafik".into(),
        "run release 1 --as chafik".into(),
        "dispatch 1".into(),
        "sandbox".into(),
        format!("feedback import {inbox}"),
        "reconcile 1".into(),
        "breaks list --all".into(),
        "run close 1 --as chafik".into(),
        "verify".into(),
    ] {
        let Ran { code, out, err } = program.run(&args);
        assert_eq!(code, 0, "{args}: {out}{err}");
        told.push_str(&out);
        told.push_str(&err);
    }
    assert!(told.contains("DEBUG"), "the logs were there to look at");
    let metrics = served(&program);
    lint(&metrics);
    assert!(metrics.contains("sarf_holds"), "{metrics}");
    told.push_str(&metrics);
    let secrets = secrets(&list);
    assert!(secrets.len() > 1_000, "{} things to look for", secrets.len());
    let words: BTreeSet<&str> = told.split(|c: char| !c.is_alphanumeric() && c != '+').collect();
    for secret in &secrets {
        // Of names every word counts with the next, since single names are common words too.
        let found = if secret.contains(' ') {
            told.contains(secret.as_str())
        } else {
            words.contains(secret.as_str())
        };
        assert!(!found, "`{secret}` is told");
    }
    // Within a hash, digits may stand together by chance.
    let account = words.iter().find(|word| Rib::parse(word).is_ok());
    assert_eq!(account, None, "an account number");
    assert!(!told.contains("+212"), "a phone number");
    bed.end().await;
}

/// Names, accounts, phones and identity numbers of a snapshot.
fn secrets(folder: &Path) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    for entry in fs::read_dir(folder)
        .expect("a snapshot")
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|e| e == "csv"))
    {
        let mut reader = csv::Reader::from_path(entry.path()).expect("a part");
        let columns = reader.headers().expect("a header").clone();
        for row in reader.records() {
            let row = row.expect("a row");
            for (column, value) in columns.iter().zip(&row) {
                let personal = [
                    "payee_name",
                    "payee_name_ar",
                    "payee_cin",
                    "payee_idcs",
                    "head_idcs",
                    "idcs",
                    "phone",
                    "account",
                ];
                if personal.contains(&column) && value.chars().count() > 5 {
                    secrets.insert(value.to_owned());
                    secrets.insert(value.trim_start_matches("+212").to_owned());
                }
            }
        }
    }
    secrets
}

/// Each command as the README writes it, one after the other in one shell; only the number of households and the port
/// are the test's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_month_of_the_readme_ends_in_closed_books() {
    let Some(bed) = Bed::new().await else { return };
    let output = month_of_the_readme(&bed, &[]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("run 1 closed") && out.contains("orders over"), "{out}\n{err}");
    assert!(!out.contains("FAILS"), "{out}\n{err}");
    bed.end().await;
}
