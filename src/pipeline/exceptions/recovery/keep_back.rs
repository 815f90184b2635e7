//! What a run's orders keep back for undue payments.
//!
//! Input: households in order with what they are due. Output: instalments. Guarantee: constant memory where cases are read on a
//! connection of their own; they were read under the programme's lock, which the run's transaction holds until it ends.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use crate::config::{CaseOrder, Recovery};
use crate::domain::ids::{CaseId, HouseholdId, RunId};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::recovery::instalments::{Instalment, Owed, Terms};
use crate::pipeline::Context;
use crate::store::books::recovery::Instalments;
use crate::store::copy::CopyAhead;
use crate::store::locks::{self, Lock};
use crate::store::recovery::{instalments, refunds, reversals};
use crate::store::{StoreError, books};

/// What kind of order something is kept back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum KeptFrom {
    /// A month of a regular run.
    Month,
    /// Arrears of earlier months, which are paid beside a month.
    Arrears,
    /// A claim that is paid again.
    Reissue,
}

impl KeptFrom {
    /// Arrears come on top of a month of which the floor is left already.
    fn terms(self, settings: &Recovery) -> Terms {
        let (share, floor_left) = match self {
            Self::Month => (settings.share, settings.floor_left),
            Self::Arrears => (settings.arrears_share, Centimes::ZERO),
            Self::Reissue => (settings.reissue_share, settings.floor_left),
        };
        Terms { share, floor_left }
    }
}

/// Cases by household, one ahead.
pub(in crate::pipeline) struct KeptBack {
    terms: Terms,
    rows: Cases,
    ahead: Option<(HouseholdId, Owed)>,
    /// The household at hand, and what it owes by now.
    household: Option<HouseholdId>,
    cases: Vec<Owed>,
    instalments: Vec<Instalment>,
}

enum Cases {
    None,
    Ahead(CopyAhead),
    Read(std::vec::IntoIter<(HouseholdId, Owed)>),
}

impl KeptBack {
    /// Opens the cases that take instalments from orders of a month, on a connection of its own.
    pub async fn open(
        context: &Context,
        programme: i16,
        period: Period,
        from: KeptFrom,
    ) -> Result<Self, StoreError> {
        let mut kept = Self::new(context, from);
        if !kept.terms.share.is_zero() {
            let source = instalments::owed_source(programme, period, today(context), by_month(context));
            kept.rows = Cases::Ahead(CopyAhead::open(context.store.pool(), source));
            kept.ahead = kept.read().await?;
        }
        Ok(kept)
    }

    /// Reads them within a transaction that moved cases itself: they are then in memory.
    pub async fn read_in_tx(
        tx: &mut PgConnection,
        context: &Context,
        programme: i16,
        period: Period,
        from: KeptFrom,
    ) -> Result<Self, StoreError> {
        let mut kept = Self::new(context, from);
        if !kept.terms.share.is_zero() {
            let cases =
                instalments::owed_in_tx(tx, programme, period, today(context), by_month(context)).await?;
            kept.rows = Cases::Read(cases.into_iter());
            kept.ahead = kept.read().await?;
        }
        Ok(kept)
    }

    fn new(context: &Context, from: KeptFrom) -> Self {
        Self {
            terms: from.terms(&context.config.settings.recovery),
            rows: Cases::None,
            ahead: None,
            household: None,
            cases: Vec::new(),
            instalments: Vec::new(),
        }
    }

    /// Moves on to a household; households come in order, and one may come again.
    pub async fn seek(&mut self, household: HouseholdId) -> Result<(), StoreError> {
        if self.household == Some(household) {
            return Ok(());
        }
        self.household = Some(household);
        self.cases.clear();
        while self.ahead.as_ref().is_some_and(|(at, _)| *at <= household) {
            let next = self.read().await?;
            if let Some((of, owed)) = std::mem::replace(&mut self.ahead, next)
                && of == household
            {
                self.cases.push(owed);
            }
        }
        Ok(())
    }

    /// Less is owed of a case of the household at hand than the database says as yet.
    pub fn is_owed_less(&mut self, case: CaseId, by: Centimes) {
        if let Some(owed) = self.cases.iter_mut().find(|owed| owed.case == case) {
            owed.outstanding = (owed.outstanding - by).max(Centimes::ZERO);
        }
    }

    /// What is kept back of what the household at hand is due; the next order of the same household owes less.
    pub fn take(&mut self, due: Centimes) -> &[Instalment] {
        self.instalments.clear();
        if !self.cases.is_empty() && due > Centimes::ZERO {
            self.terms.keep_back(due, &self.cases, &mut self.instalments);
            for taken in &self.instalments {
                for owed in self.cases.iter_mut().filter(|owed| owed.case == taken.case) {
                    owed.outstanding = owed.outstanding - taken.amount;
                    owed.monthly_max = owed.monthly_max.map(|most| most - taken.amount);
                }
            }
        }
        &self.instalments
    }

    async fn read(&mut self) -> Result<Option<(HouseholdId, Owed)>, StoreError> {
        match &mut self.rows {
            Cases::None => Ok(None),
            Cases::Read(cases) => Ok(cases.next()),
            Cases::Ahead(rows) => match rows.next().await? {
                Some(mut row) => instalments::read_owed(&mut row).map(Some),
                None => Ok(None),
            },
        }
    }
}

fn today(context: &Context) -> Date {
    context.clock.now().to_offset(context.config.settings.calendar.utc_offset).date()
}

/// Whether the case of the earliest month takes first.
fn by_month(context: &Context) -> bool {
    context.config.settings.recovery.case_order == CaseOrder::Month
}

/// Takes a run's instalments, which are written, off their cases and books them.
pub(in crate::pipeline) async fn book_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let (owed, unpaid) = instalments::take_instalments_in_tx(tx, run, at).await?;
    books::recovery::kept_back_in_tx(tx, Instalments { programme, run, owed, unpaid }, at).await
}

/// Takes what a later list takes back off its cases, whose rows are written, and books it.
pub(in crate::pipeline) async fn reverse_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let moved = reversals::take_in_tx(tx, run, at).await?;
    books::recovery::taken_back_in_tx(tx, programme, moved, at).await
}

/// Gives a cancelled run's instalments and reversals back, and takes its refunds back.
pub(in crate::pipeline) async fn give_back_in_tx(
    tx: &mut PgConnection,
    programme: i16,
    run: RunId,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    locks::take_in_tx(tx, Lock::Cases(programme)).await?;
    refunds::undo_in_tx(tx, run, at).await?;
    let again = reversals::undo_in_tx(tx, run, at).await?;
    books::recovery::taken_back_undone_in_tx(tx, programme, again, at).await?;
    let (owed, unpaid) = instalments::give_back_instalments_in_tx(tx, run, at).await?;
    books::recovery::kept_back_undone_in_tx(tx, Instalments { programme, run, owed, unpaid }, at).await
}
