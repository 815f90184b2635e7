//! Parquet parts: each column's values become the same text that CSV would hold, so that one row parser serves both.
//!
//! Memory: a page of each column and the text of 1,024 rows. Lists, maps and structures are refused where the contract
//! has a column of that name, and passed over elsewhere.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use time::Date;

use super::error::Fault;
use super::part::{COLUMNS_MAX, Columns, Cursor, Limits, RowSink, place_columns};

const ROWS_PER_STEP: usize = 1024;

/// Reads all rows of a Parquet file.
pub(super) fn read_parquet(
    file: File,
    columns: &Columns,
    limits: &Limits,
    unpacked_bytes_max: u64,
    cursor: &mut Cursor,
    sink: &mut dyn RowSink,
) -> Result<(), Fault> {
    let reader = SerializedFileReader::new(file).map_err(Fault::Parquet)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let roots: Vec<&str> = schema.columns().iter().map(|c| c.path().parts()[0].as_str()).collect();
    let mut distinct = roots.clone();
    // A structure has several leaves of one root: it is one column, passed over or refused as such.
    distinct.dedup();
    place_columns(columns, &distinct, &mut cursor.warnings)?;
    let mut bytes = 0u64;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(Fault::Parquet)?;
        bytes = bytes.saturating_add(u64::try_from(group.metadata().total_byte_size()).unwrap_or(u64::MAX));
        if bytes > unpacked_bytes_max {
            return Err(Fault::Expansion { limit_bytes: unpacked_bytes_max });
        }
        let mut read = Vec::with_capacity(COLUMNS_MAX);
        for (i, root) in roots.iter().enumerate() {
            if let Some(place) = columns.place(root) {
                let name = columns.name(place);
                let form =
                    Form::of(&schema.column(i)).ok_or_else(|| Fault::ColumnType { column: name.clone() })?;
                let reader = group.get_column_reader(i).map_err(Fault::Parquet)?;
                read.push(Column { place, name, form, reader, text: ColumnText::default() });
            }
        }
        while step(&mut read, limits)? > 0 {
            pour(&read, columns.len(), cursor, sink)?;
        }
    }
    cursor.bytes += bytes;
    cursor.seek_row();
    Ok(())
}

/// Reads the next rows of each column as text and gives their number.
fn step(columns: &mut [Column], limits: &Limits) -> Result<usize, Fault> {
    for column in columns.iter_mut() {
        column.read()?;
        if column.text.longest > limits.record_bytes_max {
            return Err(Fault::RecordTooLong { limit_bytes: limits.record_bytes_max });
        }
    }
    let rows = columns.first().map_or(0, |c| c.text.ends.len());
    if columns.iter().any(|c| c.text.ends.len() != rows) {
        return Err(Fault::ParquetDamaged("its columns have different lengths"));
    }
    Ok(rows)
}

fn pour(columns: &[Column], width: usize, cursor: &mut Cursor, sink: &mut dyn RowSink) -> Result<(), Fault> {
    let rows = columns.first().map_or(0, |c| c.text.ends.len());
    for i in 0..rows {
        let mut values = [""; COLUMNS_MAX];
        for column in columns {
            values[column.place] = column.text.get(i);
        }
        let row = cursor.begin_row()?;
        sink.row(row, &values[..width])?;
    }
    Ok(())
}

/// How the stored values of a column are written as text.
#[derive(Clone, Copy)]
enum Form {
    /// As they are: text, integers, booleans, floating point (shortest form that reads back).
    Plain,
    /// Days since 1970-01-01.
    Days,
    /// Units since 1970-01-01, so many a day.
    Timestamp(i64),
    /// An integer with so many decimals.
    Decimal(u32),
}

impl Form {
    fn of(column: &ColumnDescriptor) -> Option<Self> {
        const SECONDS_A_DAY: i64 = 86_400;
        if column.path().parts().len() > 1 || column.max_rep_level() > 0 {
            return None;
        }
        Some(match column.logical_type_ref() {
            Some(LogicalType::Date) => Self::Days,
            Some(LogicalType::Timestamp(t)) => Self::Timestamp(match t.unit {
                TimeUnit::MILLIS => SECONDS_A_DAY * 1_000,
                TimeUnit::MICROS => SECONDS_A_DAY * 1_000_000,
                TimeUnit::NANOS => SECONDS_A_DAY * 1_000_000_000,
            }),
            Some(LogicalType::Decimal(d)) => Self::Decimal(u32::try_from(d.scale).ok().filter(|s| *s <= 18)?),
            _ => match column.converted_type() {
                parquet::basic::ConvertedType::DATE => Self::Days,
                parquet::basic::ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp(SECONDS_A_DAY * 1_000),
                parquet::basic::ConvertedType::TIMESTAMP_MICROS => Self::Timestamp(SECONDS_A_DAY * 1_000_000),
                _ => Self::Plain,
            },
        })
    }
}

