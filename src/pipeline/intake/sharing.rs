//! Who shares an account, a phone, a person or a payee with others: an exact search in flat memory.
//!
//! Input: things of all rows of a list, those of rejected rows as far as they can be read. Each (thing, household row) goes as
//! sixteen bytes into one of 64 spools by a hash of the thing; a spool is then sorted in memory and runs of one thing are told.
//! Guarantee: each household counts once for a thing, however often it names it. Spools are nameless files: they vanish with
//! the process, so that nothing personal is left behind on the disk.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::domain::household::Shared;
use crate::snapshot::Thing;

const SPOOLS: usize = 64;

// A record, from its upper end: eight bits of kind, the value, the row, and what the thing is to the household.
const ROLE_BITS: u32 = 8;
const ROW_BITS: u32 = 32;
/// A RIB is below 10^24, which needs 80 bits; other things are smaller.
const VALUE_BITS: u32 = 80;
const KIND_AT: u32 = ROLE_BITS + ROW_BITS + VALUE_BITS;

/// What a thing is to a household, as bits.
mod role {
    /// Held by it, or listed in it.
    pub(super) const OWN: u8 = 1;
    /// Paid for it.
    pub(super) const PAYEE: u8 = 2;
    /// Seen in a row that was rejected: counts, but there is no household to be told.
    pub(super) const REJECTED: u8 = 4;
}

/// Collects things, then tells which are shared.
#[derive(Debug)]
pub struct Sharing {
    spools: Vec<BufWriter<File>>,
}

/// One household that shares a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its data row.
    pub row: u32,
    /// What it shares.
    pub thing: Shared,
    /// In how many households the thing stands.
    pub households: u32,
}

impl Sharing {
    /// Opens the spools in `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be made there.
    pub fn begin(folder: &Path) -> std::io::Result<Self> {
        let spools = (0..SPOOLS).map(|n| nameless(folder, n).map(|f| BufWriter::with_capacity(32 * 1024, f)));
        Ok(Self { spools: spools.collect::<Result<_, _>>()? })
    }

    /// Notes that the household of `row` has a thing.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn note(&mut self, thing: &Thing, row: u32) -> std::io::Result<()> {
        self.record(thing, row, 0)
    }

    /// Notes a thing of a row that was rejected.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn note_rejected(&mut self, thing: &Thing, row: u32) -> std::io::Result<()> {
        self.record(thing, row, role::REJECTED)
    }

    fn record(&mut self, thing: &Thing, row: u32, rejected: u8) -> std::io::Result<()> {
        // Payees and persons are of one kind: it is told apart afterwards in which of the two ways one stands where.
        let (kind, value, role) = match thing {
            Thing::Account(rib) => (Shared::Account, rib.as_number(), role::OWN),
            Thing::Phone(phone) => (Shared::Phone, u128::from(phone.national()), role::OWN),
            Thing::Card(card) => (Shared::Card, u128::from(card.as_number()), role::OWN),
            Thing::Person(idcs) => (Shared::Person, u128::from(idcs.reveal()), role::OWN),
            Thing::Payee(idcs) => (Shared::Person, u128::from(idcs.reveal()), role::PAYEE),
            Thing::PaidPerson(idcs) => (Shared::Person, u128::from(idcs.reveal()), role::OWN | role::PAYEE),
        };
        debug_assert!(value < 1 << VALUE_BITS, "things are told apart exactly");
        let key = u128::from(kind.number()) << VALUE_BITS | value;
        let record = (key << ROW_BITS | u128::from(row)) << ROLE_BITS | u128::from(role | rejected);
        let mixed = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.spools[(mixed >> 58) as usize].write_all(&record.to_le_bytes())
    }

    /// Tells every household that shares something, spool by spool.
    ///
    /// # Errors
    /// When a spool cannot be read back.
    pub fn finish(self, mut tell: impl FnMut(Share)) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let mut records: Vec<u128> = Vec::new();
        for spool in self.spools {
            let mut file = spool.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            bytes.clear();
            file.read_to_end(&mut bytes)?;
            records.clear();
            records.extend(bytes.as_chunks::<16>().0.iter().map(|r| u128::from_le_bytes(*r)));
            records.sort_unstable();
            const ONE_THING: u32 = ROW_BITS + ROLE_BITS;
            for group in records.chunk_by(|a, b| a >> ONE_THING == b >> ONE_THING).filter(|g| g.len() > 1) {
                tell_group(group, &mut tell);
            }
        }
        Ok(())
    }
}

/// Tells who shares the thing of a group of records.
fn tell_group(group: &[u128], tell: &mut impl FnMut(Share)) {
    let kind = Shared::from_number((group[0] >> KIND_AT) as u8).expect("only listed things are noted");
    tell_all(group, kind, role::OWN, tell);
    if kind == Shared::Person && group.iter().any(|record| *record as u8 & role::PAYEE != 0) {
        tell_all(group, Shared::Payee, role::OWN | role::PAYEE, tell);
    }
}

