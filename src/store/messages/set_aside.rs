//! Files of messages that were set aside: why, since when, how often they were tried, and what came of them.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::store::{Store, StoreError};

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct SetAside {
    /// Its number.
    pub id: i64,
    /// SHA-256 of the file.
    #[serde(skip)]
    pub sha256: Vec<u8>,
    /// The name that it came under.
    pub file_name: String,
    /// Its length.
    pub bytes: i64,
    /// Why, with the place in the file.
    pub why: String,
    /// How many breaks it would open, where that is why.
    pub breaks: Option<i64>,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub set_aside_at: OffsetDateTime,
    /// When it was tried last.
    #[serde(with = "time::serde::rfc3339")]
    pub tried_at: OffsetDateTime,
    /// How often it was tried.
    pub tries: i32,
    /// What came of it: `applied`, `dismissed`; nothing while it waits.
    pub settlement: Option<String>,
}

/// A file that is set aside now.
#[derive(Clone, Debug)]
pub struct NewSetAside<'a> {
    /// SHA-256 of the file.
    pub sha256: &'a [u8],
    /// The name that it came under.
    pub file_name: &'a str,
    /// Its length.
    pub bytes: u64,
    /// Why, with the place in the file.
    pub why: &'a str,
    /// How many breaks it would open, where that is why.
    pub breaks: Option<u64>,
    /// When.
    pub at: OffsetDateTime,
}

const COLUMNS: &str = "id, sha256, file_name, bytes, why, breaks, set_aside_at, tried_at, tries, settlement";

/// Keeps that a file was set aside, or tried in vain again; its number. One that a person dismissed stays dismissed.
pub async fn keep_in_tx(connection: &mut PgConnection, new: &NewSetAside<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "insert into message_set_aside (sha256, file_name, bytes, why, breaks, set_aside_at, tried_at)
         values ($1, $2, $3, $4, $5, $6, $6)
         on conflict (sha256) do update set why = excluded.why, breaks = excluded.breaks, tried_at = excluded.tried_at,
                                            tries = message_set_aside.tries + 1
         returning id",
    )
    .bind(new.sha256)
    .bind(new.file_name)
    .bind(new.bytes as i64)
    .bind(new.why)
    .bind(new.breaks.map(|n| n as i64))
    .bind(new.at)
    .fetch_one(connection)
    .await?)
}

/// Keeps what came of a file that waits; whether there was one.
pub async fn settle_in_tx(
    connection: &mut PgConnection,
    sha256: &[u8],
    settlement: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update message_set_aside set settlement = $2, settled_by = $3, settled_at = $4
          where sha256 = $1 and settled_at is null",
    )
    .bind(sha256)
    .bind(settlement)
    .bind(by)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Files that wait, the oldest first; with `all`, those that something came of too.
pub async fn list(store: &Store, all: bool) -> Result<Vec<SetAside>, StoreError> {
    let sql = format!("select {COLUMNS} from message_set_aside where settled_at is null or $1 order by id");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(all).fetch_all(store.pool()).await?)
}

/// One of them.
pub async fn find(store: &Store, id: i64) -> Result<Option<SetAside>, StoreError> {
    let sql = format!("select {COLUMNS} from message_set_aside where id = $1");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(store.pool()).await?)
}
