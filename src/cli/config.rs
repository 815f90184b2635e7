//! `sarf config check`.

use clap::Subcommand;

use super::app;
use super::ui::{Align, Exit, Output};
use crate::cli::global::Global;
use crate::config::ConfiguredProgramme;

/// Configuration.
#[derive(Subcommand)]
pub enum Config {
    /// Read all of it and say what is there
    Check,
}

/// The months from which versions hold whose amounts or month no text in force was found for.
fn unverified_versions(programme: &ConfiguredProgramme) -> String {
    let versions = programme.rules.versions().iter().filter(|v| !v.verified);
    versions.map(|v| v.from.to_string()).collect::<Vec<_>>().join(", ")
}

impl Config {
    pub fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let Self::Check = self;
        let config = app::config(global)?;
        let unverified = config.router.providers().iter().filter(|p| !p.verified).count();
        if output.is_json() {
            let programmes: Vec<&str> = config.programmes.keys().map(|c| c.as_str()).collect();
            let illustrative: std::collections::BTreeMap<&str, String> = config
                .programmes
                .iter()
                .map(|(code, p)| (code.as_str(), unverified_versions(p)))
                .filter(|(_, versions)| !versions.is_empty())
                .collect();
            output.json(&serde_json::json!({ "programmes": programmes, "unverified_versions": illustrative, "providers": config.router.providers().len(), "unverified": unverified }))?;
            return Ok(Exit::Done);
        }
        let rows: Vec<Vec<String>> = config
            .programmes
            .values()
            .map(|p| {
                vec![
                    p.rules.code().to_string(),
                    p.rules.name().en.to_string(),
                    p.rules.versions().len().to_string(),
                    unverified_versions(p),
                ]
            })
            .collect();
        let columns = [
            ("programme", Align::Left),
            ("name", Align::Left),
            ("versions", Align::Right),
            ("not verified, from", Align::Left),
        ];
        output.table(&columns, &rows);
        output.line(&format!(
            "{} providers, {unverified} of them not verified",
            config.router.providers().len()
        ));
        Ok(Exit::Done)
    }
}
