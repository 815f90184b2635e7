//! Which rule excluded a household, with its values: what a person can check and contest.

use super::ExclusionReason;
use crate::domain::attribute::COLUMN_PREFIX;
use crate::domain::household::Household;
use crate::domain::period::Period;
use crate::domain::programme::{CodeRule, Programme};

/// The rule of a programme behind the reason of an exclusion, as a sentence without a full stop; `None` where it is no rule on
/// the household itself, or where the household, as it is given, is not excluded for that reason.
pub fn excluding_rule(
    programme: &Programme,
    household: &Household,
    period: Period,
    reason: ExclusionReason,
) -> Option<String> {
    use ExclusionReason as R;
    let eligibility = programme.eligibility();
    match reason {
        R::ScoreAboveThreshold => {
            let max = eligibility.score_max.filter(|max| household.rsu_score > *max)?;
            Some(format!("the score {} is above the programme's score_max, {max}", household.rsu_score))
        }
        R::HeadNotResident => (eligibility.resident_required && !household.head_resident)
            .then(|| "the head does not live in Morocco, and the programme has resident_required".to_owned()),
        R::AttributeNotMet => {
            let (name, asked) = eligibility.attributes.unmet(&household.attributes)?;
            let has = household.attributes.get(name).map_or("not given".to_owned(), ToString::to_string);
            Some(format!("{COLUMN_PREFIX}{name} is {has}, and the programme asks for {asked}"))
        }
        R::PublicJob | R::Pension | R::FamilyAllowance | R::ExcludedByRegistry => {
            let code = household.excluded_by.as_ref()?;
            match eligibility.code_rule(code) {
                CodeRule::Excludes => {
                    Some(format!("the registry says `{code}`, which the programme's excluded_by lists"))
                }
                CodeRule::Unlisted { excludes: true } => Some(format!(
                    "the registry says `{code}`, which the programme does not list; its unlisted_excludes rules such out"
                )),
                CodeRule::Passes | CodeRule::Unlisted { excludes: false } => None,
            }
        }
        R::NothingDue => {
            let version = programme.version_at(period)?;
            Some(format!(
                "it may draw the programme, but no rule of the version from {} pays anything for its {} members",
                version.from,
                household.members.len()
            ))
        }
        R::OtherProgramme => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DSS, household};
    use super::*;
    use crate::domain::household::Score;
    use crate::domain::ids::Code;

    #[test]
    fn a_rule_is_named_with_the_values_that_it_was_held_against() {
        use ExclusionReason as R;
        let (programme, base) = (Programme::from_toml(DSS).unwrap(), || household(Vec::new()));
        let code = |text| Some(Code::parse(text).unwrap());
        let above = Household { rsu_score: Score(11_200_000), ..base() };
        let abroad = Household { head_resident: false, ..base() };
        let job = Household { excluded_by: code("Public_Job"), ..base() };
        let car = Household { excluded_by: code("vehicle"), ..base() };
        for (household, reason, expected) in [
            (
                &above,
                R::ScoreAboveThreshold,
                Some("the score 11.200000 is above the programme's score_max, 9.743001"),
            ),
            (&base(), R::ScoreAboveThreshold, None),
            (
                &abroad,
                R::HeadNotResident,
                Some("the head does not live in Morocco, and the programme has resident_required"),
            ),
            (
                &job,
                R::PublicJob,
                Some("the registry says `Public_Job`, which the programme's excluded_by lists"),
            ),
            (
                &car,
                R::ExcludedByRegistry,
                Some(
                    "the registry says `vehicle`, which the programme does not list; its unlisted_excludes rules such out",
                ),
            ),
            (&base(), R::Pension, None),
            (
                &base(),
                R::NothingDue,
                Some(
                    "it may draw the programme, but no rule of the version from 2026-01 pays anything for its 0 members",
                ),
            ),
            (&base(), R::OtherProgramme, None),
        ] {
            let period = "2026-02".parse().unwrap();
            assert_eq!(
                excluding_rule(&programme, household, period, reason).as_deref(),
                expected,
                "{reason}"
            );
        }
    }
}
