//! The transfer: the one way into the ledger.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ledger::{AccountKey, bind_key};
use crate::domain::ids::{AccountId, BatchId, MessageId, RunId};
use crate::domain::ledger::PostingReason;
use crate::domain::money::Centimes;
use crate::store::StoreError;

/// An amount to move from `credit` to `debit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Gains.
    pub debit: AccountKey,
    /// Gives.
    pub credit: AccountKey,
    /// How much; nothing is posted for zero.
    pub amount: Centimes,
}

/// What a set of transfers belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    why: PostingReason,
    batch: Option<BatchId>,
    message: Option<MessageId>,
    at: OffsetDateTime,
}

impl Occasion {
    pub(super) const fn new(why: PostingReason, at: OffsetDateTime) -> Self {
        Self { why, batch: None, message: None, at }
    }

    /// The batch that left.
    pub(super) const fn with_batch(self, batch: BatchId) -> Self {
        Self { batch: Some(batch), ..self }
    }

    /// The message that caused it.
    pub(super) const fn with_message(self, message: Option<MessageId>) -> Self {
        Self { message, ..self }
    }
}

/// Posts transfers.
///
/// # Errors
/// When the database is gone.
///
/// # Panics
/// On a negative amount: turn the transfer round instead.
pub(super) async fn post_in_tx(
    connection: &mut PgConnection,
    transfers: &[Transfer],
    occasion: Occasion,
) -> Result<(), StoreError> {
    let mut transfers: Vec<&Transfer> = transfers.iter().filter(|t| !t.amount.is_zero()).collect();
    if transfers.is_empty() {
        return Ok(());
    }
    transfers.sort_by_key(|t| (t.debit, t.credit));
    let mut ids = HashMap::new();
    for key in transfers.iter().flat_map(|t| [t.debit, t.credit]) {
        if let Entry::Vacant(slot) = ids.entry(key) {
            slot.insert(account_in_tx(connection, key).await?);
        }
    }
    let debits: Vec<i64> = transfers.iter().map(|t| ids[&t.debit].get()).collect();
    let credits: Vec<i64> = transfers.iter().map(|t| ids[&t.credit].get()).collect();
    let amounts: Vec<i64> = transfers.iter().map(|t| t.amount.get()).collect();
    assert!(amounts.iter().all(|a| *a > 0), "a transfer moves a positive amount");
    sqlx::query(
        "insert into ledger_transfer (debit_account, credit_account, amount, why, batch_id, message_id, posted_at)
         select d, c, a, $4, $5, $6, $7 from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t(d, c, a)",
    )
    .bind(debits)
    .bind(credits)
    .bind(amounts)
    .bind(occasion.why.as_str())
    .bind(occasion.batch.map(BatchId::get))
    .bind(occasion.message.map(MessageId::get))
    .bind(occasion.at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The account of a key, opened on first use.
async fn account_in_tx(connection: &mut PgConnection, key: AccountKey) -> Result<AccountId, StoreError> {
    let find = "select id from ledger_account where programme_id = $1 and budget_year is not distinct from $2
                and run_id is not distinct from $3 and provider_id is not distinct from $4 and kind = $5";
    for attempt in 0..2 {
        let found: Option<i64> =
            bind_key(sqlx::query_scalar(find), key).fetch_optional(&mut *connection).await?;
        if let Some(id) = found {
            return Ok(AccountId::new(id));
        }
        if attempt == 0 {
            sqlx::query(
                "insert into ledger_account (programme_id, budget_year, run_id, provider_id, kind)
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
            )
            .bind(key.programme)
            .bind(key.year)
            .bind(key.run.map(RunId::get))
            .bind(key.provider)
            .bind(key.kind.as_str())
            .execute(&mut *connection)
            .await?;
        }
    }
    Err(StoreError::Corrupt("ledger account"))
}
