//! Figures for operations: one row of [`FIGURES`] for each family of `/metrics` that the database knows.
//!
//! Guarantee: none reads rows that grow with the months: runs of the last weeks, open breaks, what waits. Each gives the values of its labels as an
//! array of texts, and a whole number.

use sqlx::AssertSqlSafe;
use time::{Date, OffsetDateTime};

use crate::store::{Store, StoreError};

/// Runs that are shown: those that are not at their end, and those that were closed within the last five weeks.
const SHOWN: &str =
    "r.state <> 'cancelled' and (r.closed_at is null or r.closed_at > $1 - interval '35 days')";

/// A family and how it is counted; `$1` is the moment.
pub struct Figure {
    /// Its name in `/metrics`, without `sarf_`.
    pub family: &'static str,
    sql: &'static str,
}

/// Values of labels, and the number.
pub type Cells = Vec<(Vec<String>, i64)>;

macro_rules! figures {
    ($($family:literal: $sql:literal),+ $(,)?) => {
        /// All that are read from the database.
        pub const FIGURES: &[Figure] = &[$(Figure { family: $family, sql: $sql }),+];
    };
}

figures! {
    "orders": "select array[g.code, p.code, coalesce((select min(b.lane) from batch b where b.run_id = t.run_id and b.provider_id = t.provider_id), 'file'), t.state], sum(t.orders)::bigint
        from run_total t join run r on r.id = t.run_id join programme g on g.id = r.programme_id join provider p on p.id = t.provider_id where {shown} group by 1",
    "orders_centimes": "select array[g.code, p.code, coalesce((select min(b.lane) from batch b where b.run_id = t.run_id and b.provider_id = t.provider_id), 'file'), t.state], sum(t.amount)::bigint
        from run_total t join run r on r.id = t.run_id join programme g on g.id = r.programme_id join provider p on p.id = t.provider_id where {shown} group by 1",
    "runs": "select array[g.code, r.kind, r.state], count(*) from run r join programme g on g.id = r.programme_id where {shown} group by 1",
    "runs_paused": "select array[g.code], count(*) filter (where r.paused) from run r join programme g on g.id = r.programme_id where {shown} group by 1",
    "run_oldest_seconds": "select array[g.code, r.kind, r.state], max(extract(epoch from $1 - r.created_at))::bigint
        from run r join programme g on g.id = r.programme_id where {shown} group by 1",
    "batches": "select array[g.code, p.code, b.lane, b.state], count(*)
        from batch b join run r on r.id = b.run_id join programme g on g.id = r.programme_id join provider p on p.id = b.provider_id where {shown} group by 1",
    "waiting_oldest_seconds": "select array[g.code, p.code, b.state], greatest(max(extract(epoch from $1 - coalesce(b.sent_at, b.created_at))), 0)::bigint
        from batch b join run r on r.id = b.run_id join programme g on g.id = r.programme_id join provider p on p.id = b.provider_id
        where {shown} and b.state in ('dispatching', 'sent', 'accepted') and coalesce(b.sent_at, b.created_at) is not null group by 1",
    "unsettled_oldest_value_seconds": "select array[g.code, p.code], greatest(max(extract(epoch from $1 - b.value_date::timestamptz)), 0)::bigint
        from batch b join run r on r.id = b.run_id join programme g on g.id = r.programme_id join provider p on p.id = b.provider_id
        where {shown} and b.state in ('sent', 'accepted') and b.value_date is not null group by 1",
    "holds": "select array[h.reason], count(*) from order_hold h where h.released_at is null group by 1",
    "breaks": "select array[b.kind], count(*) from break b where b.resolved_at is null group by 1",
    "breaks_centimes": "select array[b.kind], coalesce(sum(abs(b.amount)), 0)::bigint from break b where b.resolved_at is null group by 1",
    "breaks_oldest_seconds": "select array[b.kind], greatest(max(extract(epoch from $1 - b.opened_at)), 0)::bigint from break b where b.resolved_at is null group by 1",
    "messages_set_aside": "select array[]::text[], count(*) from message_set_aside where settled_at is null",
    "deliveries": "select array[p.code, d.state], count(*) from delivery d join provider p on p.id = d.provider_id
        where d.state <> 'delivered' or not d.answered group by 1",
    "deliveries_oldest_seconds": "select array[p.code, d.state], greatest(max(extract(epoch from $1 - coalesce(d.delivered_at, d.waits_since))), 0)::bigint
        from delivery d join provider p on p.id = d.provider_id
        where case when d.state in ('waiting', 'naming') then not d.paused else d.state <> 'delivered' or not d.answered end group by 1",
    "suspense_centimes": "select array[p.code], coalesce(sum(a.balance), 0)::bigint
        from provider p left join ledger_account a on a.provider_id = p.id and a.kind = 'suspense' group by 1",
    "stream_waiting": "select array[p.code, k.kind],
            case k.kind when 'shards' then (select count(*) from shard s where s.provider_id = p.id and not s.done)
                 else (select count(*) from enquiry e where e.provider_id = p.id and e.unknown = (k.kind = 'unknown')) end
        from provider p cross join (values ('shards'), ('unknown'), ('pending')) k(kind)
        where exists (select from batch b where b.provider_id = p.id and b.lane = 'stream')",
    "stream_oldest_seconds": "select array[p.code, case when e.unknown then 'unknown' else 'pending' end], greatest(max(extract(epoch from $1 - e.since)), 0)::bigint
        from enquiry e join provider p on p.id = e.provider_id group by 1",
    "outbox_waiting": "select array[]::text[], count(*) from outbox",
    "outbox_oldest_seconds": "select array[]::text[], greatest(coalesce(max(extract(epoch from $1 - at)), 0), 0)::bigint from outbox",
    "leases_held": "select array[]::text[], count(*) from lease where held_until > clock_timestamp()",
    "token_expiry_seconds": "select array[of], min(extract(epoch from last - $1))::bigint
        from (select coalesce(t.institution, 'registry') as of, s.scope, max(t.expires_at) as last
                from api_token t cross join unnest(t.scopes) s(scope) where t.revoked_at is null group by 1, 2) l
        where last > $1 - interval '30 days' group by 1",
    "recovery_cases": "select array[p.code, c.state], count(*) from recovery_case c join programme p on p.id = c.programme_id group by 1",
    "recovery_outstanding_centimes": "select array[p.code, c.state], sum(c.outstanding)::bigint from recovery_case c join programme p on p.id = c.programme_id group by 1",
    "ledger_out_of_balance_centimes": "select array[]::text[], coalesce(sum(balance), 0)::bigint from ledger_account",
    "db_bytes": "select array[]::text[], pg_database_size(current_database())",
    "db_table_bytes": "select array[t.name], coalesce((select sum(pg_total_relation_size(l.relid)) from pg_partition_tree(t.name::regclass) l), 0)::bigint
        from (values ('payment_order'), ('outcome'), ('household'), ('exclusion'), ('ledger_transfer'), ('journal'), ('audit'), ('message')) t(name)
        where to_regclass(t.name) is not null",
    "db_wal_written_bytes": "select array[]::text[], (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint",
    "db_replicas": "select array[]::text[], count(*) from pg_stat_replication",
    "db_replication_lag_seconds": "select array[]::text[], coalesce(max(extract(epoch from replay_lag)), 0)::bigint from pg_stat_replication",
}

