//! Accounts and their balances, to read: `store/books` alone posts. Balances follow transfers by trigger; nothing is ever
//! changed or taken away.

use sqlx::PgConnection;

use crate::domain::ids::RunId;
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::store::StoreError;

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

    /// A run's account that is kept for all providers together.
    pub const fn of_whole_run(programme: i16, run: RunId, kind: AccountKind) -> Self {
        Self { programme, year: None, run: Some(run), provider: None, kind }
    }

    /// A programme's account of recovery.
    pub const fn of_programme(programme: i16, kind: AccountKind) -> Self {
        Self { programme, year: None, run: None, provider: None, kind }
    }

    /// The envelope of a programme and budget year.
    pub const fn envelope(programme: i16, year: i32) -> Self {
        Self { programme, year: Some(year), run: None, provider: None, kind: AccountKind::Envelope }
    }

    /// What of it is reserved for a run.
    pub const fn reserved(programme: i16, year: i32, run: RunId) -> Self {
        Self { run: Some(run), kind: AccountKind::Reserved, ..Self::envelope(programme, year) }
    }
}

/// Balance (debits less credits) of one account; zero when it was never opened.
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

pub(crate) type Scalar<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i64, sqlx::postgres::PgArguments>;

pub(crate) fn bind_key(query: Scalar<'_>, key: AccountKey) -> Scalar<'_> {
    query
        .bind(key.programme)
        .bind(key.year)
        .bind(key.run.map(RunId::get))
        .bind(key.provider)
        .bind(key.kind.as_str())
}

/// Balances of a run's accounts by provider and kind.
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
