//! Payment orders: one leaf for each run, immutable, in household order.

pub mod extracts;
pub mod hold_releases;
pub mod holds;
pub mod leaves;
pub mod order_state;
pub mod origins;
pub mod personal;
pub mod questions;
pub mod state_walk;
pub mod unpaid;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::domain::ids::{HouseholdId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::store::copy::{CopyBuffer, CopyRow};
use crate::store::{Store, StoreError};

pub use leaves::{exclusion_leaf, leaf};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "order_id, household_row, place_id, period, purpose_id, attempt, provider_id, wave, entitled, offset_amount, amount, household_id, components, payee";

/// A new order.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder<'a> {
    /// Number.
    pub id: OrderId,
    /// Row of the household in the snapshot.
    pub household_row: u32,
    /// Place of the household.
    pub place: u16,
    /// Month of the claim.
    pub period: Period,
    /// Purpose number of the claim.
    pub purpose: i16,
    /// 1 for the first order of the claim.
    pub attempt: u16,
    /// Provider number; 0 for none.
    pub provider: i16,
    /// Wave it is released in, from 1.
    pub wave: i16,
    /// What the household is due.
    pub entitled: Centimes,
    /// What is kept back against an undue payment.
    pub offset: Centimes,
    /// Household.
    pub household: HouseholdId,
    /// Encoded components.
    pub components: &'a [u8],
    /// Encoded payee.
    pub payee: &'a [u8],
}

/// Appends an order to a buffer for its leaf.
pub fn push(buffer: &mut CopyBuffer, order: &NewOrder<'_>) {
    buffer
        .row(14)
        .i64(order.id.get())
        .i32(order.household_row as i32)
        .i32(i32::from(order.place))
        .i32(order.period.index())
        .i16(order.purpose)
        .i16(order.attempt as i16)
        .i16(order.provider)
        .i16(order.wave)
        .i64(order.entitled.get())
        .i64(order.offset.get())
        .i64((order.entitled - order.offset).get())
        .text(order.household.as_str())
        .raw(order.components)
        .raw(order.payee);
}

