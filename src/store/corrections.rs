//! Months put right: where a later list may say something else of a month already paid, and what was found.

use sqlx::{AssertSqlSafe, PgConnection};

use super::pgcopy::{CopyBuffer, CopyRow};
use super::{Store, StoreError, households, orders};
use crate::domain::correction::CorrectionReason;
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "run_id, household_id, period, reason, was, due, difference, order_id, components";

/// A month to be looked at again.
#[derive(Clone, Debug)]
pub struct Month {
    /// Programme number.
    pub programme: i16,
    /// The month.
    pub period: Period,
    /// Its regular run.
    pub run: RunId,
    /// The list that the month was last paid or put right from.
    pub then: SnapshotId,
    /// The later list.
    pub now: SnapshotId,
    /// Runs whose orders mean that a household has its benefit of that month elsewhere.
    pub barring: Vec<RunId>,
    /// The later list is a corrected one of the same month: all that it says counts.
    pub same_month: bool,
    /// Every household is looked at, since the rules changed; otherwise only those whose rows differ.
    pub whole: bool,
}

/// A household of a month that has to be assessed again.
#[derive(Debug)]
pub struct Candidate {
    /// Household.
    pub household: HouseholdId,
    /// As the earlier list has it.
    pub then: Option<Household>,
    /// As the later list has it.
    pub now: Option<Household>,
    /// Whether it shared a person with another household, in the earlier list.
    pub shared_then: bool,
    /// The same in the later list.
    pub shares_now: bool,
    /// Its order of that month.
    pub order: Option<OrderId>,
    /// What that order found due.
    pub entitled: Centimes,
    /// It has its benefit of that month elsewhere.
    pub barred: bool,
    /// What earlier corrections changed, and appeals gave back.
    pub moved: Centimes,
    /// What the last correction found due.
    pub last_due: Option<Centimes>,
}

/// The candidates of a month, by household.
///
/// Rows are compared inside the database: of millions of households some thousands come out. Lookups of their orders,
/// shares and earlier corrections are kept as subqueries of single rows for that reason.
pub fn source(month: &Month) -> String {
    let Month { programme, run, then, now, same_month, whole, .. } = month;
    let (period, orders) = (month.period.index(), orders::leaf(*run));
    let join = if *same_month { "full join" } else { "join" };
    let side = |this: &str, other: &str| {
        let column = |name: &str| match *same_month {
            true => {
                format!("case when {this}.household_key is null then {other}.{name} else {this}.{name} end")
            }
            false => format!("{this}.{name}"),
        };
        households::COLUMNS.split(", ").map(column).collect::<Vec<_>>().join(", ")
    };
    let columns = if *same_month {
        "(t.members, t.rsu_score, t.flags & 1, t.excluded_by) is distinct from (n.members, n.rsu_score, n.flags & 1, n.excluded_by)"
    } else {
        "t.members <> n.members"
    };
    let differs = if *whole { "true" } else { columns };
    // A limit keeps the planner from turning lookups of few rows into a pass over all orders.
    let lookup = if *whole { "" } else { "limit 1" };
    let id = if *same_month { "coalesce(t.household_id, n.household_id)" } else { "t.household_id" };
    let share = |key: &str| {
        format!(
            "exists (select from snapshot_share s where s.household_key = {key}.household_key and s.kind = 'person')::int::smallint"
        )
    };
    let elsewhere: Vec<String> = month
        .barring
        .iter()
        .map(|run| format!("exists (select from {} b where b.household_id = {id})", orders::leaf(*run)))
        .collect();
    let barred = if elsewhere.is_empty() { "false".to_owned() } else { elsewhere.join(" or ") };
    format!(
        "(select (t.household_key is not null)::int::smallint, {then_columns}, (n.household_key is not null)::int::smallint, {now_columns},
                {shared_then}, {shares_now}, coalesce(o.order_id, 0), coalesce(o.entitled, 0),
                (o.order_id is null and ({barred}))::int::smallint,
                coalesce(c.moved, 0) + coalesce((select sum(r.reduced + r.to_refund + r.refunded) from recovery_case r where r.household_id = {id} and r.cause = 'correction'
                    and r.programme_id = {programme} and r.period = {period}), 0)::bigint,
                coalesce(c.last_due, -1)
           from {then_leaf} t {join} {now_leaf} n on n.household_id = t.household_id
           left join (select household_id, sum(difference)::bigint as moved, (array_agg(due order by run_id desc))[1] as last_due
                        from correction x where x.period = {period} and exists (select from run r where r.id = x.run_id
                             and r.programme_id = {programme} and r.state not in ('draft', 'cancelled')) group by 1) c on c.household_id = {id}
           left join lateral (select order_id, entitled from {orders} o where o.household_id = {id} {lookup}) o on true
          where {differs} or c.household_id is not null
          order by {id})",
        then_columns = side("t", "n"),
        now_columns = side("n", "t"),
        shared_then = share("t"),
        shares_now = share("n"),
        then_leaf = households::leaf(*then),
        now_leaf = households::leaf(*now),
    )
}

