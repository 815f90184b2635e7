//! `sarf run …` and `sarf reconcile`: from draft to close.

use clap::{Args, Subcommand};

use super::app::App;
use super::decision::{self, Decided};
use super::ui::{Align, Exit, format};
use super::{checks, corrections, run_show};
use crate::cli::refused::CliError;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::orders::{children, regular, reissue};
use crate::pipeline::runs::{approve, fund, reconcile};
use crate::store::runs::{self};

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
            Self::Show { id } => run_show::show(app, id).await,
            Self::Check { id, acknowledge, operator } => {
                checks::check(app, id, acknowledge.zip(operator)).await
            }
            Self::Submit(step) => {
                let done = approve::submit(context, step.id, &step.actor.name).await?;
                decided(app, step.id, "submitted", done.is_now()).await
            }
            Self::Approve(step) => approve_run(app, step.id, &step.actor.name).await,
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
    run_show::show(app, id).await
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
    run_show::show(app, made.run).await
}

async fn approve_run(app: &App, id: RunId, by: &str) -> anyhow::Result<Exit> {
    let done = approve::approve(&app.context, id, by).await?;
    let mut tx = app.context.store.begin().await?;
    let run = runs::find_in_tx(&mut tx, id, false).await?;
    tx.rollback().await?;
    let waits = run.is_some_and(|run| run.state == RunState::Submitted);
    let what = if waits { "approved by the first of two" } else { "approved" };
    decided(app, id, what, done.is_now()).await
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
