//! Batches: planned as slices of a run, fixed at release, sent, and moved by what comes back.

pub mod batch_orders;
pub mod deliveries;
pub mod enquiries;
pub mod exclusive;
mod figures;
pub mod leases;
pub mod membership;
pub mod outbox;
pub mod pace;
pub mod shards;

pub use figures::BatchFigures;

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};

use crate::domain::batch::{BatchState, Lane, Slice};
use crate::domain::ids::{BatchId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::store::{Store, StoreError};

/// A batch.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Batch {
    /// Number.
    pub id: BatchId,
    /// Run.
    pub run: RunId,
    /// Provider number.
    #[serde(skip)]
    pub provider_id: i16,
    /// Provider code.
    pub provider: String,
    /// Wave, from 1.
    pub wave: i16,
    /// Place within the wave, from 1.
    pub sequence: i32,
    /// How its orders leave.
    pub lane: Lane,
    /// Whether its orders are listed one by one, not a range.
    pub listed: bool,
    /// First order.
    #[serde(skip)]
    pub first: OrderId,
    /// Last order.
    #[serde(skip)]
    pub last: OrderId,
    /// State.
    pub state: BatchState,
    /// Orders; once released, without those held.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
    /// Requested execution date.
    pub value_date: Option<Date>,
    /// Message id of the file.
    pub message_id: Option<String>,
    /// Name of the file.
    pub file_name: Option<String>,
    /// Time of creation written into the file.
    #[serde(skip)]
    pub created_at: Option<OffsetDateTime>,
    /// SHA-256 of the file.
    #[serde(skip)]
    pub file_sha256: Option<Vec<u8>>,
    /// What the configuration put into the file, fixed with its intent.
    #[serde(skip)]
    pub made_with: Option<serde_json::Value>,
    /// Figures kept as outcomes and statement entries come in.
    pub figures: BatchFigures,
}

const COLUMNS: &str = "b.id, b.run_id, b.provider_id, p.code, b.wave, b.sequence, b.listed, b.first_order, b.last_order, b.state,
    b.orders, b.amount, b.value_date, b.message_id, b.file_name, b.created_at, b.file_sha256, b.outcomes, b.outcomes_amount,
    b.accepted, b.accepted_amount, b.rejected, b.rejected_amount, b.returned, b.returned_amount, b.debited_amount, b.credited_amount,
    b.paid, b.paid_amount, b.expired, b.expired_amount, b.lane, b.made_with";

fn read(row: &sqlx::postgres::PgRow) -> Result<Batch, StoreError> {
    use sqlx::Row as _;
    let (state, lane): (String, String) = (row.try_get(9)?, row.try_get(31)?);
    Ok(Batch {
        id: BatchId::new(row.try_get(0)?),
        run: RunId::new(row.try_get(1)?),
        provider_id: row.try_get(2)?,
        provider: row.try_get(3)?,
        wave: row.try_get(4)?,
        sequence: row.try_get(5)?,
        lane: Lane::parse(&lane).ok_or(StoreError::Corrupt("lane"))?,
        listed: row.try_get(6)?,
        first: OrderId::new(row.try_get(7)?),
        last: OrderId::new(row.try_get(8)?),
        state: BatchState::parse(&state).ok_or(StoreError::Corrupt("batch state"))?,
        orders: row.try_get(10)?,
        amount: Centimes::new(row.try_get(11)?),
        value_date: row.try_get(12)?,
        message_id: row.try_get(13)?,
        file_name: row.try_get(14)?,
        created_at: row.try_get(15)?,
        file_sha256: row.try_get(16)?,
        made_with: row.try_get(32)?,
        figures: BatchFigures {
            outcomes: row.try_get(17)?,
            outcomes_amount: row.try_get(18)?,
            accepted: row.try_get(19)?,
            accepted_amount: row.try_get(20)?,
            rejected: row.try_get(21)?,
            rejected_amount: row.try_get(22)?,
            returned: row.try_get(23)?,
            returned_amount: row.try_get(24)?,
            debited_amount: row.try_get(25)?,
            credited_amount: row.try_get(26)?,
            paid: row.try_get(27)?,
            paid_amount: row.try_get(28)?,
            expired: row.try_get(29)?,
            expired_amount: row.try_get(30)?,
        },
    })
}

/// Batches of a run, by provider, wave and place.
pub async fn of_run_in_tx(connection: &mut PgConnection, run: RunId) -> Result<Vec<Batch>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from batch b join provider p on p.id = b.provider_id where b.run_id = $1 order by p.code, b.wave, b.sequence"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(run.get()).fetch_all(connection).await?.iter().map(read).collect()
}

