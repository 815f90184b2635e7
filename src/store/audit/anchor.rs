//! What the audit chain's records were, written outside of the database: whoever rewrites the chain, adds to it or cuts it off
//! there cannot make it agree with this file.
//!
//! A line with number, hash, chain (the hash of its first record) and database is written, and on the disk, before the
//! transaction commits; a second, with `done`, after. So a record without a line was not made by the engine, a line without `done` may be of a transaction that never
//! committed, and a line with `done` whose record is not there was taken away.
//!
//! Limit: whoever may write in the home can change the file too. Several homes that write to one database keep each its own
//! file; put together in one folder, all are read.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::domain::hex;

/// A record's number and hash.
pub type Head = (i64, [u8; 32]);

/// Records that a transaction added, and the hash of the chain's first.
#[derive(Clone, Debug)]
pub struct Added {
    /// Hash of record 1.
    pub chain: Vec<u8>,
    /// In their order.
    pub heads: Vec<Head>,
}

const NAME: &str = "audit.log";

/// The file of one home, for one database.
#[derive(Debug)]
pub struct Anchor {
    folder: PathBuf,
    database: String,
    file: Mutex<Option<File>>,
}

/// What files say of the chain.
#[derive(Debug, Default)]
pub struct Anchored {
    /// All records that were about to be written.
    known: HashSet<Head>,
    /// The last number that was committed, in this database; in any, where this one has no line of its own.
    pub last: Option<i64>,
    /// The first number that has a line.
    pub first: Option<i64>,
}

impl Anchored {
    /// Whether a record was written by the engine, as far as the files go back.
    pub fn knows(&self, head: Head) -> bool {
        self.first.is_none_or(|first| head.0 < first) || self.known.contains(&head)
    }
}

impl Anchor {
    /// The file below `home`; it is made with the first record.
    pub fn new(home: &Path, database: &str) -> Self {
        Self { folder: home.join("anchor"), database: database.to_owned(), file: Mutex::new(None) }
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes records that are about to be committed, and waits for the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn intend(&self, added: &Added) -> io::Result<()> {
        use std::fmt::Write as _;
        let (mut text, chain) = (String::new(), hex(&added.chain));
        for (number, hash) in &added.heads {
            let _ = writeln!(text, "{number} {} {chain} {}", hex(hash), self.database);
        }
        self.append(&text, true)
    }

    /// Notes that they were committed. A note that cannot be written leaves the records uncertain, not wrong.
    pub fn committed(&self, added: &Added) {
        let Some((number, hash)) = added.heads.last() else { return };
        let line = format!("{number} done {} {}\n", hex(&added.chain), self.database);
        if let Err(error) = self.append(&line, false) {
            tracing::warn!(%error, "the head of the audit chain could not be noted");
        }
        tracing::info!(record = number, head = hex(hash), "audit chain");
    }

    fn append(&self, text: &str, sync: bool) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let open = match file.take() {
            Some(open) => open,
            None => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                open(&self.folder.join(NAME))?
            }
        };
        let file = file.insert(open);
        file.write_all(text.as_bytes())?;
        if sync { file.sync_data() } else { Ok(()) }
    }

    /// Reads what the files of the folder say of a chain, by the hash of its first record. Where it has none, or none that they
    /// know, it was emptied or written anew: then all they say counts.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn read(&self, chain: Option<&[u8]>) -> io::Result<Anchored> {
        let found = self.read_of(chain)?;
        if chain.is_some() && found.first.is_none() { self.read_of(None) } else { Ok(found) }
    }

    fn read_of(&self, chain: Option<&[u8]>) -> io::Result<Anchored> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Anchored::default()),
            Err(error) => return Err(error),
        };
        let chain = chain.map(hex);
        let (mut found, mut last) = (Anchored::default(), HashMap::new());
        for entry in entries {
            for line in BufReader::new(File::open(entry?.path())?).lines() {
                found.take(&line?, chain.as_deref(), &mut last);
            }
        }
        found.last = last.get(&self.database).or_else(|| last.values().max()).copied();
        Ok(found)
    }
}

impl Anchored {
    /// Takes a line; one that a crash left torn is of a transaction that could not commit.
    fn take(&mut self, line: &str, wanted: Option<&str>, last: &mut HashMap<String, i64>) {
        let mut words = line.splitn(4, ' ');
        let (Some(number), Some(what), Some(chain), Some(database)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let Ok(number) = number.parse::<i64>() else { return };
        if wanted.is_some_and(|wanted| wanted != chain) {
            return;
        }
        if what == "done" {
            let last = last.entry(database.to_owned()).or_default();
            *last = number.max(*last);
        } else if let Some(hash) = unhex(what) {
            self.known.insert((number, hash));
            self.first = Some(self.first.map_or(number, |first| first.min(number)));
        }
    }
}

/// Opens the file at its end; a line that a crash left torn is ended first.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// A SHA-256 in hexadecimal.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_and_a_torn_one_spoils_no_other() {
        let home = std::env::temp_dir().join(format!("sarf-anchor-{}", std::process::id()));
        let anchor = Anchor::new(&home, "books");
        let added = |heads: Vec<Head>, chain: u8| Added { chain: vec![chain; 32], heads };
        let chain = [7; 32];
        assert_eq!(anchor.read(Some(&chain)).expect("no file is no fault").last, None);
        anchor.intend(&added(vec![(4, [1; 32]), (5, [2; 32])], 7)).expect("written");
        anchor.committed(&added(vec![(4, [1; 32]), (5, [2; 32])], 7));
        // Another chain in the same home: the books were begun anew.
        anchor.intend(&added(vec![(900, [4; 32])], 8)).expect("written");
        anchor.committed(&added(vec![(900, [4; 32])], 8));
        fs::write(
            home.join("anchor").join(NAME),
            fs::read_to_string(home.join("anchor").join(NAME)).expect("read") + "6 ab",
        )
        .expect("a torn line");
        let again = Anchor::new(&home, "books");
        again.intend(&added(vec![(6, [3; 32])], 7)).expect("written");
        let found = again.read(Some(&chain)).expect("read");
        assert_eq!((found.first, found.last), (Some(4), Some(5)));
        assert_eq!(again.read(None).expect("read").last, Some(900), "an emptied chain is any");
        let rewritten = again.read(Some(&[9; 32])).expect("read");
        assert!(!rewritten.knows((5, [9; 32])), "a chain that no line knows was written anew");
        for (head, known) in
            [((4, [1; 32]), true), ((5, [9; 32]), false), ((6, [3; 32]), true), ((3, [9; 32]), true)]
        {
            assert_eq!(found.knows(head), known, "{}", head.0);
        }
        fs::remove_dir_all(home).expect("removed");
    }

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash: [u8; 32] = std::array::from_fn(|at| at as u8 * 7);
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        for text in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
