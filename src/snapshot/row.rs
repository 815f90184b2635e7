//! From a row's text to a household or a member: the first faulty field, in the contract's column order, refuses it.

use std::borrow::Cow;

use time::{Date, Month};

use super::part::{CLAIM_COLUMNS, DEPOSIT_COLUMNS, HOUSEHOLD_COLUMNS, MEMBER_COLUMNS};
use super::rejection::RejectReason;
use crate::domain::attribute::{self, AttributeTypes, Attributes, COLUMN_PREFIX};
use crate::domain::child::{BirthClaim, CareGround, ChildInCare};
use crate::domain::household::{
    Household, Means, Member, Payee, Place, PlaceId, Relation, SchoolCycle, SchoolSector, Score, Sex,
};
use crate::domain::ids::{Code, HouseholdId};
use crate::domain::person::{Cin, Idcs, Phone, is_separator};
use crate::domain::rib::Rib;

const NAME_CHARS_MAX: usize = 140;
const PLACE_CHARS_MAX: usize = 80;
const ACCOUNT_CHARS_MAX: usize = 34;
const BIRTH_YEAR_MIN: i32 = 1900;

/// Something that other households may have too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An account.
    Account(Rib),
    /// A phone.
    Phone(Phone),
    /// The payee's identity card.
    Card(Cin),
    /// The payee.
    Payee(Idcs),
    /// The payee, who is the head too.
    PaidPerson(Idcs),
    /// The head, or a member.
    Person(Idcs),
}

/// A thing in a row that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Data row of the household. Households without a row of their own have a number that no row has.
    pub row: u32,
    /// Whether the household was taken all the same.
    pub of_taken: bool,
    /// What.
    pub thing: Thing,
}

impl Sighting {
    /// A person of a member row that belongs to no household row. Rows of households are far fewer than such numbers, so that
    /// none is another's.
    pub(super) const fn without_household(member_row: u32, person: Idcs) -> Self {
        Self { row: u32::MAX - member_row, of_taken: false, thing: Thing::Person(person) }
    }
}

/// Why a row was refused: the field, its value in clear (the caller masks it), and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub field: Cow<'static, str>,
    pub value: &'a str,
    pub reason: RejectReason,
}

/// What rows are read against.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowRules {
    /// Whether the check digit of an IDCS must be right.
    pub check_digit: bool,
    /// Last day of the snapshot's period: no one is born later.
    pub period_end: Date,
}

type Refused<'a, T> = Result<T, Refusal<'a>>;
type Parsed<T> = Result<T, RejectReason>;

fn field<'a, T>(name: &'static str, value: &'a str, parsed: Parsed<T>) -> Refused<'a, T> {
    parsed.map_err(|reason| Refusal { field: name.into(), value, reason })
}

/// Reads the household id of a row of either kind.
pub(super) fn household_id(text: &str) -> Refused<'_, HouseholdId> {
    row_id("household_id", text)
}

/// Reads the id that a row is sorted by.
pub(super) fn row_id<'a>(column: &'static str, text: &'a str) -> Refused<'a, HouseholdId> {
    field(column, text, HouseholdId::parse(text.as_bytes()).map_err(RejectReason::from))
}

/// Reads a claim of a birth grant.
pub(super) fn claim<'a>(
    fields: &[&'a str],
    row: u32,
    household: HouseholdId,
    rules: &RowRules,
) -> Refused<'a, BirthClaim> {
    let &[_, child, rank, claimed_on] =
        <&[&str; CLAIM_COLUMNS.len()]>::try_from(fields).expect("a claim row has its columns");
    Ok(BirthClaim {
        row,
        household,
        child: field("child_idcs", child, idcs_of(child, rules))?,
        rank: field("rank", rank, present(rank).and_then(self::rank))?,
        claimed_on: field("claimed_on", claimed_on, present(claimed_on).and_then(|t| birth_date(t, rules)))?,
    })
}

/// Reads a child in care, and the place of its institution.
pub(super) fn in_care<'a>(
    fields: &[&'a str],
    row: u32,
    id: HouseholdId,
    rules: &RowRules,
) -> Refused<'a, (ChildInCare, Place)> {
    let &[_, region, province, commune, institution, ref rest @ ..] =
        <&[&str; DEPOSIT_COLUMNS.len()]>::try_from(fields).expect("a deposit row has its columns");
    let [child, name, name_ar, born, ground, since, until, died, account] = *rest;
    for (column, value) in [("region", region), ("province", province), ("commune", commune)] {
        field(column, value, label(value, PLACE_CHARS_MAX))?;
    }
    let place = Place {
        region: region.trim().to_owned(),
        province: province.trim().to_owned(),
        commune: commune.trim().to_owned(),
    };
    let institution = field("institution", institution, label(institution, NAME_CHARS_MAX))?.to_owned();
    let child = field("child_idcs", child, idcs_of(child, rules))?;
    let (name, name_ar) = names(("child_name", name), ("child_name_ar", name_ar))?;
    let birth_date = field("birth_date", born, present(born).and_then(|t| birth_date(t, rules)))?;
    let since = field("since", since, present(since).and_then(|t| not_before(t, birth_date)))?;
    let child = ChildInCare {
        row,
        id,
        place: PlaceId::default(),
        institution,
        child,
        name,
        name_ar,
        birth_date,
        ground: field("ground", ground, listed(ground, CareGround::parse))?,
        since,
        until: field("until", until, optional(until, |t| not_before(t, since)))?,
        deceased_on: field("deceased_on", died, optional(died, |t| not_before(t, birth_date)))?,
        account: field("account", account, self::account(account))?,
    };
    Ok((child, place))
}

