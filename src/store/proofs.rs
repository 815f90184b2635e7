//! Queries behind `sarf verify`: each recounts from the rows what is kept elsewhere.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::pgcopy::CopyAhead;
use super::standing::Standing;
use super::{Store, StoreError, orders};
use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::domain::order::OrderState;
use crate::domain::run::RunState;

/// Orders of one provider, batch and state, counted from the rows.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Provider number.
    pub provider: i16,
    /// Batch they left or will leave in.
    pub batch: Option<BatchId>,
    /// State.
    pub state: OrderState,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: i64,
    /// Sum of what was due.
    pub entitled: i64,
    /// Sum of what was kept back.
    pub offset: i64,
}

/// Recounts a run's orders by provider, batch and state, in one pass over the rows; `progress` is told of every
/// hundred thousand.
///
/// # Errors
/// When the database is gone.
pub async fn recount(
    store: &Store,
    run: RunId,
    state: RunState,
    progress: impl Fn(u64),
) -> Result<Vec<Counted>, StoreError> {
    const COLUMNS: &str = "order_id, provider_id, entitled, offset_amount, amount";
    // Leaves of most runs lie in order; those that grew with the day's events fill whatever room there is.
    let grown: bool =
        sqlx::query_scalar("select exists (select from run where id = $1 and standing_approval is not null)")
            .bind(run.get())
            .fetch_one(store.pool())
            .await?;
    let source = if grown {
        format!("(select {COLUMNS} from {} order by order_id)", orders::leaf(run))
    } else {
        format!("{} ({COLUMNS})", orders::leaf(run))
    };
    let mut rows = CopyAhead::open(store.pool(), source);
    let mut standing = Standing::open(store, run, state).await?;
    let mut groups: HashMap<(i16, Option<BatchId>, OrderState), [i64; 4]> = HashMap::new();
    let (mut before, mut seen) = (OrderId::new(0), 0u64);
    while let Some(mut row) = rows.next().await? {
        let order = OrderId::new(row.i64()?);
        if order <= before {
            return Err(StoreError::Corrupt("order of orders"));
        }
        before = order;
        let provider = row.i16()?;
        let stands = standing.next(order, provider).await?;
        let sums = groups.entry((provider, stands.batch, stands.state)).or_default();
        let (entitled, offset, amount) = (row.i64()?, row.i64()?, row.i64()?);
        for (sum, value) in sums.iter_mut().zip([1, amount, entitled, offset]) {
            *sum += value;
        }
        seen += 1;
        if seen.is_multiple_of(100_000) {
            progress(100_000);
        }
    }
    progress(seen % 100_000);
    let counted = |((provider, batch, state), [orders, amount, entitled, offset]): (
        (i16, Option<BatchId>, OrderState),
        [i64; 4],
    )| Counted { provider, batch, state, orders, amount, entitled, offset };
    Ok(groups.into_iter().map(counted).collect())
}

/// One number that a query gives.
///
/// # Errors
/// When the database is gone.
pub async fn number(store: &Store, sql: String) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(sql)).fetch_one(store.pool()).await?.unwrap_or(0))
}

/// Pairs of live runs that could order one claim twice.
///
/// # Errors
/// When the database is gone.
pub async fn rival_runs(store: &Store) -> Result<Vec<(i64, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select a.id, b.id from run a join run b on a.programme_id = b.programme_id and a.id < b.id
          where a.state not in ('draft', 'cancelled') and b.state not in ('draft', 'cancelled')
            and (a.period = b.period or 'reissue' in (a.kind, b.kind) or 'correction' in (a.kind, b.kind))",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Figures of a run's stream lane, counted from the rows.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct StreamLane {
    /// Orders in its batches.
    pub orders: i64,
    /// Orders with steps of their own.
    pub stepped: i64,
    /// Of those, without the step that intends them.
    pub without_intent: i64,
    /// Unknown orders.
    pub unknown: i64,
    /// Of those, on no list of enquiries.
    pub not_asked_about: i64,
    /// Sum of orders that settlement files settled.
    pub settled_by_files: i64,
    /// Sum of what settlement files list, matched with orders.
    pub settlement_shares: i64,
}

/// Counts a run's stream lane.
///
/// # Errors
/// When the database is gone.
pub async fn stream_lane(store: &Store, run: RunId) -> Result<StreamLane, StoreError> {
    let sql = format!(
        "with lanes as (select provider_id, min(first_order) as low, max(last_order) as high, sum(orders)::bigint as orders
                          from batch where run_id = {run} and lane = 'stream' and state not in ('planned', 'empty') group by 1),
              steps as (select x.order_id, bool_or(step = 1) as intended, max(step) as furthest,
                               bool_or(step in (6, 8)) as by_file
                          from outcome_{run} x group by 1),
              known as (select s.*, o.amount from steps s join {leaf} o using (order_id)
                          join lanes l on l.provider_id = o.provider_id and o.order_id between l.low and l.high)
         select (select coalesce(sum(orders), 0)::bigint from lanes) as orders, count(*) as stepped,
                count(*) filter (where not intended) as without_intent,
                count(*) filter (where furthest = 2) as unknown,
                count(*) filter (where furthest = 2 and not exists (select from enquiry e where e.order_id = known.order_id and e.unknown)) as not_asked_about,
                coalesce(sum(amount) filter (where by_file), 0)::bigint as settled_by_files,
                (select coalesce(sum(amount), 0)::bigint from settlement_share where run_id = {run}) as settlement_shares
           from known",
        leaf = orders::leaf(run)
    );
    let lanes: bool =
        sqlx::query_scalar("select exists (select from batch where run_id = $1 and lane = 'stream' and state not in ('planned', 'empty'))")
            .bind(run.get())
            .fetch_one(store.pool())
            .await?;
    if !lanes {
        return Ok(StreamLane::default());
    }
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_one(store.pool()).await?)
}

/// Events that asked for an order and were taken, orders under standing approvals, and on how many they differ.
///
/// # Errors
/// When the database is gone.
pub async fn events(store: &Store) -> Result<(i64, i64, i64), StoreError> {
    Ok(sqlx::query_as(
        "select e.n, r.n, abs(e.n - r.n) + e.without from
            (select count(*) as n, count(*) filter (where order_id is null) as without
               from event where kind = 'order' and outcome in ('applied', 'held')) e,
            (select coalesce(sum(orders), 0)::bigint as n from run where standing_approval is not null) r",
    )
    .fetch_one(store.pool())
    .await?)
}

/// Days on which more was ordered than the standing approval allows, or whose approval lacks a person.
///
/// # Errors
/// When the database is gone.
pub async fn over_day_ceiling(store: &Store) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "select count(*) from (select r.standing_approval, r.business_day, sum(r.ordered) as ordered from run r
                                 where r.standing_approval is not null group by 1, 2) d
            join standing_approval a on a.id = d.standing_approval
          where d.ordered > a.day_max or a.approved_by is null or a.funded_by is null",
    )
    .fetch_one(store.pool())
    .await?)
}
