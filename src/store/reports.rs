//! Figures for gauges and reports.

use super::{Store, StoreError};
use crate::domain::money::Centimes;

/// Kept totals of runs that are not closed or cancelled, summed by programme, provider and state.
///
/// # Errors
/// When the database is gone.
pub async fn order_gauges(store: &Store) -> Result<Vec<(String, String, String, i64, Centimes)>, StoreError> {
    let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
        "select g.code, p.code, t.state, sum(t.orders)::bigint, sum(t.amount)::bigint
           from run_total t join run r on r.id = t.run_id join programme g on g.id = r.programme_id join provider p on p.id = t.provider_id
          where r.state not in ('closed', 'cancelled') group by 1, 2, 3",
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|(g, p, s, n, a)| (g, p, s, n, Centimes::new(a))).collect())
}

/// Open holds by reason.
///
/// # Errors
/// When the database is gone.
pub async fn hold_gauges(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sqlx::query_as("select reason, count(*) from order_hold where released_at is null group by 1")
        .fetch_all(store.pool())
        .await?)
}

/// What waits at each provider of the stream lane: provider, kind (`shards`, `unknown`, `pending`), how many.
///
/// # Errors
/// When the database is gone.
pub async fn stream_gauges(store: &Store) -> Result<Vec<(String, String, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code, k.kind, case k.kind
                   when 'shards' then (select count(*) from shard s where s.provider_id = p.id and not s.done)
                   else (select count(*) from enquiry e where e.provider_id = p.id and e.unknown = (k.kind = 'unknown')) end
           from provider p cross join (values ('shards'), ('unknown'), ('pending')) k(kind)
          where exists (select from batch b where b.provider_id = p.id and b.lane = 'stream')",
    )
    .fetch_all(store.pool())
    .await?)
}