/// Reads a row of [`source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read(row: &mut CopyRow) -> Result<Candidate, StoreError> {
    let listed = row.i16()? == 1;
    let then = households::read(row, Vec::new())?;
    let lists = row.i16()? == 1;
    let now = households::read(row, Vec::new())?;
    let household = now.id;
    let (shared_then, shares_now) = (row.i16()? == 1, row.i16()? == 1);
    let (order, entitled) = (row.i64()?, Centimes::new(row.i64()?));
    let barred = row.i16()? == 1;
    let (moved, last) = (Centimes::new(row.i64()?), row.i64()?);
    Ok(Candidate {
        household,
        then: listed.then_some(then),
        now: lists.then_some(now),
        shared_then,
        shares_now,
        order: (order != 0).then(|| OrderId::new(order)),
        entitled,
        barred,
        moved,
        last_due: (last >= 0).then(|| Centimes::new(last)),
    })
}

/// A month of a household that is put right.
#[derive(Clone, Copy, Debug)]
pub struct NewCorrection<'a> {
    /// Run that puts it right.
    pub run: RunId,
    /// Household.
    pub household: HouseholdId,
    /// Month.
    pub period: Period,
    /// Why.
    pub reason: CorrectionReason,
    /// What had been found due.
    pub was: Centimes,
    /// What is.
    pub due: Centimes,
    /// The order that paid the month.
    pub order: Option<OrderId>,
    /// Encoded components of what is due.
    pub components: &'a [u8],
}

/// Appends a correction to a buffer.
pub fn push(buffer: &mut CopyBuffer, new: &NewCorrection<'_>) {
    let row = buffer
        .row(9)
        .i64(new.run.get())
        .text(new.household.as_str())
        .i32(new.period.index())
        .text(new.reason.as_str())
        .i64(new.was.get())
        .i64(new.due.get())
        .i64((new.due - new.was).get());
    match new.order {
        Some(order) => row.i64(order.get()),
        None => row.text_or_null(None),
    };
    row.raw(new.components);
}

/// Points a run's corrections at the order that pays the month by now: the last along live reissues.
///
/// # Errors
/// When the database is gone.
pub async fn follow_reissues_in_tx(connection: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
    sqlx::query(
        "with recursive chain as (
             select c.household_id, c.period, c.order_id from correction c where c.run_id = $1 and c.order_id is not null
             union all select c.household_id, c.period, l.order_id from chain c join order_reissue l on l.of_order = c.order_id and l.live),
         last as (select household_id, period, max(order_id) as order_id from chain group by 1, 2)
         update correction c set order_id = l.order_id from last l
          where c.run_id = $1 and c.household_id = l.household_id and c.period = l.period and c.order_id <> l.order_id",
    )
    .bind(run.get())
    .execute(connection)
    .await?;
    Ok(())
}

/// The list that a month was last paid or put right from.
///
/// # Errors
/// When the database is gone.
pub async fn list_of_month_in_tx(
    connection: &mut PgConnection,
    regular: RunId,
) -> Result<SnapshotId, StoreError> {
    let id: i64 = sqlx::query_scalar(
        "select coalesce((select c.snapshot_id from run c where c.programme_id = r.programme_id and c.period = r.period
                             and c.kind = 'correction' and c.state <> 'cancelled'), r.snapshot_id) from run r where r.id = $1",
    )
    .bind(regular.get())
    .fetch_one(connection)
    .await?;
    Ok(SnapshotId::new(id))
}

/// The correction run of a month that is not cancelled.
///
/// # Errors
/// When the database is gone.
pub async fn run_of_month_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: Period,
) -> Result<Option<RunId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "select id from run where programme_id = $1 and period = $2 and kind = 'correction' and state <> 'cancelled'",
    )
    .bind(programme)
    .bind(period.index())
    .fetch_optional(connection)
    .await?;
    Ok(id.map(RunId::new))
}

