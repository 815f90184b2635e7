//! Messages from banks, what they say of orders, and account statements.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::pgcopy::{CopyBuffer, CopyRow};
use super::{StoreError, orders};
use crate::domain::ids::{BatchId, HouseholdId, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::period::Period;

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
///
/// # Errors
/// When the database is gone.
pub async fn insert_message_in_tx(connection: &mut PgConnection, new: NewMessage<'_>) -> Result<Option<MessageId>, StoreError> {
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

/// Writes what a message came to.
///
/// # Errors
/// When the database is gone.
pub async fn finish_message_in_tx(
    connection: &mut PgConnection,
    id: MessageId,
    reference: &str,
    provider: Option<i16>,
    counts: MessageCounts,
    warnings: &[String],
) -> Result<(), StoreError> {
    sqlx::query("update message set message_ref = $2, provider_id = $3, entries = $4, applied = $5, already = $6, noted = $7, breaks = $8, warnings = $9 where id = $1")
        .bind(id.get())
        .bind(reference)
        .bind(provider)
        .bind(counts.entries as i64)
        .bind(counts.applied as i64)
        .bind(counts.already as i64)
        .bind(counts.noted as i64)
        .bind(counts.breaks as i64)
        .bind(serde_json::json!(warnings))
        .execute(connection)
        .await?;
    Ok(())
}

/// One at a time for each provider: what two messages say of one order never crosses.
///
/// # Errors
/// When the database is gone.
pub async fn lock_provider_in_tx(connection: &mut PgConnection, provider: i16) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock(hashtext('sarf.provider'), $1)").bind(i32::from(provider)).execute(connection).await?;
    Ok(())
}

/// A step in a single order's life; each happens at most once (primary key of `outcome`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Step {
    /// Accepted.
    Accepted = 1,
    /// Settled, by a status or notification.
    Settled = 2,
    /// Settled, by an account statement.
    SettledBooked = 3,
    /// Rejected.
    Rejected = 4,
    /// Returned, by a notification.
    Returned = 5,
    /// Returned, by an account statement.
    ReturnedBooked = 6,
}

/// Steps as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps(i32);

impl Steps {
    /// From the database's bits.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits)
    }

    /// Whether a step was taken.
    pub const fn has(self, step: Step) -> bool {
        self.0 & (1 << step as i16) != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, step: Step) -> Self {
        Self(self.0 | 1 << step as i16)
    }

    /// True before the first.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The state that an order's own steps come to.
    pub const fn state(self) -> Option<OrderState> {
        if self.has(Step::Returned) || self.has(Step::ReturnedBooked) {
            Some(OrderState::Returned)
        } else if self.has(Step::Rejected) {
            Some(OrderState::Rejected)
        } else if self.has(Step::Settled) || self.has(Step::SettledBooked) {
            Some(OrderState::Settled)
        } else if self.has(Step::Accepted) {
            Some(OrderState::Accepted)
        } else {
            None
        }
    }
}

/// Columns of `outcome`, in the order that [`push_outcome`] writes them.
pub const OUTCOME_COLUMNS: &str = "order_id, step, message_id, reason";

/// Appends a step to a buffer.
pub fn push_outcome(buffer: &mut CopyBuffer, order: OrderId, step: Step, message: MessageId, reason: Option<&str>) {
    buffer.row(4).i64(order.get()).i16(step as i16).i64(message.get()).text_or_null(reason);
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
    /// Its range batch left without it.
    pub missed: bool,
    /// The listed batch it left in.
    pub listed_in: Option<BatchId>,
}

/// Orders of a run by number, ascending: a range scan where the numbers lie close, else one by one.
pub fn facts_source(run: RunId, ids: &[i64], provider: Option<i16>) -> String {
    let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
    let close = (last - first) as usize / 64 < ids.len();
    let within = |column: &str| {
        if close {
            format!("{column} between {first} and {last}")
        } else {
            let list: Vec<String> = ids.iter().map(i64::to_string).collect();
            format!("{column} = any ('{{{}}}'::bigint[])", list.join(","))
        }
    };
    let provider = provider.filter(|_| close).map_or(String::new(), |p| format!(" and o.provider_id = {p}"));
    format!(
        "(select o.order_id, o.provider_id, o.household_id, o.period, o.purpose_id, o.attempt, o.amount,
                 coalesce(x.steps, 0), (h.order_id is not null)::int::smallint, coalesce(m.batch_id, 0)
            from {leaf} o
            left join (select order_id, bit_or(1 << step) as steps from outcome_{run} where {outcome_within} group by order_id) x
                   on x.order_id = o.order_id
            left join (select distinct order_id from order_hold where missed_batch is not null and {within_plain}) h on h.order_id = o.order_id
            left join batch_member m on m.order_id = o.order_id
           where {order_within}{provider} order by o.order_id)",
        leaf = orders::leaf(run),
        outcome_within = within("order_id"),
        within_plain = within("order_id"),
        order_within = within("o.order_id"),
    )
}

