//! `sarf dispatch RUN`.

use clap::Args;

use super::app::App;
use super::ui::{Exit, format};
use crate::domain::ids::RunId;
use crate::domain::order::OrderState;
use crate::engine::stop::Stop;
use crate::engine::worker::{self, WorkerOptions};
use crate::pipeline::dispatch::{self, Dispatched};
use crate::store::{runs, shards};

/// Write and deliver what is released: bank files, and orders over HTTP.
#[derive(Args)]
pub struct Dispatch {
    /// Number of the run
    id: RunId,
    /// Leave the orders of the stream lane to `sarf worker`
    #[arg(long)]
    queue_only: bool,
}

impl Dispatch {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let stop = Stop::on_signals();
        let done = tokio::select! {
            done = dispatch::dispatch(&app.context, self.id) => done?,
            () = stop.requested() => anyhow::bail!("interrupted; what was delivered stays, and the command can be started again"),
        };
        if !app.output.is_json() {
            print(app, &done);
        }
        if done.queued > 0 && !self.queue_only {
            let options = WorkerOptions { run: Some(self.id), ..WorkerOptions::default() };
            worker::work(&app.context, &options, &stop).await?;
        }
        let (open, _) = shards::open_of_run(&app.context.store, self.id, app.context.clock.now()).await?;
        if app.output.is_json() {
            let mut told = serde_json::to_value(done)?;
            told["shards_left"] = open.into();
            app.output.json(&told)?;
        } else if open > 0 {
            app.output.line(&format!("{} pieces of work wait for their provider or for `sarf worker`", open));
        } else if done.queued > 0 {
            let unknown = unknown_orders(app, self.id).await?;
            app.output.line(&format!("{} orders handed over one by one", format::count(done.queued)));
            if unknown > 0 {
                app.output.note(&format!(
                    "of {unknown} it is not known whether they were taken: `sarf worker` asks"
                ));
            }
        }
        Ok(if open > 0 && !self.queue_only { Exit::NeedsPerson } else { Exit::Done })
    }
}

async fn unknown_orders(app: &App, run: RunId) -> anyhow::Result<i64> {
    let mut tx = app.context.store.begin().await?;
    let totals = runs::totals_in_tx(&mut tx, run).await?;
    tx.rollback().await?;
    Ok(totals.iter().filter(|t| t.state == OrderState::Unknown).map(|t| t.orders).sum())
}

fn print(app: &App, done: &Dispatched) {
    let before =
        if done.already > 0 { format!("; {} delivered before", done.already) } else { String::new() };
    app.output.line(&format!(
        "{} files with {} orders, {} in {}{before}",
        done.files,
        format::count(done.orders),
        format::bytes(done.bytes),
        app.context.home.join("outbox").display()
    ));
}
