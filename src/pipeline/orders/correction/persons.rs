//! Persons who stand in another household than the one they were counted in, looked up across lists.
//!
//! Input: the months that are looked at. Output: for each of them and each household, its persons who are counted or listed
//! elsewhere, with what follows. Guarantee: rows are compared in the database, and only persons who came, went or are shared
//! are gathered, in a table that the database sorts. Limit: memory grows with the persons who do stand in two households.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::domain::correction::MovedRule;
use crate::domain::correction::persons::{Bearing, Place, Verdict, weigh};
use crate::domain::ids::HouseholdId;
use crate::domain::period::Period;
use crate::domain::person::Idcs;
use crate::store::copy::{CopyAhead, CopyBuffer};
use crate::store::runs::corrections::Month;
use crate::store::runs::restated::{self, HouseholdPersons};
use crate::store::{Store, StoreError};

const COPY_BYTES: usize = 1 << 20;

/// Persons of households who stand in others.
#[derive(Default)]
pub(super) struct Elsewhere(HashMap<(HouseholdId, Period), Vec<(Idcs, Bearing)>>);

impl Elsewhere {
    /// Looks them up, over all months but a list's own: a corrected list says the whole of its month.
    pub async fn look_up(
        store: &Store,
        tx: &mut PgConnection,
        months: &[Month],
        rule: MovedRule,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        let mut buffer = CopyBuffer::with_capacity(COPY_BYTES);
        let mut gathered = 0;
        restated::gather_places_in_tx(tx).await?;
        let pool = store.merging(1);
        for month in months.iter().filter(|month| !month.same_month) {
            let source = restated::persons_source(month);
            let mut rows = CopyAhead::open(&pool, source);
            let mut scratch = Vec::new();
            while let Some(mut row) = rows.next().await? {
                gather(&restated::read_persons(&mut row)?, month.period, &mut buffer, &mut scratch);
                if buffer.row_bytes().len() > COPY_BYTES {
                    gathered += buffer.send_in_tx(tx, restated::PLACE_TARGET, "").await?;
                }
            }
        }
        gathered += buffer.send_in_tx(tx, restated::PLACE_TARGET, "").await?;
        if gathered > 0 {
            restated::placed_twice_in_tx(tx, |(period, idcs, places)| {
                for (household, bearing) in weigh(places, rule) {
                    if bearing.verdict != Verdict::Own || bearing.row.is_some() {
                        found.0.entry((household, *period)).or_default().push((*idcs, bearing));
                    }
                }
            })
            .await?;
        }
        Ok(found)
    }

    /// Those of a household in a month.
    pub fn of(&self, household: HouseholdId, month: Period) -> &[(Idcs, Bearing)] {
        self.0.get(&(household, month)).map_or(&[], Vec::as_slice)
    }
}

/// Gathers the persons of a household who came, went or are shared.
fn gather(of: &HouseholdPersons, period: Period, buffer: &mut CopyBuffer, scratch: &mut Vec<u8>) {
    let (then, now) = (of.then.as_deref().unwrap_or_default(), of.now.as_deref().unwrap_or_default());
    let place = |counted, row| Place {
        household: of.household,
        counted,
        in_month: of.then.is_some(),
        row,
        speaks: of.speaks,
    };
    for member in then {
        let row = now.iter().find(|m| m.idcs == member.idcs).copied();
        if row.is_none() || of.all {
            restated::push_place(buffer, period, member.idcs, &place(true, row), scratch);
        }
    }
    for member in now.iter().filter(|m| then.iter().all(|t| t.idcs != m.idcs)) {
        restated::push_place(buffer, period, member.idcs, &place(false, Some(*member)), scratch);
    }
}
