//! The short numbers of configured codes (programmes, providers, purposes).

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::store::StoreError;

// Known codes are asked for first: an insert that comes to nothing uses a number up all the same, and there are few.
const GIVE_PROGRAMME: &str =
    "insert into programme (code) select $1 where not exists (select from programme where code = $1)
    on conflict do nothing";
const GIVE_PURPOSE: &str = "insert into purpose (code) select $1 where not exists (select from purpose where code = $1) on conflict do nothing";
const GIVE_PROVIDER: &str = "insert into provider (code)
    select c from unnest($1::text[]) c where not exists (select from provider p where p.code = c) on conflict do nothing";

/// The number of a programme, given on first sight.
pub async fn programme_id_in_tx(connection: &mut PgConnection, code: &str) -> Result<i16, StoreError> {
    sqlx::query(GIVE_PROGRAMME).bind(code).execute(&mut *connection).await?;
    Ok(sqlx::query_scalar("select id from programme where code = $1")
        .bind(code)
        .fetch_one(connection)
        .await?)
}

/// The number of a purpose, given on first sight.
pub async fn purpose_id_in_tx(connection: &mut PgConnection, code: &str) -> Result<i16, StoreError> {
    sqlx::query(GIVE_PURPOSE).bind(code).execute(&mut *connection).await?;
    Ok(sqlx::query_scalar("select id from purpose where code = $1").bind(code).fetch_one(connection).await?)
}

/// The numbers of all providers, those in `codes` given on first sight.
pub async fn provider_ids_in_tx(
    connection: &mut PgConnection,
    codes: &[String],
) -> Result<HashMap<String, i16>, StoreError> {
    sqlx::query(GIVE_PROVIDER).bind(codes).execute(&mut *connection).await?;
    let rows: Vec<(String, i16)> =
        sqlx::query_as("select code, id from provider").fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}
