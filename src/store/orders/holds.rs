//! Holds: why an order is kept back, by whom, and who let it go.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::{OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::HoldReason;
use crate::store::batches::membership;
use crate::store::copy::{CopyBuffer, CopyOut};
use crate::store::{Store, StoreError};

/// Columns in the order that [`push`] writes them.
pub const COLUMNS: &str = "order_id, reason, placed_by, placed_at";

/// Appends a hold to a buffer.
pub fn push(buffer: &mut CopyBuffer, order: OrderId, reason: HoldReason, by: &str, at: OffsetDateTime) {
    buffer.row(4).i64(order.get()).text(reason.as_str()).text(by).timestamp(at);
}

/// A hold on an order.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Hold {
    /// Reason code.
    pub reason: String,
    /// Who placed it.
    pub placed_by: String,
    /// Who released it.
    pub released_by: Option<String>,
    /// Why it was released.
    pub released_why: Option<String>,
}

/// Holds of an order.
pub async fn of_order(store: &Store, order: OrderId) -> Result<Vec<Hold>, StoreError> {
    let rows: Vec<(String, String, Option<String>, Option<String>)> =
        sqlx::query_as("select reason, placed_by, released_by, released_why from order_hold where order_id = $1 order by reason")
            .bind(order.get())
            .fetch_all(store.pool())
            .await?;
    Ok(rows
        .into_iter()
        .map(|(reason, placed_by, released_by, released_why)| Hold {
            reason,
            placed_by,
            released_by,
            released_why,
        })
        .collect())
}

/// Open holds of a run by reason: orders and their sum; an order with two reasons counts under each.
pub async fn by_reason_in_tx(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(String, i64, Centimes)>, StoreError> {
    let (low, high) = OrderId::bounds(run);
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select h.reason, count(*), coalesce(sum(o.amount), 0)::bigint from order_hold h join payment_order o using (order_id)
          where h.released_at is null and h.order_id >= $1 and h.order_id < $2 group by 1 order by 1",
    )
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(reason, orders, amount)| (reason, orders, Centimes::new(amount))).collect())
}

/// SHA-256 over which orders of a run are held and why: order numbers and reasons, ascending.
pub async fn digest_in_tx(connection: &mut PgConnection, run: RunId) -> Result<[u8; 32], StoreError> {
    let (low, high) = OrderId::bounds(run);
    let source = format!(
        "(select order_id, reason from order_hold
           where released_at is null and order_id >= {low} and order_id < {high} order by order_id, reason collate \"C\")"
    );
    let mut rows = CopyOut::begin(connection, &source).await?;
    let mut hash = Sha256::new();
    while let Some(mut row) = rows.next().await? {
        hash.update(row.i64()?.to_be_bytes());
        let reason = row.raw()?;
        hash.update((reason.len() as u64).to_be_bytes());
        hash.update(reason);
    }
    Ok(hash.finalize().into())
}

/// Open reasons of an order, with commas between.
pub async fn open_reasons_in_tx(connection: &mut PgConnection, order: OrderId) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(
        "select coalesce(string_agg(reason, ',' order by reason collate \"C\"), '') from order_hold
          where order_id = $1 and released_at is null",
    )
    .bind(order.get())
    .fetch_one(connection)
    .await?)
}

/// Takes a held order out of its planned batch, where it is in one: once let go, it leaves in a file of its own.
pub async fn leave_batch_in_tx(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    let sql = format!(
        "update order_hold h set missed_batch = b.id from payment_order o join batch b on b.run_id = $2
            and {} and b.state = 'planned'
          where o.order_id = $1 and h.order_id = $1 and h.released_at is null and h.missed_batch is null",
        membership::spans("b", "o.order_id", "o.provider_id")
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(order.get())
        .bind(order.run().get())
        .execute(connection)
        .await?;
    Ok(())
}

/// Orders of a run that are, or were, held for a reason, ascending.
pub async fn orders_with_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    reason: HoldReason,
) -> Result<Vec<OrderId>, StoreError> {
    let (low, high) = OrderId::bounds(run);
    let ids: Vec<i64> = sqlx::query_scalar(
        "select order_id from order_hold where order_id >= $1 and order_id < $2 and reason = $3 order by 1",
    )
    .bind(low)
    .bind(high)
    .bind(reason.as_str())
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(OrderId::new).collect())
}

