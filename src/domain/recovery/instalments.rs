//! How much of an order is kept back for undue payments, and for which.
//!
//! Input: what the household is due, the terms, and its cases in order of age. Output: an amount for each case that gets one.
//! Guarantee: never more than the share allows, never below the floor, never more than a case's own outstanding or agreed
//! amount; whole centimes, rounded in the household's favour. Limit: one order, one month.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::domain::ids::CaseId;
use crate::domain::money::Centimes;

/// What may be kept back of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Most of what is due, above 0 and at most 1.
    pub share: Decimal,
    /// What is left to the household at least.
    pub floor_left: Centimes,
}

/// A case that takes instalments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Which.
    pub case: CaseId,
    /// What is outstanding, above zero.
    pub outstanding: Centimes,
    /// Most that was agreed for a month.
    pub monthly_max: Option<Centimes>,
}

/// An amount kept back for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instalment {
    /// Which case.
    pub case: CaseId,
    /// How much, above zero.
    pub amount: Centimes,
}

impl Terms {
    /// The most that may be kept back of what is due.
    pub fn most(&self, due: Centimes) -> Centimes {
        // A share of a positive amount, rounded down, fits where the amount did.
        let share =
            (Decimal::from(due.get()) * self.share).floor().to_i64().map_or(Centimes::ZERO, Centimes::new);
        let room = (due - self.floor_left).max(Centimes::ZERO);
        share.min(room)
    }

    /// Shares what may be kept back out among cases in order of age; appends to `instalments`, and gives their sum.
    pub fn keep_back(&self, due: Centimes, cases: &[Owed], instalments: &mut Vec<Instalment>) -> Centimes {
        let most = self.most(due);
        let mut left = most;
        for owed in cases {
            let wanted = owed.monthly_max.map_or(owed.outstanding, |agreed| agreed.min(owed.outstanding));
            let amount = wanted.min(left);
            if amount > Centimes::ZERO {
                instalments.push(Instalment { case: owed.case, amount });
                left = left - amount;
            }
        }
        most - left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owed(case: i64, outstanding: i64, monthly_max: Option<i64>) -> Owed {
        let monthly_max = monthly_max.map(Centimes::new);
        Owed { case: CaseId::new(case), outstanding: Centimes::new(outstanding), monthly_max }
    }

    fn terms(percent: i64, floor_left: i64) -> Terms {
        Terms { share: Decimal::new(percent, 2), floor_left: Centimes::new(floor_left) }
    }

    fn check(terms: Terms, due: i64, cases: &[Owed], expected: &[(i64, i64)]) {
        let mut instalments = Vec::new();
        let sum = terms.keep_back(Centimes::new(due), cases, &mut instalments);
        let seen: Vec<_> = instalments.iter().map(|i| (i.case.get(), i.amount.get())).collect();
        assert_eq!(seen, expected);
        assert_eq!(sum.get(), expected.iter().map(|e| e.1).sum::<i64>());
    }

    #[test]
    fn the_oldest_case_comes_first_within_share_floor_and_agreement() {
        let two = [owed(1, 70_000, None), owed(2, 10_000, None)];
        check(terms(20, 40_000), 50_000, &two, &[(1, 10_000)]);
        // The floor leaves less room than the share.
        check(terms(50, 40_000), 50_000, &two, &[(1, 10_000)]);
        check(terms(20, 50_000), 50_000, &two, &[]);
        check(terms(20, 60_000), 50_000, &two, &[]);
        // A case that needs less leaves the rest to the next.
        check(
            terms(20, 0),
            135_000,
            &[owed(1, 5_000, None), owed(2, 90_000, None)],
            &[(1, 5_000), (2, 22_000)],
        );
        check(
            terms(20, 0),
            100_000,
            &[owed(1, 70_000, Some(3_000)), owed(2, 9_000, None)],
            &[(1, 3_000), (2, 9_000)],
        );
        // A centime is never rounded against the household.
        check(terms(33, 0), 101, &[owed(1, 1_000, None)], &[(1, 33)]);
        check(terms(20, 0), 4, &two, &[]);
        check(terms(100, 0), 7, &two, &[(1, 7)]);
        check(terms(20, 0), 0, &two, &[]);
    }

    /// Written otherwise: centime by centime, each taken by the first case that may still have one.
    fn model(share_percent: i64, floor_left: i64, due: i64, cases: &[Owed]) -> Vec<(i64, i64)> {
        let mut given = vec![0i64; cases.len()];
        loop {
            let taken: i64 = given.iter().sum::<i64>() + 1;
            if taken * 100 > due * share_percent || due - taken < floor_left {
                break;
            }
            let may = |(i, case): (usize, &Owed)| {
                let agreed = case.monthly_max.is_none_or(|max| given[i] < max.get());
                (given[i] < case.outstanding.get() && agreed).then_some(i)
            };
            let Some(i) = cases.iter().enumerate().find_map(may) else { break };
            given[i] += 1;
        }
        let ids = cases.iter().map(|c| c.case.get());
        ids.zip(given).filter(|(_, amount)| *amount > 0).collect()
    }

    proptest! {
        #[test]
        fn as_an_independent_model_has_it(
            percent in 1i64..=100, floor in 0i64..700, due in 0i64..1_500,
            amounts in prop::collection::vec((1i64..900, prop::option::of(1i64..400)), 0..5),
        ) {
            let cases: Vec<Owed> =
                amounts.iter().zip(1..).map(|((outstanding, max), id)| owed(id, *outstanding, *max)).collect();
            let mut instalments = Vec::new();
            terms(percent, floor).keep_back(Centimes::new(due), &cases, &mut instalments);
            let seen: Vec<_> = instalments.iter().map(|i| (i.case.get(), i.amount.get())).collect();
            prop_assert_eq!(seen, model(percent, floor, due, &cases));
        }
    }
}
