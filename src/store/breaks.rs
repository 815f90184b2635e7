//! Breaks: what feedback or reconciliation could not explain, each in its queue until a person resolves it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Store, StoreError};
use crate::domain::ids::{BatchId, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;

/// A break to be opened. `key` names the fact, so that finding it again opens nothing.
#[derive(Clone, Debug)]
pub struct NewBreak {
    /// Queue.
    pub kind: BreakKind,
    /// What is one fact.
    pub key: String,
    /// Run, where known.
    pub run: Option<RunId>,
    /// Provider number, where known.
    pub provider: Option<i16>,
    /// Batch, where known.
    pub batch: Option<BatchId>,
    /// Order, where known.
    pub order: Option<OrderId>,
    /// Message it came in.
    pub message: Option<MessageId>,
    /// Entry of the message, from 1.
    pub entry: Option<u64>,
    /// Amount in question.
    pub amount: Option<Centimes>,
    /// What was found, without anything personal.
    pub detail: String,
}

/// Opens breaks: how many are new.
///
/// # Errors
/// When the database is gone.
pub async fn open_in_tx(
    connection: &mut PgConnection,
    breaks: &[NewBreak],
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut opened = 0;
    for chunk in breaks.chunks(1_000) {
        let column =
            |pick: fn(&NewBreak) -> Option<i64>| chunk.iter().map(pick).collect::<Vec<Option<i64>>>();
        let done = sqlx::query(
            "insert into break (kind, dedup_key, run_id, provider_id, batch_id, order_id, message_id, entry, amount, detail, opened_at)
             select k, d, r, p, b, o, m, e, a, t, $11
               from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                           $8::bigint[], $9::bigint[], $10::text[]) as t(k, d, r, p, b, o, m, e, a, t)
             on conflict (dedup_key) do nothing",
        )
        .bind(chunk.iter().map(|b| b.kind.as_str()).collect::<Vec<_>>())
        .bind(chunk.iter().map(|b| b.key.as_str()).collect::<Vec<_>>())
        .bind(column(|b| b.run.map(RunId::get)))
        .bind(column(|b| b.provider.map(i64::from)))
        .bind(column(|b| b.batch.map(BatchId::get)))
        .bind(column(|b| b.order.map(OrderId::get)))
        .bind(column(|b| b.message.map(MessageId::get)))
        .bind(column(|b| b.entry.map(|e| e as i64)))
        .bind(column(|b| b.amount.map(Centimes::get)))
        .bind(chunk.iter().map(|b| b.detail.as_str()).collect::<Vec<_>>())
        .bind(at)
        .execute(&mut *connection)
        .await?;
        opened += done.rows_affected();
    }
    Ok(opened)
}

/// A break.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Break {
    /// Number.
    pub id: i64,
    /// Queue.
    pub kind: String,
    /// Run.
    pub run: Option<i64>,
    /// Provider.
    pub provider: Option<String>,
    /// Order.
    pub order: Option<i64>,
    /// Message and entry.
    pub message: Option<i64>,
    /// Entry of the message.
    pub entry: Option<i64>,
    /// Amount.
    pub amount: Option<Centimes>,
    /// What was found.
    pub detail: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// How.
    pub resolution: Option<String>,
}

/// Breaks, oldest first; with `open_only`, those that nobody has resolved. A run's own, or all.
///
/// # Errors
/// When the database is gone.
pub async fn list(store: &Store, run: Option<RunId>, open_only: bool) -> Result<Vec<Break>, StoreError> {
    use sqlx::Row as _;
    let rows = sqlx::query(
        "select b.id, b.kind, b.run_id, p.code, b.order_id, b.message_id, b.entry, b.amount, b.detail, b.opened_at, b.resolved_by, b.resolution
           from break b left join provider p on p.id = b.provider_id
          where ($1::bigint is null or b.run_id = $1) and (not $2 or b.resolved_at is null) order by b.id",
    )
    .bind(run.map(RunId::get))
    .bind(open_only)
    .fetch_all(store.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Break {
                id: row.try_get(0)?,
                kind: row.try_get(1)?,
                run: row.try_get(2)?,
                provider: row.try_get(3)?,
                order: row.try_get(4)?,
                message: row.try_get(5)?,
                entry: row.try_get(6)?,
                amount: row.try_get::<Option<i64>, _>(7)?.map(Centimes::new),
                detail: row.try_get(8)?,
                opened_at: row.try_get(9)?,
                resolved_by: row.try_get(10)?,
                resolution: row.try_get(11)?,
            })
        })
        .collect()
}

/// Open breaks by kind, of all runs.
///
/// # Errors
/// When the database is gone.
pub async fn open_by_kind(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sqlx::query_as("select kind, count(*) from break where resolved_at is null group by 1 order by 1")
        .fetch_all(store.pool())
        .await?)
}

/// Open breaks that concern a run: its own, and those of providers it uses that belong to no run.
///
/// # Errors
/// When the database is gone.
pub async fn open_count_in_tx(connection: &mut PgConnection, run: RunId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "select count(*) from break b where resolved_at is null and (run_id = $1 or (run_id is null
            and (provider_id is null or provider_id in (select provider_id from batch where run_id = $1))))",
    )
    .bind(run.get())
    .fetch_one(connection)
    .await?)
}

/// Resolves an open break; `false` when it is not open.
///
/// # Errors
/// When the database is gone.
pub async fn resolve_in_tx(
    connection: &mut PgConnection,
    id: i64,
    by: &str,
    how: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query("update break set resolved_by = $2, resolution = $3, resolved_at = $4 where id = $1 and resolved_at is null")
        .bind(id)
        .bind(by)
        .bind(how)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Resolves the breaks of a kind in a run whose fact no longer holds.
///
/// # Errors
/// When the database is gone.
pub async fn resolve_gone_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    kinds: &[BreakKind],
    still: &[String],
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "update break set resolved_by = 'sarf', resolution = 'explained by later feedback', resolved_at = $4
          where run_id = $1 and kind = any($2) and resolved_at is null and dedup_key <> all($3)",
    )
    .bind(run.get())
    .bind(kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>())
    .bind(still)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
