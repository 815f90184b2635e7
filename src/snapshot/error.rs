//! What can be wrong with a snapshot as a whole. One fault refuses all of it: a registry that sent one broken part is
//! asked for the snapshot again. Faulty rows are not errors but [`Rejection`](super::Rejection)s.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::domain::hint::{Hint, NextStep};
use crate::files;

use super::manifest::Kind;

/// A snapshot that cannot be accepted: where, and what was wrong.
#[derive(Debug)]
pub struct SnapshotError {
    /// File name of the part, as in the manifest; `None` for the snapshot as a whole.
    pub part: Option<Box<str>>,
    /// Data row from 1, over the parts of its kind; `None` where no row is to blame.
    pub row: Option<u64>,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong. Holds no personal data: at most identifiers of households, column and file names.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file cannot be opened or read.
    #[error("the file cannot be read")]
    Io(#[source] std::io::Error),
    /// A file cannot be made or written.
    #[error("the file cannot be written")]
    Write(#[source] std::io::Error),
    /// The file is not in the folder.
    #[error("the file is not in the snapshot's folder")]
    MissingFile,
    /// `manifest.json` is not JSON of the contract's shape.
    #[error("the manifest cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// The manifest is larger than 1 MiB.
    #[error("the manifest is larger than {limit_bytes} bytes")]
    ManifestTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Another format than this one.
    #[error("format `{found}` is not `sarf-snapshot/1`")]
    Format {
        /// What the manifest says, cut to 40 characters.
        found: Box<str>,
    },
    /// A kind has no part.
    #[error("the manifest names no part of kind `{0}`")]
    NoPart(Kind),
    /// More rows than a row number holds.
    #[error("the manifest names more than 4,294,967,295 rows of kind `{0}`")]
    TooManyDeclared(Kind),
    /// A file name that is not a plain name, so could lead out of the folder; or a link.
    #[error("`{file}` is not the name of a plain file inside the snapshot's folder")]
    UnsafeName {
        /// The name.
        file: Box<str>,
    },
    /// The same file twice.
    #[error("the manifest names the file twice")]
    RepeatedFile,
    /// Neither `.csv`, `.csv.gz`, `.csv.zst` nor `.parquet`.
    #[error("the file's name does not end in .csv, .csv.gz, .csv.zst or .parquet")]
    UnknownEnding,
    /// SHA-256 of the file is not the manifest's.
    #[error("SHA-256 is {found}, the manifest says {declared}")]
    Hash {
        /// In the manifest.
        declared: Box<str>,
        /// Of the file.
        found: Box<str>,
    },
    /// The compressed stream is cut short or damaged.
    #[error("the compressed data is cut short or damaged")]
    Compression(#[source] std::io::Error),
    /// A Parquet file that cannot be read.
    #[error("the Parquet file cannot be read")]
    Parquet(#[source] parquet::errors::ParquetError),
    /// A Parquet file whose columns disagree in length, or that broke its reader.
    #[error("the Parquet file is damaged: {0}")]
    ParquetDamaged(&'static str),
    /// A column of a type that has no text in this contract.
    #[error("column `{column}` has a type that cannot be read")]
    ColumnType {
        /// The column.
        column: Cow<'static, str>,
    },
    /// A column of the contract is not there.
    #[error("column `{column}` is missing")]
    MissingColumn {
        /// The column.
        column: Cow<'static, str>,
    },
    /// A column is there twice.
    #[error("column `{column}` is there twice")]
    RepeatedColumn {
        /// The column.
        column: Cow<'static, str>,
    },
    /// The file has no header row.
    #[error("the header row is missing")]
    NoHeader,
    /// Fields that are separated by something else than commas.
    #[error("its fields are separated by {name}, not by commas")]
    Separator {
        /// By what.
        name: &'static str,
    },
    /// UTF-16, as some spreadsheet programs save it.
    #[error("the text is UTF-16, not UTF-8")]
    Utf16,
    /// An archive, or another file that is no text.
    #[error("it is a {what}, not a CSV file")]
    NotCsv {
        /// What it is.
        what: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("the text is not UTF-8")]
    InvalidUtf8,
    /// A record with another number of fields than the header.
    #[error("{found} fields where the header has {expected}")]
    Ragged {
        /// Fields in the header.
        expected: usize,
        /// Fields in the record.
        found: usize,
    },
    /// A quotation mark or carriage return where RFC 4180 allows none, or a quotation that never ends.
    #[error("{0}")]
    Quoting(&'static str),
    /// A record over the limit.
    #[error("the record is longer than {limit_bytes} bytes")]
    RecordTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// More text than the compressed size can honestly hold.
    #[error("the file unpacks to more than {limit_bytes} bytes")]
    Expansion {
        /// The limit for this file.
        limit_bytes: u64,
    },
    /// More rows than the manifest says: refused at the first one.
    #[error("there are more rows than the manifest's {declared}")]
    TooManyRows {
        /// In the manifest.
        declared: u64,
    },
    /// Fewer rows than the manifest says.
    #[error("there are {found} rows, the manifest says {declared}")]
    RowCount {
        /// In the manifest.
        declared: u64,
        /// In the file.
        found: u64,
    },
    /// Household ids do not ascend.
    #[error("household `{household}` comes after `{before}`: rows are not in byte order of household_id")]
    Unsorted {
        /// The row's household.
        household: Box<str>,
        /// That of the row before.
        before: Box<str>,
    },
    /// Region, province and commune take more than the limit of distinct values.
    #[error("more than {limit} distinct places")]
    TooManyPlaces {
        /// The limit.
        limit: usize,
    },
    /// A control total does not agree.
    #[error("control total `{name}` is {found}, the manifest says {declared}")]
    ControlTotal {
        /// Its name in the manifest.
        name: &'static str,
        /// In the manifest.
        declared: Box<str>,
        /// Over the rows.
        found: Box<str>,
    },
    /// `finish` before the last chunk.
    #[error("the snapshot was not read to its end")]
    NotReadToEnd,
    /// A reading thread ended without a word, or could not start.
    #[error("a reading thread stopped")]
    Stopped,
}

impl Fault {
    /// The fault of the snapshot as a whole.
    pub(crate) fn whole(self) -> SnapshotError {
        SnapshotError { part: None, row: None, fault: self }
    }

    /// The fault of one part.
    pub(crate) fn of_part(self, file: &str, row: Option<u64>) -> SnapshotError {
        SnapshotError { part: Some(file.into()), row, fault: self }
    }

    /// What to do about it.
    fn next_step(&self) -> &'static str {
        match self {
            Fault::Io(error) if files::PathFault::of(error).is_some() => {
                "manifest.json and its parts are plain files: no links, no pipes"
            }
            Fault::Io(_) => "check the folder, its permissions and its disk, then import again",
            Fault::Write(_) => "check the folder, its permissions and its disk, then generate again",
            Fault::MissingFile => {
                "copy the whole folder again: each part of manifest.json must lie beside it"
            }
            Fault::Manifest(_) | Fault::ManifestTooLarge { .. } | Fault::Format { .. } => {
                "compare manifest.json with docs/snapshot-format.md"
            }
            Fault::NoPart(_) | Fault::TooManyDeclared(_) | Fault::RepeatedFile | Fault::UnknownEnding => {
                "ask the registry for a corrected manifest"
            }
            Fault::UnsafeName { .. } => "parts are plain files beside manifest.json: no folders, no links",
            Fault::Hash { .. } => "the file was altered or cut short on its way: transfer it again",
            Fault::Compression(_) | Fault::Parquet(_) | Fault::ParquetDamaged(_) => {
                "the file was damaged before its hash was taken: ask the registry to write it again"
            }
            Fault::ColumnType { .. } => {
                "write the column as text, or as one of the types in the format guide"
            }
            Fault::MissingColumn { .. } | Fault::RepeatedColumn { .. } | Fault::NoHeader => {
                "ask the registry for the columns of docs/snapshot-format.md and those of the programme's attributes, header row included"
            }
            Fault::InvalidUtf8 | Fault::Utf16 => "ask the registry to export as UTF-8",
            Fault::Separator { .. } => {
                "ask the registry for the file as it was written, not as a spreadsheet program saved it"
            }
            Fault::NotCsv { .. } => {
                "give the file the ending of what it is (.csv.gz, .csv.zst, .parquet), or unpack it"
            }
            Fault::Ragged { .. } | Fault::Quoting(_) => "ask the registry to quote fields as RFC 4180 says",
            Fault::RecordTooLong { .. } => "look for a quotation mark that is opened and never closed",
            Fault::Expansion { .. } => "a registry's file does not shrink so far: check where it came from",
            Fault::TooManyRows { .. } | Fault::RowCount { .. } | Fault::ControlTotal { .. } => {
                "manifest and rows are from different exports: ask the registry for both again"
            }
            Fault::Unsorted { .. } => {
                "sort by household_id with a byte-order collation (in SQL: COLLATE \"C\")"
            }
            Fault::TooManyPlaces { .. } => "check that region, province and commune hold places",
            Fault::NotReadToEnd => "read chunks until there are no more, then finish",
            Fault::Stopped => "import again, and report it if it happens twice",
        }
    }
}

impl Hint for SnapshotError {
    fn hint(&self) -> Option<NextStep> {
        Some(self.fault.next_step().into())
    }
}

#[cfg(test)]
impl crate::domain::hint::Samples for SnapshotError {
    fn samples() -> Vec<Self> {
        Fault::samples().into_iter().map(Fault::whole).collect()
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = &self.part {
            write!(f, "part `{part}`")?;
            if let Some(row) = self.row {
                write!(f, ", row {row}")?;
            }
            f.write_str(": ")?;
        }
        fmt::Display::fmt(&self.fault, f)
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

#[cfg(test)]
crate::domain::hint::samples!(Fault {
    Self::Io(_) => Self::Io(std::io::ErrorKind::Other.into()),
    Self::Write(_) => Self::Write(std::io::ErrorKind::Other.into()),
    Self::MissingFile => Self::MissingFile,
    Self::Manifest(_) => Self::Manifest(serde_json::from_str::<u8>("x").expect_err("no number")),
    Self::ManifestTooLarge { .. } => Self::ManifestTooLarge { limit_bytes: 1 },
    Self::Format { .. } => Self::Format { found: "x".into() },
    Self::NoPart(_) => Self::NoPart(Kind::Households),
    Self::TooManyDeclared(_) => Self::TooManyDeclared(Kind::Households),
    Self::UnsafeName { .. } => Self::UnsafeName { file: "../x".into() },
    Self::RepeatedFile => Self::RepeatedFile,
    Self::UnknownEnding => Self::UnknownEnding,
    Self::Hash { .. } => Self::Hash { declared: "a".into(), found: "b".into() },
    Self::Compression(_) => Self::Compression(std::io::ErrorKind::Other.into()),
    Self::Parquet(_) => Self::Parquet(parquet::errors::ParquetError::EOF(String::new())),
    Self::ParquetDamaged(_) => Self::ParquetDamaged("x"),
    Self::ColumnType { .. } => Self::ColumnType { column: "x".into() },
    Self::MissingColumn { .. } => Self::MissingColumn { column: "x".into() },
    Self::RepeatedColumn { .. } => Self::RepeatedColumn { column: "x".into() },
    Self::NoHeader => Self::NoHeader,
    Self::Separator { .. } => Self::Separator { name: "semicolons" },
    Self::Utf16 => Self::Utf16,
    Self::NotCsv { .. } => Self::NotCsv { what: "zip archive" },
    Self::InvalidUtf8 => Self::InvalidUtf8,
    Self::Ragged { .. } => Self::Ragged { expected: 2, found: 1 },
    Self::Quoting(_) => Self::Quoting("a stray quotation mark"),
    Self::RecordTooLong { .. } => Self::RecordTooLong { limit_bytes: 1 },
    Self::Expansion { .. } => Self::Expansion { limit_bytes: 1 },
    Self::TooManyRows { .. } => Self::TooManyRows { declared: 1 },
    Self::RowCount { .. } => Self::RowCount { declared: 1, found: 2 },
    Self::Unsorted { .. } => Self::Unsorted { household: "a".into(), before: "b".into() },
    Self::TooManyPlaces { .. } => Self::TooManyPlaces { limit: 1 },
    Self::ControlTotal { .. } => {
        Self::ControlTotal { name: "rows", declared: "1".into(), found: "2".into() }
    },
    Self::NotReadToEnd => Self::NotReadToEnd,
    Self::Stopped => Self::Stopped,
});
