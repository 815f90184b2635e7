//! `sarf approval propose | approve | fund | revoke | list`.

use clap::{Args, Subcommand};
use time::Date;
use time::macros::format_description;

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::domain::event::StandingApprovalId;
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::pipeline::runs::standing_approvals::{self, Proposal};
use crate::store::runs;
use crate::store::runs::standing_approvals::StandingApproval;

/// Standing approvals.
#[derive(Subcommand)]
pub enum Approval {
    /// Propose what may be ordered by events, and up to how much (preparer)
    Propose(Propose),
    /// Approve a proposal (approver)
    Approve(Step),
    /// Allow its orders to take from the envelope (accountant)
    Fund(Step),
    /// End it, now
    Revoke(Step),
    /// All standing approvals
    List,
}

/// What is proposed.
#[derive(Args)]
pub struct Propose {
    /// Programme
    #[arg(long)]
    programme: Code,
    /// Purpose of the orders, such as urgent
    #[arg(long)]
    purpose: Code,
    /// Most that one order may be over
    #[arg(long, value_name = "AMOUNT")]
    order_max: Centimes,
    /// Most that a day's orders may come to
    #[arg(long, value_name = "AMOUNT")]
    day_max: Centimes,
    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    from: Date,
    /// Last day, YYYY-MM-DD
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    to: Date,
    #[command(flatten)]
    actor: Actor,
}

/// A standing approval, and who acts on it.
#[derive(Args)]
pub struct Step {
    /// Its number
    id: StandingApprovalId,
    #[command(flatten)]
    actor: Actor,
}

fn parse_day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "not a day of the form YYYY-MM-DD".into())
}

impl Approval {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let context = &app.context;
        let (id, what, now) = match self {
            Self::List => return list(app).await,
            Self::Propose(propose) => {
                let by = propose.actor.name.clone();
                let applied = standing_approvals::propose(context, &propose.into(), &by).await?;
                let now = applied.is_now();
                (applied.into_inner(), "proposed", now)
            }
            Self::Approve(step) => {
                let done = standing_approvals::approve(context, step.id, &step.actor.name).await?;
                (step.id, "approved", done.is_now())
            }
            Self::Fund(step) => {
                let done = standing_approvals::fund(context, step.id, &step.actor.name).await?;
                (step.id, "funded", done.is_now())
            }
            Self::Revoke(step) => {
                let done = standing_approvals::revoke(context, step.id, &step.actor.name).await?;
                (step.id, "revoked", done.is_now())
            }
        };
        decided(app, id, what, now).await
    }
}

/// Prints what was decided, over how much, and what comes next.
async fn decided(app: &App, id: StandingApprovalId, what: &str, now: bool) -> anyhow::Result<Exit> {
    let all = runs::standing_approvals::list(&app.context.store).await?;
    let found = all.into_iter().find(|a| a.id == id).ok_or_else(|| Entity::StandingApproval.not_found(id))?;
    let next = match (&found.revoked_by, &found.approved_by, &found.funded_by) {
        (Some(_), ..) => None,
        (None, None, _) => Some(format!("sarf approval approve {id} --as APPROVER")),
        (None, Some(_), None) => Some(format!("sarf approval fund {id} --as ACCOUNTANT")),
        (None, Some(_), Some(_)) => {
            Some("events may order under it from its first day to its last".to_owned())
        }
    };
    app.output.json(&serde_json::json!({
        "standing_approval": id, "done_now": now, "state": state(&found), "approval": found, "next": next,
    }))?;
    let before = if now { "" } else { " before; nothing changed" };
    app.output.line(&format!("standing approval {id} {what}{before}"));
    app.output.line(&format!(
        "{} {}: at most {} an order and {} a day, {} to {}",
        found.programme,
        found.purpose,
        format::amount(found.order_max),
        format::amount(found.day_max),
        found.valid_from,
        found.valid_to
    ));
    if let Some(next) = next {
        app.output.line(&format!("next: {next}"));
    }
    Ok(Exit::Done)
}

impl From<Propose> for Proposal {
    fn from(propose: Propose) -> Self {
        Self {
            programme: propose.programme,
            purpose: propose.purpose,
            order_max: propose.order_max,
            day_max: propose.day_max,
            valid_from: propose.from,
            valid_to: propose.to,
        }
    }
}

async fn list(app: &App) -> anyhow::Result<Exit> {
    let all = runs::standing_approvals::list(&app.context.store).await?;
    if app.output.is_json() {
        app.output.json(&all)?;
        return Ok(Exit::Done);
    }
    let columns = [
        ("approval", Align::Right, 0),
        ("programme", Align::Left, 0),
        ("purpose", Align::Left, 0),
        ("¤ an order", Align::Right, 0),
        ("¤ a day", Align::Right, 0),
        ("from", Align::Left, 1),
        ("to", Align::Left, 1),
        ("state", Align::Text, 0),
    ];
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|a| {
            vec![
                a.id.to_string(),
                a.programme.clone(),
                a.purpose.clone(),
                format::figure(a.order_max),
                format::figure(a.day_max),
                a.valid_from.to_string(),
                a.valid_to.to_string(),
                state(a),
            ]
        })
        .collect();
    app.output.table(&columns, &rows);
    Ok(Exit::Done)
}

fn state(approval: &StandingApproval) -> String {
    match (&approval.revoked_by, &approval.approved_by, &approval.funded_by) {
        (Some(by), ..) => format!("revoked by {by}"),
        (None, None, _) => "proposed".into(),
        (None, Some(_), None) => "approved".into(),
        (None, Some(_), Some(_)) => "funded".into(),
    }
}
