//! What account statements book: each row moves a provider's bank account, or suspense that an earlier entry went to.
//!
//! Guarantee: debits and credits of the bank account are posted here and nowhere else.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::RunAt;
use super::ledger::AccountKey;
use super::transfer::{self, Occasion, Transfer};
use crate::domain::ids::MessageId;
use crate::domain::ledger::{AccountKind, PostingReason};
use crate::domain::money::Centimes;
use crate::store::StoreError;

/// What the entries of a message book, collected row by row.
#[derive(Debug, Default)]
pub struct Bookings(Vec<Transfer>);

impl Bookings {
    /// Statement debit: orders, a file of them, or its share of a settlement.
    pub fn debit(&mut self, of: RunAt, amount: Centimes) {
        self.add(of.account(AccountKind::PaidOut), bank(of.provider), amount);
    }

    /// Statement return: orders whose money came back.
    pub fn returned(&mut self, of: RunAt, amount: Centimes) {
        self.add(bank(of.provider), of.account(AccountKind::PaidOut), amount);
    }

    /// Money that left, and that nothing explains: charges, a second debit, what names nothing of ours.
    pub fn unexplained_debit(&mut self, provider: i16, amount: Centimes) {
        self.add(suspense(provider), bank(provider), amount);
    }

    /// Money that came in, and that nothing explains; receipts too, whatever they name.
    pub fn unexplained_credit(&mut self, provider: i16, amount: Centimes) {
        self.add(bank(provider), suspense(provider), amount);
    }

    /// A debit that stood in suspense, explained by the settlement file that came after it.
    pub fn debit_explained(&mut self, of: RunAt, amount: Centimes) {
        self.add(of.account(AccountKind::PaidOut), suspense(of.provider), amount);
    }

    fn add(&mut self, debit: AccountKey, credit: AccountKey, amount: Centimes) {
        self.0.push(Transfer { debit, credit, amount });
    }

    /// Posts what was collected.
    pub async fn post_in_tx(
        self,
        connection: &mut PgConnection,
        message: MessageId,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let occasion = Occasion::new(PostingReason::Statement, at).with_message(Some(message));
        transfer::post_in_tx(connection, &self.0, occasion).await
    }
}

const fn bank(provider: i16) -> AccountKey {
    AccountKey::of_provider(provider, AccountKind::Bank)
}

const fn suspense(provider: i16) -> AccountKey {
    AccountKey::of_provider(provider, AccountKind::Suspense)
}
