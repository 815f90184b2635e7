//! A child in care, on its way to and from the database.

use sha2::{Digest as _, Sha256};
use time::Date;

use super::{IN_CLEAR, Reader, put_text};
use crate::domain::child::{CareGround, ChildInCare};
use crate::domain::household::PlaceId;
use crate::domain::ids::HouseholdId;
use crate::domain::person::Idcs;
use crate::store::StoreError;

/// The key under which a child is found again, whatever list or household names it.
pub fn child_key(child: Idcs) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"sarf.child|");
    hash.update(child.reveal().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

/// Writes the person of a child in care; what is not personal lies in columns of its own.
pub fn encode_child(child: &ChildInCare) -> Vec<u8> {
    let mut out = vec![IN_CLEAR];
    out.extend_from_slice(&child.child.reveal().to_be_bytes());
    out.extend_from_slice(&child.birth_date.to_julian_day().to_be_bytes());
    out.push(child.deceased_on.is_some().into());
    if let Some(day) = child.deceased_on {
        out.extend_from_slice(&day.to_julian_day().to_be_bytes());
    }
    for text in [&child.name, &child.name_ar, &child.institution, &child.account] {
        put_text(text, &mut out);
    }
    out
}

/// Reads the person of a child in care; the rest lies in columns of its own.
///
/// # Errors
/// When the bytes are not of this codec.
pub fn decode_child(
    bytes: &[u8],
    row: u32,
    id: HouseholdId,
    place: PlaceId,
    ground: CareGround,
    (since, until): (Date, Option<Date>),
) -> Result<ChildInCare, StoreError> {
    let mut reader = Reader::open(bytes)?;
    let child = Idcs::from_stored(u64::from_be_bytes(reader.fixed()?));
    let birth_date = reader.date()?;
    let [dead] = reader.fixed()?;
    let deceased_on = (dead != 0).then(|| reader.date()).transpose()?;
    let (name, name_ar) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let (institution, account) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    Ok(ChildInCare {
        row,
        id,
        place,
        institution,
        child,
        name,
        name_ar,
        birth_date,
        ground,
        since,
        until,
        deceased_on,
        account,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn a_child_in_care_comes_back_whole() {
        let in_care = ChildInCare {
            row: 3,
            id: HouseholdId::parse(b"D1").unwrap(),
            place: PlaceId(2),
            institution: "Foyer".into(),
            child: Idcs::from_stem(234_567_891),
            name: "Fatima".into(),
            name_ar: String::new(),
            birth_date: date!(2015 - 03 - 01),
            ground: CareGround::Abandoned,
            since: date!(2016 - 03 - 01),
            until: None,
            deceased_on: None,
            account: "001810007800020110620318".into(),
        };
        for deceased_on in [None, Some(date!(2026 - 10 - 31))] {
            let child = ChildInCare { deceased_on, ..in_care.clone() };
            let bytes = encode_child(&child);
            let read = |bytes: &[u8]| {
                decode_child(bytes, 3, child.id, PlaceId(2), child.ground, (child.since, child.until))
            };
            assert_eq!(read(&bytes).unwrap(), child);
            assert!((0..bytes.len()).all(|cut| read(&bytes[..cut]).is_err()));
        }
        assert_ne!(child_key(Idcs::from_stem(234_567_891)), child_key(Idcs::from_stem(234_567_892)));
    }
}
