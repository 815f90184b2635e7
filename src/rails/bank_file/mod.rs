//! The file lane: a batch becomes one pain.001 file in `outbox/<provider>/`, a recall one camt.055 file, each with its
//! SHA-256 beside it.
//!
//! Guarantee: a file that bears its final name is whole, on the disk, and hashed; made again, it is the same bytes.
//! While it is written it bears a name of its own, `.NAME.NUMBER.part`, which nobody is to pick up: two that write the
//! same file do not meet. Nothing is written or read through a link.

mod again;
mod digest;
mod recall;

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _};
use std::path::{Path, PathBuf};

use crate::domain::country;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::money::Centimes;
use crate::files::{self, Draft};
use crate::iso20022::pain001::write::Pain001Writer;
use crate::iso20022::pain001::{Header, Totals, Transaction};
use crate::iso20022::xml::write::WriteError;
pub use again::{Again, AgainFile};
use digest::HashingWriter;
pub use recall::write_recall;

/// Why a file could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The disk refused.
    #[error("cannot write `{}`", .0.display())]
    Disk(PathBuf, #[source] io::Error),
    /// The content does not make a valid file.
    #[error("`{0}` cannot be written")]
    Content(String, #[source] WriteError),
    /// A file of this name was delivered with another content.
    #[error("`{0}` is already in the outbox, with another content")]
    Differs(String),
    /// What lies on the disk is not what was written.
    #[error("`{0}` was read back and does not hold what was written")]
    ReadBack(String),
    /// Written again, the file is not the one that was recorded when it left.
    #[error("`{0}` in the outbox is not whole, and its orders no longer give the bytes that were recorded")]
    Changed(String),
}

impl Hint for DeliveryError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Disk(..) => {
                "see that the outbox can be written and its disk has room, then give the command again".into()
            }
            Self::Content(..) => "correct what the schema refuses: see docs/bank-guide.md".into(),
            Self::Differs(_) => {
                "somebody may have it: compare it with what was recorded before anything else is sent".into()
            }
            Self::ReadBack(_) => {
                "see that the disk of the outbox is sound, then give the command again".into()
            }
            Self::Changed(_) => {
                "`sarf verify` names the rows that were changed; ask the bank for the file that it has".into()
            }
        })
    }

    fn system_hint(&self) -> Option<NextStep> {
        let Self::Disk(path, source) = self else { return None };
        files::path_hint(path, source).or_else(|| source.system_hint())
    }
}

#[cfg(test)]
crate::domain::hint::samples!(DeliveryError {
    Self::Disk(..) => Self::Disk("outbox".into(), io::ErrorKind::Other.into()),
    Self::Content(..) => Self::Content("a.xml".into(), io::Error::other("gone").into()),
    Self::Differs(_) => Self::Differs("a.xml".into()),
    Self::ReadBack(_) => Self::ReadBack("a.xml".into()),
    Self::Changed(_) => Self::Changed("a.xml".into()),
});

impl DeliveryError {
    fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Disk(path, error)
    }
}

/// A file that is being written.
pub struct BankFile {
    writer: Pain001Writer<HashingWriter<File>>,
    draft: Draft,
    name: String,
}

/// A file whose content is written but not yet on the disk.
#[derive(Debug)]
pub struct WrittenFile {
    draft: Draft,
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

/// What lies in the outbox of a file that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The bytes that were recorded.
    Whole,
    /// Other bytes, or fewer.
    Torn,
    /// Nothing, while its hash still lies there: nobody who picks files up leaves that behind by rule.
    Missing,
    /// Neither the file nor its hash: it was picked up.
    Gone,
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
        let (draft, file) = begin_draft(outbox, provider, name)?;
        let writer = Pain001Writer::begin(HashingWriter::new(file), header)
            .map_err(|e| DeliveryError::Content(name.into(), e))?;
        Ok(Self { writer, draft, name: name.into() })
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
        let (_, sha256, bytes) = hashing.finish();
        Ok(WrittenFile { draft: self.draft, name: self.name, sha256, bytes, totals })
    }
}

