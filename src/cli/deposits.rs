//! `sarf deposits statement | releases`: what was paid in for a child in the care of an institution, and what is released.

use std::path::PathBuf;

use clap::Subcommand;

use super::app::App;
use super::ui::{Align, Exit, format};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::pipeline::orders::children::statement::{self, Statement};
use crate::store::registry::children as rows;
use crate::store::registry::children::ReleaseLine;

/// Deposits for children in the care of institutions.
#[derive(Subcommand)]
pub enum Deposits {
    /// The statement of one child's deposit: what was paid in, month by month, and where each order stands
    Statement {
        /// The registry's identifier of the deposit
        deposit: String,
        /// Programme that pays it in
        #[arg(long, value_name = "CODE", default_value = "dss")]
        programme: String,
    },
    /// The deposits that a run releases to children who came of age, for the deposit holder
    Releases {
        /// Number of the run
        #[arg(long)]
        run: RunId,
        /// Write them to a CSV file, with the accounts, instead of the terminal
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Deposits {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        match self {
            Self::Statement { deposit, programme } => {
                let statement = statement::of(&app.context, &programme, &deposit).await?;
                print(app, &statement)?;
                Ok(Exit::Done)
            }
            Self::Releases { run, out } => releases(app, run, out).await,
        }
    }
}

fn print(app: &App, statement: &Statement) -> anyhow::Result<()> {
    if app.output.is_json() {
        app.output.json(statement)?;
        return Ok(());
    }
    let out = &app.output;
    out.line(&format!("deposit {} · {}", statement.deposit_id, statement.programme));
    out.line(&format!(
        "{} paid in, {} of it confirmed by the holder",
        format::amount(statement.paid_in),
        format::amount(statement.confirmed)
    ));
    for release in &statement.releases {
        out.line(&format!(
            "released by run {}: {}, of age on {}",
            release.run,
            format::amount(release.amount),
            release.of_age_on
        ));
    }
    let row = |line: &rows::StatementLine| {
        let month = line.period.map_or_else(|| "made up to the minimum".to_owned(), |p| p.to_string());
        vec![month, line.order.to_string(), line.state.clone(), format::figure(line.amount)]
    };
    let columns =
        [("month", Align::Left), ("order", Align::Right), ("state", Align::Left), ("¤", Align::Right)];
    out.table(&columns, &statement.lines.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

async fn releases(app: &App, run: RunId, file: Option<PathBuf>) -> anyhow::Result<Exit> {
    let found = rows::releases(&app.context.store, None, Some(run)).await?;
    let total: Centimes = found.iter().map(|r| r.amount).sum();
    if let Some(path) = file {
        let written = statement::write_releases(&app.context, run, &path).await?;
        app.output.note(&format!("{written} releases over {} in {}", format::amount(total), path.display()));
        app.output.json(&serde_json::json!({ "run": run, "releases": written, "amount": total }))?;
        return Ok(Exit::Done);
    }
    if app.output.is_json() {
        app.output.json(&found)?;
        return Ok(Exit::Done);
    }
    let row = |r: &ReleaseLine| vec![r.deposit_id.clone(), r.of_age_on.to_string(), format::figure(r.amount)];
    let columns = [("deposit", Align::Left), ("of age on", Align::Left), ("¤", Align::Right)];
    app.output.table(&columns, &found.iter().map(row).collect::<Vec<_>>());
    app.output.line(&format!("{} releases over {}", found.len(), format::amount(total)));
    Ok(Exit::Done)
}
