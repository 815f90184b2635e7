//! A version's rules for one month, in the form that is quickest to match: masks, bounds and a table of birth dates.

use time::{Date, Month};

use crate::domain::attribute::AttributeConditions;
use crate::domain::household::{Member, SchoolCycle, SchoolSector};
use crate::domain::ids::Code;
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::programme::{
    AgeBasis, BirthdayRule, ChildSettings, DeathRule, Institution, LeapBirthday, QuotaOrder, RankOrder, Rule,
    RuleKind, Version,
};

/// A version for one month. Rules that are not paid in the month are left out.
#[derive(Clone, Debug)]
pub(super) struct MonthRules {
    pub base: Vec<Matcher>,
    pub supplements: Vec<Matcher>,
    pub quotas: usize,
    /// What rules ask of a household's attributes, each once.
    pub conditions: Vec<AttributeConditions>,
    /// Places of a quota go to the highest amounts, not to the lowest ranks.
    pub dearest_first: bool,
    pub floor: Centimes,
    pub cap: Option<Centimes>,
    pub flat_rate: Option<Centimes>,
    pub rank_order: RankOrder,
    count_institution: bool,
    /// Whoever died before this day does not count.
    alive_on: Date,
    basis_year: i32,
    /// Whoever is born after this day does not count.
    born_until: Date,
    /// At place `a`, the latest date of birth of a person aged `a` or more on the day age is taken.
    born_by: Vec<Date>,
}

/// A rule's conditions. Kept small: a household tries a dozen of them for each child.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matcher {
    pub rule: u8,
    pub amount: Centimes,
    pub in_floor: bool,
    /// Slot of its quota, and how many children it is paid for.
    pub quota: Option<(u8, u8)>,
    age: (u8, u8),
    rank: (u8, u8),
    traits_asked: u8,
    traits_wanted: u8,
    school: u16,
    /// Its place among the month's conditions on attributes, where it has any.
    attributes: Option<u8>,
}

const IN_SCHOOL: u8 = 1;
const FATHER_ORPHAN: u8 = 2;
const SEVERE_DISABILITY: u8 = 4;

/// What rules ask of a child: its traits, and the bits of its school's cycle and sector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    flags: u8,
    school: u16,
}

// The school's bits: one for each cycle and one for "no cycle", then the same for sectors. A rule holds the set of
// bits it allows, so that one `and` answers both questions.
const NO_CYCLE: u16 = 1 << 7;
const NO_SECTOR: u16 = 1 << 15;
const ANY_CYCLE: u16 = 0x00FF;
const ANY_SECTOR: u16 = 0xFF00;

fn cycle_bit(cycle: SchoolCycle) -> u16 {
    1 << cycle.number()
}

fn sector_bit(sector: SchoolSector) -> u16 {
    1 << (8 + sector.number())
}

impl Traits {
    pub(super) fn of(member: &Member) -> Self {
        let flags = (u8::from(member.in_school) * IN_SCHOOL)
            | (u8::from(member.father_orphan) * FATHER_ORPHAN)
            | (u8::from(member.severe_disability) * SEVERE_DISABILITY);
        // Cycle and sector of a child that has left school say nothing.
        let cycle = member.school_cycle.filter(|_| member.in_school).map_or(NO_CYCLE, cycle_bit);
        let sector = member.school_sector.filter(|_| member.in_school).map_or(NO_SECTOR, sector_bit);
        Self { flags, school: cycle | sector }
    }
}

impl Matcher {
    fn new(
        index: usize,
        rule: &Rule,
        in_floor: bool,
        quota: Option<(u8, u8)>,
        conditions: &mut Vec<AttributeConditions>,
    ) -> Self {
        let (mut asked, mut wanted) = (0, 0);
        for (flag, condition) in [
            (IN_SCHOOL, rule.in_school),
            (FATHER_ORPHAN, rule.father_orphan),
            (SEVERE_DISABILITY, rule.severe_disability),
        ] {
            if let Some(value) = condition {
                asked |= flag;
                wanted |= u8::from(value) * flag;
            }
        }
        let cycles = match rule.school_cycle.as_slice() {
            [] => ANY_CYCLE,
            cycles => cycles.iter().fold(0, |bits, c| bits | cycle_bit(*c)),
        };
        Self {
            rule: u8::try_from(index).expect("validation bounds the number of rules"),
            amount: rule.amount,
            in_floor,
            quota,
            age: (rule.age_min.unwrap_or(0), rule.age_max.unwrap_or(u8::MAX)),
            rank: (rule.rank_min.unwrap_or(1), rule.rank_max.unwrap_or(u8::MAX)),
            traits_asked: asked,
            traits_wanted: wanted,
            school: cycles | rule.school_sector.map_or(ANY_SECTOR, sector_bit),
            attributes: (!rule.attributes.is_empty()).then(|| condition_place(&rule.attributes, conditions)),
        }
    }

    /// Whether the household meets what is asked of its attributes.
    pub(super) fn household_meets(&self, met: &[bool]) -> bool {
        self.attributes.is_none_or(|place| met[usize::from(place)])
    }

