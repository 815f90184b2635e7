//! `orders.parquet`: the orders by column, in row groups, with dictionaries for what repeats.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::pass::Codes;
use super::{ReportError, files};
use crate::domain::order::OrderState;
use crate::store::orders::extracts::ExtractedOrder;

const ROWS_PER_GROUP: usize = 200_000;
const VALUES_AT_ONCE: usize = 8_192;
/// Most different reasons that get a number; `reasons.csv` has all of them.
const REASONS_MAX: usize = 60_000;
const OTHER_REASONS: &str = "other: see reasons.csv";
/// Amounts are decimals of dirhams on whole centimes; the two that explain them are plain centimes.
const SCHEMA: &str = "message orders {
    required binary household_id (STRING);
    required binary purpose (STRING);
    required int64 amount (DECIMAL(18,2));
    required binary state (STRING);
    optional binary reason (STRING);
    required binary provider (STRING);
    required binary end_to_end_id (STRING);
    required binary region (STRING);
    required binary province (STRING);
    required binary commune (STRING);
    required int64 entitled_centimes;
    required int64 offset_centimes;
}";

/// The file under way, and the row group that is filling.
pub(super) struct Columns {
    path: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    words: Words,
    group: Group,
}

impl Columns {
    pub(super) fn create(path: &Path, codes: &Codes) -> Result<Self, ReportError> {
        let file = files::create(path)?;
        let writer = open(file).map_err(|source| ReportError::Parquet { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), writer, words: Words::new(codes), group: Group::default() })
    }

    pub(super) fn push(&mut self, order: &ExtractedOrder, end_to_end: &str) -> Result<(), ReportError> {
        let reason = self.words.reason(&order.reason);
        self.group.push(order, end_to_end, reason);
        if self.group.amount.len() == ROWS_PER_GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        let fault = |source| ReportError::Parquet { path: self.path.clone(), source };
        self.group.write(&self.words, &mut self.writer).map_err(fault)
    }

    pub(super) fn finish(mut self) -> Result<(), ReportError> {
        if !self.group.amount.is_empty() {
            self.flush()?;
        }
        let fault = |source| ReportError::Parquet { path: self.path.clone(), source };
        let mut file = self.writer.into_inner().map_err(fault)?;
        file.flush().map_err(ReportError::io(&self.path))
    }
}

fn open<W: Write + Send>(file: W) -> Result<SerializedFileWriter<W>, ParquetError> {
    let schema = parse_message_type(SCHEMA)?;
    let mut properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?));
    // Each household and each order has its own: a dictionary would only be filled and thrown away.
    for unique in ["household_id", "end_to_end_id"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(unique), false);
    }
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
}

/// What the numbers of a row group stand for.
struct Words {
    purposes: Vec<ByteArray>,
    providers: Vec<ByteArray>,
    states: Vec<ByteArray>,
    regions: Vec<ByteArray>,
    provinces: Vec<ByteArray>,
    communes: Vec<ByteArray>,
    /// Number 0 stands for none.
    reasons: Vec<ByteArray>,
    reason_numbers: HashMap<String, u16>,
}

impl Words {
    fn new(codes: &Codes) -> Self {
        let place = |pick: fn(&crate::domain::household::Place) -> &String| {
            codes.places.iter().map(|p| ByteArray::from(pick(p).as_str())).collect()
        };
        Self {
            purposes: codes
                .purposes
                .iter()
                .map(|c| ByteArray::from(c.as_ref().map_or("", |c| c.as_str())))
                .collect(),
            providers: codes.providers.iter().map(|c| ByteArray::from(c.as_deref().unwrap_or(""))).collect(),
            states: OrderState::ALL.iter().map(|s| ByteArray::from(s.as_str())).collect(),
            regions: place(|p| &p.region),
            provinces: place(|p| &p.province),
            communes: place(|p| &p.commune),
            reasons: vec![ByteArray::from(""), ByteArray::from(OTHER_REASONS)],
            reason_numbers: HashMap::from([(String::new(), 0), (OTHER_REASONS.to_owned(), 1)]),
        }
    }

    fn reason(&mut self, text: &str) -> u16 {
        if let Some(number) = self.reason_numbers.get(text) {
            return *number;
        }
        // Combinations of a closed list of holds, and reason codes: some hundreds, unless a provider writes prose for codes.
        if self.reasons.len() == REASONS_MAX {
            return self.reason(OTHER_REASONS);
        }
        let number = u16::try_from(self.reasons.len()).unwrap_or(u16::MAX);
        self.reasons.push(ByteArray::from(text));
        self.reason_numbers.insert(text.to_owned(), number);
        number
    }
}

/// Texts that do not repeat, end to end.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// Hands the texts over and begins afresh, with the same room.
    fn take(&mut self) -> impl Iterator<Item = ByteArray> + use<> {
        let room = self.bytes.capacity();
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, Vec::with_capacity(room)));
        let mut start = 0;
        std::mem::take(&mut self.ends).into_iter().map(move |end| {
            let text = ByteArray::from(bytes.slice(start..end));
            start = end;
            text
        })
    }
}

/// The rows of a row group, by column; what repeats as numbers.
#[derive(Default)]
struct Group {
    household: Texts,
    end_to_end: Texts,
    purpose: Vec<u16>,
    provider: Vec<u16>,
    state: Vec<u8>,
    reason: Vec<u16>,
    place: Vec<u32>,
    amount: Vec<i64>,
    entitled: Vec<i64>,
    offset: Vec<i64>,
}

