//! The lines of an uploaded file of confirmations.
//!
//! Input: newline-delimited JSON, `{"key","status","reason","amount","at"}`. Output: reports, and what is wrong with the
//! lines that give none. Guarantee: a bad line never sinks the others, and is counted. Limit: 1,000 faults are told; no
//! value is repeated in them.

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::money::Centimes;
use crate::rails::stream::Answer;
use crate::rails::stream::wire::Status;
use crate::snapshot::dialect::{Looks, looks};

/// Most faults that are told; further ones are counted.
const FAULTS_MAX: usize = 1_000;
/// Longest line.
const LINE_BYTES_MAX: usize = 4_096;
/// Longest end-to-end id (ISO 20022).
const KEY_MAX: usize = 35;
/// Longest reason code.
const REASON_MAX: usize = 35;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: u64,
    /// Field, empty for the line as a whole.
    pub(super) field: &'static str,
    /// What is wrong.
    pub(super) what: &'static str,
}

/// Reads the lines in turn, and counts.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) lines: u64,
    pub(super) taken: u64,
    pub(super) refused: u64,
    pub(super) faults: Vec<Fault>,
    at: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(whole: &'a [u8]) -> Self {
        let rest = whole.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(whole);
        let what = match looks(whole) {
            Looks::Text => return Self { rest, lines: 0, taken: 0, refused: 0, faults: Vec::new(), at: 0 },
            Looks::Utf16 => "UTF-16: send it as UTF-8",
            Looks::Packed(what) => what,
        };
        // Nothing of it is a line: what it is says more than thousands of faults.
        let faults = vec![Fault { line: 1, field: "", what }];
        Self { rest: &[], lines: 1, taken: 0, refused: 1, faults, at: 1 }
    }

    /// The next reports, at most so many; none at the end.
    pub(super) fn next_reports(&mut self, reports_max: usize) -> Vec<Answer> {
        let mut reports = Vec::new();
        while reports.len() < reports_max && !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let line = self.rest[..end].trim_ascii();
            self.rest = &self.rest[(end + 1).min(self.rest.len())..];
            self.at += 1;
            if line.is_empty() {
                continue;
            }
            self.lines += 1;
            match parse(line) {
                Ok(report) => {
                    self.taken += 1;
                    reports.push(report);
                }
                Err((field, what)) => {
                    self.refused += 1;
                    if self.faults.len() < FAULTS_MAX {
                        self.faults.push(Fault { line: self.at, field, what });
                    }
                }
            }
        }
        reports
    }
}

type FieldFault = (&'static str, &'static str);

fn parse(line: &[u8]) -> Result<Answer, FieldFault> {
    if line.len() > LINE_BYTES_MAX {
        return Err(("", "longer than 4096 bytes"));
    }
    let fields: Map<String, Value> = serde_json::from_slice(line).map_err(|_| ("", "not a JSON object"))?;
    let key = text(&fields, "key", KEY_MAX)?.ok_or(("key", "missing"))?;
    if key.is_empty() {
        return Err(("key", "missing"));
    }
    let status = fields.get("status").ok_or(("status", "missing"))?;
    let status: Status = serde_json::from_value(status.clone()).map_err(|_| ("status", "not a status"))?;
    if status == Status::NotFound {
        return Err(("status", "not a status"));
    }
    let amount = match fields.get("amount") {
        None | Some(Value::Null) => None,
        Some(amount) => {
            let amount = amount.as_i64().filter(|a| *a > 0).ok_or(("amount", "not whole centimes"))?;
            Some(Centimes::new(amount))
        }
    };
    if let Some(at) = text(&fields, "at", 40)? {
        OffsetDateTime::parse(at, &Rfc3339).map_err(|_| ("at", "not a time of RFC 3339"))?;
    }
    let reason = text(&fields, "reason", REASON_MAX)?.filter(|r| !r.is_empty()).map(str::to_owned);
    Ok(Answer { key: key.to_owned(), status, reason, amount })
}

