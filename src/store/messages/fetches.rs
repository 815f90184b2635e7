//! Messages that were fetched from providers: each once, until it is imported and done with there.

use std::collections::HashSet;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::store::{Store, StoreError};

/// A message that was fetched.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Fetch {
    /// Number.
    pub id: i64,
    /// Its name at the provider.
    pub remote_name: String,
    /// Its length.
    pub bytes: i64,
    /// When it was changed last there.
    pub modified: i64,
    /// Its name in the provider's folder of the inbox.
    pub local_name: String,
    /// Whether it was imported, or set aside.
    pub imported: bool,
}

/// A message that is here now.
#[derive(Clone, Debug)]
pub struct NewFetch<'a> {
    /// Provider number.
    pub provider: i16,
    /// Its name at the provider.
    pub remote_name: &'a str,
    /// Its length.
    pub bytes: u64,
    /// When it was changed last there.
    pub modified: i64,
    /// SHA-256 of it.
    pub sha256: &'a [u8; 32],
    /// Its name here.
    pub local_name: &'a str,
    /// It lies beside a message, and is none itself.
    pub is_companion: bool,
    /// When.
    pub at: OffsetDateTime,
}

/// Of these names, lengths and times of change, those that were fetched.
pub async fn known(
    store: &Store,
    provider: i16,
    names: &[String],
) -> Result<HashSet<(String, i64, i64)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select remote_name, bytes, modified from file_fetch where provider_id = $1 and remote_name = any($2)",
    )
    .bind(provider)
    .bind(names)
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().collect())
}

/// A name here that no fetched message of the provider has: `name`, or with a number behind it.
pub async fn free_name(store: &Store, provider: i16, name: &str) -> Result<String, StoreError> {
    let taken: Vec<String> = sqlx::query_scalar(
        "select local_name from file_fetch where provider_id = $1 and (local_name = $2 or starts_with(local_name, $2 || '.'))",
    )
    .bind(provider)
    .bind(name)
    .fetch_all(store.pool())
    .await?;
    let numbered = (0u32..).map(|n| if n == 0 { name.to_owned() } else { format!("{name}.{n}") });
    let free = numbered.into_iter().find(|free| !taken.contains(free));
    Ok(free.expect("there are more numbers than names"))
}

/// Keeps that a message is here.
pub async fn add_in_tx(connection: &mut PgConnection, new: &NewFetch<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "insert into file_fetch (provider_id, remote_name, bytes, modified, sha256, local_name, fetched_at, imported_at)
         values ($1, $2, $3, $4, $5, $6, $7::timestamptz, case when $8 then $7::timestamptz end)",
    )
    .bind(new.provider)
    .bind(new.remote_name)
    .bind(new.bytes as i64)
    .bind(new.modified)
    .bind(new.sha256.as_slice())
    .bind(new.local_name)
    .bind(new.at)
    .bind(new.is_companion)
    .execute(connection)
    .await?;
    Ok(())
}

/// Messages of a provider that are not imported, or not done with at the provider, in the order in which they came.
pub async fn open(store: &Store, provider: i16) -> Result<Vec<Fetch>, StoreError> {
    Ok(sqlx::query_as(
        "select id, remote_name, bytes, modified, local_name, imported_at is not null as imported from file_fetch
          where provider_id = $1 and (imported_at is null or not settled) order by id",
    )
    .bind(provider)
    .fetch_all(store.pool())
    .await?)
}

/// Keeps that messages were imported, or set aside.
pub async fn imported_in_tx(
    connection: &mut PgConnection,
    ids: &[i64],
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update file_fetch set imported_at = $2 where id = any($1) and imported_at is null")
        .bind(ids)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps that nothing of a message is imported, and why.
pub async fn refused_in_tx(
    connection: &mut PgConnection,
    id: i64,
    why: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update file_fetch set refused = $2, imported_at = $3 where id = $1 and imported_at is null")
        .bind(id)
        .bind(why)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Of these names, those that some message of the provider had.
pub async fn names_met(
    store: &Store,
    provider: i16,
    names: &[String],
) -> Result<HashSet<String>, StoreError> {
    let sql = "select distinct remote_name from file_fetch where provider_id = $1 and remote_name = any($2)";
    let met: Vec<String> = sqlx::query_scalar(sql).bind(provider).bind(names).fetch_all(store.pool()).await?;
    Ok(met.into_iter().collect())
}

/// Keeps that what was agreed was done with a message at the provider.
pub async fn settled_in_tx(connection: &mut PgConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("update file_fetch set settled = true where id = $1").bind(id).execute(connection).await?;
    Ok(())
}
