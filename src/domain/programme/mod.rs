//! A programme's rules as data: what it pays, to whom, in which months, and since when.
//!
//! - **Input**: the text of one `config/programmes/*.toml` file; reading the file is the caller's.
//! - **Output**: a [`Programme`] that has passed [`validate`], or an error that names the rule and the key.
//! - **Guarantee**: unknown keys are refused; at most one version is in force in a month; each rule can be paid.
//! - **Limit**: [`RULES_MAX`] rules in a version. Grants that hang on a dated claim and deposits have terms of their own
//!   beside the rules, which see the household of the snapshot only.

mod model;
mod validate;

use super::attribute::AttributeTypes;
use super::ids::Code;
use super::money::Centimes;
use super::period::Period;

pub use model::{
    AgeBasis, Arrears, BirthGrant, BirthdayRule, ChildSettings, ClaimUntil, CodeRule, DeathRule,
    DepositTerms, Eligibility, ExcludedBy, FloorCounts, Institution, IsoCode, Label, LeapBirthday,
    MinimumFor, Names, QuotaOrder, RankCheck, RankOrder, Rule, RuleKind, TieRule, Version,
};
pub use validate::RULES_MAX;

/// Why a text is not a programme.
#[derive(Debug, thiserror::Error)]
pub enum ProgrammeError {
    /// Not TOML, a key that is unknown or missing, or a value of the wrong form.
    #[error("programme file is not well formed")]
    Form(#[from] Box<toml::de::Error>),
    /// A setting of the programme as a whole.
    #[error("programme key `{key}`: {problem}")]
    Setting {
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A setting of one version.
    #[error("version from `{from}`, key `{key}`: {problem}")]
    Version {
        /// The version.
        from: Period,
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A setting of one rule.
    #[error("version from `{from}`, rule `{rule}`, key `{key}`: {problem}")]
    Rule {
        /// The version.
        from: Period,
        /// The rule's code.
        rule: Code,
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A programme whose rules have been checked. Made only by [`Programme::from_toml`].
#[derive(Clone, Debug)]
pub struct Programme {
    text: Box<str>,
    file: model::ProgrammeFile,
}

impl Programme {
    /// Reads and checks a programme.
    ///
    /// # Errors
    /// See [`ProgrammeError`].
    pub fn from_toml(text: &str) -> Result<Self, ProgrammeError> {
        let file: model::ProgrammeFile = toml::from_str(text).map_err(Box::new)?;
        validate::validate(&file)?;
        Ok(Self { text: text.into(), file })
    }

    /// The text that the rule set's fingerprint is taken over: the file, byte for byte.
    pub fn fingerprint_input(&self) -> &str {
        &self.text
    }

    /// The programme's code.
    pub fn code(&self) -> &Code {
        &self.file.code
    }

    /// Its name in three languages.
    pub fn name(&self) -> &Names {
        &self.file.name
    }

    /// What its orders are for, part of each order's key (`monthly`).
    pub fn purpose(&self) -> &Code {
        &self.file.purpose
    }

    /// The ISO 20022 external purpose of its credit transfers.
    pub fn purpose_code(&self) -> IsoCode {
        self.file.purpose_code
    }

    /// The ISO 20022 external category purpose of its payment instructions.
    pub fn category_purpose(&self) -> IsoCode {
        self.file.category_purpose
    }

    /// The programmes whose order for the same household and period excludes this one.
    pub fn not_with(&self) -> &[Code] {
        &self.file.not_with
    }

    /// The budget envelope of a calendar year, where one is set.
    pub fn budget(&self, year: i32) -> Option<Centimes> {
        self.file.budget.get(&year).copied()
    }

    /// Who may draw it.
    pub fn eligibility(&self) -> &Eligibility {
        &self.file.eligibility
    }

    /// What its list says of households in columns of its own.
    pub fn attributes(&self) -> &AttributeTypes {
        &self.file.attributes
    }

    /// Its versions, ascending by the month they start in.
    pub fn versions(&self) -> &[Version] {
        &self.file.versions
    }

    /// The version in force in a month; `None` before the first.
    pub fn version_at(&self, period: Period) -> Option<&Version> {
        self.file.version_at(period)
    }

    /// Whether a regular run is made for this month: one of its paying months, under a version in force, and not
    /// paid later as arrears.
    pub fn pays_in(&self, period: Period) -> bool {
        self.file.months.contains(&period.month())
            && self.version_at(period).is_some()
            && !self.file.arrears.iter().any(|a| a.covers.contains(&period))
    }

    /// The months that a run of `period` pays: the month itself, then the arrears paid with it, in file order.
    pub fn months_due(&self, period: Period) -> Vec<Period> {
        let arrears = self.file.arrears.iter().filter(|a| a.paid_in == period);
        std::iter::once(period).chain(arrears.flat_map(|a| a.covers.iter().copied())).collect()
    }
}

#[cfg(test)]
mod tests;
