//! Who shares an account, a phone or a person with others: an exact search in flat memory.
//!
//! Each (thing, household row) goes as sixteen bytes into one of 64 spools by a hash of the thing; a spool is then
//! sorted in memory and runs of one thing are told. Spools are nameless files: they vanish with the process, so that
//! nothing personal is left behind on the disk.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::domain::household::listed;

listed! {
    /// What is shared.
    SharedThing {
        /// An account.
        Account = "account",
        /// A phone.
        Phone = "phone",
        /// A person.
        Person = "person",
    }
}

const SPOOLS: usize = 64;
const ROW_BITS: u32 = 32;
/// A RIB is below 10^24, which needs 80 bits; other things are smaller.
const VALUE_BITS: u32 = 80;

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
    pub thing: SharedThing,
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

    /// Notes that the household of `row` has a thing; `value` is exact and below 2^80.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn note(&mut self, thing: SharedThing, value: u128, row: u32) -> std::io::Result<()> {
        debug_assert!(value < 1 << VALUE_BITS, "things are told apart exactly");
        let key = u128::from(thing.number()) << VALUE_BITS | value;
        let record = key << ROW_BITS | u128::from(row);
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
            // A household may name one person twice (head and member): once is enough.
            records.dedup();
            for group in records.chunk_by(|a, b| a >> ROW_BITS == b >> ROW_BITS).filter(|g| g.len() > 1) {
                let thing = SharedThing::from_number((group[0] >> (ROW_BITS + VALUE_BITS)) as u8);
                for record in group {
                    tell(Share {
                        row: (record & 0xFFFF_FFFF) as u32,
                        thing: thing.expect("only listed things are noted"),
                        households: u32::try_from(group.len()).unwrap_or(u32::MAX),
                    });
                }
            }
        }
        Ok(())
    }
}

fn nameless(folder: &Path, number: usize) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join(format!("sharing-{}-{number}.spool", std::process::id()));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::SharedThing::{Account, Person, Phone};
    use super::*;

    #[test]
    fn tells_exactly_who_shares() {
        let folder = std::env::temp_dir();
        let mut sharing = Sharing::begin(&folder).unwrap();
        let biggest = (1u128 << VALUE_BITS) - 1;
        for (thing, value, row) in [
            (Account, 7, 1),
            (Account, 7, 9),
            (Phone, 7, 2),
            (Account, 8, 3),
            (Person, biggest, 4),
            (Person, biggest, 4),
            (Person, biggest - 1, 5),
            (Person, biggest - 1, 6),
            (Person, biggest - 1, u32::MAX),
        ] {
            sharing.note(thing, value, row).unwrap();
        }
        let mut seen = Vec::new();
        sharing.finish(|s| seen.push((s.row, s.thing, s.households))).unwrap();
        seen.sort();
        assert_eq!(
            seen,
            [(1, Account, 2), (5, Person, 3), (6, Person, 3), (9, Account, 2), (u32::MAX, Person, 3)]
        );
    }
}
