//! Queries behind `sarf verify`: each recounts from the rows what is kept elsewhere.

use sqlx::AssertSqlSafe;

use super::{Store, StoreError, orders};
use crate::domain::ids::RunId;

/// Orders of one provider, batch and state, counted from the rows.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Provider number.
    pub provider: i16,
    /// Batch they left or will leave in.
    pub batch: Option<i64>,
    /// State.
    pub state: String,
    /// How many.
    pub orders: i64,
    /// Their sum.
    pub amount: i64,
    /// Sum of what was due.
    pub entitled: i64,
    /// Sum of what was kept back.
    pub offset: i64,
}

/// Recounts a run's orders by provider, batch and state, in one pass.
///
/// # Errors
/// When the database is gone.
pub async fn recount(store: &Store, run: RunId) -> Result<Vec<Counted>, StoreError> {
    let sql = format!(
        "select o.provider_id, b.id, {} as state, count(*), sum(o.amount)::bigint, sum(o.entitled)::bigint, sum(o.offset_amount)::bigint
           from {} o join run r on r.id = {run} {} group by 1, 2, 3",
        orders::STATE_SQL,
        orders::leaf(run),
        orders::state_joins(run)
    );
    type Row = (i16, Option<i64>, String, i64, i64, i64, i64);
    let mut tx = store.begin().await?;
    sqlx::query("set local max_parallel_workers_per_gather = 2").execute(&mut *tx).await?;
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *tx).await?;
    let counted = |(provider, batch, state, orders, amount, entitled, offset): Row| Counted { provider, batch, state, orders, amount, entitled, offset };
    Ok(rows.into_iter().map(counted).collect())
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
