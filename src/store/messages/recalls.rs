//! Recalls: what was asked back, of whom, until when, and what was answered.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use time::{Date, OffsetDateTime};

use crate::domain::batch::Lane;
use crate::domain::ids::{BatchId, MessageId, OrderId, RecallId, RunId};
use crate::domain::recall::{CancellationReason, RecallState};
use crate::store::batches::membership;
use crate::store::{Store, StoreError};

/// A recall.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Recall {
    /// Number.
    pub id: RecallId,
    /// The order asked back.
    #[serde(serialize_with = "write_number")]
    pub order: OrderId,
    /// Its run.
    pub run: RunId,
    /// Provider number.
    #[serde(skip)]
    pub provider_id: i16,
    /// Provider code.
    pub provider: String,
    /// The batch it left in.
    pub batch: BatchId,
    /// How it left.
    pub lane: Lane,
    /// Why, by code.
    pub reason: CancellationReason,
    /// Who asked.
    pub asked_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub asked_at: OffsetDateTime,
    /// When its time is over.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// Where it stands; see [`RecallState::seen`].
    pub state: RecallState,
    /// Id of the message and of the case.
    pub message_id: String,
    /// Name of the file, in the file lane.
    pub file_name: Option<String>,
    /// Code of the answer.
    pub answer: Option<String>,
    /// When it was answered.
    #[serde(with = "time::serde::rfc3339::option")]
    pub answered_at: Option<OffsetDateTime>,
}

fn write_number<S: serde::Serializer>(order: &OrderId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(order.get())
}

const SELECT: &str =
    "select r.id, r.order_id, r.run_id, r.provider_id, p.code, r.batch_id, r.lane, r.reason, r.asked_by,
    r.asked_at, r.deadline, r.state, coalesce(r.message_id, ''), r.file_name, r.answer, r.answered_at
    from recall r join provider p on p.id = r.provider_id";

fn read(row: &PgRow) -> Result<Recall, StoreError> {
    let (lane, reason, state): (String, String, String) =
        (row.try_get(6)?, row.try_get(7)?, row.try_get(11)?);
    Ok(Recall {
        id: RecallId::new(row.try_get(0)?),
        order: OrderId::new(row.try_get(1)?),
        run: RunId::new(row.try_get(2)?),
        provider_id: row.try_get(3)?,
        provider: row.try_get(4)?,
        batch: BatchId::new(row.try_get(5)?),
        lane: Lane::parse(&lane).ok_or(StoreError::Corrupt("lane of a recall"))?,
        reason: CancellationReason::parse(&reason).ok_or(StoreError::Corrupt("reason of a recall"))?,
        asked_by: row.try_get(8)?,
        asked_at: row.try_get(9)?,
        deadline: row.try_get(10)?,
        state: RecallState::parse(&state).ok_or(StoreError::Corrupt("state of a recall"))?,
        message_id: row.try_get(12)?,
        file_name: row.try_get(13)?,
        answer: row.try_get(14)?,
        answered_at: row.try_get(15)?,
    })
}

/// The batch that an order left in, as a recall names it.
#[derive(Clone, Debug)]
pub struct LeftIn {
    /// Batch.
    pub batch: BatchId,
    /// Provider number.
    pub provider: i16,
    /// How it left.
    pub lane: Lane,
    /// Message id of its file.
    pub message_id: Option<String>,
    /// Execution date its file asks for.
    pub value_date: Option<Date>,
    /// Time of creation in its file.
    pub created_at: Option<OffsetDateTime>,
}

/// The batch that an order is in; `None` before it is released.
pub async fn left_in_tx(connection: &mut PgConnection, order: OrderId) -> Result<Option<LeftIn>, StoreError> {
    type Row = (i64, i16, String, Option<String>, Option<Date>, Option<OffsetDateTime>);
    let sql = format!(
        "select b.id, b.provider_id, b.lane, b.message_id, b.value_date, b.created_at
           from payment_order o {} where o.order_id = $1 and b.id is not null",
        membership::join_each("$2")
    );
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(order.get())
        .bind(order.run().get())
        .fetch_optional(connection)
        .await?;
    row.map(|(batch, provider, lane, message_id, value_date, created_at)| {
        Ok(LeftIn {
            batch: BatchId::new(batch),
            provider,
            lane: Lane::parse(&lane).ok_or(StoreError::Corrupt("lane of a batch"))?,
            message_id,
            value_date,
            created_at,
        })
    })
    .transpose()
}

