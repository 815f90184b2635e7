//! Files on their way to providers that are brought them, and how far each came.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use crate::domain::delivery::{DeliveryState, StopReason};
use crate::domain::ids::{BatchId, RecallId};
use crate::store::{Store, StoreError};

/// A file that is to be brought to its provider.
#[derive(Clone, Debug)]
pub struct NewDelivery<'a> {
    /// Provider number.
    pub provider: i16,
    /// Name of the file, here and there.
    pub file_name: &'a str,
    /// What it holds.
    pub of: Subject,
    /// SHA-256 of it.
    pub sha256: &'a [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Since when it waits.
    pub at: OffsetDateTime,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The orders of a batch.
    Batch(BatchId),
    /// A recall.
    Recall(RecallId),
}

/// A file on its way.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Delivery {
    /// Number.
    pub id: i64,
    /// Provider code.
    pub provider: String,
    /// Provider number.
    #[serde(skip)]
    pub provider_id: i16,
    /// Name of the file.
    pub file_name: String,
    /// Message that it holds.
    pub kind: String,
    /// Run of its orders.
    pub run_id: i64,
    /// Batch that it holds, where it holds one.
    pub batch_id: Option<i64>,
    /// SHA-256 of it.
    #[serde(skip)]
    pub sha256: Vec<u8>,
    /// Its length.
    pub bytes: i64,
    /// SHA-256 of it as it travels, where it is sealed.
    #[serde(skip)]
    pub travels_sha256: Option<Vec<u8>>,
    /// Its length then.
    #[serde(skip)]
    pub travels_bytes: Option<i64>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: DeliveryState,
    /// Since when it waits.
    #[serde(with = "time::serde::rfc3339")]
    pub waits_since: OffsetDateTime,
    /// How often it was tried.
    pub tries: i32,
    /// What went wrong last.
    pub fault: Option<String>,
    /// Why a person is asked.
    pub stop_reason: Option<String>,
    /// Host that took it.
    pub host: Option<String>,
    /// When it was seen there.
    #[serde(with = "time::serde::rfc3339::option")]
    pub delivered_at: Option<OffsetDateTime>,
    /// Whether the provider answered to it.
    pub answered: bool,
    /// Where its batch or recall stands: once it is answered, what was said.
    pub of_state: String,
    /// Its run is paused: nothing of it leaves.
    pub paused: bool,
}

const SELECT: &str = "select d.*, p.code as provider from delivery d join provider p on p.id = d.provider_id";

/// Keeps that a file is to be brought to its provider.
pub async fn add_in_tx(connection: &mut PgConnection, new: &NewDelivery<'_>) -> Result<(), StoreError> {
    let (kind, batch, recall) = match new.of {
        Subject::Batch(id) => ("pain.001", Some(id.get()), None),
        Subject::Recall(id) => ("camt.055", None, Some(id.get())),
    };
    sqlx::query(
        "insert into file_delivery (provider_id, file_name, kind, batch_id, recall_id, sha256, bytes, waits_since)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (provider_id, file_name) do nothing",
    )
    .bind(new.provider)
    .bind(new.file_name)
    .bind(kind)
    .bind(batch)
    .bind(recall)
    .bind(new.sha256.as_slice())
    .bind(new.bytes as i64)
    .bind(new.at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Files of a provider that are not seen there yet, that no person is asked about and whose run is not paused, the oldest first.
pub async fn under_way(store: &Store, provider: &str) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!(
        "{SELECT} where p.code = $1 and d.state in ('waiting', 'naming') and not d.answered and not d.paused order by d.id"
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(provider).fetch_all(store.pool()).await?)
}

/// Files that are not at their end: under way, stopped, or delivered and not answered; with `all`, the others too, the newest first,
/// at most a thousand.
pub async fn list(store: &Store, all: bool) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!(
        "{SELECT} where $1 or d.state <> 'delivered'
            or not d.answered order by d.id desc limit 1000"
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(all).fetch_all(store.pool()).await?)
}

/// The file of a name.
pub async fn find_in_tx(
    connection: &mut PgConnection,
    provider: &str,
    file_name: &str,
) -> Result<Option<Delivery>, StoreError> {
    sqlx::query("select from file_delivery where file_name = $1 for update")
        .bind(file_name)
        .execute(&mut *connection)
        .await?;
    let sql = format!("{SELECT} where p.code = $1 and d.file_name = $2");
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(provider).bind(file_name).fetch_optional(connection).await?)
}

/// Keeps what travels of a file that is sealed.
pub async fn sealed_in_tx(
    connection: &mut PgConnection,
    id: i64,
    name: &str,
    sha256: &[u8; 32],
    bytes: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "update file_delivery set travels_as = $2, travels_sha256 = $3, travels_bytes = $4 where id = $1",
    )
    .bind(id)
    .bind(name)
    .bind(sha256.as_slice())
    .bind(bytes as i64)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps that a file is about to be given its name at the provider; false where its run was paused meanwhile.
pub async fn naming_in_tx(connection: &mut PgConnection, id: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update file_delivery set state = 'naming' where id = $1 and state in ('waiting', 'naming')
            and not (select d.paused from delivery d where d.id = $1)",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps that a file was seen at the provider, or that a person says it is there; whether it was under way until then.
pub async fn delivered_in_tx(
    connection: &mut PgConnection,
    id: i64,
    host: Option<&str>,
    at: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update file_delivery set state = 'delivered', delivered_at = $3, host = coalesce($2, host), fault = null, stop_reason = null
          where id = $1 and state <> 'delivered'",
    )
    .bind(id)
    .bind(host)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps that a try failed; with a `reason`, a person is asked.
pub async fn failed_in_tx(
    connection: &mut PgConnection,
    id: i64,
    fault: &str,
    reason: Option<StopReason>,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "update file_delivery set tries = tries + 1, tried_at = $4, fault = $2, stop_reason = $3,
                state = case when $3::text is null then state else 'stopped' end
          where id = $1 and state in ('waiting', 'naming')",
    )
    .bind(id)
    .bind(fault)
    .bind(reason.map(StopReason::as_str))
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// A person wants it brought once more.
pub async fn again_in_tx(
    connection: &mut PgConnection,
    id: i64,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "update file_delivery set state = 'waiting', waits_since = $2, delivered_at = null, stop_reason = null, fault = null where id = $1",
    )
    .bind(id)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Files that were answered while they still seemed to be under way, or a person was asked: they were there.
pub async fn answered_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    at: OffsetDateTime,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "update file_delivery d set state = 'delivered', delivered_at = $2, fault = null, stop_reason = null
           from delivery o where o.id = d.id and o.provider_id = $1 and o.state <> 'delivered' and o.answered
         returning d.file_name",
    )
    .bind(provider)
    .bind(at)
    .fetch_all(connection)
    .await?)
}