/// The batch of a message id of ours, its row locked.
pub async fn by_message_id_in_tx(
    connection: &mut PgConnection,
    message_id: &str,
) -> Result<Option<Batch>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from batch b join provider p on p.id = b.provider_id where b.message_id = $1"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(message_id)
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Run and batch by those of the message ids that are of files to a provider.
pub async fn named_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    message_ids: &[&str],
) -> Result<HashMap<String, (RunId, BatchId)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select message_id, run_id, id from batch where provider_id = $1 and message_id = any($2)",
    )
    .bind(provider)
    .bind(message_ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(name, run, id)| (name, (RunId::new(run), BatchId::new(id)))).collect())
}

/// The newest runs of which files left to a provider, newest first.
pub async fn newest_runs_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    limit: i64,
) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select distinct run_id from batch where provider_id = $1 and message_id is not null order by 1 desc limit $2",
    )
    .bind(provider)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}

/// Provider codes by the message ids of all files that left.
pub async fn providers_by_message_id(store: &Store) -> Result<HashMap<String, String>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select b.message_id, p.code from batch b join provider p on p.id = b.provider_id where b.message_id is not null")
            .fetch_all(store.pool())
            .await?;
    Ok(rows.into_iter().collect())
}

/// Writes the slices of a new run as planned batches.
pub async fn insert_planned_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    slices: &[(i16, Slice)],
) -> Result<(), StoreError> {
    let column = |pick: fn(&(i16, Slice)) -> i64| slices.iter().map(pick).collect::<Vec<i64>>();
    sqlx::query(
        "insert into batch (run_id, provider_id, wave, sequence, first_order, last_order, state, orders, amount)
         select $1, p, w, s, f, l, 'planned', n, a
           from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                as t(p, w, s, f, l, n, a)",
    )
    .bind(run.get())
    .bind(column(|s| i64::from(s.0)))
    .bind(column(|s| i64::from(s.1.wave)))
    .bind(column(|s| i64::from(s.1.sequence)))
    .bind(column(|s| s.1.first.get()))
    .bind(column(|s| s.1.last.get()))
    .bind(column(|s| s.1.orders))
    .bind(column(|s| s.1.amount.get()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Releases the planned batches of a run (of one wave, where given), those of `stream` providers into the stream lane: orders
/// held now are marked as missed by their
/// batch and taken off its totals. Orders that an earlier release missed and that were let go since are put into
/// listed batches. Returns how many batches were released.
pub async fn release_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    wave: Option<i16>,
    stream: &[i16],
) -> Result<u64, StoreError> {
    let (low, high) = OrderId::bounds(run);
    // Few orders are held: they are looked up one by one, whatever the statistics of a young table say.
    sqlx::query("set local enable_seqscan = off").execute(&mut *connection).await?;
    sqlx::query("set local enable_mergejoin = off").execute(&mut *connection).await?;
    let miss = format!(
        "update order_hold h set missed_batch = b.id
           from payment_order o join batch b on b.run_id = $1 and {}
          where h.order_id = o.order_id and o.order_id >= $2 and o.order_id < $3 and h.released_at is null and h.missed_batch is null
            and b.state = 'planned' and ($4::smallint is null or b.wave = $4)",
        membership::spans("b", "o.order_id", "o.provider_id")
    );
    sqlx::query(AssertSqlSafe(miss))
        .bind(run.get())
        .bind(low)
        .bind(high)
        .bind(wave)
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query(
        // Summed up once: with what is known of a young table it would be done again for each batch.
        "with m as materialized (
             select h.missed_batch, count(*) as orders, sum(o.amount) as amount
               from (select distinct missed_batch, order_id from order_hold
                      where missed_batch is not null and order_id >= $2 and order_id < $3) h
               join payment_order o on o.order_id = h.order_id and o.order_id >= $2 and o.order_id < $3
              group by 1)
         update batch b set orders = b.orders - coalesce(m.orders, 0), amount = b.amount - coalesce(m.amount, 0),
                state = case when b.orders = coalesce(m.orders, 0) then 'empty' else 'released' end,
                lane = case when b.provider_id = any($5) then 'stream' else 'file' end
           from batch s left join m on m.missed_batch = s.id
          where b.id = s.id and b.run_id = $1 and b.state = 'planned' and ($4::smallint is null or b.wave = $4)",
    )
    .bind(run.get())
    .bind(low)
    .bind(high)
    .bind(wave)
    .bind(stream)
    .execute(&mut *connection)
    .await?;
    Ok(done.rows_affected() + release_late_in_tx(connection, run, low, high).await?)
}

/// Puts orders that were let go after their batch left into one listed batch for each provider.
async fn release_late_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    low: i64,
    high: i64,
) -> Result<u64, StoreError> {
    let sql = format!(
        "with late as (
             select o.order_id, o.provider_id, o.amount from payment_order o
              where o.order_id >= $2 and o.order_id < $3 and o.provider_id <> 0
                and {missed}
                and not exists (select from order_hold h where h.order_id = o.order_id and h.released_at is null)
                and not {listed}),
         made as (
             insert into batch (run_id, provider_id, wave, sequence, listed, first_order, last_order, state, orders, amount, lane)
             select $1, l.provider_id, w.wave, 1, true, min(l.order_id), max(l.order_id), 'released', count(*), sum(l.amount),
                    (select max(b.lane) from batch b where b.run_id = $1 and b.provider_id = l.provider_id)
               from late l cross join (select coalesce(max(wave), 0) + 1 as wave from batch where run_id = $1) w
              group by l.provider_id, w.wave order by l.provider_id
             returning id, provider_id)
         insert into batch_member (order_id, batch_id) select l.order_id, m.id from late l join made m using (provider_id)",
        missed = membership::missed("o.order_id"),
        listed = membership::listed("o.order_id"),
    );
    let done =
        sqlx::query(AssertSqlSafe(sql)).bind(run.get()).bind(low).bind(high).execute(connection).await?;
    Ok(done.rows_affected().min(1))
}

