//! Checks a statement against itself: opening + credits − debits = closing, and the totals the bank states.
//!
//! Input: balances, stated totals and entries, in any order. Output: what does not agree. Guarantee: sums in 128
//! bits, so no file can overflow them. Limit: one currency to a statement; the first balance of each kind counts.

use std::fmt;

use super::{Balance, StatementEnd, Summary};
use crate::domain::money::Centimes;

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The closing balance, from the opening (or previous closing) balance and the booked entries.
    ClosingBalance,
    /// The number of all entries.
    AllEntries,
    /// The sum of all entries.
    AllSum,
    /// The number of credit entries.
    CreditEntries,
    /// The sum of the credit entries.
    CreditSum,
    /// The number of debit entries.
    DebitEntries,
    /// The sum of the debit entries.
    DebitSum,
}

/// A count or an amount. A balance in debit is a negative amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How many.
    Count(u64),
    /// How much.
    Amount(Centimes),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Amount(amount) => amount.fmt(f),
        }
    }
}

/// A figure of the bank's that does not follow from its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which.
    pub what: Checked,
    /// What the bank states.
    pub stated: Figure,
    /// What follows from the entries.
    pub counted: Figure,
}

/// Sums up one statement.
#[derive(Clone, Debug, Default)]
pub struct BalanceCheck {
    opening: Option<i128>,
    previous: Option<i128>,
    closing: Option<i128>,
    booked: i128,
    entries: u64,
    credits: Side,
    debits: Side,
    summary: Summary,
}

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    entries: u64,
    sum: i128,
}

impl BalanceCheck {
    /// Takes note of a balance.
    pub fn balance(&mut self, balance: &Balance) {
        let amount = i128::from(balance.amount.get());
        let signed = if balance.credit { amount } else { -amount };
        let slot = match balance.code.as_str() {
            "OPBD" => &mut self.opening,
            "PRCD" => &mut self.previous,
            "CLBD" => &mut self.closing,
            _ => return,
        };
        slot.get_or_insert(signed);
    }

    /// Takes note of the totals the bank states.
    pub fn summary(&mut self, summary: &Summary) {
        self.summary = *summary;
    }

    /// Adds an entry; `booked` says whether it is part of the balances.
    pub fn entry(&mut self, amount: Centimes, credit: bool, booked: bool) {
        let amount = i128::from(amount.get());
        let side = if credit { &mut self.credits } else { &mut self.debits };
        side.entries += 1;
        side.sum += amount;
        self.entries += 1;
        if booked {
            self.booked += if credit { amount } else { -amount };
        }
    }

    /// Adds an entry of which only the existence is known.
    pub fn faulty_entry(&mut self) {
        self.entries += 1;
    }

    /// What was counted.
    pub fn end(&self) -> StatementEnd {
        StatementEnd {
            entries: self.entries,
            credit_sum: saturated(self.credits.sum),
            debit_sum: saturated(self.debits.sum),
        }
    }

    /// What does not agree. Only what the bank states is checked.
    pub fn mismatches(&self) -> impl Iterator<Item = Mismatch> + use<> {
        let all = Side { entries: self.entries, sum: self.credits.sum + self.debits.sum };
        let count = |what, stated: Option<u64>, counted: u64| {
            let stated = stated.filter(|s| *s != counted)?;
            Some(Mismatch { what, stated: Figure::Count(stated), counted: Figure::Count(counted) })
        };
        let sum = |what, stated: Option<i128>, counted: i128| {
            let stated = stated.filter(|s| *s != counted)?;
            let figure = |v| Figure::Amount(saturated(v));
            Some(Mismatch { what, stated: figure(stated), counted: figure(counted) })
        };
        let centimes = |c: Option<Centimes>| c.map(|c| i128::from(c.get()));
        let opening = self.opening.or(self.previous);
        let closing = self.closing.filter(|_| opening.is_some());
        let stated = &self.summary;
        [
            sum(Checked::ClosingBalance, closing, opening.unwrap_or(0) + self.booked),
            count(Checked::AllEntries, stated.all.entries, all.entries),
            sum(Checked::AllSum, centimes(stated.all.sum), all.sum),
            count(Checked::CreditEntries, stated.credits.entries, self.credits.entries),
            sum(Checked::CreditSum, centimes(stated.credits.sum), self.credits.sum),
            count(Checked::DebitEntries, stated.debits.entries, self.debits.entries),
            sum(Checked::DebitSum, centimes(stated.debits.sum), self.debits.sum),
        ]
        .into_iter()
        .flatten()
    }
}

/// An amount, at the ends of the type where it does not fit.
fn saturated(value: i128) -> Centimes {
    Centimes::new(i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(code: &str, centimes: i64) -> Balance {
        Balance {
            code: code.into(),
            amount: Centimes::new(centimes.abs()),
            credit: centimes >= 0,
            ..Balance::default()
        }
    }

    fn check(balances: &[(&str, i64)], entries: &[(i64, bool)], expected: &[(Checked, i64, i64)]) {
        let mut check = BalanceCheck::default();
        balances.iter().for_each(|(code, amount)| check.balance(&balance(code, *amount)));
        for (amount, booked) in entries {
            check.entry(Centimes::new(amount.abs()), *amount >= 0, *booked);
        }
        let found: Vec<_> = check.mismatches().collect();
        let amount = |v: i64| Figure::Amount(Centimes::new(v));
        let expected: Vec<_> = expected
            .iter()
            .map(|(what, s, c)| Mismatch { what: *what, stated: amount(*s), counted: amount(*c) })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn closing_follows_from_opening_and_booked_entries() {
        check(&[("OPBD", 100), ("CLBD", 70)], &[(20, true), (-50, true)], &[]);
        check(&[("OPBD", 100), ("CLBD", 70)], &[(20, true), (-50, true), (999, false)], &[]);
        check(&[("OPBD", -100), ("CLBD", -150)], &[(-50, true)], &[]);
        check(&[("PRCD", 10), ("CLBD", 10)], &[], &[]);
        check(&[("CLBD", 10)], &[(5, true)], &[]);
        check(&[("OPBD", 10)], &[(5, true)], &[]);
        check(&[("OPBD", 100), ("CLBD", 70)], &[(20, true)], &[(Checked::ClosingBalance, 70, 120)]);
        check(
            &[("OPBD", i64::MAX), ("CLBD", 0)],
            &[(i64::MAX, true)],
            &[(Checked::ClosingBalance, 0, i64::MAX)],
        );
    }
}
