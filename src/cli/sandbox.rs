//! `sarf sandbox`: banks that answer what lies in the outbox.

use std::path::PathBuf;

use clap::Args;

use super::ui::{Align, Exit, Output, format};
use super::{Global, app};
use crate::clock::Clock;
use crate::rails::sandbox::{Answers, Faults, Rates, Sandbox as Banks, SandboxOptions, StatusStyle};
use crate::telemetry::{Metrics, Telemetry};

/// Banks that answer from a seed.
#[derive(Args)]
pub struct Sandbox {
    /// Where bank files lie; outbox/ of the home folder unless given
    #[arg(long)]
    outbox: Option<PathBuf>,
    /// Where answers go; inbox/ of the home folder unless given
    #[arg(long)]
    inbox: Option<PathBuf>,
    /// What fates are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How statuses come: group, transactions, or mixed by bank
    #[arg(long, value_parser = parse_style, default_value = "mixed")]
    statuses: StatusStyle,
}

fn parse_style(text: &str) -> Result<StatusStyle, String> {
    match text {
        "group" => Ok(StatusStyle::Group),
        "transactions" => Ok(StatusStyle::Transactions),
        "mixed" => Ok(StatusStyle::Mixed),
        _ => Err("one of group, transactions, mixed".into()),
    }
}

impl Sandbox {
    pub async fn run(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        let home = app::home(global);
        let options = SandboxOptions {
            outbox: self.outbox.unwrap_or_else(|| home.join("outbox")),
            inbox: self.inbox.unwrap_or_else(|| home.join("inbox")),
            seed: self.seed,
            now: Clock::system().now(),
            rates: Rates::default(),
            statuses: self.statuses,
            faults: Faults::default(),
        };
        let telemetry =
            Telemetry { metrics: std::sync::Arc::new(Metrics::new()), observer: output.observer() };
        let answers = answer(options, &telemetry).await?;
        if output.is_json() {
            output.json(&serde_json::json!({ "files": answers.files, "orders": answers.orders, "rejected": answers.rejected, "returned": answers.returned }))?;
        } else {
            print(output, &answers);
        }
        Ok(Exit::Done)
    }
}

/// Lets the banks answer, with progress.
pub async fn answer(options: SandboxOptions, telemetry: &Telemetry) -> anyhow::Result<Answers> {
    let stage = telemetry.stage("sandbox", None);
    let banks = Banks::new(options);
    let answers = tokio::task::block_in_place(|| banks.answer_all(&|orders| stage.add(orders)))?;
    Ok(answers)
}

/// Prints what the banks answered.
pub fn print(output: &Output, answers: &Answers) {
    let columns = [
        ("bank", Align::Left),
        ("files", Align::Right),
        ("orders", Align::Right),
        ("rejected", Align::Right),
        ("returned", Align::Right),
        ("debited MAD", Align::Right),
        ("credited MAD", Align::Right),
    ];
    let rows: Vec<Vec<String>> = answers
        .providers
        .iter()
        .map(|(code, f)| {
            vec![
                code.to_string(),
                f.files.to_string(),
                format::count(f.orders.orders),
                format::count(f.rejected.orders),
                format::count(f.returned.orders),
                format::amount(f.debited.amount),
                format::amount(f.credited.amount),
            ]
        })
        .collect();
    output.table(&columns, &rows);
}
