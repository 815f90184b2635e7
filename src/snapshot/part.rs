//! One part, from the bytes on disk to rows of text.
//!
//! Input: a file of the folder and its line in the manifest. Output: each data row's fields, in the contract's order,
//! handed to a [`RowSink`]. Guarantee: the hash is that of exactly the bytes that were read (Parquet, which needs
//! random access, is hashed first through the same open file), and where the hash is wrong it is the fault reported,
//! whatever else the damage led to. Limit: memory for one block of text; bombs end at [`Limits`].

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::csv_part::read_csv;
use super::error::{Fault, SnapshotError};
use super::manifest::{Kind, Part, Sha256Hex};
use super::parquet_part::read_parquet;
use crate::domain::attribute::{ATTRIBUTES_MAX, AttributeTypes, COLUMN_PREFIX};
use crate::domain::ids::Code;

/// Columns of `households`; the last one is optional.
pub const HOUSEHOLD_COLUMNS: [&str; 19] = [
    "household_id",
    "region",
    "province",
    "commune",
    "rsu_score",
    "head_idcs",
    "head_resident",
    "excluded_by",
    "payee_idcs",
    "payee_name",
    "payee_name_ar",
    "payee_cin",
    "payee_relation",
    "payee_deceased",
    "phone",
    "means",
    "account",
    "provider",
    "account_level",
];

/// Columns of `members`.
pub const MEMBER_COLUMNS: [&str; 11] = [
    "household_id",
    "idcs",
    "birth_date",
    "sex",
    "in_school",
    "school_cycle",
    "school_sector",
    "father_orphan",
    "severe_disability",
    "in_institution",
    "deceased_on",
];

/// Columns of `claims`.
pub const CLAIM_COLUMNS: [&str; 4] = ["household_id", "child_idcs", "rank", "claimed_on"];

/// Columns of `deposits`.
pub const DEPOSIT_COLUMNS: [&str; 14] = [
    "deposit_id",
    "region",
    "province",
    "commune",
    "institution",
    "child_idcs",
    "child_name",
    "child_name_ar",
    "birth_date",
    "ground",
    "since",
    "until",
    "deceased_on",
    "account",
];

/// Most columns of a part that are read.
pub(super) const COLUMNS_MAX: usize = HOUSEHOLD_COLUMNS.len() + ATTRIBUTES_MAX;

/// The columns that are read of a part, in the order in which sinks get them: the contract's, then those of attributes.
pub(super) struct Columns {
    pub kind: Kind,
    attributes: Vec<String>,
}

impl Columns {
    /// Those of a kind, for a programme with these attributes.
    pub fn of(kind: Kind, attributes: &AttributeTypes) -> Self {
        let column = |name: &Code| format!("{COLUMN_PREFIX}{name}");
        let attributes = match kind {
            Kind::Households => attributes.keys().map(column).collect(),
            Kind::Members | Kind::Claims | Kind::Deposits => Vec::new(),
        };
        Self { kind, attributes }
    }

    pub fn len(&self) -> usize {
        self.kind.columns().len() + self.attributes.len()
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        self.names().position(|column| column == name)
    }

    pub fn name(&self, place: usize) -> Cow<'static, str> {
        match self.kind.columns().get(place) {
            Some(name) => Cow::Borrowed(*name),
            None => Cow::Owned(self.attributes[place - self.kind.columns().len()].clone()),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.kind.columns().iter().copied().chain(self.attributes.iter().map(String::as_str))
    }

    /// Whether a part without the column is refused.
    fn is_required(&self, place: usize) -> bool {
        place < self.kind.columns_required() || place >= self.kind.columns().len()
    }
}

impl Kind {
    /// The contract's columns, in the order in which sinks get them.
    pub(crate) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Households => &HOUSEHOLD_COLUMNS,
            Self::Members => &MEMBER_COLUMNS,
            Self::Claims => &CLAIM_COLUMNS,
            Self::Deposits => &DEPOSIT_COLUMNS,
        }
    }

    /// How many of the columns, from the first, must be there.
    const fn columns_required(self) -> usize {
        match self {
            Self::Households => HOUSEHOLD_COLUMNS.len() - 1,
            Self::Members => MEMBER_COLUMNS.len(),
            Self::Claims => CLAIM_COLUMNS.len(),
            Self::Deposits => DEPOSIT_COLUMNS.len(),
        }
    }
}

