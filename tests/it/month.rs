//! The whole month through the real program, a command at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Bed, Program, sent_files, without_tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_month() {
    let Some(bed) = Bed::new().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let ok = |args: &str| program.ends(0, &format!("--json {args}")).json();
    let twice = |args: &str, key: &str| {
        assert_eq!(ok(args)[key], Value::Bool(true), "{args}");
        assert_eq!(ok(args)[key], Value::Bool(false), "{args}, again");
    };
    program.ends(0, "migrate");
    for (name, role) in [("dina", "preparer"), ("elias", "approver"), ("farah", "accountant")] {
        program.ends(0, &format!("operator add {name} --role {role} --as sara"));
    }
    assert!(ok("operator list").as_array().is_some_and(|people| people.len() == 6));

    let folder = bed.home().join("list");
    let shown = folder.display();
    let manifest =
        ok(&format!("generate --households 1500 --period 2026-11 --seed 3 --out {shown} --compression zstd"));
    assert_eq!(manifest["period"], "2026-11");
    let first = ok(&format!("snapshot import {shown}"));
    assert_eq!((&first["imported_now"], &first["snapshot"]), (&Value::Bool(true), &Value::from(1)));
    let again = ok(&format!("snapshot import {shown}"));
    assert_eq!((&again["imported_now"], &again["snapshot"]), (&Value::Bool(false), &Value::from(1)));

    let made = ok("run create --snapshot 1 --as dina");
    assert_eq!((&made["run"], &made["made_now"]), (&Value::from(1), &Value::Bool(true)));
    assert_eq!(ok("run create --snapshot 1 --as dina")["made_now"], Value::Bool(false));
    let checked = program.run("--json run check 1");
    assert!(checked.json()["checks"].as_array().is_some_and(|c| !c.is_empty()), "{checked:?}");
    let breached = checked.json()["checks"]
        .as_array()
        .is_some_and(|c| c.iter().any(|c| c["breached"] == Value::Bool(true)));
    assert_eq!(checked.code, if breached { 3 } else { 0 });
    let noted =
        program.run_args(&["--json", "run", "check", "1", "--acknowledge", "looked at", "--as", "dina"]);
    assert_eq!(noted.code, 0, "{noted:?}");
    twice("run submit 1 --as dina", "done_now");
    twice("run approve 1 --as elias", "done_now");
    twice("run fund 1 --as farah", "done_now");
    twice("run release 1 --as farah", "done_now");

    let sent = ok("dispatch 1");
    assert!(sent["files"].as_u64() > Some(5) && sent["already"] == 0, "{sent}");
    let again = ok("dispatch 1");
    assert_eq!((&again["files"], &again["already"]), (&Value::from(0), &sent["files"]));
    files_are_valid(
        &bed.outbox(),
        sent["files"].as_u64().expect("a number"),
        sent["orders"].as_u64().expect("a number"),
    );

    let answers = ok("sandbox --seed 5");
    assert_eq!(answers["orders"], sent["orders"]);
    let inbox = format!("feedback import {}", bed.home().join("inbox").display());
    let read = ok(&inbox);
    let all = |read: &Value, already: bool| {
        read.as_array().is_some_and(|files| {
            // What is no message (the sandbox's own notes) is named as left alone.
            let messages: Vec<&Value> = files.iter().filter(|f| f.get("left_alone").is_none()).collect();
            !messages.is_empty() && messages.iter().all(|f| f["imported"]["already"] == Value::Bool(already))
        })
    };
    assert!(all(&read, false), "{read}");
    assert!(all(&ok(&inbox), true));
    let found = ok("reconcile 1");
    assert_eq!(
        (&found["state"], &found["open_breaks"], &found["under_way"]),
        (&"reconciled".into(), &0.into(), &0.into())
    );
    assert_eq!(ok("breaks list --run 1"), Value::Array(Vec::new()));
    twice("run close 1 --as farah", "done_now");
    let shown = ok("run show 1");
    assert_eq!(shown["run"]["state"], "closed");
    let total: i64 = shown["totals"]
        .as_array()
        .expect("totals")
        .iter()
        .map(|t| t["orders"].as_i64().expect("a count"))
        .sum();
    assert_eq!(Some(total), shown["run"]["orders"].as_i64());
    let proofs = ok("verify");
    assert!(
        proofs.as_array().is_some_and(|p| p.len() > 10 && p.iter().all(|p| p["holds"] == Value::Bool(true))),
        "{proofs}"
    );
    bed.verify_all_holds().await;
    bed.end().await;
}

/// Sums and counts hold, the hash beside each file is its own, and the schema of the standard accepts it.
fn files_are_valid(outbox: &Path, files: u64, orders: u64) {
    let sent = sent_files(outbox);
    assert_eq!(sent.len() as u64, files);
    assert_eq!(sent.iter().map(|f| f.orders.len() as u64).sum::<u64>(), orders);
    let mut names = std::collections::BTreeSet::new();
    for file in &sent {
        let sum: i64 = file.orders.iter().map(|(_, _, amount)| amount.get()).sum();
        assert_eq!(sum, file.control_sum.get(), "{}", file.path.display());
        names.extend(file.orders.iter().map(|(end_to_end, ..)| end_to_end.clone()));
        let stated =
            std::fs::read_to_string(file.path.with_extension("xml.sha256")).expect("the hash lies beside it");
        use sha2::Digest as _;
        let hash = sarf::domain::hex(&sha2::Sha256::digest(std::fs::read(&file.path).expect("a file")));
        assert_eq!(stated.split_whitespace().next(), Some(hash.as_str()));
    }
    assert_eq!(names.len() as u64, orders, "end-to-end ids are unique");
    let paths: Vec<PathBuf> = sent.iter().map(|f| f.path.clone()).collect();
    match schema() {
        Some(schema) => assert_valid(&schema, &paths),
        None => println!("skipped: no pain.001.001.09.xsd"),
    }
    assert_valid_as_next_version(&paths[0]);
}

/// Validates files with `xmllint`.
fn assert_valid(schema: &Path, files: &[PathBuf]) {
    let mut lint = Command::new("xmllint");
    lint.args(["--noout", "--nonet", "--schema"]).arg(schema).args(files);
    match lint.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => without_tool("xmllint", "xmllint"),
    }
}

/// The crate `iso20022` carries the official schema of the next version, which only adds optional elements: under its
/// namespace our files are valid too. This check needs nothing that is not in the package.
pub(crate) fn assert_valid_as_next_version(file: &Path) {
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().expect("rustc answers");
    let host = String::from_utf8_lossy(&host.stdout).trim().to_owned();
    // Crates for other platforms are in the lock file and not on this machine.
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host])
        .output();
    let metadata = metadata.expect("cargo answers");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo's metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|p| p["name"] == "iso20022").expect("the dev-dependency");
    let manifest = Path::new(package["manifest_path"].as_str().expect("its path"));
    let schema = manifest.with_file_name("schema").join("pain.001.001.10.xsd");
    let text =
        std::fs::read_to_string(file).expect("a bank file").replace("pain.001.001.09", "pain.001.001.10");
    let copy = file.with_extension("next");
    std::fs::write(&copy, text).expect("room for a copy");
    assert_valid(&schema, std::slice::from_ref(&copy));
    std::fs::remove_file(copy).expect("the copy was there");
}

/// The official schema, where `SARF_XSD` or the folder beside the tree has it.
fn schema() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/xsd");
    let folders = std::env::var_os("SARF_XSD").map(PathBuf::from).into_iter().chain([beside]);
    folders.map(|f| f.join("pain.001.001.09.xsd")).find(|p| p.exists())
}
