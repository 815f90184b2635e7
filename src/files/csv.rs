//! Tables that are handed on, as CSV: every one is written here.
//!
//! Guarantee: no cell is run by a spreadsheet ([`crate::domain::shown::in_cell`]), amounts are plain numbers, and the
//! quoting is that of RFC 4180, whatever stands in a text. Limit: a reader that wants the text as it came strips one
//! apostrophe from the front of a cell.

use std::io::{self, Write};

use crate::domain::shown::in_cell;

/// Appends a line to `out`.
pub fn push_line<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push_cell(cell, out);
    }
    out.push(b'\n');
}

/// Appends a cell.
pub fn push_cell(text: &str, out: &mut Vec<u8>) {
    let text = in_cell(text);
    if text.contains([',', ';', '"', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes a line.
///
/// # Errors
/// The disk's.
pub fn write_line<'a>(out: &mut impl Write, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let mut line = Vec::new();
    push_line(cells, &mut line);
    out.write_all(&line)
}

/// Appends lines of CSV that another program (the database) wrote, cell by cell, so that they are as safe as our own.
///
/// # Errors
/// The text is no CSV.
pub fn push_foreign(lines: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(lines);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(io::Error::other)? {
        push_line(&record, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_quoted_and_run_nothing() {
        let mut out = Vec::new();
        push_line(["H1", "-12.50", "=1,2", "say \"x\"", "", "a;b"], &mut out);
        push_foreign(b"\"=HYPERLINK(\"\"x\"\")\",-3\nb,\"two\nlines\"\n", &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "H1,-12.50,\"'=1,2\",\"say \"\"x\"\"\",,\"a;b\"\n\"'=HYPERLINK(\"\"x\"\")\",-3\nb,two\\nlines\n"
        );
    }
}
