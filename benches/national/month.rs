//! The month's stages, each with its time, its floor and its peak memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sarf::domain::ids::RunId;
use sarf::domain::period::Period;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::dispatch::files as dispatch;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::{regular, reissue};
use sarf::pipeline::reports::verify;
use sarf::pipeline::runs::{fund, reconcile};
use sarf::pipeline::{Context, intake, messages};
use sarf::store::runs;

use crate::engine::{self, ACCOUNTANT, PREPARER};
use crate::floor::Floor;
use crate::psql::Psql;
use crate::{back, machine, table};

/// Which stages are compared when households double, by place in [`Month::stages`].
pub const COMPARED: [usize; 4] = [0, 1, 2, 5];

/// One measured stage.
pub struct Stage {
    /// What it does.
    pub name: &'static str,
    /// What it went through.
    pub figures: String,
    /// The time allowed for 4,000,000 households on two cores.
    pub budget: Option<Duration>,
    /// The time taken.
    pub took: Duration,
    /// The time its floor took.
    pub floor: Option<Duration>,
    /// Most memory held by this process meanwhile, in MiB.
    pub peak_mib: Option<u64>,
}

/// What a run of the month came to.
pub struct Month {
    /// How many households the registry lists.
    pub households: u64,
    /// The stages in their order.
    pub stages: Vec<Stage>,
    /// Whether each stage has a peak of its own.
    pub own_peaks: bool,
}

/// Runs two months and measures the second; with `floors`, each floor right after its stage.
pub async fn run(context: &Context, psql: &Psql, households: u64, floors: bool) -> anyhow::Result<Month> {
    let [before, period] = engine::periods()?;
    tell("the registry writes two months");
    let folders =
        [engine::registry(context, households, before)?, engine::registry(context, households, period)?];
    tell("the first month is imported and computed, unmeasured");
    let first = intake::import(context, &folders[0]).await?.into_inner();
    regular::create(context, first.id, RunKind::Regular, PREPARER).await?;
    std::fs::remove_dir_all(&folders[0])?;

    let floor = if floors { Some(Floor::begin(psql, &context.home)?) } else { None };
    let mut meter = Meter { context, floor, stages: Vec::new(), own_peaks: true };
    let run = meter.orders(&folders[1]).await?;
    engine::approval(context, run).await?;
    meter.dispatch(run).await?;
    tell("the sandbox banks answer");
    let answers = engine::banks(context)?.files;
    meter.feedback(run, answers).await?;
    meter.close(run).await?;
    meter.back(run, households, Period::from_index(period.index() + 1)?).await?;
    Ok(Month { households, stages: meter.stages, own_peaks: meter.own_peaks })
}

struct Meter<'a> {
    context: &'a Context,
    floor: Option<Floor<'a>>,
    stages: Vec<Stage>,
    own_peaks: bool,
}

