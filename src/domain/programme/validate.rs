//! What the types of a programme file cannot say: order, bounds, and rules that contradict themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::ProgrammeError;
use super::model::{Eligibility, ExcludedBy, ProgrammeFile, Rule, Version};
use crate::domain::attribute;
use crate::domain::ids::Code;
use crate::domain::money::Centimes;

/// The most rules in a version: a rule is one byte in a stored entitlement, and the codes from 240 on are kept for the engine.
pub const RULES_MAX: usize = 240;

/// The most ranks that have a birth grant.
const GRANT_RANKS_MAX: usize = 20;
/// The most months for which a birth grant may be claimed.
const CLAIM_MONTHS_MAX: u8 = 60;
/// The most months that a deposit reaches back.
const DEPOSIT_MONTHS_BACK_MAX: u8 = 24;

/// The most months paid together: a covered month is six bits of a byte in a stored entitlement.
const MONTHS_DUE_MAX: usize = 24;

/// The highest age a programme may count as a child: leaves room for students, and bounds a table.
const CHILD_AGE_MAX: u8 = 60;

/// Checks a whole file.
///
/// # Errors
/// The first thing found wrong, by rule and key.
pub(super) fn validate(file: &ProgrammeFile) -> Result<(), ProgrammeError> {
    let refuse = |key, problem| Err(ProgrammeError::Setting { key, problem });
    if !valid_months(&file.months) || file.months.is_empty() {
        return refuse("months", "must be distinct months from 1 to 12");
    }
    if file.not_with.contains(&file.code) {
        return refuse("not_with", "names the programme itself");
    }
    if file.not_with.iter().collect::<BTreeSet<_>>().len() != file.not_with.len() {
        return refuse("not_with", "names a programme twice");
    }
    if file.budget.values().any(|b| *b <= Centimes::ZERO) {
        return refuse("budget", "an envelope must be above zero");
    }
    if file.versions.is_empty() {
        return refuse("versions", "at least one version is needed");
    }
    for pair in file.versions.windows(2) {
        let problem = match pair[0].from.cmp(&pair[1].from) {
            std::cmp::Ordering::Less => continue,
            std::cmp::Ordering::Equal => "overlaps the version before it, which starts in the same month",
            std::cmp::Ordering::Greater => "starts before the version above it: order versions by month",
        };
        return Err(ProgrammeError::Version { from: pair[1].from, key: "from", problem });
    }
    if let Some(problem) = attribute::problem(&file.attributes) {
        return refuse("attributes", problem);
    }
    if let Some(problem) = file.eligibility.attributes.problem(&file.attributes) {
        return refuse("eligibility.attributes", problem);
    }
    exclusions(&file.eligibility)?;
    arrears(file)?;
    file.versions.iter().try_for_each(|v| version(file, v))
}

fn exclusions(eligibility: &Eligibility) -> Result<(), ProgrammeError> {
    let refuse = |key, problem| Err(ProgrammeError::Setting { key, problem });
    let passing = &eligibility.not_excluded_by;
    match &eligibility.excluded_by {
        ExcludedBy::Any if eligibility.unlisted_excludes == Some(false) => refuse(
            "eligibility.unlisted_excludes",
            "contradicts excluded_by = \"any\": list the codes instead",
        ),
        ExcludedBy::Listed(codes)
            if codes.iter().any(|code| passing.iter().any(|other| other.is_like(code))) =>
        {
            refuse("eligibility.not_excluded_by", "names a code of excluded_by")
        }
        _ => Ok(()),
    }
}

fn arrears(file: &ProgrammeFile) -> Result<(), ProgrammeError> {
    let refuse = |problem| Err(ProgrammeError::Setting { key: "arrears", problem });
    let mut covered = BTreeSet::new();
    for entry in &file.arrears {
        if file.arrears.iter().filter(|a| a.paid_in == entry.paid_in).count() > 1 {
            return refuse("two entries are paid in the same month");
        }
        if entry.covers.is_empty() || entry.covers.len() >= MONTHS_DUE_MAX {
            return refuse("must cover 1 to 23 months");
        }
        for month in &entry.covers {
            if *month >= entry.paid_in {
                return refuse("covers a month that is not before the one it is paid in");
            }
            if !covered.insert(*month) {
                return refuse("a month is covered twice");
            }
            if file.version_at(*month).is_none() || !file.months.contains(&month.month()) {
                return refuse("covers a month that the programme does not pay");
            }
        }
    }
    // A month paid later has no run of its own, which would then be where its arrears are paid.
    if file.arrears.iter().any(|a| covered.contains(&a.paid_in)) {
        return refuse("is paid in a month that is itself covered");
    }
    Ok(())
}

