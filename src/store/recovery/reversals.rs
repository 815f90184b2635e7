//! What correction runs take back of cases: a later list no longer says what a payment was found undue for.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::correction::amount::{Open, Reversal};
use crate::domain::ids::{CaseId, HouseholdId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::store::copy::{CopyAhead, CopyBuffer};
use crate::store::{Store, StoreError};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "run_id, case_id, owed, given_up";

/// Appends what a run takes back of a case to a buffer.
pub fn push(buffer: &mut CopyBuffer, run: RunId, reversal: &Reversal) {
    buffer
        .row(4)
        .i64(run.get())
        .i64(reversal.case.get())
        .i64(reversal.owed.get())
        .i64(reversal.given_up.get());
}

/// A case of a correction of which something is open.
#[derive(Clone, Copy, Debug)]
pub struct OfMonth {
    /// Household.
    pub household: HouseholdId,
    /// Month.
    pub period: Period,
    /// The case.
    pub open: Open,
}

/// Cases that corrections opened, of which something is outstanding or was given up: by household and month, the last
/// found first.
pub struct OpenCases(CopyAhead);

impl OpenCases {
    /// Opens the pass, on a connection of its own.
    pub fn open(store: &Store, programme: i16) -> Self {
        let source = format!(
            "(select household_id, period, id, outstanding, written_off from recovery_case
               where programme_id = {programme} and cause = 'correction' and (outstanding > 0 or written_off > 0)
               order by household_id, period, id desc)"
        );
        Self(CopyAhead::open(store.pool(), source))
    }

    /// The next one, or `None` after the last.
    ///
    /// # Errors
    /// When the database is gone, or a row cannot be read back.
    pub async fn next(&mut self) -> Result<Option<OfMonth>, StoreError> {
        let Some(mut row) = self.0.next().await? else { return Ok(None) };
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let case = CaseId::new(row.i64()?);
        let (outstanding, written_off) = (Centimes::new(row.i64()?), Centimes::new(row.i64()?));
        Ok(Some(OfMonth { household, period, open: Open { case, outstanding, written_off } }))
    }
}

/// What moved: of receivables, and of what had been given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Of receivables.
    pub owed: Centimes,
    /// Of what had been given up.
    pub given_up: Centimes,
}

/// Takes a run's reversals off its cases; a case of which nothing is left ends.
///
/// # Errors
/// When a case would be below zero: it changed since the reversals were worked out.
pub async fn take_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<Moved, StoreError> {
    let (owed, given_up): (i64, i64) = sqlx::query_as(
        "with before as (
             select s.case_id, s.owed, s.given_up, c.state as was, c.outstanding - s.owed as outstanding
               from recovery_reversal s join recovery_case c on c.id = s.case_id where s.run_id = $1 and s.live),
         moved as (
             update recovery_case c set reversed = c.reversed + b.owed + b.given_up, written_off = c.written_off - b.given_up,
                    state = case when b.outstanding > 0 then c.state
                                 when c.written_off > b.given_up then 'written_off'
                                 when c.offset_amount + c.repaid + c.came_back > 0 then 'recovered' else 'withdrawn' end,
                    proposed_by = case when b.outstanding > 0 then c.proposed_by end,
                    proposed_at = case when b.outstanding > 0 then c.proposed_at end,
                    proposed_why = case when b.outstanding > 0 then c.proposed_why end
               from before b where c.id = b.case_id returning c.id, b.owed, b.given_up, b.was),
         kept as (update recovery_reversal s set was_state = m.was from moved m where s.run_id = $1 and s.case_id = m.id),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'reversed', owed + given_up, 'sarf', $2, format('run %s: a later list takes it back', $1::bigint)
               from moved order by id)
         select coalesce(sum(owed) filter (where was = 'receivable'), 0)::bigint, coalesce(sum(given_up), 0)::bigint from moved",
    )
    .bind(run.get())
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(Moved { owed: Centimes::new(owed), given_up: Centimes::new(given_up) })
}

/// Gives a cancelled run's reversals back: what is owed again, and what is given up again.
pub async fn undo_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<Moved, StoreError> {
    let (owed, given_up): (i64, i64) = sqlx::query_as(
        "with ended as (update recovery_reversal set live = false where run_id = $1 and live returning case_id, owed, given_up, was_state),
         moved as (
             update recovery_case c set reversed = c.reversed - e.owed - e.given_up, written_off = c.written_off + e.given_up,
                    state = case when c.state in ('opened', 'recalled', 'receivable') then c.state else e.was_state end
               from ended e where c.id = e.case_id returning c.id, e.owed, e.given_up, c.state),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'reversal_undone', owed + given_up, 'sarf', $2, format('run %s was cancelled', $1::bigint) from moved order by id)
         select coalesce(sum(owed) filter (where state = 'receivable'), 0)::bigint, coalesce(sum(given_up), 0)::bigint from moved",
    )
    .bind(run.get())
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(Moved { owed: Centimes::new(owed), given_up: Centimes::new(given_up) })
}
