//! The engine, opened as its commands open it, and the unmeasured steps between the stages.
//!
//! Guarantee: the clock stands still, so that two runs on one machine differ in nothing but time.

use std::path::PathBuf;
use std::sync::Arc;

use sarf::clock::Clock;
use sarf::config::Config;
use sarf::domain::ids::{Code, RunId};
use sarf::domain::period::Period;
use sarf::pipeline::Context;
use sarf::pipeline::access::people::Office;
use sarf::pipeline::runs::{approve, fund};
use sarf::sandbox::banks::{Answers, Faults, Rates, Sandbox, SandboxOptions, StatusStyle};
use sarf::sandbox::registry::{GenerateOptions, generate};
use sarf::store::Store;
use sarf::store::access::operators::Role;
use sarf::telemetry::Telemetry;
use sqlx::postgres::PgConnectOptions;

pub const PREPARER: &str = "amina";
pub const ACCOUNTANT: &str = "chafik";
const APPROVER: &str = "brahim";
const SEED: u64 = 1;
/// As many as a command opens.
const CONNECTIONS_MAX: u32 = 16;
/// The day of the run, with a month that neither schooling grants nor holidays make special.
const NOW: time::OffsetDateTime = time::macros::datetime!(2026-06-24 09:00 UTC);

/// A migrated database with three people, and the configuration that is shipped.
pub async fn open(options: PgConnectOptions, home: PathBuf) -> anyhow::Result<Context> {
    let store = Store::connect(options, CONNECTIONS_MAX).await?.anchored(&home);
    store.migrate().await?;
    let people = [(PREPARER, Role::Preparer), (APPROVER, Role::Approver), (ACCOUNTANT, Role::Accountant)];
    Office::at(&store, &home, NOW).establish("sara", &people).await?;
    let mut config = Config::read("config".as_ref())?;
    // The month of the file lane: the stream lane has a bench of its own.
    config.settings.stream.enabled = false;
    // What the banks send here is odd on purpose, and nobody is there to look at it.
    config.settings.feedback.breaks_max = u64::MAX;
    let config = Arc::new(config);
    Ok(Context { store, config, telemetry: Telemetry::silent(), clock: Clock::fixed(NOW), home })
}

/// The month of the run and the one before.
pub fn periods() -> anyhow::Result<[Period; 2]> {
    let last = Period::new(NOW.year(), NOW.month().into())?;
    Ok([Period::from_index(last.index() - 1)?, last])
}

/// Writes the synthetic registry's list of a month.
pub fn registry(context: &Context, households: u64, period: Period) -> anyhow::Result<PathBuf> {
    let folder = context.home.join("snapshots").join(period.to_string());
    let options = GenerateOptions::new(households, period, Code::parse("dss")?, SEED, folder.clone());
    tokio::task::block_in_place(|| generate(&options, |_| ()))?;
    Ok(folder)
}

/// Takes a computed run through its approval and its funding.
pub async fn approval(context: &Context, run: RunId) -> anyhow::Result<()> {
    approve::acknowledge(context, run, PREPARER, "seen").await?;
    approve::submit(context, run, PREPARER).await?;
    approve::approve(context, run, APPROVER).await?;
    fund::fund(context, run, ACCOUNTANT).await?;
    Ok(())
}

/// Lets the sandbox banks answer: every transaction with a status of its own, debits booked by the batch.
pub fn banks(context: &Context) -> anyhow::Result<Answers> {
    let options = SandboxOptions {
        outbox: context.home.join("outbox"),
        inbox: context.home.join("inbox"),
        seed: SEED,
        now: NOW,
        rates: Rates::default(),
        statuses: StatusStyle::Transactions,
        faults: Faults::default(),
    };
    Ok(tokio::task::block_in_place(|| Sandbox::new(options).answer_all(&|_| ()))?)
}
