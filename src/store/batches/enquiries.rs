//! Orders to ask their provider about: unknown ones, and accepted ones of a provider that tells nothing by itself.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::OrderId;
use crate::store::{Store, StoreError};

/// An order to ask about.
#[derive(Clone, Copy, Debug)]
pub struct Enquiry {
    /// Which.
    pub order: OrderId,
    /// Whether the provider may never have got it.
    pub unknown: bool,
    /// Since when.
    pub since: OffsetDateTime,
    /// Enquiries made.
    pub tries: i32,
    /// Whether a person was asked.
    pub asked_person: bool,
}

/// Puts orders on the list, or changes what they are asked for.
pub async fn put_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    orders: &[i64],
    unknown: bool,
    now: OffsetDateTime,
    next_at: OffsetDateTime,
) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into enquiry (order_id, provider_id, unknown, since, next_at)
         select o, $2, $3, $4, $5 from unnest($1::bigint[]) o
         on conflict (order_id) do update set unknown = excluded.unknown, since = excluded.since, leased_until = null,
                next_at = excluded.next_at, tries = 0",
    )
    .bind(orders)
    .bind(provider)
    .bind(unknown)
    .bind(now)
    .bind(next_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes orders off the list.
pub async fn remove_in_tx(connection: &mut PgConnection, orders: &[i64]) -> Result<(), StoreError> {
    sqlx::query("delete from enquiry where order_id = any($1)").bind(orders).execute(connection).await?;
    Ok(())
}

/// Claims orders that are due, for so many seconds; a worker that dies leaves them to the next.
pub async fn claim(
    store: &Store,
    provider: i16,
    limit: i64,
    lease_s: u32,
    now: OffsetDateTime,
) -> Result<Vec<Enquiry>, StoreError> {
    type Row = (i64, bool, OffsetDateTime, i32, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "update enquiry e set leased_until = clock_timestamp() + $3::bigint * interval '1 second', tries = tries + 1
          where e.order_id in (select order_id from enquiry where provider_id = $1 and next_at <= $4
                                  and (leased_until is null or leased_until < clock_timestamp())
                                order by next_at, order_id limit $2 for update skip locked)
         returning order_id, unknown, since, tries, asked_person",
    )
    .bind(provider)
    .bind(limit)
    .bind(i64::from(lease_s))
    .bind(now)
    .fetch_all(store.pool())
    .await?;
    let mut found: Vec<Enquiry> = rows
        .into_iter()
        .map(|(order, unknown, since, tries, asked_person)| Enquiry {
            order: OrderId::new(order),
            unknown,
            since,
            tries,
            asked_person,
        })
        .collect();
    found.sort_by_key(|e| e.order);
    Ok(found)
}

/// Puts enquiries off until `next_at`, those that are still on the list.
pub async fn put_off(store: &Store, orders: &[i64], next_at: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("update enquiry set next_at = $2, leased_until = null where order_id = any($1)")
        .bind(orders)
        .bind(next_at)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Notes that a person was asked about orders.
pub async fn mark_asked_in_tx(connection: &mut PgConnection, orders: &[i64]) -> Result<(), StoreError> {
    sqlx::query("update enquiry set asked_person = true where order_id = any($1)")
        .bind(orders)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many orders are on a provider's list.
pub async fn count(store: &Store, provider: i16, unknown_only: bool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select count(*) from enquiry where provider_id = $1 and (unknown or not $2)")
        .bind(provider)
        .bind(unknown_only)
        .fetch_one(store.pool())
        .await?)
}
