//! Figures for gauges and reports.

use time::Date;

use crate::domain::money::Centimes;
use crate::store::{Store, StoreError};

/// Kept totals of runs that are not closed or cancelled, summed by programme, provider and state.
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
pub async fn hold_gauges(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sqlx::query_as("select reason, count(*) from order_hold where released_at is null group by 1")
        .fetch_all(store.pool())
        .await?)
}

/// What waits at each provider of the stream lane: provider, kind (`shards`, `unknown`, `pending`), how many.
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

/// Recovery cases by programme and state: how many, and what is outstanding of them.
pub async fn recovery_gauges(store: &Store) -> Result<Vec<(String, String, i64, Centimes)>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select p.code, c.state, count(*), sum(c.outstanding)::bigint
           from recovery_case c join programme p on p.id = c.programme_id group by 1, 2",
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|(programme, state, n, sum)| (programme, state, n, Centimes::new(sum))).collect())
}

/// Complaints and appeals that were to be answered before `today` and are not, by programme.
pub async fn overdue_appeals(store: &Store, today: Date) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code, count(*) from recovery_case c join programme p on p.id = c.programme_id
          where c.appeal_stage in ('complaint', 'appeal') and c.appeal_due < $1 group by 1",
    )
    .bind(today)
    .fetch_all(store.pool())
    .await?)
}
