//! Recovery in sets: cases opened from corrections, cases that follow their payments, instalments of a run.

use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};

use crate::domain::ids::{CaseId, HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::CaseCause;
use crate::domain::recovery::instalments::Owed;
use crate::store::copy::{CopyBuffer, CopyOut, CopyRow};
use crate::store::orders::order_state;
use crate::store::{Store, StoreError};

/// A case to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewCase<'a> {
    /// Programme number.
    pub programme: i16,
    /// Household.
    pub household: HouseholdId,
    /// Month of the payment.
    pub period: Period,
    /// The payment.
    pub order: Option<OrderId>,
    /// Why it is undue.
    pub cause: CaseCause,
    /// What it is opened for.
    pub origin: &'a str,
    /// How much.
    pub amount: Centimes,
}

/// Opens one case; `None` when one of that origin is there.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    new: NewCase<'_>,
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<Option<CaseId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "with opened as (
             insert into recovery_case (programme_id, household_id, period, order_id, cause, origin, amount, state, opened_by, opened_at)
             values ($1, $2, $3, $4, $5, $6, $7, 'opened', $8, $9) on conflict (origin) do nothing returning id, amount),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'opened', amount, $8, $9, $10 from opened)
         select id from opened",
    )
    .bind(new.programme)
    .bind(new.household.as_str())
    .bind(new.period.index())
    .bind(new.order.map(OrderId::get))
    .bind(new.cause.as_str())
    .bind(new.origin)
    .bind(new.amount.get())
    .bind(by)
    .bind(at)
    .bind(why)
    .fetch_optional(connection)
    .await?;
    Ok(id.map(CaseId::new))
}

/// Programmes with cases that have something outstanding.
pub async fn programmes_with_open_cases(store: &Store) -> Result<Vec<i16>, StoreError> {
    Ok(sqlx::query_scalar(
        "select distinct programme_id from recovery_case where state in ('opened', 'recalled', 'receivable') order by 1",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Opens a case for each undue payment that a correction run found, once: how many, and their sum.
pub async fn open_corrections_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    by: &str,
    at: OffsetDateTime,
) -> Result<(i64, Centimes), StoreError> {
    let (cases, amount): (i64, i64) = sqlx::query_as(
        "with opened as (
             insert into recovery_case (programme_id, household_id, period, order_id, cause, origin, amount, state, opened_by, opened_at)
             select r.programme_id, c.household_id, c.period, c.order_id, 'correction',
                    format('correction %s %s %s', c.run_id, c.household_id, c.period), -c.difference,
                    'opened', $2, $3
               from correction c join run r on r.id = c.run_id
              where c.run_id = $1 and c.difference < 0 order by c.household_id, c.period
             on conflict (origin) do nothing returning id, amount),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'opened', amount, $2, $3, format('correction run %s', $1::bigint) from opened)
         select count(*), coalesce(sum(amount), 0)::bigint from opened",
    )
    .bind(run.get())
    .bind(by)
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok((cases, Centimes::new(amount)))
}

/// Opens a case over an order whose claim an earlier order is said to have paid, once.
pub async fn open_paid_twice_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let opened: Option<i64> = sqlx::query_scalar(
        "with opened as (
             insert into recovery_case (programme_id, household_id, period, order_id, cause, origin, amount, state, opened_by, opened_at)
             select r.programme_id, o.household_id, o.period, o.order_id, 'paid_twice', format('paid twice %s', o.order_id), o.amount,
                    'opened', 'sarf', $2
               from payment_order o join run r on r.id = o.order_id >> 32 where o.order_id = $1
             on conflict (origin) do nothing returning id, amount),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'opened', amount, 'sarf', $2, 'an earlier order of the same claim is said to be paid' from opened)
         select id from opened",
    )
    .bind(order.get())
    .bind(at)
    .fetch_optional(connection)
    .await?;
    Ok(opened.is_some())
}

/// What cases came to when they were followed to their payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// What became owed.
    pub owed: Centimes,
    /// What was owed, and came back or will be kept back when the claim is paid again.
    pub not_owed: Centimes,
}

/// Cases of a programme with something outstanding, beside where their payment stands by now.
fn fates() -> String {
    format!(
        "select c.id, c.state, c.outstanding, c.amount >= o.amount as whole, {} as stands
           from recovery_case c join payment_order o on o.order_id = c.order_id join run r on r.id = c.order_id >> 32
           {}
          where c.programme_id = $1 and c.outstanding > 0 and c.state in ('opened', 'recalled', 'receivable')",
        order_state::state(),
        order_state::join_each("c.order_id >> 32")
    )
}

