//! `sarf run show`: where a run stands, what of it is held, and what it waits for.

use std::collections::BTreeMap;

use super::app::App;
use super::ui::{Align, Cell, Exit, Tone, format};
use super::{checks, corrections};
use crate::domain::arrivals::Awaited;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::pipeline::reports::arrivals::{self, Arrival};
use crate::store::batches::deliveries::{self, Delivery};
use crate::store::batches::{self, Batch};
use crate::store::orders::holds;
use crate::store::runs::{self, Run, RunTotal, reissues};

/// Shows a run.
pub async fn show(app: &App, id: RunId) -> anyhow::Result<Exit> {
    let mut tx = app.context.store.begin().await?;
    let run = runs::find_in_tx(&mut tx, id, false)
        .await?
        .ok_or_else(|| crate::pipeline::Refusal::not_found(Entity::Run, id))?;
    let totals = runs::totals_in_tx(&mut tx, id).await?;
    let reasons = holds::by_reason_in_tx(&mut tx, id).await?;
    let batches = batches::of_run_in_tx(&mut tx, id).await?;
    let parts = reissues::parts_in_tx(&mut tx, id).await?;
    let corrected = runs::corrections::parts_in_tx(&mut tx, id).await?;
    let unusual: Vec<_> =
        runs::checks::checks_in_tx(&mut tx, id).await?.into_iter().filter(|c| c.breached).collect();
    tx.rollback().await?;
    let late = late(app, &batches).await?;
    let on_their_way = on_their_way(app, id).await?;
    if app.output.is_json() {
        app.output.json(
            &serde_json::json!({
                "run": run, "totals": totals, "holds": reasons, "batches": batches, "reissued": parts, "corrected": corrected,
                "unusual": unusual, "late": late, "on_their_way": on_their_way,
            }),
        )?;
        return Ok(Exit::Done);
    }
    print_head(app, &run);
    checks::print_unusual(app, &unusual);
    print_states(app, &totals);
    print_holds(app, &reasons);
    print_parts(app, &parts);
    corrections::print_parts(app, &corrected);
    let waves = batches.iter().map(|b| b.wave).max().unwrap_or(0);
    let sent = batches.iter().filter(|b| b.file_sha256.is_some()).count();
    app.output.line(&format!("{} batches in {waves} waves, {sent} of them sent", batches.len()));
    print_waiting(app, &on_their_way, &late);
    Ok(Exit::Done)
}

/// What is late of what the run's providers owe: answers to its files, statements, settlement files.
async fn late(app: &App, batches: &[Batch]) -> anyhow::Result<Vec<Arrival>> {
    let mut late = arrivals::awaited(&app.context).await?;
    late.retain(|arrival| {
        arrival.late
            && match arrival.awaited {
                Awaited::Acknowledgement => {
                    batches.iter().any(|b| b.file_name.as_deref() == Some(arrival.of.as_str()))
                }
                Awaited::Statement | Awaited::Settlement => {
                    batches.iter().any(|b| b.provider == arrival.from && b.orders > 0)
                }
                Awaited::Snapshot => false,
            }
    });
    Ok(late)
}

/// The run's files that have not reached their provider's server.
async fn on_their_way(app: &App, id: RunId) -> anyhow::Result<Vec<Delivery>> {
    let mut files = deliveries::list(&app.context.store, false).await?;
    files.retain(|file| file.run_id == id.get() && file.state != DeliveryState::Delivered);
    Ok(files)
}

fn print_head(app: &App, run: &Run) {
    let out = &app.output;
    out.line(&format!(
        "run {} · {} {} {} · {}{}",
        run.id,
        run.programme,
        run.period,
        run.kind,
        run.state,
        if run.paused { " (paused)" } else { "" }
    ));
    out.line(&format!(
        "{} households: {} orders over {}, {} exclusions",
        format::count(run.households as u64),
        format::count(run.orders as u64),
        format::amount(run.ordered),
        format::count(run.exclusions as u64)
    ));
    if run.entitled != run.ordered {
        out.line(&format!(
            "{} entitled, {} of it kept back against undue payments",
            format::amount(run.entitled),
            format::amount(run.entitled - run.ordered)
        ));
    }
}

fn print_states(app: &App, totals: &[RunTotal]) {
    let mut by_state: BTreeMap<_, (i64, Centimes)> = BTreeMap::new();
    for total in totals {
        let sum = by_state.entry(total.state).or_default();
        sum.0 += total.orders;
        sum.1 += total.amount;
    }
    let row = |state: String, n: i64, amount| vec![state, format::count(n as u64), format::figure(amount)];
    let rows: Vec<Vec<String>> =
        by_state.iter().map(|(state, (n, amount))| row(state.to_string(), *n, *amount)).collect();
    app.output.table(&[("orders", Align::Left), ("count", Align::Right), ("¤", Align::Right)], &rows);
}

fn print_holds(app: &App, reasons: &[(String, i64, Centimes)]) {
    if reasons.is_empty() {
        return;
    }
    let row = |(reason, n, amount): &(String, i64, Centimes)| {
        vec![reason.clone(), format::count(*n as u64), format::figure(*amount)]
    };
    let rows: Vec<Vec<String>> = reasons.iter().map(row).collect();
    app.output.table(&[("held for", Align::Left), ("orders", Align::Right), ("¤", Align::Right)], &rows);
}

/// What a reissue run pays again, by decision and earlier run.
fn print_parts(app: &App, parts: &[reissues::Part]) {
    let columns = [
        ("reissued from", Align::Left),
        ("decision", Align::Left),
        ("orders", Align::Right),
        ("¤", Align::Right),
    ];
    let row = |p: &reissues::Part| {
        let count = format::count(p.orders as u64);
        vec![format!("run {}", p.of_run), p.decision.clone(), count, format::figure(p.amount)]
    };
    if !parts.is_empty() {
        app.output.table(&columns, &parts.iter().map(row).collect::<Vec<_>>());
    }
}

/// What the run waits for longer than was agreed, and what has not reached its provider.
fn print_waiting(app: &App, files: &[Delivery], late: &[Arrival]) {
    let file = |file: &Delivery| {
        let stands =
            if file.state == DeliveryState::Stopped { "ask the bank" } else { "not at its server yet" };
        vec![
            Cell::from(file.provider.clone()),
            file.file_name.clone().into(),
            Cell::toned(stands, Tone::Bad),
            file.fault.clone().unwrap_or_default().into(),
        ]
    };
    let message = |arrival: &Arrival| {
        vec![
            Cell::from(arrival.from.clone()),
            arrival.of.clone().into(),
            Cell::toned(format!("{} is late", arrival.awaited), Tone::Bad),
            format!("due {}", format::moment(arrival.due)).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = files.iter().map(file).chain(late.iter().map(message)).collect();
    if !rows.is_empty() {
        let columns = [("waits for", Align::Left), ("of", Align::Left), ("", Align::Left), ("", Align::Text)];
        app.output.table(&columns, &rows);
    }
}
