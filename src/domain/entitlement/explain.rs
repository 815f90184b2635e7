//! Components in words: why a household is due its amount.

use super::{Component, RULE_ARREARS, RULE_CAP, RULE_FLAT, RULE_FLOOR, RULE_REFUND};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::Programme;

/// One line of an explanation. It names a child by place, rank and age only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The rule's code; `flat_rate`, `floor_top_up`, `cap`, `arrears` or `refund` for a line of the household.
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
        let month = if matches!(c.rule, RULE_ARREARS | RULE_REFUND) {
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
