//! Components in words: why a household is due its amount.

use super::{
    ALREADY_ORDERED, ClaimRefusal, Component, DepositRefusal, ExclusionReason, RULE_ARREARS,
    RULE_BIRTH_GRANT, RULE_CAP, RULE_DEPOSIT, RULE_DEPOSIT_TOP_UP, RULE_FLAT, RULE_FLOOR, RULE_REFUND,
};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::Programme;

/// One line of an explanation. It names a child by place, rank and age only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The rule's code; `flat_rate`, `floor_top_up`, `cap`, `arrears`, `refund`, `birth_grant`, `deposit` or `deposit_top_up` for
    /// a line that no rule of the version gives.
    pub code: &'a str,
    /// Short label, French.
    pub label_fr: &'a str,
    /// Short label, English.
    pub label_en: &'a str,
    /// The month it is for.
    pub month: Period,
    /// The child's place among the household's members.
    pub member: Option<u16>,
    /// The child's rank; 0 for a line of the household.
    pub rank: u8,
    /// The child's age in completed years; 0 for a line of the household.
    pub age: u8,
    /// In centimes.
    pub amount: Centimes,
}

/// What the reason of an exclusion means, in a sentence without a full stop; `None` for a code that is not known.
pub fn explain_exclusion(reason: &str) -> Option<&'static str> {
    use ExclusionReason as R;
    let of_household = |reason| match reason {
        R::ScoreAboveThreshold => "its score is above the programme's threshold",
        R::HeadNotResident => "its head does not live in Morocco",
        R::AttributeNotMet => "what the programme asks of a household is not so, or not known, of it",
        R::PublicJob => "the exchanges found a public-sector job",
        R::Pension => "the exchanges found a pension",
        R::FamilyAllowance => "the exchanges found another family allowance",
        R::ExcludedByRegistry => "the registry excludes it",
        R::NothingDue => "no rule pays it anything",
        R::OtherProgramme => "it draws a benefit that may not be drawn together with this one",
    };
    if reason == ALREADY_ORDERED {
        return Some("another run of the month orders the same claim");
    }
    ExclusionReason::parse(reason)
        .map(of_household)
        .or_else(|| ClaimRefusal::parse(reason).map(ClaimRefusal::explanation))
        .or_else(|| DepositRefusal::parse(reason).map(DepositRefusal::explanation))
}

/// Why components cannot be explained: they come from another rule set than the one given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The period has fewer months due.
    #[error("no covered month `{0}` in this rule set")]
    Month(u8),
    /// The version has fewer rules.
    #[error("no rule `{rule}` in the version for `{month}`")]
    Rule {
        /// The rule's index.
        rule: u8,
        /// The month.
        month: Period,
    },
}

/// Puts the components of a run of `period` in words, in their order.
///
/// # Errors
/// When the components come from another rule set; see [`ExplainError`].
pub fn explain<'a>(
    programme: &'a Programme,
    period: Period,
    components: &[Component],
) -> Result<Vec<Line<'a>>, ExplainError> {
    let months = programme.months_due(period);
    let line = |c: &Component| {
        let month = if matches!(c.rule, RULE_ARREARS | RULE_REFUND | RULE_DEPOSIT) {
            let index = period.index() - i32::from(c.month);
            Period::from_index(index).map_err(|_| ExplainError::Month(c.month))?
        } else {
            *months.get(usize::from(c.month)).ok_or(ExplainError::Month(c.month))?
        };
        let (code, label_fr, label_en) = match c.rule {
            RULE_FLAT => ("flat_rate", "forfait, foyer sans enfant", "flat rate, household without children"),
            RULE_FLOOR => ("floor_top_up", "complément au minimum", "top-up to the floor"),
            RULE_CAP => ("cap", "ramené au plafond", "lowered to the cap"),
            RULE_ARREARS => ("arrears", "rappel", "arrears"),
            RULE_REFUND => ("refund", "retenue restituée", "refund of what was kept back"),
            RULE_BIRTH_GRANT => ("birth_grant", "prime de naissance", "birth grant"),
            RULE_DEPOSIT => ("deposit", "dépôt du mois", "deposit of the month"),
            RULE_DEPOSIT_TOP_UP => {
                ("deposit_top_up", "complément au dépôt minimum", "made up to the least deposit")
            }
            index => {
                let version = programme.version_at(month);
                let rule = version.and_then(|v| v.rules.get(usize::from(index)));
                let rule = rule.ok_or(ExplainError::Rule { rule: index, month })?;
                (rule.code.as_str(), &*rule.label.fr, &*rule.label.en)
            }
        };
        let Component { member, rank, age, amount, .. } = *c;
        Ok(Line { code, label_fr, label_en, month, member, rank, age, amount })
    };
    components.iter().map(line).collect()
}
