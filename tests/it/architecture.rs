//! The arrows between modules, as the sources have them: one that runs back fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom.
const ARROWS: &[(&str, &str)] = &[
    ("main", "cli"),
    (
        "cli",
        "http engine pipeline sandbox rails snapshot store config telemetry clock files keys domain iso20022",
    ),
    ("http", "pipeline store rails config telemetry clock files domain"),
    ("engine", "pipeline store rails config telemetry clock files domain"),
    // The other side: nothing of the engine may know it.
    ("sandbox", "engine pipeline store rails iso20022 snapshot config telemetry clock files domain"),
    ("pipeline", "store rails iso20022 snapshot config telemetry clock files keys domain"),
    ("rails", "iso20022 clock files domain"),
    ("store", "keys files domain"),
    ("keys", "files domain"),
    ("snapshot", "files domain"),
    ("iso20022", "domain"),
    ("config", "files domain"),
    ("telemetry", "domain"),
    ("files", "domain"),
    ("clock", ""),
    ("testing", ""),
    ("domain", ""),
];

/// What the core must not know: the world outside.
const OUTSIDE: &[&str] =
    &["tokio", "sqlx", "std::env", "std::fs", "std::net", "SystemTime", "now_utc", "rand_chacha"];

pub(crate) struct Source {
    pub(crate) path: PathBuf,
    module: String,
    /// Without comments, texts and tests.
    pub(crate) code: String,
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).expect("below src").to_owned();
                let text = fs::read_to_string(&path).expect("a source");
                let first = relative.iter().next().expect("a name").to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                let stem = relative.file_stem().expect("a name").to_string_lossy().into_owned();
                let is_test = stem == "testing" || stem == "tests" || stem.ends_with("_tests");
                let code = if is_test { String::new() } else { plain(&text) };
                found.push(Source { path: relative, module, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Drops comments, texts and what stands after the first `#[cfg(test)]` that begins a block at the file's end.
fn plain(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        for (at, piece) in line.split('"').enumerate() {
            code.push_str(if at % 2 == 0 { piece } else { "\"\"" });
        }
        code.push('\n');
    }
    code
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Modules named by `crate::x` or `crate::{x, …}`.
fn used(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(is_name) || code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let inner: String = group
                .chars()
                .take_while(|c| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth >= 0
                })
                .collect();
            found.extend(
                inner.split(',').map(|p| p.trim().chars().take_while(|c| is_name(*c)).collect::<String>()),
            );
        } else {
            found.insert(rest.chars().take_while(|c| is_name(*c)).collect());
        }
    }
    found.remove("");
    found
}

/// The files of the engine by their module's path.
fn module_files() -> BTreeMap<Vec<String>, PathBuf> {
    sources()
        .into_iter()
        .map(|source| {
            let mut module: Vec<String> = source
                .path
                .with_extension("")
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                module.pop();
            }
            (module, source.path)
        })
        .filter(|(module, _)| !module.is_empty())
        .collect()
}

/// Which file uses which, as modules: by `use`, and by paths in the code.
fn file_uses(files: &BTreeMap<Vec<String>, PathBuf>) -> BTreeSet<(Vec<String>, Vec<String>)> {
    let by_path: BTreeMap<&PathBuf, &Vec<String>> =
        files.iter().map(|(module, path)| (path, module)).collect();
    let mut found = BTreeSet::new();
    for source in sources() {
        let Some(module) = by_path.get(&source.path) else { continue };
        let absolute = paths(&source.code).into_iter().filter_map(|path| resolved(module, &path));
        for absolute in absolute.chain(children_named(files, module, &source.code)) {
            // The file that the path leads into: the longest beginning that is one.
            let file = (1..=absolute.len()).rev().find_map(|n| files.get_key_value(&absolute[..n]));
            if let Some((target, _)) = file.filter(|(target, _)| target != module) {
                found.insert(((*module).clone(), target.clone()));
            }
        }
    }
    found
}

