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
    let source = format!("{} (order_id, provider_id, entitled, offset_amount, amount)", orders::leaf(run));
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
