//! Messages from banks, and what they say of orders.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use time::OffsetDateTime;

use crate::domain::ids::{BatchId, HouseholdId, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;
use crate::domain::stated::Why;
use crate::domain::step::{Step, Steps};
use crate::store::batches::membership::{self, Membership};
use crate::store::copy::{CopyBuffer, CopyOut, CopyRow};
use crate::store::{Store, StoreError, orders};

/// What is known of a message before it is read.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// SHA-256 of the file.
    pub sha256: &'a [u8; 32],
    /// `pain.002`, `camt.053`, `camt.054`.
    pub kind: &'a str,
    /// File name, without folders.
    pub file_name: &'a str,
    /// Length.
    pub bytes: u64,
    /// When.
    pub received_at: OffsetDateTime,
}

/// Entries of a message by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MessageCounts {
    /// All.
    pub entries: u64,
    /// Changed something.
    pub applied: u64,
    /// Known already.
    pub already: u64,
    /// Said nothing that moves an order (pending, received).
    pub noted: u64,
    /// Opened a break.
    pub breaks: u64,
}

/// Writes a message; `None` when its content was imported before.
pub async fn insert_message_in_tx(
    connection: &mut PgConnection,
    new: NewMessage<'_>,
) -> Result<Option<MessageId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "insert into message (sha256, kind, message_ref, file_name, bytes, received_at, entries, applied, already, noted, breaks)
         values ($1, $2, '', $3, $4, $5, 0, 0, 0, 0, 0) on conflict (sha256) do nothing returning id",
    )
    .bind(new.sha256.as_slice())
    .bind(new.kind)
    .bind(new.file_name)
    .bind(new.bytes as i64)
    .bind(new.received_at)
    .fetch_optional(connection)
    .await?;
    Ok(id.map(MessageId::new))
}

/// A message that was imported before.
#[derive(Clone, Debug)]
pub struct KnownMessage {
    /// Its number.
    pub id: MessageId,
    /// Name of the file it came in.
    pub file_name: String,
    /// Its entries.
    pub counts: MessageCounts,
    /// How many messages its file holds.
    pub documents: u32,
}

/// The message of a content that was imported before.
pub async fn message_of_in_tx(
    connection: &mut PgConnection,
    sha256: &[u8; 32],
) -> Result<KnownMessage, StoreError> {
    let row = sqlx::query(
        "select id, file_name, entries, applied, already, noted, breaks, documents from message where sha256 = $1",
    )
    .bind(sha256.as_slice())
    .fetch_one(connection)
    .await?;
    let count = |column: &str| -> Result<u64, StoreError> {
        u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt("figure of a message"))
    };
    Ok(KnownMessage {
        id: MessageId::new(row.try_get("id")?),
        file_name: row.try_get("file_name")?,
        counts: MessageCounts {
            entries: count("entries")?,
            applied: count("applied")?,
            already: count("already")?,
            noted: count("noted")?,
            breaks: count("breaks")?,
        },
        documents: u32::try_from(count("documents")?).unwrap_or(u32::MAX),
    })
}

/// Writes a set of reports of the stream lane as a message without a file.
pub async fn insert_report_in_tx(
    connection: &mut PgConnection,
    kind: &str,
    provider: i16,
    at: OffsetDateTime,
) -> Result<MessageId, StoreError> {
    let id = sqlx::query_scalar(
        "insert into message (kind, message_ref, provider_id, file_name, bytes, received_at, entries, applied, already, noted, breaks)
         values ($1, '', $2, '', 0, $3, 0, 0, 0, 0, 0) returning id",
    )
    .bind(kind)
    .bind(provider)
    .bind(at)
    .fetch_one(connection)
    .await?;
    Ok(MessageId::new(id))
}

