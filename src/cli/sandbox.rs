//! `sarf sandbox`: banks that answer what lies in the outbox; `sarf sandbox points`: payment points and a wallet over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::ui::{Align, Exit, Output, format};
use super::{app, interrupt};
use crate::cli::global::Global;
use crate::clock::Clock;
use crate::engine::stop::Stop;
use crate::sandbox::banks::{Answers, Faults, Rates, Sandbox as Banks, SandboxOptions, StatusStyle};
use crate::sandbox::points::{self, PointCounts, PointFaults, PointRates, Points, PointsOptions};
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
    #[command(subcommand)]
    kind: Option<Kind>,
}

#[derive(clap::Subcommand)]
enum Kind {
    /// Payment points and a wallet over HTTP, until interrupted; then payees draw, and the day is settled into the inbox
    Points(PointArgs),
}

#[derive(Args)]
struct PointArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8710", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where callbacks go (`sarf serve`); the list of changes tells without
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// Milliseconds until an order is at hand; 0: in the answer
    #[arg(long, default_value_t = 0)]
    later_ms: u64,
    /// A bit of everything goes wrong
    #[arg(long)]
    faults: bool,
    /// What fates are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
    pub async fn run(self, global: &Global, output: &Output, stop: &Stop) -> anyhow::Result<Exit> {
        match self.kind {
            Some(Kind::Points(args)) => args.run(global, output, stop).await,
            None => interrupt::unless(stop, None, self.banks(global, output)).await,
        }
    }

    async fn banks(self, global: &Global, output: &Output) -> anyhow::Result<Exit> {
        // The banks answer in the country's currency.
        app::config(global)?;
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
        let answers = Banks::new(options).answer_with_progress(&telemetry).await?;
        if output.is_json() {
            output.json(&serde_json::json!({ "files": answers.files, "orders": answers.orders, "rejected": answers.rejected, "returned": answers.returned }))?;
        } else {
            print(output, &answers);
        }
        Ok(Exit::Done)
    }
}

impl PointArgs {
    async fn run(self, global: &Global, output: &Output, stop: &Stop) -> anyhow::Result<Exit> {
        let (home, config) = (app::home(global), app::config(global)?);
        let points = Points::start(PointsOptions {
            listen: self.listen,
            providers: points::providers(&config, &home)?,
            callback_url: self.callback_url,
            later: (self.later_ms > 0).then(|| Duration::from_millis(self.later_ms)),
            seed: self.seed,
            faults: if self.faults { PointFaults::some() } else { PointFaults::default() },
            rates: PointRates::default(),
            clock: Clock::system(),
            inbox: home.join("inbox"),
        })
        .await?;
        output.note(&format!("payment points on http://{}; interrupt to end their day", points.address()));
        stop.requested().await;
        let drawn = points.collect();
        let files = points.end_day()?;
        if output.is_json() {
            output
                .json(&serde_json::json!({ "providers": points.counts(), "drawn": drawn, "files": files }))?;
        } else {
            print_points(output, &points);
            output.line(&format!(
                "{} settlement files and statements in {}",
                files.len(),
                home.join("inbox").display()
            ));
        }
        points.stop();
        Ok(Exit::Done)
    }
}

fn print_points(output: &Output, points: &Points) {
    let columns = [
        ("provider", Align::Left, 0),
        ("requests", Align::Right, 1),
        ("orders", Align::Right, 0),
        ("put again", Align::Right, 3),
        ("at hand", Align::Right, 0),
        ("paid", Align::Right, 0),
        ("rejected", Align::Right, 2),
        ("cancelled", Align::Right, 4),
    ];
    let row = |(code, c): (String, PointCounts)| {
        let figures = [c.requests, c.orders, c.repeated, c.available, c.paid, c.rejected, c.cancelled];
        std::iter::once(code).chain(figures.map(format::count)).collect()
    };
    let rows: Vec<Vec<String>> = points.counts().into_iter().map(row).collect();
    output.table(&columns, &rows);
}

/// Prints what the banks answered.
pub fn print(output: &Output, answers: &Answers) {
    let columns = [
        ("bank", Align::Left, 0),
        ("files", Align::Right, 1),
        ("orders", Align::Right, 0),
        ("rejected", Align::Right, 2),
        ("returned", Align::Right, 2),
        ("¤ debited", Align::Right, 0),
        ("¤ credited", Align::Right, 0),
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
                format::figure(f.debited.amount),
                format::figure(f.credited.amount),
            ]
        })
        .collect();
    output.table(&columns, &rows);
}
