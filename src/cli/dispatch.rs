//! `sarf dispatch RUN`.

use clap::Args;

use super::app::App;
use super::ui::{Exit, format};
use crate::domain::ids::RunId;
use crate::pipeline::dispatch;

/// Write and deliver what is released.
#[derive(Args)]
pub struct Dispatch {
    /// Number of the run
    id: RunId,
}

impl Dispatch {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let done = dispatch::dispatch(&app.context, self.id).await?;
        if app.output.is_json() {
            app.output.json(&done)?;
        } else {
            let before =
                if done.already > 0 { format!("; {} delivered before", done.already) } else { String::new() };
            let outbox = app.context.home.join("outbox");
            app.output.line(&format!(
                "{} files with {} orders, {} in {}{before}",
                done.files,
                format::count(done.orders),
                format::bytes(done.bytes),
                outbox.display()
            ));
        }
        Ok(Exit::Done)
    }
}
