//! `sarf config check`.

use clap::Subcommand;

use super::ui::{Align, Exit, Output};
use super::{Global, app};

/// Configuration.
#[derive(Subcommand)]
pub enum Config {
    /// Read all of it and say what is there
    Check,
}

impl Config {
    pub fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let Self::Check = self;
        let config = app::config(global)?;
        let unverified = config.router.providers().iter().filter(|p| !p.verified).count();
        if output.is_json() {
            let programmes: Vec<&str> = config.programmes.keys().map(|c| c.as_str()).collect();
            output.json(&serde_json::json!({ "programmes": programmes, "providers": config.router.providers().len(), "unverified": unverified }))?;
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
                ]
            })
            .collect();
        output.table(&[("programme", Align::Left), ("name", Align::Left), ("versions", Align::Right)], &rows);
        output.line(&format!(
            "{} providers, {unverified} of them not verified",
            config.router.providers().len()
        ));
        Ok(Exit::Done)
    }
}
