//! `sarf worker`: hands orders of the stream lane over, takes events from NATS and tells of changes where that is configured,
//! until it is stopped.

use clap::Args;

use super::app::App;
use super::ui::Exit;
use crate::engine::worker::{self, WorkerOptions};
use crate::engine::{nats_intake, outbox};

/// Work the stream lane until interrupted; as many workers as one likes, on as many machines.
#[derive(Args)]
pub struct Worker {
    /// Only these providers; all unless given
    #[arg(long = "provider", value_name = "CODE")]
    providers: Vec<String>,
}

impl Worker {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let stop = app.stop.clone();
        app.output.note("working; interrupt once to finish what is under way, twice to end at once");
        let beside = [
            tokio::spawn(nats_intake::run(app.context.clone(), stop.clone())),
            tokio::spawn(outbox::run(app.context.clone(), stop.clone())),
        ];
        let options = WorkerOptions { providers: self.providers, run: None };
        let worked = worker::work(&app.context, &options, &stop).await;
        stop.request();
        for task in beside {
            task.await.expect("loops do not panic");
        }
        worked?;
        Ok(Exit::Done)
    }
}
