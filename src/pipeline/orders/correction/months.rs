//! The months that a list may say something of, and their candidates, merged by household in constant memory.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use super::months_before;
use crate::config::ConfiguredProgramme;
use crate::domain::entitlement::Assessor;
use crate::domain::ids::HouseholdId;
use crate::domain::period::Period;
use crate::domain::run::{RunKind, RunState};
use crate::pipeline::Context;
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::barring::barring_runs;
use crate::store::copy::CopyAhead;
use crate::store::registry::snapshots::Snapshot;
use crate::store::runs::corrections::{self, Candidate, Month};
use crate::store::runs::{self, restated};
use crate::store::{Store, StoreError};

/// Months whose regular run has left, and was made from an earlier list than the one at hand.
pub(super) async fn to_look_at(
    context: &Context,
    tx: &mut PgConnection,
    programme: &ConfiguredProgramme,
    snapshot: &Snapshot,
    back: u8,
) -> Result<Vec<Month>, StoreError> {
    let mut months = Vec::new();
    let codes = [snapshot.programme.clone()];
    let unreadable = corrections::rejects_unreadable_in_tx(tx, snapshot.id).await?;
    for period in months_before(snapshot, back) {
        let live = runs::live_of_period_in_tx(tx, &codes, period, None).await?;
        let Some(regular) = live.into_iter().find(|r| r.kind == RunKind::Regular && has_left(r.state)) else {
            continue;
        };
        let then = regular.snapshot;
        if then >= snapshot.id {
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
            corrected: restated::corrected_lists_in_tx(tx, regular.programme_id, period, then).await?,
            barring: barring.iter().map(|b| b.run.id).collect(),
            same_month: period == snapshot.period,
            unreadable,
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
    pub month: Arc<Month>,
    /// Its rules.
    pub assessor: Arc<Assessor>,
    /// The household.
    pub candidate: Candidate,
}

/// Candidates whose rows differ, of one month.
struct Differing {
    month: Arc<Month>,
    assessor: Arc<Assessor>,
    rows: CopyAhead,
    ahead: Option<Candidate>,
}

/// Candidates that were restated before, of all months.
struct Restated {
    rows: CopyAhead,
    ahead: Option<(Period, Candidate)>,
}

/// Candidates of all months, one household after the other.
pub(super) struct Merged {
    differing: Vec<Differing>,
    restated: Option<Restated>,
}

impl Merged {
    /// Opens a cursor for each month, on connections of their own, and one for what was restated.
    pub async fn open(
        store: &Store,
        programme: &ConfiguredProgramme,
        months: &[Month],
    ) -> Result<Self, OrderError> {
        let mut merged = Self { differing: Vec::with_capacity(months.len()), restated: None };
        if months.is_empty() {
            return Ok(merged);
        }
        let pool: PgPool = store.beside(u32::try_from(months.len() + 1).unwrap_or(u32::MAX));
        for month in months {
            let mut cursor = Differing {
                month: Arc::new(month.clone()),
                assessor: Arc::new(Assessor::new(&programme.rules, month.period)?),
                rows: CopyAhead::open(&pool, corrections::source(month)),
                ahead: None,
            };
            cursor.step().await?;
            merged.differing.push(cursor);
        }
        let rows = CopyAhead::open(&pool, corrections::restated_source(months));
        let mut restated = Restated { rows, ahead: None };
        restated.step().await?;
        merged.restated = Some(restated);
        Ok(merged)
    }

    /// The next household, with its candidates by month, the earliest month first.
    pub async fn next(&mut self) -> Result<Option<(HouseholdId, Vec<OfMonth>)>, StoreError> {
        let of_restated = self.restated.as_ref().and_then(|r| r.ahead.as_ref()).map(|(_, c)| c.household);
        let ahead = self.differing.iter().filter_map(|c| c.ahead.as_ref()).map(|a| a.household);
        let Some(household) = ahead.chain(of_restated).min() else { return Ok(None) };
        let mut found = Vec::new();
        for cursor in &mut self.differing {
            let differing = match cursor.ahead.as_ref().is_some_and(|a| a.household == household) {
                true => cursor.step().await?,
                false => None,
            };
            let restated = match &mut self.restated {
                Some(restated) => restated.take(household, cursor.month.period).await?,
                None => None,
            };
            // What a month is known as stands before what its own list said.
            if let Some(candidate) = restated.or(differing) {
                found.push(OfMonth {
                    month: cursor.month.clone(),
                    assessor: cursor.assessor.clone(),
                    candidate,
                });
            }
        }
        Ok(Some((household, found)))
    }
}

impl Differing {
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
            return Err(StoreError::OutOfOrder);
        }
        Ok(before)
    }
}

impl Restated {
    async fn take(&mut self, household: HouseholdId, month: Period) -> Result<Option<Candidate>, StoreError> {
        match &self.ahead {
            Some((of, candidate)) if candidate.household == household && *of == month => self.step().await,
            _ => Ok(None),
        }
    }

    async fn step(&mut self) -> Result<Option<Candidate>, StoreError> {
        let next = match self.rows.next().await? {
            Some(mut row) => Some(corrections::read_restated(&mut row)?),
            None => None,
        };
        let before = std::mem::replace(&mut self.ahead, next);
        if let (Some((month, before)), Some((next_month, next))) = (&before, &self.ahead)
            && (before.household, *month) >= (next.household, *next_month)
        {
            return Err(StoreError::OutOfOrder);
        }
        Ok(before.map(|(_, candidate)| candidate))
    }
}