/// Limits that protect the importing machine; what they refuse is no honest snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest record of a CSV file, and longest value of a Parquet file.
    pub record_bytes_max: usize,
    /// A part may always unpack to this much.
    pub unpacked_bytes_floor: u64,
    /// Beyond, it may unpack to this many times its size.
    pub unpacked_ratio_max: u64,
    /// Distinct places: their numbers are 16 bits wide.
    pub places_max: usize,
    /// Members of a household.
    pub members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: 64 << 10,
            unpacked_bytes_floor: 256 << 20,
            unpacked_ratio_max: 200,
            places_max: usize::from(u16::MAX),
            members_max: 64,
        }
    }
}

/// Takes the rows of a kind, part after part.
pub(super) trait RowSink {
    /// Takes one data row: `row` from 1 over the parts of the kind, `fields` in the order of [`Columns`].
    fn row(&mut self, row: u32, fields: &[&str]) -> Result<(), Fault>;
}

/// Where reading stands in the rows of a kind.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Rows begun, over the parts.
    pub row: u64,
    /// Rows begun in this part.
    part_rows: u64,
    /// The manifest's count for this part.
    part_rows_declared: u64,
    /// Whether a fault now would be that of a row.
    in_row: bool,
    /// Unpacked bytes.
    pub bytes: u64,
    /// What to tell the operator.
    pub warnings: Vec<String>,
}

impl Cursor {
    /// Begins a row and gives its number.
    pub(super) fn begin_row(&mut self) -> Result<u32, Fault> {
        self.row += 1;
        self.in_row = true;
        if self.part_rows == self.part_rows_declared {
            return Err(Fault::TooManyRows { declared: self.part_rows_declared });
        }
        self.part_rows += 1;
        Ok(u32::try_from(self.row).expect("the manifest holds no more rows than a u32 counts"))
    }

    /// A row is about to be looked for: what stops the search is the fault of that row.
    pub(super) fn seek_row(&mut self) {
        self.in_row = false;
    }
}

/// Reads one part to its end and verifies its row count and hash.
pub(super) fn read_part(
    dir: &Path,
    part: &Part,
    columns: &Columns,
    limits: &Limits,
    cursor: &mut Cursor,
    sink: &mut dyn RowSink,
) -> Result<(), SnapshotError> {
    (cursor.part_rows, cursor.part_rows_declared, cursor.in_row) = (0, part.rows, false);
    let (file, size) = part.open(dir).map_err(|f| f.of_part(&part.file, None))?;
    let mut source = HashingReader { file, hash: Sha256::new(), done: false };
    let outcome = read_rows(&mut source, size, part, columns, limits, cursor, sink);
    let row = cursor.in_row.then_some(cursor.row);
    if matches!(outcome, Err(Fault::Stopped)) {
        return outcome.map_err(|f| f.of_part(&part.file, None));
    }
    // The rest is read for its hash even after a fault: a wrong hash is the cause, the fault its consequence.
    io::copy(&mut source, &mut io::sink()).map_err(|e| Fault::Io(e).of_part(&part.file, None))?;
    let found = source.sha256();
    if found != part.sha256 {
        let (declared, found) = (part.sha256.to_string().into(), found.to_string().into());
        return Err(Fault::Hash { declared, found }.of_part(&part.file, None));
    }
    outcome.map_err(|f| f.of_part(&part.file, row))?;
    if cursor.part_rows != part.rows {
        let fault = Fault::RowCount { declared: part.rows, found: cursor.part_rows };
        return Err(fault.of_part(&part.file, None));
    }
    Ok(())
}

/// Memory a zstd stream may ask for: 2²⁵ bytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;
const READ_BYTES: usize = 128 << 10;

