//! What is counted while the orders pass by, and the proofs over it.

use std::collections::BTreeMap;

use super::ReportError;
use super::pass::Codes;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::store::orders::extracts::ExtractedOrder;
use crate::store::runs::{Run, RunTotal};

/// Orders and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub orders: u64,
    pub amount: Centimes,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.amount += other.amount;
    }
}

/// Tallies of one group by state.
pub(super) type ByState = BTreeMap<OrderState, Tally>;

/// Counted in one pass over a run's orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub providers: BTreeMap<i16, ByState>,
    pub places: BTreeMap<u32, ByState>,
    /// Rejections and returns by the provider's reason code; empty where it gave none.
    pub reasons: BTreeMap<OrderState, BTreeMap<String, Tally>>,
    pub entitled: Centimes,
    pub offset: Centimes,
}

impl Figures {
    /// Counts an order.
    pub(super) fn count(&mut self, order: &ExtractedOrder) {
        let one = Tally { orders: 1, amount: order.amount };
        self.providers.entry(order.provider).or_default().entry(order.state).or_default().add(one);
        self.places.entry(order.place).or_default().entry(order.state).or_default().add(one);
        if matches!(order.state, OrderState::Rejected | OrderState::Returned) {
            let reasons = self.reasons.entry(order.state).or_default();
            match reasons.get_mut(&order.reason) {
                Some(tally) => tally.add(one),
                None => drop(reasons.insert(order.reason.clone(), one)),
            }
        }
        self.entitled += order.entitled;
        self.offset += order.offset;
    }

    /// All orders by state.
    pub(super) fn states(&self) -> ByState {
        merged(self.providers.values())
    }

    /// All orders.
    pub(super) fn all(&self) -> Tally {
        sum(&self.states())
    }

    /// Proves that the orders come to the run's figures and to its kept totals.
    pub(super) fn prove(&self, run: &Run, kept: &[RunTotal], codes: &Codes) -> Result<(), ReportError> {
        let all = self.all();
        same(&format!("run {}", run.id), all, Tally { orders: run.orders as u64, amount: run.ordered })?;
        let mut totals: BTreeMap<(String, OrderState), (Tally, Tally)> = BTreeMap::new();
        for (provider, states) in &self.providers {
            for (state, tally) in states {
                totals.entry((codes.provider(*provider)?.to_owned(), *state)).or_default().0 = *tally;
            }
        }
        for total in kept {
            let tally = Tally { orders: total.orders as u64, amount: total.amount };
            totals.entry((total.provider.clone(), total.state)).or_default().1 = tally;
        }
        totals.iter().try_for_each(|((provider, state), (read, kept))| {
            same(&format!("{state} at {provider}"), *read, *kept)
        })
    }
}

fn same(what: &str, read: Tally, kept: Tally) -> Result<(), ReportError> {
    if read == kept {
        return Ok(());
    }
    Err(ReportError::Differs {
        what: what.to_owned(),
        orders: read.orders,
        amount: read.amount,
        kept_orders: kept.orders,
        kept_amount: kept.amount,
    })
}

/// The sum over all states.
pub(super) fn sum(states: &ByState) -> Tally {
    states.values().fold(Tally::default(), |mut all, tally| {
        all.add(*tally);
        all
    })
}

/// Several groups as one.
pub(super) fn merged<'a>(groups: impl Iterator<Item = &'a ByState>) -> ByState {
    let mut all = ByState::new();
    for (state, tally) in groups.flatten() {
        all.entry(*state).or_default().add(*tally);
    }
    all
}

/// Rows written, of which each household row of the snapshot must be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounted {
    pub orders: u64,
    pub exclusions: u64,
    pub rejections: u64,
}

impl Accounted {
    /// Proves that they are the snapshot's household rows.
    pub(super) fn prove(self, rows: u64) -> Result<(), ReportError> {
        let Self { orders, exclusions, rejections } = self;
        if orders + exclusions + rejections == rows {
            return Ok(());
        }
        Err(ReportError::Unaccounted { rows, orders, exclusions, rejections })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::reports::run_report::pass::tests::{codes, order};

    #[test]
    fn every_household_row_is_accounted_for() {
        for (parts, rows, holds) in
            [([3, 2, 1], 6, true), ([3, 2, 1], 7, false), ([3, 2, 1], 5, false), ([0, 0, 0], 0, true)]
        {
            let [orders, exclusions, rejections] = parts;
            let result = Accounted { orders, exclusions, rejections }.prove(rows);
            assert_eq!(result.is_ok(), holds, "{parts:?} of {rows}");
        }
    }

    #[test]
    fn counts_by_state_place_and_reason() {
        let mut figures = Figures::default();
        for (provider, place, state, amount, reason) in [
            (1, 0, OrderState::Settled, 50_000, ""),
            (1, 1, OrderState::Returned, 60_000, "AC04"),
            (2, 1, OrderState::Rejected, 70_000, "AC01"),
            (2, 1, OrderState::Rejected, 80_000, "AC01"),
            (0, 1, OrderState::Held, 90_000, "rib_bad_key+shared_phone"),
        ] {
            figures.count(&order(provider, place, state, amount, reason));
        }
        let tally = |orders, amount| Tally { orders, amount: Centimes::new(amount) };
        assert_eq!(figures.all(), tally(5, 350_000));
        assert_eq!(figures.states()[&OrderState::Rejected], tally(2, 150_000));
        assert_eq!(sum(&figures.places[&1]), tally(4, 300_000));
        assert_eq!(figures.reasons[&OrderState::Rejected]["AC01"], tally(2, 150_000));
        assert_eq!(figures.reasons.len(), 2, "hold reasons are not the providers'");
    }

    #[test]
    fn a_kept_total_that_differs_is_named() {
        let mut figures = Figures::default();
        figures.count(&order(1, 0, OrderState::Settled, 50_000, ""));
        let kept = |state, orders, amount| RunTotal {
            provider: "bank".into(),
            state,
            orders,
            amount: Centimes::new(amount),
        };
        for (totals, difference) in [
            (vec![kept(OrderState::Settled, 1, 50_000)], None),
            (vec![kept(OrderState::Settled, 1, 50_001)], Some("settled at bank")),
            (vec![kept(OrderState::Sent, 1, 50_000)], Some("sent at bank")),
            (vec![], Some("settled at bank")),
        ] {
            let run = super::super::sheets::tests::run(1, 50_000);
            let found = match figures.prove(&run, &totals, &codes()) {
                Ok(()) => None,
                Err(ReportError::Differs { what, .. }) => Some(what),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found.as_deref(), difference);
        }
    }
}
