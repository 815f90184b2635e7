//! Deposits for children in the care of institutions: accrued by month, released when the child comes of age.
//!
//! - **Input**: the child as a list has it, the list's month, and what was paid in before.
//! - **Output**: the lines to pay in, and the release, if the child comes of age; or why nothing is paid in.
//! - **Guarantee**: a month is paid in once; nothing is paid in after the release; the lines add up to the amount.
//! - **Limit**: a list says nothing of months further back than the terms allow, nor of children whom it does not name.

use time::{Date, Month};

use super::{Component, RULE_DEPOSIT, RULE_DEPOSIT_TOP_UP};
use crate::domain::child::ChildInCare;
use crate::domain::listed::listed;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::{DepositTerms, LeapBirthday, MinimumFor, Programme, Version};

listed! {
    /// Why nothing is paid in for a child.
    DepositRefusal {
        /// The programme has no deposits in the list's month.
        NotInForce = "deposit_not_in_force",
        /// The deposit was released by an earlier run.
        Released = "deposit_released_before",
        /// The child has come of age, and what was paid in is released without more.
        OfAge = "deposit_released",
        /// The child died before the months that could be due.
        Deceased = "deposit_child_deceased",
        /// All months in care are paid in.
        NothingDue = "deposit_nothing_due",
    }
}

impl DepositRefusal {
    /// What it means, in a sentence without a full stop.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotInForce => "the programme has no deposits in this month",
            Self::Released => "the deposit was released before: nothing more is paid in",
            Self::OfAge => "the child has come of age: what was paid in is released, and no more is due",
            Self::Deceased => "the child has died, and no month is due",
            Self::NothingDue => "every month in care within reach is paid in",
        }
    }
}

/// What was paid in for a child before.
#[derive(Clone, Debug, Default)]
pub struct PaidIn {
    /// Months for which something was paid in.
    pub months: Vec<Period>,
    /// All of it, what made up the minimum included.
    pub amount: Centimes,
    /// The deposit was released.
    pub released: bool,
}

/// The release of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The day on which the child comes of age.
    pub of_age_on: Date,
    /// What is released: all that was paid in, and what is paid in now.
    pub amount: Centimes,
}

/// What is done for a child in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// What is paid in, line by line; empty where nothing is.
    pub lines: Vec<Component>,
    /// Why nothing is paid in.
    pub refusal: Option<DepositRefusal>,
    /// The release, where the child comes of age.
    pub release: Option<Release>,
}

/// Judges a child of the list of a month.
pub fn judge_deposit(programme: &Programme, period: Period, child: &ChildInCare, paid: &PaidIn) -> Deposit {
    let nothing = |refusal| Deposit { lines: Vec::new(), refusal: Some(refusal), release: None };
    let Some((version, terms)) = terms_at(programme, period) else {
        return nothing(DepositRefusal::NotInForce);
    };
    if paid.released {
        return nothing(DepositRefusal::Released);
    }
    let of_age_on = birthday(child.birth_date, terms.majority_age, version.child.leap_birthday);
    let mut lines: Vec<Component> = (0..=terms.months_back)
        .rev()
        .filter_map(|back| {
            let month = Period::from_index(period.index() - i32::from(back)).ok()?;
            let (_, terms) = terms_at(programme, month)?;
            let due = accrues(child, month, of_age_on) && !paid.months.contains(&month);
            due.then(|| line(RULE_DEPOSIT, back, terms.amount))
        })
        .collect();
    let sum = |lines: &[Component]| paid.amount + lines.iter().map(|l| l.amount).sum();
    let lives_to_it = child.deceased_on.is_none_or(|died| died >= of_age_on);
    let comes_of_age = of_age_on <= period.last_day() && lives_to_it && sum(&lines) > Centimes::ZERO;
    if comes_of_age && made_up(child, terms, of_age_on) && sum(&lines) < terms.minimum {
        lines.push(line(RULE_DEPOSIT_TOP_UP, 0, terms.minimum - sum(&lines)));
    }
    let release = comes_of_age.then(|| Release { of_age_on, amount: sum(&lines) });
    let refusal = match (lines.is_empty(), release, child.deceased_on) {
        (false, ..) => None,
        (true, Some(_), _) => Some(DepositRefusal::OfAge),
        (true, None, Some(_)) => Some(DepositRefusal::Deceased),
        (true, None, None) => Some(DepositRefusal::NothingDue),
    };
    Deposit { lines, refusal, release }
}

fn terms_at(programme: &Programme, month: Period) -> Option<(&Version, &DepositTerms)> {
    let version = programme.version_at(month)?;
    version.deposit.as_ref().map(|terms| (version, terms))
}

fn line(rule: u8, month: u8, amount: Centimes) -> Component {
    Component { rule, month, member: None, rank: 0, age: 0, amount }
}

/// Whether a month counts: the child was in care, alive and under age on one of its days.
fn accrues(child: &ChildInCare, month: Period, of_age_on: Date) -> bool {
    let (first, last) = (month.first_day(), month.last_day());
    child.birth_date <= last
        && child.since <= last
        && child.until.is_none_or(|until| until >= first)
        && child.deceased_on.is_none_or(|died| died >= first)
        && of_age_on > first
}

/// Whether less than the minimum is made up.
fn made_up(child: &ChildInCare, terms: &DepositTerms, of_age_on: Date) -> bool {
    match terms.minimum_for {
        MinimumFor::All => true,
        MinimumFor::InCare => {
            child.since <= of_age_on && child.until.is_none_or(|until| until.next_day() >= Some(of_age_on))
        }
    }
}

/// The day on which a person completes so many years.
fn birthday(born: Date, age: u8, leap: LeapBirthday) -> Date {
    let year = born.year() + i32::from(age);
    born.replace_year(year).unwrap_or_else(|_| {
        let (month, day) = match leap {
            LeapBirthday::March1 => (Month::March, 1),
            LeapBirthday::February28 => (Month::February, 28),
        };
        // Only 29 February is missing in some years.
        Date::from_calendar_date(year, month, day).unwrap_or(born)
    })
}
