//! Claims in question: an open break may mean that an order of the claim is paid, whatever state the order stands in.
//! Which kinds of breaks may is said in `domain::breaks`; what stands here finds their claims.
//!
//! Guarantee: one text ([`claims_sql`]) is behind every question: reissues, corrections, runs, events and releases keep
//! the same claims out. A break about one order is about its claim; one about a whole file (of a whole run, where it names no file)
//! is about those of its orders that ended unpaid. A debit above what a file comes to counts from the moment it is booked, until a person has resolved its
//! break. Limit: a break that names neither an order nor a file nor a run is about no claim.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, PgConnection};

use super::order_state;
use crate::domain::ids::{BreakId, HouseholdId, OrderId, RunId};
use crate::domain::period::Period;
use crate::domain::reason::BreakKind;
use crate::store::batches::membership;
use crate::store::{StoreError, orders};

/// Claims of one programme that are in question, each with the first break that says so.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    claims: HashMap<(HouseholdId, Period, i16), BreakId>,
    households: HashSet<HouseholdId>,
}

impl Questions {
    /// Whether a claim is in question, and by which break.
    pub fn of_claim(&self, household: HouseholdId, period: Period, purpose: i16) -> Option<BreakId> {
        self.claims.get(&(household, period, purpose)).copied()
    }

    /// Whether a claim of a household for a month is in question, whatever its purpose.
    pub fn of_month(&self, household: HouseholdId, period: Period) -> bool {
        self.of_household(household)
            && self.claims.keys().any(|(of, month, _)| (*of, *month) == (household, period))
    }

    /// Households that have a claim in question.
    pub fn households(&self) -> impl Iterator<Item = HouseholdId> + '_ {
        self.households.iter().copied()
    }

    /// Whether no claim is in question.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether any claim of a household is in question.
    pub fn of_household(&self, household: HouseholdId) -> bool {
        self.households.contains(&household)
    }
}

/// Kinds of breaks that may mean that an order is paid, as an SQL list: their spellings need no quoting.
fn kinds() -> String {
    let kinds = BreakKind::ALL.iter().filter(|kind| kind.may_mean_paid());
    kinds.map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ")
}

/// Claims in question: break, order, run, household, period, purpose. Orders are looked up one by one or file by file: the
/// tables of orders are never read whole.
fn claims_sql() -> String {
    let kinds = kinds();
    format!(
        "with files as (
             select k.id as break_id, b.id as batch_id from break k
               join batch b on b.run_id = k.run_id and b.id = coalesce(k.batch_id, b.id)
                and b.provider_id = coalesce(k.provider_id, b.provider_id)
              where k.resolved_at is null and k.order_id is null and k.kind in ({kinds})
             union
             select null::bigint, b.id from batch b
              where b.lane = 'file' and b.debited_amount > b.amount - b.rejected_amount
                and not exists (select from break k where k.resolved_at is not null and k.kind = 'batch_differs'
                    and k.dedup_key = 'batch ' || b.id || ' debit ' || (b.amount - b.rejected_amount - b.debited_amount))),
         said as (
             select k.id as break_id, k.order_id from break k
              where k.resolved_at is null and k.order_id is not null and k.kind in ({kinds})
             union all
             select f.break_id, o.order_id from files f join batch b on b.id = f.batch_id
              cross join lateral (
                  select m.order_id from batch_member m where b.listed and m.batch_id = b.id
                  union all
                  select x.order_id from payment_order x where {spans} and not {missed}
                  offset 0) o
              where b.state = 'rejected' or exists (select from outcome s where s.order_id = o.order_id and {unpaid_end}))
         select s.break_id, o.order_id, o.order_id >> 32 as run_id, o.household_id, o.period, o.purpose_id from said s
          cross join lateral (select x.order_id, x.household_id, x.period, x.purpose_id from payment_order x
                               where x.order_id = s.order_id offset 0) o",
        spans = membership::spans("b", "x.order_id", "x.provider_id"),
        missed = membership::missed("x.order_id"),
        unpaid_end = order_state::is_unpaid_end("s.step"),
    )
}

/// Claims of a programme that are in question.
pub async fn of_programme_in_tx(
    connection: &mut PgConnection,
    programme_id: i16,
) -> Result<Questions, StoreError> {
    let sql = format!(
        "select q.household_id, q.period, q.purpose_id, coalesce(min(q.break_id), 0) from ({}) q
           join run r on r.id = q.run_id where r.programme_id = $1 group by 1, 2, 3",
        claims_sql()
    );
    let rows: Vec<(String, i32, i16, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(programme_id).fetch_all(connection).await?;
    let mut found = Questions::default();
    for (household, period, purpose, break_id) in rows {
        let household =
            HouseholdId::parse(household.as_bytes()).map_err(|_| StoreError::Corrupt("household id"))?;
        let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
        found.households.insert(household);
        found.claims.insert((household, period, purpose), BreakId::new(break_id));
    }
    Ok(found)
}

/// The break that puts the claim of an order in question, or, with `any_claim`, any claim of its household; number 0 stands
/// for a debit above its file's sum, whose break is opened by the next reconciliation.
pub async fn of_order_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    any_claim: bool,
) -> Result<Option<BreakId>, StoreError> {
    let sql = format!(
        "select coalesce(min(q.break_id), 0) from ({}) q join run r on r.id = q.run_id
           join run mine on mine.id = $2 and mine.programme_id = r.programme_id
           join {} o on o.order_id = $1
          where q.household_id = o.household_id and ($3 or (q.period, q.purpose_id) = (o.period, o.purpose_id))
         having count(*) > 0",
        claims_sql(),
        orders::leaf(order.run())
    );
    let id: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .bind(order.get())
        .bind(order.run().get())
        .bind(any_claim)
        .fetch_optional(connection)
        .await?;
    Ok(id.map(BreakId::new))
}

/// Those of some orders about which an open break contradicts what their provider says: it may have paid what it denies.
pub async fn contradicted_in_tx(
    connection: &mut PgConnection,
    orders: &[i64],
) -> Result<Vec<i64>, StoreError> {
    let sql = format!(
        "select distinct order_id from break
          where order_id = any($1) and resolved_at is null and kind in ({}) and kind <> 'unknown_too_long'",
        kinds()
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(orders).fetch_all(connection).await?)
}

/// Orders of a run whose claims are in question; of a correction run those of every household that has a claim in
/// question.
pub async fn of_run_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    correction: bool,
    questions: &Questions,
) -> Result<Vec<OrderId>, StoreError> {
    let claim = if correction { "" } else { "and o.period = q.period and o.purpose_id = q.purpose" };
    let sql = format!(
        "select distinct o.order_id from unnest($1::text[], $2::int[], $3::smallint[]) as q(household, period, purpose)
           join {} o on o.household_id = q.household {claim} order by 1",
        orders::leaf(run)
    );
    let claims = || questions.claims.keys();
    let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .bind(claims().map(|(household, ..)| household.as_str().to_owned()).collect::<Vec<_>>())
        .bind(claims().map(|(_, period, _)| period.index()).collect::<Vec<_>>())
        .bind(claims().map(|(.., purpose)| *purpose).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(OrderId::new).collect())
}