/// A recall that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct NewRecall<'a> {
    /// The order.
    pub order: OrderId,
    /// Its provider's number.
    pub provider: i16,
    /// The batch it left in.
    pub batch: BatchId,
    /// How it left.
    pub lane: Lane,
    /// Why, by code.
    pub reason: CancellationReason,
    /// Why, in words, for the books.
    pub why: &'a str,
    /// Who asks.
    pub by: &'a str,
    /// When; whole seconds, since the file carries it.
    pub at: OffsetDateTime,
    /// When its time is over.
    pub deadline: OffsetDateTime,
}

/// Writes a recall.
///
/// # Errors
/// With the constraint `recall_undecided` when another of the order is undecided.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    new: &NewRecall<'_>,
) -> Result<RecallId, StoreError> {
    let id = sqlx::query_scalar(
        "insert into recall (order_id, run_id, provider_id, batch_id, lane, reason, why, asked_by, asked_at, deadline)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id",
    )
    .bind(new.order.get())
    .bind(new.order.run().get())
    .bind(new.provider)
    .bind(new.batch.get())
    .bind(new.lane.as_str())
    .bind(new.reason.as_str())
    .bind(new.why)
    .bind(new.by)
    .bind(new.at)
    .bind(new.deadline)
    .fetch_one(connection)
    .await?;
    Ok(RecallId::new(id))
}

/// Gives a recall the names that it goes by outside.
pub async fn name_in_tx(
    connection: &mut PgConnection,
    id: RecallId,
    message_id: &str,
    file_name: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("update recall set message_id = $2, file_name = $3 where id = $1")
        .bind(id.get())
        .bind(message_id)
        .bind(file_name)
        .execute(connection)
        .await?;
    Ok(())
}

/// A recall by its number, its row locked.
pub async fn find_in_tx(connection: &mut PgConnection, id: RecallId) -> Result<Option<Recall>, StoreError> {
    let sql = format!("{SELECT} where r.id = $1 for update of r");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.get()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The recall of an order, its row locked: that of the case where it is one of this order's, else the latest.
pub async fn of_order_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
    case_id: &str,
) -> Result<Option<Recall>, StoreError> {
    let sql = format!(
        "{SELECT} where r.order_id = $1 order by (r.message_id = $2) desc nulls last, r.id desc limit 1 for update of r"
    );
    let row =
        sqlx::query(AssertSqlSafe(sql)).bind(order.get()).bind(case_id).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The recall of a case, its row locked.
pub async fn of_case_in_tx(
    connection: &mut PgConnection,
    case_id: &str,
) -> Result<Option<Recall>, StoreError> {
    let sql = format!("{SELECT} where r.message_id = $1 for update of r");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(case_id).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Takes a recall on to a state.
pub async fn set_state_in_tx(
    connection: &mut PgConnection,
    id: RecallId,
    state: RecallState,
) -> Result<(), StoreError> {
    sqlx::query("update recall set state = $2 where id = $1")
        .bind(id.get())
        .bind(state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Records that the file of a recall lies in the outbox.
pub async fn sent_in_tx(
    connection: &mut PgConnection,
    id: RecallId,
    state: RecallState,
    sha256: &[u8; 32],
) -> Result<(), StoreError> {
    sqlx::query("update recall set state = $2, file_sha256 = $3 where id = $1")
        .bind(id.get())
        .bind(state.as_str())
        .bind(sha256.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Records an answer: the state it leads to, its code, and the message it came in.
pub async fn answer_in_tx(
    connection: &mut PgConnection,
    id: RecallId,
    state: RecallState,
    answer: Option<&str>,
    message: Option<MessageId>,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "update recall set state = $2, answer = $3, answered_in = $4, answered_at = $5 where id = $1",
    )
    .bind(id.get())
    .bind(state.as_str())
    .bind(answer)
    .bind(message.map(MessageId::get))
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Recalls, newest first, at most `limit`; with `open_only`, those neither refused nor lapsed.
pub async fn list(store: &Store, open_only: bool, limit: i64) -> Result<Vec<Recall>, StoreError> {
    let sql = format!(
        "{SELECT} where not $1 or r.state in ('requested', 'sent', 'pending', 'accepted') order by r.id desc limit $2"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(open_only).bind(limit).fetch_all(store.pool()).await?;
    rows.iter().map(read).collect()
}
