//! `sarf worker`: hands orders of the stream lane over, until it is stopped.

use clap::Args;

use super::app::App;
use super::ui::Exit;
use crate::engine::stop::Stop;
use crate::engine::worker::{self, WorkerOptions};

/// Work the stream lane until interrupted; as many workers as one likes, on as many machines.
#[derive(Args)]
pub struct Worker {
    /// Only these providers; all unless given
    #[arg(long = "provider", value_name = "CODE")]
    providers: Vec<String>,
}

impl Worker {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let stop = Stop::on_signals();
        app.output.note("working; interrupt once to finish what is under way, twice to end at once");
        let options = WorkerOptions { providers: self.providers, run: None };
        worker::work(&app.context, &options, &stop).await?;
        Ok(Exit::Done)
    }
}
