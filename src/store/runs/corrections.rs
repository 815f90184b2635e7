//! Months put right: where a later list may say something else of a month already paid, and what was found.

use sqlx::{AssertSqlSafe, PgConnection};

use super::restated;
use crate::domain::correction::{CorrectionReason, Facts};
use crate::domain::household::Household;
use crate::domain::ids::{HouseholdId, OrderId, RunId, SnapshotId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::store::copy::{CopyBuffer, CopyRow};
use crate::store::registry::households;
use crate::store::{Store, StoreError, orders};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str =
    "run_id, household_id, period, reason, was, due, difference, order_id, components, assessed, off_case";

/// A month to be looked at again.
#[derive(Clone, Debug)]
pub struct Month {
    /// Programme number.
    pub programme: i16,
    /// The month.
    pub period: Period,
    /// Its regular run.
    pub run: RunId,
    /// The list that the month was paid from.
    pub then: SnapshotId,
    /// The later list.
    pub now: SnapshotId,
    /// Corrected lists of the month that were heard.
    pub corrected: Vec<SnapshotId>,
    /// Runs whose orders mean that a household has its benefit of that month elsewhere.
    pub barring: Vec<RunId>,
    /// The later list is a corrected one of the same month: all that it says counts.
    pub same_month: bool,
    /// It had to reject rows of households whose ids it could not read: any that is missing may be one of these.
    pub unreadable: bool,
    /// Every household is looked at, since the rules changed; otherwise only those whose rows differ.
    pub whole: bool,
}

/// A household of a month that has to be assessed again.
#[derive(Debug)]
pub struct Candidate {
    /// Household.
    pub household: HouseholdId,
    /// As the list of the month has it.
    pub then: Option<Household>,
    /// The month as it was known by other lists since; the inner one is `None` where the household was not on it.
    pub restated: Option<Option<Facts>>,
    /// As the later list has it.
    pub now: Option<Household>,
    /// The later list does not have it, but had to reject a row that was its own, or may have been.
    pub rejected_now: bool,
    /// Its order of that month.
    pub order: Option<OrderId>,
    /// What that order found due.
    pub entitled: Centimes,
    /// It has its benefit of that month elsewhere.
    pub barred: bool,
    /// What earlier corrections changed, and appeals gave back.
    pub moved: Centimes,
    /// What its facts gave when it was last corrected.
    pub last_assessed: Option<Centimes>,
    /// It was last corrected before the facts of a month were kept.
    pub facts_unknown: bool,
}

/// What is looked up of a household beside its rows, and from where; `id` is the household's.
fn lookups(month: &Month, id: &str) -> (String, String) {
    let Month { programme, run, now, whole, unreadable, .. } = month;
    let (period, orders) = (month.period.index(), orders::leaf(*run));
    // A limit keeps the planner from turning lookups of few rows into a pass over all orders.
    let lookup = if *whole { "" } else { "limit 1" };
    let elsewhere: Vec<String> = month
        .barring
        .iter()
        .map(|run| format!("exists (select from {} b where b.household_id = {id})", orders::leaf(*run)))
        .collect();
    let barred = if elsewhere.is_empty() { "false".to_owned() } else { elsewhere.join(" or ") };
    let rejected = if *unreadable {
        "true".to_owned()
    } else {
        format!(
            "{id} in (select j.household_id from snapshot_rejection j
                       where j.snapshot_id = {now} and j.part = 'households' and j.household_id is not null)"
        )
    };
    let columns = format!(
        "(n.household_key is null and {rejected})::int::smallint, coalesce(o.order_id, 0), coalesce(o.entitled, 0),
         (o.order_id is null and ({barred}))::int::smallint,
         coalesce(c.moved, 0) + coalesce((select sum(r.reduced + r.to_refund + r.refunded) from recovery_case r
             where r.household_id = {id} and r.cause = 'correction' and r.programme_id = {programme} and r.period = {period}), 0)::bigint,
         coalesce(c.last_assessed, -1), (not coalesce(c.facts_kept, true))::int::smallint"
    );
    let joins = format!(
        "left join (select household_id, sum(difference)::bigint as moved, (array_agg(assessed order by run_id desc))[1] as last_assessed,
                           (array_agg(facts_kept order by run_id desc))[1] as facts_kept
                      from correction x where x.period = {period} and exists (select from run r where r.id = x.run_id
                           and r.programme_id = {programme} and r.state not in ('draft', 'cancelled')) group by 1) c on c.household_id = {id}
         left join lateral (select order_id, entitled from {orders} o where o.household_id = {id} {lookup}) o on true"
    );
    (columns, joins)
}