/// One column of a row group.
struct Column {
    place: usize,
    name: Cow<'static, str>,
    form: Form,
    reader: ColumnReader,
    text: ColumnText,
}

/// The text of up to [`ROWS_PER_STEP`] values, one after the other.
#[derive(Default)]
struct ColumnText {
    text: String,
    ends: Vec<usize>,
    longest: usize,
}

impl ColumnText {
    fn get(&self, row: usize) -> &str {
        &self.text[row.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[row]]
    }

    fn end_value(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.longest = self.longest.max(self.text.len() - start);
        self.ends.push(self.text.len());
    }
}

impl Column {
    fn read(&mut self) -> Result<(), Fault> {
        let (form, text, name) = (self.form, &mut self.text, &self.name);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => read_values(r, text, |v, out| write_plain(out, v)),
            ColumnReader::Int32ColumnReader(r) => {
                read_values(r, text, |v, out| write_integer(out, form, i128::from(*v)))
            }
            ColumnReader::Int64ColumnReader(r) => {
                read_values(r, text, |v, out| write_integer(out, form, i128::from(*v)))
            }
            ColumnReader::FloatColumnReader(r) => read_values(r, text, |v, out| write_plain(out, v)),
            ColumnReader::DoubleColumnReader(r) => read_values(r, text, |v, out| write_plain(out, v)),
            ColumnReader::ByteArrayColumnReader(r) => {
                read_values(r, text, |v, out| write_bytes(out, form, v.data(), name))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                read_values(r, text, |v, out| write_bytes(out, form, v.data(), name))
            }
            ColumnReader::Int96ColumnReader(_) => Err(Fault::ColumnType { column: name.clone() }),
        }
    }
}

/// Reads up to [`ROWS_PER_STEP`] values; one that is null becomes empty text.
fn read_values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    text: &mut ColumnText,
    mut write: impl FnMut(&T::T, &mut String) -> Result<(), Fault>,
) -> Result<(), Fault> {
    text.text.clear();
    text.ends.clear();
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut rows = 0;
    // A page may end before the rows asked for.
    while rows < ROWS_PER_STEP {
        let (records, ..) = reader
            .read_records(ROWS_PER_STEP - rows, Some(&mut levels), None, &mut values)
            .map_err(Fault::Parquet)?;
        if records == 0 {
            break;
        }
        rows += records;
    }
    let mut present = values.iter();
    for row in 0..rows {
        // Without levels the column is required; with them, only the highest is a value.
        if levels.get(row).is_none_or(|level| *level > 0) {
            let value = present.next().ok_or(Fault::ParquetDamaged("values are missing"))?;
            write(value, &mut text.text)?;
        }
        text.end_value();
    }
    Ok(())
}

fn write_plain(out: &mut String, value: &dyn std::fmt::Display) -> Result<(), Fault> {
    write!(out, "{value}").expect("writing to a string cannot fail");
    Ok(())
}

fn write_integer(out: &mut String, form: Form, value: i128) -> Result<(), Fault> {
    match form {
        Form::Plain => write_plain(out, &value),
        Form::Days => write_day(out, value),
        Form::Timestamp(units) if value % i128::from(units) == 0 => write_day(out, value / i128::from(units)),
        // A time of day has no place in a date: the row parser rejects what is written here.
        Form::Timestamp(_) => write_plain(out, &"time-of-day"),
        Form::Decimal(scale) => {
            let one = 10u128.pow(scale);
            let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            match scale {
                0 => write!(out, "{sign}{value}"),
                _ => write!(out, "{sign}{}.{:0width$}", value / one, value % one, width = scale as usize),
            }
            .expect("writing to a string cannot fail");
            Ok(())
        }
    }
}

/// Writes the day so many days after 1970-01-01; one outside the calendar as the bare number, which is no date.
fn write_day(out: &mut String, days: i128) -> Result<(), Fault> {
    const JULIAN_1970: i128 = 2_440_588;
    match i32::try_from(days + JULIAN_1970).ok().and_then(|d| Date::from_julian_day(d).ok()) {
        Some(day) => {
            write_plain(out, &format_args!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day()))
        }
        None => write_plain(out, &days),
    }
}

fn write_bytes(out: &mut String, form: Form, bytes: &[u8], column: &str) -> Result<(), Fault> {
    match form {
        Form::Decimal(_) => {
            if bytes.is_empty() || bytes.len() > 16 {
                return Err(Fault::ColumnType { column: column.to_owned().into() });
            }
            // Big-endian two's complement, as the Parquet format says.
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
            write_integer(out, form, bytes.iter().fold(sign, |v: i128, b| v << 8 | i128::from(*b)))
        }
        _ => {
            out.push_str(std::str::from_utf8(bytes).map_err(|_| Fault::InvalidUtf8)?);
            Ok(())
        }
    }
}
