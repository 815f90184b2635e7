//! What account statements book: each row moves a provider's bank account, or suspense that an earlier entry went to.
//!
//! Guarantee: debits and credits of the bank account are posted here and nowhere else.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::{MessageId, RunId};
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::store::StoreError;
use crate::store::ledger::{self, AccountKey, Occasion, Transfer};

/// A run at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunAt {
    /// Programme number.
    pub programme: i16,
    /// Run.
    pub run: RunId,
    /// Provider number.
    pub provider: i16,
}

impl RunAt {
    const fn paid_out(self) -> AccountKey {
        AccountKey::of_run(self.programme, self.run, self.provider, AccountKind::PaidOut)
    }
}

/// Statement debit: orders, a file of them, or its share of a settlement.
pub const fn statement_debit(of: RunAt, amount: Centimes) -> Transfer {
    Transfer { debit: of.paid_out(), credit: bank(of.provider), amount }
}

/// Statement return: orders whose money came back.
pub const fn statement_return(of: RunAt, amount: Centimes) -> Transfer {
    Transfer { debit: bank(of.provider), credit: of.paid_out(), amount }
}

/// An entry, or a part of one, that nothing explains: charges, a second booking, what names nothing of ours.
pub const fn unexplained(provider: i16, amount: Centimes, came_in: bool) -> Transfer {
    match came_in {
        true => Transfer { debit: bank(provider), credit: suspense(provider), amount },
        false => Transfer { debit: suspense(provider), credit: bank(provider), amount },
    }
}

/// A debit that stood in suspense, explained by the settlement file that came after it.
pub const fn debit_explained(of: RunAt, amount: Centimes) -> Transfer {
    Transfer { debit: of.paid_out(), credit: suspense(of.provider), amount }
}

const fn bank(provider: i16) -> AccountKey {
    AccountKey::of_provider(provider, AccountKind::Bank)
}

const fn suspense(provider: i16) -> AccountKey {
    AccountKey::of_provider(provider, AccountKind::Suspense)
}

/// Posts what the entries of a message book.
///
/// # Errors
/// When the database is gone.
pub async fn post_in_tx(
    connection: &mut PgConnection,
    booked: &[Transfer],
    message: MessageId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let occasion = Occasion { why: "statement", batch: None, message: Some(message), at };
    ledger::post_in_tx(connection, booked, occasion).await
}