fn side(alias: &str) -> String {
    let columns: Vec<String> =
        households::COLUMNS.split(", ").map(|column| format!("{alias}.{column}")).collect();
    format!("({alias}.household_key is not null)::int::smallint, {}", columns.join(", "))
}

/// The candidates of a month whose rows differ, by household; some of them were restated.
///
/// Rows are compared inside the database: of millions of households some thousands come out. Lookups of their orders and
/// earlier corrections are kept as subqueries of single rows for that reason.
pub fn source(month: &Month) -> String {
    let Month { then, now, same_month, whole, .. } = month;
    let join = if *same_month { "full join" } else { "join" };
    let columns = if *same_month {
        "(t.members, t.rsu_score, t.flags & 1, t.excluded_by, t.members_rejected) is distinct from
         (n.members, n.rsu_score, n.flags & 1, n.excluded_by, n.members_rejected)"
    } else {
        "t.members <> n.members"
    };
    let differs = if *whole { "true" } else { columns };
    let id = if *same_month { "coalesce(t.household_id, n.household_id)" } else { "t.household_id" };
    let (columns, joins) = lookups(month, id);
    format!(
        "(select {id}, {}, {}, {columns}
           from {} t {join} {} n on n.household_id = t.household_id {joins}
          where {differs} or c.household_id is not null order by {id})",
        side("t"),
        side("n"),
        households::leaf(*then),
        households::leaf(*now),
    )
}

/// The candidates that were restated, of all months, by household and month.
pub fn restated_source(months: &[Month]) -> String {
    let of_month = |month: &Month| {
        let (columns, joins) = lookups(month, "w.household_id");
        let join = if month.same_month { "left join" } else { "join" };
        format!(
            "select w.household_id, {period}, {facts}, {then_side}, {now_side}, {columns}
               from {live} w left join {then} t on t.household_id = w.household_id
               {join} {now} n on n.household_id = w.household_id {joins}",
            period = month.period.index(),
            facts = restated::FACTS.split(", ").map(|c| format!("w.{c}")).collect::<Vec<_>>().join(", "),
            then_side = side("t"),
            now_side = side("n"),
            live = restated::live(month.programme, month.period),
            then = households::leaf(month.then),
            now = households::leaf(month.now),
        )
    };
    let parts: Vec<String> = months.iter().map(of_month).collect();
    format!("({} order by 1, 2)", parts.join(" union all "))
}

/// Reads a row of [`source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read(row: &mut CopyRow) -> Result<Candidate, StoreError> {
    let household = read_id(row)?;
    read_rest(row, household, None)
}

/// Reads a row of [`restated_source`], with its month.
///
/// # Errors
/// When the row cannot be read back.
pub fn read_restated(row: &mut CopyRow) -> Result<(Period, Candidate), StoreError> {
    let household = read_id(row)?;
    let period = Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?;
    let facts = restated::read_facts(row)?;
    Ok((period, read_rest(row, household, Some(facts))?))
}

fn read_id(row: &mut CopyRow) -> Result<HouseholdId, StoreError> {
    HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))
}

fn read_side(row: &mut CopyRow) -> Result<Option<Household>, StoreError> {
    if row.i16()? == 1 {
        return households::read(row, None).map(Some);
    }
    row.skip(households::COLUMNS.split(", ").count())?;
    Ok(None)
}

