//! `sarf breaks list | resolve`.

use clap::Subcommand;

use super::app::App;
use super::run::Actor;
use super::ui::{Align, Exit, format};
use crate::domain::ids::RunId;
use crate::pipeline::reconcile;
use crate::store::breaks;

/// Breaks.
#[derive(Subcommand)]
pub enum Breaks {
    /// Open breaks, oldest first
    List {
        /// Of one run only
        #[arg(long)]
        run: Option<RunId>,
        /// Resolved ones too
        #[arg(long)]
        all: bool,
    },
    /// Resolve a break with a reason
    Resolve {
        /// Its number
        id: i64,
        /// Why it is explained
        #[arg(long)]
        why: String,
        #[command(flatten)]
        actor: Actor,
    },
}

impl Breaks {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::List { run, all } => list(app, run, all).await,
            Self::Resolve { id, why, actor } => {
                if !reconcile::resolve_break(&app.context, id, &actor.name, &why).await? {
                    anyhow::bail!("break `{id}` is not open");
                }
                app.output.line(&format!("break {id}: resolved"));
                app.output.json(&serde_json::json!({ "break": id, "resolved": true }))?;
                Ok(Exit::Done)
            }
        }
    }
}

async fn list(app: &App, run: Option<RunId>, all: bool) -> anyhow::Result<Exit> {
    let found = breaks::list(&app.context.store, run, !all).await?;
    let open = found.iter().any(|b| b.resolved_by.is_none());
    if app.output.is_json() {
        app.output.json(&found)?;
    } else if found.is_empty() {
        app.output.line("no breaks");
    } else {
        let columns = [
            ("break", Align::Right),
            ("kind", Align::Left),
            ("run", Align::Right),
            ("provider", Align::Left),
            ("message", Align::Right),
            ("entry", Align::Right),
            ("MAD", Align::Right),
            ("found", Align::Left),
            ("resolved", Align::Left),
        ];
        let text = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
        let rows: Vec<Vec<String>> = found
            .into_iter()
            .map(|b| {
                let resolved = b
                    .resolved_by
                    .map_or_else(String::new, |by| format!("{by}: {}", b.resolution.unwrap_or_default()));
                vec![
                    b.id.to_string(),
                    b.kind,
                    text(b.run),
                    b.provider.unwrap_or_default(),
                    text(b.message),
                    text(b.entry),
                    b.amount.map_or_else(String::new, format::amount),
                    b.detail,
                    resolved,
                ]
            })
            .collect();
        app.output.table(&columns, &rows);
    }
    Ok(if open { Exit::NeedsPerson } else { Exit::Done })
}
