//! Corrections: months already paid are looked at again with what a later list knows, and the differences are put right.
//!
//! | phase | what happens | in memory |
//! |---|---|---|
//! | open | the list is kept as heard; run in draft; cursors over the months, cases, refunds | rules, places, providers |
//! | persons | who came, went or is shared is gathered, and who stands in two households weighed | persons in two households |
//! | stream | households whose rows differ, or that were restated before: restated, assessed, put right | a few buffers |
//! | book | what comes off cases; orders of arrears booked as any; one commit | – |
//!
//! Input: a list. Output: the months as they are known by now ([`crate::domain::correction`] says what that is), and a run of
//! kind *correction* for the list's month: arrears as orders of purpose `arrears`, one for each household; undue payments as
//! rows from which recovery cases are opened when the accountant releases the run. What a list takes back of an undue payment
//! comes off its case first, and only the rest is paid. What granted complaints gave back of what was kept back or repaid is
//! ordered with the arrears.
//! Guarantee: one transaction; what was found is not found again; where nothing was said that differs in money, no run is made,
//! and what was said is kept all the same. One correction run of a programme is under way at a time, and lists are heard in
//! the order of their import: else it is refused. Limit: months whose regular run has left, as far back as the configuration
//! says.

mod arrears;
mod find;
mod months;
mod persons;

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

pub(in crate::pipeline) use arrears::Arrears;
pub(in crate::pipeline) use find::Differences;

use super::compare::Comparison;
use super::maker::{Computed, Inputs, Maker, RowBuffers};
use super::run_builder::RunBuilder;
use super::{OrderError, checks};
use crate::config::ConfiguredProgramme;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::pipeline::exceptions::recovery;
use crate::pipeline::{Applied, Context};
use crate::store::audit::chain::{self, Decision};
use crate::store::copy::CopyBuffer;
use crate::store::orders;
use crate::store::recovery::{refunds, reversals};
use crate::store::registry::snapshots::Snapshot;
use crate::store::runs::restated::{self, Heard, NewReview};
use crate::store::runs::{checks as run_checks, corrections};
use crate::store::{StoreError, Tx};
use find::{Finder, Rows};
use persons::Elsewhere;

/// The purpose of orders that pay arrears: a claim of its own beside the month's. Further correction runs of a month have
/// claims of their own in turn.
pub const ARREARS: &str = "arrears";

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Differences, in this run.
    Run(RunId),
    /// Nothing differs; no run was made. How many months were looked at.
    Nothing(usize),
}

/// Makes the correction run of a list, looking back over `months` (as configured unless given).
///
/// A list may be asked again: what was found before is not found again, and the run that was made of it is named where
/// nothing else differs.
///
/// # Errors
/// See [`OrderError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    snapshot: SnapshotId,
    months: Option<u8>,
    by: &str,
) -> Result<Applied<Found>, OrderError> {
    let back = months.unwrap_or(context.config.settings.corrections.months_back);
    let (mut tx, builder) = RunBuilder::begin(context, snapshot, by, |_, _| Ok(())).await?;
    let (programme, programme_id) = (builder.programme, builder.programme_id);
    let list = &builder.snapshot;
    let heard = restated::heard_in_tx(&mut tx, programme_id, list.id, back, &programme.sha256).await?;
    if let Some(run) = asked_again(&heard, list.id)? {
        return Ok(Applied::Already(Found::Run(run)));
    }
    let months = months::to_look_at(context, &mut tx, programme, list, back).await?;
    let purpose = arrears_purpose(&mut tx, programme_id, list.period).await?;
    let open = builder.open_in_tx(&mut tx, RunKind::Correction, &purpose).await?;
    let (run, inputs) = (open.run, open.inputs());
    let review = restated::insert_in_tx(&mut tx, review_of(&inputs, back, by)).await?;
    let pass = pass(&mut tx, &inputs, review, programme, &months).await?;
    if pass.corrected == 0 && pass.computed.orders == 0 {
        return nothing(tx, &inputs, review, &heard, &pass, months.len(), by).await;
    }
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    corrections::follow_reissues_in_tx(&mut tx, run).await?;
    refunds::take_in_tx(&mut tx, run, inputs.now).await?;
    recovery::reverse_in_tx(&mut tx, programme_id, run, inputs.now).await?;
    let households = inputs.snapshot.households;
    open.close_in_tx(&mut tx, pass.computed).await?;
    let limit = context.config.settings.checks.corrected_share_max;
    let share = checks::share("corrected", "all", pass.corrected, households, limit);
    run_checks::insert_checks_in_tx(&mut tx, run, &[share]).await?;
    tx.commit().await?;
    Ok(Applied::Now(Found::Run(run)))
}

