//! `sarf audit decisions`: what people decided and signed, and the statements for whoever wants to check them elsewhere.

use std::path::PathBuf;

use clap::Subcommand;

use super::app::App;
use super::ui::{Align, Exit};
use crate::pipeline::reports::decisions;

/// The audit chain, for people.
#[derive(Subcommand)]
pub enum Audit {
    /// What people decided, by whom it is signed
    Decisions {
        /// Write each statement with its signature there, and everybody's keys, as `ssh-keygen -Y verify` reads them
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Audit {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let Self::Decisions { out } = self;
        if let Some(folder) = out {
            let written = decisions::export(&app.context, &folder).await?;
            app.output
                .line(&format!("{written} statements, each with its signature, in {}", folder.display()));
            app.output.note("check one: ssh-keygen -Y verify -f allowed_signers -I NAME -n sarf-decision -s N.sig < N.statement");
            app.output.json(&serde_json::json!({ "statements": written, "folder": folder }))?;
            return Ok(Exit::Done);
        }
        let all = decisions::list(&app.context).await?;
        if app.output.is_json() {
            app.output.json(&all)?;
            return Ok(Exit::Done);
        }
        let rows: Vec<Vec<String>> = all
            .into_iter()
            .map(|one| {
                let key = one.key.map_or_else(|| "unsigned".to_owned(), |key| key.chars().take(19).collect());
                vec![one.record.to_string(), one.by, one.action, one.subject, one.content, key]
            })
            .collect();
        let columns = [
            ("record", Align::Right),
            ("by", Align::Left),
            ("what", Align::Left),
            ("on", Align::Left),
            ("content", Align::Left),
            ("key", Align::Left),
        ];
        app.output.table(&columns, &rows);
        Ok(Exit::Done)
    }
}
