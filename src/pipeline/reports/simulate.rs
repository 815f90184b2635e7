//! What another rule set would cost, on a list that was imported.
//!
//! Input: a snapshot, and a programme's file. Output: for the whole and each region, households and amounts under the configured
//! rules and under the others, who would gain, lose, join or leave; for the month.
//! Guarantee: nothing is written; each household is assessed by both rule sets in one pass, in constant memory.
//! Limit: what the list says; benefits that may not be drawn together, holds and changes since the list are not weighed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::entitlement::{Assessment, Assessor, NoRules, Outcome};
use crate::domain::hint::{Hint, NextStep};
use crate::domain::household::Household;
use crate::domain::ids::SnapshotId;
use crate::domain::money::Centimes;
use crate::domain::not_found::{Entity, NotFound};
use crate::domain::period::Period;
use crate::domain::programme::{Programme, ProgrammeError};
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::copy::CopyAhead;
use crate::store::registry::{households, snapshots};

/// Why nothing was worked out.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The snapshot is not there, or its programme is not configured.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rules do not hold together.
    #[error("the rules in `{}` cannot be used", path.display())]
    Rules {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<ProgrammeError>,
    },
    /// No rules are in force.
    #[error(transparent)]
    NoRules(#[from] NoRules),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for SimulateError {
    fn hint(&self) -> Option<NextStep> {
        match self {
            Self::NotFound(e) => e.hint(),
            Self::Read { .. } | Self::Rules { .. } => {
                Some("give a whole programme's file, like those in config/programmes".into())
            }
            Self::NoRules(_) => Some("add a version in force to the file".into()),
            Self::Store(e) => e.hint(),
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(SimulateError {
    Self::NotFound(_) => Self::NotFound(Entity::Snapshot.not_found(7)),
    Self::Read { .. } => Self::Read { path: "a.toml".into(), source: std::io::ErrorKind::NotFound.into() },
    Self::Rules { .. } => Self::Rules {
        path: "a.toml".into(),
        source: Box::new(ProgrammeError::Setting { key: "code", problem: "is missing" }),
    },
    Self::NoRules(_) => {
        Self::NoRules(NoRules { month: Period::new(2026, 11).expect("a month") })
    },
    Self::Store(_) => Self::Store(StoreError::Corrupt("snapshot")),
});

/// Sums under both rule sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Households that are paid under the configured rules.
    pub households: u64,
    /// What they are due.
    pub amount: Centimes,
    /// Households that would be paid under the others.
    pub would_households: u64,
    /// What they would be due.
    pub would_amount: Centimes,
    /// Households that would be paid and are not.
    pub join: u64,
    /// Households that are paid and would not be.
    pub leave: u64,
    /// Of those paid under both, who would get more.
    pub gain: u64,
    /// Who would get less.
    pub lose: u64,
}

impl Sums {
    fn add(&mut self, is: Centimes, would: Centimes) {
        self.households += u64::from(!is.is_zero());
        self.would_households += u64::from(!would.is_zero());
        self.amount += is;
        self.would_amount += would;
        match (is.is_zero(), would.is_zero()) {
            (true, false) => self.join += 1,
            (false, true) => self.leave += 1,
            (false, false) => {
                self.gain += u64::from(would > is);
                self.lose += u64::from(would < is);
            }
            (true, true) => {}
        }
    }
}

/// What was worked out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Simulated {
    /// Programme.
    pub programme: String,
    /// Month.
    pub period: Period,
    /// The whole.
    pub all: Sums,
    /// By region.
    pub regions: BTreeMap<String, Sums>,
}

/// Works out what the rules in `file` would cost for the month of a snapshot.
///
/// # Errors
/// See [`SimulateError`].
pub async fn simulate(
    context: &Context,
    snapshot: SnapshotId,
    file: &Path,
) -> Result<Simulated, SimulateError> {
    let snapshot = snapshots::find(&context.store, snapshot)
        .await?
        .ok_or_else(|| Entity::Snapshot.not_found(snapshot))?;
    let configured = context.config.programme(&snapshot.programme);
    let configured = configured.ok_or_else(|| Entity::Programme.not_found(&snapshot.programme))?;
    let is = Assessor::new(&configured.rules, snapshot.period)?;
    let would = Assessor::new(&read(file)?, snapshot.period)?;
    let places = snapshots::places(&context.store, snapshot.id).await?;
    let stage = context.telemetry.stage("simulate", "households", Some(snapshot.households as u64));
    let source = format!("{} ({})", households::leaf(snapshot.id), households::COLUMNS);
    let mut rows = CopyAhead::open(context.store.pool(), source);
    let (mut buffers, mut before, mut seen) = (Assessment::default(), None, 0u64);
    let mut by_place = vec![Sums::default(); places.len()];
    while let Some(mut row) = rows.next().await? {
        let household = households::read(&mut row, before.take())?;
        let mut due = |rules: &Assessor| due(rules, &household, &mut buffers);
        let (is, would) = (due(&is), due(&would));
        let sums = by_place.get_mut(usize::from(household.place.0));
        sums.ok_or(StoreError::Corrupt("place of a household"))?.add(is, would);
        before = Some(household);
        seen += 1;
        if seen.is_multiple_of(100_000) {
            stage.add(100_000);
        }
    }
    stage.add(seen % 100_000);
    let mut found = Simulated {
        programme: snapshot.programme,
        period: snapshot.period,
        all: Sums::default(),
        regions: BTreeMap::new(),
    };
    for (place, sums) in places.into_iter().zip(by_place) {
        merge(&mut found.all, &sums);
        merge(found.regions.entry(place.region).or_default(), &sums);
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Programme, SimulateError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| SimulateError::Read { path: file.into(), source })?;
    Programme::from_toml(&text)
        .map_err(|source| SimulateError::Rules { path: file.into(), source: Box::new(source) })
}

fn due(rules: &Assessor, household: &Household, buffers: &mut Assessment) -> Centimes {
    match rules.assess(household, buffers) {
        Outcome::Due(amount) => amount,
        Outcome::Excluded(_) => Centimes::ZERO,
    }
}

fn merge(into: &mut Sums, sums: &Sums) {
    into.households += sums.households;
    into.amount += sums.amount;
    into.would_households += sums.would_households;
    into.would_amount += sums.would_amount;
    into.join += sums.join;
    into.leave += sums.leave;
    into.gain += sums.gain;
    into.lose += sums.lose;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_household_is_counted_where_it_belongs() {
        let mut sums = Sums::default();
        for (is, would) in [(500, 500), (500, 600), (600, 500), (0, 500), (500, 0), (0, 0)] {
            sums.add(Centimes::from_mad(is), Centimes::from_mad(would));
        }
        let expected = Sums {
            households: 4,
            amount: Centimes::from_mad(2_100),
            would_households: 4,
            would_amount: Centimes::from_mad(2_100),
            join: 1,
            leave: 1,
            gain: 1,
            lose: 1,
        };
        assert_eq!(sums, expected);
    }
}
