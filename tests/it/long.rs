//! Files of at most 400 lines, functions of at most 60. What is longer stands in `long.txt` with its length, and may only
//! shrink.
//!
//! `SARF_TEST_RENEW_LONG=1 cargo test --test it long` writes the list anew: what shrank is then held to its new length. Look at
//! the difference before it is committed: a line that is new, or grew, needs a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;

/// Words that may stand before `fn`.
const QUALIFIERS: &[&str] = &["pub", "const", "async", "unsafe", "default"];

/// The name of the function that begins in a line, and how far it is indented.
fn function_at(line: &str) -> Option<(&str, usize)> {
    let code = line.trim_start_matches(' ');
    let (before, after) = code.split_once("fn ")?;
    let qualified = before
        .split_whitespace()
        .all(|word| QUALIFIERS.contains(&word) || (word.starts_with("pub(") && word.ends_with(')')));
    let name = &after[..after.find(|c: char| !c.is_alphanumeric() && c != '_')?];
    (qualified && !name.is_empty()).then_some((name, line.len() - code.len()))
}

/// The functions of a text as rustfmt leaves it, each with its lines from `fn` to the closing brace: that brace stands alone,
/// as far in as the `fn`.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((name, indent)) = function_at(line) else { continue };
        if line.ends_with('}') || line.ends_with(';') {
            continue; // In one line, or a declaration.
        }
        let rest = lines[at..].iter().map(|line| (line.trim_start_matches(' '), *line));
        let ends = |(code, line): (&str, &str)| {
            line.len() - code.len() == indent
                && (code == "}" || (code.starts_with(')') && code.ends_with(';')))
        };
        let length = rest.skip(1).position(ends).map(|n| n + 2);
        found.push((name.to_owned(), length.unwrap_or_else(|| panic!("`{name}` has no end"))));
    }
    found
}

/// All files of Rust below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// What is longer than it should be, with its lines: `file` or `file function`. Of functions of one name the longest counts.
fn long() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    let (mut files, mut all) = (0, 0);
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        let text = fs::read_to_string(&path).expect("a source");
        files += 1;
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            found.insert(name.clone(), lines);
        }
        for (function, lines) in functions(&text) {
            all += 1;
            if lines > FUNCTION_LINES_MAX {
                let longest = found.entry(format!("{name} {function}")).or_default();
                *longest = lines.max(*longest);
            }
        }
    }
    // Were nothing read, nothing could fail.
    assert!(files > 300 && all > 3_000, "{all} functions in {files} files");
    found
}

/// How what is there differs from the list.
fn differences(listed: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>) -> Vec<String> {
    let names: BTreeSet<&String> = listed.keys().chain(found.keys()).collect();
    let difference = |name: &&String| {
        let (was, is) = (listed.get(*name), found.get(*name));
        Some(match (was, is) {
            (None, Some(is)) => format!("{name}: {is} lines, too long"),
            (Some(_), None) => format!("{name}: no longer too long, or gone: take it off the list"),
            (Some(was), Some(is)) if is > was => format!("{name}: grew from {was} to {is} lines"),
            (Some(was), Some(is)) if is < was => {
                format!("{name}: shrank from {was} to {is} lines: list that")
            }
            _ => return None,
        })
    };
    names.iter().filter_map(difference).collect()
}

#[test]
fn what_is_long_only_shrinks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/long.txt");
    let found = long();
    if std::env::var_os("SARF_TEST_RENEW_LONG").is_some_and(|set| set == "1") {
        let lines: String = found.iter().map(|(name, lines)| format!("{name} {lines}\n")).collect();
        fs::write(&path, lines).expect("renewed");
        println!("renewed: {}", path.display());
    }
    let text = fs::read_to_string(&path).expect("the list");
    let lines: Vec<(String, usize)> = text
        .lines()
        .map(|line| {
            let (name, lines) = line.rsplit_once(' ').expect("a name and a number");
            (name.to_owned(), lines.parse().expect("a number of lines"))
        })
        .collect();
    assert!(lines.is_sorted(), "long.txt is sorted by name");
    let listed: BTreeMap<String, usize> = lines.into_iter().collect();
    let differences = differences(&listed, &found);
    assert!(
        differences.is_empty(),
        "files have at most {FILE_LINES_MAX} lines, functions {FUNCTION_LINES_MAX}; what shrank is listed anew by \
         SARF_TEST_RENEW_LONG=1\n{}",
        differences.join("\n")
    );
}

#[test]
fn lengths_are_counted_and_compared() {
    let text = "fn one() {}\npub(super) async fn two(\n    a: u8,\n) -> u8 {\n    fn three() {\n        1;\n    }\n    a\n}\n\
                trait A {\n    fn four(\n        a: u8,\n    ) -> u8;\n}\nlet fn_ = |f: fn (u8)| f;\n// a fn in prose\n";
    let names = |found: &[(String, usize)]| {
        found.iter().map(|(name, lines)| format!("{name} {lines}")).collect::<Vec<_>>()
    };
    assert_eq!(names(&functions(text)), ["two 8", "three 3", "four 3"]);
    let list = |entries: &[(&str, usize)]| {
        entries.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect::<BTreeMap<_, _>>()
    };
    let listed = list(&[("gone", 70), ("grew", 70), ("same", 70), ("shrank", 70)]);
    let found = list(&[("grew", 71), ("new", 61), ("same", 70), ("shrank", 69)]);
    assert_eq!(
        differences(&listed, &found),
        [
            "gone: no longer too long, or gone: take it off the list",
            "grew: grew from 70 to 71 lines",
            "new: 61 lines, too long",
            "shrank: shrank from 70 to 69 lines: list that",
        ]
    );
}