fn text<'a>(
    fields: &'a Map<String, Value>,
    field: &'static str,
    bytes_max: usize,
) -> Result<Option<&'a str>, FieldFault> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= bytes_max => Ok(Some(text)),
        Some(Value::String(_)) => Err((field, "too long")),
        Some(_) => Err((field, "not a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(Status, Option<i64>), FieldFault>) {
        let parsed = parse(line.as_bytes()).map(|a| (a.status, a.amount.map(Centimes::get)));
        assert_eq!(parsed, expected, "{line}");
    }

    #[test]
    fn lines_are_read_field_by_field() {
        check(r#"{"key":"K","status":"collected"}"#, Ok((Status::Collected, None)));
        let full = r#"{"key":"K","status":"rejected","reason":"AC04","amount":50000,"at":"2026-11-24T10:00:00Z","till":7}"#;
        check(full, Ok((Status::Rejected, Some(50_000))));
        check(r#"{"key":"K","status":"expired","amount":null}"#, Ok((Status::Expired, None)));
        check("[]", Err(("", "not a JSON object")));
        check("{", Err(("", "not a JSON object")));
        check(r#"{"status":"collected"}"#, Err(("key", "missing")));
        check(r#"{"key":"","status":"collected"}"#, Err(("key", "missing")));
        check(r#"{"key":7,"status":"collected"}"#, Err(("key", "not a text")));
        check(&format!(r#"{{"key":"{}","status":"collected"}}"#, "K".repeat(36)), Err(("key", "too long")));
        check(r#"{"key":"K"}"#, Err(("status", "missing")));
        // What no status is like is a fault of the line; a status that is not known is a person's to ask about.
        check(r#"{"key":"K","status":"paid"}"#, Ok((Status::Unknown, None)));
        check(r#"{"key":"K","status":7}"#, Err(("status", "not a status")));
        check(r#"{"key":"K","status":"not_found"}"#, Err(("status", "not a status")));
        for amount in ["0", "-1", "1.5", "\"5\""] {
            let line = format!(r#"{{"key":"K","status":"collected","amount":{amount}}}"#);
            check(&line, Err(("amount", "not whole centimes")));
        }
        check(r#"{"key":"K","status":"collected","at":"today"}"#, Err(("at", "not a time of RFC 3339")));
    }

    #[test]
    fn a_bad_line_does_not_sink_the_others() {
        let whole =
            b"{\"key\":\"A\",\"status\":\"collected\"}\r\n\nnot json\n{\"key\":\"B\",\"status\":\"expired\"}";
        let mut reader = Reader::new(whole);
        let mut keys = Vec::new();
        loop {
            let reports = reader.next_reports(1);
            if reports.is_empty() {
                break;
            }
            keys.extend(reports.into_iter().map(|r| r.key));
        }
        assert_eq!(keys, ["A", "B"]);
        assert_eq!((reader.lines, reader.taken, reader.refused), (3, 2, 1));
        assert_eq!(reader.faults, [Fault { line: 3, field: "", what: "not a JSON object" }]);
    }

    #[test]
    fn what_is_no_text_is_told_as_what_it_is() {
        for (whole, what) in [
            (&b"PK\x03\x04..."[..], "ZIP archive (or an Excel workbook)"),
            (b"\x1f\x8b\x08", "gzip file"),
            (b"\xff\xfe{\0", "UTF-16: send it as UTF-8"),
        ] {
            let mut reader = Reader::new(whole);
            assert!(reader.next_reports(10).is_empty());
            assert_eq!((reader.refused, &reader.faults[..]), (1, &[Fault { line: 1, field: "", what }][..]));
        }
        let marked = b"\xEF\xBB\xBF{\"key\":\"A\",\"status\":\"collected\"}\n\n";
        assert_eq!(Reader::new(marked).next_reports(10).len(), 1);
    }

    #[test]
    fn faults_are_counted_beyond_those_told() {
        let whole = "x\n".repeat(FAULTS_MAX + 5);
        let mut reader = Reader::new(whole.as_bytes());
        assert!(reader.next_reports(10).is_empty());
        assert_eq!((reader.refused, reader.faults.len()), (FAULTS_MAX as u64 + 5, FAULTS_MAX));
    }
}
