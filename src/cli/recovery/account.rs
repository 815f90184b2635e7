//! Prints a household's statement of account.

use super::super::app::App;
use super::super::ui::{Align, Exit, format};
use super::words::{Lang, Words};
use crate::cli::refused::CliError;
use crate::domain::country;
use crate::domain::ids::HouseholdId;
use crate::domain::money::Centimes;
use crate::pipeline::exceptions::recovery::account::{self, Account, Figures, Line};

pub async fn run(app: &App, household: HouseholdId, lang: Lang) -> anyhow::Result<Exit> {
    let found = account::of(&app.context, household).await?;
    let found = found.ok_or_else(|| CliError::NothingOf(household.to_string()))?;
    app.output.json(&found)?;
    print(app, &found, &lang.words());
    let late = found.cases.iter().any(|c| c.overdue);
    Ok(if late || !found.holds { Exit::NeedsPerson } else { Exit::Done })
}

fn print(app: &App, account: &Account, words: &Words) {
    let out = &app.output;
    out.line(&format!("{} {} · {}", words.title, account.household, country::with_currency(words.currency)));
    out.line("");
    print_payments(app, account, words);
    print_put_right(app, account, words);
    print_cases(app, account, words);
    out.line("");
    let t = &account.totals;
    let [due, undue, paid, came_back, repaid, given_up] = words.terms;
    let mut sum = format!("{due} {}", format::amount(t.due));
    for (sign, term, amount) in [
        ("−", undue, t.undue),
        ("−", paid, t.paid),
        ("+", came_back, t.came_back),
        ("+", repaid, account.repaid),
        ("+", given_up, account.given_up),
    ] {
        if !amount.is_zero() {
            sum.push_str(&format!(" {sign} {term} {}", format::amount(amount)));
        }
    }
    let [to_come, owed] = words.sides;
    out.line(&format!(
        "{sum} = {to_come} {} − {owed} {}",
        format::amount(t.to_come),
        format::amount(account.owed)
    ));
    let [gets, owes, nothing, granted] = words.result;
    if t.to_come.is_zero() && account.owed.is_zero() && account.to_refund.is_zero() {
        out.line(nothing);
    }
    if !t.to_come.is_zero() {
        out.line(&format!("{gets} {}", format::amount(t.to_come)));
    }
    if !account.owed.is_zero() {
        out.line(&format!("{owes} {}", format::amount(account.owed)));
    }
    if !account.to_refund.is_zero() {
        out.line(&format!("{granted} {}", format::amount(account.to_refund)));
    }
    if !account.holds {
        out.note("the figures of orders and of cases do not agree: run `sarf verify`");
    }
}

fn columns<const N: usize>(names: [&'static str; N], right: &[usize]) -> Vec<(&'static str, Align)> {
    let align = |at: usize| if right.contains(&at) { Align::Right } else { Align::Left };
    names.into_iter().enumerate().map(|(at, name)| (name, align(at))).collect()
}

/// An empty cell says nothing more clearly than a zero.
fn cell(amount: Centimes) -> String {
    if amount.is_zero() { String::new() } else { format::figure(amount) }
}

fn figures(figures: &Figures) -> [String; 6] {
    let f = figures;
    [f.due, f.kept_back, f.paid, f.came_back, f.to_come, f.undue].map(cell)
}

fn print_payments(app: &App, account: &Account, words: &Words) {
    let mut rows: Vec<Vec<String>> = account.lines.iter().map(|line| payment(line, words)).collect();
    let mut total = vec![words.total.to_owned(), String::new()];
    total.extend(figures(&account.totals));
    total.push(String::new());
    rows.push(total);
    app.output.table(&columns(words.payments, &[2, 3, 4, 5, 6, 7]), &rows);
}

fn payment(line: &Line, words: &Words) -> Vec<String> {
    let what = if line.order.is_some() { line.purpose.as_str() } else { words.elsewhere };
    let mut row = vec![line.period.to_string(), format!("{} {what}", line.programme)];
    row.extend(figures(&line.figures));
    row.push(line.state.map_or_else(String::new, |s| s.to_string()));
    row
}

fn print_put_right(app: &App, account: &Account, words: &Words) {
    if account.put_right.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = account
        .put_right
        .iter()
        .map(|p| {
            let amounts = [p.was, p.due, p.difference].map(format::figure);
            let mut row = vec![p.period.to_string()];
            row.extend(amounts);
            row.push(p.run.to_string());
            row
        })
        .collect();
    app.output.line("");
    app.output.table(&columns(words.put_right, &[1, 2, 3, 4]), &rows);
}

fn print_cases(app: &App, account: &Account, words: &Words) {
    if account.cases.is_empty() {
        return;
    }
    let [suspended, overdue] = words.remarks;
    let rows: Vec<Vec<String>> = account
        .cases
        .iter()
        .map(|c| {
            let remark = match (c.overdue, c.suspended) {
                (true, _) => overdue,
                (_, true) => suspended,
                _ => "",
            };
            vec![
                c.reference.to_string(),
                c.case.period.to_string(),
                format::figure(c.case.amount),
                format::figure(c.case.outstanding),
                c.case.state.to_string(),
                remark.to_owned(),
            ]
        })
        .collect();
    app.output.line("");
    app.output.table(&columns(words.cases, &[2, 3]), &rows);
}