fn version(file: &ProgrammeFile, version: &Version) -> Result<(), ProgrammeError> {
    let refuse = |key, problem| Err(ProgrammeError::Version { from: version.from, key, problem });
    if version.rules.len() > RULES_MAX {
        return refuse("rules", "more than 240 rules");
    }
    if version.rules.is_empty() && version.flat_rate.is_none() {
        return refuse("rules", "no rule and no flat rate: nothing could ever be due");
    }
    if version.floor < Centimes::ZERO {
        return refuse("floor", "must not be negative");
    }
    if version.flat_rate.is_some_and(|a| a <= Centimes::ZERO) {
        return refuse("flat_rate", "must be above zero");
    }
    if version.cap.is_some_and(|cap| cap <= Centimes::ZERO || cap < version.floor) {
        return refuse("cap", "must be above zero and not below the floor");
    }
    if version.child.age_max > CHILD_AGE_MAX {
        return refuse("child.age_max", "must not exceed 60");
    }
    if let Some((key, problem)) = birth_grant(version).or_else(|| deposit(version)) {
        return refuse(key, problem);
    }
    let mut codes = BTreeSet::new();
    let mut quotas: BTreeMap<&Code, Option<u8>> = BTreeMap::new();
    for r in &version.rules {
        let refuse = |key, problem| {
            Err(ProgrammeError::Rule { from: version.from, rule: r.code.clone(), key, problem })
        };
        if !codes.insert(&r.code) {
            return refuse("code", "is used twice in this version");
        }
        if let Some((key, problem)) = rule(file, version, r) {
            return refuse(key, problem);
        }
        if let Some(problem) = r.attributes.problem(&file.attributes) {
            return refuse("attributes", problem);
        }
        if let Some(quota) = &r.quota
            && *quotas.entry(quota).or_insert(r.max_children) != r.max_children
        {
            return refuse("max_children", "differs from another rule of the same quota");
        }
    }
    Ok(())
}

/// The key of the birth grant at fault and the problem.
fn birth_grant(version: &Version) -> Option<(&'static str, &'static str)> {
    let grant = version.birth_grant.as_ref()?;
    let checks = [
        (grant.amounts.is_empty(), "birth_grant.amounts", "needs an amount for the first child"),
        (grant.amounts.len() > GRANT_RANKS_MAX, "birth_grant.amounts", "must not exceed 20 ranks"),
        (grant.amounts.iter().any(|a| *a <= Centimes::ZERO), "birth_grant.amounts", "must be above zero"),
        (
            !(1..=CLAIM_MONTHS_MAX).contains(&grant.claim_months),
            "birth_grant.claim_months",
            "must be from 1 to 60",
        ),
    ];
    first_wrong(&checks)
}

/// The key of the deposit at fault and the problem.
fn deposit(version: &Version) -> Option<(&'static str, &'static str)> {
    let deposit = version.deposit.as_ref()?;
    let checks = [
        (deposit.amount <= Centimes::ZERO, "deposit.amount", "must be above zero"),
        (deposit.minimum < Centimes::ZERO, "deposit.minimum", "must not be negative"),
        (
            !(1..=CHILD_AGE_MAX).contains(&deposit.majority_age),
            "deposit.majority_age",
            "must be from 1 to 60",
        ),
        (deposit.months_back > DEPOSIT_MONTHS_BACK_MAX, "deposit.months_back", "must not exceed 24"),
    ];
    first_wrong(&checks)
}

fn first_wrong(checks: &[(bool, &'static str, &'static str)]) -> Option<(&'static str, &'static str)> {
    checks.iter().find(|(wrong, ..)| *wrong).map(|(_, key, problem)| (*key, *problem))
}

/// The key at fault and the problem.
fn rule(file: &ProgrammeFile, version: &Version, rule: &Rule) -> Option<(&'static str, &'static str)> {
    let above = |low: Option<u8>, high: Option<u8>| low.zip(high).is_some_and(|(low, high)| low > high);
    let needs_school = !rule.school_cycle.is_empty() || rule.school_sector.is_some();
    let checks = [
        (rule.amount <= Centimes::ZERO, "amount", "must be above zero"),
        (above(rule.age_min, rule.age_max), "age_min", "is above age_max"),
        (rule.age_min.is_some_and(|a| a > version.child.age_max), "age_min", "is above the age of a child"),
        (rule.age_max.is_some_and(|a| a > version.child.age_max), "age_max", "is above the age of a child"),
        (above(rule.rank_min, rule.rank_max), "rank_min", "is above rank_max"),
        (rule.rank_min == Some(0), "rank_min", "ranks start at 1"),
        (rule.rank_max == Some(0), "rank_max", "ranks start at 1"),
        (
            needs_school && rule.in_school == Some(false),
            "in_school",
            "contradicts the condition on the school",
        ),
        (!valid_months(&rule.months), "months", "must be distinct months from 1 to 12"),
        (
            !rule.months.is_empty() && !rule.months.iter().any(|m| file.months.contains(m)),
            "months",
            "the programme pays in none of them",
        ),
        (rule.max_children == Some(0), "max_children", "must be at least 1"),
        (rule.quota.is_some() && rule.max_children.is_none(), "max_children", "is needed with a quota"),
    ];
    first_wrong(&checks)
}

fn valid_months(months: &[u8]) -> bool {
    months.iter().all(|m| (1..=12).contains(m))
        && months.iter().collect::<BTreeSet<_>>().len() == months.len()
}