/// Brings the statistics of lists up to date, so that they are merged as they lie and not sorted. Outside of any transaction:
/// the pass reads them on a connection of its own.
///
/// # Errors
/// When the database is gone.
pub async fn know_order(store: &Store, lists: &[SnapshotId]) -> Result<(), StoreError> {
    for list in lists {
        let sql = format!("analyze {} (household_id)", households::leaf(*list));
        sqlx::query(AssertSqlSafe(sql)).execute(store.pool()).await?;
    }
    Ok(())
}

/// Corrections of a run with the same month, reason and direction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Month that is put right.
    pub period: Period,
    /// Why.
    pub reason: String,
    /// True for arrears to pay, false for undue payments to recover.
    pub arrears: bool,
    /// How many households.
    pub households: i64,
    /// Their differences, above zero.
    pub amount: Centimes,
}

/// What a run puts right, by month, reason and direction.
///
/// # Errors
/// When the database is gone.
pub async fn parts_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Part>, StoreError> {
    let rows: Vec<(i32, String, bool, i64, i64)> = sqlx::query_as(
        "select period, reason, difference > 0, count(*), abs(sum(difference))::bigint from correction
          where run_id = $1 group by 1, 2, 3
         union all
         select c.period, 'complaint_granted', true, count(distinct c.household_id), sum(f.amount)::bigint
           from recovery_refund f join recovery_case c on c.id = f.case_id where f.run_id = $1 group by 1
          order by 1, 3 desc, 2",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(period, reason, arrears, households, amount)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            Ok(Part { period, reason, arrears, households, amount: Centimes::new(amount) })
        })
        .collect()
}

/// One correction as it is shown.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Correction {
    /// Run that puts it right.
    pub run: i64,
    /// Household.
    pub household_id: String,
    /// Month that is put right.
    pub period: Period,
    /// Why.
    pub reason: String,
    /// What had been found due.
    pub was: Centimes,
    /// What is.
    pub due: Centimes,
    /// Above zero: arrears; below: undue.
    pub difference: Centimes,
    /// The order that paid the month.
    pub order_id: Option<i64>,
}

/// A run's corrections by household, from `after` on, at most `limit`.
///
/// # Errors
/// When the database is gone.
pub async fn list(
    store: &Store,
    run: RunId,
    household: Option<&str>,
    after: Option<(&str, Period)>,
    limit: i64,
) -> Result<Vec<Correction>, StoreError> {
    type Row = (i64, String, i32, String, i64, i64, i64, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "select run_id, household_id, period, reason, was, due, difference, order_id from correction
          where run_id = $1 and ($2::text is null or household_id = $2)
            and ($3::text is null or (household_id, period) > ($3, $4)) order by household_id, period limit $5",
    )
    .bind(run.get())
    .bind(household)
    .bind(after.map(|(household, _)| household))
    .bind(after.map(|(_, period)| period.index()))
    .bind(limit)
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(run, household_id, period, reason, was, due, difference, order_id)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            let (was, due, difference) = (Centimes::new(was), Centimes::new(due), Centimes::new(difference));
            Ok(Correction { run, household_id, period, reason, was, due, difference, order_id })
        })
        .collect()
}

/// What `sarf verify` asks of corrections.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct Proven {
    /// Corrections of live runs.
    pub rows: i64,
    /// Of those, whose difference is not what is due less what was.
    pub not_the_difference: i64,
    /// Households whose arrears differ from the sum of their differences above zero and of what complaints gave back.
    pub arrears_differ: i64,
}

/// Counts corrections again, run by run.
///
/// # Errors
/// When the database is gone.
pub async fn prove(store: &Store) -> Result<Proven, StoreError> {
    let mut proven = Proven::default();
    let runs: Vec<i64> = sqlx::query_scalar(
        "select id from run where kind = 'correction' and state not in ('draft', 'cancelled') order by 1",
    )
    .fetch_all(store.pool())
    .await?;
    for run in runs {
        let sql = format!(
            "select (select count(*) from correction where run_id = {run}) as rows,
                    (select count(*) from correction where run_id = {run} and difference <> due - was) as not_the_difference,
                    (select count(*) from (select household_id, sum(amount) as amount from (
                             select household_id, difference as amount from correction where run_id = {run} and difference > 0
                             union all select k.household_id, f.amount from recovery_refund f join recovery_case k on k.id = f.case_id
                              where f.run_id = {run}) a group by 1) c
                       full join {} o using (household_id) where c.amount is distinct from o.entitled) as arrears_differ",
            orders::leaf(RunId::new(run))
        );
        let of_run: Proven =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(store.pool()).await?;
        proven.rows += of_run.rows;
        proven.not_the_difference += of_run.not_the_difference;
        proven.arrears_differ += of_run.arrears_differ;
    }
    Ok(proven)
}
