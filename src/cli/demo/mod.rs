//! `sarf demo`: the whole month, on synthetic data and sandbox banks, in a database and a folder of its own. Of three months
//! and more, or with `--faults`, it is a simulation in which everything goes wrong that may.

mod lanes;
pub mod progress;

use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use lanes::{Served, Wish};

use crate::cli::app::{self, App, DEMO_DATABASE};
use crate::cli::global::Global;
use crate::cli::refused::CliError;
use crate::cli::ui::{Align, Exit, Output, format};
use crate::cli::{interrupt, run, verify};
use crate::clock::{Clock, ClockSetter};
use crate::domain::ids::{Code, RunId};
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::engine::stop::Stop;
use crate::pipeline::access::people::Office;
use crate::pipeline::dispatch::files as dispatch;
use crate::pipeline::orders::regular;
use crate::pipeline::reports::{run_report, verify as proofs};
use crate::pipeline::runs::{approve, fund, reconcile};
use crate::pipeline::{intake, messages};
use crate::sandbox::banks::{Faults, Rates, Sandbox, SandboxOptions, StatusStyle};
use crate::sandbox::points::PointFaults;
use crate::sandbox::registry::{GenerateOptions, generate_with_progress};
use crate::sandbox::year::{self, ACCOUNTANT, ADMINISTRATOR, APPROVER, Closing, Lanes, PREPARER, Simulation};
use crate::store::access::operators::Role;
use crate::store::{cluster, runs};

/// The whole month.
#[derive(Args)]
pub struct Demo {
    /// How many households
    #[arg(long, default_value_t = 20_000, env = "HOUSEHOLDS")]
    households: u64,
    /// What everything is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The month; this one unless given
    #[arg(long)]
    period: Option<Period>,
    /// How many months, the last being `period`; each is compared with the one before
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=24))]
    months: u8,
    /// Whether everything goes wrong that may: returns after months, late and contradictory messages, recalls, corrections; yes
    /// for three months and more unless given
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    faults: Option<bool>,
}

/// Connections to payment points fail as often as they do in a country of so many households: beyond, as many times less often.
const FAULTS_FOR: u64 = 2_000;
/// Requests to payment points are given up after so many milliseconds; a simulation has no time to lose.
const TIMEOUT_MS: u64 = 1_500;
const TIMEOUT_SIMULATED_MS: u64 = 400;

impl Demo {
    /// Starts afresh and runs it.
    ///
    /// # Errors
    /// What a step failed of; of a simulation with the command that repeats it.
    pub async fn run(self, global: &Global, output: &Output, stop: &Stop) -> anyhow::Result<Exit> {
        let global = Global { demo: true, ..global.clone() };
        start_afresh(&global).await?;
        let mut app = App::open(&global, output, true, stop).await?;
        // What a demo has committed is nobody's books: it is cut short at once.
        let result = interrupt::unless(stop, None, self.play(&mut app, &global)).await;
        app.close().await;
        result
    }

    async fn play(&self, app: &mut App, global: &Global) -> anyhow::Result<Exit> {
        let today = app.context.clock.now().date();
        let last = match self.period {
            Some(period) => period,
            None => Period::new(today.year(), today.month().into())?,
        };
        if self.faults.unwrap_or(self.months > 2) {
            self.simulate(app, global, last).await
        } else {
            self.show(app, global, last).await
        }
    }

    /// The plain demo.
    async fn show(&self, app: &mut App, global: &Global, last: Period) -> anyhow::Result<Exit> {
        let wish = Wish {
            seed: self.seed,
            clock: Clock::system(),
            faults: PointFaults::some()
                .thinned(u32::try_from(self.households / FAULTS_FOR).unwrap_or(u32::MAX)),
            timeout_ms: TIMEOUT_MS,
        };
        let served = Served::start(app, app::config(global)?, wish).await?;
        let result = self.months(app, &served.lanes, last).await;
        let ended = served.end().await;
        result.and_then(|exit| ended.map(|()| exit))
    }

    /// The simulation: months in a row, with all that goes wrong.
    async fn simulate(&self, app: &mut App, global: &Global, last: Period) -> anyhow::Result<Exit> {
        let (households, seed, months) = (self.households, self.seed, self.months);
        let options = year::Options { households, seed, months, last };
        let (clock, hands) = year::clock(&options)?;
        app.context.clock = clock;
        let faults = PointFaults::default();
        let wish = Wish { seed, clock, faults, timeout_ms: TIMEOUT_SIMULATED_MS };
        let served = Served::start(app, app::config(global)?, wish).await?;
        self.head(app);
        let result = self.simulated(app, &served.lanes, hands, options).await;
        let ended = served.end().await;
        result.and_then(|exit| ended.map(|()| exit))
    }