/// Writes what a message came to.
pub async fn finish_message_in_tx(
    connection: &mut PgConnection,
    id: MessageId,
    reference: &str,
    provider: Option<i16>,
    counts: MessageCounts,
    warnings: &[String],
    documents: u32,
) -> Result<(), StoreError> {
    sqlx::query("update message set message_ref = $2, provider_id = $3, entries = $4, applied = $5, already = $6, noted = $7, breaks = $8, warnings = $9, documents = $10 where id = $1")
        .bind(id.get())
        .bind(reference)
        .bind(provider)
        .bind(counts.entries as i64)
        .bind(counts.applied as i64)
        .bind(counts.already as i64)
        .bind(counts.noted as i64)
        .bind(counts.breaks as i64)
        .bind(serde_json::json!(warnings))
        .bind(i64::from(documents))
        .execute(connection)
        .await?;
    Ok(())
}

/// Columns of `outcome`, in the order that [`push_outcome`] writes them.
pub const OUTCOME_COLUMNS: &str = "order_id, step, message_id, reason, told";

/// Appends a step to a buffer.
pub fn push_outcome(buffer: &mut CopyBuffer, order: OrderId, step: Step, message: MessageId, why: &Why) {
    let row = buffer.row(5).i64(order.get()).i16(step.number()).i64(message.get());
    row.text_or_null(why.code.as_deref()).text_or_null(why.told.as_deref());
}

/// What must be known of an order to judge what a bank says of it.
#[derive(Clone, Copy, Debug)]
pub struct OrderFacts {
    /// Number.
    pub order: OrderId,
    /// Provider number.
    pub provider: i16,
    /// Household of the claim.
    pub household: HouseholdId,
    /// Month of the claim.
    pub period: Period,
    /// Purpose number of the claim.
    pub purpose: i16,
    /// Attempt of the claim.
    pub attempt: u16,
    /// Amount.
    pub amount: Centimes,
    /// Steps so far.
    pub steps: Steps,
    /// Which batch it is in.
    pub membership: Membership,
    /// The order that pays its claim again.
    pub reissued_as: Option<OrderId>,
}

/// Plans of the look-ups below must not depend on statistics of tables that fill as the message is read.
pub async fn prefer_indexes_in_tx(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("set local enable_seqscan = off").execute(connection).await?;
    Ok(())
}

/// Facts of orders of a run, ascending: by a range scan where their numbers lie close, else one by one.
/// `ids` ascend; those that are no orders (of `provider`, where given) are missing in the answer. Outcomes are looked up
/// only `with_outcomes`: most messages are the first to speak of their orders.
pub async fn facts_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    ids: &[i64],
    provider: Option<i16>,
    with_outcomes: bool,
) -> Result<Vec<OrderFacts>, StoreError> {
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    // Passing over a row costs about a twelfth of looking one up.
    let close = (last - first) as usize / 12 < ids.len();
    let one_by_one = || {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        format!("order_id = any ('{{{}}}'::bigint[])", list.join(","))
    };
    let within = if close { format!("order_id between {first} and {last}") } else { one_by_one() };
    let of_provider = provider.filter(|_| close).map_or(String::new(), |p| format!(" and provider_id = {p}"));
    let source = format!(
        "(select order_id, provider_id, household_id, period, purpose_id, attempt, amount from {}
           where {within}{of_provider} order by order_id)",
        orders::leaf(run)
    );
    let mut rows = CopyOut::begin(connection, &source).await?;
    let mut facts: Vec<OrderFacts> = Vec::with_capacity(ids.len());
    while let Some(mut row) = rows.next().await? {
        let order = row.i64()?;
        if ids.binary_search(&order).is_ok() {
            facts.push(read_facts(order, &mut row)?);
        }
    }
    drop(rows);
    let mut notes = vec![
        (format!("({})", membership::missed_orders(&within)), Note::Missed),
        (format!("({})", membership::listed_orders(&within)), Note::Listed),
    ];
    if with_outcomes {
        // Never by the range: other providers' outcomes lie in it too.
        let named = one_by_one();
        notes.push((format!("(select order_id, step::bigint from outcome_{run} where {named})"), Note::Step));
    }
    for (source, note) in notes {
        let mut rows = CopyOut::begin(connection, &source).await?;
        while let Some(mut row) = rows.next().await? {
            let (order, value) = (OrderId::new(row.i64()?), row.i64()?);
            let Ok(at) = facts.binary_search_by_key(&order, |f| f.order) else { continue };
            match note {
                Note::Missed => facts[at].membership.missed = true,
                Note::Listed => facts[at].membership.listed_in = Some(BatchId::new(value)),
                Note::Step => facts[at].steps = facts[at].steps.with_number(value),
            }
        }
    }
    if facts.iter().any(|f| f.steps.has(Step::Reissued)) {
        let links: Vec<(i64, i64)> =
            sqlx::query_as("select of_order, order_id from order_reissue where live and of_order = any($1)")
                .bind(ids)
                .fetch_all(connection)
                .await?;
        for (of, order) in links {
            if let Ok(at) = facts.binary_search_by_key(&of, |f| f.order.get()) {
                facts[at].reissued_as = Some(OrderId::new(order));
            }
        }
    }
    Ok(facts)
}

