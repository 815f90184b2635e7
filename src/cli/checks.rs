//! `sarf run check`: what is unusual first, then the comparison with the previous regular run.

use super::app::App;
use super::ui::{Align, Exit, format};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::pipeline::runs::approve;
use crate::store::runs::checks::{Check, ComparisonLine};
use crate::store::runs::{self, checks as run_checks};

/// So many breaches are shown where a run is shown; `run check` has all.
const UNUSUAL_SHOWN: usize = 5;

/// Prints the checks of a run, or takes note of its breaches first.
pub async fn check(app: &App, id: RunId, acknowledge: Option<(String, String)>) -> anyhow::Result<Exit> {
    if let Some((why, by)) = acknowledge {
        let count = approve::acknowledge(&app.context, id, &by, &why).await?.into_inner();
        app.output.note(&format!("{count} breaches acknowledged"));
    }
    let comparison = run_checks::comparison(&app.context.store, id).await?;
    let mut tx = app.context.store.begin().await?;
    runs::find_in_tx(&mut tx, id, false)
        .await?
        .ok_or_else(|| crate::pipeline::Refusal::not_found(Entity::Run, id))?;
    let checks = run_checks::checks_in_tx(&mut tx, id).await?;
    tx.rollback().await?;
    let open = checks.iter().any(|c| c.breached && c.acknowledged_by.is_none());
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "checks": checks, "comparison": comparison }))?;
    } else {
        let (told, quiet): (Vec<&Check>, Vec<&Check>) =
            checks.iter().partition(|check| check.breached || check.scope == "all");
        print_checks(app, &told);
        if !quiet.is_empty() {
            app.output.note(&format!(
                "{} further checks of single regions, provinces and providers found nothing unusual; see them with --json",
                format::count(quiet.len() as u64)
            ));
        }
        print_comparison(app, &comparison, &told);
    }
    Ok(if open { Exit::NeedsPerson } else { Exit::Done })
}

/// Prints the most unusual breaches of a run.
pub fn print_unusual(app: &App, breached: &[Check]) {
    let shown: Vec<&Check> = breached.iter().take(UNUSUAL_SHOWN).collect();
    if shown.is_empty() {
        return;
    }
    print_checks(app, &shown);
    if breached.len() > shown.len() {
        app.output.note(&format!("{} more breaches: sarf run check", breached.len() - shown.len()));
    }
}

fn print_checks(app: &App, checks: &[&Check]) {
    let columns = [
        ("check", Align::Left, 0),
        ("of", Align::Text, 0),
        ("value", Align::Right, 0),
        ("elsewhere", Align::Right, 1),
        ("at most", Align::Right, 0),
        ("count", Align::Right, 2),
        ("result", Align::Text, 0),
    ];
    let result = |c: &Check| match (&c.acknowledged_by, c.breached) {
        (_, false) => "ok".to_owned(),
        (None, true) => "BREACHED".to_owned(),
        (Some(by), true) => format!("breached; {by}: {}", c.acknowledged_why.as_deref().unwrap_or("")),
    };
    let part = |c: &Check| match c.part {
        Some(centimes) if c.code == "total_change" => format::figure(Centimes::new(centimes)),
        Some(households) => format::count(households.unsigned_abs()),
        None => String::new(),
    };
    let row = |c: &&Check| {
        let elsewhere = c.elsewhere.clone().unwrap_or_default();
        vec![
            c.code.clone(),
            c.scope.clone(),
            c.value.clone(),
            elsewhere,
            c.threshold.clone(),
            part(c),
            result(c),
        ]
    };
    app.output.table(&columns, &checks.iter().map(row).collect::<Vec<_>>());
}

/// Of provinces, only those with something unusual are shown.
fn print_comparison(app: &App, lines: &[ComparisonLine], told: &[&Check]) {
    if lines.is_empty() {
        app.output.note("there is no earlier regular run to compare with");
        return;
    }
    let columns = [
        ("", Align::Left, 0),
        ("before", Align::Right, 3),
        ("now", Align::Right, 0),
        ("joined", Align::Right, 0),
        ("left", Align::Right, 0),
        ("amount changed", Align::Right, 1),
        ("account changed", Align::Right, 0),
        ("¤ before", Align::Right, 4),
        ("¤ now", Align::Right, 2),
    ];
    let count = |n: i64| format::count(n as u64);
    let mad = |n: i64| format::figure(Centimes::new(n));
    let name = |l: &ComparisonLine| {
        if l.dimension == "all" { "all".to_owned() } else { format!("{} {}", l.dimension, l.label) }
    };
    let unusual = |l: &ComparisonLine| told.iter().any(|check| check.scope == name(l));
    let (shown, left_out): (Vec<_>, Vec<_>) =
        lines.iter().partition(|l| l.dimension != "province" || unusual(l));
    let row = |l: &&ComparisonLine| {
        vec![
            name(l),
            count(l.before_households),
            count(l.after_households),
            count(l.joined),
            count(l.left),
            count(l.amount_changed),
            count(l.account_changed),
            mad(l.before_amount),
            mad(l.after_amount),
        ]
    };
    app.output.table(&columns, &shown.iter().map(row).collect::<Vec<_>>());
    if !left_out.is_empty() {
        let provinces = format::count(left_out.len() as u64);
        app.output
            .note(&format!("{provinces} provinces with nothing unusual are left out; see them with --json"));
    }
}
