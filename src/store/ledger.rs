//! The books: accounts and transfers. Balances follow transfers by trigger; nothing is ever changed or taken away.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use crate::domain::ids::{AccountId, BatchId, MessageId, RunId};
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;

/// Which account: its kind and what it is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Programme number; 0 for the debtor accounts at banks and suspense.
    pub programme: i16,
    /// Budget year, for envelopes and reservations.
    pub year: Option<i32>,
    /// Run, for its state accounts.
    pub run: Option<RunId>,
    /// Provider, for its state accounts and bank account.
    pub provider: Option<i16>,
    /// Kind.
    pub kind: AccountKind,
}

impl AccountKey {
    /// A run's account at a provider.
    pub const fn of_run(programme: i16, run: RunId, provider: i16, kind: AccountKind) -> Self {
        Self { programme, year: None, run: Some(run), provider: Some(provider), kind }
    }

    /// The debtor account (or its suspense) at a provider.
    pub const fn of_provider(provider: i16, kind: AccountKind) -> Self {
        Self { programme: 0, year: None, run: None, provider: Some(provider), kind }
    }
}

/// An amount to move from `credit` to `debit`.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Gains.
    pub debit: AccountKey,
    /// Gives.
    pub credit: AccountKey,
    /// How much; nothing is posted for zero.
    pub amount: Centimes,
}

/// What a set of transfers belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// Short name of the move: `orders computed`, `batch sent`, …
    pub why: &'a str,
    /// The batch it is about.
    pub batch: Option<BatchId>,
    /// The message that caused it.
    pub message: Option<MessageId>,
    /// When.
    pub at: OffsetDateTime,
}

/// Posts transfers, within the caller's transaction.
///
/// # Errors
/// When the database is gone.
///
/// # Panics
/// On a negative amount: turn the transfer round instead.
pub async fn post_in_tx(
    connection: &mut PgConnection,
    transfers: &[Transfer],
    occasion: Occasion<'_>,
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
    .bind(occasion.why)
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

/// Balance (debits less credits) of one account; zero when it was never opened.
///
/// # Errors
/// When the database is gone.
pub async fn balance_in_tx(connection: &mut PgConnection, key: AccountKey) -> Result<Centimes, StoreError> {
    let balance: Option<i64> = bind_key(
        sqlx::query_scalar(
            "select balance from ledger_account where programme_id = $1 and budget_year is not distinct from $2
             and run_id is not distinct from $3 and provider_id is not distinct from $4 and kind = $5",
        ),
        key,
    )
    .fetch_optional(connection)
    .await?;
    Ok(Centimes::new(balance.unwrap_or(0)))
}

type Scalar<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i64, sqlx::postgres::PgArguments>;

fn bind_key(query: Scalar<'_>, key: AccountKey) -> Scalar<'_> {
    query
        .bind(key.programme)
        .bind(key.year)
        .bind(key.run.map(RunId::get))
        .bind(key.provider)
        .bind(key.kind.as_str())
}

/// Balances of a run's accounts by provider and kind.
///
/// # Errors
/// When the database is gone.
pub async fn run_balances_in_tx(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(i16, AccountKind, Centimes)>, StoreError> {
    let rows: Vec<(Option<i16>, String, i64)> = sqlx::query_as(
        "select provider_id, kind, balance from ledger_account where run_id = $1 order by 1, 2",
    )
    .bind(run.get())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(provider, kind, balance)| {
            let kind = AccountKind::parse(&kind).ok_or(StoreError::Corrupt("account kind"))?;
            Ok((provider.unwrap_or(0), kind, Centimes::new(balance)))
        })
        .collect()
}