fn read_rows(
    source: &mut HashingReader,
    size: u64,
    part: &Part,
    columns: &Columns,
    limits: &Limits,
    cursor: &mut Cursor,
    sink: &mut dyn RowSink,
) -> Result<(), Fault> {
    let limit = limits.unpacked_bytes_floor.max(size.saturating_mul(limits.unpacked_ratio_max));
    if part.file.ends_with(".parquet") {
        io::copy(source, &mut io::sink()).map_err(Fault::Io)?;
        // The clone below moves the shared position back: what is read from here on was hashed already.
        source.done = true;
        if source.sha256() != part.sha256 {
            return Err(Fault::ParquetDamaged("its hash is wrong"));
        }
        let file = source.file.try_clone().map_err(Fault::Io)?;
        // The parquet crate may panic on a damaged file; that must not take the import down without a word.
        let read = AssertUnwindSafe(|| read_parquet(file, columns, limits, limit, cursor, sink));
        return catch_unwind(read).unwrap_or(Err(Fault::ParquetDamaged("its reader gave up")));
    }
    let csv = |input: &mut dyn Read, packed: bool, cursor: &mut Cursor, sink: &mut dyn RowSink| {
        let mut input = Unpacked { input, packed, bytes: 0, limit, fault: None };
        let outcome = read_csv(&mut input, columns, limits, cursor, sink);
        cursor.bytes += input.bytes;
        match input.fault {
            Some(fault) => Err(fault),
            None => outcome,
        }
    };
    if part.file.ends_with(".csv") {
        csv(source, false, cursor, sink)
    } else if part.file.ends_with(".csv.gz") {
        let buffered = BufReader::with_capacity(READ_BYTES, source);
        csv(&mut flate2::bufread::MultiGzDecoder::new(buffered), true, cursor, sink)
    } else if part.file.ends_with(".csv.zst") {
        let buffered = BufReader::with_capacity(READ_BYTES, source);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(Fault::Compression)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(Fault::Compression)?;
        csv(&mut decoder, true, cursor, sink)
    } else {
        Err(Fault::UnknownEnding)
    }
}

/// Hashes a file as it is read.
struct HashingReader {
    file: File,
    hash: Sha256,
    /// Whether all of the file has been hashed.
    done: bool,
}

impl HashingReader {
    /// The hash of what was read so far.
    fn sha256(&self) -> Sha256Hex {
        Sha256Hex(self.hash.clone().finalize().into())
    }
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.done {
            return Ok(0);
        }
        let len = self.file.read(buffer)?;
        self.hash.update(&buffer[..len]);
        Ok(len)
    }
}

/// Counts unpacked bytes, ends at the limit, and tells a damaged stream from a disk that fails.
struct Unpacked<'r> {
    input: &'r mut dyn Read,
    packed: bool,
    bytes: u64,
    limit: u64,
    fault: Option<Fault>,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ended = || io::Error::other("reading ended with a fault");
        let len = match self.input.read(buffer) {
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => {
                self.fault = Some(if self.packed { Fault::Compression(e) } else { Fault::Io(e) });
                return Err(ended());
            }
        };
        self.bytes += len as u64;
        if self.packed && self.bytes > self.limit {
            self.fault = Some(Fault::Expansion { limit_bytes: self.limit });
            return Err(ended());
        }
        Ok(len)
    }
}

/// Finds the columns that are read in a file's own: for each of the file's, its place in [`Columns`], or `None`.
pub(super) fn place_columns(
    columns: &Columns,
    found: &[&str],
    file_warnings: &mut Vec<String>,
) -> Result<Vec<Option<usize>>, Fault> {
    let places: Vec<_> = found.iter().map(|name| columns.place(name)).collect();
    for place in 0..columns.len() {
        match places.iter().filter(|p| **p == Some(place)).count() {
            0 if columns.is_required(place) => {
                return Err(Fault::MissingColumn { column: columns.name(place) });
            }
            0 | 1 => {}
            _ => return Err(Fault::RepeatedColumn { column: columns.name(place) }),
        }
    }
    let kind = columns.kind;
    for (name, _) in found.iter().zip(&places).filter(|(_, place)| place.is_none()).take(16) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        file_warnings.push(format!("{kind}: column `{name}` is not in the contract and was passed over"));
    }
    Ok(places)
}