/// The run of this very list, rules and reach that waits to be released, or that a later list was heard after; otherwise the
/// list is looked at (again), if it may be.
fn asked_again(heard: &Heard, list: SnapshotId) -> Result<Option<RunId>, OrderError> {
    let newer = heard.latest.filter(|latest| *latest > list);
    match (heard.waits, newer, heard.same) {
        (Some(waits), _, Some(same)) if waits == same => Ok(Some(same)),
        (None, Some(_), Some(same)) => Ok(Some(same)),
        (Some(run), _, _) => Err(OrderError::CorrectionWaits { run }),
        (None, Some(newer), None) => Err(OrderError::OlderList { list, newer }),
        (None, None, _) => Ok(None),
    }
}

/// Keeps what the list said, without a run: nothing of it differs in money. The run of an earlier asking is named, if there is
/// one.
async fn nothing(
    mut tx: Tx,
    inputs: &Inputs<'_>,
    review: i64,
    heard: &Heard,
    pass: &Pass,
    months: usize,
    by: &str,
) -> Result<Applied<Found>, OrderError> {
    let before = heard.same.map(Found::Run).or(heard.without_run.then_some(Found::Nothing(months)));
    if let Some(before) = before.filter(|_| pass.restated == 0) {
        tx.rollback().await.map_err(StoreError::from)?;
        return Ok(Applied::Already(before));
    }
    restated::without_run_in_tx(&mut tx, review, inputs.run).await?;
    let decision = Decision {
        actor: by,
        action: "correction.nothing",
        subject: &format!("snapshot {}", inputs.snapshot.id),
        detail: &format!("{months} months looked at, {} months of households restated", pass.restated),
        at: inputs.now,
    };
    chain::append_in_tx(&mut tx, decision).await?;
    tx.commit().await?;
    Ok(Applied::Now(Found::Nothing(months)))
}

fn review_of<'a>(inputs: &Inputs<'a>, months_back: u8, by: &'a str) -> NewReview<'a> {
    NewReview {
        programme: inputs.programme_id,
        list: inputs.snapshot.id,
        period: inputs.period,
        months_back,
        rules_sha256: &inputs.programme.sha256,
        run: inputs.run,
        by,
        at: inputs.now,
    }
}

/// The purpose of a run's arrears: a month's second correction run pays claims of its own.
async fn arrears_purpose(
    tx: &mut PgConnection,
    programme: i16,
    period: Period,
) -> Result<String, StoreError> {
    let before = restated::runs_of_month_in_tx(tx, programme, period).await?;
    Ok(if before == 0 { ARREARS.to_owned() } else { format!("{ARREARS}-{}", before + 1) })
}

struct Pass {
    computed: Computed,
    corrected: i64,
    restated: u64,
}

