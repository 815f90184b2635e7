//! Settlement files of the stream lane's providers, and the debits that account statements book for them.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use crate::domain::ids::{BatchId, MessageId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::store::StoreError;

/// A settlement file that was read to its end.
#[derive(Clone, Debug)]
pub struct NewSettlement<'a> {
    /// Message.
    pub message: MessageId,
    /// Provider number.
    pub provider: i16,
    /// The provider's name for it.
    pub reference: &'a str,
    /// Day that it settles.
    pub date: Date,
    /// Orders, by its last line.
    pub orders: u64,
    /// Their sum.
    pub amount: Centimes,
    /// Fees that payees paid.
    pub fees: Centimes,
    /// Whether a statement has debited it already.
    pub debited: bool,
}

/// One batch's part of a settlement.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Run.
    pub run: RunId,
    /// Batch.
    pub batch: BatchId,
    /// Orders.
    pub orders: i64,
    /// Their sum.
    pub amount: Centimes,
}

/// The message and file that a settlement of this reference was read from before.
pub async fn known_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    reference: &str,
) -> Result<Option<(MessageId, String)>, StoreError> {
    let row: Option<(i64, String)> = sqlx::query_as(
        "select s.message_id, m.file_name from settlement s join message m on m.id = s.message_id
          where s.provider_id = $1 and s.reference = $2",
    )
    .bind(provider)
    .bind(reference)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(id, file)| (MessageId::new(id), file)))
}

/// Sums of a provider's settlements, by those of the references that have come.
pub async fn sums_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    references: &[&str],
) -> Result<HashMap<String, Centimes>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select reference, amount from settlement where provider_id = $1 and reference = any($2)",
    )
    .bind(provider)
    .bind(references)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(reference, amount)| (reference, Centimes::new(amount))).collect())
}

/// Writes a settlement and its shares.
pub async fn insert_in_tx(
    connection: &mut PgConnection,
    new: &NewSettlement<'_>,
    shares: &[Share],
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into settlement (message_id, provider_id, reference, business_date, orders, amount, fees, debited)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.message.get())
    .bind(new.provider)
    .bind(new.reference)
    .bind(new.date)
    .bind(new.orders as i64)
    .bind(new.amount.get())
    .bind(new.fees.get())
    .bind(new.debited)
    .execute(&mut *connection)
    .await?;
    for share in shares {
        sqlx::query(
            "insert into settlement_share (message_id, batch_id, run_id, orders, amount) values ($1, $2, $3, $4, $5)",
        )
        .bind(new.message.get())
        .bind(share.batch.get())
        .bind(share.run.get())
        .bind(share.orders)
        .bind(share.amount.get())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The settlement of a reference that no statement has debited yet, marked as debited now: its sum and shares.
pub async fn debit_in_tx(
    connection: &mut PgConnection,
    provider: i16,
    reference: &str,
) -> Result<Option<(Centimes, Vec<Share>)>, StoreError> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "update settlement set debited = true where provider_id = $1 and reference = $2 and not debited
         returning message_id, amount",
    )
    .bind(provider)
    .bind(reference)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((message, amount)) = found else { return Ok(None) };
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "select run_id, batch_id, orders, amount from settlement_share where message_id = $1 order by batch_id",
    )
    .bind(message)
    .fetch_all(connection)
    .await?;
    let shares = rows.into_iter().map(|(run, batch, orders, amount)| Share {
        run: RunId::new(run),
        batch: BatchId::new(batch),
        orders,
        amount: Centimes::new(amount),
    });
    Ok(Some((Centimes::new(amount), shares.collect())))
}

/// Resolves the break that a debit opened for want of its settlement file: the debit's amount, if there was one.
pub async fn take_waiting_debit_in_tx(
    connection: &mut PgConnection,
    key: &str,
    at: OffsetDateTime,
) -> Result<Option<Centimes>, StoreError> {
    let amount: Option<Option<i64>> = sqlx::query_scalar(
        "with taken as (
             update break set resolved_by = 'sarf', resolution = 'its settlement file came', resolved_at = $2,
                    posted_to = case when suspense <> 0 then 'explained' end,
                    proposed_by = null, proposed_at = null, proposed_why = null, proposed_post = null
              where dedup_key = $1 and kind = $3 and resolved_at is null returning id, amount),
         told as (
             insert into break_step (break_id, step, taken_by, taken_at, why)
             select id, 'explained', 'sarf', $2, 'its settlement file came' from taken)
         select amount from taken",
    )
    .bind(key)
    .bind(at)
    .bind(BreakKind::SettlementMissing.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(amount.flatten().map(Centimes::new))
}
