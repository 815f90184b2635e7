//! `sarf simulate`: what another rule set would cost.

use std::path::PathBuf;

use clap::Args;

use super::app::App;
use super::ui::{Align, Exit, format};
use crate::domain::ids::SnapshotId;
use crate::pipeline::reports::simulate::{self, Sums};

/// What another rule set would cost.
#[derive(Args)]
pub struct Simulate {
    /// Number of the snapshot
    #[arg(long)]
    snapshot: SnapshotId,
    /// A programme's file with the other rules
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
}

impl Simulate {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let found = simulate::simulate(&app.context, self.snapshot, &self.rules).await?;
        if app.output.is_json() {
            app.output.json(&found)?;
            return Ok(Exit::Done);
        }
        app.output
            .line(&format!("{} {}: as configured, and under the other rules", found.programme, found.period));
        let columns = [
            ("", Align::Left, 0),
            ("households", Align::Right, 5),
            ("¤", Align::Right, 6),
            ("would be", Align::Right, 7),
            ("¤ would be", Align::Right, 3),
            ("¤ difference", Align::Right, 0),
            ("join", Align::Right, 1),
            ("leave", Align::Right, 1),
            ("gain", Align::Right, 2),
            ("lose", Align::Right, 0),
        ];
        let regions = found.regions.iter().map(|(region, sums)| line(region, sums));
        let rows: Vec<Vec<String>> = std::iter::once(line("all", &found.all)).chain(regions).collect();
        app.output.table(&columns, &rows);
        Ok(Exit::Done)
    }
}

fn line(name: &str, sums: &Sums) -> Vec<String> {
    let (count, mad) = (format::count, format::figure);
    vec![
        name.to_owned(),
        count(sums.households),
        mad(sums.amount),
        count(sums.would_households),
        mad(sums.would_amount),
        mad(sums.would_amount - sums.amount),
        count(sums.join),
        count(sums.leave),
        count(sums.gain),
        count(sums.lose),
    ]
}
