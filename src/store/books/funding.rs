//! The envelope of a programme and budget year, and what of it is reserved for runs.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ledger::AccountKey;
use super::transfer::{Occasion, Transfer, post_in_tx};
use crate::domain::ids::RunId;
use crate::domain::ledger::PostingReason;
use crate::domain::money::Centimes;
use crate::store::StoreError;
use crate::store::runs::Run;

/// What a run reserves in: the envelope of its programme and budget year.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// Programme number.
    pub programme: i16,
    /// Budget year.
    pub year: i32,
    /// Run.
    pub run: RunId,
}

impl Reservation {
    pub(super) const fn of(run: &Run) -> Self {
        Self { programme: run.programme_id, year: run.period.year(), run: run.id }
    }

    pub(super) const fn take(self, amount: Centimes) -> Transfer {
        Transfer { debit: self.reserved(), credit: self.envelope(), amount }
    }

    pub(super) const fn give_back(self, amount: Centimes) -> Transfer {
        Transfer { debit: self.envelope(), credit: self.reserved(), amount }
    }

    const fn reserved(self) -> AccountKey {
        AccountKey::reserved(self.programme, self.year, self.run)
    }

    const fn envelope(self) -> AccountKey {
        AccountKey::envelope(self.programme, self.year)
    }
}

/// Run funded: the sum of its orders is reserved.
pub async fn run_funded_in_tx(
    connection: &mut PgConnection,
    run: &Run,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let reserved = Reservation::of(run).take(run.ordered);
    post_in_tx(connection, &[reserved], Occasion::new(PostingReason::RunFunded, at)).await
}