    async fn simulated(
        &self,
        app: &App,
        lanes: &Lanes,
        hands: ClockSetter,
        options: year::Options,
    ) -> anyhow::Result<Exit> {
        let began = Instant::now();
        people(app).await?;
        let tell = |told: &year::Progress| {
            if let Some(line) = progress::line(told) {
                say(app, &line);
            }
        };
        let outcome = Simulation::new(&app.context, Some(lanes), hands, options, &tell).run().await?;
        let failures = outcome.failures();
        if app.output.is_json() {
            app.output.json(&outcome)?;
        } else {
            print_places(app, &outcome.closing);
            let held = outcome.proofs.iter().filter(|p| p.holds).count();
            say(app, &format!("\n{held} of {} proofs hold (`sarf --demo verify`)", outcome.proofs.len()));
            say(app, &format!("digest {} over {} facts", outcome.closing.digest, outcome.closing.facts));
            say(
                app,
                &format!(
                    "\nDone in {}. Once more: `{}`",
                    format::duration(began.elapsed()),
                    options.command()
                ),
            );
        }
        if failures.is_empty() {
            return Ok(Exit::Done);
        }
        let hint = format!("repeat it with `{}`", options.command());
        app.output.error(&failures.join("; "), Some(&hint));
        Ok(Exit::Refused)
    }

    fn head(&self, app: &App) {
        say(
            app,
            &format!(
                "sarf · a synthetic country of {} households · seed {}",
                format::count(self.households),
                self.seed
            ),
        );
    }

    async fn months(&self, app: &App, lanes: &Lanes, last: Period) -> anyhow::Result<Exit> {
        let began = Instant::now();
        self.head(app);
        people(app).await?;
        let mut lines = Vec::new();
        for back in (0..i32::from(self.months)).rev() {
            let period = Period::from_index(last.index() - back)?;
            lines.push(self.month(app, lanes, period).await.with_context(|| format!("month {period}"))?);
        }
        say(app, "\nThe books are proven");
        let proven = proofs::verify(&app.context, None).await?;
        let failed = proven.iter().filter(|p| !p.holds).count();
        if app.output.is_json() {
            app.output.json(&serde_json::json!({ "months": lines, "proofs": proven }))?;
        } else {
            verify::print(app, &proven);
            say(
                app,
                &format!(
                    "\nDone in {}. Look around: `sarf --demo run list`, `sarf --demo order show H…`, {}",
                    format::duration(began.elapsed()),
                    app.context.home.display()
                ),
            );
        }
        Ok(if failed == 0 { Exit::Done } else { Exit::Refused })
    }

    /// One month, from snapshot to closed books.
    async fn month(&self, app: &App, lanes: &Lanes, period: Period) -> anyhow::Result<serde_json::Value> {
        let context = &app.context;
        let mut steps = Steps::new(app);
        say(app, &format!("\n── {period} ─────────────────────────────────────────"));
        let folder = context.home.join("snapshots").join(period.to_string());
        let options =
            GenerateOptions::new(self.households, period, Code::parse("dss")?, self.seed, folder.clone());
        let manifest = tokio::task::block_in_place(|| generate_with_progress(&options, &context.telemetry))?;
        steps.done(
            "the registry sends its list",
            &format!("{} households", format::count(manifest.rows(crate::snapshot::Kind::Households))),
        );
        let imported = intake::import(context, &folder).await?.into_inner();
        let set_aside = imported.counts.household_rows - imported.counts.households;
        steps.done(
            "imported and checked",
            &format!(
                "{} kept, {} rejected with a reason",
                format::count(imported.counts.households),
                format::count(set_aside)
            ),
        );
        let id = regular::create(context, imported.id, RunKind::Regular, PREPARER).await?.into_inner();
        let made = find(app, id).await?;
        steps.done(
            "amounts worked out, orders made",
            &format!(
                "{} orders over {}, {} excluded",
                format::count(made.orders as u64),
                format::amount(made.ordered),
                format::count(made.exclusions as u64)
            ),
        );
        self.approval(app, id, &mut steps).await?;
        let sent = dispatch::dispatch(context, id).await?;
        steps.done("bank files leave", &format!("{} files, {}", sent.files, format::bytes(sent.bytes)));
        let banks = SandboxOptions {
            outbox: context.home.join("outbox"),
            inbox: context.home.join("inbox"),
            seed: self.seed,
            now: context.clock.now(),
            rates: Rates::default(),
            statuses: StatusStyle::Mixed,
            faults: Faults::default(),
        };
        let answers = Sandbox::new(banks).answer_with_progress(&context.telemetry).await?;
        steps.done(
            "sandbox banks answer",
            &format!(
                "{} messages: {} rejected, {} returned",
                answers.files.len(),
                format::count(answers.rejected),
                format::count(answers.returned)
            ),
        );
        let results = messages::import(context, answers.files).await?;
        let mut entries = 0;
        for (path, result) in results {
            entries += result.with_context(|| path.display().to_string())?.counts.entries;
        }
        steps.done("feedback read", &format!("{} entries", format::count(entries)));
        if sent.queued > 0 {
            self.stream(app, lanes, id, sent.queued, &mut steps).await?;
        }
        let found = reconcile::reconcile(context, id).await?;
        steps.done(
            "reconciled",
            &format!("{} providers, {} breaks", found.providers.len(), found.open_breaks),
        );
        if !app.output.is_json() {
            run::print_reconciliation(app, &found);
        }
        reconcile::close(context, id, ACCOUNTANT, None).await?;
        let files =
            run_report::write(context, id, &context.home.join("report").join(period.to_string())).await?;
        steps.done("closed and reported", &format!("{} report files", files.len()));
        let closed = find(app, id).await?;
        if closed.state != RunState::Closed {
            return Err(CliError::NotClosed { run: id, state: closed.state }.into());
        }
        Ok(serde_json::json!({ "period": period, "run": closed, "reconciliation": found }))
    }

