//! What complaints gave back of what was kept back or repaid before, and the orders that pay it out.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::household::Household;
use crate::domain::ids::{CaseId, HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::store::copy::{CopyAhead, CopyBuffer};
use crate::store::registry::households;
use crate::store::{Store, StoreError};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "order_id, case_id, run_id, amount";

/// Appends what an order refunds of a case to a buffer.
pub fn push(buffer: &mut CopyBuffer, order: OrderId, refund: &Refund) {
    buffer.row(4).i64(order.get()).i64(refund.case.get()).i64(order.run().get()).i64(refund.amount.get());
}

/// What a household gets back of one case.
#[derive(Clone, Debug)]
pub struct Refund {
    /// Household.
    pub household: HouseholdId,
    /// Case.
    pub case: CaseId,
    /// Month of the payment that was not undue after all.
    pub period: Period,
    /// How much.
    pub amount: Centimes,
    /// The household as the list has it.
    pub listed: Household,
}

/// Refunds of a programme that can be ordered from a list, by household and case: households that are not on it wait.
pub struct Refunds(CopyAhead);

impl Refunds {
    /// Opens the pass, on a connection of its own, over cases of months up to `period`.
    pub fn open(store: &Store, programme: i16, period: Period, list: SnapshotId) -> Self {
        // No member is needed: the codec's empty form stands for them.
        let column = |name| if name == "members" { "'\\x01'::bytea".to_owned() } else { format!("h.{name}") };
        let columns: Vec<String> = households::COLUMNS.split(", ").map(column).collect();
        let source = format!(
            "(select c.household_id, c.id, c.period, c.to_refund, {}
                from recovery_case c join {} h on h.household_id = c.household_id
               where c.programme_id = {programme} and c.to_refund > 0 and c.period <= {} order by c.household_id, c.id)",
            columns.join(", "),
            households::leaf(list),
            period.index()
        );
        Self(CopyAhead::open(store.pool(), source))
    }

    /// The next one, or `None` after the last.
    ///
    /// # Errors
    /// When the database is gone, or a row cannot be read back.
    pub async fn next(&mut self) -> Result<Option<Refund>, StoreError> {
        let Some(mut row) = self.0.next().await? else { return Ok(None) };
        let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
        let case = CaseId::new(row.i64()?);
        let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
        let amount = Centimes::new(row.i64()?);
        let listed = households::read(&mut row, None)?;
        Ok(Some(Refund { household, case, period, amount, listed }))
    }
}

/// Grants a household what was kept back or repaid before.
///
/// # Errors
/// When it is more than was kept back and repaid.
pub async fn grant_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
    amount: Centimes,
) -> Result<(), StoreError> {
    sqlx::query("update recovery_case set to_refund = to_refund + $2 where id = $1")
        .bind(case.get())
        .bind(amount.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// What later lists gave back of the month of a case, as arrears.
pub async fn put_right_since_in_tx(
    connection: &mut PgConnection,
    case: CaseId,
) -> Result<Centimes, StoreError> {
    let amount: i64 = sqlx::query_scalar(
        "select coalesce(sum(x.difference), 0)::bigint from recovery_case c
           join correction x on x.household_id = c.household_id and x.period = c.period and x.difference > 0
           join run r on r.id = x.run_id and r.programme_id = c.programme_id and r.state not in ('draft', 'cancelled')
          where c.id = $1 and x.run_id > case c.cause when 'correction' then split_part(c.origin, ' ', 2)::bigint end",
    )
    .bind(case.get())
    .fetch_one(connection)
    .await?;
    Ok(Centimes::new(amount))
}

/// Takes what a run's orders refund off what is to be refunded: how many households.
///
/// # Errors
/// When a case has less to refund: it changed since the orders were made.
pub async fn take_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "with moved as (
             update recovery_case c set to_refund = c.to_refund - s.amount, refunded = c.refunded + s.amount
               from recovery_refund s where s.run_id = $1 and s.live and c.id = s.case_id returning c.id, c.household_id, s.amount),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'refund_ordered', amount, 'sarf', $2, format('run %s', $1::bigint) from moved order by id)
         select count(distinct household_id) from moved",
    )
    .bind(run.get())
    .bind(at)
    .fetch_one(connection)
    .await?)
}

/// Puts what a cancelled run would have refunded back among what is to be refunded.
pub async fn undo_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "with ended as (update recovery_refund set live = false where run_id = $1 and live returning case_id, amount),
         moved as (
             update recovery_case c set to_refund = c.to_refund + e.amount, refunded = c.refunded - e.amount
               from ended e where c.id = e.case_id returning c.id, e.amount)
         insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
         select id, 'refund_undone', amount, 'sarf', $2, format('run %s was cancelled', $1::bigint) from moved order by id",
    )
    .bind(run.get())
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}