/// Places a manual hold; `false` when it stands already.
pub async fn place_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    detail: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into order_hold (order_id, reason, detail, placed_by, placed_at) values ($1, 'manual', $2, $3, $4)
         on conflict (order_id, reason) do update set released_by = null, released_at = null, released_why = null,
            detail = excluded.detail, placed_by = excluded.placed_by, placed_at = excluded.placed_at
          where order_hold.released_at is not null",
    )
    .bind(order.get())
    .bind(detail)
    .bind(by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Releases all holds of an order: how many were open.
pub async fn release_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    by: &str,
    why: &str,
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query("update order_hold set released_by = $2, released_why = $3, released_at = $4 where order_id = $1 and released_at is null")
        .bind(order.get())
        .bind(by)
        .bind(why)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// An order, as far as it can still be held.
#[derive(Clone, Copy, Debug)]
pub struct Reachable {
    /// Which.
    pub order: OrderId,
    /// Provider number.
    pub provider: i16,
    /// Amount.
    pub amount: Centimes,
    /// It is held already.
    pub held: bool,
    /// Its batch is released.
    pub released: bool,
}

/// Where orders of a run lie, within the transaction that locked it.
pub async fn reachable_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    of: &[OrderId],
) -> Result<Vec<Reachable>, StoreError> {
    let sql = format!(
        "select o.order_id, o.provider_id, o.amount,
                exists (select from order_hold h where h.order_id = o.order_id and h.released_at is null),
                {released}
           from {leaf} o where o.order_id = any($1) order by 1",
        released = membership::released(&run.to_string()),
        leaf = super::leaf(run)
    );
    let ids: Vec<i64> = of.iter().map(|order| order.get()).collect();
    let rows: Vec<(i64, i16, i64, bool, bool)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).persistent(false).bind(ids).fetch_all(connection).await?;
    let read = |(order, provider, amount, held, released)| Reachable {
        order: OrderId::new(order),
        provider,
        amount: Centimes::new(amount),
        held,
        released,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Holds orders for other orders, whose numbers are kept as the detail.
pub async fn place_for_in_tx(
    connection: &mut PgConnection,
    pairs: &[(OrderId, OrderId)],
    reason: HoldReason,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    if pairs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into order_hold (order_id, reason, detail, placed_by, placed_at)
         select o, $3, f::text, 'sarf', $4 from unnest($1::bigint[], $2::bigint[]) as p(o, f)
         on conflict (order_id, reason) do update set released_by = null, released_at = null, released_why = null,
            detail = excluded.detail, placed_by = excluded.placed_by, placed_at = excluded.placed_at",
    )
    .bind(pairs.iter().map(|(order, _)| order.get()).collect::<Vec<_>>())
    .bind(pairs.iter().map(|(_, other)| other.get()).collect::<Vec<_>>())
    .bind(reason.as_str())
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The order of another programme that an order is held for, as long as that one's run is not cancelled.
pub async fn gives_way_to_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<OrderId>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "select h.detail::bigint from order_hold h join run r on r.id = h.detail::bigint >> 32
          where h.order_id = $1 and h.reason = $2 and h.released_at is null and r.state <> 'cancelled'",
    )
    .bind(order.get())
    .bind(HoldReason::OtherProgrammePays.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(found.map(OrderId::new))
}

/// Whether an order has an open hold.
pub async fn is_held_in_tx(connection: &mut PgConnection, order: OrderId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select from order_hold where order_id = $1 and released_at is null)",
    )
    .bind(order.get())
    .fetch_one(connection)
    .await?)
}
