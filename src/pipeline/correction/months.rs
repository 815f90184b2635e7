//! The months that a list may say something of, and their candidates, merged by household in constant memory.

use sqlx::PgConnection;

use super::months_before;
use crate::config::ConfiguredProgramme;
use crate::domain::entitlement::{Assessor, NoRules};
use crate::domain::ids::HouseholdId;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::Context;
use crate::pipeline::order::{OrderError, barring_runs};
use crate::store::corrections::{self, Candidate, Month};
use crate::store::pgcopy::CopyAhead;
use crate::store::snapshots::Snapshot;
use crate::store::{Store, StoreError, runs};

/// Months whose regular run has left and whose list is another than the one at hand.
pub(super) async fn to_look_at(
    context: &Context,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    snapshot: &Snapshot,
    back: u8,
) -> Result<Vec<Month>, StoreError> {
    let mut months = Vec::new();
    let codes = [snapshot.programme.clone()];
    for period in months_before(snapshot, back) {
        let live = runs::live_of_period_in_tx(tx, &codes, period, crate::domain::ids::RunId::new(0)).await?;
        let Some(regular) = live.into_iter().find(|r| r.kind == RunKind::Regular && has_left(r.state)) else {
            continue;
        };
        let then = corrections::list_of_month_in_tx(tx, regular.id).await?;
        if then == snapshot.id {
            continue;
        }
        let barring = barring_runs(&context.config, tx, programme, period, regular.id).await?;
        corrections::know_order(&context.store, &[then, snapshot.id]).await?;
        months.push(Month {
            programme: regular.programme_id,
            period,
            run: regular.id,
            then,
            now: snapshot.id,
            barring: barring.iter().map(|b| b.run.id).collect(),
            same_month: period == snapshot.period,
            whole: regular.rules_sha256.as_slice() != programme.sha256.as_slice(),
        });
    }
    Ok(months)
}

/// Before it leaves, a run that is wrong is cancelled and made again.
const fn has_left(state: RunState) -> bool {
    use RunState::{Closed, Dispatching, Reconciled, Settling};
    matches!(state, Dispatching | Settling | Reconciled | Closed)
}

/// A candidate, with the month and the rules that it is assessed by.
pub(super) struct OfMonth {
    /// Which of the months.
    pub month: Month,
    /// Its rules.
    pub assessor: std::sync::Arc<Assessor>,
    /// The household.
    pub candidate: Candidate,
}

struct Cursor {
    month: Month,
    assessor: std::sync::Arc<Assessor>,
    rows: CopyAhead,
    ahead: Option<Candidate>,
}

/// Candidates of all months, one household after the other.
pub(super) struct Merged(Vec<Cursor>);

impl Merged {
    /// Opens a cursor for each month.
    pub async fn open(
        store: &Store,
        programme: &ConfiguredProgramme,
        months: &[Month],
    ) -> Result<Self, OrderError> {
        let mut cursors = Vec::with_capacity(months.len());
        for month in months {
            let assessor: Result<Assessor, NoRules> = Assessor::new(&programme.rules, month.period);
            let rows = CopyAhead::open(store.pool(), corrections::source(month));
            cursors.push(Cursor {
                month: month.clone(),
                assessor: std::sync::Arc::new(assessor?),
                rows,
                ahead: None,
            });
        }
        for cursor in &mut cursors {
            cursor.step().await?;
        }
        Ok(Self(cursors))
    }

    /// The next household, with its candidates by month, the earliest month first.
    pub async fn next(&mut self) -> Result<Option<(HouseholdId, Vec<OfMonth>)>, StoreError> {
        let Some(household) = self.0.iter().filter_map(|c| c.ahead.as_ref().map(|a| a.household)).min()
        else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for cursor in &mut self.0 {
            if cursor.ahead.as_ref().is_some_and(|a| a.household == household)
                && let Some(candidate) = cursor.step().await?
            {
                let (month, assessor) = (cursor.month.clone(), cursor.assessor.clone());
                found.push(OfMonth { month, assessor, candidate });
            }
        }
        Ok(Some((household, found)))
    }
}

impl Cursor {
    /// Moves on by one, and gives what was ahead.
    async fn step(&mut self) -> Result<Option<Candidate>, StoreError> {
        let next = match self.rows.next().await? {
            Some(mut row) => Some(corrections::read(&mut row)?),
            None => None,
        };
        let before = std::mem::replace(&mut self.ahead, next);
        if let (Some(before), Some(next)) = (&before, &self.ahead)
            && before.household >= next.household
        {
            return Err(StoreError::Corrupt("order of households"));
        }
        Ok(before)
    }
}