/// Tells the households to which the thing is one of `roles`, where these are several.
fn tell_all(group: &[u128], thing: Shared, roles: u8, tell: &mut impl FnMut(Share)) {
    let households = || {
        let of_row = |a: &u128, b: &u128| a >> ROLE_BITS == b >> ROLE_BITS;
        group.chunk_by(of_row).filter(move |of_one| of_one.iter().any(|record| *record as u8 & roles != 0))
    };
    let count = u32::try_from(households().count()).unwrap_or(u32::MAX);
    if count < 2 {
        return;
    }
    for of_one in households() {
        let of_valid = |record: &u128| *record as u8 & role::REJECTED == 0 && *record as u8 & roles != 0;
        if of_one.iter().any(of_valid) {
            tell(Share { row: (of_one[0] >> ROLE_BITS) as u32, thing, households: count });
        }
    }
}

fn nameless(folder: &Path, number: usize) -> std::io::Result<File> {
    let path = crate::files::draft_path(&folder.join(format!("sharing-{number}.spool")))?;
    let file = crate::files::create_new(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::{Cin, Idcs, Phone};
    use crate::domain::rib::Rib;

    fn account(number: u64) -> Thing {
        Thing::Account(Rib::compose("999", "999", &format!("{number:016}")).unwrap())
    }

    fn person(number: u32) -> Idcs {
        Idcs::from_stem(999_999_000 + number)
    }

    /// What is told of valid and rejected rows: thing, row, in how many households.
    fn check(valid: &[(Thing, u32)], rejected: &[(Thing, u32)], expected: &[(Shared, u32, u32)]) {
        let mut sharing = Sharing::begin(&std::env::temp_dir()).unwrap();
        for (thing, row) in valid {
            sharing.note(thing, *row).unwrap();
        }
        for (thing, row) in rejected {
            sharing.note_rejected(thing, *row).unwrap();
        }
        let mut seen = Vec::new();
        sharing.finish(|s| seen.push((s.thing, s.row, s.households))).unwrap();
        seen.sort();
        assert_eq!(seen, expected);
    }

    #[test]
    fn tells_exactly_who_shares() {
        use Shared::{Account, Card, Person, Phone as Number};
        let phone = |n: u32| Thing::Phone(Phone::from_stored(600_000_000 + n));
        let card = |text| Thing::Card(Cin::parse(text).unwrap());
        let listed = |n| Thing::Person(person(n));
        check(
            &[
                (account(9_999_999_999_999_999), 1),
                (account(9_999_999_999_999_999), 9),
                (account(9_999_999_999_999_998), 3),
                (phone(7), 2),
                (phone(8), 3),
                (phone(8), 4),
                (card("ab 123"), 2),
                (card("AB0123"), 8),
                (card("AB124"), 9),
                (listed(4), 4),
                (listed(4), 4),
                (listed(5), 5),
                (listed(5), 6),
                (listed(5), u32::MAX - 1),
            ],
            &[],
            &[
                (Account, 1, 2),
                (Account, 9, 2),
                (Number, 3, 2),
                (Number, 4, 2),
                (Person, 5, 3),
                (Person, 6, 3),
                (Person, u32::MAX - 1, 3),
                (Card, 2, 2),
                (Card, 8, 2),
            ],
        );
    }

    #[test]
    fn a_payee_is_shared_with_whoever_lists_him() {
        use Shared::{Payee, Person};
        let listed = |n| Thing::Person(person(n));
        let paid = |n| Thing::Payee(person(n));
        // Head, member and payee of one household; nobody else's.
        check(&[(listed(1), 1), (listed(1), 1), (paid(1), 1)], &[], &[]);
        let both = [Person, Payee].map(|thing| [(thing, 1, 2), (thing, 2, 2)]);
        check(&[(Thing::PaidPerson(person(1)), 1), (listed(1), 2)], &[], both.as_flattened());
        check(&[(paid(1), 1), (paid(1), 2)], &[], &[(Payee, 1, 2), (Payee, 2, 2)]);
        // Paid for one household, a member of another.
        check(&[(paid(1), 1), (listed(1), 2)], &[], &[(Payee, 1, 2), (Payee, 2, 2)]);
        check(
            &[(paid(1), 1), (listed(1), 1), (listed(1), 2)],
            &[],
            &[(Person, 1, 2), (Person, 2, 2), (Payee, 1, 2), (Payee, 2, 2)],
        );
        // Listed twice, paid nowhere.
        check(&[(listed(1), 1), (listed(1), 2)], &[], &[(Person, 1, 2), (Person, 2, 2)]);
    }

    #[test]
    fn rejected_rows_count_and_are_not_told() {
        use Shared::{Account, Payee};
        check(&[(account(1), 1)], &[(account(1), 2), (account(1), 3)], &[(Account, 1, 3)]);
        check(&[], &[(account(1), 2), (account(1), 3)], &[]);
        // A household's second row is the same household.
        check(&[(account(1), 1)], &[(account(1), 1)], &[]);
        check(&[(account(1), 1), (account(2), 2)], &[(account(2), 1)], &[(Account, 2, 2)]);
        check(&[(Thing::Person(person(1)), 1)], &[(Thing::Payee(person(1)), 2)], &[(Payee, 1, 2)]);
    }
}
