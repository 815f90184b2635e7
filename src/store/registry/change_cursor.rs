//! How far each provider's list of changes was read, and whose turn it is to read on.

use crate::store::{Store, StoreError};

/// Takes the turn to read a provider's changes, once in `every_s` seconds over all workers: the cursor to read from.
pub async fn claim(store: &Store, provider: i16, every_s: u32) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "insert into change_cursor as c (provider_id, cursor, read_at) values ($1, '', clock_timestamp())
         on conflict (provider_id) do update set read_at = clock_timestamp()
          where c.read_at <= clock_timestamp() - $2::bigint * interval '1 second'
         returning cursor",
    )
    .bind(provider)
    .bind(i64::from(every_s))
    .fetch_optional(store.pool())
    .await?)
}

/// Moves the cursor on, if nobody else has; with `more` waiting, the next turn is at once.
pub async fn keep(store: &Store, provider: i16, from: &str, to: &str, more: bool) -> Result<(), StoreError> {
    sqlx::query(
        "update change_cursor set cursor = $3, read_at = case when $4 then to_timestamp(0) else read_at end
          where provider_id = $1 and cursor = $2",
    )
    .bind(provider)
    .bind(from)
    .bind(to)
    .bind(more)
    .execute(store.pool())
    .await?;
    Ok(())
}
