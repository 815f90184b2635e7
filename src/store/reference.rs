//! The short numbers of configured codes (programmes, providers, purposes).

use std::collections::HashMap;

use sqlx::PgConnection;

use super::StoreError;

/// The number of a programme, given on first sight.
///
/// # Errors
/// When the database is gone.
pub async fn programme_id_in_tx(connection: &mut PgConnection, code: &str) -> Result<i16, StoreError> {
    sqlx::query("insert into programme (code) values ($1) on conflict do nothing")
        .bind(code)
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar("select id from programme where code = $1")
        .bind(code)
        .fetch_one(connection)
        .await?)
}

/// The number of a purpose, given on first sight.
///
/// # Errors
/// When the database is gone.
pub async fn purpose_id_in_tx(connection: &mut PgConnection, code: &str) -> Result<i16, StoreError> {
    sqlx::query("insert into purpose (code) values ($1) on conflict do nothing")
        .bind(code)
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar("select id from purpose where code = $1").bind(code).fetch_one(connection).await?)
}

/// The numbers of all providers, those in `codes` given on first sight.
///
/// # Errors
/// When the database is gone.
pub async fn provider_ids_in_tx(
    connection: &mut PgConnection,
    codes: &[String],
) -> Result<HashMap<String, i16>, StoreError> {
    sqlx::query("insert into provider (code) select unnest($1::text[]) on conflict do nothing")
        .bind(codes)
        .execute(&mut *connection)
        .await?;
    let rows: Vec<(String, i16)> =
        sqlx::query_as("select code, id from provider").fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}
