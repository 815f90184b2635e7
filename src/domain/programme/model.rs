//! The shape of a programme file, key by key. Unknown keys are refused; [`super::validate`] checks what a type cannot.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::domain::attribute::{AttributeConditions, AttributeTypes};
use crate::domain::country::Capitals;
use crate::domain::household::{SchoolCycle, SchoolSector, Score};
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::period::Period;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeFile {
    pub code: Code,
    pub name: Names,
    pub purpose: Code,
    pub purpose_code: IsoCode,
    pub category_purpose: IsoCode,
    #[serde(default = "all_months")]
    pub months: Vec<u8>,
    #[serde(default)]
    pub not_with: Vec<Code>,
    #[serde(default, deserialize_with = "by_year")]
    pub budget: BTreeMap<i32, Centimes>,
    #[serde(default)]
    pub arrears: Vec<Arrears>,
    #[serde(default)]
    pub attributes: AttributeTypes,
    pub eligibility: Eligibility,
    pub versions: Vec<Version>,
}

impl ProgrammeFile {
    pub(super) fn version_at(&self, period: Period) -> Option<&Version> {
        self.versions.iter().rev().find(|v| v.from <= period)
    }
}

/// A name in the three languages of the programme's documents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// French.
    pub fr: Box<str>,
    /// Arabic.
    pub ar: Box<str>,
    /// English.
    pub en: Box<str>,
}

/// A rule's short label, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// French.
    pub fr: Box<str>,
    /// English.
    pub en: Box<str>,
}

/// A four-letter ISO 20022 external code (`SSBE`, `GOVT`).
pub type IsoCode = Capitals<4>;

/// Months paid together with a later one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrears {
    /// The month whose run pays them.
    pub paid_in: Period,
    /// The earlier months that it pays.
    pub covers: Vec<Period>,
}

/// Who may draw the programme.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eligibility {
    /// The highest RSU score that is eligible, itself included; absent: any score.
    #[serde(default, deserialize_with = "score")]
    pub score_max: Option<Score>,
    /// Whether the head must live in Morocco.
    #[serde(default = "yes")]
    pub resident_required: bool,
    /// Which of the registry's exclusions hold for this programme.
    #[serde(default)]
    pub excluded_by: ExcludedBy,
    /// Exclusions that are known and do not hold for it.
    #[serde(default)]
    pub not_excluded_by: Vec<Code>,
    /// Whether a code that stands in neither list excludes; where it is not said, only under `"any"`.
    pub unlisted_excludes: Option<bool>,
    /// What is asked of the household's attributes.
    #[serde(default)]
    pub attributes: AttributeConditions,
}

/// What a programme makes of a code of exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeRule {
    /// It is listed, and excludes.
    Excludes,
    /// It is listed as one that does not exclude.
    Passes,
    /// It is not listed; whether it excludes is a setting.
    Unlisted {
        /// Whether it does.
        excludes: bool,
    },
}

impl CodeRule {
    /// Whether the household is excluded.
    pub const fn excludes(self) -> bool {
        matches!(self, Self::Excludes | Self::Unlisted { excludes: true })
    }
}

impl Eligibility {
    /// What is made of the registry's code, however it is spelled.
    pub fn code_rule(&self, code: &Code) -> CodeRule {
        let stands_in = |codes: &[Code]| codes.iter().any(|known| known.is_like(code));
        let any = self.excluded_by == ExcludedBy::Any;
        let listed = match &self.excluded_by {
            ExcludedBy::Any => REGISTRY_CODES
                .iter()
                .any(|known| Code::folded(code.as_str()).is_ok_and(|c| c.as_str() == *known)),
            ExcludedBy::Listed(codes) => stands_in(codes),
        };
        if stands_in(&self.not_excluded_by) {
            CodeRule::Passes
        } else if listed {
            CodeRule::Excludes
        } else {
            CodeRule::Unlisted { excludes: self.unlisted_excludes.unwrap_or(any) }
        }
    }
}

/// The codes of exclusion that the registry documents.
const REGISTRY_CODES: [&str; 3] = ["public_job", "pension", "family_allowance"];

/// The registry's exclusions that a programme heeds: `"any"`, or a list of codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExcludedBy {
    /// All of them, those not known yet too.
    #[default]
    Any,
    /// These.
    Listed(Vec<Code>),
}

impl<'de> Deserialize<'de> for ExcludedBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "\"any\" or a list of codes")]
        enum Form {
            Word(String),
            List(Vec<Code>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "any" => Ok(Self::Any),
            Form::Word(word) => {
                Err(D::Error::custom(format!("`{word}` is neither \"any\" nor a list of codes")))
            }
            Form::List(codes) => Ok(Self::Listed(codes)),
        }
    }
}