/// Makes the leaves of a run (orders, exclusions, outcomes), standing alone.
pub async fn create_leaves_in_tx(connection: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
    let ((low, high), leaf, exclusions) = (OrderId::bounds(run), leaf(run), exclusion_leaf(run));
    for sql in [
        format!(
            "create table {leaf} (like payment_order including defaults including storage including constraints,
               constraint {leaf}_bounds check (order_id >= {low} and order_id < {high}))"
        ),
        format!("create table {exclusions} (like exclusion, constraint {exclusions}_bounds check (run_id = {run}))"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Indexes the leaves of a run and attaches them. The unique index on (household, period, purpose, attempt) is the
/// proof that a claim has one order in the run.
///
/// # Errors
/// With the constraint `payment_order_RUN_claim` when a claim has two orders.
pub async fn attach_leaves_in_tx(connection: &mut PgConnection, run: RunId) -> Result<(), StoreError> {
    let ((low, high), leaf, exclusions) = (OrderId::bounds(run), leaf(run), exclusion_leaf(run));
    for sql in [
        format!("alter table {leaf} add constraint {leaf}_pkey primary key (order_id)"),
        format!("create unique index {leaf}_claim on {leaf} (household_id, period, purpose_id, attempt)"),
        format!("alter table payment_order attach partition {leaf} for values from ({low}) to ({high})"),
        format!("alter table {leaf} drop constraint {leaf}_bounds"),
        format!("create index {exclusions}_household_id on {exclusions} (household_id)"),
        format!("alter table exclusion attach partition {exclusions} for values in ({run})"),
        format!("alter table {exclusions} drop constraint {exclusions}_bounds"),
        // Attached, not created in place: that would wait for, and hold up, whoever reads or writes outcomes.
        format!(
            "create table outcome_{run} (like outcome including constraints, primary key (order_id, step))"
        ),
        format!(
            "alter table outcome_{run} add constraint outcome_{run}_bounds check (order_id >= {low} and order_id < {high})"
        ),
        format!("alter table outcome attach partition outcome_{run} for values from ({low}) to ({high})"),
        format!("alter table outcome_{run} drop constraint outcome_{run}_bounds"),
        format!("analyze {leaf} (order_id, provider_id, wave, household_id)"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What another run's order says of a household, as the order stage merges it.
#[derive(Clone, Debug)]
pub struct EarlierOrder {
    /// Household.
    pub household: HouseholdId,
    /// Amount.
    pub amount: Centimes,
    /// Provider number.
    pub provider: i16,
    /// Place in its snapshot.
    pub place: u16,
    /// Encoded payee.
    pub payee: Vec<u8>,
    /// Number.
    pub order: OrderId,
}

/// A run's orders for merging, in household order: leaves are written in that order, and the reader checks it. Those of
/// a run that gathers events stand in the order of their arrival (`by_arrival`) and are sorted.
pub fn earlier_source(run: RunId, by_arrival: bool) -> String {
    const COLUMNS: &str = "household_id, amount, provider_id, place_id, payee, order_id";
    let leaf = leaf(run);
    if by_arrival {
        format!("(select {COLUMNS} from {leaf} order by household_id)")
    } else {
        format!("{leaf} ({COLUMNS})")
    }
}

/// Reads a row of [`earlier_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_earlier(row: &mut CopyRow) -> Result<EarlierOrder, StoreError> {
    Ok(EarlierOrder {
        household: HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?,
        amount: Centimes::new(row.i64()?),
        provider: row.i16()?,
        place: row.i32()? as u16,
        payee: row.raw()?.to_vec(),
        order: OrderId::new(row.i64()?),
    })
}

/// One order with everything that is known of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OrderDetail {
    /// Number.
    pub order_id: i64,
    /// Run.
    pub run: i64,
    /// Household.
    pub household_id: String,
    /// Month of the claim.
    pub period: Period,
    /// Purpose of the claim.
    pub purpose: String,
    /// Attempt.
    pub attempt: i16,
    /// Programme.
    pub programme: String,
    /// Provider.
    pub provider: String,
    /// Wave.
    pub wave: i16,
    /// Due.
    pub entitled: Centimes,
    /// Kept back.
    pub offset: Centimes,
    /// Ordered.
    pub amount: Centimes,
    /// State.
    pub state: String,
    /// Encoded components.
    #[serde(skip)]
    pub components: Vec<u8>,
}

/// A household, claim or deposit of a list for which a run pays nothing.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Exclusion {
    /// Run.
    pub run: i64,
    /// Kind of the run.
    pub kind: String,
    /// Programme.
    pub programme: String,
    /// Month.
    pub period: Period,
    /// Row of the list, of the part that the run is made from.
    pub row: i32,
    /// Why.
    pub reason: String,
}

/// What a household was refused, the newest first, in runs that are not cancelled.
pub async fn exclusions_of(store: &Store, household: &str) -> Result<Vec<Exclusion>, StoreError> {
    let rows: Vec<(i64, String, String, i32, i32, String)> = sqlx::query_as(
        "select e.run_id, r.kind, p.code, r.period, e.household_row, e.reason
           from exclusion e join run r on r.id = e.run_id join programme p on p.id = r.programme_id
          where e.household_id = $1 and r.state <> 'cancelled' order by e.run_id desc, e.household_row",
    )
    .bind(household)
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(run, kind, programme, period, row, reason)| {
            let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
            Ok(Exclusion { run, kind, programme, period, row, reason })
        })
        .collect()
}

/// Finds orders of a household, or one order by its number, newest first.
pub async fn find(
    store: &Store,
    household: Option<&str>,
    order: Option<OrderId>,
) -> Result<Vec<OrderDetail>, StoreError> {
    let runs: Vec<i64> = match order {
        Some(id) => vec![id.run().get()],
        None => sqlx::query_scalar("select id from run order by id desc").fetch_all(store.pool()).await?,
    };
    let mut found = Vec::new();
    for run in runs.into_iter().map(RunId::new) {
        let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(leaf(run))
            .fetch_one(store.pool())
            .await?;
        if exists {
            found.extend(find_in_run(store, run, household, order).await?);
        }
    }
    Ok(found)
}

async fn find_in_run(
    store: &Store,
    run: RunId,
    household: Option<&str>,
    order: Option<OrderId>,
) -> Result<Vec<OrderDetail>, StoreError> {
    use sqlx::Row as _;
    let sql = format!(
        "select o.order_id, o.household_id, o.period, u.code, o.attempt, p.code, v.code, o.wave, o.entitled, o.offset_amount,
                o.amount, {state}, o.components
           from {leaf} o join run r on r.id = {run} join programme p on p.id = r.programme_id
           join provider v on v.id = o.provider_id join purpose u on u.id = o.purpose_id
           {joined}
          where ($1::text is null or o.household_id = $1) and ($2::bigint is null or o.order_id = $2)",
        state = order_state::state(),
        leaf = leaf(run),
        joined = order_state::join_each(&run.to_string()),
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(household)
        .bind(order.map(OrderId::get))
        .fetch_all(store.pool())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OrderDetail {
                order_id: row.try_get(0)?,
                run: run.get(),
                household_id: row.try_get(1)?,
                period: Period::from_index(row.try_get(2)?).map_err(|_| StoreError::Corrupt("period"))?,
                purpose: row.try_get(3)?,
                attempt: row.try_get(4)?,
                programme: row.try_get(5)?,
                provider: row.try_get(6)?,
                wave: row.try_get(7)?,
                entitled: Centimes::new(row.try_get(8)?),
                offset: Centimes::new(row.try_get(9)?),
                amount: Centimes::new(row.try_get(10)?),
                state: row.try_get(11)?,
                components: row.try_get(12)?,
            })
        })
        .collect()
}
