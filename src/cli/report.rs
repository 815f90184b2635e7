//! `sarf report RUN --out DIR`.

use std::path::PathBuf;

use clap::Args;

use super::app::App;
use super::ui::Exit;
use crate::domain::ids::RunId;
use crate::pipeline::report;

/// Write the reports of a run.
#[derive(Args)]
pub struct Report {
    /// Number of the run
    id: RunId,
    /// Folder to write into
    #[arg(long)]
    out: PathBuf,
}

impl Report {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let files = report::write(&app.context, self.id, &self.out).await?;
        if app.output.is_json() {
            app.output.json(&files)?;
        } else {
            for file in &files {
                app.output.line(&file.display().to_string());
            }
        }
        Ok(Exit::Done)
    }
}