impl Group {
    fn push(&mut self, order: &ExtractedOrder, end_to_end: &str, reason: u16) {
        self.household.push(order.household.as_str());
        self.end_to_end.push(end_to_end);
        self.purpose.push(order.purpose.unsigned_abs());
        self.provider.push(order.provider.unsigned_abs());
        self.state.push(order.state.number());
        self.reason.push(reason);
        self.place.push(order.place);
        self.amount.push(order.amount.get());
        self.entitled.push(order.entitled.get());
        self.offset.push(order.offset.get());
    }

    /// Writes the row group, columns in the order of [`SCHEMA`], and empties it.
    fn write<W: Write + Send>(
        &mut self,
        words: &Words,
        writer: &mut SerializedFileWriter<W>,
    ) -> Result<(), ParquetError> {
        let mut group = writer.next_row_group()?;
        let out = &mut group;
        texts(out, self.household.take())?;
        coded(out, &words.purposes, &self.purpose)?;
        numbers(out, &self.amount)?;
        coded(out, &words.states, &self.state)?;
        optional(out, &words.reasons, &self.reason)?;
        coded(out, &words.providers, &self.provider)?;
        texts(out, self.end_to_end.take())?;
        coded(out, &words.regions, &self.place)?;
        coded(out, &words.provinces, &self.place)?;
        coded(out, &words.communes, &self.place)?;
        numbers(out, &self.entitled)?;
        numbers(out, &self.offset)?;
        group.close()?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.purpose.clear();
        self.provider.clear();
        self.state.clear();
        self.reason.clear();
        self.place.clear();
        self.amount.clear();
        self.entitled.clear();
        self.offset.clear();
    }
}

type Out<'a, W> = SerializedRowGroupWriter<'a, W>;

fn missing() -> ParquetError {
    ParquetError::General("more columns than the schema has".into())
}

fn numbers<W: Write + Send>(out: &mut Out<'_, W>, values: &[i64]) -> Result<(), ParquetError> {
    let mut column = out.next_column()?.ok_or_else(missing)?;
    column.typed::<Int64Type>().write_batch(values, None, None)?;
    column.close()
}

fn texts<W: Write + Send>(
    out: &mut Out<'_, W>,
    mut values: impl Iterator<Item = ByteArray>,
) -> Result<(), ParquetError> {
    let mut column = out.next_column()?.ok_or_else(missing)?;
    let mut some = Vec::with_capacity(VALUES_AT_ONCE);
    loop {
        some.clear();
        some.extend(values.by_ref().take(VALUES_AT_ONCE));
        if some.is_empty() {
            return column.close();
        }
        column.typed::<ByteArrayType>().write_batch(&some, None, None)?;
    }
}

/// Texts by number; a number that stands for nothing is a fault, not a gap.
fn coded<W: Write + Send, N: Copy + Into<u32>>(
    out: &mut Out<'_, W>,
    words: &[ByteArray],
    numbers: &[N],
) -> Result<(), ParquetError> {
    let mut unknown = false;
    let values = numbers.iter().map(|number| {
        let number: u32 = (*number).into();
        words.get(number as usize).cloned().unwrap_or_else(|| {
            unknown = true;
            ByteArray::from("")
        })
    });
    texts(out, values)?;
    if unknown { Err(ParquetError::General("a code without its text".into())) } else { Ok(()) }
}

fn optional<W: Write + Send>(
    out: &mut Out<'_, W>,
    words: &[ByteArray],
    numbers: &[u16],
) -> Result<(), ParquetError> {
    let mut column = out.next_column()?.ok_or_else(missing)?;
    for some in numbers.chunks(VALUES_AT_ONCE) {
        let levels: Vec<i16> = some.iter().map(|n| i16::from(*n != 0)).collect();
        let values: Vec<ByteArray> =
            some.iter().filter(|n| **n != 0).map(|n| words[usize::from(*n)].clone()).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
    }
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;
    use crate::pipeline::reports::run_report::pass::tests::{codes, order};

    #[test]
    fn rows_come_back_as_written() {
        let orders = [
            (order(1, 0, OrderState::Settled, 50_005, ""), "E1"),
            (order(0, 1, OrderState::Held, 60_000, "rib_bad_key"), "E2"),
            (order(2, 1, OrderState::Returned, 70_000, "AC04"), "E3"),
        ];
        let mut words = Words::new(&codes());
        let mut group = Group::default();
        let mut writer = open(Vec::new()).unwrap();
        for part in [&orders[..2], &orders[2..]] {
            for (order, name) in part {
                let reason = words.reason(&order.reason);
                group.push(order, name, reason);
            }
            group.write(&words, &mut writer).unwrap();
        }
        let reader = SerializedFileReader::new(Bytes::from(writer.into_inner().unwrap())).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let rows: Vec<String> =
            reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        let line = |amount: &str, state, reason, provider, name, province, entitled| {
            format!(
                "{{household_id: \"H7\", purpose: \"dss\", amount: {amount}, state: \"{state}\", reason: {reason}, provider: \"{provider}\", \
                 end_to_end_id: \"{name}\", region: \"R1\", province: \"{province}\", commune: \"C\", entitled_centimes: {entitled}, offset_centimes: 0}}"
            )
        };
        assert_eq!(
            rows,
            [
                line("500.05", "settled", "null", "bank", "E1", "P1", 50_005),
                line("600.00", "held", "\"rib_bad_key\"", "none", "E2", "P2", 60_000),
                line("700.00", "returned", "\"AC04\"", "wallet", "E3", "P2", 70_000),
            ]
        );
    }

    #[test]
    fn a_place_that_is_not_known_is_refused() {
        let mut group = Group::default();
        group.push(&order(1, 9, OrderState::Settled, 1, ""), "E", 0);
        assert!(group.write(&Words::new(&codes()), &mut open(Vec::new()).unwrap()).is_err());
    }
}
