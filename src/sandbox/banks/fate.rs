//! What becomes of an order at a bank, drawn from the seed and its end-to-end id.

use super::options::Rates;
use crate::sandbox::chance::{Dice, mix, within};

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives.
    Paid,
    /// Refused at once, for this reason.
    Rejected(&'static str),
    /// Debited, then returned.
    Returned {
        /// Why.
        reason: &'static str,
        /// Whether a camt.054 tells of it.
        notified: bool,
    },
}

/// Reasons of rejections, with their weight in percent.
const REJECTIONS: &[(&str, u64)] = &[("AC01", 34), ("RC04", 33), ("AC04", 33)];

/// Reasons of returns, with their weight in percent (shares observed in comparable programmes).
const RETURNS: &[(&str, u64)] = &[
    ("AC04", 20),
    ("AC07", 20),
    ("AC06", 20),
    ("AC01", 10),
    ("RC04", 10),
    ("BE01", 10),
    ("MD07", 5),
    ("MS03", 5),
];

impl Dice {
    /// Why an order comes back late.
    pub(super) fn late_reason(self, end_to_end_id: &str) -> &'static str {
        pick(RETURNS, self.number("late reason", end_to_end_id))
    }

    /// What happens to an order.
    pub(super) fn fate(self, rates: Rates, end_to_end_id: &str) -> Fate {
        let draw = self.number("order", end_to_end_id);
        if within(draw, rates.rejected) {
            return Fate::Rejected(pick(REJECTIONS, mix(draw)));
        }
        let draw = mix(draw ^ 1);
        if !within(draw, rates.returned) {
            return Fate::Paid;
        }
        let notified = within(mix(draw ^ 2), rates.notified);
        Fate::Returned { reason: pick(RETURNS, mix(draw ^ 3)), notified }
    }
}

/// The entry of a table, by weight; the weights add up to 100.
fn pick(table: &'static [(&'static str, u64)], draw: u64) -> &'static str {
    let mut left = draw % 100;
    for (code, weight) in table {
        if left < *weight {
            return code;
        }
        left -= weight;
    }
    "MS03"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn shares_and_reasons_come_out_as_asked() {
        let dice = Dice::new(7);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for number in 0..200_000 {
            let name = match dice.fate(Rates::default(), &format!("E2E-{number:012}")) {
                Fate::Paid => "paid",
                Fate::Rejected(_) => "rejected",
                Fate::Returned { reason, notified } => {
                    *counts.entry(if notified { "notified" } else { "silent" }).or_default() += 1;
                    *counts.entry(reason).or_default() += 1;
                    "returned"
                }
            };
            *counts.entry(name).or_default() += 1;
        }
        let check = |name: &str, expected: u32| {
            let found = counts.get(name).copied().unwrap_or(0);
            assert!(found.abs_diff(expected) * 5 < expected, "{name}: {found}, not about {expected}");
        };
        for (name, expected) in
            [("rejected", 600), ("returned", 2_991), ("notified", 1_495), ("silent", 1_495)]
        {
            check(name, expected);
        }
        for (reason, percent) in RETURNS {
            check(reason, 2_991 * u32::try_from(*percent).unwrap() / 100);
        }
        for table in [REJECTIONS, RETURNS] {
            assert_eq!(table.iter().map(|(_, weight)| weight).sum::<u64>(), 100);
        }
    }
}