/// The rules in force from a month until the next version starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The first month it holds for.
    pub from: Period,
    /// Whether its month and amounts are those of a text in force; if not, they are illustrative or assumed.
    #[serde(default = "yes")]
    pub verified: bool,
    /// The least that a household which is due anything receives for a month.
    #[serde(default, deserialize_with = "amount")]
    pub floor: Centimes,
    /// The most that a household receives for a month.
    #[serde(default, deserialize_with = "some_amount")]
    pub cap: Option<Centimes>,
    /// What a household without a counted child receives for a month; absent: nothing.
    #[serde(default, deserialize_with = "some_amount")]
    pub flat_rate: Option<Centimes>,
    /// Which rules count towards the floor, where a rule does not say so itself.
    #[serde(default)]
    pub floor_counts: FloorCounts,
    /// Who takes the places of a quota first.
    #[serde(default)]
    pub quota_order: QuotaOrder,
    /// Who counts as a child, and in which rank.
    #[serde(default)]
    pub child: ChildSettings,
    /// What is paid once for a child that was born; absent: nothing.
    #[serde(default)]
    pub birth_grant: Option<BirthGrant>,
    /// What is paid in for a child in the care of an institution; absent: nothing.
    #[serde(default)]
    pub deposit: Option<DepositTerms>,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
}

/// Which rules count towards the floor of a household and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloorCounts {
    /// Base rules and supplements: the floor is a least for all of them together.
    #[default]
    All,
    /// Base rules only: supplements come on top of the floor.
    Base,
}

/// Who takes the places of a quota first, where more children meet its rules than it has places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOrder {
    /// The children in the order of their ranks.
    #[default]
    Rank,
    /// The highest amounts; of equal ones the lowest rank.
    Amount,
}

/// A grant that is paid once for a child, when it is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BirthGrant {
    /// By the child's rank, from the first; a child of a later rank gets none.
    #[serde(deserialize_with = "amounts")]
    pub amounts: Vec<Centimes>,
    /// For how many months after the birth it may be claimed.
    pub claim_months: u8,
    /// Which day of the last month is the last one.
    #[serde(default)]
    pub claim_until: ClaimUntil,
    /// Whether the rank that is claimed must agree with the children that the list has.
    #[serde(default)]
    pub rank_check: RankCheck,
}

/// The last day on which a claim is in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimUntil {
    /// The day of the birth, so many months later (the last of the month where it has no such day).
    #[default]
    Day,
    /// The last day of that month.
    MonthEnd,
}

/// What the rank of a claim is checked against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankCheck {
    /// A rank lower than the number of elder children on the list allows is refused.
    #[default]
    List,
    /// The claim's word is taken.
    Claim,
}

/// Deposits for a child in the care of an institution, paid to an account in its name until it comes of age.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepositTerms {
    /// For one child and month.
    #[serde(deserialize_with = "amount")]
    pub amount: Centimes,
    /// Code of the provider that keeps the accounts.
    pub holder: Code,
    /// The least that is released when the child comes of age.
    #[serde(deserialize_with = "amount")]
    pub minimum: Centimes,
    /// For whom less than the minimum is made up.
    #[serde(default)]
    pub minimum_for: MinimumFor,
    /// Age at which the deposit is released, in completed years.
    pub majority_age: u8,
    /// How many months before its own a list may still bring, where they were not paid in.
    pub months_back: u8,
}

/// For whom a deposit below the minimum is made up when it is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MinimumFor {
    /// For who is in care when coming of age.
    #[default]
    InCare,
    /// For everybody for whom anything was paid in.
    All,
}

/// Who counts as a child, and in which rank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChildSettings {
    /// The day on which age is taken.
    pub age_basis: AgeBasis,
    /// The age of whoever has a birthday on that very day.
    pub birthday: BirthdayRule,
    /// The birthday of whoever was born on 29 February, in a year without one.
    pub leap_birthday: LeapBirthday,
    /// The highest age that counts, in completed years.
    pub age_max: u8,
    /// The order of ranks.
    pub rank_order: RankOrder,
    /// The order of children born on the same day.
    pub ties: TieRule,
    /// From when on a dead child counts no more.
    pub death: DeathRule,
    /// Whether a child in the care of an institution counts.
    pub institution: Institution,
}

impl Default for ChildSettings {
    fn default() -> Self {
        Self {
            age_basis: AgeBasis::default(),
            birthday: BirthdayRule::default(),
            leap_birthday: LeapBirthday::default(),
            age_max: 20,
            rank_order: RankOrder::default(),
            ties: TieRule::default(),
            death: DeathRule::default(),
            institution: Institution::default(),
        }
    }
}

