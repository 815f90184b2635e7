//! One household of the synthetic registry, from its slot, the seed and the period alone.
//!
//! A slot is taken by one household after the other: each month 1.2 to 3.8 % of the slots change hands, so as many
//! leave as join. A household's people are the same as long as it stays; they age, children are born and grow out, people die.
//! Births and deaths may be entered months late: then the list that has them tells of months before it.

use time::{Date, Duration};

use super::draw::{Draw, mix, scatter};
use super::words::{
    BANK_SHARES, BANKS, FAMILIES, INSTITUTION_SHARES, INSTITUTIONS, MEN, Name, REGIONS, WOMEN,
};
use super::{GenerateOptions, HOUSEHOLDS_MAX};
use crate::domain::household::Means;
use crate::domain::period::Period;
use crate::domain::person::Idcs;
use crate::domain::rib::Rib;

/// December 2023, when the programme began: the month before the first change of hands.
const FIRST_MONTH: i32 = 23 * 12 + 11;
/// Households that a slot can name apart; at 2.5 % a month more than sixty years pass before it needs as many.
pub(super) const GENERATIONS: u64 = 10;
const PERSONS: u64 = 8;
/// Households with children; the others are of older people.
const FAMILIES_PPM: u32 = 560_000;

// Salts keep draws for different purposes apart.
const SALT_CHURN: u64 = 1;
const SALT_PEOPLE: u64 = 2;
const SALT_ACCOUNT: u64 = 3;
const SALT_GROUP: u64 = 4;
const SALT_SPLIT: u64 = 6;
const SALT_LATE: u64 = 7;
/// A household that lists another's people is put right within so many months.
const SPLIT_MONTHS: u64 = 8;
/// The dead stay on the list for so many months after the one in which their death is entered.
const DEAD_LISTED_MONTHS: i32 = 3;
/// For faults of the export.
pub(super) const SALT_FAULT: u64 = 5;

/// Who holds a slot in a period.
#[derive(Clone, Copy)]
pub(super) struct Tenure {
    /// Households that held the slot before.
    pub generation: u64,
    /// Month in which it joined.
    joined: i32,
    /// Accounts it had before this one.
    account_version: u64,
    /// Whether the payee has died.
    payee_died: bool,
}

impl Tenure {
    pub(super) fn of(slot: u64, options: &GenerateOptions) -> Self {
        let key = mix(mix(options.seed, SALT_CHURN), slot);
        let fresh = |generation, joined| Self { generation, joined, account_version: 0, payee_died: false };
        let mut tenure = fresh(0, FIRST_MONTH);
        for month in FIRST_MONTH + 1..=options.period.index() {
            let bits = mix(key, month as u64);
            let (leaves, changes, dies) = (bits & 0xF_FFFF, bits >> 20 & 0xF_FFFF, bits >> 40 & 0xF_FFFF);
            let under = |share: u64, ppm: u32| share * 1_000_000 < u64::from(ppm) << 20;
            if under(leaves, churn_ppm(options, month)) {
                tenure = fresh((tenure.generation + 1) % GENERATIONS, month);
            } else {
                tenure.account_version += u64::from(under(changes, options.churn.account_change_ppm));
                tenure.payee_died |= under(dies, options.churn.payee_death_ppm);
            }
        }
        tenure
    }
}

/// The month's share of households that leave, between the two limits.
fn churn_ppm(options: &GenerateOptions, month: i32) -> u32 {
    let churn = &options.churn;
    let span = u64::from(churn.leave_ppm_max.saturating_sub(churn.leave_ppm_min)) + 1;
    churn.leave_ppm_min + (mix(options.seed ^ SALT_CHURN, month as u64) % span) as u32
}

/// A member as it will be written.
#[derive(Clone)]
pub(super) struct Person {
    pub idcs: Idcs,
    pub birth_date: Date,
    pub female: bool,
    pub in_school: bool,
    pub school_cycle: &'static str,
    pub school_sector: &'static str,
    pub father_orphan: bool,
    pub severe_disability: bool,
    pub in_institution: bool,
    pub deceased_on: Option<Date>,
}

/// How the payee is paid, as it will be written.
#[derive(Clone)]
pub(super) struct Account {
    pub means: Means,
    pub number: String,
    pub provider: &'static str,
    pub level: &'static str,
}

