//! CSV as RFC 4180 has it, strictly: what a lenient reader would guess at is a fault, since a guess could move one
//! household's account to another.
//!
//! Written here because the general readers accept stray and unclosed quotation marks and set no limit to a record;
//! both would turn damage into rows. Memory: one block of 256 KiB and a record.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::str;

use super::dialect::{Looks, looks};
use super::error::Fault;
use super::part::{COLUMNS_MAX, Columns, Cursor, Limits, RowSink, place_columns};

const BLOCK_BYTES: usize = 256 << 10;

/// Reads a header and all rows. Empty lines are passed over.
pub(super) fn read_csv(
    input: &mut dyn Read,
    columns: &Columns,
    limits: &Limits,
    cursor: &mut Cursor,
    sink: &mut dyn RowSink,
) -> Result<(), Fault> {
    let mut splitter = Splitter::new(input, limits.record_bytes_max);
    let mut scratch = String::new();
    let header = splitter.next()?.ok_or(Fault::NoHeader)?;
    let text = str::from_utf8(header.bytes).map_err(|_| Fault::InvalidUtf8)?;
    let names: Vec<&str> = header.fields.iter().map(|f| text[f.range.clone()].trim()).collect();
    // A header of one field that holds another separator is a whole line that nobody would guess at.
    for (separator, name) in [(';', "semicolons"), ('\t', "tabs")] {
        if names.len() < 3 && names.iter().any(|n| n.contains(separator)) {
            return Err(Fault::Separator { name });
        }
    }
    let places = place_columns(columns, &names, &mut cursor.warnings)?;
    loop {
        let record = match splitter.next() {
            Ok(Some(record)) => record,
            Ok(None) => {
                cursor.seek_row();
                return Ok(());
            }
            Err(fault) => {
                cursor.begin_row()?;
                return Err(fault);
            }
        };
        let row = cursor.begin_row()?;
        let text = str::from_utf8(record.bytes).map_err(|_| Fault::InvalidUtf8)?;
        if record.fields.len() != places.len() {
            return Err(Fault::Ragged { expected: places.len(), found: record.fields.len() });
        }
        let mut values = [""; COLUMNS_MAX];
        for (field, place) in record.fields.iter().zip(&places) {
            if let Some(place) = *place {
                values[place] = &text[field.range.clone()];
            }
        }
        if record.fields.iter().any(|f| f.escaped) {
            let spans = unescape(text, record.fields, &places, &mut scratch);
            for (place, span) in spans {
                values[place] = &scratch[span];
            }
            sink.row(row, &values[..columns.len()])?;
        } else {
            sink.row(row, &values[..columns.len()])?;
        }
    }
}

/// Writes the fields that hold doubled quotation marks into `scratch`, each mark once.
fn unescape(
    text: &str,
    fields: &[FieldSpan],
    places: &[Option<usize>],
    scratch: &mut String,
) -> Vec<(usize, Range<usize>)> {
    scratch.clear();
    let mut spans = Vec::new();
    for (field, place) in fields.iter().zip(places) {
        if let (true, Some(place)) = (field.escaped, *place) {
            let start = scratch.len();
            scratch.push_str(&text[field.range.clone()].replace("\"\"", "\""));
            spans.push((place, start..scratch.len()));
        }
    }
    spans
}

/// A field: where it lies in its record, quotation marks around it left out.
struct FieldSpan {
    range: Range<usize>,
    /// Whether it holds doubled quotation marks.
    escaped: bool,
}

/// A record, as it lies in the block.
struct Record<'b> {
    bytes: &'b [u8],
    fields: &'b [FieldSpan],
}

/// Cuts a stream into records.
struct Splitter<'r> {
    input: &'r mut dyn Read,
    block: Vec<u8>,
    start: usize,
    end: usize,
    begun: bool,
    ended: bool,
    record_bytes_max: usize,
    fields: Vec<FieldSpan>,
}

impl<'r> Splitter<'r> {
    fn new(input: &'r mut dyn Read, record_bytes_max: usize) -> Self {
        let block = vec![0; BLOCK_BYTES.max(record_bytes_max * 2)];
        Self {
            input,
            block,
            start: 0,
            end: 0,
            begun: false,
            ended: false,
            record_bytes_max,
            fields: Vec::new(),
        }
    }

    /// The next record that is not an empty line; `None` at the end.
    fn next(&mut self) -> Result<Option<Record<'_>>, Fault> {
        let (start, len) = loop {
            let rest = &self.block[self.start..self.end];
            match split_record(rest, self.ended, &mut self.fields)? {
                Some(len) if len > self.record_bytes_max => return Err(self.too_long()),
                Some(0) => return Ok(None),
                Some(len) => {
                    let start = self.start;
                    self.start += len;
                    let empty = self.fields.len() == 1 && matches!(rest[0], b'\n' | b'\r');
                    if !empty {
                        break (start, len);
                    }
                }
                None if rest.len() > self.record_bytes_max => return Err(self.too_long()),
                None => self.refill()?,
            }
        };
        Ok(Some(Record { bytes: &self.block[start..start + len], fields: &self.fields }))
    }

    fn too_long(&self) -> Fault {
        Fault::RecordTooLong { limit_bytes: self.record_bytes_max }
    }

    /// Moves what is left to the front and fills the block up.
    fn refill(&mut self) -> Result<(), Fault> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < self.block.len() {
            match self.input.read(&mut self.block[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(len) => self.end += len,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Fault::Io(e)),
            }
        }
        if !self.begun {
            self.begun = true;
            match looks(&self.block[..self.end.min(64)]) {
                Looks::Text => {}
                Looks::Utf16 => return Err(Fault::Utf16),
                Looks::Packed(what) => return Err(Fault::NotCsv { what }),
            }
            if self.block[..self.end].starts_with(b"\xEF\xBB\xBF") {
                self.start = 3;
            }
        }
        Ok(())
    }
}

