//! The one codec that every personal value passes through on its way to and from the database, so that sealing them at
//! rest changes this file and no caller.
//!
//! Form: a version byte (1: in clear; 2: a household with attributes), then fields in a fixed order; texts are a length byte pair and UTF-8.

mod child;

pub use child::{child_key, decode_child, encode_child};
use time::Date;

use crate::domain::attribute::{AttributeValue, Attributes};
use crate::domain::breaks::BreakSource;
use crate::domain::household::{Member, Payee, Relation, SchoolCycle, SchoolSector, Sex};
use crate::domain::ids::Code;
use crate::domain::person::{Cin, Idcs, Phone};
use crate::store::StoreError;

const IN_CLEAR: u8 = 1;
/// As [`IN_CLEAR`], with attributes before a household's members.
const WITH_ATTRIBUTES: u8 = 2;

/// What an order must know of its payee to be paid: nothing more leaves the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPayee {
    /// Creditor name, folded to the banks' character set.
    pub name: String,
    /// RIB, or empty where the phone identifies.
    pub account: String,
    /// Phone, where it identifies (wallet, cash).
    pub phone: Option<Phone>,
}

/// Where a list is asked for an account: a RIB of 24 digits is the last thing that [`encode_payee`] writes.
pub(crate) const ACCOUNT_SQL: &str = "substr(payee, octet_length(payee) - 23)";
/// Where it is asked for a phone.
pub(crate) const PHONE_SQL: &str = "substr(payee, 10, 4)";

/// Writes a household's payee.
pub fn encode_payee(payee: &Payee, out: &mut Vec<u8>) {
    out.clear();
    out.push(IN_CLEAR);
    out.extend_from_slice(&payee.idcs.reveal().to_be_bytes());
    out.extend_from_slice(&payee.phone.map_or(0, Phone::national).to_be_bytes());
    for text in
        [payee.name.as_str(), &payee.name_ar, payee.cin.as_ref().map_or("", Cin::reveal), &payee.account]
    {
        put_text(text, out);
    }
}

/// Reads a household's payee; `relation` and `deceased` lie in columns of their own.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_payee(bytes: &[u8], relation: Relation, deceased: bool) -> Result<Payee, StoreError> {
    decode_payee_into(bytes, relation, deceased, [const { String::new() }; 3])
}

/// The same, into the texts' buffers of another payee.
pub(crate) fn decode_payee_into(
    bytes: &[u8],
    relation: Relation,
    deceased: bool,
    [mut name, mut name_ar, mut account]: [String; 3],
) -> Result<Payee, StoreError> {
    let mut reader = Reader::open(bytes)?;
    let idcs = Idcs::from_stored(u64::from_be_bytes(reader.fixed()?));
    let phone = u32::from_be_bytes(reader.fixed()?);
    reader.text()?.clone_into(&mut name);
    reader.text()?.clone_into(&mut name_ar);
    let cin = reader.text()?;
    reader.text()?.clone_into(&mut account);
    let cin = (!cin.is_empty()).then(|| Cin::parse(cin)).transpose().map_err(|_| FAULT)?;
    Ok(Payee {
        idcs,
        name,
        name_ar,
        cin,
        relation,
        deceased,
        phone: (phone != 0).then(|| Phone::from_stored(phone)),
        account,
    })
}