/// Moves the cases of a programme to where their payments are by now. The caller posts what became owed, or no longer is.
pub async fn follow_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    at: OffsetDateTime,
) -> Result<Followed, StoreError> {
    follow_successors_in_tx(connection, programme).await?;
    let sql = format!(
        "with fate as materialized ({}),
         moves as (
             select id, state, outstanding, case
                 when stands in ('settled', 'collected') then 'receivable'
                 when stands = 'cancelled' then 'withdrawn'
                 when stands in ('rejected', 'returned', 'expired') then case when whole then 'recovered' else 'opened' end
                 end as next, stands
               from fate),
         moved as (
             update recovery_case c set state = m.next,
                    came_back = c.came_back + case when m.next = 'recovered' then m.outstanding else 0 end,
                    reduced = c.reduced + case when m.next = 'withdrawn' then m.outstanding else 0 end
               from moves m where c.id = m.id and m.next <> m.state
             returning c.id, m.state as was, m.next, m.outstanding, m.stands),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, next, outstanding, 'sarf', $2, 'its payment is ' || stands from moved order by id)
         select coalesce(sum(outstanding) filter (where next = 'receivable'), 0)::bigint,
                coalesce(sum(outstanding) filter (where was = 'receivable'), 0)::bigint from moved",
        fates()
    );
    let (owed, not_owed): (i64, i64) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(programme).bind(at).fetch_one(&mut *connection).await?;
    // Without an order there is nothing to wait for.
    let at_once: i64 = sqlx::query_scalar(
        "with moved as (
             update recovery_case set state = 'receivable'
              where programme_id = $1 and order_id is null and state = 'opened' and outstanding > 0 returning id, outstanding),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'receivable', outstanding, 'sarf', $2, 'its payment was made elsewhere' from moved)
         select coalesce(sum(outstanding), 0)::bigint from moved",
    )
    .bind(programme)
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(Followed { owed: Centimes::new(owed + at_once), not_owed: Centimes::new(not_owed) })
}

/// A payment that is made again is another order: its cases go with it.
async fn follow_successors_in_tx(connection: &mut PgConnection, programme: i16) -> Result<(), StoreError> {
    sqlx::query(
        "with recursive chain as (
             select c.id, l.order_id from recovery_case c join order_reissue l on l.of_order = c.order_id and l.live
              where c.programme_id = $1 and c.outstanding > 0 and c.state in ('opened', 'recalled')
             union all select h.id, l.order_id from chain h join order_reissue l on l.of_order = h.order_id and l.live)
         update recovery_case c set order_id = n.order_id
           from (select id, max(order_id) as order_id from chain group by 1) n where c.id = n.id",
    )
    .bind(programme)
    .execute(connection)
    .await?;
    Ok(())
}

/// Cases of a programme that take instalments from a month's orders, by household and age (the age of the case, or with
/// `by_month` the month of the overpayment): not those under complaint, nor of this month or a later one. What was agreed for
/// a month is less by what other runs of the month keep back.
pub fn owed_source(programme: i16, period: Period, today: Date, by_month: bool) -> String {
    let month = if by_month { "c.period, " } else { "" };
    format!(
        "(select household_id, id, outstanding, coalesce(monthly_max - taken, 0) from recovery_case c
            cross join lateral (select coalesce(sum(i.amount), 0)::bigint as taken from recovery_instalment i join run r on r.id = i.run_id
                                 where c.monthly_max is not null and i.case_id = c.id and i.live and r.period = {period}) k
           where c.programme_id = {programme} and c.state = 'receivable' and outstanding > 0 and c.period < {period}
             and (monthly_max is null or monthly_max > taken)
             and not (coalesce(appeal_stage, '') in ('complaint', 'appeal')
                      or coalesce(appeal_stage, '') = 'replied' and appeal_due >= date '{today}')
           order by household_id, {month}opened_at, id)",
        period = period.index()
    )
}

/// Reads a row of [`owed_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_owed(row: &mut CopyRow) -> Result<(HouseholdId, Owed), StoreError> {
    let household = HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?;
    let (case, outstanding, most) = (CaseId::new(row.i64()?), Centimes::new(row.i64()?), row.i64()?);
    let monthly_max = (most > 0).then(|| Centimes::new(most));
    Ok((household, Owed { case, outstanding, monthly_max }))
}

/// The rows of [`owed_source`] as the transaction sees them.
///
/// # Errors
/// When the database is gone, or a row cannot be read back.
pub async fn owed_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    period: Period,
    today: Date,
    by_month: bool,
) -> Result<Vec<(HouseholdId, Owed)>, StoreError> {
    let mut rows = CopyOut::begin(connection, &owed_source(programme, period, today, by_month)).await?;
    let mut found = Vec::new();
    while let Some(mut row) = rows.next().await? {
        found.push(read_owed(&mut row)?);
    }
    Ok(found)
}

/// What is not to be paid again of an order, since it was found undue.
#[derive(Clone, Debug, Default)]
pub struct Undue {
    /// What came back with the order and stays.
    pub came_back: Centimes,
    /// Cases that take from what is paid again, the oldest first.
    pub cases: Vec<Owed>,
}

impl Undue {
    /// All of it.
    pub fn sum(&self) -> Centimes {
        self.came_back + self.cases.iter().map(|c| c.outstanding).sum()
    }
}

