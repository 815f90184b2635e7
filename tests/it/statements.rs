//! Every statement that is written whole in the store is prepared against the real schema: a column, table or type that is not
//! there fails here, whether a scenario comes by or not.
//!
//! Limit: a statement that is put together (`format!`) is not; those run in the scenarios.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use crate::harness::Bed;

/// The calls that take a statement.
const CALLS: [&str; 3] = ["sqlx::query", "sqlx::query_as", "sqlx::query_scalar"];

/// PostgreSQL could not tell the type of a parameter from the statement alone; the program sends it.
const TYPE_LEFT_OPEN: &str = "42P18";

/// The string literal that a text begins with, without its quotes, as the compiler reads it.
fn literal(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars().peekable();
    let mut found = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(found),
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                'n' => found.push('\n'),
                other => found.push(other),
            },
            other => found.push(other),
        }
    }
}

/// The statements of a source, each with its line.
fn statements(source: &str) -> Vec<(usize, String)> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("sqlx::query") {
        let rest = &code[at..];
        let Some(open) = rest.find('(') else { continue };
        // Types may be named: `query_as::<_, (i64, String)>("…")`.
        let (name, open) = match rest.find("::<") {
            Some(types) if types < open => match rest.find(">(") {
                Some(end) => (&rest[..types], end + 1),
                None => continue,
            },
            _ => (&rest[..open], open),
        };
        let Some(text) = literal(rest[open + 1..].trim_start()).filter(|_| CALLS.contains(&name)) else {
            continue;
        };
        found.push((code[..at].matches('\n').count() + 1, text));
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn literals_are_read_as_the_compiler_reads_them() {
    let source = "sqlx::query(\"a \\\n   b\") sqlx::query_as::<_, (i64,)>(\n \"say \\\"c\\\"\") sqlx::query(sql) sqlx::query_x(\"d\")";
    assert_eq!(statements(source), [(1, "a b".to_owned()), (2, "say \"c\"".to_owned())]);
}

#[tokio::test]
async fn statements_are_prepared_on_the_schema() {
    let Some(bed) = Bed::new().await else { return };
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"), &mut files);
    let mut connection = bed.context.store.pool().acquire().await.expect("a connection");
    let (mut prepared, mut faults) = (0, Vec::new());
    for file in files {
        for (line, text) in statements(&fs::read_to_string(&file).expect("a source")) {
            let result = connection.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await;
            prepared += 1;
            if let Err(error) = result {
                let open =
                    error.as_database_error().and_then(|e| e.code()).is_some_and(|c| c == TYPE_LEFT_OPEN);
                if !open {
                    faults.push(format!("{}:{line}: {error}\n{text}", file.display()));
                }
            }
        }
    }
    drop(connection);
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(prepared > 200, "only {prepared} statements were seen");
    bed.end().await;
}
