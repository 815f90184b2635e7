//! The chart of accounts, as `src/ARCHITECTURE.md` has it: its rows are the functions of `store/books`, and nothing else is
//! posted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sarf::domain::ledger::{AccountKind, PostingReason};
use sarf::domain::order::OrderState;

use crate::architecture::{is_name, sources};

/// What was posted: reason, debit and credit.
pub(crate) const POSTED: &str = "select distinct concat_ws('|', t.why, d.kind, c.kind)
  from ledger_transfer t join ledger_account d on d.id = t.debit_account join ledger_account c on c.id = t.credit_account";

/// Files of `store/books` that the postings stand on, and the one that reads balances.
const NO_POSTINGS: &[&str] = &["ledger", "mod", "moves", "transfer"];

/// Posts rows that were collected before.
const COLLECTED: &str = "statement::post_in_tx";

struct Row {
    why: String,
    function: String,
    /// Each debit with each credit that may go with it.
    pairs: Vec<(AccountKind, AccountKind)>,
}

fn chart() -> Vec<Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("the page");
    let chart = page.split("## Chart of accounts").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = chart.expect("the chart").lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, why, function, debit, credit] = cells[..] else { panic!("five columns: {line}") };
        let function = function.trim_matches('`').to_owned();
        Row { why: why.to_owned(), function, pairs: pairs(debit, credit) }
    })
    .collect()
}

/// Accounts after a `;` go together, those after a `,` instead of each other.
fn pairs(debit: &str, credit: &str) -> Vec<(AccountKind, AccountKind)> {
    let (debit, credit): (Vec<&str>, Vec<&str>) = (debit.split(';').collect(), credit.split(';').collect());
    assert_eq!(debit.len(), credit.len(), "{debit:?} {credit:?}");
    let mut pairs = Vec::new();
    for (debit, credit) in debit.into_iter().zip(credit) {
        let credits = accounts(credit);
        pairs.extend(accounts(debit).into_iter().flat_map(|d| credits.iter().map(move |c| (d, *c))));
    }
    pairs
}

fn accounts(cell: &str) -> Vec<AccountKind> {
    let named = |text: &str| match text.split_whitespace().next().expect("an account") {
        "the" => OrderState::ALL.iter().map(|state| AccountKind::of_state(*state)).collect(),
        kind => vec![AccountKind::parse(kind).unwrap_or_else(|| panic!("no account `{kind}`"))],
    };
    cell.split(',').flat_map(named).collect()
}

/// What was posted and stands in no row.
pub(crate) fn unlisted(posted: &[String]) -> Vec<String> {
    let rows = chart();
    let is_listed = |line: &&String| {
        let parts: Vec<&str> = line.split('|').collect();
        let [why, debit, credit] = parts[..] else { panic!("three parts: {line}") };
        let pair = AccountKind::parse(debit).zip(AccountKind::parse(credit)).expect("accounts");
        rows.iter().any(|row| row.why == why && row.pairs.contains(&pair))
    };
    posted.iter().filter(|line| !is_listed(line)).cloned().collect()
}

/// Functions of `store/books` that others may call, by file.
fn postings() -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.path.starts_with("store/books")) {
        let file = source.path.file_stem().expect("a name").to_string_lossy();
        let public = source.code.lines().filter_map(|line| line.trim().strip_prefix("pub "));
        let functions = public.filter_map(|line| {
            let (before, name) = line.split_once("fn ")?;
            ["", "async ", "const "].contains(&before).then_some(name)
        });
        if !NO_POSTINGS.contains(&file.as_ref()) {
            let name = |name: &str| name.chars().take_while(|c| is_name(*c)).collect::<String>();
            found.extend(functions.map(|function| format!("{file}::{}", name(function))));
        }
    }
    found.retain(|function| function != COLLECTED);
    found
}

#[test]
fn each_row_of_the_chart_is_one_function_of_the_books() {
    let mut rows: Vec<String> = chart().into_iter().map(|row| row.function).collect();
    let mut functions = postings();
    rows.sort();
    functions.sort();
    assert_eq!(rows, functions);
}

#[test]
fn each_reason_stands_in_the_chart() {
    let listed: BTreeSet<String> = chart().into_iter().map(|row| row.why).collect();
    let reasons: BTreeSet<String> = PostingReason::ALL.iter().map(|why| why.to_string()).collect();
    assert_eq!(listed, reasons);
}

#[test]
fn what_stands_in_no_row_is_told() {
    let posted = ["batch sent|in_flight|planned", "batch sent|settled|planned", "repaid|receivable|suspense"];
    let posted = posted.map(str::to_owned);
    assert_eq!(unlisted(&posted), posted[1..]);
}