/// A household as it will be written, before faults of the export.
pub(super) struct Dwelling {
    /// Key of its draws for this period, for faults.
    pub fault_key: u64,
    pub id: String,
    pub place: [&'static str; 3],
    pub score: u64,
    pub head_idcs: Idcs,
    pub head_resident: bool,
    pub excluded_by: &'static str,
    pub payee_idcs: Idcs,
    pub name: String,
    pub name_ar: String,
    pub cin: String,
    pub relation: &'static str,
    pub deceased: bool,
    pub phone: u64,
    pub account: Account,
    pub members: Vec<Person>,
}

/// The household of a slot.
pub(super) fn dwelling(slot: u64, options: &GenerateOptions) -> Dwelling {
    let tenure = Tenure::of(slot, options);
    let number = slot * GENERATIONS + tenure.generation;
    let rates = &options.rates;
    let mut draw = Draw::new(mix(mix(options.seed, SALT_PEOPLE), number));
    let place = place(&mut draw);
    let above = draw.chance(rates.score_above_ppm);
    let score = if above { 9_743_002 + draw.below(1_500_000) } else { 5_000_000 + draw.below(4_743_002) };
    let female = draw.chance(350_000);
    let names = [if female { draw.below(14) } else { draw.below(16) }, draw.below(20)];
    let family = draw.chance(FAMILIES_PPM);
    let members = members(&mut draw, number, family, tenure.joined, options);
    let payee_idcs = idcs(options.seed, number, 0);
    let child_aid = !members.is_empty() && family;
    let mut dwelling = Dwelling {
        fault_key: mix(mix(options.seed ^ SALT_FAULT, number), options.period.index() as u64),
        id: format!("HH-{slot:07}-{:02}", tenure.generation),
        place,
        score,
        head_idcs: payee_idcs,
        head_resident: !draw.chance(rates.head_abroad_ppm),
        excluded_by: match draw.chance(rates.excluded_ppm) {
            true => draw.one_of::<&str>(&["public_job", "pension", "family_allowance"]),
            false => "",
        },
        payee_idcs,
        name: latin(female, names, draw.bits()),
        name_ar: arabic(female, names, draw.bits()),
        cin: if draw.chance(970_000) { cin(options.seed, number) } else { String::new() },
        relation: match (child_aid, female) {
            (false, _) => "registrant",
            (true, true) => "custodian",
            (true, false) => {
                draw.one_of::<&str>(&["husband", "husband", "husband", "husband", "kafil", "guardian"])
            }
        },
        deceased: draw.chance(rates.payee_deceased_ppm) || tenure.payee_died,
        phone: phone(options.seed, number),
        account: account(number, tenure.account_version, options),
        members,
    };
    share(&mut dwelling, slot, options);
    if slot > 0 && is_split(number, options) {
        split(&mut dwelling, slot - 1, options);
    } else if slot > 0 && draw.chance(rates.near_duplicate_name_ppm) {
        // The neighbour's names once more, under other spellings.
        let before = (slot - 1) * GENERATIONS + Tenure::of(slot - 1, options).generation;
        let (female, names, at) = identity(before, options);
        dwelling.place = at;
        (dwelling.name, dwelling.name_ar) =
            (latin(female, names, draw.bits()), arabic(female, names, draw.bits()));
    }
    dwelling
}

/// Whether a household lists another's people this month: drawn anew every [`SPLIT_MONTHS`], each household at a time of its
/// own, so that what is wrong in one list is right in a later one.
fn is_split(number: u64, options: &GenerateOptions) -> bool {
    let key = mix(options.seed ^ SALT_SPLIT, number);
    let stretch = (options.period.index() as u64 + key % SPLIT_MONTHS) / SPLIT_MONTHS;
    Draw::new(mix(key, stretch)).chance(options.rates.split_household_ppm)
}

/// Sex, names and place of a household's payee: the first draws of [`dwelling`].
fn identity(number: u64, options: &GenerateOptions) -> (bool, [u64; 2], [&'static str; 3]) {
    let mut draw = Draw::new(mix(mix(options.seed, SALT_PEOPLE), number));
    let place = place(&mut draw);
    let _above = (draw.bits(), draw.bits());
    let female = draw.chance(350_000);
    let names = [if female { draw.below(14) } else { draw.below(16) }, draw.below(20)];
    (female, names, place)
}

/// Lists the neighbour's payee, and its first child where there is one, a second time.
fn split(dwelling: &mut Dwelling, neighbour: u64, options: &GenerateOptions) {
    let tenure = Tenure::of(neighbour, options);
    let number = neighbour * GENERATIONS + tenure.generation;
    let mut draw = Draw::new(mix(mix(options.seed, SALT_PEOPLE), number));
    let _before_members =
        (place(&mut draw), [draw.bits(), draw.bits(), draw.bits(), draw.bits(), draw.bits()]);
    let family = draw.chance(FAMILIES_PPM);
    let members = members(&mut draw, number, family, tenure.joined, options);
    dwelling.payee_idcs = idcs(options.seed, number, 0);
    dwelling.head_idcs = dwelling.payee_idcs;
    dwelling.members.extend(members.into_iter().take(1));
}

/// Gives the accounts and phones of fraud groups: households of one group carry the leader's.
fn share(dwelling: &mut Dwelling, slot: u64, options: &GenerateOptions) {
    let rates = &options.rates;
    if let Some(leader) = group_leader(slot, options.seed, 0, rates.shared_account_ppm, 3, 10) {
        let shared = account(leader * GENERATIONS, 0, options);
        if !shared.number.is_empty() {
            dwelling.account = shared;
        }
    }
    if let Some(leader) = group_leader(slot, options.seed, 1, rates.shared_phone_ppm, 4, 20) {
        dwelling.phone = phone(options.seed, leader * GENERATIONS);
    }
}

/// The leading slot of the group that a slot belongs to. Slots are cut into stretches with one group each, so long
/// that groups of `min` to `max` households take `ppm` of a million.
fn group_leader(slot: u64, seed: u64, which: u64, ppm: u32, min: u64, max: u64) -> Option<u64> {
    let stretch = (min + max) * 500_000 / u64::from(ppm).max(1);
    if ppm == 0 || stretch <= max {
        return None;
    }
    let index = slot / stretch;
    let mut draw = Draw::new(mix(mix(seed, SALT_GROUP + which * 16), index));
    let (size, step) = (min + draw.below(max - min + 1), 1 + draw.below((stretch / max).min(50)));
    let first = draw.below(stretch - step * (size - 1));
    let offset = (slot % stretch).checked_sub(first)?;
    (offset % step == 0 && offset / step < size).then_some(index * stretch + first)
}

pub(super) fn place(draw: &mut Draw) -> [&'static str; 3] {
    let mut at = draw.below(1000) as u16;
    let region = REGIONS.iter().find(|r| {
        let found = at < r.weight;
        at = at.saturating_sub(r.weight);
        found
    });
    let region = region.expect("weights add up to a thousand");
    let (province, communes) = *draw.one_of(region.provinces);
    [region.name, province, *draw.one_of(communes)]
}

fn spelled(parts: [&'static Name; 2], of: fn(&Name) -> &'static [&'static str], bits: u64) -> String {
    let pick = |n: &Name, bits: u64| of(n)[(bits % of(n).len() as u64) as usize];
    format!("{} {}", pick(parts[0], bits & 0xFFFF), pick(parts[1], bits >> 16 & 0xFFFF))
}

fn name_parts(female: bool, names: [u64; 2]) -> [&'static Name; 2] {
    let first = if female { &WOMEN[names[0] as usize] } else { &MEN[names[0] as usize] };
    [first, &FAMILIES[names[1] as usize]]
}

pub(super) fn latin(female: bool, names: [u64; 2], bits: u64) -> String {
    spelled(name_parts(female, names), |n| n.latin, bits)
}

fn arabic(female: bool, names: [u64; 2], bits: u64) -> String {
    spelled(name_parts(female, names), |n| n.arabic, bits)
}

/// A person's number: a different stem for each household number and person.
pub(super) fn idcs(seed: u64, number: u64, person: u64) -> Idcs {
    const STEMS: u64 = 800_000_000;
    const { assert!(HOUSEHOLDS_MAX * GENERATIONS * PERSONS <= STEMS) };
    Idcs::from_stem(200_000_000 + scatter(seed, number * PERSONS + person, STEMS) as u32)
}

/// Nine national digits that begin with 6 or 7.
fn phone(seed: u64, number: u64) -> u64 {
    600_000_000 + scatter(seed, number, 200_000_000)
}

fn cin(seed: u64, number: u64) -> String {
    let n = scatter(seed, number, 26 * 26 * 1_000_000);
    let letter = |n: u64| char::from(b'A' + (n % 26) as u8);
    format!("{}{}{:06}", letter(n / 26_000_000), letter(n / 1_000_000), n % 1_000_000)
}

fn account(number: u64, version: u64, options: &GenerateOptions) -> Account {
    let mut draw = Draw::new(mix(mix(options.seed ^ SALT_ACCOUNT, number), version));
    let rates = &options.rates;
    let (bank, mut provider) = INSTITUTIONS[draw.choose(&INSTITUTION_SHARES).min(7)];
    let (means, bank, level) = match draw.choose(&[350, 900, 960]) {
        0 => {
            provider = "";
            (Means::BankAccount, BANKS[draw.choose(&BANK_SHARES).min(13)], "")
        }
        1 if draw.chance(rates.level_one_account_ppm) => (Means::PaymentAccount, bank, "1"),
        1 => (Means::PaymentAccount, bank, *draw.one_of(&["2", "2", "2", "3"])),
        2 => return Account { means: Means::Wallet, number: String::new(), provider: "wallet", level: "" },
        _ => return Account { means: Means::Cash, number: String::new(), provider, level: "" },
    };
    let bank = if draw.chance(rates.unknown_bank_ppm) { "999" } else { bank };
    let city = format!("{:03}", 100 + draw.below(880));
    let digits = scatter(options.seed, number * 64 + version % 64, 10_000_000_000_000_000);
    let rib = Rib::compose(bank, &city, &format!("{digits:016}")).expect("3, 3 and 16 digits make a RIB");
    let mut number = rib.reveal().to_owned();
    if draw.chance(rates.wrong_rib_key_ppm) {
        // Another last digit can never be the right key.
        let last = (number.as_bytes()[23] - b'0' + 1) % 10;
        number.replace_range(23.., &last.to_string());
    }
    Account { means, number, provider, level }
}

/// Children under 21, or people over 60, on the last day of the period, as far as they are entered by then.
fn members(
    draw: &mut Draw,
    number: u64,
    family: bool,
    joined: i32,
    options: &GenerateOptions,
) -> Vec<Person> {
    const CHILD_DAYS: u64 = 20 * 365;
    let today = options.period.last_day();
    let start = Period::from_index(joined).map_or(today, Period::last_day);
    let orphan = draw.chance(25_000);
    let count = if family { 1 + draw.choose(&[430, 760, 920, 975]) } else { draw.choose(&[420, 920]) };
    let mut members = Vec::with_capacity(count + 1);
    // One child more may be born within ten years of joining.
    let unborn = family && draw.chance(700_000);
    for i in 0..count + usize::from(unborn) {
        let bits = draw.bits();
        let (mut person, mut late) = (Draw::new(bits), Draw::new(bits ^ SALT_LATE));
        let born = match (family, i < count) {
            (false, _) => start - Duration::days(60 * 365 + person.below(28 * 365) as i64),
            (true, true) => start - Duration::days(person.below(CHILD_DAYS) as i64),
            (true, false) => start + Duration::days(1 + person.below(3650) as i64),
        };
        let age = (today - born).whole_days() / 365;
        let late_by = i32::from(late.chance(options.churn.late_birth_ppm)) * (1 + late.below(5) as i32);
        let entered = born <= start || month_of(born) + late_by <= options.period.index();
        if born > today || !entered || (family && age >= 21) {
            continue;
        }
        let idcs = idcs(options.seed, number, 1 + i as u64);
        // Older people die within forty years of their sixtieth; of children, fewer than one in a hundred.
        let (mut person, dies) = self::person(&mut person, options, idcs, born, orphan, family);
        let died = if family { born } else { born + Duration::days(60 * 365) } + dies;
        let Ok(deceased_on) = entered_death(died, start, &mut late, options) else { continue };
        person.deceased_on = deceased_on;
        members.push(person);
    }
    members
}

/// A month's number, as [`Period::index`] counts.
pub(super) fn month_of(day: Date) -> i32 {
    Period::new(day.year(), day.month().into()).map_or(0, Period::index)
}

/// A death as the list has it: the day, or `None` for who lives or whose death is not entered yet; `Err` for who died so long
/// ago that the list has them no more.
fn entered_death(
    died: Date,
    start: Date,
    late: &mut Draw,
    options: &GenerateOptions,
) -> Result<Option<Date>, ()> {
    let late_by = i32::from(late.chance(options.churn.late_death_ppm)) * (1 + late.below(3) as i32);
    let since = options.period.index() - month_of(died) - late_by;
    // Who had died before the household joined would not have been listed.
    if died <= start || died > options.period.last_day() || since < 0 {
        return Ok(None);
    }
    if since <= DEAD_LISTED_MONTHS { Ok(Some(died)) } else { Err(()) }
}

/// A person, and how long after birth (of a child) or the sixtieth birthday (of older people) death comes.
fn person(
    draw: &mut Draw,
    options: &GenerateOptions,
    idcs: Idcs,
    born: Date,
    orphan: bool,
    family: bool,
) -> (Person, Duration) {
    let today = options.period.last_day();
    let age = (today - born).whole_days() / 365;
    let (cycle, schooled_permille) = match age {
        4..=5 => ("preschool", 700),
        6..=11 => ("primary", 985),
        12..=14 => ("college", 930),
        15..=17 => ("lycee", 760),
        18..=20 => ("higher", 400),
        _ => ("", 0),
    };
    let in_school = draw.below(1000) < schooled_permille;
    let public = draw.chance(920_000);
    let dies = Duration::days(draw.below(if family { 900_000 } else { 15_000 }) as i64);
    let person = Person {
        idcs,
        birth_date: born,
        female: draw.chance(500_000),
        in_school,
        school_cycle: if in_school { cycle } else { "" },
        school_sector: match (in_school, public) {
            (false, _) => "",
            (true, true) => "public",
            (true, false) => "private",
        },
        father_orphan: orphan && age < 21,
        severe_disability: draw.chance(options.rates.severe_disability_ppm),
        in_institution: age < 21 && draw.chance(options.rates.in_institution_ppm),
        deceased_on: None,
    };
    (person, dies)
}