/// Writes what a household is assessed by: its attributes, where it has any, then its members, 14 bytes each, 4 more for the
/// dead.
pub fn encode_members(members: &[Member], attributes: &Attributes, out: &mut Vec<u8>) {
    out.clear();
    if attributes.is_empty() {
        out.push(IN_CLEAR);
    } else {
        out.push(WITH_ATTRIBUTES);
        out.push(attributes.iter().len() as u8);
        for (name, value) in attributes.iter() {
            put_text(name.as_str(), out);
            match value {
                AttributeValue::Boolean(value) => out.extend_from_slice(&[0, u8::from(*value)]),
                AttributeValue::Integer(value) => {
                    out.push(1);
                    out.extend_from_slice(&value.to_be_bytes());
                }
                AttributeValue::Code(code) => {
                    out.push(2);
                    put_text(code.as_str(), out);
                }
            }
        }
    }
    for member in members {
        let mut flags: u16 = 0;
        let bits = [
            member.sex == Sex::Male,
            member.in_school,
            member.father_orphan,
            member.severe_disability,
            member.in_institution,
            member.deceased_on.is_some(),
        ];
        for (bit, set) in bits.into_iter().enumerate() {
            flags |= u16::from(set) << bit;
        }
        flags |= u16::from(member.school_cycle.map_or(0, |c| c.number() + 1)) << 8;
        flags |= u16::from(member.school_sector.map_or(0, |s| s.number() + 1)) << 12;
        out.extend_from_slice(&member.idcs.reveal().to_be_bytes());
        out.extend_from_slice(&member.birth_date.to_julian_day().to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        if let Some(day) = member.deceased_on {
            out.extend_from_slice(&day.to_julian_day().to_be_bytes());
        }
    }
}

/// Reads a household's members into `members`, and gives its attributes.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_members(bytes: &[u8], members: &mut Vec<Member>) -> Result<Attributes, StoreError> {
    members.clear();
    let mut attributes = Attributes::default();
    let mut reader = match bytes.split_first() {
        Some((&WITH_ATTRIBUTES, rest)) => Reader(rest),
        _ => Reader::open(bytes)?,
    };
    if bytes.first() == Some(&WITH_ATTRIBUTES) {
        let [count] = reader.fixed()?;
        for _ in 0..count {
            let name = Code::parse(reader.text()?).map_err(|_| FAULT)?;
            let value = match reader.fixed()? {
                [0] => AttributeValue::Boolean(reader.fixed()? == [1]),
                [1] => AttributeValue::Integer(i64::from_be_bytes(reader.fixed()?)),
                [2] => AttributeValue::Code(Code::parse(reader.text()?).map_err(|_| FAULT)?),
                _ => return Err(FAULT),
            };
            attributes.push(name, value);
        }
    }
    while !reader.0.is_empty() {
        let idcs = Idcs::from_stored(u64::from_be_bytes(reader.fixed()?));
        let birth_date = reader.date()?;
        let flags = u16::from_be_bytes(reader.fixed()?);
        let bit = |n: u32| flags & (1 << n) != 0;
        let listed = |shift: u32| ((flags >> shift) & 15) as u8;
        members.push(Member {
            idcs,
            birth_date,
            sex: if bit(0) { Sex::Male } else { Sex::Female },
            in_school: bit(1),
            school_cycle: listed(8).checked_sub(1).and_then(SchoolCycle::from_number),
            school_sector: listed(12).checked_sub(1).and_then(SchoolSector::from_number),
            father_orphan: bit(2),
            severe_disability: bit(3),
            in_institution: bit(4),
            deceased_on: bit(5).then(|| reader.date()).transpose()?,
        });
    }
    Ok(attributes)
}

/// The number that a person goes by where persons are told apart within a transaction.
pub const fn person_key(idcs: Idcs) -> i64 {
    idcs.reveal().cast_signed()
}

/// The person of such a number.
pub const fn person_of_key(key: i64) -> Idcs {
    Idcs::from_stored(key.cast_unsigned())
}

/// Writes a registry number.
pub fn encode_idcs(idcs: Idcs) -> Vec<u8> {
    let mut out = vec![IN_CLEAR];
    out.extend_from_slice(&idcs.reveal().to_be_bytes());
    out
}

/// Reads a registry number.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_idcs(bytes: &[u8]) -> Result<Idcs, StoreError> {
    Ok(Idcs::from_stored(u64::from_be_bytes(Reader::open(bytes)?.fixed()?)))
}

/// Writes an order's payee.
pub fn encode_order_payee(payee: &OrderPayee, out: &mut Vec<u8>) {
    out.clear();
    out.push(IN_CLEAR);
    out.extend_from_slice(&payee.phone.map_or(0, Phone::national).to_be_bytes());
    put_text(&payee.account, out);
    put_text(&payee.name, out);
}

/// Reads an order's payee into `payee`, keeping its buffers.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_order_payee(bytes: &[u8], payee: &mut OrderPayee) -> Result<(), StoreError> {
    let mut reader = Reader::open(bytes)?;
    let phone = u32::from_be_bytes(reader.fixed()?);
    payee.phone = (phone != 0).then(|| Phone::from_stored(phone));
    payee.account.clear();
    payee.account.push_str(reader.text()?);
    payee.name.clear();
    payee.name.push_str(reader.text()?);
    Ok(())
}

const FAULT: StoreError = StoreError::Corrupt("personal column");

