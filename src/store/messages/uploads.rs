//! Confirmations that a payment institution uploads piece by piece: what has come so far, and what came of it.

use futures_util::TryStreamExt as _;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::store::{Store, StoreError};

/// An upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Provider number.
    pub provider_id: i16,
    /// Length of the whole.
    pub bytes: i64,
    /// SHA-256 of the whole.
    pub sha256: Vec<u8>,
    /// Bytes that have come, each counted once.
    pub received: i64,
    /// What came of it, once it was taken.
    pub result: Option<serde_json::Value>,
}

const COLUMNS: &str = "select provider_id, bytes, sha256, received, result from upload where id = $1";

/// Begins an upload unless it has begun, and finds it, its row locked.
///
/// # Errors
/// With the constraint `upload_id_check` on a malformed id, or when the database is gone.
pub async fn begin_in_tx(
    connection: &mut PgConnection,
    id: &str,
    provider_id: i16,
    bytes: i64,
    sha256: &[u8; 32],
    at: OffsetDateTime,
) -> Result<Upload, StoreError> {
    sqlx::query(
        "insert into upload (id, provider_id, bytes, sha256, begun_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
    )
    .bind(id)
    .bind(provider_id)
    .bind(bytes)
    .bind(sha256.as_slice())
    .bind(at)
    .execute(&mut *connection)
    .await?;
    locked_in_tx(connection, id).await?.ok_or(StoreError::Corrupt("upload"))
}

/// Finds an upload, its row locked.
pub async fn locked_in_tx(connection: &mut PgConnection, id: &str) -> Result<Option<Upload>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} for update"));
    sqlx::query(sql).bind(id).fetch_optional(connection).await?.as_ref().map(read).transpose()
}

/// Finds an upload.
pub async fn find(store: &Store, id: &str) -> Result<Option<Upload>, StoreError> {
    sqlx::query(COLUMNS).bind(id).fetch_optional(store.pool()).await?.as_ref().map(read).transpose()
}

fn read(row: &sqlx::postgres::PgRow) -> Result<Upload, StoreError> {
    use sqlx::Row as _;
    Ok(Upload {
        provider_id: row.try_get(0)?,
        bytes: row.try_get(1)?,
        sha256: row.try_get(2)?,
        received: row.try_get(3)?,
        result: row.try_get(4)?,
    })
}

/// How many uploads of a provider are not whole yet.
pub async fn unfinished_in_tx(connection: &mut PgConnection, provider_id: i16) -> Result<i64, StoreError> {
    let sql = "select count(*) from upload where provider_id = $1 and done_at is null";
    Ok(sqlx::query_scalar(sql).bind(provider_id).fetch_one(connection).await?)
}

/// Pieces that share a byte with `first..end`, ascending: where each begins, and its bytes.
pub async fn overlapping_in_tx(
    connection: &mut PgConnection,
    id: &str,
    first: i64,
    end: i64,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    Ok(sqlx::query_as(
        "select first_byte, body from upload_piece
          where upload_id = $1 and first_byte < $3 and first_byte + octet_length(body) > $2 order by first_byte",
    )
    .bind(id)
    .bind(first)
    .bind(end)
    .fetch_all(connection)
    .await?)
}

/// Keeps a piece whose bytes are all new, and counts them; `false` when the upload has too many pieces already.
pub async fn add_piece_in_tx(
    connection: &mut PgConnection,
    id: &str,
    first: i64,
    body: &[u8],
    pieces_max: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into upload_piece (upload_id, first_byte, body)
         select $1, $2, $3 where (select count(*) from upload_piece where upload_id = $1) < $4",
    )
    .bind(id)
    .bind(first)
    .bind(body)
    .bind(pieces_max)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("update upload set received = received + $2 where id = $1")
        .bind(id)
        .bind(body.len() as i64)
        .execute(connection)
        .await?;
    Ok(true)
}

/// What has come, as `(first byte, end)`, ascending, neighbours joined.
pub async fn spans(store: &Store, id: &str) -> Result<Vec<(i64, i64)>, StoreError> {
    let pieces: Vec<(i64, i64)> = sqlx::query_as(
        "select first_byte, first_byte + octet_length(body) from upload_piece where upload_id = $1 order by 1",
    )
    .bind(id)
    .fetch_all(store.pool())
    .await?;
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (first, end) in pieces {
        match joined.last_mut() {
            Some(last) if last.1 >= first => last.1 = end,
            _ => joined.push((first, end)),
        }
    }
    Ok(joined)
}

/// The whole, put together.
///
/// # Errors
/// When the database is gone, or a piece is missing.
pub async fn whole(store: &Store, id: &str, bytes: i64) -> Result<Vec<u8>, StoreError> {
    let mut whole = Vec::with_capacity(usize::try_from(bytes).map_err(|_| StoreError::Corrupt("upload"))?);
    let mut pieces = sqlx::query_as::<_, (i64, Vec<u8>)>(
        "select first_byte, body from upload_piece where upload_id = $1 order by first_byte",
    )
    .bind(id)
    .fetch(store.pool());
    while let Some((first, body)) = pieces.try_next().await? {
        if first != whole.len() as i64 {
            return Err(StoreError::Corrupt("upload"));
        }
        whole.extend_from_slice(&body);
    }
    if whole.len() as i64 == bytes { Ok(whole) } else { Err(StoreError::Corrupt("upload")) }
}

/// Keeps what came of an upload, and lets its pieces go.
pub async fn finish_in_tx(
    connection: &mut PgConnection,
    id: &str,
    result: &serde_json::Value,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("delete from upload_piece where upload_id = $1").bind(id).execute(&mut *connection).await?;
    sqlx::query("update upload set done_at = $2, result = $3 where id = $1 and done_at is null")
        .bind(id)
        .bind(at)
        .bind(result)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes an upload away, so that it can begin anew.
pub async fn drop_in_tx(connection: &mut PgConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query("delete from upload_piece where upload_id = $1").bind(id).execute(&mut *connection).await?;
    sqlx::query("delete from upload where id = $1 and done_at is null").bind(id).execute(connection).await?;
    Ok(())
}

/// Takes away uploads that were begun before one instant and never became whole, and results from before another; says
/// how many.
pub async fn prune(
    store: &Store,
    unfinished_before: OffsetDateTime,
    done_before: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut tx = store.begin().await?;
    let mut gone = 0;
    for sql in [
        "delete from upload_piece where upload_id in
            (select id from upload where (done_at is null and begun_at < $1) or done_at < $2)",
        "delete from upload where (done_at is null and begun_at < $1) or done_at < $2",
    ] {
        let done = sqlx::query(sql).bind(unfinished_before).bind(done_before).execute(&mut *tx).await?;
        gone = done.rows_affected();
    }
    tx.commit().await?;
    Ok(gone)
}
