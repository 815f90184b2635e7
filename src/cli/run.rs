//! `sarf run …` and `sarf reconcile`: from draft to close.

use clap::{Args, Subcommand};

use super::app::App;
use super::decision::{self, Decided};
use super::ui::{Align, Exit, format};
use super::{checks, corrections};
use crate::cli::refused::CliError;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::not_found::Entity;
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::orders::{children, regular, reissue};
use crate::pipeline::runs::{approve, fund, reconcile};
use crate::store::batches;
use crate::store::orders::holds;
use crate::store::runs::{self, reissues};

/// Who acts.
#[derive(Args)]
pub struct Actor {
    /// Name of the operator who does this
    #[arg(long = "as", value_name = "NAME", env = "SARF_OPERATOR")]
    pub name: String,
}

/// Runs.
#[derive(Subcommand)]
pub enum Run {
    /// Make the run of a snapshot (amounts, orders, holds, comparison), of what may be paid again, or of what a later
    /// snapshot puts right
    Create {
        /// Number of the snapshot
        #[arg(long, required_unless_present = "programme")]
        snapshot: Option<SnapshotId>,
        /// regular, off-cycle, reissue, correction, birth-grant or deposit
        #[arg(long, default_value = "regular", value_parser = parse_kind, requires_if("reissue", "programme"))]
        kind: RunKind,
        /// Programme whose unpaid orders a reissue gathers
        #[arg(long, value_name = "CODE")]
        programme: Option<String>,
        /// Month whose budget a reissue is charged to; this one unless given
        #[arg(long, requires = "programme")]
        period: Option<Period>,
        /// How many months before its own a correction looks back; as configured unless given
        #[arg(long, requires = "snapshot", value_parser = clap::value_parser!(u8).range(0..=24))]
        months: Option<u8>,
        #[command(flatten)]
        actor: Actor,
    },
    /// What a correction run puts right, household by household
    Corrections(corrections::Corrections),
    /// All runs
    List,
    /// Where a run stands
    Show {
        /// Its number
        id: RunId,
    },
    /// Checks and comparison with the previous regular run
    Check {
        /// Its number
        id: RunId,
        /// Take note of all breaches, with this reason
        #[arg(long, value_name = "WHY", requires = "operator")]
        acknowledge: Option<String>,
        /// Name of the preparer who takes note
        #[arg(long = "as", id = "operator", value_name = "NAME", env = "SARF_OPERATOR")]
        operator: Option<String>,
    },
    /// Put a run before the approver
    Submit(Step),
    /// Approve exactly what was submitted
    Approve(Step),
    /// Reserve a run's amount in the budget envelope
    Fund(Step),
    /// Let a wave leave, or all waves
    Release {
        /// Its number
        id: RunId,
        /// One wave only
        #[arg(long)]
        wave: Option<i16>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Let no more files leave
    Pause(Step),
    /// Let files leave again
    Resume(Step),
    /// Give a run up, as long as nothing was released
    Cancel(Step),
    /// Close the books of a run
    Close {
        /// Its number
        id: RunId,
        /// Carry what is left forward, for this reason
        #[arg(long, value_name = "WHY")]
        carry: Option<String>,
        #[command(flatten)]
        actor: Actor,
    },
}

/// A run, and who acts on it.
#[derive(Args)]
pub struct Step {
    /// Number of the run
    id: RunId,
    #[command(flatten)]
    actor: Actor,
}

/// `sarf reconcile`.
#[derive(Args)]
pub struct Reconcile {
    /// Number of the run
    id: RunId,
}

fn parse_kind(text: &str) -> Result<RunKind, String> {
    match RunKind::parse(text) {
        Some(kind) => Ok(kind),
        None => Err("one of regular, off-cycle, reissue, correction, birth-grant, deposit".into()),
    }
}

impl Run {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let context = &app.context;
        match self {
            Self::Create {
                snapshot: None,
                programme: Some(programme),
                period,
                kind: RunKind::Reissue,
                actor,
                ..
            } => reissue_run(app, &programme, period, &actor.name).await,
            Self::Create {
                snapshot: Some(snapshot),
                programme: None,
                kind: RunKind::Correction,
                months,
                actor,
                ..
            } => corrections::create(app, snapshot, months, &actor.name).await,
            Self::Create { snapshot: Some(snapshot), programme: None, kind, months: None, actor, .. }
                if kind != RunKind::Reissue =>
            {
                create(app, snapshot, kind, &actor.name).await
            }
            Self::Create { .. } => Err(CliError::Create.into()),
            Self::Corrections(corrections) => corrections.run(app).await,
            Self::List => list(app).await,
            Self::Show { id } => show(app, id).await,
            Self::Check { id, acknowledge, operator } => {
                checks::check(app, id, acknowledge.zip(operator)).await
            }
            Self::Submit(step) => {
                let done = approve::submit(context, step.id, &step.actor.name).await?;
                decided(app, step.id, "submitted", done.is_now()).await
            }
            Self::Approve(step) => {
                let done = approve::approve(context, step.id, &step.actor.name).await?;
                decided(app, step.id, "approved", done.is_now()).await
            }
            Self::Fund(step) => {
                let done = fund::fund(context, step.id, &step.actor.name).await?;
                decided(app, step.id, "funded", done.is_now()).await
            }
            Self::Release { id, wave, actor } => {
                let done = fund::release(context, id, wave, &actor.name).await?;
                decided(app, id, "released", done.is_now()).await
            }
            Self::Pause(step) => {
                let done = fund::pause(context, step.id, true, &step.actor.name).await?;
                decided(app, step.id, "paused", done.is_now()).await
            }
            Self::Resume(step) => {
                let done = fund::pause(context, step.id, false, &step.actor.name).await?;
                decided(app, step.id, "resumed", done.is_now()).await
            }
            Self::Cancel(step) => {
                let done = fund::cancel(context, step.id, &step.actor.name).await?;
                decided(app, step.id, "cancelled", done.is_now()).await
            }
            Self::Close { id, carry, actor } => {
                let done = reconcile::close(context, id, &actor.name, carry.as_deref()).await?;
                decided(app, id, "closed", done.is_now()).await
            }
        }
    }
}