/// Writes what a bank says of an entry: names and accounts may stand in its words.
pub fn encode_source(source: &BreakSource) -> Vec<u8> {
    let mut out = vec![IN_CLEAR];
    let s = source;
    let texts = [
        s.account.as_str(),
        &s.statement,
        &s.bank_reference,
        &s.entry_reference,
        &s.references,
        &s.text,
        s.booked_on.as_deref().unwrap_or(""),
        s.value_on.as_deref().unwrap_or(""),
    ];
    texts.into_iter().for_each(|text| put_text(text, &mut out));
    out
}

/// Reads what a bank says of an entry.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_source(bytes: &[u8]) -> Result<BreakSource, StoreError> {
    let mut reader = Reader::open(bytes)?;
    let mut text = || reader.text().map(str::to_owned);
    let day = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(BreakSource {
        account: text()?,
        statement: text()?,
        bank_reference: text()?,
        entry_reference: text()?,
        references: text()?,
        text: text()?,
        booked_on: day(text()?),
        value_on: day(text()?),
    })
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).expect("personal texts are limited at intake");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, StoreError> {
        match bytes.split_first() {
            Some((&IN_CLEAR, rest)) => Ok(Self(rest)),
            _ => Err(FAULT),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (value, rest) = self.0.split_first_chunk::<N>().ok_or(FAULT)?;
        self.0 = rest;
        Ok(*value)
    }

    fn text(&mut self) -> Result<&'a str, StoreError> {
        let len = usize::from(u16::from_be_bytes(self.fixed()?));
        let (value, rest) = self.0.split_at_checked(len).ok_or(FAULT)?;
        self.0 = rest;
        std::str::from_utf8(value).map_err(|_| FAULT)
    }

    fn date(&mut self) -> Result<Date, StoreError> {
        Date::from_julian_day(i32::from_be_bytes(self.fixed()?)).map_err(|_| FAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::household::Relation;
    use time::macros::date;

    #[test]
    fn members_and_payees_come_back() {
        let member = Member {
            idcs: Idcs::from_stem(234_567_891),
            birth_date: date!(2015 - 03 - 01),
            sex: Sex::Female,
            in_school: true,
            school_cycle: Some(SchoolCycle::Higher),
            school_sector: Some(SchoolSector::Private),
            father_orphan: false,
            severe_disability: true,
            in_institution: false,
            deceased_on: None,
        };
        let dead = Member {
            deceased_on: Some(date!(2026 - 10 - 31)),
            school_cycle: None,
            school_sector: None,
            sex: Sex::Male,
            ..member
        };
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        for members in [vec![], vec![member], vec![dead, member, dead]] {
            let mut attributes = Attributes::default();
            encode_members(&members, &attributes, &mut bytes);
            assert!(decode_members(&bytes, &mut back).unwrap().is_empty());
            assert_eq!(back, members);
            for (name, value) in [
                ("herd", AttributeValue::Integer(-3)),
                ("mountain", AttributeValue::Boolean(true)),
                ("roof", AttributeValue::Code(Code::parse("tin").unwrap())),
            ] {
                attributes.push(Code::parse(name).unwrap(), value);
            }
            encode_members(&members, &attributes, &mut bytes);
            assert_eq!(decode_members(&bytes, &mut back).unwrap(), attributes);
            assert_eq!(back, members);
        }
        let payee = Payee {
            idcs: member.idcs,
            name: "Fatima".into(),
            name_ar: "فاطمة".into(),
            cin: Some(Cin::parse("AB12").unwrap()),
            relation: Relation::Kafil,
            deceased: true,
            phone: Some(Phone::from_stored(612_345_678)),
            account: "001810007800020110620318".into(),
        };
        assert_eq!(decode_idcs(&encode_idcs(member.idcs)).unwrap(), member.idcs);
        encode_payee(&payee, &mut bytes);
        assert_eq!(decode_payee(&bytes, Relation::Kafil, true).unwrap(), payee);
        for cut in 0..bytes.len() {
            assert!(decode_payee(&bytes[..cut], Relation::Kafil, true).is_err(), "cut at {cut}");
        }
        let order = OrderPayee { name: "FATIMA".into(), account: String::new(), phone: payee.phone };
        encode_order_payee(&order, &mut bytes);
        let mut out = OrderPayee { name: "x".into(), account: "y".into(), phone: None };
        decode_order_payee(&bytes, &mut out).unwrap();
        assert_eq!(out, order);
    }
}