/// The rank of a child, from 1.
fn rank(text: &str) -> Parsed<u8> {
    match text.parse::<u8>() {
        Ok(0) => Err(RejectReason::OutOfRange),
        Ok(rank) => Ok(rank),
        Err(_) if text.bytes().all(|b| b.is_ascii_digit()) => Err(RejectReason::OutOfRange),
        Err(_) => Err(RejectReason::Malformed),
    }
}

/// Reads a household row; its place is left to the caller, who numbers places.
pub(super) fn household<'a>(
    fields: &[&'a str],
    row: u32,
    id: HouseholdId,
    rules: &RowRules,
    attributes: &AttributeTypes,
) -> Refused<'a, Household> {
    let (&[_, region, province, commune, score, head, resident, excluded, ref rest @ ..], given) =
        contract_columns(fields);
    let [payee_idcs, name, name_ar, cin, relation, deceased, phone, means, account, provider, level] = *rest;
    for (column, value) in [("region", region), ("province", province), ("commune", commune)] {
        field(column, value, label(value, PLACE_CHARS_MAX))?;
    }
    let rsu_score = field("rsu_score", score, present(score).and_then(self::score))?;
    let head_idcs = field("head_idcs", head, idcs_of(head, rules))?;
    let head_resident = field("head_resident", resident, boolean(resident))?;
    let excluded_by = field("excluded_by", excluded, optional(excluded, code))?;
    let payee_idcs = field("payee_idcs", payee_idcs, idcs_of(payee_idcs, rules))?;
    let name = names(("payee_name", name), ("payee_name_ar", name_ar))?;
    let cin = field("payee_cin", cin, optional(cin, |t| Ok(Cin::parse(t)?)))?;
    let relation = field("payee_relation", relation, listed(relation, Relation::parse))?;
    let deceased = field("payee_deceased", deceased, boolean(deceased))?;
    let phone = field("phone", phone, optional(phone, |t| Ok(Phone::parse(t)?)))?;
    let means = field("means", means, listed(means, Means::parse))?;
    let account = field("account", account, self::account(account))?;
    let provider = field("provider", provider, optional(provider, code))?;
    let account_level = field("account_level", level, optional(level, self::level))?;
    let attributes = self::attributes(given, attributes)?;
    let (name, name_ar) = name;
    let payee = Payee { idcs: payee_idcs, name, name_ar, cin, relation, deceased, phone, account };
    Ok(Household {
        row,
        id,
        place: PlaceId::default(),
        rsu_score,
        head_idcs,
        head_resident,
        excluded_by,
        payee,
        means,
        provider,
        account_level,
        attributes,
        members: Vec::new(),
        members_rejected: 0,
    })
}

/// The contract's columns of a household row, and those of the programme's attributes.
fn contract_columns<'f, 'a>(
    fields: &'f [&'a str],
) -> (&'f [&'a str; HOUSEHOLD_COLUMNS.len()], &'f [&'a str]) {
    fields.split_first_chunk().expect("a household row has its columns")
}

fn attributes<'a>(given: &[&'a str], types: &AttributeTypes) -> Refused<'a, Attributes> {
    let mut attributes = Attributes::default();
    for (value, (name, of)) in given.iter().zip(types) {
        match of.read(value) {
            Ok(Some(value)) => attributes.push(name.clone(), value),
            Ok(None) => {}
            Err(problem) => {
                return Err(Refusal {
                    field: format!("{COLUMN_PREFIX}{name}").into(),
                    value,
                    reason: problem.into(),
                });
            }
        }
    }
    Ok(attributes)
}

/// Reads a member row.
pub(super) fn member<'a>(fields: &[&'a str], rules: &RowRules) -> Refused<'a, Member> {
    let &[_, idcs, born, sex, in_school, cycle, sector, orphan, disability, institution, died] =
        <&[&str; MEMBER_COLUMNS.len()]>::try_from(fields).expect("a member row has its columns");
    let idcs = field("idcs", idcs, idcs_of(idcs, rules))?;
    let birth_date = field("birth_date", born, present(born).and_then(|t| birth_date(t, rules)))?;
    Ok(Member {
        idcs,
        birth_date,
        sex: field("sex", sex, listed(sex, Sex::parse))?,
        in_school: field("in_school", in_school, boolean(in_school))?,
        school_cycle: field("school_cycle", cycle, optional(cycle, |t| listed(t, SchoolCycle::parse)))?,
        school_sector: field("school_sector", sector, optional(sector, |t| listed(t, SchoolSector::parse)))?,
        father_orphan: field("father_orphan", orphan, boolean(orphan))?,
        severe_disability: field("severe_disability", disability, boolean(disability))?,
        in_institution: field("in_institution", institution, boolean(institution))?,
        deceased_on: field("deceased_on", died, optional(died, |t| not_before(t, birth_date)))?,
    })
}

