//! What a household is due for a month, and why.
//!
//! - **Input**: a [`Programme`], the month, and a household of the snapshot.
//! - **Output**: an [`Outcome`]: the amount with its [`Component`]s, or the reason why nothing is paid.
//! - **Guarantee**: the components add up to the amount (asserted); the order of the members does not matter;
//!   nothing is allocated once the buffers have grown.
//! - **Limit**: what other programmes pay, rejected member rows and dead payees are the caller's to weigh.

mod assess;
mod codec;
mod compile;
mod deposit;
mod excluded;
mod explain;
mod grant;

use std::fmt;

use super::money::Centimes;
use super::period::Period;
use super::programme::Programme;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::listed::listed;

pub use codec::{CodecError, decode_components, encode_components};
pub use deposit::{Deposit, DepositRefusal, PaidIn, Release, judge_deposit};
pub use excluded::excluding_rule;
pub use explain::{ExplainError, Line, explain, explain_exclusion};
pub use grant::{ClaimRefusal, GrantAssessor, GrantRefused, PaidBefore, last_day_to_claim};

/// The rule of a component that is the flat rate of a household without children.
pub const RULE_FLAT: u8 = 255;
/// The rule of a component that raises a month to the floor.
pub const RULE_FLOOR: u8 = 254;
/// The rule of a component, below zero, that lowers a month to the cap.
pub const RULE_CAP: u8 = 253;
/// The rule of a component that pays arrears of an earlier month; its `month` is how many months before.
pub const RULE_ARREARS: u8 = 252;
/// The rule of a component that refunds what was kept back or repaid for a month and was not undue; its `month` is how many
/// months before.
pub const RULE_REFUND: u8 = 251;
/// The rule of a component that pays a birth grant.
pub const RULE_BIRTH_GRANT: u8 = 250;
/// The rule of a component that pays in a deposit of a month; its `month` is how many months before.
pub const RULE_DEPOSIT: u8 = 249;
/// The rule of a component that makes a deposit up to the minimum when it is released.
pub const RULE_DEPOSIT_TOP_UP: u8 = 248;

listed! {
    /// Why a household is paid nothing for a month.
    ExclusionReason {
        /// Its RSU score is above the programme's threshold.
        ScoreAboveThreshold = "score_above_threshold",
        /// Its head does not live in Morocco.
        HeadNotResident = "head_not_resident",
        /// The exchanges found a public-sector job.
        PublicJob = "public_job",
        /// The exchanges found a pension.
        Pension = "pension",
        /// The exchanges found another family allowance.
        FamilyAllowance = "family_allowance",
        /// What the programme asks of its attributes is not met.
        AttributeNotMet = "attribute_not_met",
        /// The registry excludes it for a reason not listed here.
        ExcludedByRegistry = "excluded_by_registry",
        /// It is eligible, but no rule pays it anything.
        NothingDue = "nothing_due",
        /// It draws a benefit that may not be drawn together with this one.
        OtherProgramme = "other_programme",
    }
}

/// The reason of an exclusion for a claim that another run of the month orders.
pub const ALREADY_ORDERED: &str = "already_ordered";

/// One line of an entitlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Index into the version's rules, or one of `RULE_FLAT`, `RULE_FLOOR`, `RULE_CAP`.
    pub rule: u8,
    /// Which month of [`Programme::months_due`] it is for: 0 is the period itself, then its arrears.
    pub month: u8,
    /// The child, as an index into the household's members (the last place stands for all beyond 65,535);
    /// `None` for a line of the household.
    pub member: Option<u16>,
    /// The child's rank, from 1, at most 255; 0 for a line of the household.
    pub rank: u8,
    /// The child's age in completed years; 0 for a line of the household.
    pub age: u8,
    /// In centimes; below zero only for the cap.
    pub amount: Centimes,
}

/// What comes out for a household.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Due this amount, above zero.
    Due(Centimes),
    /// Nothing is paid.
    Excluded(ExclusionReason),
}

/// The buffers of an assessment, to be used again and again, and its last components.
#[derive(Debug, Default)]
pub struct Assessment {
    components: Vec<Component>,
    children: Vec<assess::Child>,
    quotas_used: Vec<u8>,
    /// Places of quotas where they go to the highest amounts: place of the child, rule.
    chosen: Vec<(usize, u8)>,
    /// Which of the month's conditions on attributes the household meets.
    met: Vec<bool>,
}

impl Assessment {
    /// The components of the last household assessed; empty when it was excluded.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Takes lines that were worked out elsewhere.
    pub fn set(&mut self, lines: &[Component]) {
        self.components.clear();
        self.components.extend_from_slice(lines);
    }
}

/// Why no assessor can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no version of the programme is in force in `{month}`")]
pub struct NoRules {
    /// The month without rules.
    pub month: Period,
}

impl Hint for NoRules {
    fn hint(&self) -> Option<NextStep> {
        Some("add a version in force to the programme's file".into())
    }
}

/// A programme's rules made ready for one month and its arrears. Shared freely between threads.
#[derive(Clone, Debug)]
pub struct Assessor {
    eligibility: super::programme::Eligibility,
    months: Vec<compile::MonthRules>,
}

impl Assessor {
    /// Makes the rules ready for the months that a run of `period` pays ([`Programme::months_due`]).
    ///
    /// # Errors
    /// When one of the months lies before the programme's first version.
    pub fn new(programme: &Programme, period: Period) -> Result<Self, NoRules> {
        let compile = |month| {
            programme.version_at(month).map(|v| compile::MonthRules::new(v, month)).ok_or(NoRules { month })
        };
        let months = programme.months_due(period).into_iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { eligibility: programme.eligibility().clone(), months })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Due(amount) => write!(f, "due {amount}"),
            Self::Excluded(reason) => write!(f, "excluded: {reason}"),
        }
    }
}

#[cfg(test)]
mod child_tests;
#[cfg(test)]
mod tests;