    /// Whether a child meets the conditions. A rank of 255 stands for all from there on.
    pub(super) fn meets(&self, age: u8, rank: u8, traits: Traits) -> bool {
        (self.age.0 <= age && age <= self.age.1)
            & (self.rank.0 <= rank && rank <= self.rank.1)
            & (traits.flags & self.traits_asked == self.traits_wanted)
            & (traits.school & self.school == traits.school)
    }
}

/// The place of what a rule asks of attributes among all that rules of the month ask.
fn condition_place(asked: &AttributeConditions, conditions: &mut Vec<AttributeConditions>) -> u8 {
    let place = conditions.iter().position(|known| known == asked).unwrap_or_else(|| {
        conditions.push(asked.clone());
        conditions.len() - 1
    });
    u8::try_from(place).expect("validation bounds the number of rules")
}

impl MonthRules {
    pub(super) fn new(version: &Version, month: Period) -> Self {
        let (mut quotas, mut conditions) = (Vec::new(), Vec::new());
        let (mut base, mut supplements) = (Vec::new(), Vec::new());
        for (index, rule) in version.rules.iter().enumerate() {
            if !rule.months.is_empty() && !rule.months.contains(&month.month()) {
                continue;
            }
            let quota = quota_slot(rule, &mut quotas);
            let matcher = Matcher::new(index, rule, version.in_floor(rule), quota, &mut conditions);
            match rule.kind {
                RuleKind::Base => base.push(matcher),
                RuleKind::Supplement => supplements.push(matcher),
            }
        }
        let child = &version.child;
        let basis = match child.age_basis {
            AgeBasis::EndOfPeriod => month.last_day(),
            AgeBasis::StartOfPeriod => month.first_day(),
        };
        let alive_on = match child.death {
            DeathRule::BeforePeriod => month.first_day(),
            DeathRule::ThroughFirstDay => month.first_day().next_day().expect("periods end in 2199"),
            DeathRule::ThroughPeriod => month.last_day().next_day().expect("periods end in 2199"),
        };
        Self {
            base,
            supplements,
            conditions,
            quotas: quotas.len(),
            dearest_first: version.quota_order == QuotaOrder::Amount && !quotas.is_empty(),
            floor: version.floor,
            cap: version.cap,
            flat_rate: version.flat_rate,
            rank_order: child.rank_order,
            count_institution: child.institution == Institution::Counted,
            alive_on,
            basis_year: basis.year(),
            born_until: basis,
            born_by: (0..=child.age_max + 1).map(|age| latest_birth(basis, age, child)).collect(),
        }
    }

    /// The age of a member that counts as a child, in completed years; `None` if it does not count.
    pub(super) fn child_age(&self, member: &Member) -> Option<u8> {
        let born = member.birth_date;
        // Most members are adults: one comparison sends them away.
        if born <= *self.born_by.last()? || born > self.born_until {
            return None;
        }
        if member.deceased_on.is_some_and(|died| died < self.alive_on)
            || (member.in_institution && !self.count_institution)
        {
            return None;
        }
        let years = usize::try_from(self.basis_year - born.year()).ok()?;
        let birthday_to_come = self.born_by.get(years).is_none_or(|latest| born > *latest);
        // Who is born on the very day age is taken is of age 0 by either rule for birthdays.
        u8::try_from(years.saturating_sub(usize::from(birthday_to_come))).ok()
    }
}

/// The slot that counts a rule's children, and the most it takes; rules of the same quota share a slot.
fn quota_slot<'a>(rule: &'a Rule, slots: &mut Vec<Option<&'a Code>>) -> Option<(u8, u8)> {
    let max = rule.max_children?;
    let quota = rule.quota.as_ref();
    let shared = slots.iter().position(|slot| quota.is_some() && *slot == quota);
    let slot = shared.unwrap_or_else(|| {
        slots.push(quota);
        slots.len() - 1
    });
    Some((u8::try_from(slot).expect("there are no more quotas than rules"), max))
}

/// The latest date of birth of a person aged `age` or more on the day age is taken.
fn latest_birth(basis: Date, age: u8, child: &ChildSettings) -> Date {
    let day = match child.birthday {
        BirthdayRule::Older => basis,
        BirthdayRule::Younger => basis.previous_day().expect("periods begin in 2000"),
    };
    let latest = years_before(day, age);
    let early =
        child.leap_birthday == LeapBirthday::February28 && (day.month(), day.day()) == (Month::February, 28);
    match latest.next_day() {
        // A year without a 29 February has the birthday a day earlier.
        Some(next)
            if early && next.month() == Month::February && time::util::days_in_year(day.year()) == 365 =>
        {
            next
        }
        _ => latest,
    }
}

/// The day `age` years before; from 29 February, in a year without one, 28 February.
fn years_before(day: Date, age: u8) -> Date {
    let year = day.year() - i32::from(age);
    let (_, month, in_month) = day.to_calendar_date();
    let in_month = if month == Month::February { in_month.min(month.length(year)) } else { in_month };
    Date::from_calendar_date(year, month, in_month).expect("the day is within the month")
}
