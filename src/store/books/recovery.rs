//! Undue payments: what households owe, and how it is recovered or ends. All accounts are a programme's own, but for what a
//! run's orders keep back and the suspense that receipts stand in.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ledger::AccountKey;
use super::transfer::{Occasion, Transfer, post_in_tx};
use crate::domain::ids::{MessageId, RunId};
use crate::domain::ledger::{AccountKind, PostingReason};
use crate::domain::money::Centimes;
use crate::store::StoreError;
use crate::store::recovery::reversals::Moved;

use AccountKind::{Entitled, GivenUp, Offset, Receivable, Recovered, Undue};

/// What a run's orders keep back.
#[derive(Clone, Copy, Debug)]
pub struct Instalments {
    /// Programme number.
    pub programme: i16,
    /// Run.
    pub run: RunId,
    /// Of what households owe.
    pub owed: Centimes,
    /// Of undue payments that ended unpaid, whose claims the run pays again: nothing was ever owed of them.
    pub unpaid: Centimes,
}

/// A receipt, or the part of it, that repays what is owed.
#[derive(Clone, Copy, Debug)]
pub struct Repayment {
    /// Programme number.
    pub programme: i16,
    /// Provider number of the bank account that it came into.
    pub provider: i16,
    /// How much.
    pub amount: Centimes,
    /// The message that booked the receipt.
    pub message: Option<MessageId>,
}

/// An undue payment reached the household: it is owed.
pub async fn undue_found_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    amount: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let owed = of(programme, Receivable, Undue, amount);
    post_in_tx(connection, &[owed], Occasion::new(PostingReason::UndueFound, at)).await
}

/// The money of an undue payment came back: it is not owed.
pub async fn undue_came_back_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    amount: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let back = of(programme, Undue, Receivable, amount);
    post_in_tx(connection, &[back], Occasion::new(PostingReason::UndueCameBack, at)).await
}

/// A complaint is granted: so much is found not to be owed.
pub async fn complaint_granted_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    amount: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let reduced = of(programme, Undue, Receivable, amount);
    post_in_tx(connection, &[reduced], Occasion::new(PostingReason::ComplaintGranted, at)).await
}

/// A write-off is confirmed: what is owed is given up.
pub async fn written_off_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    amount: Centimes,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let given_up = of(programme, GivenUp, Receivable, amount);
    post_in_tx(connection, &[given_up], Occasion::new(PostingReason::WrittenOff, at)).await
}

/// A receipt in suspense repays what is owed.
pub async fn repaid_in_tx(
    connection: &mut PgConnection,
    repayment: Repayment,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Repayment { programme, provider, amount, message } = repayment;
    let debit = AccountKey::of_provider(provider, AccountKind::Suspense);
    let repaid = Transfer { debit, credit: AccountKey::of_programme(programme, Receivable), amount };
    let occasion = Occasion::new(PostingReason::Repaid, at).with_message(message);
    post_in_tx(connection, &[repaid], occasion).await
}

/// A run's orders keep instalments back from what households are due.
pub async fn kept_back_in_tx(
    connection: &mut PgConnection,
    kept: Instalments,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Instalments { programme, owed, unpaid, .. } = kept;
    let transfers = [
        Transfer { debit: kept.account(Offset), credit: kept.account(Entitled), amount: owed + unpaid },
        of(programme, Recovered, Receivable, owed),
        of(programme, Recovered, Undue, unpaid),
    ];
    post_in_tx(connection, &transfers, Occasion::new(PostingReason::KeptBack, at)).await
}

/// The run is cancelled: nothing was kept back.
pub async fn kept_back_undone_in_tx(
    connection: &mut PgConnection,
    kept: Instalments,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let Instalments { programme, owed, unpaid, .. } = kept;
    let transfers = [
        Transfer { debit: kept.account(Entitled), credit: kept.account(Offset), amount: owed + unpaid },
        of(programme, Receivable, Recovered, owed),
        of(programme, Undue, Recovered, unpaid),
    ];
    post_in_tx(connection, &transfers, Occasion::new(PostingReason::RunCancelled, at)).await
}

/// A later list takes an undue payment back: what is owed of it, and what was given up.
pub async fn taken_back_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    moved: Moved,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let transfers =
        [of(programme, Undue, Receivable, moved.owed), of(programme, Undue, GivenUp, moved.given_up)];
    post_in_tx(connection, &transfers, Occasion::new(PostingReason::TakenBack, at)).await
}

/// The run that heard that list is cancelled: what it took back is undue again.
pub async fn taken_back_undone_in_tx(
    connection: &mut PgConnection,
    programme: i16,
    again: Moved,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let transfers =
        [of(programme, Receivable, Undue, again.owed), of(programme, GivenUp, Undue, again.given_up)];
    post_in_tx(connection, &transfers, Occasion::new(PostingReason::RunCancelled, at)).await
}

impl Instalments {
    const fn account(&self, kind: AccountKind) -> AccountKey {
        AccountKey::of_whole_run(self.programme, self.run, kind)
    }
}

const fn of(programme: i16, debit: AccountKind, credit: AccountKind, amount: Centimes) -> Transfer {
    let (debit, credit) =
        (AccountKey::of_programme(programme, debit), AccountKey::of_programme(programme, credit));
    Transfer { debit, credit, amount }
}
