//! Corrections: months already paid are looked at again with what a later list knows, and the differences are put right.
//!
//! Input: a list. Output: a run of kind *correction* for the list's month: arrears as orders of purpose `arrears`, one for each
//! household; undue payments as rows from which recovery cases are opened when the accountant releases the run. Each row says
//! which month, what had been found due, what is due, and why. What granted complaints gave back of what was kept back or repaid is
//! ordered with the arrears.
//! Guarantee: one transaction; one correction run for each programme and month; what an earlier correction put right, or an
//! appeal decided, is not found again. Limit: months whose regular run has left, as far back as the configuration says.

mod find;
mod months;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::order::{
    Computed, Inputs, KEEP_BACK_LOCK, Maker, OrderError, Parcel, RUN_LOCK, book, hold_changed, last_change,
    new_comparison,
};
use super::{Applied, Context, check, person, recovery};
use crate::config::ConfiguredProgramme;
use crate::domain::ids::{RunId, SnapshotId};
use crate::domain::period::Period;
use crate::domain::run::RunKind;
use crate::store::corrections;
use crate::store::operators::Role;
use crate::store::pgcopy::CopyBuffer;
use crate::store::runs::{self, NewRun};
use crate::store::snapshots::{self, Snapshot};
use crate::store::{StoreError, breaks, day_runs, orders, questions, recovery_refunds, reference};

/// The purpose of orders that pay arrears: a claim of its own beside the month's.
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
/// # Errors
/// See [`OrderError`]; the database is then as it was.
pub async fn create(
    context: &Context,
    snapshot: SnapshotId,
    months: Option<u8>,
    by: &str,
) -> Result<Applied<Found>, OrderError> {
    let snapshot =
        snapshots::find(&context.store, snapshot).await?.ok_or(OrderError::NoSnapshot(snapshot))?;
    let programme = context
        .config
        .programme(&snapshot.programme)
        .ok_or_else(|| OrderError::UnknownProgramme(snapshot.programme.clone()))?;
    let mut tx = context.store.begin().await?;
    person(&mut tx, by, Role::Preparer).await?;
    let programme_id = reference::programme_id_in_tx(&mut tx, programme.rules.code().as_str()).await?;
    // In the order of a regular run, since refunds change cases as instalments do.
    day_runs::lock_in_tx(&mut tx, KEEP_BACK_LOCK, i32::from(programme_id)).await?;
    let lock = i32::from(programme_id) * 4096 + snapshot.period.index();
    day_runs::lock_in_tx(&mut tx, RUN_LOCK, lock).await?;
    if let Some(run) = corrections::run_of_month_in_tx(&mut tx, programme_id, snapshot.period).await? {
        return Ok(Applied::Already(Found::Run(run)));
    }
    let back = months.unwrap_or(context.config.settings.corrections.months_back);
    let months = months::to_look_at(context, &mut tx, programme, &snapshot, back).await?;
    let last_change = last_change(context, programme_id).await?;
    recovery::lock_in_tx(&mut tx, programme_id).await?;
    let new = NewRun {
        programme_id,
        period: snapshot.period,
        kind: RunKind::Correction,
        snapshot: snapshot.id,
        rules_sha256: &programme.sha256,
        created_by: by,
        created_at: context.clock.now(),
    };
    let run = runs::insert_in_tx(&mut tx, new).await?;
    orders::create_leaves_in_tx(&mut tx, run).await?;
    let providers: Vec<String> =
        context.config.router.providers().iter().map(|p| p.code.to_string()).collect();
    let inputs = Inputs {
        context,
        run,
        programme_id,
        period: snapshot.period,
        purpose: reference::purpose_id_in_tx(&mut tx, ARREARS).await?,
        snapshot: &snapshot,
        programme,
        providers: &reference::provider_ids_in_tx(&mut tx, &providers).await?,
        previous: None,
        barring: &[],
        doubted: &breaks::doubted_households_in_tx(&mut tx).await?,
        correction: true,
        questions: &questions::of_programme_in_tx(&mut tx, programme_id).await?,
        now: context.clock.now(),
    };
    let pass = pass(&mut tx, &inputs, programme, &months).await?;
    if pass.corrected == 0 && pass.computed.orders == 0 {
        tx.rollback().await.map_err(StoreError::from)?;
        return Ok(Applied::Now(Found::Nothing(months.len())));
    }
    orders::attach_leaves_in_tx(&mut tx, run).await?;
    corrections::follow_reissues_in_tx(&mut tx, run).await?;
    recovery_refunds::take_in_tx(&mut tx, run, inputs.now).await?;
    book(context, &mut tx, &inputs, programme_id, pass.computed).await?;
    let limit = context.config.settings.checks.corrected_share_max;
    let share = check::share("corrected", "all", pass.corrected, snapshot.households, limit);
    runs::insert_checks_in_tx(&mut tx, run, &[share]).await?;
    hold_changed(&mut tx, &inputs, last_change).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Applied::Now(Found::Run(run)))
}

