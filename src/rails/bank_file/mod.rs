//! The file lane: a batch becomes one pain.001 file in `outbox/<provider>/`, a recall one camt.055 file, each with its
//! SHA-256 beside it.
//!
//! Guarantee: a file that bears its final name is whole, on the disk, and hashed; made again, it is the same bytes.
//! While it is written it bears the name `.NAME.part`, which nobody is to pick up.

mod digest;
mod recall;

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use crate::domain::money::Centimes;
use crate::iso20022::pain001::{Header, Pain001Writer, Totals, Transaction};
use crate::iso20022::write::WriteError;
use digest::HashingWriter;
pub use recall::write_recall;

/// Why a file could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The disk refused.
    #[error("cannot write `{}`", .0.display())]
    Disk(PathBuf, #[source] io::Error),
    /// The content does not make a valid file.
    #[error("`{0}`")]
    Content(String, #[source] WriteError),
    /// A file of this name was delivered with another content.
    #[error("`{0}` lies in the outbox with another content")]
    Differs(String),
    /// What lies on the disk is not what was written.
    #[error("`{0}` read back does not hold what was written")]
    ReadBack(String),
}

/// A file that is being written.
pub struct BankFile {
    writer: Pain001Writer<HashingWriter<File>>,
    folder: PathBuf,
    name: String,
}

/// A file whose content is written but not yet on the disk.
#[derive(Debug)]
pub struct WrittenFile {
    file: File,
    folder: PathBuf,
    name: String,
    sha256: [u8; 32],
    bytes: u64,
    totals: Totals,
}

/// A file in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
}

impl BankFile {
    /// Opens the file under its temporary name.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn begin(
        outbox: &Path,
        provider: &str,
        name: &str,
        header: &Header<'_>,
    ) -> Result<Self, DeliveryError> {
        let (folder, file) = open_part(outbox, provider, name)?;
        let writer = Pain001Writer::begin(HashingWriter::new(file), header)
            .map_err(|e| DeliveryError::Content(name.into(), e))?;
        Ok(Self { writer, folder, name: name.into() })
    }

    /// Appends a transaction.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn transaction(&mut self, transaction: &Transaction<'_>) -> Result<(), DeliveryError> {
        self.writer.transaction(transaction).map_err(|e| DeliveryError::Content(self.name.clone(), e))
    }

    /// Ends the content: the declared control totals are asserted against what was written.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn finish(self) -> Result<WrittenFile, DeliveryError> {
        let (hashing, totals) =
            self.writer.finish().map_err(|e| DeliveryError::Content(self.name.clone(), e))?;
        let (file, sha256, bytes) = hashing.finish();
        Ok(WrittenFile { file, folder: self.folder, name: self.name, sha256, bytes, totals })
    }
}

impl WrittenFile {
    /// Puts the file on the disk and gives it its name; with `read_back`, reads it first and compares hash, count and
    /// sum again.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn deliver(self, read_back: bool) -> Result<Delivered, DeliveryError> {
        let (part, path) = (part_path(&self.folder, &self.name), self.folder.join(&self.name));
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |e| DeliveryError::Disk(path, e)
        };
        if read_back {
            let (sha256, totals) = read_totals(&part).map_err(disk(&part))?;
            if (sha256, totals) != (self.sha256, self.totals) {
                return Err(DeliveryError::ReadBack(self.name));
            }
        }
        // An earlier attempt may have ended after the rename: the provider may have picked that file up.
        if path.exists() && read_totals(&path).map_err(disk(&path))?.0 != self.sha256 {
            return Err(DeliveryError::Differs(self.name));
        }
        self.file.sync_all().map_err(disk(&part))?;
        drop(self.file);
        let sum = format!("{}  {}\n", crate::domain::hex(&self.sha256), self.name);
        let (sum_name, sum_part) =
            (format!("{}.sha256", self.name), part_path(&self.folder, &format!("{}.sha256", self.name)));
        File::create(&sum_part)
            .and_then(|mut f| f.write_all(sum.as_bytes()).and_then(|()| f.sync_all()))
            .map_err(disk(&sum_part))?;
        fs::rename(&sum_part, self.folder.join(sum_name)).map_err(disk(&sum_part))?;
        fs::rename(&part, &path).map_err(disk(&part))?;
        File::open(&self.folder).and_then(|f| f.sync_all()).map_err(disk(&self.folder))?;
        Ok(Delivered { sha256: self.sha256, bytes: self.bytes })
    }
}

/// Opens a file of a provider under its temporary name; gives the folder too.
fn open_part(outbox: &Path, provider: &str, name: &str) -> Result<(PathBuf, File), DeliveryError> {
    let folder = outbox.join(provider);
    fs::create_dir_all(&folder).map_err(|e| DeliveryError::Disk(folder.clone(), e))?;
    let part = part_path(&folder, name);
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&part);
    Ok((folder, file.map_err(|e| DeliveryError::Disk(part, e))?))
}

fn part_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.part"))
}

/// Hash, count and sum of a file of ours, by a plain scan for its amounts.
fn read_totals(path: &Path) -> io::Result<([u8; 32], Totals)> {
    use sha2::{Digest as _, Sha256};
    const OPEN: &[u8] = b"<InstdAmt Ccy=\"MAD\">";
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let (mut hash, mut totals, mut line) = (Sha256::new(), Totals::default(), Vec::new());
    // Each transaction stands on a line of its own.
    while {
        line.clear();
        reader.read_until(b'\n', &mut line)? > 0
    } {
        hash.update(&line);
        let Some(at) = memchr::memmem::find(&line, OPEN) else { continue };
        let amount = &line[at + OPEN.len()..];
        let end = memchr::memchr(b'<', amount).unwrap_or(amount.len());
        let amount = Centimes::parse_bytes(&amount[..end])
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        totals.orders += 1;
        totals.sum = totals.sum.checked_add(amount).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok((hash.finalize().into(), totals))
}