fn read_rest(
    row: &mut CopyRow,
    household: HouseholdId,
    restated: Option<Option<Facts>>,
) -> Result<Candidate, StoreError> {
    let (then, now) = (read_side(row)?, read_side(row)?);
    let rejected_now = row.i16()? == 1;
    let (order, entitled) = (row.i64()?, Centimes::new(row.i64()?));
    let barred = row.i16()? == 1;
    let (moved, last) = (Centimes::new(row.i64()?), row.i64()?);
    Ok(Candidate {
        household,
        then,
        restated,
        now,
        rejected_now,
        order: (order != 0).then(|| OrderId::new(order)),
        entitled,
        barred,
        moved,
        last_assessed: (last >= 0).then(|| Centimes::new(last)),
        facts_unknown: row.i16()? == 1,
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
    /// What the facts give.
    pub assessed: Centimes,
    /// What of a difference above zero comes off cases.
    pub off_case: Centimes,
    /// The order that paid the month.
    pub order: Option<OrderId>,
    /// Encoded components of what is due.
    pub components: &'a [u8],
}

/// Appends a correction to a buffer.
pub fn push(buffer: &mut CopyBuffer, new: &NewCorrection<'_>) {
    let row = buffer
        .row(11)
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
    row.raw(new.components).i64(new.assessed.get()).i64(new.off_case.get());
}

/// Points a run's corrections at the order that pays the month by now: the last along live reissues.
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

/// Whether a list had to reject rows of households whose ids cannot be read.
pub async fn rejects_unreadable_in_tx(
    connection: &mut PgConnection,
    list: SnapshotId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select from snapshot_rejection where snapshot_id = $1 and part = 'households' and household_id is null)",
    )
    .bind(list.get())
    .fetch_one(connection)
    .await?)
}

/// Brings the statistics of lists up to date, so that they are merged as they lie and not sorted. Outside of any transaction:
/// the pass reads them on a connection of its own.
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
    /// What of arrears comes off recovery cases of the same month instead of being paid.
    pub off_cases: Centimes,
}

/// What a run puts right, by month, reason and direction.
pub async fn parts_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Part>, StoreError> {
    let rows: Vec<(i32, String, bool, i64, i64, i64)> = sqlx::query_as(
        "select period, reason, difference > 0, count(*), abs(sum(difference))::bigint, sum(off_case)::bigint from correction
          where run_id = $1 group by 1, 2, 3
         union all
         select c.period, 'complaint_granted', true, count(distinct c.household_id), sum(f.amount)::bigint, 0
           from recovery_refund f join recovery_case c on c.id = f.case_id where f.run_id = $1 group by 1
          order by 1, 3 desc, 2",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(period, reason, arrears, households, amount, off_cases)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            let (amount, off_cases) = (Centimes::new(amount), Centimes::new(off_cases));
            Ok(Part { period, reason, arrears, households, amount, off_cases })
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
    /// What of arrears comes off recovery cases of the same month instead of being paid.
    pub off_case: Centimes,
    /// The order that paid the month.
    pub order_id: Option<i64>,
}

/// A run's corrections by household, from `after` on, at most `limit`.
pub async fn list(
    store: &Store,
    run: RunId,
    household: Option<&str>,
    after: Option<(&str, Period)>,
    limit: i64,
) -> Result<Vec<Correction>, StoreError> {
    type Row = (i64, String, i32, String, i64, i64, i64, i64, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "select run_id, household_id, period, reason, was, due, difference, off_case, order_id from correction
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
        .map(|(run, household_id, period, reason, was, due, difference, off_case, order_id)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            let [was, due, difference, off_case] = [was, due, difference, off_case].map(Centimes::new);
            Ok(Correction { run, household_id, period, reason, was, due, difference, off_case, order_id })
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
    /// Households whose arrears differ from the sum of their differences above zero, less what came off cases, and of what
    /// complaints gave back.
    pub arrears_differ: i64,
    /// Runs whose corrections take another sum off cases than the cases say.
    pub off_cases_differ: i64,
}

/// Counts corrections again, run by run.
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
                             select household_id, difference - off_case as amount from correction where run_id = {run} and difference > off_case
                             union all select k.household_id, f.amount from recovery_refund f join recovery_case k on k.id = f.case_id
                              where f.run_id = {run}) a group by 1) c
                       full join {} o using (household_id) where c.amount is distinct from o.entitled) as arrears_differ,
                    (select ((select coalesce(sum(off_case), 0) from correction where run_id = {run})
                          <> (select coalesce(sum(owed + given_up), 0) from recovery_reversal where run_id = {run} and live))::int::bigint) as off_cases_differ",
            orders::leaf(RunId::new(run))
        );
        let of_run: Proven =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(store.pool()).await?;
        proven.rows += of_run.rows;
        proven.not_the_difference += of_run.not_the_difference;
        proven.arrears_differ += of_run.arrears_differ;
        proven.off_cases_differ += of_run.off_cases_differ;
    }
    Ok(proven)
}
