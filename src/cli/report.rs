//! `sarf report RUN --out DIR` and `sarf report unclaimed --out FILE`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use time::Date;

use super::app::App;
use super::ui::{Exit, format};
use crate::cli::refused::CliError;
use crate::domain::ids::RunId;
use crate::pipeline::reports::run_report;

/// Write the reports of a run, or the list of unclaimed money.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Report {
    #[command(subcommand)]
    list: Option<List>,
    /// Number of the run
    #[arg(required = true)]
    id: Option<RunId>,
    /// Folder to write into
    #[arg(long, required = true)]
    out: Option<PathBuf>,
}

/// Lists over all runs.
#[derive(Subcommand)]
enum List {
    /// What was rejected, returned or expired and not paid again, with the day on which each claim lapses
    Unclaimed {
        /// File to write
        #[arg(long, value_name = "FILE.csv")]
        out: PathBuf,
        /// As of this day; today unless given
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
        as_of: Option<Date>,
    },
}

fn parse_date(text: &str) -> Result<Date, String> {
    Date::parse(text, time::macros::format_description!("[year]-[month]-[day]"))
        .map_err(|_| "not a day of the form YYYY-MM-DD".into())
}

impl Report {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self { list: Some(List::Unclaimed { out, as_of }), .. } => unclaimed(app, &out, as_of).await,
            Self { id: Some(id), out: Some(out), .. } => of_run(app, id, &out).await,
            Self { .. } => Err(CliError::Report.into()),
        }
    }
}

async fn of_run(app: &App, id: RunId, out: &std::path::Path) -> anyhow::Result<Exit> {
    let files = run_report::write(&app.context, id, out).await?;
    if app.output.is_json() {
        app.output.json(&files)?;
    } else {
        for file in &files {
            app.output.line(&file.display().to_string());
        }
    }
    Ok(Exit::Done)
}

async fn unclaimed(app: &App, out: &std::path::Path, as_of: Option<Date>) -> anyhow::Result<Exit> {
    let listed = run_report::unclaimed::write(&app.context, out, as_of).await?;
    if app.output.is_json() {
        app.output.json(&listed)?;
    } else {
        app.output.line(&format!(
            "{}: {} orders over {}, of which {} over {} have lapsed",
            listed.path.display(),
            format::count(listed.orders),
            format::amount(listed.amount),
            format::count(listed.prescribed_orders),
            format::amount(listed.prescribed_amount)
        ));
    }
    Ok(Exit::Done)
}