struct Pass {
    computed: Computed,
    corrected: i64,
}

/// Rows on their way into the database.
struct Rows {
    corrections: CopyBuffer,
    refunds: CopyBuffer,
    digest: Sha256,
}

/// Goes over the candidates of all months and what complaints gave back, by household, and writes orders, corrections and
/// refunds.
async fn pass(
    tx: &mut PgConnection,
    inputs: &Inputs<'_>,
    programme: &ConfiguredProgramme,
    months: &[corrections::Month],
) -> Result<Pass, OrderError> {
    let stage = inputs.context.telemetry.stage("correct", "households", None);
    let mut candidates = months::Merged::open(&inputs.context.store, programme, months).await?;
    let mut granted = find::Granted::open(inputs).await?;
    let mut arrears = find::Arrears::open(inputs).await?;
    let mut maker = Maker::new(inputs);
    let mut rows =
        Rows { corrections: CopyBuffer::default(), refunds: CopyBuffer::default(), digest: Sha256::new() };
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
        let found = find::differences(inputs, &of_months, &mut rows.corrections);
        corrected += i64::from(found.corrected);
        let mut lines = found.lines;
        lines.extend(find::refunded(inputs.period, &refunds));
        let listed = of_months.into_iter().find_map(|of| of.candidate.now);
        if let Some(now) = listed.or_else(|| refunds.first().map(|refund| refund.listed.clone()))
            && !lines.is_empty()
        {
            let order = arrears.order(&mut maker, household, now, &lines).await?;
            refunds.iter().for_each(|refund| recovery_refunds::push(&mut rows.refunds, order, refund));
        }
        if rows.corrections.row_bytes().len() > 1 << 20 || maker.is_full() {
            rows.send_in_tx(tx, inputs.run, maker.seal()).await?;
        }
    }
    stage.add(seen % 10_000);
    rows.send_in_tx(tx, inputs.run, maker.seal()).await?;
    let mut computed = maker.finish(corrected as u64, new_comparison());
    // What is approved is the orders and the corrections together.
    rows.digest.update(computed.orders_sha256);
    computed.orders_sha256 = rows.digest.finalize().into();
    Ok(Pass { computed, corrected })
}

impl Rows {
    async fn send_in_tx(
        &mut self,
        tx: &mut PgConnection,
        run: RunId,
        mut parcel: Parcel,
    ) -> Result<(), StoreError> {
        self.digest.update(self.corrections.row_bytes());
        self.corrections.send_in_tx(tx, &format!("correction ({})", corrections::COLUMNS), "").await?;
        let refunds = format!("recovery_refund ({})", recovery_refunds::COLUMNS);
        self.refunds.send_in_tx(tx, &refunds, "").await?;
        parcel.send_in_tx(tx, run).await
    }
}

/// Months before a list's that it may say something of.
fn months_before(snapshot: &Snapshot, back: u8) -> Vec<Period> {
    let last = snapshot.period.index();
    (last - i32::from(back)..=last).filter_map(|index| Period::from_index(index).ok()).collect()
}