/// Modules below a file's own that its code names without saying where they are.
fn children_named(
    files: &BTreeMap<Vec<String>, PathBuf>,
    module: &[String],
    code: &str,
) -> BTreeSet<Vec<String>> {
    let before = code.match_indices("::").map(|(at, _)| &code[..at]);
    let names = before.map(|before| &before[before.trim_end_matches(is_name).len()..]);
    names
        .map(|name| [module, &[name.to_owned()]].concat())
        .filter(|child| files.contains_key(child))
        .collect()
}

/// All paths that begin at `crate`, `super`, `self` or `sarf`; groups are written out.
fn paths(code: &str) -> Vec<String> {
    let starts = ["crate::", "super::", "self::", "sarf::"];
    let mut found = Vec::new();
    for (at, start) in starts.iter().flat_map(|start| code.match_indices(start)) {
        if !code[..at].ends_with(|c: char| is_name(c) || c == ':' || c == '$') {
            expand(start, &code[at + start.len()..], &mut found);
        }
    }
    found
}

/// Writes out what follows a beginning of a path: names, `::`, and groups in braces.
fn expand(start: &str, rest: &str, found: &mut Vec<String>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut begins) = (0, 0);
        for (at, c) in group.char_indices() {
            let ends = depth == 0 && matches!(c, ',' | '}');
            depth += i32::from(c == '{') - i32::from(c == '}');
            if ends {
                expand(start, &group[begins..at], found);
                begins = at + 1;
            }
            if depth < 0 {
                break;
            }
        }
        return;
    }
    let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
    let path = format!("{start}{name}");
    match rest[name.len()..].strip_prefix("::") {
        Some(more) if !name.is_empty() => expand(&format!("{path}::"), more, found),
        _ => found.push(path),
    }
}

/// A path from the root of the crate.
fn resolved(module: &[String], path: &str) -> Option<Vec<String>> {
    let mut names = path.split("::").filter(|name| !name.is_empty()).peekable();
    let mut absolute = module.to_vec();
    if names.peek().is_some_and(|first| ["crate", "sarf"].contains(first)) {
        names.next();
        absolute.clear();
    }
    for name in names {
        match name {
            "self" => {}
            "super" => drop(absolute.pop()?),
            name => absolute.push(name.to_owned()),
        }
    }
    Some(absolute)
}

