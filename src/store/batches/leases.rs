//! Leases: work that only one process may do at a time, over all machines.
//!
//! Times are those of the database's clock, since it is the only one that all processes share.

use std::time::Duration;

use crate::store::{Store, StoreError};

/// Takes a lease that nobody holds, or whose time is over: its fence, or `None` while somebody holds it.
pub async fn acquire(
    store: &Store,
    name: &str,
    holder: &str,
    time: Duration,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(
        "insert into lease (name, holder, fence, held_until)
         values ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
         on conflict (name) do update
            set holder = excluded.holder, fence = lease.fence + 1, held_until = excluded.held_until
          where lease.held_until <= clock_timestamp()
         returning fence",
    )
    .bind(name)
    .bind(holder)
    .bind(milliseconds(time))
    .fetch_optional(store.pool())
    .await?)
}

/// Holds a lease for longer: whether it was still held. One that ran out and that nobody took is held again.
pub async fn renew(store: &Store, name: &str, fence: i64, time: Duration) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update lease set held_until = clock_timestamp() + $3 * interval '1 millisecond'
          where name = $1 and fence = $2 and held_until <> '-infinity'",
    )
    .bind(name)
    .bind(fence)
    .bind(milliseconds(time))
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a lease back, so that the next need not wait for its end; nothing happens when it is another's by now.
pub async fn release(store: &Store, name: &str, fence: i64) -> Result<(), StoreError> {
    sqlx::query("update lease set held_until = '-infinity' where name = $1 and fence = $2")
        .bind(name)
        .bind(fence)
        .execute(store.pool())
        .await?;
    Ok(())
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
