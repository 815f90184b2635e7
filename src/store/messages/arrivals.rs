//! How far what is awaited has come: what left and was not answered, and the last day that messages speak of.

use time::{Date, OffsetDateTime};

use crate::domain::period::Period;
use crate::store::{Store, StoreError};

/// Files that are named of one provider.
const FILES_MAX: i64 = 1_000;

/// A file that its bank has said nothing of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Unanswered {
    /// Provider's code.
    pub provider: String,
    /// Programme's code.
    pub programme: String,
    /// The file.
    pub file_name: String,
    /// When it left.
    pub sent_at: OffsetDateTime,
}

/// Files that left and that nothing was heard of, of runs that are not closed.
pub async fn unanswered_files(store: &Store) -> Result<Vec<Unanswered>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code as provider, g.code as programme, b.file_name, b.sent_at
           from batch b join run r on r.id = b.run_id join provider p on p.id = b.provider_id join programme g on g.id = r.programme_id
          where r.state not in ('closed', 'cancelled') and b.state = 'sent' and b.lane = 'file' and b.outcomes = 0
            and b.file_name is not null and b.sent_at is not null
          order by b.sent_at limit $1",
    )
    .bind(FILES_MAX)
    .fetch_all(store.pool())
    .await?)
}

/// Since when money of ours is on its way at a provider, and the last day that came of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Covered {
    /// Provider's code.
    pub provider: String,
    /// The first day to be told of.
    pub first: Date,
    /// The last day that was.
    pub last: Option<Date>,
}

/// Providers with files that are neither settled nor refused, from their first value date on, and the last day that a statement
/// covers.
pub async fn statements(store: &Store) -> Result<Vec<Covered>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code as provider, min(b.value_date) as first,
                (select max(s.booked_to) from statement s where s.provider_id = p.id) as last
           from batch b join run r on r.id = b.run_id join provider p on p.id = b.provider_id
          where r.state not in ('closed', 'cancelled') and b.state in ('sent', 'accepted') and b.lane = 'file' and b.value_date is not null
          group by p.id, p.code order by 1",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Institutions with orders at hand, from the day that the first of these left, and the last day that a settlement file came.
pub async fn settlements(store: &Store, offset_s: i32) -> Result<Vec<Covered>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code as provider, ((min(b.sent_at) at time zone 'UTC') + $1 * interval '1 second')::date as first,
                (select ((max(m.received_at) at time zone 'UTC') + $1 * interval '1 second')::date - 1
                   from message m where m.provider_id = p.id and m.kind = 'settlement') as last
           from batch b join run r on r.id = b.run_id join provider p on p.id = b.provider_id
          where r.state not in ('closed', 'cancelled') and b.state in ('sent', 'accepted') and b.lane = 'stream' and b.sent_at is not null
            and exists (select from run_total t where t.run_id = b.run_id and t.provider_id = b.provider_id
                           and t.state in ('accepted', 'available', 'collected') and t.orders > 0)
          group by p.id, p.code order by 1",
    )
    .bind(offset_s)
    .fetch_all(store.pool())
    .await?)
}

/// Programmes that had a list before `period` and have none of it.
pub async fn programmes_without_list(store: &Store, period: Period) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "select distinct s.programme from snapshot s
          where s.period < $1 and not exists (select from snapshot n where n.programme = s.programme and n.period = $1)
          order by 1",
    )
    .bind(period.index())
    .fetch_all(store.pool())
    .await?)
}
