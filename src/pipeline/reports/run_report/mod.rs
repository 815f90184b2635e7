//! Reports of a run: what auditors, provinces and providers ask for, as CSV, Parquet and one workbook.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | orders | one pass over the orders: `orders.csv`, `orders.parquet`, and the figures of the workbook | one row group of 200,000 orders |
//! | lists | exclusions, rejected rows, holds, breaks, batches, comparison, carried forward: CSV straight from the database | a row |
//! | prove | orders + exclusions + rejected rows are the snapshot's rows; the orders come to the kept totals | – |
//! | workbook | `summary.xlsx` | its rows: sums, and one row a batch |
//! | keep | every file gets its name | – |
//!
//! Guarantee: all files tell of one instant; none has its name before all are proven, so that a report cut short
//! leaves an earlier one as it was; repeating it replaces the files. Nothing personal: no name, account, phone or
//! identity number is read. Limit: spreadsheets open `orders.csv` up to their own limit of rows.

mod columns;
mod error;
mod figures;
mod files;
mod pass;
mod sheets;
pub mod unclaimed;
mod workbook;

use std::path::{Path, PathBuf};

use crate::domain::ids::RunId;
use crate::domain::not_found::Entity;
use crate::domain::run::RunKind;
use crate::pipeline::{Context, Refusal};
use crate::store::orders::extracts::{Extracts, List};
use crate::store::registry::snapshots;
use crate::store::runs::{Run, checks};
pub use error::ReportError;
use figures::{Accounted, Figures};
use files::Drafts;
use pass::Codes;

/// Writes all reports of a run into `folder`, which is made if missing; the paths of the files, in order.
///
/// # Errors
/// See [`ReportError`].
pub async fn write(context: &Context, id: RunId, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut extracts = Extracts::begin(&context.store).await?;
    let run = extracts.run(id).await?.ok_or_else(|| Refusal::not_found(Entity::Run, id))?;
    let stage = context.telemetry.stage("report", "orders", Some(run.orders as u64));
    let codes = Codes::read(context, &mut extracts, &run).await?;
    let mut drafts = Drafts::begin(folder)?;
    let figures = pass::write_orders(&mut extracts, &run, codes.clone(), &mut drafts, &stage).await?;
    let mut accounted = Accounted { orders: figures.all().orders, ..Accounted::default() };
    for list in List::ALL {
        let rows = write_list(&mut extracts, &run, list, &mut drafts).await?;
        match list {
            List::Exclusions => accounted.exclusions = rows,
            List::Rejections => accounted.rejections = rows,
            _ => {}
        }
    }
    prove(&mut extracts, &run, &figures, accounted, &codes).await?;
    let comparison = checks::comparison(&context.store, id).await?;
    let book = sheets::read(&mut extracts, &run, &figures, &codes, comparison).await?;
    workbook::save(&book, &drafts.path("summary.xlsx")?, context.clock.now())?;
    drafts.keep()
}

const fn file_name(list: List) -> &'static str {
    match list {
        List::Exclusions => "exclusions.csv",
        List::Rejections => "rejections.csv",
        List::RejectedMembers => "rejected_members.csv",
        List::Holds => "holds.csv",
        List::Breaks => "breaks.csv",
        List::Batches => "batches.csv",
        List::Comparison => "comparison.csv",
        List::CarriedForward => "carried_forward.csv",
        List::Reasons => "reasons.csv",
    }
}

/// Writes a list: its rows, less the header.
async fn write_list(
    extracts: &mut Extracts,
    run: &Run,
    list: List,
    drafts: &mut Drafts,
) -> Result<u64, ReportError> {
    use std::io::Write as _;
    let path = drafts.path(file_name(list))?;
    let mut file = files::create(&path)?;
    let mut rows = extracts.csv(list, run.id, run.snapshot).await?;
    let (mut lines, mut line) = (0u64, Vec::new());
    while let Some(row) = rows.next().await? {
        line.clear();
        crate::files::csv::push_foreign(&row, &mut line).map_err(ReportError::io(&path))?;
        file.write_all(&line).map_err(ReportError::io(&path))?;
        lines += 1;
    }
    file.flush().map_err(ReportError::io(&path))?;
    Ok(lines.saturating_sub(1))
}

/// Compares what was written with what is kept elsewhere.
async fn prove(
    extracts: &mut Extracts,
    run: &Run,
    figures: &Figures,
    accounted: Accounted,
    codes: &Codes,
) -> Result<(), ReportError> {
    // A correction or a reissue pays some households of a snapshot; the other kinds answer for all of them.
    if matches!(run.kind, RunKind::Regular | RunKind::OffCycle) {
        accounted.prove(extracts.household_rows(run.snapshot).await?)?;
    }
    figures.prove(run, &extracts.totals(run.id).await?, codes)
}

impl Codes {
    async fn read(context: &Context, extracts: &mut Extracts, run: &Run) -> Result<Self, ReportError> {
        use crate::store::orders::extracts::Coded;
        let places = snapshots::places(&context.store, run.snapshot).await?;
        let providers = extracts.codes(Coded::Provider).await?;
        Self::new(&run.programme, providers, extracts.codes(Coded::Purpose).await?, places)
    }
}