impl WrittenFile {
    /// Puts the file on the disk and gives it its name; with `read_back`, reads it first and compares hash, count and
    /// sum again. A file of that name with other bytes is never overwritten: the provider may have picked it up.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn deliver(self, read_back: bool) -> Result<Delivered, DeliveryError> {
        match inspect(self.draft.target(), &self.sha256).map_err(DeliveryError::disk(self.draft.target()))? {
            // An earlier attempt may have ended after the rename.
            Standing::Whole | Standing::Missing | Standing::Gone => self.put(read_back),
            Standing::Torn => Err(DeliveryError::Differs(self.name)),
        }
    }

    /// Puts the file in the place of one that is not whole any more, where it is the very file that was `recorded`.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn restore(self, recorded: &[u8], read_back: bool) -> Result<Delivered, DeliveryError> {
        if self.sha256 != recorded {
            return Err(DeliveryError::Changed(self.name));
        }
        self.put(read_back)
    }

    fn put(self, read_back: bool) -> Result<Delivered, DeliveryError> {
        let path = self.draft.path().to_owned();
        self.compare(read_back)?;
        let sum = format!("{}  {}\n", crate::domain::hex(&self.sha256), self.name);
        let sum_path = sum_path(self.draft.target());
        files::replace(&sum_path, sum.as_bytes()).map_err(DeliveryError::disk(&sum_path))?;
        self.draft.keep().map_err(DeliveryError::disk(&path))?;
        Ok(Delivered { sha256: self.sha256, bytes: self.bytes })
    }

    /// The draft holds what was written: by its length at least.
    fn compare(&self, read_back: bool) -> Result<(), DeliveryError> {
        let disk = || DeliveryError::disk(self.draft.path());
        let length = self.draft.file().metadata().map_err(disk())?.len();
        let mut same = length == self.bytes;
        if same && read_back {
            let mut file = self.draft.file();
            file.rewind().map_err(disk())?;
            same = read_totals(file).map_err(disk())? == (self.sha256, self.totals);
        }
        if same { Ok(()) } else { Err(DeliveryError::ReadBack(self.name.clone())) }
    }
}

/// Looks at the file that left as `recorded` and should lie at `path`.
///
/// # Errors
/// It cannot be read, or something else than a plain file bears its name.
pub fn inspect(path: &Path, recorded: &[u8]) -> io::Result<Standing> {
    let mut file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hash = fs::symlink_metadata(sum_path(path)).is_ok();
            return Ok(if hash { Standing::Missing } else { Standing::Gone });
        }
        Err(error) => return Err(error),
    };
    let (sha256, _) = hash(&mut file)?;
    Ok(if sha256 == recorded { Standing::Whole } else { Standing::Torn })
}

/// SHA-256 and length of what is read.
///
/// # Errors
/// It cannot be read.
pub fn hash(file: &mut impl io::Read) -> io::Result<([u8; 32], u64)> {
    let mut hashing = HashingWriter::new(io::sink());
    io::copy(file, &mut hashing)?;
    let (_, sha256, bytes) = hashing.finish();
    Ok((sha256, bytes))
}

fn sum_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".sha256");
    path.with_file_name(name)
}

/// Begins a file of a provider under a temporary name of its own.
fn begin_draft(outbox: &Path, provider: &str, name: &str) -> Result<(Draft, File), DeliveryError> {
    let folder = outbox.join(provider);
    for folder in [outbox, &folder] {
        files::home_folder(folder).map_err(DeliveryError::disk(folder))?;
    }
    let path = folder.join(name);
    let draft = Draft::begin(&path).map_err(DeliveryError::disk(&path))?;
    let file = draft.file().try_clone().map_err(DeliveryError::disk(&path))?;
    Ok((draft, file))
}

/// Takes away what killed attempts left of these files in a provider's folder; only for whoever alone writes them.
///
/// # Errors
/// See [`DeliveryError`].
pub fn clear_drafts(outbox: &Path, provider: &str, names: &[&str]) -> Result<(), DeliveryError> {
    let folder = outbox.join(provider);
    match files::folder(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(DeliveryError::disk(&folder))?,
    }
    let ours = |name: &str| names.contains(&name.strip_suffix(".sha256").unwrap_or(name));
    files::clear_drafts(&folder, ours).map_err(DeliveryError::disk(&folder))
}

/// Hash, count and sum of a file of ours, by a plain scan for its amounts.
fn read_totals(file: &File) -> io::Result<([u8; 32], Totals)> {
    use sha2::{Digest as _, Sha256};
    let open = format!("<InstdAmt Ccy=\"{}\">", country::currency());
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut hash, mut totals, mut line) = (Sha256::new(), Totals::default(), Vec::new());
    // Each transaction stands on a line of its own.
    while {
        line.clear();
        reader.read_until(b'\n', &mut line)? > 0
    } {
        hash.update(&line);
        let Some(at) = memchr::memmem::find(&line, open.as_bytes()) else { continue };
        let amount = &line[at + open.len()..];
        let end = memchr::memchr(b'<', amount).unwrap_or(amount.len());
        let amount = Centimes::parse_bytes(&amount[..end])
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        totals.orders += 1;
        totals.sum = totals.sum.checked_add(amount).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok((hash.finalize().into(), totals))
}
