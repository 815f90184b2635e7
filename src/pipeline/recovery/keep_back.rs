//! What a run's orders keep back for undue payments.
//!
//! Input: households in order with what they are due. Output: instalments. Guarantee: constant memory; the cases were read under
//! the programme's lock, which the run's transaction holds until it ends.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::ids::{HouseholdId, RunId};
use crate::domain::ledger::AccountKind;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::instalments::{Instalment, Owed, Terms};
use crate::pipeline::Context;
use crate::store::ledger::{self, AccountKey, Occasion, Transfer};
use crate::store::pgcopy::CopyAhead;
use crate::store::recoveries::{self, account};
use crate::store::{StoreError, recovery_money, recovery_refunds};

/// Cases by household, one ahead.
pub(in crate::pipeline) struct KeptBack {
    terms: Terms,
    rows: CopyAhead,
    ahead: Option<(HouseholdId, Owed)>,
    cases: Vec<Owed>,
    instalments: Vec<Instalment>,
}

impl KeptBack {
    /// Opens the cases that take instalments from orders of a month.
    pub async fn open(context: &Context, programme: i16, period: Period) -> Result<Self, StoreError> {
        let settings = &context.config.settings;
        let today = context.clock.now().to_offset(settings.calendar.utc_offset).date();
        let source = recovery_money::owed_source(programme, period, today);
        let terms = Terms { share: settings.recovery.share, floor_left: settings.recovery.floor_left };
        let rows = CopyAhead::open(context.store.pool(), source);
        let mut kept = Self { terms, rows, ahead: None, cases: Vec::new(), instalments: Vec::new() };
        kept.ahead = kept.read().await?;
        Ok(kept)
    }

    /// What is kept back of what a household is due; households come in order.
    pub async fn take(&mut self, household: HouseholdId, due: Centimes) -> Result<&[Instalment], StoreError> {
        self.cases.clear();
        self.instalments.clear();
        while self.ahead.as_ref().is_some_and(|(at, _)| *at <= household) {
            let next = self.read().await?;
            if let Some((of, owed)) = std::mem::replace(&mut self.ahead, next)
                && of == household
            {
                self.cases.push(owed);
            }
        }
        if !self.cases.is_empty() {
            self.terms.keep_back(due, &self.cases, &mut self.instalments);
        }
        Ok(&self.instalments)
    }

    async fn read(&mut self) -> Result<Option<(HouseholdId, Owed)>, StoreError> {
        let Some(mut row) = self.rows.next().await? else { return Ok(None) };
        recovery_money::read_owed(&mut row).map(Some)
    }
}

fn offset(programme: i16, run: RunId, kind: AccountKind) -> AccountKey {
    AccountKey { run: Some(run), ..account(programme, kind) }
}

/// Takes a run's instalments, which are written, off their cases and books them.
pub(in crate::pipeline) async fn book_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    use AccountKind::{Entitled, Offset, Receivable, Recovered, Undue};
    let (owed, unpaid) = recovery_money::take_instalments_in_tx(tx, run, at).await?;
    let kept = Transfer {
        debit: offset(programme, run, Offset),
        credit: offset(programme, run, Entitled),
        amount: owed + unpaid,
    };
    let occasion = Occasion { why: "kept back", batch: None, message: None, at };
    ledger::post_in_tx(tx, &[kept], occasion).await?;
    recoveries::post_in_tx(tx, programme, Recovered, Receivable, owed, "kept back", at).await?;
    recoveries::post_in_tx(tx, programme, Recovered, Undue, unpaid, "kept back", at).await
}

/// Gives a cancelled run's instalments back, and takes its refunds back.
pub(in crate::pipeline) async fn give_back_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    use AccountKind::{Entitled, Offset, Receivable, Recovered, Undue};
    super::lock_in_tx(tx, programme).await?;
    recovery_refunds::undo_in_tx(tx, run, at).await?;
    let (owed, unpaid) = recovery_money::give_back_instalments_in_tx(tx, run, at).await?;
    let kept = Transfer {
        debit: offset(programme, run, Entitled),
        credit: offset(programme, run, Offset),
        amount: owed + unpaid,
    };
    let occasion = Occasion { why: "run cancelled", batch: None, message: None, at };
    ledger::post_in_tx(tx, &[kept], occasion).await?;
    recoveries::post_in_tx(tx, programme, Receivable, Recovered, owed, "run cancelled", at).await?;
    recoveries::post_in_tx(tx, programme, Undue, Recovered, unpaid, "run cancelled", at).await
}
