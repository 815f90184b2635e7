//! A bank file written again, beside what lies in the outbox: hashed and compared, and left as it is.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::path::Path;

use super::DeliveryError;
use super::digest::HashingWriter;
use crate::iso20022::pain001::write::Pain001Writer;
use crate::iso20022::pain001::{Header, Transaction};

/// A file that is being written again.
pub struct AgainFile {
    writer: Pain001Writer<HashingWriter<Beside>>,
    name: String,
}

/// What writing it again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// SHA-256 of what the rows give.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Whether the file still lies in the outbox: the provider may have picked it up.
    pub lies: bool,
    /// Whether what lies there is what the rows give.
    pub same: bool,
}

impl AgainFile {
    /// Begins to write a provider's file again.
    ///
    /// # Errors
    /// A field of the head that does not fit the schema.
    pub fn begin(
        outbox: &Path,
        provider: &str,
        name: &str,
        header: &Header<'_>,
    ) -> Result<Self, DeliveryError> {
        let beside = HashingWriter::new(Beside::open(&outbox.join(provider).join(name)));
        let writer =
            Pain001Writer::begin(beside, header).map_err(|e| DeliveryError::Content(name.into(), e))?;
        Ok(Self { writer, name: name.into() })
    }

    /// The next transaction.
    ///
    /// # Errors
    /// A field that does not fit the schema, or more than was declared.
    pub fn transaction(&mut self, transaction: &Transaction<'_>) -> Result<(), DeliveryError> {
        self.writer.transaction(transaction).map_err(|e| DeliveryError::Content(self.name.clone(), e))
    }

    /// All transactions were told.
    ///
    /// # Errors
    /// Less than was declared.
    pub fn finish(self) -> Result<Again, DeliveryError> {
        let (hashing, _) = self.writer.finish().map_err(|e| DeliveryError::Content(self.name, e))?;
        let (beside, sha256, bytes) = hashing.finish();
        let lies = beside.file.is_some();
        Ok(Again { sha256, bytes, lies, same: lies && beside.ended() })
    }
}

/// Takes bytes and compares them with those of a file.
struct Beside {
    file: Option<BufReader<File>>,
    differs: bool,
}

impl Beside {
    fn open(path: &Path) -> Self {
        // What is no plain file is no file of ours, and might never end.
        let plain = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        let file = if plain { File::open(path).ok() } else { None };
        let differs = !plain && fs::symlink_metadata(path).is_ok();
        Self { file: file.map(|file| BufReader::with_capacity(1 << 18, file)), differs }
    }

    fn ended(mut self) -> bool {
        let more = self.file.as_mut().is_some_and(|file| !matches!(file.read(&mut [0]), Ok(0)));
        !self.differs && !more
    }
}

/// Whether what is read next is `bytes`, compared where it was read into.
fn begins_with(file: &mut BufReader<File>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Ok(read) = file.fill_buf() else { return false };
        let length = read.len().min(bytes.len());
        let (now, after) = bytes.split_at(length);
        if length == 0 || read[..length] != *now {
            return false;
        }
        file.consume(length);
        bytes = after;
    }
    true
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = self.file.as_mut().filter(|_| !self.differs) {
            self.differs = !begins_with(file, bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