async fn decided(app: &App, run: RunId, what: &'static str, now: bool) -> anyhow::Result<Exit> {
    decision::print(app, run, Decided { what, now }).await
}

async fn create(app: &App, snapshot: SnapshotId, kind: RunKind, by: &str) -> anyhow::Result<Exit> {
    let applied = match kind.is_of_children() {
        true => children::create(&app.context, snapshot, kind, by).await?,
        false => regular::create(&app.context, snapshot, kind, by).await?,
    };
    let now = applied.is_now();
    let id = applied.into_inner();
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "run": id, "made_now": now }))?;
        return Ok(Exit::Done);
    }
    if !now {
        app.output.note(&format!("run {id} was made before; nothing changed"));
    }
    show(app, id).await
}

async fn reissue_run(app: &App, programme: &str, period: Option<Period>, by: &str) -> anyhow::Result<Exit> {
    let applied = reissue::create(&app.context, programme, period, by).await?;
    let now = applied.is_now();
    let made = applied.into_inner();
    if app.output.is_json() {
        app.output.json(&serde_json::json!({ "run": made.run, "made_now": now, "left": made.left }))?;
        return Ok(Exit::Done);
    }
    if !now {
        app.output.note(&format!("run {} was made before; nothing more may be paid again now", made.run));
    }
    let columns = [
        ("not paid again", Align::Left),
        ("reason", Align::Left),
        ("waits for", Align::Text),
        ("orders", Align::Right),
        ("¤", Align::Right),
    ];
    let row = |l: &reissue::Left| {
        let count = format::count(l.orders);
        vec![l.decision.to_string(), l.reason.clone(), l.waits.to_string(), count, format::figure(l.amount)]
    };
    if !made.left.is_empty() {
        app.output.table(&columns, &made.left.iter().map(row).collect::<Vec<_>>());
    }
    show(app, made.run).await
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

async fn list(app: &App) -> anyhow::Result<Exit> {
    let runs = runs::list(&app.context.store).await?;
    if app.output.is_json() {
        app.output.json(&runs)?;
        return Ok(Exit::Done);
    }
    let columns = [
        ("run", Align::Right),
        ("programme", Align::Left),
        ("period", Align::Left),
        ("kind", Align::Left),
        ("state", Align::Left),
        ("orders", Align::Right),
        ("¤", Align::Right),
    ];
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|r| {
            vec![
                r.id.to_string(),
                r.programme.clone(),
                r.period.to_string(),
                r.kind.to_string(),
                r.state.to_string(),
                format::count(r.orders as u64),
                format::figure(r.ordered),
            ]
        })
        .collect();
    app.output.table(&columns, &rows);
    Ok(Exit::Done)
}