impl Meter<'_> {
    /// Import and orders of the second month.
    async fn orders(&mut self, folder: &Path) -> anyhow::Result<RunId> {
        let context = self.context;
        self.quiet().await?;
        let began = Instant::now();
        let imported = intake::import(context, folder).await?.into_inner();
        let import = began.elapsed();
        let run = regular::create(context, imported.id, RunKind::Regular, PREPARER).await?.into_inner();
        let took = began.elapsed();
        let made = find(context, run).await?;
        let figures = format!(
            "{} households, {} members ({}), {} orders ({})",
            table::count(imported.counts.households),
            table::count(imported.counts.members),
            table::seconds(import),
            table::count(made.orders as u64),
            table::seconds(took - import)
        );
        self.note("import, orders", figures, took, Some(40));
        self.compare(|floor| floor.load(imported.id, run))?;
        std::fs::remove_dir_all(folder)?;
        Ok(run)
    }

    /// Release of all waves, and their files.
    async fn dispatch(&mut self, run: RunId) -> anyhow::Result<()> {
        self.quiet().await?;
        let began = Instant::now();
        fund::release(self.context, run, None, ACCOUNTANT).await?;
        let sent = dispatch::dispatch(self.context, run).await?;
        let took = began.elapsed();
        let figures = format!(
            "{} orders in {} files, {} MB",
            table::count(sent.orders),
            sent.files,
            table::count(sent.bytes / 1_000_000)
        );
        self.note("release, dispatch", figures, took, Some(20));
        let files = xml_below(&self.context.home.join("outbox"))?;
        anyhow::ensure!(files.len() as u64 == sent.files, "{} files in the outbox", files.len());
        self.compare(|floor| floor.write(run, &files))
    }

    /// Status reports, then notifications, then statements.
    async fn feedback(&mut self, run: RunId, answers: Vec<PathBuf>) -> anyhow::Result<()> {
        for (kind, name, budget) in [
            ("pain002", "feedback: pain.002", Some(45)),
            ("camt054", "feedback: camt.054", None),
            ("camt053", "feedback: camt.053", Some(5)),
        ] {
            let is_kind =
                |path: &&PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(kind));
            let files: Vec<PathBuf> = answers.iter().filter(is_kind).cloned().collect();
            self.quiet().await?;
            let began = Instant::now();
            let results = messages::import(self.context, files.clone()).await?;
            let took = began.elapsed();
            let mut entries = 0;
            for (path, result) in results {
                let imported = result.with_context(|| path.display().to_string())?;
                entries += imported.counts.entries;
                anyhow::ensure!(imported.counts.breaks == 0, "`{}` opened breaks", path.display());
            }
            let figures = format!("{} entries in {} files", table::count(entries), files.len());
            self.note(name, figures, took, budget);
            if kind == "pain002" {
                self.compare(|floor| floor.statuses(run, &files))?;
            }
        }
        Ok(())
    }

    /// Reconciliation, proofs, closed books.
    async fn close(&mut self, run: RunId) -> anyhow::Result<()> {
        let context = self.context;
        self.quiet().await?;
        let began = Instant::now();
        reconcile::reconcile(context, run).await?;
        let reconciled = began.elapsed();
        self.note("reconcile", "all providers".to_owned(), reconciled, Some(10));
        self.quiet().await?;
        let began = Instant::now();
        let proofs = verify::verify(context, Some(run)).await?;
        let took = began.elapsed();
        for proof in proofs.iter().filter(|p| !p.holds) {
            println!("DOES NOT HOLD: {} ({}): {}", proof.claim, proof.scope, proof.figures);
        }
        anyhow::ensure!(proofs.iter().all(|p| p.holds), "the books are not proven");
        self.note("verify", format!("{} proofs hold", proofs.len()), took, None);
        let (files, snapshot) =
            (xml_below(&context.home.join("outbox"))?, find(context, run).await?.snapshot);
        self.compare(|floor| floor.hash(snapshot, run, &files))?;
        let began = Instant::now();
        reconcile::close(context, run, ACCOUNTANT, None).await?;
        let took = began.elapsed();
        let closed = find(context, run).await?;
        anyhow::ensure!(closed.state == RunState::Closed, "the run is {}", closed.state);
        self.note("close", "closed".to_owned(), took, Some(5));
        Ok(())
    }

    /// What comes back when the month is closed: returns, what is paid again, and what the next list puts right.
    async fn back(&mut self, run: RunId, households: u64, next: Period) -> anyhow::Result<()> {
        let context = self.context;
        let back = tokio::task::block_in_place(|| back::returns(context, run))?;
        for (name, files) in [("returns: pacs.004", back.returns), ("returns: camt.053", back.statements)] {
            self.quiet().await?;
            let began = Instant::now();
            let mut taken = 0;
            for (path, result) in messages::import(context, files).await? {
                taken += result.with_context(|| path.display().to_string())?.counts.applied;
            }
            let took = began.elapsed();
            let figures =
                format!("{} returns, {} new", table::count(back.orders as u64), table::count(taken));
            self.note(name, figures, took, Some(5));
        }

        self.quiet().await?;
        let began = Instant::now();
        let code = find(context, run).await?.programme;
        let made = reissue::create(context, &code, None, PREPARER).await?.into_inner();
        let took = began.elapsed();
        let figures = format!("{} orders", table::count(find(context, made.run).await?.orders as u64));
        self.note("reissue run", figures, took, Some(5));

        tell("the registry writes a third month, which is imported, unmeasured");
        let folder = engine::registry(context, households, next)?;
        let list = intake::import(context, &folder).await?.into_inner();
        std::fs::remove_dir_all(&folder)?;
        self.quiet().await?;
        let began = Instant::now();
        let found = correction::create(context, list.id, Some(1), PREPARER).await?.into_inner();
        let took = began.elapsed();
        let figures = match found {
            Found::Nothing(months) => format!("nothing in {months} months"),
            Found::Run(id) => {
                let corrected = find(context, id).await?;
                format!(
                    "{} households, {} arrears",
                    table::count(corrected.households as u64),
                    table::count(corrected.orders as u64)
                )
            }
        };
        self.note("corrections of the month before", figures, took, Some(30));
        Ok(())
    }

    /// Before the clock starts: nothing of what came before is still to be written, and the peak is forgotten.
    async fn quiet(&mut self) -> anyhow::Result<()> {
        let tidying = "select exists (select from pg_stat_activity where backend_type = 'autovacuum worker')";
        while sqlx::query_scalar(tidying).fetch_one(self.context.store.pool()).await? {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sqlx::query("checkpoint").execute(self.context.store.pool()).await?;
        self.own_peaks &= machine::forget_peak();
        Ok(())
    }

    fn note(&mut self, name: &'static str, figures: String, took: Duration, budget: Option<u64>) {
        let peak_mib = machine::peak_mib();
        let held = peak_mib.map_or_else(String::new, |mib| format!(", peak {mib} MiB"));
        tell(&format!("{name}: {figures}: {}{held}", table::seconds(took)));
        let budget = budget.map(Duration::from_secs);
        self.stages.push(Stage { name, figures, budget, took, floor: None, peak_mib });
    }

    /// Runs the floor of the stage noted last, where floors are asked for.
    fn compare(&mut self, work: impl FnOnce(&Floor<'_>) -> anyhow::Result<Duration>) -> anyhow::Result<()> {
        let (Some(floor), Some(stage)) = (&self.floor, self.stages.last_mut()) else { return Ok(()) };
        let took = tokio::task::block_in_place(|| work(floor)).context(stage.name)?;
        tell(&format!("  its floor: {}", table::seconds(took)));
        stage.floor = Some(took);
        Ok(())
    }
}

fn tell(text: &str) {
    println!("   {text}");
}

async fn find(context: &Context, id: RunId) -> anyhow::Result<runs::Run> {
    let mut tx = context.store.begin().await?;
    let run = runs::find_in_tx(&mut tx, id, false).await?;
    run.with_context(|| format!("run {id}"))
}

/// The messages in the folders of an outbox.
pub fn xml_below(outbox: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(outbox)? {
        for entry in std::fs::read_dir(folder?.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "xml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
