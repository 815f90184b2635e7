//! Snapshots that do not hold to the contract are refused and leave nothing; rows that do not are rejected one by one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sarf::domain::ids::Code;
use sarf::pipeline::intake;
use sarf::sandbox::registry::{Compression, GenerateOptions, generate};

use crate::harness::{Bed, Registry, period};

/// Rows of every table, partitions and all.
async fn contents(bed: &Bed) -> BTreeMap<String, i64> {
    let tables = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname = 'public' and c.relkind in ('r', 'p') order by 1";
    let mut counts = BTreeMap::new();
    for table in bed.rows(tables).await {
        let rows = bed.number(&format!("select count(*) from \"{table}\"")).await;
        counts.insert(table, rows);
    }
    counts
}

async fn check(bed: &Bed, what: &str, spoil: impl FnOnce(&Path), expected: &str) {
    let folder = bed.home().join(what);
    let mut options =
        GenerateOptions::new(400, period(), Code::parse("dss").expect("a code"), 3, folder.clone());
    options.compression = if what == "truncated" { Compression::Gzip } else { Compression::Plain };
    generate(&options, |_| ()).expect("a snapshot");
    spoil(&folder);
    let before = contents(bed).await;
    let error = intake::import(&bed.context, &folder).await.expect_err(what);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    assert!(text.contains(expected), "{what}: {text}");
    assert_eq!(contents(bed).await, before, "{what}: nothing is left of it");
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).expect("a text");
    let changed = change(text.clone());
    assert_ne!(text, changed, "{} was changed", path.display());
    fs::write(path, changed).expect("the text is written");
}

/// The manifest's hashes are made true again after a part was changed.
fn seal(folder: &Path) {
    use sha2::Digest as _;
    let path = folder.join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a manifest")).expect("JSON");
    for part in manifest["parts"].as_array_mut().expect("parts") {
        let bytes = fs::read(folder.join(part["file"].as_str().expect("a name"))).expect("a part");
        part["sha256"] = sarf::domain::hex(&sha2::Sha256::digest(&bytes)).into();
    }
    fs::write(path, manifest.to_string()).expect("the manifest is written");
}

fn households(folder: &Path) -> std::path::PathBuf {
    let mut names = fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path());
    names
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("households")))
        .expect("a part")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_breaks_the_contract_leaves_nothing() {
    let Some(bed) = Bed::new().await else { return };
    check(&bed, "hash", |f| edit(&households(f), |t| t.replacen("true", "false", 1)), "SHA-256 is ").await;
    let cut = |f: &Path| {
        let path = households(f);
        let bytes = fs::read(&path).expect("a part");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("half of it");
        seal(f);
    };
    check(&bed, "truncated", cut, "the compressed data is cut short or damaged").await;
    let swap = |f: &Path| {
        edit(&households(f), |text| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.swap(300, 301);
            lines.join("\n") + "\n"
        });
        seal(f);
    };
    check(&bed, "unsorted", swap, "rows are not in byte order of household_id").await;
    let other = |f: &Path| edit(&f.join("manifest.json"), |t| t.replace("\"dss\"", "\"ramadan\""));
    check(&bed, "programme", other, "programme `ramadan` is not configured").await;
    let short = |f: &Path| {
        edit(&households(f), |text| text.lines().take(350).collect::<Vec<_>>().join("\n") + "\n");
        seal(f);
    };
    check(&bed, "short", short, "the manifest says 400").await;
    // The same database takes a sound one.
    bed.import(&bed.generate(400, 3)).await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_row_is_rejected_with_its_reason_and_nothing_else_is() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = Registry::default();
    for _ in 0..8 {
        registry.household();
    }
    registry.set(1, &[("rsu_score", "high")]);
    registry.set(2, &[("means", "pigeon")]);
    registry.set(3, &[("commune", "")]);
    registry.set(4, &[("head_idcs", "2000000000")]);
    registry.set(5, &[("rsu_score", "9.743002")]);
    registry.set(6, &[("excluded_by", "pension")]);
    let folder = bed.home().join("list");
    registry.write(&folder);
    let snapshot = bed.import(&folder).await;
    let rejected = bed.rows("select concat_ws(' ', part, row_number, field, reason) from snapshot_rejection where part = 'households' order by row_number").await;
    let expected = [
        "households 2 rsu_score malformed",
        "households 3 means unknown_value",
        "households 4 commune missing",
        "households 5 head_idcs check_digit",
    ];
    assert_eq!(rejected, expected);
    assert_eq!(
        bed.number("select count(*) from snapshot_rejection where value_masked ~ '[b-zB-Z1-8]'").await,
        0,
        "values are masked"
    );
    let run = bed.create(snapshot).await;
    let excluded = bed.rows("select household_id || ' ' || reason from exclusion order by 1").await;
    assert_eq!(excluded.len(), 2, "{excluded:?}");
    assert!(excluded[0].starts_with("H000006 ") && excluded[1].starts_with("H000007 "), "{excluded:?}");
    let orders = bed.number(&format!("select orders from run where id = {run}")).await;
    let rows = bed.number("select household_rows from snapshot").await;
    assert_eq!((orders, rows), (2, 8));
    assert_eq!(orders + excluded.len() as i64 + rejected.len() as i64, rows);
    bed.verify_all_holds().await;
    bed.end().await;
}