/// Prints where a run stands.
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
    if app.output.is_json() {
        app.output.json(
            &serde_json::json!({
                "run": run, "totals": totals, "holds": reasons, "batches": batches, "reissued": parts, "corrected": corrected,
                "unusual": unusual,
            }),
        )?;
        return Ok(Exit::Done);
    }
    let out = &app.output;
    out.line(&format!(
        "run {id} · {} {} {} · {}{}",
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
    checks::print_unusual(app, &unusual);
    let mut by_state: std::collections::BTreeMap<_, (i64, crate::domain::money::Centimes)> =
        std::collections::BTreeMap::new();
    for total in &totals {
        let sum = by_state.entry(total.state).or_default();
        sum.0 += total.orders;
        sum.1 += total.amount;
    }
    let rows: Vec<Vec<String>> = by_state
        .iter()
        .map(|(state, (n, amount))| {
            vec![state.to_string(), format::count(*n as u64), format::figure(*amount)]
        })
        .collect();
    out.table(&[("orders", Align::Left), ("count", Align::Right), ("¤", Align::Right)], &rows);
    if !reasons.is_empty() {
        let rows: Vec<Vec<String>> = reasons
            .iter()
            .map(|(reason, n, amount)| {
                vec![reason.clone(), format::count(*n as u64), format::figure(*amount)]
            })
            .collect();
        out.table(&[("held for", Align::Left), ("orders", Align::Right), ("¤", Align::Right)], &rows);
    }
    print_parts(app, &parts);
    corrections::print_parts(app, &corrected);
    let waves = batches.iter().map(|b| b.wave).max().unwrap_or(0);
    let sent = batches.iter().filter(|b| b.file_sha256.is_some()).count();
    out.line(&format!("{} batches in {waves} waves, {sent} of them sent", batches.len()));
    Ok(Exit::Done)
}

impl Reconcile {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let found = reconcile::reconcile(&app.context, self.id).await?;
        if app.output.is_json() {
            app.output.json(&found)?;
        } else {
            print_reconciliation(app, &found);
        }
        Ok(if found.is_explained() { Exit::Done } else { Exit::NeedsPerson })
    }
}

/// Prints a reconciliation by provider.
pub fn print_reconciliation(app: &App, found: &reconcile::Reconciliation) {
    let columns = [
        ("provider", Align::Left, 0),
        ("files", Align::Right, 1),
        ("orders", Align::Right, 2),
        ("¤ sent", Align::Right, 0),
        ("rejected", Align::Right, 3),
        ("expired", Align::Right, 4),
        ("debited", Align::Right, 0),
        ("returned", Align::Right, 5),
        ("difference", Align::Right, 0),
    ];
    let rows: Vec<Vec<String>> = found
        .providers
        .iter()
        .map(|l| {
            let amount = format::figure;
            vec![
                l.provider.clone(),
                l.files.to_string(),
                format::count(l.orders as u64),
                amount(l.sent),
                amount(l.rejected),
                amount(l.expired),
                amount(l.debited),
                amount(l.returned),
                amount(l.difference),
            ]
        })
        .collect();
    app.output.table(&columns, &rows);
    app.output.line(&format!(
        "{}: {} open breaks, {} orders under way, {} not released, {} held",
        found.state, found.open_breaks, found.under_way, found.unreleased, found.held
    ));
    for (provider, difference) in &found.unproven {
        app.output.line(&format!(
            "{provider} paid out {} more than its settled orders come to: no decision on a break closes the run over that",
            format::amount(*difference)
        ));
    }
}