    /// The stream lane's part: handed over through all faults, drawn, swept, settled.
    async fn stream(
        &self,
        app: &App,
        lanes: &Lanes,
        id: RunId,
        queued: u64,
        steps: &mut Steps<'_>,
    ) -> anyhow::Result<()> {
        let context = &app.context;
        let at_hand = lanes.settle_down(context, &[id]).await?;
        steps.done(
            "payment points and wallet answer",
            &format!(
                "{} orders handed over through faults, {} at hand",
                format::count(queued),
                format::count(at_hand as u64)
            ),
        );
        let drawn = lanes.draw(context, &[id]).await?;
        let swept = (at_hand as u64).saturating_sub(drawn);
        steps.done(
            "payees draw their money",
            &format!("{} drawn, {} not collected and swept back", format::count(drawn), format::count(swept)),
        );
        let files = lanes.end_day()?;
        let count = files.len();
        for (path, result) in messages::import(context, files).await? {
            result.with_context(|| path.display().to_string())?;
        }
        steps.done("settlement files and statements", &format!("{count} files"));
        dispatch::finish(context, id).await?;
        Ok(())
    }

    /// Three people take the run through its checks.
    async fn approval(&self, app: &App, id: RunId, steps: &mut Steps<'_>) -> anyhow::Result<()> {
        let context = &app.context;
        let noted = approve::acknowledge(context, id, PREPARER, "seen in the demo").await?.into_inner();
        approve::submit(context, id, PREPARER).await?;
        steps.done(&format!("{PREPARER} submits"), &format!("{noted} breached checks acknowledged"));
        let hash = approve::approve(context, id, APPROVER).await?.into_inner();
        steps.done(&format!("{APPROVER} approves"), &format!("content {}", &hash[..16]));
        let amount = fund::fund(context, id, ACCOUNTANT).await?.into_inner();
        let batches = fund::release(context, id, None, ACCOUNTANT).await?.into_inner();
        steps.done(
            &format!("{ACCOUNTANT} funds and releases"),
            &format!("{} reserved, {batches} batches", format::amount(amount)),
        );
        Ok(())
    }
}

/// Tells each step as it is done, with how long it took.
struct Steps<'a> {
    app: &'a App,
    since: Instant,
}

impl<'a> Steps<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, since: Instant::now() }
    }

    fn done(&mut self, what: &str, figures: &str) {
        say(self.app, &format!("  ✓ {what:<34} {figures} ({})", format::duration(self.since.elapsed())));
        self.since = Instant::now();
    }
}

fn say(app: &App, text: &str) {
    if !app.output.is_json() {
        app.output.line(text);
    }
}

async fn find(app: &App, id: RunId) -> anyhow::Result<runs::Run> {
    let mut tx = app.context.store.begin().await?;
    let run = runs::find_in_tx(&mut tx, id, false).await?;
    run.with_context(|| format!("run {id}"))
}

/// Where every centime is.
fn print_places(app: &App, closing: &Closing) {
    let columns = [("where every centime is", Align::Left), ("¤", Align::Right)];
    let mut rows = Vec::new();
    for block in &closing.blocks {
        rows.push(vec![block.title.to_owned(), String::new()]);
        let line = |p: &year::Place| vec![format!("  {}", p.words), format::figure(p.balance)];
        rows.extend(block.places.iter().map(line));
        // What households repay leaves the one and comes to the other.
        let together = if block.sum.is_zero() { "  together" } else { "  together: repaid by households" };
        rows.push(vec![together.to_owned(), format::figure(block.sum)]);
    }
    say(app, "");
    app.output.table(&columns, &rows);
}

async fn people(app: &App) -> anyhow::Result<()> {
    let people = [(PREPARER, Role::Preparer), (APPROVER, Role::Approver), (ACCOUNTANT, Role::Accountant)];
    Office::of(&app.context).establish(ADMINISTRATOR, &people).await?;
    let mut rows: Vec<Vec<String>> =
        people.iter().map(|(name, role)| vec![(*name).to_owned(), role.to_string()]).collect();
    rows.push(vec![ADMINISTRATOR.to_owned(), "administrator".to_owned()]);
    if !app.output.is_json() {
        app.output.table(&[("person, each with a key", Align::Left), ("role", Align::Left)], &rows);
    }
    Ok(())
}

/// Empties what an earlier demo left: its database and its folder, nothing else.
async fn start_afresh(global: &Global) -> anyhow::Result<()> {
    let server = cluster::server(&global.home, global.database_url.as_deref()).await?;
    cluster::recreate_database(&server.connect_options(), DEMO_DATABASE, None).await?;
    server.stop().await?;
    let folder = app::home(global);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}