#[derive(Clone, Copy)]
enum Note {
    Missed,
    Listed,
    Step,
}

fn read_facts(order: i64, row: &mut CopyRow) -> Result<OrderFacts, StoreError> {
    Ok(OrderFacts {
        order: OrderId::new(order),
        provider: row.i16()?,
        household: HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?,
        period: Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?,
        purpose: row.i16()?,
        attempt: row.i16()? as u16,
        amount: Centimes::new(row.i64()?),
        steps: Steps::default(),
        membership: Membership::default(),
        reissued_as: None,
    })
}

/// One step in an order's life, and where it is known from.
#[derive(Clone, Debug, serde::Serialize)]
pub struct HistoryStep {
    /// The state that it took the order to.
    pub state: OrderState,
    /// When it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Kind of the message: `pain.002`, `stream.callback`, …
    pub source: String,
    /// The reason code that decides.
    pub reason: Option<String>,
    /// All reasons and their texts, as they were sent.
    pub told: Option<String>,
    /// Whether it was said of the whole file.
    pub of_file: bool,
}

/// The steps of an order, as they were recorded: its own, and those that it took with its whole file.
pub async fn history(store: &Store, order: OrderId) -> Result<Vec<HistoryStep>, StoreError> {
    type Row = (i16, OffsetDateTime, String, Option<String>, Option<String>, bool);
    let sql = format!(
        "select s.step, m.received_at, m.kind, s.reason, s.told, s.of_file
           from (select message_id, step, reason, told, false as of_file from outcome where order_id = $1
                 union all
                 select e.message_id, e.step, e.reason, e.told, true
                   from payment_order o {} join batch_event e on e.batch_id = b.id and e.step > 0
                  where o.order_id = $1) s
           join message m on m.id = s.message_id order by m.id, s.step, s.of_file",
        membership::join_each("$2")
    );
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(order.get())
        .bind(order.run().get())
        .fetch_all(store.pool())
        .await?;
    let step = |(number, at, source, reason, told, of_file): Row| {
        let step = Step::from_number(number)?;
        Some(HistoryStep { state: step.state(), at, source, reason, told, of_file })
    };
    Ok(rows.into_iter().filter_map(step).collect())
}

/// Purpose codes by number.
pub async fn purposes_in_tx(connection: &mut PgConnection) -> Result<Vec<(i16, String)>, StoreError> {
    Ok(sqlx::query_as("select id, code from purpose").fetch_all(connection).await?)
}

/// Writes what a message said of a whole batch; without a step where that moves nothing.
pub async fn insert_batch_event_in_tx(
    connection: &mut PgConnection,
    batch: BatchId,
    step: Option<Step>,
    message: MessageId,
    status: &str,
    why: &Why,
) -> Result<(), StoreError> {
    sqlx::query("insert into batch_event (batch_id, step, message_id, status, reason, told) values ($1, $2, $3, $4, $5, $6) on conflict do nothing")
        .bind(batch.get())
        .bind(step.map_or(0, Step::number))
        .bind(message.get())
        .bind(status)
        .bind(why.code.as_deref())
        .bind(why.told.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}