/// The day on which age is taken, in completed years. Whoever is not born by then does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeBasis {
    /// The last day of the month.
    #[default]
    EndOfPeriod,
    /// The first day of the month.
    StartOfPeriod,
}

/// The age of whoever has a birthday on the day age is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BirthdayRule {
    /// The new age: whoever turns 21 on the last day of the month counts no more for it.
    #[default]
    Older,
    /// The age of the day before: the birthday counts from the next day on.
    Younger,
}

/// The birthday of whoever was born on 29 February, in a year without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum LeapBirthday {
    /// 1 March.
    #[default]
    #[serde(rename = "march_1")]
    March1,
    /// 28 February.
    #[serde(rename = "february_28")]
    February28,
}

/// The order of ranks, by date of birth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankOrder {
    /// The eldest counted child has rank 1.
    #[default]
    EldestFirst,
    /// The youngest counted child has rank 1.
    YoungestFirst,
}

/// The order of children born on the same day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieRule {
    /// Ascending by their number in the population registry.
    #[default]
    Id,
}

/// From when on a dead child counts no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeathRule {
    /// A death before the month ends the count; one during the month still counts for it.
    #[default]
    BeforePeriod,
    /// A death on the first day of the month ends the count too; one after it still counts for the month.
    ThroughFirstDay,
    /// A death up to the last day of the month ends the count.
    ThroughPeriod,
}

/// Whether a child in the care of an institution counts with the household.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Institution {
    /// It has no rank and no amount: its aid goes elsewhere.
    #[default]
    Excluded,
    /// It counts as any other.
    Counted,
}

/// How a rule adds up with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Of all base rules, the first that a child meets is paid for it.
    Base,
    /// Paid for each child that meets it, whatever else is paid.
    Supplement,
}

/// An amount for each child that meets every condition given; a condition left out holds for all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its code, unique in the version.
    pub code: Code,
    /// What the operator reads.
    pub label: Label,
    /// How it adds up.
    pub kind: RuleKind,
    /// For one child and month.
    #[serde(deserialize_with = "amount")]
    pub amount: Centimes,
    /// Lowest age, in completed years.
    pub age_min: Option<u8>,
    /// Highest age, in completed years.
    pub age_max: Option<u8>,
    /// Lowest rank.
    pub rank_min: Option<u8>,
    /// Highest rank.
    pub rank_max: Option<u8>,
    /// Enrolled in a school, or not.
    pub in_school: Option<bool>,
    /// Enrolled in one of these cycles.
    #[serde(default)]
    pub school_cycle: Vec<SchoolCycle>,
    /// Enrolled in a school of this sector.
    pub school_sector: Option<SchoolSector>,
    /// Father dead, or not.
    pub father_orphan: Option<bool>,
    /// Severely disabled, or not.
    pub severe_disability: Option<bool>,
    /// What is asked of the household's attributes.
    #[serde(default)]
    pub attributes: AttributeConditions,
    /// Calendar months (1 to 12) for which it is paid; empty: all.
    #[serde(default)]
    pub months: Vec<u8>,
    /// For how many children of a household it is paid in a month, in the order of their ranks.
    pub max_children: Option<u8>,
    /// Rules of the same quota share one `max_children`.
    pub quota: Option<Code>,
    /// Whether it counts towards the floor; if not, it comes on top of it. Absent: as the version says.
    pub in_floor: Option<bool>,
}

impl Version {
    /// Whether a rule of this version counts towards the floor.
    pub fn in_floor(&self, rule: &Rule) -> bool {
        let by_version = match self.floor_counts {
            FloorCounts::All => true,
            FloorCounts::Base => rule.kind == RuleKind::Base,
        };
        rule.in_floor.unwrap_or(by_version)
    }
}

fn all_months() -> Vec<u8> {
    (1..=12).collect()
}

fn yes() -> bool {
    true
}

/// An amount written as text (`"250.00"`): a TOML number would pass through a float.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Centimes, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|e| D::Error::custom(format!("amount `{text}`: {e}")))
}

fn some_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Centimes>, D::Error> {
    amount(deserializer).map(Some)
}

fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Centimes>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "amount")] Centimes);
    Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|One(amount)| amount).collect())
}

fn score<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Score>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Score::parse(text.as_bytes())
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is not a score")))
}

fn by_year<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<i32, Centimes>, D::Error> {
    #[derive(Deserialize)]
    struct Envelope(#[serde(deserialize_with = "amount")] Centimes);
    let years = BTreeMap::<String, Envelope>::deserialize(deserializer)?;
    let parse = |(year, Envelope(amount)): (String, Envelope)| match year.parse() {
        Ok(number @ 2000..2200) => Ok((number, amount)),
        _ => Err(D::Error::custom(format!("`{year}` is not a year"))),
    };
    years.into_iter().map(parse).collect()
}