impl Figure {
    /// Counts it.
    pub async fn read(&self, store: &Store, now: OffsetDateTime) -> Result<Cells, StoreError> {
        let sql = self.sql.replace("{shown}", SHOWN);
        let takes_now = sql.contains("$1");
        let query = sqlx::query_as(AssertSqlSafe(sql));
        let query = if takes_now { query.bind(now) } else { query };
        Ok(query.fetch_all(store.pool()).await?)
    }
}

/// Complaints and appeals that were to be answered before `today` and are not, by programme.
pub async fn overdue_appeals(store: &Store, today: Date) -> Result<Cells, StoreError> {
    Ok(sqlx::query_as(
        "select array[p.code], count(*) filter (where c.appeal_stage in ('complaint', 'appeal') and c.appeal_due < $1)
           from recovery_case c join programme p on p.id = c.programme_id group by 1",
    )
    .bind(today)
    .fetch_all(store.pool())
    .await?)
}

/// Orders and centimes of files whose value date lies before `day` and that are not settled, by programme and provider.
pub async fn unconfirmed(store: &Store, day: Date) -> Result<(Cells, Cells), StoreError> {
    let rows: Vec<(Vec<String>, i64, i64)> = sqlx::query_as(
        "select array[g.code, p.code], sum(b.orders - b.rejected - b.returned - b.paid)::bigint,
                sum(b.amount - b.rejected_amount - b.returned_amount - b.paid_amount)::bigint
           from batch b join run r on r.id = b.run_id join programme g on g.id = r.programme_id join provider p on p.id = b.provider_id
          where r.state not in ('closed', 'cancelled') and b.lane = 'file' and b.state in ('sent', 'accepted') and b.value_date < $1
          group by 1",
    )
    .bind(day)
    .fetch_all(store.pool())
    .await?;
    let orders = rows.iter().map(|(labels, orders, _)| (labels.clone(), *orders)).collect();
    Ok((orders, rows.into_iter().map(|(labels, _, amount)| (labels, amount)).collect()))
}

/// The earliest month of which orders ended unpaid and are not paid again, by programme.
pub async fn oldest_unpaid(store: &Store) -> Result<Vec<(String, i32)>, StoreError> {
    Ok(sqlx::query_as(
        "select p.code, min(r.period) from run_total t join run r on r.id = t.run_id join programme p on p.id = r.programme_id
          where t.state in ('rejected', 'expired', 'returned') and t.orders > 0 group by 1",
    )
    .fetch_all(store.pool())
    .await?)
}

/// Files that are released and have not left, by programme and provider.
pub async fn waiting_to_leave(store: &Store) -> Result<Cells, StoreError> {
    Ok(sqlx::query_as(
        "select array[g.code, p.code], count(*) from batch b join run r on r.id = b.run_id join programme g on g.id = r.programme_id
                join provider p on p.id = b.provider_id
          where r.state not in ('closed', 'cancelled') and b.lane = 'file' and b.state in ('released', 'dispatching') group by 1",
    )
    .fetch_all(store.pool())
    .await?)
}
