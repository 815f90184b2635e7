//! The rules that runs were computed with, by the hash of their text.

use sqlx::PgConnection;

use crate::store::{Store, StoreError};

/// Keeps a programme's rules.
pub async fn keep_in_tx(
    connection: &mut PgConnection,
    sha256: &[u8; 32],
    programme: &str,
    body: &str,
) -> Result<(), StoreError> {
    sqlx::query("insert into rule_set (sha256, programme, body) values ($1, $2, $3) on conflict do nothing")
        .bind(sha256.as_slice())
        .bind(programme)
        .bind(body)
        .execute(connection)
        .await?;
    Ok(())
}

/// The text of rules; `None` where they were not kept.
pub async fn find(store: &Store, sha256: &[u8]) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("select body from rule_set where sha256 = $1")
        .bind(sha256)
        .fetch_optional(store.pool())
        .await?)
}