/// Things that other households may have too, as far as a household row that was rejected can be read.
pub(super) fn readable<'a>(fields: &[&'a str], rules: &RowRules) -> impl Iterator<Item = Thing> + use<'a> {
    let (&[_, _, _, _, _, head, _, _, payee, _, _, cin, _, _, phone, _, text, ..], _) =
        contract_columns(fields);
    let person = |text| idcs_of(text, rules).ok();
    let rib = account(text).ok().and_then(|text| Rib::parse(&text).ok());
    let things = [
        person(head).map(Thing::Person),
        person(payee).map(Thing::Payee),
        Cin::parse(cin).ok().map(Thing::Card),
        Phone::parse(phone).ok().map(Thing::Phone),
        rib.map(Thing::Account),
    ];
    things.into_iter().flatten()
}

/// The person of a member row that was rejected, where the number can be read.
pub(super) fn readable_person(fields: &[&str], rules: &RowRules) -> Option<Idcs> {
    idcs_of(fields.get(1)?, rules).ok()
}

fn present(text: &str) -> Parsed<&str> {
    if text.is_empty() { Err(RejectReason::Missing) } else { Ok(text) }
}

fn optional<'a, T>(text: &'a str, parse: impl FnOnce(&'a str) -> Parsed<T>) -> Parsed<Option<T>> {
    if text.trim().is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn listed<T>(text: &str, parse: fn(&str) -> Option<T>) -> Parsed<T> {
    present(text).and_then(|t| parse(t).ok_or(RejectReason::UnknownValue))
}

fn boolean(text: &str) -> Parsed<bool> {
    listed(text, attribute::boolean)
}

fn idcs_of(text: &str, rules: &RowRules) -> Parsed<Idcs> {
    Ok(Idcs::parse(text.as_bytes(), rules.check_digit)?)
}

/// A code in the one spelling that codes are compared in.
fn code(text: &str) -> Parsed<Code> {
    Ok(Code::folded(text)?)
}

fn score(text: &str) -> Parsed<Score> {
    Score::parse(text.as_bytes()).ok_or(RejectReason::Malformed)
}

/// A text for people: present, not too long, without control characters.
fn label(text: &str, chars_max: usize) -> Parsed<&str> {
    let text = text.trim();
    // Bytes bound characters from above, so that most texts need no counting.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(RejectReason::TooLong);
    }
    if text.bytes().any(|b| b.is_ascii_control()) {
        return Err(RejectReason::Malformed);
    }
    present(text)
}

/// A person's names, each with its column: one of the two scripts is enough.
fn names<'a>(
    (latin_column, latin): (&'static str, &'a str),
    (arabic_column, arabic): (&'static str, &'a str),
) -> Refused<'a, (String, String)> {
    let read = |text: &'a str| match label(text, NAME_CHARS_MAX) {
        Err(RejectReason::Missing) => Ok(""),
        other => other,
    };
    let name = field(latin_column, latin, read(latin))?;
    let name_ar = field(arabic_column, arabic, read(arabic))?;
    if name.is_empty() && name_ar.is_empty() {
        return field(latin_column, latin, Err(RejectReason::Missing));
    }
    Ok((name.to_owned(), name_ar.to_owned()))
}

fn account(text: &str) -> Parsed<String> {
    let compact: String = text.chars().filter(|c| !is_separator(*c)).collect();
    if compact.chars().count() > ACCOUNT_CHARS_MAX {
        return Err(RejectReason::TooLong);
    }
    if compact.chars().any(char::is_control) {
        return Err(RejectReason::Malformed);
    }
    Ok(compact)
}

fn level(text: &str) -> Parsed<u8> {
    match text.parse::<u8>() {
        Ok(level @ 1..=3) => Ok(level),
        Ok(_) => Err(RejectReason::OutOfRange),
        Err(_) => Err(RejectReason::Malformed),
    }
}

fn date(text: &str) -> Parsed<Date> {
    let bytes = text.as_bytes();
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = bytes else { return Err(RejectReason::Malformed) };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u16, |v, b| b.is_ascii_digit().then(|| v * 10 + u16::from(b - b'0')))
    };
    let read = || {
        let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()
    };
    read().ok_or(RejectReason::Malformed)
}

fn birth_date(text: &str, rules: &RowRules) -> Parsed<Date> {
    let born = date(text)?;
    if born > rules.period_end || born.year() < BIRTH_YEAR_MIN {
        return Err(RejectReason::OutOfRange);
    }
    Ok(born)
}

fn not_before(text: &str, first: Date) -> Parsed<Date> {
    let day = date(text)?;
    if day < first { Err(RejectReason::OutOfRange) } else { Ok(day) }
}
