//! `sarf generate`: a synthetic snapshot.

use std::path::PathBuf;

use clap::Args;

use super::ui::{Exit, Output, format};
use crate::cli::global::Global;
use crate::domain::ids::Code;
use crate::domain::period::Period;
use crate::sandbox::registry::{Compression, GenerateOptions, generate_with_progress};
use crate::telemetry::{Metrics, Telemetry};

/// A synthetic snapshot: people who do not exist, with the errors and frauds of real registries.
#[derive(Args)]
pub struct Generate {
    /// How many households
    #[arg(long)]
    households: u64,
    /// Month, as YYYY-MM; the same seed gives the same households each month, but for churn
    #[arg(long)]
    period: Period,
    /// Folder to write into
    #[arg(long)]
    out: PathBuf,
    /// Programme the list is for
    #[arg(long, default_value = "dss")]
    programme: Code,
    /// What everything is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// plain, gzip, zstd or parquet
    #[arg(long, value_parser = parse_compression, default_value = "plain")]
    compression: Compression,
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    match text {
        "plain" => Ok(Compression::Plain),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        "parquet" => Ok(Compression::Parquet),
        _ => Err("one of plain, gzip, zstd, parquet".into()),
    }
}

impl Generate {
    pub async fn run(self, _: &Global, output: &Output) -> anyhow::Result<Exit> {
        let mut options =
            GenerateOptions::new(self.households, self.period, self.programme, self.seed, self.out.clone());
        options.compression = self.compression;
        let telemetry =
            Telemetry { metrics: std::sync::Arc::new(Metrics::new()), observer: output.observer() };
        let written = tokio::task::spawn_blocking(move || generate_with_progress(&options, &telemetry));
        let manifest = written.await.expect("the generator does not panic")?;
        if output.is_json() {
            output.json(&manifest)?;
        } else {
            let rows = |kind| format::count(manifest.rows(kind));
            use crate::snapshot::Kind::{Claims, Deposits, Households, Members};
            output.line(&format!(
                "{} households, {} members, {} claims of birth grants and {} children in institutions in {}",
                rows(Households),
                rows(Members),
                rows(Claims),
                rows(Deposits),
                self.out.display()
            ));
        }
        Ok(Exit::Done)
    }
}