/// Undue payments that ended unpaid, by order; of one programme, or of all.
pub async fn undue_unpaid_in_tx(
    connection: &mut PgConnection,
    programme: Option<i16>,
) -> Result<std::collections::HashMap<OrderId, Undue>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "select order_id, id, case when state = 'opened' then outstanding else 0 end, came_back from recovery_case
          where ($1::smallint is null or programme_id = $1) and order_id is not null and (state = 'opened' and outstanding > 0 or came_back > 0)
          order by opened_at, id",
    )
    .bind(programme)
    .fetch_all(connection)
    .await?;
    let mut found = std::collections::HashMap::<OrderId, Undue>::new();
    for (order, case, outstanding, came_back) in rows {
        let undue = found.entry(OrderId::new(order)).or_default();
        undue.came_back += Centimes::new(came_back);
        if outstanding > 0 {
            let outstanding = Centimes::new(outstanding);
            undue.cases.push(Owed { case: CaseId::new(case), outstanding, monthly_max: None });
        }
    }
    Ok(found)
}

/// Columns in the order that [`push_instalment`] writes them.
pub const INSTALMENT_COLUMNS: &str = "order_id, case_id, run_id, amount";

/// Appends an instalment to a buffer.
pub fn push_instalment(buffer: &mut CopyBuffer, order: OrderId, case: CaseId, amount: Centimes) {
    buffer.row(4).i64(order.get()).i64(case.get()).i64(order.run().get()).i64(amount.get());
}

/// Takes a run's instalments off its cases: what came off receivables, and what off payments that were never made.
///
/// # Errors
/// When a case would be below zero: it changed since the instalments were worked out.
pub async fn take_instalments_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(Centimes, Centimes), StoreError> {
    let (owed, unpaid): (i64, i64) = sqlx::query_as(
        "with sums as (select case_id, sum(amount)::bigint as amount from recovery_instalment where run_id = $1 and live group by 1),
         moved as (
             update recovery_case c set offset_amount = c.offset_amount + s.amount,
                    state = case when c.outstanding = s.amount then 'recovered' else c.state end
               from sums s where c.id = s.case_id
             returning c.id, s.amount, c.order_id, c.state,
                       exists (select from recovery_instalment i join order_reissue l on l.order_id = i.order_id and l.of_order = c.order_id
                                where i.case_id = c.id and i.run_id = $1) as of_claim),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'kept_back', amount, 'sarf', $2, format('run %s', $1::bigint) from moved order by id)
         select coalesce(sum(amount) filter (where not of_claim), 0)::bigint, coalesce(sum(amount) filter (where of_claim), 0)::bigint
           from moved",
    )
    .bind(run.get())
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok((Centimes::new(owed), Centimes::new(unpaid)))
}

/// Gives a cancelled run's instalments back to its cases: what goes back to receivables, and what is not owed: of payments
/// that were never made, or granted since.
pub async fn give_back_instalments_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(Centimes, Centimes), StoreError> {
    let (owed, unpaid): (i64, i64) = sqlx::query_as(
        "with ended as (update recovery_instalment set live = false where run_id = $1 and live returning case_id, order_id, amount),
         -- Of the very claim that is paid again, or of another payment that the household owes.
         sums as (select e.case_id, sum(e.amount)::bigint as amount, bool_or(l.order_id is not null) as of_claim
                    from ended e join recovery_case k on k.id = e.case_id
                    left join order_reissue l on l.order_id = e.order_id and k.order_id in (l.of_order, l.order_id) group by 1),
         -- What was granted to be refunded is not owed again: the household has it by the order that keeps nothing back.
         granted as (select s.*, least(s.amount, c.to_refund) as kept from sums s join recovery_case c on c.id = s.case_id),
         moved as (
             update recovery_case c set offset_amount = c.offset_amount - s.amount, to_refund = c.to_refund - s.kept, reduced = c.reduced + s.kept,
                    state = case when c.state in ('opened', 'recalled', 'receivable') or s.amount = s.kept then c.state
                                 when s.of_claim then 'opened' else 'receivable' end
               from granted s where c.id = s.case_id returning c.id, s.amount, s.kept, s.of_claim),
         told as (
             insert into recovery_step (case_id, step, amount, taken_by, taken_at, why)
             select id, 'given_back', amount, 'sarf', $2, format('run %s was cancelled', $1::bigint) from moved order by id)
         select coalesce(sum(amount - kept) filter (where not of_claim), 0)::bigint,
                coalesce(sum(case when of_claim then amount else kept end), 0)::bigint
           from moved",
    )
    .bind(run.get())
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok((Centimes::new(owed), Centimes::new(unpaid)))
}

/// Orders of a run that keep something back, and how much.
pub async fn kept_back_in_tx(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<(i64, Centimes), StoreError> {
    let (orders, amount): (i64, i64) = sqlx::query_as(
        "select count(distinct order_id), coalesce(sum(amount), 0)::bigint from recovery_instalment where run_id = $1 and live",
    )
    .bind(run.get())
    .fetch_one(connection)
    .await?;
    Ok((orders, Centimes::new(amount)))
}

/// What an order keeps back, by case.
pub async fn of_order(store: &Store, order: OrderId) -> Result<Vec<(CaseId, Centimes)>, StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select case_id, amount from recovery_instalment where order_id = $1 and live order by case_id",
    )
    .bind(order.get())
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|(case, amount)| (CaseId::new(case), Centimes::new(amount))).collect())
}