/// The bytes that end an unquoted field, or may not be in one.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    table[b',' as usize] = true;
    table[b'"' as usize] = true;
    table[b'\n' as usize] = true;
    table[b'\r' as usize] = true;
    table
};

/// Splits the record at the start of `bytes` and gives its length, line end included; `None` when more bytes are
/// needed, 0 at the end. `last` says that no more will come.
fn split_record(bytes: &[u8], last: bool, fields: &mut Vec<FieldSpan>) -> Result<Option<usize>, Fault> {
    fields.clear();
    if bytes.is_empty() {
        return Ok(last.then_some(0));
    }
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let Some((range, escaped)) = quoted(bytes, at, last)? else { return Ok(None) };
            at = range.end + 1;
            fields.push(FieldSpan { range, escaped });
        } else {
            let start = at;
            while at < bytes.len() && !SPECIAL[usize::from(bytes[at])] {
                at += 1;
            }
            fields.push(FieldSpan { range: start..at, escaped: false });
        }
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Ok(last.then_some(at)),
            (Some(b','), _) => at += 1,
            (Some(b'\n'), _) => return Ok(Some(at + 1)),
            (Some(b'\r'), Some(b'\n')) => return Ok(Some(at + 2)),
            (Some(b'\r'), None) => return Ok(last.then_some(at + 1)),
            (Some(b'\r'), _) => return Err(Fault::Quoting("a carriage return outside quotation marks")),
            _ => return Err(Fault::Quoting("a quotation mark in the middle of a field")),
        }
    }
}

/// The inside of the quoted field that begins at `open`, and whether it holds doubled marks.
fn quoted(bytes: &[u8], open: usize, last: bool) -> Result<Option<(Range<usize>, bool)>, Fault> {
    let start = open + 1;
    let (mut at, mut escaped) = (start, false);
    loop {
        let Some(offset) = bytes[at..].iter().position(|b| *b == b'"') else {
            let unclosed = Fault::Quoting("a quotation is opened and never closed");
            return if last { Err(unclosed) } else { Ok(None) };
        };
        let mark = at + offset;
        match bytes.get(mark + 1) {
            Some(b'"') => (at, escaped) = (mark + 2, true),
            None if !last => return Ok(None),
            _ => return Ok(Some((start..mark, escaped))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of a text, read through a source that gives `step` bytes at a time.
    fn split(text: &[u8], step: usize) -> Result<Vec<Vec<String>>, Fault> {
        struct Steps<'a>(&'a [u8], usize);
        impl Read for Steps<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let len = self.1.min(self.0.len()).min(buffer.len());
                let (now, later) = self.0.split_at(len);
                buffer[..len].copy_from_slice(now);
                self.0 = later;
                Ok(len)
            }
        }
        let mut source = Steps(text, step);
        let mut splitter = Splitter::new(&mut source, 64);
        // A block of hardly more than a record, so that records lie across its end.
        splitter.block = vec![0; 70];
        let mut records = Vec::new();
        while let Some(record) = splitter.next()? {
            let text = str::from_utf8(record.bytes).unwrap();
            let field = |f: &FieldSpan| text[f.range.clone()].replace("\"\"", "\"");
            records.push(record.fields.iter().map(field).collect());
        }
        Ok(records)
    }

    #[test]
    fn records_are_split_as_rfc_4180_says() {
        type Records = Result<&'static [&'static [&'static str]], &'static str>;
        let rows: [(&str, Records); 12] = [
            ("a,b\n1,2\n", Ok(&[&["a", "b"], &["1", "2"]])),
            ("\u{feff}a,b\r\n1,2", Ok(&[&["a", "b"], &["1", "2"]])),
            ("a,\n,\n", Ok(&[&["a", ""], &["", ""]])),
            ("\n\r\na\n\n", Ok(&[&["a"]])),
            ("\"a,\"\"b\"\"\",\"\n\"\n", Ok(&[&["a,\"b\"", "\n"]])),
            ("\"a\"", Ok(&[&["a"]])),
            ("a,\"b", Err("a quotation is opened and never closed")),
            ("a,\"b\"\"", Err("a quotation is opened and never closed")),
            ("a\"b\n", Err("a quotation mark in the middle of a field")),
            ("\"a\"b\n", Err("a quotation mark in the middle of a field")),
            ("a\rb\n", Err("a carriage return outside quotation marks")),
            (
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
                Err("the record is longer than 64 bytes"),
            ),
        ];
        for (text, expected) in rows {
            for step in [1, 7, 1000] {
                let found = split(text.as_bytes(), step).map_err(|e| e.to_string());
                let expected = expected
                    .map(|r| r.iter().map(|f| f.iter().map(|s| (*s).to_owned()).collect()).collect())
                    .map_err(str::to_owned);
                assert_eq!(found, expected, "{text:?} by {step}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_csv_writer_writes_is_read_back(
            rows in proptest::collection::vec(proptest::collection::vec("[a\",\r\nم]{0,6}", 2..=2), 0..20),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            proptest::prop_assert_eq!(split(&text, 11).map_err(|e| e.to_string()), Ok(rows));
        }
    }
}