/// Circles in which files of more than one folder stand, each named by its files.
fn circles_between_folders(
    files: &BTreeMap<Vec<String>, PathBuf>,
    uses: &BTreeSet<(Vec<String>, Vec<String>)>,
) -> Vec<String> {
    let reached = |from: &Vec<String>| {
        let (mut open, mut seen) = (vec![from], BTreeSet::new());
        while let Some(at) = open.pop() {
            for (_, to) in uses.range((at.clone(), Vec::new())..).take_while(|(a, _)| a == at) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> =
        files.keys().map(|m| (m, reached(m))).collect();
    let mut circles = BTreeSet::new();
    for (module, from_here) in &reach {
        let circle: Vec<&Vec<String>> =
            files.keys().filter(|other| from_here.contains(other) && reach[other].contains(module)).collect();
        let folders: BTreeSet<Option<&Path>> = circle.iter().map(|m| files[*m].parent()).collect();
        if folders.len() > 1 {
            circles.insert(circle.iter().map(|m| m.join("::")).collect::<Vec<_>>().join(", "));
        }
    }
    circles.into_iter().collect()
}

/// Whether a word stands in the code by itself.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name))
}

#[test]
fn arrows_do_not_run_back() {
    let arrows: BTreeMap<&str, &str> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|s| s.module != "lib") {
        let Some(allowed) = arrows.get(source.module.as_str()) else {
            faults.push(format!("{}: module `{}` has no line here", source.path.display(), source.module));
            continue;
        };
        let program = source.code.contains("sarf::").then(|| used(&source.code.replace("sarf::", "crate::")));
        for target in used(&source.code).into_iter().chain(program.unwrap_or_default()) {
            seen.insert((source.module.clone(), target.clone()));
            if target != source.module && !allowed.split(' ').any(|module| module == target) {
                faults.push(format!("{}: {} → {target}", source.path.display(), source.module));
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert_eq!(faults, Vec::<String>::new());
    // Were nothing read, nothing could fail.
    for (from, to) in [
        ("main", "cli"),
        ("cli", "pipeline"),
        ("cli", "sandbox"),
        ("sandbox", "iso20022"),
        ("pipeline", "store"),
        ("store", "domain"),
        ("rails", "iso20022"),
    ] {
        assert!(seen.contains(&(from.to_owned(), to.to_owned())), "{from} → {to} was not seen");
    }
}

/// The floors of `pipeline`, from the lowest: a folder uses only those that stand before it.
const FLOORS: &str =
    "context refusal access intake exceptions orders runs messages dispatch exchange events reports";

#[test]
fn a_floor_of_the_pipeline_stands_on_lower_ones() {
    let files = module_files();
    let uses = file_uses(&files);
    let floor = |module: &[String]| {
        let name = module.get(1).filter(|_| module[0] == "pipeline")?;
        Some(FLOORS.split(' ').position(|f| f == name).unwrap_or_else(|| panic!("`{name}` is on no floor")))
    };
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (from, to) in &uses {
        if let (Some(a), Some(b)) = (floor(from), floor(to)) {
            seen += 1;
            if b > a {
                faults.push(format!("{} → {}", from.join("::"), to.join("::")));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(seen > 200, "only {seen} uses were seen");
}

#[test]
fn no_circle_between_folders() {
    let files = module_files();
    let circles = circles_between_folders(&files, &file_uses(&files));
    // A transaction of the store ends with a record of the chain, which is written through the store.
    assert_eq!(
        circles,
        ["store, store::audit::chain, store::audit::journal, store::audit::signing, store::locks, store::tx"]
    );
    // The finder finds one, and lets files of one folder know each other.
    let module = |path: &str| -> Vec<String> { path.split("::").map(str::to_owned).collect() };
    let small = |names: &[(&str, &str)]| {
        names.iter().map(|(name, path)| (module(name), PathBuf::from(path))).collect::<BTreeMap<_, _>>()
    };
    let files = small(&[("a::x", "a/x.rs"), ("a::y", "a/y.rs"), ("b", "b/mod.rs")]);
    let one = [("a::x", "b"), ("b", "a::y"), ("a::y", "a::x")].map(|(a, b)| (module(a), module(b)));
    assert_eq!(circles_between_folders(&files, &BTreeSet::from(one)).len(), 1);
    let none = [("a::x", "a::y"), ("a::y", "a::x"), ("a::x", "b")].map(|(a, b)| (module(a), module(b)));
    assert_eq!(circles_between_folders(&files, &BTreeSet::from(none)), Vec::<String>::new());
}

#[test]
fn the_core_does_not_know_the_world() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| s.module == "domain") {
        faults.extend(
            OUTSIDE
                .iter()
                .filter(|w| has_word(&source.code, w))
                .map(|w| format!("{}: {w}", source.path.display())),
        );
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn no_floats_near_money() {
    let near = |s: &&Source| ["domain", "iso20022", "store", "rails", "sandbox"].contains(&s.module.as_str());
    let mut faults = Vec::new();
    for source in sources().iter().filter(near) {
        faults.extend(
            ["f32", "f64"]
                .iter()
                .filter(|w| has_word(&source.code, w))
                .map(|w| format!("{}: {w}", source.path.display())),
        );
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn statements_stand_in_the_store() {
    // The year's own questions are no part of the engine.
    let own = Path::new("sandbox/year/queries.rs");
    let (mut inside, mut outside) = (0, Vec::new());
    for source in sources().iter().filter(|s| s.path != own) {
        let found = source.code.matches("sqlx::query").count();
        match source.module == "store" {
            true => inside += found,
            false if found > 0 => outside.push(source.path.display().to_string()),
            false => {}
        }
    }
    assert_eq!(outside, Vec::<String>::new());
    assert!(inside > 200, "only {inside} statements were seen");
}

#[test]
fn only_the_books_write_totals_and_transfers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let writes = ["insert into", "update", "delete from"];
    let tables = ["run_total", "ledger_transfer", "ledger_account"];
    let (mut inside, mut outside) = (0, Vec::new());
    for source in sources() {
        let text = fs::read_to_string(root.join(&source.path)).expect("a source");
        for (write, table) in writes.iter().flat_map(|w| tables.iter().map(move |t| (w, t))) {
            let found = has_word(&text, &format!("{write} {table}"));
            match source.path.starts_with("store/books") {
                true => inside += usize::from(found),
                false if found => outside.push(format!("{}: {write} {table}", source.path.display())),
                false => {}
            }
        }
    }
    assert_eq!((inside, outside), (4, Vec::<String>::new()));
}

/// A step by its number, in SQL: `step = 9`, `x.step in (11, 12)`, `furthest >= 9`. That it moves nothing is 0.
fn has_step_number(text: &str) -> bool {
    let number = |rest: &str| {
        let rest = ["=", ">=", "<=", "<>", ">", "<", "in", "between", "not in"]
            .iter()
            .filter_map(|operator| rest.trim_start().strip_prefix(operator))
            .map(|rest| rest.trim_start_matches([' ', '(']));
        rest.filter_map(|rest| rest.chars().next()).any(|c| matches!(c, '1'..='9'))
    };
    ["step", "furthest"]
        .iter()
        .flat_map(|word| text.match_indices(word).map(move |(at, _)| (at, word.len())))
        .any(|(at, length)| !text[..at].ends_with(is_name) && number(&text[at + length..]))
}

#[test]
fn orders_are_placed_and_judged_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut inside, mut outside) = (0, Vec::new());
    for source in sources() {
        let text = fs::read_to_string(root.join(&source.path)).expect("a source");
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if has_step_number(text) {
            outside.push(format!("{}: a step by its number", source.path.display()));
        }
        for piece in [".first_order and", "h.missed_batch is not null"] {
            match source.path.ends_with("store/batches/membership.rs") {
                true => inside += text.matches(piece).count(),
                false if text.contains(piece) => outside.push(format!("{}: {piece}", source.path.display())),
                false => {}
            }
        }
    }
    assert_eq!((inside, outside), (2, Vec::<String>::new()));
    for text in
        ["x.step = 9", "step in (11, 12)", "furthest >= 9", "s.step between 9 and 12", "step not in (1)"]
    {
        assert!(has_step_number(text), "{text}");
    }
    for text in ["e.step > 0", "x.step = {sent}", "steps = 1", "x.step = $2"] {
        assert!(!has_step_number(text), "{text}");
    }
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let check = |code: &str, expected: &[&str]| {
        assert_eq!(used(&plain(code)), expected.iter().map(|e| (*e).to_owned()).collect(), "{code}");
    };
    check("use crate::store::runs;", &["store"]);
    check("use crate::{cli::ui, store::{runs, Store}, domain};", &["Store", "cli", "domain", "store"]);
    check("let x = crate::domain::hex(y); // crate::cli", &["domain"]);
    check("let x = \"crate::cli\"; mycrate::http::x()", &[]);
    check("use crate::domain;\n#[cfg(test)]\nmod tests {\nuse crate::cli;\n}", &["domain"]);
    let mut found = paths("use super::{a::{self, B}, c as d}; let x = crate::e::f(self::g);");
    found.sort();
    assert_eq!(found, ["crate::e::f", "self::g", "super::a::B", "super::a::self", "super::c"]);
    let module = ["store".to_owned(), "runs".to_owned()];
    assert_eq!(
        resolved(&module, "super::orders::leaf").map(|p| p.join("::")).as_deref(),
        Some("store::orders::leaf")
    );
}