/// What is fixed before a file is written.
#[derive(Clone, Debug)]
pub struct Intent<'a> {
    /// Message id.
    pub message_id: &'a str,
    /// File name.
    pub file_name: &'a str,
    /// Requested execution date.
    pub value_date: Date,
    /// Time of creation in the file.
    pub created_at: OffsetDateTime,
    /// What the configuration puts into the file.
    pub made_with: &'a serde_json::Value,
}

/// Commits a batch to leave under these names.
pub async fn intend_in_tx(
    connection: &mut PgConnection,
    id: BatchId,
    intent: &Intent<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update batch set state = 'dispatching', message_id = $2, file_name = $3, value_date = $4, created_at = $5,
                made_with = $6 where id = $1 and state = 'released'",
    )
    .bind(id.get())
    .bind(intent.message_id)
    .bind(intent.file_name)
    .bind(intent.value_date)
    .bind(intent.created_at)
    .bind(intent.made_with)
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that a batch's file lies in the outbox; `false` when it was recorded before.
pub async fn sent_in_tx(
    connection: &mut PgConnection,
    id: BatchId,
    sha256: &[u8; 32],
    bytes: u64,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query("update batch set state = 'sent', file_sha256 = $2, file_bytes = $3, sent_at = $4 where id = $1 and state = 'dispatching'")
        .bind(id.get())
        .bind(sha256.as_slice())
        .bind(bytes as i64)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Moves a batch to a state.
pub async fn set_state_in_tx(
    connection: &mut PgConnection,
    id: BatchId,
    state: BatchState,
) -> Result<(), StoreError> {
    sqlx::query("update batch set state = $2 where id = $1")
        .bind(id.get())
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds to the figures kept on a batch.
pub async fn add_in_tx(
    connection: &mut PgConnection,
    id: BatchId,
    change: BatchFigures,
) -> Result<(), StoreError> {
    sqlx::query(
        "update batch set outcomes = outcomes + $2, outcomes_amount = outcomes_amount + $3, accepted = accepted + $4,
                accepted_amount = accepted_amount + $5, rejected = rejected + $6, rejected_amount = rejected_amount + $7,
                returned = returned + $8, returned_amount = returned_amount + $9, debited_amount = debited_amount + $10,
                credited_amount = credited_amount + $11, paid = paid + $12, paid_amount = paid_amount + $13,
                expired = expired + $14, expired_amount = expired_amount + $15 where id = $1",
    )
    .bind(id.get())
    .bind(change.outcomes)
    .bind(change.outcomes_amount)
    .bind(change.accepted)
    .bind(change.accepted_amount)
    .bind(change.rejected)
    .bind(change.rejected_amount)
    .bind(change.returned)
    .bind(change.returned_amount)
    .bind(change.debited_amount)
    .bind(change.credited_amount)
    .bind(change.paid)
    .bind(change.paid_amount)
    .bind(change.expired)
    .bind(change.expired_amount)
    .execute(connection)
    .await?;
    Ok(())
}
