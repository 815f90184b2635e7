//! Text from outside in tables that are handed on and on terminals: it runs nothing and moves nothing.

use std::fs;
use std::path::Path;

use sarf::domain::run::RunState;

use crate::harness::{Bed, Program};

/// What a registry, a bank or a person might write, and how it stands in a cell.
const TEXTS: &[(&str, &str)] = &[
    ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
    ("+1+1", "'+1+1"),
    ("-1+1", "'-1+1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\\t=1"),
    ("\r=1", "'\\r=1"),
    ("  =1", "'  =1"),
    ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
    ("\u{ff0b}1", "'\u{ff0b}1"),
    ("\u{1b}[31mred", "\\u{1b}[31mred"),
    ("pay\u{202e}001", "pay\\u{202e}001"),
    ("two\nlines", "two\\nlines"),
    ("-12.50", "-12.50"),
    ("الدعم, \"x\"", "الدعم, \"x\""),
];

fn cells(path: &Path, column: &str) -> Vec<String> {
    let mut reader =
        csv::ReaderBuilder::new().from_path(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let at = reader.headers().expect("a header").iter().position(|h| h == column).expect("the column");
    reader.records().map(|r| r.expect("a record")[at].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_runs_and_no_text_moves_the_cursor() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(1_000, 1, RunState::Settling).await;
    for (at, (text, _)) in TEXTS.iter().enumerate() {
        let quoted = text.replace('\'', "''");
        bed.execute(&format!(
            "insert into snapshot_rejection (snapshot_id, part, row_number, field, value_masked, reason)
             values (1, 'members', {}, 'name', '{quoted}', 'malformed')",
            900_000 + at
        ))
        .await
        .expect("written");
    }
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let out = bed.home().join("out");
    program.ends(0, &format!("report {run} --out {}", out.display()));
    program.ends(0, &format!("snapshot rejects 1 --csv {}", bed.home().join("rejects.csv").display()));
    for path in [out.join("rejected_members.csv"), bed.home().join("rejects.csv")] {
        let found = cells(&path, "value");
        for (text, cell) in TEXTS {
            assert!(found.iter().any(|f| f == cell), "{}: {text:?}: {found:?}", path.display());
        }
        let raw = fs::read_to_string(&path).expect("a file");
        assert!(!raw.contains(['\u{1b}', '\u{202e}', '\t', '\r']), "{}", path.display());
    }
    // Amounts are numbers everywhere.
    for (file, column) in [("orders.csv", "amount"), ("batches.csv", "amount")] {
        let found = cells(&out.join(file), column);
        assert!(!found.is_empty(), "{file}");
        assert!(found.iter().all(|c| c.parse::<rust_decimal::Decimal>().is_ok()), "{file}: {found:?}");
    }

    let acts = |text: &str| text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\r']);
    let ran = program.ends(0, "snapshot rejects 1 --limit 100000");
    assert!(
        !acts(&ran.out) && ran.out.contains("\\u{1b}[31mred") && ran.out.contains("pay\\u{202e}001"),
        "{ran:?}"
    );
    let ran = program.ends(0, "--json snapshot rejects 1 --limit 100000");
    assert!(!acts(&ran.out), "{ran:?}");
    let values: Vec<String> = ran
        .json()
        .as_array()
        .expect("rows")
        .iter()
        .map(|r| r["value"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(values.iter().any(|v| v == "\u{1b}[31mred"), "JSON means the same as before");
    for args in [
        ["feedback", "import", "no\u{1b}[31msuch\u{202e}file"],
        ["snapshot", "import", "no\u{1b}[31msuch\u{202e}folder"],
        ["run", "show", "\u{1b}]0;title\u{7}"],
        ["operator", "\u{1b}[2Jadd", "x"],
    ] {
        let ran = program.run_args(&args);
        assert!(ran.code != 0 && !acts(&ran.err) && !acts(&ran.out), "{args:?}: {ran:?}");
        assert!(!format!("{}{}", ran.err, ran.out).contains('\u{7}'), "{args:?}: {ran:?}");
    }
    bed.end().await;
}

/// A server that is not there, is not known, or refuses: each is told in its own words, at once.
#[test]
fn a_database_that_cannot_be_used_says_why() {
    let home = crate::harness::TempHome::new("xd");
    for (url, what, hint) in [
        ("postgres://sarf@127.0.0.1:9/x", "refused", "nothing listens at the address"),
        ("postgres://sarf@no-such-host.invalid/x", "lookup address", "the host in DATABASE_URL is not known"),
        ("mysql://sarf@h/x", "not a PostgreSQL address", "postgres://user@host"),
    ] {
        let program = Program { url: Some(url.into()), ..Program::new(home.path()) };
        let began = std::time::Instant::now();
        let ran = program.ends(1, "run list");
        assert!(ran.err.contains(what) && ran.err.contains(hint), "{url}: {ran:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(8), "{url}: {:?}", began.elapsed());
    }
}