/// Goes over the candidates of all months and what complaints gave back, by household, and writes orders, corrections, months
/// as they are known, refunds and what comes off cases.
async fn pass(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    review: i64,
    programme: &ConfiguredProgramme,
    months: &[corrections::Month],
) -> Result<Pass, OrderError> {
    let stage = inputs.context.telemetry.stage("correct", "households", None);
    let rule = inputs.context.config.settings.corrections.moved;
    let elsewhere = Elsewhere::look_up(&inputs.context.store, tx, months, rule).await?;
    let mut finder = Finder::new(inputs, review, &elsewhere);
    let mut candidates = months::Merged::open(&inputs.context.store, programme, months).await?;
    let mut granted = arrears::Granted::open(inputs).await?;
    let mut cases = find::Cases::open(inputs).await?;
    let mut arrears = Arrears::open(inputs).await?;
    let mut maker = Maker::new(inputs);
    let mut out = Writing::default();
    let (mut seen, mut corrected) = (0u64, 0i64);
    let mut ahead = candidates.next().await?;
    while let Some(household) = ahead.iter().map(|(household, _)| *household).chain(granted.household()).min()
    {
        seen += 1;
        if seen.is_multiple_of(10_000) {
            stage.add(10_000);
        }
        let of_months = match ahead.take_if(|(of, _)| *of == household) {
            Some((_, of_months)) => {
                ahead = candidates.next().await?;
                of_months
            }
            None => Vec::new(),
        };
        let refunds = granted.take(household).await?;
        let mut open = if of_months.is_empty() { HashMap::new() } else { cases.take(household).await? };
        let mut found = finder.differences(&of_months, &mut open, &mut out.rows);
        corrected += i64::from(found.corrected);
        let mut lines = std::mem::take(&mut found.lines);
        lines.extend(find::refunded(inputs.period, &refunds));
        let listed = of_months.into_iter().find_map(|of| of.candidate.now);
        if let Some(now) = listed.or_else(|| refunds.first().map(|refund| refund.listed.clone()))
            && !lines.is_empty()
        {
            let order = arrears.order(&mut maker, household, now, &lines, &found).await?;
            refunds.iter().for_each(|refund| refunds::push(&mut out.refunds, order, refund));
        }
        if out.is_full() || maker.is_full() {
            out.send_in_tx(tx, inputs.run, maker.seal()).await?;
        }
    }
    stage.add(seen % 10_000);
    out.send_in_tx(tx, inputs.run, maker.seal()).await?;
    let mut computed = maker.finish(corrected as u64, Comparison::none());
    // What is approved is the orders and the corrections together.
    out.digest.update(computed.orders_sha256);
    computed.orders_sha256 = out.digest.finalize().into();
    Ok(Pass { computed, corrected, restated: out.restated })
}

/// Rows on their way into the database.
#[derive(Default)]
struct Writing {
    rows: Rows,
    refunds: CopyBuffer,
    digest: Sha256,
    restated: u64,
}

impl Writing {
    fn is_full(&self) -> bool {
        self.rows.corrections.row_bytes().len() + self.rows.restated.row_bytes().len() > 1 << 20
    }

    async fn send_in_tx(
        &mut self,
        tx: &mut PgConnection,
        run: RunId,
        mut buffers: RowBuffers,
    ) -> Result<(), StoreError> {
        let Rows { corrections: corrected, restated: months, reversals } = &mut self.rows;
        self.digest.update(corrected.row_bytes());
        corrected.send_in_tx(tx, &format!("correction ({})", corrections::COLUMNS), "").await?;
        self.restated +=
            months.send_in_tx(tx, &format!("restated_month ({})", restated::COLUMNS), "").await?;
        let target = format!("recovery_reversal ({})", reversals::COLUMNS);
        reversals.send_in_tx(tx, &target, "").await?;
        let refunds = format!("recovery_refund ({})", refunds::COLUMNS);
        self.refunds.send_in_tx(tx, &refunds, "").await?;
        buffers.send_in_tx(tx, run).await
    }
}

/// Months before a list's that it may say something of.
fn months_before(snapshot: &Snapshot, back: u8) -> Vec<Period> {
    let last = snapshot.period.index();
    (last - i32::from(back)..=last).filter_map(|index| Period::from_index(index).ok()).collect()
}