/// Reads a row of [`facts_source`].
///
/// # Errors
/// When the row cannot be read back.
pub fn read_facts(row: &mut CopyRow) -> Result<OrderFacts, StoreError> {
    Ok(OrderFacts {
        order: OrderId::new(row.i64()?),
        provider: row.i16()?,
        household: HouseholdId::parse(row.raw()?).map_err(|_| StoreError::Corrupt("household id"))?,
        period: Period::from_index(row.i32()?).map_err(|_| StoreError::Corrupt("period"))?,
        purpose: row.i16()?,
        attempt: row.i16()? as u16,
        amount: Centimes::new(row.i64()?),
        steps: Steps::from_bits(row.i32()?),
        missed: row.i16()? != 0,
        listed_in: Some(row.i64()?).filter(|id| *id != 0).map(BatchId::new),
    })
}

/// Purpose codes by number.
///
/// # Errors
/// When the database is gone.
pub async fn purposes_in_tx(connection: &mut PgConnection) -> Result<Vec<(i16, String)>, StoreError> {
    Ok(sqlx::query_as("select id, code from purpose").fetch_all(connection).await?)
}

/// Writes what a message said of a whole batch.
///
/// # Errors
/// When the database is gone.
pub async fn insert_batch_event_in_tx(
    connection: &mut PgConnection,
    batch: BatchId,
    step: i16,
    message: MessageId,
    status: &str,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("insert into batch_event (batch_id, step, message_id, status, reason) values ($1, $2, $3, $4, $5) on conflict do nothing")
        .bind(batch.get())
        .bind(step)
        .bind(message.get())
        .bind(status)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// An account statement that was read to its end.
#[derive(Clone, Debug)]
pub struct NewStatement<'a> {
    /// Message.
    pub message: MessageId,
    /// Place in the message, from 1.
    pub number: i32,
    /// Provider number.
    pub provider: i16,
    /// The bank's id of it.
    pub reference: &'a str,
    /// Its number, where stated.
    pub sequence: Option<i64>,
    /// Opening balance, where stated; below zero when overdrawn.
    pub opening: Option<Centimes>,
    /// Closing balance, where stated.
    pub closing: Option<Centimes>,
    /// Sum of booked credits.
    pub credits: Centimes,
    /// Sum of booked debits.
    pub debits: Centimes,
    /// Entries.
    pub entries: u64,
    /// First day it covers.
    pub from: Option<Date>,
    /// Last day it covers.
    pub to: Option<Date>,
}

/// Writes a statement.
///
/// # Errors
/// With the constraint `statement_once` when it was read before.
pub async fn insert_statement_in_tx(connection: &mut PgConnection, new: &NewStatement<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "insert into statement (message_id, number, provider_id, reference, sequence, opening, closing, credits, debits, entries, booked_from, booked_to)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.message.get())
    .bind(new.number)
    .bind(new.provider)
    .bind(new.reference)
    .bind(new.sequence)
    .bind(new.opening.map(Centimes::get))
    .bind(new.closing.map(Centimes::get))
    .bind(new.credits.get())
    .bind(new.debits.get())
    .bind(new.entries as i64)
    .bind(new.from)
    .bind(new.to)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a statement of this reference was read before.
///
/// # Errors
/// When the database is gone.
pub async fn statement_known_in_tx(connection: &mut PgConnection, provider: i16, reference: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select from statement where provider_id = $1 and reference = $2)")
        .bind(provider)
        .bind(reference)
        .fetch_one(connection)
        .await?)
}

/// The chain of a provider's statements that state balances: reference, opening, closing, message.
///
/// # Errors
/// When the database is gone.
pub async fn statement_chain_in_tx(connection: &mut PgConnection, provider: i16) -> Result<Vec<(String, i64, i64, i64)>, StoreError> {
    Ok(sqlx::query_as(
        "select reference, opening, closing, message_id from statement
          where provider_id = $1 and opening is not null and closing is not null
          order by sequence nulls last, booked_from nulls last, reference",
    )
    .bind(provider)
    .fetch_all(connection)
    .await?)
}
