//! `sarf order recall | recalls`.

use clap::Args;

use super::app::App;
use super::order::order_of;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::cli::refused::CliError;
use crate::domain::batch::Lane;
use crate::domain::recall::{CancellationReason, RecallState};
use crate::engine::provider_stream::ProviderStream;
use crate::pipeline::dispatch::recall::{self, RecallError, Standing};
use crate::store::messages::recalls::Recall as Asked;

/// Ask a payment back that has left; safe to repeat, and goes on where it was killed.
#[derive(Args)]
pub struct Recall {
    /// Order number or end-to-end id
    key: String,
    /// ISO reason: AC03 AGNT AM09 CURR CUST CUTA DUPL FRAD TECH UPAY
    #[arg(long, value_parser = reason, value_name = "CODE")]
    reason: CancellationReason,
    /// Why, for the books; the provider is told the code only
    #[arg(long)]
    why: String,
    #[command(flatten)]
    actor: Actor,
}

/// Payments asked back, newest first.
#[derive(Args)]
pub struct Recalls {
    /// Only those that something is still to come of: an answer, or the money
    #[arg(long)]
    open: bool,
}

fn reason(text: &str) -> Result<CancellationReason, String> {
    let known = CancellationReason::parse(&text.to_ascii_uppercase());
    known.ok_or_else(|| {
        let all: Vec<&str> = CancellationReason::ALL.iter().map(|r| r.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

impl Recall {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let order = order_of(&self.key).ok_or_else(|| CliError::NotAnOrder(self.key.clone()))?;
        let asked = recall::ask(&app.context, order, self.reason, &self.why, &self.actor.name).await?;
        let now = asked.is_now();
        let recall = leave(app, asked.into_inner()).await?;
        let when = if now {
            String::new()
        } else {
            format!("; it was asked for before, for {} by {}", recall.reason, recall.asked_by)
        };
        let answer = recall.answer.as_ref().map_or_else(String::new, |a| format!(" ({a})"));
        app.output.line(&format!(
            "order {}: recall {} is {}{answer}{when}",
            order.get(),
            recall.id,
            recall.state
        ));
        if let Some(name) = recall.file_name.as_ref().filter(|_| recall.state == RecallState::Sent) {
            app.output
                .note(&format!("the bank has until {} to answer {name}", format::moment(recall.deadline)));
        }
        app.output.json(&serde_json::json!({ "recall": recall, "done_now": now }))?;
        Ok(if recall.state == RecallState::Refused { Exit::NeedsPerson } else { Exit::Done })
    }
}

/// Has a recall leave, by the way that its order left.
pub(super) async fn leave(app: &App, asked: Asked) -> anyhow::Result<Asked> {
    if asked.lane == Lane::File {
        return Ok(recall::deliver(&app.context, &asked).await?);
    }
    let lanes = ProviderStream::open_all(&app.context, std::slice::from_ref(&asked.provider)).await?;
    let lane = lanes.first().ok_or_else(|| RecallError::NoConnection(asked.provider.clone()))?;
    Ok(recall::cancel(&app.context, &asked, lane.rail()).await?)
}

impl Recalls {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let found = recall::list(&app.context, self.open).await?;
        let late = found.iter().any(|s| s.overdue);
        if app.output.is_json() {
            app.output.json(&found)?;
        } else if found.is_empty() {
            app.output.line("no recalls");
        } else {
            print(app, found);
        }
        Ok(if late { Exit::NeedsPerson } else { Exit::Done })
    }
}

fn print(app: &App, found: Vec<Standing>) {
    let columns = [
        ("recall", Align::Right, 0),
        ("order", Align::Right, 0),
        ("provider", Align::Left, 0),
        ("reason", Align::Left, 1),
        ("¤", Align::Right, 0),
        ("asked", Align::Left, 4),
        ("by", Align::Left, 3),
        ("until", Align::Left, 2),
        ("recall is", Align::Left, 0),
        ("answer", Align::Left, 1),
        ("order is", Align::Left, 0),
        ("", Align::Left, 0),
    ];
    let rows = found.into_iter().map(|s| {
        let r = s.recall;
        vec![
            r.id.to_string(),
            r.order.get().to_string(),
            r.provider,
            r.reason.to_string(),
            format::figure(s.amount),
            format::moment(r.asked_at),
            r.asked_by,
            format::moment(r.deadline),
            r.state.to_string(),
            r.answer.unwrap_or_default(),
            s.order_state.to_string(),
            if s.overdue { "overdue".to_owned() } else { String::new() },
        ]
    });
    app.output.table(&columns, &rows.collect::<Vec<_>>());
}
